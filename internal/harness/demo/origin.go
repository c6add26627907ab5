package demo

import (
	"context"
	"fmt"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"yipan/internal/area"
	"yipan/internal/cases"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/harness/roster"
)

// batch is how many rows one call sends, the most that is allowed.
const batch = 1000

// clerk is the account of the origin township.
func (r *run) clerk() string { return r.origin.clerks[r.spec.Origin] }

// recordConsents opens the file of each who agreed to be confirmed and records
// the consent, one call each. The recipient is the province, so that it holds
// where the address was wrong.
func (r *run) recordConsents(ctx context.Context) error {
	s := r.origin.consents(r.clerk())
	var who []*file
	for _, f := range r.people {
		if f.Row.Confirm {
			who = append(who, f)
		}
	}
	files := r.origin.people(r.clerk())
	err := each(ctx, who, func(ctx context.Context, f *file) error {
		reg, err := files.RegisterPerson(ctx, &ledgerv1.RegisterPersonRequest{
			RequestId: requestID("file", f.request.GetRequestId()), Profile: f.profile(r.spec.Origin, r.spec.Origin),
		})
		if err != nil {
			return fmt.Errorf("demo: open the file of line %d: %w", f.Row.Line, err)
		}
		f.person = reg.GetPerson().GetPersonId()
		resp, err := s.RecordConsent(ctx, &consentv1.RecordConsentRequest{
			RequestId: requestID("consent", f.request.GetRequestId()), Office: r.spec.Origin.String(),
			Person: &consentv1.Person{PersonId: f.person},
			Consent: &consentv1.Consent{
				Recipient: f.Row.Destination.Cut(area.Province).String(), Purpose: "confirm_residence",
				TextVersion: f.Row.ConsentVersion, TextSha256: consentHash(), GivenHow: "paper",
			},
		})
		if err != nil {
			return fmt.Errorf("demo: record the consent of line %d: %w", f.Row.Line, err)
		}
		f.request.Fields.ConfirmConsentId = resp.GetConsent().GetConsentId()
		return nil
	})
	if err != nil {
		return err
	}
	r.say("%d 人同意被核实；其余的人只会得到“本人未授权共享”", "%d people agreed to be confirmed; of the others only NO_DISCLOSURE returns", len(who))
	return nil
}

// sendRoster opens all cases of the roster, batch by batch, and waits until the
// other nodes have signed for them.
func (r *run) sendRoster(ctx context.Context) error {
	if err := r.arriveEarly(ctx); err != nil {
		return err
	}
	if r.Chaos {
		// They are away, so that what the broker loses is all that was sent.
		if err := r.sendAway(r.residence, r.third); err != nil {
			return err
		}
	}
	sent := make(chan error, 1)
	go func() { sent <- r.openAll(ctx, false) }()
	if r.Chaos {
		if err := r.loseBroker(ctx, sent); err != nil {
			return err
		}
		if err := r.killAbsorbing(ctx, r.residence); err != nil {
			return err
		}
		if err := r.third.Start(ctx); err != nil {
			return err
		}
	} else if err := <-sent; err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	r.say("全部签收", "all are signed for")
	if r.Chaos {
		return r.backUp(ctx, r.origin)
	}
	return nil
}

// told returns the people of a story.
func (r *run) told(want ...roster.Story) []*file {
	var out []*file
	for _, f := range r.people {
		for _, s := range want {
			if f.Truth.Story == s && f.Row.Kind == cases.Outflow {
				out = append(out, f)
			}
		}
	}
	return out
}

// seen reads a case and returns it with a fresh etag.
func seen(ctx context.Context, s casesv1.CaseServiceClient, id string) (*casesv1.Case, error) {
	resp, err := s.GetCase(ctx, &casesv1.GetCaseRequest{CaseId: id, Purpose: "演示：办理"})
	if err != nil {
		return nil, fmt.Errorf("demo: read case %s: %w", id, err)
	}
	return resp.GetCase(), nil
}

func refOf(c *casesv1.Case) *casesv1.CaseRef {
	return &casesv1.CaseRef{CaseId: c.GetCaseId(), Etag: c.GetEtag()}
}

// revise corrects telephone numbers and withdraws some notices before anybody
// answers.
func (r *run) revise(ctx context.Context) error {
	s := r.origin.cases(r.clerk())
	var corrected, withdrawn atomic.Int64
	err := each(ctx, r.told(roster.Corrected, roster.Withdrawn), func(ctx context.Context, f *file) error {
		c, err := seen(ctx, s, f.id)
		if err != nil {
			return err
		}
		if f.Truth.Story == roster.Withdrawn {
			_, err = s.WithdrawCase(ctx, &casesv1.WithdrawCaseRequest{RequestId: requestID("withdraw", f.id), Ref: refOf(c), Reason: "登记有误"})
			withdrawn.Add(1)
		} else {
			fields := proto.CloneOf(f.request.Fields)
			fields.Contact = f.Truth.Phone
			_, err = s.CorrectCase(ctx, &casesv1.CorrectCaseRequest{RequestId: requestID("correct", f.id), Ref: refOf(c), Fields: fields})
			corrected.Add(1)
		}
		if err != nil {
			return fmt.Errorf("demo: revise case %s: %w", f.id, err)
		}
		r.acts.add(f.id, 1)
		return nil
	})
	if err != nil {
		return err
	}
	r.say("更正 %d 件，撤回 %d 件", "%d corrected, %d withdrawn", corrected.Load(), withdrawn.Load())
	if err := r.showCertificates(ctx); err != nil {
		return err
	}
	return r.settle(ctx)
}

// showCertificates asks the places that issued the certificates which people
// who arrived chose to show.
func (r *run) showCertificates(ctx context.Context) error {
	s := r.origin.cases(r.clerk())
	n := 0
	for _, f := range r.people {
		if f.Truth.Certificate == "" {
			continue
		}
		fields := proto.CloneOf(f.request.Fields)
		fields.Certificate = f.Truth.Certificate
		fields.Basis = &casesv1.Basis{Kind: casesv1.BasisKind_BASIS_KIND_REQUEST}
		resp, err := s.OpenCase(ctx, &casesv1.OpenCaseRequest{
			RequestId: requestID("certificate", f.request.GetRequestId()), Kind: casesv1.Kind_KIND_CERTIFICATE,
			Origin: r.spec.Origin.String(), Destination: f.request.GetDestination(), Fields: fields,
		})
		if err != nil {
			return fmt.Errorf("demo: have a certificate checked: %w", err)
		}
		f.check = resp.GetCase().GetCaseId()
		r.acts.add(f.check, 1)
		n++
	}
	r.say("请发证地验证 %d 份婚育证明", "%d certificates are to be verified where they were issued", n)
	return nil
}

// goOn lets the origin dispute, close, reopen and send by mistake, and lets both
// other counties answer again.
func (r *run) goOn(ctx context.Context) error {
	if err := each(ctx, r.told(roster.Disputed, roster.Reopened, roster.SentTwice), r.goOnWith); err != nil {
		return err
	}
	r.say("退回/存疑 %d 件，注销后回档 %d 件，误发第二次 %d 件", "%d disputed, %d closed and reopened, %d sent twice by mistake",
		len(r.told(roster.Disputed)), len(r.told(roster.Reopened)), len(r.told(roster.SentTwice)))
	if err := r.settle(ctx); err != nil {
		return err
	}
	if err := r.answerOpen(ctx, r.residence, r.secondAnswer()); err != nil {
		return err
	}
	if err := r.answerOpen(ctx, r.third, r.reroutedAnswer()); err != nil {
		return err
	}
	if err := r.openOthers(ctx); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	if r.Chaos {
		return r.putBack(ctx, r.origin)
	}
	return nil
}

func (r *run) goOnWith(ctx context.Context, f *file) error {
	s := r.origin.cases(r.clerk())
	if f.Truth.Story == roster.SentTwice {
		second := proto.CloneOf(f.request)
		second.RequestId = requestID("second", f.request.GetRequestId())
		second.CertificateAskedOn, second.CertificateIssuedOn = "", "" // asked for once
		resp, err := s.OpenCase(ctx, second)
		if err != nil {
			return fmt.Errorf("demo: send line %d twice: %w", f.Row.Line, err)
		}
		f.second = resp.GetCase().GetCaseId()
		r.acts.add(f.second, 1)
		return nil
	}
	c, err := seen(ctx, s, f.id)
	if err != nil {
		return err
	}
	if c.GetState() != casesv1.State_STATE_ANSWERED {
		return nil // what nobody answered is neither disputed nor closed; the check at the end tells
	}
	if f.Truth.Story == roster.Disputed {
		_, err = s.DisputeCase(ctx, &casesv1.DisputeCaseRequest{RequestId: requestID("dispute", f.id), Ref: refOf(c), Reason: "家属称仍在当地居住"})
	} else {
		var closed *casesv1.CloseCaseResponse
		closed, err = s.CloseCase(ctx, &casesv1.CloseCaseRequest{RequestId: requestID("close", f.id), Ref: refOf(c), Reason: "已返回户籍地"})
		if err == nil {
			r.acts.add(f.id, 1)
			_, err = s.ReopenCase(ctx, &casesv1.ReopenCaseRequest{RequestId: requestID("reopen", f.id), Ref: refOf(closed.GetCase()), Reason: "再次流出"})
		}
	}
	if err != nil {
		return fmt.Errorf("demo: go on with case %s: %w", f.id, err)
	}
	r.acts.add(f.id, 1)
	return nil
}
