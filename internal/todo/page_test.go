package todo_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/store"
	"yipan/internal/todo"
)

// fill makes rows of cases without items, as many as a busy office has.
const fill = `INSERT INTO case_side (case_id, office, side, kind, x, y, status, waiting, round, opened_at, round_at, due_at, answered_at, person, flags, version)
    SELECT md5($1::text || n)::uuid, $2, $3, 1, $4, $5, $6, 1, 1, now(), now(), $7::timestamptz + n * interval '1 second', $8::timestamptz, NULL, 0, 1 FROM generate_series(1, $9::int) n`

// TestPages: pages of any size, over two offices and every kind of entry, hold
// each entry once and in order, while others come, go and change their kind.
func TestPages(t *testing.T) {
	o := newOffice(t)
	p := clerk(here, there)
	var waiting []cases.CaseID
	for i := range 24 {
		to := there
		if i%3 == 0 {
			to = beside
		}
		id := o.open(i, to)
		switch {
		case to == beside:
			o.answer(beside, id, silent)
		case i%2 == 0:
			o.pair(there, id)
		}
		waiting = append(waiting, id)
		if i%5 == 0 {
			o.Clock.Add(26 * time.Hour)
		}
	}
	a, b := o.register(there, 301, name(1)), o.register(there, 302, name(2))
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	o.raw.Exec(t, `INSERT INTO duplicate (a, b, office, score, reasons, at) VALUES ($1, $2, $3, 90, 1, $4)`, [16]byte(a), [16]byte(b), int64(there), o.Clock.Now())
	for n := range 5 {
		o.must(o.DB.InDesk(t.Context(), []area.Key{there}, func(tx *store.Tx) error {
			day := civil.In(o.Clock.Now()).AddDays(10 - 1096 + n/2*3)
			return tx.AddCertificates(t.Context(), []store.Certificate{{ID: [16]byte{byte(9 - n)}, Office: there, Person: o.register(there, 310+n, name(n)), AskedOn: day, IssuedOn: day}})
		}))
	}
	whole := o.list(p)
	if len(whole) != 24+1+5 {
		t.Fatalf("%d entries", len(whole))
	}
	late := false
	for i, e := range whole {
		if late = late || e.DueAt.IsZero(); late != e.DueAt.IsZero() || i > 0 && !late && e.DueAt.Before(whole[i-1].DueAt) {
			t.Errorf("entry %d out of order", i)
		}
	}
	key := func(e todo.Entry) string { return fmt.Sprint(e.Kind, e.Case, e.Refs) }
	for _, size := range []int{1, 2, 7, 30} {
		var got []string
		q := todo.Query{PageSize: size}
		for {
			list, next, err := o.Todo.List(t.Context(), p, q)
			o.must(err)
			for _, e := range list {
				got = append(got, key(e))
			}
			if q.PageToken = next; next == "" {
				break
			}
		}
		var want []string
		for _, e := range whole {
			want = append(want, key(e))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d:\n%s", size, diff)
		}
	}

	// Between pages somebody works: what waits all the time stands once.
	seen := map[cases.CaseID]int{}
	touched := map[cases.CaseID]bool{}
	q := todo.Query{PageSize: 4}
	for n := 0; ; n++ {
		list, next, err := o.Todo.List(t.Context(), p, q)
		o.must(err)
		for _, e := range list {
			if !e.Case.IsZero() {
				seen[e.Case]++
			}
		}
		if q.PageToken = next; next == "" {
			break
		}
		entry := whole[(n*5+2)%len(whole)]
		switch entry.Kind {
		case todo.Pair: // changes its kind, not its time
			o.pair(there, entry.Case)
		case todo.Answer:
			touched[entry.Case] = true
			o.answer(there, entry.Case, silent)
		case todo.ReadAnswer:
			touched[entry.Case] = true
			_, err := o.Desk.AcknowledgeCase(t.Context(), clerk(here), desk.AcknowledgeRequest{RequestID: o.request(), Ref: o.ref(here, entry.Case)})
			o.must(err)
		}
		touched[o.open(100+n, there)] = true
	}
	for _, id := range waiting {
		if seen[id] != 1 && !touched[id] {
			t.Errorf("a case that waited all the time was listed %d times", seen[id])
		}
	}
	if len(touched) < 8 {
		t.Errorf("only %d cases changed meanwhile", len(touched))
	}
}

// TestCaps: counts stop at a thousand and say so, each kind and what is overdue.
func TestCaps(t *testing.T) {
	o := newOffice(t)
	now := o.Clock.Now()
	o.raw.Exec(t, fill, "late", int64(there), 2, int64(here), int64(there), 1, now.Add(-24*time.Hour), nil, 1000)
	o.raw.Exec(t, fill, "open", int64(there), 2, int64(here), int64(there), 1, now.Add(24*time.Hour), nil, 200)
	o.raw.Exec(t, fill, "read", int64(there), 1, int64(there), int64(here), 2, now.Add(-24*time.Hour), now.Add(-48*time.Hour), 1000)
	count := func(want ...todo.Count) {
		t.Helper()
		got, err := o.Todo.Counts(t.Context(), clerk(there), 0)
		o.must(err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	count(todo.Count{Kind: todo.Pair, N: 1000, More: true, Overdue: 1000}, todo.Count{Kind: todo.ReadAnswer, N: 1000})
	o.raw.Exec(t, `UPDATE case_side SET person = gen_random_uuid() WHERE case_id = md5('open1')::uuid`)
	o.raw.Exec(t, `DELETE FROM case_side WHERE case_id IN (SELECT md5('late' || n)::uuid FROM generate_series(1, 300) n)`)
	count(todo.Count{Kind: todo.Pair, N: 899, Overdue: 700}, todo.Count{Kind: todo.Answer, N: 1}, todo.Count{Kind: todo.ReadAnswer, N: 1000})
	// Two offices together stop there too.
	o.raw.Exec(t, fill, "more", int64(beside), 2, int64(here), int64(beside), 1, now.Add(-24*time.Hour), nil, 400)
	got, err := o.Todo.Counts(t.Context(), clerk(there, beside), 0)
	o.must(err)
	if got[0] != (todo.Count{Kind: todo.Pair, N: 1000, More: true, Overdue: 1000}) {
		t.Errorf("together %+v", got[0])
	}
}

// logged returns the events of a call: who was in each, and how many events.
func (o *office) logged(call func()) (verbs []string, who [][16]byte) {
	o.Helper()
	last := o.raw.Rows(o.TB, `SELECT coalesce(max(id), 0) FROM access_log`)[0][0].(int64)
	call()
	for _, r := range o.raw.Rows(o.TB, `SELECT verb, subjects, n FROM access_log WHERE id > $1 ORDER BY id`, last) {
		verbs = append(verbs, r[0].(string))
		if list := r[1].([]any); int(r[2].(int32)) != len(list) {
			o.Errorf("an event of %d subjects says %d", len(list), r[2])
		} else {
			for _, s := range list {
				who = append(who, s.([16]byte))
			}
		}
	}
	slices.SortFunc(who, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	return verbs, who
}

// TestSecurity36TodoPersonsShownEqualPersonsLogged: row 36, for every method of
// the list.
func TestSecurity36TodoPersonsShownEqualPersonsLogged(t *testing.T) {
	o := newOffice(t)
	p := clerk(there)
	unpaired, paired, feed := o.open(1, there), o.open(2, there), o.open(3, there)
	who := o.pair(there, paired)
	a, b := o.register(there, 5, name(5)), o.register(there, 1, name(1))
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	o.answer(there, feed, silent)
	o.raw.Exec(t, `INSERT INTO duplicate (a, b, office, score, reasons) VALUES ($1, $2, $3, 90, 1)`, [16]byte(a), [16]byte(b), int64(there))
	o.raw.Exec(t, `INSERT INTO approval (id, office, kind, about, detail, asked_by) VALUES (gen_random_uuid(), $1, 1, $2, $3, 'another')`, int64(there), [16]byte(who), int64(here))
	check := func(what string, events int, want [][16]byte, call func() error) {
		t.Helper()
		verbs, got := o.logged(func() { o.must(call()) })
		slices.SortFunc(want, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
		if diff := cmp.Diff(want, got); diff != "" || len(verbs) != events {
			t.Errorf("%s: %d events; shown and logged differ:\n%s", what, len(verbs), diff)
		}
	}
	list := func(p access.Principal, q todo.Query) func() error {
		return func() error { _, _, err := o.Todo.List(t.Context(), p, q); return err }
	}
	check("ListTodos", 1, [][16]byte{unpaired, who, a, b}, list(p, todo.Query{}))
	check("ListTodos, first page", 1, [][16]byte{unpaired}, list(p, todo.Query{Kinds: []todo.Kind{todo.Pair}, PageSize: 1}))
	check("ListTodos, nothing", 1, nil, list(p, todo.Query{Kinds: []todo.Kind{todo.Certificate}}))
	check("ListTodos, nothing at two offices", 2, nil, list(clerk(here, there), todo.Query{Kinds: []todo.Kind{todo.Certificate}}))
	check("CountTodos", 0, nil, func() error { _, err := o.Todo.Counts(t.Context(), p, 0); return err })
	var plan todo.Plan
	preview := func(p access.Principal, r todo.PreviewRequest) func() error {
		return func() (err error) { plan, err = o.Todo.Preview(t.Context(), p, r); return err }
	}
	one := o.register(there, 1, name(1))
	check("PreviewAction, pair", 1, [][16]byte{unpaired, one}, preview(p, todo.PreviewRequest{Action: todo.PairCertain}))
	verbs, got := o.logged(func() {
		_, done, err := o.Todo.Apply(t.Context(), p, o.request(), plan.Token)
		o.must(err)
		if len(done) != 1 || done[0].Reason != "" {
			t.Errorf("done %+v", done)
		}
	})
	if len(got) == 0 || slices.ContainsFunc(got, func(w [16]byte) bool { return w != [16]byte(one) }) {
		t.Errorf("ApplyAction logged %d of %v", len(got), verbs)
	}
	opener := o.sides(feed)
	i := slices.IndexFunc(opener, func(s store.Side) bool { return s.Office == here })
	check("PreviewAction, acknowledge", 1, [][16]byte{desk.SubjectOf(&opener[i])}, preview(clerk(here), todo.PreviewRequest{Action: todo.Acknowledge}))
	ref := o.ref(here, feed)
	check("AcknowledgeCase", 1, [][16]byte{desk.SubjectOf(&opener[i])}, func() error {
		_, err := o.Desk.AcknowledgeCase(t.Context(), clerk(here), desk.AcknowledgeRequest{RequestID: o.request(), Ref: ref})
		return err
	})
	check("denied", 1, nil, func() error { _ = list(clerk(there), todo.Query{Office: here})(); return nil })
}
