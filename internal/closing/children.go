package closing

import (
	"cmp"
	"context"
	"slices"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/figures"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// Child is what is known of a child area's month.
type Child struct {
	Area       area.Key
	Here       bool // served by this node
	Reported   bool // its frozen month has come, or it is here and frozen
	ReceivedAt time.Time
	AsOf       time.Time
	Basis      rates.Basis
	Revision   uint32
	Waiting    []area.Key // children of its own that it waits for
	Rates      []figures.Row
}

// ListChildren says what the areas right below one reported about a month, and
// which did not: those that have a node, are served here, or ever reported. Above
// a county all figures are sums of what is shown outside one.
func (c *Closing) ListChildren(ctx context.Context, p access.Principal, k area.Key, period string) (policy.Period, []Child, error) {
	k, err := c.inCounty(ctx, p, k)
	if err != nil {
		return policy.Period{}, nil, err
	}
	pd, err := c.month(period, policy.PeriodOf(c.Now(), policy.SpanMonth).Previous())
	if err != nil {
		return pd, nil, err
	}
	u, ok := c.unitOf(k)
	if !ok {
		return pd, nil, notServed()
	}
	next := area.Children(k)
	offices := append(slices.Clone(u.all()), k)
	offices = append(offices, next...)
	var reports []store.ChildReport
	var ever []area.Key
	var frozen store.FrozenMonth
	var isFrozen bool
	var state store.MonthState
	err = c.DB.InCounts(ctx, offices, func(tx *store.Tx) (err error) {
		if reports, err = tx.ChildReports(ctx, offices, monthNo(pd)); err != nil {
			return err
		}
		if ever, err = tx.ChildrenEver(ctx, offices); err != nil {
			return err
		}
		if state, err = stateOf(ctx, tx, u.top, monthNo(pd)); err != nil {
			return err
		}
		frozen, isFrozen, err = tx.LatestFrozen(ctx, u.top, monthNo(pd))
		return err
	})
	if err != nil {
		return pd, nil, err
	}
	here := own{period: pd}
	if isFrozen {
		if here.snapshot, err = rates.DecodeSnapshot(frozen.Snapshot); err != nil {
			return pd, nil, err
		}
		shown, err := soFar(&state)
		if err != nil {
			return pd, nil, err
		}
		here.atoms, here.frozen, here.at = shown.last(), true, frozen.FrozenAt
		if here.atoms == nil && area.Parent(u.top) == 0 { // nobody stands above, so nothing was released yet
			here.atoms = atomsOf(&here.snapshot)
		}
	}
	dir := c.Book.Directory()
	var out []Child
	for _, ch := range childAreas(k, next, ever) {
		n, ok := dir.Home(ch)
		isHere := ok && n == c.Book.Self
		holder := ok && topOf(dir, ch).Within(ch) || len(below(dir, ch, c.Book.Self)) > 0
		reported := slices.ContainsFunc(ever, func(o area.Key) bool { return o.Within(ch) })
		if !isHere && !holder && !reported {
			continue
		}
		child, err := childOf(ch, isHere, reports, &here)
		if err != nil {
			return pd, nil, err
		}
		out = append(out, child)
	}
	return pd, out, nil
}

// childAreas adds to an area's children those that reported though the table
// does not have them any more.
func childAreas(k area.Key, next, ever []area.Key) []area.Key {
	out := slices.Clone(next)
	for _, e := range ever {
		if e.Within(k) && e.Level() == k.Level()+1 {
			out = append(out, e)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// own is what this node froze itself.
type own struct {
	period   policy.Period
	snapshot rates.Snapshot
	atoms    []rates.Atom
	frozen   bool
	at       time.Time
}

func atomsOf(s *rates.Snapshot) (out []rates.Atom) {
	for _, k := range countiesOf(s) {
		for kind := cases.Outflow; kind.Known(); kind++ {
			for _, side := range []cases.Side{cases.SideOpener, cases.SideReceiver} {
				out = append(out, rates.Atom{Area: k, Kind: kind, Side: side, Shown: rates.Outside(partsOf(s.Cells, k, kind, side))})
			}
		}
	}
	rates.SortAtoms(out)
	return out
}

// childOf puts together what is known of one child.
func childOf(k area.Key, here bool, reports []store.ChildReport, o *own) (Child, error) {
	c := Child{Area: k, Here: here}
	if k.Level() == area.Township {
		return townshipOf(c, reports, o)
	}
	var atoms []rates.Atom
	var books []rates.BookRatio
	partial := false
	if o.frozen {
		for _, a := range o.atoms {
			if a.Area.Within(k) {
				atoms = append(atoms, a)
			}
		}
		if here {
			c.Reported, c.Basis, c.Revision, c.AsOf, c.ReceivedAt = true, rates.Frozen, o.snapshot.Revision, instant(o.period), o.at
			for _, b := range outsideBooks(&o.snapshot) {
				if b.Area.Within(k) {
					books = append(books, b)
				}
			}
		}
	}
	for i := range reports {
		r := &reports[i]
		if !r.Child.Within(k) || rates.Basis(r.Basis) != rates.Frozen || r.Child.Level() > area.County {
			continue
		}
		up, err := rates.DecodeUpward(r.Content)
		if err != nil {
			return c, err
		}
		atoms, books = append(atoms, up.Atoms...), append(books, up.Books...)
		if r.Child == k || k.Level() < area.County && c.AsOf.IsZero() {
			c.Basis, c.Revision, c.AsOf, c.ReceivedAt = rates.Frozen, r.Revision, r.AsOf, r.HeldAt
		}
		if r.Child == k {
			c.Reported, c.Waiting = true, up.Waiting
			partial = len(up.Waiting) > 0
		}
	}
	c.Rates = atomRates(k, atoms, books, partial)
	for i := range c.Rates {
		c.Rates[i].Basis, c.Rates[i].AsOf, c.Rates[i].Revision = c.Basis, c.AsOf, c.Revision
		if !here {
			c.Rates[i].Basis = rates.Reported
		}
	}
	return c, nil
}

// townshipOf is of a township, whose work its county sees as it is.
func townshipOf(c Child, reports []store.ChildReport, o *own) (Child, error) {
	if c.Here {
		if o.frozen {
			c.Reported, c.Basis, c.Revision, c.AsOf, c.ReceivedAt = true, rates.Frozen, o.snapshot.Revision, instant(o.period), o.at
			c.Rates = monthRates(&o.snapshot, c.Area)
		}
		return c, nil
	}
	var best *store.ChildReport
	for i := range reports {
		if r := &reports[i]; r.Child == c.Area && (best == nil || cmp.Compare(r.Basis, best.Basis) > 0) {
			best = r // frozen before live
		}
	}
	if best == nil {
		return c, nil
	}
	up, err := rates.DecodeUpward(best.Content)
	if err != nil {
		return c, err
	}
	c.Reported = up.Basis == rates.Frozen
	c.Basis, c.Revision, c.AsOf, c.ReceivedAt = up.Basis, best.Revision, best.AsOf, best.HeldAt
	c.Rates = monthRates(&rates.Snapshot{Revision: best.Revision, Cells: up.Cells, Books: up.Books}, c.Area)
	for i := range c.Rates {
		c.Rates[i].Basis, c.Rates[i].AsOf = rates.Reported, best.AsOf
	}
	return c, nil
}

// atomRates adds up what is shown of an area.
func atomRates(k area.Key, atoms []rates.Atom, books []rates.BookRatio, partial bool) []figures.Row {
	var out []figures.Row
	for _, m := range rates.All() {
		r := figures.Row{Measure: m, Area: k, Tally: rates.Tally{Measure: m}, Partial: partial}
		found := false
		if m.OfRounds() {
			side := cases.SideReceiver
			if m == rates.Verification {
				side = cases.SideOpener
			}
			var shown []rates.Published
			for _, a := range atoms {
				if a.Side == side && m.Of(a.Kind) {
					shown = append(shown, a.Shown)
				}
			}
			var part bool
			found = len(shown) > 0
			r.Ratio, part = rates.SumRatio(m, shown)
			r.Partial = r.Partial || part
			r.Suppressed = part && r.D == 0
		} else {
			hidden := false
			for _, b := range books {
				if b.Measure == m {
					found = true
					r.N, r.D, hidden = r.N+b.N, r.D+b.D, hidden || b.Suppressed
				}
			}
			r.Partial, r.Suppressed = r.Partial || hidden, hidden && r.D == 0
		}
		if found {
			out = append(out, r)
		}
	}
	return out
}
