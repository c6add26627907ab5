package desk

import (
	"context"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/directory"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/store"
)

// wrongReceiverKeeps is how long an office that a notice reached by mistake
// keeps the person's fields (DOMAIN section 3: 7 days, 30 at most).
const wrongReceiverKeeps = 7 * 24 * time.Hour

// strayFor is how long after its answer a stray case is looked for.
const strayFor = 90 * 24 * time.Hour

// EraseMisrouted forgets the person of rerouted cases at their wrong receivers
// and returns how many cases that were.
func (d *Desk) EraseMisrouted(ctx context.Context) (n int, err error) {
	for {
		offices := d.Offices()
		var found int
		err := d.DB.InExchange(ctx, offices, func(tx *store.Tx) error {
			sides, err := tx.DueErasures(ctx, d.Now().Add(-wrongReceiverKeeps), sweep)
			if found = len(sides); err != nil || found == 0 {
				return err
			}
			ids := make([]cases.CaseID, len(sides))
			for i := range sides {
				ids[i] = sides[i].Case
			}
			return d.eraseHere(ctx, tx, ids)
		})
		if err != nil {
			return n, err
		}
		if n += found; found < sweep {
			return n, nil
		}
	}
}

// EraseStrays is EraseMisrouted for cases that were answered MISROUTED without
// naming the right area: only the answer itself tells them from others. It reads
// the answers of three months, so once a day is enough.
func (d *Desk) EraseStrays(ctx context.Context) (n int, err error) {
	f := store.SideFilter{Side: cases.SideReceiver, States: []cases.Status{cases.StatusAnswered, cases.StatusClosed}, Limit: sweep}
	for {
		f.Offices = d.Offices()
		var sides []store.Side
		var erased int
		err := d.DB.InExchange(ctx, f.Offices, func(tx *store.Tx) (err error) {
			erased = 0
			if sides, err = tx.ListSides(ctx, f); err != nil || len(sides) == 0 {
				return err
			}
			strays, err := d.strays(ctx, tx, sides)
			if err != nil || len(strays) == 0 {
				return err
			}
			erased = len(strays)
			return d.eraseHere(ctx, tx, strays)
		})
		if err != nil {
			return n, err
		}
		n += erased
		if len(sides) < sweep {
			return n, nil
		}
		after(&f, sides)
	}
}

func (d *Desk) strays(ctx context.Context, tx *store.Tx, sides []store.Side) ([]cases.CaseID, error) {
	now := d.Now()
	var ids []cases.CaseID
	for _, s := range sides {
		if age := now.Sub(s.AnsweredAt); s.ErasedAt.IsZero() && !s.AnsweredAt.IsZero() && age > wrongReceiverKeeps && age < strayFor && s.Kind.AnswersWith(cases.Misrouted) {
			ids = append(ids, s.Case)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	cs, err := d.Book.Read(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	var answers []cases.ItemID
	for _, c := range cs {
		if !c.State.Answer.IsZero() {
			answers = append(answers, c.State.Answer)
		}
	}
	bodies, err := d.Book.BodiesOf(ctx, tx, cs, answers)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(ids, func(id cases.CaseID) bool {
		c := cs[id]
		if c == nil {
			return true
		}
		a := bodies[c.State.Answer].Answer
		return a == nil || a.Outcome != cases.Misrouted
	}), nil
}

// eraseHere forgets the person of cases on the receiver's side: the bodies,
// unless the opener's office is here too and keeps them, and whoever stands in
// the ledger only because such a notice was paired.
func (d *Desk) eraseHere(ctx context.Context, tx *store.Tx, ids []cases.CaseID) error {
	cs, err := d.Book.Load(ctx, tx, ids)
	if err != nil {
		return err
	}
	var all []cases.ItemID
	for _, id := range ids {
		c := cs[id]
		if c == nil || d.Book.IsHome(c.X) {
			continue
		}
		for i := range c.Items {
			if !c.Erased(c.Items[i].ID) {
				all = append(all, c.Items[i].ID)
			}
		}
	}
	if err := d.Book.EraseAll(ctx, tx, cs, all); err != nil {
		return err
	}
	sides, err := tx.SidesOf(ctx, ids)
	if err != nil {
		return err
	}
	if err := tx.MarkErased(ctx, ids, d.Now()); err != nil {
		return err
	}
	for _, s := range sides {
		if s.Side != cases.SideReceiver || s.Person.IsZero() {
			continue
		}
		if err := d.forgetUnknown(ctx, tx, s.Office, s.Person); err != nil {
			return err
		}
	}
	return nil
}

// forgetUnknown erases a person of whom only notices told, and of whom the office
// holds no case and no consent any more.
func (d *Desk) forgetUnknown(ctx context.Context, tx *store.Tx, office area.Key, person cases.PersonID) error {
	// Locked first: who opens a case about the person meanwhile, or edits the file,
	// comes before or finds nobody.
	if _, err := tx.LockPersons(ctx, []cases.PersonID{person}); err != nil {
		return err
	}
	sides, err := tx.SidesOfPerson(ctx, person)
	if err != nil || len(sides) > 0 {
		return err
	}
	consents, err := tx.ConsentsOf(ctx, person)
	if err != nil || len(consents) > 0 {
		return err
	}
	files, err := tx.PersonsByID(ctx, []cases.PersonID{person})
	// Whoever the office registered, or served, it knows by itself.
	if err != nil || len(files) == 0 || files[0].Erased || files[0].Profile != nil || files[0].Presence != ledger.Unknown {
		return err
	}
	// So it does who was found to be one with another file.
	if group, err := tx.GroupOf(ctx, person); err != nil || len(group) > 1 {
		return err
	}
	return d.Book.ErasePerson(ctx, tx, office, person)
}

// PurgeKeys removes keys that are old enough that nothing is on its way under
// them any more. Keys that are changed at their source are left alone.
func (d *Desk) PurgeKeys(context.Context) (int, error) {
	gone, err := d.Keys.Purge(d.Now())
	if f, ok := fault.As(err); ok && f.Reason == "KEYS_READ_ONLY" {
		return 0, nil
	}
	return len(gone), err
}

// PeerLoad is what is unsettled with one peer.
type PeerLoad struct {
	Peer      string    // code of its area
	Unsettled int64     // items, receipts not counted
	Oldest    time.Time // recording time of the oldest; zero: none
}

// Unsettled tells what is unsettled with each peer, for watching the node. It
// names no person and no case.
func (d *Desk) Unsettled(ctx context.Context) (out []PeerLoad, err error) {
	err = d.DB.InExchange(ctx, nil, func(tx *store.Tx) error {
		loads, err := tx.PeerLoads(ctx, false)
		out = make([]PeerLoad, 0, len(loads))
		for _, l := range loads {
			out = append(out, PeerLoad{Peer: l.Peer.Area().Short(), Unsettled: l.Pending, Oldest: l.OldestAt})
		}
		return err
	})
	return out, err
}

// officesServed walks the areas that the directory gives to a node.
func officesServed(dir *directory.Directory, self cases.NodeID) []area.Key {
	var out []area.Key
	var walk func(area.Key)
	walk = func(k area.Key) {
		if h, ok := dir.Home(k); !ok || h != self {
			return
		}
		out = append(out, k)
		if k.Level() < area.Township {
			for _, c := range area.Children(k) {
				walk(c)
			}
		}
	}
	for _, k := range dir.ServedBy(self) {
		walk(book.OfficeOf(k))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
