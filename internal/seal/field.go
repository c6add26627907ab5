package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"log/slog"

	"yipan/internal/fault"
)

// Cipher numbers a symmetric cipher for fields. It is stored in every box:
// never reuse a number.
type Cipher uint8

// CipherAES256GCM is AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces.
const CipherAES256GCM Cipher = 1

// ciphers is the table of field ciphers. An entry takes a 32-byte key, draws
// its own nonce in Seal and writes nonce ‖ ciphertext ‖ tag.
var ciphers = map[Cipher]func(key []byte) (cipher.AEAD, error){
	CipherAES256GCM: func(key []byte) (cipher.AEAD, error) {
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return cipher.NewGCMWithRandomNonce(block)
	},
}

// A box is version (1) ‖ cipher (1) ‖ key id (8) ‖ nonce (12) ‖ ciphertext ‖
// tag (16); its header is authenticated with the AAD.
const (
	boxVersion = 1
	boxHead    = 1 + 1 + 8

	// DataKeyBytes is the length of a data key and of an index key.
	DataKeyBytes = 32
	// BoxOverhead is how much longer a box is than its plaintext, in bytes.
	BoxOverhead = boxHead + 12 + 16
	// WrappedBytes is the length of a wrapped data key.
	WrappedBytes = DataKeyBytes + 1 + BoxOverhead
)

// AAD says where a ciphertext belongs; it decrypts nowhere else. Row is the
// row's id as stored and must never change while the row lives.
type AAD struct {
	Table, Column string
	Row           []byte
}

// Purposes keep fields and wrapped keys apart under one key.
const (
	purposeField = "yipan/field/v1\x00"
	purposeWrap  = "yipan/wrap/v1\x00"
)

func (a AAD) append(b []byte, purpose string, head []byte) []byte {
	b = append(b, purpose...)
	b = append(b, head...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(a.Table)))
	b = append(b, a.Table...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(a.Column)))
	b = append(b, a.Column...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(a.Row)))
	return append(b, a.Row...)
}

// DataKey encrypts fields and wraps other data keys. Nonces are random: after
// 2^32 encryptions under one key the chance that any two nonces are equal
// reaches 2^-32 (SP 800-38D section 8.3 sets this bound), so a node's key must
// rotate before four thousand million writes; a key per person or case never
// comes near. DataKeys are made by NewDataKey, ParseDataKey, NewWrapped and
// Unwrap.
type DataKey struct {
	id     KeyID
	cipher Cipher
	k      hidden[*dataKey]
}

type dataKey struct {
	aead cipher.AEAD
	raw  [DataKeyBytes]byte
}

// NewDataKey makes a random key of the default cipher.
func NewDataKey() *DataKey {
	var raw [DataKeyBytes]byte
	rand.Read(raw[:]) // never fails (crypto/rand)
	k, err := dataKeyFrom(CipherAES256GCM, raw)
	if err != nil {
		panic("seal: " + err.Error()) // a table entry that refuses 32 bytes
	}
	return k
}

// ParseDataKey reads the 32 bytes that Secret returns. Errors: Invalid
// SUITE_UNKNOWN, KEY_MALFORMED.
func ParseDataKey(c Cipher, secret []byte) (*DataKey, error) {
	if len(secret) != DataKeyBytes {
		return nil, fault.Invalid("KEY_MALFORMED", "seal: a data key has %d bytes, not %d", DataKeyBytes, len(secret))
	}
	return dataKeyFrom(c, [DataKeyBytes]byte(secret))
}

func dataKeyFrom(c Cipher, raw [DataKeyBytes]byte) (*DataKey, error) {
	newAEAD, ok := ciphers[c]
	if !ok {
		return nil, fault.Invalid("SUITE_UNKNOWN", "seal: unknown field cipher %d", uint8(c))
	}
	aead, err := newAEAD(raw[:])
	if err != nil {
		return nil, fault.Internal("CIPHER", "seal: set up field cipher %d", uint8(c)).Because(err)
	}
	return &DataKey{KeyIDOf(UseData, Suite(c), raw[:]), c, hide(&dataKey{aead, raw})}, nil
}

// ID names the key.
func (k DataKey) ID() KeyID { return k.id }

// Cipher is the key's cipher.
func (k DataKey) Cipher() Cipher { return k.cipher }

// Secret returns a copy of the key's bytes, for key files and recovery only.
func (k DataKey) Secret() []byte { return append([]byte(nil), k.k().raw[:]...) }

// String redacts: it names the key by its id.
func (k DataKey) String() string { return "data key " + k.id.String() }

// GoString redacts like String.
func (k DataKey) GoString() string { return k.String() }

// LogValue redacts like String.
func (k DataKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// EncryptField returns a box of plain that decrypts only at aad. The box is
// BoxOverhead longer than plain: where length tells something, PadTo first.
func EncryptField(key *DataKey, aad AAD, plain []byte) []byte {
	return key.encrypt(purposeField, aad, plain)
}

// DecryptField opens a box made by EncryptField with the same key and aad.
// Errors: Internal FIELD_MALFORMED (no box), FIELD_KEY (another key's box),
// FIELD_CORRUPT (altered, or moved from another place).
func DecryptField(key *DataKey, aad AAD, box []byte) ([]byte, error) {
	return key.decrypt(purposeField, aad, box)
}

// BoxKeyID returns the id of the key that a box or wrapped key needs (its bytes
// 2 to 9). Errors: Internal FIELD_MALFORMED.
func BoxKeyID(box []byte) (KeyID, error) {
	if len(box) < BoxOverhead || box[0] != boxVersion {
		return KeyID{}, fault.Internal("FIELD_MALFORMED", "seal: not an encrypted field")
	}
	return KeyID(box[2:boxHead]), nil
}

func (k *DataKey) encrypt(purpose string, aad AAD, plain []byte) []byte {
	var buf [160]byte
	box := make([]byte, boxHead, BoxOverhead+len(plain))
	box[0], box[1] = boxVersion, byte(k.cipher)
	copy(box[2:], k.id[:])
	return k.k().aead.Seal(box, nil, plain, //nolint:gosec // the AEAD makes its nonce itself
		aad.append(buf[:0], purpose, box[:boxHead]))
}

func (k *DataKey) decrypt(purpose string, aad AAD, box []byte) ([]byte, error) {
	id, err := BoxKeyID(box)
	if err != nil {
		return nil, err
	}
	if id != k.id || Cipher(box[1]) != k.cipher {
		return nil, fault.Internal("FIELD_KEY", "seal: %s.%s needs data key %s", aad.Table, aad.Column, id)
	}
	var buf [160]byte
	plain, err := k.k().aead.Open(nil, nil, box[boxHead:], aad.append(buf[:0], purpose, box[:boxHead]))
	if err != nil {
		return nil, fault.Internal("FIELD_CORRUPT", "seal: %s.%s does not decrypt with data key %s", aad.Table, aad.Column, id)
	}
	return plain, nil
}
