package ident

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"yipan/internal/civil"
)

func TestNumberNeverShows(t *testing.T) {
	n := Make("520330", civil.MustParse("1990-01-01"), 7, true)
	d, _, err := Parse(KindAuto, n)
	if err != nil {
		t.Fatal(err)
	}
	type holder struct {
		Doc Doc
		P   *Doc
	}
	h := holder{d, &d}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", d)
		fmt.Fprintf(&out, verb+"\n", &d)
		fmt.Fprintf(&out, verb+"\n", h)
		fmt.Fprintf(&out, verb+"\n", []Doc{d})
	}
	for _, l := range []*slog.Logger{
		slog.New(slog.NewTextHandler(&out, nil)),
		slog.New(slog.NewJSONHandler(&out, nil)),
	} {
		l.Info("x", "id_document", d, "pointer", &d, "holder", h, "docs", []Doc{d})
	}
	if b, err := json.Marshal(h); err == nil {
		t.Errorf("JSON of %d bytes was written", len(b))
	}
	hex := fmt.Sprintf("%x", n)
	if s := out.String(); strings.Contains(s, n) || strings.Contains(s, n[6:14]) || strings.Contains(s, hex) {
		t.Error("the number shows")
	} else if !strings.Contains(s, "resident 5********"+n[17:]) {
		t.Error("the redacted form does not show")
	}
}

func TestRedact(t *testing.T) {
	for _, c := range []struct {
		d    Doc
		want string
		str  string
	}{
		{Doc{Kind: KindResident, Number: "52033019900101001X"}, "5********X", "resident 5********X"},
		{Doc{Kind: KindPassport, Number: "E12345678"}, "E********8", "passport E********8"},
		{Doc{Kind: KindPassport, Number: "E123"}, "********", "passport ********"},
		{Doc{Kind: KindNone}, "", "none"},
		{Doc{}, "", "auto"},
	} {
		if got := c.d.Redact(); got != c.want {
			t.Errorf("Redact = %q, want %q", got, c.want)
		}
		if got := c.d.String(); got != c.str {
			t.Errorf("String = %q, want %q", got, c.str)
		}
	}
}

func TestNormalizeName(t *testing.T) {
	for in, want := range map[string]string{
		"测试甲":                "测试甲",
		" 测试甲　":              "测试甲",
		"张　三":                "张三",
		"买买提•示例":             "买买提·示例",
		"买买提．示例":             "买买提·示例",
		"买买提・示例":             "买买提·示例",
		"买买提 · 示例":           "买买提·示例",
		"买买提.示例":             "买买提·示例",
		"Test  A. Person":    "Test A. Person",
		"示例\u200b一\ufeff":    "示例一",
		"𠮷测\U0002B740":       "𠮷测\U0002B740", // Extension B and D
		"\ue123 测":           "\ue123测",
		"葛\U000E0100城":       "葛\U000E0100城",
		"\uf900测":            "\uf900测", // a compatibility ideograph stays itself
		"\tTest\u00a0Name\n": "Test Name",
		"":                   "",
	} {
		if got := NormalizeName(in); got != want {
			t.Errorf("NormalizeName(%q) = %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.RuneFrom([]rune("张三·•．・. 　\tAb\u200b\U000E0100𠮷"))).Draw(t, "s")
		once := NormalizeName(s)
		if twice := NormalizeName(once); twice != once {
			t.Fatalf("%q, then %q", once, twice)
		}
	})
}

func TestSurname(t *testing.T) {
	for in, want := range map[string]string{
		"张三":           "张",
		"欧阳示例":         "欧阳",
		"司马 甲":         "司马",
		"東方甲":          "東方",
		"东方":           "东", // no given name would be left
		"示例一":          "示",
		"买买提·示例":       "",
		"Test Name":    "",
		"":             "",
		"𠮷测":           "𠮷",
		"葛\U000E0100城": "葛\U000E0100",
	} {
		if got := Surname(in); got != want {
			t.Errorf("Surname(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCodes(t *testing.T) {
	var married []Marital
	for m := range Marital(100) {
		if m.Married() {
			married = append(married, m)
		}
		if m.Valid() != (m.Zh() != "") {
			t.Errorf("%d: Valid %v, Zh %q", m, m.Valid(), m.Zh())
		}
	}
	if d := cmp.Diff([]Marital{20, 21, 22, 23}, married); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Marital{10, 20, 21, 22, 23, 30, 40, 90}, Maritals()); d != "" {
		t.Error(d)
	}
	for _, m := range Maritals() {
		for _, s := range []string{m.Zh(), fmt.Sprint(uint8(m))} {
			if got, ok := ParseMarital(s); !ok || got != m {
				t.Errorf("ParseMarital(%s) = %v, %v", s, got, ok)
			}
		}
	}
	for _, s := range []string{"", "2", "99", "00", "已"} {
		if _, ok := ParseMarital(s); ok {
			t.Errorf("ParseMarital took %q", s)
		}
	}
	for _, s := range []Sex{SexUnknown, SexMale, SexFemale, SexUnspecified} {
		for _, w := range []string{s.Zh(), fmt.Sprint(uint8(s))} {
			if got, ok := ParseSex(w); !ok || got != s || !s.Valid() {
				t.Errorf("ParseSex(%s) = %v, %v", w, got, ok)
			}
		}
	}
	if _, ok := ParseSex("x"); ok || Sex(3).Valid() || SexUnspecified.Known() || !SexFemale.Known() {
		t.Error("a stray sex passes")
	}
}
