package moves

import (
	"context"
	"slices"
	"time"
	"unicode/utf8"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/store"
	"yipan/internal/usher"
)

const maxReason = 200 // characters of why a movement is taken back

func noMovement() *fault.Error {
	return fault.NotFound("MOVEMENT_NOT_FOUND", "no such movement at an office of the caller").Zh("没有找到该流动记录，或您无权查看").On("movement_id")
}

// Undo takes a movement back that was registered by mistake: where the person is
// follows from the others, and the notice that it opened is withdrawn or closed.
func (m *Moves) Undo(ctx context.Context, p access.Principal, r Undo) (Result, error) {
	if err := m.Allow(ctx, p, access.MovementWrite, 0); err != nil {
		return Result{}, err
	}
	if err := usher.CheckRequestID(r.RequestID); err != nil {
		return Result{}, err
	}
	switch n := utf8.RuneCountInString(r.Reason); {
	case n == 0:
		return Result{}, fault.Invalid("REQUIRED", "reason is missing").Zh("请填写撤销的原因").On("reason")
	case n > maxReason:
		return Result{}, fault.Invalid("TEXT_LENGTH", "reason has more than %d characters", maxReason).Zh("原因最多 %d 字", maxReason).On("reason")
	}
	pol, err := m.Policies.At(civil.In(m.Now()))
	if err != nil {
		return Result{}, err
	}
	hash := m.HashOf(r)
	var out Result
	var w *work
	var miss error
	err = m.In(ctx, p, func(tx *store.Tx) error {
		w, out, miss = &work{p: p, pol: pol, event: ledger.EventMoved}, Result{}, nil
		row, found, err := tx.MovementByID(ctx, r.Movement)
		if err != nil {
			return err
		}
		if found = found && access.Can(p, access.MovementWrite, row.Office); found {
			w.office = row.Office
			if w.person, err = m.People.Root(ctx, tx, row.Person); err == nil {
				err = m.load(ctx, tx, w)
			}
			found = !isMiss(err)
			if found && err != nil {
				return err
			}
		}
		if !found {
			miss = noMovement()
			return m.logMiss(ctx, tx, p, access.MovementWrite, methodUndo)
		}
		old, err := tx.ClaimRequest(ctx, store.Request{Account: p.ID, RequestID: r.RequestID, Office: row.Office, Method: methodUndo, Hash: hash})
		if err != nil {
			return err
		}
		if old != nil {
			out, err = m.repeated(ctx, tx, p, old)
			return err
		}
		if err := m.undo(ctx, tx, w, r); err != nil {
			return err
		}
		out = w.result()
		return tx.FinishRequest(ctx, p.ID, r.RequestID, w.m.ID[:])
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

func (m *Moves) undo(ctx context.Context, tx *store.Tx, w *work, r Undo) error {
	var row *store.MovementRow
	for i := range w.rows { // as it is under the lock
		if w.rows[i].ID == r.Movement {
			row = &w.rows[i]
		}
	}
	switch {
	case row == nil:
		return noMovement()
	case !row.UndoneAt.IsZero():
		return fault.Conflict("ALREADY_UNDONE", "the movement was taken back before").Zh("该流动记录已经撤销").On("movement_id")
	case row.Kind == ledger.Identity:
		return fault.Conflict("IDENTITY_STANDS", "an identity change is not taken back").Zh("姓名或证件变更不能撤销；登记有误的，请再登记一次变更").On("movement_id")
	}
	key, err := m.Book.PersonKey(ctx, tx, row.Person)
	if err != nil {
		return err
	}
	if w.note, err = book.OpenMovement(key, row); err != nil {
		return err
	}
	w.m = row.Movement
	rest := make([]ledger.Movement, 0, len(w.ms))
	for _, o := range w.ms {
		if o.ID != row.ID {
			rest = append(rest, o)
		}
	}
	before, registered := w.row.Registered, w.row.Registered
	if row.Kind == ledger.Transfer {
		if registered = registeredAfter(row.From, rest); registered == 0 {
			registered = before
		}
	}
	if err := ledger.CheckUndo(w.office, before, registered, w.ms, row.ID); err != nil {
		return err
	}
	w.ms = rest
	w.m.UndoneAt = m.Now().Truncate(time.Millisecond)
	presence, living, since := ledger.Places(w.office, registered, rest)
	if presence == ledger.Unknown { // back to what the file said before
		presence, living, since = filed(w.office, registered, row.Movement, w.row)
	}
	warnings, err := m.People.Change(ctx, tx, w.p, w.person, w.event, w.m.On, "撤销"+w.m.Kind.Zh(), func(f *ledger.Profile) error {
		f.Registered = registered
		settle(f, living)
		return nil
	})
	if err != nil {
		return err
	}
	w.warnings = warnings
	if err := tx.SetPresence(ctx, w.person, presence, living, since); err != nil {
		return err
	}
	if slices.ContainsFunc(w.note.Followed, func(c ledger.NotedCase) bool {
		return c.Change == desk.FollowWithdrawn || c.Change == desk.FollowClosed
	}) {
		w.warnings = append(w.warnings, "随该次登记撤回或注销的案件不会自动恢复；仍需要的，请在案件中“回档”")
	}
	w.note.Undone, w.note.UndoneBy, w.note.Followed = r.Reason, w.p.ID, nil
	if !w.note.Case.IsZero() {
		ev := desk.FollowEvent{Office: w.office, Kind: row.Kind, Only: []cases.CaseID{w.note.Case}}
		if w.followed, err = m.Desk.Follow(ctx, tx, w.p, w.group, ev); err != nil {
			return err
		}
		w.noteFollowed()
	}
	w.key = key
	if err := m.keep(ctx, tx, w, false); err != nil {
		return err
	}
	return tx.LogAccess(ctx, store.Access{Principal: w.p, Office: w.office, Verb: access.MovementWrite, Purpose: methodUndo, Subjects: [][16]byte{w.person}})
}

// filed is where a person is whose only movement m is taken back: where m says
// that the person came from, at home where that is here.
func filed(office, registered area.Key, m ledger.Movement, row store.PersonRow) (ledger.Presence, area.Key, civil.Date) {
	living := row.Living
	if m.Kind <= ledger.Return || m.Kind == ledger.Death {
		living = m.From
	}
	if living != 0 && living.Within(office) && registered.Within(office) {
		return ledger.Here, living, civil.Date{}
	}
	return ledger.Unknown, living, civil.Date{}
}

// List returns the movements of a person and of the files merged into it, undone
// ones too, in order of event.
func (m *Moves) List(ctx context.Context, p access.Principal, person cases.PersonID, purpose string) ([]Movement, error) {
	if err := m.Allow(ctx, p, access.MovementRead, 0); err != nil {
		return nil, err
	}
	var out []Movement
	var miss error
	err := m.In(ctx, p, func(tx *store.Tx) error {
		out, miss = nil, nil
		root, err := m.People.Root(ctx, tx, person)
		var rows []store.PersonRow
		if err == nil {
			rows, err = tx.PersonsByID(ctx, []cases.PersonID{root})
		}
		if err != nil && !isMiss(err) {
			return err
		}
		if len(rows) == 0 || rows[0].Erased || !access.Can(p, access.MovementRead, rows[0].Office) {
			miss = people.NotFound().On("person_id")
			return m.logMiss(ctx, tx, p, access.MovementRead, purpose)
		}
		if out, err = m.list(ctx, tx, root); err != nil {
			return err
		}
		return tx.LogAccess(ctx, store.Access{Principal: p, Office: rows[0].Office, Verb: access.MovementRead, Purpose: purpose, Subjects: [][16]byte{root}})
	})
	if err == nil {
		err = miss
	}
	return out, err
}

func (m *Moves) list(ctx context.Context, tx *store.Tx, root cases.PersonID) ([]Movement, error) {
	group, err := m.People.Group(ctx, tx, root)
	if err != nil {
		return nil, err
	}
	ms, err := tx.MovementsOf(ctx, group)
	if err != nil || len(ms) == 0 {
		return nil, err
	}
	wrapped, err := tx.PersonKeys(ctx, group)
	if err != nil {
		return nil, err
	}
	var out []Movement
	for i := range ms {
		row := &ms[i]
		if wrapped[row.Person] == nil {
			continue
		}
		key, err := m.Keys.Data().Unwrap(book.PersonKeyAAD(row.Person), wrapped[row.Person])
		if err != nil {
			return nil, err
		}
		n, err := book.OpenMovement(key, row)
		if err != nil {
			return nil, err
		}
		out = append(out, Movement{Movement: row.Movement, Case: n.Case, Stayed: n.Stayed})
	}
	return out, nil
}
