package seal

import (
	"crypto/hmac"
	"crypto/sha256"
)

// Opening returns the value that shows, for one access-log event, which
// commitment is the person's: HMAC-SHA-256(person's key, event) (SECURITY D13).
// Handing it to an auditor reveals neither the key nor any other event's.
func Opening(personKey *DataKey, event []byte) [32]byte {
	return mac(personKey.k().raw[:], "yipan/access-opening/v1\x00", event)
}

// Commitment returns what an access-log leaf carries for a person:
// HMAC-SHA-256(opening, person's id). Once the person's key is destroyed nobody
// can tell whose it was, and the leaf's hash still verifies.
func Commitment(opening [32]byte, person []byte) [32]byte {
	return mac(opening[:], "yipan/access-commitment/v1\x00", person)
}

func mac(key []byte, label string, msg []byte) (out [32]byte) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(label))
	h.Write(msg)
	h.Sum(out[:0])
	return out
}
