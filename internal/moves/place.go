package moves

import (
	"context"
	"time"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/store"
)

// build makes the movement, its places filled in from the file where they are
// known.
func (m *Moves) build(w *work) {
	in, row := &w.in, &w.row
	w.resident = row.Registered != 0 && row.Registered.Within(w.office)
	w.m = ledger.Movement{
		ID: randomID(), Office: w.office, Person: w.person, Kind: in.Kind, From: in.From, To: in.To, On: in.On,
		RecordedAt: m.Now().Truncate(time.Millisecond), Account: w.p.ID,
	}
	from, to := row.Living, area.Key(0)
	switch in.Kind {
	case ledger.Leave:
		if from == 0 || !from.Within(w.office) {
			from = row.Registered
		}
	case ledger.Arrive:
		if from == 0 || from.Within(w.office) {
			from = row.Registered
		}
		if from.Within(w.office) {
			from = 0
		}
		if to = row.Living; to == 0 || !to.Within(w.office) {
			to = w.office
		}
	case ledger.Return:
		if to = row.Registered; to == 0 && w.resident {
			to = w.office
		}
	case ledger.Transfer:
		from = row.Registered
	case ledger.Identity:
		from = 0
	}
	if w.m.From == 0 {
		w.m.From = from
	}
	if w.m.To == 0 {
		w.m.To = to
	}
	x, y := w.m.From, w.m.To
	if in.Kind == ledger.Arrive || in.Kind == ledger.MoveOn {
		x, y = w.office, row.Registered
	}
	w.m.DueOn = dueOn(in.Kind, in.On, x, y, w.pol)
}

// A step is what a movement changes of a file, and where the person is then.
type step struct {
	event  ledger.EventKind
	living area.Key
	since  civil.Date
	edit   func(*ledger.Profile) error
}

func (w *work) step() step {
	registered := registeredAfter(w.row.Registered, w.ms)
	s := step{event: w.event}
	s.living, s.since = w.places(registered)
	if w.m.Kind == ledger.Death {
		s.event = ledger.EventDied
	}
	s.edit = func(f *ledger.Profile) error {
		if w.m.Kind == ledger.Identity {
			return rename(f, w.in.Profile)
		}
		f.Registered = registered
		settle(f, s.living)
		return nil
	}
	return s
}

// move writes what the movement changes of the file and where the person is,
// and returns the profile as it is then.
func (m *Moves) move(ctx context.Context, tx *store.Tx, w *work) (ledger.Profile, error) {
	s := w.step()
	row := w.row // which stays as it was before the movement
	f, warnings, err := m.People.ChangeRow(ctx, tx, w.p, &row, w.key, s.event, w.m.On, w.m.Kind.Zh(), s.edit)
	if err != nil {
		return f, err
	}
	w.warnings = append(w.warnings, warnings...)
	return f, tx.SetPresence(ctx, w.person, w.presence, s.living, s.since)
}

// settle puts a place of living into a file; one that is known to no more than a
// county or city stands in the row alone, where SetPresence puts it.
func settle(f *ledger.Profile, living area.Key) {
	if f.Living == living {
		return
	}
	f.Living, f.Address = 0, ""
	if living.Level() >= area.Township {
		f.Living = living
	}
}

// places is where the person is after the movements. What no movement of place
// says, the file does.
func (w *work) places(registered area.Key) (living area.Key, since civil.Date) {
	w.presence, living, since = ledger.Places(w.office, registered, w.ms)
	if w.presence != ledger.Unknown {
		return living, since
	}
	w.presence, living, since = w.row.Presence, w.row.Living, w.row.Since
	if w.m.Kind == ledger.Transfer {
		if p := ledger.Transferred(w.presence, registered.Within(w.office)); p != w.presence {
			w.presence, since = p, w.m.On
		}
	}
	return living, since
}

// rename replaces name and document by the new ones and keeps the old as former.
func rename(f *ledger.Profile, to *ledger.Profile) error {
	if to == nil {
		return fault.Invalid("REQUIRED", "what changed is missing").Zh("请填写新的姓名或证件").On("profile")
	}
	did := false
	if to.Name != "" && to.Name != f.Name {
		if f.Name != "" {
			f.FormerNames = append(f.FormerNames, f.Name)
		}
		f.Name, did = to.Name, true
	}
	doc, err := documentOf(to)
	if err != nil {
		return err
	}
	if doc.Number != "" && doc.Number != f.Current().Number {
		for i := range f.Documents {
			f.Documents[i].Former = true
		}
		f.Documents, did = append([]ledger.Document{typedOf(to)}, f.Documents...), true
	}
	if !to.Birth.IsZero() && to.Birth != f.Birth {
		f.Birth, did = to.Birth, true
	}
	if to.Sex != 0 && to.Sex != f.Sex {
		f.Sex, did = to.Sex, true
	}
	if !did {
		return fault.Invalid("IDENTITY_UNCHANGED", "nothing differs from the file").Zh("姓名和证件都与档案相同，没有变更").On("profile")
	}
	return nil
}

// typedOf is the document of a profile that documentOf reads.
func typedOf(f *ledger.Profile) ledger.Document {
	for _, d := range f.Documents {
		if !d.Former && d.Kind != ident.KindNone {
			return d
		}
	}
	return ledger.Document{}
}
