package rates

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		n, d int64
		want string
	}{
		{1631, 1677, "97.26"},
		{1630, 1677, "97.20"}, // 97.1974…; cut off it would be 97.19
		{3, 3, "100.00"},
		{0, 3, "0.00"},
		{0, 0, "—"},
		{5, 0, "—"},
		{-1, 5, "—"},
		{1, 3, "33.33"},
		{2, 3, "66.67"},
		// Half: up. Just below half: down.
		{1, 20000, "0.01"},
		{9999, 200000000, "0.00"},
		{10001, 200000000, "0.01"},
		{1, 800, "0.13"},     // 0.125
		{3, 800, "0.38"},     // 0.375
		{1, 32, "3.13"},      // 3.125
		{799, 800, "99.88"},  // 99.875
		{401, 800, "50.13"},  // 50.125, which binary fractions hold exactly
		{201, 20000, "1.01"}, // 1.005, which they do not
		{19999, 20000, "100.00"},
		{199989, 200000, "99.99"}, // 99.9945
		{199990, 200000, "100.00"},
		{math.MaxInt64, math.MaxInt64, "100.00"},
		{math.MaxInt64 - 1, math.MaxInt64, "100.00"},
		{1, math.MaxInt64, "0.00"},
		{math.MaxInt64, 2, "461168601842738790350.00"},
		{3, 2, "150.00"},
	} {
		if got := (Ratio{c.n, c.d}).Percent(); got != c.want {
			t.Errorf("%d/%d = %s, want %s", c.n, c.d, got, c.want)
		}
	}
	if got := fmt.Sprint(Ratio{1631, 1677}, Ratio{}); got != "1631/1677 97.26% 0/0 —" {
		t.Errorf("String: %s", got)
	}
}

// The percentage p is the one with p − 0.005 ≤ 100n/d < p + 0.005.
func TestPercentIsHalfUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.Int64Range(1, math.MaxInt64).Draw(t, "d")
		if rapid.Bool().Draw(t, "small") {
			d = d%40000 + 1
		}
		n := rapid.Int64Range(0, d).Draw(t, "n")
		p, ok := new(big.Rat).SetString(Ratio{n, d}.Percent())
		if !ok {
			t.Fatalf("%d/%d: no number", n, d)
		}
		exact := new(big.Rat).Mul(big.NewRat(n, d), big.NewRat(100, 1))
		half := big.NewRat(5, 1000)
		if exact.Cmp(new(big.Rat).Sub(p, half)) < 0 || exact.Cmp(new(big.Rat).Add(p, half)) >= 0 {
			t.Fatalf("%d/%d: %s is not half up", n, d, p.FloatString(2))
		}
	})
}

func TestExplain(t *testing.T) {
	own := Ratio{1631, 1677}
	for _, s := range []string{"97.26", " 97.26% ", "97.26％"} {
		if agrees, near := own.Explain(s); !agrees || near != nil || own.Remark(s) != "" {
			t.Errorf("%q is the ratio's own percentage", s)
		}
	}
	agrees, near := own.Explain("97.19%")
	want := []Near{{Ratio{1630, 1677}, true}, {Ratio{1631, 1678}, true}}
	if agrees || !cmp.Equal(near, want) {
		t.Errorf("97.19: %v %v", agrees, near)
	}
	text := "原报告所印 97.19% 与其自身数字不符：1631/1677 应为 97.26%；可能的原因：1630/1677 截去尾数（未四舍五入） 得 97.19%，或 1631/1678 截去尾数（未四舍五入） 得 97.19%"
	if got := own.Remark("97.19"); got != text {
		t.Errorf("remark:\n%s", got)
	}
	if _, near := own.Explain("97.25"); !cmp.Equal(near, []Near{{own, true}}) {
		t.Errorf("cut off: %v", near)
	}
	if _, near := own.Explain("12.34"); near != nil {
		t.Errorf("nothing explains 12.34: %v", near)
	}
	if _, near := (Ratio{}).Explain("100.00"); near != nil {
		t.Errorf("nothing explains an empty denominator: %v", near)
	}
	if _, near := (Ratio{3, 3}).Explain("75.00"); !cmp.Equal(near, []Near{{Ratio{3, 4}, false}}) {
		t.Errorf("75.00: %v", near)
	}
}
