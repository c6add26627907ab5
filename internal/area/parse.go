package area

import (
	"strings"

	"yipan/internal/fault"
)

// Parse reads a code as people and files write it:
//
//   - 2, 4, 6, 9 or 12 digits: the level is the coarsest that the trailing zeros
//     allow, so 520000 is a province, 520330000 a county, and 441900 the
//     prefecture 东莞 (the county of this code is written 3:441900);
//   - 15 digits, the legacy family-planning code of 6+3+3+3: as its first 12,
//     since the last three (组) are below any area here;
//   - "level:code" with one of the lengths above up to 12, at least the digits
//     that the level uses: exactly this level.
//
// Full-width digits and outer spaces are accepted. Parse knows the form only:
// whether the area exists is for Lookup and Valid. It refuses as Invalid with
// AREA_LEVEL or AREA_CODE.
func Parse(s string) (Key, error) {
	s = strings.TrimSpace(strings.Map(narrow, s))
	if level, code, ok := strings.Cut(s, ":"); ok {
		if len(level) != 1 || level < "1" || level > "5" {
			return 0, fault.Invalid("AREA_LEVEL", "area level is not 1..5").Zh("行政区划级别应为 1 到 5")
		}
		l := Level(level[0] - '0')
		if len(code) < digits[l] {
			return 0, fault.Invalid("AREA_CODE", "area code has too few digits for level %d", l).Zh("第 %d 级行政区划代码至少应有 %d 位数字", l, digits[l])
		}
		return checked(Of(l, code))
	}
	if strings.Trim(s, "0123456789") != "" {
		return 0, fault.Invalid("AREA_CODE", "area code is not a number").Zh("行政区划代码只能由数字组成")
	}
	switch len(s) {
	case 15:
		s = s[:12]
	case 2, 4, 6, 9, 12:
		s += strings.Repeat("0", 12-len(s))
	default:
		return 0, fault.Invalid("AREA_CODE", "area code has %d digits", len(s)).Zh("行政区划代码应为 2、4、6、9、12 位数字（旧计生代码 15 位）")
	}
	l := Province
	for finer := Prefecture; finer <= Village; finer++ {
		if strings.Trim(s[digits[finer-1]:digits[finer]], "0") != "" {
			l = finer
		}
	}
	return checked(Of(l, s))
}

// checked refuses what no area can be: province 00, and an area below the
// province without a prefecture's digits. County and township digits may be
// zeros in the middle (441900003 is a township of 东莞).
func checked(k Key, err error) (Key, error) {
	if err != nil {
		return 0, err
	}
	code := k.Code()
	if code[:2] == "00" || k.Level() > Province && code[2:4] == "00" {
		return 0, fault.Invalid("AREA_CODE", "area code without province or prefecture digits").Zh("行政区划代码缺少省级或地级部分")
	}
	return k, nil
}

// narrow folds full-width ASCII (U+FF01..U+FF5E) and the ideographic space.
func narrow(r rune) rune {
	switch {
	case r >= 0xFF01 && r <= 0xFF5E:
		return r - 0xFEE0
	case r == 0x3000:
		return ' '
	}
	return r
}
