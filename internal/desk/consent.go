package desk

import (
	"context"
	"slices"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// RecordConsent records one act of one person (SECURITY D12). Its id follows
// from the request id, so that a repeated request records nothing twice.
func (d *Desk) RecordConsent(ctx context.Context, p access.Principal, r ConsentRequest) (Consent, error) {
	if err := d.Allow(ctx, p, access.ConsentWrite, 0); err != nil {
		return Consent{}, err
	}
	office, err := d.Office(ctx, p, access.ConsentWrite, r.Office, "office")
	if err != nil {
		return Consent{}, err
	}
	c, warnings, err := d.checkConsent(r)
	if err != nil {
		return Consent{}, err
	}
	c.Office = office
	c.ID = cases.ConsentID(cases.NewCaseID(d.Book.Self, office, "consent/"+p.ID+"/"+r.RequestID))
	err = d.In(ctx, p, func(tx *store.Tx) error {
		req := store.Request{Account: p.ID, RequestID: r.RequestID, Office: office, Method: "consent", Hash: d.HashOf(r)}
		event := store.Access{Principal: p, Office: office, Verb: access.ConsentWrite, Purpose: "record"}
		if done, err := d.Repeated(ctx, tx, req); err != nil || done {
			if err == nil {
				c, err = d.readConsent(ctx, tx, c.ID)
			}
			if err != nil {
				return err
			}
			event.Subjects = [][16]byte{c.Person}
			return tx.LogAccess(ctx, event)
		}
		if c.Person, err = d.People.Of(ctx, tx, office, r.Person, true); err != nil {
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
		event.Subjects = [][16]byte{c.Person}
		return tx.LogAccess(ctx, event)
	})
	if err != nil {
		return Consent{}, err
	}
	out := consentView(&c)
	out.Warnings = warnings
	return out, nil
}

func (d *Desk) checkConsent(r ConsentRequest) (ledger.Consent, []string, error) {
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
	no := func(field, reason, zh string) (ledger.Consent, []string, error) {
		return c, nil, fault.Invalid(reason, "consent: %s", reason).Zh("%s", zh).On("consent." + field)
	}
	if err := usher.CheckRequestID(r.RequestID); err != nil {
		return c, nil, err
	}
	switch {
	case !slices.Contains(ledger.Purposes(), c.Purpose):
		return no("purpose", "PURPOSE", "请写明同意的用途：confirm_residence（确认去向）、feedback（反馈）、notice（通报）、birth_service（生育服务）或 contact（联系本人）")
	case !slices.Contains(ledger.GivenHow(), c.GivenHow):
		return no("given_how", "GIVEN_HOW", "请注明同意的方式：paper（书面）、counter（窗口）或 phone_recorded（电话录音）")
	case c.TextVersion == "" || c.TextHash == [32]byte{}:
		return no("text_sha256", "TEXT", "请注明同意书文本的版本和校验值")
	case c.Purpose == ledger.PurposeFeedback && len(c.Fields) == 0:
		return no("fields", "FIELDS_REQUIRED", "请注明同意反馈的项目")
	case slices.ContainsFunc(c.Fields, func(f string) bool { return !slices.Contains(ledger.Findings(), f) }):
		return no("fields", "FIELD_NAME", "同意反馈的项目只能是三查项目")
	case len(c.TextVersion) > maxVersion:
		return no("text_version", "TEXT", "同意书文本的版本号过长")
	case c.GivenAt.After(now.Add(time.Minute)):
		return no("given_at", "FUTURE_DATE", "同意时间不能晚于现在")
	case !c.ValidUntil.After(c.GivenAt) || c.ValidUntil.Sub(c.GivenAt) > ledger.MaxConsent:
		return no("valid_until", "VALIDITY", "同意的有效期最长 12 个月")
	}
	if _, ok := area.Lookup(c.Recipient); !ok {
		return no("recipient", "AREA_UNKNOWN", "接收方区划不存在")
	}
	warnings, err := d.checkText(&c)
	return c, warnings, err
}

// checkText ties the version of a text to its hash, as far as the policy of the
// day on which the consent was given, or the program, knows the version; it warns
// where none does.
func (d *Desk) checkText(c *ledger.Consent) ([]string, error) {
	p, err := d.Policies.At(civil.In(c.GivenAt))
	if err != nil { // older than all policies
		p, err = d.Policies.At(civil.In(d.Now()))
	}
	if err != nil {
		return nil, err
	}
	known, err := p.CheckText(c.Purpose, c.TextVersion, c.TextHash)
	if f, ok := fault.As(err); ok {
		return nil, usher.OnField(err, "consent."+f.Field)
	}
	if err != nil || known {
		return nil, err
	}
	d.Log.Info("consent under a text that no policy knows", "purpose", c.Purpose, "policy", p.Version)
	return []string{"现行政策中没有这个版本的同意书文本，无法核对所示文本；请核对版本号，并保存好所用文本"}, nil
}

func (d *Desk) readConsent(ctx context.Context, tx *store.Tx, id cases.ConsentID) (ledger.Consent, error) {
	held, err := d.Book.Consents(ctx, tx, []cases.ConsentID{id})
	if err != nil {
		return ledger.Consent{}, err
	}
	c, ok := held[id]
	if !ok {
		return c, consentNotFound(id)
	}
	return c, nil
}

func consentView(c *ledger.Consent) Consent {
	return Consent{
		ID: c.ID, Person: c.Person, Office: c.Office, Recipient: c.Recipient, Purpose: c.Purpose, Fields: c.Fields,
		TextVersion: c.TextVersion, TextHash: c.TextHash, GivenHow: c.GivenHow, GivenAt: c.GivenAt, ValidUntil: c.ValidUntil, WithdrawnAt: c.WithdrawnAt,
	}
}

// ListConsents lists the consents of one person; a miss is logged too.
func (d *Desk) ListConsents(ctx context.Context, p access.Principal, office area.Key, who PersonRef, purpose string) ([]Consent, error) {
	if err := d.Allow(ctx, p, access.ConsentRead, 0); err != nil {
		return nil, err
	}
	office, err := d.Office(ctx, p, access.ConsentRead, office, "office")
	if err != nil {
		return nil, err
	}
	var out []Consent
	var miss error
	err = d.In(ctx, p, func(tx *store.Tx) error {
		out, miss = nil, nil
		event := store.Access{Principal: p, Office: office, Verb: access.ConsentRead, Purpose: purpose}
		id, err := d.People.Of(ctx, tx, office, who, false)
		if fault.Is(err, fault.KindNotFound) {
			miss = err
			return tx.LogAccess(ctx, event)
		}
		if err != nil {
			return err
		}
		files, err := tx.GroupOf(ctx, id)
		if err != nil {
			return err
		}
		for _, file := range files {
			event.Subjects = append(event.Subjects, file)
		}
		if err := tx.LogAccess(ctx, event); err != nil {
			return err
		}
		out, err = d.consentsIn(ctx, tx, files)
		return err
	})
	if err == nil {
		err = miss
	}
	return out, err
}

// consentsIn reads the consents of a person's files, newest first.
func (d *Desk) consentsIn(ctx context.Context, tx *store.Tx, files []cases.PersonID) (out []Consent, err error) {
	for _, file := range files {
		key, err := d.Book.PersonKey(ctx, tx, file)
		if fault.Is(err, fault.KindNotFound) && len(files) > 1 {
			continue // one of several that were merged is erased
		}
		if err != nil {
			return nil, err
		}
		rows, err := tx.ConsentsOf(ctx, file)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			c, err := book.OpenConsent(key, r)
			if err != nil {
				return nil, err
			}
			out = append(out, consentView(&c))
		}
	}
	if len(files) > 1 {
		slices.SortStableFunc(out, func(a, b Consent) int { return b.GivenAt.Compare(a.GivenAt) })
	}
	return out, nil
}
