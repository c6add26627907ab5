package cli

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	casesv1 "yipan/internal/gen/yipan/cases/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

func (s *scripted) ListRateCases(_ context.Context, r *ratesv1.ListRateCasesRequest) (*ratesv1.ListRateCasesResponse, error) {
	if r.GetPart() == ratesv1.Part_PART_UNRECEIPTED {
		return &ratesv1.ListRateCasesResponse{Period: "2026-11"}, nil
	}
	round := func(id string, c *ratesv1.RateCase) *ratesv1.RateCase {
		c.CaseId, c.Round, c.Kind, c.CounterpartName, c.RoundAt, c.DueAt = id, 1, casesv1.Kind_KIND_OUTFLOW, "习水县", day0, day0
		return c
	}
	return &ratesv1.ListRateCasesResponse{Period: "2026-11", Total: 7, NextPageToken: "p2", Cases: []*ratesv1.RateCase{
		round(caseA, &ratesv1.RateCase{Answered: true, OnTime: true, AnsweredAt: day0, ExtendedDays: 2}),
		round(caseA, &ratesv1.RateCase{Answered: true, AnsweredAt: day0}),
		round(caseB, &ratesv1.RateCase{Overdue: "residence"}),
		round(caseB, &ratesv1.RateCase{Pending: true}),
		round(caseB, &ratesv1.RateCase{}),
		round(caseB, &ratesv1.RateCase{Excluded: "WITHDRAWN_BEFORE_DUE"}),
	}}, nil
}

func (s *scripted) GetTimes(_ context.Context, r *ratesv1.GetTimesRequest) (*ratesv1.GetTimesResponse, error) {
	if r.GetPeriod() == "2020-01" {
		return &ratesv1.GetTimesResponse{Period: "2020-01"}, nil
	}
	return &ratesv1.GetTimesResponse{Period: "2026-11", Times: []*ratesv1.Times{
		{LateArrivals: 4, Spent: []*ratesv1.Spent{{Side: "origin"}, {Side: "transport", N: 9, P50Seconds: 90, P90Seconds: 7200}, {Side: "residence", N: 8, P50Seconds: 86400, P90Seconds: 90000}}},
	}, Unreceipted: []*ratesv1.Unreceipted{{Node: "3:330112", NodeName: "临安区", N: 3, OldestAt: day0}, {N: 1, OldestAt: day0}}}, nil
}

func (s *scripted) RecountRates(_ context.Context, r *ratesv1.RecountRatesRequest) (*ratesv1.RecountRatesResponse, error) {
	resp := &ratesv1.RecountRatesResponse{Rounds: 319, Sums: 124}
	if r.GetArea() == "3:520330" {
		resp.Total = 2
		resp.Differences = []*ratesv1.Difference{
			{What: "standing", Office: "3:520330", CaseId: caseA, Key: "1", Kept: 1, Counted: 2}, {What: "sum", Office: "3:520330", Key: "2026-11", Kept: 9, Counted: 8},
		}
	}
	return resp, nil
}

func (s *scripted) DeclareOutage(_ context.Context, r *ratesv1.DeclareOutageRequest) (*ratesv1.DeclareOutageResponse, error) {
	return &ratesv1.DeclareOutageResponse{Outage: &ratesv1.Outage{Id: caseA, Area: r.GetArea(), From: r.GetFrom(), To: r.GetTo(), Reason: r.GetReason(), Rounds: 12, Days: 2}}, nil
}

func (s *scripted) ListOutages(_ context.Context, r *ratesv1.ListOutagesRequest) (*ratesv1.ListOutagesResponse, error) {
	if r.GetArea() != "" {
		return &ratesv1.ListOutagesResponse{}, nil
	}
	return &ratesv1.ListOutagesResponse{Outages: []*ratesv1.Outage{
		{Id: caseA, Area: "3:520330", From: day0, To: day0, Reason: "光缆中断", Account: "county", DeclaredAt: day0, Rounds: 12, Days: 2},
	}}, nil
}

// What lies behind a rate, whose time was spent, and outages, as people read
// them.
func TestBehindRates(t *testing.T) {
	s := newScripted(t)
	for args, want := range map[string][]string{
		"rates cases":                           {"期间：2026-11，共 7 件", caseA, "按时答复，停摆顺延 2 天", "逾期答复", "逾期，在接收方", "未到期", "未答复而终止", "到期前撤回", "--page-token p2"},
		"rates cases --part excluded --lang en": {"7 rounds", "on time, put off by 2 days", "overdue at residence", "pending", "ended unanswered", "WITHDRAWN_BEFORE_DUE"},
		"rates cases --part 未签收":                {"共 0 件", "没有这样的件"},
		"rates times":                           {"全部单位  传输       9  1分30秒     2小时         4", "全部单位  接收方     8      1天", "临安区", "（尚无节点）", "未签收"},
		"rates times --lang en":                 {"all offices  transport", "residence", "(no node yet)"},
		"rates times --period 2020-01":          {"没有数据"},
		"rates recount":                         {"重新计数 319 轮，核对 124 个汇总数", "完全一致"},
		"rates recount --json":                  {`"rounds":"319"`},
		"outage list":                           {"习水县 3:520330  2026-11-02 09:30", "光缆中断", "12"},
		"outage list --lang en":                 {"ROUNDS", "DECLARED"},
		"outage list --area 3:520330":           {"没有登记过停摆"},
		"outage list --json":                    {`"rounds":"12"`},
		"outage declare --area 3:520330 --from 2026-11-20 --to 2026-11-21 --reason 光缆中断":        {"已登记停摆 " + caseA + "：习水县 3:520330，顺延 12 件，每件至多 2 天"},
		"outage declare --area 3:520330 --from 2026-11-20 --to 2026-11-21 --reason 光缆中断 --json": {`"days":2`},
	} {
		got := s.run(t, "", strings.Fields(args)...)
		if got.code != ExitOK {
			t.Errorf("%s: exit %d: %s", args, got.code, got.err)
		}
		for _, w := range want {
			if !strings.Contains(got.out, w) {
				t.Errorf("%s: no %q in\n%s", args, w, got.out)
			}
		}
		if strings.Contains(args, "--lang") || strings.Contains(args, "--json") {
			continue
		}
		for _, code := range []string{"residence", "transport", "standing", "WITHDRAWN", "origin"} {
			if strings.Contains(got.out, code) {
				t.Errorf("%s: %q is no Chinese:\n%s", args, code, got.out)
			}
		}
	}
}

// The days of an outage are whole days of Shanghai.
func TestOutageRequest(t *testing.T) {
	s := newScripted(t)
	s.run(t, "", "outage", "declare", "--area", "3:520330", "--from", "2026-11-20", "--to", "2026-11-21", "--reason", "光缆中断", "--request-id", "outage-01")
	got := last[*ratesv1.DeclareOutageRequest](t, s)
	want := &ratesv1.DeclareOutageRequest{RequestId: "outage-01", Area: "3:520330", Reason: "光缆中断",
		From: &timestamppb.Timestamp{Seconds: 1795104000}, To: got.GetTo()}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if d := got.GetTo().AsTime().Sub(got.GetFrom().AsTime()); d.Hours() < 47.9 || d.Hours() > 48 {
		t.Errorf("two days last %v", d)
	}
}

// A recount that differs fails, in every form of output.
func TestRecountDiffers(t *testing.T) {
	s := newScripted(t)
	got := s.run(t, "", "rates", "recount", "--area", "3:520330")
	if got.code != ExitFailed {
		t.Errorf("exit %d", got.code)
	}
	for _, w := range []string{"计数状态与案件", "汇总数与明细", caseA, "2026-11"} {
		if !strings.Contains(got.out, w) {
			t.Errorf("no %q in\n%s", w, got.out)
		}
	}
	for _, w := range []string{"有 2 处与原始记录不一致", "RECOUNT_DIFFERS"} {
		if !strings.Contains(got.err, w) {
			t.Errorf("no %q in\n%s", w, got.err)
		}
	}
	if strings.Contains(got.out, "完全一致") {
		t.Errorf("it says both:\n%s", got.out)
	}
	if got := s.run(t, "", "rates", "recount", "--area", "3:520330", "--json"); got.code != ExitFailed || !strings.Contains(got.out, `"total":"2"`) {
		t.Errorf("JSON: exit %d\n%s", got.code, got.out)
	}
}

// What is withheld is named once, below what is shown, and townships without
// anything are left out; whoever may not, is told who may.
func TestWithheld(t *testing.T) {
	var e Env
	var out strings.Builder
	e.Out = &out
	rows, withheld := split([]*ratesv1.Rate{
		{Measure: ratesv1.Measure_MEASURE_FEEDBACK, Area: "4:330112001", D: 3, N: 3},
		{Measure: ratesv1.Measure_MEASURE_FEEDBACK, Area: "4:330112002"},
		{Measure: ratesv1.Measure_MEASURE_FEEDBACK, Area: "4:330112003", Pending: 2},
		{Measure: ratesv1.Measure_MEASURE_OFFER, Area: "4:330112001", Suppressed: true},
		{Measure: ratesv1.Measure_MEASURE_OFFER, Area: "4:330112002", Suppressed: true},
		{Measure: ratesv1.Measure_MEASURE_FOLLOW_UP, Area: "4:330112001", Suppressed: true},
	}, &ratesv1.GetRatesRequest{Breakdown: ratesv1.Breakdown_BREAKDOWN_TOWNSHIP})
	if len(rows) != 2 || len(withheld) != 3 {
		t.Fatalf("%d rows, %d withheld", len(rows), len(withheld))
	}
	e.sayWithheld(withheld)
	if !strings.Contains(out.String(), "不公布：服务告知率（2 行）、随访率（件数不足 5") {
		t.Errorf("said %q", out.String())
	}

	s := newScripted(t)
	s.fail["DeclareOutage"] = refusal(codes.PermissionDenied, "county", "OUTAGE_COUNTY", "area", "停摆由县级账号登记")
	got := s.run(t, "", "outage", "declare", "--area", "3:520330", "--from", "2026-11-20", "--to", "2026-11-21", "--reason", "光缆中断")
	if got.code != ExitFailed || !strings.Contains(got.err, "怎么办：请县级账号登记") {
		t.Errorf("%+v", got)
	}
	s.fail["GetMonth"] = refusal(codes.NotFound, "not frozen", "MONTH_NOT_FROZEN", "period", "2026年11月尚未定稿")
	if got := s.run(t, "", "month", "show", "2026-11"); got.code != ExitFailed || !strings.Contains(got.err, "项目 期间") || !strings.Contains(got.err, "yipan month list") {
		t.Errorf("%+v", got)
	}
}
