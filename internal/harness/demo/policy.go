package demo

import (
	"fmt"
	"strings"
	"time"

	"yipan/internal/civil"
)

// noEnd: the round lasts as long as the calendar says.
var noEnd = time.Time{}

// offerRound is the number of the offer round that holds a day, and its days.
func offerRound(on civil.Date) (number uint32, from, to civil.Date) {
	third := (int(on.Month) - 1) / 4 // three rounds of four months
	from = civil.Date{Year: on.Year, Month: time.Month(1 + 4*third), Day: 1}
	to = civil.Date{Year: on.Year, Month: time.Month(5 + 4*third), Day: 1}
	if third == 2 {
		to = civil.Date{Year: on.Year + 1, Month: time.January, Day: 1}
	}
	return uint32(on.Year*10 + third + 1), from, to
}

// policyFile is the policy of the demo: every answer is due on the day of
// delivery, so that the month in which the demo runs has rates; the offer round
// ends at an instant.
func policyFile(on civil.Date, version int, roundEnds time.Time) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `# 演示用政策：期限都是 0 日（当日到期），三查轮次在演示中途结束。
# The demo's policy: everything is due on the day of delivery, and the offer
# round ends in the middle of the demo.
version = "demo-%d"
from = "%d-01-01"
calendar = "CN-calendar"
movement_level = "township"
statistical_year = "calendar"
misrouted_grace_days = 7

[monthly]
last_submission_day = 20
last_feedback_day = 27

[office_hours]
from = "08:30"
to = "17:30"
`, version, on.Year-1)
	for _, kind := range []string{"outflow", "inflow", "assist", "assist_urgent", "certificate", "birth"} {
		fmt.Fprintf(&b, "\n[limits.%s]\nanswer_days = 0\nunit = \"calendar\"\nsource = \"演示\"\n", kind)
	}
	number, from, to := offerRound(on)
	fmt.Fprintf(&b, "\n[targets]\nfeedback = 95\n\n[[round]]\nnumber = %d\nname = \"演示轮次\"\nfrom = \"%s\"\nto = \"%s\"\n", number, from, to)
	if !roundEnds.IsZero() {
		fmt.Fprintf(&b, "ends_at = \"%s\"\n", roundEnds.In(civil.Shanghai).Format(time.RFC3339Nano))
	}
	b.WriteString(`
[[basis]]
id = "duty:joint-service"
text = "流动人口的服务由户籍所在地和现居住地人民政府共同负责，以现居住地为主"
source = "《中华人民共和国人口与计划生育法》第十四条"
kinds = ["outflow", "inflow", "assist"]
`)
	return []byte(b.String())
}
