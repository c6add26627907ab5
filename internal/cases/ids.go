package cases

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"yipan/internal/area"
	"yipan/internal/fault"
)

// NodeID names a node: the key of its principal area.
type NodeID int64

// Area returns the node's principal area.
func (n NodeID) Area() area.Key { return area.Key(n) }

// String returns "level:code".
func (n NodeID) String() string { return area.Key(n).String() }

// CaseID names a case (one leg between two areas). The zero value is none.
type CaseID [16]byte

// ItemID names an item: the first 16 bytes of SHA-256 over its head and the
// hash of its nonce and body (PROTOCOL rule 3). The zero value is none.
type ItemID [16]byte

// PersonID names a person of one office's ledger. The zero value is none.
type PersonID [16]byte

// ConsentID names one act of consent. The zero value is none.
type ConsentID [16]byte

// String returns 32 hex digits.
func (c CaseID) String() string { return hex.EncodeToString(c[:]) }

// String returns 32 hex digits.
func (i ItemID) String() string { return hex.EncodeToString(i[:]) }

// String returns 32 hex digits.
func (p PersonID) String() string { return hex.EncodeToString(p[:]) }

// String returns 32 hex digits.
func (c ConsentID) String() string { return hex.EncodeToString(c[:]) }

// IsZero reports whether c names nothing.
func (c CaseID) IsZero() bool { return c == CaseID{} }

// IsZero reports whether i names nothing.
func (i ItemID) IsZero() bool { return i == ItemID{} }

// IsZero reports whether p names nobody.
func (p PersonID) IsZero() bool { return p == PersonID{} }

// IsZero reports whether c names nothing.
func (c ConsentID) IsZero() bool { return c == ConsentID{} }

func parse16(what, s string) ([16]byte, error) {
	var id [16]byte
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != len(id) {
		return id, fault.Invalid("ID_FORMAT", "%s id is not 32 hex digits", what).
			Zh("编号应为 32 位十六进制数字").On(what + "_id")
	}
	return [16]byte(b), nil
}

// ParseCaseID reads 32 hex digits; dashes are ignored.
func ParseCaseID(s string) (CaseID, error) { b, err := parse16("case", s); return CaseID(b), err }

// ParseItemID reads 32 hex digits; dashes are ignored.
func ParseItemID(s string) (ItemID, error) { b, err := parse16("item", s); return ItemID(b), err }

// ParsePersonID reads 32 hex digits; dashes are ignored.
func ParsePersonID(s string) (PersonID, error) {
	b, err := parse16("person", s)
	return PersonID(b), err
}

// ParseConsentID reads 32 hex digits; dashes are ignored.
func ParseConsentID(s string) (ConsentID, error) {
	b, err := parse16("consent", s)
	return ConsentID(b), err
}

// NewCaseID derives a case id from what makes an opening unique (PROTOCOL rule
// 5), so that a repeated request names the same case even after a restore.
func NewCaseID(node NodeID, office area.Key, requestID string) CaseID {
	b := binary.BigEndian.AppendUint64([]byte("case\x00"), uint64(node))
	b = binary.BigEndian.AppendUint64(b, uint64(office))
	return CaseID(first16(append(b, requestID...)))
}

// ChildCaseID derives the id of the leg that a reroute opens (rule 5).
func ChildCaseID(parent CaseID, round uint32, target area.Key) CaseID {
	b := append([]byte("leg\x00"), parent[:]...)
	b = binary.BigEndian.AppendUint32(b, round)
	b = binary.BigEndian.AppendUint64(b, uint64(target))
	return CaseID(first16(b))
}

// NewReportID derives the id of the leg that carries an author's reports of one
// form about a period from area x to area y. It is no case: it has no OPEN.
func NewReportID(author NodeID, x, y area.Key, period string, form ReportForm) CaseID {
	b := binary.BigEndian.AppendUint64([]byte("report\x00"), uint64(author))
	b = binary.BigEndian.AppendUint64(b, uint64(x))
	b = binary.BigEndian.AppendUint64(b, uint64(y))
	return CaseID(first16(append(append(b, byte(form)), period...)))
}

// NewOutageID derives the id of an outage, which EXTENDs name, from what makes
// its declaration unique, so that a repeated request names the same outage even
// after a restore.
func NewOutageID(node NodeID, account, requestID string) ItemID {
	b := binary.BigEndian.AppendUint64([]byte("outage\x00"), uint64(node))
	b = append(append(b, account...), 0)
	return ItemID(first16(append(b, requestID...)))
}

func first16(b []byte) [16]byte {
	h := sha256.Sum256(b)
	return [16]byte(h[:16])
}

// Hash64 is the part of an item id that digests XOR together (rule 17).
func (i ItemID) Hash64() uint64 { return binary.BigEndian.Uint64(i[:8]) }

// Pair is the hash of X ‖ Y by which statements split a day; receipts, which
// span cases, have pair 0.
func Pair(x, y area.Key) uint64 {
	b := binary.BigEndian.AppendUint64([]byte("pair\x00"), uint64(x))
	h := sha256.Sum256(binary.BigEndian.AppendUint64(b, uint64(y)))
	return binary.BigEndian.Uint64(h[:8])
}
