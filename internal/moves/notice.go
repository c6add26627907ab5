package moves

import (
	"context"
	"strings"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// due is the notice that a movement calls for: kind 0, none. stayed says what is
// missing for it.
func (w *work) due() (kind cases.Kind, to area.Key, stayed string) {
	known := func(k area.Key) area.Key {
		if k != 0 && k.Level() >= area.Prefecture {
			return k.Cut(area.Township)
		}
		return 0
	}
	switch w.m.Kind {
	case ledger.Leave, ledger.MoveOn:
		if !w.resident { // the residence has nothing new to say to the origin
			return 0, 0, ""
		}
		if to = known(w.m.To); to == 0 {
			stayed = ledger.StayedNoDestination
		}
		return cases.Outflow, to, stayed
	case ledger.Arrive:
		if w.resident {
			return 0, 0, ""
		}
		to = w.row.Registered
	case ledger.Transfer:
		if w.presence != ledger.Inflow {
			return 0, 0, ""
		}
		to = w.m.To
	default:
		return 0, 0, ""
	}
	if to = known(to); to == 0 {
		stayed = ledger.StayedNoRegistered
	}
	return cases.Inflow, to, stayed
}

// wants is the notice that a movement calls for, as far as the cases that stand
// do not say otherwise.
func (m *Moves) wants(w *work, late bool) (kind cases.Kind, to area.Key, stayed string) {
	kind, to, stayed = w.due()
	switch {
	case kind == 0:
	case w.in.Objects:
		stayed = ledger.StayedObjected
	case !w.accepted.IsZero():
		stayed = ledger.StayedNoticeExists
	case late:
		stayed = ledger.StayedSuperseded
	case stayed == "" && !w.pol.Moved(w.office, to):
		stayed = ledger.StayedNoMovement
	}
	return kind, to, stayed
}

// notify opens the notice that the movement calls for, or notes why it stays
// here. What is wrong with the notice itself refuses the movement.
func (m *Moves) notify(ctx context.Context, tx *store.Tx, w *work, profile ledger.Profile, late bool) error {
	kind, to, stayed := m.wants(w, late)
	if kind == 0 {
		return nil
	}
	var err error
	if stayed == "" {
		var other cases.CaseID
		if other, err = m.Desk.NoticeBetween(ctx, tx, w.group, w.office, to, earlierThan(w.ms, &w.m)); err != nil {
			return err
		}
		switch {
		case !other.IsZero():
			stayed = ledger.StayedNoticeExists
		case w.in.Basis.Kind == cases.BasisNone:
			stayed = ledger.StayedNoBasis
		default:
			stayed, err = m.open(ctx, tx, w, kind, to, profile)
		}
	}
	if err == nil {
		w.stays(stayed)
	}
	return err
}

// stays notes why no notice left; empty: one did.
func (w *work) stays(why string) {
	if w.note.Stayed = why; why != "" {
		w.warnings = append(w.warnings, ledger.StayedZh(why))
	}
}

// opening is the request for the notice of a movement.
func (w *work) opening(kind cases.Kind, to area.Key, f *ledger.Profile) desk.OpenRequest {
	return desk.OpenRequest{
		RequestID: "move-" + w.m.ID.String(), Kind: kind, Origin: w.office, Destination: to, Person: w.person,
		Fields: fieldsOf(f, w), Approval: w.in.Approval,
	}
}

// open opens the notice; stayed says why it may not leave.
func (m *Moves) open(ctx context.Context, tx *store.Tx, w *work, kind cases.Kind, to area.Key, f ledger.Profile) (stayed string, err error) {
	id, warnings, err := m.Desk.OpenIn(ctx, tx, w.p, w.opening(kind, to, &f))
	if x, ok := fault.As(err); ok && x.Reason == "APPROVAL_REQUIRED" {
		if !isZero(w.in.Approval) {
			return "", err // the approval does not fit, or has not been given
		}
		w.note.Approval, err = m.Desk.AskApproval(ctx, tx, w.p, w.office, w.person, to)
		return ledger.StayedApprovalNeeded, err
	}
	return w.opens(id, warnings, err)
}

// opens notes the notice that was opened; stayed says why it may not leave.
func (w *work) opens(id cases.CaseID, warnings []string, err error) (stayed string, _ error) {
	if x, ok := fault.As(err); ok {
		switch x.Reason {
		case "NO_MOVEMENT":
			return ledger.StayedNoMovement, nil
		case "NOTICE_OPEN":
			return ledger.StayedNoticeExists, nil
		case "ORIGIN_NOT_SERVED":
			return ledger.StayedElsewhere, nil
		}
	}
	if err != nil {
		return "", onMovement(err)
	}
	w.warnings = append(w.warnings, warnings...)
	w.opened = append(w.opened, id)
	w.note.Case, w.note.BasisKind, w.note.Consent, w.note.Duty, w.note.Confirm = id, w.in.Basis.Kind, w.in.Basis.Consent, w.in.Basis.Duty, w.in.Confirm
	w.note.Followed = append(w.note.Followed, ledger.NotedCase{Case: id, Change: desk.FollowOpened})
	return "", nil
}

// fieldsOf is what travels of a file: the least that serves (DOMAIN section 2).
func fieldsOf(f *ledger.Profile, w *work) desk.FieldsInput {
	in := desk.FieldsInput{Name: f.Name, Sex: f.Sex, EventDay: w.m.On, Basis: w.in.Basis, Confirm: w.in.Confirm}
	if !f.Birth.IsZero() {
		b := f.Birth
		in.Birth = &b
	}
	for i := range f.Documents {
		if d := &f.Documents[i]; !d.Former && d.Kind != ident.KindNone {
			in.Document, in.DocumentConfirmed = d.Number, d.Confirmed
			break
		}
	}
	for _, c := range f.Contacts {
		if c.Preference != "none" && c.Kind == ledger.ContactPhone {
			in.Contact, in.ContactSafe = c.Value, c.Safe
			break
		}
	}
	return in
}

// onMovement names the field of an error of opening as the request does.
func onMovement(err error) error {
	f, ok := fault.As(err)
	if !ok || f.Field == "" {
		return err
	}
	field := strings.TrimPrefix(f.Field, "fields.")
	switch {
	case field == "destination":
		field = "to"
	case field == "origin":
		field = "office"
	case field == "basis", strings.HasPrefix(field, "basis."), field == "confirm_consent_id", field == "event_date", field == "approval_id":
	default:
		field = "profile." + field
	}
	return usher.OnField(err, field)
}

// pending finds the movement whose notice waits for the approval that the
// request brings; -1: none.
func (m *Moves) pending(w *work) (int, error) {
	for i := range w.rows {
		r := &w.rows[i]
		if r.Kind != w.in.Kind || r.On != w.in.On || !r.UndoneAt.IsZero() || r.Person != w.person {
			continue
		}
		n, err := book.OpenMovement(w.key, r)
		if err != nil {
			return -1, err
		}
		if n.Stayed == ledger.StayedApprovalNeeded && n.Approval == w.in.Approval && n.Case.IsZero() {
			return i, nil
		}
	}
	return -1, nil
}

// approved opens the notice of a movement that stands and waited for a second
// user.
func (m *Moves) approved(ctx context.Context, tx *store.Tx, w *work, i int) error {
	w.m = w.rows[i].Movement
	if w.in.To != 0 && w.in.To != w.m.To {
		return fault.Conflict("APPROVAL_OTHER", "the approval is about another destination").Zh("该审批对应的是另一去向，请核对").On("to")
	}
	var err error
	if w.note, err = book.OpenMovement(w.key, &w.rows[i]); err != nil {
		return err
	}
	w.resident = w.row.Registered != 0 && w.row.Registered.Within(w.office)
	profile, _, err := m.People.ProfileOf(ctx, tx, w.person)
	if err != nil {
		return err
	}
	w.note.Stayed, w.presence = "", w.row.Presence
	if err := m.notify(ctx, tx, w, profile, superseded(w.ms, &w.m)); err != nil {
		return err
	}
	if err := m.keep(ctx, tx, w, false); err != nil {
		return err
	}
	return m.logWrite(ctx, tx, w)
}
