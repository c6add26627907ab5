package rates

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/policy"
)

// Basis says whether counts are those of now, of frozen months, or told by
// another node. Numbers are those of the API; Live and Frozen are stored and travel.
type Basis uint8

// The bases.
const (
	Live     Basis = 1
	Frozen   Basis = 2
	Reported Basis = 3
)

// Cell is the rounds of one area, kind and side that fell due in a period, by
// class. A round of the period was delivered, so none is NotDelivered.
type Cell struct {
	Area     area.Key          `json:"area"`
	Kind     cases.Kind        `json:"kind"`
	Side     cases.Side        `json:"side"`
	OnTime   int64             `json:"on_time,omitempty"`
	Late     int64             `json:"late,omitempty"`
	Pending  int64             `json:"pending,omitempty"`
	Lapsed   int64             `json:"lapsed,omitempty"`
	Overdue  map[Waiting]int64 `json:"overdue,omitempty"`
	Excluded map[Code]int64    `json:"excluded,omitempty"`
	Extended int64             `json:"extended,omitempty"` // of D, with a due put off by an outage
}

// Add counts one round; extended: a county-signed outage put off its due.
func (c *Cell) Add(k Class, extended bool) {
	switch {
	case !k.In():
		if k.Excluded.Listed() {
			if c.Excluded == nil {
				c.Excluded = map[Code]int64{}
			}
			c.Excluded[k.Excluded]++
		}
		return
	case k.OnTime:
		c.OnTime++
	case k.Answered:
		c.Late++
	case k.Pending:
		c.Pending++
	case k.Overdue != WaitNobody:
		if c.Overdue == nil {
			c.Overdue = map[Waiting]int64{}
		}
		c.Overdue[k.Overdue]++
	default:
		c.Lapsed++
	}
	if extended {
		c.Extended++
	}
}

// Unanswered is those in D without an answer.
func (c *Cell) Unanswered() int64 {
	n := c.Pending + c.Lapsed
	for _, o := range c.Overdue {
		n += o
	}
	return n
}

// D is the denominator.
func (c *Cell) D() int64 { return c.OnTime + c.Late + c.Unanswered() }

// Tally returns the cell as a measure over rounds counts it.
func (c *Cell) Tally(m Measure) Tally {
	t := Tally{Measure: m}
	if !m.Of(c.Kind) {
		return t
	}
	t.D, t.N = c.D(), c.OnTime
	if m != FeedbackOnTime {
		t.N += c.Late
	}
	t.Pending, t.Lapsed = c.Pending, c.Lapsed
	for w, n := range c.Overdue {
		t.overdue(w, n)
	}
	for k, n := range c.Excluded {
		t.exclude(k, n)
	}
	return t
}

// SumCells returns the sum of cells for an area's report, and how many of its
// denominator were put off.
func SumCells(m Measure, cells []Cell, kind cases.Kind, side cases.Side, of area.Key) (t Tally, extended int64) {
	t = Tally{Measure: m}
	for i := range cells {
		c := &cells[i]
		if c.Side != side || kind != 0 && c.Kind != kind || !c.Area.Within(of) || !m.Of(c.Kind) {
			continue
		}
		one := c.Tally(m)
		t.Merge(&one)
		extended += c.Extended
	}
	return t, extended
}

// order is that of areas, kinds and sides; no two cells share all three.
func (c *Cell) order(o *Cell) int {
	return cmp.Or(cmp.Compare(c.Area, o.Area), cmp.Compare(c.Kind, o.Kind), cmp.Compare(c.Side, o.Side))
}

// SortCells puts cells into the order of a snapshot.
func SortCells(cells []Cell) {
	slices.SortFunc(cells, func(a, b Cell) int { return a.order(&b) })
}

// BookRatio is a measure that an office's own book gives, of one area.
type BookRatio struct {
	Area       area.Key `json:"area"`
	Measure    Measure  `json:"measure"`
	N          int64    `json:"n,omitempty"`
	D          int64    `json:"d,omitempty"`
	Suppressed bool     `json:"suppressed,omitempty"` // N and D are 0 and say nothing
}

// SortBooks puts ratios into the order of a snapshot.
func SortBooks(b []BookRatio) {
	slices.SortFunc(b, func(a, b BookRatio) int {
		return cmp.Or(cmp.Compare(a.Area, b.Area), cmp.Compare(a.Measure, b.Measure))
	})
}

// ReportRow is one figure of a report, as it was printed.
type ReportRow struct {
	Code       string   `json:"code"`
	Label      string   `json:"label"`
	Area       area.Key `json:"area"`
	N          int64    `json:"n,omitempty"`
	D          int64    `json:"d,omitempty"`
	Rate       bool     `json:"rate,omitempty"`
	Suppressed bool     `json:"suppressed,omitempty"`
}

// ReportTable is the rows of one report of an area.
type ReportTable struct {
	Kind   uint8       `json:"kind"`
	Area   area.Key    `json:"area"`
	Period string      `json:"period"`
	Rows   []ReportRow `json:"rows"`
}

// ChildPart names what of a child's report is in a snapshot.
type ChildPart struct {
	Area     area.Key `json:"area"`
	Revision uint32   `json:"revision"`
}

// Snapshot is a frozen month of the highest area that a node serves: what is
// signed and stored. It names no person and no case; Digest is over case ids,
// rounds and codes, so that it proves them and erasing a person breaks nothing.
type Snapshot struct {
	Area         area.Key      `json:"area"`
	Period       string        `json:"period"` // a month
	Revision     uint32        `json:"revision"`
	At           int64         `json:"at"`        // the month's instant, ms
	FrozenAt     int64         `json:"frozen_at"` // ms
	Policy       string        `json:"policy"`
	PolicyDigest string        `json:"policy_digest"` // hex
	Missing      []area.Key    `json:"missing,omitempty"`
	Digest       string        `json:"digest"` // SHA-256, hex
	Rounds       int64         `json:"rounds"`
	Private      string        `json:"private"` // SHA-256 over what offices keep for themselves, hex
	Children     []ChildPart   `json:"children,omitempty"`
	Waiting      []area.Key    `json:"waiting,omitempty"` // children that have not reported
	Offices      []area.Key    `json:"offices"`           // whose own rounds are counted
	Cells        []Cell        `json:"cells"`             // with those of children that reported
	Books        []BookRatio   `json:"books"`
	Reports      []ReportTable `json:"reports"`
}

// Encode returns the canonical bytes: the same for the same content.
func (s *Snapshot) Encode() ([]byte, error) { return encode(s, s.check) }

// DecodeSnapshot reads what Encode wrote, and nothing else: unknown or repeated
// members, another order or spelling, and figures that cannot be are Invalid
// SNAPSHOT.
func DecodeSnapshot(b []byte) (Snapshot, error) {
	var s Snapshot
	return s, decode(b, &s, s.check)
}

func (s *Snapshot) check() error {
	p, err := policy.ParsePeriod(s.Period)
	switch {
	case err != nil || p.String() != s.Period || p != policy.SpanMonth.Holding(p.From):
		return bad("period")
	case s.At != p.To.StartInstant().UnixMilli() || s.FrozenAt < s.At:
		return bad("instant")
	case s.Area.Level() < area.Province || s.Area.Level() > area.Township:
		return bad("area")
	case len(s.Digest) != 64 || len(s.Private) != 64 || s.Rounds < 0 || len(s.Policy) > 100:
		return bad("digest")
	}
	if err := checkCells(s.Cells, s.Area); err != nil {
		return err
	}
	return checkBooks(s.Books, s.Area)
}

// encode checks a value and writes it.
func encode(v any, check func() error) ([]byte, error) {
	if err := check(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, bad("encoding")
	}
	return b, nil
}

// decode reads a value that was written by encode: writing it again must give
// the same bytes.
func decode(b []byte, v any, check func() error) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if d.Decode(v) != nil {
		return bad("encoding")
	}
	if err := check(); err != nil {
		return err
	}
	again, err := json.Marshal(v)
	if err != nil || !bytes.Equal(again, b) {
		return bad("not canonical")
	}
	return nil
}

func bad(what string) error {
	return fault.Invalid("SNAPSHOT", "snapshot: %s", what).Zh("上报的数据不正确")
}

func checkCells(cells []Cell, within area.Key) error {
	for i := range cells {
		c := &cells[i]
		if i > 0 && cells[i-1].order(c) >= 0 || !c.Area.Within(within) || !c.Kind.Known() || c.Side != cases.SideOpener && c.Side != cases.SideReceiver {
			return bad("cell")
		}
		for w, n := range c.Overdue {
			if n <= 0 || w != WaitOrigin && w != WaitCounty && w != WaitResidence {
				return bad("overdue")
			}
		}
		for k, n := range c.Excluded {
			if n <= 0 || !k.Listed() || k == NotDelivered {
				return bad("excluded")
			}
		}
		if min(c.OnTime, c.Late, c.Pending, c.Lapsed, c.Extended) < 0 || max(c.OnTime, c.Late, c.Pending, c.Lapsed) > most || c.Extended > c.D() {
			return bad("counts")
		}
	}
	return nil
}

// most is more than anybody counts; sums of such numbers do not overflow.
const most = 1 << 40

func checkBooks(books []BookRatio, within area.Key) error {
	for i, b := range books {
		if i > 0 && cmp.Or(cmp.Compare(books[i-1].Area, b.Area), cmp.Compare(books[i-1].Measure, b.Measure)) >= 0 || !b.Area.Within(within) || !b.Measure.Known() {
			return bad("measure")
		}
		if b.N < 0 || b.N > b.D || b.D > most || b.Suppressed && b.D != 0 {
			return bad(fmt.Sprintf("ratio of measure %d", b.Measure))
		}
	}
	return nil
}
