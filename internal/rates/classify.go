package rates

import (
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/policy"
)

// GraceDays is within how many calendar days of delivery, the day of delivery
// not counted, a MISROUTED with an area takes a round out of the wrong
// receiver's rates (DOMAIN section 3, Reroute). It is a constant and no
// policy's, because both ends must agree and items do not carry it.
const GraceDays = 7

// UnreceiptedDays is how many days after the day of sending an undelivered round
// becomes a line of its own (未签收, DOMAIN section 3). Like every due it ends
// with its last day.
const UnreceiptedDays = 3

// Waiting says on whose side an unanswered round waits.
type Waiting uint8

// On whose side a round waits. Numbers are those of the API.
const (
	WaitNobody    Waiting = 0
	WaitOrigin    Waiting = 1
	WaitTransport Waiting = 2
	WaitCounty    Waiting = 3 // not yet given to a township
	WaitResidence Waiting = 4
)

var waits = [...]struct{ name, zh string }{
	{"nobody", "无"}, {"origin", "户籍地"}, {"transport", "传输中"}, {"county", "县级待分发"}, {"residence", "现居住地"},
}

// String returns the side's name in English, a key of reports.
func (w Waiting) String() string {
	if int(w) >= len(waits) {
		return "unknown"
	}
	return waits[w].name
}

// Zh returns the side in Chinese.
func (w Waiting) Zh() string {
	if int(w) >= len(waits) {
		return "未知"
	}
	return waits[w].zh
}

// Fact is one round of one case as an office's projection of the fold has it.
// Zero times are events that have not happened.
type Fact struct {
	Kind        cases.Kind
	RoundAt     time.Time // the OPEN's or REOPEN's recording time
	Delivered   time.Time // when the other side held it
	Due         time.Time // computed from Delivered; zero exactly when that is
	AnsweredAt  time.Time // recording time of the earliest terminal answer
	WithdrawnAt time.Time // delivered time of the earliest WITHDRAW
	ClosedAt    time.Time // recording time of the earliest CLOSE
	Reroute     area.Key  // what the last answer, a MISROUTED, names; 0: none
	ReroutedAt  time.Time // recording time of that answer
	Waiting     Waiting   // of the current round; WaitNobody for a past one
}

// Code says why a round is outside a denominator.
type Code uint8

// The exclusions. Where several apply the first of this order is given.
const (
	Included Code = iota
	// NotDelivered: no receipt yet, hence no due; the receiver cannot answer.
	NotDelivered
	// OutOfPeriod: falls due (or was asked) on a day outside the period.
	OutOfPeriod
	// ReroutedInTime: answered MISROUTED with an area within GraceDays of
	// delivery. Later, or without an area, the round counts.
	ReroutedInTime
	// WithdrawnBeforeDue: the receiver held the WITHDRAW at or before due, and
	// had recorded no terminal answer by then. A withdrawal that crossed an
	// answer leaves the work counted.
	WithdrawnBeforeDue
	// ClosedBeforeDue: closed at or before due, with no terminal answer recorded
	// by then.
	ClosedBeforeDue
	// OtherKind: the measure does not count this kind of case.
	OtherKind
	numCodes
)

var codes = [numCodes]struct{ name, zh string }{
	{"", "计入"},
	{"NOT_DELIVERED", "对方尚未签收"},
	{"OUT_OF_PERIOD", "不在本期到期"},
	{"REROUTED_IN_TIME", "误投并按时退回"},
	{"WITHDRAWN_BEFORE_DUE", "到期前撤回"},
	{"CLOSED_UNANSWERED_BEFORE_DUE", "到期前注销，未答复"},
	{"OTHER_KIND", "非本指标的件"},
}

// String returns the stable code, "" for Included.
func (c Code) String() string {
	if c >= numCodes {
		return "UNKNOWN"
	}
	return codes[c].name
}

// Zh returns the reason in Chinese.
func (c Code) Zh() string {
	if c >= numCodes {
		return "未知原因"
	}
	return codes[c].zh
}

// Listed reports whether a report lists the exclusion. What is of another
// period or kind was never a candidate.
func (c Code) Listed() bool {
	return c == NotDelivered || c == ReroutedInTime || c == WithdrawnBeforeDue || c == ClosedBeforeDue
}

// Class is what a round counts as.
type Class struct {
	Kind     cases.Kind
	Excluded Code // Included: in the denominator

	// Of what is included exactly one of Answered, Pending, Lapsed and
	// Overdue ≠ WaitNobody holds.
	Answered bool // a terminal answer at report time
	OnTime   bool // recorded at or before due; implies Answered
	Pending  bool // unanswered, and due is still to come
	Lapsed   bool // unanswered, and ended after its due: withdrawn, closed or reopened
	// Overdue is the side on which an unanswered round waits past its due:
	// WaitCounty, WaitResidence or WaitOrigin. Transport is never charged.
	Overdue Waiting

	// Unreceipted: not delivered, not closed, and sent longer ago than
	// UnreceiptedAfter (未签收). Excluded is NotDelivered then.
	Unreceipted bool
}

// In reports whether the round is in the denominator of its kind's measures.
func (c Class) In() bool { return c.Excluded == Included }

// Classify says what a round counts as in period, reported at an instant.
// Events after at are as if they had not happened.
func Classify(f Fact, at time.Time, period policy.Period) Class {
	s, day := stand(&f, at)
	return s.Class(f.Kind, day, at, period)
}

// graceEnds is the last instant at which a reroute is in time.
func graceEnds(delivered time.Time) time.Time {
	return civil.In(delivered).AddDays(GraceDays).EndInstant()
}

// Asked is one certificate that a person asked an office for.
type Asked struct {
	On     civil.Date
	Issued civil.Date // zero: not issued
}

// ClassifyAsked says what a certificate counts as in period, reported at an
// instant: Included and Answered (issued), Included and Pending, or
// OutOfPeriod. One asked for after the report is OutOfPeriod.
func ClassifyAsked(a Asked, at time.Time, period policy.Period) Class {
	today := civil.In(at)
	c := Class{Kind: cases.Certificate}
	switch {
	case !period.Holds(a.On) || a.On.After(today):
		c.Excluded = OutOfPeriod
	case !a.Issued.IsZero() && !a.Issued.After(today):
		c.Answered = true
	default:
		c.Pending = true
	}
	return c
}
