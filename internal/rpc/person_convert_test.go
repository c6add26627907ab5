package rpc

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/store"
)

// fullProfile has every member set that a request may set.
func fullProfile() *ledgerv1.Profile {
	return &ledgerv1.Profile{
		Name: "测试甲", FormerNames: []string{"测试旧"}, Sex: 2, BirthDate: "1990-02-01", MaritalStatus: 21, Registered: "3:520330", Managed: "4:520330001",
		Living: "5:520330001001", Address: "建设路一号", Household: "户口簿00001", HouseholdRelation: "head",
		Documents: []*ledgerv1.Document{{Kind: ledgerv1.DocumentKind_DOCUMENT_KIND_PASSPORT, Number: "e12345678", Confirmed: "核对原件", Former: true}},
		Contacts:  []*ledgerv1.Contact{{Value: "13800000000", Kind: "phone", Safe: true, Preference: "evenings"}},
	}
}

// TestProfileThereAndBack: what comes in goes out again, member by member, but
// for standing refusals, which no request sets.
func TestProfileThereAndBack(t *testing.T) {
	in := fullProfile()
	in.StandingRefusals = []string{"visit"}
	q, err := registerPersonRequest(&ledgerv1.RegisterPersonRequest{RequestId: "request-1", Profile: in, EventDate: "2026-05-01"})
	if err != nil {
		t.Fatal(err)
	}
	if len(q.Profile.Refusals) != 0 || q.On != civil.MustParse("2026-05-01") {
		t.Error("a request set a standing refusal, or lost its day")
	}
	if d := cmp.Diff(fullProfile(), profileMessage(&q.Profile), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	q.Profile.Refusals = map[ledger.Service]civil.Date{ledger.Visit: {}, ledger.ThreeChecks: {}}
	if d := cmp.Diff([]string{"three_checks", "visit"}, profileMessage(&q.Profile).GetStandingRefusals()); d != "" {
		t.Error(d)
	}
}

func TestPersonRequestsRefused(t *testing.T) {
	long := strings.Repeat("测", 5000)
	profile := func(change func(*ledgerv1.Profile)) func() error {
		return func() error {
			m := fullProfile()
			change(m)
			_, err := registerPersonRequest(&ledgerv1.RegisterPersonRequest{RequestId: "request-1", Profile: m})
			return err
		}
	}
	for field, ask := range map[string]func() error{
		"request_id": func() error {
			_, err := registerPersonRequest(&ledgerv1.RegisterPersonRequest{RequestId: "x"})
			return err
		},
		"profile": func() error {
			_, err := registerPersonRequest(&ledgerv1.RegisterPersonRequest{RequestId: "request-1"})
			return err
		},
		"profile.name":                profile(func(m *ledgerv1.Profile) { m.Name = long }),
		"profile.birth_date":          profile(func(m *ledgerv1.Profile) { m.BirthDate = "1990-02-30" }),
		"profile.living":              profile(func(m *ledgerv1.Profile) { m.Living = "somewhere" }),
		"profile.address":             profile(func(m *ledgerv1.Profile) { m.Address = long }),
		"profile.former_names":        profile(func(m *ledgerv1.Profile) { m.FormerNames = make([]string, 51) }),
		"profile.documents":           profile(func(m *ledgerv1.Profile) { m.Documents = make([]*ledgerv1.Document, 21) }),
		"profile.documents[0].kind":   profile(func(m *ledgerv1.Profile) { m.Documents[0].Kind = 8 }),
		"profile.documents[0].number": profile(func(m *ledgerv1.Profile) { m.Documents[0].Number = long }),
		"profile.contacts[0].value":   profile(func(m *ledgerv1.Profile) { m.Contacts[0].Value = "1\x00" }),
		"etag": func() error {
			_, err := updatePersonRequest(&ledgerv1.UpdatePersonRequest{RequestId: "request-1", PersonId: strings.Repeat("a", 32), Profile: fullProfile()})
			return err
		},
		"person_id": func() error { _, _, err := personAsked("", "x"); return err },
		"purpose":   func() error { _, _, err := personAsked(strings.Repeat("a", 32), long); return err },
		"page_size": func() error { _, err := searchPersonsRequest(&ledgerv1.SearchPersonsRequest{PageSize: -1}); return err },
		"area":      func() error { _, err := searchPersonsRequest(&ledgerv1.SearchPersonsRequest{Area: "x"}); return err },
		"keepers": func() error {
			_, _, _, err := restrictPersonRequest("request-1", strings.Repeat("a", 32), make([]string, 51))
			return err
		},
	} {
		f, ok := fault.As(ask())
		if !ok || f.Kind != fault.KindInvalid || f.Field != field || f.Text == "" {
			t.Errorf("%s: %+v", field, f)
		}
	}
	q, err := searchPersonsRequest(&ledgerv1.SearchPersonsRequest{PageSize: 1000, Name: "测"})
	if err != nil || q.PageSize != 200 {
		t.Errorf("page of %d, %v", q.PageSize, err)
	}
}

func TestPersonMessages(t *testing.T) {
	at := time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)
	id, c := cases.PersonID{1}, cases.CaseID{2}
	here := area.MustOf(area.Township, "520330001")
	f := people.File{
		ID: id, Office: here, Etag: "1-01", Profile: people.Profile{Name: "测试甲"}, Presence: ledger.Inflow, Since: civil.MustParse("2026-05-01"),
		AreaHint: "520330", AreaHintName: "习水县", Merged: []cases.PersonID{{3}}, Restricted: true, Cases: []cases.CaseID{c},
	}
	if d := cmp.Diff(&ledgerv1.Person{
		PersonId: id.String(), Office: "4:520330001", Etag: "1-01", Profile: &ledgerv1.Profile{Name: "测试甲"}, Presence: ledgerv1.Presence_PRESENCE_INFLOW,
		Since: "2026-05-01", AreaHint: "520330", AreaHintName: "习水县", MergedIds: []string{cases.PersonID{3}.String()}, Restricted: true, CaseIds: []string{c.String()},
	}, personMessage(f), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	s := people.Summary{ID: id, Office: here, Name: "测试甲", Sex: 2, BirthYear: 1990, Document: "5********X", Living: here, Presence: ledger.Here, FoundBy: "测试旧"}
	line := &ledgerv1.PersonSummary{PersonId: id.String(), Office: "4:520330001", Name: "测试甲", Sex: 2, BirthYear: 1990, Document: "5********X",
		Living: "4:520330001", Presence: ledgerv1.Presence_PRESENCE_HERE, FoundBy: "测试旧"}
	if d := cmp.Diff(&ledgerv1.DuplicateHint{Person: line, Score: 80, Reasons: []string{"phone"}},
		hintMessage(people.DuplicateHint{Person: s, Score: 80, Reasons: []string{"phone"}}), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	e := people.Event{Kind: ledger.EventEdited, On: civil.MustParse("2026-05-01"), RecordedAt: at, Account: "clerk",
		Event: ledger.Event{Fields: []string{"name"}, Before: map[string]string{"name": "测试旧"}, After: map[string]string{"name": "测试甲"}, Reason: "更正"}}
	if d := cmp.Diff(&ledgerv1.PersonEvent{Kind: "edited", EventDate: "2026-05-01", RecordedAt: timestamppb.New(at), Account: "clerk", Fields: []string{"name"},
		Before: map[string]string{"name": "测试旧"}, After: map[string]string{"name": "测试甲"}, Reason: "更正"}, personEventMessage(e), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	slip := people.Slip{
		Name: "测试甲", Reads: []store.Read{{At: at, Office: here, Account: "clerk", OnBehalf: "window", Verb: "person.open", Purpose: "核对"}},
		Cases:    []people.SlipCase{{Side: store.Side{Case: c, Kind: cases.Outflow, OpenedAt: at}, AskedBy: here}},
		Consents: []ledger.Consent{{ID: cases.ConsentID{4}, Purpose: ledger.PurposeNotice, Recipient: here, ValidUntil: at, WithdrawnAt: at}},
	}
	if d := cmp.Diff(&ledgerv1.GetSlipResponse{
		Name: "测试甲", Reads: []*ledgerv1.SlipRead{{At: timestamppb.New(at), Office: "4:520330001", Account: "clerk", OnBehalf: "window", Verb: "person.open", Purpose: "核对"}},
		Cases: []*ledgerv1.SlipCase{{CaseId: c.String(), Kind: cases.Outflow.String(), AskedBy: "4:520330001", OpenedAt: timestamppb.New(at)}},
		Consents: []*ledgerv1.SlipConsent{{ConsentId: cases.ConsentID{4}.String(), Purpose: ledger.PurposeNotice, Recipient: "4:520330001",
			ValidUntil: timestamppb.New(at), WithdrawnAt: timestamppb.New(at)}},
	}, slipMessage(slip), protocmp.Transform()); d != "" {
		t.Error(d)
	}
}

// TestDocumentKindsAgree: the numbers of the API are those that are stored.
func TestDocumentKindsAgree(t *testing.T) {
	for _, k := range ident.Kinds() {
		name := strings.TrimPrefix(ledgerv1.DocumentKind_name[int32(k)], "DOCUMENT_KIND_")
		if !strings.EqualFold(name, k.String()) {
			t.Errorf("%v is %s", k, name)
		}
	}
	for k := ledger.Unknown; k <= ledger.Dead; k++ {
		if _, ok := ledgerv1.Presence_name[int32(k)]; !ok {
			t.Errorf("presence %d has no name", k)
		}
	}
}
