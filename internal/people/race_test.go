package people_test

import (
	"fmt"
	"sync"
	"testing"

	"yipan/internal/access"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/people"
)

const atOnce = 8

// together runs f atOnce times at the same time and returns how often it
// succeeded; every other time it must have found that the person exists.
func together(t *testing.T, f func(i int) error) (done int) {
	t.Helper()
	errs := make([]error, atOnce)
	var ready, wg sync.WaitGroup
	ready.Add(atOnce)
	for i := range errs {
		wg.Go(func() {
			ready.Done()
			ready.Wait()
			errs[i] = f(i)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err == nil {
			done++
			continue
		}
		wantFault(t, err, fault.KindConflict, "PERSON_EXISTS", "profile.documents")
	}
	return done
}

// TestOneFilePerDocument: of several who register the same document at the same
// time, or give it to files, one succeeds.
func TestOneFilePerDocument(t *testing.T) {
	o := newOffice(t)
	clerks := make([]access.Principal, atOnce)
	for i := range clerks {
		clerks[i] = o.account(fmt.Sprintf("clerk-%d", i), here)
	}
	for n := range 5 {
		done := together(t, func(i int) error {
			_, err := o.People.RegisterPerson(t.Context(), clerks[i], people.RegisterRequest{RequestID: fmt.Sprintf("register-%d-%d", n, i), Profile: somebody(n)})
			return err
		})
		if done != 1 {
			t.Errorf("%d registered one document", done)
		}
	}
	if n := o.count("SELECT count(*) FROM person WHERE doc_index IS NOT NULL"); n != 5 {
		t.Errorf("%d files of 5 people", n)
	}
	if n := o.count("SELECT count(*) FROM lookup WHERE use = 1"); n != 0 {
		t.Errorf("%d documents beside their row", n)
	}
	files := make([]people.File, atOnce)
	for i := range files {
		f := somebody(10)
		f.Documents = nil
		files[i] = o.register(clerks[i], f).File
	}
	done := together(t, func(i int) error {
		_, err := o.People.UpdatePerson(t.Context(), clerks[i], people.UpdateRequest{RequestID: fmt.Sprintf("update-%d", i), Person: files[i].ID, Etag: files[i].Etag,
			Profile: people.Profile{Documents: []ledger.Document{{Number: number(20), Kind: ident.KindResident}}}, Fields: []string{"documents"}})
		return err
	})
	if done != 1 {
		t.Errorf("%d files have one document", done)
	}
	if n := o.count("SELECT count(*) FROM person WHERE doc_index IS NOT NULL"); n != 6 {
		t.Errorf("%d files with a document, want 6", n)
	}
}

// TestMergeOfRestricted: a hidden file is merged only with one that is left to
// the same two.
func TestMergeOfRestricted(t *testing.T) {
	o := newOffice(t)
	a, b, c := o.account("clerk-a", here), o.account("clerk-b", here), o.account("clerk-c", here)
	slip := somebody(1)
	slip.Documents = nil
	keep, other := o.register(a, somebody(1)).File.ID, o.register(a, slip).File.ID
	merge := func(x, y cases.PersonID) error {
		_, err := o.People.Merge(t.Context(), a, people.MergeRequest{RequestID: o.request(), Person: x, Other: y, Reason: "同一人"})
		return err
	}
	restrict := func(id cases.PersonID, with access.Principal) {
		t.Helper()
		if _, err := o.People.Restrict(t.Context(), a, o.request(), id, []string{a.ID, with.ID}); err != nil {
			t.Fatal(err)
		}
	}
	restrict(keep, b)
	wantFault(t, merge(keep, other), fault.KindConflict, "RESTRICTED_DIFFERS", "other_id")
	wantFault(t, merge(other, keep), fault.KindConflict, "RESTRICTED_DIFFERS", "other_id")
	restrict(other, c)
	wantFault(t, merge(keep, other), fault.KindConflict, "RESTRICTED_DIFFERS", "other_id")
	if _, err := o.People.Unrestrict(t.Context(), a, o.request(), other); err != nil {
		t.Fatal(err)
	}
	restrict(other, b)
	if err := merge(keep, other); err != nil {
		t.Fatal(err)
	}
	for _, id := range []cases.PersonID{keep, other} {
		o.get(b, id)
		if _, _, err := o.People.GetPerson(t.Context(), c, id, "test"); !fault.Is(err, fault.KindNotFound) {
			t.Errorf("merged and hidden: %v", err)
		}
	}
}

// TestMergedOfferRound: whom one of two files was offered to in a round is not
// due in it again; when they part, each is where it was.
func TestMergedOfferRound(t *testing.T) {
	o := newOffice(t)
	p := o.account("clerk-a", here)
	slip := somebody(1)
	slip.Documents = nil
	keep, other := o.register(p, somebody(1)).File.ID, o.register(p, slip).File.ID
	set := func(id cases.PersonID, period int) {
		t.Helper()
		_, err := o.connect().Exec(t.Context(), `INSERT INTO service (person, office, kind, period, closed, sealed) VALUES ($1, $2, $3, $4, true, '')`,
			[16]byte(id), int64(here), int16(ledger.ThreeChecks), period)
		if err == nil {
			_, err = o.connect().Exec(t.Context(), `UPDATE person SET offered_round = $2 WHERE id = $1`, [16]byte(id), period)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	rounds := func() [2]int {
		return [2]int{o.count("SELECT offered_round FROM person WHERE id = $1", [16]byte(keep)), o.count("SELECT offered_round FROM person WHERE id = $1", [16]byte(other))}
	}
	set(keep, 20261)
	set(other, 20263)
	_, err := o.People.Merge(t.Context(), p, people.MergeRequest{RequestID: o.request(), Person: keep, Other: other, Reason: "同一人"})
	if got := rounds(); err != nil || got != [2]int{20263, 20263} {
		t.Errorf("merged: %v, %v", got, err)
	}
	_, err = o.People.Unmerge(t.Context(), p, people.UnmergeRequest{RequestID: o.request(), Person: other, Reason: "不是同一人"})
	if got := rounds(); err != nil || got != [2]int{20261, 20263} {
		t.Errorf("parted: %v, %v", got, err)
	}
	// The larger one may be the root's own.
	_, err = o.People.Merge(t.Context(), p, people.MergeRequest{RequestID: o.request(), Person: other, Other: keep, Reason: "同一人"})
	if got := rounds(); err != nil || got != [2]int{20261, 20263} {
		t.Errorf("merged the other way: %v, %v", got, err)
	}
}
