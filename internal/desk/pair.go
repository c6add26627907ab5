package desk

import (
	"context"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/match"
	"yipan/internal/people"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// Pair pairs a notice with a person of the office's ledger: the one named, or
// the one whom it is about beyond doubt. Where somebody is like that person, a
// Conflict PAIR_AMBIGUOUS asks to choose among the candidates; where nobody is,
// the person is registered. Warnings tell of repeated notices (SECURITY D2).
func (d *Desk) Pair(ctx context.Context, p access.Principal, r PairRequest) (PairResult, error) {
	var out PairResult
	v := verb{method: "pair", access: access.CasePair, side: cases.SideReceiver, reads: true}
	v.make = func(ctx context.Context, tx *store.Tx, ch *change, bodies map[cases.ItemID]cases.Body) error {
		out.Registered = false
		f := book.Fields(ch.c, bodies)
		err := pairable(ch.c, &ch.side, f)
		if err == nil {
			ch.person, out.Registered, err = d.whom(ctx, tx, ch.side.Office, f, r.Person)
		}
		if err != nil {
			return err
		}
		w, err := d.repeats(ctx, tx, ch.c, ch.person)
		if err != nil {
			return err
		}
		ch.warnings = append(ch.warnings, w...)
		tx.HideSides(ch.person)
		if err := tx.OwnSide(ctx, ch.c.ID, ch.side.Office, ch.person); err != nil {
			return err
		}
		return tx.DropWaiting(ctx, ch.c.ID, ch.side.Office)
	}
	ch := &change{requestID: r.RequestID, ref: r.Ref, hash: d.HashOf(r)}
	view, warnings, err := d.one(ctx, p, v, ch)
	out.Case, out.Person, out.Warnings = view, ch.person, warnings
	if ch.repeated {
		out.Person = ch.side.Person
	}
	return out, err
}

// pairable reports why a notice with fields f cannot be paired, if it cannot.
func pairable(c *book.Case, s *store.Side, f *cases.Fields) error {
	switch st := c.State.Status; {
	case st == cases.StatusRerouted || st == cases.StatusWithdrawn:
		return fault.Conflict("STATE_FORBIDS", "case %s is %s: it cannot be paired", c.ID, st).Zh("案件已改派或撤回，不能再配对")
	case s.Office.Level() < area.Township:
		return fault.Conflict("NOT_ASSIGNED", "case %s waits to be given to a township", c.ID).Zh("案件尚未分发到乡镇（街道），分发后由该单位配对")
	case f == nil || !s.ErasedAt.IsZero():
		return fault.Conflict("ERASED", "fields of case %s are erased", c.ID).Zh("该案件的人员信息已删除，无法配对")
	}
	return nil
}

// whom decides whom a notice with fields f is about: the person named, the one
// beyond doubt, or somebody new.
func (d *Desk) whom(ctx context.Context, tx *store.Tx, office area.Key, f *cases.Fields, named cases.PersonID) (id cases.PersonID, registered bool, err error) {
	if !named.IsZero() {
		files, err := tx.LockFiles(ctx, []cases.PersonID{named})
		if f, known := files[named]; err == nil && (!known || f.Office != office) {
			return id, false, people.NotFound().On("person_id")
		}
		return named, false, err
	}
	doc, _, err := ident.Parse(ident.Kind(f.DocumentKind), f.DocumentNumber)
	if err != nil {
		return id, false, usher.OnField(err, "person_id")
	}
	found, err := d.People.Matches(ctx, tx, office, describe(f))
	if err != nil {
		return id, false, err
	}
	if i, ok := match.Certain(resultsOf(found)); ok {
		return found[i].Person, false, nil
	}
	if slices.ContainsFunc(found, func(m people.Match) bool { return m.Result.IsNear() }) {
		return id, false, fault.Conflict("PAIR_AMBIGUOUS", "%d files of the ledger are like the notice", len(found)).
			Zh("本地台帐中有相近的人员，系统不自动配对：请查看配对候选人并选定一人；都不是的，请先登记此人，再指定其人员编号配对").On("person_id")
	}
	ids, added, err := d.People.FindOrAdd(ctx, tx, []people.Ref{{Office: office, Doc: doc, Fields: f}})
	if err != nil {
		return id, false, err
	}
	if ids[0].IsZero() {
		return id, false, people.NotFound().On("person_id")
	}
	return ids[0], added[0], nil
}

// manyNotices is how many notices about one person a node may send within
// twelve months before the receiver is told (SECURITY D2).
const manyNotices = 3

// repeats warns where the opener's node has sent many notices about a person.
func (d *Desk) repeats(ctx context.Context, tx *store.Tx, c *book.Case, person cases.PersonID) ([]string, error) {
	sides, err := sidesAbout(ctx, tx, person)
	if err != nil {
		return nil, err
	}
	dir := d.Book.Directory()
	from, known := dir.Home(c.X)
	since := d.Now().AddDate(-1, 0, 0)
	n := 1
	for i := range sides {
		s := &sides[i]
		if h, ok := dir.Home(s.X); s.Case != c.ID && s.Side == cases.SideReceiver && ok && known && h == from && s.OpenedAt.After(since) {
			n++
		}
	}
	if n <= manyNotices {
		return nil, nil
	}
	return []string{repeatsWarning}, nil
}

const repeatsWarning = "同一对方节点近 12 个月内已就此人发来 3 次以上通报，请留意是否属于探询行踪；如有疑问，可告知本人并报告"

// PairIn pairs an open notice with a person inside the caller's transaction,
// which has authorised the person; one that is paired with the same person
// stays as it is. The read is logged.
func (d *Desk) PairIn(ctx context.Context, tx *store.Tx, p access.Principal, id cases.CaseID, person cases.PersonID) error {
	cs, err := d.Book.Load(ctx, tx, []cases.CaseID{id})
	if err != nil {
		return err
	}
	s, err := d.toPair(ctx, tx, p, id)
	if err != nil {
		return err
	}
	c := cs[id]
	switch {
	case c == nil || s == nil:
		return book.NotHeld(id)
	case s.Person == person:
		return nil
	case !s.Person.IsZero():
		return fault.Conflict("PAIRED", "case %s is paired with somebody else", id).Zh("该案件已与另一人员配对，请先撤销配对")
	}
	if known, err := book.Knows(ctx, tx, person); err != nil || !known {
		if err == nil {
			err = people.NotFound().On("person_id")
		}
		return err
	}
	done, err := tx.PairSide(ctx, id, s.Office, person)
	if err != nil {
		return err
	}
	if !done {
		return fault.Conflict("STATE_FORBIDS", "case %s is %s: it cannot be paired", id, c.State.Status).Zh("案件当前状态不能配对")
	}
	if err := tx.DropWaiting(ctx, id, s.Office); err != nil {
		return err
	}
	return tx.LogAccess(ctx, store.Access{Principal: p, Office: s.Office, Verb: access.CasePair, Purpose: "pair", Subjects: [][16]byte{person}})
}

// toPair finds the receiver's side of a case where p may pair; nil: none.
func (d *Desk) toPair(ctx context.Context, tx *store.Tx, p access.Principal, id cases.CaseID) (*store.Side, error) {
	sides, err := tx.SidesOf(ctx, []cases.CaseID{id})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(sides, func(s store.Side) bool {
		return s.Side == cases.SideReceiver && access.Can(p, access.CasePair, s.Office) && visible(p, &s)
	})
	if i < 0 {
		return nil, nil
	}
	return &sides[i], nil
}

// Unpair undoes the pairing of a notice that was not answered yet. Nothing
// pairs it again by itself. A person who was registered by the pairing stays in
// the ledger, even where nothing else is known of them: files are removed by
// nobody's slip.
func (d *Desk) Unpair(ctx context.Context, p access.Principal, r UnpairRequest) (CaseView, error) {
	v := verb{method: "unpair", access: access.CasePair, side: cases.SideReceiver}
	v.make = func(ctx context.Context, tx *store.Tx, ch *change, _ map[cases.ItemID]cases.Body) error {
		s := &ch.side
		switch {
		case ch.c.State.Status != cases.StatusOpen:
			return fault.Conflict("STATE_FORBIDS", "case %s is %s: its pairing stays", ch.c.ID, ch.c.State.Status).Zh("案件已答复或已结束，不能撤销配对")
		case s.Person.IsZero():
			return fault.Conflict("NOT_PAIRED", "case %s is not paired", ch.c.ID).Zh("该案件尚未配对")
		}
		if err := tx.UnpairSide(ctx, ch.c.ID, s.Office); err != nil {
			return err
		}
		w := store.Waiting{Case: ch.c.ID, Office: s.Office, Index: store.Unpaired, IndexKey: d.indexKey(), Version: s.Version}
		ch.was, s.Person, s.Rev = s.Person, cases.PersonID{}, s.Rev+1
		return tx.PutWaiting(ctx, []store.Waiting{w})
	}
	view, _, err := d.one(ctx, p, v, &change{requestID: r.RequestID, ref: r.Ref, hash: d.HashOf(r)})
	return view, err
}

func (d *Desk) indexKey() []byte {
	id := d.Keys.Index().ID()
	return id[:]
}
