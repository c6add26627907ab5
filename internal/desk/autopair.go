package desk

import (
	"context"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/match"
	"yipan/internal/people"
	"yipan/internal/store"
)

const (
	// pairAtOnce is how many notices one transaction looks at, pairATurn how many
	// a turn does: the exchange goes first.
	pairAtOnce = 100
	pairATurn  = 500
	// maxWaiting bounds the notices that one registration pairs.
	maxWaiting = 50
)

// machine is who pairs where nobody does: no account has its name.
var machine = access.Principal{ID: "job/pair"}

// PairOpen looks at open notices of this node's townships that nobody paired,
// pairs those of whom the ledger leaves no doubt, and notes the others, so that
// a later registration finds them. It returns how many it paired. Several
// replicas may do it at once.
func (d *Desk) PairOpen(ctx context.Context) (int64, error) {
	return d.pairAll(ctx, func(tx *store.Tx, offices []area.Key) ([]store.Side, error) {
		return tx.UnpairedSides(ctx, offices, pairAtOnce, d.indexKey())
	})
}

// PairMet is PairOpen for noted ones whose document a file has by now that
// nobody registered as such (an opening, a consent), or was registered in the
// very moment in which they were noted. What waits no more is forgotten.
func (d *Desk) PairMet(ctx context.Context) (int64, error) {
	offices := d.townships()
	err := d.DB.InExchange(ctx, offices, func(tx *store.Tx) error {
		_, err := tx.SweepWaiting(ctx, offices, pairATurn)
		return err
	})
	if err != nil {
		return 0, err
	}
	return d.pairAll(ctx, func(tx *store.Tx, offices []area.Key) ([]store.Side, error) {
		return tx.MetSides(ctx, offices, pairAtOnce)
	})
}

func (d *Desk) townships() []area.Key {
	return slices.DeleteFunc(slices.Clone(d.Offices()), func(k area.Key) bool { return k.Level() < area.Township })
}

func (d *Desk) pairAll(ctx context.Context, find func(*store.Tx, []area.Key) ([]store.Side, error)) (n int64, err error) {
	offices := d.townships()
	for done := 0; done < pairATurn; done += pairAtOnce {
		var sides []store.Side
		var paired []cases.CaseID
		err := d.DB.InExchange(ctx, offices, func(tx *store.Tx) (err error) {
			if sides, err = find(tx, offices); err != nil || len(sides) == 0 {
				return err
			}
			paired, err = d.pairSome(ctx, tx, sides)
			return err
		})
		if err != nil {
			return n, err
		}
		n += int64(len(paired))
		d.watch.changed(paired)
		if len(sides) < pairAtOnce {
			break
		}
	}
	return n, nil
}

func (d *Desk) pairSome(ctx context.Context, tx *store.Tx, sides []store.Side) (paired []cases.CaseID, err error) {
	cs, fields, err := d.fieldsOf(ctx, tx, sides)
	if err != nil {
		return nil, err
	}
	// Those who pair at the same time meet them in one order.
	slices.SortFunc(sides, func(a, b store.Side) int { return slices.Compare(a.Case[:], b.Case[:]) })
	var waiting []store.Waiting
	for _, s := range sides {
		w := store.Waiting{Case: s.Case, Office: s.Office, IndexKey: d.indexKey()}
		if c := cs[s.Case]; c != nil {
			w.Version = c.State.Version
		}
		f := fields[s.Case]
		if f == nil { // erased
			waiting = append(waiting, w)
			continue
		}
		who := describe(f)
		found, err := d.People.Matches(ctx, tx, s.Office, who)
		if err != nil {
			return nil, err
		}
		if i, ok := match.Certain(resultsOf(found)); ok {
			did, err := tx.FoundSide(ctx, s.Case, s.Office, found[i].Person)
			if err != nil {
				return nil, err
			}
			if did {
				paired = append(paired, s.Case)
			}
			if err := tx.DropWaiting(ctx, s.Case, s.Office); err != nil {
				return nil, err
			}
			continue
		}
		// Where a file has the document and yet there is doubt, people decide.
		if !slices.ContainsFunc(found, func(m people.Match) bool { return m.Result.Reasons.SameDocument() }) {
			for _, doc := range who.Documents {
				x := d.People.DocIndex(s.Office, doc)
				w.Index = x[:]
			}
		}
		waiting = append(waiting, w)
	}
	if err := tx.PutWaiting(ctx, waiting); err != nil {
		return nil, err
	}
	return paired, tx.LogAccess(ctx, store.Access{Principal: machine, Verb: access.CasePair, Purpose: "pair", Count: len(sides)})
}

// fieldsOf reads the cases of sides and what they tell of their persons; erased
// ones are missing.
func (d *Desk) fieldsOf(ctx context.Context, tx *store.Tx, sides []store.Side) (map[cases.CaseID]*book.Case, map[cases.CaseID]*cases.Fields, error) {
	ids := make([]cases.CaseID, len(sides))
	for i := range sides {
		ids[i] = sides[i].Case
	}
	cs, err := d.Book.Read(ctx, tx, ids)
	if err != nil {
		return nil, nil, err
	}
	var items []cases.ItemID
	for _, c := range cs {
		items = append(items, c.State.Fields...)
	}
	bodies, err := d.Book.BodiesOf(ctx, tx, cs, items)
	if err != nil {
		return nil, nil, err
	}
	out := make(map[cases.CaseID]*cases.Fields, len(cs))
	for id, c := range cs {
		if f := book.Fields(c, bodies); f != nil {
			out[id] = f
		}
	}
	return cs, out, nil
}

// PairWaiting pairs notices that waited for a person of an office, who was
// registered or got a document in this transaction, where there is no doubt; it
// returns those cases. After the commit the caller calls Opened.
func (d *Desk) PairWaiting(ctx context.Context, tx *store.Tx, p access.Principal, office area.Key, id cases.PersonID) ([]cases.CaseID, error) {
	ids, err := tx.WaitingFor(ctx, office, id, maxWaiting)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	sides, err := tx.SidesOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	sides = slices.DeleteFunc(sides, func(s store.Side) bool {
		return s.Office != office || s.Side != cases.SideReceiver || s.Status != cases.StatusOpen || !s.Person.IsZero() || !s.ErasedAt.IsZero()
	})
	if len(sides) == 0 {
		return nil, nil
	}
	_, fields, err := d.fieldsOf(ctx, tx, sides)
	if err != nil {
		return nil, err
	}
	group, err := tx.GroupOf(ctx, id)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(sides, func(a, b store.Side) int { return slices.Compare(a.Case[:], b.Case[:]) })
	event := store.Access{Principal: p, Office: office, Verb: access.CasePair, Purpose: "pair waiting", Subjects: [][16]byte{id}}
	var paired []cases.CaseID
	for _, s := range sides {
		f := fields[s.Case]
		if f == nil {
			continue
		}
		found, err := d.People.Matches(ctx, tx, office, describe(f))
		if err != nil {
			return nil, err
		}
		i, ok := match.Certain(resultsOf(found))
		if !ok || !slices.Contains(group, found[i].Person) {
			event.Subjects = append(event.Subjects, s.Case)
			continue
		}
		did, err := tx.FoundSide(ctx, s.Case, office, found[i].Person)
		if err != nil {
			return nil, err
		}
		if !did {
			continue
		}
		if err := tx.DropWaiting(ctx, s.Case, office); err != nil {
			return nil, err
		}
		paired = append(paired, s.Case)
	}
	return paired, tx.LogAccess(ctx, event)
}
