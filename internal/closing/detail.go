package closing

import (
	"context"
	"slices"

	"yipan/internal/cases"
	"yipan/internal/store"
)

// perDetail is how many rounds a Detail holds: some 56 KiB as text.
const perDetail = 1400

// detail is the rounds of a range of hashes: all of them, so that what is not
// there is missing.
type detail struct {
	Period   string `json:"period"`
	Revision uint32 `json:"revision"`
	Against  uint32 `json:"against"` // revision of the other end that differed
	Lo       uint16 `json:"lo"`      // first two bytes of the hash, both included
	Hi       uint16 `json:"hi"`
	Rounds   []byte `json:"rounds"`
}

// details divides the rounds of buckets into ranges that fit into a report.
func (s *side) details(of map[int]bool) []detail {
	var out []detail
	i := 0
	for b := range buckets {
		if !of[b] {
			continue
		}
		lo, hi := uint16(b<<8), uint16(b<<8|0xff)
		for i < len(s.rows) && s.rows[i].at < lo {
			i++
		}
		d := detail{Lo: lo, Hi: hi, Rounds: []byte{}}
		for ; i < len(s.rows) && s.rows[i].at <= hi; i++ {
			r := &s.rows[i]
			// A range ends with a hash, so that none is in two.
			if len(d.Rounds) >= perDetail*entryBytes && r.at != s.rows[i-1].at {
				d.Hi = r.at - 1
				out = append(out, d)
				d = detail{Lo: r.at, Hi: hi, Rounds: []byte{}}
			}
			d.Rounds = append(d.Rounds, r.entry[:]...)
		}
		out = append(out, d)
	}
	return out
}

// onDetail names the rounds that the two ends count otherwise.
func (c *Closing) onDetail(ctx context.Context, r *store.ReportIn) error {
	var d detail
	if err := strictly(r.Content, &d); err != nil {
		return err
	}
	p, ok := isMonth(d.Period)
	es, whole := entries(d.Rounds)
	if !ok || !whole || d.Period != r.Period || d.Lo > d.Hi {
		return badReport("detail")
	}
	theirs := map[[20]byte]entry{}
	for _, e := range es {
		if at, _ := hashOf(e.id()); at < d.Lo || at > d.Hi || e.code() == codeGone || e.code() >= numCodes {
			return badReport("round of a detail")
		}
		theirs[e.key()] = e
	}
	u, ok := c.unitOf(r.Y)
	if !ok {
		return badReport("area of another node")
	}
	peer := cases.NodeID(r.X)
	return c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) error {
		f, ok, err := tx.LatestFrozen(ctx, u.top, monthNo(p))
		if err != nil || !ok {
			return err
		}
		all, err := c.sidesOf(ctx, tx, u, &f)
		if err != nil {
			return err
		}
		peers, err := tx.MonthPeers(ctx, u.top, monthNo(p))
		if err != nil {
			return err
		}
		i := slices.IndexFunc(peers, func(o store.MonthPeer) bool { return o.Peer == peer })
		if i < 0 {
			return nil // its comparison comes, and what it differs by again
		}
		var latest comparison
		if err := strictly(peers[i].Received, &latest); err != nil && len(peers[i].Received) > 0 {
			return err
		}
		if len(peers[i].Received) == 0 || latest.Revision > d.Revision {
			return nil // its comparison is to come; or of an older revision
		}
		kept, err := tx.Differences(ctx, u.all(), monthNo(p), peer, maxDifferences)
		if err != nil {
			return err
		}
		gone := []cases.CaseID{}
		for _, o := range kept {
			if at, _ := hashOf(o.Case); at >= d.Lo && at <= d.Hi {
				gone = append(gone, o.Case)
			}
		}
		if err := tx.DropDifferences(ctx, u.all(), monthNo(p), peer, gone); err != nil {
			return err
		}
		own := all[r.X]
		if own == nil {
			own = &side{}
		}
		if err := tx.AddDifferences(ctx, monthNo(p), peer, own.differences(&d, theirs, u)); err != nil {
			return err
		}
		if peers[i].Differ, err = tx.CountDifferences(ctx, u.all(), monthNo(p), peer); err != nil {
			return err
		}
		return tx.PutMonthPeer(ctx, peers[i])
	})
}

// differences are the rounds of a range that are not the same at both ends. One
// that is not here belongs to the office that the other end has for it.
func (s *side) differences(d *detail, theirs map[[20]byte]entry, u unit) []store.MonthDifference {
	var out []store.MonthDifference
	for i := range s.rows {
		r := &s.rows[i]
		if r.at < d.Lo || r.at > d.Hi {
			continue
		}
		e, ok := theirs[r.key()]
		delete(theirs, r.key())
		if !ok || e.code() != r.code() {
			out = append(out, store.MonthDifference{Office: r.office, Case: r.id(), Round: r.round(), Ours: uint8(r.code()), Theirs: uint8(e.code())})
		}
	}
	for _, e := range theirs {
		office := e.other()
		if !slices.Contains(u.offices, office) {
			office = u.top
		}
		out = append(out, store.MonthDifference{Office: office, Case: e.id(), Round: e.round(), Theirs: uint8(e.code())})
	}
	return out
}
