package harness

import (
	"fmt"
	"path/filepath"
	"testing"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/keys"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/seal"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

// rotating is a town whose index key is being rotated: files of every shape, and
// two processes, of which the second has not learned of the rotation.
type rotating struct {
	*testing.T
	w     *World
	s     *Site
	owner string
	clerk access.Principal
	stale *people.People
	files []filed
	doors map[string]*people.People
	looks int
}

// filed is a file with what finds it.
type filed struct {
	id            cases.PersonID
	doc, former   string
	phone, phone2 string
	told          bool // of whom only a notice told
}

func rotate(t *testing.T, n int) *rotating {
	t.Helper()
	r := &rotating{T: t, owner: storetest.NewURL(t), clerk: Clerk(access.Clerk, originTown)}
	r.w = world(t)
	s, err := r.w.AddSite(storetest.Open(t, r.owner), origin)
	if err != nil {
		t.Fatal(err)
	}
	r.s = s
	// The other replica shares directory of keys and database, and no memory.
	k, err := keys.Open(filepath.Join(r.w.Dir, origin.Short()))
	if err != nil {
		t.Fatal(err)
	}
	r.stale = people.New(people.Config{DB: s.DB, Book: book.New(s.Node, k, s.Journal, s.Directory, r.w.Clock.Now), Keys: k, Now: r.w.Clock.Now, Log: r.w.Log})
	r.doors = map[string]*people.People{"this process": s.People, "another replica": r.stale}
	for i := range n {
		r.add(s.People, i)
	}
	return r
}

func (r *rotating) in(fn func(*store.Tx) error) error {
	return r.s.DB.InDeskAs(r.Context(), r.clerk.ID, []area.Key{originTown}, fn)
}

func docOf(i int) string {
	return ident.Make("520330", civil.MustParse("1980-01-01").AddDays(i/400), i%400, i%2 == 0)
}

// add puts the i-th person into the ledger; every third as a notice tells.
func (r *rotating) add(l *people.People, i int) {
	r.Helper()
	f := filed{doc: docOf(i), phone: fmt.Sprintf("139%08d", i), told: i%3 == 0}
	doc, _, err := ident.Parse(ident.KindAuto, f.doc)
	if err != nil {
		r.Fatal(err)
	}
	err = r.in(func(tx *store.Tx) error {
		if f.told {
			birth, _ := doc.Birth()
			ids, _, err := l.FindOrAdd(r.Context(), tx, []people.Ref{{Office: originTown, Doc: doc, Fields: &cases.Fields{Name: "测试甲", Birth: birth, Contact: f.phone}}})
			if err == nil {
				f.id = ids[0]
			}
			return err
		}
		f.former, f.phone2 = docOf(i+100_000), fmt.Sprintf("138%08d", i)
		former, _, err := ident.Parse(ident.KindAuto, f.former)
		if err != nil {
			return err
		}
		f.id, _, err = l.Register(r.Context(), tx, r.clerk, originTown, ledger.Profile{
			Name:      "测试甲",
			Documents: []ledger.Document{{Kind: doc.Kind, Number: doc.Number}, {Kind: former.Kind, Number: former.Number, Former: true}},
			Contacts:  []ledger.Contact{{Kind: "phone", Value: f.phone, Preference: "any"}, {Kind: "phone", Value: f.phone2, Preference: "any"}},
			Household: fmt.Sprintf("HU-%06d", i/2), Relation: "head", Registered: originTown, Managed: originTown, Living: originTown,
		}, civil.In(r.w.Clock.Now()))
		return err
	})
	if err != nil {
		r.Fatalf("person %d: %v", i, err)
	}
	r.files = append(r.files, f)
}

// complete wants everybody found by document, by both processes, and nobody
// added twice; and a seventh of all, another one each time, found by everything
// that a clerk can type.
func (r *rotating) complete(when string) {
	r.Helper()
	r.looks++
	for name, l := range r.doors {
		found := func(f filed, what string, q people.SearchRequest) {
			q.PageSize = 200
			got, _, err := l.SearchPersons(r.Context(), r.clerk, q)
			if err != nil {
				r.Fatalf("%s, %s: %v", when, name, err)
			}
			for _, s := range got {
				if s.ID == f.id {
					return
				}
			}
			r.Errorf("%s, %s: a person (only told of: %v) is not found by %s", when, name, f.told, what)
		}
		for i, f := range r.files {
			if (i+r.looks)%7 != 0 {
				continue
			}
			found(f, "document", people.SearchRequest{Document: f.doc})
			found(f, "telephone", people.SearchRequest{Phone: f.phone})
			found(f, "last four", people.SearchRequest{Last4: f.doc[14:]})
			if !f.told {
				found(f, "former document", people.SearchRequest{Document: f.former})
				found(f, "former last four", people.SearchRequest{Last4: f.former[14:]})
				found(f, "second telephone", people.SearchRequest{Phone: f.phone2})
			}
		}
		// A notice about each of them finds the file that is there. What it added is
		// rolled back; nothing is.
		undo := fault.Conflict("UNDO", "rolled back")
		err := r.in(func(tx *store.Tx) error {
			var refs []people.Ref
			for _, f := range r.files {
				doc, _, err := ident.Parse(ident.KindAuto, f.doc)
				if err != nil {
					return err
				}
				refs = append(refs, people.Ref{Office: originTown, Doc: doc, Fields: &cases.Fields{Name: "测试甲"}})
			}
			ids, added, err := l.FindOrAdd(r.Context(), tx, refs)
			if err != nil {
				return err
			}
			for i := range ids {
				if ids[i] != r.files[i].id || added[i] {
					r.Errorf("%s, %s: person %d got a second file", when, name, i)
				}
			}
			return undo
		})
		if f, ok := fault.As(err); !ok || f.Reason != "UNDO" {
			r.Fatalf("%s, %s: %v", when, name, err)
		}
	}
}

// use counts the rows under an index key.
func (r *rotating) use(k seal.KeyID) int64 {
	r.Helper()
	n, err := r.s.DB.IndexKeyUse(r.Context(), []area.Key{originTown})
	if err != nil {
		r.Fatal(err)
	}
	return n[k]
}

// SECURITY row 30: a rotation of the index key that is killed, again and again,
// in the middle of a batch leaves search complete at every step; the work goes
// on where it was, and only then the old key is useless.
func TestSecurity30RotationKilledMidwaySearchComplete(t *testing.T) {
	r := rotate(t, 450)
	offices := []area.Key{originTown}
	old := r.s.Keys.Index().ID()
	r.complete("before")
	if n, err := r.s.People.Reindex(t.Context(), offices); n != 0 || err != nil {
		t.Errorf("without a rotation: %d, %v", n, err)
	}

	if err := r.s.Keys.Rotate(seal.UseIndex, r.w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	if r.s.Keys.Index().ID() == old {
		t.Fatal("the key is the same")
	}
	r.complete("after the rotation")
	for i := range 6 { // both processes go on
		r.add(r.s.People, 1000+i)
		r.add(r.stale, 2000+i)
	}
	r.complete("with new files under both keys")

	// The server ends the connection while the 250th file is being written.
	raw := storetest.Raw(t, r.owner)
	for _, sql := range []string{
		`CREATE SEQUENCE killed`, `GRANT USAGE ON SEQUENCE killed TO yipan_exchange`,
		`CREATE FUNCTION kill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('killed') % 250 = 0 THEN RAISE EXCEPTION USING ERRCODE = '57P01', MESSAGE = 'killed'; END IF; RETURN NEW; END $$`,
		`CREATE TRIGGER kill BEFORE UPDATE OF index_key ON person FOR EACH ROW EXECUTE FUNCTION kill()`,
	} {
		raw.Exec(t, sql)
	}
	before, kills := r.use(old), 0
	for range 10 {
		n, err := r.s.People.Reindex(t.Context(), offices)
		if err == nil {
			break
		}
		kills++
		left := r.use(old)
		if left == 0 || left > before || n > 0 && left == before {
			t.Errorf("killed after %d files: %d rows of %d under the old key", n, left, before)
		}
		before = left
		r.complete(fmt.Sprintf("killed %d times", kills))
		r.w.Start(r.s, r.s.DB) // the next process knows nothing of it
		r.doors["this process"] = r.s.People
	}
	if kills < 2 {
		t.Errorf("killed %d times only", kills)
	}
	raw.Exec(t, `DROP TRIGGER kill ON person`)
	for range 3 {
		if _, err := r.s.People.Reindex(t.Context(), offices); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.use(old); n != 0 {
		t.Errorf("%d rows are left under the old key", n)
	}
	r.complete("when all is done")

	// The other replica learns of it only now, by the turn of its own job.
	if n, err := r.stale.Reindex(t.Context(), offices); n != 0 || err != nil {
		t.Errorf("the other replica rewrote %d files, %v", n, err)
	}
	if err := r.s.Keys.Remove(seal.UseIndex, old); err != nil {
		t.Fatal(err)
	}
	r.complete("without the old key")
	if err := r.stale.Keys.Reload(); err != nil {
		t.Fatal(err)
	}
	r.complete("without the old key anywhere")
}

// Two processes register one person at the very instant of the rotation, each
// under its own key. Both files are found by the document afterwards, and
// proposed as duplicates.
func TestRotationRaceIsProposedAsDuplicate(t *testing.T) {
	r := rotate(t, 3)
	if err := r.s.Keys.Rotate(seal.UseIndex, r.w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	doc, _, err := ident.Parse(ident.KindAuto, docOf(77))
	if err != nil {
		t.Fatal(err)
	}
	register := func(l *people.People, tx *store.Tx) (cases.PersonID, error) {
		id, _, err := l.Register(t.Context(), tx, r.clerk, originTown, ledger.Profile{
			Name: "测试甲", Documents: []ledger.Document{{Kind: doc.Kind, Number: doc.Number}}, Registered: originTown, Managed: originTown, Living: originTown,
		}, civil.In(r.w.Clock.Now()))
		return id, err
	}
	var first, second cases.PersonID
	err = r.in(func(tx *store.Tx) (err error) {
		if first, err = register(r.stale, tx); err != nil {
			return err
		}
		return r.in(func(tx *store.Tx) (err error) {
			second, err = register(r.s.People, tx)
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.s.People.Reindex(t.Context(), []area.Key{originTown}); err != nil {
			t.Fatal(err)
		}
	}
	got, _, err := r.s.People.SearchPersons(t.Context(), r.clerk, people.SearchRequest{Document: doc.Number})
	if err != nil || len(got) != 2 {
		t.Errorf("%d files are found by the document, %v", len(got), err)
	}
	list, _, err := r.s.People.ListDuplicates(t.Context(), r.clerk, people.DuplicatesRequest{Office: originTown})
	if err != nil || len(list) != 1 || first == second {
		t.Errorf("%d proposals, %v", len(list), err)
	}
}

// A request that is repeated across the rotation is the same request.
func TestRotationKeepsRequests(t *testing.T) {
	r := rotate(t, 1)
	consent := desk.ConsentRequest{
		RequestID: "consent-0001", Office: originTown, Person: desk.PersonRef{Name: "测试甲", Document: docOf(0)},
		Consent: desk.Consent{Recipient: residence, Purpose: ledger.PurposeNotice, TextVersion: "1", TextHash: [32]byte{1}, GivenHow: "paper"},
	}
	open := notice(1, towns(t, residence, 1)[0])
	act := func() (cases.ConsentID, cases.CaseID) {
		t.Helper()
		c, err := r.s.Desk.RecordConsent(t.Context(), r.clerk, consent)
		if err != nil {
			t.Fatalf("consent: %v", err)
		}
		got, err := r.s.Desk.OpenCases(t.Context(), r.clerk, []desk.OpenRequest{open})
		if err != nil || got[0].Err != nil {
			t.Fatalf("open: %v, %v", err, got)
		}
		return c.ID, got[0].Case
	}
	id, opened := act()
	if err := r.s.Keys.Rotate(seal.UseIndex, r.w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	again, openedAgain := act()
	if again != id || openedAgain != opened {
		t.Error("a repeated request did something else")
	}
}

// A notice that waits for its person under the old key is paired with who is
// registered under the new one.
func TestRotationKeepsNoticesWaiting(t *testing.T) {
	w := world(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	y := towns(t, residence, 1)[0]
	offices := []area.Key{y}
	req := notice(1, y)
	opened, err := a.Desk.OpenCases(t.Context(), Clerk(access.Clerk, originTown), []desk.OpenRequest{req})
	if err != nil || opened[0].Err != nil {
		t.Fatal(err, opened)
	}
	if err := w.Settle(t.Context(), 20); err != nil {
		t.Fatal(err)
	}
	pair := func() int64 {
		t.Helper()
		n, err := b.Desk.PairOpen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	old := b.Keys.Index().ID()
	waiting := func() int64 {
		t.Helper()
		n, err := b.DB.IndexKeyUse(t.Context(), offices)
		if err != nil {
			t.Fatal(err)
		}
		return n[old]
	}
	if n := pair(); n != 0 || waiting() != 1 {
		t.Fatalf("%d paired, %d waiting", n, waiting())
	}
	if err := b.Keys.Rotate(seal.UseIndex, w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	doc, _, err := ident.Parse(ident.KindAuto, req.Fields.Document)
	if err != nil {
		t.Fatal(err)
	}
	clerk := Clerk(access.Clerk, y)
	err = b.DB.InDeskAs(t.Context(), clerk.ID, offices, func(tx *store.Tx) error {
		_, _, err := b.People.Register(t.Context(), tx, clerk, y, ledger.Profile{
			Name: req.Fields.Name, Documents: []ledger.Document{{Kind: doc.Kind, Number: doc.Number}}, Registered: originTown, Managed: y, Living: y,
		}, civil.In(w.Clock.Now()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.People.Reindex(t.Context(), offices); err != nil {
		t.Fatal(err)
	}
	if n := pair(); n != 1 || waiting() != 0 {
		t.Errorf("%d paired, %d waiting under the old key", n, waiting())
	}
}
