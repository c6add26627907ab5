package ident

import (
	"fmt"

	"yipan/internal/civil"
)

// Make returns a synthetic resident ID with a valid check digit, for tests and
// demonstrations only: it invents numbers, and one of a real area and a real
// day may by chance be somebody's. The same arguments give the same number; seq
// counts 499 numbers for each area, day and sex and then begins again. area6 is
// the six area digits. It panics on an area of another shape, a day outside the
// years 1850 to 2099 or a negative seq.
func Make(area6 string, birth civil.Date, seq int, male bool) string {
	if len(area6) != 6 || !birth.Valid() || birth.Year < minYear || birth.Year > maxYear || seq < 0 {
		panic("ident: Make needs 6 area digits, a day of 1850 to 2099 and a sequence from 0")
	}
	n := seq%499*2 + 2 // 2..998: women
	if male {
		n-- // 1..997
	}
	first := fmt.Sprintf("%s%04d%02d%02d%03d", area6, birth.Year, int(birth.Month), birth.Day, n)
	c, err := CheckDigit(first)
	if err != nil {
		panic("ident: Make: " + err.Error())
	}
	return first + string(c)
}
