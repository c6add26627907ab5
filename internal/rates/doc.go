// Package rates owns what each rate of DOMAIN section 4 counts: one definition
// each, with its exclusions. It classifies one round of one case at an instant
// (Classify) and adds up classifications (Tally), so that the origin's, the
// residence's and the county's figures over the same rounds are equal.
//
// Invariants: everything is a pure function of its arguments; n ≤ d; a round is
// in the denominator or excluded with exactly one code; the order in which
// rounds are added does not matter, and tallies of parts merge into the tally
// of the whole; whether a round counts is settled when its due instant and the
// grace of a reroute are past, so that later events make no silent revision.
//
// It knows times and areas only. It refuses to know persons, outcomes, reasons
// and refusals: an answer is an answer, NO_DISCLOSURE and NOT_FOUND too.
package rates
