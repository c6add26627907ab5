package closing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/figures"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// extras is what a frozen month holds of an office that is for the office alone:
// sensitive measures as they are, and its own annual report. It is stored beside
// the office's rounds, as a part without a side, and the snapshot holds its
// digest.
type extras struct {
	Books   []rates.BookRatio   `json:"books,omitempty"`
	Reports []rates.ReportTable `json:"reports,omitempty"`
}

// revisable says which measures from books a revision counts anew: those that
// what is filed late changes. The others say what was so when the month was
// frozen, and stay.
func revisable(m rates.Measure) bool { return m == rates.FiledInTime || m == rates.Checking }

// books computes the measures that do not count rounds of a unit's offices:
// those that everybody may see who sees the office's work, and all others.
func (c *Closing) books(ctx context.Context, u unit, p policy.Period, only func(rates.Measure) bool) (shown []rates.BookRatio, own map[area.Key][]rates.BookRatio, err error) {
	var ms []rates.Measure
	for _, m := range rates.All() {
		if !m.OfRounds() && (only == nil || only(m)) {
			ms = append(ms, m)
		}
	}
	rows, err := c.Figures.Compute(ctx, u.offices, figures.Query{Period: p, Measures: ms, By: figures.ByTownship})
	if err != nil {
		return nil, nil, err
	}
	own = map[area.Key][]rates.BookRatio{}
	for i := range rows {
		r := &rows[i]
		b := rates.BookRatio{Area: r.Area, Measure: r.Measure, N: r.N, D: r.D}
		if b.D == 0 {
			continue
		}
		if b.Measure.Sensitive() {
			own[b.Area] = append(own[b.Area], b)
			b = outside(b)
		}
		shown = append(shown, b)
	}
	rates.SortBooks(shown)
	return shown, own, nil
}

// outside is what is shown of a sensitive ratio outside its office.
func outside(b rates.BookRatio) rates.BookRatio {
	if _, ok := rates.OutsideRatio(rates.Ratio{N: b.N, D: b.D}); !ok {
		return rates.BookRatio{Area: b.Area, Measure: b.Measure, Suppressed: true}
	}
	return b
}

// unlike hides, of sensitive measures that tell what is so now, whatever the
// month, those that differ by little from what another month showed of the same
// area: together they would tell who came or went in between (SECURITY D3).
func unlike(books []rates.BookRatio, months []rates.Snapshot) []rates.BookRatio {
	for i := range books {
		b := &books[i]
		if b.Suppressed || !b.Measure.Sensitive() || !b.Measure.OfNow() {
			continue
		}
		var shown []rates.Ratio
		for _, s := range months {
			for _, o := range s.Books {
				if o.Area == b.Area && o.Measure == b.Measure && !o.Suppressed {
					shown = append(shown, rates.Ratio{N: o.N, D: o.D})
				}
			}
		}
		if len(shown) == 0 {
			continue
		}
		if _, ok := rates.RevisedRatio(shown[0], rates.Ratio{N: b.N, D: b.D}, shown[1:]...); !ok {
			*b = rates.BookRatio{Area: b.Area, Measure: b.Measure, Suppressed: true}
		}
	}
	return books
}

// extraParts writes what offices keep for themselves, and its digest.
func extraParts(own map[area.Key][]rates.BookRatio, reports map[area.Key][]rates.ReportTable) ([]store.RoundsPart, string, error) {
	offices := map[area.Key]bool{}
	for k := range own {
		offices[k] = true
	}
	for k := range reports {
		offices[k] = true
	}
	var out []store.RoundsPart
	for k := range offices {
		e := extras{Books: own[k], Reports: reports[k]}
		rates.SortBooks(e.Books)
		b, err := json.Marshal(e)
		if err != nil {
			return nil, "", fault.Internal("EXTRAS", "closing: encode what an office keeps")
		}
		out = append(out, store.RoundsPart{Office: k, Side: cases.SideNone, Rounds: b})
	}
	return out, extraDigest(out), nil
}

func extraDigest(parts []store.RoundsPart) string {
	slices.SortFunc(parts, func(a, b store.RoundsPart) int { return int(min(max(a.Office-b.Office, -1), 1)) })
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256(p.Rounds)
		h.Write([]byte(p.Office.Code()))
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// extrasOf finds what an office keeps among the parts of a revision.
func extrasOf(parts []store.RoundsPart, office area.Key) (e extras, err error) {
	for _, p := range parts {
		if p.Office == office && p.Side == cases.SideNone && len(p.Rounds) > 0 {
			if json.Unmarshal(p.Rounds, &e) != nil {
				return e, fault.Internal("EXTRAS", "closing: what an office keeps cannot be read")
			}
		}
	}
	return e, nil
}
