package demo

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"yipan/internal/area"
)

// Line is a command line to try by hand while the demo stays up.
type Line struct {
	Zh, En  string
	Command string // for a POSIX shell in the checkout; begins with "yipan " or "go tool "
}

// tries are lines that really work.
func (r *run) tries() []Line {
	at := func(p *place, account string) string {
		return fmt.Sprintf("--addr %s --ca %s --token-file %s", p.Address, quote(p.Certificate()), quote(p.TokenFile(account)))
	}
	origin, residence := at(r.origin, r.clerk()), at(r.residence, r.residence.operator)
	township := r.spec.Townships[0]
	there := at(r.residence, r.residence.clerks[township])
	name := area.FullName(township)
	one := r.people[0].id
	leave := "yipan move leave --name 测试新丁 --registered " + r.spec.Origin.String() + " --birth 1990-01-01 --sex 1 --day " + r.today.String() + " --to " + township.String() + " --basis request --request-id demo-try-1 " + origin
	lines := []Line{
		{"户籍地的经办人按拼音首字母找人", "the origin's clerk looks for people by the initials of their names", "yipan person search --initials csj --purpose 试用 " + origin},
		{"一个人的流动记录，和由此发出的通报", "the movements of one person, and the notices that left by them", "yipan move list " + r.people[0].person + " --purpose 试用 " + origin},
		{"登记一名新流出的人：通报随之发出，对方待办随之出现", "somebody new leaves: the notice leaves by itself and waits at the other side",
			leave},
		{"同一条命令再来一次（请求编号相同）：不会重复办理", "the same command again, with the same request id: nothing happens twice", leave},
		{"现居住地 " + name + " 有多少待办", "how much waits for a clerk of the residence", "yipan todo counts " + there},
		{"待办清单，最急的在前", "the to-do list, least time left first", "yipan todo list --purpose 试用 " + there},
		{"待答复的案件；已答复的加 --state answered", "the open cases; --state answered lists the answered ones", "yipan case list --purpose 试用 " + there},
		{"本轮三查还应告知谁（演示中的轮次已经结束）", "to whom an offer of the round is still due (the demo's round is over)", "yipan service due --purpose 试用 " + there},
		{"现居住地收到并答复的通报", "the notices that were answered there", "yipan case list --side receiver --state answered --page-size 5 --purpose 试用 " + there},
		{"同一案件的经过：双方签收时间、时间用在哪一方", "the timeline of one case: signatures, and whose time was spent", "yipan case trace " + one + " --purpose 试用 " + origin},
		{"对方答复了什么", "what the other side answered", "yipan case get " + one + " --purpose 试用 " + origin},
		{"篇一的办证率、验证率", "the rates of the report", "yipan rates --area " + r.spec.Origin.String() + " --measure certificate --measure verification " + origin},
		{"现居住地县级看各乡镇（看不到个人）", "the residence's county operator looks at its townships, never at people", "yipan rates --area " + r.residence.Area.String() + " --by-township --kind outflow " + residence},
		{"反馈率与此前三个月的趋势，附口径", "the feedback rate, three months before it, and what it counts",
			"yipan rates --area " + r.residence.Area.String() + " --measure feedback --trend 3 --definition " + residence},
		{"分子里是哪些件（仅本单位经办人）", "the cases in the numerator, for the owning office alone", "yipan rates cases --part numerator --page-size 5 " + there},
		{"时间用在哪一方、未签收、迟到答复", "whose time was spent, what is not receipted, what came late", "yipan rates times " + residence},
		{"从原始记录全部重算，与指标核对", "count everything again from the items, and compare", "yipan rates recount " + residence},
		{"走过场的迹象（演示的答复都在几秒内完成，所以会有）", "signs of hollow work (the demo answers within seconds, which is one)", "yipan signals " + residence},
		{"各月是否定稿", "which months are frozen", "yipan month list " + residence},
		{"已登记的停摆", "outages that the county signed for", "yipan outage list " + residence},
		{"年报（可打印网页）", "the annual report, as a page to be printed",
			"yipan report make annual --area " + r.spec.Origin.String() + " --format html --output " + quote(filepath.Join(r.Dir, "annual.html")) + " " + origin},
		{"审计员看谁查过谁", "the auditor sees who looked at whom", "yipan audit list --page-size 5 " + at(r.origin, r.origin.auditor)},
		{"往来节点：未签收件数、往返用时", "peers: what is unsettled, round trips", "yipan peers " + at(r.residence, r.residence.admin)},
		{"检查节点", "look a node over", "yipan doctor --config " + quote(r.origin.ConfigFile())},
		{"不用本程序，直接调用接口", "without this program, the bare interface", fmt.Sprintf(
			`go tool -modfile=tools/go.mod grpcurl -cacert %s -H "authorization: Bearer $(cat %s)" -d '{"area":"%s","kind":"KIND_OUTFLOW"}' %s yipan.rates.v1.RateService/GetRates`,
			quote(r.residence.Certificate()), quote(r.residence.TokenFile(r.residence.operator)), r.residence.Area, r.residence.Address)},
	}
	if id := r.served(township); id != "" {
		lines = slices.Insert(lines, 7, Line{"一个人的三查记录", "the services of one person", "yipan service list " + id + " --purpose 试用 " + there})
	}
	return lines
}

// served is the file, at a township of the residence, of somebody to whom a
// service was offered there; empty where nobody was.
func (r *run) served(township area.Key) string {
	for _, f := range r.people {
		if f.Row.Destination == township && f.persons[f.id] != "" {
			return f.persons[f.id]
		}
	}
	return ""
}

// quote makes a path one word of a shell.
func quote(s string) string {
	if !strings.ContainsAny(s, " \t'\"\\$`;&|<>()*?[]#~!{}") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// tellTries prints what can be tried by hand.
func (r *run) tellTries() {
	r.result.Lines = r.tries()
	r.head("系统仍在运行，可以试用（Ctrl-C 结束）：", "everything still runs; to try by hand (Ctrl-C ends it):")
	for _, p := range r.places() {
		r.say("%s：gRPC %s，监控 http://%s/metrics，令牌 %s", "%s: gRPC %s, metrics http://%s/metrics, tokens %s",
			p.Name, p.Address, p.Metrics, filepath.Join(p.Dir(), "tokens"))
	}
	r.say("消息服务器：%s；日志：%s", "broker: %s; logs: %s", r.town.Broker(), filepath.Join(r.Dir, "log"))
	for _, l := range r.result.Lines {
		fmt.Fprintf(r.Out, "\n  # %s\n  %s\n", r.t(l.Zh, l.En), r.invoke(l.Command))
	}
	fmt.Fprintln(r.Out)
}

// invoke puts the way in which this program was started in place of its name.
func (r *run) invoke(command string) string {
	rest, ours := strings.CutPrefix(command, "yipan ")
	if !ours {
		return command
	}
	exe := r.Executable
	if exe == "" || strings.Contains(exe, "go-build") {
		return "go run ./cmd/yipan " + rest
	}
	return quote(exe) + " " + rest
}
