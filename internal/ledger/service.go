package ledger

import (
	"slices"
	"time"

	"yipan/internal/cases"
	"yipan/internal/civil"
)

// Results of a service. What a person decided is sealed; only "closed" is open
// (SECURITY D4).
//
// The rates of DOMAIN section 4 over services come from them alone: 药具 is done
// of asked and done (who asked and was supplied counts as done), 随访 likewise
// followed up of agreed, and 服务告知率 is all results but not_reached of those in
// scope, with not_applicable left out of the denominator.
const (
	OfferAsked           = "asked" // wanted, or agreed to; not yet done
	OfferDone            = "done"
	OfferDeclined        = "declined"
	OfferStandingRefusal = "standing_refusal"
	OfferNotReached      = "not_reached"
	OfferNotApplicable   = "not_applicable"
)

// ServiceResults lists the results of a service.
func ServiceResults() []string {
	return []string{OfferAsked, OfferDone, OfferDeclined, OfferStandingRefusal, OfferNotReached, OfferNotApplicable}
}

// OfferResults lists the results of an offer of a round (三查) as a case's office
// records it.
func OfferResults() []string { return ServiceResults()[1:] }

// Closes reports whether nothing more is due in the period after a result. A
// "no" is a full answer; who was not reached, or waits for what was asked for,
// still is to be served.
func Closes(result string) bool {
	return slices.Contains([]string{OfferDone, OfferDeclined, OfferStandingRefusal, OfferNotApplicable}, result)
}

// Channels lists how a person can be reached.
func Channels() []string { return []string{"visit", "phone", "message", "letter", "counter"} }

// Attempt is one try to reach a person.
type Attempt struct {
	Date    civil.Date `json:"d"`
	Channel string     `json:"c"`
}

// Referral sends a person to another institution (三查一治). It stays at the
// residence.
type Referral struct {
	To   string     `json:"to"`
	Date civil.Date `json:"date"`
	Done civil.Date `json:"done,omitzero"`
}

// Limits of a record, so that it fits into its fixed size.
const (
	MaxAttempts = 12 // the latest are kept
	MaxReferral = 40 // characters of where a person was referred to
)

// ServiceRecord is what is known of one service to one person in one period.
// Without a result nothing was recorded.
type ServiceRecord struct {
	Result      string            `json:"result,omitempty"`
	Date        civil.Date        `json:"date,omitzero"`
	Channel     string            `json:"channel,omitempty"`
	Findings    map[string]string `json:"findings,omitempty"`
	Consent     cases.ConsentID   `json:"consent,omitzero"`
	OwnProof    bool              `json:"own_proof,omitempty"` // shown by the person; nothing was copied
	Appointment civil.Date        `json:"appointment,omitzero"`
	Referral    *Referral         `json:"referral,omitempty"`
	Attempts    []Attempt         `json:"attempts,omitempty"` // oldest first
	Due         civil.Date        `json:"due,omitzero"`       // of a visit: the last day of settling it in time
	By          string            `json:"by,omitempty"`       // account
	At          time.Time         `json:"at,omitzero"`        // of recording
}

// Closed reports whether nothing more is due in the period.
func (r *ServiceRecord) Closed() bool { return Closes(r.Result) }

// Replace returns next as the record that takes the place of r in the same
// period: the last word counts, the attempts of both are kept.
func (r *ServiceRecord) Replace(next ServiceRecord) ServiceRecord {
	a := Attempt{Date: next.Date, Channel: next.Channel}
	if !r.Due.IsZero() {
		next.Due = r.Due
	}
	next.Attempts = slices.Clone(r.Attempts)
	if !slices.Contains(next.Attempts, a) {
		next.Attempts = append(next.Attempts, a)
	}
	slices.SortStableFunc(next.Attempts, func(a, b Attempt) int { return a.Date.Compare(b.Date) })
	if n := len(next.Attempts); n > MaxAttempts {
		next.Attempts = next.Attempts[n-MaxAttempts:]
	}
	return next
}

// Counts is how many records have each result.
type Counts map[string]int64

// Tally is all results of one office, kind and period together. Those of erased
// people stay counted, apart, because nobody can open their records any more.
type Tally struct {
	Living Counts `json:"living,omitempty"`
	Erased Counts `json:"erased,omitempty"`
}

// Of returns how many records have a result, erased people's among them.
func (t *Tally) Of(result string) int64 { return t.Living[result] + t.Erased[result] }

// Move counts a record whose result changed; empty: there was, or is, none.
func (t *Tally) Move(from, to string) {
	t.Living = t.Living.add(from, -1).add(to, 1)
}

// Erase moves a record of a person who is being erased to the others' sums.
func (t *Tally) Erase(result string) {
	t.Living, t.Erased = t.Living.add(result, -1), t.Erased.add(result, 1)
}

func (c Counts) add(result string, n int64) Counts {
	if result == "" {
		return c
	}
	if c == nil {
		c = Counts{}
	}
	if c[result] += n; c[result] == 0 {
		delete(c, result)
	}
	return c
}

// Sizes of the sealed forms of services, before encryption.
const (
	ServiceBytes = 2048
	TallyBytes   = 512
)
