package cli

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	casesv1 "yipan/internal/gen/yipan/cases/v1"
)

// CaseAnswerCommand answers one case.
type CaseAnswerCommand struct {
	Ref
	Outcome     string   `required:"" help:"结果：residing、not_found、moved_on、misrouted、no_disclosure、confirmed……|Outcome: residing, not_found, moved_on, misrouted, no_disclosure, confirmed, …"`
	Area        string   `help:"moved_on、misrouted、registered_elsewhere 所述地区|Area of moved_on, misrouted, registered_elsewhere"`
	DuplicateOf string   `placeholder:"ID" help:"重复的案件编号|Case of which this is a duplicate"`
	Attempts    uint32   `help:"unreachable：联系次数|unreachable: attempts made"`
	Channel     []string `help:"unreachable：联系方式 visit、phone、message、letter|unreachable: visit, phone, message, letter"`
	Conflict    []string `help:"identity_conflict：不一致的字段名|identity_conflict: names of fields"`
	Reason      string   `help:"cannot、partly 的原因代码|Reason code of cannot, partly"`
	Check       string   `help:"核实方式：visit（上门）、call（电话）、document（核对证件）|Recorded check: visit, call, document"`
	Basis       string   `help:"本人授权依据：request、consent:编号|The person's own basis: request, consent:ID"`
	TrueReason  string   `help:"no_disclosure 的真实原因（只留本单位）：declined（拒绝）、withheld（依法不提供）、unavailable（无资料）、not_offered（未询问）|True reason of no_disclosure (stays here): declined, withheld, unavailable, not_offered"`
	Write
}

// Run answers the case.
func (c *CaseAnswerCommand) Run(ctx context.Context, e *Env) error {
	outcome, err := outcomes.pick(e, "--outcome", c.Outcome)
	if err != nil {
		return err
	}
	b, err := basis(e, c.Basis)
	if err != nil {
		return err
	}
	ref, err := c.resolve(ctx, e)
	if err != nil {
		return err
	}
	s, err := e.cases()
	if err != nil {
		return err
	}
	resp, err := s.AnswerCase(ctx, &casesv1.AnswerCaseRequest{RequestId: c.id(), Ref: ref, Answer: &casesv1.Answer{
		Outcome: outcome, Area: c.Area, DuplicateOf: c.DuplicateOf, Attempts: c.Attempts, Channels: c.Channel,
		ConflictFields: c.Conflict, Reason: c.Reason, Check: c.Check, Basis: b, TrueReason: c.TrueReason,
	}})
	if err == nil && !e.JSON {
		e.warn(resp.GetWarnings())
	}
	return show(e, &c.Write, resp, err)
}

// CaseAnswerBatchCommand answers cases from a CSV file.
type CaseAnswerBatchCommand struct {
	File string `arg:"" help:"CSV 文件，首行为列名：case_id、etag、outcome，可有 area、check、reason、true_reason、basis、attempts、channels、conflict_fields、duplicate_of；多个值用分号隔开|CSV with a header: case_id, etag, outcome, and optionally area, check, reason, true_reason, basis, attempts, channels, conflict_fields, duplicate_of; several values with semicolons"`
}

var answerColumns = map[string]string{
	"case_id": "case_id", "案件编号": "case_id", "编号": "case_id", "etag": "etag", "outcome": "outcome", "结果": "outcome",
	"area": "area", "地区": "area", "check": "check", "核实方式": "check", "reason": "reason", "原因": "reason",
	"true_reason": "true_reason", "真实原因": "true_reason", "basis": "basis", "依据": "basis",
	"attempts": "attempts", "联系次数": "attempts", "channels": "channels", "联系方式": "channels",
	"conflict_fields": "conflict_fields", "不一致字段": "conflict_fields", "duplicate_of": "duplicate_of", "重复案件": "duplicate_of",
}

// Run reads the whole file first; a line that cannot be read sends nothing.
func (c *CaseAnswerBatchCommand) Run(ctx context.Context, e *Env) error {
	rows, where, err := c.requests(e)
	if err != nil {
		return err
	}
	s, err := e.cases()
	if err != nil {
		return err
	}
	refused, done := 0, 0
	for start := 0; start < len(rows); start += maxRefs {
		chunk := rows[start:min(start+maxRefs, len(rows))]
		resp, err := s.BatchAnswerCases(ctx, &casesv1.BatchAnswerCasesRequest{Requests: chunk})
		if err != nil {
			e.Note("中断前已处理 %d 行；重做同一文件不会重复办理", "%d rows were done before; the same file again does nothing twice", done)
			return err
		}
		n, err := e.showChanges(resp.GetResults(), func(i int32) string {
			if n := start + int(i); n < len(where) {
				return strconv.Itoa(where[n])
			}
			return "?"
		})
		if err != nil {
			return err
		}
		refused, done = refused+n, done+len(chunk)
		e.Note("已处理 %d / %d 行", "%d of %d rows", done, len(rows))
	}
	if !e.JSON {
		e.say("已答复 %d 件，未办理 %d 件", "%d answered, %d refused", done-refused, refused)
	}
	return outcome(refused, done)
}

// requests reads the file: the requests, and the line of each.
func (c *CaseAnswerBatchCommand) requests(e *Env) ([]*casesv1.AnswerCaseRequest, []int, error) {
	b, err := e.read(c.File)
	if err != nil {
		return nil, nil, err
	}
	if !utf8.Valid(b) {
		return nil, nil, usage(e, "%s 不是 UTF-8 编码：请在 Excel 中另存为“CSV UTF-8”", "%s is not UTF-8", c.File)
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(b), "\ufeff")))
	head, err := r.Read()
	if err != nil {
		return nil, nil, usage(e, "%s 中没有内容", "%s is empty", c.File)
	}
	names := make([]string, len(head))
	have := map[string]bool{}
	for i, h := range head {
		h = strings.ToLower(strings.TrimSpace(h))
		names[i] = answerColumns[h]
		if names[i] == "" || have[names[i]] {
			return nil, nil, usage(e, "第 1 行：不认识或重复的列 %q", "line 1: unknown or repeated column %q", h)
		}
		have[names[i]] = true
	}
	for _, need := range []string{"case_id", "etag", "outcome"} {
		if !have[need] {
			return nil, nil, usage(e, "第 1 行：缺少列 %s", "line 1: column %s is missing", need)
		}
	}
	var rows []*casesv1.AnswerCaseRequest
	var where []int
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			at, _ := errors.AsType[*csv.ParseError](err)
			if at == nil {
				return nil, nil, err
			}
			return nil, nil, usage(e, "第 %d 行：CSV 格式有误（列数或引号）", "line %d: malformed CSV (columns or quotes)", at.Line)
		}
		line, _ := r.FieldPos(0)
		cell := make(map[string]string, len(names))
		for i, v := range record {
			cell[names[i]] = strings.TrimSpace(v)
		}
		req, err := answerRow(e, line, cell)
		if err != nil {
			return nil, nil, err
		}
		rows, where = append(rows, req), append(where, line)
	}
	if len(rows) == 0 {
		return nil, nil, usage(e, "%s 中没有数据行", "%s holds no rows", c.File)
	}
	return rows, where, nil
}

func answerRow(e *Env, line int, cell map[string]string) (*casesv1.AnswerCaseRequest, error) {
	at := func(zh, en string) error {
		return usage(e, "第 %d 行：%s", "line %d: %s", line, e.T(zh, en))
	}
	if cell["case_id"] == "" || cell["etag"] == "" || cell["outcome"] == "" {
		return nil, at("case_id、etag、outcome 都要填写", "case_id, etag and outcome must be given")
	}
	o, err := outcomes.pick(e, e.T("第 "+strconv.Itoa(line)+" 行 outcome", "line "+strconv.Itoa(line)+": outcome"), cell["outcome"])
	if err != nil {
		return nil, err
	}
	b, err := basis(e, cell["basis"])
	if err != nil {
		return nil, at("依据应写成 request 或 consent:编号", "a basis is request or consent:ID")
	}
	var attempts uint64
	if cell["attempts"] != "" {
		if attempts, err = strconv.ParseUint(cell["attempts"], 10, 16); err != nil {
			return nil, at("联系次数不是数字", "attempts is not a number")
		}
	}
	req := &casesv1.AnswerCaseRequest{
		Ref: &casesv1.CaseRef{CaseId: cell["case_id"], Etag: cell["etag"]},
		Answer: &casesv1.Answer{
			Outcome: o, Area: cell["area"], DuplicateOf: cell["duplicate_of"], Attempts: uint32(attempts),
			Channels: several(cell["channels"]), ConflictFields: several(cell["conflict_fields"]),
			Reason: cell["reason"], Check: cell["check"], Basis: b, TrueReason: cell["true_reason"],
		},
	}
	req.RequestId = contentID("ans-", req, 0)
	return req, nil
}

func several(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ';' || r == '；' || r == '、' || r == ' ' })
}

// contentID derives a request id from what a request says, so that the same row
// sent again has the same id wherever in a file it stands. nth tells equal rows
// of one file apart, from 0.
func contentID(prefix string, m proto.Message, nth int) string {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		// Only text that is not UTF-8 does this, and the readers refuse it.
		b = []byte(err.Error())
	}
	h := sha256.Sum256(append(b, strconv.Itoa(nth)...))
	return prefix + hex.EncodeToString(h[:16])
}
