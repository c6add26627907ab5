package desk

import (
	"context"
	"encoding/json"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/directory"
	"yipan/internal/policy"
	"yipan/internal/store"
)

const (
	// sweep is how many cases one transaction of a sweep reads.
	sweep = 500
	// roundsNote is the note of which offer rounds ended here, and on which day
	// that was last looked at.
	roundsNote = "offer-rounds-ended"
	// lookAgain is how many days an ended round is looked at once a day: after a
	// restore its cases come back only by statements.
	lookAgain = 40
)

// EndRounds ends the offer rounds of policies whose end has come, and returns
// how many drafts of FEEDBACK that made. Several replicas may do it at once.
func (d *Desk) EndRounds(ctx context.Context, policies *policy.Set) (n int64, err error) {
	now := d.Now()
	ended := policies.RoundsEnded(time.Time{}, now)
	if len(ended) == 0 {
		return 0, nil
	}
	looked := map[policy.RoundNumber]civil.Date{}
	note, err := d.DB.Note(ctx, roundsNote)
	if err != nil {
		return 0, err
	}
	if note != "" {
		if json.Unmarshal([]byte(note), &looked) != nil {
			looked = map[policy.RoundNumber]civil.Date{} // looking again is harmless
		}
	}
	today := civil.In(now)
	for _, r := range ended {
		last := looked[r.Number]
		if !last.IsZero() && (last == today || civil.In(r.Ends).AddDays(lookAgain).Before(today)) {
			continue
		}
		drafts, err := d.EndRound(ctx, r)
		if n += drafts; err != nil {
			return n, err
		}
		looked[r.Number] = today
		b, err := json.Marshal(looked)
		if err != nil {
			return n, err
		}
		if err := d.DB.PutNote(ctx, roundsNote, string(b)); err != nil {
			return n, err
		}
	}
	return n, nil
}

// EndRound ends an offer round at this node: each case whose residence was
// disclosed before its end gets the draft of a FEEDBACK, whatever was offered
// (model rule M11). Doing it again adds nothing.
func (d *Desk) EndRound(ctx context.Context, r policy.Round) (n int64, err error) {
	f := store.SideFilter{
		States: []cases.Status{cases.StatusAnswered, cases.StatusOpen, cases.StatusClosed}, Limit: sweep,
	}
	for {
		f.Offices = d.Offices()
		var sides []store.Side
		var drafted int64
		err := d.DB.InExchange(ctx, f.Offices, func(tx *store.Tx) (err error) {
			drafted = 0
			if sides, err = tx.ListSides(ctx, f); err != nil || len(sides) == 0 {
				return err
			}
			drafted, err = d.draft(ctx, tx, sides, r)
			return err
		})
		if err != nil {
			return n, err
		}
		n += drafted
		if len(sides) < sweep {
			return n, nil
		}
		after(&f, sides)
	}
}

// after moves a filter behind the page it gave.
func after(f *store.SideFilter, page []store.Side) {
	last := page[len(page)-1]
	f.After, f.AfterDue, f.AfterCase, f.AfterOffice = true, last.DueAt, last.Case, last.Office
}

func (d *Desk) draft(ctx context.Context, tx *store.Tx, sides []store.Side, r policy.Round) (int64, error) {
	var mine []store.Side
	var ids []cases.CaseID
	for _, s := range sides {
		if s.Side != s.Kind.ResidenceSide() || !s.ErasedAt.IsZero() {
			continue
		}
		switch s.Kind {
		case cases.Inflow:
			if !s.OpenedAt.Before(r.Ends) {
				continue
			}
		case cases.Outflow:
			if s.AnsweredAt.IsZero() || !s.AnsweredAt.Before(r.Ends) {
				continue
			}
		default:
			continue
		}
		mine, ids = append(mine, s), append(ids, s.Case)
	}
	if len(mine) == 0 {
		return 0, nil
	}
	cs, err := d.Book.Read(ctx, tx, ids)
	if err != nil {
		return 0, err
	}
	answers := make([]cases.ItemID, 0, len(cs))
	for _, c := range cs {
		if !c.State.Answer.IsZero() {
			answers = append(answers, c.State.Answer)
		}
	}
	bodies, err := d.Book.BodiesOf(ctx, tx, cs, answers)
	if err != nil {
		return 0, err
	}
	disclosed := mine[:0]
	for _, s := range mine {
		c := cs[s.Case]
		if c == nil || !c.State.Exists() {
			continue
		}
		a := bodies[c.State.Answer].Answer
		if s.Kind == cases.Inflow || a != nil && a.Outcome == cases.Residing {
			disclosed = append(disclosed, s)
		}
	}
	return tx.DraftOffers(ctx, disclosed, uint32(r.Number), r.Ends)
}

// Sent tells the exchange that something is owed.
func (d *Desk) Sent() { d.wake() }

// served is the offices of one state of the directory.
type served struct {
	of      *directory.Directory
	offices []area.Key
}

// Offices returns every office that this node works for: the townships and
// counties within the areas that the directory gives it, in order. The caller
// must not change it.
func (d *Desk) Offices() []area.Key {
	dir := d.Book.Directory()
	if s := d.served.Load(); s != nil && s.of == dir {
		return s.offices
	}
	s := &served{of: dir, offices: officesServed(dir, d.Book.Self)}
	d.served.Store(s)
	return s.offices
}
