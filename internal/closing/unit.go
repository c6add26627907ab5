package closing

import (
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/directory"
	"yipan/internal/policy"
)

// unit is what is closed together: an area of which the one above is served by
// another node, and the offices in it that this node works for.
type unit struct {
	top     area.Key
	offices []area.Key // top among them where it is an office
}

// topOf returns the highest area that holds k and has k's home; 0: k has none.
// Both ends of a case find the same from the directory.
func topOf(dir *directory.Directory, k area.Key) area.Key {
	home, ok := dir.Home(k)
	if !ok {
		return 0
	}
	for p := area.Parent(k); p != 0; p = area.Parent(k) {
		if h, ok := dir.Home(p); !ok || h != home {
			break
		}
		k = p
	}
	return k
}

// units returns those of this node, by area.
func (c *Closing) units() []unit {
	dir := c.Book.Directory()
	byTop := map[area.Key]*unit{}
	var out []unit
	for _, o := range c.Desk.Offices() {
		top := topOf(dir, o)
		if byTop[top] == nil {
			byTop[top] = &unit{top: top}
		}
		byTop[top].offices = append(byTop[top].offices, o)
	}
	for _, u := range byTop {
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b unit) int { return int(min(max(a.top-b.top, -1), 1)) })
	return out
}

// unitOf returns the unit that holds an area; false: this node does not serve it.
func (c *Closing) unitOf(k area.Key) (unit, bool) {
	for _, u := range c.units() {
		if k.Within(u.top) && c.Book.IsHome(k) {
			return u, true
		}
	}
	return unit{}, false
}

// all is the offices of a unit with its area, for transactions.
func (u *unit) all() []area.Key {
	if slices.Contains(u.offices, u.top) {
		return u.offices
	}
	return append(slices.Clone(u.offices), u.top)
}

// below returns the areas within k that have a node of their own.
func below(dir *directory.Directory, k area.Key, self cases.NodeID) []area.Key {
	var out []area.Key
	for _, m := range dir.Nodes() {
		if m.ID == self {
			continue
		}
		for _, a := range dir.ServedBy(m.ID) {
			if a.Within(k) && a != k {
				out = append(out, a)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// monthNo writes a month as the store does, yyyymm.
func monthNo(p policy.Period) int { return p.From.Year*100 + int(p.From.Month) }

func monthOf(no int) policy.Period {
	return policy.SpanMonth.Holding(civil.Date{Year: no / 100, Month: time.Month(no % 100), Day: 1})
}

// instant is a month's instant T: its end.
func instant(p policy.Period) time.Time { return p.To.StartInstant() }

// parsed reads a month that was written here or checked when it came.
func parsed(s string) (policy.Period, error) { return policy.ParsePeriod(s) }
