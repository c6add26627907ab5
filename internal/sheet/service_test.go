package sheet_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/simplifiedchinese"

	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/sheet"
)

const somebody = "0123456789abcdef0123456789abcdef"

func TestReadServices(t *testing.T) {
	text := "某镇三查登记表,,,,\r\n日期,方式, 人员编号 ,结果,服务类别,环情,本人出示证明,转介去向,转介日期\r\n" +
		"2026/11/3,上门," + somebody + ",已服务,,在位,否,县妇幼保健院,2026-11-03\r\n" +
		",,,,,,,,\r\n" +
		"２０２６-11-4 0:00,电话," + strings.ToUpper(somebody) + ",谢绝,药具,,,,\r\n" +
		"2026-11-05,counter," + somebody + ",done,visit,,是,,\r\n"
	want := []sheet.ServiceRow{
		{Line: 3, Person: somebody, Kind: ledger.ThreeChecks, Record: ledger.ServiceRecord{
			Result: ledger.OfferDone, Date: civil.MustParse("2026-11-03"), Channel: "visit", Findings: map[string]string{"iud": "在位"},
			Referral: &ledger.Referral{To: "县妇幼保健院", Date: civil.MustParse("2026-11-03")},
		}},
		{Line: 5, Person: somebody, Kind: ledger.Contraceptives, Record: ledger.ServiceRecord{Result: ledger.OfferDeclined, Date: civil.MustParse("2026-11-04"), Channel: "phone"}},
		{Line: 6, Person: somebody, Kind: ledger.Visit, Record: ledger.ServiceRecord{Result: ledger.OfferDone, Date: civil.MustParse("2026-11-05"), Channel: "counter", OwnProof: true}},
	}
	gbk, err := simplifiedchinese.GB18030.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"UTF-8": text, "with byte order mark": "\ufeff" + text, "GB18030": gbk} {
		rows, problems, err := sheet.ReadServices(strings.NewReader(file))
		if d := cmp.Diff(want, rows); d != "" || err != nil || len(problems) != 0 {
			t.Errorf("%s: %s%v %v", name, d, problems, err)
		}
	}
	if s := fmt.Sprintf("%v %+v %s", want[0], want[0], want[0]); strings.Contains(s, somebody) || strings.Contains(s, "在位") {
		t.Errorf("printing a row shows %s", s)
	}
}

func TestReadServicesProblems(t *testing.T) {
	const head = "人员编号,服务类别,结果,日期,方式,本人出示证明,预约日期,转介去向,转介日期\n"
	for _, tt := range []struct{ name, row, column, reason string }{
		{"nobody", ",三查,谢绝,2026-11-03,上门,,,,", "人员编号", "REQUIRED"},
		{"an ID number", "330782199001010028,三查,谢绝,2026-11-03,上门,,,,", "人员编号", "PERSON_ID"},
		{"a name", "测试甲,三查,谢绝,2026-11-03,上门,,,,", "人员编号", "PERSON_ID"},
		{"another kind", somebody + ",罚款,谢绝,2026-11-03,上门,,,,", "服务类别", "ROSTER_WORD"},
		{"no result", somebody + ",三查,,2026-11-03,上门,,,,", "结果", "REQUIRED"},
		{"another result", somebody + ",三查,也许,2026-11-03,上门,,,,", "结果", "ROSTER_WORD"},
		{"no date", somebody + ",三查,谢绝,,上门,,,,", "日期", "REQUIRED"},
		{"no day", somebody + ",三查,谢绝,2026-11-31,上门,,,,", "日期", "DATE_IMPOSSIBLE"},
		{"no channel", somebody + ",三查,谢绝,2026-11-03", "方式", "REQUIRED"},
		{"by pigeon", somebody + ",三查,谢绝,2026-11-03,飞鸽,,,,", "方式", "ROSTER_WORD"},
		{"half a referral", somebody + ",三查,已服务,2026-11-03,上门,,,,2026-11-03", "转介去向", "REQUIRED"},
		{"an endless cell", somebody + ",三查,已服务,2026-11-03,上门,,," + strings.Repeat("院", 201) + ",2026-11-03", "转介去向", "ROSTER_CELL_LONG"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rows, problems, err := sheet.ReadServices(strings.NewReader(head + tt.row + "\n" + somebody + ",三查,谢绝,2026-11-03,上门,,,,\n"))
			if err != nil || len(rows) != 1 || rows[0].Line != 3 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			if len(problems) == 0 || problems[0].Line != 2 || problems[0].Column != tt.column || problems[0].Reason != tt.reason || problems[0].Text == "" {
				t.Errorf("problems: %v, want %s %s", problems, tt.column, tt.reason)
			}
			for _, p := range problems {
				for _, cell := range strings.Split(tt.row, ",") {
					if len(cell) > 6 && strings.Contains(p.Text, cell) {
						t.Error("a problem repeats a cell")
					}
				}
			}
		})
	}
	for name, file := range map[string]string{
		"ROSTER_EMPTY": head, "ROSTER_COLUMN": "姓名,结果\n测试甲,谢绝\n", "ROSTER_FORMAT": "PK\x03\x04", "ROSTER_QUOTES": head + "\"x\n",
	} {
		_, _, err := sheet.ReadServices(strings.NewReader(file))
		if f, ok := fault.As(err); !ok || f.Reason != name || f.Text == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, file := range []string{"人员编号,结果,日期\nx,y,z\n", "人员编号,结果,日期,方式,方式\nx,y,z,a,b\n"} {
		if _, _, err := sheet.ReadServices(strings.NewReader(file)); !fault.Is(err, fault.KindInvalid) {
			t.Errorf("header: %v", err)
		}
	}
}

// FuzzReadServices: whatever a file holds, it is read or refused with a reason,
// and no row is both.
func FuzzReadServices(f *testing.F) {
	f.Add("人员编号,结果,日期,方式\n" + somebody + ",谢绝,2026-11-03,上门\n")
	f.Add("人员编号,结果,日期,方式\n\"\n")
	f.Fuzz(func(t *testing.T, file string) {
		rows, problems, err := sheet.ReadServices(strings.NewReader(file))
		if err != nil {
			if !fault.Is(err, fault.KindInvalid) || len(rows)+len(problems) > 0 {
				t.Errorf("%d rows, %d problems, %v", len(rows), len(problems), err)
			}
			return
		}
		bad := map[int]bool{}
		for _, p := range problems {
			bad[p.Line] = true
			if p.Reason == "" || p.Text == "" {
				t.Errorf("a problem without reason: %+v", p)
			}
		}
		for _, r := range rows {
			if bad[r.Line] || !r.Kind.Known() || r.Record.Date.IsZero() || r.Record.Result == "" {
				t.Errorf("line %d is read and refused, or incomplete", r.Line)
			}
		}
	})
}
