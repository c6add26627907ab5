package closing

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/figures"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// Revise counts frozen months anew of which something may have changed, and
// writes a numbered revision where their figures did; it returns how many. What
// changed is seen from sums and from children's reports; once a day each month
// is counted whatever they say.
func (c *Closing) Revise(ctx context.Context) (n int64, err error) {
	var errs []error
	for _, u := range c.units() {
		var revisions map[int]uint32
		var states []store.MonthState
		err := c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) (err error) {
			if revisions, err = tx.MonthRevisions(ctx, u.top); err != nil {
				return err
			}
			states, err = tx.MonthStates(ctx, u.top)
			return err
		})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		revised := false
		for _, s := range states {
			if _, ok := revisions[s.Month]; !ok || c.Now().Sub(s.CheckedAt) < c.ReviseEvery {
				continue
			}
			done, err := c.revise(ctx, u, s)
			if done {
				n, revised = n+1, true
			}
			errs = append(errs, err)
		}
		if revised {
			errs = append(errs, c.tell(ctx, u))
		}
	}
	return n, errors.Join(errs...)
}

// revise looks at one frozen month.
func (c *Closing) revise(ctx context.Context, u unit, s store.MonthState) (done bool, err error) {
	p := monthOf(s.Month)
	daily := c.Now().Sub(s.CheckedAt) >= 24*time.Hour
	var old rates.Snapshot
	var sums []byte
	changed := false
	err = c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) error {
		f, _, err := tx.LatestFrozen(ctx, u.top, s.Month)
		if err != nil {
			return err
		}
		if old, err = rates.DecodeSnapshot(f.Snapshot); err != nil {
			return err
		}
		if sums, err = tx.MonthSums(ctx, old.Offices, s.Month); err != nil {
			return err
		}
		children, err := tx.ChildReports(ctx, u.all(), s.Month)
		changed = !bytes.Equal(sums, s.Sums) || childrenChanged(&old, children)
		return err
	})
	if err != nil || !changed && !daily {
		return false, err
	}
	// What was filed late; of offices that moved to another node nothing comes.
	books := old.Books
	if len(old.Offices) == len(u.offices) && slices.Equal(old.Offices, u.offices) {
		fresh, _, err := c.books(ctx, u, p, revisable)
		if err != nil {
			return false, err
		}
		books = slices.DeleteFunc(slices.Clone(books), func(b rates.BookRatio) bool { return revisable(b.Measure) })
		books = append(books, fresh...)
		rates.SortBooks(books)
	}
	offices := slices.Concat(u.all(), old.Offices)
	var next *rates.Snapshot
	err = c.DB.InExchange(ctx, offices, func(tx *store.Tx) error {
		next = nil
		s2, cnt, err := c.snapshot(ctx, tx, u, old.Offices, p)
		if err != nil {
			return err
		}
		if s2.Digest == old.Digest && slices.Equal(s2.Children, old.Children) && slices.Equal(s2.Waiting, old.Waiting) && slices.Equal(books, old.Books) && sameCells(s2.Cells, old.Cells) {
			s.Sums, s.CheckedAt = sums, c.Now()
			return tx.PutMonthState(ctx, s)
		}
		keepSplit(s2.Cells, old.Cells)
		s2.Revision, s2.Missing, s2.Books, s2.Private = old.Revision+1, old.Missing, books, old.Private
		s2.Policy, s2.PolicyDigest = old.Policy, old.PolicyDigest
		parts, err := changedParts(ctx, tx, old.Offices, s.Month, old.Revision, cnt.parts)
		if err != nil {
			return err
		}
		latest, _, err := tx.LatestFrozen(ctx, u.top, s.Month)
		if err != nil || latest.Revision != old.Revision {
			return err // another replica was faster
		}
		tables, own, err := c.tables(ctx, u, p)
		if err != nil {
			return err
		}
		s2.Reports = keepSensitive(tables, old.Reports)
		if kept, err := c.keep(ctx, tx, &old, own); err != nil {
			return err
		} else if kept != nil {
			s2.Private = extraDigest(kept)
			parts = append(parts, kept...)
		}
		if err := c.write(ctx, tx, s2, parts); err != nil {
			return err
		}
		next = s2
		s.Sums, s.CheckedAt = sums, c.Now()
		return tx.PutMonthState(ctx, s)
	})
	if err != nil {
		return false, err
	}
	if next == nil {
		if daily { // should a sending have failed
			err = c.compareAll(ctx, u, p)
		}
		return false, err
	}
	c.Log.Info("month revised", "area", u.top.String(), "period", p.String(), "revision", next.Revision)
	return true, c.compareAll(ctx, u, p)
}

// keepSensitive gives reports that are shown outside offices the sensitive rows
// with which the month was frozen: from one revision to the next a small change
// would tell of somebody (SECURITY D3). What was not shown then is not shown.
func keepSensitive(now, frozen []rates.ReportTable) []rates.ReportTable {
	type key struct {
		kind   uint8
		area   area.Key
		period string
		code   string
		of     area.Key
	}
	was := map[key]rates.ReportRow{}
	for _, t := range frozen {
		for _, r := range t.Rows {
			was[key{t.Kind, t.Area, t.Period, r.Code, r.Area}] = r
		}
	}
	for _, t := range now {
		for i := range t.Rows {
			r := &t.Rows[i]
			if !figures.Sensitive(figures.ReportKind(t.Kind), r.Code) {
				continue
			}
			if o, ok := was[key{t.Kind, t.Area, t.Period, r.Code, r.Area}]; ok {
				r.N, r.D, r.Suppressed = o.N, o.D, o.Suppressed
			} else {
				r.N, r.D, r.Suppressed = 0, 0, true
			}
		}
	}
	return now
}

// keep writes what offices keep for themselves anew where their own reports
// are; their sensitive measures stay as they were frozen.
func (c *Closing) keep(ctx context.Context, tx *store.Tx, old *rates.Snapshot, reports map[area.Key][]rates.ReportTable) ([]store.RoundsPart, error) {
	if len(reports) == 0 {
		return nil, nil
	}
	p, err := parsed(old.Period)
	if err != nil {
		return nil, err
	}
	parts, err := tx.MonthParts(ctx, old.Offices, monthNo(p), old.Revision)
	if err != nil {
		return nil, err
	}
	own := map[area.Key][]rates.BookRatio{}
	for _, k := range old.Offices {
		e, err := extrasOf(parts, k)
		if err != nil {
			return nil, err
		}
		if len(e.Books) > 0 {
			own[k] = e.Books
		}
	}
	out, _, err := extraParts(own, reports)
	return out, err
}

// childrenChanged reports whether a child reported something that is not in a
// snapshot.
func childrenChanged(s *rates.Snapshot, children []store.ChildReport) bool {
	have := map[area.Key]uint32{}
	for _, p := range s.Children {
		have[p.Area] = p.Revision
	}
	return slices.ContainsFunc(children, func(r store.ChildReport) bool {
		if rates.Basis(r.Basis) != rates.Frozen || slices.Contains(s.Offices, r.Child) {
			return false
		}
		rev, ok := have[r.Child]
		if !ok {
			return slices.Contains(s.Waiting, r.Child) || r.Child.Level() == area.Township
		}
		return rev != r.Revision
	})
}

type cellKey struct {
	k    area.Key
	kind cases.Kind
	side cases.Side
}

// joined is a cell without the split of what is overdue by side: on whose side a
// round waited at the instant is known as long as it waits, and is no change.
func joined(c rates.Cell) rates.Cell {
	n := int64(0)
	for _, o := range c.Overdue {
		n += o
	}
	if c.Overdue = nil; n > 0 {
		c.Overdue = map[rates.Waiting]int64{rates.WaitNobody: n}
	}
	return c
}

func sameCell(a, b rates.Cell) bool {
	x, err1 := json.Marshal(joined(a))
	y, err2 := json.Marshal(joined(b))
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

func sameCells(a, b []rates.Cell) bool { return slices.EqualFunc(a, b, sameCell) }

// keepSplit gives cells that did not change the split that they were frozen with.
func keepSplit(now, old []rates.Cell) {
	was := map[cellKey]rates.Cell{}
	for _, c := range old {
		was[cellKey{c.Area, c.Kind, c.Side}] = c
	}
	for i := range now {
		c := &now[i]
		if o, ok := was[cellKey{c.Area, c.Kind, c.Side}]; ok && sameCell(*c, o) {
			c.Overdue = maps.Clone(o.Overdue)
		}
	}
}

// changedParts returns the parts that differ from those of a revision; one that
// is gone is empty.
func changedParts(ctx context.Context, tx *store.Tx, offices []area.Key, month int, revision uint32, now []store.RoundsPart) ([]store.RoundsPart, error) {
	before, err := tx.MonthParts(ctx, offices, month, revision)
	if err != nil {
		return nil, err
	}
	was := map[partKey][]byte{}
	for _, p := range before {
		if p.Side != cases.SideNone {
			was[partKey{p.Office, p.Side, p.Kind}] = p.Rounds
		}
	}
	var out []store.RoundsPart
	for _, p := range now {
		k := partKey{p.Office, p.Side, p.Kind}
		if !bytes.Equal(was[k], p.Rounds) {
			out = append(out, p)
		}
		delete(was, k)
	}
	for k, b := range was {
		if len(b) > 0 {
			out = append(out, store.RoundsPart{Office: k.office, Side: k.side, Kind: k.kind})
		}
	}
	return out, nil
}

// verify reports whether stored rounds are those that a snapshot's digest is
// over.
func verify(s *rates.Snapshot, parts []store.RoundsPart) bool {
	var rounds []store.RoundsPart
	for _, p := range parts {
		if p.Side != cases.SideNone {
			rounds = append(rounds, p)
		}
	}
	d := digestOf(rounds)
	return hex.EncodeToString(d[:]) == s.Digest
}
