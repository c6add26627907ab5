package desk_test

import (
	"fmt"
	"slices"
	"testing"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/directory"
	"yipan/internal/ledger"
	"yipan/internal/store/storetest"
)

// TestWithdrawnAfterTheBackupIsRevoked restores a node to a backup older than a
// consent, the feedback released under it and its withdrawal, none of which the
// peer has heard of but the feedback: the journal alone makes it revoke.
func TestWithdrawnAfterTheBackupIsRevoked(t *testing.T) {
	b := newBureau(t, false)
	b.open(b.notice(9, there))
	s := b.site(there)
	s.DB.Close()
	backup := storetest.Copy(t, b.urls[s])
	b.Start(s, storetest.Open(t, b.urls[s]))

	id, consent := b.disclosed(1, ledger.OfferDone, true)
	b.endRound()
	if f := b.get(here, id).Feedback; len(f) != 1 || !f[0].Released {
		t.Fatalf("feedback %+v", f)
	}
	if _, _, err := s.Desk.WithdrawConsent(t.Context(), clerk(there), b.request(), consent.ID); err != nil {
		t.Fatal(err) // and nothing is sent: the machine is gone
	}
	s.DB.Close()
	b.urls[s] = backup
	b.Start(s, storetest.Open(t, backup))
	if _, err := s.Desk.ReplayJournal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f := b.get(here, id).Feedback; len(f) != 1 {
		t.Fatalf("the origin has heard: %+v", f)
	}
	for range 3 {
		if err := b.State(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		b.settle()
	}
	for _, office := range []area.Key{here, there} {
		if f := b.get(office, id).Feedback; len(f) != 0 {
			t.Errorf("%s still shows %+v", office, f)
		}
		raw := b.raw(office)
		if n := fmt.Sprint(raw.Rows(t, `SELECT count(*) FILTER (WHERE kind = 8 AND body IS NOT NULL), count(*) FILTER (WHERE kind = 9) FROM item`)[0]...); n != "0 1" {
			t.Errorf("%s: feedbacks with a body, revocations: %s", office, n)
		}
		raw.Close()
	}
	// The round ends again here, as the backup is older: nothing is sent anew.
	b.drafts()
	b.settle()
	if f := b.get(here, id).Feedback; len(f) != 0 {
		t.Errorf("sent anew: %+v", f)
	}
	b.conserved()
}

// TestRevocationReachesFormerHomes moves the origin's township to another node
// before the person takes the consent back: whoever holds the feedback forgets
// it (model rule M16).
func TestRevocationReachesFormerHomes(t *testing.T) {
	b := newBureau(t, false)
	id, consent := b.disclosed(1, ledger.OfferDone, true)
	b.endRound()
	next := b.site(third)
	nodes := b.Authority.Directory().Nodes()
	i := slices.IndexFunc(nodes, func(m *directory.Member) bool { return m.ID == next.Node })
	if err := b.Admit(next, []area.Key{third, here}, nodes[i].Serial); err != nil {
		t.Fatal(err)
	}
	if err := b.Learn(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := b.State(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		b.settle()
	}
	if f := b.get(here, id).Feedback; b.site(here) != next || len(f) != 1 || !f[0].Released {
		t.Fatalf("the new home shows %+v", f)
	}
	_, ids, err := b.at(there).WithdrawConsent(t.Context(), clerk(there), b.request(), consent.ID)
	if err != nil || !slices.Equal(ids, []cases.CaseID{id}) {
		t.Fatalf("touched %v, %v", ids, err)
	}
	raw := b.raw(there)
	if n := fmt.Sprint(raw.Rows(t, `SELECT count(*) FROM share WHERE kind = 9`)[0]...); n != "2" {
		t.Errorf("the revocation is owed to %s nodes, want the new home and the former", n)
	}
	raw.Close()
	b.settle()
	for _, s := range b.Sites {
		raw := storetest.Raw(t, b.urls[s])
		if n := fmt.Sprint(raw.Rows(t, `SELECT count(*) FILTER (WHERE kind = 8 AND body IS NULL AND erased), count(*) FILTER (WHERE kind = 9) FROM item WHERE kind IN (8, 9)`)[0]...); n != "1 1" {
			t.Errorf("%s: erased feedbacks, revocations: %s", s.Node, n)
		}
		raw.Close()
	}
}
