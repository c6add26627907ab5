package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
)

func samplePerson() *ledgerv1.Person {
	return &ledgerv1.Person{
		PersonId: personA, Office: "4:520330001", Etag: "3-aa112233", Presence: ledgerv1.Presence_PRESENCE_INFLOW, Since: "2026-05-01",
		AreaHint: "520330", AreaHintName: "贵州省遵义市习水县", CaseIds: []string{caseA},
		Profile: &ledgerv1.Profile{
			Name: "测试甲", FormerNames: []string{"测试旧"}, Sex: 2, BirthDate: "1990-02-02", MaritalStatus: 20, Living: "5:520330001001", Address: "建设路一号",
			Documents:        []*ledgerv1.Document{{Kind: ledgerv1.DocumentKind_DOCUMENT_KIND_PASSPORT, Number: "E12345678", Former: true}},
			Contacts:         []*ledgerv1.Contact{{Kind: "phone", Value: "13800000000", Preference: "evenings"}},
			StandingRefusals: []string{"follow_up"},
		},
	}
}

func (s *scripted) RegisterPerson(context.Context, *ledgerv1.RegisterPersonRequest) (*ledgerv1.RegisterPersonResponse, error) {
	return &ledgerv1.RegisterPersonResponse{
		Person: samplePerson(), Warnings: []string{"性别与证件号码不一致，请核对"}, PairedCaseIds: []string{caseB},
		Duplicates: []*ledgerv1.DuplicateHint{{Person: &ledgerv1.PersonSummary{PersonId: caseB}, Score: 80, Reasons: []string{"name_birth"}}},
	}, nil
}

func (s *scripted) GetPerson(context.Context, *ledgerv1.GetPersonRequest) (*ledgerv1.GetPersonResponse, error) {
	return &ledgerv1.GetPersonResponse{Person: samplePerson(), Warnings: []string{"您在一小时内已打开 61 份档案"}}, nil
}

func (s *scripted) UpdatePerson(context.Context, *ledgerv1.UpdatePersonRequest) (*ledgerv1.UpdatePersonResponse, error) {
	return &ledgerv1.UpdatePersonResponse{Person: samplePerson(), CorrectedCaseIds: []string{caseB}}, nil
}

func (s *scripted) SearchPersons(_ context.Context, r *ledgerv1.SearchPersonsRequest) (*ledgerv1.SearchPersonsResponse, error) {
	if r.GetName() == "无" {
		return &ledgerv1.SearchPersonsResponse{}, nil
	}
	return &ledgerv1.SearchPersonsResponse{NextPageToken: "more", Persons: []*ledgerv1.PersonSummary{
		{PersonId: personA, Name: "测试甲", Sex: 2, BirthYear: 1990, Document: "5********X", Presence: ledgerv1.Presence_PRESENCE_HERE, FoundBy: "测试旧"},
	}}, nil
}

func (s *scripted) GetPersonHistory(context.Context, *ledgerv1.GetPersonHistoryRequest) (*ledgerv1.GetPersonHistoryResponse, error) {
	return &ledgerv1.GetPersonHistoryResponse{Events: []*ledgerv1.PersonEvent{{
		Kind: "edited", EventDate: "2026-01-15", RecordedAt: timestamppb.New(time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)), Account: "clerk-a", Fields: []string{"name", "address"},
		Before: map[string]string{"name": "测试旧", "address": "建设路"}, After: map[string]string{"name": "测试甲"}, Reason: "录入错误",
	}}}, nil
}

func (s *scripted) RestrictPerson(context.Context, *ledgerv1.RestrictPersonRequest) (*ledgerv1.RestrictPersonResponse, error) {
	return &ledgerv1.RestrictPersonResponse{Person: samplePerson()}, nil
}

func (s *scripted) UnrestrictPerson(context.Context, *ledgerv1.UnrestrictPersonRequest) (*ledgerv1.UnrestrictPersonResponse, error) {
	return &ledgerv1.UnrestrictPersonResponse{Person: samplePerson()}, nil
}

func (s *scripted) GetSlip(context.Context, *ledgerv1.GetSlipRequest) (*ledgerv1.GetSlipResponse, error) {
	return &ledgerv1.GetSlipResponse{
		Name:     "测试甲",
		Reads:    []*ledgerv1.SlipRead{{At: timestamppb.New(time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)), Account: "clerk-b", OnBehalf: "window-2", Verb: "person.open", Purpose: "核对"}},
		Cases:    []*ledgerv1.SlipCase{{CaseId: caseA, Kind: "outflow", AskedBy: "4:520330001", OpenedAt: timestamppb.New(time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC))}},
		Consents: []*ledgerv1.SlipConsent{{ConsentId: consentA, Purpose: "feedback", ValidUntil: timestamppb.New(time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)), WithdrawnAt: timestamppb.New(time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC))}},
	}, nil
}

func TestPersonCommands(t *testing.T) {
	s := newScripted(t)
	for _, tt := range []struct {
		args []string
		out  []string // what the answer must hold
		err  []string
	}{
		{[]string{"person", "add", "--name", "测试甲", "--document", "none"}, []string{"测试甲", "护照 E12345678（旧证件）", "已婚", "流入", "随访", "已自动配对的通报：" + caseB}, []string{"性别与证件号码不一致", "可能与档案 " + caseB}},
		{[]string{"person", "get", personA, "--purpose", "核对"}, []string{"习水县", "不一定方便接听", "建设路一号", "3-aa112233"}, []string{"61 份档案"}},
		{[]string{"person", "edit", personA, "--address", "新路", "--clear", "contacts"}, []string{"随之更正的案件：" + caseB}, nil},
		{[]string{"person", "search", "--name", "测"}, []string{"5********X", "1990", "测试旧", "本地户籍在住"}, []string{"--page-token more"}},
		{[]string{"person", "search", "--name", "无"}, []string{"没有找到"}, nil},
		{[]string{"person", "history", personA}, []string{"2026-01-15", "修改", "姓名：测试旧 → 测试甲", "门牌：建设路 → （清空）", "理由：录入错误"}, nil},
		{[]string{"person", "restrict", personA, "--keeper", "clerk-a", "--keeper", "clerk-b"}, []string{"clerk-a、clerk-b"}, nil},
		{[]string{"person", "unrestrict", personA}, []string{"已解除限制"}, nil},
		{[]string{"person", "slip", personA, "--recognised-by", "document"}, []string{"clerk-b（代 window-2）", "打开档案", "核对", "流出通报", "撤回"}, nil},
	} {
		got := s.run(t, "", tt.args...)
		if got.code != 0 {
			t.Errorf("%v: exit %d: %s", tt.args[:2], got.code, got.err)
		}
		for _, want := range tt.out {
			if !strings.Contains(got.out, want) {
				t.Errorf("%v: no %q in\n%s", tt.args[:2], want, got.out)
			}
		}
		for _, want := range tt.err {
			if !strings.Contains(got.err, want) {
				t.Errorf("%v: no %q in\n%s", tt.args[:2], want, got.err)
			}
		}
		if en := s.run(t, "", append([]string{"--lang", "en"}, tt.args...)...); en.code != 0 || strings.ContainsAny(en.out, "；，、") {
			t.Errorf("%v in English: exit %d\n%s", tt.args[:2], en.code, en.out)
		}
	}
}

func TestPersonRequests(t *testing.T) {
	s := newScripted(t)
	s.run(t, "", "person", "add", "--request-id", "request-1", "--name", "测试甲", "--document", "passport:E1234567", "--former-document", "520330199002020021",
		"--document-confirmed", "核对原件", "--contact", "13800000000,safe,evenings", "--contact", "wechat:ceshi", "--living", "520330001001", "--marital", "20")
	want := &ledgerv1.RegisterPersonRequest{RequestId: "request-1", Profile: &ledgerv1.Profile{
		Name: "测试甲", Living: "520330001001", MaritalStatus: 20,
		Documents: []*ledgerv1.Document{
			{Kind: ledgerv1.DocumentKind_DOCUMENT_KIND_PASSPORT, Number: "E1234567", Confirmed: "核对原件"},
			{Number: "520330199002020021", Former: true},
		},
		Contacts: []*ledgerv1.Contact{{Kind: "phone", Value: "13800000000", Safe: true, Preference: "evenings"}, {Kind: "wechat", Value: "ceshi"}},
	}}
	if d := cmp.Diff(want, last[*ledgerv1.RegisterPersonRequest](t, s), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	s.run(t, `{"profile":{"name":"测试乙"},"officeX":1}`, "person", "add", "--from", "-")
	if got := last[*ledgerv1.RegisterPersonRequest](t, s); got.GetProfile().GetName() != "测试甲" {
		t.Error("a request with an unknown field was sent")
	}
	s.run(t, `{"requestId":"request-2","profile":{"name":"测试乙"}}`, "person", "add", "--from", "-")
	if got := last[*ledgerv1.RegisterPersonRequest](t, s); got.GetProfile().GetName() != "测试乙" || got.GetRequestId() != "request-2" {
		t.Errorf("from JSON: %s", got.GetRequestId())
	}
	s.run(t, "", "person", "edit", personA, "--address", "新路", "--clear", "contacts", "--reason", "更正")
	edit := last[*ledgerv1.UpdatePersonRequest](t, s)
	if d := cmp.Diff([]string{"address", "contacts"}, edit.GetUpdateFields()); d != "" || edit.GetEtag() != "3-aa112233" || edit.GetReason() != "更正" {
		t.Errorf("edit: %s, etag %s", d, edit.GetEtag())
	}
	s.run(t, "", "person", "search", "--area", "520330", "--area-of", "registered", "--purpose", "清查")
	if got := last[*ledgerv1.SearchPersonsRequest](t, s); got.GetArea() != "520330" || got.GetAreaOf() != "registered" || got.GetPurpose() != "清查" {
		t.Error("search by area")
	}
}

// TestPersonMistakes: wrong input is refused before anything is sent, or the
// node's refusal says what to do; neither repeats whom it is about.
func TestPersonMistakes(t *testing.T) {
	s := newScripted(t)
	for _, args := range [][]string{
		{"person", "edit", personA}, {"person", "edit", "--address", "新路"}, {"person", "slip", personA}, {"person", "slip", personA, "--recognised-by", "phone"},
		{"person", "search", "--name", "测", "--phone", "13800000000"}, {"person", "restrict", personA}, {"person", "add", "--from", "nowhere.json"},
		{"person", "add", "--from", "-", "--name", "测试甲"}, {"person", "add", "--document", "library:1"}, {"person", "add", "--contact", "phone:1,safe,any,none"},
	} {
		if got := s.run(t, "{}", args...); got.code == 0 || got.err == "" {
			t.Errorf("%v: exit %d", args, got.code)
		}
	}
	if len(s.got) != 0 {
		t.Errorf("%d requests were sent", len(s.got))
	}
	st, err := status.New(codes.AlreadyExists, "本单位台帐中已有使用该证件的人员").WithDetails(&errdetails.ErrorInfo{Reason: "PERSON_EXISTS"})
	if err != nil {
		t.Fatal(err)
	}
	s.fail["RegisterPerson"] = st.Err()
	got := s.run(t, "", "person", "add", "--name", "测试甲")
	if got.code == 0 || !strings.Contains(got.err, "已有使用该证件的人员") || !strings.Contains(got.err, "person search --document") || strings.Contains(got.err, "测试甲") {
		t.Errorf("exit %d: %s", got.code, got.err)
	}
}
