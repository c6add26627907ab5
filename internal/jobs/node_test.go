package jobs_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/harness"
	"yipan/internal/ident"
	"yipan/internal/jobs"
	"yipan/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// TestJobsOfANode lets a node's clock pass the end of an offer round and the
// days after which a wrong receiver forgets: the jobs do what is due, and two
// replicas do it once.
func TestJobsOfANode(t *testing.T) {
	ctx := t.Context()
	w, err := harness.NewWorld(t.TempDir(), time.Date(2026, 11, 20, 9, 0, 0, 0, civil.Shanghai))
	if err != nil {
		t.Fatal(err)
	}
	x, y := area.MustOf(area.County, "520330"), area.MustOf(area.County, "330782")
	s, err := w.AddSite(storetest.New(t), x, x, y)
	if err != nil {
		t.Fatal(err)
	}
	here, there := area.Children(x)[0], area.Children(y)[0]
	clerk := harness.Clerk(access.Clerk, here, there)
	open := func(i int, request string) desk.CaseRef {
		v, _, err := s.Desk.OpenCase(ctx, clerk, desk.OpenRequest{
			RequestID: request, Kind: cases.Outflow, Origin: here, Destination: there,
			Fields: desk.FieldsInput{
				Name: "示例一", Document: ident.Make("520330", civil.MustParse("1990-01-01"), i, true), EventDay: civil.MustParse("2026-11-10"),
				Basis: desk.BasisInput{Kind: cases.BasisRequest},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return desk.CaseRef{Case: v.ID, Etag: v.Etag}
	}
	answer := func(ref desk.CaseRef, request string, in desk.AnswerInput) {
		if _, _, err := s.Desk.Answer(ctx, clerk, desk.AnswerRequest{RequestID: request, Ref: ref, Answer: in}); err != nil {
			t.Fatal(err)
		}
	}
	residing, misrouted := open(1, "request-1"), open(2, "request-2")
	answer(residing, "request-3", desk.AnswerInput{Outcome: cases.Residing, Basis: desk.BasisInput{Kind: cases.BasisRequest}})
	answer(misrouted, "request-4", desk.AnswerInput{Outcome: cases.Misrouted, Area: area.Children(y)[1]})

	reg := prometheus.NewRegistry()
	config := jobs.Config{Desk: s.Desk, Exchange: s.Exchange, Figures: s.Figures, Closing: s.Closing, Remind: s.Remind, Policies: w.Policies, Now: w.Clock.Now, Interval: 20 * time.Millisecond, Registerer: reg}
	replica := config
	replica.Registerer = nil
	w.Clock.Add(43 * 24 * time.Hour)
	run, cancel := context.WithCancel(ctx)
	ended := make(chan error, 2)
	for _, c := range []jobs.Config{config, replica} {
		go func() { ended <- jobs.New(c).Run(run) }()
	}
	deadline := time.Now().Add(time.Minute)
	for {
		v, err := s.Desk.GetCase(ctx, harness.Clerk(access.Clerk, there), desk.GetRequest{Case: residing.Case})
		if err != nil {
			t.Fatal(err)
		}
		u, err := s.Desk.GetCase(ctx, harness.Clerk(access.Clerk, there), desk.GetRequest{Case: misrouted.Case})
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Feedback) == 1 && v.Feedback[0].OfferRound == 20263 && u.Subject == "（已删除）" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("feedback %+v, subject %q", v.Feedback, u.Subject)
		}
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range all {
		seen[f.GetName()] = true
		for _, m := range f.GetMetric() {
			if f.GetName() == "yipan_job_failures_total" && m.GetCounter().GetValue() > 0 {
				t.Errorf("job %s failed", m.GetLabel()[0].GetValue())
			}
		}
	}
	for _, name := range []string{"yipan_job_runs_total", "yipan_exchange_unsettled_read", "yipan_rates_read", "yipan_months_unfrozen", "yipan_rates_recount_differences"} {
		if !seen[name] {
			t.Errorf("no metric %s", name)
		}
	}
	v, err := s.Desk.Trace(ctx, harness.Clerk(access.Clerk, there), residing.Case, "test")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range v.Events {
		if e.Kind == cases.Feedback {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d feedbacks", n)
	}
}
