package moves

import (
	"context"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/policy"
	"yipan/internal/seal"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// Names of requests.
const (
	methodRegister = "movement"
	methodAccept   = "accept"
	methodUndo     = "undo movement"
)

// work is a movement on its way, in one attempt of its transaction.
type work struct {
	p      access.Principal
	in     Input
	office area.Key
	pol    *policy.Policy
	event  ledger.EventKind
	// accepted is the received notice that the movement comes from; zero: none.
	accepted cases.CaseID

	person   cases.PersonID // the file itself, not one merged into it
	group    []cases.PersonID
	row      store.PersonRow
	key      *seal.DataKey
	rows     []store.MovementRow
	ms       []ledger.Movement // rows, and the new one once it fits
	m        ledger.Movement
	note     ledger.MovementNote
	resident bool            // registered at the office before the movement
	presence ledger.Presence // after it
	warnings []string
	followed []desk.Followed
	opened   []cases.CaseID
}

// Register registers one movement: the person found or registered, the movement,
// where the person is, the history, the cases that follow and the notice that
// arises, in one transaction.
func (m *Moves) Register(ctx context.Context, p access.Principal, in Input) (Result, error) {
	if err := m.Allow(ctx, p, access.MovementWrite, 0); err != nil {
		return Result{}, err
	}
	return m.register(ctx, p, in)
}

func (m *Moves) register(ctx context.Context, p access.Principal, in Input) (Result, error) {
	if err := usher.CheckRequestID(in.RequestID); err != nil {
		return Result{}, err
	}
	office, err := m.Office(ctx, p, access.MovementWrite, in.Office, "office")
	if err != nil {
		return Result{}, err
	}
	in.Office = office
	if err := m.check(&in, office); err != nil {
		return Result{}, err
	}
	pol, err := m.Policies.At(civil.In(m.Now()))
	if err != nil {
		return Result{}, err
	}
	req := store.Request{Account: p.ID, RequestID: in.RequestID, Office: office, Method: methodRegister, Hash: m.HashOf(in)}
	var out Result
	var w *work
	var miss error
	err = m.In(ctx, p, func(tx *store.Tx) error {
		w, out, miss = &work{p: p, in: in, office: office, pol: pol, event: ledger.EventMoved}, Result{}, nil
		if err := m.meet(ctx, tx, w); isMiss(err) {
			miss = people.NotFound().On("person_id")
			return tx.LogAccess(ctx, store.Access{Principal: p, Office: office, Verb: access.MovementWrite, Purpose: methodRegister})
		} else if err != nil {
			return err
		}
		old, err := tx.ClaimRequest(ctx, req)
		if err != nil {
			return err
		}
		if old != nil {
			out, err = m.repeated(ctx, tx, p, old)
			return err
		}
		if err := m.apply(ctx, tx, w); err != nil {
			return err
		}
		out = w.result()
		return tx.FinishRequest(ctx, p.ID, in.RequestID, w.m.ID[:])
	})
	if err == nil {
		err = miss
	}
	if err != nil {
		return Result{}, err
	}
	m.done(ctx, w)
	return out, nil
}

// done lets what the transaction caused leave.
func (m *Moves) done(ctx context.Context, w *work) {
	m.Desk.FollowedUp(ctx, w.followed)
	m.Desk.Opened(w.opened)
}

// meet finds the person that the request names by id; NotFound where the office
// has none that the caller sees.
func (m *Moves) meet(ctx context.Context, tx *store.Tx, w *work) error {
	if w.in.Person.IsZero() {
		return nil
	}
	root, err := m.People.Root(ctx, tx, w.in.Person)
	if err != nil {
		return err
	}
	w.person = root
	return m.load(ctx, tx, w)
}

// load locks the person's files and reads the one that counts and the movements
// of all.
func (m *Moves) load(ctx context.Context, tx *store.Tx, w *work) error {
	group, err := m.People.GroupOf(ctx, tx, w.person)
	if err != nil {
		return err
	}
	if err := m.Desk.LockCases(ctx, tx, group, w.office); err != nil {
		return err
	}
	rows, err := tx.LockPersonRows(ctx, group)
	if err != nil {
		return err
	}
	w.group, w.row = nil, store.PersonRow{}
	for i := range rows {
		if rows[i].Erased {
			continue
		}
		if w.group = append(w.group, rows[i].ID); rows[i].ID == w.person {
			w.row = rows[i]
		}
	}
	switch {
	case w.row.ID.IsZero() || w.row.Office != w.office:
		return people.NotFound()
	case !w.row.MergedInto.IsZero(): // meanwhile, which is seen when run again
		return fault.Conflict(store.ReasonDuplicate, "the file was merged by a concurrent request").Zh("请求正在处理，请稍后重试")
	case w.row.Restricted: // the notices that arise are as hidden as the person
		tx.HideSides(w.group...)
	}
	if w.key, err = m.Keys.Data().Unwrap(book.PersonKeyAAD(w.person), w.row.Key); err != nil {
		return err
	}
	if w.rows, err = tx.MovementsOf(ctx, w.group); err != nil {
		return err
	}
	w.ms = make([]ledger.Movement, len(w.rows))
	for i := range w.rows {
		w.ms[i] = w.rows[i].Movement
	}
	return nil
}

// enrol finds the person of a profile by the document, or registers one.
func (m *Moves) enrol(ctx context.Context, tx *store.Tx, w *work) error {
	f := w.in.Profile
	known, err := m.known(ctx, tx, w)
	if err != nil {
		return err
	}
	if !known.IsZero() {
		if w.person, err = m.People.Root(ctx, tx, known); err != nil {
			return err
		}
		if err := m.complete(ctx, tx, w); err != nil {
			return err
		}
		return m.load(ctx, tx, w)
	}
	if w.in.Kind == ledger.Identity {
		return fault.Invalid("PERSON_REQUIRED", "an identity change names nobody known").Zh("请用人员编号指明是谁的姓名或证件变更").On("person_id")
	}
	d, err := m.People.Draft(ctx, tx, w.p, w.office, *f, w.in.On)
	if err == nil {
		err = m.People.Enter(ctx, tx, d)
	}
	if err != nil {
		return err
	}
	id := d.Row.ID
	// Who was registered by somebody else meanwhile is found when run again.
	if known, err = m.known(ctx, tx, w); err != nil {
		return err
	} else if !known.IsZero() && known != id {
		return fault.Conflict(store.ReasonDuplicate, "the person was registered by a concurrent request").Zh("请求正在处理，请稍后重试")
	}
	w.person, w.warnings = id, append(w.warnings, d.Warnings...)
	hints, err := m.People.Propose(ctx, tx, w.office, id)
	if err != nil {
		return err
	}
	if len(hints) > 0 {
		w.warnings = append(w.warnings, warnNear)
	}
	// A notice that waited for this person is why none is sent (一方未建卡).
	if w.opened, err = m.Desk.PairWaiting(ctx, tx, w.p, w.office, id); err != nil {
		return err
	}
	// Nobody else sees the file yet, and nothing is there of it but its row.
	w.group, w.row, w.key = []cases.PersonID{id}, d.Row, d.Key
	return nil
}

const warnNear = "可能与本单位已有档案是同一人，请核对重复档案"

// complete takes from the profile what the file of a known person lacks, as that
// of somebody of whom only a notice or a consent told. What the file says, stays.
func (m *Moves) complete(ctx context.Context, tx *store.Tx, w *work) error {
	rows, err := tx.PersonsByID(ctx, []cases.PersonID{w.person})
	if err != nil {
		return err
	}
	if len(rows) > 0 && rows[0].Profile != nil && rows[0].Registered != 0 || w.in.Kind == ledger.Identity {
		w.warnings = append(w.warnings, "该证件已建档，按已有档案登记；资料有变的请修改档案")
		return nil
	}
	from := w.in.Profile
	warnings, err := m.People.Change(ctx, tx, w.p, w.person, ledger.EventEdited, w.in.On, "", func(f *ledger.Profile) error {
		for _, k := range []struct {
			to   *area.Key
			from area.Key
		}{{&f.Registered, from.Registered}, {&f.Managed, from.Managed}, {&f.Living, from.Living}} {
			if *k.to == 0 {
				*k.to = k.from
			}
		}
		if len(f.Contacts) == 0 {
			f.Contacts = slices.Clone(from.Contacts)
		}
		if f.Address == "" && f.Living == from.Living {
			f.Address = from.Address
		}
		return nil
	})
	w.warnings = append(w.warnings, warnings...)
	return err
}

// known finds the person of the profile by the document; zero: nobody, or there
// is no document.
func (m *Moves) known(ctx context.Context, tx *store.Tx, w *work) (cases.PersonID, error) {
	doc, err := documentOf(w.in.Profile)
	if err != nil || doc.Number == "" {
		return cases.PersonID{}, err
	}
	ids, _, err := m.People.Find(ctx, tx, []people.Ref{{Office: w.office, Doc: doc}})
	if err != nil {
		return cases.PersonID{}, err
	}
	return ids[0], nil
}

// apply does one movement of a person who was met, or is enrolled now.
func (m *Moves) apply(ctx context.Context, tx *store.Tx, w *work) error {
	if w.person.IsZero() {
		if err := m.enrol(ctx, tx, w); err != nil {
			return err
		}
	}
	if !isZero(w.in.Approval) {
		if i, err := m.pending(w); err != nil {
			return err
		} else if i >= 0 {
			return m.approved(ctx, tx, w, i)
		}
	}
	if err := m.fits(w); err != nil {
		return err
	}
	profile, err := m.move(ctx, tx, w)
	if err != nil {
		return err
	}
	late := superseded(w.ms, &w.m)
	if !late {
		ev := desk.FollowEvent{Office: w.office, Kind: w.m.Kind, Resident: w.resident, Name: profile.Name, Doc: profile.Current(), Sex: profile.Sex, Birth: profile.Birth}
		if w.followed, err = m.Desk.Follow(ctx, tx, w.p, w.group, ev); err != nil {
			return err
		}
		w.noteFollowed()
	}
	if err := m.notify(ctx, tx, w, profile, late); err != nil {
		return err
	}
	if err := m.keep(ctx, tx, w, true); err != nil {
		return err
	}
	if err := m.certificate(ctx, tx, w); err != nil {
		return err
	}
	return m.logWrite(ctx, tx, w)
}

// fits makes the movement and holds it against the file and the movements before.
func (m *Moves) fits(w *work) error {
	if !w.row.Birth.IsZero() && w.in.On.Before(w.row.Birth) {
		return fault.Invalid("EVENT_BEFORE_BIRTH", "event date lies before the birth date").Zh("发生日期早于出生日期").On("event_date")
	}
	m.build(w)
	if err := ledger.CheckMovement(w.office, w.row.Registered, w.ms, w.m); err != nil {
		return err
	}
	w.ms = append(w.ms, w.m)
	return nil
}

// certificate notes that the person asked for one when leaving.
func (m *Moves) certificate(ctx context.Context, tx *store.Tx, w *work) error {
	if w.in.CertificateAsked == nil {
		return nil
	}
	c := store.Certificate{ID: w.m.ID, Office: w.office, Person: w.person, AskedOn: *w.in.CertificateAsked}
	if w.in.CertificateIssued != nil {
		c.IssuedOn = *w.in.CertificateIssued
	}
	return tx.AddCertificates(ctx, []store.Certificate{c})
}

func (m *Moves) logWrite(ctx context.Context, tx *store.Tx, w *work) error {
	return tx.LogAccess(ctx, store.Access{Principal: w.p, Office: w.office, Verb: access.MovementWrite, Purpose: methodRegister, Subjects: [][16]byte{w.person}})
}

// keep writes the movement, new or with another note.
func (m *Moves) keep(ctx context.Context, tx *store.Tx, w *work, isNew bool) error {
	row, err := w.sealed()
	if err != nil {
		return err
	}
	if isNew {
		return tx.AddMovement(ctx, &row)
	}
	return tx.NoteMovement(ctx, w.m.ID, row.Sealed, w.m.UndoneAt)
}

// sealed is the movement with its note, as the ledger keeps it.
func (w *work) sealed() (store.MovementRow, error) {
	w.note.Warnings = w.warnings
	w.note.Fit()
	box, err := book.SealMovement(w.key, w.m.ID, &w.note)
	return store.MovementRow{Movement: w.m, Sealed: box}, err
}

func (w *work) noteFollowed() {
	for _, f := range w.followed {
		if f.Change != "" {
			w.note.Followed = append(w.note.Followed, ledger.NotedCase{Case: f.Case, Change: f.Change})
		}
		if f.Warning != "" {
			w.warnings = append(w.warnings, f.Warning)
		}
	}
}

func (w *work) result() Result { return resultOf(w.m, &w.note, w.warnings) }

func resultOf(m ledger.Movement, n *ledger.MovementNote, warnings []string) Result {
	r := Result{Movement: Movement{Movement: m, Case: n.Case, Stayed: n.Stayed}, Warnings: warnings, Cases: n.Followed}
	if n.Stayed == ledger.StayedApprovalNeeded {
		r.Approval = n.Approval
	}
	return r
}

// repeated answers a request that was done before: as its movement stands now.
func (m *Moves) repeated(ctx context.Context, tx *store.Tx, p access.Principal, result []byte) (Result, error) {
	gone := people.NotFound().On("person_id")
	if len(result) != 16 {
		return Result{}, gone
	}
	row, ok, err := tx.MovementByID(ctx, ledger.MovementID(result))
	if err != nil || !ok {
		if err == nil {
			err = gone
		}
		return Result{}, err
	}
	key, err := m.Book.PersonKey(ctx, tx, row.Person)
	if err != nil {
		return Result{}, err
	}
	n, err := book.OpenMovement(key, &row)
	if err != nil {
		return Result{}, err
	}
	out := resultOf(row.Movement, &n, n.Warnings)
	out.Repeated = true
	return out, tx.LogAccess(ctx, store.Access{Principal: p, Office: row.Office, Verb: access.MovementWrite, Purpose: methodRegister, Subjects: [][16]byte{row.Person}})
}
