package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
)

const personA = "0123456789abcdef0123456789abcdef"

func (s *scripted) ListOffersDue(_ context.Context, r *ledgerv1.ListOffersDueRequest) (*ledgerv1.ListOffersDueResponse, error) {
	resp := &ledgerv1.ListOffersDueResponse{OfferRound: 20263, EndsAt: day0}
	if r.GetPageToken() == "" {
		resp.NextPageToken = "more"
		resp.Persons = []*ledgerv1.PersonSummary{{PersonId: personA, Name: "测试甲", BirthYear: 1990, Document: "3****************X", Living: "4:330112001"}}
	}
	return resp, nil
}

func (s *scripted) RecordService(_ context.Context, r *ledgerv1.RecordServiceRequest) (*ledgerv1.RecordServiceResponse, error) {
	in := r.GetService()
	return &ledgerv1.RecordServiceResponse{Warnings: []string{"请核对"}, Record: &ledgerv1.ServiceRecord{
		PersonId: in.GetPersonId(), Kind: in.GetKind(), Period: 20263, Last: in, Attempts: []*ledgerv1.Attempt{{Date: in.GetDate(), Channel: in.GetChannel()}},
	}}, nil
}

// BatchRecordServices refuses every second row.
func (s *scripted) BatchRecordServices(_ context.Context, r *ledgerv1.BatchRecordServicesRequest) (*ledgerv1.BatchRecordServicesResponse, error) {
	resp := &ledgerv1.BatchRecordServicesResponse{}
	for i := range r.GetServices() {
		row := &ledgerv1.ServiceRow{Index: int32(i)}
		if i%2 == 1 {
			row.Reason, row.Field, row.Message = "ROUND_OVER", "period", "该轮次不在办理期内"
		}
		resp.Rows = append(resp.Rows, row)
	}
	return resp, nil
}

func (s *scripted) ListPersonServices(context.Context, *ledgerv1.ListPersonServicesRequest) (*ledgerv1.ListPersonServicesResponse, error) {
	return &ledgerv1.ListPersonServicesResponse{StandingRefusals: []ledgerv1.ServiceKind{ledgerv1.ServiceKind_SERVICE_KIND_VISIT}}, nil
}

func (s *scripted) SetStandingRefusal(context.Context, *ledgerv1.SetStandingRefusalRequest) (*ledgerv1.SetStandingRefusalResponse, error) {
	return &ledgerv1.SetStandingRefusalResponse{}, nil
}

func TestServiceCommands(t *testing.T) {
	s := newScripted(t)
	got := s.run(t, "", "service", "due", "--purpose", "三查告知")
	if got.code != ExitOK || !strings.Contains(got.out, "轮次 2026 年第 3 轮（20263）") || !strings.Contains(got.out, personA) || !strings.Contains(got.err, "--page-token more") {
		t.Errorf("due: %+v", got)
	}
	if got = s.run(t, "", "service", "due", "--page-token", "more"); got.code != ExitOK || !strings.Contains(got.out, "本轮没有待告知的人") {
		t.Errorf("nobody due: %+v", got)
	}
	got = s.run(t, "", "service", "record", personA, "--result", "已服务", "--date", "2026-11-18", "--channel", "上门", "--finding", "iud=在位",
		"--referral-to", "县妇幼保健院", "--referral-date", "2026-11-18", "--own-proof=false", "--request-id", "service-1")
	want := &ledgerv1.ServiceInput{
		RequestId: "service-1", PersonId: personA, Kind: ledgerv1.ServiceKind_SERVICE_KIND_THREE_CHECKS, Result: "done", Date: "2026-11-18", Channel: "visit",
		Findings: map[string]string{"iud": "在位"}, Referral: &ledgerv1.Referral{To: "县妇幼保健院", Date: "2026-11-18"},
	}
	if d := cmp.Diff(want, last[*ledgerv1.RecordServiceRequest](t, s).GetService(), protocmp.Transform()); d != "" {
		t.Errorf("record: %s", d)
	}
	for _, word := range []string{"三查", "已服务", "上门", "环情：在位", "转介 县妇幼保健院"} {
		if !strings.Contains(got.out, word) {
			t.Errorf("record prints %q, no %s", got.out, word)
		}
	}
	if got.code != ExitOK || !strings.Contains(got.err, "请核对") {
		t.Errorf("record: %+v", got)
	}
	if got = s.run(t, "", "service", "record", personA, "--kind", "罚款", "--result", "done", "--date", "2026-11-18", "--channel", "visit"); got.code != ExitUsage || !strings.Contains(got.err, "三查、药具、随访、优待、来访") {
		t.Errorf("another kind: %+v", got)
	}
	if got = s.run(t, "", "service", "list", personA); got.code != ExitOK || !strings.Contains(got.out, "不再接受：来访") || !strings.Contains(got.out, "没有服务记录") {
		t.Errorf("list: %+v", got)
	}
	got = s.run(t, "", "service", "standing", personA, "--kind", "药具")
	if r := last[*ledgerv1.SetStandingRefusalRequest](t, s); got.code != ExitOK || !r.GetRefused() || r.GetKind() != ledgerv1.ServiceKind_SERVICE_KIND_CONTRACEPTIVES || !strings.Contains(got.out, "已登记") {
		t.Errorf("standing: %+v, %v", got, r)
	}
	got = s.run(t, "", "service", "standing", personA, "--lift")
	if r := last[*ledgerv1.SetStandingRefusalRequest](t, s); got.code != ExitOK || r.GetRefused() || !strings.Contains(got.out, "已取消") {
		t.Errorf("lifted: %+v, %v", got, r)
	}
}

func TestServiceImport(t *testing.T) {
	s := newScripted(t)
	file := filepath.Join(t.TempDir(), "服务.csv")
	text := "人员编号,服务类别,结果,日期,方式\n" +
		personA + ",三查,谢绝,2026-11-03,上门\n" +
		personA + ",药具,已服务,2026/11/4,窗口\n" +
		"测试甲,三查,谢绝,2026-11-03,上门\n" +
		personA + ",三查,谢绝,,上门\n" +
		personA + ",三查,谢绝,2026-11-03,上门\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	dry := s.run(t, "", "service", "import", file, "--dry-run")
	if dry.code != ExitPartly || !strings.Contains(dry.out, "共 5 行，可读 3 行，有误 2 行") || len(s.got) != 0 {
		t.Errorf("dry run: %+v", dry)
	}
	got := s.run(t, "", "service", "import", file)
	for _, line := range []string{"第 4 行 未办理：“人员编号”应为 32 位人员编号", "第 5 行 未办理：“日期”不能为空", "第 3 行 未办理：“期次”该轮次不在办理期内（ROUND_OVER）"} {
		if !strings.Contains(got.err, line) {
			t.Errorf("no %q in %s", line, got.err)
		}
	}
	if got.code != ExitPartly || !strings.Contains(got.out, "共 5 行：已登记 2，未办理 3") || strings.Contains(got.err+got.out, "测试甲") {
		t.Errorf("import: %+v", got)
	}
	sent := last[*ledgerv1.BatchRecordServicesRequest](t, s).GetServices()
	if len(sent) != 3 || sent[1].GetDate() != "2026-11-04" || sent[1].GetChannel() != "counter" || sent[0].GetResult() != "declined" {
		t.Fatalf("sent %v", sent)
	}
	if sent[0].GetRequestId() == sent[2].GetRequestId() {
		t.Error("equal rows have one request id")
	}
	s.run(t, "", "service", "import", file)
	if d := cmp.Diff(sent, last[*ledgerv1.BatchRecordServicesRequest](t, s).GetServices(), protocmp.Transform()); d != "" {
		t.Errorf("the same file again: %s", d)
	}
	if got = s.run(t, "x", "service", "import", "-"); got.code == ExitOK || !strings.Contains(got.err, "没有找到表头") {
		t.Errorf("no header: %+v", got)
	}
}
