package desk_test

import (
	"fmt"
	"slices"
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
	"yipan/internal/harness"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	origin    = area.MustOf(area.County, "520330")
	residence = area.MustOf(area.County, "330782")
	third     = area.MustOf(area.County, "330481")
	here      = area.Children(origin)[0]
	there     = area.Children(residence)[0]
	beside    = area.Children(residence)[1]
	yonder    = area.Children(third)[0]
	farther   = area.Children(third)[1]
)

const phone = "13800000000"

// bureau is the sites of one test: one node that serves all three counties
// (local), or one node for each.
type bureau struct {
	testing.TB
	*harness.World
	local bool
	urls  map[*harness.Site]string
	n     int
}

func newBureau(t testing.TB, local bool) *bureau {
	t.Helper()
	w, err := harness.NewWorld(t.TempDir(), time.Date(2026, 11, 20, 9, 0, 0, 0, civil.Shanghai))
	if err != nil {
		t.Fatal(err)
	}
	b := &bureau{TB: t, World: w, local: local, urls: map[*harness.Site]string{}}
	sites := [][]area.Key{{origin}, {residence}, {third}}
	if local {
		sites = [][]area.Key{{origin, residence, third}}
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

// at returns the desk of the node that serves an area.
func (b *bureau) at(k area.Key) *desk.Desk { return b.site(k).Desk }

func (b *bureau) site(k area.Key) *harness.Site {
	n, ok := b.Authority.Directory().Home(k)
	if !ok {
		b.Fatalf("nobody serves %s", k)
	}
	return b.Site(n)
}

// settle lets parcels travel until nothing is owed.
func (b *bureau) settle() {
	b.Helper()
	if err := b.Settle(b.Context(), 30); err != nil {
		b.Fatal(err)
	}
}

func (b *bureau) raw(k area.Key) *storetest.Tables { return storetest.Raw(b.TB, b.urls[b.site(k)]) }

func clerk(offices ...area.Key) access.Principal { return harness.Clerk(access.Clerk, offices...) }

func person(i int) string {
	return ident.Make("520330", civil.MustParse("1990-01-01").AddDays(i/400), i%400, i%2 == 0)
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
			Name: "测试甲", Document: person(i), EventDay: civil.MustParse("2026-11-10"), Contact: phone,
			Basis: desk.BasisInput{Kind: cases.BasisRequest},
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

// ref reads the case as an office sees it and returns its reference.
func (b *bureau) ref(office area.Key, id cases.CaseID) desk.CaseRef {
	b.Helper()
	return desk.CaseRef{Case: id, Etag: b.get(office, id).Etag}
}

func (b *bureau) get(office area.Key, id cases.CaseID) desk.CaseView {
	b.Helper()
	p := clerk(office)
	if office.Level() == area.County {
		p = harness.Clerk(access.Distributor, office)
	}
	v, err := b.at(office).GetCase(b.Context(), p, desk.GetRequest{Case: id, Purpose: "test"})
	if err != nil {
		b.Fatalf("get at %s: %v", office, err)
	}
	return v
}

func (b *bureau) answer(office area.Key, id cases.CaseID, in desk.AnswerInput) []string {
	b.Helper()
	_, warnings, err := b.at(office).Answer(b.Context(), clerk(office), desk.AnswerRequest{RequestID: b.request(), Ref: b.ref(office, id), Answer: in})
	if err != nil {
		b.Fatalf("answer: %v", err)
	}
	b.settle()
	return warnings
}

func (b *bureau) pair(office area.Key, id cases.CaseID) cases.PersonID {
	b.Helper()
	r, err := b.at(office).Pair(b.Context(), clerk(office), desk.PairRequest{RequestID: b.request(), Ref: b.ref(office, id)})
	if err != nil {
		b.Fatalf("pair: %v", err)
	}
	return r.Person
}

type note func(*desk.Desk, access.Principal, desk.ChangeRequest) (desk.CaseView, error)

func (b *bureau) change(office area.Key, id cases.CaseID, f note) {
	b.Helper()
	if _, err := f(b.at(office), clerk(office), desk.ChangeRequest{RequestID: b.request(), Ref: b.ref(office, id), Reason: "本人申请"}); err != nil {
		b.Fatalf("change: %v", err)
	}
	b.settle()
}

func withdraw(d *desk.Desk, p access.Principal, r desk.ChangeRequest) (desk.CaseView, error) {
	return d.Withdraw(tctx, p, r)
}

func dispute(d *desk.Desk, p access.Principal, r desk.ChangeRequest) (desk.CaseView, error) {
	return d.Dispute(tctx, p, r)
}

func closing(d *desk.Desk, p access.Principal, r desk.ChangeRequest) (desk.CaseView, error) {
	return d.Close(tctx, p, r)
}

func reopen(d *desk.Desk, p access.Principal, r desk.ChangeRequest) (desk.CaseView, error) {
	return d.Reopen(tctx, p, r)
}

// consents records what the i-th person allows a recipient.
func (b *bureau) consents(office area.Key, i int, purpose string, to area.Key) desk.Consent {
	b.Helper()
	c, err := b.at(office).RecordConsent(b.Context(), clerk(office), b.consent(office, i, purpose, to))
	if err != nil {
		b.Fatalf("consent: %v", err)
	}
	return c
}

func (b *bureau) consent(office area.Key, i int, purpose string, to area.Key) desk.ConsentRequest {
	c := desk.Consent{Recipient: to, Purpose: purpose, TextVersion: "2026-1", TextHash: [32]byte{1}, GivenHow: "paper"}
	if purpose == ledger.PurposeFeedback {
		c.Fields = []string{"pregnancy", "iud"}
	}
	return desk.ConsentRequest{RequestID: b.request(), Office: office, Person: desk.PersonRef{Name: "测试甲", Document: person(i)}, Consent: c}
}

func (b *bureau) status(office area.Key, id cases.CaseID, want cases.Status) desk.CaseView {
	b.Helper()
	v := b.get(office, id)
	if v.Status != want {
		b.Fatalf("%s sees %s, want %s", office, v.Status, want)
	}
	return v
}

// conserved checks that all nodes hold the same of every case.
func (b *bureau) conserved() {
	b.Helper()
	if bad := b.Conserved(b.Context(), b.Fatalf); len(bad) > 0 {
		b.Fatal(bad)
	}
}

// refused checks an error as a clerk meets it: its kind and reason, the field
// it names, a Chinese text, and nobody's data.
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
	for _, text := range []string{f.Text, err.Error()} {
		for _, secret := range []string{"测试", "520330199", phone} {
			if strings.Contains(text, secret) {
				t.Errorf("%s quotes a person", f.Reason)
			}
		}
	}
}

// marks are the rows of every table of a node but the access log, each as one
// number: equal marks, nothing changed.
func (b *bureau) marks(k area.Key) map[string]string {
	b.Helper()
	raw := b.raw(k)
	defer raw.Close()
	out := map[string]string{}
	for _, r := range raw.Rows(b.TB, `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'access_log' ORDER BY 1`) {
		name := r[0].(string)
		rows := raw.Rows(b.TB, fmt.Sprintf(`SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM %s t`, name))
		out[name] = fmt.Sprint(rows[0])
	}
	return out
}

func sorted(ids []cases.CaseID) []cases.CaseID {
	slices.SortFunc(ids, func(a, b cases.CaseID) int { return slices.Compare(a[:], b[:]) })
	return ids
}
