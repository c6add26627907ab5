package cli

import (
	"bufio"
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
)

// TodoCommand groups the commands on what waits for an office.
type TodoCommand struct {
	Remote
	List    TodoListCommand    `cmd:"" help:"列出待办，最急的在前|List what waits, least time left first"`
	Counts  TodoCountsCommand  `cmd:"" help:"各类待办的件数|Count what waits by kind"`
	Ack     TodoAckCommand     `cmd:"" help:"签阅一个案件的答复或反馈|Take note of an answer or feedback"`
	Preview TodoPreviewCommand `cmd:"" help:"预览批量操作（不改变任何内容）|Show what a bulk action would do"`
	Apply   TodoApplyCommand   `cmd:"" help:"执行预览过的批量操作|Do what a preview showed"`
	Undo    TodoUndoCommand    `cmd:"" help:"撤销批量操作（24 小时内）|Undo a bulk action, within 24 hours"`
}

var todoKinds = labels[ledgerv1.TodoKind]{
	{ledgerv1.TodoKind_TODO_KIND_DISTRIBUTE, "distribute", "待分发"},
	{ledgerv1.TodoKind_TODO_KIND_PAIR, "pair", "待配对"},
	{ledgerv1.TodoKind_TODO_KIND_ANSWER, "answer", "待核实反馈"},
	{ledgerv1.TodoKind_TODO_KIND_OFFER, "offer", "待告知"},
	{ledgerv1.TodoKind_TODO_KIND_READ_ANSWER, "read_answer", "答复待阅"},
	{ledgerv1.TodoKind_TODO_KIND_READ_FEEDBACK, "read_feedback", "反馈待阅"},
	{ledgerv1.TodoKind_TODO_KIND_CORRECTION, "correction", "更正"},
	{ledgerv1.TodoKind_TODO_KIND_DUPLICATE, "duplicate", "疑似重复"},
	{ledgerv1.TodoKind_TODO_KIND_APPROVE, "approve", "待审批"},
	{ledgerv1.TodoKind_TODO_KIND_CERTIFICATE, "certificate", "证明到期"},
	{ledgerv1.TodoKind_TODO_KIND_REROUTE, "reroute", "待改派"},
}

var bulkActions = labels[ledgerv1.BulkAction]{
	{ledgerv1.BulkAction_BULK_ACTION_ACKNOWLEDGE, "ack", "签阅"},
	{ledgerv1.BulkAction_BULK_ACTION_PAIR, "pair", "配对"},
	{ledgerv1.BulkAction_BULK_ACTION_DISTRIBUTE, "distribute", "分发"},
}

func (e *Env) todos() (ledgerv1.TodoServiceClient, error) {
	c, err := e.Conn()
	return ledgerv1.NewTodoServiceClient(c), err
}

// TodoListCommand lists what waits.
type TodoListCommand struct {
	Office    string   `help:"只看此单位|Only of this office"`
	Kind      []string `help:"只看这些类型|Only these kinds"`
	PageSize  int32    `default:"50" help:"每页条数，至多 200|Entries of a page, at most 200"`
	PageToken string   `help:"上一页给出的续页标记|Token of the page before"`
	All       bool     `help:"读完所有页|All pages"`
	Purposed
}

// Run lists the entries, page after page with --all.
func (c *TodoListCommand) Run(ctx context.Context, e *Env) error {
	req := &ledgerv1.ListTodosRequest{Office: c.Office, PageSize: c.PageSize, PageToken: c.PageToken, Purpose: c.Purpose}
	for _, word := range c.Kind {
		kind, err := todoKinds.pick(e, "--kind", word)
		if err != nil {
			return err
		}
		req.Kinds = append(req.Kinds, kind)
	}
	if c.All {
		req.PageSize = 200
	}
	s, err := e.todos()
	if err != nil {
		return err
	}
	t := &table{head: []string{e.T("类型", "KIND"), e.T("剩余时间", "TIME LEFT"), e.T("对象", "SUBJECT"), e.T("案件", "CASE KIND"),
		e.T("对方", "OTHER AREA"), e.T("数量", "N"), e.T("编号", "CASE OR REFERENCE"), e.T("单位", "OFFICE")}, right: map[int]bool{5: true}}
	for {
		resp, err := s.ListTodos(ctx, req)
		if err != nil {
			return err
		}
		if e.JSON {
			if err := lines(e, resp.GetTodos()); err != nil {
				return err
			}
		}
		for _, one := range resp.GetTodos() {
			t.add(e.todoRow(one, time.Now())...)
		}
		req.PageToken = resp.GetNextPageToken()
		if req.PageToken == "" || !c.All {
			break
		}
		e.Note("已读 %d 条……", "%d read …", len(t.rows))
	}
	if !e.JSON {
		if len(t.rows) == 0 {
			e.say("没有待办", "Nothing waits")
		} else if err := t.write(e.Out); err != nil {
			return err
		}
	}
	if req.PageToken != "" {
		e.Note("还有下一页：--page-token %s（或 --all）", "There is more: --page-token %s (or --all)", req.PageToken)
	}
	return nil
}

func (e *Env) todoRow(t *ledgerv1.Todo, now time.Time) []string {
	what := t.GetCaseId()
	if what == "" {
		what = strings.Join(t.GetRefs(), " ")
	}
	kind := t.GetCaseKind()
	for _, k := range kinds {
		if k.word == kind {
			kind = e.T(k.zh, k.word)
		}
	}
	return []string{todoKinds.name(t.GetKind(), e.Lang), e.timeLeft(t.GetDueAt(), now), t.GetSubject(), kind, place(t.GetCounterpart()),
		e.howMany(t.GetN(), t.GetMore()), what, place(t.GetOffice())}
}

func (e *Env) howMany(n int64, more bool) string {
	switch {
	case n == 0:
		return ""
	case more:
		return e.T("超过 ", "over ") + itoa(n)
	}
	return itoa(n)
}

// timeLeft says how long there is until due, in days where it is a day or more.
func (e *Env) timeLeft(due *timestamppb.Timestamp, now time.Time) string {
	if due == nil {
		return e.T("无期限", "no limit")
	}
	left := due.AsTime().Sub(now)
	text := func(d time.Duration) string {
		const day = 24 * time.Hour
		if d >= day {
			return itoa(int64(d/day)) + e.T(" 天", "d")
		}
		return span(d.Truncate(time.Minute), e.Lang)
	}
	if left < 0 {
		return e.T("已逾期 ", "overdue by ") + text(-left)
	}
	return e.T("还剩 ", "left: ") + text(left)
}

// TodoCountsCommand counts what waits.
type TodoCountsCommand struct {
	Office string `help:"只看此单位|Only of this office"`
}

// Run prints a line for each kind that waits.
func (c *TodoCountsCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.todos()
	if err != nil {
		return err
	}
	resp, err := s.CountTodos(ctx, &ledgerv1.CountTodosRequest{Office: c.Office})
	if err != nil {
		return err
	}
	if e.JSON {
		return lines(e, resp.GetCounts())
	}
	if len(resp.GetCounts()) == 0 {
		e.say("没有待办", "Nothing waits")
		return nil
	}
	t := &table{head: []string{e.T("类型", "KIND"), e.T("件数", "N"), e.T("其中逾期", "OVERDUE")}, right: map[int]bool{1: true, 2: true}}
	for _, n := range resp.GetCounts() {
		t.add(todoKinds.name(n.GetKind(), e.Lang), e.howMany(n.GetN(), n.GetMore()), e.howMany(n.GetOverdue(), n.GetMore() && n.GetOverdue() == n.GetN()))
	}
	return t.write(e.Out)
}

// TodoAckCommand takes note of one case.
type TodoAckCommand struct {
	Ref
	Write
}

// Run takes note of what came.
func (c *TodoAckCommand) Run(ctx context.Context, e *Env) error {
	ref, err := c.resolve(ctx, e)
	if err != nil {
		return err
	}
	s, err := e.todos()
	if err != nil {
		return err
	}
	resp, err := s.AcknowledgeCase(ctx, &ledgerv1.AcknowledgeCaseRequest{RequestId: c.id(), CaseId: ref.GetCaseId(), Etag: ref.GetEtag()})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	e.say("已签阅：%s@%s", "Noted: %s@%s", ref.GetCaseId(), resp.GetEtag())
	return nil
}

// TodoPreviewCommand shows what a bulk action would do.
type TodoPreviewCommand struct {
	Action string   `arg:"" help:"操作：ack（签阅）、pair（配对）或 distribute（分发）|ack, pair or distribute"`
	Cases  []string `arg:"" optional:"" help:"案件编号；- 从标准输入逐行读取；不写则为最先适用的 1000 件|Case ids; - reads lines from standard input; none: the first 1,000 that fit"`
	Office string   `help:"单位|Office"`
	Purposed
}

// Run prints the plan and how to go on.
func (c *TodoPreviewCommand) Run(ctx context.Context, e *Env) error {
	action, err := bulkActions.pick(e, e.T("操作", "ACTION"), c.Action)
	if err != nil {
		return err
	}
	req := &ledgerv1.PreviewActionRequest{Office: c.Office, Action: action, Purpose: c.Purpose}
	if req.CaseIds, err = caseIDs(e, c.Cases); err != nil {
		return err
	}
	s, err := e.todos()
	if err != nil {
		return err
	}
	resp, err := s.PreviewAction(ctx, req)
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	t := &table{head: []string{e.T("编号", "CASE"), e.T("对象", "SUBJECT"), e.T("将要办理", "WOULD"), e.T("不办理的原因", "LEFT OUT")}}
	n := 0
	for _, p := range resp.GetChanges() {
		if p.GetLeftOut() == "" {
			n++
		}
		t.add(p.GetCaseId(), p.GetSubject(), p.GetChange(), p.GetLeftOut())
	}
	if len(t.rows) > 0 {
		if err := t.write(e.Out); err != nil {
			return err
		}
	}
	if n == 0 {
		e.say("没有可以办理的案件", "Nothing would be done")
		return nil
	}
	undo := e.T("执行后 24 小时内可撤销", "can be undone for 24 hours")
	if !resp.GetUndoable() {
		undo = e.T("执行后不能撤销", "cannot be undone")
	}
	e.say("将办理 %d 件，%s。15 分钟内执行：yipan todo apply %s", "%d would be done; %s. Within 15 minutes: yipan todo apply %s", n, undo, resp.GetPlanToken())
	return nil
}

// caseIDs reads case ids from words or, for "-", from standard input.
func caseIDs(e *Env, words []string) ([]string, error) {
	if len(words) != 1 || words[0] != "-" {
		return words, nil
	}
	var ids []string
	in := bufio.NewScanner(e.In)
	for in.Scan() {
		if id, _, _ := strings.Cut(strings.TrimSpace(in.Text()), "@"); id != "" {
			ids = append(ids, id)
		}
	}
	if err := in.Err(); err != nil {
		return nil, usage(e, "标准输入无法读取：%v", "cannot read standard input: %v", err)
	}
	if len(ids) == 0 {
		return nil, usage(e, "没有案件", "there are no cases")
	}
	return ids, nil
}

// TodoApplyCommand does what a preview showed.
type TodoApplyCommand struct {
	Plan string `arg:"" help:"预览给出的标记|Token of the preview"`
	Write
}

// Run applies the plan.
func (c *TodoApplyCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.todos()
	if err != nil {
		return err
	}
	resp, err := s.ApplyAction(ctx, &ledgerv1.ApplyActionRequest{RequestId: c.id(), PlanToken: c.Plan})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	refused := e.showApplied(resp.GetChanges())
	e.say("已办理 %d 件，未办理 %d 件。如需撤销（分发不能撤销）：yipan todo undo %s", "%d done, %d refused. To undo (not a distribution): yipan todo undo %s",
		len(resp.GetChanges())-refused, refused, resp.GetActionId())
	return outcome(refused, len(resp.GetChanges()))
}

// TodoUndoCommand undoes a bulk action.
type TodoUndoCommand struct {
	Action string `arg:"" help:"执行时给出的编号|Id that apply gave"`
	Write
}

// Run undoes the action.
func (c *TodoUndoCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.todos()
	if err != nil {
		return err
	}
	resp, err := s.UndoAction(ctx, &ledgerv1.UndoActionRequest{RequestId: c.id(), ActionId: c.Action})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	refused := e.showApplied(resp.GetChanges())
	e.say("已撤销 %d 件，未撤销 %d 件", "%d undone, %d refused", len(resp.GetChanges())-refused, refused)
	return outcome(refused, len(resp.GetChanges()))
}

// showApplied prints what was refused and returns how many were.
func (e *Env) showApplied(cs []*ledgerv1.AppliedChange) int {
	refused := 0
	for _, c := range cs {
		if c.GetReason() != "" {
			refused++
			e.Note("%s 未办理：%s", "%s refused: %s", c.GetCaseId(), plain(c.GetMessage()+e.T("（代码 ", " (")+c.GetReason()+e.T("）", ")")))
		}
	}
	return refused
}
