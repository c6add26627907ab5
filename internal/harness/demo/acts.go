package demo

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	casesv1 "yipan/internal/gen/yipan/cases/v1"
	nodev1 "yipan/internal/gen/yipan/node/v1"
)

// acts counts the items that each case must have: one for each act that the API
// confirmed. Pairing and recording an offer write none.
type acts struct {
	mu sync.Mutex
	of map[string]int
}

func (a *acts) add(id string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of[id] += n
}

func (a *acts) any() bool { return len(a.all()) > 0 }

func (a *acts) all() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.of)
}

func (a *acts) count(id string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.of[id]
}

// hands is how many calls are under way at once where acts are done one by one.
const hands = 24

// each does something for each of list, hands at a time, and ends at the first
// error.
func each[T any](ctx context.Context, list []T, do func(context.Context, T) error) error {
	return eachOf(ctx, hands, list, do)
}

// eachOf is each with another number of hands.
func eachOf[T any](ctx context.Context, hands int, list []T, do func(context.Context, T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(hands)
	for _, v := range list {
		g.Go(func() error { return do(ctx, v) })
	}
	return g.Wait()
}

// chunks cuts list into pieces of at most n.
func chunks[T any](list []T, n int) [][]T {
	var out [][]T
	for len(list) > n {
		out, list = append(out, list[:n]), list[n:]
	}
	if len(list) > 0 {
		out = append(out, list)
	}
	return out
}

// refused renders the error of one of many, which is no person's.
func refused(what string, e *casesv1.ItemError) error {
	return fmt.Errorf("demo: %s refused: %s %s %s", what, e.GetReason(), e.GetField(), e.GetMessage())
}

const (
	lookAgain = 25 * time.Millisecond // between two looks at something that changes
	patience  = 90 * time.Second      // for whatever has to come
)

// until looks again and again until ok; it gives up, naming what it waited for.
func until(ctx context.Context, what string, ok func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		done, err := ok(ctx)
		if err != nil {
			return err
		}
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("demo: waiting for %s: %w", what, ctx.Err())
		case <-time.After(lookAgain):
		}
	}
}

func (r *run) places() []*place { return []*place{r.origin, r.residence, r.third} }

// unsettled returns how many items a place owes to its peers.
func unsettled(ctx context.Context, p *place) (int64, error) {
	resp, err := p.exchange().ListPeers(ctx, &nodev1.ListPeersRequest{})
	if err != nil {
		return 0, fmt.Errorf("demo: peers of %s: %w", p.Folder, err)
	}
	var n int64
	for _, peer := range resp.GetPeers() {
		n += peer.GetUnsettled()
	}
	return n, nil
}

// settle waits until nobody owes anything. What is on its way is owed by its
// sender until the receiver has it, with everything that follows from it; so
// two looks at all nodes, one after the other, miss nothing.
func (r *run) settle(ctx context.Context) error {
	quiet := 0
	return until(ctx, "the exchange to settle", func(ctx context.Context) (bool, error) {
		for _, p := range r.places() {
			n, err := unsettled(ctx, p)
			if err != nil {
				return false, err
			}
			if n > 0 {
				quiet = 0
				return false, nil
			}
		}
		quiet++
		return quiet >= 2, nil
	})
}

// listed returns the cases that an account's list shows.
func listed(ctx context.Context, s casesv1.CaseServiceClient, req *casesv1.ListCasesRequest) ([]*casesv1.Case, error) {
	var all []*casesv1.Case
	req.PageSize = 1000
	for {
		resp, err := s.ListCases(ctx, req)
		if err != nil {
			return nil, fmt.Errorf("demo: list cases: %w", err)
		}
		all = append(all, resp.GetCases()...)
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return all, nil
		}
	}
}
