package access_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/fault"
)

var update = flag.Bool("update", false, "write golden files")

var (
	county  = area.MustOf(area.County, "520330")
	own     = area.MustOf(area.Township, "520330001")
	sibling = area.MustOf(area.Township, "520330002")
	foreign = area.MustOf(area.Township, "440304002")
)

// The whole table: role × verb × office, for a principal of the township own
// and for one of its county.
func TestGoldenGrants(t *testing.T) {
	offices := []struct {
		name string
		key  area.Key
	}{{"any", 0}, {"own", own}, {"sibling", sibling}, {"county", county}, {"foreign", foreign}}
	var b strings.Builder
	for _, works := range []area.Key{own, county} {
		fmt.Fprintf(&b, "works for %s\n%-12s %-16s", works, "role", "verb")
		for _, o := range offices {
			fmt.Fprintf(&b, " %-7s", o.name)
		}
		b.WriteString("\n")
		for _, r := range append(access.Roles(), "", "root") {
			for _, v := range append(access.Verbs(), "case.delete") {
				p := access.Principal{ID: "u1", Role: r, Offices: []area.Key{works}}
				fmt.Fprintf(&b, "%-12s %-16s", r, v)
				for _, o := range offices {
					can := access.Can(p, v, o.key)
					mark := "-"
					if can {
						mark = "yes"
					}
					fmt.Fprintf(&b, " %-7s", mark)
					if err := access.Check(p, v, o.key); (err == nil) != can || err != nil && !fault.Is(err, fault.KindDenied) {
						t.Errorf("%s %s %s: can %v, check %v", r, v, o.name, can, err)
					}
				}
				b.WriteString("\n")
			}
		}
		b.WriteString("\n")
	}
	const file = "testdata/grants.golden"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

// Who is shown no person can do nothing that shows one, and nobody without an
// office does anything in one.
func TestGrantsKeepPersonsFromMachineRoles(t *testing.T) {
	persons := []access.Verb{access.CaseOpen, access.CaseRead, access.CaseUnmask, access.CaseDistribute, access.CasePair, access.CaseAnswer,
		access.CaseOffer, access.CaseChange, access.ConsentWrite, access.ConsentRead}
	for _, r := range access.Roles() {
		reads := false
		for _, v := range persons {
			reads = reads || access.Can(access.Principal{Role: r}, v, 0)
		}
		if reads != r.ReadsPersons() {
			t.Errorf("%s reads persons: %v, says %v", r, reads, r.ReadsPersons())
		}
		for _, v := range access.Verbs() {
			if access.Can(access.Principal{Role: r}, v, own) {
				t.Errorf("%s without an office may %s in one", r, v)
			}
		}
	}
	// Roles split (SECURITY D16): no role has both accounts and persons, or the
	// log and what it watches.
	for _, r := range access.Roles() {
		p := access.Principal{Role: r}
		if access.Can(p, access.UserManage, 0) && (r.ReadsPersons() || access.Can(p, access.NodeMend, 0)) ||
			access.Can(p, access.LogRead, 0) && (r.ReadsPersons() || access.Can(p, access.UserManage, 0) || access.Can(p, access.NodeMend, 0)) {
			t.Errorf("%s holds powers that are split", r)
		}
	}
}

func TestOffice(t *testing.T) {
	for _, tt := range []struct {
		name    string
		offices []area.Key
		asked   area.Key
		want    area.Key
		reason  fault.Kind // 0 (Internal): no error wanted
	}{
		{"the only one", []area.Key{own}, 0, own, 0},
		{"named", []area.Key{own, sibling}, sibling, sibling, 0},
		{"one of several, unnamed", []area.Key{own, sibling}, 0, 0, fault.KindInvalid},
		{"none", nil, 0, 0, fault.KindInvalid},
		{"foreign", []area.Key{own}, foreign, 0, fault.KindDenied},
		{"above", []area.Key{own}, county, 0, fault.KindDenied},
		{"below", []area.Key{county}, own, 0, fault.KindDenied},
	} {
		got, err := access.Principal{ID: "u1", Offices: tt.offices}.Office(tt.asked)
		if got != tt.want || (err != nil) != (tt.reason != 0) || err != nil && !fault.Is(err, tt.reason) {
			t.Errorf("%s: %s, %v", tt.name, got, err)
		}
	}
}
