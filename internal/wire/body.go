package wire

import (
	"maps"
	"slices"
	"time"

	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	wirev1 "yipan/internal/gen/yipan/wire/v1"
)

func bodyToProto(b cases.Body) *wirev1.Body {
	switch {
	case b.Fields != nil:
		return &wirev1.Body{Content: &wirev1.Body_Fields{Fields: fieldsToProto(b.Fields)}}
	case b.Answer != nil:
		a := b.Answer
		return &wirev1.Body{Content: &wirev1.Body_Answer{Answer: &wirev1.Answer{
			Outcome: wirev1.Outcome(a.Outcome), Area: uint64(a.Area), DuplicateOf: opt16(a.DuplicateOf),
			Attempts: a.Attempts, Channels: a.Channels, ConflictFields: a.ConflictFields,
			Reason: a.Reason, Check: a.Check, Basis: basisToProto(a.Basis),
		}}}
	case b.Feedback != nil:
		f := &wirev1.Feedback{Released: b.Feedback.Released, ConsentId: opt16(b.Feedback.Consent)}
		for _, k := range slices.Sorted(maps.Keys(b.Feedback.Fields)) {
			f.Fields = append(f.Fields, &wirev1.Release{Field: k, Value: b.Feedback.Fields[k]})
		}
		return &wirev1.Body{Content: &wirev1.Body_Feedback{Feedback: f}}
	case b.Receipt != nil:
		return &wirev1.Body{Content: &wirev1.Body_Receipt{Receipt: receiptToProto(b.Receipt)}}
	case b.Report != nil:
		r := b.Report
		return &wirev1.Body{Content: &wirev1.Body_Report{Report: &wirev1.Report{
			Form: wirev1.ReportForm(r.Form), Period: r.Period, Content: r.Content, KeyId: r.KeyID[:], Signature: r.Signature,
		}}}
	case b.Note != nil:
		return &wirev1.Body{Content: &wirev1.Body_Note{Note: &wirev1.Note{Reason: *b.Note}}}
	}
	return &wirev1.Body{}
}

func bodyFromProto(p *wirev1.Body) (cases.Body, error) {
	switch c := p.GetContent().(type) {
	case *wirev1.Body_Fields:
		f, err := fieldsFromProto(c.Fields)
		return cases.Body{Fields: f}, err
	case *wirev1.Body_Answer:
		a, err := answerFromProto(c.Answer)
		return cases.Body{Answer: a}, err
	case *wirev1.Body_Feedback:
		id, err := id16(c.Feedback.GetConsentId())
		f := &cases.FeedbackBody{Released: c.Feedback.GetReleased(), Consent: id}
		for _, r := range c.Feedback.GetFields() {
			if f.Fields == nil {
				f.Fields = map[string]string{}
			}
			f.Fields[r.GetField()] = r.GetValue()
		}
		return cases.Body{Feedback: f}, err
	case *wirev1.Body_Receipt:
		r, err := receiptFromProto(c.Receipt)
		return cases.Body{Receipt: r}, err
	case *wirev1.Body_Report:
		p := c.Report
		if len(p.GetKeyId()) != 8 {
			return cases.Body{}, fault.Invalid("UNREADABLE", "report names no signing key")
		}
		r := &cases.ReportBody{Period: p.GetPeriod(), Content: p.GetContent(), KeyID: [8]byte(p.GetKeyId()), Signature: p.GetSignature()}
		if f := p.GetForm(); f > 0 && f <= 255 {
			r.Form = cases.ReportForm(f)
		}
		return cases.Body{Report: r}, nil
	case *wirev1.Body_Note:
		n := c.Note.GetReason()
		return cases.Body{Note: &n}, nil
	}
	return cases.Body{}, fault.Invalid("UNREADABLE", "item body has no content")
}

func fieldsToProto(f *cases.Fields) *wirev1.Fields {
	return &wirev1.Fields{
		Name: f.Name, DocumentKind: f.DocumentKind, DocumentNumber: f.DocumentNumber, Sex: f.Sex,
		BirthDay: int32(f.Birth.Days()), Contact: f.Contact, ContactSafe: f.ContactSafe, EventDay: int32(f.EventDay.Days()),
		Basis: basisToProto(f.Basis), Confirm: basisToProto(f.Confirm), Place: uint64(f.Place),
		Request: f.Request, Certificate: f.Certificate,
	}
}

func fieldsFromProto(p *wirev1.Fields) (*cases.Fields, error) {
	f := &cases.Fields{
		Name: p.GetName(), DocumentKind: p.GetDocumentKind(), DocumentNumber: p.GetDocumentNumber(), Sex: p.GetSex(),
		Birth: day(p.GetBirthDay()), Contact: p.GetContact(), ContactSafe: p.GetContactSafe(),
		EventDay: day(p.GetEventDay()), Request: p.GetRequest(), Certificate: p.GetCertificate(),
	}
	var err error
	if f.Place, err = areaKey(p.GetPlace()); err != nil {
		return nil, err
	}
	if f.Basis, err = basisFromProto(p.GetBasis()); err == nil {
		f.Confirm, err = basisFromProto(p.GetConfirm())
	}
	return f, err
}

// day reads a day number. The zero Date travels as its own number, which is
// outside the calendar; whatever else is outside reads as no day known, too.
func day(n int32) civil.Date {
	if d := civil.FromDays(int(n)); d.Valid() {
		return d
	}
	return civil.Date{}
}

func answerFromProto(p *wirev1.Answer) (*cases.AnswerBody, error) {
	a := &cases.AnswerBody{
		Attempts: p.GetAttempts(), Channels: p.GetChannels(),
		ConflictFields: p.GetConflictFields(), Reason: p.GetReason(), Check: p.GetCheck(),
	}
	if o := p.GetOutcome(); o > 0 && o <= 255 {
		a.Outcome = cases.Outcome(o)
	}
	dup, err := id16(p.GetDuplicateOf())
	if err != nil {
		return nil, err
	}
	a.DuplicateOf = dup
	if a.Area, err = areaKey(p.GetArea()); err != nil {
		return nil, err
	}
	a.Basis, err = basisFromProto(p.GetBasis())
	return a, err
}

func basisToProto(b cases.Basis) *wirev1.Basis {
	if b.Kind == cases.BasisNone {
		return nil
	}
	p := &wirev1.Basis{Kind: wirev1.BasisKind(b.Kind), ConsentId: opt16(b.Consent), Duty: b.Duty}
	if b.TextHash != [32]byte{} {
		p.TextHash = b.TextHash[:]
	}
	return p
}

func basisFromProto(p *wirev1.Basis) (cases.Basis, error) {
	b := cases.Basis{Duty: p.GetDuty()}
	if k := p.GetKind(); k > 0 && k <= wirev1.BasisKind_BASIS_KIND_DUTY {
		b.Kind = cases.BasisKind(k)
	}
	id, err := id16(p.GetConsentId())
	b.Consent = id
	if len(p.GetTextHash()) == 32 {
		b.TextHash = [32]byte(p.GetTextHash())
	}
	return b, err
}

func receiptToProto(r *cases.ReceiptBody) *wirev1.Receipt {
	p := &wirev1.Receipt{
		Manifest: r.Manifest, ManifestSignature: r.ManifestSignature, HeldAt: r.HeldAt.UnixMilli(),
		KeyId: r.KeyID[:], Signature: r.Signature,
	}
	for _, id := range r.Covered {
		p.Covered = append(p.Covered, id[:])
	}
	for _, id := range r.Aside {
		p.Aside = append(p.Aside, id[:])
	}
	ids := slices.SortedFunc(maps.Keys(r.Rejected), func(a, b cases.ItemID) int { return slices.Compare(a[:], b[:]) })
	for _, id := range ids {
		p.Rejected = append(p.Rejected, &wirev1.Rejection{ItemId: id[:], Reason: wirev1.RejectReason(r.Rejected[id])})
	}
	return p
}

func receiptFromProto(p *wirev1.Receipt) (*cases.ReceiptBody, error) {
	r := &cases.ReceiptBody{
		Manifest: p.GetManifest(), ManifestSignature: p.GetManifestSignature(),
		HeldAt: time.UnixMilli(p.GetHeldAt()), Signature: p.GetSignature(),
	}
	if len(p.GetKeyId()) != 8 {
		return nil, fault.Invalid("UNREADABLE", "receipt names no signing key")
	}
	r.KeyID = [8]byte(p.GetKeyId())
	for _, c := range p.GetCovered() {
		if len(c) != 16 {
			return nil, fault.Invalid("UNREADABLE", "receipt covers an id of %d bytes", len(c))
		}
		r.Covered = append(r.Covered, cases.ItemID(c))
	}
	for _, c := range p.GetAside() {
		if len(c) != 16 {
			return nil, fault.Invalid("UNREADABLE", "receipt sets aside an id of %d bytes", len(c))
		}
		r.Aside = append(r.Aside, cases.ItemID(c))
	}
	for _, j := range p.GetRejected() {
		if len(j.GetItemId()) != 16 {
			return nil, fault.Invalid("UNREADABLE", "receipt rejects an id of %d bytes", len(j.GetItemId()))
		}
		if r.Rejected == nil {
			r.Rejected = map[cases.ItemID]cases.Reject{}
		}
		r.Rejected[cases.ItemID(j.GetItemId())] = cases.Reject(max(1, min(255, j.GetReason())))
	}
	return r, nil
}
