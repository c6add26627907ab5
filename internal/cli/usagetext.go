package cli

import (
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

// usageWords are the words of kong's errors, longest first where one begins
// another.
var usageWords = strings.NewReplacer(
	"missing positional arguments ", "缺少参数 ",
	"missing flags: ", "缺少选项：",
	"missing flags ", "缺少选项 ",
	"unexpected flag argument ", "多余的选项参数 ",
	"unexpected argument ", "不认识的参数 ",
	"unexpected token ", "多余的内容 ",
	"unknown flag ", "不认识的选项 ",
	", did you mean one of ", "，是不是其中之一：",
	", did you mean ", "，是不是 ",
	"expected one of ", "请写明命令：",
	"expected duration but got ", "应为时长（如 30s、5m），而不是 ",
	"expected string value but got ", "应有文字，而不是 ",
	"expected a valid 64 bit int but got ", "应为整数，而不是 ",
	"expected a valid 32 bit int but got ", "应为整数，而不是 ",
	"expected a valid 32 bit uint but got ", "应为不小于 0 的整数，而不是 ",
	"expected an int but got ", "应为整数，而不是 ",
	"expected ", "缺少 ",
	" must be one of ", " 只能是以下之一：",
	" but got ", "，而不是 ",
	" can't be used together", " 不能同时使用",
	" and ", " 与 ",
	"missing value", "缺少值",
)

var (
	missingFlag = regexp.MustCompile(`--([a-z0-9-]+)(=[^\s,]+(,\.\.\.)?)?`)
	tokenKind   = regexp.MustCompile(`" \([a-z ]+\)`)
	quoted      = regexp.MustCompile(`"([^"]*)"`)
)

// usageText renders a parse error in the language.
func usageText(p *parseError, lang Lang) string {
	text := p.err.Error()
	if lang == English {
		return text
	}
	text, _, noValue := strings.Cut(text, "; perhaps try ")
	if flags, ok := strings.CutPrefix(text, "missing flags: "); ok {
		flags = missingFlag.ReplaceAllStringFunc(flags, func(s string) string {
			name := missingFlag.FindStringSubmatch(s)[1]
			if word := p.flags[name]; word != "" {
				return "--" + name + "（" + word + "）"
			}
			return "--" + name
		})
		return "缺少选项：" + strings.ReplaceAll(flags, ", ", "、")
	}
	text = usageWords.Replace(tokenKind.ReplaceAllString(text, `"`))
	text = quoted.ReplaceAllString(text, "“$1”")
	text = strings.NewReplacer("> ...", ">（可多个）", "”, “", "”、“", "”,“", "”、“", ", ...", "等", "?", "？", ": ", "：").Replace(text)
	if noValue {
		text += "：这个选项后面要写内容"
	}
	return text
}

// flagWords is what the flags of the chosen command are for, in a word.
func flagWords(k *kong.Context) map[string]string {
	words := map[string]string{}
	if n := k.Selected(); n != nil {
		for _, f := range n.Flags {
			words[f.Name] = lead(f.Help)
		}
	}
	return words
}

// lead is the beginning of a help text that names the thing.
func lead(help string) string {
	if i := strings.IndexAny(help, "（；：，。("); i >= 0 {
		help = help[:i]
	}
	help, _, _ = strings.Cut(help, "或 ")
	return help
}

// placeholderWords are kong's placeholders of values.
var placeholderWords = []struct{ en, zh string }{
	{"STRING", "文字"}, {"UINT-32", "数字"}, {"INT-32", "数字"}, {"UINT-64", "数字"}, {"INT-64", "数字"}, {"INT", "数字"}, {"AREA", "区划"}, {"FILE", "文件"}, {"DIR", "目录"},
	{"ID", "编号"}, {"ACCOUNT", "账号"}, {"TOKEN", "标记"}, {"FIELD", "项目"}, {"BASIS", "依据"}, {"HOST:PORT", "主机:端口"}, {"DURATION", "时长"}, {"TIME", "时间"}, {"HEX", "校验值"},
	{"NAME=VALUE", "项目=值"}, {"KEY=VALUE", "项目=值"}, {"REASON", "理由"}, {"N", "数"},
}

var placeholder = regexp.MustCompile(`=([A-Z0-9:=-]+)((?:,\.\.\.|;\.\.\.)?)( *)`)

// placeholders puts words for kong's placeholders; what follows stays in its
// column.
func placeholders(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(s string) string {
		m := placeholder.FindStringSubmatch(s)
		for _, w := range placeholderWords {
			if w.en == m[1] {
				pad := m[3]
				if len(pad) > 1 {
					pad += strings.Repeat(" ", max(0, columns(w.en)-columns(w.zh)))
				}
				return "=" + w.zh + m[2] + pad
			}
		}
		return s
	})
}
