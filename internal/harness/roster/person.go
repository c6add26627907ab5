package roster

import (
	"fmt"
	"io"
	"log/slog"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/ident"
	"yipan/internal/sheet"
)

// Person is one person of a roster with what the clerks will find. Printing and
// logging it shows its row's line only.
type Person struct {
	Row   sheet.RosterRow // Line as in the file that sheet.WriteRoster makes of Rows
	Truth Truth
}

// Format writes the row's line for every verb.
func (p Person) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.Row.String()) }

// LogValue returns the row's line.
func (p Person) LogValue() slog.Value { return p.Row.LogValue() }

// MarriedWoman reports whether the person is a married woman of 15 to 49 full
// years on a day (DOMAIN section 5).
func (p *Person) MarriedWoman(on civil.Date) bool { return p.fertile(on) && p.Row.Marital.Married() }

func (p *Person) fertile(on civil.Date) bool {
	age := p.Row.Birth.FullYears(on)
	return p.Row.Sex == ident.SexFemale && age >= 15 && age <= 49
}

// Rows returns the rows of people, in order.
func Rows(people []Person) []sheet.RosterRow {
	rows := make([]sheet.RosterRow, len(people))
	for i := range people {
		rows[i] = people[i].Row
	}
	return rows
}

// Story is what happens to a person's case besides being answered. A person
// with a wrong address has none.
type Story uint8

// The stories.
const (
	Plain     Story = iota
	Corrected       // the origin corrects the telephone number to Truth.Phone before the answer
	Withdrawn       // the origin withdraws before an answer; there is none
	Disputed        // the origin disputes the answer; Second answers the new round
	Reopened        // closed after the answer and reopened; Second answers the new round
	SentTwice       // the origin sends a second notice by mistake after the answer; Second answers that one
)

var stories = [...]string{"plain", "corrected", "withdrawn", "disputed", "reopened", "sent twice"}

// String returns the story in English.
func (s Story) String() string { return stories[s] }

// Answer is what a clerk answers.
type Answer struct {
	Outcome cases.Outcome // 0: no answer
	// Area: of MISROUTED the right one, 0 where nobody can tell; of MOVED_ON the
	// county; of REGISTERED_ELSEWHERE the county.
	Area           area.Key
	Attempts       uint32   // UNREACHABLE
	Channels       []string // UNREACHABLE: visit, phone, message, letter
	ConflictFields []string // IDENTITY_CONFLICT
	Check          string   // visit, call, document; empty: none
	TrueReason     string   // NO_DISCLOSURE: declined, withheld, unavailable, not_offered
}

// Offer is how an offer of the round's services ends. The zero Offer is none:
// who was not found is offered nothing there.
type Offer struct {
	Result   string            // done, declined, standing_refusal, not_reached, not_applicable
	Channel  string            // visit, phone, message, letter, counter
	Findings map[string]string // of done
	Release  bool              // of done: the person consents to send the findings to the origin
}

// Truth is what the clerks of the other end find about one person.
type Truth struct {
	Story    Story
	Phone    string   // of Corrected
	Township area.Key // where the county's distributor gives a case addressed to the county; 0: addressed to a township
	Answer   Answer   // at the place addressed
	Second   Answer   // of Disputed, Reopened and SentTwice
	Rerouted Answer   // at Answer.Area, where Answer is MISROUTED with one
	Offer    Offer

	// Who arrived and shows a certificate: its number, and what the place that
	// issued it answers.
	Certificate       string
	CertificateAnswer cases.Outcome
}

// Last returns the answer of the last round at the place addressed.
func (t *Truth) Last() Answer {
	if t.Story == Disputed || t.Story == Reopened {
		return t.Second
	}
	return t.Answer
}

// Counts are the figures of a roster.
type Counts struct {
	Left, Women, Asked, Issued, Confirm int
	Arrived, ArrivedWomen, Showing      int
	Outcomes                            map[cases.Outcome]int // first answers to Left
	Stories                             map[Story]int         // of Left
	Rerouted                            int                   // MISROUTED with an area
}

// Count counts people as of a reference day.
func Count(people []Person, on civil.Date) Counts {
	c := Counts{Outcomes: map[cases.Outcome]int{}, Stories: map[Story]int{}}
	one := func(n *int, is bool) {
		if is {
			*n++
		}
	}
	for i := range people {
		p := &people[i]
		if p.Row.Kind == cases.Inflow {
			c.Arrived++
			one(&c.ArrivedWomen, p.fertile(on))
			one(&c.Showing, p.Truth.Certificate != "")
			continue
		}
		c.Left++
		one(&c.Women, p.MarriedWoman(on))
		one(&c.Asked, !p.Row.Asked.IsZero())
		one(&c.Issued, !p.Row.Issued.IsZero())
		one(&c.Confirm, p.Row.Confirm)
		one(&c.Rerouted, p.Truth.Answer.Outcome == cases.Misrouted && p.Truth.Answer.Area != 0)
		c.Stories[p.Truth.Story]++
		if o := p.Truth.Answer.Outcome; o != 0 {
			c.Outcomes[o]++
		}
	}
	return c
}
