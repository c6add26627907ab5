package cli

import (
	"bufio"
	"context"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	casesv1 "yipan/internal/gen/yipan/cases/v1"
)

// Ref names one case and the state in which it was seen.
type Ref struct {
	Case string `arg:"" help:"案件编号，或 编号@etag|Case id, or id@etag"`
	Etag string `help:"所见版本；不写则先读取一次再办|Etag as seen; without it the case is read first"`
}

const maxRefs = 1000 // of one call

// resolve returns the reference. Without an etag it reads the case, and says on
// standard error in what state it found it.
func (r *Ref) resolve(ctx context.Context, e *Env) (*casesv1.CaseRef, error) {
	id, etag, _ := strings.Cut(r.Case, "@")
	if r.Etag != "" {
		etag = r.Etag
	}
	if etag != "" {
		return &casesv1.CaseRef{CaseId: id, Etag: etag}, nil
	}
	s, err := e.cases()
	if err != nil {
		return nil, err
	}
	resp, err := s.GetCase(ctx, &casesv1.GetCaseRequest{CaseId: id, Purpose: e.T("命令行办理前查看", "seen before a change")})
	if err != nil {
		return nil, err
	}
	c := resp.GetCase()
	if !e.JSON {
		e.Note("按现状办理：%s %s 第 %d 轮", "As it stands: %s, %s, round %d",
			kinds.name(c.GetKind(), e.Lang), states.name(c.GetState(), e.Lang), c.GetRound())
	}
	return &casesv1.CaseRef{CaseId: c.GetCaseId(), Etag: c.GetEtag()}, nil
}

// show prints the case of an answer, or the answer as JSON.
func show[R interface {
	GetCase() *casesv1.Case
	message
}](e *Env, w *Write, resp R, err error) error {
	if err != nil {
		return w.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	return e.showCase(resp.GetCase())
}

// Reasoned are the flags of changes that need no more than a reason.
type Reasoned struct {
	Ref
	Reason string `required:"" help:"原因（不写个人信息）|Why, without personal data"`
	Write
}

func (r *Reasoned) begin(ctx context.Context, e *Env) (casesv1.CaseServiceClient, *casesv1.CaseRef, error) {
	ref, err := r.resolve(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	s, err := e.cases()
	return s, ref, err
}

// CaseWithdrawCommand takes a case back.
type CaseWithdrawCommand struct{ Reasoned }

// Run withdraws the case.
func (c *CaseWithdrawCommand) Run(ctx context.Context, e *Env) error {
	s, ref, err := c.begin(ctx, e)
	if err != nil {
		return err
	}
	resp, err := s.WithdrawCase(ctx, &casesv1.WithdrawCaseRequest{RequestId: c.id(), Ref: ref, Reason: c.Reason})
	return show(e, &c.Write, resp, err)
}

// CaseDisputeCommand disputes an answer.
type CaseDisputeCommand struct{ Reasoned }

// Run disputes the answer.
func (c *CaseDisputeCommand) Run(ctx context.Context, e *Env) error {
	s, ref, err := c.begin(ctx, e)
	if err != nil {
		return err
	}
	resp, err := s.DisputeCase(ctx, &casesv1.DisputeCaseRequest{RequestId: c.id(), Ref: ref, Reason: c.Reason})
	return show(e, &c.Write, resp, err)
}

// CaseCloseCommand closes a case.
type CaseCloseCommand struct{ Reasoned }

// Run closes the case.
func (c *CaseCloseCommand) Run(ctx context.Context, e *Env) error {
	s, ref, err := c.begin(ctx, e)
	if err != nil {
		return err
	}
	resp, err := s.CloseCase(ctx, &casesv1.CloseCaseRequest{RequestId: c.id(), Ref: ref, Reason: c.Reason})
	return show(e, &c.Write, resp, err)
}

// CaseReopenCommand reopens a case.
type CaseReopenCommand struct{ Reasoned }

// Run reopens the case.
func (c *CaseReopenCommand) Run(ctx context.Context, e *Env) error {
	s, ref, err := c.begin(ctx, e)
	if err != nil {
		return err
	}
	resp, err := s.ReopenCase(ctx, &casesv1.ReopenCaseRequest{RequestId: c.id(), Ref: ref, Reason: c.Reason})
	return show(e, &c.Write, resp, err)
}

// CaseRerouteCommand opens a case anew towards another area.
type CaseRerouteCommand struct {
	Ref
	Destination string `required:"" help:"正确的区划|The right area"`
	Write
}

// Run reroutes the case and shows the new one.
func (c *CaseRerouteCommand) Run(ctx context.Context, e *Env) error {
	ref, err := c.resolve(ctx, e)
	if err != nil {
		return err
	}
	s, err := e.cases()
	if err != nil {
		return err
	}
	resp, err := s.RerouteCase(ctx, &casesv1.RerouteCaseRequest{RequestId: c.id(), Ref: ref, Destination: c.Destination})
	return show(e, &c.Write, resp, err)
}

// CaseDistributeCommand gives cases to a township.
type CaseDistributeCommand struct {
	Cases    []string `arg:"" help:"案件编号或 编号@etag；- 从标准输入逐行读取（case list --json 的输出也可）|Case ids or id@etag; - reads lines from standard input, those of case list --json too"`
	Township string   `required:"" help:"乡镇（街道）区划|The township"`
	Write
}

// Run distributes in calls of at most 1,000 cases.
func (c *CaseDistributeCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.cases()
	if err != nil {
		return err
	}
	refs, err := c.refs(ctx, e)
	if err != nil {
		return err
	}
	base, refused, done := c.id(), 0, 0
	for start := 0; start < len(refs); start += maxRefs {
		chunk := refs[start:min(start+maxRefs, len(refs))]
		req := &casesv1.DistributeCasesRequest{RequestId: base, Cases: chunk, Township: c.Township}
		if start > 0 {
			req.RequestId = base + "-" + strconv.Itoa(start/maxRefs)
		}
		resp, err := s.DistributeCases(ctx, req)
		if err != nil {
			return c.done(err)
		}
		n, err := e.showChanges(resp.GetResults(), func(i int32) string { return strconv.Itoa(start + int(i) + 1) })
		if err != nil {
			return err
		}
		refused, done = refused+n, done+len(chunk)
	}
	if !e.JSON {
		e.say("已分发 %d 件，未办理 %d 件", "%d given away, %d refused", done-refused, refused)
	}
	return outcome(refused, done)
}

func (c *CaseDistributeCommand) refs(ctx context.Context, e *Env) ([]*casesv1.CaseRef, error) {
	words := c.Cases
	if len(words) == 1 && words[0] == "-" {
		words = nil
		lines := bufio.NewScanner(e.In)
		lines.Buffer(nil, maxMessage)
		for lines.Scan() {
			word := strings.TrimSpace(lines.Text())
			if strings.HasPrefix(word, "{") {
				ref := &casesv1.CaseRef{}
				if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(word), ref); err != nil {
					return nil, usage(e, "第 %d 行不是案件", "line %d is no case", len(words)+1)
				}
				word = ref.GetCaseId() + "@" + ref.GetEtag()
			}
			if word != "" {
				words = append(words, strings.Join(strings.Fields(word), "@"))
			}
		}
		if err := lines.Err(); err != nil {
			return nil, usage(e, "标准输入无法读取：%v", "cannot read standard input: %v", err)
		}
	}
	if len(words) == 0 {
		return nil, usage(e, "没有案件", "there are no cases")
	}
	refs := make([]*casesv1.CaseRef, len(words))
	for i, w := range words {
		var err error
		if refs[i], err = (&Ref{Case: w}).resolve(ctx, e); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// showChanges prints the result of each change and returns how many were
// refused. where names a row for people.
func (e *Env) showChanges(rs []*casesv1.ChangeResult, where func(int32) string) (int, error) {
	refused := 0
	for _, r := range rs {
		if r.GetError() != nil {
			refused++
		}
		if e.JSON {
			if err := e.line(r); err != nil {
				return 0, err
			}
			continue
		}
		if x := r.GetError(); x != nil {
			e.Note("第 %s 行 未办理：%s", "row %s refused: %s", where(r.GetIndex()), e.itemError(x))
		}
		for _, w := range r.GetWarnings() {
			e.Note("第 %s 行 提醒：%s", "row %s note: %s", where(r.GetIndex()), plain(w))
		}
	}
	return refused, nil
}

// itemError is the refusal of one of many in one line.
func (e *Env) itemError(x *casesv1.ItemError) string {
	s := x.GetMessage() + e.T("（", " (") + x.GetReason()
	if x.GetField() != "" {
		s += e.T("，字段 ", ", field ") + e.fieldWord(x.GetField())
	}
	return plain(s + e.T("）", ")"))
}
