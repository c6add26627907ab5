package book

import (
	"context"
	"maps"
	"slices"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fold"
	"yipan/internal/ledger"
	"yipan/internal/store"
)

// dutyRounds bounds how often one duty can cause the next: reroutes follow
// each other by themselves at most fold.MaxHops times.
const dutyRounds = fold.MaxHops + 2

// Duties writes what this node owes as home of the opener's side (rule 22):
// a leg folds to REROUTED if and only if a child leg exists. cs are the cases
// that changed; legs that the duties touch are added to it, for Project. The
// transaction is limited to offices when it returns.
func (b *Book) Duties(ctx context.Context, tx *store.Tx, cs map[cases.CaseID]*Case, offices []area.Key) error {
	work := cs
	widened := false
	for range dutyRounds {
		mine := b.relatives(work)
		if len(mine) == 0 {
			break
		}
		if !widened {
			all := slices.Clone(offices)
			for _, c := range work {
				if o := OfficeOf(c.X); b.IsHome(c.X) && !slices.Contains(all, o) {
					all = append(all, o)
				}
			}
			if err := tx.SetOffices(ctx, all); err != nil {
				return err
			}
			widened = true
		}
		if err := b.loadMissing(ctx, tx, cs, mine); err != nil {
			return err
		}
		changed, err := b.dutiesOf(ctx, tx, cs, work)
		if err != nil {
			return err
		}
		if len(changed) == 0 {
			break
		}
		work = changed
	}
	if widened {
		return tx.SetOffices(ctx, offices)
	}
	return nil
}

// LeftDuties does, as the exchange, the duties of cases that a transaction of
// the desk had to leave because it does not see the child leg.
func (b *Book) LeftDuties(ctx context.Context, db *store.DB, cs []*Case) error {
	var ids []cases.CaseID
	for _, c := range cs {
		if c.Left {
			ids = append(ids, c.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return db.InExchange(ctx, nil, func(tx *store.Tx) error {
		all, err := b.Load(ctx, tx, ids)
		if err != nil {
			return err
		}
		if err := b.Duties(ctx, tx, all, nil); err != nil {
			return err
		}
		return b.Project(ctx, tx, slices.Collect(maps.Values(all)), nil)
	})
}

// IsHome reports whether this node is home of an area now.
func (b *Book) IsHome(k area.Key) bool {
	n, ok := b.dir().Home(k)
	return ok && n == b.Self
}

// relatives returns the legs on which duties of cs depend: children that some
// answer asked for, and parents.
func (b *Book) relatives(cs map[cases.CaseID]*Case) []cases.CaseID {
	var out []cases.CaseID
	for _, c := range cs {
		if !c.State.Exists() || !b.IsHome(c.X) {
			continue
		}
		out = append(out, children(c)...)
		if !c.State.Parent.IsZero() {
			out = append(out, c.State.Parent)
		}
	}
	return out
}

func children(c *Case) []cases.CaseID {
	var out []cases.CaseID
	for i := range c.Items {
		if h := &c.Items[i].Head; h.Kind == cases.Answer && h.Area != 0 && !c.Items[i].Rejected {
			out = append(out, cases.ChildCaseID(c.ID, h.Round, h.Area))
		}
	}
	return out
}

func (b *Book) loadMissing(ctx context.Context, tx *store.Tx, cs map[cases.CaseID]*Case, ids []cases.CaseID) error {
	var missing []cases.CaseID
	for _, id := range ids {
		if cs[id] == nil && !slices.Contains(missing, id) {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	more, err := b.Load(ctx, tx, missing)
	for id, c := range more {
		cs[id] = c
	}
	return err
}

func (b *Book) dutiesOf(ctx context.Context, tx *store.Tx, cs, work map[cases.CaseID]*Case) (map[cases.CaseID]*Case, error) {
	changed := map[cases.CaseID]*Case{}
	do := func(c *Case, d fold.Duty) error {
		t, err := b.do(ctx, tx, cs, c, d)
		if t != nil {
			cs[t.ID], changed[t.ID] = t, t
		}
		return err
	}
	for _, id := range sortedIDs(work) {
		c := work[id]
		if !c.State.Exists() || !b.IsHome(c.X) {
			continue
		}
		for _, k := range children(c) {
			if child := cs[k]; child != nil {
				if d, ok := fold.DutyOfChild(k, &child.State, &c.State); ok {
					if err := do(c, d); err != nil {
						return nil, err
					}
				}
			}
		}
		if want, _, ok := c.State.Child(id); ok {
			var s fold.State
			opened := false
			if child := cs[want]; child != nil {
				s, opened = child.State, slices.ContainsFunc(child.Items, func(i fold.Item) bool { return i.Head.Kind == cases.Open })
			}
			if d, ok := fold.DutyOfParent(id, &c.State, &s, opened); ok {
				if err := do(c, d); err != nil {
					return nil, err
				}
			}
		}
		if p := cs[c.State.Parent]; p != nil && !c.State.Parent.IsZero() {
			if d, ok := fold.DutyOfChild(id, &c.State, &p.State); ok {
				if err := do(p, d); err != nil {
					return nil, err
				}
			}
		}
	}
	return changed, nil
}

func sortedIDs(cs map[cases.CaseID]*Case) []cases.CaseID {
	ids := make([]cases.CaseID, 0, len(cs))
	for id := range cs {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b cases.CaseID) int { return slices.Compare(a[:], b[:]) })
	return ids
}

// do writes the item of a duty that parent p causes and returns the leg it was
// written to; nil where nothing may leave.
func (b *Book) do(ctx context.Context, tx *store.Tx, cs map[cases.CaseID]*Case, p *Case, d fold.Duty) (*Case, error) {
	if d.Kind == cases.Open {
		return b.openChild(ctx, tx, cs, p, d)
	}
	c := cs[d.Case]
	reason := "parent"
	h := cases.Head{Kind: d.Kind, Side: cases.SideOpener, Round: d.Round, ByParent: d.Kind == cases.Withdraw}
	_, err := b.Author(ctx, tx, []Entry{{Case: c, Head: h, Body: cases.Body{Note: &reason}}})
	return c, err
}

// openChild opens the leg towards the area that p's answer named, with the
// fields as they are now and a clock of its own. Consents are checked anew: one
// that does not reach the new area is left out, and a notice whose basis is
// gone does not leave.
func (b *Book) openChild(ctx context.Context, tx *store.Tx, cs map[cases.CaseID]*Case, p *Case, d fold.Duty) (*Case, error) {
	bodies, err := b.Bodies(ctx, tx, p, p.State.Fields)
	if err != nil {
		return nil, err
	}
	f := Fields(p, bodies)
	if f == nil {
		return nil, nil
	}
	g := *f
	now := b.Now()
	if g.Basis.Kind == cases.BasisConsent {
		live, err := b.Live(ctx, tx, g.Basis.Consent, ledger.PurposeNotice, d.Target, now)
		if err != nil || !live {
			return nil, err
		}
	}
	if g.Confirm.Kind == cases.BasisConsent {
		live, err := b.Live(ctx, tx, g.Confirm.Consent, ledger.PurposeConfirm, d.Target, now)
		if err != nil {
			return nil, err
		}
		if !live {
			g.Confirm = cases.Basis{}
		}
	}
	c := cs[d.Case]
	if c == nil {
		var leg store.Leg
		c, leg = b.New(d.Case, p.X, d.Target)
		n, err := tx.InsertLegs(ctx, []store.Leg{leg})
		if err != nil {
			return nil, err
		}
		if n == 0 { // items of it are held, but not its OPEN: no office sees it
			p.Left = true
			return nil, nil
		}
	}
	if c.Person, err = b.openersPerson(ctx, tx, p); err != nil {
		return nil, err
	}
	s := &p.State
	h := cases.Head{
		Kind: cases.Open, Side: cases.SideOpener, Round: 1, CaseKind: s.Kind, Limit: s.Limit, Policy: s.Policy,
		Parent: p.ID, ParentRound: s.Current.N, Hops: s.Hops + 1, Urgent: s.Urgent,
	}
	_, err = b.Author(ctx, tx, []Entry{{Case: c, Head: h, Body: cases.Body{Fields: &g}}})
	return c, err
}

// openersPerson returns whom a case is about in the opener's ledger, so that a
// child leg is found with the person too; zero: nobody.
func (b *Book) openersPerson(ctx context.Context, tx *store.Tx, p *Case) (cases.PersonID, error) {
	if !p.Person.IsZero() {
		return p.Person, nil
	}
	sides, err := tx.SidesOf(ctx, []cases.CaseID{p.ID})
	for _, s := range sides {
		if s.Side == cases.SideOpener {
			return s.Person, err
		}
	}
	return cases.PersonID{}, err
}
