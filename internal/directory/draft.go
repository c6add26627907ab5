package directory

import (
	"maps"
	"slices"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/seal"
)

// draft is a directory in the making. It copies what it changes: the maps once,
// before its first entry, and the slices and members in them at each change.
type draft struct {
	d       Directory
	base    *Directory
	changed bool
	owned   bool // d's maps are the draft's own
}

func newDraft(d *Directory) *draft {
	w := &draft{d: *d, base: d}
	w.d.tree = d.tree.shared()
	return w
}

// done returns the result: the base itself when nothing changed.
func (w *draft) done() *Directory {
	if !w.changed {
		return w.base
	}
	d := w.d
	return &d
}

func (w *draft) refresh(c Checkpoint) {
	if c.Size == w.d.Serial() && (w.d.checkpoint.raw == nil || c.Time.After(w.d.checkpoint.Time)) {
		w.d.checkpoint, w.changed = c, true
	}
}

func (w *draft) grow(t tree, c Checkpoint) {
	w.d.tree, w.d.checkpoint, w.changed = t, c, true
	if w.owned {
		return
	}
	w.owned = true
	d := &w.d
	d.members, d.holders, d.served = cloned(d.members), cloned(d.holders), cloned(d.served)
	d.tenures, d.owners = cloned(d.tenures), cloned(d.owners)
}

func cloned[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return make(map[K]V)
	}
	return maps.Clone(m)
}

// take lets an entry that passed every rule count. This is where D7's wait
// belongs: an event that is Contested would be kept aside here until 72 hours
// after the record was first seen, and dropped when an entry that the node or
// the loser signed says otherwise meanwhile.
func (w *draft) take(e Entry, p proven) Event {
	d, c := &w.d, e.Claim
	m := d.members[c.Node]
	ev := Event{
		Kind: Applied, Serial: e.Serial, Time: e.Time, Node: c.Node,
		Joined: m == nil || m.Removed, Removed: c.Removed, Continued: p.continued,
	}
	ev.Rekeyed = !ev.Joined && !c.Removed && (m.SuiteFloor != c.SuiteFloor || !sameKeys(m.Keys, c.Keys))

	touched := slices.Clone(d.served[c.Node])
	for _, a := range c.Areas {
		if d.holders[a] != c.Node {
			touched = append(touched, a)
		}
	}
	slices.Sort(touched)
	before := make([]cases.NodeID, len(touched))
	for i, a := range touched {
		before[i], _ = d.Home(a)
	}
	for _, a := range touched {
		if contains(c.Areas, a) {
			w.assign(a, c.Node, e)
		} else {
			w.assign(a, 0, e)
		}
	}
	for i, a := range touched {
		after, _ := d.Home(a)
		if from := before[i]; from != 0 && from != after {
			agreed := p.released[from]
			if from == c.Node {
				agreed = p.continued
			}
			ev.Reassigned = append(ev.Reassigned, Reassigned{a, from, after, agreed})
		}
	}

	d.members[c.Node] = m.succeed(e)
	for _, k := range c.Keys {
		d.owners[k.ID()] = keyOwner{c.Node, k.Use}
	}
	return ev
}

// assign gives an area to a node, or to nobody, and writes the history.
func (w *draft) assign(a area.Key, to cases.NodeID, e Entry) {
	d := &w.d
	from, held := d.holders[a]
	if held && from == to {
		return
	}
	ts := slices.Clone(d.tenures[a])
	if held {
		last := &ts[len(ts)-1]
		last.Until, last.Ended = e.Serial, e.Time
		d.served[from] = without(d.served[from], a)
		delete(d.holders, a)
	}
	if to != 0 {
		ts = append(ts, Tenure{Node: to, From: e.Serial, Began: e.Time})
		d.served[to] = with(d.served[to], a)
		d.holders[a] = to
	}
	d.tenures[a] = ts
}

func contains(ks []area.Key, k area.Key) bool { return slices.Contains(ks, k) }

// with and without return a new sorted slice.
func with(ks []area.Key, k area.Key) []area.Key {
	i, _ := slices.BinarySearch(ks, k)
	return slices.Insert(slices.Clip(ks), i, k)
}

func without(ks []area.Key, k area.Key) []area.Key {
	return slices.DeleteFunc(slices.Clone(ks), func(x area.Key) bool { return x == k })
}

// sameKeys reports whether two claims list the same keys for the same uses and
// times, in whatever order; the order among sealing keys is a preference.
func sameKeys(a, b []Key) bool {
	type slot struct {
		id   seal.KeyID
		use  KeyUse
		next bool
	}
	set := func(ks []Key) map[slot]bool {
		s := make(map[slot]bool, len(ks))
		for _, k := range ks {
			s[slot{k.ID(), k.Use, k.Next}] = true
		}
		return s
	}
	return maps.Equal(set(a), set(b))
}
