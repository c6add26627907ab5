package match

import (
	"slices"

	"yipan/internal/civil"
	"yipan/internal/ident"
)

// Description is what is known of a person. Everything but Name may be missing.
type Description struct {
	Name      string
	Former    []string // names that the person had
	Birth     civil.Date
	Sex       uint32 // GB/T 2261.1
	Documents []ident.Doc
	Phones    []string
}

// Result is how alike two descriptions are.
type Result struct {
	Score   int // 0 to 100
	Reasons Reason
}

// Near is the score from which two descriptions are so alike that a person must
// look before anything is decided.
const Near = 60

// weights are points for and against. The document and the name decide; two
// namesakes born on one day reach Near only where no documents tell them apart.
var weights = []struct {
	reason Reason
	points int
}{
	{DocumentEqual, 50}, {Document1518, 50}, {DocumentTransposed, 30},
	{NameEqual, 40}, {NameDots, 40}, {FormerName, 35},
	{BirthEqual, 20}, {PhoneEqual, 5},
	{DocumentDiffers, -25}, {NameDiffers, -10}, {BirthDiffers, -10}, {SexDiffers, -5},
}

// Compare compares two descriptions; their order does not matter.
func Compare(a, b Description) Result {
	r := documents(a.Documents, b.Documents) | names(&a, &b)
	switch {
	case a.Birth.IsZero() || b.Birth.IsZero():
	case a.Birth == b.Birth:
		r |= BirthEqual
	default:
		r |= BirthDiffers
	}
	if s, t := ident.Sex(a.Sex), ident.Sex(b.Sex); s.Known() && t.Known() && s != t {
		r |= SexDiffers
	}
	if slices.ContainsFunc(a.Phones, func(p string) bool { return p != "" && slices.Contains(b.Phones, p) }) {
		r |= PhoneEqual
	}
	n := 0
	for _, w := range weights {
		if r.Has(w.reason) {
			n += w.points
		}
	}
	return Result{Score: min(100, max(0, n)), Reasons: r}
}

// documents gives the strongest reason that any two documents give.
func documents(a, b []ident.Doc) Reason {
	var all Reason
	for _, x := range a {
		for _, y := range b {
			all |= document(x, y)
		}
	}
	for _, r := range []Reason{DocumentEqual, Document1518, DocumentTransposed, DocumentDiffers} {
		if all.Has(r) {
			return r
		}
	}
	return 0
}

func document(x, y ident.Doc) Reason {
	m, n := x.Match18(), y.Match18()
	switch {
	case m == "" || n == "":
		return 0
	case x.Number == y.Number:
		return DocumentEqual
	case m == n:
		return Document1518
	case transposed(m, n):
		return DocumentTransposed
	case x.Kind == y.Kind || resident(x) && resident(y):
		return DocumentDiffers // else a passport beside an ID says nothing
	}
	return 0
}

func resident(d ident.Doc) bool {
	return d.Kind == ident.KindResident || d.Kind == ident.KindResident15
}

// names compares the present names, and each with the other's former ones.
func names(a, b *Description) Reason {
	x, y := ident.NormalizeName(a.Name), ident.NormalizeName(b.Name)
	switch {
	case x == "" || y == "":
		return 0
	case x == y && dots(a.Name) != dots(b.Name):
		return NameDots
	case x == y:
		return NameEqual
	case had(b.Former, x) || had(a.Former, y):
		return FormerName
	}
	return NameDiffers
}

func had(former []string, name string) bool {
	return slices.ContainsFunc(former, func(f string) bool { return ident.NormalizeName(f) == name })
}

// dots are the characters of a name that are written as middle dots, as they
// stand.
func dots(name string) string {
	var out []rune
	for _, r := range name {
		if r == '.' || ident.NormalizeName(string(r)) == ident.Dot {
			out = append(out, r)
		}
	}
	return string(out)
}

// Certain returns which candidate is the person described beyond doubt: the
// only one whose document and normalised name are equal, nothing speaking
// against it and nobody else near. Two people who share a number but not a name
// are never certain.
func Certain(results []Result) (int, bool) {
	found := -1
	for i, r := range results {
		switch {
		case r.Reasons.any(sameDocument) && r.Reasons.any(sameName) && !r.Reasons.any(against):
			if found >= 0 {
				return 0, false
			}
			found = i
		case r.IsNear():
			return 0, false
		}
	}
	return max(found, 0), found >= 0
}

// IsNear reports whether a person must look at the result before anybody is
// taken for new.
func (r Result) IsNear() bool {
	return r.Score >= Near || r.Reasons.any(sameDocument|DocumentTransposed)
}

// Order sorts the better result first; equal ones are 0.
func Order(a, b Result) int {
	if a.Score != b.Score {
		return b.Score - a.Score
	}
	for _, w := range weights {
		if x, y := a.Reasons.Has(w.reason), b.Reasons.Has(w.reason); x != y {
			if x == (w.points > 0) {
				return -1
			}
			return 1
		}
	}
	return 0
}

// maxVariants bounds how many blind indexes a pairing asks for (SECURITY D9).
const maxVariants = 20

// Variants returns a document number and what it becomes where two neighbouring
// characters are transposed, whether or not the check digit holds, the number
// itself first; at most 20. Only numbers of 18 characters have variants.
func Variants(number string) []string {
	out := []string{number}
	if len(number) != 18 {
		return out
	}
	for i := 0; i+1 < len(number) && len(out) < maxVariants; i++ {
		a, b := number[i], number[i+1]
		if a == b || a == 'X' || b == 'X' { // an X stands at the end only
			continue
		}
		v := []byte(number)
		v[i], v[i+1] = b, a
		out = append(out, string(v))
	}
	return out
}

// transposed reports whether two numbers of one length differ by two
// neighbouring characters that changed places.
func transposed(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i+1 < len(a); i++ {
		if a[i] == b[i] {
			continue
		}
		return a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
	}
	return false
}
