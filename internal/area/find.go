package area

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// endings are what people leave away from a name.
var endings = []string{
	"省", "市", "自治区", "地区", "盟", "县", "区", "旗", "林区", "新区",
	"镇", "乡", "街道", "街道办事处", "办事处", "苏木",
}

// ethnicEndings close the endings that name peoples: "仡佬族苗族自治县".
var ethnicEndings = []string{"自治区", "自治州", "自治县", "自治旗", "族乡"}

// Find returns the areas within an area (the zero Key: everywhere) that name
// may mean, for suggesting: first those with exactly this name or whose full
// name ends with it ("遵义市习水县"), then those whose name lacks only its ending
// ("习水", two characters at least); each coarser levels first, then by code.
// Spaces and headings (市辖区) in name do not matter. Headings, abolished codes
// and villages are never found.
func Find(name string, within Key) []Key {
	q := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, name)
	for _, h := range []string{"市辖区", "自治区直辖县级行政区划", "省直辖县级行政区划"} {
		q = strings.ReplaceAll(q, h, "")
	}
	if q == "" {
		return nil
	}
	type hit struct {
		key  Key
		rank int
	}
	var hits []hit
	t := loaded()
	for l := max(Province, within.Level()); l <= Township; l++ {
		for _, r := range t.rows(l, within) {
			n := t.name(r)
			if heading(l, n) {
				continue
			}
			switch {
			case n == q:
				hits = append(hits, hit{r.key, 0})
			case len(q) > len(n) && strings.HasSuffix(q, n):
				if strings.HasSuffix(FullName(r.key), q) {
					hits = append(hits, hit{r.key, 0})
				}
			case len(n) > len(q) && strings.HasPrefix(n, q) && bare(q, n[len(q):]):
				hits = append(hits, hit{r.key, 1})
			}
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(a.rank, b.rank) })
	keys := make([]Key, len(hits))
	for i, h := range hits {
		keys[i] = h.key
	}
	return keys
}

func bare(q, rest string) bool {
	return utf8.RuneCountInString(q) >= 2 && (slices.Contains(endings, rest) ||
		slices.ContainsFunc(ethnicEndings, func(e string) bool { return strings.HasSuffix(rest, e) }))
}
