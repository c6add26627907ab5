package ledger

import (
	"slices"
	"time"

	"yipan/internal/civil"
)

// ContactTry is one try to reach a person: when, how, and whether it reached the
// person, which a "no" does. What was said is no part of it.
type ContactTry struct {
	Date    civil.Date `json:"d"`
	Channel string     `json:"c"` // one of Channels
	Reached bool       `json:"r,omitempty"`
	By      string     `json:"b"` // account
	At      int64      `json:"t"` // of recording, seconds since 1970
}

// ContactLog is the tries to reach a person, in order of their days.
type ContactLog struct {
	Tries []ContactTry `json:"t,omitempty"`
}

// MaxTries is how many tries a log keeps: the latest, and among them always the
// latest that reached the person.
const MaxTries = 12

// ContactBytes is the size of a sealed ContactLog, before encryption.
const ContactBytes = 2048

// Add notes a try.
func (l *ContactLog) Add(t ContactTry) {
	tries := append(slices.Clone(l.Tries), t)
	slices.SortStableFunc(tries, func(a, b ContactTry) int { return a.Date.Compare(b.Date) })
	for len(tries) > MaxTries {
		drop := 0
		if tries[0].Reached && !slices.ContainsFunc(tries[1:], func(o ContactTry) bool { return o.Reached }) {
			drop = 1
		}
		tries = slices.Delete(tries, drop, drop+1)
	}
	l.Tries = tries
}

// Merge adds the tries of another file of the same person.
func (l *ContactLog) Merge(o ContactLog) {
	for _, t := range o.Tries {
		l.Add(t)
	}
}

// ReachedBy reports whether the person was reached in the twelve months that end
// with the day of an instant, by what was recorded until then.
func (l *ContactLog) ReachedBy(at time.Time) bool {
	today := civil.In(at)
	since := civil.In(at.In(civil.Shanghai).AddDate(-1, 0, 0))
	return slices.ContainsFunc(l.Tries, func(t ContactTry) bool {
		return t.Reached && t.Date.After(since) && !t.Date.After(today) && t.At <= at.Unix()
	})
}

// AgreesTo reports whether c, at an instant, lets an office contact the person:
// given, not over, and not withdrawn by then.
func (c *Consent) AgreesTo(purpose string, at time.Time) bool {
	return c.Purpose == purpose && !at.Before(c.GivenAt) && at.Before(c.ValidUntil) && (c.WithdrawnAt.IsZero() || c.WithdrawnAt.After(at))
}

// VisitMonth is where a visit (来访) counts: the month in which it falls due, 0
// where the record says of none, and as what. A visit is settled by any result
// that closes, on the day that the record bears.
func (r *ServiceRecord) VisitMonth() (period uint32, state string) {
	if r.Due.IsZero() {
		return 0, ""
	}
	period = uint32(r.Due.Year)*100 + uint32(r.Due.Month)
	switch {
	case r.Result == "":
		return period, ""
	case !r.Closed():
		return period, VisitOpen
	case r.Date.After(r.Due):
		return period, VisitLate
	}
	return period, VisitSettled
}

// What a visit counts as.
const (
	VisitOpen    = "open"
	VisitSettled = "settled"
	VisitLate    = "late"
)

// What an answer to a notice counts as.
const (
	CheckedYes = "checked"
	CheckedNo  = "unchecked"
)
