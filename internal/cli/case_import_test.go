package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
)

const (
	rosterHead = "类别,姓名,证件号码,联系电话,可否致电,流出日期,户籍地,现居住地,依据,同意核实,同意书文本版本,申请办证日期,发证日期\n"
	rosterA    = "流出,测试甲,11010519491231002X,13800000000,是,2026-10-01,520330001,330112,本人申请,是,v1,2026-09-01,2026-09-02\n"
	rosterB    = "流入,测试乙,440524188001010014,,,2026-10-02,330112,520330001,政策职责:joint-service,否,,,\n"
	rosterBad  = "流出,测试丙,810000199001010019,,,2026-13-02,520330001,330112,本人申请,否,,,\n"
	rosterFar  = "流出,测试丁,830000199001010020,,,2026-10-02,520330001,330110,本人申请,否,,,\n"
)

func roster4(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "roster.csv")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestImport(t *testing.T) {
	s := newScripted(t)
	name := roster4(t, rosterHead+rosterA+rosterBad+rosterB+rosterFar)
	got := s.run(t, "", "case", "import", name, "--errors")
	if got.code != ExitPartly || got.out != "共 4 行：新开立 2，此前已开立 0，未办理 2\n" {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{"第 3 行 未办理：“流出日期”", "第 5 行 未办理：对方不受理（PEER_REFUSED，字段 接收方）", "4 行中有 2 行未办理"} {
		if !strings.Contains(got.err, want) {
			t.Errorf("standard error lacks %q:\n%s", want, got.err)
		}
	}
	batch := last[*casesv1.BatchOpenCasesRequest](t, s).GetRequests()
	if len(batch) != 3 {
		t.Fatalf("%d requests", len(batch))
	}
	wantA := &casesv1.OpenCaseRequest{RequestId: batch[0].GetRequestId(), Kind: casesv1.Kind_KIND_OUTFLOW, Origin: "4:520330001", Destination: "3:330112",
		CertificateAskedOn: "2026-09-01", CertificateIssuedOn: "2026-09-02", Fields: &casesv1.Fields{
			Name: "测试甲", Document: "11010519491231002X", Contact: "13800000000", ContactSafe: true, EventDate: "2026-10-01",
			Basis: &casesv1.Basis{Kind: casesv1.BasisKind_BASIS_KIND_REQUEST}, ConfirmConsentId: consentA}}
	if diff := cmp.Diff(wantA, batch[0], protocmp.Transform()); diff != "" {
		t.Errorf("outflow (-want +got):\n%s", diff)
	}
	// An inflow is opened where the person lives, and addressed to the origin.
	if b := batch[1]; b.GetOrigin() != "4:520330001" || b.GetDestination() != "3:330112" || b.GetFields().GetBasis().GetDuty() != "duty:joint-service" {
		t.Errorf("inflow %s → %s, %v", b.GetOrigin(), b.GetDestination(), b.GetFields().GetBasis())
	}

	errs, err := os.ReadFile(strings.TrimSuffix(name, ".csv") + ".errors.csv")
	if err != nil {
		t.Fatal(err)
	}
	if text := string(errs); !strings.HasPrefix(text, "\ufeff行号,原因,字段,说明\n3,") || !strings.Contains(text, "5,PEER_REFUSED,destination,对方不受理\n") {
		t.Errorf("file of errors: %q", text)
	}
	for _, secret := range []string{"测试丙", "810000199001010019", "2026-13-02"} {
		if strings.Contains(string(errs)+got.err+got.out, secret) {
			t.Error("a cell's value is repeated")
		}
	}
}

// The same rows open nothing twice, wherever they stand and whatever was
// recorded between.
func TestImportAgain(t *testing.T) {
	s := newScripted(t)
	if got := s.run(t, "", "case", "import", roster4(t, rosterHead+rosterA+rosterB), "--no-consents"); got.code != ExitOK {
		t.Fatalf("%+v", got)
	}
	if r := last[*casesv1.BatchOpenCasesRequest](t, s).GetRequests()[0]; r.GetFields().GetConfirmConsentId() != "" {
		t.Error("a consent was looked up in spite of --no-consents")
	}
	mended := strings.Replace(rosterBad, "2026-13-02", "2026-10-02", 1)
	got := s.run(t, rosterHead+mended+rosterB+rosterA, "case", "import", "-", "--batch", "2", "--json")
	if got.code != ExitOK {
		t.Fatalf("%+v", got)
	}
	out := strings.Split(strings.TrimSpace(got.out), "\n")
	if len(out) != 4 || out[3] != `{"summary":{"rows":3,"readable":3,"opened":1,"repeated":2,"refused":0,"warned":0}}` ||
		!strings.HasPrefix(out[0], `{"line":2,"caseId":"`) || !strings.Contains(out[1], `"repeated":true`) {
		t.Errorf("output %q", got.out)
	}
}

// Two equal rows are two requests; what they mean is for the desk to say. The
// reader lets one through only, so that this is seen at the mapping.
func TestImportEqualRows(t *testing.T) {
	req := &casesv1.OpenCaseRequest{Destination: "3:330112"}
	ids := map[string]bool{contentID("csv-", req, 0): true, contentID("csv-", req, 1): true, contentID("csv-", &casesv1.OpenCaseRequest{}, 0): true}
	for id := range ids {
		if len(id) < 8 || len(id) > 64 {
			t.Errorf("request id %q has %d characters", id, len(id))
		}
	}
	if len(ids) != 3 {
		t.Errorf("ids repeat: %v", ids)
	}
}

func TestImportWithoutConsent(t *testing.T) {
	s := newScripted(t)
	s.fail = map[string]error{"ListConsents": refusal(codes.NotFound, "nobody", "PERSON_NOT_FOUND", "", "没有此人")}
	got := s.run(t, rosterHead+rosterA, "case", "import", "-")
	if got.code != ExitOK || !strings.Contains(got.err, "第 2 行 提醒：名册写明本人同意核实") {
		t.Errorf("%+v", got)
	}
	s.fail = map[string]error{"ListConsents": refusal(codes.PermissionDenied, "no", "NOT_ALLOWED", "", "没有权限")}
	before := len(s.open)
	if got := s.run(t, rosterHead+rosterA, "case", "import", "-"); got.code != ExitFailed || len(s.open) != before {
		t.Errorf("consents denied: %+v", got)
	}
}

func TestImportFails(t *testing.T) {
	s := newScripted(t)
	for _, tt := range []struct {
		name, in string
		args     []string
		fail     error
		code     int
		want     string
	}{
		{"no such column", "姓名,年龄\n测试甲,3\n", nil, nil, ExitFailed, "ROSTER_COLUMN"},
		{"workbook", "PK\x03\x04xx", nil, nil, ExitFailed, "CSV UTF-8"},
		{"quotes", rosterHead + "流出,\"测试甲,1\n", nil, nil, ExitFailed, "引号"},
		{"all unreadable", rosterHead + rosterBad, nil, nil, ExitFailed, "全部未办理"},
		{"batch", rosterHead + rosterA, []string{"--batch", "1001"}, nil, ExitUsage, "1 到 1000"},
		{"errors of standard input", rosterHead + rosterA, []string{"--errors"}, nil, ExitUsage, "--errors"},
		{"broken off", rosterHead + rosterA, nil, status.Error(codes.Unavailable, "gone"), ExitUnavailable, "不会重复开立"},
		{"refused as a whole", rosterHead + rosterA, nil, refusal(codes.PermissionDenied, "no", "NOT_ALLOWED", "", "没有权限"), ExitFailed, "没有权限"},
		{"dry run", rosterHead + rosterA + rosterBad, []string{"--dry-run"}, nil, ExitPartly, "2 行中有 1 行未办理"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.fail, s.got = map[string]error{"BatchOpenCases": tt.fail}, nil
			got := s.run(t, tt.in, append([]string{"case", "import", "-"}, tt.args...)...)
			if got.code != tt.code || !strings.Contains(got.err, tt.want) {
				t.Errorf("%+v; want exit %d and %q", got, tt.code, tt.want)
			}
			if len(s.open) != 0 {
				t.Error("something was opened")
			}
		})
	}
	s.run(t, rosterHead+rosterA, "case", "import", "-", "--dry-run")
	for _, m := range s.got {
		if _, ok := m.(*consentv1.ListConsentsRequest); ok {
			t.Error("a dry run asked the node")
		}
	}
}
