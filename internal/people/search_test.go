package people_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mozillazg/go-pinyin"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/seal"
)

func TestInitials(t *testing.T) {
	for name, want := range map[string]string{
		"张三": "zs", "单雄": "sx", "曾一": "zy", "仇二": "qe", "解三": "xs", "查四": "zs", "区五": "ow", "朴六": "pl", "尉迟七": "ycq", "欧阳八": "oyb",
		"单于九": "cyj", "买买提·吐尔逊": "mmttex", "Anna Li": "annali", "欧": "o", "𠮷田": "t", "": "", "·": "",
	} {
		if got := people.Initials(ident.NormalizeName(name)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestSearch finds by each thing known of a person, present and former, and finds
// nobody of another office.
func TestSearch(t *testing.T) {
	o := newOffice(t)
	p, q := o.account("clerk-a", here), o.account("clerk-b", beside)
	f := somebody(1)
	f.Name, f.FormerNames = "买买提．测试", []string{"单示例"}
	f.Documents = append(f.Documents, ledger.Document{Kind: ident.KindPassport, Number: "E12345678"})
	f.Contacts = append(f.Contacts, ledger.Contact{Kind: "phone", Value: "0852-2222 3333"})
	one := o.register(p, f).File.ID
	old := somebody(2)
	n := number(2)
	old.Documents = []ledger.Document{{Number: n[:6] + n[8:17]}}
	two := o.register(p, old).File.ID
	theirs := o.register(q, f).File.ID
	village := area.MustOf(area.Village, here.Short()+"001")
	for _, tt := range []struct {
		name    string
		request people.SearchRequest
		want    []cases.PersonID
		foundBy string
	}{
		{"document", people.SearchRequest{Document: number(1)}, []cases.PersonID{one}, ""},
		{"document typed full-width", people.SearchRequest{Document: " " + number(1)[:6] + " " + number(1)[6:]}, []cases.PersonID{one}, ""},
		{"further document", people.SearchRequest{Document: "e12345678"}, []cases.PersonID{one}, ""},
		{"18 form of a 15-digit number", people.SearchRequest{Document: ident.Doc{Kind: ident.KindResident15, Number: n[:6] + n[8:17]}.Match18()}, []cases.PersonID{two}, ""},
		{"15-digit number", people.SearchRequest{Document: n[:6] + n[8:17]}, []cases.PersonID{two}, ""},
		{"unknown document", people.SearchRequest{Document: number(9)}, nil, ""},
		{"last four", people.SearchRequest{Last4: number(1)[14:]}, []cases.PersonID{one}, ""},
		{"last four of a passport", people.SearchRequest{Last4: "5678"}, []cases.PersonID{one}, ""},
		{"last four of the 18 form", people.SearchRequest{Last4: ident.Doc{Kind: ident.KindResident15, Number: n[:6] + n[8:17]}.Match18()[14:]}, []cases.PersonID{two}, ""},
		{"name", people.SearchRequest{Name: "买买提"}, []cases.PersonID{one}, ""},
		{"name with another dot", people.SearchRequest{Name: "买买提•测"}, []cases.PersonID{one}, ""},
		{"former name", people.SearchRequest{Name: "单示"}, []cases.PersonID{one}, "单示例"},
		{"the middle of a name", people.SearchRequest{Name: "示例"}, nil, ""},
		{"initials", people.SearchRequest{Initials: "MMT"}, []cases.PersonID{one}, ""},
		{"initials of a former name", people.SearchRequest{Initials: "ssl"}, []cases.PersonID{one}, "单示例"},
		{"initials of both", people.SearchRequest{Initials: "cs"}, []cases.PersonID{two}, ""},
		{"phone", people.SearchRequest{Phone: "+86 138-0000-0001"}, []cases.PersonID{one}, ""},
		{"second phone", people.SearchRequest{Phone: "085222223333"}, []cases.PersonID{one}, ""},
		{"living in the township", people.SearchRequest{Area: here}, []cases.PersonID{one, two}, ""},
		{"living in the village", people.SearchRequest{Area: village}, []cases.PersonID{one, two}, ""},
		{"living in the next village", people.SearchRequest{Area: area.MustOf(area.Village, here.Short()+"002")}, nil, ""},
		{"registered in the county", people.SearchRequest{Area: county, AreaOf: "registered"}, []cases.PersonID{one, two}, ""},
		{"living in another county", people.SearchRequest{Area: other}, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.request.Purpose = "test"
			lines, next, err := o.People.SearchPersons(t.Context(), p, tt.request)
			if err != nil || next != "" {
				t.Fatalf("%v, next page %q", err, next)
			}
			want := slices.Clone(tt.want)
			slices.SortFunc(want, func(a, b cases.PersonID) int { return slices.Compare(a[:], b[:]) })
			if d := cmp.Diff(append([]cases.PersonID{}, want...), found(lines)); d != "" {
				t.Errorf("found: %s", d)
			}
			if len(lines) == 1 && lines[0].FoundBy != tt.foundBy {
				t.Errorf("found by %q", lines[0].FoundBy)
			}
			if len(lines) > 0 && lines[0].Document == number(1) {
				t.Error("the whole number shows")
			}
			subjects, _ := o.logged(p, access.PersonSearch)
			if len(subjects) != len(tt.want) {
				t.Errorf("%d logged, %d shown", len(subjects), len(tt.want))
			}
			their, _, err := o.People.SearchPersons(t.Context(), q, tt.request)
			if err != nil || slices.ContainsFunc(their, func(s people.Summary) bool { return s.ID != theirs }) {
				t.Errorf("another office: %d found, %v", len(their), err)
			}
		})
	}
	for name, r := range map[string]people.SearchRequest{
		"nothing": {}, "two things": {Name: "测", Phone: "13800000001"}, "no area of": {Area: here, AreaOf: "managed"}, "no area": {Area: area.MustOf(area.Township, "520330999")},
		"three characters": {Last4: "123"}, "half a number": {Document: "5203301990"}, "signs as initials": {Initials: "z%"}, "a word as phone": {Phone: "abcdef"},
		"a large page": {Name: "测", PageSize: 201}, "a broken token": {Name: "测", PageToken: "x"},
	} {
		if _, _, err := o.People.SearchPersons(t.Context(), p, r); !fault.Is(err, fault.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := o.People.SearchPersons(t.Context(), p, people.SearchRequest{Office: beside, Name: "测"}); !fault.Is(err, fault.KindDenied) {
		t.Errorf("another office: %v", err)
	}
}

// TestSearchPages walks pages of each order: everybody once, and nobody twice.
func TestSearchPages(t *testing.T) {
	o := newOffice(t)
	p := o.account("clerk-a", here, beside)
	const n = 23
	all := map[cases.PersonID]bool{}
	for i := range n {
		f := somebody(i)
		office := []area.Key{here, beside}[i%2]
		got, err := o.People.RegisterPerson(t.Context(), p, people.RegisterRequest{RequestID: o.request(), Office: office, Profile: f})
		if err != nil {
			t.Fatal(err)
		}
		all[got.File.ID] = true
	}
	for name, r := range map[string]people.SearchRequest{
		"name": {Name: "测试"}, "initials": {Initials: "cs"}, "living": {Area: here}, "registered": {Area: county, AreaOf: "registered"},
	} {
		for _, size := range []int{1, 4, n - 1, n, 100} {
			t.Run(fmt.Sprintf("%s by %d", name, size), func(t *testing.T) {
				seen := map[cases.PersonID]bool{}
				r.PageSize, r.PageToken = size, ""
				for {
					lines, next, err := o.People.SearchPersons(t.Context(), p, r)
					if err != nil || len(lines) > size {
						t.Fatalf("%d lines, %v", len(lines), err)
					}
					for _, s := range lines {
						if seen[s.ID] {
							t.Fatal("somebody twice")
						}
						seen[s.ID] = true
					}
					if r.PageToken = next; next == "" {
						break
					}
				}
				if len(seen) != n {
					t.Errorf("%d found, %d are there", len(seen), n)
				}
			})
		}
	}
}

// TestSearchErased: who was erased is found by nothing.
func TestSearchErased(t *testing.T) {
	o := newOffice(t)
	p := o.account("clerk-a", here)
	f := somebody(1)
	f.FormerNames = []string{"示例旧"}
	f.Contacts = append(f.Contacts, ledger.Contact{Value: "13900000001"})
	id := o.register(p, f).File.ID
	if err := o.DB.InExchange(t.Context(), []area.Key{here}, txErase(t, o, id)); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]people.SearchRequest{
		"document": {Document: number(1)}, "last4": {Last4: number(1)[14:]}, "name": {Name: "测"}, "former": {Name: "示例"}, "initials": {Initials: "s"},
		"phone": {Phone: "13800000001"}, "second phone": {Phone: "13900000001"}, "area": {Area: here},
	} {
		lines, _, err := o.People.SearchPersons(t.Context(), p, r)
		if err != nil || len(lines) != 0 {
			t.Errorf("%s: %d found, %v", name, len(lines), err)
		}
	}
	if _, _, err := o.People.GetPerson(t.Context(), p, id, "test"); !fault.Is(err, fault.KindNotFound) {
		t.Errorf("opened: %v", err)
	}
	if n := o.count(`SELECT count(*) FROM person WHERE id = $1 AND num_nulls(key, birth, doc, doc_index, last4, phone, phone_index, profile, index_key, household, since) = 11
		AND name = '' AND initials = '' AND registered = 0 AND managed = 0 AND living = 0 AND presence = 0`, [16]byte(id)); n != 1 {
		t.Error("plain columns are not blank")
	}
	if n := o.count("SELECT (SELECT count(*) FROM lookup) + (SELECT count(*) FROM former_name)"); n != 0 {
		t.Errorf("%d rows find an erased person", n)
	}
	o.register(p, f) // the document may come again
}

// TestSearchOlderKey: what an older index key made is still found.
func TestSearchOlderKey(t *testing.T) {
	o := newOffice(t)
	p := o.account("clerk-a", here)
	id := o.register(p, somebody(1)).File.ID
	if err := o.Keys.Rotate(seal.UseIndex, o.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	if len(o.Keys.Indexes()) < 2 {
		t.Fatalf("%d index keys", len(o.Keys.Indexes()))
	}
	for name, r := range map[string]people.SearchRequest{"document": {Document: number(1)}, "last4": {Last4: number(1)[14:]}, "phone": {Phone: "13800000001"}} {
		if lines, _, err := o.People.SearchPersons(t.Context(), p, r); err != nil || len(lines) != 1 || lines[0].ID != id {
			t.Errorf("%s: %d found, %v", name, len(lines), err)
		}
	}
	_, err := o.People.RegisterPerson(t.Context(), p, people.RegisterRequest{RequestID: o.request(), Profile: somebody(1)})
	wantFault(t, err, fault.KindConflict, "PERSON_EXISTS", "profile.documents")
}

// TestEveryReadingHasALetter: no entry of the dictionary is left without one.
func TestEveryReadingHasALetter(t *testing.T) {
	missing := 0
	for r := range pinyin.PinyinDict {
		if people.Initials("x"+string(rune(r))) == "x" {
			missing++
		}
	}
	if missing != 0 {
		t.Errorf("%d of %d characters have no letter", missing, len(pinyin.PinyinDict))
	}
}
