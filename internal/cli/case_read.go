package cli

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	casesv1 "yipan/internal/gen/yipan/cases/v1"
)

// Purposed are the flags of every read of persons.
type Purposed struct {
	Purpose string `help:"查阅目的，记入访问日志|Why it is read; goes to the access log"`
}

// CaseGetCommand reads one case.
type CaseGetCommand struct {
	Case   string `arg:"" help:"案件编号|Case id"`
	Unmask bool   `help:"显示未配对通报的全部字段（另记一笔日志）|Show all fields of an unpaired notice; logged apart"`
	Purposed
}

// Run shows the case.
func (c *CaseGetCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.cases()
	if err != nil {
		return err
	}
	resp, err := s.GetCase(ctx, &casesv1.GetCaseRequest{CaseId: c.Case, Unmask: c.Unmask, Purpose: c.Purpose})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp.GetCase())
	}
	return e.showCase(resp.GetCase())
}

// CaseListCommand lists cases.
type CaseListCommand struct {
	Kind        string   `help:"类型|Kind"`
	State       []string `help:"状态：open（待答复，默认）、answered、rerouted、withdrawn、closed|States (default: open)"`
	Side        string   `help:"本单位是 opener（开立方）还是 receiver（接收方）|This office's side: opener or receiver"`
	Waiting     string   `help:"在等谁：origin、transport、county、residence|On whose side it waits"`
	DueBefore   string   `placeholder:"2006-01-02" help:"在此之前到期|Due before"`
	Office      string   `help:"只看此单位|Only of this office"`
	Counterpart string   `help:"只看与此地区往来的|Only with this other area or within it"`
	PageSize    int32    `default:"50" help:"每页件数，至多 1000|Cases of a page, at most 1,000"`
	PageToken   string   `help:"上一页给出的续页标记|Token of the page before"`
	All         bool     `help:"读完所有页；不写 --state 时连同已答复、已结束的|All pages; without --state those answered or ended too"`
	Purposed
}

// Run lists the cases, page after page with --all.
func (c *CaseListCommand) Run(ctx context.Context, e *Env) error {
	req, err := c.request(e)
	if err != nil {
		return err
	}
	s, err := e.cases()
	if err != nil {
		return err
	}
	t := e.caseTable()
	for {
		resp, err := s.ListCases(ctx, req)
		if err != nil {
			return err
		}
		if e.JSON {
			if err := lines(e, resp.GetCases()); err != nil {
				return err
			}
		}
		for _, one := range resp.GetCases() {
			t.add(e.caseRow(one)...)
		}
		req.PageToken = resp.GetNextPageToken()
		if req.PageToken == "" || !c.All {
			break
		}
		e.Note("已读 %d 件……", "%d read …", len(t.rows))
	}
	if !e.JSON {
		if len(t.rows) == 0 && len(c.State) == 0 && !c.All {
			e.say("没有待答复的案件；已答复、已结束的用 --all 或 --state 查看", "No open cases; see the others by --all or --state")
		} else if len(t.rows) == 0 {
			e.say("没有案件", "No cases")
		} else if err := t.write(e.Out); err != nil {
			return err
		}
	}
	if req.PageToken != "" {
		e.Note("还有下一页：--page-token %s（或 --all）", "There is more: --page-token %s (or --all)", req.PageToken)
	}
	return nil
}

func (c *CaseListCommand) request(e *Env) (*casesv1.ListCasesRequest, error) {
	kind, err := kinds.pick(e, "--kind", c.Kind)
	if err != nil {
		return nil, err
	}
	side, err := sides.pick(e, "--side", c.Side)
	if err != nil {
		return nil, err
	}
	waiting, err := waitings.pick(e, "--waiting", c.Waiting)
	if err != nil {
		return nil, err
	}
	due, err := instant(e, "--due-before", c.DueBefore, false)
	if err != nil {
		return nil, err
	}
	req := &casesv1.ListCasesRequest{
		PageSize: c.PageSize, PageToken: c.PageToken, Kind: kind, Side: side, Waiting: waiting, DueBefore: due,
		Office: c.Office, Counterpart: c.Counterpart, Purpose: c.Purpose,
	}
	for _, word := range c.State {
		state, err := states.pick(e, "--state", word)
		if err != nil {
			return nil, err
		}
		req.States = append(req.States, state)
	}
	switch {
	case c.All:
		req.PageSize = max(c.PageSize, 500)
	case len(c.State) == 0:
		req.States = []casesv1.State{casesv1.State_STATE_OPEN}
	}
	return req, nil
}

// CaseTraceCommand shows the timeline of a case.
type CaseTraceCommand struct {
	Case string `arg:"" help:"案件编号|Case id"`
	Purposed
}

// Run shows the timeline.
func (c *CaseTraceCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.cases()
	if err != nil {
		return err
	}
	resp, err := s.TraceCase(ctx, &casesv1.TraceCaseRequest{CaseId: c.Case, Purpose: c.Purpose})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	t := &table{head: []string{e.T("记录时间", "RECORDED"), e.T("事项", "ITEM"), e.T("一方", "SIDE"), e.T("节点", "NODE"),
		e.T("轮", "ROUND"), e.T("对方已签收", "DELIVERED"), e.T("备注", "REMARKS")}, right: map[int]bool{4: true}}
	for _, ev := range resp.GetEvents() {
		var marks []string
		if ev.GetRejected() != "" {
			marks = append(marks, e.T("对方拒收：", "rejected: ")+ev.GetRejected())
		}
		if ev.GetRevoked() {
			marks = append(marks, e.T("已作废", "revoked"))
		}
		if ev.GetErased() {
			marks = append(marks, e.T("内容已删除", "erased"))
		}
		t.add(when(ev.GetRecordedAt()), e.itemKind(ev.GetKind()), sides.name(ev.GetSide(), e.Lang), place(ev.GetNode()),
			itoa(int64(ev.GetRound())), when(ev.GetDeliveredAt()), strings.Join(marks, e.T("；", "; ")))
	}
	if err := t.write(e.Out); err != nil {
		return err
	}
	for _, st := range resp.GetSideTimes() {
		e.say("%s：%s", "%s: %s", waitings.name(st.GetWaiting(), e.Lang), span(time.Duration(st.GetSeconds())*time.Second, e.Lang))
	}
	return nil
}

var itemKinds = map[string]string{"OPEN": "开立", "CORRECT": "更正", "WITHDRAW": "撤回", "ANSWER": "答复", "CLOSE": "注销",
	"REOPEN": "回档", "ASSIGN": "分发", "FEEDBACK": "反馈", "REVOKE": "作废", "RECEIPT": "签收"}

func (e *Env) itemKind(k string) string {
	if zh := itemKinds[k]; zh != "" {
		return e.T(zh, k)
	}
	return k
}

// CaseWatchCommand shows changes as they come.
type CaseWatchCommand struct {
	Office string        `help:"只看此单位|Only of this office"`
	For    time.Duration `placeholder:"DURATION" help:"看这么久后结束（默认一直看）|End after this long (default: never)"`
	Count  int           `help:"看到这么多个变化后结束|End after this many changes"`
}

// Run prints a line for each change until it is interrupted.
func (c *CaseWatchCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.cases()
	if err != nil {
		return err
	}
	if c.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.For)
		defer cancel()
	}
	stream, err := s.WatchCases(ctx, &casesv1.WatchCasesRequest{Office: c.Office})
	if err != nil {
		return err
	}
	e.Note("等待变化……（Ctrl-C 结束）", "Waiting for changes … (Ctrl-C ends)")
	for n := 0; c.Count <= 0 || n < c.Count; n++ {
		change, err := stream.Recv()
		code, _ := codeOf(err)
		switch {
		case errors.Is(err, io.EOF), ctx.Err() != nil, err != nil && c.For > 0 && code == codes.DeadlineExceeded:
			return nil
		case err != nil:
			return err
		}
		if e.JSON {
			if err := e.line(change); err != nil {
				return err
			}
			continue
		}
		e.say("%s  %s  %s", "%s  %s  %s", change.GetCaseId(), states.name(change.GetState(), e.Lang), place(change.GetOffice()))
	}
	return nil
}

func (e *Env) caseTable() *table {
	return &table{head: []string{e.T("编号", "CASE"), e.T("类型", "KIND"), e.T("状态", "STATE"), e.T("等待", "WAITING"),
		e.T("对方", "OTHER AREA"), e.T("期限", "DUE"), e.T("对象", "SUBJECT"), e.T("备注", "REMARKS")}}
}

func (e *Env) caseRow(c *casesv1.Case) []string {
	other := c.GetOrigin()
	if c.GetSide() == casesv1.Side_SIDE_OPENER {
		other = c.GetDestination()
	}
	return []string{c.GetCaseId(), kinds.name(c.GetKind(), e.Lang), states.name(c.GetState(), e.Lang), waitings.name(c.GetWaiting(), e.Lang),
		place(other), until(c.GetDueAt()), c.GetSubject(), strings.Join(e.remarks(c), e.T("、", ", "))}
}

func (e *Env) remarks(c *casesv1.Case) []string {
	var marks []string
	mark := func(on bool, zh, en string) {
		if on {
			marks = append(marks, e.T(zh, en))
		}
	}
	mark(c.GetNoNodeYet(), "对方尚无节点", "no node yet")
	mark(c.GetExtendedDays() > 0, "期限已顺延", "due put off")
	mark(c.GetPaired(), "已配对", "paired")
	mark(c.GetDisputed(), "存疑", "disputed")
	mark(c.GetAnsweredOnOlderFields(), "按旧信息答复", "answered on older fields")
	mark(c.GetWithdrawalCrossed(), "撤回与答复交错", "withdrawal crossed the answer")
	return marks
}

// showCase prints one case, a line for each thing that is known.
func (e *Env) showCase(c *casesv1.Case) error {
	t := &table{}
	add := func(zh, en, v string) {
		if v != "" {
			t.add(e.T(zh, en), v)
		}
	}
	add("编号", "case", c.GetCaseId())
	add("版本标识", "etag", c.GetEtag())
	add("类型", "kind", kinds.name(c.GetKind(), e.Lang))
	add("状态", "state", states.name(c.GetState(), e.Lang))
	add("轮次", "round", itoa(int64(c.GetRound())))
	add("等待", "waiting", waitings.name(c.GetWaiting(), e.Lang))
	add("开立方", "origin", place(c.GetOrigin()))
	add("接收方", "destination", place(c.GetDestination()))
	if c.GetAssignedTo() != "" {
		add("分发至", "assigned to", place(c.GetAssignedTo()))
	}
	add("开立时间", "opened", when(c.GetOpenedAt()))
	add("对方已签收", "delivered", when(c.GetDeliveredAt()))
	add("期限", "due", until(c.GetDueAt()))
	if n := c.GetExtendedDays(); n > 0 {
		add("期限顺延", "put off", e.T(itoa(int64(n))+" 天：", itoa(int64(n))+" days: ")+strings.Join(c.GetExtensionReasons(), e.T("；", "; ")))
	}
	add("答复时间", "answered", when(c.GetAnsweredAt()))
	add("上一案件", "parent", c.GetParentCaseId())
	add("对象", "subject", c.GetSubject())
	if c.GetSide() == casesv1.Side_SIDE_RECEIVER && c.GetState() == casesv1.State_STATE_OPEN && !c.GetMayConfirm() {
		add("注意", "note", e.T("本人未同意被核实：在住、查无、迁往、无法联系都将改为“本人未授权共享”发出", "no consent to be confirmed: RESIDING, NOT_FOUND, MOVED_ON and UNREACHABLE leave as NO_DISCLOSURE"))
	}
	if f := c.GetFields(); f != nil {
		add("姓名", "name", f.GetName())
		add("证件", "document", f.GetDocument())
		add("出生日期", "birth date", f.GetBirthDate())
		add("联系方式", "contact", f.GetContact())
		add("离开/到达", "event day", f.GetEventDate())
		add("依据", "basis", bases.name(f.GetBasis().GetKind(), e.Lang))
		add("事项", "request", f.GetRequest())
		add("证明编号", "certificate", f.GetCertificate())
	}
	if a := c.GetAnswer(); a != nil {
		add("答复", "answer", outcomes.name(a.GetOutcome(), e.Lang))
		if a.GetArea() != "" {
			add("所述地区", "area named", place(a.GetArea()))
		}
		add("核实方式", "check", e.word(checkNames, a.GetCheck()))
		add("答复原因", "reason", a.GetReason())
		var conflicts []string
		for _, f := range a.GetConflictFields() {
			conflicts = append(conflicts, e.fieldWord(f))
		}
		add("不一致的项目", "conflicts", strings.Join(conflicts, " "))
	}
	for _, f := range c.GetFeedback() {
		text := e.T("本人未授权共享", "not disclosed")
		if f.GetReleased() {
			text = ""
			for _, k := range slices.Sorted(maps.Keys(f.GetFields())) {
				text += e.word(findingNames, k) + e.T("：", "=") + f.GetFields()[k] + " "
			}
		}
		add("三查反馈", "feedback", itoa(int64(f.GetOfferRound()))+" "+text)
	}
	add("备注", "remarks", strings.Join(e.remarks(c), e.T("、", ", ")))
	return t.write(e.Out)
}
