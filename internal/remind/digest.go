package remind

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/policy"
	"yipan/internal/store"
)

// Codes of lines.
const (
	DueSoon      = "due_soon"      // cases that wait here for an answer, by kind
	Overdue      = "overdue"       // those whose last day is past, by kind
	ToPair       = "to_pair"       // notices that nobody of the ledger was matched to
	ToDistribute = "to_distribute" // cases that wait for the county
	OffersDue    = "offers_due"    // people to whom something is still to be offered, as the round ends
	Approvals    = "approvals"     // what waits for a second user
	MonthEnd     = "month_end"     // what is open as a monthly day comes
)

// Line is one count.
type Line struct {
	Code string
	Text string // in Chinese
	N    int64  // more than 0; of ToPair, ToDistribute, OffersDue and Approvals at most store.TodoMost
	Day  civil.Date
}

// Digest is what an office is told on a day.
type Digest struct {
	Office area.Key
	Day    civil.Date
	Lines  []Line // none: nothing to do
	// OnDuty are the accounts on duty on the day: for those who ask here; they
	// never leave the node.
	OnDuty []string
}

// presses reports whether something falls due on the digest's own day.
func (d *Digest) presses() bool {
	for _, l := range d.Lines {
		if l.Day == d.Day {
			return true
		}
	}
	return false
}

// Preview returns the digest that would be sent now; who asks sees the counts
// that the office gets, with who is on duty.
func (r *Remind) Preview(ctx context.Context, p access.Principal, asked area.Key) (Digest, error) {
	office, err := r.Office(ctx, p, access.ReminderRead, asked, "office")
	if err != nil {
		return Digest{}, err
	}
	days := defaultDays
	err = r.In(ctx, p, func(tx *store.Tx) error {
		set, err := tx.Reminders(ctx, []area.Key{office})
		if len(set) == 1 {
			days = set[0].DaysBefore
		}
		return err
	})
	if err != nil {
		return Digest{}, err
	}
	w, err := r.workday(civil.In(r.Now()))
	if err != nil {
		return Digest{}, err
	}
	return r.digest(ctx, office, w, days)
}

// digest counts as the desk of the office does, but for nobody: so it is the same
// for all who are told.
func (r *Remind) digest(ctx context.Context, office area.Key, w workday, daysBefore int) (d Digest, err error) {
	err = r.DB.InDesk(ctx, []area.Key{office}, func(tx *store.Tx) error {
		d = Digest{Office: office, Day: w.day}
		for _, part := range []func(context.Context, *store.Tx, *Digest, workday, civil.Date) error{r.work, r.waiting, r.offers, r.approvals} {
			if err := part(ctx, tx, &d, w, w.horizon(daysBefore)); err != nil {
				return err
			}
		}
		rota, err := tx.DutyOf(ctx, office, w.day, w.day)
		for _, one := range rota {
			d.OnDuty = one.Accounts
		}
		return err
	})
	return d, err
}

func (d *Digest) add(code string, n int64, day civil.Date, text string, a ...any) {
	if n > 0 {
		d.Lines = append(d.Lines, Line{Code: code, N: n, Day: day, Text: fmt.Sprintf(text, a...)})
	}
}

// kindNames are what people call the kinds of cases.
var kindNames = map[cases.Kind]string{
	cases.Outflow: "流出通报", cases.Inflow: "流入通报", cases.Assist: "协查", cases.Certificate: "婚育证明核对", cases.BirthService: "生育服务通报",
}

// tally is a count with the earliest day.
type tally struct {
	n     int64
	first civil.Date
}

func (t *tally) add(n int64, day civil.Date) {
	if t.n == 0 || day.Before(t.first) {
		t.first = day
	}
	t.n += n
}

// work is what waits here for an answer: what is late, what soon will be, and
// what the month's last day for feedback finds open.
func (r *Remind) work(ctx context.Context, tx *store.Tx, d *Digest, w workday, horizon civil.Date) error {
	month := policy.SpanMonth.Holding(w.day)
	_, feedback := w.policy.Monthly.In(month)
	until := horizon
	if last := month.To.AddDays(-1); last.After(until) {
		until = last
	}
	open, err := tx.OpenWork(ctx, d.Office, until.EndInstant())
	if err != nil {
		return err
	}
	var late, soon [cases.BirthService + 1]tally
	var monthly int64
	for _, o := range open {
		if int(o.Kind) >= len(late) {
			continue
		}
		if o.Day.Before(month.To) {
			monthly += o.N
		}
		switch {
		case o.Day.Before(w.day):
			late[o.Kind].add(o.N, o.Day)
		case !o.Day.After(horizon):
			soon[o.Kind].add(o.N, o.Day)
		}
	}
	for k, t := range late {
		d.add(Overdue, t.n, t.first, "%s：%d 件已逾期，最早的应在 %s 前答复", kindNames[cases.Kind(k)], t.n, t.first)
	}
	for k, t := range soon {
		d.add(DueSoon, t.n, t.first, "%s：%d 件在 %s 前到期，最早 %s", kindNames[cases.Kind(k)], t.n, horizon, t.first)
	}
	if near(w.day, feedback, horizon) {
		d.add(MonthEnd, monthly, feedback, "本月反馈截止日 %s：本月到期的尚有 %d 件未答复", feedback, monthly)
	}
	return nil
}

// waiting is what waits to be paired, distributed or sent anew, with or without
// a due.
func (r *Remind) waiting(ctx context.Context, tx *store.Tx, d *Digest, w workday, horizon civil.Date) error {
	counts, err := tx.CountTodoSides(ctx, []area.Key{d.Office}, []int16{store.TodoDistribute, store.TodoPair, store.TodoReroute}, r.Now())
	if err != nil {
		return err
	}
	submission, _ := w.policy.Monthly.In(policy.SpanMonth.Holding(w.day))
	var n [store.TodoReroute + 1]int64
	for _, c := range counts {
		n[c.Kind] = c.N
	}
	d.add(ToDistribute, atMost(n[store.TodoDistribute]), civil.Date{}, "待分发：%s 件", many(n[store.TodoDistribute]))
	d.add(ToPair, atMost(n[store.TodoPair]), civil.Date{}, "待配对：%s 件", many(n[store.TodoPair]))
	if near(w.day, submission, horizon) {
		d.add(MonthEnd, atMost(n[store.TodoReroute]), submission, "本月提交截止日 %s：尚有 %s 件待改派，未重新发出", submission, many(n[store.TodoReroute]))
	}
	return nil
}

// offers counts for how many people the round is still due as it ends, which
// says nothing of those for whom it is not.
func (r *Remind) offers(ctx context.Context, tx *store.Tx, d *Digest, w workday, horizon civil.Date) error {
	round, open := r.Policies.RoundAt(r.Now())
	if !open {
		return nil
	}
	last := policy.DueDay(round.Ends)
	if !near(w.day, last, horizon) {
		return nil
	}
	n, more, _, open, err := r.Todo.Services.CountDue(ctx, tx, d.Office, store.TodoMost)
	if err != nil || !open {
		return err
	}
	if more {
		n++
	}
	d.add(OffersDue, atMost(int64(n)), last, "三查告知：%s %s 结束，待告知 %s 人", round.Name, last, many(int64(n)))
	return nil
}

func (r *Remind) approvals(ctx context.Context, tx *store.Tx, d *Digest, _ workday, _ civil.Date) error {
	n, err := tx.CountTodoApprovals(ctx, []area.Key{d.Office}, "", r.Now().Add(-desk.ApprovalLasts))
	d.add(Approvals, atMost(n), civil.Date{}, "待第二人审批：%s 项", many(n))
	return err
}

// near reports whether a day lies from today to the horizon.
func near(today, day, horizon civil.Date) bool { return !day.Before(today) && !day.After(horizon) }

func atMost(n int64) int64 { return min(n, store.TodoMost) }

func many(n int64) string {
	if n > store.TodoMost {
		return fmt.Sprintf("超过 %d", store.TodoMost)
	}
	return fmt.Sprint(n)
}

// message is the digest as it leaves the node: who is on duty stays here.
func (d *Digest) message() (Message, error) {
	type line struct {
		Code string `json:"code"`
		Text string `json:"text"`
		N    int64  `json:"n"`
		Day  string `json:"day,omitempty"`
	}
	name := area.FullName(d.Office)
	body := struct {
		Office   string `json:"office"`
		AreaName string `json:"area_name"`
		Date     string `json:"date"`
		Lines    []line `json:"lines"`
	}{d.Office.String(), name, d.Day.String(), make([]line, len(d.Lines))}
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n%s 待办提醒\n\n", name, d.Day)
	for i, l := range d.Lines {
		body.Lines[i] = line{Code: l.Code, Text: l.Text, N: l.N}
		if !l.Day.IsZero() {
			body.Lines[i].Day = l.Day.String()
		}
		text.WriteString("· " + l.Text + "\n")
	}
	text.WriteString("\n本提醒只有件数，不含任何个人信息；请登录系统办理。\n")
	b, err := json.Marshal(body)
	return Message{
		Key:     d.Office.Short() + "/" + d.Day.String(),
		Subject: fmt.Sprintf("%s 待办提醒 %s（%d 项）", name, d.Day, len(d.Lines)),
		Text:    text.String(), JSON: b,
	}, err
}
