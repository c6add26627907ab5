package rates

import (
	"cmp"
	"slices"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/policy"
)

// Atom is what is shown outside a county of one of its cells.
type Atom struct {
	Area  area.Key   `json:"area"` // a county
	Kind  cases.Kind `json:"kind"`
	Side  cases.Side `json:"side"`
	Shown Published  `json:"shown"`
}

// SortAtoms puts atoms into the order of a report.
func SortAtoms(a []Atom) { slices.SortFunc(a, func(a, b Atom) int { return a.order(&b) }) }

func (a *Atom) order(o *Atom) int {
	return cmp.Or(cmp.Compare(a.Area, o.Area), cmp.Compare(a.Kind, o.Kind), cmp.Compare(a.Side, o.Side))
}

// Upward is what an area reports to the one above it about a month. Below a
// county it holds the work as it is (Cells); what leaves a county is its Atoms.
// An area above counties reports those of its own, and which it waits for
// (Waiting); reports of others it passes on as they came.
type Upward struct {
	Area     area.Key    `json:"area"`
	Period   string      `json:"period"` // a month
	Basis    Basis       `json:"basis"`
	Revision uint32      `json:"revision"` // of a frozen month; of a live one the number of the report
	AsOf     int64       `json:"as_of"`    // ms
	Policy   string      `json:"policy"`
	Waiting  []area.Key  `json:"waiting,omitempty"`
	Cells    []Cell      `json:"cells,omitempty"`
	Atoms    []Atom      `json:"atoms,omitempty"`
	Books    []BookRatio `json:"books,omitempty"`
}

// MaxUpward is the most bytes that a report may have.
const MaxUpward = 60 << 10

// maxRevision is more than a month is ever revised.
const maxRevision = 1 << 20

// Encode returns the canonical bytes.
func (u *Upward) Encode() ([]byte, error) { return encode(u, u.check) }

// DecodeUpward reads what Encode wrote, and nothing else; Invalid SNAPSHOT.
func DecodeUpward(b []byte) (Upward, error) {
	var u Upward
	if len(b) > MaxUpward {
		return u, bad("size")
	}
	return u, decode(b, &u, u.check)
}

func (u *Upward) check() error {
	p, err := policy.ParsePeriod(u.Period)
	level := u.Area.Level()
	switch {
	case err != nil || p.String() != u.Period || p != policy.SpanMonth.Holding(p.From):
		return bad("period")
	case u.Revision > maxRevision:
		return bad("revision")
	case u.Basis != Live && u.Basis != Frozen || level < area.Province || level > area.Township || len(u.Policy) > 100:
		return bad("head")
	case u.AsOf < p.From.StartInstant().UnixMilli() || u.Basis == Frozen && u.AsOf != p.To.StartInstant().UnixMilli() ||
		u.Basis == Live && u.AsOf >= p.To.StartInstant().UnixMilli():
		return bad("instant")
	case level != area.Township && (len(u.Cells) > 0 || u.Basis == Live), level == area.Township && len(u.Atoms) > 0:
		return bad("more than may leave the area")
	}
	for _, k := range u.Waiting {
		if !k.Within(u.Area) || k == u.Area {
			return bad("waiting")
		}
	}
	if err := checkCells(u.Cells, u.Area); err != nil {
		return err
	}
	for i := range u.Atoms {
		a := &u.Atoms[i]
		if i > 0 && u.Atoms[i-1].order(a) >= 0 || a.Area.Level() != area.County || !a.Area.Within(u.Area) || !a.Kind.Known() ||
			a.Side != cases.SideOpener && a.Side != cases.SideReceiver || !a.Shown.sound() {
			return bad("atom")
		}
	}
	for _, b := range u.Books {
		if b.Measure.Sensitive() || level != area.Township {
			if !b.Suppressed && (small(b.N) || small(b.D) || small(b.D-b.N)) {
				return bad("a count that had to be suppressed")
			}
		}
	}
	return checkBooks(u.Books, u.Area)
}

// sound reports whether p is what Outside can give.
func (p Published) sound() bool {
	if !p.Shown {
		return p == Published{}
	}
	if p.D < 0 || p.D > most || p.OnTime < 0 || p.Answered < 0 || p.OnTime > p.D || p.Answered > p.D || !p.HasOnTime && p.OnTime != 0 || !p.HasAnswered && p.Answered != 0 {
		return false
	}
	var blocks []int64
	switch p.split() {
	case 0:
		blocks = []int64{p.OnTime, p.Answered - p.OnTime, p.D - p.Answered}
	case 1:
		blocks = []int64{p.OnTime, p.D - p.OnTime}
	case 2:
		blocks = []int64{p.Answered, p.D - p.Answered}
	default:
		blocks = []int64{p.D}
	}
	return !slices.ContainsFunc(blocks, func(n int64) bool { return n < 0 || small(n) })
}
