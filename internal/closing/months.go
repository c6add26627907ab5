package closing

import (
	"bytes"
	"context"
	"slices"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/figures"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// State says how far the freezing of a month is. Numbers are those of the API.
type State uint8

// The states.
const (
	Open    State = 1
	Waiting State = 2
	Frozen  State = 3
)

// Month is a month of an area.
type Month struct {
	Period   policy.Period
	State    State
	At       time.Time
	FrozenAt time.Time // zero: it is not
	Revision uint32
	Missing  []area.Key // peers waited for, or missing in the frozen figures
	Digest   []byte
	Policy   string
}

// ListMonths lists the months of an area from its first case on, the newest
// first.
func (c *Closing) ListMonths(ctx context.Context, p access.Principal, k area.Key) ([]Month, error) {
	k, err := c.area(ctx, p, k)
	if err != nil {
		return nil, err
	}
	u, ok := c.unitOf(k)
	if !ok {
		return nil, notServed()
	}
	var frozen []store.FrozenMonth
	var states []store.MonthState
	var first time.Time
	err = c.DB.InCounts(ctx, u.all(), func(tx *store.Tx) (err error) {
		if frozen, err = tx.FrozenMonths(ctx, u.top); err != nil {
			return err
		}
		if states, err = tx.MonthStates(ctx, u.top); err != nil {
			return err
		}
		first, err = tx.FirstDue(ctx, u.offices)
		return err
	})
	if err != nil {
		return nil, err
	}
	now := c.Now()
	var out []Month
	last := policy.PeriodOf(now, policy.SpanMonth)
	start := last
	if !first.IsZero() && policy.DueMonth(first).From.Before(start.From) {
		start = policy.DueMonth(first)
	}
	if n := len(frozen); n > 0 && monthOf(frozen[n-1].Month).From.Before(start.From) {
		start = monthOf(frozen[n-1].Month)
	}
	for pd := last; !pd.From.Before(start.From); pd = pd.Previous() {
		m := Month{Period: pd, State: Open, At: instant(pd)}
		if !m.At.After(now) {
			m.State = Waiting
		}
		no := monthNo(pd)
		if i := slices.IndexFunc(states, func(s store.MonthState) bool { return s.Month == no }); i >= 0 {
			m.Missing = states[i].Waiting
		}
		if i := slices.IndexFunc(frozen, func(f store.FrozenMonth) bool { return f.Month == no }); i >= 0 {
			if m, err = monthFrom(&frozen[i]); err != nil {
				return nil, err
			}
		}
		out = append(out, m)
	}
	return out, nil
}

func notServed() error {
	return fault.NotFound("AREA_ELSEWHERE", "area is not of this node").Zh("该区划不由本节点服务").On("area")
}

func monthFrom(f *store.FrozenMonth) (Month, error) {
	s, err := rates.DecodeSnapshot(f.Snapshot)
	return Month{
		Period: monthOf(f.Month), State: Frozen, At: f.At, FrozenAt: f.FrozenAt, Revision: f.Revision, Missing: s.Missing, Digest: f.Digest, Policy: s.Policy,
	}, err
}

// Change is a figure that a revision changed.
type Change struct {
	Measure     rates.Measure
	Area        area.Key
	Before, Now rates.Ratio
}

// ChangedRound is a round that counts otherwise: than in the revision before, or
// than at the other end. An empty word: it is not there.
type ChangedRound struct {
	Case        cases.CaseID
	Round       uint32
	Before, Now string
}

// MonthView is a revision of a frozen month.
type MonthView struct {
	Month
	Rates   []figures.Row
	Changes []Change
	Rounds  []ChangedRound // for who works at the area's office
	// As it was signed; only where the area is the one that was closed.
	Snapshot, Signature []byte
	KeyID               [8]byte
}

// GetMonth returns a revision (nil: the latest) of a frozen month with its
// difference to the one before. Errors: NotFound MONTH_NOT_FROZEN, REVISION.
func (c *Closing) GetMonth(ctx context.Context, p access.Principal, k area.Key, period string, revision *uint32) (MonthView, error) {
	k, err := c.area(ctx, p, k)
	if err != nil {
		return MonthView{}, err
	}
	pd, err := c.month(period, policy.PeriodOf(c.Now(), policy.SpanMonth).Previous())
	if err != nil {
		return MonthView{}, err
	}
	f, s, ok, err := c.frozenOf(ctx, k, pd, revision)
	if err != nil {
		return MonthView{}, err
	}
	if !ok {
		return MonthView{}, fault.NotFound("MONTH_NOT_FROZEN", "month is not frozen").Zh("%s尚未定稿", pd.Label()).On("period")
	}
	v := MonthView{}
	if v.Month, err = monthFrom(&f); err != nil {
		return v, err
	}
	if k.Level() < area.County || p.StandsAbove(k) {
		v.Rates, err = c.above(ctx, k, &s)
		return v, err
	}
	if k == s.Area {
		v.Snapshot, v.Signature, v.KeyID = f.Snapshot, f.Signature, f.KeyID
	}
	v.Rates = monthRates(&s, k)
	for i := range v.Rates {
		v.Rates[i].AsOf = f.At
	}
	if owns(p, k) {
		if err := c.own(ctx, p, k, &f, v.Rates); err != nil {
			return v, err
		}
	}
	if f.Revision == 0 {
		return v, nil
	}
	earlier := f.Revision - 1
	_, was, _, err := c.frozenOf(ctx, k, pd, &earlier)
	if err != nil {
		return v, err
	}
	before := monthRates(&was, k)
	for _, r := range monthRates(&s, k) {
		i := slices.IndexFunc(before, func(o figures.Row) bool { return o.Measure == r.Measure })
		ch := Change{Measure: r.Measure, Area: k, Now: r.Ratio}
		if i >= 0 {
			ch.Before = before[i].Ratio
		}
		if ch.Before != ch.Now {
			v.Changes = append(v.Changes, ch)
		}
	}
	if !owns(p, k) {
		return v, nil
	}
	err = c.In(ctx, p, func(tx *store.Tx) error {
		now, err := tx.MonthParts(ctx, []area.Key{k}, f.Month, f.Revision)
		if err != nil {
			return err
		}
		then, err := tx.MonthParts(ctx, []area.Key{k}, f.Month, earlier)
		if err != nil {
			return err
		}
		v.Rounds = changedRounds(then, now)
		return nil
	})
	return v, err
}

// above is what who stands above counties sees of them: what was released, and
// no snapshot, for that holds their townships' cells.
func (c *Closing) above(ctx context.Context, k area.Key, s *rates.Snapshot) ([]figures.Row, error) {
	p, err := parsed(s.Period)
	if err != nil {
		return nil, err
	}
	var state store.MonthState
	var first store.FrozenMonth
	err = c.DB.InCounts(ctx, []area.Key{s.Area}, func(tx *store.Tx) (err error) {
		if state, err = stateOf(ctx, tx, s.Area, monthNo(p)); err != nil {
			return err
		}
		first, _, err = tx.Frozen(ctx, s.Area, monthNo(p), 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	shown, err := soFar(&state)
	if err != nil {
		return nil, err
	}
	all := shown.last()
	if all == nil && area.Parent(s.Area) == 0 { // nobody stands above a province: the first figures stay
		was, err := rates.DecodeSnapshot(first.Snapshot)
		if err != nil {
			return nil, err
		}
		all = atomsOf(&was)
	}
	var atoms []rates.Atom
	for _, a := range all {
		if a.Area.Within(k) {
			atoms = append(atoms, a)
		}
	}
	rows := atomRates(k, atoms, nil, false)
	for i := range rows {
		rows[i].Basis = rates.Frozen
	}
	return rows, nil
}

// own puts what an office keeps for itself in the place of what is shown of it.
func (c *Closing) own(ctx context.Context, p access.Principal, k area.Key, f *store.FrozenMonth, rows []figures.Row) error {
	var parts []store.RoundsPart
	err := c.In(ctx, p, func(tx *store.Tx) (err error) {
		parts, err = tx.MonthParts(ctx, []area.Key{k}, f.Month, f.Revision)
		return err
	})
	if err != nil {
		return err
	}
	e, err := extrasOf(parts, k)
	for _, b := range e.Books {
		for i := range rows {
			if rows[i].Measure == b.Measure && k.Level() == area.Township {
				rows[i].N, rows[i].D, rows[i].Suppressed, rows[i].Partial = b.N, b.D, false, false
			}
		}
	}
	return err
}

// month reads a period that must be a month.
func (c *Closing) month(s string, otherwise policy.Period) (policy.Period, error) {
	if s == "" {
		return otherwise, nil
	}
	p, err := policy.ParsePeriod(s)
	if err != nil {
		return p, usher.OnField(err, "period")
	}
	if p != policy.SpanMonth.Holding(p.From) {
		return p, fault.Invalid("PERIOD_MONTH", "period is not a month").Zh("期间应为一个月，如 2026-11").On("period")
	}
	return p, nil
}

// monthRates adds up a snapshot for an area, side and kind as live figures do.
func monthRates(s *rates.Snapshot, k area.Key) []figures.Row {
	var out []figures.Row
	for _, m := range rates.All() {
		r := figures.Row{Measure: m, Area: k, Basis: rates.Frozen, Revision: s.Revision}
		r.Tally = rates.Tally{Measure: m}
		if m.OfRounds() {
			side := cases.SideReceiver
			if m == rates.Verification {
				side = cases.SideOpener
			}
			r.Tally, r.Extended = rates.SumCells(m, s.Cells, 0, side, k)
			out = append(out, r)
			continue
		}
		found := false
		for _, b := range s.Books {
			if b.Measure != m || !b.Area.Within(k) {
				continue
			}
			found = true
			r.N, r.D, r.Partial = r.N+b.N, r.D+b.D, r.Partial || b.Suppressed
		}
		if r.Suppressed = r.Partial && r.D == 0; found {
			out = append(out, r)
		}
	}
	return out
}

// changedRounds are those of which the code differs between two revisions.
func changedRounds(then, now []store.RoundsPart) []ChangedRound {
	read := func(parts []store.RoundsPart) map[[20]byte]entry {
		out := map[[20]byte]entry{}
		for _, p := range parts {
			if p.Side == cases.SideNone {
				continue
			}
			es, _ := entries(p.Rounds)
			for _, e := range es {
				out[e.key()] = e
			}
		}
		return out
	}
	a, b := read(then), read(now)
	var out []ChangedRound
	for k, e := range a {
		if n, ok := b[k]; !ok || n.code() != e.code() {
			out = append(out, ChangedRound{Case: e.id(), Round: e.round(), Before: e.code().String(), Now: n.code().String()})
		}
	}
	for k, e := range b {
		if _, ok := a[k]; !ok {
			out = append(out, ChangedRound{Case: e.id(), Round: e.round(), Now: e.code().String()})
		}
	}
	slices.SortFunc(out, func(a, b ChangedRound) int { return bytes.Compare(a.Case[:], b.Case[:]) })
	return out
}

// PeerView is how this end and another agree on a month.
type PeerView struct {
	Peer     area.Key
	Name     string
	Shared   int64
	Differ   int64
	Received bool
	Rounds   []ChangedRound // Before: here, Now: there; to the offices whose they are
}

// maxListed bounds the rounds that one answer lists.
const maxListed = 1000

// CompareMonth says how the other ends of a month's cases agree: to an office
// with the case ids of its own, to the area above with counts.
func (c *Closing) CompareMonth(ctx context.Context, p access.Principal, k area.Key, period string) (policy.Period, []PeerView, error) {
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
	var out []PeerView
	dir := c.Book.Directory()
	err = c.DB.InDesk(ctx, u.all(), func(tx *store.Tx) error {
		out = nil
		peers, err := tx.MonthPeers(ctx, u.top, monthNo(pd))
		if err != nil {
			return err
		}
		for _, o := range peers {
			v := PeerView{Peer: o.Peer.Area(), Shared: o.Shared, Differ: o.Differ, Received: len(o.Received) > 0}
			if n, ok := dir.Home(v.Peer); ok {
				if m, ok := dir.Node(n); ok {
					v.Name = m.Name
				}
			}
			if k != u.top {
				var offices []area.Key
				for _, o := range u.offices {
					if o.Within(k) {
						offices = append(offices, o)
					}
				}
				if v.Differ, err = tx.CountDifferences(ctx, offices, monthNo(pd), o.Peer); err != nil {
					return err
				}
			}
			if owns(p, k) {
				ds, err := tx.Differences(ctx, []area.Key{k}, monthNo(pd), o.Peer, maxListed)
				if err != nil {
					return err
				}
				for _, d := range ds {
					v.Rounds = append(v.Rounds, ChangedRound{Case: d.Case, Round: d.Round, Before: code(d.Ours).String(), Now: code(d.Theirs).String()})
				}
			}
			out = append(out, v)
		}
		return nil
	})
	return pd, out, err
}
