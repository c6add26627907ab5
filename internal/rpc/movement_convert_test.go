package rpc

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/ledger"
	"yipan/internal/moves"
)

func TestMovementRequest(t *testing.T) {
	const id = "00112233445566778899aabbccddeeff"
	person, _ := cases.ParsePersonID(id)
	consent, _ := cases.ParseConsentID(id)
	full := func() *ledgerv1.MovementInput {
		return &ledgerv1.MovementInput{
			RequestId: "request-1", Office: "4:520330001", PersonId: id, Profile: &ledgerv1.Profile{Name: "测试甲"}, Kind: ledgerv1.MovementKind_MOVEMENT_KIND_TRANSFER,
			From: "3:520330", To: "2:4419", EventDate: "2026-11-01", Basis: &casesv1.Basis{Kind: casesv1.BasisKind_BASIS_KIND_REQUEST},
			ConfirmConsentId: id, Objects: true, ApprovalId: id,
		}
	}
	got, err := movementRequest(&ledgerv1.RegisterMovementRequest{Movement: full()})
	want := moves.Input{
		RequestID: "request-1", Office: area.MustOf(area.Township, "520330001"), Person: person, Profile: &ledger.Profile{Name: "测试甲"}, Kind: ledger.Transfer,
		From: area.MustOf(area.County, "520330"), To: area.MustOf(area.Prefecture, "4419"), On: civil.MustParse("2026-11-01"),
		Basis: desk.BasisInput{Kind: cases.BasisRequest}, Confirm: consent, Objects: true, Approval: [16]byte(person),
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, tt := range []struct {
		field, reason string
		spoil         func(*ledgerv1.MovementInput)
	}{
		{"request_id", "REQUEST_ID", func(m *ledgerv1.MovementInput) { m.RequestId = "1" }},
		{"office", "AREA_CODE", func(m *ledgerv1.MovementInput) { m.Office = "x" }},
		{"person_id", "ID_FORMAT", func(m *ledgerv1.MovementInput) { m.PersonId = "x" }},
		{"kind", "VALUE_UNKNOWN", func(m *ledgerv1.MovementInput) { m.Kind = 99 }},
		{"event_date", "DATE_FORMAT", func(m *ledgerv1.MovementInput) { m.EventDate = "1.11.2026" }},
		{"basis.duty", "BASIS_MIXED", func(m *ledgerv1.MovementInput) { m.Basis.Duty = "duty:x" }},
		{"confirm_consent_id", "ID_FORMAT", func(m *ledgerv1.MovementInput) { m.ConfirmConsentId = "x" }},
		{"approval_id", "ID_FORMAT", func(m *ledgerv1.MovementInput) { m.ApprovalId = "x" }},
		{"profile.name", "TEXT_CONTROL", func(m *ledgerv1.MovementInput) { m.Profile.Name = "\x00" }},
	} {
		m := full()
		tt.spoil(m)
		_, err := movementRequest(&ledgerv1.RegisterMovementRequest{Movement: m})
		f, ok := fault.As(err)
		if !ok || f.Reason != tt.reason || f.Field != "movement."+tt.field || f.Text == "" {
			t.Errorf("%s: %+v", tt.field, f)
		}
		_, err = movementRow(m)
		if f, ok = fault.As(err); !ok || f.Field != tt.field {
			t.Errorf("%s in a batch: %+v", tt.field, f)
		}
	}
	_, err = movementRequest(&ledgerv1.RegisterMovementRequest{})
	if f, _ := fault.As(err); f == nil || f.Field != "movement" {
		t.Errorf("no movement: %v", err)
	}
	_, err = acceptRequest(&ledgerv1.AcceptNoticeRequest{RequestId: "request-1", CaseId: id, Etag: "e", Movement: &ledgerv1.MovementInput{To: "x"}})
	if f, _ := fault.As(err); f == nil || f.Field != "movement.to" {
		t.Errorf("accept: %v", err)
	}
	a, err := acceptRequest(&ledgerv1.AcceptNoticeRequest{RequestId: "request-1", CaseId: id, Etag: "e"})
	if err != nil || a.Movement != nil || a.Ref.Case != cases.CaseID(person) || a.Ref.Etag != "e" {
		t.Errorf("accept as prefilled: %+v %v", a, err)
	}
	_, err = undoRequest(&ledgerv1.UndoMovementRequest{RequestId: "request-1", MovementId: "x", Reason: "误"})
	if f, _ := fault.As(err); f == nil || f.Field != "movement_id" {
		t.Errorf("undo: %v", err)
	}
}

// What is prefilled can be sent back as it is.
func TestPrefilledReturns(t *testing.T) {
	p := moves.Prefill{Movement: moves.Input{
		Office: area.MustOf(area.Township, "520330001"), Kind: ledger.Arrive, From: area.MustOf(area.County, "330782"), On: civil.MustParse("2026-11-01"),
		Profile: &ledger.Profile{Name: "测试甲", Contacts: []ledger.Contact{{Kind: "phone", Value: "1", Preference: "any"}}, Registered: area.MustOf(area.County, "330782")},
	}}
	d := &decoder{}
	got := movementInput(d, prefillMessage(p).GetMovement())
	if diff := cmp.Diff(p.Movement, got); d.err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", d.err, diff)
	}
}

func TestMovementMessage(t *testing.T) {
	if movementMessage(moves.Movement{}) != nil {
		t.Error("a movement of nothing")
	}
	for _, err := range []error{
		inMovement(fault.Conflict("X", "x").On("kind")), inMovement(fault.Conflict("X", "x").On("movement.kind")),
	} {
		if f, _ := fault.As(err); f.Field != "movement.kind" {
			t.Errorf("field %q", f.Field)
		}
	}
	if f, _ := fault.As(inMovement(fault.Denied("X", "x"))); f.Field != "" {
		t.Errorf("an error without a field got %q", f.Field)
	}
}
