package people_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/harness"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	county = area.MustOf(area.County, "520330")
	other  = area.MustOf(area.County, "330782")
	here   = area.Children(county)[0]
	beside = area.Children(county)[1]
	away   = area.Children(other)[0]
)

// office is one node that serves the two counties, and the people of a test.
type office struct {
	testing.TB
	*harness.World
	*harness.Site
	url string
	n   int
}

func newOffice(t testing.TB) *office {
	t.Helper()
	w, err := harness.NewWorld(t.TempDir(), time.Date(2026, 11, 20, 9, 0, 0, 0, civil.Shanghai))
	if err != nil {
		t.Fatal(err)
	}
	url := storetest.NewURL(t)
	s, err := w.AddSite(storetest.Open(t, url), county, county, other)
	if err != nil {
		t.Fatal(err)
	}
	return &office{TB: t, World: w, Site: s, url: url}
}

// account is a named clerk of an office, as the account table has it.
func (o *office) account(name string, offices ...area.Key) access.Principal {
	o.Helper()
	err := o.DB.PutAccount(o.Context(), store.Account{ID: name, Role: access.Clerk, Offices: offices, GrantedBy: []string{"one", "two"}})
	if err != nil {
		o.Fatal(err)
	}
	return access.Principal{ID: name, Role: access.Clerk, Offices: offices}
}

func (o *office) request() string {
	o.n++
	return fmt.Sprintf("request-%06d", o.n)
}

// number is a synthetic resident ID of a woman born on 1990-02-(n%28+1).
func number(n int) string {
	return ident.Make("520330", civil.Date{Year: 1990, Month: 2, Day: n%28 + 1}, n, false)
}

// somebody is a person as typed.
func somebody(n int) people.Profile {
	return people.Profile{
		Name:       "测试" + string([]rune("甲乙丙丁戊己庚辛壬癸")[n%10]),
		Documents:  []ledger.Document{{Number: number(n)}},
		Registered: here, Managed: here, Living: area.MustOf(area.Village, here.Short()+"001"),
		Contacts: []ledger.Contact{{Value: fmt.Sprintf("1380000%04d", n), Safe: true}},
	}
}

func (o *office) register(p access.Principal, f people.Profile) people.Registered {
	o.Helper()
	got, err := o.People.RegisterPerson(o.Context(), p, people.RegisterRequest{RequestID: o.request(), Profile: f})
	if err != nil {
		o.Fatalf("register: %v", err)
	}
	return got
}

func (o *office) get(p access.Principal, id cases.PersonID) people.File {
	o.Helper()
	f, _, err := o.People.GetPerson(o.Context(), p, id, "test")
	if err != nil {
		o.Fatalf("get: %v", err)
	}
	return f
}

// edit changes the named fields as the file is now.
func (o *office) edit(p access.Principal, id cases.PersonID, f people.Profile, fields ...string) people.Updated {
	o.Helper()
	got, err := o.People.UpdatePerson(o.Context(), p, people.UpdateRequest{RequestID: o.request(), Person: id, Etag: o.get(p, id).Etag, Profile: f, Fields: fields})
	if err != nil {
		o.Fatalf("update: %v", err)
	}
	return got
}

// connect returns a connection as the owner, past row-level security.
func (o *office) connect() *pgx.Conn {
	o.Helper()
	c, err := pgx.Connect(o.Context(), o.url)
	if err != nil {
		o.Fatal(err)
	}
	o.Cleanup(func() { _ = c.Close(o.TB.Context()) })
	return c
}

func (o *office) count(sql string, args ...any) (n int) {
	o.Helper()
	if err := o.connect().QueryRow(o.Context(), sql, args...).Scan(&n); err != nil {
		o.Fatal(err)
	}
	return n
}

// logged returns the newest event of an account for a verb.
func (o *office) logged(p access.Principal, v access.Verb) (subjects []cases.PersonID, events int) {
	o.Helper()
	c := o.connect()
	var ids [][16]byte
	err := c.QueryRow(o.Context(), `SELECT subjects, (SELECT count(*) FROM access_log WHERE account = $1 AND verb = $2) FROM access_log
		WHERE account = $1 AND verb = $2 ORDER BY id DESC LIMIT 1`, p.ID, string(v)).Scan(&ids, &events)
	if err != nil {
		o.Fatal(err)
	}
	for _, id := range ids {
		subjects = append(subjects, id)
	}
	return subjects, events
}

func wantFault(t testing.TB, err error, kind fault.Kind, reason, field string) {
	t.Helper()
	f, ok := fault.As(err)
	if !ok || f.Kind != kind || f.Reason != reason || f.Field != field {
		t.Errorf("%v (field %q), want %v %s on %q", err, fieldOf(f), kind, reason, field)
		return
	}
	if f.Text == "" {
		t.Errorf("%s has no Chinese text", reason)
	}
}

func fieldOf(f *fault.Error) string {
	if f == nil {
		return ""
	}
	return f.Field
}

func found(lines []people.Summary) []cases.PersonID {
	out := []cases.PersonID{}
	for _, s := range lines {
		out = append(out, s.ID)
	}
	slices.SortFunc(out, func(a, b cases.PersonID) int { return slices.Compare(a[:], b[:]) })
	return out
}

// txErase erases a person as the node does.
func txErase(t testing.TB, o *office, id cases.PersonID) func(*store.Tx) error {
	return func(tx *store.Tx) error { return o.Book.ErasePerson(t.Context(), tx, here, id) }
}
