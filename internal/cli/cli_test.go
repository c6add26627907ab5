package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"yipan/internal/fault"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
)

func TestOutput(t *testing.T) {
	s := newScripted(t)
	for _, tt := range []struct {
		args string
		want string // standard output, whole
	}{
		{"case list", `编号                              类型      状态    等待      对方             期限              对象       备注
0123456789abcdef0123456789abcdef  流出通报  待答复  等接收方  临安区 3:330112  2026-11-02 09:30  测** 1990
`},
		{"case list --all --lang en", `CASE                              KIND     STATE     WAITING    OTHER AREA       DUE               SUBJECT    REMARKS
0123456789abcdef0123456789abcdef  outflow  open      residence  临安区 3:330112  2026-11-02 09:30  测** 1990
fedcba9876543210fedcba9876543210  birth    answered             临安区 3:330112  2026-11-02 09:30  测** 1990
`},
		{"case get " + caseA, `编号        0123456789abcdef0123456789abcdef
版本标识    e1
类型        流出通报
状态        待答复
轮次        1
等待        等接收方
开立方      习水县 3:520330
接收方      临安区 3:330112
对方已签收  2026-11-02 09:30
期限        2026-11-02 09:30
对象        测** 1990
`},
		{"case trace " + caseA, `记录时间          事项  一方    节点             轮  对方已签收        备注
2026-11-02 09:30  开立  开立方  习水县 3:520330   1  2026-11-02 09:30
2026-11-02 09:30  答复  接收方  临安区 3:330112   1                    已作废
等接收方：2天1小时
`},
		{"case watch --count 2", "0123456789abcdef0123456789abcdef  已答复  习水县 3:520330\nfedcba9876543210fedcba9876543210  已答复  习水县 3:520330\n"},
		{"case watch --for 300ms --json", `{"caseId":"0123456789abcdef0123456789abcdef","state":"STATE_ANSWERED","office":"3:520330","etag":""}
{"caseId":"fedcba9876543210fedcba9876543210","state":"STATE_ANSWERED","office":"3:520330","etag":""}
`},
		{"rates", `期间：2026-11
指标    地区    类型      分子 / 分母      %  不计入        逾期
办证率  习水县  合计      1631 / 1677  97.26
反馈率  习水县  流出通报        0 / 0      —  到期前撤回 3  开立方 1、接收方 2
`},
		{"signals", `月份：2026-11
单位    迹象          件数 / 总数  判定规则
习水县  全部查无此人      24 / 24  全部
以上只是需要了解情况的线索，针对单位的工作，不是结论，也不针对个人
`},
		{"peers", `节点      名称    未签收     最久  已签收  被拒收  对帐补齐    往返  最近来件          最近对平
3:330112  临安区      12  1分30秒    3994       0         0  8 毫秒  2026-11-02 09:30
对方尚无节点、在此等候：2 件
`},
		{"resend --dry-run", "会重发 12 件（试运行，未发送）\n"},
		{"resend --json", "{\"items\":\"12\"}\n"},
		{"consent list --person " + caseB + " --lang en", "ENDS"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			got := s.run(t, "", strings.Fields(tt.args)...)
			if got.code != ExitOK {
				t.Fatalf("exit %d: %s", got.code, got.err)
			}
			if tt.want == "ENDS" {
				if !strings.Contains(got.out, "confirm_residence") {
					t.Errorf("output %q", got.out)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got.out); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}

// Changes without an etag act on the case as it is read; with one, on that.
func TestRefs(t *testing.T) {
	s := newScripted(t)
	for _, tt := range []struct{ arg, etag string }{{caseA, "e1"}, {caseA + "@e7", "e7"}} {
		got := s.run(t, "", "case", "withdraw", tt.arg, "--reason", "本人要求", "--request-id", "wd-000001")
		if got.code != ExitOK || !strings.Contains(got.out, "已撤回") {
			t.Fatalf("%+v", got)
		}
		want := &casesv1.WithdrawCaseRequest{RequestId: "wd-000001", Reason: "本人要求", Ref: &casesv1.CaseRef{CaseId: caseA, Etag: tt.etag}}
		if diff := cmp.Diff(want, last[*casesv1.WithdrawCaseRequest](t, s), protocmp.Transform()); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
	}
	if m := s.meta.Get("authorization"); len(m) != 1 || m[0] != "Bearer yp1_example" {
		t.Errorf("authorization has %d values", len(m))
	}
}

func TestWrites(t *testing.T) {
	s := newScripted(t)
	got := s.run(t, "", "case", "open", "--kind", "流出通报", "--destination", "3:330112", "--name", "测试甲", "--event-date", "2026-11-01",
		"--basis", "duty:joint-service", "--request-id", "open-0001", "--certificate-asked-on", "2026-10-01")
	if got.code != ExitOK || !strings.Contains(got.err, "提醒：证件校验码不符") {
		t.Fatalf("%+v", got)
	}
	want := &casesv1.OpenCaseRequest{RequestId: "open-0001", Kind: casesv1.Kind_KIND_OUTFLOW, Destination: "3:330112", CertificateAskedOn: "2026-10-01",
		Fields: &casesv1.Fields{Name: "测试甲", EventDate: "2026-11-01", Basis: &casesv1.Basis{Kind: casesv1.BasisKind_BASIS_KIND_DUTY, Duty: "duty:joint-service"}}}
	if diff := cmp.Diff(want, last[*casesv1.OpenCaseRequest](t, s), protocmp.Transform()); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
	got = s.run(t, `{"requestId":"open-0001","kind":"KIND_OUTFLOW","destination":"3:330112","certificateAskedOn":"2026-10-01",
		"fields":{"name":"测试甲","eventDate":"2026-11-01","basis":{"kind":"BASIS_KIND_DUTY","duty":"duty:joint-service"}}}`, "case", "open", "--from", "-")
	if got.code != ExitOK {
		t.Fatalf("%+v", got)
	}
	if diff := cmp.Diff(want, last[*casesv1.OpenCaseRequest](t, s), protocmp.Transform()); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}

	got = s.run(t, "", "case", "answer", caseA+"@e1", "--outcome", "RESIDING", "--check", "visit", "--basis", "consent:"+consentA, "--request-id", "answer-1")
	if got.code != ExitOK || !strings.Contains(got.out, "在住") {
		t.Fatalf("%+v", got)
	}
	answer := last[*casesv1.AnswerCaseRequest](t, s).GetAnswer()
	if answer.GetOutcome() != casesv1.Outcome_OUTCOME_RESIDING || answer.GetBasis().GetConsentId() != consentA {
		t.Errorf("answer %v", answer)
	}

	got = s.run(t, "", "feedback", caseA+"@e1", "--round", "20261", "--result", "done", "--date", "2026-11-05", "--finding", "a=b", "--finding", "c=d")
	if got.code != ExitOK {
		t.Fatalf("%+v", got)
	}
	offer := last[*casesv1.RecordOfferRequest](t, s)
	if diff := cmp.Diff(map[string]string{"a": "b", "c": "d"}, offer.GetFindings()); diff != "" || offer.GetOfferRound() != 20261 || len(offer.GetRequestId()) < 8 {
		t.Errorf("offer %v %s", offer, diff)
	}

	text := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(text, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	got = s.run(t, "", "consent", "record", "--person", caseB, "--recipient", "3:330112", "--purpose", "confirm_residence", "--text-version", "v1",
		"--text-file", text, "--given-how", "paper", "--given-at", "2026-11-02 09:30", "--valid-until", "2026-12-31", "--json")
	if got.code != ExitOK || !strings.Contains(got.err, "没有这个版本的文本") || strings.Contains(got.out, "没有这个版本的文本") {
		t.Fatalf("%+v", got)
	}
	consent := last[*consentv1.RecordConsentRequest](t, s).GetConsent()
	if consent.GetTextSha256() != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" ||
		!consent.GetGivenAt().AsTime().Equal(day0.AsTime()) ||
		!consent.GetValidUntil().AsTime().Equal(time.Date(2026, 12, 31, 15, 59, 59, 0, time.UTC)) {
		t.Errorf("consent %v", consent)
	}
}

func TestDistribute(t *testing.T) {
	s := newScripted(t)
	list := s.run(t, "", "case", "list", "--all", "--json")
	if got := s.run(t, list.out, "case", "distribute", "-", "--township", "4:330112001"); got.code != ExitOK || got.out != "已分发 2 件，未办理 0 件\n" {
		t.Errorf("piped: %+v", got)
	}
	if refs := last[*casesv1.DistributeCasesRequest](t, s).GetCases(); len(refs) != 2 || refs[1].GetCaseId() != caseB || refs[1].GetEtag() != "e1" {
		t.Errorf("refs %v", refs)
	}
	got := s.run(t, "", "case", "distribute", caseA+"@old", caseB+"@e1", "--township", "4:330112001")
	if got.code != ExitPartly || !strings.Contains(got.err, "第 1 行 未办理：案件已有变化（ETAG_STALE，字段 版本标识）") {
		t.Errorf("one stale: %+v", got)
	}
	if got := s.run(t, "", "case", "distribute", caseA+"@old", "--township", "4:330112001"); got.code != ExitFailed {
		t.Errorf("all stale: %+v", got)
	}
}

func TestAnswerBatch(t *testing.T) {
	s := newScripted(t)
	head := "\ufeff案件编号,etag,结果,核实方式,真实原因,联系方式,attempts\r\n"
	rows := head + caseA + ",e1,查无此人,visit,,,\r\n" + caseB + ",old,unreachable,,,visit;phone,3\r\n"
	name := filepath.Join(t.TempDir(), "answers.csv")
	if err := os.WriteFile(name, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	got := s.run(t, "", "case", "answer-batch", name)
	if got.code != ExitPartly || got.out != "已答复 1 件，未办理 1 件\n" || !strings.Contains(got.err, "第 3 行 未办理") {
		t.Fatalf("%+v", got)
	}
	first := last[*casesv1.BatchAnswerCasesRequest](t, s)
	if a := first.GetRequests()[1].GetAnswer(); a.GetOutcome() != casesv1.Outcome_OUTCOME_UNREACHABLE || a.GetAttempts() != 3 || len(a.GetChannels()) != 2 {
		t.Errorf("answer %v", a)
	}
	s.run(t, rows, "case", "answer-batch", "-")
	if diff := cmp.Diff(first, last[*casesv1.BatchAnswerCasesRequest](t, s), protocmp.Transform()); diff != "" {
		t.Errorf("the same file again has other requests:\n%s", diff)
	}
	for _, tt := range []struct{ name, in, want string }{
		{"no column", "case_id,etag\nx,y\n", "缺少列 outcome"},
		{"unknown column", "case_id,etag,outcome,colour\n", "不认识或重复的列"},
		{"twice", "case_id,编号,etag,outcome\n", "不认识或重复的列"},
		{"empty", "", "没有内容"},
		{"no rows", "case_id,etag,outcome\n", "没有数据行"},
		{"short row", "case_id,etag,outcome\nx,y\n", "第 2 行"},
		{"quotes", "case_id,etag,outcome\nx,\"y,z\n", "CSV 格式有误"},
		{"no etag", "case_id,etag,outcome\nx,,residing\n", "第 2 行：case_id、etag、outcome 都要填写"},
		{"outcome", "case_id,etag,outcome\nx,y,perhaps\n", "第 2 行 outcome 只能是"},
		{"attempts", "case_id,etag,outcome,attempts\nx,y,unreachable,-1\n", "联系次数不是数字"},
		{"basis", "case_id,etag,outcome,basis\nx,y,residing,consent\n", "第 2 行：依据"},
		{"GBK", "case_id,etag,outcome\nx,y,\xd4\xda\xd7\xa1\n", "不是 UTF-8"},
	} {
		before := len(s.got)
		if got := s.run(t, tt.in, "case", "answer-batch", "-"); got.code != ExitUsage || !strings.Contains(got.err, tt.want) {
			t.Errorf("%s: %+v", tt.name, got)
		}
		if len(s.got) != before {
			t.Errorf("%s: something was sent", tt.name)
		}
	}
}

func TestExits(t *testing.T) {
	s := newScripted(t)
	closed := runWith(map[string]string{"YIPAN_ADDR": "127.0.0.1:1", "YIPAN_TOKEN_FILE": s.token}, "", "peers")
	if closed.code != ExitUnavailable || !strings.Contains(closed.err, "连不上节点") {
		t.Errorf("nobody listens: %+v", closed)
	}
	untrusted := runWith(map[string]string{"YIPAN_ADDR": s.addr, "YIPAN_TOKEN_FILE": s.token}, "", "peers")
	if untrusted.code != ExitUnavailable || !strings.Contains(untrusted.err, "--ca") {
		t.Errorf("unknown certificate: %+v", untrusted)
	}
	for _, tt := range []struct {
		name string
		fail map[string]error
		args string
		code int
		err  []string
	}{
		{"unknown command", nil, "case fetch", ExitUsage, []string{"不认识的参数", "yipan case --help"}},
		{"no command", nil, "case", ExitUsage, []string{"请写明命令"}},
		{"unknown flag", nil, "peers --colour", ExitUsage, []string{"不认识的选项 --colour"}},
		{"unknown flag in English", nil, "peers --colour --lang en", ExitUsage, []string{"Error: unknown flag --colour", "see yipan peers --help"}},
		{"missing flag", nil, "case close x@y", ExitUsage, []string{"缺少选项：--reason"}},
		{"missing argument", nil, "case get", ExitUsage, []string{"缺少"}},
		{"bad duration", nil, "peers --timeout soon", ExitUsage, []string{"应为时长"}},
		{"bad kind", nil, "case list --kind foo", ExitUsage, []string{"--kind 只能是", "流出通报"}},
		{"bad basis", nil, "case open --kind outflow --destination 3:330112 --basis consent", ExitUsage, []string{"依据应写成"}},
		{"bad date", nil, "case list --due-before yesterday", ExitUsage, []string{"--due-before"}},
		{"no token file", nil, "peers --token-file /nonexistent/token", ExitUsage, []string{"令牌文件"}},
		{"refused", map[string]error{"GetCase": refusal(codes.NotFound, "no case", "CASE_NOT_FOUND", "case_id", "没有这个案件")}, "case get x", ExitFailed,
			[]string{"错误：没有这个案件", "项目 案件编号；代码 CASE_NOT_FOUND", "怎么办：核对编号"}},
		{"refused in English", map[string]error{"GetCase": refusal(codes.NotFound, "no case", "CASE_NOT_FOUND", "case_id", "没有这个案件")}, "case get x --lang en", ExitFailed,
			[]string{"Error: no case", "reason CASE_NOT_FOUND"}},
		{"stale", map[string]error{"WithdrawCase": refusal(codes.Aborted, "stale", "ETAG_STALE", "", "案件已有变化")}, "case withdraw x@y --reason r", ExitFailed, []string{"重新查看后再办"}},
		{"unknown fate", map[string]error{"WithdrawCase": status.Error(codes.Unavailable, "gone")}, "case withdraw x@y --reason r --request-id req-12345", ExitUnavailable,
			[]string{"连不上节点（gone）", "--request-id req-12345"}},
		{"no such verb", nil, "case pair x@y", ExitFailed, []string{"该节点不支持此命令"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.fail = tt.fail
			got := s.run(t, "", strings.Fields(tt.args)...)
			if got.code != tt.code || got.out != "" {
				t.Errorf("exit %d, output %q; want %d and none\n%s", got.code, got.out, tt.code, got.err)
			}
			for _, want := range tt.err {
				if !strings.Contains(got.err, want) {
					t.Errorf("error %q lacks %q", got.err, want)
				}
			}
		})
	}
	s.fail = map[string]error{"GetCase": refusal(codes.NotFound, "no case", "CASE_NOT_FOUND", "case_id", "没有这个案件")}
	var said struct{ Error account }
	if err := json.Unmarshal([]byte(s.run(t, "", "case", "get", "x", "--json").err), &said); err != nil || said.Error.Reason != "CASE_NOT_FOUND" || said.Error.Field != "case_id" {
		t.Errorf("as JSON: %+v, %v", said, err)
	}
}

// What cmd/yipan's local commands return has its exit code too.
func TestExitCode(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, ExitOK},
		{errors.New("x"), ExitFailed},
		{fault.Invalid("X", "x"), ExitFailed},
		{fmt.Errorf("start: %w", fault.Unavailable("X", "x")), ExitUnavailable},
		{&writeError{err: status.Error(codes.ResourceExhausted, "x")}, ExitUnavailable},
		{outcome(0, 3), ExitOK},
		{outcome(1, 3), ExitPartly},
		{outcome(3, 3), ExitFailed},
	} {
		if got := ExitCode(tt.err); got != tt.want {
			t.Errorf("ExitCode(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
	var b strings.Builder
	Explain(&b, fault.Conflict("CASE_CLOSED", "closed").Zh("案件已注销"), Chinese)
	if want := "错误：案件已注销\n  代码 CASE_CLOSED\n"; b.String() != want {
		t.Errorf("Explain wrote %q, want %q", b.String(), want)
	}
}

func TestHelp(t *testing.T) {
	for _, tt := range []struct {
		args       string
		want, none []string
	}{
		{"", []string{"用法：yipan <命令>", "案件：开立", "\n命令：\n"}, []string{"Cases:", "Usage"}},
		{"case import --help", []string{"参数：", "名册 CSV", "选项："}, []string{"Arguments", "Errors of"}},
		{"case import --help --lang en", []string{"Usage: yipan case import", "Rows of a call"}, []string{"名册"}},
	} {
		got := runWith(nil, "", strings.Fields(tt.args)...)
		if got.code != ExitOK || got.err != "" {
			t.Errorf("%q: exit %d, %s", tt.args, got.code, got.err)
		}
		for _, w := range tt.want {
			if !strings.Contains(got.out, w) {
				t.Errorf("%q: help lacks %q:\n%s", tt.args, w, got.out)
			}
		}
		for _, w := range tt.none {
			if strings.Contains(got.out, w) {
				t.Errorf("%q: help has %q:\n%s", tt.args, w, got.out)
			}
		}
	}
}

func TestColumns(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "习水县": 6, "a习": 3, "—": 1, "𠮷野家": 6, "（": 2, "e\u0301": 1, "买买提·江": 9} {
		if got := columns(s); got != want {
			t.Errorf("columns(%q) = %d, want %d", s, got, want)
		}
	}
}

// localCommand stands for a command of cmd/yipan.
type localCommand struct {
	Port int `help:"端口|Port"`
}

func (c *localCommand) Run(ctx context.Context, e *Env, name string) error {
	if e.JSON || ctx.Err() != nil {
		return errors.New("not what was asked for")
	}
	fmt.Fprintln(e.Out, name, c.Port, e.T("好", "well"))
	return fault.Unavailable("BROKER_AWAY", "no broker").Zh("交换平台未启动")
}

// A program sets its own commands beside those over gRPC.
func TestEmbedded(t *testing.T) {
	var app struct {
		Globals
		Commands
		Hub localCommand `cmd:"" help:"运行交换平台|Run the hub"`
	}
	var out, errs strings.Builder
	code := Execute(t.Context(), "yipan", "一盘棋|One chessboard", &app, []string{"hub", "--port", "4222"}, Std{Out: &out, Err: &errs}, "bound")
	if code != ExitUnavailable || out.String() != "bound 4222 好\n" || !strings.Contains(errs.String(), "错误：交换平台未启动") {
		t.Errorf("exit %d, output %q, error %q", code, out.String(), errs.String())
	}
}
