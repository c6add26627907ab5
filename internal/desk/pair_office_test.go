package desk_test

import (
	"testing"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/store"
)

// TestPairNamesAPersonOfTheOffice: who works for both sides' offices cannot pair
// a notice with a file of the other one.
func TestPairNamesAPersonOfTheOffice(t *testing.T) {
	b := newBureau(t, true)
	id := b.open(b.notice(1, there))
	theirs, _ := b.file(here, profile(2))
	_, err := b.at(there).Pair(t.Context(), clerk(here, there), desk.PairRequest{RequestID: b.request(), Ref: b.ref(there, id), Person: theirs})
	refused(t, err, fault.KindNotFound, "PERSON_NOT_FOUND", "person_id")
	own, _ := b.file(there, profile(2))
	r, err := b.at(there).Pair(t.Context(), clerk(here, there), desk.PairRequest{RequestID: b.request(), Ref: b.ref(there, id), Person: own})
	if err != nil || r.Person != own {
		t.Errorf("a file of the office: %v", err)
	}
}

// TestConsentIsOfAPersonOfTheOffice: so with a consent.
func TestConsentIsOfAPersonOfTheOffice(t *testing.T) {
	b := newBureau(t, true)
	theirs, _ := b.file(here, profile(2))
	r := b.consent(there, 2, ledger.PurposeFeedback, here)
	r.Person = desk.PersonRef{ID: theirs}
	_, err := b.at(there).RecordConsent(t.Context(), clerk(here, there), r)
	refused(t, err, fault.KindNotFound, "PERSON_NOT_FOUND", "person")
	r.Person.ID, _ = b.file(there, profile(2))
	if _, err := b.at(there).RecordConsent(t.Context(), clerk(here, there), r); err != nil {
		t.Errorf("a person of the office: %v", err)
	}
}

// TestForgettingWaitsForAConsent: who is known by a notice alone is not erased
// while a consent of theirs is being recorded.
func TestForgettingWaitsForAConsent(t *testing.T) {
	b := newBureau(t, true)
	id := b.open(b.notice(1, there))
	who := b.pair(there, id)
	d, db := b.at(there), b.site(there).DB
	b.answer(there, id, desk.AnswerInput{Outcome: cases.Misrouted})
	b.Clock.Add(8 * 24 * time.Hour)
	forgot := make(chan error, 1)
	err := db.InDesk(t.Context(), []area.Key{there}, func(tx *store.Tx) error {
		found, err := b.site(there).People.Of(t.Context(), tx, there, people.Whose{ID: who}, true)
		if err != nil || found != who {
			t.Fatalf("the person of the notice: %v", err)
		}
		go func() { _, err := d.EraseStrays(t.Context()); forgot <- err }()
		b.waiting(there)
		return tx.AddConsent(t.Context(), store.ConsentRow{ID: cases.ConsentID{7}, Office: there, Person: who, Sealed: []byte{1}})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-forgot; err != nil {
		t.Fatal(err)
	}
	raw := b.raw(there)
	defer raw.Close()
	if len(raw.Rows(t, `SELECT 1 FROM person WHERE id = $1 AND erased_at IS NULL`, [16]byte(who))) != 1 {
		t.Error("the person was erased under a consent")
	}
	if len(raw.Rows(t, `SELECT 1 FROM case_side WHERE case_id = $1 AND side = 2 AND erased_at IS NOT NULL`, [16]byte(id))) != 1 {
		t.Error("the notice was not erased, so that this test shows nothing")
	}
}

// waiting returns once somebody waits for a lock in the database of an office.
func (b *bureau) waiting(office area.Key) {
	b.Helper()
	raw := b.raw(office)
	defer raw.Close()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if len(raw.Rows(b.TB, `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`)) > 0 {
			return
		}
	}
	b.Fatal("nobody waits for a lock")
}

// TestRestrictingMeetsPairing: whichever comes first, a case about a restricted
// person is hidden with the person (SECURITY D11).
func TestRestrictingMeetsPairing(t *testing.T) {
	for _, restrictFirst := range []bool{true, false} {
		b := newBureau(t, true)
		id := b.open(b.notice(1, there))
		who, _ := b.file(there, profile(2))
		db := b.site(there).DB
		restrict := func(held func()) error {
			return db.InDeskAs(t.Context(), "keeper-1", []area.Key{there}, func(tx *store.Tx) error {
				if err := tx.Restrict(t.Context(), there, []cases.PersonID{who}, []string{"keeper-1", "keeper-2"}); err != nil {
					return err
				}
				if err := tx.Flush(t.Context()); err != nil {
					return err
				}
				held()
				return nil
			})
		}
		var paired bool
		pair := func(held func()) error {
			return db.InDeskAs(t.Context(), "clerk-1", []area.Key{there}, func(tx *store.Tx) (err error) {
				paired, err = tx.PairSide(t.Context(), id, there, who)
				held()
				return err
			})
		}
		first, second := pair, restrict
		if restrictFirst {
			first, second = restrict, pair
		}
		done := make(chan error, 1)
		err := first(func() {
			go func() { done <- second(func() {}) }()
			b.waiting(there)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if paired == restrictFirst {
			t.Errorf("restricted first %t: paired %t", restrictFirst, paired)
		}
		raw := b.raw(there)
		if n := len(raw.Rows(t, `SELECT 1 FROM case_side WHERE person = $1 AND NOT restricted`, [16]byte(who))); n > 0 {
			t.Errorf("restricted first %t: %d cases about a restricted person are there for all", restrictFirst, n)
		}
		raw.Close()
	}
}
