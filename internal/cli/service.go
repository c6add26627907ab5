package cli

import (
	"context"
	"fmt"
	"strings"

	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/sheet"
)

// ServiceCommand groups the commands on services.
type ServiceCommand struct {
	Remote
	Due      ServiceDueCommand      `cmd:"" help:"本轮三查待告知的人（按轮次，不按结果）|For whom an offer of the round is due"`
	Record   ServiceRecordCommand   `cmd:"" help:"登记一次服务|Record one service to one person"`
	Import   ServiceImportCommand   `cmd:"" help:"从 CSV 登记服务，每行各有日期和方式|Record services from CSV, each row with its own date and channel"`
	List     ServiceListCommand     `cmd:"" help:"查看一人的服务记录|The services of one person"`
	Standing ServiceStandingCommand `cmd:"" help:"登记或取消“不再询问”|Set or lift a person's standing refusal"`
}

func (e *Env) offers() (ledgerv1.OfferServiceClient, error) {
	c, err := e.Conn()
	return ledgerv1.NewOfferServiceClient(c), err
}

var serviceNames = map[ledgerv1.ServiceKind][2]string{
	ledgerv1.ServiceKind_SERVICE_KIND_THREE_CHECKS:   {"三查", "three_checks"},
	ledgerv1.ServiceKind_SERVICE_KIND_CONTRACEPTIVES: {"药具", "contraceptives"},
	ledgerv1.ServiceKind_SERVICE_KIND_FOLLOW_UP:      {"随访", "follow_up"},
	ledgerv1.ServiceKind_SERVICE_KIND_ENTITLEMENT:    {"优待", "entitlement"},
	ledgerv1.ServiceKind_SERVICE_KIND_VISIT:          {"来访", "visit"},
}

var resultNames = map[string]string{
	"asked": "已申请，待服务", "done": "已服务", "declined": "谢绝", "standing_refusal": "不再询问", "not_reached": "未联系上", "not_applicable": "不适用",
}

var channelNames = map[string]string{"visit": "上门", "phone": "电话", "message": "短信", "letter": "信函", "counter": "窗口"}

// checkNames are how a residence was checked, in answers.
var checkNames = map[string]string{"visit": "上门", "call": "电话", "document": "核对证件"}

var findingNames = map[string]string{"pregnancy": "孕情", "iud": "环情", "reproductive_health": "生殖健康"}

// word prints a code by its Chinese name, or as it is.
func (e *Env) word(names map[string]string, code string) string {
	if zh := names[code]; zh != "" {
		return e.T(zh, code)
	}
	return code
}

func (e *Env) serviceName(k ledgerv1.ServiceKind) string {
	n := serviceNames[k]
	return e.T(n[0], n[1])
}

func serviceKind(e *Env, s string) (ledgerv1.ServiceKind, error) {
	k, ok := sheet.ServiceKind(s)
	if !ok {
		return 0, usage(e, "服务类别只能是：三查、药具、随访、优待、来访", "the kind is one of: three_checks, contraceptives, follow_up, entitlement, visit")
	}
	return ledgerv1.ServiceKind(k), nil
}

// ServiceDueCommand lists for whom an offer of the round is due.
type ServiceDueCommand struct {
	Office    string `help:"单位|Office"`
	Round     uint32 `help:"三查轮次，如 20261（默认为正在进行的轮次）|Offer round, for example 20261 (default: the open one)"`
	PageSize  int32  `default:"50" help:"每页人数，至多 200|Persons of a page, at most 200"`
	PageToken string `help:"上一页给出的续页标记|Token of the page before"`
	Purposed
}

// Run lists a page.
func (c *ServiceDueCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.offers()
	if err != nil {
		return err
	}
	resp, err := s.ListOffersDue(ctx, &ledgerv1.ListOffersDueRequest{
		Office: c.Office, OfferRound: c.Round, PageSize: c.PageSize, PageToken: c.PageToken, Purpose: c.Purpose,
	})
	if err != nil && c.Round == 0 && !e.JSON && describe(err, English).Reason == "ROUND_NONE" {
		e.say("目前没有正在进行的三查轮次，没有待告知的人", "No offer round is open: nobody is due")
		return nil
	}
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	e.say("轮次 %s（%d），截止 %s", "Round %s (%d), ends %s", e.period(ledgerv1.ServiceKind_SERVICE_KIND_THREE_CHECKS, resp.GetOfferRound()), resp.GetOfferRound(), until(resp.GetEndsAt()))
	if len(resp.GetPersons()) == 0 {
		e.say("本轮没有待告知的人", "Nobody is due in this round")
		return nil
	}
	t := &table{head: []string{e.T("人员编号", "PERSON"), e.T("姓名", "NAME"), e.T("出生年", "BORN"), e.T("证件", "DOCUMENT"), e.T("现居住地", "LIVING")}}
	for _, p := range resp.GetPersons() {
		born := ""
		if p.GetBirthYear() != 0 {
			born = itoa(int64(p.GetBirthYear()))
		}
		t.add(p.GetPersonId(), p.GetName(), born, p.GetDocument(), place(p.GetLiving()))
	}
	if err := t.write(e.Out); err != nil {
		return err
	}
	if next := resp.GetNextPageToken(); next != "" {
		e.Note("还有下一页：--page-token %s", "more follow: --page-token %s", next)
	}
	return nil
}

// ServiceRecordCommand records one service.
type ServiceRecordCommand struct {
	Person       string            `arg:"" help:"人员编号|Person id"`
	Kind         string            `default:"三查" help:"类别：三查、药具、随访、优待、来访|Kind: three_checks, contraceptives, follow_up, entitlement, visit"`
	Period       uint32            `help:"三查轮次（如 20261）或月份（如 202603）；默认当前|Offer round or month; default: the present one"`
	Result       string            `required:"" help:"结果：asked（已申请）、done（已服务）、declined（谢绝）、standing_refusal（不再询问）、not_reached（未联系上）、not_applicable（不适用）|Result: asked, done, declined, standing_refusal, not_reached, not_applicable"`
	Date         string            `required:"" placeholder:"2006-01-02" help:"日期|Day"`
	Channel      string            `required:"" help:"方式：visit、phone、message、letter、counter|Channel: visit, phone, message, letter, counter"`
	Finding      map[string]string `placeholder:"NAME=VALUE" help:"检查结果，只留在本单位，除非本人同意提供|Findings; they stay here unless a consent releases them"`
	Consent      string            `placeholder:"ID" help:"据以提供字段的同意书编号；不写则不提供|Consent under which findings are released; without it none are"`
	OwnProof     bool              `help:"本人出示了自有证明（不抄录其内容）|The person showed their own proof; nothing is copied"`
	Appointment  string            `placeholder:"2006-01-02" help:"预约日期|Day of an appointment"`
	ReferralTo   string            `help:"转介去向（三查一治），只留在本单位|Where the person was referred to; it stays here"`
	ReferralDate string            `placeholder:"2006-01-02" help:"转介日期|Day of the referral"`
	ReferralDone string            `placeholder:"2006-01-02" help:"转介办结日期|Day on which the referral was done"`
	Write
}

// Run records the service.
func (c *ServiceRecordCommand) Run(ctx context.Context, e *Env) error {
	kind, err := serviceKind(e, c.Kind)
	if err != nil {
		return err
	}
	in := &ledgerv1.ServiceInput{
		RequestId: c.id(), PersonId: c.Person, Kind: kind, Period: c.Period,
		Result: sheet.ServiceWord(c.Result), Date: c.Date, Channel: sheet.ServiceWord(c.Channel),
		Findings: c.Finding, ConsentId: c.Consent, OwnProof: c.OwnProof, Appointment: c.Appointment,
	}
	if c.ReferralTo != "" || c.ReferralDate != "" || c.ReferralDone != "" {
		in.Referral = &ledgerv1.Referral{To: c.ReferralTo, Date: c.ReferralDate, DoneDate: c.ReferralDone}
	}
	s, err := e.offers()
	if err != nil {
		return err
	}
	resp, err := s.RecordService(ctx, &ledgerv1.RecordServiceRequest{Service: in})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	e.warn(resp.GetWarnings())
	return e.showServices([]*ledgerv1.ServiceRecord{resp.GetRecord()})
}

// ServiceListCommand shows the services of one person.
type ServiceListCommand struct {
	Person string `arg:"" help:"人员编号|Person id"`
	Purposed
}

// Run shows them.
func (c *ServiceListCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.offers()
	if err != nil {
		return err
	}
	resp, err := s.ListPersonServices(ctx, &ledgerv1.ListPersonServicesRequest{PersonId: c.Person, Purpose: c.Purpose})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	for _, k := range resp.GetStandingRefusals() {
		e.say("本人已表示不再接受：%s", "The person does not want to be asked again: %s", e.serviceName(k))
	}
	return e.showServices(resp.GetRecords())
}

func (e *Env) showServices(rs []*ledgerv1.ServiceRecord) error {
	if len(rs) == 0 {
		e.say("没有服务记录", "No services")
		return nil
	}
	t := &table{head: []string{e.T("服务", "SERVICE"), e.T("期次", "PERIOD"), e.T("结果", "RESULT"), e.T("日期", "DATE"), e.T("方式", "CHANNEL"),
		e.T("联系次数", "ATTEMPTS"), e.T("其他", "OTHER")}}
	for _, r := range rs {
		l := r.GetLast()
		t.add(e.serviceName(r.GetKind()), e.period(r.GetKind(), r.GetPeriod()), e.word(resultNames, l.GetResult()), l.GetDate(),
			e.word(channelNames, l.GetChannel()), itoa(int64(len(r.GetAttempts()))), e.serviceNotes(l))
	}
	return t.write(e.Out)
}

// period is a round ("20263" is the third of 2026) or a month as people read it.
func (e *Env) period(kind ledgerv1.ServiceKind, p uint32) string {
	switch {
	case e.Lang == English || p == 0:
		return itoa(int64(p))
	case kind == ledgerv1.ServiceKind_SERVICE_KIND_THREE_CHECKS:
		return fmt.Sprintf("%d 年第 %d 轮", p/10, p%10)
	}
	return fmt.Sprintf("%d 年 %d 月", p/100, p%100)
}

func (e *Env) serviceNotes(l *ledgerv1.ServiceInput) string {
	var notes []string
	add := func(zh, en string, a ...any) { notes = append(notes, fmt.Sprintf(e.T(zh, en), a...)) }
	for _, name := range []string{"pregnancy", "iud", "reproductive_health"} {
		if v := l.GetFindings()[name]; v != "" {
			add("%s：%s", "%s: %s", e.word(findingNames, name), v)
		}
	}
	if l.GetConsentId() != "" {
		add("同意提供", "consented")
	}
	if l.GetOwnProof() {
		add("本人出示证明", "own proof shown")
	}
	if l.GetAppointment() != "" {
		add("预约 %s", "appointment %s", l.GetAppointment())
	}
	if f := l.GetReferral(); f != nil {
		add("转介 %s %s", "referred to %s %s", f.GetTo(), f.GetDate())
		if f.GetDoneDate() != "" {
			add("办结 %s", "done %s", f.GetDoneDate())
		}
	}
	return strings.Join(notes, e.T("；", "; "))
}

// ServiceStandingCommand sets or lifts a standing refusal.
type ServiceStandingCommand struct {
	Person string `arg:"" help:"人员编号|Person id"`
	Kind   string `default:"三查" help:"类别：三查、药具、随访、优待、来访|Kind: three_checks, contraceptives, follow_up, entitlement, visit"`
	Lift   bool   `help:"本人改变了意愿，取消“不再询问”|The person changed it"`
	Write
}

// Run sets or lifts it.
func (c *ServiceStandingCommand) Run(ctx context.Context, e *Env) error {
	kind, err := serviceKind(e, c.Kind)
	if err != nil {
		return err
	}
	s, err := e.offers()
	if err != nil {
		return err
	}
	resp, err := s.SetStandingRefusal(ctx, &ledgerv1.SetStandingRefusalRequest{RequestId: c.id(), PersonId: c.Person, Kind: kind, Refused: !c.Lift})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	if c.Lift {
		e.say("已取消，今后可以再次告知%s服务", "Lifted: %s may be offered again", e.serviceName(kind))
		return nil
	}
	e.say("已登记：不再向本人询问%s服务，直至本人改变意愿", "Recorded: %s is not offered again until the person changes it", e.serviceName(kind))
	return nil
}
