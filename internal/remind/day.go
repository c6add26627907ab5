package remind

import (
	"time"

	"yipan/internal/civil"
	"yipan/internal/policy"
)

// workday is what a policy says of a day.
type workday struct {
	policy   *policy.Policy
	day      civil.Date
	off      bool
	from, to time.Time // office hours, in which digests are sent, days off too
}

func (r *Remind) workday(d civil.Date) (workday, error) {
	p, err := r.Policies.At(d)
	if err != nil {
		return workday{}, err
	}
	at := func(minutes int) time.Time { return d.StartInstant().Add(time.Duration(minutes) * time.Minute) }
	return workday{policy: p, day: d, off: dayOff(p, d), from: at(p.Hours.From), to: at(p.Hours.To)}, nil
}

// dayOff reports whether the policy's offices do not work on d.
func dayOff(p *policy.Policy, d civil.Date) bool {
	return p.OutOfHours(d.StartInstant().Add(time.Duration(p.Hours.From) * time.Minute))
}

// longestRun bounds a run of days off; the longest of the calendars has nine.
const longestRun = 31

// horizon is the last day of which a digest speaks: some days ahead, and on the
// last working day before a run of days off at least all of them.
func (w workday) horizon(daysBefore int) civil.Date {
	last := w.day.AddDays(daysBefore)
	if w.off {
		return last
	}
	run := w.day
	for run.Sub(w.day) < longestRun && dayOff(w.policy, run.AddDays(1)) {
		run = run.AddDays(1)
	}
	if run.After(last) {
		return run
	}
	return last
}
