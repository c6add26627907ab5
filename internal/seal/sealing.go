package seal

import (
	"log/slog"

	"yipan/internal/fault"
)

// SealingKey is the private key that parcels to this node are opened with. The
// zero value holds no key.
type SealingKey struct{ k hidden[*sealingKey] }

type sealingKey struct {
	secret []byte
	open   openFunc
	public SealTo
}

// SealTo is the public key that parcels to a node are sealed to. The zero value
// holds no key.
type SealTo struct{ k *sealTo }

type sealTo struct {
	id     KeyID
	suite  Suite
	public []byte
	seal   sealFunc
}

// NewSealingKey makes a random key of the suite. Errors: Invalid
// SUITE_UNKNOWN.
func NewSealingKey(suite Suite) (SealingKey, error) {
	sc, err := schemeOf(suite)
	if err != nil {
		return SealingKey{}, err
	}
	secret, err := sc.generate()
	if err != nil {
		return SealingKey{}, fault.Internal("KEY_GENERATE", "seal: generate a key of suite %d", uint16(suite)).Because(err)
	}
	return ParseSealingKey(suite, secret)
}

// ParseSealingKey reads what Secret returns (32 bytes for suites 1 and 2).
// Errors: Invalid SUITE_UNKNOWN, KEY_MALFORMED.
func ParseSealingKey(suite Suite, secret []byte) (SealingKey, error) {
	sc, err := schemeOf(suite)
	if err != nil {
		return SealingKey{}, err
	}
	canonical, public, open, err := sc.private(secret)
	if err != nil {
		// The cause is left out: it is about secret bytes.
		return SealingKey{}, fault.Invalid("KEY_MALFORMED", "seal: malformed sealing key of suite %d", uint16(suite))
	}
	to, err := ParseSealTo(suite, public)
	if err != nil {
		return SealingKey{}, err
	}
	return SealingKey{hide(&sealingKey{canonical, open, to})}, nil
}

// ParseSealTo reads what Bytes returns (32 bytes for suite 1, 1216 for suite
// 2). Errors: Invalid SUITE_UNKNOWN, KEY_MALFORMED.
func ParseSealTo(suite Suite, public []byte) (SealTo, error) {
	sc, err := schemeOf(suite)
	if err != nil {
		return SealTo{}, err
	}
	seal, err := sc.public(public)
	if err != nil {
		return SealTo{}, fault.Invalid("KEY_MALFORMED", "seal: malformed public key of suite %d", uint16(suite)).Because(err)
	}
	own := append([]byte(nil), public...)
	return SealTo{&sealTo{KeyIDOf(UseSeal, suite, own), suite, own, seal}}, nil
}

// Seal encrypts plaintext to a node (HPKE base mode, one message per
// encapsulation, RFC 9180 section 6.1). info is authenticated, not sent: put
// into it everything of the envelope outside the seal. enc has
// Suite.EncBytes, ct 16 bytes more than plaintext. HPKE base mode does not say
// who sealed: sign inside. Errors: Invalid SEAL_FAILED (a public key that
// yields no shared secret).
func Seal(to SealTo, info, plaintext []byte) (enc, ct []byte, err error) {
	if to.k == nil {
		return nil, nil, fault.Invalid("SEAL_FAILED", "seal: no key to seal to")
	}
	enc, ct, err = to.k.seal(info, plaintext)
	if err != nil {
		return nil, nil, fault.Invalid("SEAL_FAILED", "seal: seal to key %s", to.k.id).Because(err)
	}
	return enc, ct, nil
}

// Open decrypts what Seal made for this key with the same info. Errors: Invalid
// UNOPENABLE; why is not told apart.
func Open(key SealingKey, info, enc, ct []byte) ([]byte, error) {
	if key.k == nil {
		return nil, fault.Invalid("UNOPENABLE", "seal: no key to open with")
	}
	if len(enc) != key.Suite().EncBytes() {
		return nil, fault.Invalid("UNOPENABLE", "seal: cannot open with key %s", key.ID())
	}
	plain, err := key.k().open(info, enc, ct)
	if err != nil {
		return nil, fault.Invalid("UNOPENABLE", "seal: cannot open with key %s", key.ID())
	}
	return plain, nil
}

// Public returns the key that peers seal to.
func (s SealingKey) Public() SealTo {
	if s.k == nil {
		return SealTo{}
	}
	return s.k().public
}

// ID names the key; private and public half have the same id.
func (s SealingKey) ID() KeyID { return s.Public().ID() }

// Suite is the key's suite, 0 for the zero key.
func (s SealingKey) Suite() Suite { return s.Public().Suite() }

// IsZero reports whether s holds no key.
func (s SealingKey) IsZero() bool { return s.k == nil }

// Secret returns a copy of the private key's bytes, for key files only.
func (s SealingKey) Secret() []byte { return append([]byte(nil), s.k().secret...) }

// ID names the key; zero for the zero key.
func (t SealTo) ID() KeyID {
	if t.k == nil {
		return KeyID{}
	}
	return t.k.id
}

// Suite is the key's suite, 0 for the zero key.
func (t SealTo) Suite() Suite {
	if t.k == nil {
		return 0
	}
	return t.k.suite
}

// IsZero reports whether t holds no key.
func (t SealTo) IsZero() bool { return t.k == nil }

// Bytes returns a copy of the public key, nil for the zero key.
func (t SealTo) Bytes() []byte {
	if t.k == nil {
		return nil
	}
	return append([]byte(nil), t.k.public...)
}

// String redacts: it names the key by its id.
func (s SealingKey) String() string { return "sealing key " + s.ID().String() }

// GoString redacts like String.
func (s SealingKey) GoString() string { return s.String() }

// LogValue redacts like String.
func (s SealingKey) LogValue() slog.Value { return slog.StringValue(s.String()) }

// String names the key by its id.
func (t SealTo) String() string { return "sealing key (public) " + t.ID().String() }
