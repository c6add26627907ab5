package wire

import (
	"time"

	"google.golang.org/protobuf/proto"

	"yipan/internal/cases"
	"yipan/internal/fault"
	wirev1 "yipan/internal/gen/yipan/wire/v1"
)

// StatementKind is a step of a statement round.
type StatementKind uint8

// The steps (rule 17).
const (
	StateAsk    StatementKind = 1
	StateDigest StatementKind = 2
	StateList   StatementKind = 3
	StateReply  StatementKind = 4
	StateAgree  StatementKind = 5
)

// Range names a part of a settled set: all of it, one day, one pair of a day,
// or the ids of a pair that begin with Prefix.
type Range struct {
	Day     int // Shanghai day number of recorded_at
	HasDay  bool
	Pair    uint64
	HasPair bool
	Prefix  []byte
}

// Digest is what a statement says of a range.
type Digest struct {
	Range
	Count uint64
	XOR   uint64 // of the ids' first 8 bytes
	IDs   []cases.ItemID
}

// maxDay is 9999-12-31.
const maxDay = 2932896

// Statement is one message of a statement round.
type Statement struct {
	Kind         StatementKind
	Ranges       []Digest
	LeastPending time.Time // least recorded_at still pending; zero: none

	Nonce           uint64 // present life of the sender's database
	Echo            uint64 // nonce of the statement answered; 0: none
	FeedbackPending bool   // FEEDBACK or REVOKE of the receiver's is pending towards it
	Missing         []cases.ItemID
}

func encodeStatement(s *Statement) ([]byte, error) {
	p := &wirev1.Statement{Kind: wirev1.StatementKind(s.Kind), Nonce: s.Nonce, Echo: s.Echo, FeedbackPending: s.FeedbackPending}
	for _, id := range s.Missing {
		p.Missing = append(p.Missing, id[:]...)
	}
	if !s.LeastPending.IsZero() {
		p.LeastPending = s.LeastPending.UnixMilli()
	}
	for _, r := range s.Ranges {
		q := &wirev1.Range{Pair: r.Pair, HasPair: r.HasPair, Prefix: r.Prefix, Count: r.Count, Xor: r.XOR}
		if r.HasDay && (r.Day < 0 || r.Day > maxDay) {
			return nil, fault.Internal("ENCODE", "statement of day %d", r.Day)
		}
		if r.HasDay {
			q.Day = uint32(r.Day) + 1
		}
		for _, id := range r.IDs {
			q.Ids = append(q.Ids, id[:]...)
		}
		p.Ranges = append(p.Ranges, q)
	}
	b, err := det.Marshal(p)
	if err != nil {
		return nil, fault.Internal("ENCODE", "encode statement").Because(err)
	}
	return b, nil
}

func decodeStatement(b []byte) (*Statement, error) {
	var p wirev1.Statement
	if err := proto.Unmarshal(b, &p); err != nil {
		return nil, fault.Invalid("UNREADABLE", "statement does not decode").Because(err)
	}
	if p.GetKind() < 1 || p.GetKind() > 5 {
		return nil, fault.Invalid("UNREADABLE", "statement of kind %d", p.GetKind())
	}
	s := &Statement{Kind: StatementKind(p.GetKind()), Nonce: p.GetNonce(), Echo: p.GetEcho(), FeedbackPending: p.GetFeedbackPending()}
	missing := p.GetMissing()
	if len(missing)%16 != 0 {
		return nil, fault.Invalid("UNREADABLE", "statement names malformed ids")
	}
	for ; len(missing) > 0; missing = missing[16:] {
		s.Missing = append(s.Missing, cases.ItemID(missing[:16]))
	}
	if p.GetLeastPending() != 0 {
		s.LeastPending = time.UnixMilli(p.GetLeastPending())
	}
	for _, q := range p.GetRanges() {
		r := Digest{Range: Range{Pair: q.GetPair(), HasPair: q.GetHasPair(), Prefix: q.GetPrefix()}, Count: q.GetCount(), XOR: q.GetXor()}
		if q.GetDay() > 0 {
			r.HasDay, r.Day = true, int(q.GetDay()-1)
		}
		ids := q.GetIds()
		if len(ids)%16 != 0 || r.Day > maxDay || r.HasPair && !r.HasDay || len(r.Prefix) > 15 || len(r.Prefix) > 0 && !r.HasPair {
			return nil, fault.Invalid("UNREADABLE", "statement names a malformed range")
		}
		for ; len(ids) > 0; ids = ids[16:] {
			r.IDs = append(r.IDs, cases.ItemID(ids[:16]))
		}
		s.Ranges = append(s.Ranges, r)
	}
	return s, nil
}
