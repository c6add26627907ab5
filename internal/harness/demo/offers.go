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

	"yipan/internal/cases"
	"yipan/internal/civil"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
)

// released are the findings that a person lets return to the origin.
var released = []string{"iud", "pregnancy", "reproductive_health"}

// recordOffers works through the due lists of the round: at the residence for
// those who were found there, at the origin for the women who arrived, at the
// third county for those whose notice followed them.
func (r *run) recordOffers(ctx context.Context) error {
	offers := map[string]*file{} // by person of the residence's ledger
	for _, f := range r.people {
		f.mu.Lock()
		if id := f.persons[f.id]; id != "" && f.Truth.Offer.Result != "" && f.disclosed[f.id] {
			offers[id] = f
		}
		f.mu.Unlock()
	}
	var consented, recorded atomic.Int64
	for township, account := range r.residence.clerks {
		due, err := r.due(ctx, r.residence, account)
		if err != nil {
			return err
		}
		err = each(ctx, due, func(ctx context.Context, person string) error {
			f := offers[person]
			if f == nil {
				return r.plainOffer(ctx, r.residence, account, person)
			}
			recorded.Add(1)
			return r.offer(ctx, f, account, person, &consented)
		})
		if err != nil {
			return err
		}
		r.log.Info("offers recorded", "township", township.String(), "due", len(due))
	}
	if n := recorded.Load(); n != int64(len(offers)) {
		return fmt.Errorf("demo: the due lists showed %d of %d people", n, len(offers))
	}
	r.say("按待办名单登记 %d 人次三查服务告知；其中 %d 人同意把结果告知户籍地", "%d offers recorded from the due lists; %d people agreed that the findings return", recorded.Load(), consented.Load())
	for _, p := range []*place{r.origin, r.third} {
		for _, account := range p.clerks {
			due, err := r.due(ctx, p, account)
			if err != nil {
				return err
			}
			if err := each(ctx, due, func(ctx context.Context, person string) error { return r.plainOffer(ctx, p, account, person) }); err != nil {
				return err
			}
		}
	}
	return r.recordVisits(ctx)
}

// recordVisits records that everybody who arrived came to the office with
// something, and that it was settled (篇一: 来访 6 人).
func (r *run) recordVisits(ctx context.Context) error {
	n := 0
	for _, f := range r.people {
		if f.Row.Kind != cases.Inflow {
			continue
		}
		n++
		for _, result := range []string{"asked", "done"} {
			_, err := r.origin.services(r.clerk()).RecordService(ctx, &ledgerv1.RecordServiceRequest{Service: &ledgerv1.ServiceInput{
				RequestId: requestID("visit "+result, f.request.GetRequestId()), PersonId: f.person, Kind: ledgerv1.ServiceKind_SERVICE_KIND_VISIT,
				Date: civil.In(time.Now()).String(), Result: result, Channel: "counter",
			}})
			if err != nil {
				return fmt.Errorf("demo: record a visit (line %d): %w", f.Row.Line, err)
			}
		}
	}
	r.say("来访 %d 人，均已办结", "%d visits, all settled", n)
	return nil
}

// due lists for whom an offer of the open round is due at a clerk's township.
func (r *run) due(ctx context.Context, p *place, account string) ([]string, error) {
	var out []string
	req := &ledgerv1.ListOffersDueRequest{PageSize: 200, Purpose: "演示：三查告知"}
	for {
		resp, err := p.services(account).ListOffersDue(ctx, req)
		if err != nil {
			return nil, fmt.Errorf("demo: list offers due: %w", err)
		}
		for _, s := range resp.GetPersons() {
			out = append(out, s.GetPersonId())
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return out, nil
		}
	}
}

// service is a three-checks offer of today.
func (r *run) service(p *place, person string) *ledgerv1.ServiceInput {
	number, _, _ := offerRound(r.today)
	return &ledgerv1.ServiceInput{
		RequestId: requestID("offer "+p.Folder, person), PersonId: person, Kind: ledgerv1.ServiceKind_SERVICE_KIND_THREE_CHECKS, Period: number,
		Date: civil.In(time.Now()).String(),
	}
}

func (r *run) offer(ctx context.Context, f *file, account, person string, consented *atomic.Int64) error {
	o, in := &f.Truth.Offer, r.service(r.residence, person)
	in.Result, in.Channel, in.Findings = o.Result, o.Channel, o.Findings
	if o.Release {
		resp, err := r.residence.consents(account).RecordConsent(ctx, &consentv1.RecordConsentRequest{
			RequestId: requestID("release", f.id), Person: &consentv1.Person{PersonId: person},
			Consent: &consentv1.Consent{
				Recipient: r.spec.Origin.String(), Purpose: "feedback", Fields: released,
				TextVersion: r.spec.ConsentVersion, TextSha256: consentHash(), GivenHow: "counter",
			},
		})
		if err != nil {
			return fmt.Errorf("demo: record a consent for case %s: %w", f.id, err)
		}
		in.ConsentId = resp.GetConsent().GetConsentId()
		consented.Add(1)
	}
	if _, err := r.residence.services(account).RecordService(ctx, &ledgerv1.RecordServiceRequest{Service: in}); err != nil {
		return fmt.Errorf("demo: record the offer on case %s: %w", f.id, err)
	}
	return nil
}

// plainOffer records a service done of which nothing is released (篇一: 三查一治
// 3 人次).
func (r *run) plainOffer(ctx context.Context, p *place, account, person string) error {
	in := r.service(p, person)
	in.Result, in.Channel, in.Findings = "done", "counter", map[string]string{"reproductive_health": "no_finding"}
	if _, err := p.services(account).RecordService(ctx, &ledgerv1.RecordServiceRequest{Service: in}); err != nil {
		return fmt.Errorf("demo: record an offer at %s: %w", p.Folder, err)
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
