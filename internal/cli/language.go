package cli

import "strings"

// Lang is a language of messages.
type Lang string

// The languages. The zero value means Chinese.
const (
	Chinese Lang = "zh"
	English Lang = "en"
)

// T chooses the text of the language.
func (l Lang) T(zh, en string) string {
	if l == English {
		return en
	}
	return zh
}

// Language finds the language before anything is parsed, so that help and usage
// errors have it too: --lang, YIPAN_LANG, then LC_ALL, LC_MESSAGES or LANG
// where it names English. Else Chinese.
func Language(args []string, getenv func(string) string) Lang {
	for i, a := range args {
		if a == "--" {
			break
		}
		v, ok := strings.CutPrefix(a, "--lang=")
		if a == "--lang" && i+1 < len(args) {
			v, ok = args[i+1], true
		}
		if ok {
			return language(v)
		}
	}
	if getenv == nil {
		return Chinese
	}
	for _, name := range []string{"YIPAN_LANG", "LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := getenv(name); v != "" {
			return language(v)
		}
	}
	return Chinese
}

func language(v string) Lang {
	if v = strings.ToLower(v); v == "en" || strings.HasPrefix(v, "en_") || strings.HasPrefix(v, "en-") || strings.HasPrefix(v, "en.") {
		return English
	}
	return Chinese
}

// half chooses from a text "中文|English", the form of every help tag here; a
// text without a bar is the same in both.
func (l Lang) half(s string) string {
	zh, en, ok := strings.Cut(s, "|")
	if !ok {
		return s
	}
	return l.T(zh, en)
}
