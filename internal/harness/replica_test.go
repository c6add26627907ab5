package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"yipan/internal/access"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/exchange"
	"yipan/internal/store/storetest"
	"yipan/internal/wire"
)

// replica is another process of a site: its own connections, the same database.
func (w *watched) replica(s *Site) *exchange.Exchange {
	w.t.Helper()
	b := book.New(s.Node, s.Keys, s.Journal, s.dir.Load, w.Clock.Now)
	return exchange.New(exchange.Config{DB: storetest.Open(w.t, w.url[s.Node]), Book: b, Keys: s.Keys, Now: w.Clock.Now, Log: w.Log, Journal: s.Journal})
}

// Two replicas of each node pack, absorb and state at the same time, every
// parcel comes to both, and people work meanwhile: effects happen once, nothing
// deadlocks, and after it all is equal.
func TestReplicasShareTheWork(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	y := towns(t, residence, 1)[0]
	const notices = 240
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	replicas := map[cases.NodeID][]*exchange.Exchange{a.Node: {a.Exchange, w.replica(a)}, b.Node: {b.Exchange, w.replica(b)}}
	inbox := map[cases.NodeID][]chan exchange.Parcel{}
	for n, xs := range replicas {
		for range xs {
			inbox[n] = append(inbox[n], make(chan exchange.Parcel, 10_000))
		}
	}
	var sent atomic.Int64
	post := func(ps []exchange.Parcel) {
		for _, p := range ps {
			n := sent.Add(1)
			inbox[p.To][n%2] <- p
			if p.Items > 0 && n%3 == 0 { // the other replica gets it too, at the same time
				inbox[p.To][(n+1)%2] <- p
			}
		}
	}
	var wg sync.WaitGroup
	fail := func(what string, err error) {
		if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("%s: %v", what, err)
			cancel()
		}
	}
	stop := make(chan struct{})
	for n, xs := range replicas {
		peer := a.Node
		if n == a.Node {
			peer = b.Node
		}
		for i, x := range xs {
			wg.Go(func() {
				for turn := 1; ; turn++ {
					select {
					case p := <-inbox[n][i]:
						got, err := x.Absorb(ctx, p.Bytes)
						fail("absorb", err)
						post(got.Answers)
						continue
					default:
					}
					ps, _, err := x.Pack(ctx, peer)
					fail("pack", err)
					post(ps)
					if turn%16 == 0 {
						x.Want(peer)
						ps, err = x.Statements(ctx)
						fail("state", err)
						post(ps)
					}
					if len(inbox[n][i]) > 0 || ctx.Err() == nil && !closed(stop) {
						continue
					}
					return
				}
			})
		}
	}
	opened := make(chan struct{})
	wg.Go(func() {
		defer close(opened)
		for i := 0; i < notices && ctx.Err() == nil; i += 20 {
			var rs []desk.OpenRequest
			for j := range 20 {
				rs = append(rs, notice(i+j, y))
			}
			_, err := a.Desk.OpenCases(ctx, Clerk(access.Clerk, originTown), rs)
			fail("open", err)
		}
	})
	wg.Go(func() {
		defer close(stop)
		done := map[cases.CaseID]bool{}
		for len(done) < notices && ctx.Err() == nil {
			list, _, err := b.Desk.ListCases(ctx, Clerk(access.Clerk, y), desk.ListRequest{PageSize: 1000, States: []cases.Status{cases.StatusOpen}})
			fail("list", err)
			for _, v := range list {
				if done[v.ID] {
					continue
				}
				_, _, err := b.Desk.Answer(ctx, Clerk(access.Clerk, y), desk.AnswerRequest{
					RequestID: fmt.Sprintf("answer-%06d", len(done)), Ref: desk.CaseRef{Case: v.ID, Etag: v.Etag}, Answer: residing,
				})
				if err == nil {
					done[v.ID] = true
				}
			}
		}
		<-opened
	})
	wg.Wait()
	if t.Failed() {
		return
	}
	w.mend()
	for _, s := range w.Sites {
		if n := w.count(s, `(SELECT item FROM cover WHERE author = $1 GROUP BY item HAVING count(*) > 1) d`, int64(s.Node)); n > 0 {
			t.Errorf("%s received %d items twice", s.Node, n)
		}
		if n := w.count(s, `case_side WHERE status = 2`); n != notices {
			t.Errorf("%s shows %d of %d cases as answered", s.Node, n, notices)
		}
		if n := w.count(s, `item WHERE case_id IS NOT NULL`); n != 2*notices {
			t.Errorf("%s holds %d items, want %d", s.Node, n, 2*notices)
		}
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// An item that the database refuses is rejected alone (rule 16).
func TestPoisonedItemIsRejectedAlone(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	y := towns(t, residence, 1)[0]
	var ids []cases.CaseID
	for i := range 9 {
		ids = append(ids, w.open(a, i, y))
	}
	p := w.pack(a, b)
	items := unseal(t, b, p.Bytes).Items
	bad := []cases.ItemID{items[2].ID, items[7].ID}
	w.raw[b.Node].Exec(t, fmt.Sprintf(`ALTER TABLE item ADD CONSTRAINT poison CHECK (body IS NULL OR id NOT IN ('%x', '%x'))`, bad[0][:], bad[1][:]))
	got := w.absorb(b, p.Bytes)
	for _, it := range items {
		want := cases.Accepted
		if slices.Contains(bad, it.ID) {
			want = cases.RefusedValue
		}
		if r := w.reason(b, it.ID); r != want {
			t.Errorf("item %s is judged %q, want %q", it.ID, r, want)
		}
	}
	if n := w.count(b, `case_side`); n != 7 {
		t.Errorf("%d of 7 sound notices are shown", n)
	}
	if n := w.count(b, `item WHERE kind = 10`); n != 1 {
		t.Errorf("%d receipts for one parcel", n)
	}
	w.Put(got.Answers...)
	w.mend()
	invisible := 0
	for _, id := range ids {
		if v := w.count(a, `case_side WHERE case_id = $1 AND status > 0`, [16]byte(id)); v == 0 {
			invisible++
		}
	}
	t.Logf("%d rejected openings are shown nowhere", invisible)
}

// A receipt that the database refuses holds nothing up either.
func TestParcelWithTwinReceiptsAndItems(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	y := towns(t, residence, 1)[0]
	w.open(a, 1, y)
	p := w.pack(a, b)
	receipt := unseal(t, a, w.absorb(b, p.Bytes).Answers[0].Bytes).Receipts[0]
	w.open(a, 2, y)
	next := unseal(t, b, w.pack(a, b).Bytes)
	w.absorb(b, w.forge(a.Node, a.Keys.Signing(), b, wire.Parcel{Items: next.Items, Receipts: []cases.Item{receipt, receipt}}))
	if n := w.count(b, `case_side`); n != 2 {
		t.Errorf("%d cases", n)
	}
}
