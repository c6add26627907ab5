package rates

import (
	"fmt"
	"math/big"
	"strings"
)

// Ratio is n / d, shown always together with its percentage. 0 ≤ N; of the
// measures here also N ≤ D.
type Ratio struct {
	N, D int64
}

// None is the percentage of an empty denominator.
const None = "—"

// Percent returns the percentage without its sign, half up to two decimals,
// exactly: "97.26" for 1631/1677. None where D is not positive.
func (r Ratio) Percent() string {
	h, ok := r.hundredths(true)
	if !ok {
		return None
	}
	return decimal(h)
}

// String returns "1631/1677 97.26%", or "0/0 —".
func (r Ratio) String() string {
	if p := r.Percent(); p != None {
		return fmt.Sprintf("%d/%d %s%%", r.N, r.D, p)
	}
	return fmt.Sprintf("%d/%d %s", r.N, r.D, None)
}

// hundredths returns hundredths of a percent, rounded half up or cut off.
func (r Ratio) hundredths(round bool) (*big.Int, bool) {
	if r.D <= 0 || r.N < 0 {
		return nil, false
	}
	d := big.NewInt(r.D)
	n := new(big.Int).Mul(big.NewInt(r.N), big.NewInt(20000))
	if round {
		n.Add(n, d)
	}
	return n.Div(n, d.Lsh(d, 1)), true
}

func decimal(h *big.Int) string {
	q, m := new(big.Int).DivMod(h, big.NewInt(100), new(big.Int))
	return fmt.Sprintf("%s.%02d", q, m.Int64())
}

// Near is a ratio that would print as a typed-in percentage does.
type Near struct {
	Ratio
	Cut bool // only if the decimals after the second are cut off
}

// Explain says what would explain a percentage that somebody typed beside r,
// "97.19" or "97.19%": r itself cut off, and ratios with n or d wrong by one,
// n below first, then d, rounded or cut off. agrees: it is r's own percentage,
// and nothing is to be explained. printed is compared as text of two decimals.
func (r Ratio) Explain(printed string) (agrees bool, near []Near) {
	printed = strings.TrimRight(strings.TrimSpace(printed), "%％ ")
	if r.Percent() == printed {
		return true, nil
	}
	for _, c := range []Ratio{r, {r.N - 1, r.D}, {r.N + 1, r.D}, {r.N, r.D - 1}, {r.N, r.D + 1}} {
		if c.N > c.D {
			continue
		}
		if c != r && c.Percent() == printed {
			near = append(near, Near{Ratio: c})
		} else if h, ok := c.hundredths(false); ok && decimal(h) == printed {
			near = append(near, Near{Ratio: c, Cut: true})
		}
	}
	return false, near
}

// Remark returns in Chinese that a typed-in percentage disagrees with its own
// counts and what would explain it; "" where it agrees.
func (r Ratio) Remark(printed string) string {
	agrees, near := r.Explain(printed)
	if agrees {
		return ""
	}
	printed = strings.TrimRight(strings.TrimSpace(printed), "%％ ")
	var b strings.Builder
	fmt.Fprintf(&b, "原报告所印 %s%% 与其自身数字不符：%d/%d 应为 %s%%", printed, r.N, r.D, r.Percent())
	for i, c := range near {
		b.WriteString([]string{"；可能的原因：", "，或 "}[min(i, 1)])
		fmt.Fprintf(&b, "%d/%d", c.N, c.D)
		if c.Cut {
			b.WriteString(" 截去尾数（未四舍五入）")
		}
		fmt.Fprintf(&b, " 得 %s%%", printed)
	}
	return b.String()
}
