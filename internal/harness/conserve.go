package harness

import (
	"context"
	"fmt"

	"yipan/internal/access"
	"yipan/internal/cases"
	"yipan/internal/desk"
)

// Conserved compares every case at the homes of its two sides: equal sets,
// equal folds. It returns what differs, by case id. fail is called where a
// site cannot be read.
func (w *World) Conserved(ctx context.Context, fail func(string, ...any)) []string {
	admin := access.Principal{ID: "admin-test", Role: access.Admin}
	held := map[cases.NodeID]map[cases.CaseID]desk.FoldView{}
	for _, s := range w.Sites {
		held[s.Node] = map[cases.CaseID]desk.FoldView{}
		for token := ""; ; {
			folds, next, err := s.Desk.Folds(ctx, admin, 5000, token)
			if err != nil {
				fail("folds of %s: %v", s.Node, err)
				return nil
			}
			for _, f := range folds {
				held[s.Node][f.Case] = f
			}
			if token = next; token == "" {
				break
			}
		}
	}
	d := w.Authority.Directory()
	var bad []string
	seen := map[cases.CaseID]bool{}
	for _, at := range held {
		for id, f := range at {
			if seen[id] {
				continue
			}
			seen[id] = true
			x, okX := d.Home(f.X)
			y, okY := d.Home(f.Y)
			if !okX || !okY {
				continue
			}
			p, hasP := held[x][id]
			q, hasQ := held[y][id]
			switch {
			case !hasP || !hasQ:
				bad = append(bad, fmt.Sprintf("%s missing at %v", id, map[bool]cases.NodeID{true: y, false: x}[hasP]))
			case p.Set != q.Set:
				bad = append(bad, fmt.Sprintf("%s: %d items at %s, %d at %s", id, p.Items, x, q.Items, y))
			case p.Fold != q.Fold:
				bad = append(bad, fmt.Sprintf("%s: equal sets fold differently", id))
			}
		}
	}
	return bad
}
