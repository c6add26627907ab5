package report

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/figures"
	"yipan/internal/policy"
	"yipan/internal/rates"
)

var (
	county = area.MustOf(area.County, "330782")
	town   = area.MustOf(area.Township, "520330101")
)

func year(t testing.TB, s string) policy.Period {
	t.Helper()
	p, err := policy.ParsePeriod(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// annual is the worked case of DOMAIN section 4.
func annual(t testing.TB) *Data {
	g := func(code, label string, n int64) figures.Figure {
		return figures.Figure{Code: code, Label: label, Area: town, N: n}
	}
	r := func(m rates.Measure, n, d int64) figures.Figure {
		return figures.Figure{Code: m.String() + ".rate", Label: m.Zh(), Area: town, N: n, D: d, Rate: true}
	}
	return &Data{
		Kind: figures.Annual, Area: town, Period: year(t, "2026"), At: time.Date(2026, 12, 1, 0, 0, 0, 0, civil.Shanghai), Policy: "2026-1",
		Figures: []figures.Figure{
			g("inflow", "流入人数", 6), g("inflow.women", "其中：育龄妇女（15—49周岁）", 3), g("verification.due", "应验证人数", 3), g("verification.done", "已验证人数", 3),
			r(rates.Verification, 3, 3), g("outflow", "流出人数", 3994), g("outflow.women", "其中：已婚育龄妇女（15—49周岁）", 2295),
			g("certificate.asked", "应办证人数（本人申请）", 1677), g("certificate.issued", "已办证人数", 1631), r(rates.Certificate, 1631, 1677),
			g("service.pregnancy_iud", "孕情环情服务人次（已婚育龄妇女）", 3), g("service.three_checks", "三查一治服务人次", 3), g("service.contraceptives", "药具发放人次", 0),
			g("visits", "来访件数", 6), g("visits.settled", "来访办结件数", 6), r(rates.Visits, 6, 6), r(rates.Feedback, 19, 20), r(rates.Duplicate, 0, 0),
		},
	}
}

func monthly(t testing.TB) *Data {
	d := &Data{
		Kind: figures.Monthly, Area: county, Period: year(t, "2026-11"), At: time.Date(2026, 12, 1, 0, 0, 0, 0, civil.Shanghai), Policy: "2026-1",
		Frozen: true, Revision: 2, Digest: strings.Repeat("0123456789abcdef", 4), Missing: []string{"土城镇节点", "海宁市节点"},
	}
	for i, k := range append([]area.Key{county}, area.Children(county)...) {
		own := ""
		if i == 2 {
			k, own = county, figures.Own
		}
		n := int64(100 * i)
		for _, c := range []struct {
			code, label string
			rate        bool
		}{
			{"feedback.due", "应反馈", false}, {"feedback.answered", "已反馈", false}, {"feedback.on_time", "及时反馈", false},
			{"feedback.rate", "反馈率", true}, {"feedback_on_time.rate", "及时反馈率", true}, {"pending", "未到期", false}, {"overdue.origin", "逾期·户籍地", false},
			{"overdue.county", "逾期·县级待分发", false}, {"overdue.residence", "逾期·现居住地", false}, {"unreceipted", "对方未签收", false},
			{"filed_in_time.rate", "及时录入率", true}, {"checking.rate", "核实率", true}, {"pairing.rate", "配对率", true}, {"verification.rate", "验证率", true}, {"certificate.rate", "办证率", true},
		} {
			g := figures.Figure{Code: own + c.code, Label: c.label, Area: k, N: n, Rate: c.rate}
			if c.rate {
				g.N, g.D = n*9/10, n
			}
			d.Figures = append(d.Figures, g)
		}
	}
	d.Figures[10].N, d.Figures[10].D, d.Figures[10].Suppressed = 0, 0, true
	d.Figures[11].Suppressed = true
	return d
}

func overdue(t testing.TB) *Data {
	d := &Data{Kind: figures.Overdue, Area: town, Period: year(t, "2026"), At: time.Date(2026, 11, 20, 18, 0, 0, 0, civil.Shanghai)}
	d.Figures = []figures.Figure{
		{Code: "overdue.receiver.outflow.residence", Label: "应由本单位答复·流出通报·在现居住地", Area: town, N: 2},
		{Code: "overdue.receiver.outflow.residence.days", Label: "最长逾期天数", Area: town, N: 9},
		{Code: "overdue.opener.assist.county", Label: "等待对方答复·协查·在县级待分发", Area: town, N: 1},
		{Code: "overdue.opener.assist.county.days", Label: "最长逾期天数", Area: town, N: 3},
	}
	for i := range 3 {
		d.Cases = append(d.Cases, figures.OverdueCase{
			Case: cases.CaseID{byte(i), 0xab}, Round: 1, Kind: cases.Outflow, Side: cases.SideReceiver, Waits: rates.WaitResidence, Due: civil.MustParse("2026-11-11"), Days: 9,
		})
	}
	return d
}

func all(t testing.TB) []*Data { return []*Data{annual(t), monthly(t), overdue(t)} }

func digest(t testing.TB, d *Data, f Format) string {
	t.Helper()
	b, err := Make(d, f)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// look is a digest of what a file holds: of a workbook of its unpacked parts, for
// a compressor may write the same otherwise.
func look(t *testing.T, d *Data, f Format) string {
	t.Helper()
	b, err := Make(d, f)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	if f == HTML {
		h.Write(b)
		return hex.EncodeToString(h.Sum(nil))
	}
	got := parts(t, b)
	for _, name := range slices.Sorted(maps.Keys(got)) {
		fmt.Fprintf(h, "%s %d\n%s", name, len(got[name]), got[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// golden are the looks of the reports above in the present layout. Where one
// differs, and was meant to, Layout must grow with it.
var golden = map[string]string{
	"annual-520330101-2026.xlsx":     "05d0e536144812f676ff8ec97de673031e0e7d3ca79d3e7e32b98f963fbddb51",
	"annual-520330101-2026.html":     "431d7101845f4aa8ccaf2fcc450a9aef48400d6447884422be9cf28245ab6369",
	"monthly-330782-2026-11-r2.xlsx": "e43972a754b24da7d763b215ebd3ee06d9e8d231cbf671789e05d124a6a608af",
	"monthly-330782-2026-11-r2.html": "9ae7c2b6d651a2bdecc3afc10de0bef7181b364cd96245eff9305a8b6dadece9",
	"overdue-520330101-2026.xlsx":    "754160066da07965ac50838b2e8e12f4cfd7fead194f2b13cca2e0dcedafb451",
	"overdue-520330101-2026.html":    "4eaa812bc6c5e26bc0f9c5c8e63fd18e7117b2087c589d9a50897fabf656c469",
}

const goldenLayout = 1

func TestLayoutIsKept(t *testing.T) {
	if Layout != goldenLayout {
		t.Fatalf("layout %d: the digests below are of layout %d", Layout, goldenLayout)
	}
	for _, d := range all(t) {
		for _, f := range []Format{XLSX, HTML} {
			name := d.FileName(f)
			if got := look(t, d, f); got != golden[name] {
				t.Errorf("%s is %s: new reports look otherwise than those of this layout; raise Layout", name, got)
			}
		}
	}
}

// The same figures give the same bytes in another process, time zone and
// language.
func TestSameBytesElsewhere(t *testing.T) {
	if os.Getenv("REPORT_DIGESTS") == "print" {
		for _, d := range all(t) {
			d.At = d.At.In(time.Local)
			fmt.Println("digest", digest(t, d, XLSX), digest(t, d, HTML))
		}
		return
	}
	var want []string
	for _, d := range all(t) {
		want = append(want, "digest "+digest(t, d, XLSX)+" "+digest(t, d, HTML))
	}
	for _, zone := range []string{"UTC", "America/New_York", "Pacific/Kiritimati"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSameBytesElsewhere$")
		cmd.Env = append(os.Environ(), "REPORT_DIGESTS=print", "TZ="+zone, "LANG=tr_TR.UTF-8")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", zone, err)
		}
		for _, line := range want {
			if !strings.Contains(string(out), line) {
				t.Errorf("%s: no %s in\n%s", zone, line, out)
			}
		}
	}
}

// parts reads a workbook as any reader of zip files does.
func parts(t *testing.T, b []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out[f.Name] = string(content)
		d := xml.NewDecoder(bytes.NewReader(content))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s is not well-formed: %v", f.Name, err)
			}
		}
	}
	return out
}

func TestWorkbook(t *testing.T) {
	b, err := Make(annual(t), XLSX)
	if err != nil {
		t.Fatal(err)
	}
	got := parts(t, b)
	for part, wants := range map[string][]string{
		"xl/worksheets/sheet1.xml": {
			"<v>3994</v>", "<v>2295</v>", "<v>1631</v>", "<v>1677</v>", "<v>97.26</v>", `paperSize="9"`, `orientation="portrait"`, `fitToHeight="1"`, `fitToPage="true"`,
			`state="frozen"`, "第 &amp;P 页，共 &amp;N 页", `horizontalCentered="true"`,
		},
		"xl/sharedStrings.xml": {
			"—", "未定稿", "贵州省", "520330101", "2026年", "2026-12-01 00:00:00", "制表人：", "审核人：", "负责人：", "按 2026-12-01 计算", "二、流出人口", rates.Certificate.Definition(),
		},
		"xl/workbook.xml": {"_xlnm.Print_Area", "_xlnm.Print_Titles", "年度报表&#39;!$A$1:$E$", "年度报表&#39;!$5:$5"},
		"xl/styles.xml":   {"宋体", "0.00&#34;%&#34;"},
	} {
		for _, want := range wants {
			if !strings.Contains(got[part], want) {
				t.Errorf("%s: no %s", part, want)
			}
		}
	}
	f, err := excelize.OpenReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for cell, want := range map[string]string{"A5": "项目", "B13": "3,994", "D17": "1,677", "E17": "97.26%", "E27": "—"} {
		if got, err := f.GetCellValue("年度报表", cell); err != nil || got != want {
			t.Errorf("%s is %q, want %q: %v", cell, got, want, err)
		}
	}
	for _, name := range f.GetSheetList() {
		wide, err := f.GetColWidth(name, "A")
		if err != nil || wide < 18 {
			t.Errorf("%s: %v wide, %v", name, wide, err)
		}
	}
}

// What looks like a formula, or like XML, is text.
func TestTextStaysText(t *testing.T) {
	d := annual(t)
	d.Figures[0].Label = `=HYPERLINK("x")<script>&`
	b, err := Make(d, XLSX)
	if err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	label, err := f.GetCellValue("年度报表", "A7")
	kind, err2 := f.GetCellType("年度报表", "A7")
	formula, err3 := f.GetCellFormula("年度报表", "A7")
	if label != d.Figures[0].Label || kind != excelize.CellTypeSharedString || formula != "" {
		t.Errorf("a label is %q, %d, %q, and no plain text: %v %v %v", label, kind, formula, err, err2, err3)
	}
	for name, content := range parts(t, b) {
		if strings.Contains(content, "<f>") || strings.Contains(content, "<f ") {
			t.Errorf("%s has a formula", name)
		}
	}
	page, err := Make(d, HTML)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(page, []byte("<script")) || !bytes.Contains(page, []byte("&lt;script&gt;")) {
		t.Error("a label is markup")
	}
}

func TestPrintedPage(t *testing.T) {
	for _, c := range []struct {
		d    *Data
		want []string
		not  []string
	}{
		{annual(t), []string{"A4 portrait", "97.26%", "1631", "（未定稿）", "制表人：", "default-src &#39;none&#39;", "口径", "<td class=\"n\">—</td>"}, []string{"<script", "http://", "https://"}},
		{monthly(t), []string{"A4 landscape", "定稿，第 2 版", "海宁市节点", "合计", "本级", "90.00%<br>90/100", "<td class=\"n\">*</td>", "不对本单位以外公布", "0123456789abcdef"}, []string{"未定稿"}},
		{overdue(t), []string{"逾期件", "00ab", "最长逾期（天）", "<td class=\"n\">9</td>", "本单位·在现居住地"}, []string{"口径</td>"}},
	} {
		b, err := Make(c.d, HTML)
		if err != nil {
			t.Fatal(err)
		}
		page := strings.ReplaceAll(string(b), "default-src 'none'", "default-src &#39;none&#39;")
		for _, w := range c.want {
			if !strings.Contains(page, w) {
				t.Errorf("%s: no %s", c.d.Kind, w)
			}
		}
		for _, n := range c.not {
			if strings.Contains(page, n) {
				t.Errorf("%s: there is %s", c.d.Kind, n)
			}
		}
	}
}

func TestNothingOverdue(t *testing.T) {
	d := overdue(t)
	d.Figures, d.Cases = nil, nil
	b, err := Make(d, HTML)
	if err != nil || !bytes.Contains(b, []byte("没有逾期未答复的件")) {
		t.Errorf("%v", err)
	}
}

func TestMakeRefuses(t *testing.T) {
	d := annual(t)
	if _, err := Make(d, 9); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("format: %v", err)
	}
	d.Kind = 9
	if _, err := Make(d, XLSX); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("kind: %v", err)
	}
}

func TestFileName(t *testing.T) {
	if got := annual(t).FileName(XLSX); got != "annual-520330101-2026.xlsx" {
		t.Error(got)
	}
	if got := monthly(t).FileName(HTML); got != "monthly-330782-2026-11-r2.html" {
		t.Error(got)
	}
}
