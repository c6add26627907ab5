package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
	"google.golang.org/grpc/codes"

	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

const (
	theTown   = "4:520330101"
	theCounty = "3:520330"
)

// GetReport answers with a file.
func (s *scripted) GetReport(_ context.Context, r *ratesv1.GetReportRequest) (*ratesv1.GetReportResponse, error) {
	return &ratesv1.GetReportResponse{Content: []byte("PK report"), FileName: "annual-520330101-2026.xlsx", MediaType: "application/zip", Digest: "abcd"}, nil
}

// GetReportFigures answers with the worked case for 2026, with other figures for
// the year before, and with two revisions of which the first had less.
func (s *scripted) GetReportFigures(_ context.Context, r *ratesv1.GetReportFiguresRequest) (*ratesv1.GetReportFiguresResponse, error) {
	period := r.GetPeriod()
	if period == "" {
		period = "2026"
	}
	resp := &ratesv1.GetReportFiguresResponse{Period: period}
	add := func(area, code string, n, d int64) {
		resp.Figures = append(resp.Figures, &ratesv1.Figure{Code: code, Area: area, N: n, D: d, Rate: d > 0})
	}
	if r.GetKind() == ratesv1.ReportKind_REPORT_KIND_MONTHLY {
		add(theTown, "feedback.due", 120, 0)
		add(theTown, "feedback.answered", 115, 0)
		add(theTown, "feedback.rate", 115, 120)
		add("4:520330100", "feedback.due", 20, 0)
		return resp, nil
	}
	switch {
	case r.Revision != nil && r.GetRevision() > 1:
		return nil, refusal(codes.NotFound, "no such revision", "REVISION", "revision", "没有这个版本")
	case r.Revision != nil && r.GetRevision() == 0:
		add(theTown, "outflow", 3990, 0)
	case period == "2025":
		add(theTown, "outflow", 3801, 0)
		add(theTown, "certificate.rate", 1500, 1600)
	case period != "2026":
		return nil, refusal(codes.InvalidArgument, "no such period", "PERIOD", "period", "没有这个期间")
	default:
		add(theTown, "inflow", 6, 0)
		resp.Figures = append(resp.Figures, &ratesv1.Figure{Code: "inflow.women", Area: theTown, Suppressed: true})
		add(theTown, "verification.rate", 3, 3)
		add(theTown, "outflow", 3994, 0)
		add(theTown, "outflow.women", 2295, 0)
		add(theTown, "certificate.asked", 1677, 0)
		add(theTown, "certificate.issued", 1631, 0)
		add(theTown, "certificate.rate", 1631, 1677)
	}
	return resp, nil
}

// workbookFile writes rows as a workbook and returns its name.
func workbookFile(t *testing.T, rows ...[]any) string {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	for i := range rows {
		if err := f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	b, err := f.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "表.xlsx")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestReportCheck(t *testing.T) {
	s := newScripted(t)
	for _, c := range []struct {
		name string
		rows [][]any
		code int
		want []string // on standard output
		not  []string
	}{
		{"all agree", [][]any{{"统计期间：2026年"}, {"流出人数", "3,994"}, {"其中：已婚育龄妇女", 2295}, {"应办证", 1677}, {"已办证", 1631}, {"办证率", "97.26%"}, {"验证率", 1}},
			ExitOK, []string{"期间：2026", "一致 6 处，不符 0 处，自相矛盾 0 处"}, []string{"不符  "}},
		{"the source's percentage", [][]any{{"统计期间：2026年"}, {"应办证", 1677}, {"已办证", 1631}, {"办证率", 0.9719}},
			ExitFailed, []string{"1631/1677 97.26%", "若为 1630/1677 并截去尾数（未四舍五入） 则得 97.19%", "（表内）1631/1677 97.26%", "原报告所印 97.19% 与其自身数字不符", "一致 2 处，不符 1 处，自相矛盾 1 处"}, nil},
		{"cut off", [][]any{{"办证率", "97.25%"}}, ExitFailed, []string{"1631/1677 并截去尾数"}, []string{"自相矛盾  "}},
		{"as exact as written", [][]any{{"办证率", "97.3%"}, {"流出", 3994}}, ExitOK, []string{"一致 2 处"}, nil},
		{"a share", [][]any{{"办证率", 0.97257}}, ExitOK, []string{"一致 1 处"}, nil},
		{"another year", [][]any{{"流出", 3801}, {"办证率", 93.75}}, ExitFailed, []string{"比本节点少 193", "与期间 2025 的数相同（3801）", "与期间 2025 的数相同（1500/1600 93.75%）"}, nil},
		{"another revision", [][]any{{"流出", 3990}}, ExitFailed, []string{"比本节点少 4", "与定稿第 0 版的数相同（3990）"}, nil},
		{"suppressed", [][]any{{"流入", 6}, {"其中：育龄妇女", 3}}, ExitOK, []string{"不予显示", "一致 1 处", "无法核对 1 处"}, nil},
		{"below headings", [][]any{{"单位", "应反馈", "已反馈", "反馈率"}, {"合计", 120, 115, "95.83%"}, {"没有的镇", 1, 1, "100%"}},
			ExitOK, []string{"合计 应反馈", "没有的镇 应反馈", "本节点无此数", "一致 3 处"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := s.run(t, "", "report", "check", workbookFile(t, c.rows...))
			if got.code != c.code {
				t.Errorf("exit %d: %s", got.code, got.err)
			}
			for _, w := range c.want {
				if !strings.Contains(got.out, w) {
					t.Errorf("no %q in\n%s", w, got.out)
				}
			}
			for _, n := range c.not {
				if strings.Contains(got.out, n) {
					t.Errorf("%q in\n%s", n, got.out)
				}
			}
		})
	}
}

func TestReportCheckRefuses(t *testing.T) {
	s := newScripted(t)
	text := filepath.Join(t.TempDir(), "表.csv")
	if err := os.WriteFile(text, []byte("流出人数,3994\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ file, want string }{
		{text, "这不是 Excel 工作簿"}, {workbookFile(t, []any{"姓名", "电话"}), "表中没有认得的项目"}, {workbookFile(t, []any{"随访率", "50%"}), "没有一处可以核对"},
		{filepath.Join(t.TempDir(), "none.xlsx"), "无法打开"},
	} {
		if got := s.run(t, "", "report", "check", c.file); got.code == ExitOK || !strings.Contains(got.err, c.want) {
			t.Errorf("exit %d: %s; want %s", got.code, got.err, c.want)
		}
	}
}

func TestReportMake(t *testing.T) {
	s := newScripted(t)
	name := filepath.Join(t.TempDir(), "out.xlsx")
	got := s.run(t, "", "report", "make", "annual", "--area", theCounty, "--period", "2026", "--revision", "0", "-o", name)
	if got.code != ExitOK || !strings.Contains(got.out, "abcd") {
		t.Fatalf("%+v", got)
	}
	if b, err := os.ReadFile(name); err != nil || string(b) != "PK report" {
		t.Errorf("%q %v", b, err)
	}
	r := last[*ratesv1.GetReportRequest](t, s)
	if r.GetKind() != ratesv1.ReportKind_REPORT_KIND_ANNUAL || r.GetArea() != theCounty || r.Revision == nil || r.GetRevision() != 0 || r.GetFormat() != ratesv1.ReportFormat_REPORT_FORMAT_XLSX {
		t.Errorf("%v", r)
	}
	if got := s.run(t, "", "report", "make", "overdue", "--format", "html", "-o", "-"); got.code != ExitOK || got.out != "PK report" {
		t.Errorf("%+v", got)
	}
	if got := s.run(t, "", "report", "make", "weekly"); got.code != ExitUsage || !strings.Contains(got.err, "annual") {
		t.Errorf("%+v", got)
	}
}
