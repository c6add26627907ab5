package harness

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/figures"
	"yipan/internal/fold"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// equalCases is how many cases TestEqualAtBothEnds makes: a million, under the
// race detector too, and a tenth with -short. YIPAN_EQUAL_CASES sets another
// number.
func equalCases(t *testing.T) int {
	if s := os.Getenv("YIPAN_EQUAL_CASES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("YIPAN_EQUAL_CASES: %v", err)
		}
		return n
	}
	if testing.Short() {
		return 100_000
	}
	return 1_000_000
}

// synthetic makes the items of cases, each of its number alone.
type synthetic struct {
	rnd      *rand.PCG
	r        *rand.Rand
	towns    [2][]area.Key
	calendar uint32
	items    []fold.Item
	receipts [][2]time.Time // two of one item, in any order; both may be there after a restore
}

func newSynthetic(openers, receivers []area.Key, calendar policy.CalendarNo) *synthetic {
	p := rand.NewPCG(0, 0)
	return &synthetic{rnd: p, r: rand.New(p), towns: [2][]area.Key{openers, receivers}, calendar: uint32(calendar)}
}

func (g *synthetic) id() (id cases.ItemID) {
	binary.LittleEndian.PutUint64(id[:8], g.r.Uint64())
	binary.LittleEndian.PutUint64(id[8:], g.r.Uint64())
	return id
}

var syntheticStart = civil.Date{Year: 2026, Month: time.September, Day: 10}.StartInstant()

func (g *synthetic) span(most time.Duration) time.Duration {
	return time.Duration(g.r.Int64N(int64(most/time.Millisecond))) * time.Millisecond
}

const aDay = 24 * time.Hour

// verbs of what happens after the OPEN, as often as they are named. None looks
// at what stands: whatever the two sides do may cross.
var syntheticVerbs = []cases.ItemKind{
	cases.Answer, cases.Answer, cases.Answer, cases.Answer, cases.Answer, cases.Answer, cases.Correct, cases.Withdraw, cases.Close, cases.Reopen, cases.Reopen,
	cases.Assign, cases.Extend, cases.Feedback,
}

// make fills items with those of the n-th case.
func (g *synthetic) make(n int) (id cases.CaseID, x, y area.Key) {
	g.rnd.Seed(4, uint64(n))
	g.items, g.receipts = g.items[:0], g.receipts[:0]
	binary.LittleEndian.PutUint64(id[:8], uint64(n))
	x, y = g.towns[0][g.r.IntN(len(g.towns[0]))], g.towns[1][g.r.IntN(len(g.towns[1]))]
	if g.r.IntN(4) == 0 {
		y = y.Cut(area.County)
	}
	local := g.r.IntN(8) == 0
	at := syntheticStart.Add(g.span(80 * aDay))
	open := cases.Head{
		Kind: cases.Open, CaseKind: cases.Kind(1 + g.r.IntN(5)),
		Limit: cases.Limit{Days: []uint32{3, 7, 15, 30}[g.r.IntN(4)], Working: g.r.IntN(5) == 0, Calendar: g.calendar},
	}
	put := func(h cases.Head) {
		h.Author, h.Side = cases.NodeID(x), cases.SideOpener
		if !fold.ItsVerb(h.Kind, cases.SideOpener) || h.Kind != cases.Open && fold.ItsVerb(h.Kind, cases.SideReceiver) && g.r.IntN(2) == 0 {
			h.Author, h.Side = cases.NodeID(y), cases.SideReceiver
		}
		h.Case, h.X, h.Y, h.RecordedAt, h.T, h.Local = id, x, y, at, at.UnixMilli(), local
		held := at.Add(g.span(time.Hour))
		switch g.r.IntN(40) {
		case 0:
			held = at.Add(g.span(60 * aDay))
		case 1, 2, 3:
			held = at.Add(g.span(3 * aDay))
		}
		g.items = append(g.items, fold.Item{ID: g.id(), Head: h, Rejected: !local && g.r.IntN(200) == 0})
		g.receipts = append(g.receipts, [2]time.Time{held, held.Add(g.span(20 * aDay))})
	}
	put(open)
	round := uint32(1)
	for range g.r.IntN(7) {
		at = at.Add(g.span(14 * aDay))
		h := cases.Head{Kind: syntheticVerbs[g.r.IntN(len(syntheticVerbs))], Round: round}
		if h.Round > 1 && g.r.IntN(6) == 0 {
			h.Round-- // it did not know of the REOPEN yet
		}
		switch h.Kind {
		case cases.Answer:
			h.Terminal = g.r.IntN(10) > 0
			if g.r.IntN(6) == 0 {
				h.Area = third
			}
			h.Seen = g.items[0].ID
		case cases.Reopen:
			h.Round = round + 1
			if g.r.IntN(8) > 0 { // else two cross
				round++
			}
			h.Dispute = g.r.IntN(2) == 0
		case cases.Assign:
			h.Area = g.towns[1][g.r.IntN(len(g.towns[1]))]
		case cases.Extend:
			h.Limit.Days = uint32(1 + g.r.IntN(40))
			h.Target = cases.ItemID{byte(g.r.IntN(2))}
		}
		put(h)
	}
	return id, x, y
}

// end is what one end makes of the cases.
type end struct {
	c    book.Case
	rows []store.Side
}

// hold gives an end the items in an order of its own, with the verdicts that it
// reaches from the receipts it holds.
func (e *end) hold(g *synthetic, id cases.CaseID, x, y area.Key) {
	e.c.ID, e.c.X, e.c.Y = id, x, y
	e.c.Items = e.c.Items[:0]
	for i := range g.items {
		it := g.items[i]
		a, b := g.receipts[i][0], g.receipts[i][1]
		if g.r.IntN(2) == 0 {
			a, b = b, a
		}
		if it.Held = a; b.Before(a) {
			it.Held = b
		}
		e.c.Items = append(e.c.Items, it)
	}
	g.r.Shuffle(len(e.c.Items), func(i, j int) { e.c.Items[i], e.c.Items[j] = e.c.Items[j], e.c.Items[i] })
	e.c.State = fold.Fold(e.c.Items)
}

// project returns the rows of an office: the current round as book has it, and
// the earlier ones.
func (e *end) project(side cases.Side, office area.Key) []store.Side {
	e.rows = e.rows[:0]
	if !e.c.State.Exists() {
		return nil
	}
	now := e.c.Project(side, office)
	e.rows = append(e.rows, now)
	for i := range e.c.State.Past {
		r, p := &e.c.State.Past[i], now
		p.Round, p.RoundAt, p.DeliveredAt, p.DueAt, p.Extended = r.N, r.OpenedAt, r.Delivered, book.Due(e.c.State.Limit, r.Delivered), r.Extended
		if r.Extended > 0 && !p.DueAt.IsZero() {
			p.DueAt = policy.DueDay(p.DueAt).AddDays(int(r.Extended)).EndInstant()
		}
		p.AnsweredAt, p.AnswerHeld, p.WithdrawnAt, p.ClosedAt, p.Reroute, p.ReroutedAt = r.AnsweredAt, r.AnswerHeld, r.WithdrawnAt, r.ClosedAt, r.Reroute, r.ReroutedAt
		p.Waiting = 0
		s, day := rates.Stand(book.FactOf(&p))
		p.Standing, p.StandingDay = uint8(s), day
		e.rows = append(e.rows, p)
	}
	return e.rows
}

// pair is what figures of the two ends are compared by. county: all townships of
// the receiver's county together.
type pair struct {
	kind   cases.Kind
	m      rates.Measure
	opener area.Key // office
	other  area.Key // receiver's county
}

// figure is a Tally of which only sums of equal rounds are needed.
type figure map[pair]*rates.Tally

func (f figure) add(k pair, c rates.Class) {
	t := f[k]
	if t == nil {
		t = &rates.Tally{Measure: k.m}
		f[k] = t
	}
	t.Add(c)
}

func (f figure) merge(o figure) {
	for k, t := range o {
		if f[k] == nil {
			f[k] = &rates.Tally{Measure: k.m}
		}
		f[k].Merge(t)
	}
}

// views are the figures of a worker's share of the cases.
type views struct {
	origin, residence, anew figure
	offices                 map[area.Key]figure // of the receiver's county, one by one
	rounds, cases           int
	bad                     []string
}

var roundMeasures = []rates.Measure{rates.Feedback, rates.FeedbackOnTime, rates.Verification}

// equalMonth is the month of the figures, at its instant T; much was recorded,
// held and answered after it.
var equalMonth = policy.SpanMonth.Holding(civil.Date{Year: 2026, Month: time.November, Day: 1})

func (v *views) see(g *synthetic, a, b *end, n int) {
	at := equalMonth.To.StartInstant()
	after := civil.Date{Year: 2028, Month: time.January, Day: 1}.StartInstant() // all has happened
	id, x, y := g.make(n)
	a.hold(g, id, x, y)
	b.hold(g, id, x, y)
	v.cases++
	opener, receiver := a.project(cases.SideOpener, book.OfficeOf(x)), b.project(cases.SideReceiver, b.c.ReceiverOffice())
	if len(opener) != len(receiver) {
		v.bad = append(v.bad, id.String()+": rounds")
		return
	}
	county := y.Cut(area.County)
	for i := range opener {
		p, q := &opener[i], &receiver[i]
		f := book.FactOf(p)
		c, d := rates.Classify(f, at, equalMonth), rates.Classify(book.FactOf(q), at, equalMonth)
		if c != d {
			v.bad = append(v.bad, id.String()+": classes at T")
		}
		// What is kept with the row, and what looking at it anew says.
		kept := rates.Standing(p.Standing).Class(p.Kind, p.StandingDay, after, equalMonth)
		fresh := rates.Classify(f, after, equalMonth)
		if kept != fresh || p.Standing != q.Standing || p.StandingDay != q.StandingDay {
			v.bad = append(v.bad, id.String()+": standing")
		}
		v.rounds++
		for _, m := range roundMeasures {
			if !m.Of(p.Kind) {
				continue
			}
			k := pair{p.Kind, m, p.Office, county}
			v.origin.add(k, c)
			v.residence.add(k, d)
			if v.offices[q.Office] == nil {
				v.offices[q.Office] = figure{}
			}
			v.offices[q.Office].add(k, d)
			v.anew.add(k, kept)
		}
	}
}

func newViews() *views {
	return &views{origin: figure{}, residence: figure{}, anew: figure{}, offices: map[area.Key]figure{}}
}

// TestEqualAtBothEnds: origin, residence and county compute the same cases at the
// same instant to the same figures, whatever order the items came in, whoever's
// receipts were lost, and whatever happened since.
func TestEqualAtBothEnds(t *testing.T) {
	total := equalCases(t)
	started := time.Now()
	workers := runtime.GOMAXPROCS(0)
	parts := make([]*views, workers)
	openers, receivers := area.Children(origin)[:4], towns(t, residence, 9)
	calendar := policy.Default().Calendar
	var wg sync.WaitGroup
	for w := range workers {
		parts[w] = newViews()
		wg.Go(func() {
			g := newSynthetic(openers, receivers, calendar)
			var a, b end
			for n := w; n < total; n += workers {
				parts[w].see(g, &a, &b, n)
			}
		})
	}
	wg.Wait()
	all := newViews()
	for _, p := range parts {
		all.origin.merge(p.origin)
		all.residence.merge(p.residence)
		all.anew.merge(p.anew)
		for o, f := range p.offices {
			if all.offices[o] == nil {
				all.offices[o] = figure{}
			}
			all.offices[o].merge(f)
		}
		all.rounds += p.rounds
		all.cases += p.cases
		all.bad = append(all.bad, p.bad...)
	}
	t.Logf("%d cases, %d rounds, in %s with %d workers", all.cases, all.rounds, time.Since(started).Round(time.Millisecond), workers)
	if len(all.bad) > 0 {
		t.Errorf("%d cases differ, the first ones %v", len(all.bad), all.bad[:min(5, len(all.bad))])
	}
	county := figure{}
	for _, f := range all.offices {
		county.merge(f)
	}
	for what, other := range map[string]figure{"residence": all.residence, "county": county} {
		if !reflect.DeepEqual(all.origin, other) {
			t.Errorf("the figures of origin and %s differ", what)
		}
	}
	// The cases are of all sorts; else the above says little.
	var sum rates.Tally
	for k, f := range all.origin {
		if k.m == rates.Feedback {
			sum.Merge(f)
		}
	}
	t.Logf("feedback: %s, pending %d, lapsed %d, overdue %v, excluded %v, unreceipted %d", sum.Ratio, sum.Pending, sum.Lapsed, sum.Overdue, sum.Excluded, sum.Unreceipted)
	for name, n := range map[string]int64{
		"n": sum.N, "missing": sum.D - sum.N, "pending or lapsed": sum.Lapsed, "at residence": sum.Overdue[rates.WaitResidence], "at the county": sum.Overdue[rates.WaitCounty],
		"at origin": sum.Overdue[rates.WaitOrigin], "not delivered": sum.Excluded[rates.NotDelivered], "rerouted": sum.Excluded[rates.ReroutedInTime],
		"withdrawn": sum.Excluded[rates.WithdrawnBeforeDue], "closed": sum.Excluded[rates.ClosedBeforeDue], "unreceipted": sum.Unreceipted,
	} {
		if n*2000 < sum.D {
			t.Errorf("only %d rounds are %s", n, name)
		}
	}
	if reflect.DeepEqual(all.origin, all.anew) {
		t.Error("nothing that is counted changed after T")
	}
	if len(all.offices) < len(receivers)+1 {
		t.Errorf("only %d offices", len(all.offices))
	}
}

// One item less at one end is seen in the figures: the comparison above can fail.
func TestInequalityShows(t *testing.T) {
	g := newSynthetic(area.Children(origin)[:4], towns(t, residence, 9), policy.Default().Calendar)
	at := equalMonth.To.StartInstant()
	var a, b end
	lost, seen := 0, 0
	for n := range 3000 {
		id, x, y := g.make(n)
		a.hold(g, id, x, y)
		i := g.r.IntN(len(g.items))
		if k := g.items[i].Head; k.Kind != cases.Answer || !k.Terminal || k.RecordedAt.After(at) {
			continue
		}
		g.items, g.receipts = append(g.items[:i], g.items[i+1:]...), append(g.receipts[:i], g.receipts[i+1:]...)
		b.hold(g, id, x, y)
		lost++
		p, q := a.project(cases.SideOpener, book.OfficeOf(x)), b.project(cases.SideReceiver, b.c.ReceiverOffice())
		for j := range p {
			if j >= len(q) || rates.Classify(book.FactOf(&p[j]), at, equalMonth) != rates.Classify(book.FactOf(&q[j]), at, equalMonth) {
				seen++
				break
			}
		}
	}
	t.Logf("%d of %d lost answers change a class of the month", seen, lost)
	if seen*10 < lost {
		t.Errorf("%d of %d lost answers are seen", seen, lost)
	}
}

// Whether a round counts in the month, and whether it was answered and in time,
// does not hang on what either end did after the instant of the month: an end
// that has more of it than the other shows the same n and d. Two verbs do change
// the past, and show as a revision: an EXTEND puts off the due, and a later
// ANSWER takes back that an earlier one named another area.
func TestLaterItemsLeaveTheMonth(t *testing.T) {
	g := newSynthetic(area.Children(origin)[:4], towns(t, residence, 9), policy.Default().Calendar)
	at := equalMonth.To.StartInstant()
	var a, b end
	tried, revised := map[cases.ItemKind]int{}, map[cases.ItemKind]int{}
	for n := range 100_000 {
		id, x, y := g.make(n)
		a.hold(g, id, x, y)
		i := g.r.IntN(len(g.items))
		k := g.items[i].Head
		if k.Kind == cases.Open || !k.RecordedAt.After(at) {
			continue
		}
		g.items, g.receipts = append(g.items[:i], g.items[i+1:]...), append(g.receipts[:i], g.receipts[i+1:]...)
		b.hold(g, id, x, y)
		tried[k.Kind]++
		counted := map[uint32][3]bool{}
		p := a.project(cases.SideOpener, book.OfficeOf(x))
		for j := range p {
			if c := rates.Classify(book.FactOf(&p[j]), at, equalMonth); c.In() {
				counted[p[j].Round] = [3]bool{true, c.Answered, c.OnTime}
			}
		}
		q := b.project(cases.SideReceiver, b.c.ReceiverOffice())
		for j := range q {
			if c := rates.Classify(book.FactOf(&q[j]), at, equalMonth); c.In() {
				if counted[q[j].Round] == [3]bool{true, c.Answered, c.OnTime} {
					delete(counted, q[j].Round)
				} else {
					counted[q[j].Round] = [3]bool{}
				}
			}
		}
		if len(counted) > 0 {
			revised[k.Kind]++
		}
	}
	t.Logf("items after T at one end: %v; of them change n or d: %v", tried, revised)
	for k := range tried {
		if n := revised[k]; n > 0 && k != cases.Extend && k != cases.Answer {
			t.Errorf("%d of %d %s after T change n or d of the month", n, tried[k], k)
		}
	}
	if len(tried) < 7 {
		t.Errorf("only %d kinds of items", len(tried))
	}
}

// feedback is a side's feedback rate of the month in which notices fall due, as
// a site has it now.
func (w *watched) feedback(s *Site, office area.Key, side cases.Side) rates.Ratio {
	w.t.Helper()
	rows, err := s.Figures.Compute(w.t.Context(), []area.Key{office}, figures.Query{
		Period: policy.SpanMonth.Holding(civil.Date{Year: 2026, Month: time.December, Day: 1}), Side: side, Measures: []rates.Measure{rates.Feedback},
	})
	if err != nil || len(rows) != 1 {
		w.t.Fatalf("%d figures, %v", len(rows), err)
	}
	return rows[0].Ratio
}

// named are the cases that a recount of a site names.
func (w *watched) named(s *Site) map[cases.CaseID]bool {
	w.t.Helper()
	r, err := s.Figures.Recount(w.t.Context(), s.Desk.Offices())
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[cases.CaseID]bool{}
	for _, d := range r.Differences {
		if d.Case != (cases.CaseID{}) {
			out[d.Case] = true
		}
	}
	return out
}

// TestPlantedLoss: what one end has lost shows as a difference of the figures or
// of a recount, which name the case; a statement round brings it back.
func TestPlantedLoss(t *testing.T) {
	const opened, answered = 12, 7
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	y := towns(t, residence, 1)[0]
	var ids []cases.CaseID
	for i := range opened {
		ids = append(ids, w.open(a, i, y))
	}
	w.settle()
	for _, id := range ids[:answered] {
		w.answer(b, y, id, residing)
	}
	w.settle()
	n := int64(answered)
	d := int64(opened)
	equal := func(when string) {
		t.Helper()
		p, q := w.feedback(a, originTown, cases.SideOpener), w.feedback(b, y, cases.SideReceiver)
		if want := (rates.Ratio{N: n, D: d}); p != want || q != want {
			t.Fatalf("%s: origin %s, residence %s, want %s", when, p, q, want)
		}
		for _, s := range []*Site{a, b} {
			if got := w.named(s); len(got) > 0 {
				t.Fatalf("%s: %s differs from its items in %v", when, s.Node, got)
			}
		}
		if bad := w.Conserved(t.Context(), t.Fatalf); len(bad) > 0 {
			t.Fatalf("%s: %v", when, bad)
		}
	}
	only := func(what string, got map[cases.CaseID]bool, id cases.CaseID) {
		t.Helper()
		if len(got) != 1 || !got[id] {
			t.Fatalf("%s: %v are named, want %s", what, got, id)
		}
	}
	// between are the cases of which the ends do not hold the same.
	between := func() map[cases.CaseID]bool {
		t.Helper()
		out := map[cases.CaseID]bool{}
		for _, line := range w.Conserved(t.Context(), t.Fatalf) {
			for _, id := range ids {
				if strings.HasPrefix(line, id.String()) {
					out[id] = true
				}
			}
		}
		return out
	}
	// repair runs statement rounds until both ends hold the same.
	repair := func() {
		t.Helper()
		for range 4 {
			if err := w.State(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			if len(between()) == 0 {
				return
			}
		}
		t.Fatal("four statement rounds do not mend it")
	}
	equal("at first")

	// What left is lost on its way, and its sender believes that it arrived.
	lose := func(from, to *Site) {
		t.Helper()
		if ps, _, err := from.Exchange.Pack(t.Context(), to.Node); err != nil || len(ps) == 0 {
			t.Fatalf("%d parcels, %v", len(ps), err)
		}
		if w.raw[from.Node].Exec(t, `UPDATE share SET settled = true WHERE NOT settled`) == 0 {
			t.Fatal("nothing is lost")
		}
		w.settle()
	}
	id := ids[answered]
	w.answer(b, y, id, residing)
	lose(b, a)
	if p, q := w.feedback(a, originTown, cases.SideOpener), w.feedback(b, y, cases.SideReceiver); p.N != n || q.N != n+1 || p.D != q.D {
		t.Fatalf("an answer is lost: origin %s, residence %s", p, q)
	}
	only("the answer's case", between(), id)
	repair()
	n++
	equal("the answer is back")

	id = ids[answered+1]
	if _, err := a.Desk.Withdraw(t.Context(), Clerk(access.Clerk, originTown), desk.ChangeRequest{
		RequestID: "withdraw-lost-1", Ref: desk.CaseRef{Case: id, Etag: w.view(a, originTown, id).Etag}, Reason: "本人申请",
	}); err != nil {
		t.Fatal(err)
	}
	lose(a, b)
	// It counts from when the other side holds it, so that both still expect an answer.
	if p, q := w.feedback(a, originTown, cases.SideOpener), w.feedback(b, y, cases.SideReceiver); p != q || p.D != d {
		t.Fatalf("a withdrawal is lost: origin %s, residence %s", p, q)
	}
	only("the withdrawal's case", between(), id)
	repair()
	d--
	equal("the withdrawal is back")

	// An item that was there is gone from the tables of one side, as if it had
	// never come.
	for _, s := range []*Site{a, b} {
		for _, kind := range []cases.ItemKind{cases.Open, cases.Answer} {
			id, raw := ids[2], w.raw[s.Node]
			if kind == cases.Open {
				id = ids[opened-1] // the only item of its case
			}
			what := fmt.Sprintf("%s lost an %s", s.Node, kind)
			row := raw.Rows(t, `SELECT id FROM item WHERE case_id = $1 AND kind = $2`, [16]byte(id), int16(kind))
			if len(row) != 1 {
				t.Fatalf("%s: %d items", what, len(row))
			}
			for _, sql := range []string{`DELETE FROM share WHERE item = $1`, `DELETE FROM item WHERE id = $1`} {
				if raw.Exec(t, sql, row[0][0]) == 0 {
					t.Fatalf("%s: %s", what, sql)
				}
			}
			only(what+": between the ends", between(), id)
			if kind == cases.Answer {
				only(what+": recount", w.named(s), id)
			}
			repair()
			equal(what + ", and has it again")
		}
	}

	// A receipt is gone, and with it when its items were held.
	for _, s := range []*Site{a, b} {
		id, raw := ids[4], w.raw[s.Node]
		row := raw.Rows(t, `SELECT c.receipt FROM cover c JOIN item i ON i.id = c.item WHERE i.case_id = $1 AND i.kind = $2 AND c.author <> i.author`, [16]byte(id), int16(cases.Answer))
		if len(row) != 1 {
			t.Fatalf("%d receipts of the answer", len(row))
		}
		covered := len(raw.Rows(t, `SELECT DISTINCT i.case_id FROM cover c JOIN item i ON i.id = c.item WHERE c.receipt = $1`, row[0][0]))
		for _, sql := range []string{`DELETE FROM share WHERE item = $1`, `DELETE FROM cover WHERE receipt = $1`, `DELETE FROM item WHERE id = $1`} {
			if raw.Exec(t, sql, row[0][0]) == 0 {
				t.Fatalf("%s: %s", s.Node, sql)
			}
		}
		if got := w.named(s); len(got) != covered || !got[id] {
			t.Fatalf("%s lost a receipt of %d cases: %v are named", s.Node, covered, got)
		}
		repair()
		equal(s.Node.String() + " has the receipt again")
	}

	// A projection is damaged: the figures differ, and the recount says of which
	// case; folding it again mends it.
	for _, s := range []*Site{a, b} {
		id := ids[3]
		if w.raw[s.Node].Exec(t, `UPDATE case_side SET answered_at = NULL, status = 1, standing = 11 WHERE case_id = $1`, [16]byte(id)) != 1 {
			t.Fatal("nothing damaged")
		}
		p, q := w.feedback(a, originTown, cases.SideOpener), w.feedback(b, y, cases.SideReceiver)
		if p == q {
			t.Fatalf("%s: a damaged projection leaves the figures at %s", s.Node, p)
		}
		only(s.Node.String()+": damaged", w.named(s), id)
		err := s.DB.InExchange(t.Context(), s.Desk.Offices(), func(tx *store.Tx) error {
			cs, err := s.Book.Load(t.Context(), tx, []cases.CaseID{id})
			if err != nil {
				return err
			}
			return s.Book.Project(t.Context(), tx, []*book.Case{cs[id]}, s.Desk.Offices())
		})
		if err != nil {
			t.Fatal(err)
		}
		equal("folded again")
	}
}
