package cli

import (
	"context"

	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/sheet"
)

// ContactCommand groups the commands on the contact log.
type ContactCommand struct {
	Remote
	Record ContactRecordCommand `cmd:"" help:"登记一次联系（只记日期、方式、是否联系上）|Record one try to contact a person (day, channel, reached or not)"`
	List   ContactListCommand   `cmd:"" help:"查看一人的联系记录|The contact log of one person"`
}

func (e *Env) contacts() (ledgerv1.ContactServiceClient, error) {
	c, err := e.Conn()
	return ledgerv1.NewContactServiceClient(c), err
}

// ContactRecordCommand records one try.
type ContactRecordCommand struct {
	Person  string `arg:"" help:"人员编号|Person id"`
	Date    string `required:"" placeholder:"2006-01-02" help:"日期|Day"`
	Channel string `required:"" help:"方式：visit、phone、message、letter、counter|Channel: visit, phone, message, letter, counter"`
	Reached bool   `help:"联系上了（本人说“不需要”也算）|The person was reached; a \"no\" is a contact"`
	Purposed
	Write
}

// Run records the try.
func (c *ContactRecordCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.contacts()
	if err != nil {
		return err
	}
	resp, err := s.RecordContact(ctx, &ledgerv1.RecordContactRequest{
		RequestId: c.id(), PersonId: c.Person, Purpose: c.Purpose,
		Contact: &ledgerv1.ContactTry{Date: c.Date, Channel: sheet.ServiceWord(c.Channel), Reached: c.Reached},
	})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	e.say("已登记", "Recorded")
	return nil
}

// ContactListCommand lists the tries of one person.
type ContactListCommand struct {
	Person string `arg:"" help:"人员编号|Person id"`
	Purposed
}

// Run lists the tries.
func (c *ContactListCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.contacts()
	if err != nil {
		return err
	}
	resp, err := s.ListContacts(ctx, &ledgerv1.ListContactsRequest{PersonId: c.Person, Purpose: c.Purpose})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	if resp.GetAgreed() {
		e.say("本人同意联系", "The person agrees to be contacted")
	} else {
		e.say("本人目前没有同意联系", "The person does not agree to be contacted now")
	}
	if len(resp.GetContacts()) == 0 {
		e.say("没有联系记录", "No contact is on record")
		return nil
	}
	t := &table{head: []string{e.T("日期", "DAY"), e.T("方式", "CHANNEL"), e.T("联系上", "REACHED"), e.T("经办人", "ACCOUNT")}}
	for _, x := range resp.GetContacts() {
		reached := e.T("否", "no")
		if x.GetReached() {
			reached = e.T("是", "yes")
		}
		t.add(x.GetDate(), e.word(channelNames, x.GetChannel()), reached, x.GetAccount())
	}
	return t.write(e.Out)
}
