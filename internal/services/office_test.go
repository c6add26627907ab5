package services_test

import (
	"fmt"
	"testing"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/harness"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/services"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	county = area.MustOf(area.County, "330782")
	there  = area.Children(county)[0]
	beside = area.Children(county)[1]
)

// round is open at the time of the tests.
const round = 20263

// bureau is one node with two offices.
type bureau struct {
	testing.TB
	*harness.Site
	world *harness.World
	url   string
	n     int
}

func newBureau(t testing.TB) *bureau {
	t.Helper()
	w, err := harness.NewWorld(t.TempDir(), time.Date(2026, 11, 20, 9, 0, 0, 0, civil.Shanghai))
	if err != nil {
		t.Fatal(err)
	}
	url := storetest.NewURL(t)
	s, err := w.AddSite(storetest.Open(t, url), county)
	if err != nil {
		t.Fatal(err)
	}
	return &bureau{TB: t, Site: s, world: w, url: url}
}

func clerk(offices ...area.Key) access.Principal { return harness.Clerk(access.Clerk, offices...) }

func day(s string) civil.Date { return civil.MustParse(s) }

func (b *bureau) request() string {
	b.n++
	return fmt.Sprintf("request-%06d", b.n)
}

// registerAs registers the i-th synthetic person of a birth date and sex as one
// who lives at an office.
func (b *bureau) registerAs(office area.Key, i int, born string, male bool) cases.PersonID {
	b.Helper()
	r, err := b.People.RegisterPerson(b.Context(), clerk(office), people.RegisterRequest{RequestID: b.request(), Profile: ledger.Profile{
		Name: "测试甲", Documents: []ledger.Document{{Number: ident.Make("330782", day(born), i, male)}}, Registered: office, Managed: office, Living: office,
	}})
	if err != nil {
		b.Fatalf("register: %v", err)
	}
	return r.File.ID
}

func (b *bureau) register(office area.Key, i int) cases.PersonID {
	b.Helper()
	return b.registerAs(office, i, "1990-06-01", false)
}

func (b *bureau) input(who cases.PersonID, kind ledger.Service, result string) services.Input {
	return services.Input{RequestID: b.request(), Person: who, Kind: kind, Record: ledger.ServiceRecord{Result: result, Date: day("2026-11-18"), Channel: "visit"}}
}

func (b *bureau) record(who cases.PersonID, kind ledger.Service, result string) services.View {
	b.Helper()
	v, _, err := b.Services.Record(b.Context(), clerk(there), b.input(who, kind, result))
	if err != nil {
		b.Fatalf("record %s: %v", result, err)
	}
	return v
}

// due reads all pages of a size.
func (b *bureau) due(size int, offices ...area.Key) (ids []cases.PersonID) {
	b.Helper()
	for token := ""; ; {
		list, err := b.Services.ListDue(b.Context(), clerk(offices...), services.DueRequest{PageSize: size, PageToken: token, Purpose: "test"})
		if err != nil {
			b.Fatalf("due: %v", err)
		}
		if len(list.Persons) > size || list.Round.Number != round {
			b.Fatalf("%d persons on a page of %d, of round %d", len(list.Persons), size, list.Round.Number)
		}
		for _, p := range list.Persons {
			ids = append(ids, p.ID)
		}
		if token = list.Next; token == "" {
			return ids
		}
	}
}

// in runs fn as the desk of an office.
func (b *bureau) in(office area.Key, fn func(*store.Tx) error) {
	b.Helper()
	if err := b.DB.InDeskAs(b.Context(), "clerk-test", []area.Key{office}, fn); err != nil {
		b.Fatal(err)
	}
}

func (b *bureau) tally(office area.Key, kind ledger.Service, period uint32) (t ledger.Tally) {
	b.Helper()
	b.in(office, func(tx *store.Tx) error {
		var err error
		if t, err = b.Services.Tally(b.Context(), tx, office, kind, period); err != nil {
			return err
		}
		again, err := b.Services.Recount(b.Context(), tx, office, kind, period)
		if err == nil && fmt.Sprint(again) != fmt.Sprint(t.Living) {
			b.Errorf("a recount gives %v, the tally has %v", again, t.Living)
		}
		return err
	})
	return t
}

func (b *bureau) reads(p access.Principal, verb access.Verb) (events, subjects int64) {
	b.Helper()
	b.in(there, func(tx *store.Tx) (err error) {
		events, subjects, err = tx.CountAccess(b.Context(), p.ID, verb)
		return err
	})
	return events, subjects
}

func refused(t *testing.T, err error, kind fault.Kind, reason, field string) {
	t.Helper()
	f, ok := fault.As(err)
	if !ok || f.Kind != kind || f.Reason != reason || f.Field != field || f.Text == "" {
		t.Errorf("error %v (%+v), want %v %s on %q", err, f, kind, reason, field)
	}
}
