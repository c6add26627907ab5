package ident

// Sex is a code of GB/T 2261.1.
type Sex uint8

// The codes of GB/T 2261.1.
const (
	SexUnknown     Sex = 0 // 未知的性别
	SexMale        Sex = 1 // 男性
	SexFemale      Sex = 2 // 女性
	SexUnspecified Sex = 9 // 未说明的性别
)

// Valid reports whether s is one of the codes.
func (s Sex) Valid() bool { return s <= SexFemale || s == SexUnspecified }

// Known reports whether s is male or female.
func (s Sex) Known() bool { return s == SexMale || s == SexFemale }

// Zh returns the Chinese word as a page shows it.
func (s Sex) Zh() string {
	switch s {
	case SexUnknown:
		return "未知"
	case SexMale:
		return "男"
	case SexFemale:
		return "女"
	default:
		return "未说明"
	}
}

// ParseSex reads a code ("1") or a word ("男", "男性").
func ParseSex(s string) (Sex, bool) {
	switch s {
	case "1", "男", "男性":
		return SexMale, true
	case "2", "女", "女性":
		return SexFemale, true
	case "0", "未知", "未知的性别":
		return SexUnknown, true
	case "9", "未说明", "未说明的性别":
		return SexUnspecified, true
	}
	return SexUnknown, false
}

// Marital is a code of GB/T 2261.2.
type Marital uint8

// The codes of GB/T 2261.2.
const (
	MaritalSingle      Marital = 10 // 未婚
	MaritalMarried     Marital = 20 // 已婚
	MaritalFirst       Marital = 21 // 初婚
	MaritalRemarried   Marital = 22 // 再婚
	MaritalRestored    Marital = 23 // 复婚
	MaritalWidowed     Marital = 30 // 丧偶
	MaritalDivorced    Marital = 40 // 离婚
	MaritalUnspecified Marital = 90 // 未说明的婚姻状况
)

var maritalZh = []struct {
	m  Marital
	zh string
}{
	{MaritalSingle, "未婚"}, {MaritalMarried, "已婚"}, {MaritalFirst, "初婚"}, {MaritalRemarried, "再婚"},
	{MaritalRestored, "复婚"}, {MaritalWidowed, "丧偶"}, {MaritalDivorced, "离婚"}, {MaritalUnspecified, "未说明"},
}

// Maritals lists the codes as a form offers them.
func Maritals() []Marital {
	ms := make([]Marital, len(maritalZh))
	for i, v := range maritalZh {
		ms[i] = v.m
	}
	return ms
}

// Married reports whether m is one of 20 to 23.
func (m Marital) Married() bool { return m >= MaritalMarried && m <= MaritalRestored }

// Valid reports whether m is one of the codes. Zero (nothing recorded) is not.
func (m Marital) Valid() bool {
	for _, v := range maritalZh {
		if v.m == m {
			return true
		}
	}
	return false
}

// Zh returns the Chinese word, "" for what is not Valid.
func (m Marital) Zh() string {
	for _, v := range maritalZh {
		if v.m == m {
			return v.zh
		}
	}
	return ""
}

// ParseMarital reads a code ("21") or a word ("初婚").
func ParseMarital(s string) (Marital, bool) {
	for _, v := range maritalZh {
		if s == v.zh || len(s) == 2 && s[0] == '0'+byte(v.m/10) && s[1] == '0'+byte(v.m%10) {
			return v.m, true
		}
	}
	return 0, false
}
