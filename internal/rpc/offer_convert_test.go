package rpc

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/policy"
	"yipan/internal/services"
)

func fullService() *ledgerv1.ServiceInput {
	return &ledgerv1.ServiceInput{
		RequestId: "request-1", PersonId: "0102030405060708090a0b0c0d0e0f10", Kind: ledgerv1.ServiceKind_SERVICE_KIND_THREE_CHECKS, Period: 20263,
		Result: "done", Date: "2026-11-18", Channel: "visit", Findings: map[string]string{"iud": "x"}, ConsentId: "1102030405060708090a0b0c0d0e0f10",
		OwnProof: true, Appointment: "2026-12-01", Referral: &ledgerv1.Referral{To: "某医院", Date: "2026-11-18", DoneDate: "2026-11-19"},
	}
}

// What is read of a service is what is shown of it again.
func TestServiceRoundTrip(t *testing.T) {
	m := fullService()
	in, err := serviceInput("", m)
	if err != nil {
		t.Fatal(err)
	}
	in.Record.Attempts, in.Record.By = []ledger.Attempt{{Date: in.Record.Date, Channel: "phone"}}, "clerk1"
	got := serviceMessage(services.View{Person: in.Person, Kind: in.Kind, Period: in.Period, Record: in.Record})
	m.RequestId = ""
	want := &ledgerv1.ServiceRecord{
		PersonId: m.GetPersonId(), Kind: m.GetKind(), Period: 20263, Closed: true, Last: m, Account: "clerk1",
		Attempts: []*ledgerv1.Attempt{{Date: "2026-11-18", Channel: "phone"}},
	}
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Errorf("round trip: %s", d)
	}
}

func TestServiceInputRefuses(t *testing.T) {
	for _, tt := range []struct {
		field  string
		change func(*ledgerv1.ServiceInput)
	}{
		{"request_id", func(m *ledgerv1.ServiceInput) { m.RequestId = "x" }},
		{"person_id", func(m *ledgerv1.ServiceInput) { m.PersonId = "" }},
		{"person_id", func(m *ledgerv1.ServiceInput) { m.PersonId = "测试甲" }},
		{"kind", func(m *ledgerv1.ServiceInput) { m.Kind = 0 }},
		{"kind", func(m *ledgerv1.ServiceInput) { m.Kind = 6 }},
		{"period", func(m *ledgerv1.ServiceInput) { m.Period = 1 << 31 }},
		{"result", func(m *ledgerv1.ServiceInput) { m.Result = "" }},
		{"date", func(m *ledgerv1.ServiceInput) { m.Date = "18.11." }},
		{"channel", func(m *ledgerv1.ServiceInput) { m.Channel = "a\x00" }},
		{"findings", func(m *ledgerv1.ServiceInput) { m.Findings = map[string]string{"": "x"} }},
		{"consent_id", func(m *ledgerv1.ServiceInput) { m.ConsentId = "x" }},
		{"appointment", func(m *ledgerv1.ServiceInput) { m.Appointment = "soon" }},
		{"referral.to", func(m *ledgerv1.ServiceInput) { m.Referral.To = "" }},
		{"referral.date", func(m *ledgerv1.ServiceInput) { m.Referral.Date = "x" }},
		{"referral.done_date", func(m *ledgerv1.ServiceInput) { m.Referral.DoneDate = "x" }},
	} {
		m := proto.Clone(fullService()).(*ledgerv1.ServiceInput)
		tt.change(m)
		_, err := serviceInput("service.", m)
		if f, ok := fault.As(err); !ok || f.Kind != fault.KindInvalid || f.Field != "service."+tt.field || f.Text == "" {
			t.Errorf("%s: %v", tt.field, err)
		}
	}
	if _, err := serviceInput("", nil); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("no service: %v", err)
	}
	for _, r := range []*ledgerv1.SetStandingRefusalRequest{nil, {RequestId: "request-1", PersonId: fullService().GetPersonId()}, {RequestId: "request-1", Kind: 1}} {
		if _, _, _, err := standingRequest(r); !fault.Is(err, fault.KindInvalid) {
			t.Errorf("standing refusal of %v: %v", r, err)
		}
	}
	if _, err := dueRequest(&ledgerv1.ListOffersDueRequest{PageSize: -1}); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("a negative page: %v", err)
	}
	if q, err := dueRequest(&ledgerv1.ListOffersDueRequest{PageSize: 5_000, OfferRound: 20263}); q.PageSize != maxDue || q.Round != 20263 || err != nil {
		t.Errorf("a large page: %+v, %v", q, err)
	}
}

func TestDueMessage(t *testing.T) {
	office := area.MustOf(area.Township, "330782001")
	ends := time.Date(2027, 1, 1, 0, 0, 0, 0, civil.Shanghai)
	got := dueMessage(services.DueList{Next: "more", Round: policy.Round{Number: 20263, Ends: ends}, Persons: []people.Summary{{
		ID: cases.PersonID{1}, Office: office, Name: "测试甲", Sex: 2, BirthYear: 1990, Document: "3*", Living: office, Presence: ledger.Inflow,
	}}})
	want := &ledgerv1.ListOffersDueResponse{NextPageToken: "more", OfferRound: 20263, EndsAt: instantOf(ends), Persons: []*ledgerv1.PersonSummary{{
		PersonId: idOf(cases.PersonID{1}), Office: office.String(), Name: "测试甲", Sex: 2, BirthYear: 1990, Document: "3*", Living: office.String(), Presence: 2,
	}}}
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Errorf("due: %s", d)
	}
}

// An error of a row names the field as the request has it.
func TestWithin(t *testing.T) {
	err := within("service.", fault.Conflict("ROUND_OVER", "x").On("period"))
	if f, ok := fault.As(err); !ok || f.Field != "service.period" {
		t.Errorf("field %v", err)
	}
	for _, err := range []error{fault.Denied("NOT_ALLOWED", "x"), fault.Invalid("X", "x").On("service.kind")} {
		if !errors.Is(within("service.", err), err) {
			t.Errorf("changed %v", err)
		}
	}
}
