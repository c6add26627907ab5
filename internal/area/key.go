package area

import (
	"fmt"
	"strconv"

	"yipan/internal/fault"
)

// Level is the level of an administrative area, 1 (province) to 5 (village).
type Level int

// The five levels of GB/T 2260 (1–3), GB/T 10114 (4) and the statistical
// village code (5).
const (
	None       Level = 0
	Province   Level = 1
	Prefecture Level = 2
	County     Level = 3
	Township   Level = 4
	Village    Level = 5
)

// digits[l] is how many leading digits of the 12 a level uses.
var digits = [6]int{0, 2, 4, 6, 9, 12}

// Key identifies an area: its 12-digit code times ten plus its level. The
// level is part of the key because 441900 (东莞) and others stand at two
// levels under one code. Zero is no area.
type Key int64

// Of makes a Key from a level and a code of 2, 4, 6, 9 or 12 digits (shorter
// ones are filled with zeros on the right). It refuses anything else.
func Of(l Level, code string) (Key, error) {
	if l < Province || l > Village {
		return 0, fault.Invalid("AREA_LEVEL", "area level %d out of 1..5", l).Zh("行政区划级别应为 1 到 5")
	}
	switch len(code) {
	case 2, 4, 6, 9, 12:
	default:
		return 0, fault.Invalid("AREA_CODE", "area code has %d digits", len(code)).Zh("行政区划代码应为 2、4、6、9 或 12 位数字")
	}
	n, err := strconv.ParseUint(code, 10, 64)
	if err != nil {
		return 0, fault.Invalid("AREA_CODE", "area code is not a number").Zh("行政区划代码只能由数字组成")
	}
	for i := len(code); i < 12; i++ {
		n *= 10
	}
	k := Key(n*10 + uint64(l))
	if k.Cut(l) != k {
		return 0, fault.Invalid("AREA_CODE", "area code %012d is finer than level %d", n, l).Zh("行政区划代码 %012d 的位数超出其级别", n)
	}
	return k, nil
}

// MustOf is Of for constants; it panics on what Of refuses.
func MustOf(l Level, code string) Key {
	k, err := Of(l, code)
	if err != nil {
		panic(err)
	}
	return k
}

// Level returns the level, None for the zero Key.
func (k Key) Level() Level { return Level(k % 10) }

// Code returns the 12 digits.
func (k Key) Code() string { return fmt.Sprintf("%012d", int64(k)/10) }

// Short returns only the digits that the level uses.
func (k Key) Short() string { return k.Code()[:digits[k.Level()]] }

// String returns level and short code, "3:520123".
func (k Key) String() string {
	if k == 0 {
		return "-"
	}
	return fmt.Sprintf("%d:%s", k.Level(), k.Short())
}

// Cut returns the area of level l that holds k by digits. Where k is coarser
// than l, k itself.
func (k Key) Cut(l Level) Key {
	if k.Level() < l || l < Province {
		return k
	}
	n, m := int64(k)/10, int64(1)
	for i := digits[l]; i < 12; i++ {
		m *= 10
	}
	return Key((n/m*m)*10 + int64(l))
}

// Within reports whether k is o or lies in o by digits.
func (k Key) Within(o Key) bool {
	return o != 0 && k.Level() >= o.Level() && k.Cut(o.Level()) == o
}
