package remind

import (
	"context"
	"errors"
	"strings"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/fault"
	"yipan/internal/post"
	"yipan/internal/store"
	"yipan/internal/usher"
)

const (
	defaultDays = 3
	maxDays     = 14
)

// Reminder is where an office's digests go.
type Reminder struct {
	Office     area.Key
	Webhook    string // https; empty: none
	Email      string // empty: none
	DaysBefore int    // 1 to 14; 0: 3
}

// Status is an office's reminder and what became of its digests.
type Status struct {
	Reminder
	DeliveredAt time.Time // of the last one; zero: never
	LastError   string    // why the last one was not delivered, in Chinese; empty: it was
}

// Get returns the reminder of an office (0: the caller's only one), an empty one
// where it has none.
func (r *Remind) Get(ctx context.Context, p access.Principal, asked area.Key) (Status, error) {
	var s Status
	office, err := r.Office(ctx, p, access.ReminderRead, asked, "office")
	if err != nil {
		return s, err
	}
	err = r.In(ctx, p, func(tx *store.Tx) error {
		s = Status{Reminder: Reminder{Office: office, DaysBefore: defaultDays}}
		set, err := tx.Reminders(ctx, []area.Key{office})
		if err != nil {
			return err
		}
		for _, m := range set {
			s.Webhook, s.Email, s.DaysBefore = m.Webhook, m.Email, m.DaysBefore
		}
		days, err := tx.ReminderDays(ctx, office, 2*keepDays)
		if err != nil {
			return err
		}
		var failed []string
		for _, d := range days {
			if d.DeliveredAt.After(s.DeliveredAt) {
				s.DeliveredAt = d.DeliveredAt
			}
			if d.Day == days[0].Day && d.Error != "" {
				failed = append(failed, channelNames[d.Channel]+"："+explain(d.Error))
			}
		}
		s.LastError = strings.Join(failed, "；")
		return nil
	})
	return s, err
}

const methodSet = "SetReminder"

// Set says where an office's digests go; without an address it gets none any
// more. Errors: Conflict REMINDER_NO_POST, WEBHOOK_OFF, EMAIL_OFF; Invalid
// DAYS_BEFORE, WEBHOOK_ADDRESS, WEBHOOK_NETWORK, EMAIL_ADDRESS.
func (r *Remind) Set(ctx context.Context, p access.Principal, requestID string, m Reminder) error {
	office, err := r.Office(ctx, p, access.ReminderWrite, m.Office, "reminder.office")
	if err != nil {
		return err
	}
	m.Office = office
	if err := usher.CheckRequestID(requestID); err != nil {
		return err
	}
	if err := r.check(&m); err != nil {
		return err
	}
	return r.once(ctx, p, store.Request{Account: p.ID, RequestID: requestID, Office: office, Method: methodSet, Hash: r.HashOf(m)}, func(tx *store.Tx) error {
		if m.Webhook == "" && m.Email == "" {
			return tx.DropReminder(ctx, office)
		}
		return tx.PutReminder(ctx, store.Reminder{Office: office, Webhook: m.Webhook, Email: m.Email, DaysBefore: m.DaysBefore, SetBy: p.ID, SetAt: r.Now()})
	})
}

// once does a write unless its request was done before.
func (r *Remind) once(ctx context.Context, p access.Principal, q store.Request, fn func(*store.Tx) error) error {
	return r.In(ctx, p, func(tx *store.Tx) error {
		old, err := tx.ClaimRequest(ctx, q)
		if err != nil || old != nil {
			return err
		}
		if err := fn(tx); err != nil {
			return err
		}
		return tx.FinishRequest(ctx, p.ID, q.RequestID, []byte{1})
	})
}

func (r *Remind) check(m *Reminder) error {
	m.Webhook, m.Email = strings.TrimSpace(m.Webhook), strings.TrimSpace(m.Email)
	if m.DaysBefore == 0 {
		m.DaysBefore = defaultDays
	}
	if m.DaysBefore < 1 || m.DaysBefore > maxDays {
		return fault.Invalid("DAYS_BEFORE", "%d days before, 1 to %d are possible", m.DaysBefore, maxDays).
			Zh("提前天数应为 1 到 %d", maxDays).On("reminder.days_before")
	}
	if m.Webhook == "" && m.Email == "" {
		return nil
	}
	if r.Deliver == nil {
		return fault.Conflict("REMINDER_NO_POST", "this node sends no digests").
			Zh("本节点没有配置提醒的发送（配置文件 [post] 一节），请联系管理员；待办提醒仍可随时预览").On("reminder")
	}
	for _, one := range []Message{{Webhook: m.Webhook}, {Email: m.Email}} {
		if r.Check == nil || one.Webhook == "" && one.Email == "" {
			continue
		}
		if err := refused(one, r.Check(one)); err != nil {
			return err
		}
	}
	return nil
}

// refused says to the user what the post says of an address.
func refused(m Message, err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*post.Error](err)
	if !ok {
		return err
	}
	if m.Webhook != "" {
		const field = "reminder.webhook"
		switch e.Code {
		case post.CodeOff:
			return fault.Conflict("WEBHOOK_OFF", "this node sends no webhooks").Zh("本节点没有配置网络回调（[post] webhook_secret_file），请联系管理员，或改用电子邮件").On(field)
		case post.CodeNetwork:
			return fault.Invalid("WEBHOOK_NETWORK", "the webhook leads to a network that is refused").Zh("回调地址不能指向本机或链路本地网络").On(field)
		}
		return fault.Invalid("WEBHOOK_ADDRESS", "not the address of a webhook").Zh("回调地址应以 https:// 开头，不含用户名、密码和空格，至多 500 个字符").On(field)
	}
	const field = "reminder.email"
	if e.Code == post.CodeOff {
		return fault.Conflict("EMAIL_OFF", "this node sends no e-mail").Zh("本节点没有配置电子邮件（[post] smtp），请联系管理员，或改用网络回调").On(field)
	}
	return fault.Invalid("EMAIL_ADDRESS", "not an e-mail address").Zh("电子邮件地址不正确，应如 office@example.gov.cn").On(field)
}

var channelNames = map[int16]string{store.ByWebhook: "网络回调", store.ByEmail: "电子邮件"}

var codeNames = map[string]string{
	post.CodeOff: "本节点没有配置这种发送方式", post.CodeAddress: "地址不正确", post.CodeNetwork: "地址指向不允许的网络", post.CodeUnreachable: "无法连接对方服务器",
	post.CodeTimeout: "对方服务器没有及时响应", post.CodeTLS: "无法建立加密连接，或证书不受信任", post.CodeRedirect: "对方要求转到别的地址，未跟随",
	post.CodeStatus: "对方服务器拒绝接收", post.CodeLogin: "邮件服务器不接受用户名或密码",
}

// explain puts a stored code into words.
func explain(code string) string {
	name, number, _ := strings.Cut(code, " ")
	text := codeNames[name]
	if text == "" {
		text = "发送失败"
	}
	if number != "" {
		text += "（" + number + "）"
	}
	return text
}
