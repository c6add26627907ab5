package closing

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/directory"
	"yipan/internal/fault"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

const (
	buckets     = 256
	bucketBytes = 8
)

// comparison is what one end of shared cases says of a frozen month: how many
// rounds both ends have in it, and a digest of those of each bucket, by the first
// byte of the SHA-256 of the case id.
type comparison struct {
	Period   string `json:"period"`
	Revision uint32 `json:"revision"`
	Shared   int64  `json:"shared"`
	Buckets  []byte `json:"buckets"`
}

func badReport(what string) error { return fault.Invalid("REPORT_CONTENT", "report: %s", what) }

// strictly reads JSON that must be written as this program does.
func strictly(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if d.Decode(v) != nil {
		return badReport("encoding")
	}
	if again, err := json.Marshal(v); err != nil || !bytes.Equal(again, b) {
		return badReport("not canonical")
	}
	return nil
}

func isMonth(s string) (policy.Period, bool) {
	p, err := policy.ParsePeriod(s)
	return p, err == nil && p.String() == s && p == policy.SpanMonth.Holding(p.From)
}

// side is the rounds that one end shares with another, by where in the order of
// hashes they stand.
type side struct {
	rows []hashed
}

type hashed struct {
	at uint16
	entry
	office area.Key // whose it is here
}

func hashOf(id cases.CaseID) (uint16, [32]byte) {
	h := sha256.Sum256(id[:])
	return binary.BigEndian.Uint16(h[:]), h
}

// sides divides the rounds of a revision by the other end's unit.
func sides(dir *directory.Directory, self area.Key, parts []store.RoundsPart) (map[area.Key]*side, error) {
	out := map[area.Key]*side{}
	tops := map[area.Key]area.Key{}
	home, _ := dir.Home(self)
	for _, p := range parts {
		if p.Side == cases.SideNone {
			continue
		}
		es, ok := entries(p.Rounds)
		if !ok {
			return nil, fault.Internal("MONTH_ROUNDS", "closing: rounds of a frozen month cannot be read")
		}
		for _, e := range es {
			k := e.other()
			top, ok := tops[k]
			if !ok {
				if n, found := dir.Home(k); found && n != home {
					top = topOf(dir, k)
				}
				tops[k] = top
			}
			if top == 0 {
				continue
			}
			if out[top] == nil {
				out[top] = &side{}
			}
			at, _ := hashOf(e.id())
			out[top].rows = append(out[top].rows, hashed{at, e, p.Office})
		}
	}
	for _, s := range out {
		slices.SortFunc(s.rows, func(a, b hashed) int {
			if a.at != b.at {
				return int(a.at) - int(b.at)
			}
			return bytes.Compare(a.entry[:], b.entry[:])
		})
	}
	return out, nil
}

// digests adds up each bucket: XOR over the hashes of case id, round and code.
func (s *side) digests() []byte {
	out := make([]byte, buckets*bucketBytes)
	for _, r := range s.rows {
		h := sha256.Sum256(r.entry[:21])
		b := out[int(r.at>>8)*bucketBytes:]
		for i := range bucketBytes {
			b[i] ^= h[i]
		}
	}
	return out
}

// compareAll compares a frozen month anew with every other end: it sends what
// this end has, and holds what came against it.
func (c *Closing) compareAll(ctx context.Context, u unit, p policy.Period) error {
	var out []Outgoing
	var ask []cases.NodeID
	var sent []store.MonthPeer
	err := c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) error {
		out, ask, sent = nil, nil, nil
		f, ok, err := tx.LatestFrozen(ctx, u.top, monthNo(p))
		if err != nil || !ok {
			return err
		}
		all, err := c.sidesOf(ctx, tx, u, &f)
		if err != nil {
			return err
		}
		before, err := tx.MonthPeers(ctx, u.top, monthNo(p))
		if err != nil {
			return err
		}
		for _, o := range before { // shared before, or only the other end has some
			if k := o.Peer.Area(); all[k] == nil {
				all[k] = &side{}
			}
		}
		for k, s := range all {
			own := store.MonthPeer{Area: u.top, Month: monthNo(p), Peer: cases.NodeID(k)}
			if i := slices.IndexFunc(before, func(o store.MonthPeer) bool { return o.Peer == own.Peer }); i >= 0 {
				own = before[i]
			}
			own.Shared = int64(len(s.rows))
			b, err := json.Marshal(comparison{Period: p.String(), Revision: f.Revision, Shared: own.Shared, Buckets: s.digests()})
			if err != nil {
				return err
			}
			if !bytes.Equal(b, own.Sent) {
				now := own
				now.Sent = b
				sent = append(sent, now)
				out = append(out, Outgoing{From: u.top, To: k, Form: cases.Comparison, Period: p.String(), Content: b})
			}
			more, err := c.hold(ctx, tx, u, &f, s, &own)
			if err != nil {
				return err
			}
			if len(more) > 0 {
				out = append(out, more...)
				if n, ok := c.Book.Directory().Home(k); ok {
					ask = append(ask, n)
				}
			}
			if err := tx.PutMonthPeer(ctx, own); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(out) == 0 {
		return err
	}
	if err := c.Send(ctx, out); err != nil {
		return err
	}
	err = c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) error {
		for _, o := range sent {
			if err := tx.MarkMonthSent(ctx, o); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, n := range ask {
		if err := c.ask(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (c *Closing) sidesOf(ctx context.Context, tx *store.Tx, u unit, f *store.FrozenMonth) (map[area.Key]*side, error) {
	s, err := rates.DecodeSnapshot(f.Snapshot)
	if err != nil {
		return nil, err
	}
	if err := tx.SetOffices(ctx, slices.Concat(u.all(), s.Offices)); err != nil {
		return nil, err
	}
	parts, err := tx.MonthParts(ctx, s.Offices, f.Month, f.Revision)
	if err != nil {
		return nil, err
	}
	if !verify(&s, parts) {
		return nil, fault.Internal("MONTH_ROUNDS", "closing: stored rounds are not those that the snapshot of %s signs for", s.Period)
	}
	return sides(c.Book.Directory(), u.top, parts)
}

// hold compares what came from the other end with what this one has. It forgets
// the differences of buckets that are equal, and returns the rounds of the others
// for the other end.
func (c *Closing) hold(ctx context.Context, tx *store.Tx, u unit, f *store.FrozenMonth, s *side, o *store.MonthPeer) ([]Outgoing, error) {
	if len(o.Received) == 0 {
		return nil, nil
	}
	var theirs comparison
	if err := strictly(o.Received, &theirs); err != nil {
		return nil, err
	}
	mine := s.digests()
	unequal := map[int]bool{}
	for i := range buckets {
		if !bytes.Equal(mine[i*bucketBytes:(i+1)*bucketBytes], theirs.Buckets[i*bucketBytes:(i+1)*bucketBytes]) {
			unequal[i] = true
		}
	}
	if len(unequal) == 0 {
		o.Differ = 0
		return nil, tx.DropDifferences(ctx, u.all(), o.Month, o.Peer, nil)
	}
	kept, err := tx.Differences(ctx, u.all(), o.Month, o.Peer, maxDifferences)
	if err != nil {
		return nil, err
	}
	gone := []cases.CaseID{}
	for _, d := range kept {
		if at, _ := hashOf(d.Case); !unequal[int(at>>8)] {
			gone = append(gone, d.Case)
		}
	}
	if err := tx.DropDifferences(ctx, u.all(), o.Month, o.Peer, gone); err != nil {
		return nil, err
	}
	if o.Differ, err = tx.CountDifferences(ctx, u.all(), o.Month, o.Peer); err != nil {
		return nil, err
	}
	o.Differ = max(o.Differ, 1)
	var out []Outgoing
	for _, d := range s.details(unequal) {
		d.Period, d.Revision, d.Against = theirs.Period, f.Revision, theirs.Revision
		b, err := json.Marshal(d)
		if err != nil {
			return nil, err
		}
		out = append(out, Outgoing{From: u.top, To: o.Peer.Area(), Form: cases.Detail, Period: theirs.Period, Content: b})
	}
	return out, nil
}

// maxDifferences bounds what is read of them at once.
const maxDifferences = 100_000

// onComparison takes in what the other end has.
func (c *Closing) onComparison(ctx context.Context, r *store.ReportIn) error {
	var theirs comparison
	if err := strictly(r.Content, &theirs); err != nil {
		return err
	}
	p, ok := isMonth(theirs.Period)
	if !ok || theirs.Period != r.Period || !plausible(p, r.HeldAt, true) || theirs.Revision > math.MaxInt32 || len(theirs.Buckets) != buckets*bucketBytes || theirs.Shared < 0 {
		return badReport("comparison")
	}
	u, ok := c.unitOf(r.Y)
	if !ok {
		return badReport("area of another node")
	}
	frozen := false
	err := c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) error {
		all, err := tx.MonthPeers(ctx, u.top, monthNo(p))
		if err != nil {
			return err
		}
		o := store.MonthPeer{Area: u.top, Month: monthNo(p), Peer: cases.NodeID(r.X)}
		if i := slices.IndexFunc(all, func(m store.MonthPeer) bool { return m.Peer == o.Peer }); i >= 0 {
			o = all[i]
		}
		var had comparison
		if len(o.Received) > 0 && strictly(o.Received, &had) == nil && had.Revision > theirs.Revision {
			return nil // they come in any order
		}
		o.Received, o.HeldAt = r.Content, r.HeldAt
		if _, frozen, err = tx.LatestFrozen(ctx, u.top, monthNo(p)); err != nil {
			return err
		}
		return tx.PutMonthPeer(ctx, o)
	})
	if err != nil || !frozen {
		return err
	}
	return c.compareAll(ctx, u, p)
}
