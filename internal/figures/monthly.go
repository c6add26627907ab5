package figures

import (
	"context"
	"time"

	"yipan/internal/area"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// monthlyLines are the columns of the monthly table: an office's work, of which
// nothing is sensitive (DOMAIN section 4, Suppression).
var monthlyLines = []line{
	{code: "feedback.due", label: "应反馈"},
	{code: "feedback.answered", label: "已反馈"},
	{code: "feedback.on_time", label: "及时反馈"},
	rateLine(rates.Feedback), rateLine(rates.FeedbackOnTime),
	{code: "pending", label: "未到期"},
	{code: "overdue.origin", label: "逾期·户籍地"},
	{code: "overdue.county", label: "逾期·县级待分发"},
	{code: "overdue.residence", label: "逾期·现居住地"},
	{code: "unreceipted", label: "对方未签收"},
	rateLine(rates.FiledInTime), rateLine(rates.Checking), rateLine(rates.Pairing), rateLine(rates.Verification), rateLine(rates.Certificate),
}

// monthly has the sum over the area first, then, of an area above a township, a
// row for each office.
func (f *Figures) monthly(ctx context.Context, k area.Key, offices []area.Key, period policy.Period, at time.Time) ([]Figure, error) {
	tallies, err := f.tallies(ctx, offices, overRounds(), period, at)
	if err != nil {
		return nil, err
	}
	books, err := f.booksOf(ctx, offices, []rates.Measure{rates.FiledInTime, rates.Checking, rates.Pairing, rates.Certificate}, period, at)
	if err != nil {
		return nil, err
	}
	var unreceipted map[area.Key]int64
	err = f.DB.InCounts(ctx, offices, func(tx *store.Tx) (err error) {
		unreceipted, err = tx.UnreceiptedAt(ctx, offices, at, firstAwaited(at).StartInstant())
		return err
	})
	if err != nil {
		return nil, err
	}
	all := make([]values, len(offices))
	for i, o := range offices {
		v := values{}
		for m, t := range tallies[o] {
			v[m.String()+".rate"] = t.Ratio
		}
		for m, r := range books[o] {
			v[m.String()+".rate"] = r
		}
		t := tallies[o][rates.Feedback]
		v.count("feedback.due", t.D)
		v.count("feedback.answered", t.N)
		v.count("feedback.on_time", tallies[o][rates.FeedbackOnTime].N)
		v.count("pending", t.Pending)
		v.count("overdue.origin", t.Overdue[rates.WaitOrigin])
		v.count("overdue.county", t.Overdue[rates.WaitCounty])
		v.count("overdue.residence", t.Overdue[rates.WaitResidence])
		v.count("unreceipted", unreceipted[o])
		all[i] = v
	}
	out := sumOf(monthlyLines, k, all)
	if len(offices) == 1 && offices[0] == k {
		return out, nil
	}
	for i, o := range offices {
		for j := range monthlyLines {
			g := monthlyLines[j].figure(o, all[i][monthlyLines[j].code])
			if o == k {
				g.Code = Own + g.Code
			}
			out = append(out, g)
		}
	}
	return out, nil
}
