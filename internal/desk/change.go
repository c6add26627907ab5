package desk

import (
	"context"
	"maps"
	"slices"
	"unicode/utf8"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/fold"
	"yipan/internal/ledger"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// change is one change of one case on its way.
type change struct {
	requestID string
	ref       CaseRef
	hash      [32]byte
	// refused is the digest of a request that the person's standing refusal
	// answered; zero: the verb meets none.
	refused [32]byte

	side    store.Side
	c       *book.Case
	entries []book.Entry
	private *ledger.Private
	moves   []tallyMove // how the answer changes what is counted of answers
	person  cases.PersonID
	was     cases.PersonID // whom the side was about before the change unpaired it
	fresh   *book.Case     // a case that the change opened

	answer   AnswerInput // of an answer
	repeated bool
	gone     bool // repeated, and no longer the caller's to see
	kept     bool // the request stands already, though it is answered by an error
	warnings []string
	err      error
	view     CaseView
}

// verb describes a kind of change.
type verb struct {
	method string
	access access.Verb
	fold   fold.Verb // 0: the state forbids nothing
	side   cases.Side
	// residence limits the verb to the side of the person's residence.
	residence bool
	wrong     error // what is wrong with the request whatever the cases are
	// reads asks for the bodies of fields and answer before make runs.
	reads bool
	// make decides and fills entries; what it reads is in bodies.
	make func(ctx context.Context, tx *store.Tx, ch *change, bodies map[cases.ItemID]cases.Body) error
}

// one runs a single change and returns the case as it is then.
func (d *Desk) one(ctx context.Context, p access.Principal, v verb, ch *change) (CaseView, []string, error) {
	if err := d.run(ctx, p, v, []*change{ch}); err != nil {
		return CaseView{}, nil, err
	}
	return ch.view, ch.warnings, ch.err
}

// run does changes in one transaction: cases locked in order, repeated requests
// found, etags and states held against what the caller was shown, items
// written, duties done, sides projected. What is wrong with one change does not
// touch the others.
func (d *Desk) run(ctx context.Context, p access.Principal, v verb, chs []*change) error {
	if err := d.Allow(ctx, p, v.access, 0); err != nil {
		return err
	}
	if v.wrong != nil {
		return v.wrong
	}
	if err := d.In(ctx, p, func(tx *store.Tx) error { return d.runIn(ctx, tx, p, v, chs) }); err != nil {
		return err
	}
	d.leftDuties(ctx, chs)
	d.wake()
	var ids []cases.CaseID
	for _, ch := range chs {
		if ch.err == nil && !ch.repeated {
			ids = append(ids, ch.ref.Case)
		}
	}
	d.watch.changed(ids)
	return nil
}

// leftDuties does what the changes' transaction could not see; the change itself
// is done.
func (d *Desk) leftDuties(ctx context.Context, chs []*change) {
	var cs []*book.Case
	for _, ch := range chs {
		if ch.c != nil {
			cs = append(cs, ch.c)
		}
	}
	if err := d.Book.LeftDuties(ctx, d.DB, cs); err != nil {
		d.Log.Error("duty of a changed case is left", "error", err)
	}
}

func (d *Desk) runIn(ctx context.Context, tx *store.Tx, p access.Principal, v verb, chs []*change) error {
	var ids []cases.CaseID
	var requests []string
	seen, named := map[cases.CaseID]bool{}, map[string]bool{}
	for _, ch := range chs {
		*ch = change{requestID: ch.requestID, ref: ch.ref, hash: ch.hash, refused: ch.refused, answer: ch.answer, err: usher.CheckRequestID(ch.requestID)}
		if ch.err == nil && seen[ch.ref.Case] {
			ch.err = fault.Invalid("CASE_TWICE", "case %s stands twice in one batch", ch.ref.Case).Zh("同一批中案件重复").On("case_id")
		}
		if ch.err == nil && named[ch.requestID] {
			ch.err = fault.Invalid("REQUEST_ID_REUSED", "request id stands twice in one batch").Zh("同一批中请求编号重复").On("request_id")
		}
		named[ch.requestID] = true
		if ch.err == nil {
			seen[ch.ref.Case] = true
			ids, requests = append(ids, ch.ref.Case), append(requests, ch.requestID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	cs, err := d.Book.Load(ctx, tx, ids)
	if err != nil {
		return err
	}
	sides, err := tx.SidesOf(ctx, ids)
	if err != nil {
		return err
	}
	done, err := tx.RequestsOf(ctx, p.ID, requests)
	if err != nil {
		return err
	}
	for _, ch := range chs {
		if ch.err == nil {
			ch.err = d.meet(p, v, ch, cs, sides, done)
		}
	}
	if err := d.decide(ctx, tx, v, chs, cs); err != nil {
		return err
	}
	if err := d.write(ctx, tx, p, v, chs, cs); err != nil {
		return err
	}
	return d.finish(ctx, tx, p, v, chs)
}

// meet finds the case and the caller's side of it and holds the request
// against them.
func (d *Desk) meet(p access.Principal, v verb, ch *change, cs map[cases.CaseID]*book.Case, sides []store.Side, done map[string]store.Request) error {
	r, known := done[ch.requestID]
	ch.kept = known && r.Method == v.method && r.Hash == ch.refused && ch.refused != [32]byte{}
	if known && !ch.kept && (r.Method != v.method || r.Hash != ch.hash) {
		return fault.Conflict("REQUEST_ID_REUSED", "request id stands for another request").Zh("该请求编号已用于另一项操作，请换一个新的请求编号").On("request_id")
	}
	if ch.c = cs[ch.ref.Case]; ch.c == nil && known {
		ch.repeated, ch.gone = true, true // it was given to an office that the caller does not see
		return nil
	}
	if ch.c == nil || !ch.c.State.Exists() {
		return book.NotHeld(ch.ref.Case)
	}
	seen, found, allowed := false, false, false
	shown := map[string]bool{} // etags under which the caller may have seen the case
	for i := range sides {
		s := &sides[i]
		if s.Case != ch.ref.Case || !access.Can(p, v.access, s.Office) || !visible(p, s) {
			continue
		}
		seen = true
		shown[book.Etag(s.Version, s.Rev)] = true
		if v.side != cases.SideNone && s.Side != v.side || v.residence && s.Side != s.Kind.ResidenceSide() {
			continue
		}
		// Who works for both sides means the one that can.
		if can := v.fold == 0 || ch.c.State.Allows(v.fold, s.Side); !found || can && !allowed {
			ch.side, found, allowed = *s, true, can
		}
	}
	switch {
	case !seen:
		return book.NotHeld(ch.ref.Case)
	case !found:
		return fault.Denied("NOT_ITS_SIDE", "%s is for the other side of case %s", v.method, ch.ref.Case).Zh("这项操作应由对方办理")
	}
	if ch.kept {
		return StandingRefusal()
	}
	if known {
		ch.repeated = true
		return nil
	}
	switch {
	case ch.ref.Etag == "":
		return fault.Invalid("ETAG_REQUIRED", "no etag is given").Zh("缺少版本标识，请先打开案件再操作").On("etag")
	case !shown[ch.ref.Etag]:
		return fault.Conflict("ETAG_STALE", "case %s changed since it was shown", ch.ref.Case).Zh("案件内容已变化，请刷新后再操作").On("etag")
	case !allowed:
		return fault.Conflict("STATE_FORBIDS", "case %s is %s: it cannot %s", ch.ref.Case, ch.c.State.Status, v.fold).Zh("案件当前状态不允许这项操作")
	}
	return nil
}

func (d *Desk) decide(ctx context.Context, tx *store.Tx, v verb, chs []*change, cs map[cases.CaseID]*book.Case) error {
	var bodies map[cases.ItemID]cases.Body
	if v.reads {
		var ids []cases.ItemID
		for _, ch := range chs {
			if ch.err == nil && !ch.repeated {
				ids = append(ids, ch.c.State.Fields...)
				if a := ch.c.State.Answer; !a.IsZero() {
					ids = append(ids, a)
				}
			}
		}
		var err error
		if bodies, err = d.Book.BodiesOf(ctx, tx, cs, ids); err != nil {
			return err
		}
	}
	for _, ch := range chs {
		if ch.err != nil || ch.repeated {
			continue
		}
		if err := v.make(ctx, tx, ch, bodies); err != nil {
			// What the clerk got wrong is the change's; what the database got
			// wrong is everybody's.
			if k := fault.Of(err); k == fault.KindInternal || k == fault.KindUnavailable {
				return err
			}
			ch.err = err
		}
	}
	return nil
}

func (d *Desk) write(ctx context.Context, tx *store.Tx, p access.Principal, v verb, chs []*change, cs map[cases.CaseID]*book.Case) error {
	var entries []book.Entry
	var touched []store.Side
	var requests []store.Request
	changed := map[cases.CaseID]*book.Case{}
	for _, ch := range chs {
		if IsStandingRefusal(ch.err) && !ch.kept {
			requests = append(requests, store.Request{Account: p.ID, RequestID: ch.requestID, Office: ch.side.Office, Method: v.method, Hash: ch.refused})
		}
		if ch.err != nil || ch.repeated {
			continue
		}
		entries = append(entries, ch.entries...)
		changed[ch.c.ID] = ch.c
		if ch.fresh != nil {
			changed[ch.fresh.ID] = ch.fresh
		}
		requests = append(requests, store.Request{Account: p.ID, RequestID: ch.requestID, Office: ch.side.Office, Method: v.method, Hash: ch.hash})
		if ch.private != nil || !ch.person.IsZero() {
			t := store.Side{Case: ch.c.ID, Office: ch.side.Office, Person: ch.person}
			if ch.private != nil {
				var err error
				if t.Private, err = d.Book.SealPrivate(ch.c.ID, ch.private); err != nil {
					return err
				}
			}
			touched = append(touched, t)
			ch.side.Rev++
		}
	}
	if len(requests) == 0 {
		return nil
	}
	if err := tx.AddRequests(ctx, requests); err != nil {
		return err
	}
	if err := tx.TouchSides(ctx, touched); err != nil {
		return err
	}
	if len(entries) == 0 {
		return nil
	}
	if _, err := d.Book.Author(ctx, tx, entries); err != nil {
		return err
	}
	if err := d.Book.Duties(ctx, tx, changed, p.Offices); err != nil {
		return err
	}
	all := make([]*book.Case, 0, len(changed))
	for _, c := range changed {
		all = append(all, c)
	}
	if err := d.Book.Project(ctx, tx, all, p.Offices); err != nil {
		return err
	}
	return d.countAnswers(ctx, tx, chs) // tallies are locked last
}

// finish makes the views and logs that their cases were shown.
func (d *Desk) finish(ctx context.Context, tx *store.Tx, p access.Principal, v verb, chs []*change) error {
	subjects := map[area.Key][][16]byte{}
	missed, denied := false, false
	for _, ch := range chs {
		if ch.err != nil {
			missed = missed || fault.Is(ch.err, fault.KindNotFound)
			denied = denied || fault.Is(ch.err, fault.KindDenied)
			if IsStandingRefusal(ch.err) { // it tells something of the person
				subjects[ch.side.Office] = append(subjects[ch.side.Office], subjectOf(ch.side))
			}
			continue
		}
		if ch.gone {
			ch.view = CaseView{ID: ch.ref.Case}
			continue
		}
		s := ch.side
		if !ch.repeated {
			fresh := ch.c.Project(s.Side, s.Office)
			fresh.Rev, fresh.Person = s.Rev, s.Person
			if !ch.person.IsZero() {
				fresh.Person = ch.person
			}
			s = fresh
		}
		ch.view = d.viewOf(s)
		if !ch.was.IsZero() {
			s.Person = ch.was
		}
		subjects[s.Office] = append(subjects[s.Office], subjectOf(s))
	}
	for _, o := range slices.Sorted(maps.Keys(subjects)) {
		if err := tx.LogAccess(ctx, store.Access{Principal: p, Office: o, Verb: v.access, Purpose: v.method, Subjects: subjects[o]}); err != nil {
			return err
		}
	}
	if missed || denied {
		return tx.LogAccess(ctx, store.Access{Principal: p, Office: p.FirstOffice(), Verb: v.access, Purpose: v.method, Denied: denied})
	}
	return nil
}

func subjectOf(s store.Side) [16]byte {
	if s.Person.IsZero() {
		return s.Case
	}
	return s.Person
}

func note(kind cases.ItemKind, ch *change, reason string) book.Entry {
	return book.Entry{Case: ch.c, Body: cases.Body{Note: &reason}, Head: cases.Head{Kind: kind, Side: ch.side.Side, Round: ch.c.State.Current.N}}
}

func checkReason(r string) error {
	switch {
	case r == "":
		return fault.Invalid("REQUIRED", "reason is missing").Zh("请填写原因").On("reason")
	case utf8.RuneCountInString(r) > maxText:
		return fault.Invalid("TEXT_LENGTH", "reason has more than %d characters", maxText).Zh("原因最多 %d 字", maxText).On("reason")
	}
	return nil
}

// noted is a change that writes one item with a reason.
func (d *Desk) noted(ctx context.Context, p access.Principal, r ChangeRequest, kind cases.ItemKind, v verb, head func(*cases.Head, *fold.State)) (CaseView, error) {
	v.access, v.wrong, v.reads = access.CaseChange, checkReason(r.Reason), kind == cases.Reopen
	v.make = func(ctx context.Context, tx *store.Tx, ch *change, bodies map[cases.ItemID]cases.Body) error {
		e := note(kind, ch, r.Reason)
		if head != nil {
			head(&e.Head, &ch.c.State)
		}
		ch.entries = []book.Entry{e}
		if kind == cases.Close {
			return takeNote(ctx, tx, ch, d.Now())
		}
		if kind == cases.Reopen && ch.side.Side == cases.SideOpener {
			if err := d.guardChange(ctx, tx, p, ch, kind); err != nil {
				return err
			}
			return d.renew(ctx, tx, ch, e.Head.Round, book.Fields(ch.c, bodies))
		}
		return nil
	}
	view, _, err := d.one(ctx, p, v, &change{requestID: r.RequestID, ref: r.Ref, hash: d.HashOf(r)})
	return view, err
}

// Withdraw takes a case back.
func (d *Desk) Withdraw(ctx context.Context, p access.Principal, r ChangeRequest) (CaseView, error) {
	return d.noted(ctx, p, r, cases.Withdraw, verb{method: "withdraw", fold: fold.VerbWithdraw, side: cases.SideOpener}, nil)
}

// Dispute sends an answer back once, with a reason (退回/存疑).
func (d *Desk) Dispute(ctx context.Context, p access.Principal, r ChangeRequest) (CaseView, error) {
	return d.noted(ctx, p, r, cases.Reopen, verb{method: "dispute", fold: fold.VerbDispute, side: cases.SideOpener}, func(h *cases.Head, s *fold.State) {
		h.Dispute, h.Round = true, s.Current.N+1
	})
}

// Close ends a case (注销).
func (d *Desk) Close(ctx context.Context, p access.Principal, r ChangeRequest) (CaseView, error) {
	return d.noted(ctx, p, r, cases.Close, verb{method: "close", fold: fold.VerbClose}, nil)
}

// Reopen begins a new round of a closed or withdrawn case (回档).
func (d *Desk) Reopen(ctx context.Context, p access.Principal, r ChangeRequest) (CaseView, error) {
	return d.noted(ctx, p, r, cases.Reopen, verb{method: "reopen", fold: fold.VerbReopen}, func(h *cases.Head, s *fold.State) {
		h.Round = s.Current.N + 1
	})
}
