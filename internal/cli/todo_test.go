package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
)

const planA = "00000000000000000000000000000abc"

func (s *scripted) ListTodos(_ context.Context, r *ledgerv1.ListTodosRequest) (*ledgerv1.ListTodosResponse, error) {
	if r.GetPageToken() == "next" {
		return &ledgerv1.ListTodosResponse{Todos: []*ledgerv1.Todo{{Kind: ledgerv1.TodoKind_TODO_KIND_DUPLICATE, Subject: "测某 / 测某", Refs: []string{"a1", "b2"}, N: 2}}}, nil
	}
	return &ledgerv1.ListTodosResponse{NextPageToken: "next", Todos: []*ledgerv1.Todo{
		{Kind: ledgerv1.TodoKind_TODO_KIND_PAIR, CaseId: caseA, Subject: "测某（1990年生）", CaseKind: "outflow", Counterpart: "3:520330", DueAt: timestamppb.New(time.Now().Add(-49 * time.Hour))},
		{Kind: ledgerv1.TodoKind_TODO_KIND_OFFER, N: 1000, More: true, Refs: []string{"2026-3"}, DueAt: timestamppb.New(time.Now().Add(73 * time.Hour))},
	}}, nil
}

func (s *scripted) CountTodos(context.Context, *ledgerv1.CountTodosRequest) (*ledgerv1.CountTodosResponse, error) {
	return &ledgerv1.CountTodosResponse{Counts: []*ledgerv1.TodoCount{{Kind: ledgerv1.TodoKind_TODO_KIND_ANSWER, N: 1000, More: true, Overdue: 12}}}, nil
}

func (s *scripted) AcknowledgeCase(context.Context, *ledgerv1.AcknowledgeCaseRequest) (*ledgerv1.AcknowledgeCaseResponse, error) {
	return &ledgerv1.AcknowledgeCaseResponse{Etag: "e2"}, nil
}

func (s *scripted) PreviewAction(context.Context, *ledgerv1.PreviewActionRequest) (*ledgerv1.PreviewActionResponse, error) {
	return &ledgerv1.PreviewActionResponse{PlanToken: planA, Undoable: true, Changes: []*ledgerv1.PlannedChange{
		{CaseId: caseA, Subject: "测某", Change: "答复标记为已阅"}, {CaseId: caseB, LeftOut: "没有待阅的答复或反馈"},
	}}, nil
}

func (s *scripted) ApplyAction(context.Context, *ledgerv1.ApplyActionRequest) (*ledgerv1.ApplyActionResponse, error) {
	return &ledgerv1.ApplyActionResponse{ActionId: planA, Changes: []*ledgerv1.AppliedChange{
		{CaseId: caseA, Etag: "e2"}, {CaseId: caseB, Reason: "ETAG_STALE", Message: "案件内容已变化"},
	}}, nil
}

func (s *scripted) UndoAction(context.Context, *ledgerv1.UndoActionRequest) (*ledgerv1.UndoActionResponse, error) {
	return &ledgerv1.UndoActionResponse{Changes: []*ledgerv1.AppliedChange{{CaseId: caseA, Etag: "e3"}}}, nil
}

func (s *scripted) ListAccess(_ context.Context, r *ledgerv1.ListAccessRequest) (*ledgerv1.ListAccessResponse, error) {
	if r.GetPageToken() == "" { // a short page: the rare event stands further back
		return &ledgerv1.ListAccessResponse{NextPageToken: "back"}, nil
	}
	return &ledgerv1.ListAccessResponse{Events: []*ledgerv1.AccessEvent{{EventId: 7, At: day0, Account: "clerk-1", Verb: "person.open", Purpose: "test", N: 4,
		SubjectIds: []string{"s1", "s2", "s3", "s4"}, Denied: true}}}, nil
}

func TestTodoCommands(t *testing.T) {
	s := newScripted(t)
	for _, tt := range []struct {
		name string
		args []string
		in   string
		code int
		want []string // on standard output or error
	}{
		{"list", []string{"todo", "list", "--purpose", "x"}, "", ExitOK,
			[]string{"待配对", "已逾期 2 天", "测某（1990年生）", "流出通报", caseA, "待告知", "还剩 3 天", "超过 1000", "2026-3", "--page-token next"}},
		{"list all", []string{"todo", "list", "--all", "--kind", "pair", "--kind", "待告知", "--kind", "TODO_KIND_DUPLICATE"}, "", ExitOK, []string{"疑似重复", "无期限", "a1 b2"}},
		{"list in English", []string{"todo", "list", "--lang", "en"}, "", ExitOK, []string{"overdue by 2d", "left: 3d"}},
		{"list, wrong kind", []string{"todo", "list", "--kind", "nonsense"}, "", ExitUsage, []string{"--kind 只能是", "待配对"}},
		{"counts", []string{"todo", "counts"}, "", ExitOK, []string{"待核实反馈", "超过 1000", "12"}},
		{"ack", []string{"todo", "ack", caseA + "@e1"}, "", ExitOK, []string{"已签阅：" + caseA + "@e2"}},
		{"preview", []string{"todo", "preview", "签阅"}, "", ExitOK, []string{"答复标记为已阅", "没有待阅", "将办理 1 件", "24 小时内可撤销", "todo apply " + planA}},
		{"preview from lines", []string{"todo", "preview", "ack", "-"}, caseA + "@e1\n\n" + caseB + "\n", ExitOK, []string{planA}},
		{"preview, wrong action", []string{"todo", "preview", "erase"}, "", ExitUsage, []string{"只能是", "配对"}},
		{"preview from nothing", []string{"todo", "preview", "ack", "-"}, "\n", ExitUsage, []string{"没有案件"}},
		{"apply", []string{"todo", "apply", planA}, "", ExitPartly, []string{"案件内容已变化（代码 ETAG_STALE）", "已办理 1 件，未办理 1 件", "todo undo " + planA}},
		{"undo", []string{"todo", "undo", planA}, "", ExitOK, []string{"已撤销 1 件"}},
		{"audit", []string{"audit", "list", "--all", "--account", "clerk-1", "--denied"}, "", ExitOK, []string{"clerk-1", "打开档案", "s1 s2 s3 …", "被拒绝"}},
		{"audit, a short page", []string{"audit", "list"}, "", ExitOK, []string{"没有记录", "--page-token back"}},
		{"audit, wrong day", []string{"audit", "list", "--from", "yesterday"}, "", ExitUsage, []string{"--from 应写成"}},
	} {
		r := s.run(t, tt.in, tt.args...)
		if r.code != tt.code {
			t.Errorf("%s: exit code %d\n%s%s", tt.name, r.code, r.out, r.err)
		}
		for _, w := range tt.want {
			if !strings.Contains(r.out+r.err, w) {
				t.Errorf("%s: %q is missing in\n%s%s", tt.name, w, r.out, r.err)
			}
		}
	}
	if q := last[*ledgerv1.ListTodosRequest](t, s); q.GetPageSize() != 50 || q.GetPurpose() != "" {
		t.Errorf("list asked %v", q)
	}
	if q := last[*ledgerv1.PreviewActionRequest](t, s); q.GetAction() != ledgerv1.BulkAction_BULK_ACTION_ACKNOWLEDGE || len(q.GetCaseIds()) != 2 || q.GetCaseIds()[0] != caseA {
		t.Errorf("preview asked %v", q)
	}
	if q := last[*ledgerv1.AcknowledgeCaseRequest](t, s); q.GetEtag() != "e1" || q.GetCaseId() != caseA || q.GetRequestId() == "" {
		t.Errorf("ack asked %v", q)
	}
	s.fail["ApplyAction"] = status.Error(codes.Unavailable, "x")
	if r := s.run(t, "", "todo", "apply", planA, "--request-id", "request-1"); r.code != ExitUnavailable || !strings.Contains(r.err, "request-1") {
		t.Errorf("apply without a node: %d %s", r.code, r.err)
	}
}
