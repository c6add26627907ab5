package demo

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
	"yipan/internal/harness/roster"
)

// other is a case of a kind that the roster has not.
type other struct {
	kind     casesv1.Kind
	by       *place // who opens it; the other one answers
	urgent   bool
	outcome  cases.Outcome
	reason   string
	from, to area.Key
	account  string // of the opener
	of       *file
}

// others are the kinds and outcomes of DOMAIN section 3 that the roster leaves
// out.
func (r *run) others() []*other {
	const (
		assist, certificate, birth = casesv1.Kind_KIND_ASSIST, casesv1.Kind_KIND_CERTIFICATE, casesv1.Kind_KIND_BIRTH_SERVICE
	)
	return []*other{
		{kind: assist, by: r.origin, urgent: true, outcome: cases.Done},
		{kind: assist, by: r.origin, outcome: cases.Partly, reason: "document_pending"},
		{kind: assist, by: r.origin, outcome: cases.Cannot, reason: "not_registered_here"},
		{kind: certificate, by: r.residence, outcome: cases.Revoked},
		{kind: certificate, by: r.residence, outcome: cases.Unknown},
		{kind: certificate, by: r.residence, outcome: cases.BadSignature},
		{kind: birth, by: r.residence, outcome: cases.Received},
	}
}

// openOthers lets both offices open them about women who live at the residence,
// and both answer.
func (r *run) openOthers(ctx context.Context) error {
	held, err := r.handled(ctx)
	if err != nil {
		return err
	}
	all := r.others()
	i := 0
	for _, f := range r.people {
		if h, ok := held[f.id]; ok && i < len(all) && f.disclosed[f.id] && f.MarriedWoman(r.today) {
			o := all[i]
			o.of, o.account, o.from, o.to = f, r.clerk(), r.spec.Origin, h.township
			if o.by == r.residence {
				o.account, o.from, o.to = h.account, h.township, r.spec.Origin
			}
			i++
		}
	}
	answers := map[string]*finding{}
	for _, o := range all[:i] {
		id, err := r.openOther(ctx, o)
		if err != nil {
			return err
		}
		answers[id] = &finding{of: o.of, answer: roster.Answer{Outcome: o.outcome}, reason: o.reason}
	}
	r.say("另有协查、证明核对、生育服务通报共 %d 件", "%d assistance requests, certificate checks and birth-service notices besides", i)
	if err := r.settle(ctx); err != nil {
		return err
	}
	known := func(c *casesv1.Case) *finding { return answers[c.GetCaseId()] }
	if err := r.answerOpen(ctx, r.residence, known); err != nil {
		return err
	}
	return r.answerOpen(ctx, r.origin, known)
}

func (r *run) openOther(ctx context.Context, o *other) (string, error) {
	about := fmt.Sprintf("%s/%s", o.kind, o.outcome)
	fields := proto.CloneOf(o.of.request.Fields)
	fields.ConfirmConsentId = ""
	fields.Basis = &casesv1.Basis{Kind: casesv1.BasisKind_BASIS_KIND_REQUEST}
	switch o.kind {
	case casesv1.Kind_KIND_ASSIST:
		fields.Request = "请协助本人补办居住登记凭证"
	case casesv1.Kind_KIND_CERTIFICATE:
		fields.Certificate = "测证-" + o.outcome.String()
	case casesv1.Kind_KIND_BIRTH_SERVICE:
		// A birth-service notice leaves on the person's consent (DOMAIN section 2).
		resp, err := o.by.consents(o.account).RecordConsent(ctx, &consentv1.RecordConsentRequest{
			RequestId: requestID("birth consent", o.of.id), Person: &consentv1.Person{Name: o.of.Row.Name, Document: o.of.Row.Document.Number},
			Consent: &consentv1.Consent{
				Recipient: o.to.String(), Purpose: "birth_service", TextVersion: r.spec.ConsentVersion, TextSha256: consentHash(), GivenHow: "counter",
			},
		})
		if err != nil {
			return "", fmt.Errorf("demo: record a consent of line %d: %w", o.of.Row.Line, err)
		}
		fields.Basis = &casesv1.Basis{Kind: casesv1.BasisKind_BASIS_KIND_CONSENT, ConsentId: resp.GetConsent().GetConsentId()}
		fields.EventDate = civil.In(r.began).String()
	}
	resp, err := o.by.cases(o.account).OpenCase(ctx, &casesv1.OpenCaseRequest{
		RequestId: requestID("other", about), Kind: o.kind, Origin: o.from.String(), Destination: o.to.String(), Fields: fields, Urgent: o.urgent,
	})
	if err != nil {
		return "", fmt.Errorf("demo: open a case of %s: %w", about, err)
	}
	id := resp.GetCase().GetCaseId()
	r.acts.add(id, 1)
	return id, nil
}
