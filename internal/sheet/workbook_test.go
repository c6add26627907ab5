package sheet_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"yipan/internal/fault"
	"yipan/internal/sheet"
)

// A made cell: styled is a number with the style of a percentage, literal one
// whose percent sign is only shown.
type (
	styled  float64
	literal float64
)

// workbook writes rows, and a hidden sheet beside them.
func workbook(t testing.TB, rows [][]any) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	percent, shown := `0.00\ %;"x"`, `0.00"%"`
	note := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	scaled, err := f.NewStyle(&excelize.Style{CustomNumFmt: &percent})
	note(err)
	as, err := f.NewStyle(&excelize.Style{CustomNumFmt: &shown})
	note(err)
	note(f.SetSheetName("Sheet1", "年报"))
	for i, row := range rows {
		for j, v := range row {
			at, err := excelize.CoordinatesToCellName(j+1, i+1)
			note(err)
			switch v := v.(type) {
			case styled:
				note(f.SetCellValue("年报", at, float64(v)))
				note(f.SetCellStyle("年报", at, at, scaled))
			case literal:
				note(f.SetCellValue("年报", at, float64(v)))
				note(f.SetCellStyle("年报", at, at, as))
			case excelize.RichTextRun:
				note(f.SetCellRichText("年报", at, []excelize.RichTextRun{{Text: "其中："}, v}))
			default:
				note(f.SetCellValue("年报", at, v))
			}
		}
	}
	_, err = f.NewSheet("底稿")
	note(err)
	note(f.SetSheetRow("底稿", "A1", &[]any{"流出人数", 1}))
	note(f.SetSheetVisible("底稿", false))
	b, err := f.WriteToBuffer()
	note(err)
	return b.Bytes()
}

// spread returns a workbook with a sheet of a form of its own.
func spread(t testing.TB, sheet string) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(workbook(t, nil)), int64(len(workbook(t, nil))))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		parts[f.Name] = string(b)
	}
	parts["xl/worksheets/sheet1.xml"] = `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>` + sheet + `</sheetData></worksheet>`
	return pack(t, parts)
}

func pack(t testing.TB, parts map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range parts {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// typed reads a workbook to "row|code|part value" lines.
func typed(t *testing.T, rows [][]any) []string {
	t.Helper()
	return typedIn(t, workbook(t, rows))
}

func typedIn(t *testing.T, data []byte) []string {
	t.Helper()
	tables, err := sheet.ReadWorkbook(data)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, v := range sheet.ReadReport(tables) {
		s := fmt.Sprintf("%s %s %s/%d %s", v.At, v.Row, v.Code, v.Part, v.Value.RatString())
		if v.Fraction {
			s += " fraction"
		}
		out = append(out, s)
	}
	return out
}

func TestReadReport(t *testing.T) {
	for _, c := range []struct {
		name string
		rows [][]any
		want []string
	}{
		{"label and value", [][]any{
			{"xx乡2026年流动人口计划生育工作报表"}, {"一、流入人口（人）", 6}, {"  其中：育龄妇女", "３"}, {"二、流出人口", "3,994人"}, {"其中：已婚育龄妇女", 2295}, {},
			{"应办证人数", "１，６７７"}, {"已办证（人）", "1631"}, {"办证率", "97.19%"}, {"备注", "以上数字已核对"},
		}, []string{
			"B2  inflow/0 6", "B3  inflow.women/0 3", "B4  outflow/0 3994", "B5  outflow.women/0 2295", "B7  certificate.asked/0 1677", "B8  certificate.issued/0 1631", "B9  certificate.rate/1 9719/100",
		}},
		{"育龄妇女 after 流出", [][]any{{"流出人数", 10}, {"其中：育龄妇女", 4}}, []string{"B1  outflow/0 10", "B2  outflow.women/0 4"}},
		{"pairs beside each other", [][]any{{"应办证", 1677, "已办证", 1631, "办证率", styled(0.9719)}},
			[]string{"B1  certificate.asked/0 1677", "D1  certificate.issued/0 1631", "F1  certificate.rate/1 9719/100"}},
		{"fractions", [][]any{{"办证率", 0.9726}, {"验证率", 1}, {"反馈率", "97.2"}},
			[]string{"B1  certificate.rate/1 4863/5000 fraction", "B2  verification.rate/1 1 fraction", "B3  feedback.rate/1 486/5"}},
		{"below headings", [][]any{
			{"序号", "单位", "应反馈", "已反馈", "反馈率"}, {1, "稠城街道", 100, "95", "95.00%\n95/100"}, {2, "佛堂镇", 20, 20, styled(1)}, {"合计", nil, 120, 115, "95.83％"},
		}, []string{
			"C2 稠城街道 feedback.due/0 100", "D2 稠城街道 feedback.answered/0 95", "E2 稠城街道 feedback.rate/1 95",
			"C3 佛堂镇 feedback.due/0 20", "D3 佛堂镇 feedback.answered/0 20", "E3 佛堂镇 feedback.rate/1 100",
			"C4 合计 feedback.due/0 120", "D4 合计 feedback.answered/0 115", "E4 合计 feedback.rate/1 9583/100",
		}},
		{"roles", [][]any{{"项目", "数值", "分子", "分母", "百分比"}, {"流出人数", 3994}, {"办证率", nil, 1631, 1677, 97.26}},
			[]string{"B2  outflow/0 3994", "C3  certificate.rate/2 1631", "D3  certificate.rate/3 1677", "E3  certificate.rate/1 4863/50"}},
		{"the source's own sentence", [][]any{{"本年度流入6人，其中育龄妇女3人，应验证3人，已验证3人，流入验证率为100%；流出3994人，已婚育龄妇女2295人，应*1677人，已*1631人，*率为97.19%。"}},
			[]string{"A1  inflow/0 6", "A1  inflow.women/0 3", "A1  verification.due/0 3", "A1  verification.done/0 3", "A1  verification.rate/1 100",
				"A1  outflow/0 3994", "A1  outflow.women/0 2295", "A1  certificate.asked/0 1677", "A1  certificate.issued/0 1631", "A1  certificate.rate/1 9719/100"}},
		{"rich text and a sign that is only shown", [][]any{{"流出人数", 10}, {excelize.RichTextRun{Text: "育龄妇女"}, 4}, {"办证率", literal(97.26)}},
			[]string{"B1  outflow/0 10", "B2  outflow.women/0 4", "B3  certificate.rate/1 4863/50"}},
		{"numbers too long for Excel are text", [][]any{{"单位", "应反馈", "已反馈"}, {330782199001011234, 3, 2}, {"330782001", nil, 4}},
			[]string{"B2 330782199001011234 feedback.due/0 3", "C2 330782199001011234 feedback.answered/0 2", "C3 330782001 feedback.answered/0 4"}},
		{"nothing known", [][]any{{"姓名", "电话"}, {"合计", 3}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, typed(t, c.rows)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestReadWorkbookRefuses(t *testing.T) {
	whole := workbook(t, [][]any{{"流出人数", 1}})
	for _, c := range []struct {
		name   string
		data   []byte
		reason string
	}{
		{"empty", nil, "WORKBOOK_FORMAT"},
		{"csv", []byte("流出人数,1\n"), "WORKBOOK_FORMAT"},
		{"xls", []byte{0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1}, "WORKBOOK_FORMAT"},
		{"cut off", whole[:len(whole)/2], "WORKBOOK_FORMAT"},
		{"another zip", pack(t, map[string]string{"word/document.xml": "<w/>"}), "WORKBOOK_FORMAT"},
		{"broken part", pack(t, map[string]string{"xl/workbook.xml": "<workbook><sheets>"}), "WORKBOOK_FORMAT"},
		{"large", make([]byte, sheet.MaxWorkbookBytes+1), "WORKBOOK_SIZE"},
		{"unpacks to much", pack(t, map[string]string{"xl/workbook.xml": strings.Repeat(" ", 33<<20)}), "WORKBOOK_SIZE"},
		{"many parts unpack to much", pack(t, map[string]string{"xl/a.xml": strings.Repeat(" ", 17<<20), "xl/b.xml": strings.Repeat(" ", 17<<20)}), "WORKBOOK_SIZE"},
		{"few bytes ask for many cells", spread(t, strings.Repeat(`<row><c r="XFD1"/></row>`, 2000)), "WORKBOOK_SIZE"},
		{"many rows", spread(t, strings.Repeat(`<row><c><v>1</v></c></row>`, 5001)), "WORKBOOK_SIZE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := sheet.ReadWorkbook(c.data)
			f, ok := fault.As(err)
			if !ok || f.Reason != c.reason || f.Text == "" {
				t.Errorf("%v", err)
			}
		})
	}
}

// Formulas have the values that they last had.
func TestReadWorkbookFormulas(t *testing.T) {
	got := typedIn(t, spread(t, `<row r="1"><c r="A1" t="inlineStr"><is><t>流出人数</t></is></c><c r="B1"><f>3990+4</f><v>3994</v></c></row>`+
		`<row r="2"><c r="A2" t="str"><f>"已"&amp;"办证"</f><v>已办证</v></c><c r="B2" t="str"><f>"16"&amp;31</f><v>1631</v></c></row>`+
		`<row r="3"><c r="A3" t="inlineStr"><is><t>应办证</t></is></c><c r="B3" t="e"><f>B9/0</f><v>#DIV/0!</v></c></row>`))
	if d := cmp.Diff([]string{"B1  outflow/0 3994", "B2  certificate.issued/0 1631"}, got); d != "" {
		t.Error(d)
	}
}

// A merged range holds its value once, and cells far to the right are passed
// over.
func TestReadWorkbookLayout(t *testing.T) {
	f, err := excelize.OpenReader(bytes.NewReader(workbook(t, [][]any{{"本年流出3人"}, nil, {"流出人数", 3}})))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(f.MergeCell("年报", "A1", "D1"), f.SetCellValue("年报", "GT3", 9), f.SetCellStyle("年报", "A900", "C900", 1)); err != nil {
		t.Fatal(err)
	}
	b, err := f.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	tables, err := sheet.ReadWorkbook(b.Bytes())
	want := []sheet.Table{{Name: "年报", Rows: [][]sheet.Cell{
		{{Row: 1, Column: 1, Text: "本年流出3人"}},
		{{Row: 3, Column: 1, Text: "流出人数"}, {Row: 3, Column: 2, Text: "3", Number: true}},
	}}}
	if d := cmp.Diff(want, tables); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
}

func TestPeriodIn(t *testing.T) {
	for text, want := range map[string]string{
		"xx乡2026年工作报表": "2026", "2026年11月月报": "2026-11", "２０２６年第四季度": "2026-Q4", "2026年3季度": "2026-Q3", "2026统计年度（2025年10月至2026年9月）": "2026", "工作报表": "", "20xx年": "",
	} {
		if got := sheet.PeriodIn([]sheet.Table{{Rows: [][]sheet.Cell{{{Text: text}}}}}); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	both := []sheet.Table{{Rows: [][]sheet.Cell{{{Text: "2025年12月制"}}, {{Text: "统计期间：2026年"}}}}}
	if got := sheet.PeriodIn(both); got != "2026" {
		t.Errorf("%q", got)
	}
}

func FuzzReadWorkbook(f *testing.F) {
	f.Add(workbook(f, [][]any{{"流出人数", 3994, "办证率", styled(0.9719)}, {"应反馈", "反馈率"}, {1, "97%"}}))
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tables, err := sheet.ReadWorkbook(data)
		if err != nil {
			if !fault.Is(err, fault.KindInvalid) {
				t.Fatal(err)
			}
			return
		}
		for _, v := range sheet.ReadReport(tables) {
			if v.Value == nil || v.Code == "" {
				t.Fatalf("%+v", v)
			}
		}
		sheet.PeriodIn(tables)
	})
}
