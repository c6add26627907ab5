package policy

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/fault"
)

// MaxFileBytes bounds a policy file.
const MaxFileBytes = 1 << 20

// maxPairs bounds the exceptions of one file; LimitsFor walks them.
const maxPairs = 4096

//go:embed default.toml
var defaultFile []byte

var defaultPolicy = sync.OnceValue(func() *Policy {
	p, err := Parse(defaultFile)
	if err != nil {
		panic("policy: default.toml: " + err.Error())
	}
	return p
})

// Default returns the embedded policy: DOMAIN's limits, rounds of 2026 and 2027.
func Default() *Policy { return defaultPolicy() }

// DefaultFile returns the embedded policy's file, comments included, for an
// office to start its own from.
func DefaultFile() []byte { return slices.Clone(defaultFile) }

// Canonical returns what the digest is taken of: the file without byte order
// mark, with LF line ends and exactly one at its end. An editor's habits so
// change no digest.
func Canonical(b []byte) []byte {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	return append(bytes.TrimRight(b, "\n"), '\n')
}

// DigestOf returns the digest of a policy file.
func DigestOf(b []byte) Digest {
	sum := sha256.Sum256(Canonical(b))
	return Digest(sum[:8])
}

// Check returns everything wrong with a policy file, empty if nothing is.
func Check(b []byte) Problems {
	_, problems := read(b)
	return problems
}

// Parse reads a policy file. A file with problems is Invalid; the error's text
// lists them all, and errors.AsType finds the Problems in its chain.
func Parse(b []byte) (*Policy, error) {
	p, problems := read(b)
	if len(problems) > 0 {
		return nil, fault.Invalid("POLICY_FILE", "policy file has %d problems", len(problems)).
			Because(problems).Zh("政策文件有 %d 处问题：\n%s", len(problems), problems.Error())
	}
	return p, nil
}

func read(b []byte) (*Policy, Problems) {
	if len(b) > MaxFileBytes {
		return nil, Problems{{Text: "文件超过 1 MiB"}}
	}
	c := Canonical(b)
	if !utf8.Valid(c) {
		return nil, Problems{{Text: "文件不是 UTF-8 编码，请另存为 UTF-8"}}
	}
	r, t := open(string(c))
	if t == nil {
		return nil, r.problems
	}
	p := &Policy{Digest: DigestOf(b)}
	p.readHead(t)
	p.readMonthly(t.child("monthly", true))
	p.readHours(t.child("office_hours", true))
	p.readLimits(t.child("limits", true))
	p.readPairs(t.children("pair", maxPairs))
	p.readTargets(t.child("targets", false))
	p.readRounds(t.children("round", 300))
	p.readBases(t.children("basis", 100))
	p.readScope(t.child("offer_scope", false))
	p.readTexts(t.children("consent_text", 100))
	t.done()
	r.problems.sort()
	return p, r.problems
}

func (p *Policy) readHead(t *table) {
	p.Version = t.text("version", true, 40)
	if !plainWord(p.Version) {
		t.add("version", "只能用字母、数字、点、下划线和连字符")
	}
	from, ok1 := t.date("from", true)
	to, ok2 := t.date("to", false)
	if ok1 && ok2 && !from.Before(to) {
		t.add("to", "应晚于 from（to 当日不含）")
	}
	p.From, p.To = from, to
	if id := t.text("calendar", true, 40); id != "" {
		if c, err := CalendarByID(id); err != nil {
			t.add("calendar", "没有这个日历；可用：%s", calendarIDs())
		} else {
			p.Calendar = c.no
		}
	}
	switch t.choice("movement_level", true, "township", "county", "prefecture") {
	case "township":
		p.MovementLevel = area.Township
	case "county":
		p.MovementLevel = area.County
	case "prefecture":
		p.MovementLevel = area.Prefecture
	}
	p.StatYear = SpanYear
	if t.choice("statistical_year", true, "calendar", "oct-sep") == "oct-sep" {
		p.StatYear = SpanOctSep
	}
	p.GraceDays, _ = t.integer("misrouted_grace_days", true, 0, 60)
	p.CertificateMonths = defaultCertificateMonths
	if n, ok := t.integer("certificate_months", false, 1, 120); ok {
		p.CertificateMonths = n
	}
	p.VisitDays = defaultVisitDays
	if n, ok := t.integer("visit_days", false, 1, MaxDays); ok {
		p.VisitDays = n
	}
}

func (p *Policy) readMonthly(t *table) {
	if t == nil {
		return
	}
	s, ok1 := t.integer("last_submission_day", true, 1, 28)
	f, ok2 := t.integer("last_feedback_day", true, 1, 28)
	if ok1 && ok2 && f < s {
		t.add("last_feedback_day", "不能早于 last_submission_day")
	}
	p.Monthly = MonthlyDays{Submission: s, Feedback: f}
	t.done()
}

func (p *Policy) readHours(t *table) {
	if t == nil {
		return
	}
	from, ok1 := t.clock("from")
	to, ok2 := t.clock("to")
	if ok1 && ok2 && to <= from {
		t.add("to", "应晚于 from")
	}
	p.Hours = OfficeHours{From: from, To: to}
	t.done()
}

func (p *Policy) readLimits(t *table) {
	p.Limits = map[string]Limits{}
	if t == nil {
		return
	}
	for _, kind := range Kinds() {
		if c := t.child(kind, true); c != nil {
			p.Limits[kind] = p.readOne(c, Limits{}, false)
			c.done()
		}
	}
	t.done()
}

// readOne reads the numbers of one kind; a pair may leave out what base has.
func (p *Policy) readOne(t *table, base Limits, pair bool) Limits {
	l := base
	answer, hasAnswer := t.integer("answer_days", !pair, 0, MaxDays)
	township, hasTownship := t.integer("township_days", false, 0, MaxDays)
	unit := p.readUnit(t, "unit", !pair || hasAnswer || hasTownship)
	if hasAnswer {
		l.Answer = Limit{Days: uint16(answer), Working: unit == WorkingDays}
		l.Township = l.Answer
	}
	if hasTownship {
		l.Township = Limit{Days: uint16(township), Working: unit == WorkingDays}
	}
	file, hasFile := t.integer("file_days", false, 0, MaxDays)
	fileUnit := p.readUnit(t, "file_unit", false)
	if hasFile {
		l.File, l.HasFile = Limit{Days: uint16(file), Working: fileUnit == WorkingDays}, true
	}
	if s := t.text("source", true, 400); s != "" {
		l.Source = s
	}
	if _, given := t.m["unit"]; pair && given && !hasAnswer && !hasTownship {
		t.add("unit", "没有 answer_days 或 township_days 时不用写单位")
	}
	if _, given := t.m["file_unit"]; given && !hasFile {
		t.add("file_unit", "没有 file_days 时不用写单位")
	}
	return l
}

func (p *Policy) readUnit(t *table, key string, required bool) Unit {
	if t.choice(key, required, "calendar", "working") != "working" {
		return CalendarDays
	}
	if p.Calendar == PlainDays {
		t.add(key, "日历 %s 不分工作日，不能用 working", plainID)
	}
	return WorkingDays
}

func (p *Policy) readPairs(ts []*table) {
	seen := map[Pair]string{} // Limits left zero
	for _, t := range ts {
		kind := t.choice("kind", true, Kinds()...)
		x, okX := t.prefix("x")
		y, okY := t.prefix("y")
		base, known := p.Limits[kind]
		l := p.readOne(t, base, true)
		if _, a := t.m["answer_days"]; !a && !l.changed(base) && known {
			t.add("", "没有与一般期限不同的数")
		}
		t.done()
		if kind == "" || !okX || !okY {
			continue
		}
		if x == 0 && y == 0 {
			t.add("", "x、y 至少写一个")
			continue
		}
		key := Pair{Kind: kind, X: x, Y: y}
		if first, twice := seen[key]; twice {
			t.add("", "与 %s 重复（第 %d 行）", first, t.r.lines.at(first))
			continue
		}
		seen[key] = t.path
		p.Pairs = append(p.Pairs, Pair{Kind: kind, X: x, Y: y, Limits: l})
	}
	slices.SortStableFunc(p.Pairs, func(a, b Pair) int {
		ax, ay, bx, by := prefixLen(a.X), prefixLen(a.Y), prefixLen(b.X), prefixLen(b.Y)
		return cmp.Or(cmp.Compare(bx+by, ax+ay), cmp.Compare(bx, ax))
	})
}

func (l Limits) changed(o Limits) bool {
	return l.Answer != o.Answer || l.Township != o.Township || l.File != o.File || l.HasFile != o.HasFile
}

func prefixLen(k area.Key) int {
	if k == 0 {
		return 0
	}
	return len(k.Short())
}

// prefix reads an area code whose number of digits is its level; 0, true where
// there is none.
func (t *table) prefix(key string) (area.Key, bool) {
	v, ok := t.get(key, false)
	if !ok {
		return 0, true
	}
	s, _ := v.(string)
	level := map[int]area.Level{2: area.Province, 4: area.Prefecture, 6: area.County, 9: area.Township, 12: area.Village}[len(s)]
	k, err := area.Of(level, s)
	if err != nil {
		t.add(key, "应为 2、4、6、9 或 12 位行政区划代码（加双引号）")
		return 0, false
	}
	if up := k.Cut(level - 1); level == area.Province && s == "00" || level > area.Province && up.Code() == k.Code() {
		t.add(key, "末段为零，请写到实际的级别（如省 52、市 4419、县 520123）")
		return 0, false
	}
	return k, true
}

func (p *Policy) readTargets(t *table) {
	p.Targets = map[string]Percent{}
	if t == nil {
		return
	}
	for _, rate := range Rates() {
		if v, ok := t.percent(rate); ok {
			p.Targets[rate] = v
		}
	}
	t.done()
}

func (p *Policy) readRounds(ts []*table) {
	type placed struct {
		Round
		t *table
	}
	var all []placed
	for _, t := range ts {
		n, okN := t.integer("number", true, 20001, 21993)
		if okN && (n%10 < 1 || n%10 > 3) {
			t.add("number", "应为 年份×10 + 1、2 或 3，如 20261")
			okN = false
		}
		r := Round{Number: RoundNumber(n), Name: t.text("name", true, 60)}
		var ok1, ok2 bool
		r.From, ok1 = t.date("from", true)
		r.To, ok2 = t.date("to", true)
		ends, explicit := t.instant("ends_at")
		t.done()
		if !okN || !ok1 || !ok2 {
			continue
		}
		switch {
		case !r.From.Before(r.To):
			t.add("to", "应晚于 from（to 当日不含）")
			continue
		case r.From.Year != n/10 && r.From.Year != n/10-1:
			t.add("from", "%d 号轮次应在 %d 年或上一年开始", n, n/10)
		case r.From.Before(p.From) || !p.To.IsZero() && p.To.Before(r.To):
			t.add("from", "轮次应在政策有效期之内")
		}
		r.Ends = r.To.StartInstant()
		if explicit {
			if !ends.After(r.Begins()) || ends.After(r.Ends) {
				t.add("ends_at", "应在轮次之内：晚于 from 零时，不晚于 to 零时")
			}
			r.Ends = ends.In(civil.Shanghai)
		}
		all = append(all, placed{r, t})
	}
	slices.SortStableFunc(all, func(a, b placed) int { return a.From.Compare(b.From) })
	for i, r := range all {
		if i > 0 && r.From.Before(all[i-1].To) {
			r.t.add("from", "与 %d 号轮次重叠", int(all[i-1].Number))
		}
		if i > 0 && r.Number <= all[i-1].Number {
			r.t.add("number", "轮次号应随日期递增（前一轮是 %d）", int(all[i-1].Number))
		}
		p.Rounds = append(p.Rounds, r.Round)
	}
}

func (p *Policy) readBases(ts []*table) {
	seen := map[string]bool{}
	for _, t := range ts {
		b := Basis{ID: t.text("id", true, 45), Text: t.text("text", true, 400), Source: t.text("source", true, 400), Kinds: t.list("kinds")}
		t.done()
		name, ok := strings.CutPrefix(b.ID, "duty:")
		if b.ID != "" && (!ok || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "") {
			t.add("id", "应为 duty: 加小写字母、数字、连字符，如 duty:joint-service")
		}
		if b.ID != "" && seen[b.ID] {
			t.add("id", "重复")
		}
		seen[b.ID] = true
		for _, k := range b.Kinds {
			switch {
			case !slices.Contains(Kinds(), k):
				t.add("kinds", "没有名为 %.40s 的件类；可用：%s", k, strings.Join(dutyKinds, "、"))
			case !slices.Contains(dutyKinds, k):
				t.add("kinds", "%s 只凭本人请求或同意，不得以职责为依据", k)
			}
		}
		p.Bases = append(p.Bases, b)
	}
}
