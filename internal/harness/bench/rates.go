package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/civil"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/harness/roster"
	"yipan/internal/harness/town"
	"yipan/internal/ident"
	"yipan/internal/node"
	"yipan/internal/policy"
	"yipan/internal/store"
)

// RatesFigures are what a run over a county with many cases measured.
type RatesFigures struct {
	Cases       int                   `json:"cases"`
	Small       map[string]Percentile `json:"at_10000"`
	Filled      map[string]Percentile `json:"at_all_just_filled"`
	Large       map[string]Percentile `json:"at_all"`
	Growth      float64               `json:"growth"` // p99 of the page with all cases, as a multiple of that with 10,000
	VisibleMS   float64               `json:"visible_ms"`
	AddUpPerS   float64               `json:"add_up_per_s"`
	Deltas      int64                 `json:"deltas"`
	RecountS    float64               `json:"recount_s"`
	Recounted   int64                 `json:"recounted"`
	Differences int64                 `json:"differences"`
	More        map[string]float64    `json:"more,omitempty"` // of further steps
}

// A ratesStep measures one thing of the filled county.
type ratesStep func(context.Context, *ratesRun, *RatesFigures) error

// ratesSteps run in order after the county is filled.
var ratesSteps = []ratesStep{visible, recount}

// fewCases is what the page with all cases is compared with.
const fewCases = 10_000

// cleanedUp is within what PostgreSQL vacuums a table that needs it: once each
// autovacuum_naptime, a minute, and what that takes.
const cleanedUp = 75 * time.Second

// ratesTowns is how many townships of the county have cases.
const ratesTowns = 20

type ratesRun struct {
	node  *town.Node
	db    *store.DB
	say   func(string, ...any)
	towns []area.Key
	peers []area.Key
	now   time.Time
}

// Rates fills a county with n cases of two years and measures what its operator
// waits for. It decides nothing.
func Rates(ctx context.Context, c Config, n int) (f RatesFigures, err error) {
	if c.Dir == "" {
		if c.Dir, err = os.MkdirTemp("", "yipan-bench-"); err != nil {
			return f, fmt.Errorf("bench: make a folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.Dir)) }()
		if err := os.Chmod(c.Dir, 0o711); err != nil {
			return f, fmt.Errorf("bench: make the folder passable: %w", err)
		}
	}
	say := func(format string, a ...any) { _, _ = fmt.Fprintf(c.Out, format+"\n", a...) }
	t, err := town.New(ctx, town.Config{
		Dir: filepath.Join(c.Dir, "rates"), Program: c.Program, Executable: c.Executable, Policy: policy.DefaultFile(),
		Nodes: []town.NodeConfig{{Folder: "county", Area: origin, Name: area.FullName(origin), Accounts: []town.Account{
			{Name: "operator", Role: access.County, Offices: []area.Key{origin}},
			{Name: "sender", Role: access.Clerk, Offices: []area.Key{small}},
			{Name: "receiver", Role: access.Clerk, Offices: []area.Key{big}},
			{Name: watcher, Role: access.Admin},
		}}},
	})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, t.Stop()) }()
	if err := t.Start(ctx); err != nil {
		return f, err
	}
	r := &ratesRun{node: t.Nodes[0], say: say, now: time.Now()}
	defer r.node.Hangup()
	r.towns = append([]area.Key{big, small}, slices.DeleteFunc(area.Children(origin), func(k area.Key) bool { return k == big || k == small })...)
	r.towns = r.towns[:min(ratesTowns, len(r.towns))]
	for _, province := range area.Children(0) {
		for _, prefecture := range area.Children(province) {
			r.peers = append(r.peers, area.Children(prefecture)...)
		}
	}
	r.peers = slices.DeleteFunc(r.peers, func(k area.Key) bool { return k.Level() != area.County || k == origin })
	loaded, err := node.Load(node.Sources{File: r.node.ConfigFile()})
	if err != nil {
		return f, err
	}
	d, err := node.OpenDatabase(ctx, &loaded.Config, node.DatabaseOptions{Attach: true})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, d.Close(context.WithoutCancel(ctx))) }()
	if r.db, err = d.Open(ctx); err != nil {
		return f, err
	}
	defer r.db.Close()
	f.Cases, f.More = n, map[string]float64{}
	few := min(n, fewCases)
	if err := r.fill(ctx, 0, few, &f); err != nil {
		return f, err
	}
	if f.Small, err = r.pages(ctx); err != nil {
		return f, err
	}
	if err := r.fill(ctx, few, n, &f); err != nil {
		return f, err
	}
	if f.Filled, err = r.pages(ctx); err != nil {
		return f, err
	}
	say("… and when the database has cleaned up after the fill:")
	select {
	case <-ctx.Done():
		return f, context.Cause(ctx)
	case <-time.After(cleanedUp):
	}
	if f.Large, err = r.pages(ctx); err != nil {
		return f, err
	}
	f.Growth = f.Large["rates_page"].P99 / f.Small["rates_page"].P99
	say("rates page, p99 as a multiple of that at %d: %.2f", few, f.Growth)
	for _, step := range ratesSteps {
		if err := step(ctx, r, &f); err != nil {
			return f, err
		}
	}
	return f, writeJSON(c.JSON, f)
}

// fill writes rounds and adds them up, while the node adds up too.
func (r *ratesRun) fill(ctx context.Context, from, to int, f *RatesFigures) error {
	offices := append(slices.Clone(r.towns), origin)
	first := civil.In(r.now).AddDays(-730).StartInstant()
	const part = 20_000
	began := time.Now()
	for at := from; at < to; at += part {
		if err := r.db.InExchange(ctx, offices, func(tx *store.Tx) error {
			return tx.FillRounds(ctx, at, min(at+part, to)-1, r.towns, r.peers, first, civil.In(r.now).StartInstant())
		}); err != nil {
			return err
		}
		if at%200_000 == 0 && at > 0 {
			r.say("  %d cases …", at)
		}
	}
	r.say("%d cases written in %.1f s", to-from, time.Since(began).Seconds())
	// What the node's own job adds up meanwhile is not counted here.
	var busy time.Duration
	for left := int64(1); left > 0; {
		var n int64
		one := time.Now()
		if err := r.db.InExchange(ctx, offices, func(tx *store.Tx) (err error) {
			n, err = tx.AddUp(ctx)
			return err
		}); err != nil {
			return err
		}
		if n > 0 {
			busy += time.Since(one)
			f.Deltas += n
			continue
		}
		// The node's own job adds up just now, or nothing is left.
		if err := r.db.InExchange(ctx, offices, func(tx *store.Tx) (err error) {
			left, err = tx.Deltas(ctx)
			return err
		}); err != nil {
			return err
		}
	}
	if busy > 0 && to > fewCases {
		f.AddUpPerS = float64(f.Deltas) / busy.Seconds()
		r.say("%d changes added up here, %.0f/s", f.Deltas, f.AddUpPerS)
	}
	return nil
}

// pages measures what the county's operator opens: the rates by township with
// twelve months of trend, and by counterpart.
func (r *ratesRun) pages(ctx context.Context) (map[string]Percentile, error) {
	conn, err := r.node.Dial("operator")
	if err != nil {
		return nil, err
	}
	s := ratesv1.NewRateServiceClient(conn)
	of := []ratesv1.Measure{ratesv1.Measure_MEASURE_FEEDBACK, ratesv1.Measure_MEASURE_FEEDBACK_ON_TIME, ratesv1.Measure_MEASURE_VERIFICATION}
	month := policy.PeriodOf(r.now, policy.SpanMonth)
	out := map[string]Percentile{}
	for _, v := range []struct {
		name string
		req  func(i int) *ratesv1.GetRatesRequest
	}{
		{"rates_page", func(int) *ratesv1.GetRatesRequest {
			return &ratesv1.GetRatesRequest{Area: origin.String(), Measures: of, Breakdown: ratesv1.Breakdown_BREAKDOWN_TOWNSHIP, Trend: 12}
		}},
		{"rates_year", func(int) *ratesv1.GetRatesRequest {
			return &ratesv1.GetRatesRequest{Area: origin.String(), Measures: of, Period: "year", Breakdown: ratesv1.Breakdown_BREAKDOWN_KIND}
		}},
		{"rates_counterpart", func(i int) *ratesv1.GetRatesRequest {
			p := month
			for range i % 12 {
				p = p.Previous()
			}
			return &ratesv1.GetRatesRequest{Area: origin.String(), Measures: of, Period: p.String(), Breakdown: ratesv1.Breakdown_BREAKDOWN_COUNTERPART}
		}},
	} {
		p, err := timed(ctx, func(ctx context.Context, i int) error {
			resp, err := s.GetRates(ctx, v.req(i))
			if err == nil && len(resp.GetRates()) == 0 {
				return errors.New("bench: a page of rates is empty")
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("bench: %s: %w", v.name, err)
		}
		out[v.name] = p
		r.say("%-18s p50 %7.2f ms   p99 %7.2f ms", v.name, p.P50, p.P99)
	}
	return out, nil
}

// visible measures how long after an answer was given the live figures show it.
func visible(ctx context.Context, r *ratesRun, f *RatesFigures) error {
	sender, err := r.node.Dial("sender")
	if err != nil {
		return err
	}
	receiver, err := r.node.Dial("receiver")
	if err != nil {
		return err
	}
	asked := casesv1.NewCaseServiceClient(receiver)
	s := ratesv1.NewRateServiceClient(receiver)
	answered := func(period string) (int64, error) {
		resp, err := s.GetRates(ctx, &ratesv1.GetRatesRequest{Area: big.String(), Period: period, Measures: []ratesv1.Measure{ratesv1.Measure_MEASURE_FEEDBACK}})
		if err != nil {
			return 0, err
		}
		return resp.GetRates()[0].GetN(), nil
	}
	for i := range 20 {
		v, err := casesv1.NewCaseServiceClient(sender).OpenCase(ctx, &casesv1.OpenCaseRequest{
			RequestId: fmt.Sprintf("visible-%09d", i), Kind: casesv1.Kind_KIND_OUTFLOW, Origin: small.String(), Destination: big.String(),
			Fields: &casesv1.Fields{
				Name: roster.Name(i), Document: ident.Make("520381", civil.MustParse("1970-01-01").AddDays(i), i, true), EventDate: civil.In(r.now).AddDays(-3).String(),
				Basis: &casesv1.Basis{Kind: casesv1.BasisKind_BASIS_KIND_REQUEST},
			},
		})
		if err != nil {
			return fmt.Errorf("bench: open: %w", err)
		}
		c, err := asked.GetCase(ctx, &casesv1.GetCaseRequest{CaseId: v.GetCase().GetCaseId(), Purpose: "bench"})
		if err != nil {
			return fmt.Errorf("bench: read: %w", err)
		}
		period := policy.SpanMonth.Holding(policy.DueDay(c.GetCase().GetDueAt().AsTime())).String()
		before, err := answered(period)
		if err != nil {
			return err
		}
		began := time.Now()
		if _, err := asked.AnswerCase(ctx, &casesv1.AnswerCaseRequest{
			RequestId: fmt.Sprintf("answer-%09d", i), Ref: &casesv1.CaseRef{CaseId: c.GetCase().GetCaseId(), Etag: c.GetCase().GetEtag()},
			Answer: &casesv1.Answer{Outcome: casesv1.Outcome_OUTCOME_NOT_FOUND},
		}); err != nil {
			return fmt.Errorf("bench: answer: %w", err)
		}
		for after := before; after == before; {
			if after, err = answered(period); err != nil {
				return err
			}
			if time.Since(began) > time.Minute {
				return errors.New("bench: an answer does not show")
			}
		}
		f.VisibleMS = max(f.VisibleMS, float64(time.Since(began).Microseconds())/1000)
	}
	r.say("an answer shows in the live figures after %.1f ms at most, the call included", f.VisibleMS)
	return nil
}

// recount counts everything again. The invented rounds have no items, so that
// only the few real cases are folded.
func recount(ctx context.Context, r *ratesRun, f *RatesFigures) error {
	conn, err := r.node.Dial(watcher)
	if err != nil {
		return err
	}
	began := time.Now()
	resp, err := ratesv1.NewRateServiceClient(conn).RecountRates(ctx, &ratesv1.RecountRatesRequest{})
	if err != nil {
		return fmt.Errorf("bench: recount: %w", err)
	}
	f.RecountS, f.Recounted, f.Differences = time.Since(began).Seconds(), resp.GetRounds(), resp.GetTotal()
	r.say("%d rounds and %d sums counted again in %.1f s: %d differences", resp.GetRounds(), resp.GetSums(), f.RecountS, resp.GetTotal())
	for _, d := range resp.GetDifferences()[:min(3, len(resp.GetDifferences()))] {
		r.say("  %s %s %s: kept %d, counted %d", d.GetWhat(), d.GetOffice(), d.GetKey(), d.GetKept(), d.GetCounted())
	}
	return nil
}
