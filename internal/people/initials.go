package people

import (
	"strings"
	"unicode/utf8"

	"github.com/mozillazg/go-pinyin"

	"yipan/internal/ident"
)

// surnames are readings that a character has only as a surname, by first
// letter (现代汉语词典, 第 7 版, entries marked 姓). The dictionary of go-pinyin
// gives the common reading first.
var surnames = map[string]string{
	"单": "s", "單": "s", // shàn
	"曾": "z",           // zēng
	"仇": "q",           // qiú
	"解": "x",           // xiè
	"查": "z",           // zhā
	"区": "o", "區": "o", // ōu
	"朴": "p",           // piáo
	"盖": "g", "蓋": "g", // gě
	"乐": "y", "樂": "y", // yuè
	"覃": "q",           // qín
	"翟": "z",           // zhái
	"秘": "b",           // bì
	"种": "c",           // chóng
	"缪": "m", "繆": "m", // miào
	"员": "y", "員": "y", // yùn
	"洗": "x", "冼": "x", // xiǎn
	"尹":  "y",
	"褚":  "c",              // chǔ
	"晁":  "c",              // cháo
	"繁":  "p",              // pó
	"逄":  "p",              // páng
	"尉迟": "yc", "尉遲": "yc", // yù chí
	"万俟": "mq",             // mò qí
	"澹台": "tt", "澹臺": "tt", // tán tái
	"单于": "cy",             // chán yú
	"长孙": "zs", "長孫": "zs", // zhǎng sūn
	"亓官": "qg",
	"乐正": "yz",
}

// Initials returns the first letters of a name's pinyin, in lower case: "zs"
// for 张三. Of several readings the first counts, of a surname its own; letters
// and digits stand for themselves, and what has no reading is left out. The
// name is normalised.
func Initials(name string) string {
	var b strings.Builder
	rest := name
	if s := ident.Surname(name); s != "" && strings.HasPrefix(name, s) {
		if r, ok := surnames[s]; ok {
			b.WriteString(r)
			rest = name[len(s):]
		}
	}
	for _, r := range rest {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case r >= 'A' && r <= 'Z':
			b.WriteRune(r - 'A' + 'a')
		default:
			if c := letterOf(pinyin.PinyinDict[int(r)]); c != 0 {
				b.WriteByte(c)
			}
		}
	}
	return b.String()
}

// letterOf is the first letter of a reading with its tone mark taken off; 0
// where there is none.
func letterOf(reading string) byte {
	r, _ := utf8.DecodeRuneInString(reading)
	switch {
	case r >= 'a' && r <= 'z':
		return byte(r)
	case strings.ContainsRune("āáǎà", r):
		return 'a'
	case strings.ContainsRune("ēéěèế", r):
		return 'e'
	case strings.ContainsRune("ōóǒò", r):
		return 'o'
	case strings.ContainsRune("ńňǹ", r):
		return 'n'
	case r == 'ḿ':
		return 'm'
	}
	return 0
}
