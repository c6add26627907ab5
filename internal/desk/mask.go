package desk

import (
	"fmt"

	"yipan/internal/access"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/ident"
	"yipan/internal/store"
)

// Mask is how a list shows the person of a case; nil: the fields are erased.
func Mask(f *cases.Fields) string { return mask(f) }

// mask shows of a person no more than surname and birth year.
func mask(f *cases.Fields) string {
	if f == nil {
		return "（已删除）"
	}
	return MaskName(f.Name, f.Birth)
}

// MaskName is how a list shows somebody of a name and a birth date (zero: unknown).
func MaskName(name string, birth civil.Date) string {
	short := ident.Surname(name)
	if short == "" {
		r := []rune(ident.NormalizeName(name))
		short = string(r[:min(1, len(r))])
	}
	if birth.IsZero() {
		return short + "某"
	}
	return fmt.Sprintf("%s某（%d年生）", short, birth.Year)
}

// Visible reports whether p may see a side of an office of its own at all: a
// distributor sees only what waits to be given to a township.
func Visible(p access.Principal, s *store.Side) bool { return visible(p, s) }

// SubjectOf is whom the access log names for a side: the person it is paired
// with, else the case.
func SubjectOf(s *store.Side) [16]byte { return subjectOf(*s) }
