package harness

import (
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fold"
	"yipan/internal/store"
	"yipan/internal/wire"
)

// saw notes what a site holds after something happened there, and checks I1 and
// I4 on its tables.
func (m *machine) saw(s *machineSite) {
	for _, r := range s.raw.Rows(m.t, `SELECT id FROM item`) {
		s.ever[r[0].([16]byte)] = true
	}
	for _, r := range s.raw.Rows(m.t, `SELECT peer, item FROM share WHERE settled AND kind <> 10`) {
		if p := m.of(cases.NodeID(r[0].(int64))); !p.ever[r[1].([16]byte)] {
			m.violation("I1 %s settled item %x with %s, which never held it", s.Node, r[1], p.Node)
		}
	}
	for _, r := range s.raw.Rows(m.t, `SELECT id FROM item WHERE kind = 10 AND author = $1`, int64(s.Node)) {
		if m.receipts[r[0].([16]byte)] {
			continue // written before, perhaps in a life that a restore ended
		}
		m.receipts[r[0].([16]byte)] = true
		for _, c := range s.raw.Rows(m.t, `SELECT item FROM cover WHERE receipt = $1`, r[0]) {
			if id := cases.ItemID(c[0].([16]byte)); s.judged[id] {
				m.violation("I4 %s received item %s a second time", s.Node, id)
			} else {
				s.judged[id] = true
			}
		}
	}
}

// heldItem is an item that somebody held when the faults stopped.
type heldItem struct {
	id   cases.ItemID
	x, y area.Key
}

// quiesce ends the faults: all learn the directory, and pump and statements
// run until nothing moves and every pair agrees.
func (m *machine) quiesce() {
	t := m.t
	var held []heldItem
	seen := map[cases.ItemID]bool{}
	for _, s := range m.sites {
		for _, r := range s.raw.Rows(t, `SELECT i.id, i.head FROM item i WHERE i.case_id IS NOT NULL`) {
			h, err := wire.DecodeHead(r[1].([]byte))
			if id := cases.ItemID(r[0].([16]byte)); err == nil && !seen[id] {
				seen[id] = true
				held = append(held, heldItem{id, h.X, h.Y})
			}
		}
	}
	for _, s := range m.sites {
		if err := m.w.LearnOne(s.Site); err != nil {
			t.Fatalf("directory: %v", err)
		}
		m.saw(s)
	}
	const most = 15
	for round := 0; ; round++ {
		worked := m.drain()
		if m.agree() && !worked || !m.plant.statements() {
			break
		}
		if round == most {
			m.violation("I6 statements do not become equal in %d rounds", most)
			break
		}
		m.stats.rounds = max(m.stats.rounds, round+1)
		for _, s := range m.sites {
			for _, p := range m.sites {
				if p != s {
					s.Exchange.Want(p.Node)
				}
			}
			m.plant.beforeStatement(m, s)
			ps, err := s.Exchange.Statements(t.Context())
			if err != nil {
				t.Fatalf("statements: %v", err)
			}
			m.w.Put(ps...)
		}
		m.deliverAll()
	}
	m.check(held)
}

func (m *machine) deliverAll() {
	for len(m.w.Net) > 0 {
		i := m.rnd.IntN(len(m.w.Net))
		p := m.w.Net[i]
		m.w.Net = slices.Delete(m.w.Net, i, i+1)
		m.deliver(p, false)
	}
}

// drain pumps until nothing is owed.
func (m *machine) drain() (worked bool) {
	m.deliverAll()
	for range 25 {
		some := false
		for _, s := range m.sites {
			m.due(s)
			for _, p := range m.sites {
				if p == s {
					continue
				}
				m.plant.beforePump(m, s, p)
				ps, _, err := s.Exchange.Pack(m.t.Context(), p.Node)
				if err != nil {
					m.t.Fatalf("pack: %v", err)
				}
				some = some || len(ps) > 0
				m.w.Put(ps...)
				m.plant.afterPump(m, s, p, ps)
			}
		}
		m.deliverAll()
		if !some {
			return worked
		}
		worked = true
	}
	m.violation("I6 the pump never drains")
	return worked
}

// settledWith returns the settled set of a pair as one side sees it.
func (m *machine) settledWith(s, p *machineSite) [][]any {
	return s.raw.Rows(m.t, `SELECT item, day, pair FROM share WHERE peer = $1 AND settled ORDER BY item`, int64(p.Node))
}

func (m *machine) agree() bool {
	for i, s := range m.sites {
		for _, p := range m.sites[i+1:] {
			a, b := m.settledWith(s, p), m.settledWith(p, s)
			if !slices.EqualFunc(a, b, func(x, y []any) bool { return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] }) {
				return false
			}
		}
	}
	return true
}

// check holds I2 to I6 when nothing moves any more.
func (m *machine) check(held []heldItem) {
	t, ctx := m.t, m.t.Context()
	d := m.w.Authority.Directory()
	now := map[*machineSite]map[cases.ItemID]bool{}
	for _, s := range m.sites {
		m.saw(s)
		now[s] = map[cases.ItemID]bool{}
		for _, r := range s.raw.Rows(t, `SELECT id FROM item`) {
			now[s][r[0].([16]byte)] = true
		}
		if n := s.raw.Rows(t, `SELECT count(*) FROM share WHERE NOT settled`)[0][0].(int64); n > 0 && m.plant.statements() {
			for _, r := range s.raw.Rows(t, `SELECT peer, item, kind, attempts FROM share WHERE NOT settled`) {
				m.violation("I6 %s still owes %s item %x of kind %v", s.Node, cases.NodeID(r[0].(int64)), r[1], r[2])
			}
		}
	}
	for _, it := range held {
		for _, k := range []area.Key{it.x, it.y} {
			if h, ok := d.Home(k); ok && !now[m.of(h)][it.id] {
				m.violation("I2 item %s is not at home %s", it.id, h)
			}
		}
	}
	for _, c := range m.w.Conserved(ctx, t.Fatalf) {
		m.violation("I3 %s", c)
	}
	if !m.agree() {
		m.violation("I3 settled sets differ")
	}
	for _, s := range m.sites {
		m.checkSite(s)
	}
}

// checkSite folds every case of a site again: what offices see is the
// projection of that fold (I4), and children exist exactly where they are asked
// for (I5).
func (m *machine) checkSite(s *machineSite) {
	t, ctx := m.t, m.t.Context()
	err := s.DB.InExchange(ctx, m.everyOffice(s), func(tx *store.Tx) error {
		ids, err := tx.LegsAfter(ctx, cases.CaseID{}, 5000)
		if err != nil {
			return err
		}
		cs, err := s.Book.Read(ctx, tx, ids)
		if err != nil {
			return err
		}
		sides, err := tx.SidesOf(ctx, ids)
		if err != nil {
			return err
		}
		shown := map[cases.CaseID]int{}
		for i := range sides {
			m.checkSide(s, cs[sides[i].Case], &sides[i])
			shown[sides[i].Case]++
		}
		for id, c := range cs {
			m.checkChild(s, cs, id, c)
			if c.State.Exists() && (s.Book.IsHome(c.X) || s.Book.IsHome(c.Y)) && shown[id] == 0 {
				m.violation("I4 no office of %s sees case %s", s.Node, id)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("check %s: %v", s.Node, err)
	}
}

func (m *machine) checkSide(s *machineSite, c *book.Case, side *store.Side) {
	want := c.Project(side.Side, side.Office)
	ms := func(t time.Time) int64 { return t.UnixMilli() }
	if side.Status != want.Status || side.Version != want.Version || side.Round != want.Round || side.Assigned != want.Assigned ||
		side.Flags != want.Flags || ms(side.DeliveredAt) != ms(want.DeliveredAt) || ms(side.AnsweredAt) != ms(want.AnsweredAt) ||
		ms(side.DueAt) != ms(want.DueAt) || ms(side.WithdrawnAt) != ms(want.WithdrawnAt) || side.Reroute != want.Reroute {
		m.violation("I4 %s shows case %s as %v in round %d, its items fold to %v in round %d", s.Node, side.Case, side.Status, side.Round, want.Status, want.Round)
	}
}

func (m *machine) checkChild(s *machineSite, cs map[cases.CaseID]*book.Case, id cases.CaseID, c *book.Case) {
	if !c.State.Exists() || !s.Book.IsHome(c.X) {
		return
	}
	var child fold.State
	opened := false
	if want, _, ok := c.State.Child(id); ok && cs[want] != nil {
		child = cs[want].State
		opened = slices.ContainsFunc(cs[want].Items, func(i fold.Item) bool { return i.Head.Kind == cases.Open })
	}
	if d, owed := fold.DutyOfParent(id, &c.State, &child, opened); owed {
		m.violation("I5 %s owes %s for the rerouted case %s", s.Node, d.Kind, id)
	}
	if p := cs[c.State.Parent]; p != nil {
		if d, owed := fold.DutyOfChild(id, &c.State, &p.State); owed {
			m.violation("I5 %s owes %s to child %s", s.Node, d.Kind, id)
		}
	}
}

// everyOffice returns all offices of which the site may have sides.
func (m *machine) everyOffice(s *machineSite) []area.Key {
	var out []area.Key
	for _, r := range s.raw.Rows(m.t, `SELECT DISTINCT office FROM case_side`) {
		out = append(out, area.Key(r[0].(int64)))
	}
	return out
}
