package cli

import (
	"context"
	"strings"

	nodev1 "yipan/internal/gen/yipan/node/v1"
)

// RemindCommand groups the commands on an office's reminders.
type RemindCommand struct {
	Remote
	Show    RemindShowCommand    `cmd:"" help:"提醒发往何处、上次发送的结果|Where reminders go, and what became of the last"`
	Set     RemindSetCommand     `cmd:"" help:"设置提醒的地址和提前天数|Set addresses and days before"`
	Preview RemindPreviewCommand `cmd:"" help:"查看此刻会发出的提醒（只有件数）|The digest that would be sent now (counts only)"`
}

func (e *Env) reminders() (nodev1.ReminderServiceClient, error) {
	c, err := e.Conn()
	return nodev1.NewReminderServiceClient(c), err
}

// RemindShowCommand shows an office's reminder.
type RemindShowCommand struct {
	Office string `help:"单位|Office"`
}

// Run shows it.
func (c *RemindShowCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.reminders()
	if err != nil {
		return err
	}
	resp, err := s.GetReminder(ctx, &nodev1.GetReminderRequest{Office: c.Office})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	m := resp.GetReminder()
	none := e.T("（无）", "(none)")
	show := func(s string) string {
		if s == "" {
			return none
		}
		return plain(s)
	}
	e.say("单位：%s", "Office: %s", place(m.GetOffice()))
	e.say("网络回调：%s", "Webhook: %s", show(m.GetWebhook()))
	e.say("电子邮件：%s", "E-mail: %s", show(m.GetEmail()))
	e.say("提前天数：%d", "Days before: %d", m.GetDaysBefore())
	e.say("上次送达：%s", "Last delivered: %s", show(resp.GetDeliveredAt()))
	if resp.GetLastError() != "" {
		e.say("上次失败：%s", "Last failure: %s", plain(resp.GetLastError()))
	}
	return nil
}

// RemindSetCommand sets an office's reminder.
type RemindSetCommand struct {
	Office     string `help:"单位|Office"`
	Webhook    string `placeholder:"URL" help:"以 JSON 接收提醒的 https 地址|HTTPS address that gets the digest as JSON"`
	Email      string `help:"接收提醒的电子邮件地址|E-mail address that gets the digest"`
	DaysBefore uint32 `help:"到期前几天开始提醒，1 到 14（默认 3）|Days before a due, 1 to 14 (default: 3)"`
	Off        bool   `help:"不再发送提醒|Send no more"`
	Write
}

// Run sets it; what is not named is not sent to any more.
func (c *RemindSetCommand) Run(ctx context.Context, e *Env) error {
	if c.Off == (c.Webhook != "" || c.Email != "") {
		return usage(e, "请写明 --webhook、--email，或单独用 --off 停止发送", "give --webhook or --email, or --off alone")
	}
	s, err := e.reminders()
	if err != nil {
		return err
	}
	req := &nodev1.SetReminderRequest{RequestId: c.id(), Reminder: &nodev1.Reminder{Office: c.Office, Webhook: c.Webhook, Email: c.Email, DaysBefore: c.DaysBefore}}
	resp, err := s.SetReminder(ctx, req)
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	if c.Off {
		e.say("已停止发送提醒", "No reminders are sent any more")
		return nil
	}
	e.say("已设置：每个工作日上班时发送一次，只有件数", "Set: sent once as each working day begins, counts only")
	return nil
}

// RemindPreviewCommand shows the digest that would be sent now.
type RemindPreviewCommand struct {
	Office string `help:"单位|Office"`
}

// Run shows it.
func (c *RemindPreviewCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.reminders()
	if err != nil {
		return err
	}
	resp, err := s.PreviewDigest(ctx, &nodev1.PreviewDigestRequest{Office: c.Office})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	if len(resp.GetLines()) == 0 {
		e.say("没有需要提醒的事项，不会发送", "Nothing to do: nothing would be sent")
	}
	for _, l := range resp.GetLines() {
		e.say("· %s", "· %s", plain(l.GetText()))
	}
	if on := resp.GetOnDuty(); len(on) > 0 {
		e.say("今日值班（不随提醒发出）：%s", "On duty today (not part of what is sent): %s", plain(strings.Join(on, e.T("、", ", "))))
	}
	return nil
}
