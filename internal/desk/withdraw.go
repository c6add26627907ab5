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
	"yipan/internal/ledger"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// WithdrawConsent withdraws one consent. What has not left does not leave:
// cases that cite it are corrected or withdrawn, feedback that was released
// under it is erased and revoked. It returns those cases.
func (d *Desk) WithdrawConsent(ctx context.Context, p access.Principal, requestID string, id cases.ConsentID) (Consent, []cases.CaseID, error) {
	if err := d.Allow(ctx, p, access.ConsentWrite, 0); err != nil {
		return Consent{}, nil, err
	}
	if err := usher.CheckRequestID(requestID); err != nil {
		return Consent{}, nil, err
	}
	about, err := d.casesAbout(ctx, p, id)
	if err != nil {
		return Consent{}, nil, err
	}
	var c ledger.Consent
	var touched []cases.CaseID
	err = d.In(ctx, p, func(tx *store.Tx) error {
		touched = nil
		// Cases before consents, as everybody locks them.
		cs, err := d.Book.Load(ctx, tx, about)
		if err != nil {
			return err
		}
		rows, err := tx.LockConsents(ctx, []cases.ConsentID{id})
		if err != nil {
			return err
		}
		row, ok := rows[id]
		if !ok {
			return consentNotFound(id)
		}
		key, err := d.Book.PersonKey(ctx, tx, row.Person)
		if err != nil {
			return err
		}
		if c, err = book.OpenConsent(key, row); err != nil {
			return err
		}
		event := store.Access{Principal: p, Office: c.Office, Verb: access.ConsentWrite, Purpose: "withdraw", Subjects: [][16]byte{c.Person}}
		if err := tx.LogAccess(ctx, event); err != nil {
			return err
		}
		req := store.Request{Account: p.ID, RequestID: requestID, Office: c.Office, Method: "withdraw_consent", Hash: d.HashOf(id)}
		if done, err := d.Repeated(ctx, tx, req); err != nil || done || !c.WithdrawnAt.IsZero() {
			return err // withdrawn before: the same answer
		}
		if err := d.Book.Withdrawn(id, c.Office); err != nil {
			return err
		}
		if err := d.putWithdrawn(ctx, tx, &c, d.Now()); err != nil {
			return err
		}
		if touched, err = d.unwind(ctx, tx, p.Offices, &c, cs); err != nil {
			return err
		}
		return tx.AddRequests(ctx, []store.Request{req})
	})
	if err != nil {
		return Consent{}, nil, err
	}
	d.spreadRevokes(ctx, touched)
	d.wake()
	d.watch.changed(touched)
	return consentView(&c), touched, nil
}

func consentNotFound(id cases.ConsentID) error {
	return fault.NotFound("CONSENT_NOT_FOUND", "consent %s is not held by an office of the caller", id).
		Zh("没有找到该同意书，或您无权查看").On("consent_id")
}

// casesAbout finds the cases of the person who gave a consent; a consent that
// the caller does not see is logged as a miss.
func (d *Desk) casesAbout(ctx context.Context, p access.Principal, id cases.ConsentID) (ids []cases.CaseID, err error) {
	var miss error
	err = d.In(ctx, p, func(tx *store.Tx) error {
		ids, miss = nil, nil
		held, err := d.Book.Consents(ctx, tx, []cases.ConsentID{id})
		if err != nil {
			return err
		}
		c, ok := held[id]
		if !ok {
			miss = consentNotFound(id)
			return tx.LogAccess(ctx, store.Access{Principal: p, Office: p.FirstOffice(), Verb: access.ConsentWrite, Purpose: "withdraw"})
		}
		ids, err = casesOf(ctx, tx, c.Person)
		return err
	})
	if err == nil {
		err = miss
	}
	return ids, err
}

func casesOf(ctx context.Context, tx *store.Tx, person cases.PersonID) ([]cases.CaseID, error) {
	sides, err := sidesAbout(ctx, tx, person)
	ids := make([]cases.CaseID, len(sides))
	for i := range sides {
		ids[i] = sides[i].Case
	}
	slices.SortFunc(ids, func(a, b cases.CaseID) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(ids), err
}

// sidesAbout returns the sides of the cases about a person, whichever of several
// merged files they stand with: what one of them released may cite a consent
// of another.
func sidesAbout(ctx context.Context, tx *store.Tx, person cases.PersonID) ([]store.Side, error) {
	roots, err := tx.Roots(ctx, []cases.PersonID{person})
	if err != nil {
		return nil, err
	}
	groups, err := tx.Groups(ctx, []cases.PersonID{roots[person]})
	if err != nil {
		return nil, err
	}
	var out []store.Side
	for _, id := range groups[roots[person]] {
		sides, err := tx.SidesOfPerson(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, sides...)
	}
	return out, nil
}

// putWithdrawn marks a locked consent as withdrawn.
func (d *Desk) putWithdrawn(ctx context.Context, tx *store.Tx, c *ledger.Consent, at time.Time) error {
	c.WithdrawnAt = at.Truncate(time.Second)
	key, err := d.Book.PersonKey(ctx, tx, c.Person)
	if err != nil {
		return err
	}
	row, err := book.SealConsent(key, c)
	if err != nil {
		return err
	}
	return tx.PutConsent(ctx, c.ID, row.Sealed)
}

// unwind changes the cases that rely on a withdrawn consent, which is locked:
// nobody can cite it any more. cs are the person's cases that were locked
// before it; those that came in between are locked now.
func (d *Desk) unwind(ctx context.Context, tx *store.Tx, offices []area.Key, w *ledger.Consent, cs map[cases.CaseID]*book.Case) ([]cases.CaseID, error) {
	sides, err := sidesAbout(ctx, tx, w.Person)
	if err != nil || len(sides) == 0 {
		return nil, err
	}
	var late []cases.CaseID
	for _, s := range sides {
		if cs[s.Case] == nil {
			late = append(late, s.Case)
		}
	}
	if len(late) > 0 {
		more, err := d.Book.Load(ctx, tx, late)
		if err != nil {
			return nil, err
		}
		all := make(map[cases.CaseID]*book.Case, len(cs)+len(more))
		for id, c := range cs {
			all[id] = c
		}
		for id, c := range more {
			all[id] = c
		}
		cs = all
	}
	var touched []cases.CaseID
	var changed []*book.Case
	for _, s := range sides {
		c := cs[s.Case]
		if c == nil || !c.State.Exists() {
			continue
		}
		did, err := d.unwindCase(ctx, tx, c, s.Side, w.ID)
		if err != nil {
			return nil, err
		}
		if did && !slices.Contains(touched, c.ID) {
			touched, changed = append(touched, c.ID), append(changed, c)
		}
	}
	return touched, d.Book.Project(ctx, tx, changed, offices)
}

func (d *Desk) unwindCase(ctx context.Context, tx *store.Tx, c *book.Case, side cases.Side, id cases.ConsentID) (bool, error) {
	did := false
	if side == cases.SideOpener {
		var err error
		if did, err = d.unwindFields(ctx, tx, c, id); err != nil {
			return false, err
		}
	}
	revoked, err := d.Book.RevokeDead(ctx, tx, c)
	return did || revoked, err
}

// unwindFields takes the withdrawn consent out of the opener's fields. A case
// that waits under it alone is withdrawn. The consent to be confirmed is taken
// out whatever the state: the receiver may still answer anew, or reopen.
func (d *Desk) unwindFields(ctx context.Context, tx *store.Tx, c *book.Case, id cases.ConsentID) (bool, error) {
	bodies, err := d.Book.Bodies(ctx, tx, c, c.State.Fields)
	if err != nil {
		return false, err
	}
	f := book.Fields(c, bodies)
	switch {
	case f == nil:
		return false, nil
	case f.Basis.Consent == id && c.State.Status == cases.StatusOpen:
		reason := "consent"
		h := cases.Head{Kind: cases.Withdraw, Side: cases.SideOpener, Round: c.State.Current.N}
		_, err = d.Book.Author(ctx, tx, []book.Entry{{Case: c, Head: h, Body: cases.Body{Note: &reason}}})
		return true, err
	case f.Confirm.Consent == id:
		g := *f
		g.Confirm = cases.Basis{}
		_, err = d.Book.Author(ctx, tx, []book.Entry{correction(c, &g)})
		return true, err
	}
	return false, nil
}

// spreadRevokes owes the REVOKEs of cases to former homes as well, which only
// the exchange can look up. Where it fails, the replay of the journal at the
// next start does it.
func (d *Desk) spreadRevokes(ctx context.Context, ids []cases.CaseID) {
	if len(ids) == 0 {
		return
	}
	err := d.DB.InExchange(ctx, nil, func(tx *store.Tx) error { return d.spreadIn(ctx, tx, ids) })
	if err != nil {
		d.Log.Error("revocations not yet owed to former homes", "cases", len(ids), "error", err)
	}
}

func (d *Desk) spreadIn(ctx context.Context, tx *store.Tx, ids []cases.CaseID) error {
	cs, err := d.Book.Read(ctx, tx, ids)
	if err != nil {
		return err
	}
	for _, c := range cs {
		if err := d.Book.SpreadRevokes(ctx, tx, c); err != nil {
			return err
		}
	}
	return nil
}
