package policy

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
)

// edited is the default policy with words of its file replaced, and lines added
// in front of its first section.
func edited(t *testing.T, head string, pairs ...string) *Policy {
	t.Helper()
	s := string(DefaultFile())
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(s, pairs[i]) {
			t.Fatalf("the default policy has no %q", pairs[i])
		}
		s = strings.Replace(s, pairs[i], pairs[i+1], 1)
	}
	s = strings.Replace(s, "calendar = \"CN-2026a\"", head+"\ncalendar = \"CN-2026a\"", 1)
	p, err := Parse([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestChangesFrom(t *testing.T) {
	const outflow = "[limits.outflow]\nanswer_days = 30\nunit = \"calendar\"\nfile_days = 30"
	for name, c := range map[string]struct {
		old, new *Policy
		want     []string
	}{
		"same":   {Default(), Default(), nil},
		"longer": {Default(), edited(t, "", outflow, "[limits.outflow]\nanswer_days = 40\nunit = \"calendar\"\nfile_days = 45"), nil},
		"shorter": {Default(), edited(t, "", outflow, "[limits.outflow]\nanswer_days = 20\nunit = \"calendar\"\ntownship_days = 10\nfile_days = 10"), []string{
			"流出通报的答复期限缩短：原 30 日，现 20 日", "流出通报的乡镇期限缩短：原 30 日，现 10 日", "流出通报的录入期限缩短：原 30 日，现 10 日"}},
		"other unit": {Default(), edited(t, "", outflow, "[limits.outflow]\nanswer_days = 30\nunit = \"working\"\nfile_days = 30"), []string{
			"流出通报的答复期限改了数法：原 30 日，现 30 个工作日"}},
		"new file limit": {Default(), edited(t, "", "[limits.assist]\nanswer_days = 30\nunit = \"calendar\"", "[limits.assist]\nanswer_days = 30\nunit = \"calendar\"\nfile_days = 3"), []string{
			"协查新设录入期限：3 日"}},
		"basis gone":          {Default(), edited(t, "", "duty:joint-service", "duty:other"), []string{"不再承认职责 duty:joint-service（outflow、inflow、assist），以它为依据的件将不能再开、再更正"}},
		"basis for less":      {Default(), edited(t, "", `kinds = ["outflow", "inflow", "assist"]`, `kinds = ["outflow"]`), []string{"职责 duty:joint-service 不再是流入通报的依据", "职责 duty:joint-service 不再是协查的依据"}},
		"targets":             {Default(), edited(t, "", "feedback = 95", "feedback = 90", "offer = 95 ", "# "), []string{"目标改变：feedback 由 95.00% 改为 90.00%", "不再有目标：offer（原 95.00%）"}},
		"round moved":         {Default(), edited(t, "", "from = \"2027-09-01\"\nto = \"2028-01-01\"", "from = \"2027-09-01\"\nto = \"2027-12-01\""), []string{"20273 号轮次的起止改变：原 2027-09-01 至 2028-01-01，现 2027-09-01 至 2027-12-01"}},
		"plain things":        {Default(), edited(t, "certificate_months = 12", `movement_level = "township"`, `movement_level = "county"`, `statistical_year = "calendar"`, `statistical_year = "oct-sep"`, "last_feedback_day = 27", "last_feedback_day = 25"), []string{"构成流动的级别由乡镇改为县", "统计年度改变，跨年的报表不能直接比较", "月报日由 20 日、27 日改为 20 日、25 日", "婚育证明的有效期缩短：由 36 个月改为 12 个月"}},
		"scope":               {Default(), edited(t, "", "[monthly]", "[offer_scope]\nsex = \"any\"\nmin_age = 20\nmax_age = 49\n[monthly]"), []string{"服务告知的对象由女性 15–49 周岁改为不限性别 20–49 周岁"}},
		"pair shorter, gone":  {edited(t, "", "[targets]", "[[pair]]\nkind = \"assist\"\nx = \"52\"\nanswer_days = 20\nunit = \"calendar\"\nsource = \"甲\"\n[targets]"), edited(t, "", "[targets]", "[[pair]]\nkind = \"assist\"\nx = \"52\"\ny = \"4419\"\nanswer_days = 3\nunit = \"calendar\"\nsource = \"乙\"\n[targets]"), []string{"协查（贵州省→广东省东莞市）的答复期限缩短：原 20 日，现 3 日", "不再有地区约定：协查（贵州省→任意地区）（改按一般期限）"}},
		"text gone":           {edited(t, "", "[targets]", "[[consent_text]]\nversion = \"v1\"\npurpose = \"notice\"\ntext = \"甲\"\n[targets]"), Default(), []string{"不再列出同意书文本 v1（notice）"}},
		"text under its name": {edited(t, "", "[targets]", "[[consent_text]]\nversion = \"v1\"\npurpose = \"notice\"\ntext = \"甲\"\n[targets]"), edited(t, "", "[targets]", "[[consent_text]]\nversion = \"v1\"\npurpose = \"notice\"\ntext = \"乙\"\n[targets]"), []string{"同意书文本 v1 的内容变了：文本一经使用不得改动，请另取版本号"}},
	} {
		if d := cmp.Diff(c.want, c.new.ChangesFrom(c.old)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	late, err := Parse([]byte(strings.Replace(strings.Split(string(DefaultFile()), "[[round]]")[0], "2024-01-01", "2027-05-01", 1) + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"不再承认职责 duty:joint-service（outflow、inflow、assist），以它为依据的件将不能再开、再更正",
		"缺少 20272 号轮次（2027-05-01 至 2027-09-01），生效时它还没有结束", "缺少 20273 号轮次（2027-09-01 至 2028-01-01），生效时它还没有结束"}
	if d := cmp.Diff(want, late.ChangesFrom(Default())); d != "" {
		t.Errorf("without rounds (-want +got):\n%s", d)
	}
}

func TestOfferScope(t *testing.T) {
	p := Default()
	if p.OfferScope != (OfferScope{Sex: Female, MinAge: 15, MaxAge: 49}) || p.CertificateMonths != 36 {
		t.Errorf("default scope %+v, certificates %d months", p.OfferScope, p.CertificateMonths)
	}
	day := civil.MustParse
	for _, c := range []struct {
		sex       uint32
		birth, on string
		want      bool
	}{
		{2, "2011-05-01", "2026-04-30", false},
		{2, "2011-05-01", "2026-05-01", true},
		{2, "1976-05-02", "2026-05-01", true},
		{2, "1976-05-01", "2026-05-01", false},
		{1, "2000-01-01", "2026-05-01", false},
		{0, "2000-01-01", "2026-05-01", false},
		{2, "2012-02-29", "2027-02-28", false},
		{2, "2012-02-29", "2027-03-01", true},
	} {
		if got := p.OfferScope.Holds(c.sex, day(c.birth), day(c.on)); got != c.want {
			t.Errorf("sex %d born %s on %s: %v", c.sex, c.birth, c.on, got)
		}
	}
	if p.OfferScope.Holds(2, civil.Date{}, day("2026-01-01")) {
		t.Error("an unknown birth date is in scope")
	}
	// Born and Holds agree on every day around both bounds, leap days included.
	s := OfferScope{Sex: AnySex, MinAge: 15, MaxAge: 49}
	for on := day("2027-02-20"); on.Before(day("2028-03-10")); on = on.AddDays(1) {
		first, last := s.Born(on)
		for _, at := range []civil.Date{first, last} {
			for d := at.AddDays(-3); !at.AddDays(3).Before(d); d = d.AddDays(1) {
				if in := !d.Before(first) && !last.Before(d); in != s.Holds(0, d, on) {
					t.Fatalf("on %s born %s: Born says %v", on, d, in)
				}
			}
		}
	}
}

func TestConsentTexts(t *testing.T) {
	std := StandardTexts()
	if len(std) != len(ledger.Purposes()) {
		t.Fatalf("%d standard texts", len(std))
	}
	for _, c := range std {
		// SECURITY D1: that a withdrawal can be guessed is said.
		for _, word := range []string{"撤回", "猜到", "十二个月", "不同意", "个人信息保护法"} {
			if !strings.Contains(c.Text, word) {
				t.Errorf("%s does not say %s", c.Version, word)
			}
		}
		if noted, err := Default().CheckText(c.Purpose, c.Version, c.Hash); !noted || err != nil {
			t.Errorf("%s: %v, %v", c.Version, noted, err)
		}
	}
	own := edited(t, "", "[targets]", "[[consent_text]]\nversion = \"v1\"\npurpose = \"notice\"\ntext = \"甲\\n\"\n"+
		"[[consent_text]]\nversion = \"v2\"\npurpose = \"notice\"\nsha256 = \""+strings.Repeat("ab", 32)+"\"\n[targets]")
	for name, c := range map[string]struct {
		p       *Policy
		purpose string
		version string
		hash    [32]byte
		noted   bool
		reason  string
	}{
		"known":             {own, "notice", "v1", own.Texts[0].Hash, true, ""},
		"by hash alone":     {own, "notice", "v2", own.Texts[1].Hash, true, ""},
		"wrong hash":        {own, "notice", "v1", own.Texts[1].Hash, false, "TEXT_HASH"},
		"wrong standard":    {Default(), "notice", "notice-2026.1", [32]byte{1}, false, "TEXT_HASH"},
		"other purpose":     {own, "feedback", "v1", own.Texts[0].Hash, false, "TEXT_PURPOSE"},
		"unknown, own list": {own, "notice", "v9", [32]byte{1}, false, "TEXT_UNKNOWN"},
		"unknown, none":     {own, "feedback", "v9", [32]byte{1}, false, ""},
		"standard beside":   {own, "notice", std[2].Version, std[2].Hash, true, ""},
	} {
		noted, err := c.p.CheckText(c.purpose, c.version, c.hash)
		reason := ""
		if f, ok := fault.As(err); ok {
			reason = f.Reason
		}
		if noted != c.noted || reason != c.reason {
			t.Errorf("%s: %v, %v", name, noted, err)
		}
	}
	for name, c := range map[string]struct{ section, want string }{
		"nothing":       {"version = \"v1\"\npurpose = \"notice\"", "至少写一个"},
		"purpose":       {"version = \"v1\"\npurpose = \"x\"\ntext = \"甲\"", "应为"},
		"hash of other": {"version = \"v1\"\npurpose = \"notice\"\ntext = \"甲\"\nsha256 = \"" + strings.Repeat("ab", 32) + "\"", "与 text 不符"},
		"no hash":       {"version = \"v1\"\npurpose = \"notice\"\nsha256 = \"zz\"", "64 位"},
		"standard name": {"version = \"notice-2026.1\"\npurpose = \"notice\"\ntext = \"甲\"", "内置文本"},
		"twice":         {"version = \"v1\"\npurpose = \"notice\"\ntext = \"甲\"\n[[consent_text]]\nversion = \"v1\"\npurpose = \"notice\"\ntext = \"甲\"", "重复"},
		"odd version":   {"version = \"v 1\"\npurpose = \"notice\"\ntext = \"甲\"", "只能用字母"},
	} {
		problems := Check([]byte(string(DefaultFile()) + "\n[[consent_text]]\n" + c.section + "\n"))
		if len(problems) == 0 || !strings.Contains(problems.Error(), c.want) || problems[0].Line < 100 {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestNewSectionsRefuse(t *testing.T) {
	for name, c := range map[string]struct{ head, section, want string }{
		"months":        {"certificate_months = 0", "", "1 到 120"},
		"months text":   {"certificate_months = \"x\"", "", "1 到 120"},
		"scope sex":     {"", "[offer_scope]\nsex = \"male\"\nmin_age = 15\nmax_age = 49", "female、any"},
		"scope ages":    {"", "[offer_scope]\nsex = \"any\"\nmin_age = 50\nmax_age = 49", "不能小于"},
		"scope half":    {"", "[offer_scope]\nsex = \"any\"", "缺少这一项"},
		"scope marital": {"", "[offer_scope]\nsex = \"any\"\nmin_age = 15\nmax_age = 49\nmarital = 20", "不认识"},
	} {
		s := strings.Replace(string(DefaultFile()), "calendar = \"CN-2026a\"", c.head+"\ncalendar = \"CN-2026a\"", 1) + "\n" + c.section + "\n"
		if problems := Check([]byte(s)); len(problems) == 0 || !strings.Contains(problems.Error(), c.want) {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestSetReplace(t *testing.T) {
	later := edited(t, "", "default-2026.1", "later", "2024-01-01", "2026-01-01")
	s, err := NewSet(Default())
	if err != nil {
		t.Fatal(err)
	}
	with, err := NewSet(Default(), later)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		for range 1000 {
			if p, err := s.At(civil.MustParse("2026-06-01")); err != nil || p != later && p != Default() {
				done <- fault.Internal("X", "another policy: %v", err)
				return
			}
		}
		done <- nil
	}()
	s.Replace(with)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if p, _ := s.At(civil.MustParse("2026-06-01")); p != later {
		t.Errorf("after Replace %s is in force", p.Version)
	}
	if p, err := s.ByVersion("default-2026.1"); err != nil || p != Default() {
		t.Errorf("the old version: %v", err)
	}
}

// The example is a right policy, with the default's numbers.
func TestExamplePolicy(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "deploy", "policy.toml.example"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if changes := p.ChangesFrom(Default()); len(changes) != 0 {
		t.Errorf("the example differs from the default policy: %q", changes)
	}
	// What it shows as a comment is right as well.
	text := strings.ReplaceAll(string(b[bytes.Index(b, []byte("#[[consent_text]]")):]), "\n#", "\n")
	if p, err = Parse(append(b, strings.TrimPrefix(text, "#")...)); err != nil || len(p.Texts) != 1 {
		t.Errorf("the commented text: %v", err)
	}
}
