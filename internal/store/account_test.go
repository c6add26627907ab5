package store_test

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/fault"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

func TestAccounts(t *testing.T) {
	db := storetest.New(t)
	ctx := t.Context()
	clerk := store.Account{ID: "clerk-1", Role: access.Clerk, Offices: []area.Key{east, west}, GrantedBy: []string{"s1", "s2"}}
	if err := db.PutAccount(ctx, store.Account{ID: "clerk-1", Role: access.Admin}); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("without offices and granters: %v", err)
	}
	if err := db.PutAccount(ctx, clerk); err != nil {
		t.Fatal(err)
	}
	good, old := sha256.Sum256([]byte("good")), sha256.Sum256([]byte("old"))
	for hash, until := range map[[32]byte]time.Time{good: time.Now().Add(time.Hour), old: time.Now().Add(-time.Hour)} {
		if err := db.AddToken(ctx, hash, "clerk-1", until); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.AddToken(ctx, sha256.Sum256([]byte("x")), "nobody", time.Now()); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("a token of nobody: %v", err)
	}
	p, err := db.PrincipalOf(ctx, good)
	if d := cmp.Diff(access.Principal{ID: "clerk-1", Role: access.Clerk, Offices: clerk.Offices}, p); d != "" || err != nil {
		t.Errorf("principal: %v %s", err, d)
	}
	denied := func(what string, hash [32]byte) {
		t.Helper()
		if _, err := db.PrincipalOf(ctx, hash); !fault.Is(err, fault.KindDenied) {
			t.Errorf("%s: %v", what, err)
		}
	}
	denied("expired", old)
	denied("unknown", [32]byte{})
	if err := db.DisableAccount(ctx, "clerk-1"); err != nil {
		t.Fatal(err)
	}
	denied("disabled", good)
	if err := db.DisableAccount(ctx, "clerk-1"); !fault.Is(err, fault.KindNotFound) {
		t.Errorf("disabled twice: %v", err)
	}
	disabled := clerk
	disabled.Disabled = true
	got, err := db.Accounts(ctx)
	if d := cmp.Diff([]store.Account{disabled}, got); d != "" || err != nil {
		t.Errorf("accounts: %v %s", err, d)
	}
	clerk.Offices = []area.Key{west}
	if err := db.PutAccount(ctx, clerk); err != nil {
		t.Fatal(err)
	}
	if p, err := db.PrincipalOf(ctx, good); err != nil || !cmp.Equal(p.Offices, clerk.Offices) {
		t.Errorf("enabled again: %v, %v", p, err)
	}
}

func TestClaimRequest(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	r := store.Request{Account: "clerk-1", RequestID: "r1", Office: east, Method: "Answer", Hash: [32]byte{1}}
	claim := func(office area.Key, r store.Request) (result []byte, err error) {
		err = db.InDesk(t.Context(), []area.Key{office}, func(tx *store.Tx) error {
			result, err = tx.ClaimRequest(t.Context(), r)
			if err == nil && result == nil {
				err = tx.FinishRequest(t.Context(), r.Account, r.RequestID, []byte("done"))
			}
			return err
		})
		return result, err
	}
	if got, err := claim(east, r); err != nil || got != nil {
		t.Errorf("the first: %q, %v", got, err)
	}
	if got, err := claim(east, r); err != nil || string(got) != "done" {
		t.Errorf("repeated: %q, %v", got, err)
	}
	other, method, elsewhere := r, r, r
	other.Hash, method.Method, elsewhere.Office = [32]byte{2}, "Close", west
	for what, c := range map[string]store.Request{"other content": other, "another method": method} {
		if _, err := claim(east, c); !fault.Is(err, fault.KindConflict) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := claim(west, elsewhere); !fault.Is(err, fault.KindConflict) {
		t.Errorf("another office: %v", err)
	}
	mine := r
	mine.Account = "clerk-2"
	if got, err := claim(east, mine); err != nil || got != nil {
		t.Errorf("another account's: %q, %v", got, err)
	}
}

func TestRequestsInBulk(t *testing.T) {
	db := storetest.New(t)
	offices := []area.Key{east}
	request := func(n byte) store.Request {
		return store.Request{Account: "clerk-1", RequestID: string('a' + rune(n)), Office: east, Method: "AnswerMany", Hash: [32]byte{n}}
	}
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		return tx.AddRequests(ctx, []store.Request{request(1), request(2)})
	})
	desk(t, db, offices, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.RequestsOf(ctx, "clerk-1", []string{"b", "c", "d"})
		want := map[string]store.Request{"b": request(1), "c": request(2)}
		if d := cmp.Diff(want, got, cmpopts.IgnoreFields(store.Request{}, "Office")); d != "" {
			t.Errorf("requests: %s", d)
		}
		if err != nil {
			return err
		}
		// The single form takes them for done.
		result, err := tx.ClaimRequest(ctx, request(1))
		if result == nil {
			t.Error("a request done in bulk is to be done again")
		}
		return err
	})
	err := db.InDesk(t.Context(), offices, func(tx *store.Tx) error {
		return tx.AddRequests(t.Context(), []store.Request{request(3), request(2)})
	})
	if f, ok := fault.As(err); !ok || f.Reason != store.ReasonDuplicate {
		t.Errorf("one that stands: %v", err)
	}
}

func TestClaimRequestRace(t *testing.T) {
	for name, c := range map[string]struct {
		fails bool
		want  string
	}{"the first commits": {false, "first"}, "the first fails": {true, ""}} {
		t.Run(name, func(t *testing.T) {
			url := storetest.NewURL(t)
			db := storetest.Open(t, url)
			watch := connect(t, url)
			r := store.Request{Account: "clerk-1", RequestID: "r1", Office: east, Method: "Answer"}
			type answer struct {
				result []byte
				err    error
			}
			second := make(chan answer, 1)
			failed := fault.Conflict("TEST", "a rule of the caller")
			err := db.InDesk(t.Context(), []area.Key{east}, func(tx *store.Tx) error {
				if _, err := tx.ClaimRequest(t.Context(), r); err != nil {
					return err
				}
				go func() {
					var a answer
					a.err = db.InDesk(t.Context(), []area.Key{east}, func(tx *store.Tx) (err error) {
						a.result, err = tx.ClaimRequest(t.Context(), r)
						return err
					})
					second <- a
				}()
				awaitBlocked(t, watch)
				if c.fails {
					return failed
				}
				return tx.FinishRequest(t.Context(), r.Account, r.RequestID, []byte("first"))
			})
			if c.fails != (err != nil) {
				t.Fatal(err)
			}
			if a := <-second; a.err != nil || string(a.result) != c.want || (a.result == nil) != c.fails {
				t.Errorf("the second got %q, %v", a.result, a.err)
			}
		})
	}
}

func TestAccessLog(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	p := access.Principal{ID: "clerk-1", Role: access.Clerk, Offices: []area.Key{east}, OnBehalf: "someone"}
	event := func(office area.Key, n int) store.Access {
		a := store.Access{Principal: p, Office: office, Verb: access.CaseRead, Purpose: "test"}
		for i := range n {
			a.Subjects = append(a.Subjects, id("person", i))
		}
		return a
	}
	desk(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error {
		for _, n := range []int{3, 0} {
			if err := tx.LogAccess(ctx, event(east, n)); err != nil {
				return err
			}
		}
		return tx.LogAccess(ctx, event(west, 5))
	})
	count := func(events, subjects int64) {
		t.Helper()
		desk(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error {
			e, s, err := tx.CountAccess(ctx, "clerk-1", access.CaseRead)
			if e != events || s != subjects {
				t.Errorf("%d events with %d subjects, want %d with %d", e, s, events, subjects)
			}
			return err
		})
	}
	count(2, 3)
	// A denial stays where its request is rolled back.
	failed := db.InDesk(t.Context(), []area.Key{east}, func(tx *store.Tx) error {
		if err := tx.LogAccess(t.Context(), event(east, 1)); err != nil {
			return err
		}
		if err := db.LogDenied(t.Context(), event(east, 1)); err != nil {
			t.Error(err)
		}
		return fault.Denied("TEST", "no")
	})
	if !fault.Is(failed, fault.KindDenied) {
		t.Error(failed)
	}
	count(3, 4)
	conn := connect(t, url)
	if n := number(t, conn, "SELECT count(*) FROM access_log WHERE denied AND on_behalf = 'someone' AND n = cardinality(subjects)"); n != 1 {
		t.Errorf("%d denials", n)
	}
}

func TestPeers(t *testing.T) {
	db := storetest.New(t)
	ctx := t.Context()
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		p, err := tx.Peer(ctx, there)
		if d := cmp.Diff(store.Peer{Node: there, Speaks: 1}, p); d != "" {
			t.Errorf("never heard of: %s", d)
		}
		if err != nil {
			return err
		}
		if err := tx.TouchPeer(ctx, third); err != nil {
			return err
		}
		if err := tx.TouchPeer(ctx, third); err != nil {
			return err
		}
		if err := tx.HeardFrom(ctx, there, 2, noon); err != nil {
			return err
		}
		if err := tx.HeardFrom(ctx, there, 3, noon.Add(time.Minute)); err != nil {
			return err
		}
		if err := tx.HeardFrom(ctx, there, 3, noon); err != nil { // overtaken
			return err
		}
		if err := tx.Agreed(ctx, there, noon, "life", noon.Add(-time.Hour)); err != nil {
			return err
		}
		if err := tx.AddMended(ctx, there, 2); err != nil {
			return err
		}
		return tx.AddMended(ctx, there, 3)
	})
	if err := db.SetRoundTrip(ctx, there, 1500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	want := []store.Peer{
		{Node: there, Speaks: 3, LastHeard: noon.Add(time.Minute), LastAgreed: noon, AgreedEpoch: "life", LeastPending: noon.Add(-time.Hour), Mended: 5, RoundTripMS: 1500},
		{Node: third, Speaks: 1},
	}
	desk(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Peers(ctx)
		if d := cmp.Diff(want, got, instants); d != "" {
			t.Errorf("peers: %s", d)
		}
		return err
	})
}

// Parcels of one peer are absorbed at once: hearing from it again within the
// second waits for nobody.
func TestHeardFromBeside(t *testing.T) {
	db := storetest.New(t)
	hear := func(at time.Time) func(context.Context, *store.Tx) error {
		return func(ctx context.Context, tx *store.Tx) error { return tx.HeardFrom(ctx, there, 1, at) }
	}
	exchange(t, db, nil, hear(noon))
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		if err := hear(noon.Add(time.Second/2))(ctx, tx); err != nil {
			return err
		}
		exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
			if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '5s'"); err != nil {
				return err
			}
			return hear(noon.Add(time.Second))(ctx, tx)
		})
		return nil
	})
}

func TestNodeAffairs(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	ctx := t.Context()
	for _, v := range []string{"", "one", "two"} {
		if v != "" {
			if err := db.PutNote(ctx, "k", v); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := db.Note(ctx, "k"); err != nil || got != v {
			t.Errorf("note %q, %v, want %q", got, err, v)
		}
	}
	for _, r := range []struct {
		serial uint64
		record string
	}{{2, "second"}, {1, "first"}, {2, "forged"}} {
		if err := db.AddDirectoryRecord(ctx, r.serial, []byte(r.record)); err != nil {
			t.Fatal(err)
		}
	}
	records, err := db.DirectoryRecords(ctx)
	if d := cmp.Diff([][]byte{[]byte("first"), []byte("second")}, records, cmpopts.EquateEmpty()); d != "" || err != nil {
		t.Errorf("records: %v %s", err, d)
	}
	for range 2 {
		if err := db.Quarantine(ctx, id("parcel", 1), there, "test", []byte("envelope")); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range []struct {
		from, to time.Duration
	}{{0, time.Minute}, {time.Hour, 2 * time.Hour}} {
		if err := db.BeginOutage(ctx, "broker", noon.Add(o.from)); err != nil {
			t.Fatal(err)
		}
		if err := db.EndOutage(ctx, "broker", noon.Add(o.to)); err != nil {
			t.Fatal(err)
		}
	}
	conn := connect(t, url)
	if n := number(t, conn, "SELECT extract(epoch FROM sum(until - since))::bigint FROM outage"); n != 3660 {
		t.Errorf("outages of %d s", n)
	}
	if n := number(t, conn, "SELECT count(*) FROM quarantine"); n != 1 {
		t.Errorf("%d in quarantine", n)
	}
	a, err := db.Epoch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := storetest.New(t).Epoch(ctx); err != nil || a == b {
		t.Errorf("another database has the same epoch %q, %v", b, err)
	}
	if b, err := db.Epoch(ctx); err != nil || a != b {
		t.Errorf("the epoch changed: %q, %v", b, err)
	}
}
