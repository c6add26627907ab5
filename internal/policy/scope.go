package policy

import (
	"yipan/internal/civil"
)

// Sexes as OfferScope names them (GB/T 2261.1); AnySex leaves nobody out.
const (
	AnySex uint32 = 0
	Female uint32 = 2
)

// Defaults of what a policy may leave out: childbearing age (DOMAIN §5) and the
// three years for which a certificate was good (篇一). No seed says within how
// many days a visit (来访) is to be settled: 15 working days are this project's
// own (本项目自定).
const (
	minOfferAge              = 15
	maxOfferAge              = 49
	defaultCertificateMonths = 36
	defaultVisitDays         = 15
)

// OfferScope says to whom the three checks (三查) are offered. Marital status
// and children are no part of it (SECURITY D4).
type OfferScope struct {
	Sex            uint32 // Female or AnySex
	MinAge, MaxAge int    // full years, both included; 0..120
}

// Born returns the first and the last day of birth of those who are in the
// scope's ages on a day, both included.
func (s OfferScope) Born(on civil.Date) (first, last civil.Date) {
	// Whoever was born on 29 February comes of age on 1 March (civil.FullYears).
	return yearsBack(on, s.MaxAge+1).AddDays(1), yearsBack(on, s.MinAge)
}

// yearsBack is the last day of birth of those who have n full years on a day.
func yearsBack(on civil.Date, n int) civil.Date {
	d := civil.Date{Year: on.Year - n, Month: on.Month, Day: on.Day}
	for !d.Valid() {
		d.Day--
	}
	return d
}

// Holds reports whether somebody is in the scope on a day. One whose birth date
// is unknown is not, nor, where the scope names a sex, one whose sex is another
// or unknown: the file has to be completed first.
func (s OfferScope) Holds(sex uint32, birth, on civil.Date) bool {
	if birth.IsZero() || s.Sex != AnySex && s.Sex != sex {
		return false
	}
	age := birth.FullYears(on)
	return age >= s.MinAge && age <= s.MaxAge
}

func (p *Policy) readScope(t *table) {
	p.OfferScope = OfferScope{Sex: Female, MinAge: minOfferAge, MaxAge: maxOfferAge}
	if t == nil {
		return
	}
	if t.choice("sex", true, "female", "any") == "any" {
		p.OfferScope.Sex = AnySex
	}
	lo, ok1 := t.integer("min_age", true, 0, 120)
	hi, ok2 := t.integer("max_age", true, 0, 120)
	if ok1 && ok2 {
		if hi < lo {
			t.add("max_age", "不能小于 min_age")
		}
		p.OfferScope.MinAge, p.OfferScope.MaxAge = lo, hi
	}
	t.done()
}
