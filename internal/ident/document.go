package ident

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"yipan/internal/civil"
)

// Doc is an ID document as Parse gives it. The zero Doc is none at all (its
// Kind is not Valid). Printing, logging and JSON never show the number: what
// needs it reads Number by name.
type Doc struct {
	Kind Kind
	// Number is the normalised number: ASCII digits and upper-case letters, of the
	// length of its kind; empty for KindNone. See Match18 for comparing people.
	Number string
	// Original is what was typed, unchanged.
	Original string
}

// has18 reports whether the number is built like GB 11643.
func (d Doc) has18() bool {
	return len(d.Number) == 18 && (d.Kind == KindResident || d.Kind == KindHMT || d.Kind == KindForeign)
}

func (d Doc) has15() bool { return len(d.Number) == 15 && d.Kind == KindResident15 }

// sequence returns the three sequence digits, "" where the kind has none.
func (d Doc) sequence() string {
	switch {
	case d.has18():
		return d.Number[14:17]
	case d.has15():
		return d.Number[12:15]
	}
	return ""
}

// Sex returns the sex that the number tells by the parity of its sequence,
// SexUnknown where it tells none (passports, the older foreign card, no ID).
func (d Doc) Sex() Sex {
	s := d.sequence()
	switch {
	case s == "":
		return SexUnknown
	case (s[2]-'0')%2 == 1:
		return SexMale
	default:
		return SexFemale
	}
}

// Birth returns the birth date in the number. It is false for passports, no ID
// and the older foreign card, which leaves the century open. 15-digit resident
// IDs are read as of the 1900s.
func (d Doc) Birth() (civil.Date, bool) {
	s := ""
	switch {
	case d.has18():
		s = d.Number[6:14]
	case d.has15():
		s = "19" + d.Number[6:12]
	default:
		return civil.Date{}, false
	}
	b, err := civil.Parse(s)
	return b, err == nil
}

// AreaHint returns the six area digits of a resident ID or a permit, where the
// number was first given out. They are a hint only: people move, and codes are
// abolished. "" where the number has none (a foreign card's digits are no area).
func (d Doc) AreaHint() string {
	if d.has15() || d.has18() && d.Kind != KindForeign {
		return d.Number[:6]
	}
	return ""
}

// Match18 returns the number under which the same person is found again: the
// derived 18-character form of a 15-digit resident ID, else Number itself. It
// is empty for KindNone, which must never match.
func (d Doc) Match18() string {
	if !d.has15() {
		return d.Number
	}
	n := d.Number[:6] + "19" + d.Number[6:]
	c, err := CheckDigit(n)
	if err != nil {
		return d.Number // a Doc that Parse did not make
	}
	return n + string(c)
}

// Redact returns the number with its first and last character and eight stars,
// "5********X", whatever its length; "" where there is none.
func (d Doc) Redact() string {
	r := []rune(d.Number)
	if len(r) == 0 {
		return ""
	}
	if len(r) < 5 {
		return "********"
	}
	return string(r[0]) + "********" + string(r[len(r)-1])
}

// String returns kind and redacted number, "resident 5********X".
func (d Doc) String() string {
	if d.Number == "" {
		return d.Kind.String()
	}
	return d.Kind.String() + " " + d.Redact()
}

// Format writes String for every verb, %#v and %+v included.
func (d Doc) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, d.String()) }

// LogValue returns String, so that no log holds the number.
func (d Doc) LogValue() slog.Value { return slog.StringValue(d.String()) }

var errNotForJSON = errors.New("ident: a document is not written as JSON; take its fields by name")

// MarshalJSON always fails: a Doc inside a logged struct would show its number,
// and a redacted one would be lost data.
func (d Doc) MarshalJSON() ([]byte, error) { return nil, errNotForJSON }
