package rpc

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"yipan/internal/civil"
	"yipan/internal/fault"
	nodev1 "yipan/internal/gen/yipan/node/v1"
	"yipan/internal/remind"
)

func TestReminderRequests(t *testing.T) {
	id, m, err := reminderRequest(&nodev1.SetReminderRequest{RequestId: "request-1", Reminder: &nodev1.Reminder{Office: "520330001", Webhook: "https://a.example", Email: "a@example.cn", DaysBefore: 4_000_000_000}})
	if d := cmp.Diff(remind.Reminder{Office: xishui, Webhook: "https://a.example", Email: "a@example.cn", DaysBefore: 1000}, m); d != "" || err != nil || id != "request-1" {
		t.Errorf("%v %s %s", err, id, d)
	}
	q, err := dutyRequest(&nodev1.SetDutyRequest{RequestId: "request-1", Day: "2026-10-01", Accounts: []string{"a"}})
	if err != nil || q.day != civil.MustParse("2026-10-01") || q.office != 0 || len(q.accounts) != 1 {
		t.Errorf("%v %+v", err, q)
	}
	failed := func(_ string, _ remind.Reminder, err error) error { return err }
	for _, tt := range []struct {
		name, field, reason string
		err                 error
	}{
		{"no request id", "request_id", "REQUEST_ID", failed(reminderRequest(&nodev1.SetReminderRequest{}))},
		{"long address", "reminder.webhook", "TEXT_TOO_LONG", failed(reminderRequest(&nodev1.SetReminderRequest{RequestId: "request-1", Reminder: &nodev1.Reminder{Webhook: strings.Repeat("x", maxText+1)}}))},
		{"no day", "day", "FIELD_REQUIRED", second(dutyRequest(&nodev1.SetDutyRequest{RequestId: "request-1"}))},
		{"many accounts", "accounts", "TOO_MANY", second(dutyRequest(&nodev1.SetDutyRequest{RequestId: "request-1", Day: "2026-10-01", Accounts: make([]string, maxList+1)}))},
	} {
		f, ok := fault.As(tt.err)
		if !ok || f.Field != tt.field || f.Reason != tt.reason || f.Text == "" {
			t.Errorf("%s: %v (%+v)", tt.name, tt.err, f)
		}
	}
}

func TestReminderMessages(t *testing.T) {
	got := reminderMessage(&remind.Status{Reminder: remind.Reminder{Office: xishui, Email: "a@example.cn", DaysBefore: 3}, DeliveredAt: time.Date(2026, 11, 23, 0, 30, 0, 0, time.UTC), LastError: "x"})
	want := &nodev1.GetReminderResponse{Reminder: &nodev1.Reminder{Office: "4:520330001", Email: "a@example.cn", DaysBefore: 3}, DeliveredAt: "2026-11-23T08:30:00+08:00", LastError: "x"}
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	if never := reminderMessage(&remind.Status{}); never.GetDeliveredAt() != "" {
		t.Errorf("never: %s", never.GetDeliveredAt())
	}
	digest := digestMessage(&remind.Digest{Lines: []remind.Line{{Code: remind.ToPair, Text: "t", N: 2}, {Code: remind.Overdue, Text: "u", N: 1, Day: civil.MustParse("2026-09-19")}}, OnDuty: []string{"a"}})
	if d := cmp.Diff(&nodev1.PreviewDigestResponse{Lines: []*nodev1.DigestLine{{Code: "to_pair", Text: "t", N: 2}, {Code: "overdue", Text: "u", N: 1, Day: "2026-09-19"}}, OnDuty: []string{"a"}}, digest, protocmp.Transform()); d != "" {
		t.Error(d)
	}
}
