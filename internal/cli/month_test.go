package cli

import (
	"context"
	"strings"
	"testing"

	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

func (s *scripted) ListMonths(context.Context, *ratesv1.ListMonthsRequest) (*ratesv1.ListMonthsResponse, error) {
	return &ratesv1.ListMonthsResponse{Months: []*ratesv1.Month{
		{Period: "2026-12", State: ratesv1.MonthState_MONTH_STATE_OPEN},
		{Period: "2026-11", State: ratesv1.MonthState_MONTH_STATE_WAITING, MissingPeers: []string{"3:330112"}},
		{Period: "2026-10", State: ratesv1.MonthState_MONTH_STATE_FROZEN, FrozenAt: day0, Revision: 2},
	}}, nil
}

func (s *scripted) GetMonth(_ context.Context, r *ratesv1.GetMonthRequest) (*ratesv1.GetMonthResponse, error) {
	return &ratesv1.GetMonthResponse{
		Month: &ratesv1.Month{Period: r.GetPeriod(), State: ratesv1.MonthState_MONTH_STATE_FROZEN, FrozenAt: day0, Revision: r.GetRevision(), Digest: "ab12", Policy: "2026-1"},
		Rates: []*ratesv1.Rate{
			{Measure: ratesv1.Measure_MEASURE_FEEDBACK, Area: "3:520330", AreaName: "习水县", N: 9, D: 12, Percent: "75.00"},
			{Measure: ratesv1.Measure_MEASURE_OFFER, Area: "3:520330", AreaName: "习水县", Suppressed: true},
		},
		Changes: []*ratesv1.Change{{Measure: ratesv1.Measure_MEASURE_FEEDBACK, NBefore: 6, DBefore: 12, N: 9, D: 12}},
		Cases:   []*ratesv1.ChangedCase{{CaseId: caseA, Round: 1, Before: "OVERDUE", Now: "ON_TIME"}},
	}, nil
}

func (s *scripted) ListChildren(context.Context, *ratesv1.ListChildrenRequest) (*ratesv1.ListChildrenResponse, error) {
	return &ratesv1.ListChildrenResponse{Period: "2026-11", Children: []*ratesv1.Child{
		{Area: "3:520330", AreaName: "习水县", Reported: true, AsOf: day0, Revision: 1}, {Area: "3:330112", AreaName: "临安区"},
	}}, nil
}

func (s *scripted) CompareMonth(context.Context, *ratesv1.CompareMonthRequest) (*ratesv1.CompareMonthResponse, error) {
	return &ratesv1.CompareMonthResponse{Period: "2026-11", Peers: []*ratesv1.PeerComparison{
		{Node: "3:330112", NodeName: "临安区", Shared: 40, Differ: 1, Received: true, Cases: []*ratesv1.ChangedCase{{CaseId: caseB, Round: 2, Before: "LATE"}}},
	}}, nil
}

func TestMonths(t *testing.T) {
	s := newScripted(t)
	for args, want := range map[string][]string{
		"month list":                            {"2026-12  未结束", "等待定稿", "3:330112", "已定稿    2026-11-02 09:30     2"},
		"month list --lang en":                  {"waiting", "frozen"},
		"month show 2026-10 --revision 2":       {"2026-10：修订 2，2026-11-02 09:30 定稿，政策 2026-1", "ab12", "9 / 12  75.00", "不公布", "反馈率 6/12 → 9/12", caseA, "逾期未答复  及时答复"},
		"month show 2026-10 --lang en":          {"suppressed", "OVERDUE", "ON_TIME"},
		"month children 2026-11":                {"习水县  已上报  2026-11-02 09:30     1", "临安区  未上报"},
		"month compare 2026-11 --area 3:520330": {"临安区        40       1  已到", caseB, "逾期答复  （无）"},
		"month list --json":                     {`"missingPeers":["3:330112"]`},
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
	}
}
