package store_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/ledger"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

func row(n int) store.PersonRow {
	ix := id("doc", n)
	return store.PersonRow{
		ID: personID(n), Office: east, Key: []byte{1}, Name: "示例", Initials: "sl", Sex: 2, Birth: civil.MustParse("1990-02-28"), DocKind: 1, Doc: []byte{2},
		DocIndex: ix[:], Last4: []byte{3}, Phone: []byte{4}, PhoneIndex: []byte{5}, IndexKey: []byte{6}, Registered: east, Managed: west, Living: east,
		Presence: ledger.Here, Since: civil.MustParse("2026-01-02"), Household: id("household", n), Profile: []byte{7},
	}
}

func TestFileRows(t *testing.T) {
	db := storetest.New(t)
	offices := []area.Key{east}
	first, same := row(1), row(2)
	same.DocIndex = first.DocIndex
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		if added, err := tx.AddFile(ctx, &first, nil); !added || err != nil {
			t.Errorf("added %v, %v", added, err)
		}
		added, err := tx.AddFile(ctx, &same, nil)
		if added {
			t.Error("a second file has the document")
		}
		return err
	})
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.PersonsByID(ctx, []cases.PersonID{personID(2), personID(1)})
		if d := cmp.Diff([]store.PersonRow{first}, got); d != "" {
			t.Error(d)
		}
		return err
	})
	second := row(2)
	changed := first
	changed.Name, changed.Phone, changed.PhoneIndex, changed.Household, changed.Birth, changed.Profile = "示例改", nil, nil, [16]byte{}, civil.Date{}, []byte{8}
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.AddFile(ctx, &second, nil); err != nil {
			return err
		}
		taken := second
		taken.DocIndex = first.DocIndex
		if put, err := tx.PutFile(ctx, &taken); put || err != nil {
			t.Errorf("another's document: written %v, %v", put, err)
		}
		put, err := tx.PutFile(ctx, &changed)
		if !put {
			t.Error("not written")
		}
		return err
	})
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.SetPresence(ctx, personID(2), ledger.Outflow, west, civil.MustParse("2026-05-01")); err != nil {
			return err
		}
		second.Presence, second.Living, second.Since, second.Rev = ledger.Outflow, west, civil.MustParse("2026-05-01"), 1
		changed.Rev = 1
		want := []store.PersonRow{changed, second}
		slices.SortFunc(want, func(a, b store.PersonRow) int { return slices.Compare(a.ID[:], b.ID[:]) })
		got, err := tx.LockPersonRows(ctx, []cases.PersonID{personID(1), personID(2)})
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		return err
	})
	for _, o := range [][]area.Key{{west}, {}} {
		desk(t, db, o, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.PersonsByID(ctx, []cases.PersonID{personID(1), personID(2)})
			if len(got) != 0 {
				t.Errorf("offices %v see %d files", o, len(got))
			}
			return err
		})
	}
}

// TestReadsOf: the slip reads the log of the transaction's offices alone, newest
// first, by the index over subjects.
func TestReadsOf(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	look := func(o area.Key, account string, subjects ...[16]byte) {
		desk(t, db, []area.Key{o}, func(ctx context.Context, tx *store.Tx) error {
			p := access.Principal{ID: account, OnBehalf: "window"}
			return tx.LogAccess(ctx, store.Access{Principal: p, Office: o, Verb: access.PersonOpen, Purpose: "test", Subjects: subjects})
		})
	}
	look(east, "first", personID(1))
	look(east, "second", personID(2), personID(1))
	look(east, "third", personID(2))
	look(west, "elsewhere", personID(1))
	look(east, "nobody")
	read := func(offices []area.Key, most int) (accounts []string) {
		desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
			rs, err := tx.ReadsOf(ctx, [][16]byte{personID(1), caseID(1)}, most)
			accounts = nil
			for _, r := range rs {
				accounts = append(accounts, r.Account)
				if r.At.IsZero() || r.OnBehalf != "window" || r.Verb != access.PersonOpen || r.Purpose != "test" {
					t.Errorf("%+v", r)
				}
			}
			return err
		})
		return accounts
	}
	for _, tt := range []struct {
		offices []area.Key
		most    int
		want    []string
	}{
		{[]area.Key{east}, 10, []string{"second", "first"}},
		{[]area.Key{east}, 1, []string{"second"}},
		{[]area.Key{west}, 10, []string{"elsewhere"}},
		{[]area.Key{east, west}, 10, []string{"elsewhere", "second", "first"}},
		{nil, 10, nil},
	} {
		if d := cmp.Diff(tt.want, read(tt.offices, tt.most)); d != "" {
			t.Errorf("offices %v: %s", tt.offices, d)
		}
	}
	owner := connect(t, url)
	run(t, owner, "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; SET yipan.offices = '{1}'")
	body := list(t, owner, "SELECT prosrc FROM pg_proc WHERE proname = 'reads_of'")[0]
	body = strings.ReplaceAll(strings.ReplaceAll(body, "&& ids", "&& $1::uuid[]"), "LIMIT most", "LIMIT $2::int")
	run(t, owner, "PREPARE reads AS "+body)
	if plan := strings.Join(list(t, owner, "EXPLAIN EXECUTE reads('{}', 200)"), "\n"); !strings.Contains(plan, "access_log_subject") {
		t.Errorf("the log is read from end to end:\n%s", plan)
	}
	for _, r := range []store.Role{store.Exchange, store.Counts} {
		if _, err := as(t, url, r).Exec(t.Context(), "SELECT * FROM reads_of('{}', 1)"); !code(err, "42501") {
			t.Errorf("%s: %v", r, err)
		}
	}
}
