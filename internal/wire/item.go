// Package wire owns the encoding of what crosses between nodes: heads, bodies,
// items, receipts, parcels, statements, in both directions, with their
// signatures. An item's bytes are stored and forwarded as first written, so it
// never re-encodes what it has decoded. It refuses what is too large or does
// not decode, and knows neither database nor broker.
package wire

import (
	"crypto/rand"
	"crypto/sha256"
	"time"

	"google.golang.org/protobuf/proto"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	wirev1 "yipan/internal/gen/yipan/wire/v1"
)

// Version is the highest protocol version that this program speaks: 2 added
// REPORT and EXTEND. EnvelopeVersion is that of what is outside the seal.
const (
	Version         = 2
	EnvelopeVersion = 1
)

// MinVersion is the lowest version that can read items of a kind.
func MinVersion(k cases.ItemKind) uint32 {
	if k == cases.Report || k == cases.Extend {
		return 2
	}
	return 1
}

// MaxItemBytes is the most that head, nonce and body of one item may take
// (PROTOCOL rule 3). An ordinary item has at most 400 bytes.
const MaxItemBytes = 64 << 10

const nonceBytes = 16

var det = proto.MarshalOptions{Deterministic: true}

// NewItem encodes head and body and gives the item its id. With padTo > 0 the
// body is padded to exactly padTo bytes, whatever it says; a longer one is
// Invalid BODY_TOO_LONG.
func NewItem(h cases.Head, b cases.Body, padTo int) (cases.Item, error) {
	return newItem(h, b, padTo, newNonce())
}

func newNonce() []byte {
	n := make([]byte, nonceBytes)
	_, _ = rand.Read(n) // never fails (crypto/rand)
	return n
}

func newItem(h cases.Head, b cases.Body, padTo int, nonce []byte) (cases.Item, error) {
	raw, err := det.Marshal(bodyToProto(b))
	if err != nil { // a string that is not UTF-8
		return cases.Item{}, fault.Invalid("ENCODING", "encode body of %s", h.Kind).Because(err).Zh("内容含有无法识别的文字")
	}
	if padTo > 0 {
		var ok bool
		if raw, ok = padBody(raw, padTo); !ok {
			return cases.Item{}, fault.Invalid("BODY_TOO_LONG", "body of kind %s has %d bytes, at most %d", h.Kind, len(raw), padTo).
				Zh("内容过长，请精简")
		}
	}
	head, err := det.Marshal(headToProto(&h))
	if err != nil {
		return cases.Item{}, fault.Internal("ENCODE", "encode head of %s", h.Kind).Because(err)
	}
	it := cases.Item{Head: h, HeadRaw: head, Nonce: nonce, BodyRaw: raw}
	if len(head)+nonceBytes+len(raw) > MaxItemBytes {
		return cases.Item{}, fault.Invalid("ITEM_TOO_LARGE", "item of kind %s has %d bytes, at most %d", h.Kind, len(head)+nonceBytes+len(raw), MaxItemBytes).
			Zh("内容过长：一条记录最多 64 KB")
	}
	it.BodyHash = bodyHash(it.Nonce, raw)
	it.ID = itemID(head, it.BodyHash)
	return it, nil
}

// paddingTag is Body.padding, field 15 of wire type 2, one byte.
const paddingTag = 15<<3 | 2

// padBody appends the padding field so that exactly size bytes result, false
// where raw is longer (or empty and one byte short). Written by hand, because
// shortest varints leave sizes that no padding reaches (one byte more; 130
// more; 16387 more): where needed, a varint here is longer than it must be,
// which every decoder of protobuf reads.
func padBody(raw []byte, size int) ([]byte, bool) {
	gap := size - len(raw)
	switch {
	case gap < 0 || gap == 1 && len(raw) == 0:
		return raw, false
	case gap == 0:
		return raw, true
	case gap == 1: // too little for a field: the first tag, below 128, takes two bytes
		return append([]byte{raw[0] | 0x80, 0}, raw[1:]...), true
	}
	width := 1
	for gap-1-width >= 1<<(7*width) {
		width++
	}
	n := gap - 1 - width
	out := append(make([]byte, 0, size), raw...)
	out = append(out, paddingTag)
	for i := range width {
		c := byte(n>>(7*i)) & 0x7f
		if i < width-1 {
			c |= 0x80
		}
		out = append(out, c)
	}
	return out[:size], true
}

func bodyHash(nonce, body []byte) [32]byte {
	h := sha256.New()
	h.Write(nonce)
	h.Write(body)
	return [32]byte(h.Sum(nil))
}

func itemID(head []byte, body [32]byte) cases.ItemID {
	h := sha256.New()
	h.Write(head)
	h.Write(body[:])
	return cases.ItemID(h.Sum(nil)[:16])
}

// DecodeHead decodes the head of an item.
func DecodeHead(raw []byte) (cases.Head, error) {
	var p wirev1.Head
	if err := proto.Unmarshal(raw, &p); err != nil {
		return cases.Head{}, fault.Invalid("UNREADABLE", "item head does not decode").Because(err)
	}
	return headFromProto(&p)
}

// DecodeBody decodes the body of an item.
func DecodeBody(raw []byte) (cases.Body, error) {
	var p wirev1.Body
	if err := proto.Unmarshal(raw, &p); err != nil {
		return cases.Body{}, fault.Invalid("UNREADABLE", "item body does not decode").Because(err)
	}
	return bodyFromProto(&p)
}

// BodyFits reports whether b is a body of the kind that h names.
func BodyFits(h *cases.Head, b *cases.Body) bool {
	switch h.Kind {
	case cases.Open, cases.Correct:
		return b.Fields != nil
	case cases.Answer:
		return b.Answer != nil && b.Answer.Outcome != 0
	case cases.Feedback:
		return b.Feedback != nil
	case cases.Receipt:
		return b.Receipt != nil
	case cases.Report:
		return b.Report != nil && b.Report.Form.Known() && h.Case == cases.NewReportID(h.Author, h.X, h.Y, b.Report.Period, b.Report.Form)
	default:
		return b.Note != nil
	}
}

// ItemFromProto takes an item off the wire: its id is computed from its bytes,
// its head decoded. An item whose head does not decode comes back with its id
// and an error, so that it can be rejected by name.
func ItemFromProto(p *wirev1.Item) (cases.Item, error) {
	it := cases.Item{HeadRaw: p.GetHead()}
	switch {
	case len(p.GetNonce()) == nonceBytes:
		it.Nonce, it.BodyRaw = p.GetNonce(), p.GetBody()
		it.BodyHash = bodyHash(it.Nonce, it.BodyRaw)
	case len(p.GetNonce()) == 0 && len(p.GetBodyHash()) == sha256.Size:
		it.BodyHash = [32]byte(p.GetBodyHash())
	default:
		return it, fault.Invalid("UNREADABLE", "item has neither nonce nor body hash")
	}
	it.ID = itemID(it.HeadRaw, it.BodyHash)
	if len(it.HeadRaw)+len(it.Nonce)+len(it.BodyRaw) > MaxItemBytes {
		return it, fault.Invalid("UNREADABLE", "item %s is larger than %d bytes", it.ID, MaxItemBytes)
	}
	h, err := DecodeHead(it.HeadRaw)
	it.Head = h
	return it, err
}

// ItemToProto puts an item on the wire, its bytes as first written.
func ItemToProto(it *cases.Item) *wirev1.Item {
	if it.Erased() {
		return &wirev1.Item{Head: it.HeadRaw, BodyHash: it.BodyHash[:]}
	}
	return &wirev1.Item{Head: it.HeadRaw, Nonce: it.Nonce, Body: it.BodyRaw}
}

func id16(b []byte) (id [16]byte, err error) {
	switch len(b) {
	case 0:
		return id, nil
	case 16:
		return [16]byte(b), nil
	}
	return id, fault.Invalid("UNREADABLE", "id of %d bytes", len(b))
}

func opt16(id [16]byte) []byte {
	if id == [16]byte{} {
		return nil
	}
	return id[:]
}

func headToProto(h *cases.Head) *wirev1.Head {
	p := &wirev1.Head{
		Author: uint64(h.Author), Side: wirev1.Side(h.Side), CaseId: opt16(h.Case),
		X: uint64(h.X), Y: uint64(h.Y), Kind: wirev1.ItemKind(h.Kind), Round: h.Round, T: h.T,
		MinVersion: h.MinVersion, RecordedAt: h.RecordedAt.UnixMilli(), Local: h.Local,
		CaseKind: wirev1.CaseKind(h.CaseKind), LimitDays: h.Limit.Days, LimitWorking: h.Limit.Working,
		Calendar: h.Limit.Calendar, Parent: opt16(h.Parent), ParentRound: h.ParentRound, Hops: h.Hops,
		Urgent: h.Urgent, Terminal: h.Terminal, Area: uint64(h.Area), Seen: opt16(h.Seen),
		ByParent: h.ByParent, Dispute: h.Dispute, Target: opt16(h.Target), OfferRound: h.OfferRound,
	}
	if h.Policy != [8]byte{} {
		p.Policy = h.Policy[:]
	}
	return p
}

func headFromProto(p *wirev1.Head) (cases.Head, error) {
	h := cases.Head{
		Round: p.GetRound(), T: p.GetT(),
		MinVersion: p.GetMinVersion(), RecordedAt: time.UnixMilli(p.GetRecordedAt()), Local: p.GetLocal(),
		Limit:       cases.Limit{Days: p.GetLimitDays(), Working: p.GetLimitWorking(), Calendar: p.GetCalendar()},
		ParentRound: p.GetParentRound(), Hops: p.GetHops(), Urgent: p.GetUrgent(), Terminal: p.GetTerminal(),
		ByParent: p.GetByParent(), Dispute: p.GetDispute(), OfferRound: p.GetOfferRound(),
	}
	// Numbers beyond a byte are unknown kinds, not other known ones.
	if s := p.GetSide(); s >= 0 && s <= 255 {
		h.Side = cases.Side(s)
	}
	if k := p.GetKind(); k >= 0 && k <= 255 {
		h.Kind = cases.ItemKind(k)
	}
	if k := p.GetCaseKind(); k >= 0 && k <= 255 {
		h.CaseKind = cases.Kind(k)
	}
	if len(p.GetPolicy()) == 8 {
		h.Policy = [8]byte(p.GetPolicy())
	}
	for _, f := range []struct {
		to   *[16]byte
		from []byte
	}{
		{(*[16]byte)(&h.Case), p.GetCaseId()}, {(*[16]byte)(&h.Parent), p.GetParent()},
		{(*[16]byte)(&h.Seen), p.GetSeen()}, {(*[16]byte)(&h.Target), p.GetTarget()},
	} {
		id, err := id16(f.from)
		if err != nil {
			return h, err
		}
		*f.to = id
	}
	var err error
	for _, f := range []struct {
		to   *area.Key
		from uint64
	}{
		{(*area.Key)(&h.Author), p.GetAuthor()}, {&h.X, p.GetX()}, {&h.Y, p.GetY()}, {&h.Area, p.GetArea()},
	} {
		if *f.to, err = areaKey(f.from); err != nil {
			return h, err
		}
	}
	return h, nil
}

// areaKey reads a key off the wire: zero, or a level of 1 to 5 with a code no
// finer than it. Anything else is refused here, before code that counts on the
// level sees it.
func areaKey(v uint64) (area.Key, error) {
	const most = 999999999999*10 + 5
	k := area.Key(min(v, most+1))
	if v == 0 {
		return 0, nil
	}
	if v > most || k.Level() < area.Province || k.Level() > area.Village || k.Cut(k.Level()) != k {
		return 0, fault.Invalid("UNREADABLE", "%d is no area key", v)
	}
	return k, nil
}
