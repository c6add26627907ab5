package store_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

func TestPersons(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	known := person(1, east)
	known.Birth = civil.MustParse("1990-02-28")
	nobody := person(2, east)
	nobody.DocIndex, nobody.Doc = nil, nil
	offices := []area.Key{east}
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		return tx.AddPersons(ctx, []store.Person{known, nobody})
	})
	again := person(1, east)
	again.ID, again.Name = personID(9), "示例一"
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddPersons(ctx, []store.Person{again, person(3, east)}); err != nil {
			return err
		}
		first, third, unknown := id("doc", 1), id("doc", 3), id("doc", 4)
		got, err := tx.PersonIDs(ctx, east, [][]byte{first[:], third[:], unknown[:]})
		if d := cmp.Diff(map[[16]byte]cases.PersonID{first: personID(1), third: personID(3)}, got); d != "" {
			t.Errorf("ids: %s", d)
		}
		if err != nil {
			return err
		}
		keys, err := tx.PersonKeys(ctx, []cases.PersonID{personID(1), personID(9)})
		if d := cmp.Diff(map[cases.PersonID][]byte{personID(1): {1}}, keys); d != "" {
			t.Errorf("keys: %s", d)
		}
		return err
	})
	conn := connect(t, url)
	if n := number(t, conn, "SELECT count(*) FROM person WHERE id = $1 AND name = $2 AND birth = '1990-02-28'", [16]byte(personID(1)), known.Name); n != 1 {
		t.Error("the first row did not stay as it was")
	}

	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error { return tx.ErasePerson(ctx, personID(1)) })
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		key, err := tx.PersonKey(ctx, personID(1))
		if key != nil {
			t.Error("the key stayed")
		}
		if err != nil {
			return err
		}
		keys, err := tx.PersonKeys(ctx, []cases.PersonID{personID(1)})
		if len(keys) != 0 {
			t.Error("an erased person has a key")
		}
		return err
	})
	if n := number(t, conn, `SELECT count(*) FROM person WHERE id = $1 AND num_nulls(key, birth, doc, doc_index, last4, phone, phone_index) = 7 AND name = ''`, [16]byte(personID(1))); n != 1 {
		t.Error("plain columns are not blank")
	}
	// The document may come again, as a new person.
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error { return tx.AddPersons(ctx, []store.Person{again}) })
	err := db.InDesk(t.Context(), offices, func(tx *store.Tx) error { _, err := tx.PersonKey(t.Context(), personID(99)); return err })
	if !fault.Is(err, fault.KindNotFound) {
		t.Errorf("nobody's key: %v", err)
	}
}

func TestConsents(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	offices := []area.Key{east}
	consent := func(n int) store.ConsentRow {
		return store.ConsentRow{ID: id("consent", n), Office: east, Person: personID(1), Sealed: []byte{byte(n)}}
	}
	for n := 1; n <= 2; n++ { // transactions, so that their times differ
		desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error { return tx.AddConsent(ctx, consent(n)) })
	}
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.ConsentsOf(ctx, personID(1))
		if d := cmp.Diff([]store.ConsentRow{consent(2), consent(1)}, got); d != "" {
			t.Errorf("newest first: %s", d)
		}
		return err
	})
	// A withdrawal waits for what relies on the consent.
	watch := connect(t, url)
	withdrawn := make(chan error, 1)
	ids := []cases.ConsentID{consent(1).ID}
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.ShareConsents(ctx, ids); err != nil {
			return err
		}
		// Two may rely on it at once.
		desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error { _, err := tx.ShareConsents(ctx, ids); return err })
		go func() {
			withdrawn <- db.InDesk(ctx, offices, func(tx *store.Tx) error {
				if _, err := tx.LockConsents(ctx, ids); err != nil {
					return err
				}
				return tx.PutConsent(ctx, ids[0], []byte("withdrawn"))
			})
		}()
		awaitBlocked(t, watch)
		return nil
	})
	if err := <-withdrawn; err != nil {
		t.Fatal(err)
	}
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.ShareConsents(ctx, ids)
		if string(got[ids[0]].Sealed) != "withdrawn" {
			t.Error("the withdrawal is not seen")
		}
		return err
	})
}

func TestCertificates(t *testing.T) {
	db := storetest.New(t)
	ask := func(n int, day string, issued string) store.Certificate {
		c := store.Certificate{ID: id("certificate", n), Office: east, Person: personID(n), AskedOn: civil.MustParse(day)}
		if issued != "" {
			c.IssuedOn = civil.MustParse(issued)
		}
		return c
	}
	again := ask(1, "2026-03-01", "2026-03-09")
	again.ID = id("certificate", 9)
	desk(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddCertificates(ctx, []store.Certificate{ask(1, "2026-03-01", ""), ask(2, "2026-03-31", "2026-04-02"), ask(3, "2026-04-01", "2026-04-01")}); err != nil {
			return err
		}
		return tx.AddCertificates(ctx, []store.Certificate{again})
	})
	want := []store.CertificateCount{
		{Office: east, AskedOn: civil.MustParse("2026-03-01"), N: 1},
		{Office: east, AskedOn: civil.MustParse("2026-03-31"), IssuedOn: civil.MustParse("2026-04-02"), N: 1},
	}
	err := db.InCounts(t.Context(), []area.Key{east, west}, func(tx *store.Tx) error {
		got, err := tx.CertificateCounts(t.Context(), []area.Key{east, west}, civil.MustParse("2026-03-01"), civil.MustParse("2026-04-01"))
		if d := cmp.Diff(want, got, cmpopts.SortSlices(func(a, b store.CertificateCount) bool { return a.AskedOn.Before(b.AskedOn) })); d != "" {
			t.Errorf("counts: %s", d)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
