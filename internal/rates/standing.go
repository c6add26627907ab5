package rates

import (
	"time"

	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/policy"
)

// Standing is what a round counts as apart from the day on which it is looked
// at: with its day it tells the Class at any later instant, so that rounds can
// be added up once, as they change, and not anew for every question. Numbers are
// stored and never change; 0 is not known yet.
type Standing uint8

// The standings. The day of those that were not delivered is the day of sending;
// that of all others is the last day for an answer.
const (
	Sent         Standing = 1 // not delivered
	SentClosed   Standing = 2 // not delivered, and closed
	OnTime       Standing = 3 // answered by due
	Late         Standing = 4 // answered after due
	Rerouted     Standing = 5 // in time, with an area
	Withdrawn    Standing = 6 // by due
	Closed       Standing = 7 // by due, unanswered
	Ended        Standing = 8 // after due, unanswered: withdrawn, closed or reopened
	AtOrigin     Standing = 9 // waits there
	AtCounty     Standing = 10
	AtResidence  Standing = 11
	numStandings          = 12
)

// Standings lists all of them.
func Standings() []Standing {
	out := make([]Standing, 0, numStandings-1)
	for s := Sent; s < numStandings; s++ {
		out = append(out, s)
	}
	return out
}

// Waits reports whether a round of this standing changes its class with time
// alone: when its due, or the third day after sending, is past.
func (s Standing) Waits() bool { return s == Sent || s >= Ended && s < numStandings }

// Stand returns the standing of a round, and its day, when all that is recorded
// has happened.
func Stand(f Fact) (Standing, civil.Date) { return stand(&f, time.Time{}) }

// stand leaves out what happened after at; zero: nothing.
func stand(f *Fact, at time.Time) (Standing, civil.Date) {
	known := func(t time.Time) bool { return !t.IsZero() && (at.IsZero() || !t.After(at)) }
	by := func(t, limit time.Time) bool { return known(t) && !t.After(limit) }
	if !known(f.Delivered) || f.Due.IsZero() {
		if known(f.ClosedAt) {
			return SentClosed, civil.In(f.RoundAt)
		}
		return Sent, civil.In(f.RoundAt)
	}
	day := policy.DueDay(f.Due)
	switch {
	case f.Reroute != 0 && by(f.ReroutedAt, graceEnds(f.Delivered)):
		return Rerouted, day
	case by(f.AnsweredAt, f.Due):
		return OnTime, day
	case by(f.WithdrawnAt, f.Due):
		return Withdrawn, day
	case by(f.ClosedAt, f.Due):
		return Closed, day
	case known(f.AnsweredAt):
		return Late, day
	case known(f.WithdrawnAt) || known(f.ClosedAt):
		return Ended, day
	}
	return waitsAt(f), day
}

// waitsAt takes the projection's word where the round still waits. Where a
// report looks back at a round that was ended since, it waited for its
// receiver. Ended: nothing ended the round but the next one.
func waitsAt(f *Fact) Standing {
	w := f.Waiting
	switch {
	case w == WaitNobody && f.AnsweredAt.IsZero() && f.WithdrawnAt.IsZero() && f.ClosedAt.IsZero():
		return Ended
	case w == WaitNobody || w == WaitTransport:
		w = WaitOrigin // inflow, certificate and birth-service cases go to the origin
		if f.Kind == cases.Outflow || f.Kind == cases.Assist {
			w = WaitResidence
		}
	}
	switch w {
	case WaitCounty:
		return AtCounty
	case WaitOrigin:
		return AtOrigin
	}
	return AtResidence
}

// Class is what a round of this standing and day counts as in period, reported
// at an instant not before its last event.
func (s Standing) Class(kind cases.Kind, day civil.Date, at time.Time, period policy.Period) Class {
	c := Class{Kind: kind}
	past := at.After(day.EndInstant())
	switch {
	case s == Sent || s == SentClosed:
		c.Excluded = NotDelivered
		c.Unreceipted = s == Sent && at.After(day.AddDays(UnreceiptedDays).EndInstant())
	case !period.Holds(day):
		c.Excluded = OutOfPeriod
	case s == Rerouted:
		c.Excluded = ReroutedInTime
	case s == OnTime:
		c.Answered, c.OnTime = true, true
	case s == Withdrawn:
		c.Excluded = WithdrawnBeforeDue
	case s == Closed:
		c.Excluded = ClosedBeforeDue
	case s == Late:
		c.Answered = true
	case !past:
		c.Pending = true
	case s == AtOrigin:
		c.Overdue = WaitOrigin
	case s == AtCounty:
		c.Overdue = WaitCounty
	case s == AtResidence:
		c.Overdue = WaitResidence
	default:
		c.Lapsed = true
	}
	return c
}
