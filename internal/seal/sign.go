package seal

import (
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"

	"yipan/internal/fault"
)

// SignatureBytes is the length of a signature.
const SignatureBytes = ed25519.SignatureSize

// SigningKey is a private Ed25519 key (RFC 8032). The zero value holds no key.
type SigningKey struct{ k hidden[*signingKey] }

type signingKey struct {
	private ed25519.PrivateKey
	public  VerifyKey
}

// VerifyKey is a public Ed25519 key. The zero value verifies nothing.
type VerifyKey struct{ k *verifyKey }

type verifyKey struct {
	id     KeyID
	public ed25519.PublicKey
}

// NewSigningKey makes a random key.
func NewSigningKey() SigningKey {
	var seed [ed25519.SeedSize]byte
	rand.Read(seed[:]) // never fails (crypto/rand)
	return signingKeyFrom(seed[:])
}

// ParseSigningKey reads the 32-byte seed that Secret returns. Errors: Invalid
// KEY_MALFORMED.
func ParseSigningKey(seed []byte) (SigningKey, error) {
	if len(seed) != ed25519.SeedSize {
		return SigningKey{}, fault.Invalid("KEY_MALFORMED", "seal: a signing key has %d bytes, not %d", ed25519.SeedSize, len(seed))
	}
	return signingKeyFrom(seed), nil
}

func signingKeyFrom(seed []byte) SigningKey {
	private := ed25519.NewKeyFromSeed(seed)
	return SigningKey{hide(&signingKey{private, verifyKeyFrom(private.Public().(ed25519.PublicKey))})}
}

// ParseVerifyKey reads the 32 bytes that Bytes returns. A point of small order
// is refused: one signature under it verifies for many messages, so its owner
// could disown what it signed. Errors: Invalid KEY_MALFORMED.
func ParseVerifyKey(public []byte) (VerifyKey, error) {
	if len(public) != ed25519.PublicKeySize {
		return VerifyKey{}, fault.Invalid("KEY_MALFORMED", "seal: a verification key has %d bytes, not %d", ed25519.PublicKeySize, len(public))
	}
	y := [32]byte(public)
	y[31] &= 0x7f
	for _, low := range smallOrder {
		if y == low {
			return VerifyKey{}, fault.Invalid("KEY_MALFORMED", "seal: verification key of small order")
		}
	}
	return verifyKeyFrom(append(ed25519.PublicKey(nil), public...)), nil
}

func verifyKeyFrom(public ed25519.PublicKey) VerifyKey {
	return VerifyKey{&verifyKey{KeyIDOf(UseSign, signSuite, public), public}}
}

// smallOrder lists the y coordinates, sign bit cleared, of every encoding of
// the eight points whose order divides the cofactor, canonical or not.
var smallOrder = [...][32]byte{
	{}, // 0, order 4
	{1},
	{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05}, // order 8
	{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a}, // order 8
	fieldPrimePlus(0xec), // p-1, order 2
	fieldPrimePlus(0xed), // p, that is 0
	fieldPrimePlus(0xee), // p+1, that is 1
}

// fieldPrimePlus returns 2^255-19 with its lowest byte replaced.
func fieldPrimePlus(low byte) (y [32]byte) {
	for i := range y {
		y[i] = 0xff
	}
	y[0], y[31] = low, 0x7f
	return y
}

// bound puts the context before the message: "yipan/" context "/v1" NUL
// message. A prefix rather than Ed25519ctx (RFC 8032 section 5.1), because it
// is the same for a signature scheme of another suite and for hardware that
// only does plain Ed25519. NUL ends the context, so no two pairs share bytes.
func bound(context string, msg []byte) []byte {
	if context == "" {
		panic("seal: empty signature context")
	}
	for i := range len(context) {
		if context[i] == 0 {
			panic("seal: NUL in a signature context")
		}
	}
	b := make([]byte, 0, len("yipan//v1\x00")+len(context)+len(msg))
	b = append(b, "yipan/"...)
	b = append(b, context...)
	b = append(b, "/v1\x00"...)
	return append(b, msg...)
}

// Sign signs msg for context, a constant of the calling package such as
// "parcel" or "receipt"; an empty context or one with NUL is a programming
// error and panics, as does the zero key. The signature has SignatureBytes.
func (s SigningKey) Sign(context string, msg []byte) []byte {
	return ed25519.Sign(s.k().private, bound(context, msg))
}

// Public returns the verification key.
func (s SigningKey) Public() VerifyKey {
	if s.k == nil {
		return VerifyKey{}
	}
	return s.k().public
}

// ID names the key; private and public half have the same id.
func (s SigningKey) ID() KeyID { return s.Public().ID() }

// IsZero reports whether s holds no key.
func (s SigningKey) IsZero() bool { return s.k == nil }

// Secret returns a copy of the 32-byte seed, for key files only.
func (s SigningKey) Secret() []byte { return s.k().private.Seed() }

// Verify reports whether sig is this key's signature of msg for context. The
// zero key verifies nothing.
func (v VerifyKey) Verify(context string, msg, sig []byte) bool {
	if v.k == nil || len(sig) != SignatureBytes {
		return false
	}
	return ed25519.Verify(v.k.public, bound(context, msg), sig)
}

// ID names the key; zero for the zero key.
func (v VerifyKey) ID() KeyID {
	if v.k == nil {
		return KeyID{}
	}
	return v.k.id
}

// IsZero reports whether v holds no key.
func (v VerifyKey) IsZero() bool { return v.k == nil }

// Bytes returns a copy of the 32-byte public key, nil for the zero key.
func (v VerifyKey) Bytes() []byte {
	if v.k == nil {
		return nil
	}
	return append([]byte(nil), v.k.public...)
}

// String redacts: it names the key by its id.
func (s SigningKey) String() string { return "signing key " + s.ID().String() }

// GoString redacts like String.
func (s SigningKey) GoString() string { return s.String() }

// LogValue redacts like String.
func (s SigningKey) LogValue() slog.Value { return slog.StringValue(s.String()) }

// String names the key by its id.
func (v VerifyKey) String() string { return "verification key " + v.ID().String() }
