package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	consentv1 "yipan/internal/gen/yipan/consent/v1"
)

// Whose are the flags that name one person of the ledger.
type Whose struct {
	Person   string `placeholder:"ID" help:"台帐中的人员编号|Person of the ledger"`
	Document string `help:"证件号码（不知道人员编号时）|ID document number, where the id is not known"`
	Name     string `help:"姓名（新登记时）|Name, where the person is new"`
}

func (w *Whose) message(e *Env) (*consentv1.Person, error) {
	if w.Person == "" && w.Document == "" {
		return nil, usage(e, "请用 --person 或 --document 指明本人", "name the person by --person or --document")
	}
	return &consentv1.Person{PersonId: w.Person, Name: w.Name, Document: w.Document}, nil
}

// ConsentRecordCommand records one consent of one person.
type ConsentRecordCommand struct {
	From string `placeholder:"FILE" help:"从 JSON 文件读取整个请求（- 为标准输入）|Read the whole request from JSON (- is standard input)"`
	Whose
	Office      string   `help:"登记单位|Office"`
	Recipient   string   `help:"接收方区划|Area of the recipient"`
	Purpose     string   `help:"用途：confirm_residence（确认去向）、feedback（反馈）、notice（通报）、birth_service（生育服务）、contact（联系本人）|What for: confirm_residence, feedback, notice, birth_service, contact"`
	Field       []string `help:"可以提供的三查项目：pregnancy（孕情）、iud（环情）、reproductive_health（生殖健康）|Fields that may be released"`
	TextVersion string   `help:"所示文本的版本|Version of the text that was shown"`
	TextFile    string   `placeholder:"FILE" help:"所示文本的文件，据此计算 SHA-256|File of that text; its SHA-256 is recorded"`
	TextSHA256  string   `name:"text-sha256" placeholder:"HEX" help:"所示文本的 SHA-256|SHA-256 of that text"`
	GivenHow    string   `help:"方式：paper（书面）、counter（窗口）、phone_recorded（电话录音）|How: paper, counter, phone_recorded"`
	GivenAt     string   `placeholder:"TIME" help:"同意的时间（默认现在）|When it was given (default: now)"`
	ValidUntil  string   `placeholder:"2006-01-02" help:"有效期至，至多 12 个月|Until when it holds, at most 12 months"`
	Write
}

// Run records the consent.
func (c *ConsentRecordCommand) Run(ctx context.Context, e *Env) error {
	req, err := c.request(e)
	if err != nil {
		return err
	}
	s, err := e.consents()
	if err != nil {
		return err
	}
	resp, err := s.RecordConsent(ctx, req)
	if err != nil {
		return c.done(err)
	}
	e.warn(resp.GetWarnings())
	return e.showConsents([]*consentv1.Consent{resp.GetConsent()})
}

func (c *ConsentRecordCommand) request(e *Env) (*consentv1.RecordConsentRequest, error) {
	req := &consentv1.RecordConsentRequest{}
	if c.From != "" {
		if c.Person != "" || c.Document != "" || c.Purpose != "" {
			return nil, usage(e, "--from 不能与其他内容选项同时使用", "--from takes no other content flags beside it")
		}
		if err := e.message(c.From, req); err != nil {
			return nil, err
		}
		if c.RequestID == "" {
			c.RequestID = req.GetRequestId()
		}
		req.RequestId = c.id()
		return req, nil
	}
	who, err := c.Whose.message(e)
	if err != nil {
		return nil, err
	}
	given, err := instant(e, "--given-at", c.GivenAt, false)
	if err != nil {
		return nil, err
	}
	until, err := instant(e, "--valid-until", c.ValidUntil, true)
	if err != nil {
		return nil, err
	}
	hash := c.TextSHA256
	if c.TextFile != "" {
		b, err := e.read(c.TextFile)
		if err != nil {
			return nil, err
		}
		h := sha256.Sum256(b)
		hash = hex.EncodeToString(h[:])
	}
	purpose, err := codeFlag(e, "--purpose", c.Purpose, consentPurposes)
	if err != nil {
		return nil, err
	}
	how, err := codeFlag(e, "--given-how", c.GivenHow, givenHow)
	if err != nil {
		return nil, err
	}
	fields := make([]string, len(c.Field))
	for i, f := range c.Field {
		if fields[i], err = codeFlag(e, "--field", f, findingNames); err != nil {
			return nil, err
		}
	}
	req.RequestId, req.Office, req.Person = c.id(), c.Office, who
	req.Consent = &consentv1.Consent{
		Recipient: c.Recipient, Purpose: purpose, Fields: fields, TextVersion: c.TextVersion, TextSha256: hash,
		GivenHow: how, GivenAt: given, ValidUntil: until,
	}
	return req, nil
}

// ConsentWithdrawCommand withdraws a consent.
type ConsentWithdrawCommand struct {
	Consent string `arg:"" help:"同意书编号|Consent id"`
	Write
}

// Run withdraws the consent and lists the cases that changed by it.
func (c *ConsentWithdrawCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.consents()
	if err != nil {
		return err
	}
	resp, err := s.WithdrawConsent(ctx, &consentv1.WithdrawConsentRequest{RequestId: c.id(), ConsentId: c.Consent})
	if err != nil {
		return c.done(err)
	}
	if e.JSON {
		return e.line(resp)
	}
	if err := e.showConsents([]*consentv1.Consent{resp.GetConsent()}); err != nil {
		return err
	}
	for _, id := range resp.GetCaseIds() {
		e.say("随之更正或撤回的案件：%s", "Case corrected or withdrawn by it: %s", id)
	}
	return nil
}

// ConsentListCommand lists the consents of one person.
type ConsentListCommand struct {
	Whose
	Office string `help:"单位|Office"`
	Purposed
}

// Run lists the consents.
func (c *ConsentListCommand) Run(ctx context.Context, e *Env) error {
	who, err := c.message(e)
	if err != nil {
		return err
	}
	s, err := e.consents()
	if err != nil {
		return err
	}
	resp, err := s.ListConsents(ctx, &consentv1.ListConsentsRequest{Office: c.Office, Person: who, Purpose: c.Purpose})
	if err != nil {
		return err
	}
	return e.showConsents(resp.GetConsents())
}

var givenHow = map[string]string{"paper": "书面", "counter": "窗口", "phone_recorded": "电话录音"}

// codeFlag reads a code, or its Chinese word; empty stays empty, for the node to
// say what is missing.
func codeFlag(e *Env, what, s string, names map[string]string) (string, error) {
	words := []string{}
	for _, code := range slices.Sorted(maps.Keys(names)) {
		if s == code || s == names[code] {
			return code, nil
		}
		words = append(words, code+e.T("（"+names[code]+"）", ""))
	}
	if s == "" {
		return "", nil
	}
	return "", usage(e, "%s 只能是：%s", "%s must be one of: %s", what, strings.Join(words, e.T("、", ", ")))
}

var consentPurposes = map[string]string{"confirm_residence": "确认去向", "feedback": "反馈", "notice": "通报", "birth_service": "生育服务", "contact": "联系本人"}

func (e *Env) showConsents(cs []*consentv1.Consent) error {
	if e.JSON {
		return lines(e, cs)
	}
	if len(cs) == 0 {
		e.say("没有同意书", "No consents")
		return nil
	}
	t := &table{head: []string{e.T("编号", "CONSENT"), e.T("人员", "PERSON"), e.T("用途", "PURPOSE"), e.T("接收方", "RECIPIENT"),
		e.T("可提供的项目", "FIELDS"), e.T("同意时间", "GIVEN"), e.T("有效期至", "UNTIL"), e.T("撤回时间", "WITHDRAWN")}}
	for _, c := range cs {
		purpose := c.GetPurpose()
		if zh := consentPurposes[purpose]; zh != "" {
			purpose = e.T(zh, purpose)
		}
		var fields []string
		for _, f := range c.GetFields() {
			fields = append(fields, e.word(findingNames, f))
		}
		t.add(c.GetConsentId(), c.GetPersonId(), purpose, place(c.GetRecipient()), strings.Join(fields, " "),
			when(c.GetGivenAt()), when(c.GetValidUntil()), when(c.GetWithdrawnAt()))
	}
	return t.write(e.Out)
}
