package rpc

import (
	"context"

	nodev1 "yipan/internal/gen/yipan/node/v1"
	"yipan/internal/remind"
)

// reminderService is yipan.node.v1.ReminderService.
type reminderService struct {
	nodev1.UnimplementedReminderServiceServer
	remind *remind.Remind
}

func (s *reminderService) GetReminder(ctx context.Context, r *nodev1.GetReminderRequest) (*nodev1.GetReminderResponse, error) {
	d := &decoder{}
	office := d.area("office", r.GetOffice())
	if d.err != nil {
		return nil, d.err
	}
	got, err := s.remind.Get(ctx, principal(ctx), office)
	if err != nil {
		return nil, err
	}
	return reminderMessage(&got), nil
}

func (s *reminderService) SetReminder(ctx context.Context, r *nodev1.SetReminderRequest) (*nodev1.SetReminderResponse, error) {
	requestID, m, err := reminderRequest(r)
	if err != nil {
		return nil, err
	}
	return &nodev1.SetReminderResponse{}, s.remind.Set(ctx, principal(ctx), requestID, m)
}

func (s *reminderService) PreviewDigest(ctx context.Context, r *nodev1.PreviewDigestRequest) (*nodev1.PreviewDigestResponse, error) {
	d := &decoder{}
	office := d.area("office", r.GetOffice())
	if d.err != nil {
		return nil, d.err
	}
	got, err := s.remind.Preview(ctx, principal(ctx), office)
	if err != nil {
		return nil, err
	}
	return digestMessage(&got), nil
}

func (s *reminderService) ListDuty(ctx context.Context, r *nodev1.ListDutyRequest) (*nodev1.ListDutyResponse, error) {
	d := &decoder{}
	office, from, to := d.area("office", r.GetOffice()), d.day("from", r.GetFrom()), d.day("to", r.GetTo())
	if d.err != nil {
		return nil, d.err
	}
	days, err := s.remind.Rota(ctx, principal(ctx), office, from, to)
	if err != nil {
		return nil, err
	}
	resp := &nodev1.ListDutyResponse{}
	for _, one := range days {
		resp.Days = append(resp.Days, &nodev1.Duty{Day: one.Day.String(), Accounts: one.Accounts, DayOff: one.Off, Due: one.Due})
	}
	return resp, nil
}

func (s *reminderService) SetDuty(ctx context.Context, r *nodev1.SetDutyRequest) (*nodev1.SetDutyResponse, error) {
	q, err := dutyRequest(r)
	if err != nil {
		return nil, err
	}
	return &nodev1.SetDutyResponse{}, s.remind.SetDuty(ctx, principal(ctx), q.requestID, q.office, q.day, q.accounts)
}
