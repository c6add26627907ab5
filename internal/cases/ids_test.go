package cases_test

import (
	"fmt"
	"strings"
	"testing"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
)

var (
	node   = cases.NodeID(area.MustOf(area.County, "520330"))
	office = area.MustOf(area.Township, "520330001")
	target = area.MustOf(area.Township, "440304002")
)

func TestParseIDs(t *testing.T) {
	const hex = "00112233445566778899aabbccddeeff"
	parsers := map[string]func(string) (fmt.Stringer, error){
		"case":    func(s string) (fmt.Stringer, error) { return cases.ParseCaseID(s) },
		"item":    func(s string) (fmt.Stringer, error) { return cases.ParseItemID(s) },
		"person":  func(s string) (fmt.Stringer, error) { return cases.ParsePersonID(s) },
		"consent": func(s string) (fmt.Stringer, error) { return cases.ParseConsentID(s) },
	}
	for name, parse := range parsers {
		for _, s := range []string{hex, strings.ToUpper(hex), "00112233-4455-6677-8899-aabbccddeeff"} {
			if id, err := parse(s); err != nil || id.String() != hex {
				t.Errorf("%s %q: %s, %v", name, s, id, err)
			}
		}
		for _, s := range []string{"", "-", hex[1:], hex + "00", "g" + hex[1:], " " + hex, hex + "\n", strings.Repeat("é", 16)} {
			id, err := parse(s)
			if !fault.Is(err, fault.KindInvalid) || strings.Trim(id.String(), "0") != "" {
				t.Errorf("%s %q: %s, %v", name, s, id, err)
			}
			if err != nil && s != "" && len(s) > 3 && strings.Contains(err.Error(), s) {
				t.Errorf("%s: the error repeats what was typed", name)
			}
		}
	}
}

func TestZeroIDs(t *testing.T) {
	if !(cases.CaseID{}).IsZero() || !(cases.ItemID{}).IsZero() || !(cases.PersonID{}).IsZero() || !(cases.ConsentID{}).IsZero() {
		t.Error("a zero id names something")
	}
	if (cases.CaseID{15: 1}).IsZero() || (cases.ItemID{15: 1}).IsZero() || (cases.PersonID{15: 1}).IsZero() || (cases.ConsentID{15: 1}).IsZero() {
		t.Error("an id of one bit names nothing")
	}
}

// Rule 5: these ids are computed by every node and every version alike. The
// values were computed apart from this code, from the rule's text.
func TestGoldenCaseIDs(t *testing.T) {
	parent := cases.NewCaseID(node, office, "req-0001")
	for _, tt := range []struct{ name, got, want string }{
		{"case", parent.String(), "2af1968abd4b4b6ca682c0fbe91571c9"},
		{"case of an empty request", cases.NewCaseID(node, office, "").String(), "17927f7dd315f451778fa27956c35084"},
		{"child", cases.ChildCaseID(parent, 1, target).String(), "a4b89e9f3f939d74efdaa0703de2be3b"},
		{"child of round 2", cases.ChildCaseID(parent, 2, target).String(), "41231772e253b4dc57a380a6c6172bd3"},
		{"pair", fmt.Sprintf("%016x", cases.Pair(office, target)), "c803963898b3fa2a"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, tt.got, tt.want)
		}
	}
}

func TestCaseIDsDiffer(t *testing.T) {
	parent := cases.NewCaseID(node, office, "r")
	seen := map[string]string{}
	for name, id := range map[string]cases.CaseID{
		"case": parent, "other node": cases.NewCaseID(node+10, office, "r"), "other office": cases.NewCaseID(node, target, "r"),
		"node and office exchanged": cases.NewCaseID(cases.NodeID(office), area.Key(node), "r"), "other request": cases.NewCaseID(node, office, "s"),
		"child": cases.ChildCaseID(parent, 1, target), "other round": cases.ChildCaseID(parent, 2, target),
		"other target": cases.ChildCaseID(parent, 1, office), "grandchild": cases.ChildCaseID(cases.ChildCaseID(parent, 1, target), 1, target),
		"report": cases.NewReportID(node, office, target, "2026-10", cases.Snapshot), "report back": cases.NewReportID(node, target, office, "2026-10", cases.Snapshot),
		"report of another month": cases.NewReportID(node, office, target, "2026-11", cases.Snapshot), "of another form": cases.NewReportID(node, office, target, "2026-10", cases.Comparison),
		"of another node": cases.NewReportID(node+10, office, target, "2026-10", cases.Snapshot),
		"outage":          cases.CaseID(cases.NewOutageID(node, "county", "r")), "outage of another account": cases.CaseID(cases.NewOutageID(node, "countyr", "")),
	} {
		if was, ok := seen[id.String()]; ok {
			t.Errorf("%s and %s have one id", name, was)
		}
		seen[id.String()] = name
	}
	if parent != cases.NewCaseID(node, office, "r") {
		t.Error("a repeated request names another case")
	}
	if cases.Pair(office, target) == cases.Pair(target, office) {
		t.Error("a pair is the same in both directions")
	}
	if got := (cases.ItemID{1, 2, 3, 4, 5, 6, 7, 8, 9}).Hash64(); got != 0x0102030405060708 {
		t.Errorf("hash %x", got)
	}
	if node.String() != "3:520330" || node.Area() != area.MustOf(area.County, "520330") {
		t.Errorf("node %s", node)
	}
}
