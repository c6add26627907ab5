package jobs

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// TestRateGauges reads, remembers for a moment, and shows nothing but a 0 where
// the database is away.
func TestRateGauges(t *testing.T) {
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	var figures rateFigures
	var fail error
	reads := 0
	reg := prometheus.NewRegistry()
	reg.MustRegister(newRateGauges(func(ctx context.Context) (rateFigures, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("a scrape may take for ever")
		}
		reads++
		return figures, fail
	}, func() time.Time { return now }))

	at := cell{Area: "330782001", Kind: "outflow", Role: "receiver", Period: "current"}
	checked := cell{Area: "330782002", Kind: "certificate", Role: "opener", Period: "previous"}
	open := cell{Area: "330782001", Kind: "outflow", Role: "receiver"}
	figures = rateFigures{
		Standings: []standing{
			{cell: at, Due: 10, Answered: 7, OnTime: 6, Overdue: map[string]int64{"county": 2, "residence": 1}},
			{cell: checked, Due: 3, Answered: 3, OnTime: -1},
		},
		Ages: []ages{{cell: open, Unreceipted: 4, Oldest: map[string]time.Duration{"residence": 90 * time.Second}}},
	}
	want := map[string]float64{
		"yipan_rates_read": 1,
		"yipan_rates_due{330782001}{outflow}{current}{receiver}":                10,
		"yipan_rates_answered{330782001}{outflow}{current}{receiver}":           7,
		"yipan_rates_on_time{330782001}{outflow}{current}{receiver}":            6,
		"yipan_rates_overdue{330782001}{outflow}{current}{receiver}{county}":    2,
		"yipan_rates_overdue{330782001}{outflow}{current}{receiver}{residence}": 1,
		"yipan_rates_due{330782002}{certificate}{previous}{opener}":             3,
		"yipan_rates_answered{330782002}{certificate}{previous}{opener}":        3,
		"yipan_rates_unreceipted{330782001}{outflow}{receiver}":                 4,
		"yipan_rates_oldest_seconds{330782001}{outflow}{receiver}{residence}":   90,
	}
	if diff := cmp.Diff(want, values(t, reg)); diff != "" {
		t.Errorf("metrics:\n%s", diff)
	}
	figures, now = rateFigures{}, now.Add(gaugeLife-time.Millisecond)
	if diff := cmp.Diff(want, values(t, reg)); diff != "" || reads != 1 {
		t.Errorf("%d reads within %s:\n%s", reads, gaugeLife, diff)
	}
	now = now.Add(time.Millisecond)
	if diff := cmp.Diff(map[string]float64{"yipan_rates_read": 1}, values(t, reg)); diff != "" || reads != 2 {
		t.Errorf("%d reads:\n%s", reads, diff)
	}
	fail, now = errors.New("away"), now.Add(gaugeLife)
	for range 2 { // an error is not remembered
		if diff := cmp.Diff(map[string]float64{"yipan_rates_read": 0}, values(t, reg)); diff != "" {
			t.Errorf("without a database:\n%s", diff)
		}
	}
	if reads != 4 {
		t.Errorf("%d reads", reads)
	}
}

// TestRateGaugesBounded: the series stay bounded, and nothing is lost.
func TestRateGaugesBounded(t *testing.T) {
	var f rateFigures
	for i := range 1000 {
		c := cell{Area: fmt.Sprintf("%09d", i), Kind: "outflow", Role: "receiver", Period: "current"}
		f.Standings = append(f.Standings, standing{cell: c, Due: int64(i), Answered: 2, OnTime: 1, Overdue: map[string]int64{"county": 1}})
		c.Period = ""
		f.Ages = append(f.Ages, ages{cell: c, Unreceipted: 1, Oldest: map[string]time.Duration{"county": time.Duration(i) * time.Second}})
	}
	got := f.bounded()
	if len(got.Standings) != maxAreas+1 || len(got.Ages) != maxAreas+1 {
		t.Fatalf("%d and %d series", len(got.Standings), len(got.Ages))
	}
	var due, answered, onTime, overdue, unreceipted int64
	for _, s := range got.Standings {
		due, answered, onTime, overdue = due+s.Due, answered+s.Answered, onTime+s.OnTime, overdue+s.Overdue["county"]
		if s.Area != others && s.Due < 1000-maxAreas {
			t.Errorf("area %s has a series of its own", s.Area)
		}
	}
	for _, a := range got.Ages {
		unreceipted += a.Unreceipted
		if a.Area == others && a.Oldest["county"] != (999-maxAreas)*time.Second {
			t.Errorf("oldest of the others: %s", a.Oldest["county"])
		}
	}
	if due != 999*1000/2 || answered != 2000 || onTime != 1000 || overdue != 1000 || unreceipted != 1000 {
		t.Errorf("due %d, answered %d, on time %d, overdue %d, unreceipted %d", due, answered, onTime, overdue, unreceipted)
	}
}

func TestMonthGauges(t *testing.T) {
	now := time.Date(2026, 12, 2, 0, 0, 0, 0, time.UTC)
	var oldest time.Time
	var months int
	var fail error
	reg := prometheus.NewRegistry()
	g := newMonthGauges(nil, func() time.Time { return now })
	g.read = func(context.Context) (time.Time, int, error) { return oldest, months, fail }
	reg.MustRegister(g)
	if diff := cmp.Diff(map[string]float64{"yipan_months_unfrozen": 0, "yipan_months_unfrozen_oldest_seconds": 0}, values(t, reg)); diff != "" {
		t.Error(diff)
	}
	oldest, months = now.Add(-time.Hour), 2
	if diff := cmp.Diff(map[string]float64{"yipan_months_unfrozen": 2, "yipan_months_unfrozen_oldest_seconds": 3600}, values(t, reg)); diff != "" {
		t.Error(diff)
	}
	fail = errors.New("away")
	if got := values(t, reg); len(got) != 0 {
		t.Errorf("without a database: %v", got)
	}
}
