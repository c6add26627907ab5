package cli

import (
	"context"
	"slices"
	"strings"

	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/ledger"
)

// MoveCommand groups the commands on movements.
type MoveCommand struct {
	Remote
	Leave    MoveLeaveCommand    `cmd:"" help:"登记流出（户籍在本地的人离开）|Register that somebody registered here left"`
	Arrive   MoveArriveCommand   `cmd:"" help:"登记流入（外地户籍的人到来）|Register that somebody arrived"`
	On       MoveOnCommand       `cmd:"" help:"登记再流动（从现居住地又去了别处）|Register that somebody moved on"`
	Return   MoveReturnCommand   `cmd:"" help:"登记返回户籍地|Register that somebody returned"`
	Transfer MoveTransferCommand `cmd:"" help:"登记户口迁移|Register that the place of registration changed"`
	Identity MoveIdentityCommand `cmd:"" help:"登记姓名或证件变更|Register a new name or ID number"`
	Death    MoveDeathCommand    `cmd:"" help:"登记死亡|Register a death"`
	List     MoveListCommand     `cmd:"" help:"查看一人的流动记录|The movements of one person"`
	Undo     MoveUndoCommand     `cmd:"" help:"撤销误登的流动，所发通报随之撤回|Take back a movement, and its notice with it"`
	Approve  MoveApproveCommand  `cmd:"" help:"以第二人身份批准向第四个目的地通报|Approve, as a second user, a fourth destination"`
}

func (e *Env) movements() (ledgerv1.MovementServiceClient, error) {
	c, err := e.Conn()
	return ledgerv1.NewMovementServiceClient(c), err
}

// MoveFlags are the flags of every registration. What is typed here stays in the
// shell's history, hence --from.
type MoveFlags struct {
	From       string `placeholder:"FILE" help:"从 JSON 文件读取整个流动内容（- 为标准输入）|Read the whole movement from JSON (- is standard input)"`
	Office     string `help:"登记单位|Office"`
	Person     string `placeholder:"ID" help:"台帐中的人员编号|Person of the ledger"`
	Name       string `help:"姓名（新登记或变更后）|Name, where new"`
	Document   string `help:"证件号码（新登记或变更后）|ID document number, where new"`
	Confirmed  string `name:"document-confirmed" placeholder:"理由" help:"证件号码校验位不符但确认无误的理由（留存）|Why a number whose check digit fails is right all the same (recorded)"`
	Sex        uint32 `help:"性别（GB/T 2261.1；可由身份证推得）|Sex, GB/T 2261.1 (derived from a resident ID)"`
	Birth      string `placeholder:"2006-01-02" help:"出生日期（可由身份证推得）|Birth date (derived from a resident ID)"`
	Registered string `placeholder:"AREA" help:"户籍地|Place of registration"`
	Living     string `placeholder:"AREA" help:"现居住地|Place of living"`
	Phone      string `help:"本人留下的电话|Telephone the person gave"`
	PhoneSafe  bool   `help:"可以安全联系|It is safe to call"`
	Day        string `placeholder:"2006-01-02" help:"发生日期|Day on which it happened"`
	FromArea   string `placeholder:"AREA" help:"来自何处（不写则按档案）|Where from (else as the file says)"`
	To         string `placeholder:"AREA" help:"去往何处（不清楚则不写）|Where to (leave out if unknown)"`
	Basis      string `placeholder:"BASIS" help:"通报依据：request（本人申请）、consent:编号、duty:名称；不写则只在本地登记|By what right a notice leaves: request, consent:ID or duty:NAME; without one it stays here"`
	Confirm    string `placeholder:"ID" help:"允许对方确认去向的同意书编号|Consent under which whereabouts may be confirmed"`
	Objects    bool   `help:"本人不同意通报：只在本地登记|The person objects: filed here, no notice leaves"`
	Approval   string `placeholder:"ID" help:"第二人的审批编号（第四个目的地）|Approval of a second user, for a fourth destination"`
	Asked      string `name:"certificate-asked-on" placeholder:"2006-01-02" help:"申请婚育证明之日（只留在本单位）|Day a certificate was asked for (stays here)"`
	Issued     string `name:"certificate-issued-on" placeholder:"2006-01-02" help:"发证之日（只留在本单位）|Day it was issued (stays here)"`
	Write
}

// profiled reports whether anything is said of who it is.
func (c *MoveFlags) profiled() bool {
	return c.Name != "" || c.Document != "" || c.Confirmed != "" || c.Sex != 0 || c.Birth != "" || c.Registered != "" || c.Living != "" || c.Phone != ""
}

func (c *MoveFlags) request(e *Env, kind ledgerv1.MovementKind) (*ledgerv1.MovementInput, error) {
	if c.From != "" {
		if c.profiled() || c.Person != "" || c.Day != "" || c.To != "" || c.FromArea != "" {
			return nil, usage(e, "--from 不能与其他内容选项同时使用", "--from takes no other content flags beside it")
		}
		in := &ledgerv1.MovementInput{}
		if err := e.message(c.From, in); err != nil {
			return nil, err
		}
		if in.GetKind() != 0 && in.GetKind() != kind {
			return nil, usage(e, "文件中的流动类型与命令不符", "the file names another kind of movement")
		}
		if c.RequestID == "" {
			c.RequestID = in.GetRequestId()
		}
		in.RequestId, in.Kind = c.id(), kind
		return in, nil
	}
	switch {
	case c.Person == "" && c.Name == "" && c.Document == "":
		return nil, usage(e, "请用 --person 指明人员编号，或用 --name、--document 等写明是谁（或用 --from）", "say who it is: --person, or --name and --document (or --from)")
	case c.Day == "":
		return nil, usage(e, "请用 --day 写明发生日期，如 2026-03-01", "--day says when it happened, such as 2026-03-01")
	}
	b, err := basis(e, c.Basis)
	if err != nil {
		return nil, err
	}
	in := &ledgerv1.MovementInput{
		RequestId: c.id(), Office: c.Office, PersonId: c.Person, Kind: kind, From: c.FromArea, To: c.To, EventDate: c.Day,
		Basis: b, ConfirmConsentId: c.Confirm, Objects: c.Objects, ApprovalId: c.Approval,
		CertificateAskedOn: c.Asked, CertificateIssuedOn: c.Issued,
	}
	if c.profiled() {
		in.Profile = &ledgerv1.Profile{Name: c.Name, Sex: c.Sex, BirthDate: c.Birth, Registered: c.Registered, Living: c.Living}
		if c.Document != "" {
			in.Profile.Documents = []*ledgerv1.Document{{Number: c.Document, Confirmed: c.Confirmed}}
		}
		if c.Phone != "" {
			in.Profile.Contacts = []*ledgerv1.Contact{{Value: c.Phone, Kind: ledger.ContactPhone, Safe: c.PhoneSafe, Preference: "any"}}
		}
	}
	return in, nil
}

func (c *MoveFlags) run(ctx context.Context, e *Env, kind ledgerv1.MovementKind) error {
	in, err := c.request(e, kind)
	if err != nil {
		return err
	}
	s, err := e.movements()
	if err != nil {
		return err
	}
	resp, err := s.RegisterMovement(ctx, &ledgerv1.RegisterMovementRequest{Movement: in})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	e.showResult(resp.GetResult())
	return nil
}

// MoveLeaveCommand registers a departure.
type MoveLeaveCommand struct{ MoveFlags }

// Run registers it.
func (c *MoveLeaveCommand) Run(ctx context.Context, e *Env) error {
	return c.run(ctx, e, ledgerv1.MovementKind_MOVEMENT_KIND_LEAVE)
}

// MoveArriveCommand registers an arrival.
type MoveArriveCommand struct{ MoveFlags }

// Run registers it.
func (c *MoveArriveCommand) Run(ctx context.Context, e *Env) error {
	return c.run(ctx, e, ledgerv1.MovementKind_MOVEMENT_KIND_ARRIVE)
}

// MoveOnCommand registers that somebody moved on.
type MoveOnCommand struct{ MoveFlags }

// Run registers it.
func (c *MoveOnCommand) Run(ctx context.Context, e *Env) error {
	return c.run(ctx, e, ledgerv1.MovementKind_MOVEMENT_KIND_MOVE_ON)
}

// MoveReturnCommand registers a return.
type MoveReturnCommand struct{ MoveFlags }

// Run registers it.
func (c *MoveReturnCommand) Run(ctx context.Context, e *Env) error {
	return c.run(ctx, e, ledgerv1.MovementKind_MOVEMENT_KIND_RETURN)
}

// MoveTransferCommand registers that the place of registration changed.
type MoveTransferCommand struct{ MoveFlags }

// Run registers it.
func (c *MoveTransferCommand) Run(ctx context.Context, e *Env) error {
	return c.run(ctx, e, ledgerv1.MovementKind_MOVEMENT_KIND_TRANSFER)
}

// MoveIdentityCommand registers a new name or document.
type MoveIdentityCommand struct{ MoveFlags }

// Run registers it.
func (c *MoveIdentityCommand) Run(ctx context.Context, e *Env) error {
	return c.run(ctx, e, ledgerv1.MovementKind_MOVEMENT_KIND_IDENTITY)
}

// MoveDeathCommand registers a death.
type MoveDeathCommand struct{ MoveFlags }

// Run registers it.
func (c *MoveDeathCommand) Run(ctx context.Context, e *Env) error {
	return c.run(ctx, e, ledgerv1.MovementKind_MOVEMENT_KIND_DEATH)
}

// movementName is what people call a kind of movement.
func (e *Env) movementName(k ledgerv1.MovementKind) string {
	kind := ledger.MovementKind(k)
	return e.T(kind.Zh(), kind.String())
}

var followedZh = map[string]string{"withdrawn": "已撤回", "closed": "已注销", "corrected": "已更正", "opened": "已发出"}

// showResult says what came of a movement: whether a notice left, and if not why.
func (e *Env) showResult(r *ledgerv1.MovementResult) {
	m := r.GetMovement()
	stays := ledger.StayedZh(m.GetStayedBecause())
	e.warn(slices.DeleteFunc(slices.Clone(r.GetWarnings()), func(w string) bool { return w == stays }))
	if m == nil {
		return
	}
	if r.GetRepeatedRequest() {
		e.say("此前已登记，未重复办理", "It stood already; nothing was done twice")
	}
	e.say("已登记%s：%s", "Registered %s: %s", e.movementName(m.GetKind()), m.GetEventDate())
	e.say("人员 %s", "person %s", m.GetPersonId())
	e.say("流动 %s", "movement %s", m.GetMovementId())
	if k := m.GetKind(); k < ledgerv1.MovementKind_MOVEMENT_KIND_IDENTITY && (m.GetFrom() != "" || m.GetTo() != "") {
		e.say("从 %s 到 %s", "from %s to %s", e.placeOr(m.GetFrom()), e.placeOr(m.GetTo()))
	}
	switch {
	case m.GetCaseId() != "":
		e.say("已发出通报 %s", "Notice sent: %s", m.GetCaseId())
	case m.GetStayedBecause() != "":
		e.say("未发出通报：%s", "No notice left: %s", e.T(stays, m.GetStayedBecause()))
	}
	for _, c := range r.GetCases() {
		if c.GetCaseId() != m.GetCaseId() {
			e.say("案件 %s %s", "case %s %s", c.GetCaseId(), e.T(followedZh[c.GetChange()], c.GetChange()))
		}
	}
	if id := r.GetApprovalId(); id != "" {
		e.say("待第二人审批：yipan move approve %s；批准后加 --approval %s 再登记一次", "Waits for a second user: yipan move approve %s; then register again with --approval %s", id, id)
	}
}

func (e *Env) placeOr(key string) string {
	if key == "" {
		return e.T("（不详）", "(unknown)")
	}
	return place(key)
}

// MoveListCommand lists the movements of a person.
type MoveListCommand struct {
	Person string `arg:"" help:"人员编号|Person id"`
	Purposed
}

// Run lists them.
func (c *MoveListCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.movements()
	if err != nil {
		return err
	}
	resp, err := s.ListMovements(ctx, &ledgerv1.ListMovementsRequest{PersonId: c.Person, Purpose: c.Purpose})
	if err != nil {
		return err
	}
	if e.JSON {
		return lines(e, resp.GetMovements())
	}
	if len(resp.GetMovements()) == 0 {
		e.say("没有流动记录", "No movements")
		return nil
	}
	t := &table{head: []string{e.T("编号", "MOVEMENT"), e.T("日期", "DAY"), e.T("类型", "KIND"), e.T("来自", "FROM"), e.T("去往", "TO"),
		e.T("登记时间", "RECORDED"), e.T("录入期限", "DUE"), e.T("通报", "NOTICE")}}
	for _, m := range resp.GetMovements() {
		notice := m.GetCaseId()
		if m.GetStayedBecause() != "" {
			stays, _, _ := strings.Cut(ledger.StayedZh(m.GetStayedBecause()), "，")
			notice = e.T("未发出："+stays, m.GetStayedBecause())
		}
		if m.GetUndone() {
			notice = e.T("已撤销 ", "undone ") + notice
		}
		t.add(m.GetMovementId(), m.GetEventDate(), e.movementName(m.GetKind()), place(m.GetFrom()), place(m.GetTo()),
			when(m.GetRecordedAt()), m.GetDueDate(), notice)
	}
	return t.write(e.Out)
}

// MoveUndoCommand takes a movement back.
type MoveUndoCommand struct {
	Movement string `arg:"" help:"流动编号|Movement id"`
	Reason   string `required:"" help:"原因（不写个人信息）|Why, without personal data"`
	Write
}

// Run takes it back.
func (c *MoveUndoCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.movements()
	if err != nil {
		return err
	}
	resp, err := s.UndoMovement(ctx, &ledgerv1.UndoMovementRequest{RequestId: c.id(), MovementId: c.Movement, Reason: c.Reason})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	e.warn(resp.GetWarnings())
	e.say("已撤销%s（%s）", "Undone: %s of %s", e.movementName(resp.GetMovement().GetKind()), resp.GetMovement().GetEventDate())
	for _, f := range resp.GetCases() {
		e.say("案件 %s %s", "case %s %s", f.GetCaseId(), e.T(followedZh[f.GetChange()], f.GetChange()))
	}
	return nil
}

// MoveApproveCommand approves a fourth destination.
type MoveApproveCommand struct {
	Approval string `arg:"" help:"审批编号|Approval id"`
	Write
}

// Run approves it.
func (c *MoveApproveCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.movements()
	if err != nil {
		return err
	}
	resp, err := s.ApproveDestination(ctx, &ledgerv1.ApproveDestinationRequest{RequestId: c.id(), ApprovalId: c.Approval})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	e.say("已批准向 %s 通报；经办人加 --approval %s 再登记一次即发出", "Approved: notice to %s; it leaves once it is registered again with --approval %s", place(resp.GetDestination()), c.Approval)
	return nil
}
