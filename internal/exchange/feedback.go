package exchange

import (
	"context"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fold"
	"yipan/internal/ledger"
	"yipan/internal/store"
)

// feedbackBytes is the size of every FEEDBACK body, whatever it says
// (SECURITY D1).
const feedbackBytes = 512

// draftsAtOnce bounds one transaction of SendDrafts.
const draftsAtOnce = 500

// SendDrafts turns the drafts of ended offer rounds into FEEDBACK items, each
// in the transaction that owes it for the first time: there the consent is read
// and kept from being withdrawn, the gate to the peer is open, and the
// residence was disclosed (model rule M12). It returns how many left.
func (x *Exchange) SendDrafts(ctx context.Context, offices []area.Key) (n int, err error) {
	epoch, err := x.Epoch(ctx)
	if err != nil {
		return 0, err
	}
	var due time.Time
	var after cases.CaseID
	for {
		// Drafts that must wait, for a peer or a disclosure, hold no others up.
		sent, last, more := 0, store.Draft{Due: due, Case: after}, false
		err := x.DB.InExchange(ctx, offices, func(tx *store.Tx) error {
			sent, more = 0, false
			drafts, err := tx.OfferDrafts(ctx, due, after, draftsAtOnce)
			if err != nil || len(drafts) == 0 {
				return err
			}
			last, more = drafts[len(drafts)-1], len(drafts) == draftsAtOnce
			if err := x.sameLife(ctx, tx, epoch); err != nil {
				return err
			}
			sent, err = x.sendDrafts(ctx, tx, drafts, offices, epoch)
			return err
		})
		n += sent
		if err != nil || !more {
			return n, err
		}
		due, after = last.Due, last.Case
	}
}

func (x *Exchange) sendDrafts(ctx context.Context, tx *store.Tx, drafts []store.Draft, offices []area.Key, epoch string) (int, error) {
	ids := make([]cases.CaseID, 0, len(drafts))
	for _, d := range drafts {
		ids = append(ids, d.Case)
	}
	cs, err := x.Book.Load(ctx, tx, ids)
	if err != nil {
		return 0, err
	}
	// Read once the cases are locked: nobody pairs or unpairs one now.
	sides, err := tx.SidesOf(ctx, ids)
	if err != nil {
		return 0, err
	}
	paired := make(map[sideKey]cases.PersonID, len(sides))
	for _, s := range sides {
		paired[sideKey{s.Case, s.Office}] = s.Person
	}
	people := make([]cases.PersonID, len(drafts))
	for i, d := range drafts {
		people[i] = paired[sideKey{d.Case, d.Office}]
	}
	offered, err := x.offeredTo(ctx, tx, drafts, people)
	if err != nil {
		return 0, err
	}
	gates := map[cases.NodeID]bool{}
	sent := 0
	var changed []*book.Case
	for i, d := range drafts {
		c := cs[d.Case]
		if c == nil {
			continue
		}
		if have := feedbackOf(c, d.Round); have != nil {
			if err := tx.SentOffer(ctx, d, have.ID); err != nil {
				return 0, err
			}
			sent++
			continue
		}
		ok, err := x.mayLeave(ctx, tx, c, gates, epoch)
		if err != nil {
			return 0, err
		}
		if !ok {
			continue
		}
		if err := x.sendDraft(ctx, tx, c, d, people[i], offered); err != nil {
			return 0, err
		}
		sent++
		changed = append(changed, c)
	}
	return sent, x.Book.Project(ctx, tx, changed, offices)
}

type sideKey struct {
	id     cases.CaseID
	office area.Key
}

// feedbackOf returns a FEEDBACK of the round, or a REVOKE of one (M12).
func feedbackOf(c *book.Case, round uint32) *fold.Item {
	for i := range c.Items {
		if h := &c.Items[i].Head; (h.Kind == cases.Feedback || h.Kind == cases.Revoke) && h.Side == c.State.Kind.ResidenceSide() && h.OfferRound == round {
			return &c.Items[i]
		}
	}
	return nil
}

// mayLeave reports whether FEEDBACK of the case may leave now: its residence
// was disclosed, and a statement round with each home was completed in this
// life of the database.
func (x *Exchange) mayLeave(ctx context.Context, tx *store.Tx, c *book.Case, gates map[cases.NodeID]bool, epoch string) (bool, error) {
	for _, n := range x.Book.Homes(c.X, c.Y) {
		open, known := gates[n]
		if !known {
			p, err := tx.Peer(ctx, n)
			if err != nil {
				return false, err
			}
			open = p.AgreedEpoch == epoch
			gates[n] = open
			if !open {
				x.want(n)
			}
		}
		if !open {
			return false, nil
		}
	}
	return x.Book.Disclosed(ctx, tx, c)
}

func (x *Exchange) sendDraft(ctx context.Context, tx *store.Tx, c *book.Case, d store.Draft, person cases.PersonID, o *offered) error {
	body, err := x.feedbackBody(c, d, person, o)
	if err != nil {
		return err
	}
	h := cases.Head{Kind: cases.Feedback, Side: c.State.Kind.ResidenceSide(), Round: c.State.Current.N, OfferRound: d.Round, RecordedAt: d.Due}
	items, err := x.Book.Author(ctx, tx, []book.Entry{{Case: c, Head: h, Body: cases.Body{Feedback: body}, PadTo: feedbackBytes}})
	if err != nil {
		return err
	}
	return tx.SentOffer(ctx, d, items[0].ID)
}

// feedbackBody is RELEASED with the findings that a live consent names, else
// NO_DISCLOSURE: declined, withheld, unavailable and not offered alike. Nothing
// else of a service is ever in it.
func (x *Exchange) feedbackBody(c *book.Case, d store.Draft, person cases.PersonID, o *offered) (*cases.FeedbackBody, error) {
	none := &cases.FeedbackBody{}
	r, err := o.last(person, d.Round)
	if err != nil || r.Result != ledger.OfferDone || r.Consent.IsZero() {
		return none, err
	}
	consent, ok := o.consents[r.Consent]
	origin := c.X
	if c.State.Kind.ResidenceSide() == cases.SideOpener {
		origin = c.Y
	}
	if !ok || !slices.Contains(o.files[person], consent.Person) || !consent.Covers(ledger.PurposeFeedback, origin, x.Now()) {
		return none, nil
	}
	f := &cases.FeedbackBody{Released: true, Consent: r.Consent, Fields: map[string]string{}}
	for name, v := range r.Findings {
		if consent.Releases(name) {
			f.Fields[name] = v
		}
	}
	if len(f.Fields) == 0 {
		return none, nil
	}
	return f, nil
}

// revokeReturned takes back FEEDBACK of the residence side here that came back
// after a restore although its consent was withdrawn meanwhile (M14), and
// erases what a REVOKE names (M15).
func (in *inbound) revokeReturned(ctx context.Context, tx *store.Tx) error {
	x := in.x
	for _, c := range in.cases {
		if err := x.Book.Revoked(ctx, tx, c); err != nil {
			return err
		}
	}
	var touched []cases.CaseID
	for i := range in.p.Items {
		if h := &in.p.Items[i].Head; h.Kind == cases.Feedback && h.Author == x.Self() && !slices.Contains(touched, h.Case) {
			touched = append(touched, h.Case)
		}
	}
	for _, id := range touched {
		c := in.cases[id]
		if c == nil {
			continue
		}
		if err := tx.SetOffices(ctx, []area.Key{book.OfficeOf(c.X), c.ReceiverOffice()}); err != nil {
			return err
		}
		if _, err := x.Book.RevokeDead(ctx, tx, c); err != nil {
			return err
		}
		if err := tx.SetOffices(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}
