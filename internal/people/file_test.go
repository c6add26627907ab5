package people_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/people"
)

// badCheck is a number whose check digit fails.
func badCheck(n int) string {
	s := number(n)
	last := byte('0')
	if s[17] == '0' {
		last = '1'
	}
	return s[:17] + string(last)
}

func TestRegisterRefuses(t *testing.T) {
	o := newOffice(t)
	p := o.account("clerk-a", here)
	village := func(code string) area.Key { return area.MustOf(area.Village, code) }
	for _, tt := range []struct {
		name   string
		change func(*people.RegisterRequest)
		reason string
		field  string
	}{
		{"no name", func(r *people.RegisterRequest) { r.Profile.Name = " " }, "REQUIRED", "profile.name"},
		{"an endless name", func(r *people.RegisterRequest) { r.Profile.Name = strings.Repeat("测", 61) }, "NAME_LENGTH", "profile.name"},
		{"a line break", func(r *people.RegisterRequest) { r.Profile.Name = "测试\n甲" }, "NAME_CHARACTERS", "profile.name"},
		{"an empty former name", func(r *people.RegisterRequest) { r.Profile.FormerNames = []string{""} }, "REQUIRED", "profile.former_names"},
		{"too many former names", func(r *people.RegisterRequest) { r.Profile.FormerNames = make([]string, 11) }, "TOO_MANY", "profile.former_names"},
		{"zeros", func(r *people.RegisterRequest) { r.Profile.Documents[0].Number = strings.Repeat("0", 18) }, "ID_DUMMY", "profile.documents[0].number"},
		{"a dummy date", func(r *people.RegisterRequest) { r.Profile.Documents[0].Number = "000000199001010000" }, "ID_DUMMY", "profile.documents[0].number"},
		{"a rounded number", func(r *people.RegisterRequest) { r.Profile.Documents[0].Number = "5.2033019900101E+17" }, "ID_NUMERIC", "profile.documents[0].number"},
		{"a failed check digit", func(r *people.RegisterRequest) { r.Profile.Documents[0].Number = badCheck(1) }, "ID_CHECK_DIGIT", "profile.documents[0].number"},
		{"another kind", func(r *people.RegisterRequest) { r.Profile.Documents[0].Kind = ident.KindHMT }, "ID_KIND", "profile.documents[0].number"},
		{"a number and none", func(r *people.RegisterRequest) {
			r.Profile.Documents = append(r.Profile.Documents, ledger.Document{Kind: ident.KindNone})
		}, "ID_UNEXPECTED", "profile.documents[1]"},
		{"twice the same", func(r *people.RegisterRequest) {
			r.Profile.Documents = append(r.Profile.Documents, r.Profile.Documents[0])
		}, "DOCUMENT_TWICE", "profile.documents[1]"},
		{"another birth date", func(r *people.RegisterRequest) { r.Profile.Birth = civil.MustParse("1970-01-01") }, "BIRTH_MISMATCH", "profile.birth_date"},
		{"born tomorrow", func(r *people.RegisterRequest) {
			r.Profile.Documents, r.Profile.Birth = nil, civil.MustParse("2026-11-21")
		}, "FUTURE_DATE", "profile.birth_date"},
		{"no sex code", func(r *people.RegisterRequest) { r.Profile.Sex = 3 }, "SEX_CODE", "profile.sex"},
		{"no marital code", func(r *people.RegisterRequest) { r.Profile.Marital = 24 }, "MARITAL_CODE", "profile.marital_status"},
		{"an unknown area", func(r *people.RegisterRequest) { r.Profile.Living = area.MustOf(area.Township, "520330999") }, "AREA_UNKNOWN", "profile.living"},
		{"a village without digits", func(r *people.RegisterRequest) { r.Profile.Living = village(here.Short() + "000") }, "AREA_UNKNOWN", "profile.living"},
		{"a village of nowhere", func(r *people.RegisterRequest) { r.Profile.Managed = village("520330999001") }, "AREA_UNKNOWN", "profile.managed"},
		{"living in a county", func(r *people.RegisterRequest) { r.Profile.Living = county }, "AREA_LEVEL", "profile.living"},
		{"managed by a county", func(r *people.RegisterRequest) { r.Profile.Managed = county }, "AREA_LEVEL", "profile.managed"},
		{"registered in a province", func(r *people.RegisterRequest) { r.Profile.Registered = county.Cut(area.Province) }, "AREA_LEVEL", "profile.registered"},
		{"an endless address", func(r *people.RegisterRequest) { r.Profile.Address = strings.Repeat("路", 101) }, "TEXT_LENGTH", "profile.address"},
		{"no such contact", func(r *people.RegisterRequest) { r.Profile.Contacts[0].Kind = "pigeon" }, "CONTACT_KIND", "profile.contacts[0].kind"},
		{"no such preference", func(r *people.RegisterRequest) { r.Profile.Contacts[0].Preference = "never" }, "CONTACT_PREFERENCE", "profile.contacts[0].preference"},
		{"an empty contact", func(r *people.RegisterRequest) { r.Profile.Contacts[0].Value = " " }, "REQUIRED", "profile.contacts[0].value"},
		{"letters as telephone", func(r *people.RegisterRequest) { r.Profile.Contacts[0].Value = "一三八" }, "PHONE_FORMAT", "profile.contacts[0].value"},
		{"a short household", func(r *people.RegisterRequest) { r.Profile.Household = "户1" }, "HOUSEHOLD", "profile.household"},
		{"a relation to nobody", func(r *people.RegisterRequest) { r.Profile.Relation = "head" }, "HOUSEHOLD", "profile.household_relation"},
		{"an unknown relation", func(r *people.RegisterRequest) { r.Profile.Household, r.Profile.Relation = "户口簿00001", "boss" }, "HOUSEHOLD_RELATION", "profile.household_relation"},
		{"tomorrow", func(r *people.RegisterRequest) { r.On = civil.MustParse("2026-11-21") }, "FUTURE_DATE", "event_date"},
		{"before birth", func(r *people.RegisterRequest) { r.On = civil.MustParse("1980-01-01") }, "EVENT_BEFORE_BIRTH", "event_date"},
		{"a short request id", func(r *people.RegisterRequest) { r.RequestID = "x" }, "REQUEST_ID", "request_id"},
	} {
		r := people.RegisterRequest{RequestID: o.request(), Profile: somebody(1)}
		tt.change(&r)
		_, err := o.People.RegisterPerson(t.Context(), p, r)
		t.Run(tt.name, func(t *testing.T) { wantFault(t, err, fault.KindInvalid, tt.reason, tt.field) })
	}
	r := people.RegisterRequest{RequestID: o.request(), Office: beside, Profile: somebody(1)}
	_, err := o.People.RegisterPerson(t.Context(), p, r)
	wantFault(t, err, fault.KindDenied, "FOREIGN_OFFICE", "office")
	if n := o.count("SELECT count(*) FROM person"); n != 0 {
		t.Errorf("%d people were registered all the same", n)
	}
	if n := o.count("SELECT count(*) FROM request"); n != 0 {
		t.Errorf("%d request ids were spent on refusals", n)
	}
}

func TestRegisterDerives(t *testing.T) {
	o := newOffice(t)
	p := o.account("clerk-a", here)
	for _, tt := range []struct {
		name     string
		doc      ledger.Document
		profile  func(*people.Profile)
		kind     ident.Kind
		sex      uint32
		birth    string
		hint     string
		hintName string // what it holds
		warns    string // what some warning holds; empty: none at all
	}{
		{name: "resident", doc: ledger.Document{Number: "11010519491231002X"}, kind: ident.KindResident, sex: 2, birth: "1949-12-31", hint: "110105", hintName: "朝阳"},
		{name: "15 digits", doc: ledger.Document{Number: "440524800101001"}, kind: ident.KindResident15, sex: 1, birth: "1980-01-01", hint: "440524", warns: "前六位"},
		{name: "Hong Kong", doc: ledger.Document{Number: "810000199001010019"}, kind: ident.KindHMT, sex: 1, birth: "1990-01-01", hint: "810000"},
		{name: "Taiwan", doc: ledger.Document{Number: "830000199001010020"}, kind: ident.KindHMT, sex: 2, birth: "1990-01-01", hint: "830000"},
		{name: "passport", doc: ledger.Document{Kind: ident.KindPassport, Number: "E12345678"}, kind: ident.KindPassport},
		{name: "older foreign card", doc: ledger.Document{Number: "USA330783042100"}, kind: ident.KindForeign15},
		{name: "none", doc: ledger.Document{Kind: ident.KindNone}, kind: ident.KindNone},
		{name: "confirmed", doc: ledger.Document{Number: badCheck(5), Confirmed: "户口簿一致"}, kind: ident.KindResident, sex: 2, birth: "1990-02-06", hint: "520330", hintName: "习水", warns: "校验位"},
		{name: "unknown digits", doc: ledger.Document{Number: ident.Make("529999", civil.MustParse("1990-02-01"), 1, true)}, kind: ident.KindResident, sex: 1, birth: "1990-02-01", hint: "529999", warns: "前六位"},
		{name: "another sex", doc: ledger.Document{Number: number(7)}, profile: func(f *people.Profile) { f.Sex = 1 }, kind: ident.KindResident, sex: 1, birth: "1990-02-08", hint: "520330", hintName: "习水", warns: "性别"},
		{name: "a short mobile", doc: ledger.Document{Number: number(8)}, profile: func(f *people.Profile) { f.Contacts[0].Value = "1380000" }, kind: ident.KindResident, sex: 2, birth: "1990-02-09", hint: "520330", hintName: "习水", warns: "11 位"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := somebody(1)
			f.Documents = []ledger.Document{tt.doc}
			if tt.profile != nil {
				tt.profile(&f)
			}
			done := o.register(p, f)
			got := o.get(p, done.File.ID)
			if d := cmp.Diff(done.File, got); d != "" {
				t.Errorf("what registering shows differs from what opening shows: %s", d)
			}
			if k := got.Profile.Documents[0].Kind; k != tt.kind || got.Profile.Sex != tt.sex || got.Profile.Birth.String() != tt.birth || got.AreaHint != tt.hint {
				t.Errorf("kind %v, sex %d, birth %v, hint %s", k, got.Profile.Sex, got.Profile.Birth, got.AreaHint)
			}
			if !strings.Contains(got.AreaHintName, tt.hintName) {
				t.Errorf("the hint's name lacks %s", tt.hintName)
			}
			if tt.warns == "" && len(done.Warnings) > 0 || tt.warns != "" && !slices.ContainsFunc(done.Warnings, func(w string) bool { return strings.Contains(w, tt.warns) }) {
				t.Errorf("warnings %q, want one with %q", done.Warnings, tt.warns)
			}
		})
	}
}

// TestDocumentConfirmed: why a number with a failed check digit is right all the
// same is an event of the history, and is asked for once.
func TestDocumentConfirmed(t *testing.T) {
	o := newOffice(t)
	p := o.account("clerk-a", here)
	f := somebody(1)
	f.Documents[0] = ledger.Document{Number: badCheck(1), Confirmed: "与户口簿原件核对一致"}
	id := o.register(p, f).File.ID
	events, err := o.People.History(t.Context(), p, id, "test")
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 2 || events[1].Kind != ledger.EventDocumentConfirmed || events[1].Reason != "与户口簿原件核对一致" {
		t.Fatalf("%d events", len(events))
	}
	// Something else may change without confirming it again.
	if got := o.edit(p, id, people.Profile{Address: "建设路 1 号"}, "address"); got.File.Profile.Documents[0].Confirmed == "" {
		t.Error("the reason is gone")
	}
}

func TestRegisterTwice(t *testing.T) {
	o := newOffice(t)
	p, q := o.account("clerk-a", here), o.account("clerk-b", beside)
	r := people.RegisterRequest{RequestID: o.request(), Profile: somebody(1)}
	first, err := o.People.RegisterPerson(t.Context(), p, r)
	if err != nil {
		t.Fatal(err)
	}
	again, err := o.People.RegisterPerson(t.Context(), p, r)
	if err != nil || again.File.ID != first.File.ID {
		t.Errorf("repeated: another person, %v", err)
	}
	r.Profile.Living = beside
	_, err = o.People.RegisterPerson(t.Context(), p, r)
	wantFault(t, err, fault.KindConflict, "REQUEST_ID_REUSED", "request_id")
	_, err = o.People.RegisterPerson(t.Context(), p, people.RegisterRequest{RequestID: o.request(), Profile: somebody(1)})
	wantFault(t, err, fault.KindConflict, "PERSON_EXISTS", "profile.documents")
	if f, _ := fault.As(err); strings.Contains(f.Text+f.Error(), "测试") || strings.Contains(f.Text+f.Error(), number(1)) {
		t.Error("the conflict names somebody")
	}
	// The 15-digit form is of the same person, and a former number too.
	f := somebody(2)
	n := number(1)
	f.Documents = []ledger.Document{{Number: n[:6] + n[8:17]}}
	_, err = o.People.RegisterPerson(t.Context(), p, people.RegisterRequest{RequestID: o.request(), Profile: f})
	wantFault(t, err, fault.KindConflict, "PERSON_EXISTS", "profile.documents")
	// Another office knows nothing of it.
	if got := o.register(q, somebody(1)); got.File.ID == first.File.ID || len(got.Duplicates) != 0 {
		t.Error("another office's person shows")
	}
}

// TestHistory: what was is never overwritten, and the day of the event stands
// apart from the time of recording.
func TestHistory(t *testing.T) {
	o := newOffice(t)
	p := o.account("clerk-a", here)
	f := somebody(1)
	done, err := o.People.RegisterPerson(t.Context(), p, people.RegisterRequest{RequestID: o.request(), Profile: f, On: civil.MustParse("2026-05-01")})
	if err != nil {
		t.Fatal(err)
	}
	id := done.File.ID
	r := people.UpdateRequest{RequestID: o.request(), Person: id, Etag: done.File.Etag, On: civil.MustParse("2026-01-15"), Reason: "录入错误",
		Profile: people.Profile{Name: "测试改", Marital: 20, Address: "不应写入"}, Fields: []string{"name", "marital_status"}}
	updated, err := o.People.UpdatePerson(t.Context(), p, r)
	if err != nil {
		t.Fatal(err)
	}
	if got := updated.File.Profile; got.Name != "测试改" || got.Marital != 20 || got.Address != "" || got.Documents[0].Number != number(1) {
		t.Error("other fields than those named changed, or those did not")
	}
	// The same request again, then the same values again: nothing is written.
	if again, err := o.People.UpdatePerson(t.Context(), p, r); err != nil || again.File.Etag != updated.File.Etag {
		t.Errorf("repeated: %v", err)
	}
	same := r
	same.RequestID, same.Etag = o.request(), updated.File.Etag
	if again, err := o.People.UpdatePerson(t.Context(), p, same); err != nil || again.File.Etag != updated.File.Etag {
		t.Errorf("unchanged: %v", err)
	}
	stale := r
	stale.RequestID = o.request()
	_, err = o.People.UpdatePerson(t.Context(), p, stale)
	wantFault(t, err, fault.KindConflict, "ETAG_STALE", "etag")
	events, err := o.People.History(t.Context(), p, id, "test")
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	a, b := events[0], events[1]
	if a.Kind != ledger.EventRegistered || a.On.String() != "2026-05-01" || a.Account != p.ID || a.After["name"] != "测试乙" || len(a.Before) != 0 {
		t.Errorf("first: %v on %v", a.Kind, a.On)
	}
	if b.Kind != ledger.EventEdited || b.On.String() != "2026-01-15" || b.Reason != "录入错误" || !b.RecordedAt.After(a.RecordedAt) {
		t.Errorf("second: %v on %v", b.Kind, b.On)
	}
	if d := cmp.Diff([]string{"marital_status", "name"}, b.Fields); d != "" || b.Before["name"] != "测试乙" || b.After["name"] != "测试改" {
		t.Errorf("second: %s", d)
	}
	for name, change := range map[string]func(*people.UpdateRequest){
		"FIELD_NAME":    func(r *people.UpdateRequest) { r.Fields = []string{"standing_refusals"} },
		"REQUIRED":      func(r *people.UpdateRequest) { r.Fields = nil },
		"ETAG_REQUIRED": func(r *people.UpdateRequest) { r.Etag = "" },
		"REQUEST_ID":    func(r *people.UpdateRequest) { r.RequestID = "x" },
	} {
		bad := r
		bad.RequestID, bad.Etag = o.request(), updated.File.Etag
		change(&bad)
		if _, err := o.People.UpdatePerson(t.Context(), p, bad); !fault.Is(err, fault.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNewDocument: what was derived from a document follows the next one, and the
// former number still finds the person.
func TestNewDocument(t *testing.T) {
	o := newOffice(t)
	p := o.account("clerk-a", here)
	id := o.register(p, somebody(1)).File.ID
	taken := o.register(p, somebody(3)).File.ID
	man := ident.Make("520330", civil.MustParse("1991-03-04"), 9, true)
	f := people.Profile{Documents: []ledger.Document{{Number: man}, {Number: number(1), Former: true}}}
	got := o.edit(p, id, f, "documents").File.Profile
	if got.Sex != 1 || got.Birth.String() != "1991-03-04" {
		t.Errorf("sex %d, birth %v", got.Sex, got.Birth)
	}
	for _, n := range []string{man, number(1)} {
		lines, _, err := o.People.SearchPersons(t.Context(), p, people.SearchRequest{Document: n})
		if err != nil || len(lines) != 1 || lines[0].ID != id {
			t.Errorf("a number finds %d people, %v", len(lines), err)
		}
	}
	// A passport tells no birth date: what is known stays.
	f.Documents = []ledger.Document{{Kind: ident.KindPassport, Number: "E12345678"}}
	if got := o.edit(p, id, f, "documents").File.Profile; got.Birth.String() != "1991-03-04" || got.Sex != 1 {
		t.Errorf("sex %d, birth %v", got.Sex, got.Birth)
	}
	f.Documents = []ledger.Document{{Number: number(3)}}
	_, err := o.People.UpdatePerson(t.Context(), p, people.UpdateRequest{RequestID: o.request(), Person: id, Etag: o.get(p, id).Etag, Profile: f, Fields: []string{"documents", "birth_date"}})
	wantFault(t, err, fault.KindConflict, "PERSON_EXISTS", "profile.documents")
	if got := o.get(p, taken); got.Profile.Documents[0].Number != number(3) {
		t.Error("the other file changed")
	}
}

// TestPageLimits: too many files opened within an hour warn, within a day stop;
// misses and lists do not count, and other users are not touched.
func TestPageLimits(t *testing.T) {
	o := newOffice(t)
	o.People.PagesAnHour, o.People.PagesADay = 3, 5
	p, q := o.account("clerk-a", here), o.account("clerk-b", here)
	id := o.register(p, somebody(1)).File.ID
	for range 4 {
		if _, _, err := o.People.GetPerson(t.Context(), p, [16]byte{9}, "test"); !fault.Is(err, fault.KindNotFound) {
			t.Fatal(err)
		}
		if _, _, err := o.People.SearchPersons(t.Context(), p, people.SearchRequest{Name: "测"}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 5 {
		_, warnings, err := o.People.GetPerson(t.Context(), p, id, "test")
		if err != nil {
			t.Fatalf("page %d: %v", n+1, err)
		}
		if warned := len(warnings) > 0; warned != (n >= 3) {
			t.Errorf("page %d: warned %v", n+1, warned)
		}
	}
	_, _, err := o.People.GetPerson(t.Context(), p, id, "test")
	wantFault(t, err, fault.KindDenied, "PAGE_LIMIT", "")
	_, err = o.People.History(t.Context(), p, id, "test")
	wantFault(t, err, fault.KindDenied, "PAGE_LIMIT", "")
	// An edit shows the whole file as well.
	edit := people.UpdateRequest{RequestID: "page-limit-1", Person: id, Etag: "0-00000000", Profile: somebody(1), Fields: []string{"name"}}
	_, err = o.People.UpdatePerson(t.Context(), p, edit)
	wantFault(t, err, fault.KindDenied, "PAGE_LIMIT", "")
	if _, _, err := o.People.GetPerson(t.Context(), q, id, "test"); err != nil {
		t.Errorf("another user: %v", err)
	}
	if n := o.count("SELECT count(*) FROM access_log WHERE account = $1 AND denied AND verb = $2", p.ID, string(access.PersonOpen)); n != 2 {
		t.Errorf("%d denials logged", n)
	}
}

// TestRegisterRace: of several who register one person at once, one does.
func TestRegisterRace(t *testing.T) {
	o := newOffice(t)
	p := o.account("clerk-a", here)
	const n = 6
	errs := make(chan error, n)
	for i := range n {
		go func() {
			_, err := o.People.RegisterPerson(t.Context(), p, people.RegisterRequest{RequestID: fmt.Sprintf("request-race-%d", i), Profile: somebody(1)})
			errs <- err
		}()
	}
	done := 0
	for range n {
		if err := <-errs; err == nil {
			done++
		} else {
			wantFault(t, err, fault.KindConflict, "PERSON_EXISTS", "profile.documents")
		}
	}
	if files := o.count("SELECT count(*) FROM person"); done != 1 || files != 1 {
		t.Errorf("%d registered, %d files", done, files)
	}
}

// TestSecurity29FileMoved: what is sealed in one file opens in no other.
func TestSecurity29FileMoved(t *testing.T) {
	o := newOffice(t)
	p := o.account("clerk-a", here)
	a, b := o.register(p, somebody(1)).File.ID, o.register(p, somebody(2)).File.ID
	for _, set := range []string{
		"profile = (SELECT profile FROM person WHERE id = $2)",
		"profile = (SELECT profile FROM person WHERE id = $2), key = (SELECT key FROM person WHERE id = $2)",
		"profile = doc",
	} {
		c := o.connect()
		if _, err := c.Exec(t.Context(), "CREATE TEMP TABLE was AS SELECT id, key, profile FROM person"); err != nil {
			t.Fatal(err)
		}
		args := []any{[16]byte(a), [16]byte(b)}
		if !strings.Contains(set, "$2") {
			args = args[:1]
		}
		if _, err := c.Exec(t.Context(), "UPDATE person SET "+set+" WHERE id = $1", args...); err != nil {
			t.Fatal(err)
		}
		if _, _, err := o.People.GetPerson(t.Context(), p, a, "test"); !fault.Is(err, fault.KindInternal) {
			t.Errorf("%s: %v", set, err)
		}
		if _, err := c.Exec(t.Context(), "UPDATE person p SET key = was.key, profile = was.profile FROM was WHERE was.id = p.id"); err != nil {
			t.Fatal(err)
		}
	}
	o.get(p, a)
	events := `UPDATE person_event SET sealed = (SELECT sealed FROM person_event WHERE person = $2 LIMIT 1) WHERE person = $1`
	if _, err := o.connect().Exec(t.Context(), events, [16]byte(a), [16]byte(b)); err != nil {
		t.Fatal(err)
	}
	if _, err := o.People.History(t.Context(), p, a, "test"); !fault.Is(err, fault.KindInternal) {
		t.Errorf("a line of another's history: %v", err)
	}
}
