package services_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/cases"
	"yipan/internal/ledger"
	"yipan/internal/services"
	"yipan/internal/store/storetest"
)

// TestPersonsShownAreLogged: whomever a verb of the services shows, tells of, or
// fails to find is in the access log, one event a query and office (SECURITY
// D13).
func TestPersonsShownAreLogged(t *testing.T) {
	b := newBureau(t)
	var who []cases.PersonID
	for i := range 4 {
		who = append(who, b.register(there, i))
	}
	far := b.register(beside, 9)
	raw := storetest.Raw(t, b.url)
	defer raw.Close()
	events := func() (out []string) {
		for _, r := range raw.Rows(t, `SELECT verb, office, purpose, n, denied FROM access_log WHERE verb LIKE 'service.%' ORDER BY id`) {
			out = append(out, strings.TrimSpace(fmt.Sprintln(r...)))
		}
		return out
	}
	subjects := func() (out []cases.PersonID) {
		for _, r := range raw.Rows(t, `SELECT s FROM access_log, unnest(subjects) s WHERE verb LIKE 'service.%' ORDER BY id`) {
			out = append(out, cases.PersonID(r[0].([16]byte)))
		}
		return out
	}
	check := func(what string, do func(), want []string, shown ...cases.PersonID) {
		t.Helper()
		before, named := len(events()), len(subjects())
		do()
		if d := cmp.Diff(want, events()[before:]); d != "" {
			t.Errorf("%s: %s", what, d)
		}
		got := subjects()[named:]
		for _, id := range shown {
			if !slices.Contains(got, id) {
				t.Errorf("%s: somebody shown is not logged", what)
			}
		}
		if len(got) != len(shown) {
			t.Errorf("%s: %d logged, %d shown", what, len(got), len(shown))
		}
	}
	at, away := fmt.Sprint(int64(there)), fmt.Sprint(int64(beside))
	both := clerk(there, beside)
	check("a page of two offices", func() {
		list, err := b.Services.ListDue(t.Context(), both, services.DueRequest{Purpose: "告知"})
		if err != nil || len(list.Persons) != 5 {
			t.Fatal(len(list.Persons), err)
		}
	}, []string{"service.read " + at + " 告知 4 false", "service.read " + away + " 告知 1 false"}, append(slices.Clone(who), far)...)
	check("a batch", func() {
		_, err := b.Services.RecordMany(t.Context(), both, []services.Input{
			b.input(who[0], ledger.Visit, ledger.OfferDone), b.input(far, ledger.Visit, ledger.OfferDone), b.input(cases.PersonID{7}, ledger.Visit, ledger.OfferDone),
		})
		if err != nil {
			t.Fatal(err)
		}
	}, []string{"service.write " + at + " service 1 false", "service.write " + away + " service 1 false", "service.write " + at + " service 0 false"}, who[0], far)
	check("a standing refusal", func() {
		if err := b.Services.SetStandingRefusal(t.Context(), both, b.request(), who[1], ledger.Visit, true); err != nil {
			t.Fatal(err)
		}
	}, []string{"service.write " + at + " service 1 false"}, who[1])
	check("a record that it forbids", func() {
		if _, _, err := b.Services.Record(t.Context(), both, b.input(who[1], ledger.Visit, ledger.OfferDone)); err == nil {
			t.Fatal("recorded")
		}
	}, []string{"service.write " + at + " service 1 false"}, who[1])
	check("one person", func() {
		if _, _, err := b.Services.PersonServices(t.Context(), both, far, "查看"); err != nil {
			t.Fatal(err)
		}
	}, []string{"service.read " + away + " 查看 1 false"}, far)
	check("nobody", func() {
		if _, _, err := b.Services.PersonServices(t.Context(), both, cases.PersonID{7}, "查看"); err == nil {
			t.Fatal("shown")
		}
	}, []string{"service.read " + at + " 查看 0 false"})
	check("an empty page", func() {
		list, err := b.Services.ListDue(t.Context(), clerk(beside), services.DueRequest{PageToken: "", Purpose: "告知", Office: beside, PageSize: 1})
		if err != nil || len(list.Persons) != 1 || list.Next != "" {
			t.Fatal(len(list.Persons), err)
		}
	}, []string{"service.read " + away + " 告知 1 false"}, far)
}

// BenchmarkRecordMany measures a batch of the largest size.
func BenchmarkRecordMany(b *testing.B) {
	w := newBureau(b)
	var who []cases.PersonID
	for i := range 200 {
		who = append(who, w.register(there, i))
	}
	for b.Loop() {
		var ins []services.Input
		for i := range 1000 {
			ins = append(ins, w.input(who[i%200], ledger.Service(1+i/200), ledger.OfferDeclined))
		}
		got, err := w.Services.RecordMany(b.Context(), clerk(there), ins)
		if err != nil || got[999].Err != nil {
			b.Fatal(err)
		}
	}
}
