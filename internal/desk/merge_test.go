package desk_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/harness"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/store"
)

func (b *bureau) propose(office area.Key, id cases.PersonID) (hints []people.DuplicateHint) {
	b.Helper()
	s := b.site(office)
	err := s.People.In(b.Context(), clerk(office), func(tx *store.Tx) (err error) {
		hints, err = s.People.Propose(b.Context(), tx, office, id)
		return err
	})
	if err != nil {
		b.Fatalf("propose: %v", err)
	}
	return hints
}

func (b *bureau) duplicates(office area.Key, page int, token string) ([]people.Duplicate, string) {
	b.Helper()
	got, next, err := b.site(office).People.ListDuplicates(b.Context(), clerk(office), people.DuplicatesRequest{PageSize: page, PageToken: token, Purpose: "test"})
	if err != nil {
		b.Fatalf("duplicates: %v", err)
	}
	return got, next
}

func (b *bureau) merge(office area.Key, keep, other cases.PersonID) {
	b.Helper()
	f, err := b.site(office).People.Merge(b.Context(), clerk(office), people.MergeRequest{RequestID: b.request(), Person: keep, Other: other, Reason: "同一人"})
	if err != nil || f.ID != keep {
		b.Fatalf("merge: %v", err)
	}
}

// twins registers one person twice: once with the number as it is, once with a
// slip.
func (b *bureau) twins(office area.Key, i int) (right, slip cases.PersonID) {
	right, _ = b.file(office, profile(i))
	slip, _ = b.file(office, profile(i, numbered(ident.KindResident, transposed(person(i)))))
	return right, slip
}

func TestDuplicates(t *testing.T) {
	b := newBureau(t, true)
	a, slip := b.twins(there, 1)
	bare, _ := b.file(there, profile(2, func(f *people.Profile) { f.Documents, f.Birth = nil, civil.MustParse("1990-01-01") }))
	stranger, _ := b.file(there, profile(500, named("示例乙")))
	next, _ := b.file(beside, profile(1))
	for who, want := range map[cases.PersonID][]people.DuplicateHint{
		a: {
			{Person: people.Summary{ID: slip}, Score: 95, Reasons: []string{"document_transposed", "name_equal", "birth_equal", "phone_equal"}},
			{Person: people.Summary{ID: bare}, Score: 65, Reasons: []string{"name_equal", "birth_equal", "phone_equal"}},
		},
		stranger: nil,
	} {
		for range 2 {
			got := b.propose(there, who)
			for i := range got {
				if s := got[i].Person; s.Name != "测试甲" || s.Office != there || s.BirthYear != 1990 {
					t.Errorf("a hint shows %d of %s", s.BirthYear, s.Office)
				}
				got[i].Person = people.Summary{ID: got[i].Person.ID}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("hints:\n%s", diff)
			}
		}
	}
	if got := b.propose(beside, next); len(got) != 0 {
		t.Errorf("the township beside is told of %d", len(got))
	}
	b.propose(there, slip)
	raw := b.raw(there)
	if n := fmt.Sprint(raw.Rows(t, `SELECT count(*), count(*) FILTER (WHERE a < b AND state = 0) FROM duplicate`)[0]...); n != "3 3" {
		t.Errorf("proposals: %s", n)
	}

	// Page by page, with both shown and logged.
	seen, token := map[[2]cases.PersonID]bool{}, ""
	for range 3 {
		var got []people.Duplicate
		events, subjects := logged(t, raw, func() { got, token = b.duplicates(there, 1, token) })
		if len(got) != 1 || events != 1 || len(subjects) != 2 || got[0].At.IsZero() || got[0].A.Name == "" || got[0].B.Name == "" || len(got[0].Reasons) == 0 {
			t.Fatalf("page of %d, %d events about %d people", len(got), events, len(subjects))
		}
		seen[[2]cases.PersonID{got[0].A.ID, got[0].B.ID}] = true
	}
	if token != "" || len(seen) != 3 {
		t.Errorf("%d proposals on three pages, then %q", len(seen), token)
	}
	if events, subjects := logged(t, raw, func() { b.duplicates(beside, 0, "") }); events != 1 || len(subjects) != 0 {
		t.Errorf("a miss left %d events about %d people", events, len(subjects))
	}
	for _, p := range []access.Principal{harness.Clerk(access.County, residence), harness.Clerk(access.Distributor, residence), harness.Clerk(access.Auditor, there)} {
		_, _, err := b.site(there).People.ListDuplicates(t.Context(), p, people.DuplicatesRequest{})
		refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
	}
	for _, r := range []struct {
		req    people.DuplicatesRequest
		kind   fault.Kind
		reason string
		field  string
	}{
		{people.DuplicatesRequest{PageSize: 201}, fault.KindInvalid, "PAGE_SIZE", "page_size"},
		{people.DuplicatesRequest{PageToken: "x"}, fault.KindInvalid, "PAGE_TOKEN", "page_token"},
		{people.DuplicatesRequest{Office: beside}, fault.KindDenied, "FOREIGN_OFFICE", "office"},
	} {
		_, _, err := b.site(there).People.ListDuplicates(t.Context(), clerk(there), r.req)
		refused(t, err, r.kind, r.reason, r.field)
	}

	// What was dismissed is not proposed again.
	dismiss := people.DismissRequest{RequestID: b.request(), A: slip, B: a}
	for range 2 {
		if err := b.site(there).People.Dismiss(t.Context(), clerk(there), dismiss); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.propose(there, a); len(got) != 1 || got[0].Person.ID != bare {
		t.Errorf("%d proposed again", len(got))
	}
	if got, _ := b.duplicates(there, 0, ""); len(got) != 2 {
		t.Errorf("%d proposals are left", len(got))
	}
	err := b.site(there).People.Dismiss(t.Context(), clerk(there), people.DismissRequest{RequestID: b.request(), A: a, B: next})
	refused(t, err, fault.KindNotFound, "PERSON_NOT_FOUND", "other_id")
}

// TestMerge: nothing moves, all of it is read together, and undoing leaves
// everything as before.
func TestMerge(t *testing.T) {
	b := newBureau(t, true)
	keep, other := b.twins(there, 1)
	b.propose(there, keep)
	id := b.open(b.notice(1, there))
	if _, err := b.at(there).Pair(t.Context(), clerk(there), desk.PairRequest{RequestID: b.request(), Ref: b.ref(there, id), Person: other}); err != nil {
		t.Fatal(err)
	}
	agreed := b.consents(there, 1, ledger.PurposeConfirm, here)
	if agreed.Person != keep {
		t.Fatal("the consent is of another file")
	}
	answer := func() error {
		_, _, err := b.at(there).Answer(t.Context(), clerk(there), desk.AnswerRequest{RequestID: b.request(), Ref: b.ref(there, id),
			Answer: desk.AnswerInput{Outcome: cases.Residing, Basis: desk.BasisInput{Kind: cases.BasisConsent, Consent: agreed.ID}}})
		return err
	}
	if err := answer(); err == nil {
		t.Fatal("a consent of another file is taken")
	}
	raw := b.raw(there)
	persons := func() string {
		return fmt.Sprint(raw.Rows(t, `SELECT string_agg((to_jsonb(p) - 'rev')::text, E'\n' ORDER BY id) FROM person p WHERE office = $1`, int64(there))[0]...)
	}
	proposals := func() string {
		return fmt.Sprint(raw.Rows(t, `SELECT string_agg((to_jsonb(d) - 'account')::text, E'\n' ORDER BY a, b) FROM duplicate d`)[0]...)
	}
	rest := func() map[string]string {
		m := b.marks(there)
		for _, table := range []string{"person", "duplicate", "person_event", "request", "cube_delta"} { // one open file less
			delete(m, table)
		}
		return m
	}
	personsWere, proposalsWere, restWas := persons(), proposals(), rest()

	s := b.site(there)
	r := people.MergeRequest{RequestID: b.request(), Person: keep, Other: other, Reason: "证件号码录入有误，同一人"}
	for range 2 {
		f, err := s.People.Merge(t.Context(), clerk(there), r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]cases.PersonID{other}, f.Merged); diff != "" || f.ID != keep || len(f.Cases) != 1 || f.Cases[0] != id {
			t.Errorf("merged with %d cases:\n%s", len(f.Cases), diff)
		}
	}
	if diff := cmp.Diff(restWas, rest()); diff != "" {
		t.Errorf("merging moved something:\n%s", diff)
	}
	if got, _ := b.duplicates(there, 0, ""); len(got) != 0 {
		t.Errorf("%d proposals of merged files", len(got))
	}
	// Either number leads to the one file; neither is a candidate beside it.
	from := b.notice(1, there)
	from.Origin = area.Children(origin)[1]
	second := b.open(from)
	if got := b.candidates(there, second); len(got) != 1 || got[0].Person != keep || !got[0].Certain {
		t.Errorf("%d candidates", len(got))
	}
	b.change(from.Origin, second, withdraw)
	slip := b.consent(there, 1, ledger.PurposeConfirm, yonder)
	slip.Person.Document = transposed(person(1))
	if c, err := b.at(there).RecordConsent(t.Context(), clerk(there), slip); err != nil || c.Person != keep {
		t.Errorf("by the other number: %v", err)
	}
	for _, ref := range []desk.PersonRef{{ID: keep}, {ID: other}, {Document: person(1)}, {Document: transposed(person(1))}} {
		got, err := b.at(there).ListConsents(t.Context(), clerk(there), there, ref, "test")
		if err != nil || len(got) != 2 || got[1].ID != agreed.ID {
			t.Errorf("%d consents of the person, %v", len(got), err)
		}
	}
	for _, tt := range []struct {
		name   string
		r      people.MergeRequest
		p      access.Principal
		kind   fault.Kind
		reason string
		field  string
	}{
		{"with itself", people.MergeRequest{Person: keep, Other: keep}, clerk(there), fault.KindInvalid, "SAME_PERSON", "other_id"},
		{"again", people.MergeRequest{Person: keep, Other: other}, clerk(there), fault.KindConflict, "MERGED", "other_id"},
		{"the other way round", people.MergeRequest{Person: other, Other: keep}, clerk(there), fault.KindConflict, "MERGED", "person_id"},
		{"nobody", people.MergeRequest{Person: keep, Other: cases.PersonID{7}}, clerk(there), fault.KindNotFound, "PERSON_NOT_FOUND", "other_id"},
		{"of another office", people.MergeRequest{Person: keep, Other: other}, clerk(beside), fault.KindNotFound, "PERSON_NOT_FOUND", "person_id"},
		{"by a role", people.MergeRequest{Person: keep, Other: other}, harness.Clerk(access.Admin, there), fault.KindDenied, "NOT_ALLOWED", ""},
	} {
		tt.r.RequestID, tt.r.Reason = b.request(), "x"
		_, err := s.People.Merge(t.Context(), tt.p, tt.r)
		t.Run(tt.name, func(t *testing.T) { refused(t, err, tt.kind, tt.reason, tt.field) })
	}
	_, err := s.People.Merge(t.Context(), clerk(there), people.MergeRequest{RequestID: b.request(), Person: keep, Other: other})
	refused(t, err, fault.KindInvalid, "REQUIRED", "reason")

	// Undone, everything is as it was, but for what came since.
	_, err = s.People.Unmerge(t.Context(), clerk(there), people.UnmergeRequest{RequestID: b.request(), Person: keep, Reason: "x"})
	refused(t, err, fault.KindConflict, "NOT_MERGED", "person_id")
	u := people.UnmergeRequest{RequestID: b.request(), Person: other, Reason: "经核实为两人"}
	for range 2 {
		f, err := s.People.Unmerge(t.Context(), clerk(there), u)
		if err != nil || f.ID != other || len(f.Merged) != 0 || len(f.Cases) != 1 {
			t.Fatalf("unmerge: %d cases, %v", len(f.Cases), err)
		}
	}
	if persons() != personsWere {
		t.Error("the files are not as they were")
	}
	if proposals() != proposalsWere {
		t.Error("the proposals are not as they were")
	}
	if err := answer(); err == nil {
		t.Error("a consent of another file is taken after the merge was undone")
	}
	b.merge(there, keep, other)
	if err := answer(); err != nil {
		t.Errorf("a consent of the merged file: %v", err)
	}
	if got := fmt.Sprint(raw.Rows(t, `SELECT count(*) FILTER (WHERE kind = 4), count(*) FILTER (WHERE kind = 5), count(DISTINCT person) FROM person_event WHERE kind IN (4, 5)`)[0]...); got != "4 2 2" {
		t.Errorf("history: %s", got)
	}
}

// TestMergeChains: a file that others were merged into is not merged away; so a
// merge is always undone alone.
func TestMergeChains(t *testing.T) {
	b := newBureau(t, true)
	first, second := b.twins(there, 1)
	third, _ := b.file(there, profile(2, named("示例乙")))
	foreign, _ := b.file(beside, profile(3))
	b.merge(there, first, second)
	s, p := b.site(there), clerk(there, beside)
	merge := func(keep, other cases.PersonID) error {
		_, err := s.People.Merge(t.Context(), p, people.MergeRequest{RequestID: b.request(), Person: keep, Other: other, Reason: "x"})
		return err
	}
	refused(t, merge(third, first), fault.KindConflict, "HAS_MERGED", "other_id")
	refused(t, merge(first, foreign), fault.KindInvalid, "OTHER_OFFICE", "other_id")
	if err := merge(first, third); err != nil {
		t.Fatal(err)
	}
	// By hand, though nothing proposed it; undone, it is not proposed either.
	if _, err := s.People.Unmerge(t.Context(), p, people.UnmergeRequest{RequestID: b.request(), Person: third, Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	if got, _ := b.duplicates(there, 0, ""); len(got) != 0 {
		t.Errorf("%d proposals", len(got))
	}
	err := s.People.In(t.Context(), p, func(tx *store.Tx) error {
		g, err := s.People.Group(t.Context(), tx, second)
		if diff := cmp.Diff([]cases.PersonID{first, second}, g); diff != "" {
			t.Errorf("group:\n%s", diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	refusedDismiss := s.People.Dismiss(t.Context(), p, people.DismissRequest{RequestID: b.request(), A: first, B: second})
	refused(t, refusedDismiss, fault.KindConflict, "MERGED", "other_id")
}
