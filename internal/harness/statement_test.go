package harness

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/policy"
	"yipan/internal/store"
	"yipan/internal/wire"
)

// openings makes n notices of a site over some days and receivers, as items
// alone.
func openings(t testing.TB, s *Site, x area.Key, ys []area.Key, n, days int) []cases.Item {
	t.Helper()
	now := s.Book.Now().Truncate(time.Millisecond)
	out := make([]cases.Item, n)
	for i := range out {
		at := now.AddDate(0, 0, -i%days)
		y := ys[i%len(ys)]
		h := cases.Head{
			Author: s.Node, Side: cases.SideOpener, X: x, Y: y, Kind: cases.Open, Round: 1, T: at.UnixMilli(), MinVersion: 1, RecordedAt: at,
			Case: cases.NewCaseID(s.Node, x, fmt.Sprintf("bulk/%d/%d", now.UnixMilli(), i)), CaseKind: cases.Outflow, Limit: cases.Limit{Days: 30, Calendar: uint32(policy.CalendarNo(1))},
		}
		var err error
		if out[i], err = wire.NewItem(h, cases.Body{Fields: &cases.Fields{Name: "测试甲", Basis: cases.Basis{Kind: cases.BasisRequest}}}, 0); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// hold puts items into a site's database as settled with a peer.
func hold(t testing.TB, s *Site, peer cases.NodeID, items []cases.Item) {
	t.Helper()
	ctx := t.Context()
	for part := range slices.Chunk(items, 4000) {
		err := s.DB.InExchange(ctx, nil, func(tx *store.Tx) error {
			var legs []store.Leg
			var rows []store.StoredItem
			var shares []store.Share
			for i := range part {
				it := &part[i]
				c, leg := s.Book.New(it.Head.Case, it.Head.X, it.Head.Y)
				row, err := c.Sealed(it)
				if err != nil {
					return err
				}
				legs, rows = append(legs, leg), append(rows, row)
				shares = append(shares, book.ShareOf(it, it.Head.X, it.Head.Y, peer, true))
			}
			slices.SortFunc(legs, func(a, b store.Leg) int { return bytes.Compare(a.Case[:], b.Case[:]) })
			if _, err := tx.InsertLegs(ctx, legs); err != nil {
				return err
			}
			if err := tx.InsertItems(ctx, rows); err != nil {
				return err
			}
			return tx.MergeShares(ctx, shares)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// traffic counts what statements cost.
type traffic struct{ rounds, parcels, bytes, largest int }

// reconcile runs statement rounds between two sites, and nothing else, until
// neither changes.
func reconcile(t testing.TB, w *World, a, b *Site, most int) traffic {
	t.Helper()
	ctx := t.Context()
	var c traffic
	mended := func() (n int64) {
		for _, s := range []*Site{a, b} {
			peers, _, err := s.Desk.Peers(ctx, Clerk("admin"))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range peers {
				n += p.Mended
			}
		}
		return n
	}
	for last := int64(-1); ; c.rounds++ {
		now := mended()
		if now == last {
			return c
		}
		last = now
		if c.rounds > most {
			t.Fatalf("%d rounds do not make the sets equal", most)
		}
		a.Exchange.Want(b.Node)
		b.Exchange.Want(a.Node)
		for _, s := range []*Site{a, b} {
			ps, err := s.Exchange.Statements(ctx)
			if err != nil {
				t.Fatal(err)
			}
			w.Put(ps...)
		}
		for len(w.Net) > 0 {
			p := w.Net[0]
			w.Net = w.Net[1:]
			c.parcels++
			c.bytes += len(p.Bytes)
			c.largest = max(c.largest, len(p.Bytes))
			if err := w.Deliver(ctx, p); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// shares returns the ids that a site has settled, and owes, with a peer.
func shares(t testing.TB, s *Site, peer cases.NodeID) (settled, pending map[cases.ItemID]bool) {
	t.Helper()
	settled, pending = map[cases.ItemID]bool{}, map[cases.ItemID]bool{}
	err := s.DB.InExchange(t.Context(), nil, func(tx *store.Tx) error {
		pairs, err := tx.Digests(t.Context(), peer, s.Book.Now())
		if err != nil {
			return err
		}
		var hi cases.ItemID
		for i := range hi {
			hi[i] = 0xff
		}
		for _, p := range pairs {
			ids, err := tx.SettledIDs(t.Context(), peer, p.Day, p.Pair, cases.ItemID{}, hi)
			if err != nil {
				return err
			}
			for _, id := range ids {
				settled[id] = true
			}
		}
		for {
			claimed, err := tx.Claim(t.Context(), peer, 1000, 1, true, time.Hour)
			if err != nil || len(claimed) == 0 {
				return err
			}
			for _, c := range claimed {
				pending[c.Item] = true
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return settled, pending
}

func wantSet(t testing.TB, what string, got map[cases.ItemID]bool, want ...[]cases.Item) {
	t.Helper()
	n := 0
	for _, l := range want {
		for i := range l {
			n++
			if !got[l[i].ID] {
				t.Errorf("%s lacks %s", what, l[i].ID)
				return
			}
		}
	}
	if len(got) != n {
		t.Errorf("%s has %d ids, want %d", what, len(got), n)
	}
}

func TestStatementsAgainstNaiveDifference(t *testing.T) {
	xa, xb := towns(t, origin, 1)[0], towns(t, residence, 1)[0]
	for _, c := range []struct{ both, onlyA, onlyB, days, pairs int }{
		{0, 0, 0, 1, 1}, {0, 1, 0, 1, 1}, {0, 0, 1, 1, 1}, {1, 1, 1, 1, 1},
		{300, 3, 0, 1, 1}, {300, 0, 5, 1, 1}, {254, 1, 1, 1, 1}, {255, 1, 0, 1, 1}, {900, 40, 60, 40, 3},
		{3000, 1, 1, 2, 2}, {0, 700, 0, 1, 1}, {0, 0, 700, 1, 1}, {0, 800, 900, 1, 1}, {0, 800, 900, 30, 3},
	} {
		t.Run(fmt.Sprintf("%d-%d-%d-%d-%d", c.both, c.onlyA, c.onlyB, c.days, c.pairs), func(t *testing.T) {
			t.Parallel()
			w := world(t, origin, residence)
			a, b := w.Sites[0], w.Sites[1]
			both := openings(t, a, xa, towns(t, residence, c.pairs), c.both, c.days)
			onlyA := openings(t, a, xa, towns(t, residence, c.pairs), c.onlyA, c.days)
			onlyB := openings(t, b, xb, towns(t, origin, c.pairs), c.onlyB, c.days)
			hold(t, a, b.Node, slices.Concat(both, onlyA))
			hold(t, b, a.Node, slices.Concat(both, onlyB))
			cost := reconcile(t, w, a, b, 4)
			for _, s := range []struct {
				name     string
				at, with *Site
				own      []cases.Item
			}{{"a", a, b, onlyA}, {"b", b, a, onlyB}} {
				settled, pending := shares(t, s.at, s.with.Node)
				wantSet(t, "settled at "+s.name, settled, both)
				wantSet(t, "pending at "+s.name, pending, s.own)
			}
			t.Logf("%+v", cost)
		})
	}
}

func TestStatementsOf100000Differences(t *testing.T) {
	w := world(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	x := towns(t, origin, 1)[0]
	n := envInt("YIPAN_DIFFERENCES", 100_000)
	both := openings(t, a, x, towns(t, residence, 3), 2000, 5)
	only := openings(t, a, x, towns(t, residence, 3), n, 5)
	hold(t, a, b.Node, slices.Concat(both, only))
	hold(t, b, a.Node, both)
	start := time.Now()
	cost := reconcile(t, w, a, b, 6)
	took := time.Since(start)
	settled, pending := shares(t, a, b.Node)
	wantSet(t, "settled", settled, both)
	wantSet(t, "pending", pending, only)
	t.Logf("%+v in %v", cost, took.Round(time.Millisecond))
	if cost.bytes > 100*n || cost.largest > 1<<20 {
		t.Errorf("cost %+v", cost)
	}
}

func TestDailyStatementOfEqualSetsIsSmall(t *testing.T) {
	w := world(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	both := openings(t, a, towns(t, origin, 1)[0], towns(t, residence, 3), 5000, 60)
	hold(t, a, b.Node, both)
	hold(t, b, a.Node, both)
	reconcile(t, w, a, b, 2) // the gates open
	b.Exchange.Want(a.Node)  // the lower code states
	ps, err := b.Exchange.Statements(t.Context())
	if err != nil || len(ps) != 1 {
		t.Fatalf("%d statements, %v", len(ps), err)
	}
	answer, err := a.Exchange.Absorb(t.Context(), ps[0].Bytes)
	if err != nil || len(answer.Answers) != 1 {
		t.Fatalf("%d answers, %v", len(answer.Answers), err)
	}
	// 2 KiB sealed for a key of both kinds, and the envelope around it.
	for _, p := range []int{len(ps[0].Bytes), len(answer.Answers[0].Bytes)} {
		if p > 2048+1136+100 {
			t.Errorf("a daily statement has %d bytes", p)
		}
	}
	if last, err := b.Exchange.Absorb(t.Context(), answer.Answers[0].Bytes); err != nil || len(last.Answers) != 0 {
		t.Errorf("the round goes on with %d parcels, %v", len(last.Answers), err)
	}
}

// A change in a day whose digest is cached is found all the same.
func TestStatementsSeeChangesOfClosedDays(t *testing.T) {
	ctx := t.Context()
	w := world(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	both := openings(t, a, towns(t, origin, 1)[0], towns(t, residence, 1), 600, 30)
	hold(t, a, b.Node, both)
	hold(t, b, a.Node, both)
	reconcile(t, w, a, b, 2)
	lost := []cases.ItemID{both[17].ID, both[29].ID, both[29+30].ID}
	if err := b.DB.InExchange(ctx, nil, func(tx *store.Tx) error {
		_, err := tx.ForgetShares(ctx, a.Node, lost)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if got, _ := shares(t, b, a.Node); len(got) != 597 {
		t.Fatalf("%d settled after forgetting 3 of 600", len(got))
	}
	reconcile(t, w, a, b, 3)
	got, _ := shares(t, b, a.Node)
	wantSet(t, "settled again", got, both)
	got, pending := shares(t, a, b.Node)
	if len(got)+len(pending) != 600 {
		t.Errorf("%d settled and %d pending of 600", len(got), len(pending))
	}
}
