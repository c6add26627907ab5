package area

import (
	"slices"
	"strings"
	"time"

	"yipan/internal/civil"
)

// Info is what the table knows about an area.
type Info struct {
	Key  Key
	Name string // its own name alone, "习水县"
	// From and To are the first and the last day on which the code has this
	// meaning; zero is unknown or open. The table is as of 2023-06-30.
	From, To civil.Date
	Kind     TownshipKind // of a township, by its name; else NoKind
	Heading  bool         // a prefecture in digits only, without an office
}

// Lookup returns the area of k in its latest meaning, abolished ones too (To is
// set then). It knows no villages.
func Lookup(k Key) (Info, bool) {
	t := loaded()
	i := Info{Key: k}
	if r, ok := t.find(k); ok {
		i.Name = t.name(r)
	}
	if ps := t.dated[k]; len(ps) > 0 {
		p := ps[len(ps)-1]
		i.Name, i.From, i.To = p.name, p.from, p.to
	}
	if i.Name == "" {
		return Info{}, false
	}
	if k.Level() == Township {
		i.Kind = KindOfName(i.Name)
	}
	i.Heading = heading(k.Level(), i.Name)
	return i, true
}

// Valid reports whether k is a valid code on the day that on falls on in
// Shanghai. See ValidOn.
func Valid(k Key, on time.Time) bool { return ValidOn(k, civil.In(on)) }

// ValidOn reports whether k is a valid code on a day. An area needs all those
// above it; a village needs a township and digits other than 000. Most rows
// have no dates and count as valid always.
func ValidOn(k Key, on civil.Date) bool {
	if k.Level() == Village {
		if k == townshipItself(k) {
			return false
		}
		k = k.Cut(Township)
	}
	if k.Level() < Province || k.Level() > Township {
		return false
	}
	t := loaded()
	for ; k != 0; k = Parent(k) {
		if ps := t.dated[k]; len(ps) > 0 {
			if !slices.ContainsFunc(ps, func(p period) bool { return p.holds(on) }) {
				return false
			}
		} else if _, ok := t.find(k); !ok {
			return false
		}
	}
	return true
}

// townshipItself returns the key of village digits 000 in k's township.
func townshipItself(k Key) Key { return k.Cut(Township) - Key(Township) + Key(Village) }

// Parent returns the area one level above by digits, 0 for a province. It does
// not skip headings: the parent of 济源市 is 2:4190, of 东莞市 as a county
// (3:441900) 东莞市 as a prefecture (2:4419), of that 1:44.
func Parent(k Key) Key {
	if k.Level() <= Province || k.Level() > Village {
		return 0
	}
	return k.Cut(k.Level() - 1)
}

// Children returns the areas one level below k that the table holds, by code;
// the provinces for the zero Key, none for townships. Abolished codes and
// second codes of one area (3:620200) are not among them.
func Children(k Key) []Key {
	l := k.Level() + 1
	if l < Province || l > Township {
		return nil
	}
	t := loaded()
	rows := t.rows(l, k)
	keys := make([]Key, 0, len(rows))
	for _, r := range rows {
		if ps := t.dated[r.key]; len(ps) == 0 || ps[len(ps)-1].to.IsZero() {
			keys = append(keys, r.key)
		}
	}
	return keys
}

// FullName returns the names from the province down, "贵州省遵义市习水县东皇街道",
// without headings and without saying 东莞市 twice. What the table lacks (an
// unknown code, every village) ends in its digits: "…东皇街道（520330001005）".
// Where not even the province is known, only the digits are left.
func FullName(k Key) string {
	if k.Level() < Province || k.Level() > Village {
		return ""
	}
	var b strings.Builder
	known, last := None, ""
	for l := Province; l <= k.Level(); l++ {
		i, ok := Lookup(k.Cut(l))
		if !ok {
			continue
		}
		known = l
		if i.Heading && l < k.Level() || i.Name == last {
			continue
		}
		b.WriteString(i.Name)
		last = i.Name
	}
	if known < k.Level() {
		b.WriteString("（" + k.Short() + "）")
	}
	return b.String()
}

// heading reports whether a name is no area's but a group's.
func heading(l Level, name string) bool {
	if l != Prefecture {
		return false
	}
	switch name {
	case "市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划":
		return true
	}
	return false
}

// TownshipKind says what an area of the township level is. It decides nothing
// but words on a page.
type TownshipKind uint8

// The kinds of township.
const (
	NoKind    TownshipKind = iota // not a township
	OtherKind                     // development zones, farms, camps
	Street                        // 街道
	Town                          // 镇
	Rural                         // 乡, with 民族乡 and the equal-ranking 苏木
)

// String returns the Chinese word, "" for NoKind.
func (k TownshipKind) String() string {
	switch k {
	case Street:
		return "街道"
	case Town:
		return "镇"
	case Rural:
		return "乡"
	case OtherKind:
		return "其他乡级单位"
	default:
		return ""
	}
}

// KindOfName returns the kind that a township's name tells.
func KindOfName(name string) TownshipKind {
	switch {
	case strings.HasSuffix(name, "街道"), strings.HasSuffix(name, "街道办事处"):
		return Street
	case strings.HasSuffix(name, "镇"):
		return Town
	case strings.HasSuffix(name, "乡"), strings.HasSuffix(name, "苏木"):
		return Rural
	default:
		return OtherKind
	}
}
