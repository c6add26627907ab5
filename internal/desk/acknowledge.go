package desk

import (
	"context"
	"slices"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// AcknowledgeRequest takes note of the answer and the feedback of one case.
type AcknowledgeRequest struct {
	RequestID string
	Ref       CaseRef
	Office    area.Key // 0: the one of the caller's that has something to read
	Undo      *Seen    // puts back what was noted before, in place of what stands now
}

// Seen is what an office had noted of a case.
type Seen struct {
	At       time.Time // of the answer; zero: nothing
	Feedback int16
}

// AcknowledgeCase takes note of what came from the other side, so that the case
// waits no more until there is something newer. Where nothing is new it changes
// nothing.
func (d *Desk) AcknowledgeCase(ctx context.Context, p access.Principal, r AcknowledgeRequest) (CaseView, error) {
	view, _, err := d.one(ctx, p, d.acknowledgeVerb([]AcknowledgeRequest{r}), d.acknowledgeChange(r))
	return view, err
}

// AcknowledgeMany is AcknowledgeCase for up to usher.MaxBatch cases, each with a
// result of its own.
func (d *Desk) AcknowledgeMany(ctx context.Context, p access.Principal, rs []AcknowledgeRequest) ([]ChangeResult, error) {
	if err := usher.TooMany(len(rs)); err != nil {
		return nil, err
	}
	chs := make([]*change, len(rs))
	for i, r := range rs {
		chs[i] = d.acknowledgeChange(r)
	}
	if len(chs) == 0 {
		return nil, nil
	}
	if err := d.run(ctx, p, d.acknowledgeVerb(rs), chs); err != nil {
		return nil, err
	}
	return results(chs), nil
}

func (d *Desk) acknowledgeChange(r AcknowledgeRequest) *change {
	return &change{requestID: r.RequestID, ref: r.Ref, hash: d.HashOf(r)}
}

func (d *Desk) acknowledgeVerb(rs []AcknowledgeRequest) verb {
	byCase := make(map[cases.CaseID]*AcknowledgeRequest, len(rs))
	for i := range rs {
		byCase[rs[i].Ref.Case] = &rs[i]
	}
	return verb{method: "acknowledge", access: access.TodoAct, make: func(ctx context.Context, tx *store.Tx, ch *change, _ map[cases.ItemID]cases.Body) error {
		r, s := byCase[ch.ref.Case], &ch.side
		if err := turnTo(ctx, tx, ch, r.Office); err != nil {
			return err
		}
		switch {
		case r.Undo != nil:
			s.Rev++
			return tx.MarkSeen(ctx, s.Case, s.Office, r.Undo.At, r.Undo.Feedback)
		case s.News() == 0 && (s.Side != cases.SideOpener || s.AnsweredAt.IsZero()):
			return fault.Conflict("NOTHING_TO_READ", "nothing came to case %s from the other side", ch.c.ID).Zh("该案件还没有对方的答复或反馈，无需签阅")
		}
		return takeNote(ctx, tx, ch, d.Now())
	}}
}

// takeNote notes that the office has read what waits on a change's side: asked
// to, or because it acts on it.
func takeNote(ctx context.Context, tx *store.Tx, ch *change, now time.Time) error {
	s := &ch.side
	if !HasNews(s) {
		return nil
	}
	at := s.SeenAt
	if s.Side == cases.SideOpener && !s.AnsweredAt.IsZero() {
		at = latest(now, s.AnsweredAt, s.ReroutedAt) // the other side's clock may be ahead
	}
	s.Rev++
	return tx.MarkSeen(ctx, s.Case, s.Office, at, s.News())
}

func latest(t time.Time, others ...time.Time) time.Time {
	for _, o := range others {
		if o.After(t) {
			t = o
		}
	}
	return t
}

// HasNews reports whether something of the other side waits to be read.
func HasNews(s *store.Side) bool {
	switch s.Todo {
	case store.TodoReadAnswer, store.TodoReadFeedback, store.TodoCorrection, store.TodoReroute:
		return true
	}
	return s.News() > s.SeenFeedback
}

// turnTo turns a change to an office's side of its case, where the caller works
// for both; office 0: to the side that has something to read.
func turnTo(ctx context.Context, tx *store.Tx, ch *change, office area.Key) error {
	meant := func(s store.Side) bool { return s.Office == office || office == 0 && HasNews(&s) }
	if meant(ch.side) {
		return nil
	}
	sides, err := tx.SidesOf(ctx, []cases.CaseID{ch.c.ID})
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(sides, meant); i >= 0 {
		ch.side = sides[i]
	} else if office != 0 {
		return book.NotHeld(ch.c.ID)
	}
	return nil
}
