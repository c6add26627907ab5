package policy

import (
	"fmt"
	"time"

	"yipan/internal/civil"
	"yipan/internal/fault"
)

// RoundNumber names one of a year's three offer rounds: year*10 + 1..3.
type RoundNumber int32

// String returns "2026-1" for 20261.
func (n RoundNumber) String() string { return fmt.Sprintf("%04d-%d", n/10, n%10) }

// Round is one of the three periods of a year in which the residence offers
// the three checks (三查). Its feedback leaves together at Ends (DOMAIN §2.2).
type Round struct {
	Number   RoundNumber
	Name     string
	From, To civil.Date // [From, To)
	Ends     time.Time  // the start of To in Shanghai, or the file's ends_at before it
}

// Begins returns the first instant of the round.
func (r Round) Begins() time.Time { return r.From.StartInstant() }

// Open reports whether offers of the round are recorded at t: Begins ≤ t < Ends.
func (r Round) Open(t time.Time) bool { return !t.Before(r.Begins()) && t.Before(r.Ends) }

// RoundAt returns the round that is open at t.
func (p *Policy) RoundAt(t time.Time) (Round, bool) {
	for _, r := range p.Rounds {
		if r.Open(t) {
			return r, true
		}
	}
	return Round{}, false
}

// Round returns a round by number; an unknown one is NotFound.
func (p *Policy) Round(n RoundNumber) (Round, error) {
	for _, r := range p.Rounds {
		if r.Number == n {
			return r, nil
		}
	}
	return Round{}, unknownRound(n)
}

func unknownRound(n RoundNumber) error {
	return fault.NotFound("ROUND_UNKNOWN", "no offer round %d", int32(n)).Zh("政策中没有第 %d 号轮次", int32(n)).On("round")
}
