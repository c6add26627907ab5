package todo_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/harness"
	"yipan/internal/todo"
)

func auditor(offices ...area.Key) access.Principal { return harness.Clerk(access.Auditor, offices...) }

func (o *office) audit(p access.Principal, q todo.AuditQuery) []todo.AccessEvent {
	o.Helper()
	var out []todo.AccessEvent
	for pages := 0; ; pages++ {
		list, next, err := o.Todo.Access(o.Context(), p, q)
		o.must(err)
		out = append(out, list...)
		if q.PageToken = next; next == "" {
			return out
		}
		if pages > 100 {
			o.Fatal("the log does not end")
		}
	}
}

func TestAudit(t *testing.T) {
	o := newOffice(t)
	id := o.open(1, there)
	read := func(p access.Principal, purpose string) {
		t.Helper()
		_, err := o.Desk.GetCase(t.Context(), p, desk.GetRequest{Case: id, Purpose: purpose})
		o.must(err)
	}
	read(clerk(there), "first")
	second := clerk(there)
	second.ID = "second-clerk"
	read(second, "second")
	read(clerk(here), "elsewhere")
	_, _, err := o.Todo.List(t.Context(), second, todo.Query{Office: here}) // foreign
	if !fault.Is(err, fault.KindDenied) {
		t.Fatal(err)
	}

	p := auditor(there)
	purposes := func(q todo.AuditQuery) (out []string) {
		t.Helper()
		for _, e := range o.audit(p, q) {
			if e.Office != there {
				t.Errorf("an event of %s", e.Office)
			}
			if e.Verb != string(access.LogRead) {
				out = append(out, e.Account+" "+e.Purpose)
			}
		}
		return out
	}
	both := []string{"second-clerk second", "clerk-test first"} // newest first
	for _, tt := range []struct {
		name string
		q    todo.AuditQuery
		want []string
	}{
		{"all", todo.AuditQuery{}, both},
		{"an event a page", todo.AuditQuery{PageSize: 1}, both},
		{"an office", todo.AuditQuery{Office: there}, both},
		{"an account", todo.AuditQuery{Account: "second-clerk"}, both[:1]},
		{"nobody", todo.AuditQuery{Account: "third"}, nil},
		{"a notice", todo.AuditQuery{Subject: [16]byte(id)}, both},
		{"somebody else", todo.AuditQuery{Subject: [16]byte{1}}, nil},
		{"since", todo.AuditQuery{From: time.Now().Add(time.Hour)}, nil},
		{"until", todo.AuditQuery{To: time.Now().Add(-time.Hour)}, nil},
		{"around", todo.AuditQuery{From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour)}, both},
	} {
		if diff := cmp.Diff(tt.want, purposes(tt.q)); diff != "" {
			t.Errorf("%s:\n%s", tt.name, diff)
		}
	}
	if e := o.audit(auditor(here), todo.AuditQuery{Denied: true}); len(e) != 1 || !e[0].Denied || e[0].Account != "second-clerk" || e[0].N != 0 {
		t.Errorf("denials %+v", e)
	}

	// The reading is an event of its own, without persons.
	verbs, who := o.logged(func() { o.audit(p, todo.AuditQuery{Office: there, PageSize: 500}) })
	if !slices.Equal(verbs, []string{string(access.LogRead)}) || len(who) != 0 {
		t.Errorf("reading left %v about %d", verbs, len(who))
	}
	if e := o.audit(p, todo.AuditQuery{Account: p.ID}); len(e) == 0 {
		t.Error("an auditor's own reading is not in the log")
	}

	for _, role := range access.Roles() {
		if role != access.Auditor {
			_, _, err := o.Todo.Access(t.Context(), harness.Clerk(role, there), todo.AuditQuery{})
			refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
		}
	}
	for _, q := range []struct {
		q             todo.AuditQuery
		kind          fault.Kind
		reason, field string
	}{
		{todo.AuditQuery{Office: here}, fault.KindDenied, "FOREIGN_OFFICE", "office"},
		{todo.AuditQuery{PageSize: 1001}, fault.KindInvalid, "PAGE_SIZE", "page_size"},
		{todo.AuditQuery{PageToken: "!"}, fault.KindInvalid, "PAGE_TOKEN", "page_token"},
		{todo.AuditQuery{PageToken: "-1"}, fault.KindInvalid, "PAGE_TOKEN", "page_token"},
		{todo.AuditQuery{From: time.Now(), To: time.Now().Add(-time.Second)}, fault.KindInvalid, "TIME_RANGE", "to"},
	} {
		_, _, err := o.Todo.Access(t.Context(), p, q.q)
		refused(t, err, q.kind, q.reason, q.field)
	}
}

// TestAuditLongLog: what is rare in a long log is found over several short pages,
// and an event shows at most a hundred of its persons.
func TestAuditLongLog(t *testing.T) {
	o := newOffice(t)
	p := auditor(there)
	rare := cases.PersonID{7}
	add := func(n int, account string, subjects [][16]byte) {
		o.raw.Exec(t, `INSERT INTO access_log (account, office, verb, subjects, n) SELECT $1, $2, 'person.open', $3, cardinality($3::uuid[]) FROM generate_series(1, $4::int)`,
			account, int64(there), subjects, n)
	}
	add(3, "x", [][16]byte{rare})
	add(230_000, "y", [][16]byte{{1}})
	many := make([][16]byte, 150)
	for i := range many {
		many[i] = [16]byte{9, byte(i)}
	}
	add(1, "z", many)
	first, next, err := o.Todo.Access(t.Context(), p, todo.AuditQuery{Subject: rare})
	o.must(err)
	if len(first) != 0 || next == "" {
		t.Errorf("first page: %d events, next %q", len(first), next)
	}
	if e := o.audit(p, todo.AuditQuery{Subject: rare}); len(e) != 3 {
		t.Errorf("%d events about one person", len(e))
	}
	if e := o.audit(p, todo.AuditQuery{Subject: many[140]}); len(e) != 1 || len(e[0].Subjects) != 100 || e[0].N != 150 {
		t.Errorf("a long event: %s", fmt.Sprint(len(e)))
	}
}
