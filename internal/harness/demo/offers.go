package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
)

// released are the findings that a person lets return to the origin.
var released = []string{"iud", "pregnancy", "reproductive_health"}

// recordOffers records how the offers of the round ended: at the residence for
// those who were found there, at the origin for the women who arrived.
func (r *run) recordOffers(ctx context.Context) error {
	var offered []*file
	for _, f := range r.people {
		f.mu.Lock()
		if f.Truth.Offer.Result != "" && f.disclosed[f.id] {
			offered = append(offered, f)
		}
		f.mu.Unlock()
	}
	held, err := r.handled(ctx)
	if err != nil {
		return err
	}
	var consented atomic.Int64
	err = each(ctx, offered, func(ctx context.Context, f *file) error {
		h, ok := held[f.id]
		if !ok {
			return fmt.Errorf("demo: no township of the residence sees case %s", f.id)
		}
		return r.offer(ctx, f, h, &consented)
	})
	if err != nil {
		return err
	}
	r.say("登记 %d 人次三查服务告知；其中 %d 人同意把结果告知户籍地", "%d offers recorded; %d people agreed that the findings return", len(offered), consented.Load())
	return r.offerArrived(ctx)
}

// handled is a case as the clerk of its township sees it.
type handled struct {
	township area.Key
	account  string
	ref      *casesv1.CaseRef
}

// handled lists what the clerks of the residence have answered.
func (r *run) handled(ctx context.Context) (map[string]handled, error) {
	at := map[string]handled{}
	for township, account := range r.residence.clerks {
		cs, err := listed(ctx, r.residence.cases(account), &casesv1.ListCasesRequest{
			Kind: casesv1.Kind_KIND_OUTFLOW, States: []casesv1.State{casesv1.State_STATE_ANSWERED}, Side: casesv1.Side_SIDE_RECEIVER, Purpose: "演示：三查",
		})
		if err != nil {
			return nil, err
		}
		for _, c := range cs {
			at[c.GetCaseId()] = handled{township, account, refOf(c)}
		}
	}
	return at, nil
}

func (r *run) offer(ctx context.Context, f *file, h handled, consented *atomic.Int64) error {
	o := &f.Truth.Offer
	number, _, _ := offerRound(r.today)
	req := &casesv1.RecordOfferRequest{
		RequestId: requestID("offer", f.id), Ref: h.ref, OfferRound: number, Result: o.Result,
		Date: civil.In(time.Now()).String(), Channel: o.Channel, Findings: o.Findings,
	}
	if o.Release {
		resp, err := r.residence.consents(h.account).RecordConsent(ctx, &consentv1.RecordConsentRequest{
			RequestId: requestID("release", f.id), Person: &consentv1.Person{PersonId: f.persons[f.id]},
			Consent: &consentv1.Consent{
				Recipient: r.spec.Origin.String(), Purpose: "feedback", Fields: released,
				TextVersion: r.spec.ConsentVersion, TextSha256: consentHash(), GivenHow: "counter",
			},
		})
		if err != nil {
			return fmt.Errorf("demo: record a consent for case %s: %w", f.id, err)
		}
		req.ConsentId = resp.GetConsent().GetConsentId()
		consented.Add(1)
	}
	if _, err := r.residence.cases(h.account).RecordOffer(ctx, req); err != nil {
		return fmt.Errorf("demo: record the offer on case %s: %w", f.id, err)
	}
	return nil
}

// offerArrived records the services done to the women who arrived at the
// origin township (篇一: 三查一治 3 人次); nothing of them is released.
func (r *run) offerArrived(ctx context.Context) error {
	s := r.origin.cases(r.clerk())
	number, _, _ := offerRound(r.today)
	for _, f := range r.people {
		if f.Truth.Certificate == "" {
			continue
		}
		c, err := seen(ctx, s, f.id)
		if err != nil {
			return err
		}
		if _, err := s.RecordOffer(ctx, &casesv1.RecordOfferRequest{
			RequestId: requestID("offer", f.id), Ref: refOf(c), OfferRound: number, Result: "done",
			Date: civil.In(time.Now()).String(), Channel: "counter", Findings: map[string]string{"reproductive_health": "no_finding"},
		}); err != nil {
			return fmt.Errorf("demo: record the offer on case %s: %w", f.id, err)
		}
		r.result.Report.Offered++
	}
	return nil
}

// roundLead is how long before its end the nodes are told when the round ends.
const roundLead = 700 * time.Millisecond

// feedbackTime bounds the wait for a round's feedback.
const feedbackTime = 20 * time.Second

// endRound puts a policy into force under which the round ends, waits for the
// feedback, and checks that every refusal reads as everything else does.
func (r *run) endRound(ctx context.Context) error {
	if err := r.settle(ctx); err != nil {
		return err
	}
	ends := time.Now().Add(roundLead)
	if err := os.WriteFile(filepath.Join(r.Dir, "policy.toml"), policyFile(r.today, 2, ends), 0o644); err != nil { //nolint:gosec // nothing secret
		return fmt.Errorf("demo: write the policy: %w", err)
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, p := range r.places() {
		g.Go(func() error { return p.Restart(gctx) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	r.say("新政策已生效，本轮于 %s 结束", "a new policy is in force: the round ends at %s", ends.In(civil.Shanghai).Format(time.TimeOnly))
	// FEEDBACK leaves after a statement round: nobody waits for its hour here.
	if err := r.stateAll(ctx); err != nil {
		return err
	}
	if err := r.awaitFeedback(ctx); err != nil {
		return err
	}
	return r.settle(ctx)
}

// awaitFeedback waits until the feedback is where it belongs and reads, as the
// origin's clerk, what came back on every case whose residence was disclosed.
// What never comes, the conservation check names.
func (r *run) awaitFeedback(ctx context.Context) error {
	var list []*file
	for _, f := range r.people {
		switch {
		case f.Row.Kind == cases.Inflow:
			r.acts.add(f.id, 1) // of the origin, about who arrived there
		case f.disclosed[f.id]:
			r.acts.add(f.id, 1)
			list = append(list, f)
		case f.disclosed[f.child]:
			r.acts.add(f.child, 1)
		}
	}
	if err := r.held(ctx, feedbackTime); err != nil {
		return err
	}
	s := r.origin.cases(r.clerk())
	var n, open atomic.Int64
	err := each(ctx, list, func(ctx context.Context, f *file) error {
		c, err := seen(ctx, s, f.id)
		if err != nil || len(c.GetFeedback()) == 0 {
			return err
		}
		n.Add(1)
		fb := c.GetFeedback()[0]
		if fb.GetReleased() {
			open.Add(1)
			return checkReleased(f, fb)
		}
		if f.Truth.Offer.Release || len(fb.GetFields()) > 0 {
			return fmt.Errorf("demo: feedback on case %s is withheld; the person released it: %v", f.id, f.Truth.Offer.Release)
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.say("%d 件反馈到户籍地，%d 件依本人同意公开；谢绝、未接触、未告知一律读作“本人未授权共享”",
		"%d pieces of feedback reached the origin, %d with the fields that the person released; every refusal, like all else, reads NO_DISCLOSURE", n.Load(), open.Load())
	return nil
}

func checkReleased(f *file, fb *casesv1.Feedback) error {
	if !f.Truth.Offer.Release {
		return fmt.Errorf("demo: feedback on case %s was released without consent", f.id)
	}
	for name, value := range fb.GetFields() {
		if !slices.Contains(released, name) || f.Truth.Offer.Findings[name] != value {
			return fmt.Errorf("demo: feedback on case %s says something else of %s", f.id, name)
		}
	}
	return nil
}
