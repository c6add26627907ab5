package cli

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	nodev1 "yipan/internal/gen/yipan/node/v1"
)

func (s *scripted) GetReminder(context.Context, *nodev1.GetReminderRequest) (*nodev1.GetReminderResponse, error) {
	return &nodev1.GetReminderResponse{
		Reminder:  &nodev1.Reminder{Office: "4:330782001", Webhook: "https://hooks.example.cn/in", DaysBefore: 3},
		LastError: "网络回调：对方服务器拒绝接收（503）\x1b[2J",
	}, nil
}

func (s *scripted) SetReminder(context.Context, *nodev1.SetReminderRequest) (*nodev1.SetReminderResponse, error) {
	return &nodev1.SetReminderResponse{}, nil
}

func (s *scripted) PreviewDigest(_ context.Context, r *nodev1.PreviewDigestRequest) (*nodev1.PreviewDigestResponse, error) {
	if r.GetOffice() != "" {
		return &nodev1.PreviewDigestResponse{}, nil
	}
	return &nodev1.PreviewDigestResponse{
		Lines: []*nodev1.DigestLine{{Code: "to_pair", Text: "待配对：3 件", N: 3}, {Code: "overdue", Text: "流出通报：1 件已逾期", N: 1, Day: "2026-09-19"}}, OnDuty: []string{"clerk-a", "clerk-b"},
	}, nil
}

func (s *scripted) ListDuty(context.Context, *nodev1.ListDutyRequest) (*nodev1.ListDutyResponse, error) {
	return &nodev1.ListDutyResponse{Days: []*nodev1.Duty{
		{Day: "2026-09-30"}, {Day: "2026-10-01", Accounts: []string{"clerk-a", "clerk-b"}, DayOff: true}, {Day: "2026-10-03", DayOff: true, Due: 2},
	}}, nil
}

func (s *scripted) SetDuty(context.Context, *nodev1.SetDutyRequest) (*nodev1.SetDutyResponse, error) {
	return &nodev1.SetDutyResponse{}, nil
}

func TestRemind(t *testing.T) {
	s := newScripted(t)
	says := func(args string, want ...string) string {
		t.Helper()
		r := s.run(t, "", strings.Fields(args)...)
		if r.code != 0 {
			t.Errorf("%s: exit %d %s", args, r.code, r.err)
		}
		for _, w := range want {
			if !strings.Contains(r.out, w) {
				t.Errorf("%s lacks %q:\n%s", args, w, r.out)
			}
		}
		return r.out
	}
	if out := says("remind show", "https://hooks.example.cn/in", "电子邮件：（无）", "上次失败：网络回调：对方服务器拒绝接收（503）"); strings.Contains(out, "\x1b") {
		t.Error("a terminal is told what a node says")
	}
	says("remind preview", "· 待配对：3 件", "· 流出通报：1 件已逾期", "不随提醒发出", "clerk-a、clerk-b")
	says("remind preview --office 330782001", "没有需要提醒的事项")
	says("--json remind preview", `"code":"to_pair"`)
	says("remind set --webhook https://hooks.example.cn/in --days-before 5 --office 330782001 --request-id request-1", "已设置")
	want := &nodev1.SetReminderRequest{RequestId: "request-1", Reminder: &nodev1.Reminder{Office: "330782001", Webhook: "https://hooks.example.cn/in", DaysBefore: 5}}
	if d := cmp.Diff(want, last[*nodev1.SetReminderRequest](t, s), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	says("remind set --off", "已停止")
	if q := last[*nodev1.SetReminderRequest](t, s); q.GetReminder().GetWebhook()+q.GetReminder().GetEmail() != "" || q.GetRequestId() == "" {
		t.Errorf("off asked %v", q)
	}
	for _, args := range []string{"remind set", "remind set --off --email a@example.cn"} {
		if r := s.run(t, "", strings.Fields(args)...); r.code != ExitUsage {
			t.Errorf("%s: exit %d", args, r.code)
		}
	}
	s.fail["SetReminder"] = status.Error(codes.Unavailable, "x")
	if r := s.run(t, "", "remind", "set", "--off", "--request-id", "request-2"); r.code != ExitUnavailable || !strings.Contains(r.err, "request-2") {
		t.Errorf("without a node: %d %s", r.code, r.err)
	}
}

func TestDuty(t *testing.T) {
	s := newScripted(t)
	r := s.run(t, "", "duty", "list", "--from", "2026-09-30", "--to", "2026-10-03")
	if r.code != 0 || strings.Contains(r.out, "2026-09-30") || !strings.Contains(r.out, "clerk-a、clerk-b") || !strings.Contains(r.out, "休") {
		t.Errorf("list: %d\n%s%s", r.code, r.out, r.err)
	}
	if q := last[*nodev1.ListDutyRequest](t, s); q.GetFrom() != "2026-09-30" || q.GetTo() != "2026-10-03" {
		t.Errorf("list asked %v", q)
	}
	if r := s.run(t, "", "duty", "list", "--all"); !strings.Contains(r.out, "2026-09-30") {
		t.Errorf("all: %s", r.out)
	}
	if r := s.run(t, "", "duty", "set", "2026-10-01", "clerk-a", "clerk-b", "--request-id", "request-1"); r.code != 0 || !strings.Contains(r.out, "clerk-a、clerk-b") {
		t.Errorf("set: %d %s%s", r.code, r.out, r.err)
	}
	want := &nodev1.SetDutyRequest{RequestId: "request-1", Day: "2026-10-01", Accounts: []string{"clerk-a", "clerk-b"}}
	if d := cmp.Diff(want, last[*nodev1.SetDutyRequest](t, s), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	if r := s.run(t, "", "duty", "set", "2026-10-01"); r.code != 0 || !strings.Contains(r.out, "无人值班") {
		t.Errorf("nobody: %d %s", r.code, r.out)
	}
}
