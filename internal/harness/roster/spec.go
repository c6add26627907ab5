package roster

import (
	"fmt"

	"yipan/internal/area"
	"yipan/internal/civil"
)

// Spec says who is made. Counts are exact; shares are per mille and give the
// nearest whole number.
type Spec struct {
	Origin        area.Key   // township that they left, and where Arrived arrived
	Residence     area.Key   // county that they are addressed to
	Townships     []area.Key // of Residence; the first get the most people
	Third         area.Key   // county where those with a wrong address live
	ThirdTownship area.Key   // of Third

	// Reference is the day of the report: ages are counted on it, and events lie
	// 1 to 28 days before it.
	Reference civil.Date
	// AskedFrom is the first day on which a certificate was asked for. Zero: the
	// first of Reference's month, so that they all lie in one month.
	AskedFrom civil.Date

	Left    int // who left the origin
	Women   int // of Left: married women of 15 to 49
	Asked   int // of Left: women of childbearing age who asked for a certificate
	Issued  int // of Asked
	Confirm int // of Left: consented to be confirmed

	Arrived int // people who arrived at the origin township
	Showing int // of Arrived: women of 15 to 49 who show a certificate; no other woman arrived

	ToCounty int // share of Left addressed only to the county
	Wrong    int // share of Left with a wrong address
	NoPlace  int // share of the wrong ones of whom nobody can tell the right area

	// How many of Left are told apart by a Story. Where too few fit, fewer.
	Corrected, Withdrawn, Disputed, Reopened, SentTwice int

	Duty           string // the duty that rows without a request cite, "duty:…"
	ConsentVersion string // text version that those who consented signed
}

// Default returns the figures of 篇一: 土城镇 in 习水县, with people in 义乌市 and,
// wrongly addressed, in 海宁市. Reference is fixed; a demo sets its own day.
func Default() Spec {
	town := func(code string) area.Key { return area.MustOf(area.Township, code) }
	return Spec{
		Origin:    town("520330101"),
		Residence: area.MustOf(area.County, "330782"),
		Townships: []area.Key{town("330782004"), town("330782003"), town("330782002"), town("330782105"),
			town("330782008"), town("330782005"), town("330782100")},
		Third:         area.MustOf(area.County, "330481"),
		ThirdTownship: town("330481101"),
		Reference:     civil.Date{Year: 2026, Month: 11, Day: 20},
		Left:          3994, Women: 2295, Asked: 1677, Issued: 1631, Confirm: 1200,
		Arrived: 6, Showing: 3,
		ToCounty: 120, Wrong: 25, NoPlace: 200,
		Corrected: 40, Withdrawn: 20, Disputed: 10, Reopened: 10, SentTwice: 8,
		Duty: "duty:joint-service", ConsentVersion: "2026-1",
	}
}

// Scaled returns s with left people who left and everything that is counted
// among them in proportion, at least one of each that s has.
func (s Spec) Scaled(left int) Spec {
	of := s.Left
	for _, n := range []*int{&s.Women, &s.Asked, &s.Issued, &s.Confirm, &s.Corrected, &s.Withdrawn, &s.Disputed, &s.Reopened, &s.SentTwice} {
		if *n > 0 {
			*n = max(1, (*n*left+of/2)/of)
		}
	}
	s.Left = left
	return s
}

func (s *Spec) askedFrom() civil.Date {
	if s.AskedFrom.IsZero() {
		return civil.Date{Year: s.Reference.Year, Month: s.Reference.Month, Day: 1}
	}
	return s.AskedFrom
}

// check panics on what cannot be met.
func (s *Spec) check() {
	must := func(ok bool, what string) {
		if !ok {
			panic(fmt.Sprintf("roster: spec: %s", what))
		}
	}
	must(s.Origin.Level() == area.Township && s.Residence.Level() == area.County && s.Third.Level() == area.County, "origin is no township, or residence or third no county")
	must(len(s.Townships) > 0 && s.ThirdTownship.Within(s.Third) && s.Third != s.Residence, "no townships, or the third county's is not its own")
	for _, t := range s.Townships {
		must(t.Level() == area.Township && t.Within(s.Residence), "a township is not of the residence county")
	}
	must(s.Reference.Valid() && !s.askedFrom().After(s.Reference), "reference is no day, or before asked from")
	must(0 <= s.Women && s.Women <= s.Left && 0 <= s.Confirm && s.Confirm <= s.Left, "more women or consents than people")
	must(0 <= s.Issued && s.Issued <= s.Asked, "more issued than asked for")
	must(0 <= s.Showing && s.Showing <= s.Arrived, "more showing than arrived")
	must(0 <= s.ToCounty && s.ToCounty <= 1000 && 0 <= s.Wrong && s.Wrong <= 1000 && 0 <= s.NoPlace && s.NoPlace <= 1000, "a share is out of 0..1000")
}

// share returns the nearest whole number of n·perMille/1000.
func share(n, perMille int) int { return (n*perMille + 500) / 1000 }
