package people_test

import (
	"context"
	"slices"
	"testing"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/store"
)

// TestMergedFiles: of merged files the one stands that they were merged into, by
// whatever it is found or opened. A search shows that one, and the log names it;
// the file shows all, and the log names all.
func TestMergedFiles(t *testing.T) {
	o := newOffice(t)
	p := o.account("clerk-a", here)
	other := somebody(1)
	other.Name, other.Documents = "测试乙又", nil
	other.Contacts[0].Value = "13911110000"
	root, merged := o.register(p, somebody(1)).File.ID, o.register(p, other).File.ID
	if _, err := o.connect().Exec(t.Context(), "UPDATE person SET merged_into = $1 WHERE id = $2", [16]byte(root), [16]byte(merged)); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		r       people.SearchRequest
		foundBy string
	}{
		"both names":      {people.SearchRequest{Name: "测试乙"}, ""},
		"the other name":  {people.SearchRequest{Name: "测试乙又"}, "测试乙又"},
		"the other phone": {people.SearchRequest{Phone: "13911110000"}, ""},
		"area":            {people.SearchRequest{Area: here}, ""},
		"initials":        {people.SearchRequest{Initials: "csyy"}, "测试乙又"},
	} {
		lines, next, err := o.People.SearchPersons(t.Context(), p, tt.r)
		if err != nil || len(lines) != 1 || next != "" || lines[0].ID != root || lines[0].FoundBy != tt.foundBy {
			t.Errorf("%s: %d found, %v", name, len(lines), err)
		}
		if subjects, _ := o.logged(p, access.PersonSearch); !slices.Equal(subjects, []cases.PersonID{root}) {
			t.Errorf("%s: %d logged", name, len(subjects))
		}
	}
	for _, id := range []cases.PersonID{root, merged} {
		f := o.get(p, id)
		if f.ID != root || !slices.Equal(f.Merged, []cases.PersonID{merged}) {
			t.Error("another file than the one that stands")
		}
		if subjects, _ := o.logged(p, access.PersonOpen); !slices.Equal(subjects, []cases.PersonID{root, merged}) {
			t.Errorf("%d logged", len(subjects))
		}
		if events, err := o.People.History(t.Context(), p, id, "test"); err != nil || len(events) != 2 {
			t.Errorf("%d events, %v", len(events), err)
		}
	}
	// Both are hidden together, and shown together.
	b := o.account("clerk-b", here)
	outsider := o.account("clerk-c", here)
	if _, err := o.People.Restrict(t.Context(), p, o.request(), merged, []string{p.ID, b.ID}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []cases.PersonID{root, merged} {
		if _, _, err := o.People.GetPerson(t.Context(), outsider, id, "test"); !fault.Is(err, fault.KindNotFound) {
			t.Errorf("hidden: %v", err)
		}
	}
	if _, err := o.People.Unrestrict(t.Context(), b, o.request(), root); err != nil {
		t.Fatal(err)
	}
	o.get(outsider, merged)
}

// TestNoticeOnly: whoever only a notice told of has a file of what the notice
// said, which becomes a whole one when something is written in it.
func TestNoticeOnly(t *testing.T) {
	o := newOffice(t)
	p := o.account("clerk-a", here)
	v := o.mustOpen(p, 1)
	lines, _, err := o.People.SearchPersons(t.Context(), p, people.SearchRequest{Initials: "csy"})
	if err != nil || len(lines) != 1 {
		t.Fatalf("%d found, %v", len(lines), err)
	}
	f := o.get(p, lines[0].ID)
	if got := f.Profile; got.Name != somebody(1).Name || got.Sex != 2 || len(got.Documents) != 1 || got.Documents[0].Number != number(1) || !slices.Equal(f.Cases, []cases.CaseID{v.ID}) {
		t.Errorf("%d documents, %d cases", len(got.Documents), len(f.Cases))
	}
	if n := o.count("SELECT count(*) FROM person WHERE profile IS NULL AND index_key IS NOT NULL"); n != 1 {
		t.Error("opening a case made a whole file")
	}
	got := o.edit(p, f.ID, people.Profile{Living: beside, Contacts: []ledger.Contact{{Value: "13800000001"}}}, "living", "contacts").File.Profile
	if got.Documents[0].Number != number(1) || got.Living != beside || got.Contacts[0].Value != "13800000001" {
		t.Error("what the notice said is lost, or what was written")
	}
}

// TestVillages: where the villages of a township were loaded, another code is no
// place; where they were not, it is taken as it is.
func TestVillages(t *testing.T) {
	o := newOffice(t)
	p := o.account("clerk-a", here)
	loaded := area.MustOf(area.Village, here.Short()+"001")
	if _, err := o.connect().Exec(t.Context(), "INSERT INTO village (code, name) VALUES ($1, '示例村')", int64(loaded)); err != nil {
		t.Fatal(err)
	}
	for code, want := range map[string]bool{here.Short() + "001": true, here.Short() + "002": false, beside.Short() + "002": true} {
		f := somebody(1)
		f.Documents, f.Living = nil, area.MustOf(area.Village, code)
		_, err := o.People.RegisterPerson(t.Context(), p, people.RegisterRequest{RequestID: o.request(), Profile: f})
		if want && err != nil {
			t.Errorf("%s: %v", code, err)
		} else if !want {
			wantFault(t, err, fault.KindInvalid, "AREA_UNKNOWN", "profile.living")
		}
	}
	// What a file had stays when something else changes.
	f := somebody(2)
	f.Living = area.MustOf(area.Village, beside.Short()+"009")
	id := o.register(p, f).File.ID
	if _, err := o.connect().Exec(t.Context(), "INSERT INTO village (code, name) VALUES ($1, '示例村')", int64(area.MustOf(area.Village, beside.Short()+"001"))); err != nil {
		t.Fatal(err)
	}
	o.edit(p, id, people.Profile{Address: "建设路一号"}, "address")
}

// TestHousehold: people of one household are found together by one blind value,
// which says nothing across offices.
func TestHousehold(t *testing.T) {
	o := newOffice(t)
	p, q := o.account("clerk-a", here), o.account("clerk-b", beside)
	for i, who := range []access.Principal{p, p, q} {
		f := somebody(i)
		f.Household, f.Relation = "户口簿00001", "other"
		o.register(who, f)
	}
	if n := o.count("SELECT count(DISTINCT household) FROM person"); n != 2 {
		t.Errorf("%d households", n)
	}
	if n := o.count("SELECT max(n) FROM (SELECT count(*) n FROM person GROUP BY household) h"); n != 2 {
		t.Errorf("%d people in the larger one", n)
	}
}

// TestMoveByEdit: another township is a movement, unless a mistake is corrected.
func TestMoveByEdit(t *testing.T) {
	o := newOffice(t)
	p := o.account("clerk-a", here)
	done := o.register(p, somebody(1))
	if done.File.Presence != ledger.Here {
		t.Fatalf("presence %v", done.File.Presence)
	}
	r := people.UpdateRequest{RequestID: o.request(), Person: done.File.ID, Etag: done.File.Etag, Profile: people.Profile{Living: away}, Fields: []string{"living"}}
	_, err := o.People.UpdatePerson(t.Context(), p, r)
	wantFault(t, err, fault.KindInvalid, "USE_MOVEMENT", "profile.living")
	r.RequestID, r.Reason = o.request(), "登记时选错"
	if _, err := o.People.UpdatePerson(t.Context(), p, r); err != nil {
		t.Error(err)
	}
	id := o.register(p, somebody(2)).File.ID
	o.edit(p, id, people.Profile{Living: area.MustOf(area.Village, here.Short()+"002")}, "living") // within the township
}

// TestHooks: what follows from a registration and from an edit happens in the
// same transaction, and its failure undoes both.
func TestHooks(t *testing.T) {
	o := newOffice(t)
	var committed []cases.CaseID
	o.People.Registered, o.People.Changed = o.Desk.PairWaiting, func(ids []cases.CaseID) { committed = append(committed, ids...) }
	p, receiver := o.account("clerk-a", here), o.account("clerk-r", away)
	v := o.mustOpen(p, 1)
	if n, err := o.Desk.PairOpen(t.Context()); n != 0 || err != nil {
		t.Fatalf("%d paired with nobody, %v", n, err)
	}
	f := somebody(1)
	f.Living = away
	done := o.register(receiver, f)
	if !slices.Equal(done.Paired, []cases.CaseID{v.ID}) || !slices.Equal(done.File.Cases, done.Paired) {
		t.Errorf("%d paired, %d cases in the file", len(done.Paired), len(done.File.Cases))
	}
	var told []string
	fail := fault.Conflict("TEST", "test").Zh("测试")
	o.People.Edited = func(_ context.Context, _ *store.Tx, _ access.Principal, office area.Key, id cases.PersonID, fields []string) (people.Edited, error) {
		told = fields
		if office != away || id != done.File.ID {
			t.Error("told of another file")
		}
		if slices.Contains(fields, "marital_status") {
			return people.Edited{}, fail
		}
		return people.Edited{Corrected: []cases.CaseID{v.ID}, Warnings: []string{"测试"}, After: func(context.Context) { committed = append(committed, v.ID) }}, nil
	}
	got := o.edit(receiver, done.File.ID, people.Profile{Address: "建设路一号"}, "address")
	if !slices.Equal(committed, []cases.CaseID{v.ID, v.ID}) {
		t.Errorf("%d cases were told of after the commit", len(committed))
	}
	if !slices.Equal(told, []string{"address"}) || !slices.Equal(got.Corrected, []cases.CaseID{v.ID}) || !slices.Equal(got.Warnings, []string{"测试"}) {
		t.Errorf("told of %v", told)
	}
	told = nil
	o.edit(receiver, done.File.ID, people.Profile{Address: "建设路一号"}, "address")
	if told != nil {
		t.Error("told of an edit that changed nothing")
	}
	_, err := o.People.UpdatePerson(t.Context(), receiver, people.UpdateRequest{RequestID: o.request(), Person: done.File.ID, Etag: got.File.Etag,
		Profile: people.Profile{Marital: 20}, Fields: []string{"marital_status"}})
	if !fault.Is(err, fault.KindConflict) || o.get(receiver, done.File.ID).Profile.Marital != 0 {
		t.Errorf("the edit stayed: %v", err)
	}
}
