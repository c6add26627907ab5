package figures_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/figures"
	"yipan/internal/harness"
	"yipan/internal/ident"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	origin    = area.MustOf(area.County, "520330")
	residence = area.MustOf(area.County, "330782")
	here      = area.Children(origin)[0]
	there     = area.Children(residence)[0]
	beside    = area.Children(residence)[1]
)

// bureau is the sites of one test: one node that serves both counties (local),
// or one node for each.
type bureau struct {
	testing.TB
	*harness.World
	urls map[*harness.Site]string
	n    int
}

func newBureau(t testing.TB, local bool) *bureau {
	t.Helper()
	w, err := harness.NewWorld(t.TempDir(), time.Date(2026, 11, 20, 9, 0, 0, 0, civil.Shanghai))
	if err != nil {
		t.Fatal(err)
	}
	b := &bureau{TB: t, World: w, urls: map[*harness.Site]string{}}
	sites := [][]area.Key{{origin}, {residence}}
	if local {
		sites = [][]area.Key{{origin, residence}}
	}
	for _, areas := range sites {
		url := storetest.NewURL(t)
		s, err := w.AddSite(storetest.Open(t, url), areas[0], areas...)
		if err != nil {
			t.Fatal(err)
		}
		b.urls[s] = url
	}
	return b
}

// both runs f with one node and with two, with sums added up now and then or
// never: figures are the same.
func both(t *testing.T, f func(*testing.T, *bureau)) {
	t.Helper()
	for _, local := range []bool{true, false} {
		t.Run(map[bool]string{true: "one node", false: "two nodes"}[local], func(t *testing.T) {
			b := newBureau(t, local)
			f(t, b)
			b.recounted()
		})
	}
}

func (b *bureau) site(k area.Key) *harness.Site {
	b.Helper()
	n, ok := b.Authority.Directory().Home(k)
	if !ok {
		b.Fatalf("nobody serves %s", k)
	}
	return b.Site(n)
}

func (b *bureau) at(k area.Key) *desk.Desk { return b.site(k).Desk }

func (b *bureau) figures(k area.Key) *figures.Figures { return b.site(k).Figures }

func (b *bureau) settle() {
	b.Helper()
	if err := b.Settle(b.Context(), 30); err != nil {
		b.Fatal(err)
	}
}

func (b *bureau) raw(k area.Key) *storetest.Tables { return storetest.Raw(b.TB, b.urls[b.site(k)]) }

// addUp adds up the changes of all nodes.
func (b *bureau) addUp() {
	b.Helper()
	for _, s := range b.Sites {
		if _, err := s.Figures.AddUp(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// recounted fails where a recount of any node finds a difference, before and
// after the changes are added up.
func (b *bureau) recounted() {
	b.Helper()
	for range 2 {
		for _, s := range b.Sites {
			r, err := s.Figures.Recount(b.Context(), s.Desk.Offices())
			if err != nil {
				b.Fatal(err)
			}
			for _, d := range r.Differences {
				b.Errorf("%s: %s %s %s: kept %d, counted %d", s.Node, d.What, d.Office, d.Key, d.Kept, d.Counted)
			}
		}
		b.addUp()
	}
}

func clerk(offices ...area.Key) access.Principal { return harness.Clerk(access.Clerk, offices...) }

func person(i int) string {
	return ident.Make("520330", civil.MustParse("1990-01-01").AddDays(i/400), i%400, i%2 == 0)
}

func day(s string) civil.Date { return civil.MustParse(s) }

func period(s string) policy.Period {
	p, err := policy.ParsePeriod(s)
	if err != nil {
		panic(err)
	}
	return p
}

func (b *bureau) request() string {
	b.n++
	return fmt.Sprintf("request-%06d", b.n)
}

// notice is an outflow notice about the i-th synthetic person.
func (b *bureau) notice(i int, to area.Key) desk.OpenRequest {
	return desk.OpenRequest{
		RequestID: b.request(), Kind: cases.Outflow, Origin: here, Destination: to,
		Fields: desk.FieldsInput{
			Name: "测试甲", Document: person(i), EventDay: day("2026-11-10"), Contact: "13800000000", Basis: desk.BasisInput{Kind: cases.BasisRequest},
		},
	}
}

func (b *bureau) open(r desk.OpenRequest) cases.CaseID {
	b.Helper()
	v, _, err := b.at(r.Origin).OpenCase(b.Context(), clerk(r.Origin), r)
	if err != nil {
		b.Fatalf("open: %v", err)
	}
	b.settle()
	return v.ID
}

func (b *bureau) ref(office area.Key, id cases.CaseID) desk.CaseRef {
	b.Helper()
	v, err := b.at(office).GetCase(b.Context(), clerk(office), desk.GetRequest{Case: id, Purpose: "test"})
	if err != nil {
		b.Fatalf("get at %s: %v", office, err)
	}
	return desk.CaseRef{Case: id, Etag: v.Etag}
}

func (b *bureau) answer(office area.Key, id cases.CaseID, in desk.AnswerInput) {
	b.Helper()
	if _, _, err := b.at(office).Answer(b.Context(), clerk(office), desk.AnswerRequest{RequestID: b.request(), Ref: b.ref(office, id), Answer: in}); err != nil {
		b.Fatalf("answer: %v", err)
	}
	b.settle()
}

func (b *bureau) withdraw(office area.Key, id cases.CaseID) {
	b.Helper()
	if _, err := b.at(office).Withdraw(b.Context(), clerk(office), desk.ChangeRequest{RequestID: b.request(), Ref: b.ref(office, id), Reason: "本人申请"}); err != nil {
		b.Fatalf("withdraw: %v", err)
	}
	b.settle()
}

// rows asks the node of a caller's first office, and names the rows.
func (b *bureau) rows(p access.Principal, q figures.Query) map[string]figures.Row {
	b.Helper()
	rows, err := b.figures(p.Offices[0]).Rates(b.Context(), p, q)
	if err != nil {
		b.Fatalf("rates: %v", err)
	}
	return named(rows, q.By)
}

func named(rows []figures.Row, by figures.Breakdown) map[string]figures.Row {
	out := map[string]figures.Row{}
	for _, r := range rows {
		key := r.Measure.String()
		switch by {
		case figures.ByTownship:
			key += " " + r.Area.Short()
		case figures.ByKind:
			key += fmt.Sprint(" ", int(r.Kind))
		case figures.ByCounterpart:
			key += " " + r.Counterpart.Short()
		}
		out[key] = r
	}
	return out
}

// ratios are rows as "n/d".
func ratios(rows map[string]figures.Row) map[string]string {
	out := map[string]string{}
	for k, r := range rows {
		out[k] = fmt.Sprintf("%d/%d", r.N, r.D)
	}
	return out
}

var feedback = []rates.Measure{rates.Feedback, rates.FeedbackOnTime}

// refused checks an error as a caller meets it: kind, reason and field, and a
// Chinese text.
func refused(t testing.TB, err error, kind fault.Kind, reason, field string) {
	t.Helper()
	f, ok := fault.As(err)
	if !ok {
		t.Errorf("no fault: %v", err)
		return
	}
	if f.Kind != kind || f.Reason != reason || f.Field != field {
		t.Errorf("got %s %s on %q, want %s %s on %q", f.Kind, f.Reason, f.Field, kind, reason, field)
	}
	if !strings.ContainsFunc(f.Text, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		t.Errorf("%s has no Chinese text: %q", f.Reason, f.Text)
	}
}
