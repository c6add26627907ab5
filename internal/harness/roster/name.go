package roster

import "strings"

var (
	prefixes = []string{"测试", "示例", "样例", "演示", "虚构"}
	stems    = strings.Split("甲乙丙丁戊己庚辛壬癸", "")
	branches = strings.Split("子丑寅卯辰巳午未申酉戌亥", "")
	// How names of some peoples begin, and the middle dots that clerks type.
	openings = []string{"阿依", "买买", "古丽", "卓玛", "扎西"}
	dots     = []string{"·", "•", "．", "・"}
	// Characters of Extensions B and D.
	rare = []string{"𠀀", "𠮷", "𡃁", "𫝀"}
)

// Name returns the i-th invented name, for other fillers of ledgers.
func Name(i int) string { return name(i) }

// name returns the i-th invented name: 600 of four characters, now and then one
// with a middle dot or a rare character.
func name(i int) string {
	prefix, stem, branch := prefixes[i%5], stems[i/5%10], branches[i/50%12]
	switch {
	case i%211 == 7:
		return prefix + rare[i/211%len(rare)]
	case i%37 == 5:
		return openings[i/37%len(openings)] + "测试" + dots[i/37%len(dots)] + "示例" + stem
	}
	return prefix + stem + branch
}
