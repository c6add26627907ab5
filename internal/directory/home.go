package directory

import (
	"maps"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
)

// Tenure is a time during which a node was home of an area. Serials bound it:
// From is of the entry that began it, Until of the one that ended it, 0 while
// it lasts.
type Tenure struct {
	Node        cases.NodeID
	From, Until uint64
	Began       time.Time // of entry From
	Ended       time.Time // of entry Until, zero while it lasts
}

// at reports whether the tenure holds right after entry serial.
func (t Tenure) at(serial uint64) bool {
	return t.From <= serial && (t.Until == 0 || serial < t.Until)
}

// prefix returns the next shorter prefix of k that can be held, 0 after the
// province.
func prefix(k area.Key) area.Key {
	l := k.Level()
	if l <= area.Province {
		return 0
	}
	return k.Cut(l - 1)
}

// Home returns the node that serves an area now: the holder of its longest
// prefix by digits and level; see the package comment for codes that stand at
// two levels. False means no node yet. It allocates nothing.
func (d *Directory) Home(k area.Key) (cases.NodeID, bool) {
	if !wellFormed(k) {
		return 0, false
	}
	for ; k != 0; k = prefix(k) {
		if n, ok := d.holders[k]; ok {
			return n, true
		}
	}
	return 0, false
}

// homeAt returns the home of k right after entry serial, 0 for none.
func (d *Directory) homeAt(k area.Key, serial uint64) cases.NodeID {
	for ; k != 0; k = prefix(k) {
		for _, t := range d.tenures[k] {
			if t.at(serial) {
				return t.Node
			}
		}
	}
	return 0
}

// Homes returns every home that an area has had, oldest first. Gaps between
// tenures are times without a node.
func (d *Directory) Homes(k area.Key) []Tenure {
	if !wellFormed(k) {
		return nil
	}
	times := make(map[uint64]time.Time)
	for p := k; p != 0; p = prefix(p) {
		for _, t := range d.tenures[p] {
			times[t.From] = t.Began
			if t.Until != 0 {
				times[t.Until] = t.Ended
			}
		}
	}
	var homes []Tenure
	for _, serial := range slices.Sorted(maps.Keys(times)) {
		node := d.homeAt(k, serial)
		if n := len(homes); n > 0 && homes[n-1].Until == 0 {
			if homes[n-1].Node == node {
				continue
			}
			homes[n-1].Until, homes[n-1].Ended = serial, times[serial]
		}
		if node != 0 {
			homes = append(homes, Tenure{Node: node, From: serial, Began: times[serial]})
		}
	}
	return homes
}

// WasEverHome reports whether a node is or was home of an area: what PROTOCOL
// rule 21 asks about the author of an item. Holding a shorter prefix while
// another node held a longer one does not count.
func (d *Directory) WasEverHome(node cases.NodeID, k area.Key) bool {
	if n, ok := d.Home(k); ok && n == node {
		return true
	}
	return slices.ContainsFunc(d.Homes(k), func(t Tenure) bool { return t.Node == node })
}

// HomeSince returns the serial and time of the entry since which an area has
// the home that it has, or has none; zero for an area that never had one.
func (d *Directory) HomeSince(k area.Key) (serial uint64, at time.Time) {
	homes := d.Homes(k)
	if len(homes) == 0 {
		return 0, time.Time{}
	}
	last := homes[len(homes)-1]
	if last.Until != 0 {
		return last.Until, last.Ended
	}
	return last.From, last.Began
}

// HomeUntil returns when a node last ceased to be home of an area; zero while
// it is, and when it never was (WasEverHome tells which). Rule 21 reports items
// that a former home recorded more than 30 days after.
func (d *Directory) HomeUntil(node cases.NodeID, k area.Key) (serial uint64, at time.Time) {
	for _, t := range slices.Backward(d.Homes(k)) {
		if t.Node == node {
			return t.Until, t.Ended
		}
	}
	return 0, time.Time{}
}

// HomesChanged returns the areas whose home differs between two snapshots, for
// evaluating rule T again: the home of an area changed only if it lies within
// one of them, none of which lies within another. Parts of them that have a
// holder of their own may be unchanged. A nil old stands for the empty
// directory.
func HomesChanged(old, new *Directory) []area.Key {
	if old == nil {
		old = &Directory{}
	}
	var changed []area.Key
	look := func(k area.Key) {
		a, _ := old.Home(k)
		if b, _ := new.Home(k); a != b {
			changed = append(changed, k)
		}
	}
	for k, n := range old.holders {
		if new.holders[k] != n {
			look(k)
		}
	}
	for k := range new.holders {
		if _, ok := old.holders[k]; !ok {
			look(k)
		}
	}
	return coarsest(changed)
}

// coarsest sorts areas from coarse to fine, then by code, and leaves out those
// within another.
func coarsest(ks []area.Key) []area.Key {
	slices.SortFunc(ks, func(a, b area.Key) int {
		if a.Level() != b.Level() {
			return int(a.Level() - b.Level())
		}
		return int(min(max(a-b, -1), 1))
	})
	kept := make(map[area.Key]bool, len(ks))
	return slices.DeleteFunc(ks, func(k area.Key) bool {
		for p := prefix(k); p != 0; p = prefix(p) {
			if kept[p] {
				return true
			}
		}
		kept[k] = true
		return false
	})
}
