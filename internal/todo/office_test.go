package todo_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/harness"
	"yipan/internal/ident"
	"yipan/internal/people"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
	"yipan/internal/todo"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	origin    = area.MustOf(area.County, "520330")
	residence = area.MustOf(area.County, "330782")
	here      = area.Children(origin)[0]
	there     = area.Children(residence)[0]
	beside    = area.Children(residence)[1]
)

// An office is one node that serves both counties, as clerks see it.
type office struct {
	testing.TB
	*harness.World
	*harness.Site
	raw *storetest.Tables
	n   int
}

func newOffice(t testing.TB) *office {
	t.Helper()
	w, err := harness.NewWorld(t.TempDir(), time.Date(2026, 11, 20, 9, 0, 0, 0, civil.Shanghai))
	if err != nil {
		t.Fatal(err)
	}
	url := storetest.NewURL(t)
	s, err := w.AddSite(storetest.Open(t, url), origin, origin, residence)
	if err != nil {
		t.Fatal(err)
	}
	return &office{TB: t, World: w, Site: s, raw: storetest.Raw(t, url)}
}

func clerk(offices ...area.Key) access.Principal { return harness.Clerk(access.Clerk, offices...) }

func distributor() access.Principal { return harness.Clerk(access.Distributor, residence) }

func person(i int) string {
	return ident.Make("520330", civil.MustParse("1980-01-01").AddDays(i*37), i%400, i%2 == 0)
}

func name(i int) string { return "测试" + string([]rune("甲乙丙丁戊己庚辛壬癸")[i%10]) }

func (o *office) request() string {
	o.n++
	return fmt.Sprintf("request-%06d", o.n)
}

func (o *office) must(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

// open opens an outflow notice about the i-th synthetic person.
func (o *office) open(i int, to area.Key) cases.CaseID {
	o.Helper()
	v, _, err := o.Desk.OpenCase(o.Context(), clerk(here), desk.OpenRequest{
		RequestID: o.request(), Kind: cases.Outflow, Origin: here, Destination: to,
		Fields: desk.FieldsInput{Name: name(i), Document: person(i), EventDay: civil.MustParse("2026-11-10"), Basis: desk.BasisInput{Kind: cases.BasisRequest}},
	})
	o.must(err)
	return v.ID
}

func (o *office) ref(at area.Key, id cases.CaseID) desk.CaseRef {
	o.Helper()
	sides := o.sides(id)
	i := slices.IndexFunc(sides, func(s store.Side) bool { return s.Office == at })
	if i < 0 {
		o.Fatalf("%s does not see case", at)
	}
	return desk.CaseRef{Case: id, Etag: book.Etag(sides[i].Version, sides[i].Rev)}
}

func (o *office) sides(id cases.CaseID) (sides []store.Side) {
	o.Helper()
	o.must(o.DB.InDesk(o.Context(), []area.Key{here, there, beside, residence}, func(tx *store.Tx) (err error) {
		sides, err = tx.SidesOf(o.Context(), []cases.CaseID{id})
		return err
	}))
	return sides
}

func (o *office) pair(at area.Key, id cases.CaseID) cases.PersonID {
	o.Helper()
	r, err := o.Desk.Pair(o.Context(), clerk(at), desk.PairRequest{RequestID: o.request(), Ref: o.ref(at, id)})
	o.must(err)
	return r.Person
}

func (o *office) answer(at area.Key, id cases.CaseID, in desk.AnswerInput) {
	o.Helper()
	_, _, err := o.Desk.Answer(o.Context(), clerk(at), desk.AnswerRequest{RequestID: o.request(), Ref: o.ref(at, id), Answer: in})
	o.must(err)
}

var silent = desk.AnswerInput{Outcome: cases.NoDisclosure, TrueReason: "unavailable"}

// write adds an item to a case as the exchange or another verb would.
func (o *office) write(id cases.CaseID, make func(c *book.Case) book.Entry) {
	o.Helper()
	o.must(o.DB.InDesk(o.Context(), []area.Key{here, there, residence}, func(tx *store.Tx) error {
		cs, err := o.Book.Load(o.Context(), tx, []cases.CaseID{id})
		if err != nil {
			return err
		}
		e := make(cs[id])
		e.Case, e.Head.Round = cs[id], cs[id].State.Current.N
		if _, err := o.Book.Author(o.Context(), tx, []book.Entry{e}); err != nil {
			return err
		}
		return o.Book.Project(o.Context(), tx, []*book.Case{cs[id]}, []area.Key{here, there, residence})
	}))
}

// feedback lets the residence's feedback of a round arrive.
func (o *office) feedback(id cases.CaseID, round uint32) {
	o.Helper()
	o.write(id, func(*book.Case) book.Entry {
		return book.Entry{Head: cases.Head{Kind: cases.Feedback, Side: cases.SideReceiver, OfferRound: round}, Body: cases.Body{Feedback: &cases.FeedbackBody{}}, PadTo: 512}
	})
}

// places gives a notice an address, which a correction brings.
func (o *office) places(id cases.CaseID, i int, at area.Key) {
	o.Helper()
	o.write(id, func(*book.Case) book.Entry {
		return book.Entry{Head: cases.Head{Kind: cases.Correct, Side: cases.SideOpener}, Body: cases.Body{Fields: &cases.Fields{
			Name: name(i), DocumentKind: uint32(ident.KindResident), DocumentNumber: person(i), EventDay: civil.MustParse("2026-11-10"), Place: at,
		}}}
	})
}

// register adds the i-th person to an office's ledger under a name.
func (o *office) register(at area.Key, i int, as string) cases.PersonID {
	o.Helper()
	doc, _, err := ident.Parse(ident.KindAuto, person(i))
	o.must(err)
	birth, _ := doc.Birth()
	var ids []cases.PersonID
	o.must(o.DB.InDesk(o.Context(), []area.Key{at}, func(tx *store.Tx) (err error) {
		ids, _, err = o.People.FindOrAdd(o.Context(), tx, []people.Ref{{Office: at, Doc: doc, Fields: &cases.Fields{Name: as, Sex: uint32(doc.Sex()), Birth: birth}}})
		return err
	}))
	return ids[0]
}

func (o *office) list(p access.Principal, kinds ...todo.Kind) []todo.Entry {
	o.Helper()
	list, next, err := o.Todo.List(o.Context(), p, todo.Query{Kinds: kinds, PageSize: todo.MaxPage, Purpose: "test"})
	o.must(err)
	if next != "" {
		o.Fatal("more than a page")
	}
	return list
}

// waits checks what an office's list holds, as "kind:case" or "kind".
func (o *office) waits(p access.Principal, want ...string) []todo.Entry {
	o.Helper()
	list := o.list(p)
	var got []string
	counted := map[todo.Kind]int64{}
	for _, e := range list {
		s := fmt.Sprint(uint8(e.Kind))
		if !e.Case.IsZero() {
			s += ":" + e.Case.String()[:8]
		}
		got = append(got, s)
		counted[e.Kind]++
		if e.Kind == todo.Offer {
			counted[e.Kind] = e.N
		}
	}
	if !slices.Equal(got, want) {
		o.Fatalf("waits %v, want %v", got, want)
	}
	counts, err := o.Todo.Counts(o.Context(), p, 0)
	o.must(err)
	for _, c := range counts {
		if counted[c.Kind] != c.N || c.More {
			o.Errorf("kind %d: %d listed, %d counted (more %t)", c.Kind, counted[c.Kind], c.N, c.More)
		}
		delete(counted, c.Kind)
	}
	if len(counted) > 0 {
		o.Errorf("not counted: %v", counted)
	}
	return list
}

func mark(k todo.Kind, id cases.CaseID) string { return fmt.Sprintf("%d:%s", k, id.String()[:8]) }

// refused checks an error as a clerk meets it.
func refused(t testing.TB, err error, kind fault.Kind, reason, field string) {
	t.Helper()
	f, ok := fault.As(err)
	if !ok {
		t.Errorf("no fault: %v; want %s", err, reason)
		return
	}
	if f.Kind != kind || f.Reason != reason || f.Field != field {
		t.Errorf("got %s %s on %q, want %s %s on %q", f.Kind, f.Reason, f.Field, kind, reason, field)
	}
	if !strings.ContainsFunc(f.Text, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		t.Errorf("%s has no Chinese text: %q", f.Reason, f.Text)
	}
}
