package sheet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/simplifiedchinese"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ident"
)

var (
	origin = area.MustOf(area.Township, "520330101")
	place  = area.MustOf(area.Township, "330782001")
	number = ident.Make("520330", civil.MustParse("19960307"), 7, false)
	other  = ident.Make("520330", civil.MustParse("19860307"), 7, true)
)

func document(t testing.TB, raw string) ident.Doc {
	t.Helper()
	d, warnings, err := ident.Parse(ident.KindAuto, raw)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("test number is not a valid one: %v %v", warnings, err)
	}
	return d
}

func sample(t testing.TB) []RosterRow {
	consent, err := cases.ParseConsentID("00112233445566778899aabbccddeeff")
	if err != nil {
		t.Fatal(err)
	}
	day := civil.MustParse
	return []RosterRow{
		{Line: 2, Kind: cases.Outflow, Name: "测试甲", Document: document(t, number), Sex: ident.SexFemale, Birth: day("19960307"),
			Phone: "10000000001", PhoneSafe: true, EventDay: day("20261105"), Origin: origin, Destination: place,
			Basis: cases.Basis{Kind: cases.BasisRequest}, Confirm: true, ConsentVersion: "2026-1",
			Marital: ident.MaritalFirst, Asked: day("20261101"), Issued: day("20261103")},
		{Line: 3, Kind: cases.Outflow, Name: "示例·𠀀,“引号\"", Document: document(t, other), EventDay: day("20261106"),
			Origin: origin, Destination: area.MustOf(area.County, "441900"), Basis: cases.Basis{Kind: cases.BasisDuty, Duty: "duty:joint-service"}},
		{Line: 4, Kind: cases.Inflow, Name: "=测试()", Document: ident.Doc{Kind: ident.KindNone}, Sex: ident.SexUnspecified, Phone: "+86-10000000002",
			EventDay: day("20261107"), Origin: area.MustOf(area.Prefecture, "441900"), Destination: area.MustOf(area.Village, "520330101003"),
			Basis: cases.Basis{Kind: cases.BasisConsent, Consent: consent}, Marital: ident.MaritalUnspecified, Asked: day("20261107")},
		{Line: 5, Kind: cases.Outflow, Name: "'测试乙", Document: document(t, "E12345678"), EventDay: day("20261107"),
			Origin: origin, Destination: area.MustOf(area.Prefecture, "330700"), Basis: cases.Basis{Kind: cases.BasisRequest}},
	}
}

func TestRoundTrip(t *testing.T) {
	rows := sample(t)
	var b bytes.Buffer
	if err := WriteRoster(&b, rows); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); !strings.HasPrefix(s, "\uFEFF类别,姓名,证件号码,") || strings.Count(s, "\r\n") != 5 || !strings.Contains(s, ",'=测试()") {
		t.Errorf("not the form that is promised:\n%s", s)
	}
	gb, err := simplifiedchinese.GB18030.NewEncoder().Bytes(bytes.TrimPrefix(b.Bytes(), []byte("\uFEFF")))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"UTF-8 with BOM":    b.Bytes(),
		"UTF-8 without BOM": bytes.TrimPrefix(b.Bytes(), []byte("\uFEFF")),
		"LF":                bytes.ReplaceAll(b.Bytes(), []byte("\r\n"), []byte("\n")),
		"GB18030":           gb,
	} {
		got, problems, err := ReadRoster(iotest.HalfReader(bytes.NewReader(data)))
		if err != nil || len(problems) > 0 {
			t.Errorf("%s: %v %v", name, problems, err)
		}
		if d := cmp.Diff(rows, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	row := sample(t)[0]
	noBasis, noKind := row, row
	noBasis.Basis = cases.Basis{}
	noKind.Kind = cases.Assist
	for _, c := range []struct {
		row    RosterRow
		reason string
	}{{noBasis, "ROSTER_BASIS"}, {noKind, "ROSTER_KIND"}} {
		if f, ok := fault.As(WriteRoster(io.Discard, []RosterRow{c.row})); !ok || f.Reason != c.reason {
			t.Errorf("%s: %v", c.reason, f)
		}
	}
	if err := WriteRoster(broken{}, []RosterRow{row}); !fault.Is(err, fault.KindUnavailable) {
		t.Errorf("writer's failure: %v", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// The columns that are required, and a row that fits them.
const head = "姓名,证件号码,流出日期,流出地,现居住地,依据"

func fit(c map[string]string) string {
	cells := []string{"测试甲", number, "2026-11-05", "520330101", "330782001", "本人申请"}
	for i, n := range strings.Split(head, ",") {
		if v, ok := c[n]; ok {
			cells[i] = v
		}
	}
	return strings.Join(cells, ",")
}

func TestTolerance(t *testing.T) {
	want := RosterRow{Line: 2, Kind: cases.Outflow, Name: "测试甲", Document: document(t, number), EventDay: civil.MustParse("20261105"),
		Origin: origin, Destination: place, Basis: cases.Basis{Kind: cases.BasisRequest}}
	wide := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r > ' ' && r < 0x7F {
				return r + 0xFEE0
			}
			return r
		}, s)
	}
	duty := cases.Basis{Kind: cases.BasisDuty, Duty: "duty:joint-service"}
	for _, c := range []struct {
		name, csv string
		change    func(*RosterRow)
	}{
		{name: "plain", csv: head + "\n" + fit(nil)},
		{name: "CR LF and no last line end", csv: head + "\r\n" + fit(nil)},
		{name: "English headers reordered", csv: "basis, Destination ,ORIGIN,event_date,id_number,name\nrequest,330782001,520330101,20261105," + number + ",测试甲\n"},
		{name: "other names, marks, spaces in headers", csv: "姓 名*,身份证号,流动日期,户籍地,现居住地,依据\n" + fit(nil)},
		{name: "full width", csv: head + "\n" + fit(map[string]string{"证件号码": wide(number), "流出日期": "２０２６－１１－０５", "流出地": wide("520330101")})},
		{name: "stray spaces", csv: head + "\n" + fit(map[string]string{"姓名": "　测试甲 ", "证件号码": " " + number[:6] + " " + number[6:] + "\t", "依据": " 本人 申请"})},
		{name: "text marks of spreadsheets", csv: head + "\n" + fit(map[string]string{"证件号码": `"=""` + number + `"""`, "流出地": "'520330101"})},
		{name: "dates of spreadsheets", csv: head + "\n" + fit(map[string]string{"流出日期": "2026/11/5 0:00"})},
		{name: "dates with dots", csv: head + "\n" + fit(map[string]string{"流出日期": "2026.11.05"})},
		{name: "dates in Chinese", csv: head + "\n" + fit(map[string]string{"流出日期": "2026年11月5日"})},
		{name: "12 digits and legacy 15", csv: head + "\n" + fit(map[string]string{"流出地": "520330101000", "现居住地": "330782001000000"})},
		{name: "duty in Chinese", csv: head + "\n" + fit(map[string]string{"依据": "政策职责：joint-service"}), change: func(r *RosterRow) { r.Basis = duty }},
		{name: "duty in English", csv: head + "\n" + fit(map[string]string{"依据": "duty:joint-service"}), change: func(r *RosterRow) { r.Basis = duty }},
		{name: "line break in quotes", csv: head + "\n" + fit(map[string]string{"姓名": "\"测试\r\n甲\""}), change: func(r *RosterRow) { r.Name = "测试 甲" }},
		{name: "title above, empty rows", csv: "土城镇流出人员名册,,,,,\n\n" + head + "\n,,,,,\n" + fit(nil) + "\n, ,,,,\n", change: func(r *RosterRow) { r.Line = 5 }},
		{name: "fewer cells than headers", csv: head + ",联系电话,备用\n" + fit(nil)},
		{name: "empty cells beyond headers", csv: head + "\n" + fit(nil) + ",,"},
		{name: "words", csv: "类别,可否致电,同意核实,同意书文本版本,婚姻状况,性别," + head + "\noutflow,Y,1,2026-1,21,2," + fit(nil), change: func(r *RosterRow) {
			r.PhoneSafe, r.Confirm, r.ConsentVersion, r.Marital, r.Sex = true, true, "2026-1", ident.MaritalFirst, ident.SexFemale
		}},
		{name: "phone", csv: head + ",phone\n" + fit(nil) + ",（０１０）", change: nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows, problems, err := ReadRoster(strings.NewReader(c.csv))
			if c.name == "phone" {
				if len(rows) != 0 || len(problems) != 1 || problems[0].Reason != "ROSTER_PHONE" {
					t.Errorf("brackets in a phone number: %v %v", problems, err)
				}
				return
			}
			problems = slices.DeleteFunc(problems, func(p Problem) bool { return p.Reason == "ROSTER_COLUMN_UNKNOWN" })
			if err != nil || len(problems) > 0 {
				t.Fatalf("%v %v", problems, err)
			}
			w := want
			if c.change != nil {
				c.change(&w)
			}
			for i := range rows { // what was typed may differ
				rows[i].Document.Original = w.Document.Original
			}
			if d := cmp.Diff([]RosterRow{w}, rows); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	wrongCheck := number[:17] + string("X0123456789"[(strings.IndexByte("X0123456789", number[17])+1)%11])
	for _, c := range []struct {
		name, extra, cells string
		want               []string // column and reason
	}{
		{"check digit warns", "", fit(map[string]string{"证件号码": wrongCheck}), []string{"warning 证件号码 ID_CHECK_DIGIT"}},
		{"scientific", "", fit(map[string]string{"证件号码": "5.20123E+17"}), []string{"证件号码 ID_NUMERIC"}},
		{"short id", "", fit(map[string]string{"证件号码": number[:17]}), []string{"证件号码 ID_FORMAT"}},
		{"no id", "", fit(map[string]string{"证件号码": ""}), []string{"证件号码 ID_EMPTY"}},
		{"impossible birth", "", fit(map[string]string{"证件号码": "520330199602300021"}), []string{"证件号码 ID_BIRTH"}},
		{"dummy", "", fit(map[string]string{"证件号码": "000000000000000000"}), []string{"证件号码 ID_DUMMY"}},
		{"no name", "", fit(map[string]string{"姓名": "　"}), []string{"姓名 ROSTER_CELL_EMPTY"}},
		{"long name", "", fit(map[string]string{"姓名": strings.Repeat("测", 201)}), []string{"姓名 ROSTER_CELL_LONG"}},
		{"broken character", "", fit(map[string]string{"姓名": "测试\xFF甲"}), []string{"姓名 ROSTER_ENCODING"}},
		{"unknown area", "", fit(map[string]string{"流出地": "520330999"}), []string{"流出地 AREA_UNKNOWN"}},
		{"area shape", "", fit(map[string]string{"流出地": "5203301"}), []string{"流出地 AREA_CODE"}},
		{"area name", "", fit(map[string]string{"现居住地": "义乌市"}), []string{"现居住地 AREA_CODE"}},
		{"area rounded", "", fit(map[string]string{"现居住地": "3.30782E+11"}), []string{"现居住地 ROSTER_NUMERIC"}},
		{"date shape", "", fit(map[string]string{"流出日期": "46331"}), []string{"流出日期 DATE_FORMAT"}},
		{"date impossible", "", fit(map[string]string{"流出日期": "2026/2/30"}), []string{"流出日期 DATE_IMPOSSIBLE"}},
		{"no date", "", fit(map[string]string{"流出日期": ""}), []string{"流出日期 ROSTER_CELL_EMPTY"}},
		{"no basis", "", fit(map[string]string{"依据": ""}), []string{"依据 ROSTER_CELL_EMPTY"}},
		{"bare duty", "", fit(map[string]string{"依据": "政策职责"}), []string{"依据 ROSTER_BASIS"}},
		{"duty name", "", fit(map[string]string{"依据": "duty:JOINT"}), []string{"依据 ROSTER_BASIS"}},
		{"consent id", "", fit(map[string]string{"依据": "同意书:12"}), []string{"依据 ROSTER_BASIS"}},
		{"empty consent id", "", fit(map[string]string{"依据": "consent:00000000000000000000000000000000"}), []string{"依据 ROSTER_BASIS"}},
		{"kind", ",类别", fit(nil) + ",协查", []string{"类别 ROSTER_WORD"}},
		{"sex", ",性别", fit(nil) + ",3", []string{"性别 ROSTER_WORD"}},
		{"marital", ",婚姻状况", fit(nil) + ",24", []string{"婚姻状况 ROSTER_WORD"}},
		{"yes or no", ",可否致电", fit(nil) + ",也许", []string{"可否致电 ROSTER_WORD"}},
		{"phone rounded", ",联系电话", fit(nil) + ",1.39E+10", []string{"联系电话 ROSTER_NUMERIC"}},
		{"no text version", ",同意核实", fit(nil) + ",是", []string{"同意书文本版本 ROSTER_CONSENT_VERSION"}},
		{"issued unasked", ",发证日期", fit(nil) + ",20261105", []string{"申请办证日期 ROSTER_ISSUED_UNASKED"}},
		{"issued before", ",发证日期,申请办证日期", fit(nil) + ",20261104,20261105", []string{"发证日期 ROSTER_ISSUED_BEFORE"}},
		{"comma too many", "", "测试,甲," + fit(nil), []string{" ROSTER_CELLS"}},
		{"two at once", "", fit(map[string]string{"证件号码": "1", "流出地": "1"}), []string{"证件号码 ID_FORMAT", "流出地 AREA_CODE"}},
		{"twice", "", fit(nil) + "\n" + fit(nil), []string{"证件号码 ROSTER_TWICE"}},
		{"unknown column", ",备注", fit(nil) + ",x", []string{"warning 第 7 列 ROSTER_COLUMN_UNKNOWN"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows, problems, err := ReadRoster(strings.NewReader(head + c.extra + "\n" + c.cells + "\n"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			warned := true
			for _, p := range problems {
				s := p.Column + " " + p.Reason
				if p.Warning {
					s = "warning " + s
				}
				warned = warned && p.Warning
				got = append(got, s)
				line := 2
				switch p.Reason {
				case "ROSTER_TWICE":
					line = 3
				case "ROSTER_COLUMN_UNKNOWN":
					line = 1
				}
				if p.Line != line || p.Text == "" || !strings.HasPrefix(p.String(), fmt.Sprintf("第 %d 行", line)) {
					t.Errorf("line %d: %s", p.Line, p)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if want := warned || c.name == "twice"; (len(rows) == 1) != want {
				t.Errorf("%d rows", len(rows))
			}
		})
	}
}

func TestRefused(t *testing.T) {
	row := head + "\n" + fit(nil) + "\n"
	utf16 := []byte{0xFF, 0xFE, 0x42, 0x00}
	for _, c := range []struct {
		name, csv, reason, text string
	}{
		{"empty", "", "ROSTER_COLUMN", "“姓名”、“证件号码”、“流出日期”、“流出地”、“现居住地”、“依据”"},
		{"missing one", strings.Replace(row, "流出地", "出发地", 1), "ROSTER_COLUMN", "缺少必需的列：“流出地”"},
		{"no header", fit(nil) + "\n" + fit(nil), "ROSTER_COLUMN", "缺少必需的列"},
		{"twice", "户籍地," + row, "ROSTER_COLUMN", "“流出地”出现两次（第 1 列和第 5 列）"},
		{"header alone", head + "\n,,,\n", "ROSTER_EMPTY", "没有数据"},
		{"quotes", row + "\"测试\"乙," + fit(nil), "ROSTER_QUOTES", "第 3 行"},
		{"open quote", row + "\"测试,1\n2\n", "ROSTER_QUOTES", "第 3 行"},
		{"workbook", "PK\x03\x04...", "ROSTER_FORMAT", "另存为"},
		{"old workbook", "\xD0\xCF\x11\xE0...", "ROSTER_FORMAT", "另存为"},
		{"UTF-16", string(utf16), "ROSTER_FORMAT", "另存为"},
		{"zero bytes", row + "\x00", "ROSTER_FORMAT", "另存为"},
		{"long line", row + strings.Repeat("x", MaxLineBytes+1), "ROSTER_SIZE", "1 MB"},
		{"long record", row + "\"" + strings.Repeat("x\n", MaxLineBytes/2+1) + "\"", "ROSTER_SIZE", "第 3 行"},
		{"large file", strings.Repeat(strings.Repeat("x", 1023)+"\n", MaxBytes>>10) + "x", "ROSTER_SIZE", "64 MB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows, problems, err := ReadRoster(strings.NewReader(c.csv))
			f, ok := fault.As(err)
			if !ok || f.Kind != fault.KindInvalid || f.Reason != c.reason || !strings.Contains(f.Text, c.text) {
				t.Errorf("error %v, text %q", err, f.Text)
			}
			if rows != nil || problems != nil {
				t.Error("an error, and yet results")
			}
			if strings.Contains(f.Text+err.Error(), "测试") {
				t.Error("a cell's value in the error")
			}
		})
	}
	if _, _, err := ReadRoster(iotest.ErrReader(errors.New("gone"))); !fault.Is(err, fault.KindUnavailable) {
		t.Errorf("reader's failure: %v", err)
	}
}

func TestRowLimit(t *testing.T) {
	var b strings.Builder
	b.WriteString(head + "\n")
	for range MaxRows {
		b.WriteString("甲,1,1,1,1,1\n")
	}
	rows, problems, err := ReadRoster(strings.NewReader(b.String()))
	if err != nil || len(rows) > 0 || len(problems) != MaxProblems+1 {
		t.Fatalf("%d rows, %d problems, %v", len(rows), len(problems), err)
	}
	if p := problems[MaxProblems]; p.Reason != "ROSTER_MORE" || p.Warning || !strings.Contains(p.Text, fmt.Sprint(5*MaxRows-MaxProblems)) {
		t.Errorf("last problem %v", p)
	}
	b.WriteString(fit(nil) + "\n")
	if _, _, err := ReadRoster(strings.NewReader(b.String())); err == nil {
		t.Error("one row too many is read")
	}
}

// One broken byte in UTF-8 spoils its own cell and no other row.
func TestOneBrokenByte(t *testing.T) {
	text := head + "\n" + fit(map[string]string{"证件号码": other}) + "\n" + fit(map[string]string{"姓名": "测试\xE6甲"}) + "\n"
	rows, problems, err := ReadRoster(strings.NewReader(text))
	if err != nil || len(rows) != 1 || rows[0].Name != "测试甲" || len(problems) != 1 || problems[0].Line != 3 {
		t.Errorf("%d rows, %v %v", len(rows), problems, err)
	}
}

func TestRedacted(t *testing.T) {
	row := sample(t)[0]
	s := fmt.Sprintf("%v %+v %#v %s", row, row, []RosterRow{row}, row.LogValue())
	if strings.Contains(s, "测试") || strings.Contains(s, number) || !strings.Contains(s, "line 2") {
		t.Errorf("a row prints as %s", s)
	}
}

func FuzzReadRoster(f *testing.F) {
	var b bytes.Buffer
	if err := WriteRoster(&b, sample(f)); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	gb, err := simplifiedchinese.GB18030.NewEncoder().String(head + "\n" + fit(nil) + "\n")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(gb))
	f.Add([]byte(head + ",发证日期\n" + fit(nil) + ",2026/1/1\n\"a\nb\",1,2"))
	f.Add([]byte("name,id_number,event_date,origin,destination,basis\n'=a,无证件,2026.1.1,3:441900,44,consent:00112233445566778899aabbccddeeff\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, problems, err := ReadRoster(bytes.NewReader(data))
		if err != nil {
			if !fault.Is(err, fault.KindInvalid) || rows != nil || problems != nil {
				t.Fatalf("%v with %d rows", err, len(rows))
			}
			return
		}
		for _, p := range problems {
			if p.Line < 1 || p.Reason == "" || p.Text == "" {
				t.Fatalf("%+v says too little", p)
			}
		}
		for i := range rows { // lines and what was typed are the file's own
			rows[i].Line = i + 2
			rows[i].Document.Original = rows[i].Document.Number
		}
		if len(rows) == 0 {
			return
		}
		var b bytes.Buffer
		if err := WriteRoster(&b, rows); err != nil {
			t.Fatal(err)
		}
		again, problems, err := ReadRoster(&b)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			if !p.Warning {
				t.Fatalf("what was read is refused: %v", p)
			}
		}
		if d := cmp.Diff(rows, again); d != "" {
			t.Fatal(d)
		}
	})
}
