package seal

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"yipan/internal/fault"
)

// Use says what a key is for. It is part of every key's id, so that one pair of
// bytes enrolled for two uses has two ids.
type Use string

// The closed set of uses.
const (
	UseSign  Use = "sign"  // Ed25519: parcels, receipts, statements, checkpoints
	UseSeal  Use = "seal"  // HPKE: what peers seal parcels to
	UseData  Use = "data"  // AES-256-GCM: fields, and the wrapping of other data keys
	UseIndex Use = "index" // HMAC-SHA-256: blind indexes
)

// Uses returns every use in a fixed order.
func Uses() []Use { return []Use{UseSign, UseSeal, UseData, UseIndex} }

// Valid reports whether u is one of the closed set.
func (u Use) Valid() bool {
	switch u {
	case UseSign, UseSeal, UseData, UseIndex:
		return true
	}
	return false
}

// KeyID names a key: the first 8 bytes of SHA-256 over use, suite and public
// key (each length-prefixed). It is a name, not a proof: whoever accepts a key
// by its id has it from the directory or from the key files. The zero value
// names no key.
type KeyID [8]byte

// KeyIDOf computes the id of a key. For a symmetric key suite is its Cipher and
// key its 32 random bytes, which the one-way hash does not reveal.
func KeyIDOf(use Use, suite Suite, key []byte) KeyID {
	var buf [64]byte
	b := append(buf[:0], "yipan/keyid/v1\x00"...)
	b = append(b, byte(len(use)))
	b = append(b, use...)
	b = binary.BigEndian.AppendUint16(b, uint16(suite))
	b = binary.BigEndian.AppendUint32(b, uint32(len(key)))
	b = append(b, key...)
	sum := sha256.Sum256(b)
	return KeyID(sum[:8])
}

// ParseKeyID reads the 16 lower-case hexadecimal digits of String. Errors:
// Invalid KEY_ID.
func ParseKeyID(s string) (KeyID, error) {
	var id KeyID
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) || hex.EncodeToString(b) != s {
		return KeyID{}, fault.Invalid("KEY_ID", "seal: a key id is 16 lower-case hexadecimal digits")
	}
	return KeyID(b), nil
}

// String returns 16 lower-case hexadecimal digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether id names no key.
func (id KeyID) IsZero() bool { return id == KeyID{} }

// MarshalText writes the hexadecimal form, also into JSON logs.
func (id KeyID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the hexadecimal form. Errors: Invalid KEY_ID.
func (id *KeyID) UnmarshalText(b []byte) error {
	v, err := ParseKeyID(string(b))
	if err != nil {
		return err
	}
	*id = v
	return nil
}
