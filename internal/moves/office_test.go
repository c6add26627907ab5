package moves_test

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
	"yipan/internal/harness"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/moves"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	origin    = area.MustOf(area.County, "520330")
	residence = area.MustOf(area.County, "330782")
	here      = area.Children(origin)[0]
	next      = area.Children(origin)[1]
	there     = area.Children(residence)[0]
	beside    = area.Children(residence)[1]
	city      = area.MustOf(area.Prefecture, "4419")
)

// places is far counties, none of which the test's nodes serve.
var places = []area.Key{
	area.MustOf(area.County, "330481"), area.MustOf(area.County, "440605"), area.MustOf(area.County, "320583"), area.MustOf(area.County, "350582"),
}

const phone = "13800000000"

// bureau is the sites of one test: one node that serves both counties (local),
// or one node for each.
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

// both runs a test with both offices on one node, and on nodes of their own.
func both(t *testing.T, f func(*testing.T, *bureau)) {
	t.Helper()
	for _, local := range []bool{true, false} {
		t.Run(map[bool]string{true: "one node", false: "two nodes"}[local], func(t *testing.T) {
			b := newBureau(t, local)
			f(t, b)
			b.settle()
			if bad := b.Conserved(b.Context(), b.Fatalf); len(bad) > 0 {
				t.Error(bad)
			}
		})
	}
}

func (b *bureau) site(k area.Key) *harness.Site {
	n, ok := b.Authority.Directory().Home(k)
	if !ok {
		b.Fatalf("nobody serves %s", k)
	}
	return b.Site(n)
}

func (b *bureau) settle() {
	b.Helper()
	if err := b.Settle(b.Context(), 30); err != nil {
		b.Fatal(err)
	}
}

func (b *bureau) raw(k area.Key) *storetest.Tables { return storetest.Raw(b.TB, b.urls[b.site(k)]) }

func clerk(offices ...area.Key) access.Principal { return harness.Clerk(access.Clerk, offices...) }

func (b *bureau) request() string {
	b.n++
	return fmt.Sprintf("request-%06d", b.n)
}

func number(i int) string {
	return ident.Make("520330", civil.MustParse("1990-01-01").AddDays(i/400), i%400, i%2 == 0)
}

func day(s string) civil.Date { return civil.MustParse(s) }

// profile is the file of the i-th synthetic person, registered at an area and
// living at another.
func profile(i int, registered, living area.Key) *ledger.Profile {
	return &ledger.Profile{
		Name: "测试甲", Documents: []ledger.Document{{Number: number(i)}}, Registered: registered, Managed: registered, Living: living,
		Contacts: []ledger.Contact{{Kind: ledger.ContactPhone, Value: phone, Safe: true, Preference: "any"}},
	}
}

var asked = desk.BasisInput{Kind: cases.BasisRequest}

// input is a movement of the i-th person at an office where the person is
// registered (leave, return) or lives.
func (b *bureau) input(office area.Key, kind ledger.MovementKind, i int, on string, to area.Key) moves.Input {
	in := moves.Input{RequestID: b.request(), Office: office, Kind: kind, On: day(on), To: to, Basis: asked}
	in.Profile = profile(i, here, office)
	return in
}

func (b *bureau) try(in moves.Input) (moves.Result, error) {
	return b.site(in.Office).Moves.Register(b.Context(), clerk(in.Office), in)
}

func (b *bureau) move(in moves.Input) moves.Result {
	b.Helper()
	r, err := b.try(in)
	if err != nil {
		b.Fatalf("%s: %v", in.Kind, err)
	}
	b.settle()
	return r
}

// of is a further movement of a person of the ledger.
func (b *bureau) of(r moves.Result, kind ledger.MovementKind, on string, to area.Key) moves.Input {
	return moves.Input{
		RequestID: b.request(), Office: r.Movement.Office, Person: r.Movement.Person, Kind: kind, On: day(on), To: to, Basis: asked,
	}
}

func (b *bureau) row(office area.Key, id cases.PersonID) store.PersonRow {
	b.Helper()
	var out store.PersonRow
	err := b.site(office).DB.InDesk(b.Context(), []area.Key{office}, func(tx *store.Tx) error {
		rows, err := tx.PersonsByID(b.Context(), []cases.PersonID{id})
		if err == nil && len(rows) != 1 {
			b.Fatalf("%d files", len(rows))
		}
		out = rows[0]
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// is checks where a file says that the person is.
func (b *bureau) is(r moves.Result, want ledger.Presence, living area.Key) {
	b.Helper()
	p := b.row(r.Movement.Office, r.Movement.Person)
	if p.Presence != want || p.Living != living {
		b.Errorf("presence %d at %s, want %d at %s", p.Presence, p.Living, want, living)
	}
}

func (b *bureau) get(office area.Key, id cases.CaseID) desk.CaseView {
	b.Helper()
	v, err := b.site(office).Desk.GetCase(b.Context(), clerk(office), desk.GetRequest{Case: id, Purpose: "test"})
	if err != nil {
		b.Fatalf("get at %s: %v", office, err)
	}
	return v
}

func (b *bureau) status(office area.Key, id cases.CaseID, want cases.Status) desk.CaseView {
	b.Helper()
	v := b.get(office, id)
	if v.Status != want {
		b.Errorf("%s sees case as %s, want %s", office, v.Status, want)
	}
	return v
}

func (b *bureau) answer(office area.Key, id cases.CaseID, in desk.AnswerInput) {
	b.Helper()
	_, _, err := b.site(office).Desk.Answer(b.Context(), clerk(office), desk.AnswerRequest{
		RequestID: b.request(), Ref: desk.CaseRef{Case: id, Etag: b.get(office, id).Etag}, Answer: in,
	})
	if err != nil {
		b.Fatalf("answer: %v", err)
	}
	b.settle()
}

func (b *bureau) accept(office area.Key, id cases.CaseID, in *moves.Input) moves.Accepted {
	b.Helper()
	a, err := b.site(office).Moves.Accept(b.Context(), clerk(office), moves.Accept{
		RequestID: b.request(), Ref: desk.CaseRef{Case: id, Etag: b.get(office, id).Etag}, Movement: in,
	})
	if err != nil {
		b.Fatalf("accept: %v", err)
	}
	b.settle()
	return a
}

// consent records that the i-th person allows a recipient something.
func (b *bureau) consent(office area.Key, i int, purpose string, to area.Key) cases.ConsentID {
	b.Helper()
	c, err := b.site(office).Desk.RecordConsent(b.Context(), clerk(office), desk.ConsentRequest{
		RequestID: b.request(), Office: office, Person: desk.PersonRef{Name: "测试甲", Document: number(i)},
		Consent: desk.Consent{Recipient: to, Purpose: purpose, TextVersion: "2026-1", TextHash: [32]byte{1}, GivenHow: "paper"},
	})
	if err != nil {
		b.Fatalf("consent: %v", err)
	}
	return c.ID
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
