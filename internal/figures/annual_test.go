package figures_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/figures"
	"yipan/internal/harness"
	"yipan/internal/harness/roster"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/moves"
	"yipan/internal/people"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/services"
	"yipan/internal/store/storetest"
)

// bureauOfReports is one node that serves the counties of a roster.
type bureauOfReports struct {
	testing.TB
	*harness.Site
	world *harness.World
	url   string
	spec  roster.Spec
	n     int
}

func newReports(t testing.TB) *bureauOfReports {
	t.Helper()
	spec := roster.Default()
	w, err := harness.NewWorld(t.TempDir(), spec.Reference.StartInstant().Add(9*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	county := spec.Origin.Cut(area.County)
	url := storetest.NewURL(t)
	s, err := w.AddSite(storetest.Open(t, url), county, county, spec.Residence)
	if err != nil {
		t.Fatal(err)
	}
	return &bureauOfReports{TB: t, Site: s, world: w, url: url, spec: spec}
}

func (b *bureauOfReports) id() string {
	b.n++
	return fmt.Sprintf("report-%06d", b.n)
}

func (b *bureauOfReports) clerk(k area.Key) access.Principal { return harness.Clerk(access.Clerk, k) }

// enter registers a roster at its township without any notice, and returns who
// arrived.
func (b *bureauOfReports) enter(ps []roster.Person) (arrived []cases.PersonID) {
	b.Helper()
	at := b.spec.Origin
	var ins []moves.Input
	for i := range ps {
		row := &ps[i].Row
		in := moves.Input{
			RequestID: b.id(), Office: at, Kind: ledger.Leave, To: row.Destination, On: row.EventDay, Objects: true,
			Profile: &ledger.Profile{
				Name: row.Name, Documents: []ledger.Document{{Kind: row.Document.Kind, Number: row.Document.Number}}, Sex: uint32(row.Sex), Birth: row.Birth,
				Marital: uint32(row.Marital), Registered: at, Managed: at, Living: at,
			},
		}
		if row.Kind == cases.Inflow {
			in.Kind, in.From, in.To = ledger.Arrive, row.Origin, at
			in.Profile.Registered, in.Profile.Managed = row.Origin, row.Origin
		}
		if !row.Asked.IsZero() {
			in.CertificateAsked = &row.Asked
		}
		if !row.Issued.IsZero() {
			in.CertificateIssued = &row.Issued
		}
		ins = append(ins, in)
	}
	for start := 0; start < len(ins); start += 200 {
		part := ins[start:min(start+200, len(ins))]
		rows, err := b.Moves.RegisterMany(b.Context(), b.clerk(at), part)
		if err != nil {
			b.Fatal(err)
		}
		for i, r := range rows {
			if r.Err != nil {
				b.Fatalf("row %d: %v", start+i, r.Err)
			}
			if part[i].Kind == ledger.Arrive {
				arrived = append(arrived, r.Result.Movement.Person)
			}
		}
	}
	return arrived
}

// verify asks the origin of the i-th who arrived about a certificate, and has it
// answered.
func (b *bureauOfReports) verify(row *roster.Person) {
	b.Helper()
	at, other := b.spec.Origin, b.spec.Townships[0]
	v, _, err := b.Desk.OpenCase(b.Context(), b.clerk(at), desk.OpenRequest{
		RequestID: b.id(), Kind: cases.Certificate, Origin: at, Destination: other, Fields: desk.FieldsInput{
			Name: row.Row.Name, Document: row.Row.Document.Number, EventDay: b.spec.Reference.AddDays(-1),
			Basis: desk.BasisInput{Kind: cases.BasisRequest}, Certificate: "测试第一号",
		},
	})
	if err != nil {
		b.Fatalf("certificate: %v", err)
	}
	p := b.clerk(other)
	see := func() desk.CaseRef {
		seen, err := b.Desk.GetCase(b.Context(), p, desk.GetRequest{Case: v.ID, Purpose: "test"})
		if err != nil {
			b.Fatalf("read: %v", err)
		}
		return desk.CaseRef{Case: v.ID, Etag: seen.Etag}
	}
	if _, err := b.Desk.Pair(b.Context(), p, desk.PairRequest{RequestID: b.id(), Ref: see()}); err != nil {
		b.Fatalf("pair: %v", err)
	}
	if _, _, err := b.Desk.Answer(b.Context(), p, desk.AnswerRequest{RequestID: b.id(), Ref: see(), Answer: desk.AnswerInput{Outcome: cases.Valid}}); err != nil {
		b.Fatalf("answer: %v", err)
	}
}

func (b *bureauOfReports) serve(who cases.PersonID, kind ledger.Service, result string) {
	b.Helper()
	_, _, err := b.Services.Record(b.Context(), b.clerk(b.spec.Origin), services.Input{
		RequestID: b.id(), Person: who, Kind: kind, Record: ledger.ServiceRecord{Result: result, Date: b.spec.Reference, Channel: "counter"},
	})
	if err != nil {
		b.Fatalf("service: %v", err)
	}
}

func (b *bureauOfReports) report(kind figures.ReportKind, k area.Key, period policy.Period) []figures.Figure {
	b.Helper()
	out, err := b.Figures.ReportRows(b.Context(), kind, k, period, b.world.Clock.Now())
	if err != nil {
		b.Fatal(err)
	}
	return out
}

func byCode(fs []figures.Figure, k area.Key) map[string]figures.Figure {
	out := map[string]figures.Figure{}
	for _, g := range fs {
		if g.Area == k {
			out[g.Code] = g
		}
	}
	return out
}

var year2026 = policy.SpanYear.Holding(civil.Date{Year: 2026, Month: 1, Day: 1})

// TestAnnualReportOfOne reproduces the worked case of DOMAIN section 4 from a
// database.
func TestAnnualReportOfOne(t *testing.T) {
	b := newReports(t)
	ps := roster.Make(1, b.spec)
	for i := range ps {
		// Those who arrived and show a certificate are married, as the source has it.
		if row := &ps[i].Row; row.Kind == cases.Inflow && row.Sex == ident.SexFemale {
			row.Marital = ident.MaritalFirst
		}
	}
	arrived := b.enter(ps)
	left := b.spec.Left
	var women []cases.PersonID
	for i, who := range arrived {
		b.serve(who, ledger.Visit, ledger.OfferDone)
		if row := &ps[left+i]; row.Row.Sex == ident.SexFemale {
			women = append(women, who)
			b.verify(row)
			b.serve(who, ledger.ThreeChecks, ledger.OfferDone)
		}
	}
	if len(women) != 3 {
		t.Fatalf("%d women arrived", len(women))
	}
	own := b.report(figures.Annual, b.spec.Origin, year2026)
	got := map[string]string{}
	for code, g := range byCode(own, b.spec.Origin) {
		if g.Suppressed {
			t.Errorf("%s is suppressed at its own office", code)
		}
		got[code] = fmt.Sprint(g.N)
		if g.Rate {
			got[code] = rates.Ratio{N: g.N, D: g.D}.String()
		}
	}
	want := map[string]string{
		"inflow": "6", "inflow.women": "3", "verification.due": "3", "verification.done": "3", "verification.rate": "3/3 100.00%",
		"outflow": "3994", "outflow.women": "2295", "certificate.asked": "1677", "certificate.issued": "1631", "certificate.rate": "1631/1677 97.26%",
		"service.pregnancy_iud": "3", "service.three_checks": "3", "service.contraceptives": "0", "visits": "6", "visits.settled": "6",
	}
	for code, w := range want {
		if got[code] != w {
			t.Errorf("%s is %s, want %s", code, got[code], w)
		}
	}
	if n := len(rates.All()); len(own) != 13+n {
		t.Errorf("%d rows with %d measures", len(own), n)
	}

	// Whoever counts the office's work sees its work, and of small groups nothing.
	operator := harness.Clerk(access.County, b.spec.Origin.Cut(area.County))
	seen := byCode(figures.ShownTo(operator, figures.Annual, false, own), b.spec.Origin)
	for _, code := range []string{"inflow.women", "service.pregnancy_iud", "service.three_checks"} {
		if g := seen[code]; !g.Suppressed || g.N != 0 || g.D != 0 {
			t.Errorf("%s is shown: %+v", code, g)
		}
	}
	for _, code := range []string{"inflow", "outflow", "certificate.asked", "certificate.rate", "visits"} {
		if g := seen[code]; g.Suppressed {
			t.Errorf("%s is not shown", code)
		}
	}
	if g := seen["outflow.women"]; g.Suppressed || g.N != 2295 {
		t.Errorf("women who left: %+v", g)
	}
	draft := byCode(figures.ShownTo(operator, figures.Annual, true, own), b.spec.Origin)
	if g := draft["outflow.women"]; !g.Suppressed || g.N != 0 {
		t.Errorf("women who left, in a draft outside: %+v", g)
	}
	if d := cmp.Diff(own, figures.ShownTo(b.clerk(b.spec.Origin), figures.Annual, true, own)); d != "" {
		t.Errorf("the office itself: %s", d)
	}

	// The county's report is the sum of what may be shown of its offices, and tells
	// no more than they do.
	county := byCode(b.report(figures.Annual, b.spec.Origin.Cut(area.County), year2026), b.spec.Origin.Cut(area.County))
	if g := county["inflow.women"]; !g.Suppressed || g.N != 0 {
		t.Errorf("women who arrived in the county: %+v", g)
	}
	if g := county["outflow.women"]; g.Suppressed || g.N != 2295 {
		t.Errorf("women who left the county: %+v", g)
	}
	if g := county["certificate.rate"]; g.N != 1631 || g.D != 1677 {
		t.Errorf("certificates of the county: %+v", g)
	}

	// At an instant before, and for a year in which nothing was, nothing is.
	before, err := b.Figures.ReportRows(t.Context(), figures.Annual, b.spec.Origin, year2026, b.spec.Reference.AddDays(-30).StartInstant())
	if err != nil {
		t.Fatal(err)
	}
	if g := byCode(before, b.spec.Origin); g["outflow"].N != 0 || g["outflow.women"].N != 0 || g["inflow"].N != 0 {
		t.Errorf("before anything was recorded: %+v", g["outflow"])
	}
	if g := byCode(b.report(figures.Annual, b.spec.Origin, year2026.Previous()), b.spec.Origin); g["outflow"].N != 0 || g["certificate.rate"].D != 0 {
		t.Errorf("the year before: %+v", g["outflow"])
	}
}

// TestAnnualCountsPeopleOnce: who left twice is one person, who was undone none,
// and two files of one person are one.
func TestAnnualCountsPeopleOnce(t *testing.T) {
	b := newReports(t)
	at, far := b.spec.Origin, b.spec.Townships[0]
	p := b.clerk(at)
	leave := func(i int, on string) moves.Result {
		t.Helper()
		r, err := b.Moves.Register(t.Context(), p, moves.Input{
			RequestID: b.id(), Office: at, Kind: ledger.Leave, To: far, On: civil.MustParse(on), Objects: true,
			Profile: &ledger.Profile{
				Name: "测试甲", Documents: []ledger.Document{{Number: ident.Make("520330", civil.MustParse("1990-06-01"), i, false)}},
				Marital: uint32(ident.MaritalFirst), Registered: at, Managed: at, Living: at,
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := leave(1, "2026-09-01")
	for _, m := range []moves.Input{
		{Kind: ledger.Return, On: civil.MustParse("2026-10-01")}, {Kind: ledger.Leave, On: civil.MustParse("2026-10-02"), To: far},
	} {
		m.RequestID, m.Office, m.Person, m.Objects = b.id(), at, first.Movement.Person, true
		if _, err := b.Moves.Register(t.Context(), p, m); err != nil {
			t.Fatal(err)
		}
	}
	undone := leave(2, "2026-09-02")
	if _, err := b.Moves.Undo(t.Context(), p, moves.Undo{RequestID: b.id(), Movement: undone.Movement.ID, Reason: "误登，重复登记"}); err != nil {
		t.Fatal(err)
	}
	other := leave(3, "2026-09-03")
	got := byCode(b.report(figures.Annual, at, year2026), at)
	if got["outflow"].N != 2 || got["outflow.women"].N != 2 {
		t.Errorf("%d left, %d of them women; want 2 and 2", got["outflow"].N, got["outflow.women"].N)
	}
	_, err := b.People.Merge(t.Context(), p, people.MergeRequest{RequestID: b.id(), Person: first.Movement.Person, Other: other.Movement.Person, Reason: "同一人"})
	if err != nil {
		t.Fatal(err)
	}
	got = byCode(b.report(figures.Annual, at, year2026), at)
	if got["outflow"].N != 1 || got["outflow.women"].N != 1 {
		t.Errorf("after the merge %d left, %d of them women; want 1 and 1", got["outflow"].N, got["outflow.women"].N)
	}
}
