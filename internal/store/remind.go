package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
)

// Reminder is where an office's digest goes.
type Reminder struct {
	Office     area.Key
	Webhook    string // empty: none
	Email      string // empty: none
	DaysBefore int    // 1 to 14
	SetBy      string
	SetAt      time.Time
}

const selectReminders = `SELECT office, webhook, email, days_before, set_by, set_at FROM reminder WHERE office = ANY($1) ORDER BY office`

// Reminders returns those of offices that have one.
func (tx *Tx) Reminders(ctx context.Context, offices []area.Key) ([]Reminder, error) {
	rows, err := tx.Query(ctx, selectReminders, ints(offices))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (m Reminder, err error) {
		err = r.Scan((*int64)(&m.Office), &m.Webhook, &m.Email, &m.DaysBefore, &m.SetBy, &m.SetAt)
		return m, err
	})
}

const putReminder = `INSERT INTO reminder (office, webhook, email, days_before, set_by, set_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (office) DO UPDATE SET webhook = excluded.webhook, email = excluded.email, days_before = excluded.days_before,
    set_by = excluded.set_by, set_at = excluded.set_at`

// PutReminder sets an office's reminder.
func (tx *Tx) PutReminder(_ context.Context, m Reminder) error {
	return tx.write(putReminder, int64(m.Office), m.Webhook, m.Email, m.DaysBefore, m.SetBy, m.SetAt)
}

const dropReminder = `DELETE FROM reminder WHERE office = $1`

// DropReminder ends an office's reminder; what was delivered stays on record.
func (tx *Tx) DropReminder(_ context.Context, office area.Key) error {
	return tx.write(dropReminder, int64(office))
}

// Channels of a delivery.
const (
	ByWebhook = 1
	ByEmail   = 2
)

// A ReminderDay is the one digest of an office's day by a channel.
type ReminderDay struct {
	Office      area.Key
	Day         civil.Date
	Channel     int16
	Tries       int16
	NextTry     time.Time
	DeliveredAt time.Time // zero: not yet
	Error       string    // a code; empty: the last try did not fail
}

// The row's lock decides between two who claim at once: the second waits for
// the first, and finds its claim.
const claimReminder = `INSERT INTO reminder_day AS d (office, day, channel, tries, next_try) VALUES ($1, $2::date, $3, 1, $5)
ON CONFLICT (office, day, channel) DO UPDATE SET tries = d.tries + 1, next_try = excluded.next_try
    WHERE d.delivered_at IS NULL AND d.next_try <= $4 AND d.tries < $6
RETURNING tries`

// ClaimReminder takes the delivery of an office's day by a channel until an
// instant; it returns which try this is, 0 where it is delivered, claimed by
// another, resting after a failure, or was tried most times.
func (tx *Tx) ClaimReminder(ctx context.Context, office area.Key, day civil.Date, channel int16, now, until time.Time, most int16) (try int16, err error) {
	rows, err := tx.Query(ctx, claimReminder, int64(office), day.UTC(), channel, now, until, most)
	if err != nil {
		return 0, err
	}
	tries, err := pgx.CollectRows(rows, pgx.RowTo[int16])
	if err != nil || len(tries) == 0 {
		return 0, err
	}
	return tries[0], nil
}

const settleReminder = `UPDATE reminder_day SET delivered_at = $5, next_try = $6, error = $7
WHERE office = $1 AND day = $2::date AND channel = $3 AND tries = $4 AND delivered_at IS NULL`

// SettleReminder says how a claimed delivery ended: DeliveredAt, or NextTry and
// Error. A claim that another has taken over since is left alone.
func (tx *Tx) SettleReminder(_ context.Context, d ReminderDay) error {
	return tx.write(settleReminder, int64(d.Office), d.Day.UTC(), d.Channel, d.Tries, nullTime(d.DeliveredAt), d.NextTry, d.Error)
}

const dropReminderDays = `DELETE FROM reminder_day WHERE office = $1 AND day < $2::date`

// DropReminderDays forgets an office's deliveries before a day.
func (tx *Tx) DropReminderDays(_ context.Context, office area.Key, before civil.Date) error {
	return tx.write(dropReminderDays, int64(office), before.UTC())
}

const selectReminderDays = `SELECT office, day, channel, tries, next_try, delivered_at, error FROM reminder_day WHERE office = $1 ORDER BY day DESC, channel LIMIT $2`

// ReminderDays returns an office's deliveries, the latest day first.
func (tx *Tx) ReminderDays(ctx context.Context, office area.Key, limit int) ([]ReminderDay, error) {
	rows, err := tx.Query(ctx, selectReminderDays, int64(office), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (d ReminderDay, err error) {
		var day time.Time
		var delivered *time.Time
		err = r.Scan((*int64)(&d.Office), &day, &d.Channel, &d.Tries, &d.NextTry, &delivered, &d.Error)
		d.Day, d.DeliveredAt = dateOf(day), orZero(delivered)
		return d, err
	})
}

// Duty is who is on duty in an office on a day.
type Duty struct {
	Day      civil.Date
	Accounts []string
}

const selectDuty = `SELECT day, accounts FROM duty WHERE office = $1 AND day BETWEEN $2::date AND $3::date ORDER BY day`

// DutyOf returns an office's rota from one day to another, both included.
func (tx *Tx) DutyOf(ctx context.Context, office area.Key, from, to civil.Date) ([]Duty, error) {
	rows, err := tx.Query(ctx, selectDuty, int64(office), from.UTC(), to.UTC())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (d Duty, err error) {
		var day time.Time
		err = r.Scan(&day, &d.Accounts)
		d.Day = dateOf(day)
		return d, err
	})
}

const putDuty = `INSERT INTO duty (office, day, accounts) VALUES ($1, $2::date, $3) ON CONFLICT (office, day) DO UPDATE SET accounts = excluded.accounts`
const dropDuty = `DELETE FROM duty WHERE office = $1 AND day = $2::date`

// SetDuty sets who is on duty on a day; nobody: takes it off the rota.
func (tx *Tx) SetDuty(_ context.Context, office area.Key, d Duty) error {
	if len(d.Accounts) == 0 {
		return tx.write(dropDuty, int64(office), d.Day.UTC())
	}
	return tx.write(putDuty, int64(office), d.Day.UTC(), d.Accounts)
}

const accountsAt = `SELECT id FROM account WHERE id = ANY($1) AND disabled_at IS NULL AND $2 = ANY(offices)`

// AccountsAt returns those of ids that are active accounts of an office.
func (tx *Tx) AccountsAt(ctx context.Context, ids []string, office area.Key) ([]string, error) {
	rows, err := tx.Query(ctx, accountsAt, ids, int64(office))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// OpenWork is how many cases of a kind wait for an answer of an office, by what
// they wait for (TodoDistribute, TodoPair, TodoAnswer) and the last day for it.
type OpenWork struct {
	Todo int16
	Kind cases.Kind
	Day  civil.Date
	N    int64
}

// case_side_todo gives those of an office that wait for one thing in order of
// their due; the day is the one at whose end it lies.
const openWork = `SELECT q.todo, w.kind, w.day, w.n FROM unnest(ARRAY[1, 2, 3]::smallint[]) q (todo)
CROSS JOIN LATERAL (
    SELECT c.kind, ((c.todo_at - interval '1 microsecond') AT TIME ZONE 'Asia/Shanghai')::date AS day, count(*) AS n FROM (
        SELECT kind, case_side.todo_at FROM case_side
        WHERE office = $1 AND case_side.todo = q.todo AND case_side.todo_at <= $2) c
    GROUP BY 1, 2
) w ORDER BY w.day, w.kind, q.todo`

// OpenWork counts what waits for an answer of an office and falls due at or
// before an instant, what is late included.
func (tx *Tx) OpenWork(ctx context.Context, office area.Key, until time.Time) ([]OpenWork, error) {
	rows, err := tx.Query(ctx, openWork, int64(office), pgtype.Timestamptz{Time: until, Valid: true})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (w OpenWork, err error) {
		var day time.Time
		var kind int16
		err = r.Scan(&w.Todo, &kind, &day, &w.N)
		w.Kind, w.Day = cases.Kind(kind), dateOf(day)
		return w, err
	})
}

func dateOf(t time.Time) civil.Date {
	return civil.Date{Year: t.Year(), Month: t.Month(), Day: t.Day()}
}
