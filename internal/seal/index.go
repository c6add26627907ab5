package seal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"log/slog"
	"sync"

	"yipan/internal/fault"
)

// IndexBytes is the length of a blind index.
const IndexBytes = 16

// IndexKey makes blind indexes. It is a key of its own, never a data key.
type IndexKey struct{ k hidden[*indexKey] }

type indexKey struct {
	id   KeyID
	raw  [DataKeyBytes]byte
	macs sync.Pool // of *indexMAC: keyed once, reset for each value
}

type indexMAC struct {
	h   hash.Hash
	buf []byte
}

// NewIndexKey makes a random key.
func NewIndexKey() *IndexKey {
	var raw [DataKeyBytes]byte
	rand.Read(raw[:]) // never fails (crypto/rand)
	return indexKeyFrom(raw)
}

// ParseIndexKey reads the 32 bytes that Secret returns. Errors: Invalid
// KEY_MALFORMED.
func ParseIndexKey(secret []byte) (*IndexKey, error) {
	if len(secret) != DataKeyBytes {
		return nil, fault.Invalid("KEY_MALFORMED", "seal: an index key has %d bytes, not %d", DataKeyBytes, len(secret))
	}
	return indexKeyFrom([DataKeyBytes]byte(secret)), nil
}

func indexKeyFrom(raw [DataKeyBytes]byte) *IndexKey {
	k := &indexKey{id: KeyIDOf(UseIndex, 1, raw[:]), raw: raw}
	k.macs.New = func() any { return &indexMAC{h: hmac.New(sha256.New, k.raw[:])} }
	return &IndexKey{hide(k)}
}

// Index returns the blind index of value (normalised by the caller: one
// spelling, one index) in an office: the first 16 bytes of HMAC-SHA-256 over
// use ‖ office ‖ value, each length-prefixed. Equal values in two offices or
// for two uses have unrelated indexes. Whoever holds the key can find an ID
// number by trying all of them: the index hides values from the database, not
// from the node.
func Index(key *IndexKey, office int64, use string, value string) [IndexBytes]byte {
	k := key.k()
	m := k.macs.Get().(*indexMAC)
	b := append(m.buf[:0], "yipan/index/v1\x00"...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(use)))
	b = append(b, use...)
	b = binary.BigEndian.AppendUint32(b, 8)
	b = binary.BigEndian.AppendUint64(b, uint64(office))
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	b = append(b, value...)
	m.h.Reset()
	m.h.Write(b)
	n := len(b)
	b = m.h.Sum(b)
	out := [IndexBytes]byte(b[n:])
	clear(b) // no personal value waits in the pool
	m.buf = b
	k.macs.Put(m)
	return out
}

// ID names the key.
func (k IndexKey) ID() KeyID {
	if k.k == nil {
		return KeyID{}
	}
	return k.k().id
}

// Secret returns a copy of the key's bytes, for key files and recovery only.
func (k IndexKey) Secret() []byte { return append([]byte(nil), k.k().raw[:]...) }

// String redacts: it names the key by its id.
func (k IndexKey) String() string { return "index key " + k.ID().String() }

// GoString redacts like String.
func (k IndexKey) GoString() string { return k.String() }

// LogValue redacts like String.
func (k IndexKey) LogValue() slog.Value { return slog.StringValue(k.String()) }
