package demo

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"yipan/internal/area"
	"yipan/internal/cases"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/harness/roster"
)

// finding is what a clerk finds about a case.
type finding struct {
	of          *file
	answer      roster.Answer
	duplicateOf string
	reason      string   // of CANNOT and PARTLY
	township    area.Key // where a county's distributor gives it
}

// find says what is found about a case that a list shows; nil: nothing yet.
type find func(c *casesv1.Case) *finding

// firstAnswer knows the notices of the roster and the certificate checks.
func (r *run) firstAnswer() find {
	at := map[string]*finding{}
	for _, f := range r.people {
		if f.Truth.Answer.Outcome != 0 {
			at[f.id] = &finding{of: f, answer: f.Truth.Answer, township: f.Truth.Township}
		}
		if f.check != "" {
			at[f.check] = &finding{of: f, answer: roster.Answer{Outcome: f.Truth.CertificateAnswer}}
		}
	}
	return func(c *casesv1.Case) *finding { return at[c.GetCaseId()] }
}

// secondAnswer knows the new rounds and the notices sent by mistake.
func (r *run) secondAnswer() find {
	at := map[string]*finding{}
	for _, f := range r.told(roster.Disputed, roster.Reopened) {
		at[f.id] = &finding{of: f, answer: f.Truth.Second, township: f.Truth.Township}
	}
	for _, f := range r.told(roster.SentTwice) {
		at[f.second] = &finding{of: f, answer: f.Truth.Second, duplicateOf: f.id, township: f.Truth.Township}
	}
	return func(c *casesv1.Case) *finding { return at[c.GetCaseId()] }
}

// reroutedAnswer knows the notices that follow a reroute.
func (r *run) reroutedAnswer() find {
	at := map[string]*finding{}
	for _, f := range r.people {
		if f.child != "" {
			at[f.child] = &finding{of: f, answer: f.Truth.Rerouted, township: r.spec.ThirdTownship}
		}
	}
	return func(c *casesv1.Case) *finding { return at[c.GetCaseId()] }
}

// answerAll lets the residence work through what it was sent.
func (r *run) answerAll(ctx context.Context) error {
	if err := r.distribute(ctx, r.residence, r.firstAnswer()); err != nil {
		return err
	}
	if err := r.answerOpen(ctx, r.residence, r.firstAnswer()); err != nil {
		return err
	}
	return r.settle(ctx)
}

// distribute gives what is addressed to the county to its townships.
func (r *run) distribute(ctx context.Context, p *place, found find) error {
	s := p.cases(p.distributor)
	waiting, err := listed(ctx, s, &casesv1.ListCasesRequest{
		States: []casesv1.State{casesv1.State_STATE_OPEN}, Waiting: casesv1.Waiting_WAITING_COUNTY, Purpose: "演示：分发",
	})
	if err != nil {
		return err
	}
	to := map[area.Key][]*casesv1.CaseRef{}
	for _, c := range waiting {
		if w := found(c); w != nil && w.township != 0 {
			to[w.township] = append(to[w.township], refOf(c))
		}
	}
	n := 0
	for township, refs := range to {
		for _, part := range chunks(refs, batch) {
			resp, err := s.DistributeCases(ctx, &casesv1.DistributeCasesRequest{
				RequestId: requestID("distribute", township.String()+part[0].GetEtag()+part[0].GetCaseId()), Cases: part, Township: township.String(),
			})
			if err != nil {
				return fmt.Errorf("demo: distribute: %w", err)
			}
			for _, res := range resp.GetResults() {
				if res.GetError() != nil {
					return refused("distribution of case "+res.GetCaseId(), res.GetError())
				}
				r.acts.add(res.GetCaseId(), 1)
				n++
			}
		}
	}
	if n > 0 {
		r.say("%s：县级分发 %d 件", "%s: %d distributed by the county", area.FullName(p.Area), n)
	}
	return nil
}

// answerOpen lets the clerks of all townships answer what their lists show.
func (r *run) answerOpen(ctx context.Context, p *place, found find) error {
	if err := r.distribute(ctx, p, found); err != nil {
		return err
	}
	var wg sync.WaitGroup
	var paired, answered, turned atomic.Int64
	errs := make(chan error, len(p.clerks))
	for _, account := range p.clerks {
		wg.Go(func() {
			d := desk{run: r, place: p, account: account, found: found, paired: &paired, answered: &answered, turned: &turned}
			errs <- d.work(ctx)
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	r.say("%s：配对 %d 件，答复 %d 件", "%s: %d paired, %d answered", area.FullName(p.Area), paired.Load(), answered.Load())
	if n := turned.Load(); n > 0 {
		r.say("其中 %d 件因没有依据改为“本人未授权共享”", "%d of them turned into NO_DISCLOSURE for want of a basis", n)
	}
	return nil
}

// desk is one clerk at work.
type desk struct {
	*run
	place                    *place
	account                  string
	found                    find
	paired, answered, turned *atomic.Int64
}

// work accepts those whom it will answer about into the ledger, then answers
// all.
func (d *desk) work(ctx context.Context) error {
	s, m := d.place.cases(d.account), d.place.movements(d.account)
	if err := d.pairEarly(ctx); err != nil {
		return err
	}
	open, err := listed(ctx, s, &casesv1.ListCasesRequest{
		States: []casesv1.State{casesv1.State_STATE_OPEN}, Side: casesv1.Side_SIDE_RECEIVER,
		Waiting: casesv1.Waiting_WAITING_RESIDENCE, Purpose: "演示：办理通报",
	})
	if err != nil {
		return err
	}
	type todo struct {
		c *casesv1.Case
		w *finding
	}
	var list, pair []*todo
	for _, c := range open {
		if w := d.found(c); w != nil {
			t := &todo{c, w}
			list = append(list, t)
			switch {
			case w.answer.Outcome != cases.Residing:
			case c.GetPaired():
				w.of.at(c.GetCaseId(), w.of.early)
			default:
				pair = append(pair, t)
			}
		}
	}
	err = each(ctx, pair, func(ctx context.Context, t *todo) error {
		resp, err := m.AcceptNotice(ctx, &ledgerv1.AcceptNoticeRequest{RequestId: requestID("accept", t.c.GetCaseId()), CaseId: t.c.GetCaseId(), Etag: t.c.GetEtag()})
		if err != nil {
			return fmt.Errorf("demo: accept case %s into the ledger: %w", t.c.GetCaseId(), err)
		}
		t.c.Etag = resp.GetEtag()
		t.w.of.at(t.c.GetCaseId(), resp.GetResult().GetMovement().GetPersonId())
		d.paired.Add(1)
		return nil
	})
	if err != nil {
		return err
	}
	for _, part := range chunks(list, batch) {
		req := &casesv1.BatchAnswerCasesRequest{}
		for _, t := range part {
			req.Requests = append(req.Requests, &casesv1.AnswerCaseRequest{
				RequestId: requestID("answer", fmt.Sprintf("%s/%d", t.c.GetCaseId(), t.c.GetRound())), Ref: refOf(t.c), Answer: t.w.message(),
			})
		}
		resp, err := s.BatchAnswerCases(ctx, req)
		if err != nil {
			return fmt.Errorf("demo: answer cases: %w", err)
		}
		for i, res := range resp.GetResults() {
			if res.GetError() != nil {
				return refused("answer to case "+part[i].c.GetCaseId(), res.GetError())
			}
			if err := d.done(part[i].c, part[i].w, len(res.GetWarnings()) > 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// at notes who a case's person is in the receiver's ledger.
func (f *file) at(id, person string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.persons[id] == "" {
		f.persons[id] = person
	}
}

// done counts an answer that was taken; turned: for want of a basis it says
// NO_DISCLOSURE. One that names the right area lets the origin's node open a
// notice there, whose id follows from this one's (PROTOCOL rule 5).
func (d *desk) done(c *casesv1.Case, w *finding, turned bool) error {
	id := c.GetCaseId()
	d.acts.add(id, 1)
	d.answered.Add(1)
	if turned {
		d.turned.Add(1)
	}
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	w.of.disclosed[id] = w.answer.Outcome == cases.Residing && !turned
	if w.answer.Outcome == cases.Misrouted && w.answer.Area != 0 {
		parent, err := cases.ParseCaseID(id)
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		w.of.child = cases.ChildCaseID(parent, c.GetRound(), w.answer.Area).String()
		d.acts.add(w.of.child, 1)
	}
	return nil
}

// message is the finding as the API takes it.
func (w *finding) message() *casesv1.Answer {
	a := &w.answer
	m := &casesv1.Answer{
		Outcome: casesv1.Outcome(a.Outcome), DuplicateOf: w.duplicateOf, Reason: w.reason, Attempts: a.Attempts, Channels: a.Channels,
		ConflictFields: a.ConflictFields, Check: a.Check, TrueReason: a.TrueReason,
	}
	if a.Area != 0 {
		m.Area = a.Area.String()
	}
	return m
}
