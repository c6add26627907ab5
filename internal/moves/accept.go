package moves

import (
	"context"
	"slices"
	"strings"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// notice is a received notice as an office of the caller holds it.
type notice struct {
	side   store.Side
	c      *book.Case
	fields *cases.Fields
}

// received finds the received notice id of an office where p may do v; NotFound
// where there is none.
func (m *Moves) received(ctx context.Context, tx *store.Tx, p access.Principal, v access.Verb, id cases.CaseID) (*notice, error) {
	sides, err := tx.SidesOf(ctx, []cases.CaseID{id})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(sides, func(s store.Side) bool { return s.Side == cases.SideReceiver && access.Can(p, v, s.Office) })
	if i < 0 {
		if slices.ContainsFunc(sides, func(s store.Side) bool { return access.Can(p, v, s.Office) }) {
			return nil, fault.Conflict("OWN_NOTICE", "case %s was opened by the caller's office", id).Zh("这是本单位发出的案件，只有收到的通报才能转入台帐").On("case_id")
		}
		return nil, book.NotHeld(id)
	}
	n := &notice{side: sides[i]}
	if k := n.side.Kind; k != cases.Outflow && k != cases.Inflow {
		return nil, fault.Conflict("NOT_A_NOTICE", "case %s is of kind %s", id, k).Zh("只有流出通报和流入通报才能转入台帐").On("case_id")
	}
	cs, err := m.Book.Read(ctx, tx, []cases.CaseID{id})
	if err != nil {
		return nil, err
	}
	if n.c = cs[id]; n.c == nil || !n.c.State.Exists() {
		return nil, book.NotHeld(id)
	}
	bodies, err := m.Book.Bodies(ctx, tx, n.c, n.c.State.Fields)
	if err != nil {
		return nil, err
	}
	if n.fields = book.Fields(n.c, bodies); n.fields == nil || !n.side.ErasedAt.IsZero() {
		return nil, fault.Conflict("ERASED", "fields of case %s are erased", id).Zh("该案件的人员信息已删除，不能转入台帐").On("case_id")
	}
	if s := n.side.Status; s != cases.StatusOpen && s != cases.StatusAnswered {
		return nil, fault.Conflict("STATE_FORBIDS", "case %s is %s: it cannot be accepted", id, s).Zh("案件已改派、撤回或注销，不能转入台帐").On("case_id")
	}
	return n, nil
}

// prefill is what accepting the notice registers: the arrival of whom an origin
// announced, the departure of whom a residence did.
func (n *notice) prefill(row *store.PersonRow) Input {
	f, office, other := n.fields, n.side.Office, n.c.X
	p := &ledger.Profile{Name: f.Name, Sex: f.Sex, Birth: f.Birth}
	if f.DocumentNumber != "" {
		d := ledger.Document{Kind: ident.Kind(f.DocumentKind), Number: f.DocumentNumber}
		if _, notes, err := ident.Parse(d.Kind, d.Number); err == nil {
			for _, w := range notes {
				if w.Code == ident.WarnCheckDigit {
					d.Confirmed = "通报单位已确认"
				}
			}
		}
		p.Documents = []ledger.Document{d}
	}
	if f.Contact != "" {
		p.Contacts = []ledger.Contact{{Kind: ledger.ContactPhone, Value: f.Contact, Safe: f.ContactSafe, Preference: "any"}}
	}
	in := Input{Office: office, Person: n.side.Person, Profile: p, Kind: ledger.Arrive, From: other, To: office, On: f.EventDay}
	p.Registered, p.Living = other, office
	if n.side.Kind == cases.Inflow {
		in.Kind, in.From, in.To = ledger.Leave, office, other
		p.Registered, p.Living = office, other
		if row != nil && row.Presence == ledger.Outflow {
			in.Kind, in.From = ledger.MoveOn, row.Living
		}
	}
	return in
}

// Prefill shows what accepting a received notice would register. It shows the
// notice's fields, so that it is an unmasking.
func (m *Moves) Prefill(ctx context.Context, p access.Principal, id cases.CaseID, purpose string) (Prefill, error) {
	if err := m.Allow(ctx, p, access.CaseUnmask, 0); err != nil {
		return Prefill{}, err
	}
	var out Prefill
	var miss error
	err := m.In(ctx, p, func(tx *store.Tx) error {
		out, miss = Prefill{}, nil
		n, err := m.received(ctx, tx, p, access.CaseUnmask, id)
		if isMiss(err) {
			miss = err
			return m.logMiss(ctx, tx, p, access.CaseUnmask, purpose)
		} else if err != nil {
			return err
		}
		var row *store.PersonRow
		subjects := [][16]byte{n.side.Case}
		if who := n.side.Person; !who.IsZero() {
			rows, err := tx.PersonsByID(ctx, []cases.PersonID{who})
			if err != nil {
				return err
			}
			if len(rows) > 0 {
				row, subjects = &rows[0], [][16]byte{who}
			}
		}
		out = Prefill{Movement: n.prefill(row), Person: n.side.Person}
		return tx.LogAccess(ctx, store.Access{Principal: p, Office: n.side.Office, Verb: access.CaseUnmask, Purpose: purpose, Subjects: subjects})
	})
	if err == nil {
		err = miss
	}
	return out, err
}

func (m *Moves) logMiss(ctx context.Context, tx *store.Tx, p access.Principal, v access.Verb, purpose string) error {
	var office area.Key
	if len(p.Offices) > 0 {
		office = p.Offices[0]
	}
	return tx.LogAccess(ctx, store.Access{Principal: p, Office: office, Verb: v, Purpose: purpose})
}

// Accept accepts a received notice into the ledger: the person is the one that it
// is paired with, else found by the document or registered; the arrival or the
// departure is registered where the ledger does not have it yet; and the notice
// is paired. No other notice arises.
func (m *Moves) Accept(ctx context.Context, p access.Principal, r Accept) (Accepted, error) {
	for _, v := range []access.Verb{access.MovementWrite, access.CasePair} {
		if err := m.Allow(ctx, p, v, 0); err != nil {
			return Accepted{}, err
		}
	}
	if err := usher.CheckRequestID(r.RequestID); err != nil {
		return Accepted{}, err
	}
	if r.Ref.Etag == "" {
		return Accepted{}, fault.Invalid("ETAG_REQUIRED", "no etag is given").Zh("缺少版本标识，请先打开案件再操作").On("etag")
	}
	pol, err := m.Policies.At(civil.In(m.Now()))
	if err != nil {
		return Accepted{}, err
	}
	hash := m.HashOf(r)
	var out Accepted
	var w *work
	var miss error
	err = m.In(ctx, p, func(tx *store.Tx) error {
		w, out, miss = &work{p: p, pol: pol, event: ledger.EventAccepted}, Accepted{}, nil
		n, err := m.received(ctx, tx, p, access.MovementWrite, r.Ref.Case)
		if isMiss(err) {
			miss = err
			return m.logMiss(ctx, tx, p, access.MovementWrite, methodAccept)
		} else if err != nil {
			return err
		}
		old, err := tx.ClaimRequest(ctx, store.Request{Account: p.ID, RequestID: r.RequestID, Office: n.side.Office, Method: methodAccept, Hash: hash})
		if err != nil {
			return err
		}
		if old != nil {
			out.Etag = book.Etag(n.side.Version, n.side.Rev)
			out.Result, err = m.repeated(ctx, tx, p, old)
			return err
		}
		if err := m.accept(ctx, tx, w, n, r); err != nil {
			return err
		}
		out.Result = w.result()
		if out.Etag, err = m.pair(ctx, tx, w, n, r.Ref.Etag); err != nil {
			return err
		}
		return tx.FinishRequest(ctx, p.ID, r.RequestID, w.m.ID[:])
	})
	if err == nil {
		err = miss
	}
	if err != nil {
		return Accepted{}, err
	}
	m.done(ctx, w)
	m.Desk.Opened([]cases.CaseID{r.Ref.Case})
	return out, nil
}

// accept registers what the notice tells, unless the ledger has it already.
func (m *Moves) accept(ctx context.Context, tx *store.Tx, w *work, n *notice, r Accept) error {
	w.office, w.accepted = n.side.Office, n.side.Case
	if r.Movement != nil {
		w.in = *r.Movement
	}
	w.in.Office = w.office
	if w.in.Person.IsZero() {
		w.in.Person = n.side.Person
	}
	if w.in.Profile == nil {
		w.in.Profile = n.prefill(nil).Profile
	}
	if w.in.On.IsZero() {
		w.in.On = n.fields.EventDay
	}
	if err := m.meet(ctx, tx, w); err != nil {
		return usher.OnField(err, "movement.person_id")
	}
	if paired := n.side.Person; !paired.IsZero() && !slices.Contains(w.group, paired) {
		return fault.Conflict("ALREADY_PAIRED", "case %s is paired with another person", n.side.Case).Zh("该通报已与另一人配对，请先撤销配对").On("movement.person_id")
	}
	if w.person.IsZero() {
		if err := m.enrol(ctx, tx, w); err != nil {
			return onAccept(err)
		}
	}
	if m.stands(w, n) {
		w.warnings = append(w.warnings, "台帐中已有此人的这次流动，本次只作配对")
		w.note.Stayed = ""
		return m.logWrite(ctx, tx, w)
	}
	fill(&w.in, n.prefill(&w.row))
	if err := m.checkAccepted(w, n); err != nil {
		return onAccept(err)
	}
	return onAccept(m.apply(ctx, tx, w))
}

// fill takes from the prefilled movement what the clerk left empty.
func fill(in *Input, from Input) {
	if in.Kind == 0 {
		in.Kind = from.Kind
	}
	if in.Kind == from.Kind {
		if in.From == 0 {
			in.From = from.From
		}
		if in.To == 0 {
			in.To = from.To
		}
	}
}

func onAccept(err error) error {
	if f, ok := fault.As(err); ok && f.Field != "" {
		return usher.OnField(err, "movement."+f.Field)
	}
	return err
}

// checkAccepted holds the movement to the notice: the kind that it announces, and
// departed ≤ arrived.
func (m *Moves) checkAccepted(w *work, n *notice) error {
	in, other := &w.in, n.fields.EventDay
	wrong := fault.Invalid("MOVEMENT_KIND", "a notice %s is not accepted as a movement %s", n.side.Kind, in.Kind).On("kind")
	switch {
	case n.side.Kind == cases.Outflow && in.Kind != ledger.Arrive && in.Kind != ledger.Return:
		return wrong.Zh("流出通报应登记为“流入”")
	case n.side.Kind == cases.Inflow && in.Kind != ledger.Leave && in.Kind != ledger.MoveOn:
		return wrong.Zh("流入通报应登记为“流出”；已在外的登记为“再流动”")
	case n.side.Kind == cases.Outflow && in.On.Before(other):
		return fault.Invalid("ARRIVED_BEFORE_LEFT", "arrival lies before the departure of the notice").Zh("到达日期早于通报中的离开日期（%s），请核对", other).On("event_date")
	case n.side.Kind == cases.Inflow && in.On.After(other):
		return fault.Invalid("LEFT_AFTER_ARRIVED", "departure lies after the arrival of the notice").Zh("离开日期晚于通报中的到达日期（%s），请核对", other).On("event_date")
	}
	return m.check(in, w.office)
}

// stands reports whether the ledger says already what the notice tells, and takes
// the movement that says it as the result.
func (m *Moves) stands(w *work, n *notice) bool {
	x := n.c.X
	here := n.side.Kind == cases.Outflow && w.row.Presence.LivesHere()
	there := n.side.Kind == cases.Inflow && w.row.Presence == ledger.Outflow && w.row.Living != 0 && (w.row.Living.Within(x) || x.Within(w.row.Living))
	if !here && !there {
		return false
	}
	for i := range w.rows {
		if o := &w.rows[i].Movement; o.UndoneAt.IsZero() && o.Kind <= ledger.Return && !o.On.Before(w.m.On) {
			w.m = *o
		}
	}
	return true
}

// pair pairs the notice with the person, if it stands as the caller saw it, and
// returns its new etag.
func (m *Moves) pair(ctx context.Context, tx *store.Tx, w *work, n *notice, etag string) (string, error) {
	id := n.side.Case
	if _, err := m.Book.Load(ctx, tx, []cases.CaseID{id}); err != nil {
		return "", err
	}
	now := func() (store.Side, error) {
		sides, err := tx.SidesOf(ctx, []cases.CaseID{id})
		if err != nil {
			return store.Side{}, err
		}
		i := slices.IndexFunc(sides, func(s store.Side) bool { return s.Office == w.office && s.Side == cases.SideReceiver })
		if i < 0 {
			return store.Side{}, book.NotHeld(id)
		}
		return sides[i], nil
	}
	s, err := now()
	if err != nil {
		return "", err
	}
	if !w.seen(&s, etag) {
		return "", fault.Conflict("ETAG_STALE", "case %s changed since it was shown", id).Zh("案件内容已变化，请刷新后再操作").On("etag")
	}
	if !slices.Contains(w.group, s.Person) {
		if err := m.Desk.PairIn(ctx, tx, w.p, id, w.person); err != nil {
			return "", err
		}
		if s, err = now(); err != nil {
			return "", err
		}
	}
	return book.Etag(s.Version, s.Rev), nil
}

// seen reports whether the caller saw the case as it stands. That it was paired
// since, with the very person, changes nothing about the acceptance.
func (w *work) seen(s *store.Side, etag string) bool {
	now := book.Etag(s.Version, s.Rev)
	if now == etag {
		return true
	}
	version, _, _ := strings.Cut(now, "-")
	was, _, _ := strings.Cut(etag, "-")
	return version == was && slices.Contains(w.group, s.Person)
}
