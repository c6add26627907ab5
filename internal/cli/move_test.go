package cli

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"

	casesv1 "yipan/internal/gen/yipan/cases/v1"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/ledger"
)

const (
	movedA    = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	movementA = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	approvalA = "cccccccccccccccccccccccccccccccc"
)

func (s *scripted) RegisterMovement(_ context.Context, r *ledgerv1.RegisterMovementRequest) (*ledgerv1.RegisterMovementResponse, error) {
	in := r.GetMovement()
	m := &ledgerv1.Movement{MovementId: movementA, PersonId: movedA, Kind: in.GetKind(), From: "4:520330001", To: in.GetTo(), EventDate: in.GetEventDate()}
	res := &ledgerv1.MovementResult{Movement: m}
	stay := func(why string) {
		m.StayedBecause, res.Warnings = why, []string{"请核对证件", ledger.StayedZh(why)}
	}
	switch {
	case in.GetObjects():
		stay(ledger.StayedObjected)
	case in.GetTo() == "2:4419":
		stay(ledger.StayedApprovalNeeded)
		res.ApprovalId = approvalA
	case in.GetKind() == ledgerv1.MovementKind_MOVEMENT_KIND_LEAVE:
		m.CaseId, res.Cases = caseA, []*ledgerv1.FollowedCase{{CaseId: caseB, Change: "withdrawn"}, {CaseId: caseA, Change: "opened"}}
	}
	return &ledgerv1.RegisterMovementResponse{Result: res}, nil
}

func (s *scripted) PrefillNotice(context.Context, *ledgerv1.PrefillNoticeRequest) (*ledgerv1.PrefillNoticeResponse, error) {
	return &ledgerv1.PrefillNoticeResponse{Movement: &ledgerv1.MovementInput{
		Kind: ledgerv1.MovementKind_MOVEMENT_KIND_ARRIVE, From: "3:520330", To: "3:330112", EventDate: "2026-11-01",
		Profile: &ledgerv1.Profile{Name: "测试甲", Registered: "3:520330", Contacts: []*ledgerv1.Contact{{Value: "13800000000"}}},
	}}, nil
}

func (s *scripted) AcceptNotice(_ context.Context, r *ledgerv1.AcceptNoticeRequest) (*ledgerv1.AcceptNoticeResponse, error) {
	m := &ledgerv1.Movement{MovementId: movementA, PersonId: movedA, Kind: ledgerv1.MovementKind_MOVEMENT_KIND_ARRIVE, EventDate: r.GetMovement().GetEventDate(), StayedBecause: ledger.StayedNoticeExists}
	return &ledgerv1.AcceptNoticeResponse{Result: &ledgerv1.MovementResult{Movement: m}, Etag: "e2"}, nil
}

func (s *scripted) ListMovements(context.Context, *ledgerv1.ListMovementsRequest) (*ledgerv1.ListMovementsResponse, error) {
	return &ledgerv1.ListMovementsResponse{Movements: []*ledgerv1.Movement{
		{MovementId: movementA, Kind: ledgerv1.MovementKind_MOVEMENT_KIND_LEAVE, EventDate: "2026-11-01", DueDate: "2026-12-01", RecordedAt: day0, CaseId: caseA, To: "3:330112"},
		{MovementId: caseB, Kind: ledgerv1.MovementKind_MOVEMENT_KIND_RETURN, EventDate: "2026-11-02", RecordedAt: day0, StayedBecause: "no_basis", Undone: true},
	}}, nil
}

func (s *scripted) UndoMovement(context.Context, *ledgerv1.UndoMovementRequest) (*ledgerv1.UndoMovementResponse, error) {
	return &ledgerv1.UndoMovementResponse{
		Movement: &ledgerv1.Movement{MovementId: movementA, Kind: ledgerv1.MovementKind_MOVEMENT_KIND_LEAVE, EventDate: "2026-11-01", Undone: true},
		Cases:    []*ledgerv1.FollowedCase{{CaseId: caseA, Change: "withdrawn"}},
		Warnings: []string{"不会自动恢复"},
	}, nil
}

func (s *scripted) ApproveDestination(context.Context, *ledgerv1.ApproveDestinationRequest) (*ledgerv1.ApproveDestinationResponse, error) {
	return &ledgerv1.ApproveDestinationResponse{PersonId: movedA, Destination: "3:330112"}, nil
}

func TestMove(t *testing.T) {
	s := newScripted(t)
	for _, tt := range []struct {
		args []string
		out  string // whole
		err  string // of standard error, contained
	}{
		{[]string{"move", "leave", "--person", movedA, "--day", "2026-11-01", "--to", "3:330112", "--basis", "request"},
			"已登记流出：2026-11-01\n人员 " + movedA + "\n流动 " + movementA + "\n从 东皇街道 4:520330001 到 临安区 3:330112\n已发出通报 " + caseA + "\n案件 " + caseB + " 已撤回\n", ""},
		{[]string{"move", "leave", "--person", movedA, "--day", "2026-11-01", "--objects"},
			"已登记流出：2026-11-01\n人员 " + movedA + "\n流动 " + movementA + "\n从 东皇街道 4:520330001 到 （不详）\n未发出通报：本人不同意，只在本地登记，不发送通报\n", "提醒：请核对证件\n"},
		{[]string{"move", "leave", "--person", movedA, "--day", "2026-11-01", "--to", "2:4419", "--lang", "en"},
			"Registered leave: 2026-11-01\nperson " + movedA + "\nmovement " + movementA + "\nfrom 东皇街道 4:520330001 to 东莞市 2:4419\nNo notice left: approval_needed\n" +
				"Waits for a second user: yipan move approve " + approvalA + "; then register again with --approval " + approvalA + "\n", ""},
		{[]string{"move", "death", "--person", movedA, "--day", "2026-11-01"},
			"已登记死亡：2026-11-01\n人员 " + movedA + "\n流动 " + movementA + "\n", ""},
		{[]string{"move", "list", movedA},
			`编号                              日期        类型  来自  去往             登记时间          录入期限    通报
bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb  2026-11-01  流出        临安区 3:330112  2026-11-02 09:30  2026-12-01  0123456789abcdef0123456789abcdef
fedcba9876543210fedcba9876543210  2026-11-02  返回                         2026-11-02 09:30              已撤销 未发出：没有依据（本人申请、同意书或政策职责）
`, ""},
		{[]string{"move", "undo", movementA, "--reason", "录入有误"}, "已撤销流出（2026-11-01）\n案件 " + caseA + " 已撤回\n", "提醒：不会自动恢复"},
		{[]string{"move", "approve", approvalA}, "已批准向 临安区 3:330112 通报；经办人加 --approval " + approvalA + " 再登记一次即发出\n", ""},
		{[]string{"case", "accept", caseA, "--show"}, `将登记    流入
日期      2026-11-01
来自      习水县 3:520330
去往      临安区 3:330112
姓名      测试甲
户籍地    习水县 3:520330
联系方式  13800000000
`, ""},
		{[]string{"case", "accept", caseA, "--day", "2026-11-03"},
			"已登记流入：2026-11-03\n人员 " + movedA + "\n流动 " + movementA + "\n未发出通报：双方之间已有此人的通报，不再重复发送，请在该案件中办理\n通报已转入台帐并配对\n", "按现状办理"},
	} {
		t.Run(strings.Join(tt.args[:2], " "), func(t *testing.T) {
			got := s.run(t, "", tt.args...)
			if got.code != ExitOK || !strings.Contains(got.err, tt.err) {
				t.Fatalf("exit %d: %s", got.code, got.err)
			}
			if diff := cmp.Diff(strings.ReplaceAll(tt.out, "	", ""), got.out); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if strings.Count(got.err+got.out, ledger.StayedZh(ledger.StayedObjected)) > 1 {
				t.Error("the reason is said twice")
			}
		})
	}
}

func TestMoveRequests(t *testing.T) {
	s := newScripted(t)
	got := s.run(t, "", "move", "arrive", "--name", "测试甲", "--document", "X1", "--document-confirmed", "原件如此", "--registered", "520330", "--living", "330112",
		"--phone", "13800000000", "--phone-safe", "--day", "2026-11-01", "--from-area", "520330", "--basis", "duty:joint-service", "--confirm", consentA, "--request-id", "move-000001")
	if got.code != ExitOK {
		t.Fatal(got)
	}
	want := &ledgerv1.MovementInput{
		RequestId: "move-000001", Kind: ledgerv1.MovementKind_MOVEMENT_KIND_ARRIVE, From: "520330", EventDate: "2026-11-01",
		Basis: &casesv1.Basis{Kind: casesv1.BasisKind_BASIS_KIND_DUTY, Duty: "duty:joint-service"}, ConfirmConsentId: consentA,
		Profile: &ledgerv1.Profile{
			Name: "测试甲", Documents: []*ledgerv1.Document{{Number: "X1", Confirmed: "原件如此"}}, Registered: "520330", Living: "330112",
			Contacts: []*ledgerv1.Contact{{Value: "13800000000", Kind: "phone", Safe: true, Preference: "any"}},
		},
	}
	if diff := cmp.Diff(want, last[*ledgerv1.RegisterMovementRequest](t, s).GetMovement(), protocmp.Transform()); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
	got = s.run(t, `{"requestId":"from-file-1","profile":{"name":"测试乙"},"eventDate":"2026-11-02"}`, "move", "leave", "--from", "-")
	want = &ledgerv1.MovementInput{RequestId: "from-file-1", Kind: ledgerv1.MovementKind_MOVEMENT_KIND_LEAVE, EventDate: "2026-11-02", Profile: &ledgerv1.Profile{Name: "测试乙"}}
	if diff := cmp.Diff(want, last[*ledgerv1.RegisterMovementRequest](t, s).GetMovement(), protocmp.Transform()); got.code != ExitOK || diff != "" {
		t.Errorf("%+v, file (-want +got):\n%s", got, diff)
	}
	for _, tt := range []struct{ args, want string }{
		{"move leave --day 2026-11-01", "请用 --person 指明人员编号"},
		{"move leave --person " + movedA, "请用 --day 写明发生日期"},
		{"move leave --from - --day 2026-11-01", "--from 不能与其他内容选项同时使用"},
		{"move return --person " + movedA + " --day 2026-11-01 --basis consent", "依据应写成"},
		{"move undo " + movementA, "--reason"},
		{"case accept " + caseA + " --from - --day 2026-11-01", "--from 不能与其他内容选项同时使用"},
	} {
		if got := s.run(t, "", strings.Fields(tt.args)...); got.code != ExitUsage || !strings.Contains(got.err, tt.want) {
			t.Errorf("%s: %+v", tt.args, got)
		}
	}
	s.fail["RegisterMovement"] = refusal(codes.FailedPrecondition, "already away", "ALREADY_AWAY", "movement.kind", "此人已登记流出")
	if got := s.run(t, "", "move", "leave", "--person", movedA, "--day", "2026-11-01", "--request-id", "again-001"); got.code != ExitFailed || !strings.Contains(got.err, "此人已登记流出") {
		t.Errorf("%+v", got)
	}
}
