package policy

import (
	"fmt"
	"strings"
)

// Remarks returns what somebody who checks a right policy should still know,
// in Chinese: no offer rounds, an older calendar, years whose working days are
// provisional.
func (p *Policy) Remarks() []string {
	var out []string
	if len(p.Rounds) == 0 {
		out = append(out, "没有写轮次（[[round]]）：在它有效期间没有服务告知到期")
	}
	c, err := CalendarByNo(p.Calendar)
	if err != nil || c.plain {
		return out
	}
	if c.no < NewestCalendar {
		out = append(out, fmt.Sprintf("日历 %s 不是最新的，最新的是 %s", c.id, NewestCalendar))
	}
	last := p.From.Year
	if !p.To.IsZero() {
		last = p.To.AddDays(-1).Year
	}
	for _, r := range p.Rounds {
		last = max(last, r.To.AddDays(-1).Year)
	}
	var years []string
	for y := p.From.Year; y <= last; y++ {
		if c.Year(y).Provisional {
			years = append(years, fmt.Sprintf("%d", y))
		}
	}
	if len(years) > 0 {
		out = append(out, fmt.Sprintf("日历 %s 没有 %s 年的放假通知，这些年份的工作日是暂定的", c.id, strings.Join(years, "、")))
	}
	return out
}
