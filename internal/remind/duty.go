package remind

import (
	"context"
	"slices"
	"strings"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/store"
	"yipan/internal/usher"
)

const (
	rotaDays    = 30  // of a list, where nothing else is asked for
	maxRotaDays = 366 // of a list, and ahead
	maxOnDuty   = 20
)

// Duty is a day of an office's rota.
type Duty struct {
	Day      civil.Date
	Accounts []string // none: nobody
	Off      bool     // under the policy's calendar
	Due      int64    // cases that wait here for an answer and fall due on the day
}

// Rota returns an office's days from one to another, both included; zero: today,
// and 30 days later. Errors: Invalid DUTY_RANGE.
func (r *Remind) Rota(ctx context.Context, p access.Principal, asked area.Key, from, to civil.Date) ([]Duty, error) {
	office, err := r.Office(ctx, p, access.ReminderRead, asked, "office")
	if err != nil {
		return nil, err
	}
	if from.IsZero() {
		from = civil.In(r.Now())
	}
	if to.IsZero() {
		to = from.AddDays(rotaDays)
	}
	if to.Before(from) || to.Sub(from) >= maxRotaDays {
		return nil, fault.Invalid("DUTY_RANGE", "rota of %d days", to.Sub(from)+1).Zh("起止日不正确：至多 %d 天，止日不早于起日", maxRotaDays).On("to")
	}
	var rota []store.Duty
	err = r.In(ctx, p, func(tx *store.Tx) (err error) {
		rota, err = tx.DutyOf(ctx, office, from, to)
		return err
	})
	if err != nil {
		return nil, err
	}
	// Counted as the digest is: the same for all who ask.
	due := map[civil.Date]int64{}
	err = r.DB.InDesk(ctx, []area.Key{office}, func(tx *store.Tx) error {
		clear(due)
		open, err := tx.OpenWork(ctx, office, to.EndInstant())
		for _, o := range open {
			due[o.Day] += o.N
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]Duty, 0, to.Sub(from)+1)
	for d := from; !d.After(to); d = d.AddDays(1) {
		w, err := r.workday(d)
		if err != nil {
			return nil, err
		}
		one := Duty{Day: d, Off: w.off, Due: due[d]}
		if i := slices.IndexFunc(rota, func(x store.Duty) bool { return x.Day == d }); i >= 0 {
			one.Accounts = rota[i].Accounts
		}
		out = append(out, one)
	}
	return out, nil
}

const methodDuty = "SetDuty"

// SetDuty says who is on duty in an office on a day, from today on; no accounts:
// nobody. Errors: Invalid DUTY_DAY, DUTY_ACCOUNTS.
func (r *Remind) SetDuty(ctx context.Context, p access.Principal, requestID string, asked area.Key, day civil.Date, accounts []string) error {
	office, err := r.Office(ctx, p, access.DutyWrite, asked, "office")
	if err != nil {
		return err
	}
	if err := usher.CheckRequestID(requestID); err != nil {
		return err
	}
	today := civil.In(r.Now())
	if day.Before(today) || day.Sub(today) >= maxRotaDays {
		return fault.Invalid("DUTY_DAY", "day out of range").Zh("值班日期应从今天起，至多 %d 天以内", maxRotaDays).On("day")
	}
	accounts = slices.Compact(slices.Sorted(slices.Values(accounts)))
	if len(accounts) > maxOnDuty {
		return fault.Invalid("DUTY_ACCOUNTS", "%d accounts, at most %d", len(accounts), maxOnDuty).Zh("一天至多 %d 人值班", maxOnDuty).On("accounts")
	}
	q := store.Request{Account: p.ID, RequestID: requestID, Office: office, Method: methodDuty, Hash: r.HashOf(struct {
		Office   area.Key
		Day      civil.Date
		Accounts []string
	}{office, day, accounts})}
	return r.once(ctx, p, q, func(tx *store.Tx) error {
		if len(accounts) > 0 {
			known, err := tx.AccountsAt(ctx, accounts, office)
			if err != nil {
				return err
			}
			if strange := slices.DeleteFunc(slices.Clone(accounts), func(a string) bool { return slices.Contains(known, a) }); len(strange) > 0 {
				return fault.Invalid("DUTY_ACCOUNTS", "%d accounts are not of the office", len(strange)).
					Zh("以下账号不是本单位的在用账号：%s", strings.Join(strange, "、")).On("accounts")
			}
		}
		return tx.SetDuty(ctx, office, store.Duty{Day: day, Accounts: accounts})
	})
}
