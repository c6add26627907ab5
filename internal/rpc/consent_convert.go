package rpc

import (
	"encoding/hex"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
)

func consentRequest(r *consentv1.RecordConsentRequest) (desk.ConsentRequest, error) {
	d := &decoder{}
	q := desk.ConsentRequest{
		RequestID: d.requestID(r.GetRequestId()),
		Office:    d.area("office", r.GetOffice()),
		Person:    person(d, r.GetPerson()),
	}
	c := r.GetConsent()
	if c == nil {
		d.refuse("consent", "FIELD_REQUIRED", "is missing", "缺少同意书内容")
		return q, d.err
	}
	in := d.in("consent")
	q.Consent = desk.Consent{
		Recipient:   in.requiredArea("recipient", c.GetRecipient()),
		Purpose:     in.required("purpose", c.GetPurpose(), maxWord),
		Fields:      in.words("fields", c.GetFields()),
		TextVersion: in.required("text_version", c.GetTextVersion(), maxWord),
		TextHash:    in.hash("text_sha256", in.required("text_sha256", c.GetTextSha256(), maxWord)),
		GivenHow:    in.required("given_how", c.GetGivenHow(), maxWord),
		GivenAt:     in.instant("given_at", c.GetGivenAt()),
		ValidUntil:  in.instant("valid_until", c.GetValidUntil()),
	}
	d.merge(in)
	return q, d.err
}

// person reads whose consent it is: an id or a document.
func person(parent *decoder, p *consentv1.Person) desk.PersonRef {
	d := parent.in("person")
	defer parent.merge(d)
	if p.GetPersonId() == "" && p.GetDocument() == "" {
		d.refuse("person_id", "FIELD_REQUIRED", "is missing, and document too", "请指明人员编号或证件号码")
	}
	return desk.PersonRef{
		ID:       id(d, "person_id", p.GetPersonId(), cases.ParsePersonID),
		Name:     d.text("name", p.GetName(), maxName),
		Document: d.text("document", p.GetDocument(), maxWord),
	}
}

func withdrawConsentRequest(r *consentv1.WithdrawConsentRequest) (string, cases.ConsentID, error) {
	d := &decoder{}
	requestID := d.requestID(r.GetRequestId())
	id := requiredID(d, "consent_id", r.GetConsentId(), cases.ParseConsentID)
	return requestID, id, d.err
}

type consentsQuery struct {
	office  area.Key
	who     desk.PersonRef
	purpose string
}

func consentsRequest(r *consentv1.ListConsentsRequest) (consentsQuery, error) {
	d := &decoder{}
	q := consentsQuery{office: d.area("office", r.GetOffice()), who: person(d, r.GetPerson()), purpose: d.text("purpose", r.GetPurpose(), maxText)}
	return q, d.err
}

func consentMessage(c desk.Consent) *consentv1.Consent {
	m := &consentv1.Consent{
		ConsentId: idOf(c.ID), PersonId: idOf(c.Person), Office: areaOf(c.Office), Recipient: areaOf(c.Recipient), Purpose: c.Purpose,
		Fields: c.Fields, TextVersion: c.TextVersion, GivenHow: c.GivenHow,
		GivenAt: instantOf(c.GivenAt), ValidUntil: instantOf(c.ValidUntil), WithdrawnAt: instantOf(c.WithdrawnAt),
	}
	if c.TextHash != [32]byte{} {
		m.TextSha256 = hex.EncodeToString(c.TextHash[:])
	}
	return m
}
