package ident

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Dot is the middle dot that NormalizeName writes (U+00B7).
const Dot = "·"

// NormalizeName returns the form of a name for matching and showing; the
// original is for the caller to keep. Every middle dot (· • ． ・ ･ ‧ ∙ ⋅, and a
// full stop between Chinese characters) becomes U+00B7 without spaces around
// it; outer spaces, invisible characters and spaces between Chinese characters
// (张　三) go, other runs of spaces become one. No character is replaced by
// another, so rare ones (Extension B and later, private use, variation
// sequences) survive; there is no Unicode normalisation, which would change
// compatibility ideographs. Bytes that are not UTF-8 become U+FFFD.
func NormalizeName(s string) string {
	in := make([]rune, 0, len(s))
	for _, r := range s {
		switch {
		case isDot(r):
			r = '·'
		case unicode.IsSpace(r):
			r = ' '
		case unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r):
			continue
		}
		if r == ' ' && (len(in) == 0 || in[len(in)-1] == ' ' || in[len(in)-1] == '·') {
			continue
		}
		if r == '·' && len(in) > 0 && in[len(in)-1] == ' ' {
			in = in[:len(in)-1]
		}
		in = append(in, r)
	}
	for len(in) > 0 && in[len(in)-1] == ' ' {
		in = in[:len(in)-1]
	}
	var b strings.Builder
	for i, r := range in {
		between := i > 0 && i+1 < len(in) && ideograph(in[i-1]) && ideograph(in[i+1])
		switch {
		case r == ' ' && between:
		case r == '.' && between:
			b.WriteString(Dot)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isDot(r rune) bool { return strings.ContainsRune("·•．・･‧∙⋅", r) }

// ideograph reports whether r is written like a Chinese character: Han, private
// use (older systems keep rare characters there) or a variation selector.
func ideograph(r rune) bool {
	return unicode.Is(unicode.Han, r) || unicode.Is(unicode.Co, r) || unicode.Is(unicode.Variation_Selector, r)
}

var compound = func() map[string]bool {
	m := map[string]bool{}
	for s := range strings.FieldsSeq("欧阳 太史 端木 上官 司马 东方 独孤 南宫 万俟 闻人 夏侯 诸葛 尉迟 公羊 赫连 澹台 皇甫 宗政 " +
		"濮阳 公冶 太叔 申屠 公孙 慕容 仲孙 钟离 长孙 宇文 司徒 鲜于 司空 闾丘 亓官 司寇 子车 颛孙 巫马 公西 漆雕 乐正 " +
		"壤驷 公良 拓跋 夹谷 宰父 谷梁 段干 百里 东郭 南门 呼延 羊舌 微生 左丘 东门 西门 第五 令狐 淳于 单于 轩辕 完颜 " +
		"纳兰 梁丘 贺兰 耶律 歐陽 東方 諸葛 尉遲 公孫 長孫 鍾離 閭丘 澹臺 濮陽 司馬 赫連 聞人 獨孤 宇文 慕容 軒轅") {
		m[s] = true
	}
	return m
}()

// Surname returns the surname of a Chinese name, compound ones whole (欧阳), as
// long as at least one character of the given name follows. It is empty where
// none can be told: a name with a middle dot, or not of Chinese characters.
func Surname(s string) string {
	s = NormalizeName(s)
	if strings.Contains(s, Dot) {
		return ""
	}
	r, n := utf8.DecodeRuneInString(s)
	if !ideograph(r) {
		return ""
	}
	_, m := utf8.DecodeRuneInString(s[n:])
	if n+m < len(s) && compound[s[:n+m]] {
		return s[:n+m]
	}
	for n < len(s) {
		// A variation selector belongs to the character before it.
		v, w := utf8.DecodeRuneInString(s[n:])
		if !unicode.Is(unicode.Variation_Selector, v) {
			break
		}
		n += w
	}
	return s[:n]
}
