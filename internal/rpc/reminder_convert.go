package rpc

import (
	"time"

	"yipan/internal/area"
	"yipan/internal/civil"
	nodev1 "yipan/internal/gen/yipan/node/v1"
	"yipan/internal/remind"
)

func reminderRequest(r *nodev1.SetReminderRequest) (string, remind.Reminder, error) {
	d := &decoder{}
	requestID := d.requestID(r.GetRequestId())
	in, m := d.in("reminder"), r.GetReminder()
	out := remind.Reminder{
		Office: in.area("office", m.GetOffice()), Webhook: in.text("webhook", m.GetWebhook(), maxText), Email: in.text("email", m.GetEmail(), maxText),
		DaysBefore: int(min(m.GetDaysBefore(), 1000)), // far above what the room takes
	}
	d.merge(in)
	return requestID, out, d.err
}

func reminderMessage(s *remind.Status) *nodev1.GetReminderResponse {
	m := &nodev1.GetReminderResponse{
		Reminder:  &nodev1.Reminder{Office: areaOf(s.Office), Webhook: s.Webhook, Email: s.Email, DaysBefore: uint32(s.DaysBefore)},
		LastError: s.LastError,
	}
	if !s.DeliveredAt.IsZero() {
		m.DeliveredAt = s.DeliveredAt.In(civil.Shanghai).Format(time.RFC3339)
	}
	return m
}

func digestMessage(g *remind.Digest) *nodev1.PreviewDigestResponse {
	m := &nodev1.PreviewDigestResponse{OnDuty: g.OnDuty}
	for _, l := range g.Lines {
		one := &nodev1.DigestLine{Code: l.Code, Text: l.Text, N: l.N}
		if !l.Day.IsZero() {
			one.Day = l.Day.String()
		}
		m.Lines = append(m.Lines, one)
	}
	return m
}

// duty is a decoded SetDutyRequest.
type duty struct {
	requestID string
	office    area.Key
	day       civil.Date
	accounts  []string
}

func dutyRequest(r *nodev1.SetDutyRequest) (duty, error) {
	d := &decoder{}
	q := duty{
		requestID: d.requestID(r.GetRequestId()), office: d.area("office", r.GetOffice()),
		day: d.day("day", d.required("day", r.GetDay(), maxWord)), accounts: d.words("accounts", r.GetAccounts()),
	}
	return q, d.err
}
