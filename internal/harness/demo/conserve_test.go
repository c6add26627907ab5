package demo

import (
	"strings"
	"testing"

	"yipan/internal/harness/town"
)

// Each way in which a case can be wrong is found, and told from the others.
func TestCompareOne(t *testing.T) {
	a, b := &place{Node: &town.Node{NodeConfig: town.NodeConfig{Folder: "a"}}}, &place{Node: &town.Node{NodeConfig: town.NodeConfig{Folder: "b"}}}
	const id = "0102030405060708090a0b0c0d0e0f10"
	at := func(items int32, set, digest string) *fold {
		return &fold{CaseId: id, Items: items, Set: set, Fold: digest}
	}
	for name, c := range map[string]struct {
		a, b                        *fold
		missing, doubled, different string
	}{
		"equal":          {a: at(2, "s", "f"), b: at(2, "s", "f")},
		"not at b":       {a: at(2, "s", "f"), missing: "at b"},
		"item missing":   {a: at(2, "s", "f"), b: at(1, "t", "g"), missing: "at b: 1 of 2"},
		"item too many":  {a: at(3, "s", "f"), b: at(2, "t", "f"), doubled: "at a: 3 items instead of 2"},
		"other set":      {a: at(2, "s", "f"), b: at(2, "t", "f"), different: "sets"},
		"other fold":     {a: at(2, "s", "f"), b: at(2, "s", "g"), different: "folds"},
		"both too many":  {a: at(3, "s", "f"), b: at(3, "s", "f"), doubled: "at b"},
		"both too small": {a: at(1, "s", "f"), b: at(1, "s", "f"), missing: "at b"},
	} {
		var got Conservation
		held := map[*place]map[string]*fold{a: {}, b: {}}
		for p, f := range map[*place]*fold{a: c.a, b: c.b} {
			if f != nil {
				held[p][id] = f
			}
		}
		got.compareOne(id, 2, held, []*place{a, b})
		for _, w := range []struct {
			list []string
			want string
		}{{got.Missing, c.missing}, {got.Doubled, c.doubled}, {got.Different, c.different}} {
			if all := strings.Join(w.list, "\n"); (w.want == "") != (all == "") || !strings.Contains(all, w.want) {
				t.Errorf("%s: %q, want %q", name, all, w.want)
			}
		}
		if got.Holds() != (c.missing+c.doubled+c.different == "") {
			t.Errorf("%s: holds: %v", name, got.Holds())
		}
	}
}
