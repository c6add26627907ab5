package closing_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/closing"
	"yipan/internal/desk"
	"yipan/internal/exchange"
	"yipan/internal/figures"
	"yipan/internal/harness"
	"yipan/internal/ident"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/seal"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

var (
	origin     = area.MustOf(area.County, "520330")
	residence  = area.MustOf(area.County, "330782")
	province   = area.MustOf(area.Province, "33")
	prefecture = area.MustOf(area.Prefecture, "3307")
	here       = area.Children(origin)[0]
	there      = area.Children(residence)[0]
	apart      = area.Children(residence)[1] // a township with a node of its own
)

// december is the month in which the tests' notices fall due.
const december = "2026-12"

// bureau is nodes that close months.
type bureau struct {
	testing.TB
	*harness.World
	n int
}

func newBureau(t testing.TB, nodes ...area.Key) *bureau {
	t.Helper()
	w, err := harness.NewWorld(t.TempDir(), time.Date(2026, 11, 20, 9, 0, 0, 0, civil.Shanghai))
	if err != nil {
		t.Fatal(err)
	}
	b := &bureau{TB: t, World: w}
	for _, k := range nodes {
		if _, err := w.AddSite(storetest.Open(t, storetest.NewURL(t)), k); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (b *bureau) at(k area.Key) *harness.Site {
	b.Helper()
	n, ok := b.Authority.Directory().Home(k)
	if !ok {
		b.Fatalf("nobody serves %s", k)
	}
	return b.Site(n)
}

func clerk(k area.Key) access.Principal  { return harness.Clerk(access.Clerk, k) }
func county(k area.Key) access.Principal { return harness.Clerk(access.County, k) }

func (b *bureau) request() string { b.n++; return fmt.Sprintf("request-%06d", b.n) }

// open opens n notices to a township and delivers them.
func (b *bureau) open(n int, to area.Key) []cases.CaseID {
	b.Helper()
	var ids []cases.CaseID
	for range n {
		r := desk.OpenRequest{
			RequestID: b.request(), Kind: cases.Outflow, Origin: here, Destination: to,
			Fields: desk.FieldsInput{
				Name: "测试甲", Document: ident.Make("520330", civil.MustParse("1990-01-01").AddDays(b.n), b.n%400, b.n%2 == 0),
				EventDay: civil.MustParse("2026-11-10"), Contact: "13800000000", Basis: desk.BasisInput{Kind: cases.BasisRequest},
			},
		}
		v, _, err := b.at(here).Desk.OpenCase(b.Context(), clerk(here), r)
		if err != nil {
			b.Fatalf("open: %v", err)
		}
		ids = append(ids, v.ID)
	}
	b.settle()
	return ids
}

// answer records that the person was not found; the answer stays where it is.
func (b *bureau) answer(office area.Key, ids ...cases.CaseID) {
	b.Helper()
	d := b.at(office).Desk
	for _, id := range ids {
		v, err := d.GetCase(b.Context(), clerk(office), desk.GetRequest{Case: id, Purpose: "test"})
		if err != nil {
			b.Fatal(err)
		}
		_, _, err = d.Answer(b.Context(), clerk(office), desk.AnswerRequest{
			RequestID: b.request(), Ref: desk.CaseRef{Case: id, Etag: v.Etag}, Answer: desk.AnswerInput{Outcome: cases.NotFound, Check: "visit"},
		})
		if err != nil {
			b.Fatalf("answer: %v", err)
		}
	}
}

func (b *bureau) settle() {
	b.Helper()
	if err := b.Settle(b.Context(), 30); err != nil {
		b.Fatal(err)
	}
}

func (b *bureau) agree() {
	b.Helper()
	if err := b.State(b.Context(), 3); err != nil {
		b.Fatal(err)
	}
}

// until moves the clock to an instant of Shanghai.
func (b *bureau) until(s string) {
	b.Helper()
	at, err := time.ParseInLocation(time.DateTime, s, civil.Shanghai)
	if err != nil {
		b.Fatal(err)
	}
	d := at.Sub(b.Clock.Now())
	if d < 0 {
		b.Fatalf("%s is past", s)
	}
	b.Clock.Add(d)
}

func (b *bureau) freeze(k area.Key, want int64) {
	b.Helper()
	n, err := b.at(k).Closing.Freeze(b.Context())
	if err != nil || n != want {
		b.Fatalf("%s froze %d months, want %d: %v", k, n, want, err)
	}
}

// read lets reports travel and be read until nobody has any.
func (b *bureau) read() {
	b.Helper()
	for range 10 {
		b.settle()
		read := int64(0)
		for _, s := range b.Sites {
			n, err := s.Closing.ReportsIn(b.Context())
			if err != nil {
				b.Fatalf("reports in: %v", err)
			}
			read += n
		}
		if read == 0 {
			return
		}
	}
	b.Fatal("reports go on for ever")
}

func (b *bureau) month(p access.Principal, k area.Key, revision *uint32) closing.MonthView {
	b.Helper()
	v, err := b.at(k).Closing.GetMonth(b.Context(), p, k, december, revision)
	if err != nil {
		b.Fatalf("month of %s: %v", k, err)
	}
	return v
}

func (b *bureau) state(k area.Key) closing.Month {
	b.Helper()
	ms, err := b.at(k).Closing.ListMonths(b.Context(), county(k), k)
	if err != nil {
		b.Fatal(err)
	}
	for _, m := range ms {
		if m.Period.String() == december {
			return m
		}
	}
	b.Fatalf("%s does not list December", k)
	return closing.Month{}
}

// cell is the frozen cell of outflow notices of an office and side.
func (b *bureau) cell(top, k area.Key, side cases.Side) rates.Cell {
	b.Helper()
	s, err := rates.DecodeSnapshot(b.month(county(top), top, nil).Snapshot)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range s.Cells {
		if c.Area == k && c.Side == side && c.Kind == cases.Outflow {
			return c
		}
	}
	return rates.Cell{}
}

func (b *bureau) compare(p access.Principal, k area.Key) closing.PeerView {
	b.Helper()
	_, peers, err := b.at(k).Closing.CompareMonth(b.Context(), p, k, december)
	if err != nil || len(peers) != 1 {
		b.Fatalf("compare: %v, %d peers", err, len(peers))
	}
	return peers[0]
}

func ratioOf(rows []figures.Row, m rates.Measure) rates.Ratio {
	for _, r := range rows {
		if r.Measure == m {
			return r.Ratio
		}
	}
	return rates.Ratio{N: -1}
}

func TestFrozenEqualAndReportedUpwards(t *testing.T) {
	b := newBureau(t, origin, residence, prefecture, apart, province)
	local, remote := b.open(15, there), b.open(30, apart)
	b.answer(there, local[:10]...)
	b.answer(apart, remote[:10]...)
	b.settle()

	// The township reports its open month to the node of its county, once.
	b.until("2026-12-05 09:00:00")
	for i, want := range []int64{1, 0} {
		if n, err := b.at(apart).Closing.TellLive(t.Context()); err != nil || n != want {
			t.Fatalf("live report %d: %d, %v", i, n, err)
		}
	}
	b.read()
	child := b.child(residence, apart)
	if child.Reported || child.Basis != rates.Live || ratioOf(child.Rates, rates.Feedback) != (rates.Ratio{N: 10, D: 30}) {
		t.Errorf("open month of the township: %+v", child)
	}

	// The live figures of the county hold what it reported.
	p, err := policy.ParsePeriod(december)
	if err != nil {
		t.Fatal(err)
	}
	for by, want := range map[figures.Breakdown]int{figures.ByNothing: 45, figures.ByTownship: 30} {
		rows, err := b.at(residence).Figures.Rates(t.Context(), county(residence), figures.Query{Area: residence, Period: p, Measures: []rates.Measure{rates.Feedback}, By: by})
		if err != nil || !slices.ContainsFunc(rows, func(r figures.Row) bool { return r.D == int64(want) }) {
			t.Errorf("live figures of the county: %v, %v", rows, err)
		}
	}

	// Nobody freezes before peers were found to agree after the instant.
	b.agree()
	b.until("2027-01-01 00:00:01")
	b.freeze(residence, 0)
	if m := b.state(residence); m.State != closing.Waiting || !slices.Contains(m.Missing, origin) {
		t.Errorf("before statements: %+v", m)
	}
	b.agree()
	b.freeze(origin, 1)
	b.freeze(origin, 0)

	// Nor before those below have reported, for three days.
	b.freeze(residence, 0)
	if m := b.state(residence); m.State != closing.Waiting || !slices.Equal(m.Missing, []area.Key{apart}) {
		t.Errorf("before the township's report: %+v", m)
	}
	b.until("2027-01-04 00:01:00")
	b.freeze(residence, 1)
	b.freeze(apart, 1)
	b.freeze(prefecture, 0) // it has nothing itself, and knows of no month yet
	b.read()
	b.freeze(prefecture, 1)
	b.read()
	if c := b.child(province, prefecture); !c.Reported || ratioOf(c.Rates, rates.Feedback) != (rates.Ratio{N: 10, D: 15}) {
		t.Errorf("the prefecture at the province: %+v", c)
	}

	// Equal at both ends.
	opener, receiver := b.cell(origin, here, cases.SideOpener), b.cell(residence, there, cases.SideReceiver)
	if opener.D() != 45 || opener.OnTime != 20 || receiver.D() != 15 || receiver.OnTime != 10 {
		t.Errorf("opener %+v, receiver %+v", opener, receiver)
	}
	if v := b.compare(county(residence), residence); v.Peer != origin || !v.Received || v.Shared != 15 || v.Differ != 0 {
		t.Errorf("compared: %+v", v)
	}
	_, peers, err := b.at(origin).Closing.CompareMonth(t.Context(), county(origin), origin, december)
	if err != nil || len(peers) != 2 {
		t.Fatalf("the origin compares with %d: %v", len(peers), err)
	}
	for _, v := range peers {
		if !v.Received || v.Differ != 0 {
			t.Errorf("compared: %+v", v)
		}
	}

	// The township's frozen month came after its county froze: a revision.
	if child := b.child(residence, apart); !child.Reported || child.Basis != rates.Frozen {
		t.Errorf("frozen month of the township: %+v", child)
	}
	if got := ratioOf(b.month(county(residence), residence, nil).Rates, rates.Feedback); got != (rates.Ratio{N: 10, D: 15}) {
		t.Errorf("before the township's report: %v", got)
	}
	b.until("2027-01-04 01:00:00")
	if n, err := b.at(residence).Closing.Revise(t.Context()); err != nil || n != 1 {
		t.Fatalf("revised %d: %v", n, err)
	}
	v := b.month(county(residence), residence, nil)
	if got := ratioOf(v.Rates, rates.Feedback); got != (rates.Ratio{N: 20, D: 45}) || v.Revision != 1 || len(v.Changes) == 0 || v.Rounds != nil {
		t.Errorf("with the township's report: %v, %+v", got, v.Changes)
	}
	b.until("2027-01-04 02:00:00")
	if n, err := b.at(residence).Closing.Revise(t.Context()); err != nil || n != 0 {
		t.Fatalf("revised again %d: %v", n, err)
	}
	b.read()

	// The prefecture sees the same, in what may leave a county.
	seen := b.child(prefecture, residence)
	if !seen.Reported || seen.Here || seen.Revision != 1 {
		t.Errorf("the county at the prefecture: %+v", seen)
	}
	if got := ratioOf(seen.Rates, rates.Feedback); got != (rates.Ratio{N: 20, D: 45}) {
		t.Errorf("at the prefecture: %v", got)
	}
	for _, k := range b.children(prefecture) {
		if k.Here == (k.Area == residence) || k.Here && k.Basis != rates.Frozen {
			t.Errorf("child of the prefecture: %+v", k)
		}
	}

	if got := ratioOf(b.child(province, prefecture).Rates, rates.Feedback); got != (rates.Ratio{N: 20, D: 45}) {
		t.Errorf("at the province: %v", got)
	}

	// Who stands above counties is shown no snapshot, which holds their cells.
	if v := b.month(county(prefecture), prefecture, nil); v.Snapshot != nil || v.Signature != nil || len(v.Rates) == 0 {
		t.Errorf("the prefecture's own month: %+v", v)
	}

	// What is not a report is dropped, and stops nothing.
	err = b.at(residence).Exchange.SendReports(t.Context(), []exchange.Report{
		{From: residence, To: prefecture, Form: cases.Snapshot, Period: december, Content: []byte(`{"area":1}`)},
		{From: residence, To: origin, Form: cases.Comparison, Period: december, Content: []byte(`{}`)},
		{From: residence, To: origin, Form: cases.Detail, Period: december, Content: []byte(`[]`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.read()
	if d := cmp.Diff(seen.Rates, b.child(prefecture, residence).Rates); d != "" {
		t.Errorf("after what was dropped: %s", d)
	}

	// A frozen report says so.
	r, err := b.at(residence).Closing.Report(t.Context(), harness.Clerk(access.County, residence), figures.Monthly, residence, december, nil)
	if err != nil || r.Basis != rates.Frozen || r.Revision != 1 || len(r.Figures) == 0 || !r.At.Equal(civil.MustParse("2027-01-01").StartInstant()) {
		t.Errorf("report: %+v, %v", r, err)
	}
}

func (b *bureau) children(k area.Key) []closing.Child {
	b.Helper()
	_, cs, err := b.at(k).Closing.ListChildren(b.Context(), county(k), k, december)
	if err != nil {
		b.Fatal(err)
	}
	return cs
}

func (b *bureau) child(k, of area.Key) closing.Child {
	b.Helper()
	for _, c := range b.children(k) {
		if c.Area == of {
			return c
		}
	}
	b.Fatalf("%s is no child of %s", of, k)
	return closing.Child{}
}

// TestOutageOverTheInstant: answers given in time that cannot travel. Both ends
// freeze after three days naming each other, find which rounds differ once they
// speak, and mend it by a revision; the old one stays as it is.
func TestOutageOverTheInstant(t *testing.T) {
	b := newBureau(t, origin, residence)
	ids := b.open(6, there)
	b.answer(there, ids[:3]...)

	b.until("2027-01-01 00:10:00")
	b.freeze(origin, 0)
	if m := b.state(origin); m.State != closing.Waiting || !slices.Equal(m.Missing, []area.Key{residence}) {
		t.Errorf("waits: %+v", m)
	}
	b.until("2027-01-03 23:59:00")
	b.freeze(origin, 0)
	b.until("2027-01-04 00:01:00")
	b.freeze(origin, 1)
	b.freeze(residence, 1)
	if m := b.state(origin); m.State != closing.Frozen || !slices.Equal(m.Missing, []area.Key{residence}) {
		t.Errorf("frozen: %+v", m)
	}
	if a, z := b.cell(origin, here, cases.SideOpener), b.cell(residence, there, cases.SideReceiver); a.OnTime != 0 || a.D() != 6 || z.OnTime != 3 || z.D() != 6 {
		t.Errorf("origin %+v, residence %+v", a, z)
	}
	first := b.month(county(origin), origin, nil)
	report := b.report(origin, nil)
	if key, ok := b.at(origin).Directory().VerifyKey(b.at(origin).Node, seal.KeyID(first.KeyID)); !ok || !key.Verify("frozen-month", first.Snapshot, first.Signature) {
		t.Error("the snapshot is not signed by its node")
	}

	// The line is back: the rounds are named, to the offices whose they are.
	b.agree()
	b.read()
	want := slices.Clone(ids[:3])
	slices.SortFunc(want, func(a, b cases.CaseID) int { return bytes.Compare(a[:], b[:]) })
	for _, end := range []struct {
		top, office area.Key
		code        [2]string
	}{{origin, here, [2]string{"OVERDUE", "ON_TIME"}}, {residence, there, [2]string{"ON_TIME", "OVERDUE"}}} {
		v := b.compare(clerk(end.office), end.office)
		var got []cases.CaseID
		for _, r := range v.Rounds {
			got = append(got, r.Case)
			if r.Before != end.code[0] || r.Now != end.code[1] || r.Round != 1 {
				t.Errorf("%s: %+v", end.office, r)
			}
		}
		if v.Differ != 3 || !slices.Equal(got, want) {
			t.Errorf("%s differs in %d, names %v, want %v", end.office, v.Differ, got, want)
		}
		if v := b.compare(county(end.top), end.top); v.Differ != 3 || v.Rounds != nil {
			t.Errorf("the county sees %+v", v)
		}
	}

	// A person is forgotten, bodies and all: frozen months keep counts and ids.
	raw := b.at(origin)
	if err := raw.DB.InExchange(t.Context(), []area.Key{here}, func(tx *store.Tx) error {
		sides, err := tx.SidesOf(t.Context(), ids[:1])
		if err != nil || len(sides) != 1 || sides[0].Person == (cases.PersonID{}) {
			return fmt.Errorf("sides of the case: %d, %w", len(sides), err)
		}
		return tx.ErasePerson(t.Context(), sides[0].Person)
	}); err != nil {
		t.Fatal(err)
	}

	b.until("2027-01-04 06:00:00")
	if n, err := raw.Closing.Revise(t.Context()); err != nil || n != 1 {
		t.Fatalf("revised %d: %v", n, err)
	}
	if n, err := b.at(residence).Closing.Revise(t.Context()); err != nil || n != 0 {
		t.Fatalf("the residence, which was right, revised %d: %v", n, err)
	}
	b.read()
	v := b.month(clerk(here), here, nil)
	if v.Revision != 1 || len(v.Rounds) != 3 || v.Rounds[0].Before != "OVERDUE" || v.Rounds[0].Now != "ON_TIME" || v.Snapshot != nil {
		t.Errorf("revision: %d, %+v", v.Revision, v.Rounds)
	}
	if c := b.cell(origin, here, cases.SideOpener); c.OnTime != 3 || c.D() != 6 {
		t.Errorf("revised: %+v", c)
	}
	for _, k := range []area.Key{origin, residence} {
		if v := b.compare(county(k), k); v.Differ != 0 || !v.Received {
			t.Errorf("after the revision %s: %+v", k, v)
		}
	}

	zero := uint32(0)
	if again := b.month(county(origin), origin, &zero); !bytes.Equal(again.Snapshot, first.Snapshot) || !bytes.Equal(again.Signature, first.Signature) {
		t.Error("revision 0 has changed")
	}
	if d := cmp.Diff(report, b.report(origin, &zero)); d != "" {
		t.Errorf("its report has changed: %s", d)
	}
	if d := cmp.Diff(report.Figures, b.report(origin, nil).Figures); d == "" && ratioOf(first.Rates, rates.Feedback).D > 0 {
		t.Error("the revised report says what the first did")
	}
}

func (b *bureau) report(k area.Key, revision *uint32) closing.ReportData {
	b.Helper()
	r, err := b.at(k).Closing.Report(b.Context(), county(k), figures.Monthly, k, december, revision)
	if err != nil || r.Basis != rates.Frozen {
		b.Fatalf("report: %+v, %v", r, err)
	}
	return r
}
