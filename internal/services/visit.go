package services

import (
	"yipan/internal/book"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/policy"
)

// visitDue is the last day of settling in time what a person came for (来访) on a
// day: the policy's visit_days in working days of its calendar, the day itself
// not counted.
func (s *Services) visitDue(on civil.Date) (civil.Date, error) {
	pol, err := s.Policies.At(on)
	if err != nil { // older than all policies
		if pol, err = s.Policies.At(civil.In(s.Now())); err != nil {
			return civil.Date{}, err
		}
	}
	c, err := policy.CalendarByNo(pol.Calendar)
	if err != nil {
		return civil.Date{}, err
	}
	return c.AddWorking(on, pol.VisitDays), nil
}

// settlesLater reports whether a record settles a visit of an earlier month.
func settlesLater(in *Input) bool {
	return in.Kind == ledger.Visit && in.Period != 0 && in.Period%100 >= 1 && in.Period%100 <= 12 &&
		in.Period < number(in.Record.Date) && in.Period+100 >= number(in.Record.Date) && ledger.Closes(in.Record.Result)
}

// visit sets until when what a visit asked for is to be settled: what it was
// when the person first came.
func (r *recording) visit(e *entry, old *ledger.ServiceRecord) error {
	if e.row() != ledger.Visit {
		return nil
	}
	if e.Later && (old.Result == "" || old.Closed()) {
		return fault.Invalid("PERIOD", "no visit of that month waits to be settled").Zh("该月没有待办结的来访记录，请核对月份；新的来访不填期次").On("period")
	}
	due, err := r.s.visitDue(e.Record.Date)
	e.Record.Due = due
	return err
}

// countVisit counts a visit where it falls due, or writes that tally alike.
func (r *recording) countVisit(e *entry, d *done, old *ledger.ServiceRecord) {
	if e.row() != ledger.Visit {
		return
	}
	month, to := d.Record.VisitMonth()
	_, from := old.VisitMonth()
	if month == 0 {
		month = number(e.Record.Due)
	}
	k := book.TallyKey{Office: d.Office, Kind: ledger.VisitDue, Period: month}
	r.changes[k] = append(r.changes[k], func(t *ledger.Tally) { t.Move(from, to) })
}
