package closing

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// release is what an area showed of a month to the one above, once.
type release struct {
	At    int64        `json:"at"` // ms
	Atoms []rates.Atom `json:"atoms"`
}

// shownSoFar is what was reported upwards about a month.
type shownSoFar struct {
	Considered uint32            `json:"considered"` // latest revision that was looked at
	Sent       uint32            `json:"sent"`       // latest that was reported
	Releases   []release         `json:"releases,omitempty"`
	Books      []rates.BookRatio `json:"books,omitempty"`
	Waiting    []area.Key        `json:"waiting,omitempty"`
	Cells      []rates.Cell      `json:"cells,omitempty"` // of an open month
}

func (s *shownSoFar) last() []rates.Atom {
	if len(s.Releases) == 0 {
		return nil
	}
	return s.Releases[len(s.Releases)-1].Atoms
}

func soFar(s *store.MonthState) (out shownSoFar, err error) {
	if len(s.Sent) > 0 && json.Unmarshal(s.Sent, &out) != nil {
		return out, fault.Internal("MONTH_SENT", "closing: what was reported of a month cannot be read")
	}
	return out, nil
}

func (c *Closing) toldOf(k area.Key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told[k]
}

// tell reports what was frozen to the area above: a township its cells, what
// leaves a county in atoms, of which a revision shows only what nobody can tell
// single rounds by.
func (c *Closing) tell(ctx context.Context, u unit) error {
	if area.Parent(u.top) == 0 {
		return nil
	}
	var months []store.FrozenMonth
	var states []store.MonthState
	err := c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) (err error) {
		if states, err = tx.MonthStates(ctx, u.top); err != nil {
			return err
		}
		months, err = tx.FrozenMonths(ctx, u.top)
		return err
	})
	if err != nil {
		return err
	}
	slices.SortFunc(months, func(a, b store.FrozenMonth) int { return cmp.Compare(a.Month, b.Month) })
	l := &ledger{now: c.Now()}
	for _, f := range months {
		s, err := rates.DecodeSnapshot(f.Snapshot)
		if err != nil {
			return err
		}
		m := told{snapshot: s}
		if i := slices.IndexFunc(states, func(o store.MonthState) bool { return o.Month == f.Month }); i >= 0 {
			m.state = states[i]
		} else {
			m.state = store.MonthState{Area: u.top, Month: f.Month}
		}
		if m.shown, err = soFar(&m.state); err != nil {
			return err
		}
		l.months = append(l.months, m)
	}
	if u.top.Level() == area.Township {
		l.cells()
	} else {
		l.atoms()
	}
	for i := range l.months {
		m := &l.months[i]
		if m.upward == nil && !m.looked {
			continue
		}
		if err := c.sendUp(ctx, u, m); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.told[u.top] = true
	c.mu.Unlock()
	return nil
}

// sendUp sends what a month shows now and writes down that it did. Sent twice it
// is the same item.
func (c *Closing) sendUp(ctx context.Context, u unit, m *told) error {
	if m.upward != nil {
		b, err := m.upward.Encode()
		if err != nil {
			return err
		}
		if err := c.Send(ctx, []Outgoing{{From: u.top, To: area.Parent(u.top), Form: cases.Snapshot, Period: m.upward.Period, Content: b}}); err != nil {
			return err
		}
	}
	return c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) error {
		s, err := stateOf(ctx, tx, u.top, m.state.Month)
		if err != nil {
			return err
		}
		if s.Sent, err = json.Marshal(m.shown); err != nil {
			return err
		}
		s.SentAt = c.Now()
		return tx.PutMonthState(ctx, s)
	})
}

// told is a frozen month and what of it was reported upwards.
type told struct {
	snapshot rates.Snapshot
	state    store.MonthState
	shown    shownSoFar
	looked   bool          // at a revision that was not looked at before
	upward   *rates.Upward // to be sent now; nil: nothing new may be shown
}

// fresh reports whether the month was not looked at since it was frozen or
// revised.
func (m *told) fresh() bool {
	return len(m.shown.Releases) == 0 && m.shown.Books == nil && m.shown.Considered == 0 || m.shown.Considered < m.snapshot.Revision
}

func (m *told) begin() *rates.Upward {
	s := &m.snapshot
	return &rates.Upward{Area: s.Area, Period: s.Period, Basis: rates.Frozen, Revision: s.Revision, AsOf: s.At, Policy: s.Policy, Waiting: s.Waiting}
}

// ledger is all frozen months of an area with what was shown of them.
type ledger struct {
	now    time.Time
	months []told
}

// cells prepares what a township reports: its work as it is.
func (l *ledger) cells() {
	for i := range l.months {
		m := &l.months[i]
		if !m.fresh() && m.shown.Sent == m.snapshot.Revision && m.shown.Books != nil {
			continue
		}
		m.looked = true
		m.upward = m.begin()
		m.upward.Cells, m.upward.Books = m.snapshot.Cells, m.snapshot.Books
		// What is sensitive is shown once: a small change would tell somebody.
		if m.shown.Books != nil {
			m.upward.Books = firstSensitive(m.snapshot.Books, m.shown.Books)
		}
		m.shown = shownSoFar{Considered: m.snapshot.Revision, Sent: m.snapshot.Revision, Books: notNone(m.upward.Books)}
	}
}

func notNone(b []rates.BookRatio) []rates.BookRatio {
	if b == nil {
		return []rates.BookRatio{}
	}
	return b
}

func firstSensitive(now, first []rates.BookRatio) []rates.BookRatio {
	out := slices.DeleteFunc(slices.Clone(now), func(b rates.BookRatio) bool { return b.Measure.Sensitive() })
	for _, b := range first {
		if b.Measure.Sensitive() {
			out = append(out, b)
		}
	}
	rates.SortBooks(out)
	return out
}

// atomKey names an atom among those of all months.
type atomKey struct {
	month int
	k     area.Key
	kind  cases.Kind
	side  cases.Side
}

// atoms prepares what leaves counties: of all months together, for a round that
// moves from one month to another must not be told by their sum.
func (l *ledger) atoms() {
	if !slices.ContainsFunc(l.months, func(m told) bool { return m.fresh() }) {
		return
	}
	var order []atomKey
	index := map[atomKey]int{}
	place := func(k atomKey) int {
		i, ok := index[k]
		if !ok {
			i = len(order)
			order, index[k] = append(order, k), i
		}
		return i
	}
	// What was shown, release after release.
	type event struct {
		month int
		release
	}
	var events []event
	for _, m := range l.months {
		for _, r := range m.shown.Releases {
			events = append(events, event{m.state.Month, r})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.At, b.At) })
	var history [][]rates.Published
	var page []rates.Published
	for i, e := range events {
		for _, a := range e.Atoms {
			at := place(atomKey{e.month, a.Area, a.Kind, a.Side})
			for len(page) <= at {
				page = append(page, rates.Published{})
			}
			page[at] = a.Shown
		}
		if i+1 == len(events) || events[i+1].At != e.At { // months of one release
			history = append(history, slices.Clone(page))
		}
	}
	// What there is now.
	parts := map[atomKey]rates.Parts{}
	for _, m := range l.months {
		for _, k := range countiesOf(&m.snapshot) {
			for kind := cases.Outflow; kind.Known(); kind++ {
				for _, side := range []cases.Side{cases.SideOpener, cases.SideReceiver} {
					key := atomKey{m.state.Month, k, kind, side}
					place(key)
					parts[key] = partsOf(m.snapshot.Cells, k, kind, side)
				}
			}
		}
	}
	now := make([]rates.Parts, len(order))
	for i, k := range order {
		now[i] = parts[k]
	}
	shown := rates.Revise(history, now)
	for i := range l.months {
		m := &l.months[i]
		var atoms []rates.Atom
		for j, k := range order {
			if k.month == m.state.Month {
				atoms = append(atoms, rates.Atom{Area: k.k, Kind: k.kind, Side: k.side, Shown: shown[j]})
			}
		}
		rates.SortAtoms(atoms)
		first := len(m.shown.Releases) == 0
		m.looked = m.looked || m.fresh()
		m.shown.Considered = m.snapshot.Revision
		if !first && slices.Equal(atoms, m.shown.last()) && slices.Equal(m.snapshot.Waiting, m.shown.Waiting) {
			continue
		}
		if first {
			m.shown.Books = notNone(outsideBooks(&m.snapshot))
		}
		if first || !slices.Equal(atoms, m.shown.last()) {
			m.shown.Releases = append(m.shown.Releases, release{At: l.now.UnixMilli(), Atoms: atoms})
		}
		m.shown.Waiting = m.snapshot.Waiting
		m.shown.Sent, m.looked = m.snapshot.Revision, true
		m.upward = m.begin()
		m.upward.Atoms, m.upward.Books = atoms, m.shown.Books
	}
}

// countiesOf returns the counties of a snapshot's offices and cells.
func countiesOf(s *rates.Snapshot) []area.Key {
	var out []area.Key
	add := func(k area.Key) {
		if k.Level() >= area.County {
			out = append(out, k.Cut(area.County))
		}
	}
	for _, k := range s.Offices {
		add(k)
	}
	for _, c := range s.Cells {
		add(c.Area)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func partsOf(cells []rates.Cell, county area.Key, kind cases.Kind, side cases.Side) (p rates.Parts) {
	for i := range cells {
		c := &cells[i]
		if c.Kind == kind && c.Side == side && c.Area.Within(county) {
			p.OnTime, p.Late, p.Unanswered = p.OnTime+c.OnTime, p.Late+c.Late, p.Unanswered+c.Unanswered()
		}
	}
	return p
}

// outsideBooks adds the measures from books up by county, as they are shown
// outside it: once, with the first report.
func outsideBooks(s *rates.Snapshot) []rates.BookRatio {
	type key struct {
		k area.Key
		m rates.Measure
	}
	sums := map[key]rates.BookRatio{}
	for _, b := range s.Books {
		if b.Area.Level() < area.County || b.Suppressed {
			continue
		}
		k := key{b.Area.Cut(area.County), b.Measure}
		sum := sums[k]
		sums[k] = rates.BookRatio{Area: k.k, Measure: b.Measure, N: sum.N + b.N, D: sum.D + b.D}
	}
	var out []rates.BookRatio
	for _, b := range sums {
		out = append(out, outside(b))
	}
	rates.SortBooks(out)
	return out
}

// TellLive reports the open month of townships to the node of their county,
// where it changed; it returns how many reports that made.
func (c *Closing) TellLive(ctx context.Context) (n int64, err error) {
	for _, u := range c.units() {
		if u.top.Level() != area.Township {
			continue
		}
		now := c.Now()
		p := policy.PeriodOf(now, policy.SpanMonth)
		var m told
		var cnt *counted
		early := false
		err := c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) (err error) {
			if m.state, err = stateOf(ctx, tx, u.top, monthNo(p)); err != nil {
				return err
			}
			if early = !m.state.SentAt.IsZero() && now.Sub(m.state.SentAt) < c.LiveEvery; early {
				return nil
			}
			cnt, err = count(ctx, tx, u.offices, p, now)
			return err
		})
		if err != nil || early {
			if err != nil {
				return n, err
			}
			continue
		}
		if m.shown, err = soFar(&m.state); err != nil {
			return n, err
		}
		if slices.EqualFunc(cnt.cells, m.shown.Cells, exactly) {
			continue
		}
		m.upward = &rates.Upward{Area: u.top, Period: p.String(), Basis: rates.Live, AsOf: now.UnixMilli(), Cells: cnt.cells}
		if pol, err := c.Policies.At(p.From); err == nil {
			m.upward.Policy = pol.Version
		}
		m.shown.Cells = cnt.cells
		if err := c.sendUp(ctx, u, &m); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func exactly(a, b rates.Cell) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}
