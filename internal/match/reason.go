package match

import "slices"

// Reason is a set of reasons for or against two descriptions being of one
// person. The bits are stored; never renumber.
type Reason uint32

// The reasons.
const (
	DocumentEqual      Reason = 1 << 0
	Document1518       Reason = 1 << 1 // equal once the 15-digit form is written with 18
	DocumentTransposed Reason = 1 << 2 // two neighbouring characters changed places
	NameEqual          Reason = 1 << 3
	NameDots           Reason = 1 << 4 // equal but for how the middle dot is written
	FormerName         Reason = 1 << 5 // the name of one is a former name of the other
	BirthEqual         Reason = 1 << 6
	PhoneEqual         Reason = 1 << 7
	SexDiffers         Reason = 1 << 8
	BirthDiffers       Reason = 1 << 9
	NameDiffers        Reason = 1 << 10
	DocumentDiffers    Reason = 1 << 11 // both have one of a kind, and they are not alike
)

const (
	sameDocument = DocumentEqual | Document1518
	sameName     = NameEqual | NameDots
	against      = SexDiffers | BirthDiffers | NameDiffers | DocumentDiffers
)

var words = []struct {
	reason   Reason
	name, zh string
}{
	{DocumentEqual, "document_equal", "证件号码相同"},
	{Document1518, "document_15_18", "15 位与 18 位证件号码为同一号码"},
	{DocumentTransposed, "document_transposed", "证件号码相邻两位互换"},
	{NameEqual, "name_equal", "姓名相同"},
	{NameDots, "name_dots", "姓名仅间隔号写法不同"},
	{FormerName, "former_name", "与曾用名相同"},
	{BirthEqual, "birth_equal", "出生日期相同"},
	{PhoneEqual, "phone_equal", "联系电话相同"},
	{SexDiffers, "sex_differs", "性别不同"},
	{BirthDiffers, "birth_differs", "出生日期不同"},
	{NameDiffers, "name_differs", "姓名不同"},
	{DocumentDiffers, "document_differs", "证件号码不同"},
}

// Has reports whether all reasons of s are in r.
func (r Reason) Has(s Reason) bool { return r&s == s }

// SameDocument reports whether both have the same document.
func (r Reason) SameDocument() bool { return r.any(sameDocument) }

func (r Reason) any(s Reason) bool { return r&s != 0 }

// Names returns the stable names of the reasons in r, those for it first.
func (r Reason) Names() []string { return r.texts(func(i int) string { return words[i].name }) }

// Zh returns the reasons in r in Chinese, those for it first.
func (r Reason) Zh() []string { return r.texts(func(i int) string { return words[i].zh }) }

func (r Reason) texts(of func(int) string) []string {
	var out []string
	for i := range words {
		if r.Has(words[i].reason) {
			out = append(out, of(i))
		}
	}
	return slices.Clip(out)
}

// ZhOf returns the Chinese text of a reason by its stable name, the name itself
// where it is unknown.
func ZhOf(name string) string {
	for i := range words {
		if words[i].name == name {
			return words[i].zh
		}
	}
	return name
}
