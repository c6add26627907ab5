package cli

import (
	"context"
	"strings"

	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
)

func (e *Env) persons() (ledgerv1.PersonServiceClient, error) {
	c, err := e.Conn()
	return ledgerv1.NewPersonServiceClient(c), err
}

// ProfileFlags are a person's file. What is typed here stays in the shell's
// history, hence --from of the commands that have them.
type ProfileFlags struct {
	Name       string   `help:"姓名（按证件）|Name as on the document"`
	FormerName []string `sep:"none" help:"曾用名（可多次）|Former name, may be repeated"`
	Document   []string `sep:"none" placeholder:"号码|类别:号码" help:"证件号码；第一个为主证件；类别可写 passport、none 等|ID document number or KIND:NUMBER, the first is the main one"`
	FormerDoc  []string `name:"former-document" sep:"none" help:"旧证件号码，仍可据以查到本人|Number of a former document; it still finds the person"`
	Confirmed  string   `name:"document-confirmed" placeholder:"理由" help:"主证件校验位不符但确认无误的理由（留存）|Why the main number is right though its check digit fails (recorded)"`
	Sex        uint32   `help:"性别（GB/T 2261.1：1 男 2 女；可由身份证推得）|Sex, GB/T 2261.1 (derived from a resident ID)"`
	Birth      string   `placeholder:"2006-01-02" help:"出生日期（可由身份证推得）|Birth date (derived from a resident ID)"`
	Marital    uint32   `help:"婚姻状况（GB/T 2261.2：10 未婚 20 已婚 30 丧偶 40 离婚 90 未说明）|Marital status, GB/T 2261.2"`
	Registered string   `placeholder:"AREA" help:"户籍地区划|Place of registration"`
	Managed    string   `placeholder:"AREA" help:"管理地区划|Place that manages the file"`
	Living     string   `placeholder:"AREA" help:"现居住地区划，最好到村|Place of living, to the village if known"`
	Address    string   `help:"现居住地门牌|Street and number"`
	Contact    []string `sep:"none" placeholder:"类别:内容" help:"联系方式，如 phone:号码；加 ,safe 表示可放心拨打，加 ,evenings 等表示意愿|Contact such as phone:NUMBER; add ,safe and ,evenings etc."`
	Household  string   `help:"家庭编号（8–64 字；同号为一户）|Household, 8 to 64 characters; equal ones are one"`
	Relation   string   `name:"household-relation" help:"与户主关系：head（户主）、spouse（配偶）、child（子女）、parent（父母）、other（其他）|Relation to the head of the household"`
}

func (f *ProfileFlags) message(e *Env) (*ledgerv1.Profile, error) {
	m := &ledgerv1.Profile{
		Name: f.Name, FormerNames: f.FormerName, Sex: f.Sex, BirthDate: f.Birth, MaritalStatus: f.Marital, Registered: f.Registered,
		Managed: f.Managed, Living: f.Living, Address: f.Address, Household: f.Household, HouseholdRelation: f.Relation,
	}
	for i, s := range append(append([]string{}, f.Document...), f.FormerDoc...) {
		d, err := documentFlag(e, s)
		if err != nil {
			return nil, err
		}
		if d.Former = i >= len(f.Document); i == 0 && !d.Former {
			d.Confirmed = f.Confirmed
		}
		m.Documents = append(m.Documents, d)
	}
	for _, s := range f.Contact {
		c, err := contactFlag(e, s)
		if err != nil {
			return nil, err
		}
		m.Contacts = append(m.Contacts, c)
	}
	return m, nil
}

var documentKinds = labels[ledgerv1.DocumentKind]{
	{ledgerv1.DocumentKind_DOCUMENT_KIND_RESIDENT, "resident", "居民身份证"},
	{ledgerv1.DocumentKind_DOCUMENT_KIND_RESIDENT15, "resident15", "居民身份证（15 位）"},
	{ledgerv1.DocumentKind_DOCUMENT_KIND_HMT, "hmt", "港澳台居民居住证"},
	{ledgerv1.DocumentKind_DOCUMENT_KIND_FOREIGN, "foreign", "外国人永久居留身份证"},
	{ledgerv1.DocumentKind_DOCUMENT_KIND_FOREIGN15, "foreign15", "外国人永久居留身份证（旧版）"},
	{ledgerv1.DocumentKind_DOCUMENT_KIND_PASSPORT, "passport", "护照"},
	{ledgerv1.DocumentKind_DOCUMENT_KIND_NONE, "none", "无证件"},
}

// documentFlag reads "NUMBER", "KIND:NUMBER" or "none".
func documentFlag(e *Env, s string) (*ledgerv1.Document, error) {
	if s == "none" || s == "无证件" {
		return &ledgerv1.Document{Kind: ledgerv1.DocumentKind_DOCUMENT_KIND_NONE}, nil
	}
	kind, n, ok := strings.Cut(s, ":")
	if !ok {
		return &ledgerv1.Document{Number: s}, nil
	}
	k, err := documentKinds.pick(e, "--document", kind)
	return &ledgerv1.Document{Kind: k, Number: n}, err
}

// contactFlag reads "KIND:VALUE[,safe][,PREFERENCE]"; without a kind it is a
// telephone number.
func contactFlag(e *Env, s string) (*ledgerv1.Contact, error) {
	parts := strings.Split(s, ",")
	kind, value, ok := strings.Cut(parts[0], ":")
	if !ok {
		kind, value = "phone", parts[0]
	}
	c := &ledgerv1.Contact{Kind: kind, Value: value}
	for _, p := range parts[1:] {
		switch {
		case p == "safe":
			c.Safe = true
		case c.GetPreference() == "":
			c.Preference = p
		default:
			return nil, usage(e, "联系方式应写成 类别:内容[,safe][,意愿]", "a contact is KIND:VALUE[,safe][,PREFERENCE]")
		}
	}
	return c, nil
}

// named lists the fields that flags name.
func (f *ProfileFlags) named() []string {
	var out []string
	for _, n := range []struct {
		given bool
		field string
	}{
		{f.Name != "", "name"}, {f.FormerName != nil, "former_names"}, {f.Document != nil || f.FormerDoc != nil, "documents"}, {f.Sex != 0, "sex"},
		{f.Birth != "", "birth_date"}, {f.Marital != 0, "marital_status"}, {f.Registered != "", "registered"}, {f.Managed != "", "managed"},
		{f.Living != "", "living"}, {f.Address != "", "address"}, {f.Contact != nil, "contacts"}, {f.Household != "", "household"},
		{f.Relation != "", "household_relation"},
	} {
		if n.given {
			out = append(out, n.field)
		}
	}
	return out
}

// PersonAddCommand registers a person.
type PersonAddCommand struct {
	From   string `placeholder:"FILE" help:"从 JSON 文件读取整个请求（- 为标准输入）|Read the whole request from JSON (- is standard input)"`
	Office string `help:"登记单位|Office"`
	ProfileFlags
	EventDate string `placeholder:"2006-01-02" help:"自何日起（默认今天）|Day from which it holds (default: today)"`
	Write
}

// Run registers the person.
func (c *PersonAddCommand) Run(ctx context.Context, e *Env) error {
	req := &ledgerv1.RegisterPersonRequest{}
	if c.From != "" {
		if len(c.named()) > 0 || c.EventDate != "" {
			return usage(e, "--from 不能与其他内容选项同时使用", "--from takes no other content flags beside it")
		}
		if err := e.message(c.From, req); err != nil {
			return err
		}
		if c.RequestID == "" {
			c.RequestID = req.GetRequestId()
		}
		if c.Office != "" {
			req.Office = c.Office
		}
	} else {
		m, err := c.message(e)
		if err != nil {
			return err
		}
		req.Office, req.Profile, req.EventDate = c.Office, m, c.EventDate
	}
	req.RequestId = c.id()
	s, err := e.persons()
	if err != nil {
		return err
	}
	resp, err := s.RegisterPerson(ctx, req)
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	e.warn(resp.GetWarnings())
	e.showHints(resp.GetDuplicates())
	for _, id := range resp.GetPairedCaseIds() {
		e.say("已自动配对的通报：%s", "Notice paired by it: %s", id)
	}
	return e.showPerson(resp.GetPerson())
}

// PersonGetCommand opens one file.
type PersonGetCommand struct {
	Person string `arg:"" help:"人员编号|Person id"`
	Purposed
}

// Run shows the file.
func (c *PersonGetCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.persons()
	if err != nil {
		return err
	}
	resp, err := s.GetPerson(ctx, &ledgerv1.GetPersonRequest{PersonId: c.Person, Purpose: c.Purpose})
	if err != nil {
		return err
	}
	e.warn(resp.GetWarnings())
	if e.JSON {
		return e.line(resp.GetPerson())
	}
	return e.showPerson(resp.GetPerson())
}

// PersonEditCommand changes fields of a file.
type PersonEditCommand struct {
	Person string `arg:"" optional:"" help:"人员编号（用 --from 时可省略）|Person id (not needed with --from)"`
	From   string `placeholder:"FILE" help:"从 JSON 文件读取整个请求（- 为标准输入）|Read the whole request from JSON (- is standard input)"`
	Etag   string `help:"查看时的版本标识（不写则先读取当前版本）|Etag under which it was seen (default: as it is now)"`
	ProfileFlags
	Clear     []string `placeholder:"FIELD" help:"清空的项目，如 address（门牌）、contacts（联系方式）|Fields to empty, such as address, contacts"`
	EventDate string   `placeholder:"2006-01-02" help:"自何日起（默认今天）|Day from which it holds (default: today)"`
	Reason    string   `help:"更正错误的理由|Why, where it corrects a mistake"`
	Write
}

// Run changes the file.
func (c *PersonEditCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.persons()
	if err != nil {
		return err
	}
	req := &ledgerv1.UpdatePersonRequest{}
	if c.From != "" {
		if len(c.named()) > 0 || len(c.Clear) > 0 {
			return usage(e, "--from 不能与其他内容选项同时使用", "--from takes no other content flags beside it")
		}
		if err := e.message(c.From, req); err != nil {
			return err
		}
		if c.RequestID == "" {
			c.RequestID = req.GetRequestId()
		}
	} else if err := c.request(e, req); err != nil {
		return err
	}
	req.RequestId = c.id()
	if req.GetEtag() == "" {
		seen, err := s.GetPerson(ctx, &ledgerv1.GetPersonRequest{PersonId: req.GetPersonId(), Purpose: "edit"})
		if err != nil {
			return err
		}
		req.Etag = seen.GetPerson().GetEtag()
	}
	resp, err := s.UpdatePerson(ctx, req)
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	e.warn(resp.GetWarnings())
	for _, id := range resp.GetCorrectedCaseIds() {
		e.say("随之更正的案件：%s", "Case corrected by it: %s", id)
	}
	for _, id := range resp.GetPairedCaseIds() {
		e.say("已自动配对的通报：%s", "Notice paired by it: %s", id)
	}
	return e.showPerson(resp.GetPerson())
}

func (c *PersonEditCommand) request(e *Env, req *ledgerv1.UpdatePersonRequest) error {
	if c.Person == "" {
		return usage(e, "请写明人员编号，或用 --from 给出请求", "give a person id, or a request by --from")
	}
	m, err := c.message(e)
	if err != nil {
		return err
	}
	for i, f := range c.Clear {
		if c.Clear[i], err = fieldFlag(e, f); err != nil {
			return err
		}
	}
	req.PersonId, req.Etag, req.Profile, req.EventDate, req.Reason = c.Person, c.Etag, m, c.EventDate, c.Reason
	req.UpdateFields = append(c.named(), c.Clear...)
	if len(req.GetUpdateFields()) == 0 {
		return usage(e, "没有要修改的内容", "nothing to change is given")
	}
	return nil
}

// clearable are the fields of a file that may be emptied.
var clearable = []string{"former_names", "documents", "sex", "birth_date", "marital_status", "registered", "managed", "living", "address", "contacts", "household", "household_relation"}

// fieldFlag reads the name of a field to empty, in either language.
func fieldFlag(e *Env, s string) (string, error) {
	words := make([]string, len(clearable))
	for i, f := range clearable {
		if s == f || s == fieldNames[f] {
			return f, nil
		}
		words[i] = f + e.T("（"+fieldNames[f]+"）", "")
	}
	return "", usage(e, "--clear 只能是：%s", "--clear must be one of: %s", strings.Join(words, e.T("、", ", ")))
}

// PersonSearchCommand searches by one thing known of a person.
type PersonSearchCommand struct {
	Document  string `xor:"by" help:"证件号码（15 位或 18 位均可）|Whole document number"`
	Last4     string `name:"last4" xor:"by" help:"证件后四位|Last four characters of a document"`
	Name      string `xor:"by" help:"姓名的开头，含曾用名|Beginning of a present or former name"`
	Initials  string `xor:"by" help:"拼音首字母的开头，如 zs|Beginning of the pinyin initials"`
	Phone     string `xor:"by" help:"电话|Telephone number"`
	Area      string `xor:"by" help:"区划（含下级）|Area, or one within it"`
	AreaOf    string `default:"living" enum:"living,registered" help:"区划指现居住地（living）还是户籍地（registered）|Which place --area is about"`
	Office    string `help:"只查此单位|Only of this office"`
	PageSize  int32  `default:"50" help:"每页人数，至多 200|Persons of a page, at most 200"`
	PageToken string `help:"上一页给出的续页标记|Token of the page before"`
	Purposed
}

// Run shows who was found.
func (c *PersonSearchCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.persons()
	if err != nil {
		return err
	}
	req := &ledgerv1.SearchPersonsRequest{
		Office: c.Office, Document: c.Document, Last4: c.Last4, Name: c.Name, Initials: c.Initials, Phone: c.Phone, Area: c.Area,
		PageSize: c.PageSize, PageToken: c.PageToken, Purpose: c.Purpose,
	}
	if c.Area != "" {
		req.AreaOf = c.AreaOf
	}
	resp, err := s.SearchPersons(ctx, req)
	if err != nil {
		return err
	}
	if err := e.showSummaries(resp.GetPersons()); err != nil {
		return err
	}
	if resp.GetNextPageToken() != "" {
		e.Note("还有下一页：--page-token %s", "There is more: --page-token %s", resp.GetNextPageToken())
	}
	return nil
}

// PersonHistoryCommand reads the history of a file.
type PersonHistoryCommand struct {
	Person string `arg:"" help:"人员编号|Person id"`
	Purposed
}

// Run shows the history.
func (c *PersonHistoryCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.persons()
	if err != nil {
		return err
	}
	resp, err := s.GetPersonHistory(ctx, &ledgerv1.GetPersonHistoryRequest{PersonId: c.Person, Purpose: c.Purpose})
	if err != nil {
		return err
	}
	return e.showHistory(resp.GetEvents())
}

// PersonRestrictCommand restricts a file to two clerks.
type PersonRestrictCommand struct {
	Person string   `arg:"" help:"人员编号|Person id"`
	Keeper []string `required:"" placeholder:"ACCOUNT" help:"可查看的两名经办人，其一为您本人（写两次）|The two clerks who go on seeing it, you among them"`
	Write
}

// Run restricts the file.
func (c *PersonRestrictCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.persons()
	if err != nil {
		return err
	}
	resp, err := s.RestrictPerson(ctx, &ledgerv1.RestrictPersonRequest{RequestId: c.id(), PersonId: c.Person, Keepers: c.Keeper})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp.GetPerson())
	}
	e.say("已限制查看：只有 %s 能看到此人及其案件", "Only %s see this person and the cases from now on", strings.Join(c.Keeper, e.T("、", ", ")))
	return nil
}

// PersonUnrestrictCommand lifts a restriction.
type PersonUnrestrictCommand struct {
	Person string `arg:"" help:"人员编号|Person id"`
	Write
}

// Run lifts the restriction.
func (c *PersonUnrestrictCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.persons()
	if err != nil {
		return err
	}
	resp, err := s.UnrestrictPerson(ctx, &ledgerv1.UnrestrictPersonRequest{RequestId: c.id(), PersonId: c.Person})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp.GetPerson())
	}
	e.say("已解除限制", "No longer restricted")
	return nil
}

// PersonSlipCommand makes the slip for the person present.
type PersonSlipCommand struct {
	Person       string `arg:"" help:"人员编号|Person id"`
	RecognisedBy string `required:"" enum:"document,known" help:"如何确认是本人：document（核对证件）、known（认识本人）|How the person was recognised: document, known"`
}

// Run shows the slip.
func (c *PersonSlipCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.persons()
	if err != nil {
		return err
	}
	resp, err := s.GetSlip(ctx, &ledgerv1.GetSlipRequest{PersonId: c.Person, RecognisedBy: c.RecognisedBy})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	return e.showSlip(resp)
}
