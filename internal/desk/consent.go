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
	"yipan/internal/fold"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/store"
)

// RecordConsent records one act of one person (SECURITY D12). Its id follows
// from the request id, so that a repeated request records nothing twice.
func (d *Desk) RecordConsent(ctx context.Context, p access.Principal, r ConsentRequest) (Consent, error) {
	if err := d.allow(ctx, p, access.ConsentWrite, 0); err != nil {
		return Consent{}, err
	}
	office, err := p.Office(r.Office)
	if err != nil {
		return Consent{}, onField(err, "office")
	}
	if err := d.allow(ctx, p, access.ConsentWrite, office); err != nil {
		return Consent{}, err
	}
	c, err := d.checkConsent(r)
	if err != nil {
		return Consent{}, err
	}
	c.Office = office
	c.ID = cases.ConsentID(cases.NewCaseID(d.Book.Self, office, "consent/"+r.RequestID))
	err = d.inDesk(ctx, p.Offices, func(tx *store.Tx) error {
		req := store.Request{Account: p.ID, RequestID: r.RequestID, Office: office, Method: "consent", Hash: hashOf(r)}
		if done, err := d.repeated(ctx, tx, req); err != nil || done {
			if err == nil {
				c, err = d.readConsent(ctx, tx, c.ID)
			}
			return err
		}
		if c.Person, err = d.personOf(ctx, tx, office, r.Person, true); err != nil {
			return err
		}
		key, err := d.Book.PersonKey(ctx, tx, c.Person)
		if err != nil {
			return err
		}
		row, err := book.SealConsent(key, &c)
		if err != nil {
			return err
		}
		if err := tx.AddConsent(ctx, row); err != nil {
			return err
		}
		if err := tx.AddRequests(ctx, []store.Request{req}); err != nil {
			return err
		}
		return tx.LogAccess(ctx, store.Access{Principal: p, Office: office, Verb: access.ConsentWrite, Purpose: "record", Subjects: [][16]byte{c.Person}})
	})
	return consentView(&c), err
}

// repeated reports whether the request was done before.
func (d *Desk) repeated(ctx context.Context, tx *store.Tx, r store.Request) (bool, error) {
	done, err := tx.RequestsOf(ctx, r.Account, []string{r.RequestID})
	if err != nil {
		return false, err
	}
	old, ok := done[r.RequestID]
	if ok && (old.Method != r.Method || old.Hash != r.Hash) {
		return false, fault.Conflict("REQUEST_ID_REUSED", "request id stands for another request").Zh("该请求编号已用于另一项操作，请换一个新的请求编号").On("request_id")
	}
	return ok, nil
}

func (d *Desk) checkConsent(r ConsentRequest) (ledger.Consent, error) {
	in, now := r.Consent, d.Now().Truncate(time.Second)
	c := ledger.Consent{
		Recipient: in.Recipient, Purpose: in.Purpose, Fields: in.Fields, TextVersion: in.TextVersion, TextHash: in.TextHash,
		GivenHow: in.GivenHow, GivenAt: in.GivenAt, ValidUntil: in.ValidUntil,
	}
	if c.GivenAt.IsZero() {
		c.GivenAt = now
	}
	if c.ValidUntil.IsZero() {
		c.ValidUntil = c.GivenAt.AddDate(1, 0, 0)
	}
	no := func(field, reason, zh string) (ledger.Consent, error) {
		return c, fault.Invalid(reason, "consent: %s", reason).Zh("%s", zh).On("consent." + field)
	}
	if err := checkRequestID(r.RequestID); err != nil {
		return c, err
	}
	switch {
	case !slices.Contains(ledger.Purposes(), c.Purpose):
		return no("purpose", "PURPOSE", "同意的用途代码不正确")
	case !slices.Contains(ledger.GivenHow(), c.GivenHow):
		return no("given_how", "GIVEN_HOW", "请注明同意的方式：书面、窗口或电话录音")
	case c.TextVersion == "" || c.TextHash == [32]byte{}:
		return no("text_sha256", "TEXT", "请注明同意书文本的版本和校验值")
	case c.Purpose == ledger.PurposeFeedback && len(c.Fields) == 0:
		return no("fields", "FIELDS_REQUIRED", "请注明同意反馈的项目")
	case c.GivenAt.After(now.Add(time.Minute)):
		return no("given_at", "FUTURE_DATE", "同意时间不能晚于现在")
	case !c.ValidUntil.After(c.GivenAt) || c.ValidUntil.Sub(c.GivenAt) > ledger.MaxConsent:
		return no("valid_until", "VALIDITY", "同意的有效期最长 12 个月")
	}
	if _, ok := area.Lookup(c.Recipient); !ok {
		return no("recipient", "AREA_UNKNOWN", "接收方区划不存在")
	}
	return c, nil
}

// personOf finds a person of an office by id or document; with add, one that
// is new is registered.
func (d *Desk) personOf(ctx context.Context, tx *store.Tx, office area.Key, r PersonRef, add bool) (cases.PersonID, error) {
	none := fault.NotFound("PERSON_NOT_FOUND", "no such person at this office").Zh("本单位没有该人员").On("person")
	if !r.ID.IsZero() {
		key, err := tx.PersonKey(ctx, r.ID)
		if fault.Is(err, fault.KindNotFound) || err == nil && key == nil {
			return cases.PersonID{}, none
		}
		return r.ID, err
	}
	doc, _, err := ident.Parse(ident.KindAuto, r.Document)
	if err != nil {
		return cases.PersonID{}, onField(err, "person.document")
	}
	if !add {
		x := d.docIndex(office, doc)
		found, err := tx.PersonIDs(ctx, office, [][]byte{x[:]})
		if id, ok := found[x]; ok || err != nil {
			return id, err
		}
		return cases.PersonID{}, none
	}
	name := ident.NormalizeName(r.Name)
	if name == "" {
		return cases.PersonID{}, fault.Invalid("REQUIRED", "name is missing").Zh("姓名不能为空").On("person.name")
	}
	f := &cases.Fields{Name: r.Name, Sex: uint32(doc.Sex())}
	if b, ok := doc.Birth(); ok {
		f.Birth = b
	}
	ids, _, err := d.persons(ctx, tx, []personRef{{office: office, doc: doc, fields: f}})
	if err != nil {
		return cases.PersonID{}, err
	}
	return ids[0], nil
}

func (d *Desk) readConsent(ctx context.Context, tx *store.Tx, id cases.ConsentID) (ledger.Consent, error) {
	held, err := d.Book.Consents(ctx, tx, []cases.ConsentID{id})
	if err != nil {
		return ledger.Consent{}, err
	}
	c, ok := held[id]
	if !ok {
		return c, fault.NotFound("CONSENT_NOT_FOUND", "consent %s is not held by an office of the caller", id).Zh("没有找到该同意书，或您无权查看").On("consent_id")
	}
	return c, nil
}

func consentView(c *ledger.Consent) Consent {
	return Consent{
		ID: c.ID, Person: c.Person, Office: c.Office, Recipient: c.Recipient, Purpose: c.Purpose, Fields: c.Fields,
		TextVersion: c.TextVersion, TextHash: c.TextHash, GivenHow: c.GivenHow, GivenAt: c.GivenAt, ValidUntil: c.ValidUntil, WithdrawnAt: c.WithdrawnAt,
	}
}

// WithdrawConsent withdraws one consent. What has not left does not leave:
// open cases that cite it are corrected or withdrawn, feedback that was released
// under it is erased and revoked. It returns those cases.
func (d *Desk) WithdrawConsent(ctx context.Context, p access.Principal, requestID string, id cases.ConsentID) (Consent, []cases.CaseID, error) {
	if err := d.allow(ctx, p, access.ConsentWrite, 0); err != nil {
		return Consent{}, nil, err
	}
	if err := checkRequestID(requestID); err != nil {
		return Consent{}, nil, err
	}
	var c ledger.Consent
	var touched []cases.CaseID
	err := d.inDesk(ctx, p.Offices, func(tx *store.Tx) error {
		touched = nil
		rows, err := tx.LockConsents(ctx, []cases.ConsentID{id})
		if err != nil {
			return err
		}
		if _, ok := rows[id]; !ok {
			_, err := d.readConsent(ctx, tx, id)
			return err
		}
		if c, err = d.readConsent(ctx, tx, id); err != nil || !c.WithdrawnAt.IsZero() {
			return err // withdrawn before: the same answer
		}
		if err := access.Check(p, access.ConsentWrite, c.Office); err != nil {
			return err
		}
		if err := d.Book.Withdrawn(id); err != nil {
			return err
		}
		c.WithdrawnAt = d.Now().Truncate(time.Second)
		key, err := d.Book.PersonKey(ctx, tx, c.Person)
		if err != nil {
			return err
		}
		row, err := book.SealConsent(key, &c)
		if err != nil {
			return err
		}
		if err := tx.PutConsent(ctx, id, row.Sealed); err != nil {
			return err
		}
		if touched, err = d.unwind(ctx, tx, p, &c); err != nil {
			return err
		}
		return tx.LogAccess(ctx, store.Access{Principal: p, Office: c.Office, Verb: access.ConsentWrite, Purpose: "withdraw", Subjects: [][16]byte{c.Person}})
	})
	if err == nil {
		d.wake()
		d.watch.changed(touched)
	}
	return consentView(&c), touched, err
}

// unwind changes the cases that rely on a consent.
func (d *Desk) unwind(ctx context.Context, tx *store.Tx, p access.Principal, w *ledger.Consent) ([]cases.CaseID, error) {
	sides, err := tx.SidesOfPerson(ctx, w.Person)
	if err != nil || len(sides) == 0 {
		return nil, err
	}
	ids := make([]cases.CaseID, 0, len(sides))
	for _, s := range sides {
		ids = append(ids, s.Case)
	}
	cs, err := d.Book.Load(ctx, tx, ids)
	if err != nil {
		return nil, err
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
		if did {
			touched, changed = append(touched, c.ID), append(changed, c)
		}
	}
	return touched, d.Book.Project(ctx, tx, changed, p.Offices)
}

func (d *Desk) unwindCase(ctx context.Context, tx *store.Tx, c *book.Case, side cases.Side, id cases.ConsentID) (bool, error) {
	did := false
	if side == cases.SideOpener && c.State.Status == cases.StatusOpen {
		bodies, err := d.Book.Bodies(ctx, tx, c, c.State.Fields)
		if err != nil {
			return false, err
		}
		f := book.Fields(c, bodies)
		switch {
		case f == nil:
		case f.Basis.Consent == id:
			reason := "consent"
			_, err = d.Book.Author(ctx, tx, []book.Entry{{Case: c, Body: cases.Body{Note: &reason}, Head: cases.Head{Kind: cases.Withdraw, Side: side, Round: c.State.Current.N}}})
			did = true
		case f.Confirm.Consent == id:
			g := *f
			g.Confirm = cases.Basis{}
			_, err = d.Book.Author(ctx, tx, []book.Entry{correction(c, &g)})
			did = true
		}
		if err != nil {
			return false, err
		}
	}
	if side != c.State.Kind.ResidenceSide() {
		return did, nil
	}
	bodies, err := d.Book.Bodies(ctx, tx, c, c.State.Feedback)
	if err != nil {
		return false, err
	}
	for _, fid := range c.State.Feedback {
		f := bodies[fid].Feedback
		if f == nil || f.Consent != id {
			continue
		}
		i := slices.IndexFunc(c.Items, func(it fold.Item) bool { return it.ID == fid })
		target := c.Items[i]
		if err := d.Book.Revoke(ctx, tx, c, &target); err != nil {
			return false, err
		}
		did = true
	}
	return did, nil
}

// ListConsents lists the consents of one person; a miss is logged too.
func (d *Desk) ListConsents(ctx context.Context, p access.Principal, office area.Key, who PersonRef, purpose string) ([]Consent, error) {
	if err := d.allow(ctx, p, access.ConsentRead, 0); err != nil {
		return nil, err
	}
	office, err := p.Office(office)
	if err != nil {
		return nil, onField(err, "office")
	}
	var out []Consent
	var miss error
	err = d.inDesk(ctx, p.Offices, func(tx *store.Tx) error {
		out, miss = nil, nil
		event := store.Access{Principal: p, Office: office, Verb: access.ConsentRead, Purpose: purpose}
		id, err := d.personOf(ctx, tx, office, who, false)
		if fault.Is(err, fault.KindNotFound) {
			miss = err
			return tx.LogAccess(ctx, event)
		}
		if err != nil {
			return err
		}
		event.Subjects = [][16]byte{id}
		if err := tx.LogAccess(ctx, event); err != nil {
			return err
		}
		key, err := d.Book.PersonKey(ctx, tx, id)
		if err != nil {
			return err
		}
		rows, err := tx.ConsentsOf(ctx, id)
		if err != nil {
			return err
		}
		for _, r := range rows {
			c, err := book.OpenConsent(key, r)
			if err != nil {
				return err
			}
			out = append(out, consentView(&c))
		}
		return nil
	})
	if err == nil {
		err = miss
	}
	return out, err
}
