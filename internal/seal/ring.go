package seal

import (
	"log/slog"
	"strconv"

	"yipan/internal/fault"
)

// Ring is an immutable set of data keys: it encrypts with the current one and
// decrypts with any.
type Ring struct {
	current *DataKey
	byID    map[KeyID]*DataKey
}

// NewRing makes a ring that encrypts with current; others only decrypt.
func NewRing(current *DataKey, others ...*DataKey) *Ring {
	r := &Ring{current, make(map[KeyID]*DataKey, 1+len(others))}
	for _, k := range others {
		r.byID[k.id] = k
	}
	r.byID[current.id] = current
	return r
}

// Current is the key that encrypts.
func (r *Ring) Current() *DataKey { return r.current }

// Key returns a key by id. Errors: Internal FIELD_KEY.
func (r *Ring) Key(id KeyID) (*DataKey, error) {
	k, ok := r.byID[id]
	if !ok {
		return nil, fault.Internal("FIELD_KEY", "seal: no data key %s in the ring", id)
	}
	return k, nil
}

// Encrypt is EncryptField with the current key.
func (r *Ring) Encrypt(aad AAD, plain []byte) []byte { return EncryptField(r.current, aad, plain) }

// Decrypt is DecryptField with the key that the box names. Errors: as
// DecryptField's; FIELD_KEY when the ring does not hold the key.
func (r *Ring) Decrypt(aad AAD, box []byte) ([]byte, error) {
	k, err := r.of(box)
	if err != nil {
		return nil, err
	}
	return DecryptField(k, aad, box)
}

// NewWrapped is the function NewWrapped with the current key.
func (r *Ring) NewWrapped(aad AAD) (key *DataKey, wrapped []byte) { return NewWrapped(r.current, aad) }

// Unwrap is the function Unwrap with the key that wrapped names. Errors: as
// Unwrap's; FIELD_KEY when the ring does not hold the key.
func (r *Ring) Unwrap(aad AAD, wrapped []byte) (*DataKey, error) {
	k, err := r.of(wrapped)
	if err != nil {
		return nil, err
	}
	return Unwrap(k, aad, wrapped)
}

// Stale reports whether a box or wrapped key is under another key than the
// current one and so has to be written anew before that key is removed.
// Errors: Internal FIELD_MALFORMED.
func (r *Ring) Stale(box []byte) (bool, error) {
	id, err := BoxKeyID(box)
	return err == nil && id != r.current.id, err
}

func (r *Ring) of(box []byte) (*DataKey, error) {
	id, err := BoxKeyID(box)
	if err != nil {
		return nil, err
	}
	return r.Key(id)
}

// String redacts: it names the current key and counts the others.
func (r *Ring) String() string {
	return "ring of " + strconv.Itoa(len(r.byID)) + ", current " + r.current.String()
}

// GoString redacts like String.
func (r *Ring) GoString() string { return r.String() }

// LogValue redacts like String.
func (r *Ring) LogValue() slog.Value { return slog.StringValue(r.String()) }

// NewWrapped makes a random key for one person or case and returns it with its
// wrapped form (WrappedBytes long) under with, bound to aad: the place where
// the wrapped form is stored. Destroying every wrapped form destroys what the
// key encrypted.
func NewWrapped(with *DataKey, aad AAD) (key *DataKey, wrapped []byte) {
	key = NewDataKey()
	return key, Wrap(with, aad, key)
}

// Wrap returns key's wrapped form under with, bound to aad: for a case's key
// that moves from the node's key to the person's once paired.
func Wrap(with *DataKey, aad AAD, key *DataKey) []byte {
	var plain [1 + DataKeyBytes]byte
	plain[0] = byte(key.cipher)
	copy(plain[1:], key.k().raw[:])
	return with.encrypt(purposeWrap, aad, plain[:])
}

// Unwrap reads what Wrap or NewWrapped made with the same key and aad. Errors:
// as DecryptField's.
func Unwrap(with *DataKey, aad AAD, wrapped []byte) (*DataKey, error) {
	plain, err := with.decrypt(purposeWrap, aad, wrapped)
	if err != nil {
		return nil, err
	}
	if len(plain) != 1+DataKeyBytes {
		return nil, fault.Internal("FIELD_MALFORMED", "seal: %s.%s is no wrapped key", aad.Table, aad.Column)
	}
	return ParseDataKey(Cipher(plain[0]), plain[1:])
}
