package desk_test

import (
	"testing"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

// TestRestrictionsOutliveTheBackup restores a node to a backup older than what
// people asked for about who may see them: the journal alone hides again who was
// restricted, shows who is no more, and names the keepers who were chosen last
// (SECURITY D10, D11).
func TestRestrictionsOutliveTheBackup(t *testing.T) {
	b := newBureau(t, true)
	s := b.site(here)
	account := func(id string) access.Principal {
		if err := s.DB.PutAccount(t.Context(), store.Account{ID: id, Role: access.Clerk, Offices: []area.Key{here}, GrantedBy: []string{"one", "two"}}); err != nil {
			t.Fatal(err)
		}
		return access.Principal{ID: id, Role: access.Clerk, Offices: []area.Key{here}}
	}
	a, c, d := account("clerk-a"), account("clerk-c"), account("clerk-d")
	restrict := func(id cases.PersonID, with access.Principal) {
		t.Helper()
		if _, err := s.People.Restrict(t.Context(), a, b.request(), id, []string{a.ID, with.ID}); err != nil {
			t.Fatal(err)
		}
	}
	lift := func(id cases.PersonID) {
		t.Helper()
		if _, err := s.People.Unrestrict(t.Context(), a, b.request(), id); err != nil {
			t.Fatal(err)
		}
	}
	hidden := b.open(b.notice(1, there))
	first := b.known(here, 1)
	lifted, _ := b.file(here, profile(2))
	other, _ := b.file(here, profile(3))
	left, _ := b.file(here, profile(4))
	fifth, _ := b.file(here, profile(5))
	restrict(lifted, c)
	restrict(other, c)
	if n, err := s.Desk.ReplayJournal(t.Context()); err != nil || n != 0 {
		t.Fatalf("nothing to replay: %d, %v", n, err)
	}
	s.DB.Close()
	backup := storetest.Copy(t, b.urls[s])
	b.Start(s, storetest.Open(t, b.urls[s]))

	restrict(first, c)
	lift(lifted)
	lift(other)
	restrict(other, d)
	restrict(left, d)
	lift(left)
	restrict(fifth, d)
	late, _ := b.file(here, profile(6)) // not in the backup
	restrict(late, d)

	s.DB.Close()
	b.urls[s] = backup
	b.Start(s, storetest.Open(t, backup))
	sees := func(p access.Principal, id cases.PersonID) bool {
		t.Helper()
		_, _, err := s.People.GetPerson(t.Context(), p, id, "test")
		if err != nil && !fault.Is(err, fault.KindNotFound) {
			t.Fatal(err)
		}
		return err == nil
	}
	if !sees(d, first) || sees(d, lifted) {
		t.Fatal("the backup is no backup")
	}
	if n, err := s.Desk.ReplayJournal(t.Context()); err != nil || n != 4 {
		t.Errorf("%d changed, %v; want 4", n, err)
	}
	if n, err := s.Desk.ReplayJournal(t.Context()); err != nil || n != 0 {
		t.Errorf("%d changed again, %v", n, err)
	}
	for _, tt := range []struct {
		name string
		id   cases.PersonID
		seen [3]bool // by a, c and d
	}{
		{"restricted since", first, [3]bool{true, true, false}},
		{"lifted since", lifted, [3]bool{true, true, true}},
		{"left to others since", other, [3]bool{true, false, true}},
		{"restricted and lifted since", left, [3]bool{true, true, true}},
		{"another restricted since", fifth, [3]bool{true, false, true}},
		{"not in the backup", late, [3]bool{}},
	} {
		if got := [3]bool{sees(a, tt.id), sees(c, tt.id), sees(d, tt.id)}; got != tt.seen {
			t.Errorf("%s: seen %v, want %v", tt.name, got, tt.seen)
		}
	}
	// And so is the case about the person.
	if _, err := s.Desk.GetCase(t.Context(), d, desk.GetRequest{Case: hidden, Purpose: "test"}); !fault.Is(err, fault.KindNotFound) {
		t.Errorf("the case about a hidden person: %v", err)
	}
	if _, err := s.Desk.GetCase(t.Context(), c, desk.GetRequest{Case: hidden, Purpose: "test"}); err != nil {
		t.Errorf("a keeper's look at it: %v", err)
	}
}
