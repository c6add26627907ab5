package ident

// Kind is a kind of ID document. The numbers are stored; never renumber.
type Kind uint8

// The kinds of document.
const (
	// KindAuto asks Parse to tell the kind from the number. No Doc has it.
	KindAuto Kind = 0
	// KindResident is the resident ID of 18 characters (GB 11643).
	KindResident Kind = 1
	// KindResident15 is the resident ID of 15 digits as issued until 1999.
	KindResident15 Kind = 2
	// KindHMT is the residence permit of residents of Hong Kong (810000), Macao
	// (820000) and Taiwan (830000): 18 characters, GB 11643.
	KindHMT Kind = 3
	// KindForeign is the foreign permanent resident's ID card issued since
	// December 2023: 18 characters beginning with 9, check digit of GB 11643.
	KindForeign Kind = 4
	// KindForeign15 is its older form: 3 letters and 12 digits.
	KindForeign15 Kind = 5
	// KindPassport is a passport of any country.
	KindPassport Kind = 6
	// KindNone says that the person has or shows no document.
	KindNone Kind = 7
)

var kinds = [...]struct{ code, zh string }{
	KindAuto:       {"auto", "自动识别"},
	KindResident:   {"resident", "居民身份证"},
	KindResident15: {"resident15", "居民身份证（15 位）"},
	KindHMT:        {"hmt", "港澳台居民居住证"},
	KindForeign:    {"foreign", "外国人永久居留身份证"},
	KindForeign15:  {"foreign15", "外国人永久居留身份证（旧版 15 位）"},
	KindPassport:   {"passport", "护照"},
	KindNone:       {"none", "无证件"},
}

// Kinds lists the kinds that a Doc can have, as a form offers them.
func Kinds() []Kind {
	return []Kind{KindResident, KindResident15, KindHMT, KindForeign, KindForeign15, KindPassport, KindNone}
}

// Valid reports whether a Doc can have kind k.
func (k Kind) Valid() bool { return k > KindAuto && int(k) < len(kinds) }

// String returns the stable lower-case code, "resident".
func (k Kind) String() string {
	if int(k) >= len(kinds) {
		return "unknown"
	}
	return kinds[k].code
}

// Zh returns the Chinese name.
func (k Kind) Zh() string {
	if int(k) >= len(kinds) {
		return "未知证件"
	}
	return kinds[k].zh
}

// ParseKind reads what String returns, or the Chinese name.
func ParseKind(s string) (Kind, bool) {
	for k, n := range kinds {
		if s == n.code || s == n.zh {
			return Kind(k), true
		}
	}
	return KindAuto, false
}

// WarningCode is the stable code of a Warning.
type WarningCode string

// What Parse warns of.
const (
	// WarnCheckDigit: the check digit does not fit the other digits.
	WarnCheckDigit WarningCode = "ID_CHECK_DIGIT"
	// WarnArea: the number begins with digits that no province has.
	WarnArea WarningCode = "ID_AREA"
	// WarnSequence: the sequence digits are 000, which is never given out.
	WarnSequence WarningCode = "ID_SEQUENCE"
	// WarnCentenarian: a 15-digit number with a sequence of 996 to 999, which
	// were kept for people born before 1900; its 18-digit form may be wrong.
	WarnCentenarian WarningCode = "ID_CENTENARIAN"
	// WarnRounded: it ends in zeros as if a spreadsheet had rounded it.
	WarnRounded WarningCode = "ID_ROUNDED"
	// WarnOtherKind: a passport number in the 15-character form of another kind.
	WarnOtherKind WarningCode = "ID_OTHER_KIND"
)

// Warning is a doubt about a document that a clerk may confirm with a reason.
// It holds nothing of the number.
type Warning struct {
	Code WarningCode
	Text string // Chinese, for users
}

func warn(c WarningCode) Warning {
	return Warning{Code: c, Text: map[WarningCode]string{
		WarnCheckDigit:  "证件号码校验位不符，请核对；确认无误可注明理由后保存",
		WarnArea:        "证件号码前两位不是省级代码，请核对",
		WarnSequence:    "证件号码顺序码为 000，请核对",
		WarnCentenarian: "15 位号码顺序码为 996–999，出生世纪无法确定，请核对",
		WarnRounded:     "证件号码末三位为 0，可能被 Excel 按数值截断，请核对原件",
		WarnOtherKind:   "所填护照号码形似身份证件号码，请核对证件类型",
	}[c]}
}
