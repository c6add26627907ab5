package people_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/store"
)

// open opens an outflow notice about somebody's document.
func (o *office) open(p access.Principal, n int) (desk.CaseView, error) {
	v, _, err := o.Desk.OpenCase(o.Context(), p, desk.OpenRequest{
		RequestID: o.request(), Kind: cases.Outflow, Destination: away,
		Fields: desk.FieldsInput{Name: somebody(n).Name, Document: number(n), EventDay: civil.MustParse("2026-11-01"), Basis: desk.BasisInput{Kind: cases.BasisRequest}},
	})
	return v, err
}

func (o *office) mustOpen(p access.Principal, n int) desk.CaseView {
	o.Helper()
	v, err := o.open(p, n)
	if err != nil {
		o.Fatalf("open: %v", err)
	}
	return v
}

// said is an answer as a door gives it: ids that were asked for are masked, since
// the asker knows them.
func said(v any, err error, ids ...string) string {
	b, _ := json.Marshal(v)
	s := string(b)
	if f, ok := fault.As(err); ok {
		s = fmt.Sprintf("%v %s %s %s %s", f.Kind, f.Reason, f.Field, f.Text, f.Error())
	} else if err != nil {
		s = "error without kind"
	}
	for _, id := range ids {
		s = strings.ReplaceAll(s, id, strings.Repeat("*", len(id)))
	}
	return s
}

// TestSecurity34RestrictedEqualsAbsent asks everything of a person who is
// restricted to others and of one who was never here, in every way that a clerk
// has, and wants equal answers: same error, same code, same size.
func TestSecurity34RestrictedEqualsAbsent(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	a, b, outsider := o.account("clerk-a", here), o.account("clerk-b", here), o.account("clerk-c", here)
	f := somebody(1)
	f.FormerNames = []string{"示例旧"}
	f.Contacts = append(f.Contacts, ledger.Contact{Value: "13900000001"})
	id := o.register(a, f).File.ID
	hidden := o.mustOpen(a, 1)
	if _, err := o.People.Restrict(ctx, a, o.request(), id, []string{b.ID, a.ID}); err != nil {
		t.Fatal(err)
	}
	absent, noCase := cases.PersonID{7}, cases.CaseID{7}
	for name, ask := range map[string]func(person cases.PersonID, c cases.CaseID) (any, error){
		"get": func(p cases.PersonID, _ cases.CaseID) (any, error) {
			v, _, err := o.People.GetPerson(ctx, outsider, p, "x")
			return v, err
		},
		"history": func(p cases.PersonID, _ cases.CaseID) (any, error) { return o.People.History(ctx, outsider, p, "x") },
		"slip": func(p cases.PersonID, _ cases.CaseID) (any, error) {
			return o.People.GetSlip(ctx, outsider, p, "document")
		},
		"update": func(p cases.PersonID, _ cases.CaseID) (any, error) {
			return o.People.UpdatePerson(ctx, outsider, people.UpdateRequest{RequestID: o.request(), Person: p, Etag: "1-00", Fields: []string{"name"}, Profile: f})
		},
		"restrict": func(p cases.PersonID, _ cases.CaseID) (any, error) {
			return o.People.Restrict(ctx, outsider, o.request(), p, []string{outsider.ID, "nobody"})
		},
		"unrestrict": func(p cases.PersonID, _ cases.CaseID) (any, error) {
			return o.People.Unrestrict(ctx, outsider, o.request(), p)
		},
		"case": func(_ cases.PersonID, c cases.CaseID) (any, error) {
			return o.Desk.GetCase(ctx, outsider, desk.GetRequest{Case: c})
		},
		"case unmasked": func(_ cases.PersonID, c cases.CaseID) (any, error) {
			return o.Desk.GetCase(ctx, outsider, desk.GetRequest{Case: c, Unmask: true, Purpose: "x"})
		},
		"trace": func(_ cases.PersonID, c cases.CaseID) (any, error) { return o.Desk.Trace(ctx, outsider, c, "x") },
		"consents": func(p cases.PersonID, _ cases.CaseID) (any, error) {
			return o.Desk.ListConsents(ctx, outsider, here, desk.PersonRef{ID: p}, "x")
		},
	} {
		v, err := ask(id, hidden.ID)
		w, none := ask(absent, noCase)
		if !fault.Is(none, fault.KindNotFound) {
			t.Errorf("%s: absent is %v", name, none)
		}
		ids := []string{id.String(), hidden.ID.String(), absent.String(), noCase.String()}
		if d := cmp.Diff(said(w, none, ids...), said(v, err, ids...)); d != "" {
			t.Errorf("%s: restricted (+) and absent (-) differ: %s", name, d)
		}
	}
	for name, r := range map[string]people.SearchRequest{
		"document": {Document: number(1)}, "last4": {Last4: number(1)[14:]}, "name": {Name: "测"}, "former name": {Name: "示例"}, "initials": {Initials: "c"},
		"former initials": {Initials: "slj"}, "phone": {Phone: "13800000001"}, "second phone": {Phone: "13900000001"}, "area": {Area: here}, "registered": {Area: here, AreaOf: "registered"},
	} {
		if lines, next, err := o.People.SearchPersons(ctx, outsider, r); err != nil || len(lines) != 0 || next != "" {
			t.Errorf("%s: %d found by others, %v", name, len(lines), err)
		}
		if lines, _, err := o.People.SearchPersons(ctx, b, r); err != nil || len(lines) != 1 {
			t.Errorf("%s: %d found by a keeper, %v", name, len(lines), err)
		}
	}
	if list, _, err := o.Desk.ListCases(ctx, outsider, desk.ListRequest{}); err != nil || len(list) != 0 {
		t.Errorf("%d cases listed for others, %v", len(list), err)
	}
	if list, _, err := o.Desk.ListCases(ctx, b, desk.ListRequest{}); err != nil || len(list) != 1 {
		t.Errorf("%d cases listed for a keeper, %v", len(list), err)
	}
	// Looking for somebody leaves the same event, a miss.
	if subjects, _ := o.logged(outsider, access.PersonOpen); len(subjects) != 0 {
		t.Error("a miss is logged with the person")
	}
}

// TestSecurity34WorkGoesOn: who may not see a restricted person works on as if
// nobody were there: opens a notice, records a consent, registers and finds what
// they wrote themselves, and the keepers' file is not touched.
func TestSecurity34WorkGoesOn(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	a, b, outsider := o.account("clerk-a", here), o.account("clerk-b", here), o.account("clerk-c", here)
	hidden, plain := o.register(a, somebody(1)).File, o.register(a, somebody(5)).File
	for _, id := range []cases.PersonID{hidden.ID, plain.ID} {
		if _, err := o.People.Restrict(ctx, a, o.request(), id, []string{a.ID, b.ID}); err != nil {
			t.Fatal(err)
		}
	}
	before := o.get(a, hidden.ID)
	// 2 was never here: both openings go the same way.
	for _, n := range []int{1, 2} {
		v := o.mustOpen(outsider, n)
		if got, err := o.Desk.GetCase(ctx, outsider, desk.GetRequest{Case: v.ID}); err != nil || got.Fields == nil {
			t.Errorf("%d: the opener does not see the case: %v", n, err)
		}
		lines, _, err := o.People.SearchPersons(ctx, outsider, people.SearchRequest{Document: number(n)})
		if err != nil || len(lines) != 1 || lines[0].ID == hidden.ID {
			t.Fatalf("%d: %d found, %v", n, len(lines), err)
		}
		if got := o.get(outsider, lines[0].ID); !slices.Equal(got.Cases, []cases.CaseID{v.ID}) || got.Restricted {
			t.Errorf("%d: %d cases in the file, restricted %v", n, len(got.Cases), got.Restricted)
		}
	}
	// A second consent, or a registration of somebody hidden, goes through too.
	for _, n := range []int{1, 5, 6} {
		_, err := o.Desk.RecordConsent(ctx, outsider, desk.ConsentRequest{RequestID: o.request(), Person: desk.PersonRef{Name: somebody(n).Name, Document: number(n)},
			Consent: desk.Consent{Recipient: away, Purpose: ledger.PurposeNotice, TextVersion: "1", TextHash: [32]byte{1}, GivenHow: "paper"}})
		if err != nil {
			t.Errorf("%d: consent: %v", n, err)
		}
	}
	third := o.register(a, somebody(3)).File.ID
	if _, err := o.People.Restrict(ctx, a, o.request(), third, []string{a.ID, b.ID}); err != nil {
		t.Fatal(err)
	}
	mine := o.register(outsider, somebody(3)).File
	if lines, _, err := o.People.SearchPersons(ctx, outsider, people.SearchRequest{Document: number(3)}); err != nil || len(lines) != 1 || lines[0].ID != mine.ID {
		t.Errorf("%d found of those registered, %v", len(lines), err)
	}
	// And a change of a file to such a number.
	other := o.register(outsider, somebody(4)).File.ID
	o.edit(outsider, other, people.Profile{Documents: []ledger.Document{{Number: number(8)}}}, "documents")
	_, err := o.People.UpdatePerson(ctx, outsider, people.UpdateRequest{RequestID: o.request(), Person: other, Etag: o.get(outsider, other).Etag,
		Profile: people.Profile{Documents: []ledger.Document{{Number: number(3)}}}, Fields: []string{"documents"}})
	wantFault(t, err, fault.KindConflict, "PERSON_EXISTS", "profile.documents") // their own file, which they see
	if d := cmp.Diff(before, o.get(a, hidden.ID)); d != "" {
		t.Errorf("the keepers' file changed: %s", d)
	}
}

// TestRestrictedCases: a case that a keeper opens about a restricted person is
// hidden from its first moment, the other office on the same node works on it,
// and lifting the restriction shows it.
func TestRestrictedCases(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	a, b, outsider, receiver := o.account("clerk-a", here), o.account("clerk-b", here), o.account("clerk-c", here), o.account("clerk-r", away)
	id := o.register(a, somebody(1)).File.ID
	if _, err := o.People.Restrict(ctx, a, o.request(), id, []string{a.ID, b.ID}); err != nil {
		t.Fatal(err)
	}
	v := o.mustOpen(b, 1)
	if got := o.get(a, id); !slices.Equal(got.Cases, []cases.CaseID{v.ID}) || !got.Restricted {
		t.Errorf("%d cases in the file", len(got.Cases))
	}
	if _, err := o.Desk.GetCase(ctx, outsider, desk.GetRequest{Case: v.ID}); !fault.Is(err, fault.KindNotFound) {
		t.Errorf("others: %v", err)
	}
	theirs, err := o.Desk.GetCase(ctx, receiver, desk.GetRequest{Case: v.ID})
	if err != nil {
		t.Fatalf("the receiver: %v", err)
	}
	_, _, err = o.Desk.Answer(ctx, receiver, desk.AnswerRequest{RequestID: o.request(), Ref: desk.CaseRef{Case: v.ID, Etag: theirs.Etag},
		Answer: desk.AnswerInput{Outcome: cases.Misrouted}})
	if err != nil {
		t.Fatalf("the receiver's answer: %v", err)
	}
	if got, err := o.Desk.GetCase(ctx, a, desk.GetRequest{Case: v.ID}); err != nil || got.Status != cases.StatusAnswered {
		t.Errorf("a keeper sees %v, %v", got.Status, err)
	}
	if _, err := o.Desk.GetCase(ctx, outsider, desk.GetRequest{Case: v.ID}); !fault.Is(err, fault.KindNotFound) {
		t.Errorf("others, once answered: %v", err)
	}
	if f, err := o.People.Unrestrict(ctx, b, o.request(), id); err != nil || f.Restricted {
		t.Fatalf("lift: %v", err)
	}
	if _, err := o.Desk.GetCase(ctx, outsider, desk.GetRequest{Case: v.ID}); err != nil {
		t.Errorf("once lifted: %v", err)
	}
	o.get(outsider, id)
	events, err := o.People.History(ctx, outsider, id, "x")
	if err != nil || len(events) != 3 || events[1].Kind != ledger.EventRestricted || events[2].Kind != ledger.EventUnrestricted {
		t.Errorf("%d events, %v", len(events), err)
	}
}

func TestRestrictRefuses(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	a, b := o.account("clerk-a", here), o.account("clerk-b", here)
	foreign, gone := o.account("clerk-f", beside), o.account("clerk-g", here)
	if err := o.DB.DisableAccount(ctx, gone.ID); err != nil {
		t.Fatal(err)
	}
	err := o.DB.PutAccount(ctx, store.Account{ID: "program", Role: access.Service, Offices: []area.Key{here}, GrantedBy: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	id := o.register(a, somebody(1)).File.ID
	for name, keepers := range map[string][]string{
		"nobody": nil, "one": {a.ID}, "twice the same": {a.ID, a.ID}, "three": {a.ID, b.ID, foreign.ID}, "without the caller": {b.ID, gone.ID},
		"of another office": {a.ID, foreign.ID}, "disabled": {a.ID, gone.ID}, "a program": {a.ID, "program"}, "unknown": {a.ID, "nobody"},
	} {
		if _, err := o.People.Restrict(ctx, a, o.request(), id, keepers); !fault.Is(err, fault.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	request := o.request()
	for range 2 {
		if _, err := o.People.Restrict(ctx, a, request, id, []string{a.ID, b.ID}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = o.People.Restrict(ctx, b, o.request(), id, []string{a.ID, b.ID})
	wantFault(t, err, fault.KindConflict, "ALREADY_RESTRICTED", "")
	if _, err := o.People.Unrestrict(ctx, b, o.request(), id); err != nil {
		t.Fatal(err)
	}
	_, err = o.People.Unrestrict(ctx, b, o.request(), id)
	wantFault(t, err, fault.KindConflict, "NOT_RESTRICTED", "")
}

// TestSecurity36FilesLogged: each verb on files logs exactly whom it shows, once,
// and a miss as a miss.
func TestSecurity36FilesLogged(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	p := o.account("clerk-a", here)
	q := o.account("clerk-b", here)
	id := o.register(p, somebody(1)).File.ID
	check := func(what string, v access.Verb, do func(), want ...cases.PersonID) {
		t.Helper()
		_, before := 0, o.count("SELECT count(*) FROM access_log WHERE account = $1 AND verb = $2", p.ID, string(v))
		do()
		subjects, events := o.logged(p, v)
		if events != before+1 || !slices.Equal(subjects, want) {
			t.Errorf("%s: %d events, subjects %d, want %d", what, events-before, len(subjects), len(want))
		}
	}
	none := cases.PersonID{9}
	for _, person := range []cases.PersonID{id, none} {
		var want []cases.PersonID
		if person == id {
			want = append(want, id)
		}
		check("get", access.PersonOpen, func() { _, _, _ = o.People.GetPerson(ctx, p, person, "x") }, want...)
		check("history", access.PersonOpen, func() { _, _ = o.People.History(ctx, p, person, "x") }, want...)
		check("slip", access.PersonSlip, func() { _, _ = o.People.GetSlip(ctx, p, person, "known") }, want...)
		check("update", access.PersonWrite, func() {
			r := people.UpdateRequest{RequestID: o.request(), Person: person, Etag: "0-00000000", Fields: []string{"address"}}
			if person == id {
				r.Etag = o.get(q, id).Etag
			}
			_, _ = o.People.UpdatePerson(ctx, p, r)
		}, want...)
		check("restrict", access.PersonRestrict, func() { _, _ = o.People.Restrict(ctx, p, o.request(), person, []string{p.ID, q.ID}) }, want...)
		check("unrestrict", access.PersonRestrict, func() { _, _ = o.People.Unrestrict(ctx, p, o.request(), person) }, want...)
	}
	for n, hints := range map[int]int{2: 0, 1: 1} { // with the name and birth date of the first, it is proposed
		f := somebody(n)
		f.Documents = nil
		if n == 1 {
			f.Birth = civil.MustParse("1990-02-02")
		}
		done := o.register(p, f)
		want := []cases.PersonID{done.File.ID}
		for _, h := range done.Duplicates {
			want = append(want, h.Person.ID)
		}
		subjects, _ := o.logged(p, access.PersonWrite)
		if !slices.Equal(subjects, want) || len(done.Duplicates) < hints {
			t.Errorf("register: %d logged, %d shown, %d of them proposed", len(subjects), len(want), len(done.Duplicates))
		}
	}
}

// TestSlip: who looked, who asked, which consents; no address.
func TestSlip(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	p, q := o.account("clerk-a", here), o.account("clerk-b", here)
	f := somebody(1)
	f.Address = "建设路一号"
	id := o.register(p, f).File.ID
	v := o.mustOpen(p, 1)
	if _, _, err := o.People.GetPerson(ctx, q, id, "核对电话"); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Desk.RecordConsent(ctx, p, desk.ConsentRequest{RequestID: o.request(), Person: desk.PersonRef{ID: id},
		Consent: desk.Consent{Recipient: away, Purpose: ledger.PurposeNotice, TextVersion: "1", TextHash: [32]byte{1}, GivenHow: "paper"}}); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"", "phone"} {
		_, err := o.People.GetSlip(ctx, p, id, how)
		wantFault(t, err, fault.KindInvalid, "RECOGNISED_BY", "recognised_by")
	}
	s, err := o.People.GetSlip(ctx, p, id, "document")
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != f.Name || len(s.Cases) != 1 || s.Cases[0].Case != v.ID || s.Cases[0].AskedBy != here || len(s.Consents) != 1 || s.Consents[0].Recipient != away {
		t.Errorf("%d cases, %d consents", len(s.Cases), len(s.Consents))
	}
	i := slices.IndexFunc(s.Reads, func(r store.Read) bool {
		return r.Account == q.ID && r.Verb == access.PersonOpen && r.Purpose == "核对电话"
	})
	if i < 0 || len(s.Reads) < 4 || !slices.IsSortedFunc(s.Reads, func(a, b store.Read) int { return b.At.Compare(a.At) }) {
		t.Errorf("%d looks, that of the other clerk at %d", len(s.Reads), i)
	}
	if b, _ := json.Marshal(s); strings.Contains(string(b), f.Address) {
		t.Error("the slip shows the address")
	}
	again, err := o.People.GetSlip(ctx, p, id, "known")
	if err != nil || len(again.Reads) != len(s.Reads)+1 || again.Reads[0].Verb != access.PersonSlip {
		t.Errorf("making a slip is not on the next one: %d, %v", len(again.Reads), err)
	}
}

// TestOtherOffice: a clerk of another office is told nothing of a person.
func TestOtherOffice(t *testing.T) {
	o := newOffice(t)
	p, q := o.account("clerk-a", here), o.account("clerk-b", beside)
	id := o.register(p, somebody(1)).File.ID
	for name, ask := range map[string]func(context.Context) error{
		"get":     func(ctx context.Context) error { _, _, err := o.People.GetPerson(ctx, q, id, "x"); return err },
		"history": func(ctx context.Context) error { _, err := o.People.History(ctx, q, id, "x"); return err },
		"slip":    func(ctx context.Context) error { _, err := o.People.GetSlip(ctx, q, id, "known"); return err },
	} {
		if err := ask(t.Context()); !fault.Is(err, fault.KindNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, role := range []access.Role{access.County, access.Distributor, access.Auditor, access.Admin, access.Security} {
		r := access.Principal{ID: string(role), Role: role, Offices: []area.Key{here}}
		if _, _, err := o.People.GetPerson(t.Context(), r, id, "x"); !fault.Is(err, fault.KindDenied) {
			t.Errorf("%s: %v", role, err)
		}
	}
}
