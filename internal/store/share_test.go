package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

func addShares(t *testing.T, db *store.DB, s ...store.Share) {
	t.Helper()
	desk(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error { return tx.AddShares(ctx, s) })
}

func claim(t *testing.T, db *store.DB, limit int, speaks uint32, feedback bool) (out []cases.ItemID) {
	t.Helper()
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Claim(ctx, there, limit, speaks, feedback, time.Hour)
		for _, c := range got {
			out = append(out, c.Item)
		}
		return err
	})
	return out
}

func same(t *testing.T, what string, got []cases.ItemID, want ...int) {
	t.Helper()
	set := map[cases.ItemID]bool{}
	for _, id := range got {
		set[id] = true
	}
	expected := map[cases.ItemID]bool{}
	for _, id := range itemIDs(want...) {
		expected[id] = true
	}
	if d := cmp.Diff(expected, set); d != "" || len(got) != len(want) {
		t.Errorf("%s: %d of them; %s", what, len(got), d)
	}
}

func receiptShare(n int) store.Share {
	s := share(n, there)
	s.Kind, s.Pair = cases.Receipt, 0
	return s
}

func TestClaimReceiptsFirst(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	addShares(t, db, share(1, there), share(2, there), share(9, third), receiptShare(3))
	first := claim(t, db, 2, 1, true)
	if len(first) != 2 || first[0] != itemID(3) {
		t.Errorf("claimed %v, want the receipt and another", first)
	}
	rest := claim(t, db, 10, 1, true)
	same(t, "both claims", append(first, rest...), 1, 2, 3)
	same(t, "nothing is due", claim(t, db, 10, 1, true))
	conn := connect(t, url)
	if n := number(t, conn, "SELECT count(*) FROM share WHERE settled AND peer = $1", int64(there)); n != 1 {
		t.Errorf("%d settled by the claim, want the receipt alone", n)
	}
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Claim(ctx, third, 10, 1, false, time.Hour)
		want := []store.Claimed{{Item: itemID(9), Kind: cases.Open, Attempts: 1, RecordedAt: noon}}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("the third node's: %s", d)
		}
		return err
	})
}

func TestClaimHolds(t *testing.T) {
	db := storetest.New(t)
	newer, feedback := share(1, there), share(2, there)
	newer.MinVersion, feedback.Kind = 2, cases.Feedback
	returning := share(3, there)
	returning.Kind, returning.Homeward = cases.Feedback, true
	addShares(t, db, newer, feedback, returning)
	same(t, "version 1 without feedback", claim(t, db, 10, 1, false), 3)
	same(t, "version 1", claim(t, db, 10, 1, true), 2)
	same(t, "version 2", claim(t, db, 10, 2, false), 1)
}

func TestClaimBackoff(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	conn := connect(t, url)
	addShares(t, db, share(1, there))
	for attempt, want := range []float64{15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600} { // seconds
		exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Claim(ctx, there, 10, 1, false, time.Hour)
			if len(got) != 1 || got[0].Attempts != attempt+1 {
				t.Errorf("attempt %d: %v", attempt+1, got)
			}
			return err
		})
		var seconds float64
		if err := conn.QueryRow(t.Context(), "SELECT extract(epoch FROM next_try - now())::float8 FROM share").Scan(&seconds); err != nil {
			t.Fatal(err)
		}
		// now() is later here than it was in the claim.
		if least, most := want*0.875-20, want*1.125; seconds < least || seconds > most {
			t.Errorf("attempt %d: next in %.0f s, want about %.0f", attempt+1, seconds, want)
		}
		exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.RetryNow(ctx, []cases.NodeID{there, 0}[attempt%2])
			if n != 1 {
				t.Errorf("%d made due", n)
			}
			return err
		})
	}
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.RetryNow(ctx, third)
		if n != 0 {
			t.Errorf("%d of another peer made due", n)
		}
		return err
	})
}

// What waits long for a peer that is back leaves soon; what is due sooner, or is
// another peer's, keeps its time.
func TestHasten(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	conn := connect(t, url)
	addShares(t, db, share(1, there), share(2, there), share(3, third))
	run(t, conn, "UPDATE share SET attempts = 9, next_try = now() + interval '1 hour' WHERE item <> $1", itemID(2))
	run(t, conn, "UPDATE share SET next_try = now() + interval '20 seconds' WHERE item = $1", itemID(2))
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.Hasten(ctx, there, 30*time.Second)
		if n != 1 {
			t.Errorf("%d hastened", n)
		}
		return err
	})
	for item, most := range map[int]int64{1: 31, 2: 21, 3: 3601} {
		if n := number(t, conn, "SELECT extract(epoch FROM next_try - now())::bigint FROM share WHERE item = $1", itemID(item)); n > most || item == 3 && n < 3500 {
			t.Errorf("item %d leaves in %d s", item, n)
		}
	}
}

func TestClaimSkipsLocked(t *testing.T) {
	db := storetest.New(t)
	var all []store.Share
	for n := range 40 {
		all = append(all, share(n, there))
	}
	addShares(t, db, append(all, receiptShare(40), receiptShare(41))...)
	seen := map[cases.ItemID]int{}
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Claim(ctx, there, 20, 1, false, time.Hour)
		if err != nil {
			return err
		}
		for _, c := range got {
			seen[c.Item]++
		}
		// Another replica beside the open transaction waits for nothing.
		for _, id := range claim(t, db, 100, 1, false) {
			seen[id]++
		}
		return nil
	})
	for n := range 42 {
		if seen[itemID(n)] != 1 {
			t.Errorf("item %d claimed %d times", n, seen[itemID(n)])
		}
	}
}

func TestUnclaim(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	addShares(t, db, share(1, there), receiptShare(2))
	same(t, "first", claim(t, db, 10, 1, false), 1, 2)
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error { return tx.Unclaim(ctx, there, itemIDs(1, 2)) })
	same(t, "after the unclaim", claim(t, db, 10, 1, false), 1, 2)
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.Settle(ctx, there, itemIDs(1)); err != nil {
			return err
		}
		return tx.Unclaim(ctx, there, itemIDs(1))
	})
	same(t, "what the peer holds is not owed", claim(t, db, 10, 1, false))
	if n := number(t, connect(t, url), "SELECT max(attempts) FROM share"); n != 1 {
		t.Errorf("attempts %d, want those that were sent", n)
	}
}

func TestSettleUnsettleForget(t *testing.T) {
	db := storetest.New(t)
	addShares(t, db, share(1, there), share(2, there), share(1, third))
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.Settle(ctx, there, itemIDs(1, 5))
		same(t, "settled", got, 1)
		if err != nil {
			return err
		}
		got, err = tx.Settle(ctx, there, itemIDs(1))
		same(t, "settled again", got)
		return err
	})
	check := func(want ...store.PeerLoad) {
		t.Helper()
		exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.PeerLoads(ctx, true)
			if d := cmp.Diff(want, got, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); d != "" {
				t.Errorf("loads: %s", d)
			}
			return err
		})
	}
	check(store.PeerLoad{Peer: there, Pending: 1, OldestAt: noon, Settled: 1}, store.PeerLoad{Peer: third, Pending: 1, OldestAt: noon})
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		least, err := tx.LeastPending(ctx, there)
		if !least.Equal(noon) {
			t.Errorf("least pending %v", least)
		}
		if err != nil {
			return err
		}
		peers, err := tx.PendingPeers(ctx)
		if d := cmp.Diff([]cases.NodeID{there, third}, peers); d != "" {
			t.Errorf("pending peers: %s", d)
		}
		return err
	})
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.Unsettle(ctx, there, itemIDs(1, 2))
		if n != 1 {
			t.Errorf("unsettled %d", n)
		}
		return err
	})
	same(t, "owed again", claim(t, db, 10, 1, false), 1, 2)
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.PeerLoads(ctx, false)
		want := []store.PeerLoad{{Peer: there, Pending: 2, OldestAt: noon, PendingReady: 2}, {Peer: third, Pending: 1, OldestAt: noon}}
		if d := cmp.Diff(want, got, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); d != "" {
			t.Errorf("pending loads: %s", d)
		}
		if err != nil {
			return err
		}
		n, err := tx.ForgetShares(ctx, there, itemIDs(1, 2, 3))
		if n != 2 {
			t.Errorf("forgot %d", n)
		}
		return err
	})
	check(store.PeerLoad{Peer: third, Pending: 1, OldestAt: noon})
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		if least, err := tx.LeastPending(ctx, there); err != nil || !least.IsZero() {
			t.Errorf("least pending of nothing %v, %v", least, err)
		}
		return nil
	})
}

func TestMergeShares(t *testing.T) {
	db := storetest.New(t)
	addShares(t, db, share(1, there), share(2, there))
	settled := func(n int) store.Share { s := share(n, there); s.Settled = true; return s }
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		return tx.MergeShares(ctx, []store.Share{settled(1), share(2, there), settled(3), share(4, there)})
	})
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error { // pending never undoes settled
		return tx.MergeShares(ctx, []store.Share{share(1, there), share(3, there)})
	})
	same(t, "owed", claim(t, db, 10, 1, false), 2, 4)
	err := db.InDesk(t.Context(), []area.Key{east}, func(tx *store.Tx) error {
		return tx.AddShares(t.Context(), []store.Share{share(1, there)})
	})
	if !fault.Is(err, fault.KindConflict) {
		t.Errorf("the desk wrote over a row: %v", err)
	}
}

func TestSharersOf(t *testing.T) {
	db := storetest.New(t)
	held, owed := share(1, there), share(1, third)
	held.Settled = true
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.MergeShares(ctx, []store.Share{held, owed}); err != nil {
			return err
		}
		if err := tx.TouchPeer(ctx, there); err != nil {
			return err
		}
		if err := tx.TouchPeer(ctx, third); err != nil {
			return err
		}
		got, err := tx.SharersOf(ctx, itemID(1))
		if d := cmp.Diff([]cases.NodeID{there}, got); d != "" {
			t.Errorf("sharers: %s", d)
		}
		return err
	})
}

func TestFeedbackPending(t *testing.T) {
	db := storetest.New(t)
	feedback, revoke := share(2, there), share(3, third)
	feedback.Kind, revoke.Kind = cases.Feedback, cases.Revoke
	feedback.Homeward, revoke.Homeward = true, true
	addShares(t, db, share(1, there), feedback, revoke)
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		pending := func(peer cases.NodeID) bool {
			b, err := tx.FeedbackPending(ctx, peer)
			if err != nil {
				t.Error(err)
			}
			return b
		}
		if !pending(there) || !pending(third) || pending(here) {
			t.Error("pending are a FEEDBACK and a REVOKE")
		}
		if _, err := tx.Settle(ctx, there, itemIDs(2)); err != nil {
			return err
		}
		if pending(there) {
			t.Error("a FEEDBACK that arrived is pending")
		}
		return nil
	})
}

func TestRejectedBy(t *testing.T) {
	db := storetest.New(t)
	exchange(t, db, nil, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.InsertCovers(ctx, []store.Cover{
			{Item: itemID(1), Receipt: itemID(9), Author: there, HeldAt: noon, Reason: cases.NotHome},
			{Item: itemID(2), Receipt: itemID(9), Author: there, HeldAt: noon, Reason: cases.Unreadable},
			{Item: itemID(3), Receipt: itemID(9), Author: there, HeldAt: noon},
			{Item: itemID(3), Receipt: itemID(8), Author: third, HeldAt: noon},
		}); err != nil {
			return err
		}
		got, err := tx.RejectedBy(ctx)
		if d := cmp.Diff(map[cases.NodeID]int64{there: 2}, got); d != "" {
			t.Errorf("rejected: %s", d)
		}
		return err
	})
}
