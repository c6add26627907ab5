package desk_test

import (
	"testing"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/harness"
)

// TestCountyReadsNoPerson walks the verbs with the roles that see counts only.
func TestCountyReadsNoPerson(t *testing.T) {
	b := newBureau(t, true)
	d := b.at(here)
	id := b.open(b.notice(1, there))
	for _, role := range []access.Role{access.County, access.Auditor, access.Admin, access.Security} {
		p := harness.Clerk(role, here, there, origin, residence)
		for name, call := range map[string]func() error{
			"get":    func() error { _, err := d.GetCase(t.Context(), p, desk.GetRequest{Case: id}); return err },
			"unmask": func() error { _, err := d.GetCase(t.Context(), p, desk.GetRequest{Case: id, Unmask: true}); return err },
			"list":   func() error { _, _, err := d.ListCases(t.Context(), p, desk.ListRequest{}); return err },
			"trace":  func() error { _, err := d.Trace(t.Context(), p, id, "test"); return err },
			"watch":  func() error { return d.Watch(t.Context(), p, 0, func(desk.Change) error { return nil }) },
			"consent": func() error {
				_, err := d.ListConsents(t.Context(), p, here, desk.PersonRef{Document: person(1)}, "test")
				return err
			},
		} {
			t.Run(string(role)+" "+name, func(t *testing.T) { refused(t, call(), fault.KindDenied, "NOT_ALLOWED", "") })
		}
	}
	// A distributor sees only what waits to be given away.
	p := harness.Clerk(access.Distributor, residence, there)
	waits := b.open(b.notice(2, residence))
	list, _, err := d.ListCases(t.Context(), p, desk.ListRequest{})
	if err != nil || len(list) != 1 || list[0].ID != waits || list[0].Fields != nil {
		t.Errorf("distributor: %d, %v", len(list), err)
	}
	_, err = d.GetCase(t.Context(), p, desk.GetRequest{Case: id})
	refused(t, err, fault.KindNotFound, "CASE_NOT_FOUND", "case_id")
	_, _, err = d.Answer(t.Context(), p, desk.AnswerRequest{RequestID: b.request(), Ref: b.ref(there, id), Answer: desk.AnswerInput{Outcome: cases.NotFound}})
	refused(t, err, fault.KindNotFound, "CASE_NOT_FOUND", "case_id")
	_, err = d.GetCase(t.Context(), p, desk.GetRequest{Case: id, Unmask: true})
	refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
	for _, tt := range []struct {
		name   string
		r      desk.ListRequest
		kind   fault.Kind
		reason string
		field  string
	}{
		{"a huge page", desk.ListRequest{PageSize: 1001}, fault.KindInvalid, "PAGE_SIZE", "page_size"},
		{"a negative page", desk.ListRequest{PageSize: -1}, fault.KindInvalid, "PAGE_SIZE", "page_size"},
		{"no token", desk.ListRequest{PageToken: "???"}, fault.KindInvalid, "PAGE_TOKEN", "page_token"},
		{"a foreign office", desk.ListRequest{Office: there}, fault.KindDenied, "FOREIGN_OFFICE", "office"},
		{"an unknown counterpart", desk.ListRequest{Counterpart: area.MustOf(area.Township, "330782999")}, fault.KindInvalid, "AREA_UNKNOWN", "counterpart"},
		{"an unknown kind", desk.ListRequest{Kind: 42}, fault.KindInvalid, "CASE_KIND", "kind"},
	} {
		t.Run("list "+tt.name, func(t *testing.T) {
			_, _, err := d.ListCases(t.Context(), clerk(here), tt.r)
			refused(t, err, tt.kind, tt.reason, tt.field)
		})
	}
	if n := testing.AllocsPerRun(100, func() { _ = d.Offices() }); n != 0 {
		t.Errorf("Offices computes anew: %v allocations", n)
	}
}
