package cli

import (
	"strings"

	casesv1 "yipan/internal/gen/yipan/cases/v1"
)

// FieldFlags are a person's fields. What is typed here stays in the shell's
// history, hence --from of the commands that have them.
type FieldFlags struct {
	Name        string `help:"姓名|Name as on the document"`
	Document    string `help:"证件号码|ID document number"`
	Sex         uint32 `help:"性别（GB/T 2261.1：1 男 2 女；可由身份证推得）|Sex, GB/T 2261.1 (derived from a resident ID)"`
	Birth       string `help:"出生日期（可由身份证推得）|Birth date (derived from a resident ID)"`
	Contact     string `help:"本人留下的联系方式|Contact the person gave"`
	ContactSafe bool   `help:"可以安全联系|It is safe to call"`
	EventDate   string `placeholder:"2006-01-02" help:"离开或到达日期|Day of departure or arrival"`
	Basis       string `placeholder:"BASIS" help:"依据：request（本人申请）、consent:编号、duty:名称|Basis: request, consent:ID or duty:NAME"`
	Confirm     string `placeholder:"ID" help:"允许对方确认去向的同意书编号|Consent under which whereabouts may be confirmed"`
	Request     string `help:"协查：请对方办理的事项|Assistance: what is asked"`
	Certificate string `help:"验证：证明编号|Certificate check: its number"`
	Confirmed   string `name:"document-confirmed" placeholder:"理由" help:"证件号码校验位不符但确认无误的理由（留存）|Why a number whose check digit fails is right all the same (recorded)"`
}

func (f *FieldFlags) message(e *Env) (*casesv1.Fields, error) {
	b, err := basis(e, f.Basis)
	if err != nil {
		return nil, err
	}
	return &casesv1.Fields{
		Name: f.Name, Document: f.Document, Sex: f.Sex, BirthDate: f.Birth,
		Contact: f.Contact, ContactSafe: f.ContactSafe, EventDate: f.EventDate,
		Basis: b, ConfirmConsentId: f.Confirm, Request: f.Request, Certificate: f.Certificate,
		DocumentConfirmed: f.Confirmed,
	}, nil
}

// empty reports whether no flag of a person was given.
func (f *FieldFlags) empty() bool { return *f == FieldFlags{} }

// basis reads "request", "consent:ID" or "duty:NAME"; empty is none. A duty of
// the policy has names such as "duty:outflow-service", so that the prefix is
// part of its name.
func basis(e *Env, s string) (*casesv1.Basis, error) {
	kind, rest, _ := strings.Cut(strings.TrimSpace(s), ":")
	if kind == "" && rest == "" {
		return nil, nil
	}
	k, err := bases.pick(e, "basis", kind)
	if err != nil {
		return nil, err
	}
	b := &casesv1.Basis{Kind: k}
	switch {
	case k == casesv1.BasisKind_BASIS_KIND_REQUEST && rest == "":
	case k == casesv1.BasisKind_BASIS_KIND_CONSENT && rest != "":
		b.ConsentId = rest
	case k == casesv1.BasisKind_BASIS_KIND_DUTY && rest != "":
		b.Duty = "duty:" + rest
	default:
		return nil, usage(e, "依据应写成 request、consent:编号 或 duty:名称", "a basis is request, consent:ID or duty:NAME")
	}
	return b, nil
}
