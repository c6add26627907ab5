package policy

import (
	"crypto/sha256"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/fault"
)

func TestDefault(t *testing.T) {
	p := Default()
	day := func(s string) civil.Date { return civil.MustParse(s) }
	type numbers struct {
		Answer, Township, File Limit
		HasFile                bool
	}
	got := map[string]numbers{}
	for kind, l := range p.Limits {
		if l.Source == "" {
			t.Errorf("%s names no source", kind)
		}
		got[kind] = numbers{l.Answer, l.Township, l.File, l.HasFile}
	}
	days, working := func(n uint16) Limit { return Limit{Days: n} }, func(n uint16) Limit { return Limit{Days: n, Working: true} }
	want := map[string]numbers{
		Outflow:      {days(30), days(30), days(30), true},
		Inflow:       {days(30), days(30), days(30), true},
		Assist:       {days(30), days(30), days(0), false},
		AssistUrgent: {days(15), days(15), days(0), false},
		Certificate:  {days(7), days(7), days(0), false},
		Birth:        {working(15), working(15), working(15), true},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("limits (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]Percent{RateFiledInTime: 9500, RateFeedback: 9500, RateOffer: 9500, RateFollowUp: 10000, RateBirthNotice: 10000}, p.Targets); d != "" {
		t.Errorf("targets (-want +got):\n%s", d)
	}
	if p.Version != "default-2026.1" || p.From != day("2024-01-01") || !p.To.IsZero() || p.Calendar != CN2026a ||
		p.MovementLevel != area.Township || p.StatYear != SpanYear || p.GraceDays != 7 ||
		p.Monthly != (MonthlyDays{20, 27}) || p.Hours != (OfficeHours{510, 1050}) || len(p.Pairs) != 0 {
		t.Errorf("head: %+v", p)
	}
	var rounds []RoundNumber
	for _, r := range p.Rounds {
		rounds = append(rounds, r.Number)
		if !r.Ends.Equal(r.To.StartInstant()) {
			t.Errorf("round %s ends %v", r.Number, r.Ends)
		}
	}
	if d := cmp.Diff([]RoundNumber{20261, 20262, 20263, 20271, 20272, 20273}, rounds); d != "" {
		t.Errorf("rounds (-want +got):\n%s", d)
	}
	if _, err := p.BasisFor("duty:joint-service", Outflow); err != nil {
		t.Errorf("duty:joint-service: %v", err)
	}
	if q, err := Parse(DefaultFile()); err != nil || cmp.Diff(p, q) != "" {
		t.Errorf("DefaultFile is another policy: %v", err)
	}
}

func TestDigest(t *testing.T) {
	b := DefaultFile()
	sum := sha256.Sum256(b)
	if got := Default().Digest; got != Digest(sum[:8]) || len(got.String()) != 16 {
		t.Errorf("digest %s, want the prefix of the file's SHA-256 %x", got, sum)
	}
	s := string(b)
	for name, same := range map[string]string{
		"BOM":         "\ufeff" + s,
		"CRLF":        strings.ReplaceAll(s, "\n", "\r\n"),
		"no last end": strings.TrimRight(s, "\n"),
		"more ends":   s + "\n\r\n\n",
	} {
		p, err := Parse([]byte(same))
		if err != nil || p.Digest != Default().Digest {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	if DigestOf([]byte(s+"# x\n")) == Default().Digest {
		t.Error("a comment more has the same digest")
	}
}

// edit replaces the only match of old in the default file.
func edit(t *testing.T, pairs ...string) string {
	t.Helper()
	s := string(DefaultFile())
	for i := 0; i < len(pairs); i += 2 {
		if n := strings.Count(s, pairs[i]); n != 1 {
			t.Fatalf("%q is there %d times", pairs[i], n)
		}
		s = strings.Replace(s, pairs[i], pairs[i+1], 1)
	}
	return s
}

func lineOf(t *testing.T, text, part string) int {
	t.Helper()
	i := strings.Index(text, part)
	if i < 0 {
		t.Fatalf("%q is not in the file", part)
	}
	return 1 + strings.Count(text[:i], "\n")
}

func TestProblems(t *testing.T) {
	pair := func(s string) []string { return []string{"[targets]", "[[pair]]\n" + s + "\n[targets]"} }
	for _, c := range []struct {
		name string
		edit []string
		at   string // text whose line is named; "" for none
		key  string
		text string
	}{
		{"unknown top key", []string{"[monthly]", "limit = 3 # here\n[monthly]"}, "limit = 3", "limit", "不认识"},
		{"unknown key in a table", []string{"[limits.inflow]", "answer_day = 3\n[limits.inflow]"}, "answer_day = 3", "limits.outflow.answer_day", "不认识"},
		{"unknown kind", []string{"[targets]", "[limits.birthh]\nanswer_days = 1\n[targets]"}, "[limits.birthh]", "limits.birthh", "不认识"},
		{"unknown key in a round", []string{"name = \"2026年第二轮\"", "name = \"2026年第二轮\"\nnom = \"x\""}, "nom", "round[1].nom", "不认识"},
		{"unknown rate", []string{"offer = 95", "refusals = 5\noffer = 95"}, "refusals", "targets.refusals", "不认识"},
		{"missing key", []string{"misrouted_grace_days = 7 ", "# "}, "", "misrouted_grace_days", "缺少"},
		{"missing table", []string{"[office_hours]", "[office_hourz]"}, "", "office_hours", "缺少"},
		{"missing in a table", []string{"last_feedback_day = 27", ""}, "[monthly]", "monthly.last_feedback_day", "缺少"},
		{"missing source", []string{"source = \"业务惯例：一般协查 30 日\"", ""}, "[limits.assist]", "limits.assist.source", "缺少"},
		{"no number", []string{"misrouted_grace_days = 7", "misrouted_grace_days = \"7\""}, "misrouted_grace_days = \"", "misrouted_grace_days", "整数"},
		{"too many days", []string{"answer_days = 7", "answer_days = 732"}, "answer_days = 732", "limits.certificate.answer_days", "0 到 731"},
		{"unit", []string{"answer_days = 7\nunit = \"calendar\"", "answer_days = 7\nunit = \"weeks\""}, "\"weeks\"", "limits.certificate.unit", "calendar、working"},
		{"working days of a plain calendar", []string{"calendar = \"CN-2026a\"", "calendar = \"CN-calendar\""}, "file_unit = \"working\"", "limits.birth.file_unit", "不分工作日"},
		{"unknown calendar", []string{"calendar = \"CN-2026a\"", "calendar = \"CN-2031a\""}, "CN-2031a", "calendar", "CN-calendar、CN-2026a"},
		{"version", []string{"version = \"default-2026.1\"", "version = \"二〇二六\""}, "二〇二六", "version", "字母"},
		{"impossible date", []string{"from = \"2024-01-01\"", "from = \"2024-02-30\""}, "2024-02-30", "from", "日期"},
		{"ends before it begins", []string{"from = \"2024-01-01\"", "to = \"2023-01-01\"\nfrom = \"2024-01-01\""}, "to = \"2023", "to", "晚于 from"},
		{"movement level", []string{"movement_level = \"township\"", "movement_level = \"village\""}, "\"village\"", "movement_level", "prefecture"},
		{"month's days", []string{"last_feedback_day = 27", "last_feedback_day = 19"}, "= 19", "monthly.last_feedback_day", "不能早于"},
		{"31st", []string{"last_feedback_day = 27", "last_feedback_day = 31"}, "= 31", "monthly.last_feedback_day", "1 到 28"},
		{"clock", []string{"to = \"17:30\"", "to = \"25:30\""}, "25:30", "office_hours.to", "24:00"},
		{"hours backwards", []string{"to = \"17:30\"", "to = \"07:30\""}, "07:30", "office_hours.to", "晚于"},
		{"target above 100", []string{"offer = 95", "offer = 101"}, "= 101", "targets.offer", "百分数"},
		{"target of three decimals", []string{"offer = 95", "offer = 95.125"}, "95.125", "targets.offer", "两位小数"},
		{"target no number", []string{"offer = 95", "offer = nan"}, "nan", "targets.offer", "百分数"},
		{"file unit without days", []string{"file_days = 15\n", ""}, "file_unit = \"working\"", "limits.birth.file_unit", "file_days"},
		{"round number", []string{"number = 20261", "number = 20264"}, "20264", "round[0].number", "20261"},
		{"rounds overlap", []string{"from = \"2026-05-01\"\n", "from = \"2026-04-30\"\n"}, "2026-04-30", "round[1].from", "重叠"},
		{"round number twice", []string{"number = 20261", "number = 20262 # dup"}, "number = 20262\nname", "round[1].number", "递增"},
		{"round outside validity", []string{"from = \"2024-01-01\"", "from = \"2026-02-01\""}, "from = \"2026-01-01\"", "round[0].from", "有效期"},
		{"round of another year", []string{"number = 20261", "number = 20291"}, "from = \"2026-01-01\"", "round[0].from", "2029 年或上一年"},
		{"late end", []string{"number = 20261", "number = 20261\nends_at = \"2026-05-01T00:00:01+08:00\""}, "ends_at = \"2026-05", "round[0].ends_at", "轮次之内"},
		{"end without zone", []string{"number = 20261", "number = 20261\nends_at = 2026-04-01T00:00:01"}, "ends_at = 2026-04", "round[0].ends_at", "RFC 3339"},
		{"duty for a certificate", []string{"kinds = [\"outflow\", \"inflow\", \"assist\"]", "kinds = [\"certificate\"]"}, "kinds = [\"cert", "basis[0].kinds", "本人请求或同意"},
		{"duty for nothing", []string{"kinds = [\"outflow\", \"inflow\", \"assist\"]", "kinds = []"}, "kinds = []", "basis[0].kinds", "至少"},
		{"duty for a fine", []string{"kinds = [\"outflow\", \"inflow\", \"assist\"]", "kinds = [\"fine\"]"}, "kinds = [\"fine", "basis[0].kinds", "没有名为 fine"},
		{"duty's name", []string{"id = \"duty:joint-service\"", "id = \"joint-service\""}, "id = \"joint", "basis[0].id", "duty:"},
		{"pair of nothing", pair("kind=\"assist\"\nanswer_days=3\nunit=\"working\"\nsource=\"s\""), "[[pair]]\nkind", "pair[0]", "至少写一个"},
		{"pair without a number", pair("kind=\"assist\"\nx=\"52\"\nsource=\"s\""), "[[pair]]\nkind", "pair[0]", "没有与一般期限不同"},
		{"pair without unit", pair("kind=\"assist\"\nx=\"52\"\nanswer_days=3\nsource=\"s\""), "[[pair]]\nkind", "pair[0].unit", "缺少"},
		{"pair without source", pair("kind=\"assist\"\nx=\"52\"\nanswer_days=3\nunit=\"working\""), "[[pair]]\nkind", "pair[0].source", "缺少"},
		{"pair's area", pair("kind=\"assist\"\nx=\"5\"\nanswer_days=3\nunit=\"working\"\nsource=\"s\""), "x=\"5\"", "pair[0].x", "行政区划代码"},
		{"pair's area as number", pair("kind=\"assist\"\nx=52\nanswer_days=3\nunit=\"working\"\nsource=\"s\""), "x=52", "pair[0].x", "双引号"},
		{"pair's area padded", pair("kind=\"assist\"\ny=\"441900\"\nanswer_days=3\nunit=\"working\"\nsource=\"s\""), "y=\"441900\"", "pair[0].y", "末段为零"},
		{"pair twice", pair("kind=\"assist\"\nx=\"52\"\nanswer_days=3\nunit=\"working\"\nsource=\"s\"\n[[pair]]# again\nkind=\"assist\"\nx=\"52\"\nanswer_days=4\nunit=\"working\"\nsource=\"s\""), "[[pair]]# again", "pair[1]", "重复"},
		{"pair no table", []string{"[targets]", "[pair] # one\nx=1\n[targets]"}, "[pair] # one", "pair", "[[pair]]"},
		{"syntax", []string{"offer = 95", "offer = = 95"}, "offer = =", "", "TOML"},
		{"key twice", []string{"[monthly]", "version = \"a\"\n[monthly]"}, "version = \"a\"", "", "TOML"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := edit(t, c.edit...)
			p, err := Parse([]byte(file))
			if p != nil || !fault.Is(err, fault.KindInvalid) {
				t.Fatalf("Parse = %v, %v", p, err)
			}
			problems, ok := errors.AsType[Problems](err)
			if !ok || cmp.Diff(problems, Check([]byte(file))) != "" {
				t.Fatalf("Parse and Check differ: %v", err)
			}
			line := 0
			if c.at != "" {
				line = lineOf(t, file, c.at)
			}
			if !slices.ContainsFunc(problems, func(x Problem) bool {
				return x.Key == c.key && strings.Contains(x.Text, c.text) && x.Line == line
			}) {
				t.Errorf("want line %d %s …%s…, got\n%s", line, c.key, c.text, problems.Error())
			}
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	file := edit(t, "last_feedback_day = 27", "last_feedback_day = 99", "offer = 95", "ofer = 95",
		"calendar = \"CN-2026a\"", "calendar = 2026", "number = 20261", "number = \"x\"", "answer_days = 7", "answer_days = -7")
	problems := Check([]byte(file))
	var keys []string
	for i, p := range problems {
		keys = append(keys, p.Key)
		if i > 0 && p.Line < problems[i-1].Line {
			t.Errorf("not by line: %v", problems)
		}
		if !regexp.MustCompile(`^第 \d+ 行 \S+：\S`).MatchString(p.String()) || !regexp.MustCompile(`\p{Han}`).MatchString(p.Text) {
			t.Errorf("not in Chinese with its line: %s", p)
		}
	}
	want := []string{"calendar", "monthly.last_feedback_day", "limits.certificate.answer_days", "targets.ofer", "round[0].number"}
	if d := cmp.Diff(want, keys); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	_, err := Parse([]byte(file))
	if e, ok := fault.As(err); !ok || strings.Count(e.Text, "\n") != len(want) {
		t.Errorf("the user's text does not list them: %v", err)
	}
}

func TestUnquotedDatesAndInstants(t *testing.T) {
	file := edit(t, "from = \"2024-01-01\"", "from = 2024-01-01", "number = 20263", "number = 20263\nends_at = 2026-11-23T15:04:05+08:00")
	p, err := Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Round(20263)
	if err != nil || !r.Ends.Equal(at("2026-11-23", "15:04:05")) || p.From != civil.MustParse("2024-01-01") {
		t.Errorf("from %s, round %+v, %v", p.From, r, err)
	}
}

func TestBytesThatAreNoPolicy(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty": nil, "GBK": []byte("version = \"\xd5\xfe\xb2\xdf\""), "huge": make([]byte, MaxFileBytes+1), "NUL": {0},
	} {
		if ps := Check(b); len(ps) == 0 {
			t.Errorf("%s has no problem", name)
		}
		if p, err := Parse(b); p != nil || !fault.Is(err, fault.KindInvalid) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}

func TestLineIndex(t *testing.T) {
	const text = `a = 1
"b c".d = [ # [[no]]
  "x = 1", '[e]',
  { y = "}" },
]
text = """
[not.a.table]
key = "no" \"""
""" # end
[t]
lit = '''
z = 1'''
f = { g = 1 }

[[r]]
n = 1
[r.sub]
m = 1
[[r]]
n = 2
[[r.sub2]]
k = 1
`
	l := indexLines(text)
	for path, want := range map[string]int{
		"a": 1, "b c.d": 2, "text": 6, "t": 10, "t.lit": 11, "t.f": 13, "t.f.g": 13, "r": 15, "r[0]": 15, "r[0].n": 16,
		"r[0].sub": 17, "r[0].sub.m": 18, "r[1]": 19, "r[1].n": 20, "r[1].sub2[0].k": 22, "r[1].zzz": 19, "nothing": 0,
	} {
		if got := l.at(path); got != want {
			t.Errorf("%s is in line %d, want %d", path, got, want)
		}
	}
	for _, path := range []string{"key", "not.a.table", "t.z", "y", "e"} {
		if n, ok := l[path]; ok {
			t.Errorf("%s found in line %d", path, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(DefaultFile())
	f.Add([]byte("version = \"x\"\n[[round]]\nnumber = 20261\nends_at = 2026-04-01T00:00:01Z\n"))
	f.Add([]byte("[[pair]]\nkind = \"assist\"\nx = \"52\"\n[limits]\noutflow = {answer_days = 3}\n"))
	f.Add([]byte("a = \"\"\"\n\\\n\"\"\"\n[[b]]\n[b.c]\n'd e'.f = [[{}]]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if problems := Check(b); (len(problems) == 0) != (err == nil) {
			t.Fatalf("Check %v, Parse %v", problems, err)
		}
		if err != nil {
			if p != nil || !fault.Is(err, fault.KindInvalid) {
				t.Fatalf("refusal with %v, %v", p, err)
			}
			return
		}
		for _, kind := range Kinds() {
			l, err := p.LimitsFor(kind, area.MustOf(area.County, "520123"), area.MustOf(area.Township, "441900003"))
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range []Limit{l.Answer, l.Township, l.File} {
				if _, err := x.Due(at("2026-11-23", "12:00:00"), p.Calendar); err != nil {
					t.Fatalf("%s %v: %v", kind, x, err)
				}
			}
		}
		if again, err := Parse(Canonical(b)); err != nil || cmp.Diff(p, again) != "" {
			t.Fatalf("the canonical file is another policy: %v", err)
		}
	})
}
