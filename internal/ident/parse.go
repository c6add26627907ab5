package ident

import (
	"regexp"
	"strings"
	"unicode"

	"yipan/internal/civil"
	"yipan/internal/fault"
)

// maxRaw bounds what Parse keeps as Original; the longest number has 18
// characters, typed full-width and in groups.
const maxRaw = 128

// Birth years that a number may name. Nobody born before 1850 can appear, and
// whether a day is still to come is for a caller who knows today.
const (
	minYear = 1850
	maxYear = 2099
)

// weights and checks are those of GB 11643 (ISO 7064, MOD 11-2).
var weights = [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}

const checks = "10X98765432"

var (
	shape18         = regexp.MustCompile(`^[0-9]{17}[0-9X]$`)
	shape15         = regexp.MustCompile(`^[0-9]{15}$`)
	shapeForeign15  = regexp.MustCompile(`^[A-Z]{3}[0-9]{12}$`)
	shapePassport   = regexp.MustCompile(`^[A-Z0-9]{5,17}$`)
	shapeScientific = regexp.MustCompile(`^[0-9](\.[0-9]+E\+?|E\+)[0-9]+$`)
	shapeDummy      = regexp.MustCompile(`^(0+|000000[0-9]{8}000[0-9X]|000000[0-9]{6}000)$`)

	// shapePassportAuto is what may be taken for a passport unasked: with a letter
	// and a digit (looked for apart) and short, so that a resident ID with a digit
	// lost or mistyped is refused instead.
	shapePassportAuto = regexp.MustCompile(`^[A-Z0-9]{7,10}$`)
)

// provinces are the first two digits that GB/T 2260 gives out; 83 is used by
// the permits of Taiwan residents only.
var provinces = func() map[string]bool {
	m := map[string]bool{}
	for p := range strings.FieldsSeq("11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 " +
		"50 51 52 53 54 61 62 63 64 65 71 81 82 83") {
		m[p] = true
	}
	return m
}()

// CheckDigit returns the check digit of GB 11643 for the first 17 digits, '0'
// to '9' or 'X'. It refuses (Invalid, ID_FORMAT) what is not 17 digits.
func CheckDigit(first17 string) (byte, error) {
	if len(first17) != 17 {
		return 0, badFormat("check digit needs 17 digits")
	}
	sum := 0
	for i, w := range weights {
		c := first17[i]
		if c < '0' || c > '9' {
			return 0, badFormat("check digit needs 17 digits")
		}
		sum += int(c-'0') * w
	}
	return checks[sum%11], nil
}

// Parse reads the number of a document of kind k, or tells the kind for
// KindAuto: a passport only by a letter, a digit and 7 to 10 characters, KindNone
// never. Full-width characters, inner spaces,
// hyphens and a lower-case x are accepted. The warnings are doubts that a clerk
// may confirm. It refuses as Invalid, field "id_number":
//
//	ID_EMPTY       no number, though the kind has one
//	ID_UNEXPECTED  a number with KindNone
//	ID_FORMAT      not the shape of the kind
//	ID_KIND        the shape of another kind (a 9… number as a resident ID)
//	ID_BIRTH       an impossible birth date
//	ID_DUMMY       zeros, or 000000 + date + 0000
//	ID_NUMERIC     scientific notation: a spreadsheet has rounded it
func Parse(k Kind, raw string) (Doc, []Warning, error) {
	if k != KindAuto && !k.Valid() {
		return Doc{}, nil, fault.Invalid("ID_KIND", "unknown kind of document").Zh("未知的证件类型").On("id_kind")
	}
	if len(raw) > maxRaw {
		return Doc{}, nil, badFormat("id number is too long")
	}
	n := normalize(raw)
	switch {
	case k == KindNone && n == "":
		return Doc{Kind: KindNone}, nil, nil
	case k == KindNone:
		return Doc{}, nil, refuse("ID_UNEXPECTED", "a number with no document").Zh("选择“无证件”时不应填写证件号码")
	case n == "":
		return Doc{}, nil, refuse("ID_EMPTY", "no id number").Zh("请填写证件号码；确无证件请选择“无证件”")
	case shapeScientific.MatchString(n):
		return Doc{}, nil, refuse("ID_NUMERIC", "id number in scientific notation").
			Zh("证件号码被 Excel 按数值处理，只保留了前 15 位；请将单元格设为文本格式后重新录入")
	case shapeDummy.MatchString(n):
		return Doc{}, nil, refuse("ID_DUMMY", "id number is a known dummy").Zh("证件号码是占位号码；确无证件请选择“无证件”")
	}
	actual, ok := shapeOf(n)
	if k == KindPassport && len(n) < 18 {
		return passport(n, raw)
	}
	if !ok {
		if k == KindAuto && shapePassportAuto.MatchString(n) && strings.Trim(n, "0123456789") != "" {
			return passport(n, raw)
		}
		return Doc{}, nil, badFormat("id number has no known shape")
	}
	if k != KindAuto && k != actual {
		return Doc{}, nil, refuse("ID_KIND", "id number is of kind %v, not %v", actual, k).
			Zh("该号码是%s的格式，与所选的%s不符", actual.Zh(), k.Zh())
	}
	d := Doc{Kind: actual, Number: n, Original: raw}
	if !d.birthPossible() {
		return Doc{}, nil, refuse("ID_BIRTH", "id number names an impossible birth date").Zh("证件号码中的出生日期不存在，请核对")
	}
	return d, d.doubts(), nil
}

// shapeOf tells the kind of a normalised number that has a shape of its own,
// which a passport has not.
func shapeOf(n string) (Kind, bool) {
	switch {
	case shape18.MatchString(n) && n[0] == '9':
		return KindForeign, true
	case shape18.MatchString(n) && (n[:6] == "810000" || n[:6] == "820000" || n[:6] == "830000"):
		return KindHMT, true
	case shape18.MatchString(n):
		return KindResident, true
	case shape15.MatchString(n):
		return KindResident15, true
	case shapeForeign15.MatchString(n):
		return KindForeign15, true
	}
	return KindAuto, false
}

func passport(n, raw string) (Doc, []Warning, error) {
	if !shapePassport.MatchString(n) || !strings.ContainsAny(n, "0123456789") {
		return Doc{}, nil, badFormat("passport number has another shape").Zh("护照号码应为 5–17 位字母和数字")
	}
	d := Doc{Kind: KindPassport, Number: n, Original: raw}
	if _, ok := shapeOf(n); ok {
		return d, []Warning{warn(WarnOtherKind)}, nil
	}
	return d, nil, nil
}

func (d Doc) doubts() []Warning {
	var ws []Warning
	if d.Kind == KindForeign15 {
		return nil
	}
	if d.has18() {
		if c, err := CheckDigit(d.Number[:17]); err != nil || c != d.Number[17] {
			ws = append(ws, warn(WarnCheckDigit))
			if strings.HasSuffix(d.Number, "000") {
				ws = append(ws, warn(WarnRounded))
			}
		}
	}
	if d.Kind != KindForeign && !provinces[d.Number[:2]] {
		ws = append(ws, warn(WarnArea))
	}
	if d.Kind == KindResident15 && d.Number[12:] >= "996" {
		ws = append(ws, warn(WarnCentenarian))
	}
	if seq := d.sequence(); seq == "000" {
		ws = append(ws, warn(WarnSequence))
	}
	return ws
}

func (d Doc) birthPossible() bool {
	if d.Kind == KindForeign15 {
		// Two digits of the year: the day has to exist in some century.
		mmdd := d.Number[9:13]
		_, e1 := civil.Parse("19" + d.Number[7:9] + mmdd)
		_, e2 := civil.Parse("20" + d.Number[7:9] + mmdd)
		return e1 == nil || e2 == nil
	}
	b, ok := d.Birth()
	return ok && b.Year >= minYear && b.Year <= maxYear
}

// normalize folds full-width characters and lower case, reads × and Ⅹ as the
// check character X, and leaves spaces, hyphens and invisible characters out.
func normalize(raw string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0xFF01 && r <= 0xFF5E {
			r -= 0xFEE0
		}
		switch {
		case r == '×' || r == 'Ⅹ' || r == 'ⅹ':
			return 'X'
		case r == '-' || r == '\u2010' || r == '\u2011' || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r):
			return -1
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return r
	}, raw)
}

func refuse(reason, format string, a ...any) *fault.Error {
	return fault.Invalid(reason, format, a...).On("id_number")
}

func badFormat(msg string) *fault.Error {
	return refuse("ID_FORMAT", "%s", msg).Zh("证件号码格式不符，请核对位数和字符")
}
