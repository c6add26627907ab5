package policy

import (
	"fmt"
	"slices"
	"strings"

	"yipan/internal/area"
	"yipan/internal/civil"
)

// kindNames are the Chinese names of the kinds, for people who read files.
var kindNames = map[string]string{
	Outflow: "流出通报", Inflow: "流入通报", Assist: "协查", AssistUrgent: "加急协查", Certificate: "婚育证明", Birth: "生育服务通报",
}

// ChangesFrom says in Chinese what somebody should look at twice before p takes
// the place of old: limits that became shorter or are counted otherwise, bases,
// targets, texts and rounds that are gone, another movement level, offer scope,
// statistical year. The same policy gives none. It does not list what became
// easier for everybody, a longer limit say.
func (p *Policy) ChangesFrom(old *Policy) []string {
	if p.Digest == old.Digest {
		return nil
	}
	var out []string
	say := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	for _, kind := range Kinds() {
		p.limitChanges(kindNames[kind], p.Limits[kind], old.Limits[kind], say)
	}
	for _, q := range p.Pairs {
		before, err := old.LimitsFor(q.Kind, q.X, q.Y)
		if err != nil {
			continue // the parser knows all kinds
		}
		p.limitChanges(pairName(q), q.Limits, before, say)
	}
	for _, q := range old.Pairs {
		if !slices.ContainsFunc(p.Pairs, func(n Pair) bool { return n.Kind == q.Kind && n.X == q.X && n.Y == q.Y }) {
			say("不再有地区约定：%s（改按一般期限）", pairName(q))
		}
	}
	for _, b := range old.Bases {
		i := slices.IndexFunc(p.Bases, func(n Basis) bool { return n.ID == b.ID })
		if i < 0 {
			say("不再承认职责 %s（%s），以它为依据的件将不能再开、再更正", b.ID, strings.Join(b.Kinds, "、"))
			continue
		}
		for _, k := range b.Kinds {
			if !slices.Contains(p.Bases[i].Kinds, k) {
				say("职责 %s 不再是%s的依据", b.ID, kindNames[k])
			}
		}
	}
	for _, rate := range Rates() {
		switch n, o := p.Targets[rate], old.Targets[rate]; {
		case o != 0 && n == 0:
			say("不再有目标：%s（原 %s）", rate, o)
		case n != o:
			say("目标改变：%s 由 %s 改为 %s", rate, orNone(o), n)
		}
	}
	for _, r := range old.Rounds {
		if n, err := p.Round(r.Number); err != nil {
			if p.From.Before(r.To) {
				say("缺少 %d 号轮次（%s 至 %s），生效时它还没有结束", int32(r.Number), r.From, r.To)
			}
		} else if n.From == r.From && n.To == r.To && !n.Ends.Equal(r.Ends) {
			const at = "2006-01-02 15:04"
			say("%d 号轮次的结束时刻改变：原 %s，现 %s", int32(r.Number), r.Ends.In(civil.Shanghai).Format(at), n.Ends.In(civil.Shanghai).Format(at))
		} else if !n.Ends.Equal(r.Ends) || n.From != r.From {
			say("%d 号轮次的起止改变：原 %s 至 %s，现 %s 至 %s", int32(r.Number), r.From, r.To, n.From, n.To)
		}
	}
	for _, c := range old.Texts {
		i := slices.IndexFunc(p.Texts, func(n ConsentText) bool { return n.Version == c.Version })
		if i < 0 {
			say("不再列出同意书文本 %s（%s）", c.Version, c.Purpose)
		} else if p.Texts[i].Hash != c.Hash {
			say("同意书文本 %s 的内容变了：文本一经使用不得改动，请另取版本号", c.Version)
		}
	}
	if p.Calendar != old.Calendar {
		say("日历由 %s 改为 %s", old.Calendar, p.Calendar)
	}
	if p.MovementLevel != old.MovementLevel {
		say("构成流动的级别由%s改为%s", levelName(old.MovementLevel), levelName(p.MovementLevel))
	}
	if p.StatYear != old.StatYear {
		say("统计年度改变，跨年的报表不能直接比较")
	}
	if p.Monthly != old.Monthly {
		say("月报日由 %d 日、%d 日改为 %d 日、%d 日", old.Monthly.Submission, old.Monthly.Feedback, p.Monthly.Submission, p.Monthly.Feedback)
	}
	if p.OfferScope != old.OfferScope {
		say("服务告知的对象由%s改为%s", old.OfferScope, p.OfferScope)
	}
	if p.CertificateMonths < old.CertificateMonths {
		say("婚育证明的有效期缩短：由 %d 个月改为 %d 个月", old.CertificateMonths, p.CertificateMonths)
	}
	return out
}

func (p *Policy) limitChanges(what string, n, o Limits, say func(string, ...any)) {
	one := func(which string, n, o Limit) {
		switch {
		case n.Working != o.Working:
			say("%s的%s改了数法：原 %s，现 %s", what, which, o, n)
		case n.Days < o.Days:
			say("%s的%s缩短：原 %s，现 %s", what, which, o, n)
		}
	}
	one("答复期限", n.Answer, o.Answer)
	if n.Township != n.Answer || o.Township != o.Answer {
		one("乡镇期限", n.Township, o.Township)
	}
	switch {
	case n.HasFile && o.HasFile:
		one("录入期限", n.File, o.File)
	case n.HasFile:
		say("%s新设录入期限：%s", what, n.File)
	}
}

func pairName(q Pair) string {
	side := func(k area.Key) string {
		if k == 0 {
			return "任意地区"
		}
		if s := area.FullName(k); s != "" {
			return s
		}
		return k.Short()
	}
	return fmt.Sprintf("%s（%s→%s）", kindNames[q.Kind], side(q.X), side(q.Y))
}

func levelName(l area.Level) string {
	return map[area.Level]string{area.Township: "乡镇", area.County: "县", area.Prefecture: "市"}[l]
}

func orNone(v Percent) string {
	if v == 0 {
		return "无"
	}
	return v.String()
}

// String returns the scope in Chinese, "女性 15–49 周岁".
func (s OfferScope) String() string {
	sex := "不限性别"
	if s.Sex == Female {
		sex = "女性"
	}
	return fmt.Sprintf("%s %d–%d 周岁", sex, s.MinAge, s.MaxAge)
}
