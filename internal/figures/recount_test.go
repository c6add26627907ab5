package figures_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/figures"
	"yipan/internal/harness"
	"yipan/internal/rates"
)

// TestRecountFindsPlanted plants one wrong sum of each table, a wrong standing,
// a wrong and a missing projection and a wrong earlier round: each is found, and
// nothing else.
func TestRecountFindsPlanted(t *testing.T) {
	b := newBureau(t, true)
	id := b.open(b.notice(1, there))
	b.answer(there, id, desk.AnswerInput{Outcome: cases.NotFound})
	if _, err := b.at(here).Dispute(t.Context(), clerk(here), desk.ChangeRequest{RequestID: b.request(), Ref: b.ref(here, id), Reason: "再查"}); err != nil {
		t.Fatal(err)
	}
	b.open(b.notice(2, there))
	b.addUp()
	b.recounted()
	f := b.figures(here)
	raw := b.raw(here)
	defer raw.Close()
	offices := b.at(here).Offices()
	of := func(r figures.Recounted, what string) (n int) {
		for _, d := range r.Differences {
			if d.What == what {
				n++
			}
		}
		return n
	}
	for _, tt := range []struct {
		name, plant string
		differ      map[string]int // by what, altogether
	}{
		{"sum of a day", `UPDATE cube_day SET n = n + 1 WHERE book = 1 AND side = 2 AND standing = 3`, map[string]int{"sum": 1}},
		{"sum of a month", `DELETE FROM cube_month WHERE book = 1 AND side = 2 AND standing = 3`, map[string]int{"sum": 2}},
		{"sum of a counterpart", `INSERT INTO cube_peer SELECT office, book, month, peer, side, kind, 7, 0, 1 FROM cube_peer LIMIT 1`, map[string]int{"sum": 3}},
		{"earlier round", `UPDATE side_round SET answered_at = answered_at + interval '1 second' WHERE side = 1`, map[string]int{"sum": 3, "fold": 1}},
		{"projection", `UPDATE case_side SET delivered_at = delivered_at + interval '1 day' WHERE side = 2 AND round = 1`, map[string]int{"sum": 3, "fold": 2}},
		{"standing", `UPDATE case_side SET standing = 4 WHERE side = 2 AND round = 2`, map[string]int{"sum": 3, "fold": 3, "standing": 1}},
		{"lost side", `DELETE FROM case_side WHERE side = 1 AND round = 1`, map[string]int{"sum": 3, "fold": 4, "standing": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if raw.Exec(t, tt.plant) == 0 {
				t.Fatal("planted nothing")
			}
			r, err := f.Recount(t.Context(), offices)
			if err != nil {
				t.Fatal(err)
			}
			for _, what := range []string{figures.DiffersSum, figures.DiffersFold, figures.DiffersStanding} {
				if got := of(r, what); got != tt.differ[what] {
					t.Errorf("%d differences of %s, want %d: %+v", got, what, tt.differ[what], r.Differences)
				}
			}
		})
	}
	// Who may see which case.
	for _, tt := range []struct {
		p   access.Principal
		ids bool
	}{{clerk(there), true}, {harness.Clerk(access.County, residence), false}, {harness.Clerk(access.Admin), false}} {
		r, err := f.RecountFor(t.Context(), tt.p, 0)
		if err != nil {
			t.Fatal(err)
		}
		seen := false
		for _, d := range r.Differences {
			seen = seen || d.Case != (cases.CaseID{})
		}
		if seen != tt.ids || r.Total == 0 {
			t.Errorf("%s sees case ids: %v, of %d differences", tt.p.Role, seen, r.Total)
		}
	}
	_, err := f.RecountFor(t.Context(), harness.Clerk(access.Auditor, residence), 0)
	refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
}

// TestCasesBehind holds every list to its figure: as many rounds, the same codes,
// page after page.
func TestCasesBehind(t *testing.T) {
	both(t, func(t *testing.T, b *bureau) {
		none := desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "declined"}
		var in []cases.CaseID
		for i := range 9 {
			in = append(in, b.open(b.notice(i, there)))
		}
		for _, id := range in[:4] {
			b.answer(there, id, none)
		}
		b.withdraw(here, in[4])
		b.answer(there, in[5], desk.AnswerInput{Outcome: cases.Misrouted, Area: beside})
		if _, err := b.at(here).Dispute(t.Context(), clerk(here), desk.ChangeRequest{RequestID: b.request(), Ref: b.ref(here, in[0]), Reason: "再查"}); err != nil {
			t.Fatal(err)
		}
		b.settle()
		b.Clock.Add(35 * 24 * time.Hour)
		b.answer(there, in[6], none)
		f := b.figures(there)
		december := period("2026-12")
		row := b.rows(clerk(there), figures.Query{Period: december, Measures: feedback})
		for _, m := range feedback {
			r := row[m.String()]
			var excluded, overdue int64
			for _, n := range r.Excluded {
				excluded += n
			}
			for _, n := range r.Overdue {
				overdue += n
			}
			if r.D != 8 || excluded != 2 || overdue == 0 {
				t.Errorf("%s: %+v", m, r)
			}
			for part, want := range map[figures.Part]int64{figures.Denominator: r.D, figures.Numerator: r.N, figures.Missing: r.D - r.N, figures.Excluded: excluded, figures.Unreceipted: r.Unreceipted} {
				for _, size := range []int{0, 1, 3} {
					q := figures.CasesQuery{Period: december, Measure: m, Part: part, PageSize: size}
					var n int64
					sum := rates.Tally{Measure: m}
					seen := map[string]bool{}
					for more := true; more; more = q.PageToken != "" {
						l, err := f.Cases(t.Context(), clerk(there), q)
						if err != nil {
							t.Fatal(err)
						}
						if l.Total != want {
							t.Errorf("%s part %d: total %d, the figure says %d", m, part, l.Total, want)
						}
						for _, x := range l.Rounds {
							key := x.Case.String() + string(rune(x.Round.Round))
							if seen[key] {
								t.Errorf("%s part %d: a round twice", m, part)
							}
							seen[key] = true
							n++
							sum.Add(x.Class)
							if x.Class != rates.Classify(x.Fact, b.Clock.Now(), december) {
								t.Errorf("listed as %+v", x.Class)
							}
						}
						q.PageToken = l.Next
					}
					if n != want {
						t.Errorf("%s part %d, pages of %d: %d rounds, the figure says %d", m, part, size, n, want)
					}
					if part == figures.Denominator && (sum.N != r.N || sum.D != r.D || sum.Pending != r.Pending || sum.Lapsed != r.Lapsed) {
						t.Errorf("%s: rounds add up to %+v, the figure is %+v", m, sum, r.Tally)
					}
					if part == figures.Excluded && cmp.Diff(sum.Excluded, r.Excluded) != "" {
						t.Errorf("%s: excluded %v, the figure says %v", m, sum.Excluded, r.Excluded)
					}
				}
			}
		}
		// The stream adds up to the figure too, by the definition itself.
		sum := rates.Tally{Measure: rates.Feedback}
		if err := f.RoundsOf(t.Context(), f.Desk.Offices()[:], cases.SideReceiver, december, func(r figures.Round) error {
			if r.Office == there {
				sum.Add(rates.Classify(r.Fact, b.Clock.Now(), december))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if r := row["feedback"]; sum.Ratio != r.Ratio {
			t.Errorf("streamed %v, the figure is %v", sum.Ratio, r.Ratio)
		}
		l, err := f.Cases(t.Context(), clerk(there), figures.CasesQuery{Period: december, Counterpart: beside})
		if err != nil || l.Total != 0 {
			t.Errorf("of a township that sent nothing: %d, %v", l.Total, err)
		}
		l, err = f.Cases(t.Context(), clerk(there), figures.CasesQuery{Period: december, Counterpart: here})
		if err != nil || l.Total != 8 {
			t.Errorf("of a counterpart township: %d, %v", l.Total, err)
		}
		raw := b.raw(there)
		raw.Exec(t, `UPDATE case_side SET restricted = true WHERE case_id = $1 AND office = $2`, [16]byte(in[1]), int64(there))
		raw.Close()
		l, err = f.Cases(t.Context(), clerk(there), figures.CasesQuery{Period: december})
		if err != nil || l.Total != 7 || slices.ContainsFunc(l.Rounds, func(x figures.Behind) bool { return x.Case == in[1] }) {
			t.Errorf("with a restricted person: %d, %v", l.Total, err)
		}
		if r := b.rows(clerk(there), figures.Query{Period: december, Measures: feedback})["feedback"]; r.D != 8 {
			t.Errorf("the figure without the restricted person: %+v", r)
		}
		_, err = f.Cases(t.Context(), harness.Clerk(access.County, residence), figures.CasesQuery{Office: there, Period: december})
		refused(t, err, fault.KindDenied, "CASES_OF_OFFICE", "office")
		_, err = f.Cases(t.Context(), clerk(beside), figures.CasesQuery{Office: there, Period: december})
		refused(t, err, fault.KindDenied, "FOREIGN_OFFICE", "office")
		_, err = f.Cases(t.Context(), clerk(there), figures.CasesQuery{Period: december, PageSize: 501})
		refused(t, err, fault.KindInvalid, "PAGE_SIZE", "page_size")
		_, err = f.Cases(t.Context(), clerk(there), figures.CasesQuery{Period: december, PageToken: "???"})
		refused(t, err, fault.KindInvalid, "PAGE_TOKEN", "page_token")
		_, err = f.Cases(t.Context(), clerk(there), figures.CasesQuery{Period: december, Measure: rates.Certificate})
		refused(t, err, fault.KindInvalid, "MEASURE", "measure")
	})
}

// TestTimes measures whose time was spent between two nodes with a day between
// recording and arrival.
func TestTimes(t *testing.T) {
	b := newBureau(t, false)
	v, _, err := b.at(here).OpenCase(t.Context(), clerk(here), b.notice(1, there))
	if err != nil {
		t.Fatal(err)
	}
	b.Clock.Add(2 * time.Hour)
	b.settle()
	b.Clock.Add(48 * time.Hour)
	if _, _, err := b.at(there).Answer(t.Context(), clerk(there), desk.AnswerRequest{RequestID: b.request(), Ref: b.ref(there, v.ID), Answer: desk.AnswerInput{Outcome: cases.NotFound}}); err != nil {
		t.Fatal(err)
	}
	b.Clock.Add(30 * time.Hour)
	b.settle()
	waits := b.notice(2, there)
	if _, _, err := b.at(here).OpenCase(t.Context(), clerk(here), waits); err != nil {
		t.Fatal(err)
	}
	b.Clock.Add(5 * 24 * time.Hour)
	for i, o := range []struct {
		p    access.Principal
		side cases.Side
	}{{clerk(here), cases.SideOpener}, {harness.Clerk(access.County, residence), cases.SideReceiver}} {
		times, unsigned, err := b.figures(o.p.Offices[0]).Times(t.Context(), o.p, figures.TimesQuery{Period: period("2026-12"), Side: o.side})
		if err != nil || len(times) != 1 {
			t.Fatalf("%d areas, %v", len(times), err)
		}
		got := map[rates.Waiting]figures.Spent{}
		for _, s := range times[0].Spent {
			got[s.Side] = s
		}
		near := func(d, want time.Duration) bool { return d >= want && d < want+time.Minute }
		if s := got[rates.WaitTransport]; s.N != 2 || !near(s.P50, 2*time.Hour) || !near(s.P90, 30*time.Hour) {
			t.Errorf("transport %+v", s)
		}
		if s := got[rates.WaitResidence]; s.N != 1 || !near(s.P50, 48*time.Hour) {
			t.Errorf("residence %+v", s)
		}
		if got[rates.WaitOrigin].N != 0 || got[rates.WaitCounty].N != 0 {
			t.Errorf("origin and county %+v", got)
		}
		if times[0].LateArrivals != 1 {
			t.Errorf("%d late arrivals", times[0].LateArrivals)
		}
		if i == 0 {
			if len(unsigned) != 1 || unsigned[0].Node != residence || unsigned[0].N != 1 || unsigned[0].Oldest.IsZero() {
				t.Errorf("not receipted: %+v", unsigned)
			}
			if r := b.rows(clerk(here), figures.Query{Period: period("2026-11"), Side: cases.SideOpener, Measures: feedback[:1]})["feedback"]; r.Unreceipted != 1 || r.Excluded[rates.NotDelivered] != 1 {
				t.Errorf("not receipted: %+v", r)
			}
		} else if len(unsigned) != 0 {
			t.Errorf("the receiver has not receipted %+v", unsigned)
		}
	}
	// While this node was away nobody was late.
	s := b.site(here)
	if err := errors.Join(s.DB.BeginOutage(t.Context(), "broker", b.Clock.Now().Add(-6*24*time.Hour)), s.DB.EndOutage(t.Context(), "broker", b.Clock.Now())); err != nil {
		t.Fatal(err)
	}
	times, _, err := b.figures(here).Times(t.Context(), clerk(here), figures.TimesQuery{Period: period("2026-12"), Side: cases.SideOpener})
	if err != nil || times[0].LateArrivals != 0 {
		t.Errorf("late during an outage: %+v, %v", times, err)
	}
	b.settle()
	b.recounted()
}
