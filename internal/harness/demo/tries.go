package demo

import (
	"fmt"
	"path/filepath"
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
	one := r.people[0].id
	township := r.spec.Townships[0]
	lines := []Line{
		{"户籍地的经办人看最先到期的案件", "the origin's clerk lists what is due first", "yipan case list --side opener --page-size 5 --purpose 试用 " + origin},
		{"同一案件的经过：双方签收时间、时间用在哪一方", "the timeline of one case: signatures, and whose time was spent", "yipan case trace " + one + " --purpose 试用 " + origin},
		{"对方答复了什么", "what the other side answered", "yipan case get " + one + " --purpose 试用 " + origin},
		{"同一名册再发一次：不会重复开立", "the same roster again: nothing is opened twice", "yipan case import " + quote(filepath.Join(r.Dir, "roster.csv")) + " " + origin},
		{"篇一的办证率、验证率", "the rates of the report", "yipan rates --area " + r.spec.Origin.String() + " --measure certificate --measure verification " + origin},
		{"现居住地县级看各乡镇", "the residence's county operator looks at its townships", "yipan rates --area " + r.residence.Area.String() + " --by-township --kind outflow " + residence},
		{"现居住地 " + area.FullName(township) + " 的经办人看收到的通报", "a clerk of the residence lists what came in", "yipan case list --side receiver --page-size 5 --purpose 试用 " + at(r.residence, r.residence.clerks[township])},
		{"往来节点：未签收件数、往返用时", "peers: what is unsettled, round trips", "yipan peers " + at(r.residence, r.residence.admin)},
		{"检查节点", "look a node over", "yipan doctor --config " + quote(r.origin.ConfigFile())},
		{"不用本程序，直接调用接口", "without this program, the bare interface", fmt.Sprintf(
			`go tool -modfile=tools/go.mod grpcurl -cacert %s -H "authorization: Bearer $(cat %s)" -d '{"area":"%s","kind":"KIND_OUTFLOW"}' %s yipan.rates.v1.RateService/GetRates`,
			quote(r.residence.Certificate()), quote(r.residence.TokenFile(r.residence.operator)), r.residence.Area, r.residence.Address)},
	}
	return lines
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
