package closing_test

import (
	"encoding/json"
	"testing"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/exchange"
	"yipan/internal/fault"
	"yipan/internal/figures"
	"yipan/internal/policy"
	"yipan/internal/rates"
)

// TestImpossibleReportsStopNothing: a child reports a revision that no month
// has, a month of long ago, which its parent would freeze all months after, and
// one that is yet to come. They are dropped, and what follows is read.
func TestImpossibleReportsStopNothing(t *testing.T) {
	b := newBureau(t, origin, residence, apart)
	b.open(6, apart)
	var bad []exchange.Report
	for _, u := range []rates.Upward{
		{Period: december, Basis: rates.Live, Revision: 1<<32 - 1},
		{Period: "1990-01", Basis: rates.Frozen},
		{Period: "2027-06", Basis: rates.Live},
		{Period: "2027-06", Basis: rates.Frozen},
	} {
		p, err := policy.ParsePeriod(u.Period)
		if err != nil {
			t.Fatal(err)
		}
		u.Area, u.AsOf = apart, p.From.StartInstant().UnixMilli()
		if u.Basis == rates.Frozen {
			u.AsOf = p.To.StartInstant().UnixMilli()
		}
		content, err := json.Marshal(&u)
		if err != nil {
			t.Fatal(err)
		}
		bad = append(bad, exchange.Report{From: apart, To: residence, Form: cases.Snapshot, Period: u.Period, Content: content})
	}
	comparison, err := json.Marshal(map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	bad = append(bad, exchange.Report{From: apart, To: residence, Form: cases.Comparison, Period: "1990-01", Content: comparison})
	if err := b.at(apart).Exchange.SendReports(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	b.read()
	b.until("2026-12-05 09:00:00")
	if n, err := b.at(apart).Closing.TellLive(t.Context()); err != nil || n != 1 {
		t.Fatalf("live report: %d, %v", n, err)
	}
	b.read()
	if c := b.child(residence, apart); c.Basis != rates.Live || ratioOf(c.Rates, rates.Feedback).D != 6 {
		t.Errorf("the township's report: %+v", c)
	}
	b.freeze(residence, 0) // no month is over of which anything is known
	for _, no := range []string{"1990-01", "2027-06"} {
		_, cs, err := b.at(residence).Closing.ListChildren(t.Context(), county(residence), residence, no)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cs {
			if c.Area == apart && c.Basis != 0 {
				t.Errorf("%s: %+v", no, c)
			}
		}
	}
}

// TestAboveACountyNothingOfIt: whoever stands above a county sees what left it,
// also where one node serves both.
func TestAboveACountyNothingOfIt(t *testing.T) {
	b := newBureau(t, origin, prefecture)
	ids := b.open(12, there)
	b.answer(there, ids[:9]...)
	b.settle()
	b.until("2027-01-04 00:01:00")
	b.freeze(prefecture, 1)
	p := county(prefecture)
	c := b.at(prefecture).Closing
	for _, k := range []area.Key{residence, there} {
		v, err := c.GetMonth(t.Context(), p, k, december, nil)
		if err != nil || v.Snapshot != nil || v.Changes != nil || ratioOf(v.Rates, rates.Feedback).D != 0 {
			t.Errorf("month of %s: %+v, %v", k, v.Rates, err)
		}
		denied := func(what string, err error) {
			t.Helper()
			if !fault.Is(err, fault.KindDenied) {
				t.Errorf("%s of %s: %v", what, k, err)
			}
		}
		_, err = c.Report(t.Context(), p, figures.Monthly, k, december, nil)
		denied("report", err)
		_, _, err = c.ListChildren(t.Context(), p, k, december)
		denied("children", err)
		_, _, err = c.CompareMonth(t.Context(), p, k, december)
		denied("comparison", err)
		_, err = b.at(prefecture).Figures.Rates(t.Context(), p, figures.Query{Area: k})
		denied("rates", err)
		_, err = b.at(prefecture).Figures.Signals(t.Context(), p, k, policy.SpanMonth.Holding(civil.MustParse("2026-12-01")))
		denied("signals", err)
		_, _, err = b.at(prefecture).Figures.Times(t.Context(), p, figures.TimesQuery{Area: k})
		denied("times", err)
	}
	rows, err := b.at(prefecture).Figures.Rates(t.Context(), p, figures.Query{Area: prefecture, Period: policy.SpanMonth.Holding(civil.MustParse("2026-12-01")), By: figures.ByTownship})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.D != 0 {
			t.Errorf("live figure above the county: %+v", r)
		}
	}
	// The county's own operator sees its work.
	if v, err := c.GetMonth(t.Context(), county(residence), residence, december, nil); err != nil || ratioOf(v.Rates, rates.Feedback) != (rates.Ratio{N: 9, D: 12}) {
		t.Errorf("the county itself: %+v, %v", v.Rates, err)
	}
}
