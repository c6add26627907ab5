package demo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"yipan/internal/area"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	nodev1 "yipan/internal/gen/yipan/node/v1"
)

// Conservation is what the check over all cases found. The lists hold ids of
// cases, each with where and why.
type Conservation struct {
	Cases, Items int
	// Missing: a case that a request or a reroute opened is not at the home of
	// one of its sides, or has fewer items there than acts were confirmed.
	Missing []string
	// Doubled: a case that no request and no reroute opened (a request that was
	// done twice leaves one), or more items at a home than acts were confirmed
	// (an effect that came about twice). What is in Redone is none.
	Doubled []string
	// Redone: notices after a reroute, which the opener's node keeps in step with
	// their parents by duty (PROTOCOL rule 22). Put back to a backup, it may do so
	// again before it has back what it did before: a second OPEN of the same
	// case, of which the fold takes one, or a WITHDRAW that crosses the answer,
	// which stands. Nobody acted twice, and nothing came of it.
	Redone []string
	// Different: both homes hold as many items, but not the same, or the same
	// items fold differently.
	Different []string
}

// Holds reports whether nothing is missing, doubled or different.
func (c *Conservation) Holds() bool {
	return len(c.Missing)+len(c.Doubled)+len(c.Different) == 0
}

// fold is a case as one node digests it.
type fold = nodev1.FoldDigest

// folds returns all cases of a node.
func folds(ctx context.Context, p *place) (map[string]*fold, error) {
	all := map[string]*fold{}
	req := &nodev1.ListFoldsRequest{PageSize: 5000}
	for {
		resp, err := p.exchange().ListFolds(ctx, req)
		if err != nil {
			return nil, fmt.Errorf("demo: folds of %s: %w", p.Folder, err)
		}
		for _, f := range resp.GetFolds() {
			all[f.GetCaseId()] = f
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return all, nil
		}
	}
}

// compare holds what the nodes have against the acts and against each other.
func (r *run) compare(ctx context.Context) (Conservation, error) {
	var c Conservation
	at := map[*place]map[string]*fold{}
	known := map[string]*fold{}
	for _, p := range r.places() {
		held, err := folds(ctx, p)
		if err != nil {
			return c, err
		}
		at[p] = held
		maps.Copy(known, held)
	}
	acts := r.acts.all()
	for _, id := range slices.Sorted(maps.Keys(acts)) {
		if known[id] == nil {
			c.Missing = append(c.Missing, id+" everywhere")
		}
	}
	for _, id := range slices.Sorted(maps.Keys(known)) {
		want := acts[id]
		if want == 0 && known[id].GetReport() { // no case: both homes hold the same of it
			c.compareOne(id, int(known[id].GetItems()), at, r.homes(known[id]))
			continue
		}
		if want == 0 {
			c.Doubled = append(c.Doubled, id+" was opened by nobody's request")
			continue
		}
		c.Cases++
		c.Items += want
		c.compareOne(id, want, at, r.homes(known[id]))
	}
	return c, r.excuse(ctx, &c)
}

// mostExcused bounds how many timelines are read: every rerouted case may have
// been opened again, at both ends.
const mostExcused = 1000

// excuse moves from Doubled to Redone what a restored node did again by duty,
// by the timelines of the cases.
func (r *run) excuse(ctx context.Context, c *Conservation) error {
	if !r.restored || len(c.Doubled) > mostExcused {
		return nil
	}
	children := map[string]bool{}
	for _, f := range r.people {
		if f.child != "" {
			children[f.child] = true
		}
	}
	s := r.origin.cases(r.clerk())
	var doubled []string
	for _, d := range c.Doubled {
		id, _, _ := strings.Cut(d, " ")
		if !children[id] {
			doubled = append(doubled, d)
			continue
		}
		t, err := s.TraceCase(ctx, &casesv1.TraceCaseRequest{CaseId: id, Purpose: "演示：守恒核对"})
		if err != nil {
			return fmt.Errorf("demo: trace case %s: %w", id, err)
		}
		acts, opens := 0, 0
		for _, e := range t.GetEvents() {
			switch e.GetKind() {
			case "OPEN":
				opens++
			case "WITHDRAW": // no story withdraws one
			default:
				acts++
			}
		}
		if opens == 0 || acts+1 != r.acts.count(id) {
			doubled = append(doubled, d)
		} else if !slices.Contains(c.Redone, id) {
			c.Redone = append(c.Redone, id)
		}
	}
	c.Doubled = doubled
	return nil
}

// compareOne compares one case at its homes.
func (c *Conservation) compareOne(id string, want int, at map[*place]map[string]*fold, homes []*place) {
	var first *fold
	for _, p := range homes {
		f := at[p][id]
		switch n := int(f.GetItems()); {
		case f == nil:
			c.Missing = append(c.Missing, id+" at "+p.Folder)
		case n < want:
			c.Missing = append(c.Missing, fmt.Sprintf("%s at %s: %d of %d items", id, p.Folder, n, want))
		case n > want:
			c.Doubled = append(c.Doubled, fmt.Sprintf("%s at %s: %d items instead of %d", id, p.Folder, n, want))
		case first == nil:
			first = f
		case first.GetSet() != f.GetSet():
			c.Different = append(c.Different, id+": sets")
		case first.GetFold() != f.GetFold():
			c.Different = append(c.Different, id+": folds")
		}
	}
}

// homes returns the places of a case's two sides.
func (r *run) homes(f *fold) []*place {
	var out []*place
	for _, side := range []string{f.GetX(), f.GetY()} {
		k, err := area.Parse(side)
		if err != nil {
			continue
		}
		for _, p := range r.places() {
			if k.Within(p.Area) && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// held waits until the check would hold, but no longer than limit: the check
// names what never comes.
func (r *run) held(ctx context.Context, limit time.Duration) error {
	end := time.Now().Add(limit)
	for {
		if err := r.settle(ctx); err != nil {
			return err
		}
		c, err := r.compare(ctx)
		if err != nil || c.Holds() || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(4 * lookAgain):
		}
	}
}

// conserve is the check at the end.
func (r *run) conserve(ctx context.Context) error {
	if err := r.settle(ctx); err != nil {
		return err
	}
	if err := r.check(ctx); err != nil || !r.result.Conservation.Holds() {
		return err
	}
	return r.readBack(ctx)
}

// check compares once and says what it finds.
func (r *run) check(ctx context.Context) error {
	c, err := r.compare(ctx)
	if err != nil {
		return err
	}
	r.result.Conservation = c
	r.log.Info("conservation", "cases", c.Cases, "items", c.Items, "missing", c.Missing, "doubled", c.Doubled, "different", c.Different, "redone", c.Redone)
	r.say("%d 个案件、%d 件往来，两端比对：", "%d cases with %d items, compared at both ends:", c.Cases, c.Items)
	r.say("%d missing, %d doubled", "%d missing, %d doubled", len(c.Missing), len(c.Doubled))
	r.ids("丢失", "missing", c.Missing)
	r.ids("重复", "doubled", c.Doubled)
	r.ids("不一致", "different", c.Different)
	if n := len(c.Redone); n > 0 {
		r.say("另有 %d 件改派，恢复后的节点依职责又做了一次，未生效（编号见日志）", "%d reroutes besides were done again by duty after the restore, without effect (ids in the log)", n)
	}
	return nil
}

// postMortem says, after a phase failed, what is where: that is what one wants
// to know first. Whether it succeeds does not matter any more.
func (r *run) postMortem(ctx context.Context) {
	if ctx.Err() == nil && r.acts.any() {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		_ = r.check(ctx)
	}
}

// ids prints what is wrong, all of it.
func (r *run) ids(zh, en string, list []string) {
	for _, s := range list {
		r.say(zh+" %s", en+" %s", s)
	}
}
