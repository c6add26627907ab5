package closing

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/rates"
)

// TestRevisionsKeepWhatIsSensitive: of two revisions of a county's annual report
// the rows by person or service do not differ, the work's do.
func TestRevisionsKeepWhatIsSensitive(t *testing.T) {
	k := area.MustOf(area.County, "520330")
	table := func(rows ...rates.ReportRow) []rates.ReportTable {
		return []rates.ReportTable{{Kind: uint8(annual), Area: k, Period: "2026", Rows: rows}}
	}
	row := func(code string, n int64, hidden bool) rates.ReportRow {
		return rates.ReportRow{Code: code, Area: k, N: n, Suppressed: hidden}
	}
	frozen := table(row("inflow", 100, false), row("inflow.women", 40, false), row("service.three_checks", 0, true))
	now := table(row("inflow", 101, false), row("inflow.women", 41, false), row("service.three_checks", 6, false), row("service.contraceptives", 9, false))
	want := table(row("inflow", 101, false), row("inflow.women", 40, false), row("service.three_checks", 0, true), row("service.contraceptives", 0, true))
	if d := cmp.Diff(want, keepSensitive(now, frozen)); d != "" {
		t.Error(d)
	}
}

// TestMonthsOfNowDifferByNothingSmall: what is so now is shown again when it is
// the same or clearly another; what months count is not held back.
func TestMonthsOfNowDifferByNothingSmall(t *testing.T) {
	k := area.MustOf(area.County, "520330")
	book := func(m rates.Measure, n, d int64) rates.BookRatio {
		return rates.BookRatio{Area: k, Measure: m, N: n, D: d}
	}
	hidden := func(m rates.Measure) rates.BookRatio { return rates.BookRatio{Area: k, Measure: m, Suppressed: true} }
	months := []rates.Snapshot{
		{Books: []rates.BookRatio{book(rates.Registration, 100, 120), book(rates.FollowUp, 30, 40)}},
		{Books: []rates.BookRatio{hidden(rates.Registration)}},
		{Books: []rates.BookRatio{book(rates.Registration, 110, 130)}},
	}
	for _, c := range []struct{ now, want rates.BookRatio }{
		{book(rates.Registration, 110, 130), book(rates.Registration, 110, 130)},
		{book(rates.Registration, 120, 140), book(rates.Registration, 120, 140)},
		{book(rates.Registration, 111, 130), hidden(rates.Registration)},
		{book(rates.Registration, 101, 121), hidden(rates.Registration)}, // near to the first
		{book(rates.FollowUp, 31, 41), book(rates.FollowUp, 31, 41)},
		{book(rates.EffectiveContact, 20, 30), book(rates.EffectiveContact, 20, 30)}, // never shown
	} {
		if d := cmp.Diff([]rates.BookRatio{c.want}, unlike([]rates.BookRatio{c.now}, months)); d != "" {
			t.Errorf("%+v: %s", c.now, d)
		}
	}
}
