package harness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/cli"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/sheet"
)

// TestReportReadsBack: a report that the door gives is read back, as a typed-in
// one is, to the figures that the door gives for it.
func TestReportReadsBack(t *testing.T) {
	w := within(t)
	for range 3 {
		w.reply(w.open(w.fresh(cases.Outflow), how{}), w.answerOf(cases.NotFound))
	}
	d := newDoor(t, w.Sites[0])
	reports := ratesv1.NewReportServiceClient(d)
	town := towns(t, residence, 1)[0]
	clerk, operator := d.as(t, access.Clerk, town), d.as(t, access.County, residence)
	year := ratesv1.ReportKind_REPORT_KIND_ANNUAL
	for _, kind := range []ratesv1.ReportKind{year, ratesv1.ReportKind_REPORT_KIND_MONTHLY, ratesv1.ReportKind_REPORT_KIND_OVERDUE} {
		period := ""
		if kind != year {
			period = "2026-12" // when 30 days are over
		}
		figs, err := reports.GetReportFigures(clerk, &ratesv1.GetReportFiguresRequest{Kind: kind, Period: period})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]*ratesv1.Figure{}
		for _, g := range figs.GetFigures() {
			want[g.GetCode()] = g
		}
		if g := want["feedback.due"]; kind == ratesv1.ReportKind_REPORT_KIND_MONTHLY && g.GetN() != 3 {
			t.Errorf("%d due", g.GetN())
		}
		got, err := reports.GetReport(clerk, &ratesv1.GetReportRequest{Kind: kind, Period: period})
		if err != nil {
			t.Fatal(err)
		}
		if h := sha256.Sum256(got.GetContent()); hex.EncodeToString(h[:]) != got.GetDigest() {
			t.Errorf("%s: another digest", kind)
		}
		tables, err := sheet.ReadWorkbook(got.GetContent())
		if err != nil {
			t.Fatal(err)
		}
		typed := sheet.ReadReport(tables)
		read := map[string]bool{}
		for _, v := range typed {
			g := want[v.Code]
			if g == nil {
				t.Errorf("%s: %s at %s is no figure of the report", kind, v.Code, v.At)
				continue
			}
			read[v.Code] = true
			is := v.Value.RatString()
			switch v.Part {
			case sheet.Percent:
				if v.Value.FloatString(2) != g.GetPercent() {
					t.Errorf("%s: %s is %s, want %s", kind, v.Code, is, g.GetPercent())
				}
			case sheet.PartD:
				if !v.Value.IsInt() || v.Value.Num().Int64() != g.GetD() {
					t.Errorf("%s: d of %s is %s, want %d", kind, v.Code, is, g.GetD())
				}
			default:
				if !v.Value.IsInt() || v.Value.Num().Int64() != g.GetN() {
					t.Errorf("%s: %s is %s, want %d", kind, v.Code, is, g.GetN())
				}
			}
		}
		for code, g := range want {
			if kind != ratesv1.ReportKind_REPORT_KIND_OVERDUE && !read[code] && (!g.GetRate() || g.GetD() > 0) {
				t.Errorf("%s: %s was not read back", kind, code)
			}
		}
		if kind == year && sheet.PeriodIn(tables) != figs.GetPeriod() {
			t.Errorf("period %q, want %q", sheet.PeriodIn(tables), figs.GetPeriod())
		}
		page, err := reports.GetReport(operator, &ratesv1.GetReportRequest{Kind: kind, Period: period, Format: ratesv1.ReportFormat_REPORT_FORMAT_HTML})
		if err != nil || !bytes.HasPrefix(page.GetContent(), []byte("<!DOCTYPE html>")) || !bytes.Contains(page.GetContent(), []byte("未定稿")) {
			t.Errorf("%s: page: %v", kind, err)
		}
	}
	// Whoever does not work there, or above it, gets nothing.
	for _, ctx := range []struct {
		role access.Role
		k    area.Key
	}{{access.Clerk, originTown}, {access.County, origin}, {access.Auditor, town}, {access.Admin, town}} {
		_, err := reports.GetReport(d.as(t, ctx.role, ctx.k), &ratesv1.GetReportRequest{Kind: year, Area: town.String()})
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v", ctx.role, err)
		}
	}
	if _, err := reports.GetReport(clerk, &ratesv1.GetReportRequest{}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("no kind: %v", err)
	}
}

// command runs a command of the node's people through the door.
func (d *door) command(t *testing.T, ctx context.Context, args ...string) (int, string) {
	t.Helper()
	md, _ := metadata.FromOutgoingContext(ctx)
	dir := t.TempDir()
	env := map[string]string{"YIPAN_ADDR": d.Target(), "YIPAN_CA": filepath.Join(dir, "ca.pem"), "YIPAN_TOKEN_FILE": filepath.Join(dir, "token"), "YIPAN_LANG": "zh"}
	token := strings.TrimPrefix(md.Get("authorization")[0], "Bearer ")
	for name, content := range map[string][]byte{env["YIPAN_CA"]: d.pem, env["YIPAN_TOKEN_FILE"]: []byte(token)} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	code := cli.Run(t.Context(), args, &out, &out, func(name string) string { return env[name] })
	return code, out.String()
}

// TestFrozenReports: what is frozen is given as it was first made, by revision,
// with the digest of the month, and a typed-in report is checked against it.
func TestFrozenReports(t *testing.T) {
	w := &walk{watched: watch(t, origin, residence)}
	var legs []*leg
	for range 6 {
		legs = append(legs, w.open(w.fresh(cases.Outflow), how{}))
	}
	for _, l := range legs[:3] {
		if _, err := w.tryAnswer(l, w.answerOf(cases.NotFound)); err != nil { // stays at the residence: the line is down
			t.Fatal(err)
		}
	}
	const month = "2026-12"
	w.Clock.Add(time.Date(2027, 1, 4, 0, 1, 0, 0, civil.Shanghai).Sub(w.Clock.Now()))
	for _, k := range []area.Key{origin, residence} {
		if n, err := w.at(k).Closing.Freeze(t.Context()); err != nil || n != 1 {
			t.Fatalf("%s froze %d months: %v", k, n, err)
		}
	}
	d := newDoor(t, w.at(origin))
	reports, operator := ratesv1.NewReportServiceClient(d), d.as(t, access.County, origin)
	get := func(revision *uint32, format ratesv1.ReportFormat) *ratesv1.GetReportResponse {
		t.Helper()
		r, err := reports.GetReport(operator, &ratesv1.GetReportRequest{Kind: ratesv1.ReportKind_REPORT_KIND_MONTHLY, Period: month, Revision: revision, Format: format})
		if err != nil {
			t.Fatal(err)
		}
		m, err := reports.GetMonth(operator, &ratesv1.GetMonthRequest{Period: month, Revision: revision})
		if err != nil || len(m.GetMonth().GetDigest()) != 64 {
			t.Fatalf("month: %v, %v", m, err)
		}
		shown := string(r.GetContent())
		if format != ratesv1.ReportFormat_REPORT_FORMAT_HTML {
			tables, err := sheet.ReadWorkbook(r.GetContent())
			if err != nil {
				t.Fatal(err)
			}
			shown = fmt.Sprint(tables)
		}
		for _, want := range []string{m.GetMonth().GetDigest(), fmt.Sprintf("定稿，第 %d 版", m.GetMonth().GetRevision())} {
			if !strings.Contains(shown, want) {
				t.Errorf("the report of revision %d does not show %s", m.GetMonth().GetRevision(), want)
			}
		}
		return r
	}
	page := ratesv1.ReportFormat_REPORT_FORMAT_HTML
	zero := uint32(0)
	first := map[ratesv1.ReportFormat]*ratesv1.GetReportResponse{0: get(nil, 0), page: get(nil, page)}

	// The line is back: the month gets another revision.
	w.settle()
	if err := w.State(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	w.Clock.Add(6 * time.Hour)
	if n, err := w.at(origin).Closing.Revise(t.Context()); err != nil || n != 1 {
		t.Fatalf("revised %d: %v", n, err)
	}
	for format, want := range first {
		if got := get(&zero, format); !bytes.Equal(got.GetContent(), want.GetContent()) || got.GetDigest() != want.GetDigest() || got.GetFileName() != want.GetFileName() {
			t.Errorf("%s of revision 0 has changed", got.GetFileName())
		}
		if got := get(nil, format); bytes.Equal(got.GetContent(), want.GetContent()) || got.GetFileName() == want.GetFileName() {
			t.Errorf("%s is that of revision 0", got.GetFileName())
		}
		if got, want := get(nil, format), get(nil, format); !bytes.Equal(got.GetContent(), want.GetContent()) {
			t.Errorf("%s differs from one time to the next", got.GetFileName())
		}
	}
	three := uint32(3)
	if _, err := reports.GetReport(operator, &ratesv1.GetReportRequest{Kind: ratesv1.ReportKind_REPORT_KIND_MONTHLY, Period: month, Revision: &three}); status.Code(err) != codes.NotFound {
		t.Errorf("of a revision that is none: %v", err)
	}

	// A report typed from the frozen one agrees with it until a digit is wrong.
	d = newDoor(t, w.at(residence))
	operator = d.as(t, access.County, residence)
	frozen, err := ratesv1.NewReportServiceClient(d).GetReport(operator, &ratesv1.GetReportRequest{Kind: ratesv1.ReportKind_REPORT_KIND_MONTHLY, Period: month})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "typed.xlsx")
	if err := os.WriteFile(name, frozen.GetContent(), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := d.command(t, operator, "report", "check", name, "--revision=0"); code != cli.ExitOK || !strings.Contains(out, "期间："+month) || !strings.Contains(out, "不符 0 处") {
		t.Errorf("the frozen report: %d\n%s", code, out)
	}
	f, err := excelize.OpenFile(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at, err := f.SearchSheet("月报表", "6")
	if err != nil || len(at) == 0 {
		t.Fatalf("nobody has six: %v", err)
	}
	if err := errors.Join(f.SetCellInt("月报表", at[0], 7), f.Save()); err != nil {
		t.Fatal(err)
	}
	if code, out := d.command(t, operator, "report", "check", name); code != cli.ExitFailed || !strings.Contains(out, "月报表!"+at[0]) || !strings.Contains(out, "不符 1 处") {
		t.Errorf("with a wrong digit at %s: %d\n%s", at[0], code, out)
	}
}
