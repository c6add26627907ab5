package area

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/fault"
)

const villageHead = "code,name,streetCode,provinceCode,cityCode,areaCode\n"

// readAll returns the good rows as "line key name", the bad ones as "line text",
// and the reason of the error that ended the file.
func readAll(r io.Reader) (good, bad []string, reason string) {
	end := func(err error) string {
		f, _ := fault.As(err)
		if f == nil || f.Text == "" {
			return "no fault with a text: " + err.Error()
		}
		return f.Reason + " " + f.Text
	}
	f, err := ReadVillages(r)
	if err != nil {
		return nil, nil, end(err)
	}
	for {
		row, err := f.Next()
		if p, ok := errors.AsType[*RowProblem](err); ok {
			bad = append(bad, fmt.Sprintf("%d %s", p.Line, p.Text))
			continue
		}
		if errors.Is(err, io.EOF) {
			return good, bad, ""
		}
		if err != nil {
			return good, bad, end(err)
		}
		good = append(good, fmt.Sprintf("%d %s %s", row.Line, row.Key, row.Name))
	}
}

func TestReadVillages(t *testing.T) {
	const row = `"520330001005","甲村","520330001","52","5203","520330"` + "\n"
	for name, c := range map[string]struct {
		in        string
		good, bad []string
		reason    string
	}{
		"as published":         {villageHead + row, []string{"2 5:520330001005 甲村"}, nil, ""},
		"mark, CRLF, spaces":   {"\xef\xbb\xbfCode , NAME\r\n 520330001005 , 甲村 \r\n", []string{"2 5:520330001005 甲村"}, nil, ""},
		"other order, no end":  {"areaCode,name,code\n520330,甲村,520330001005", []string{"2 5:520330001005 甲村"}, nil, ""},
		"header alone":         {villageHead, nil, nil, ""},
		"empty":                {"", nil, nil, "VILLAGE_FILE 文件是空的"},
		"no header":            {row, nil, nil, "VILLAGE_FILE 第一行应是列名，其中要有 code（12 位代码）和 name（名称）"},
		"semicolons":           {"code;name\n520330001005;甲村\n", nil, nil, "VILLAGE_FILE 列之间应以逗号分隔（这个文件用的是分号或制表符）"},
		"GBK in the header":    {"code,\xc3\xfb\xb3\xc6\n", nil, nil, "VILLAGE_FILE 文件不是 UTF-8 编码（可能是 GBK）：请用记事本或 Excel 另存为“CSV UTF-8”后再导入"},
		"GBK in a row":         {villageHead + row + "520330001006,\xbc\xd7\xb4\xe5,520330001,52,5203,520330\n", []string{"2 5:520330001005 甲村"}, nil, "VILLAGE_FILE 文件不是 UTF-8 编码（可能是 GBK）：请用记事本或 Excel 另存为“CSV UTF-8”后再导入"},
		"UTF-16":               {"\xff\xfec\x00o\x00", nil, nil, "VILLAGE_FILE 文件是 UTF-16（Unicode 文本），请另存为“CSV UTF-8”"},
		"workbook":             {"PK\x03\x04", nil, nil, "VILLAGE_FILE 这是压缩包或 Excel 工作簿，请另存为“CSV UTF-8”"},
		"quote left open":      {villageHead + "\"520330001005,甲村\n", nil, nil, "VILLAGE_FILE 第 2 行的引号不成对，不是正确的 CSV"},
		"scientific":           {villageHead + row + "5.2033E+11,乙村,520330001,52,5203,520330\n", []string{"2 5:520330001005 甲村"}, nil, "VILLAGE_SCIENTIFIC 第 3 行的代码成了科学计数法（如 1.10E+11）：Excel 把 12 位代码当成了数，末尾的数字可能已丢失。请用原来的文件；一定要用 Excel 时，先把该列设为“文本”再导入"},
		"scientific, no point": {"code,name\n5E+11,乙村\n", nil, nil, "VILLAGE_SCIENTIFIC 第 2 行的代码成了科学计数法（如 1.10E+11）：Excel 把 12 位代码当成了数，末尾的数字可能已丢失。请用原来的文件；一定要用 Excel 时，先把该列设为“文本”再导入"},
		"messy rows": {villageHead + strings.Join([]string{
			`52033000100,短,520330001,52,5203,520330`,
			`52033000100x,字母,520330001,52,5203,520330`,
			`520330001000,乡镇,520330001,52,5203,520330`,
			`520330001001,他乡,520330002,52,5203,520330`,
			`520330001002,,520330001,52,5203,520330`,
			`520330001003`,
			`520330001004,` + strings.Repeat("长", 70) + `,520330001,52,5203,520330`,
			"520330001005,换\x01行,520330001,52,5203,520330",
			`520330001006,"引号，""内""村",520330001,52,5203,520330`,
			``,
			`520330001006,又一次,520330001,52,5203,520330`,
			`520330001007,𠮷村,520330001,52,5203,520330`,
			"520330001008,\ue14d村,520330001,52,5203,520330",
			"520330001009,\ufffd村,520330001,52,5203,520330",
		}, "\n"),
			[]string{"10 5:520330001006 引号，\"内\"村", "13 5:520330001007 𠮷村", "14 5:520330001008 \ue14d村"},
			[]string{"2 代码应为 12 位数字", "3 代码应为 12 位数字", "4 代码的末三位是 000，不是村级代码", "5 代码的前 9 位与 streetCode 不符", "6 没有名称",
				"7 列数不够", "8 名称过长或含控制字符、乱码", "9 名称过长或含控制字符、乱码", "12 代码重复", "15 名称过长或含控制字符、乱码"}, ""},
	} {
		good, bad, reason := readAll(strings.NewReader(c.in))
		if d := cmp.Diff(c.good, good) + cmp.Diff(c.bad, bad) + cmp.Diff(c.reason, reason); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if _, _, reason := readAll(io.MultiReader(strings.NewReader(villageHead+row), broken{})); !strings.HasPrefix(reason, "VILLAGE_FILE 文件读不到末尾") {
		t.Errorf("a cut file: %s", reason)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func FuzzReadVillages(f *testing.F) {
	f.Add(villageHead + "520330001005,甲村,520330001,52,5203,520330\n")
	f.Add("name,code\n\"甲\n村\",5.2E+11\n")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ReadVillages(strings.NewReader(s))
		if err != nil {
			return
		}
		for {
			row, err := v.Next()
			if _, ok := errors.AsType[*RowProblem](err); ok {
				continue
			}
			if err != nil {
				return
			}
			if row.Key.Level() != Village || row.Key == townshipItself(row.Key) || row.Name == "" {
				t.Fatalf("%+v passes for a village", row)
			}
		}
	})
}
