package desk

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/policy"
	"yipan/internal/usher"
)

const (
	maxName     = 60  // runes; the longest names of minorities stay far below
	maxContact  = 40  // bytes
	maxText     = 300 // runes of a request or a reason
	maxAttempts = 1000
	maxVersion  = 64 // bytes of the version of a consent's text
)

func required(field, zh string) *fault.Error {
	return fault.Invalid("REQUIRED", "%s is missing", field).Zh("%s不能为空", zh).On("fields." + field)
}

// checkFields holds what a clerk typed to the rules of DOMAIN section 5 and
// derives the rest. Bases are checked apart, in the transaction.
func (d *Desk) checkFields(in FieldsInput, kind cases.Kind) (*cases.Fields, ident.Doc, []string, error) {
	var doc ident.Doc
	var warnings []string
	name := ident.NormalizeName(in.Name)
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		return nil, doc, nil, required("name", "姓名")
	case strings.ContainsFunc(in.Name, unicode.IsControl):
		return nil, doc, nil, fault.Invalid("NAME_CHARACTERS", "name holds control characters").Zh("姓名中有换行等不可见字符").On("fields.name")
	case n > maxName:
		return nil, doc, nil, fault.Invalid("NAME_LENGTH", "name has %d characters, at most %d", n, maxName).Zh("姓名过长").On("fields.name")
	}
	f := &cases.Fields{Name: in.Name, Contact: in.Contact, ContactSafe: in.ContactSafe, EventDay: in.EventDay, Request: in.Request, Certificate: in.Certificate}
	var err error
	var notes []ident.Warning
	if in.Document == "" {
		doc, notes, err = ident.Parse(ident.KindNone, "")
	} else {
		doc, notes, err = ident.Parse(ident.KindAuto, in.Document)
	}
	if err != nil {
		return nil, doc, nil, usher.OnField(err, "fields.document")
	}
	for _, w := range notes {
		if w.Code == ident.WarnCheckDigit && in.DocumentConfirmed == "" {
			return nil, doc, nil, fault.Invalid(string(w.Code), "check digit of the ID document fails and nobody confirmed it").
				Zh("证件号码校验位不符，请核对；确认无误的，注明理由后再提交").On("fields.document")
		}
		warnings = append(warnings, w.Text)
	}
	if utf8.RuneCountInString(in.DocumentConfirmed) > maxText {
		return nil, doc, nil, fault.Invalid("TEXT_LENGTH", "confirmation has more than %d characters", maxText).Zh("理由最多 %d 字", maxText).On("fields.document_confirmed")
	}
	f.DocumentKind, f.DocumentNumber = uint32(doc.Kind), doc.Number
	today := civil.In(d.Now())
	if w, err := deriveBirth(f, in, doc, today); err != nil {
		return nil, doc, nil, err
	} else if w != "" {
		warnings = append(warnings, w)
	}
	switch {
	case in.EventDay.IsZero():
		return nil, doc, nil, required("event_date", "流动日期")
	case in.EventDay.After(today):
		return nil, doc, nil, fault.Invalid("FUTURE_DATE", "event date lies in the future").Zh("流动日期不能晚于今天").On("fields.event_date")
	case in.EventDay.Before(f.Birth):
		return nil, doc, nil, fault.Invalid("EVENT_BEFORE_BIRTH", "event date lies before the birth date").Zh("流动日期早于出生日期").On("fields.event_date")
	}
	if len(in.Contact) > maxContact {
		return nil, doc, nil, fault.Invalid("CONTACT_LENGTH", "contact has %d bytes, at most %d", len(in.Contact), maxContact).Zh("联系方式过长").On("fields.contact")
	}
	if utf8.RuneCountInString(in.Request) > maxText {
		return nil, doc, nil, fault.Invalid("TEXT_LENGTH", "request has more than %d characters", maxText).Zh("协查内容最多 %d 字", maxText).On("fields.request")
	}
	if kind == cases.Assist && in.Request == "" {
		return nil, doc, nil, required("request", "协查内容")
	}
	if kind == cases.Certificate && in.Certificate == "" {
		return nil, doc, nil, required("certificate", "证明编号")
	}
	return f, doc, warnings, nil
}

// deriveBirth fills birth date and sex from the document, or checks what was
// typed against it: the birth date must agree, the sex only warns.
func deriveBirth(f *cases.Fields, in FieldsInput, doc ident.Doc, today civil.Date) (string, error) {
	if b, ok := doc.Birth(); ok {
		if in.Birth != nil && *in.Birth != b {
			return "", fault.Invalid("BIRTH_MISMATCH", "birth date disagrees with the ID document").Zh("出生日期与证件号码不一致").On("fields.birth_date")
		}
		f.Birth = b
	} else if in.Birth != nil {
		f.Birth = *in.Birth
	}
	if f.Birth.After(today) {
		return "", fault.Invalid("FUTURE_DATE", "birth date lies in the future").Zh("出生日期不能晚于今天").On("fields.birth_date")
	}
	sex := ident.Sex(in.Sex)
	if !sex.Valid() {
		return "", fault.Invalid("SEX_CODE", "sex %d is no code of GB/T 2261.1", in.Sex).Zh("性别代码应为 0、1、2 或 9").On("fields.sex")
	}
	derived := doc.Sex()
	if sex == 0 {
		f.Sex = uint32(derived)
		return "", nil
	}
	f.Sex = uint32(sex)
	if derived.Known() && sex.Known() && derived != sex {
		return "性别与证件号码不一致，请核对", nil
	}
	return "", nil
}

// checkAreas holds the two areas of a case to the rules: the opener's office
// is a township, the destination a prefecture or below, both valid on the day,
// and differing at the level that the policy names.
func (d *Desk) checkAreas(x, y area.Key, on civil.Date, pol *policy.Policy) error {
	for _, k := range []struct {
		key   area.Key
		field string
		zh    string
	}{{x, "origin", "流出地"}, {y, "destination", "目的地"}} {
		if !area.ValidOn(k.key, on) {
			return fault.Invalid("AREA_UNKNOWN", "area %s is unknown or not valid on the day", k.key).Zh("%s区划 %s 不存在或当日无效", k.zh, k.key.Short()).On(k.field)
		}
	}
	switch {
	case !d.Book.IsHome(x):
		return fault.Invalid("ORIGIN_NOT_SERVED", "opening area %s is not served by this node", x).Zh("区划 %s 不由本节点办理，不能在此发起", x.Short()).On("origin")
	case x.Level() < area.Township:
		return fault.Invalid("AREA_LEVEL", "opening area %s is above a township", x).Zh("流出地应为乡镇（街道）").On("origin")
	case y.Level() < area.Prefecture:
		return fault.Invalid("AREA_LEVEL", "destination %s is above a prefecture", y).Zh("目的地至少应到地级市").On("destination")
	case !pol.Moved(x, y):
		return fault.Invalid("NO_MOVEMENT", "areas %s and %s do not differ at the policy's level", x, y).Zh("两地属于同一%s，不构成流动", levelZh(pol.MovementLevel)).On("destination")
	}
	return nil
}

func levelZh(l area.Level) string {
	switch l {
	case area.Prefecture:
		return "地级市"
	case area.County:
		return "县（区）"
	default:
		return "乡镇（街道）"
	}
}

func kindName(k cases.Kind, urgent bool) string {
	if k == cases.Assist && urgent {
		return policy.AssistUrgent
	}
	return k.String()
}

// basisOf checks what gives the right to send something to an area: consents
// are those of the transaction.
func (d *Desk) basisOf(in BasisInput, kind cases.Kind, to area.Key, pol *policy.Policy, consents map[cases.ConsentID]ledger.Consent, purpose string, person cases.PersonID) (cases.Basis, error) {
	b := cases.Basis{Kind: in.Kind}
	switch in.Kind {
	case cases.BasisRequest:
		return b, nil
	case cases.BasisConsent:
		c, err := consent(consents, in.Consent, person, purpose, to, d.Now(), "fields.basis.consent_id")
		if err != nil {
			return b, err
		}
		b.Consent, b.TextHash = c.ID, c.TextHash
		return b, nil
	case cases.BasisDuty:
		if _, err := pol.BasisFor(in.Duty, kind.String()); err != nil {
			return b, usher.OnField(err, "fields.basis.duty")
		}
		b.Duty = in.Duty
		return b, nil
	}
	return b, fault.Invalid("NO_BASIS", "no basis is given").
		Zh("没有依据：请注明本人申请、同意书编号或政策规定的职责；本人不同意的，只在本地登记，不发送").On("fields.basis")
}

// consent finds the consent id of a person that covers purpose towards an area
// now.
func consent(held map[cases.ConsentID]ledger.Consent, id cases.ConsentID, person cases.PersonID, purpose string, to area.Key, now time.Time, field string) (*ledger.Consent, error) {
	c, ok := held[id]
	switch {
	case !ok:
		return nil, fault.Invalid("CONSENT_UNKNOWN", "consent %s is not held by this office", id).Zh("没有找到该同意书").On(field)
	case !c.Of(person):
		return nil, fault.Invalid("CONSENT_PERSON", "consent %s is of another person", id).Zh("该同意书不属于此人").On(field)
	case !c.WithdrawnAt.IsZero():
		return nil, fault.Invalid("CONSENT_WITHDRAWN", "consent %s was withdrawn", id).Zh("本人已撤回该同意").On(field)
	case !c.Covers(purpose, to, now):
		return nil, fault.Invalid("CONSENT_SCOPE", "consent %s does not cover purpose, recipient or time", id).Zh("该同意书的用途、接收方或有效期不适用").On(field)
	}
	return &c, nil
}

// consentsCited gathers the consents that fields cite.
func consentsCited(in ...FieldsInput) []cases.ConsentID {
	var ids []cases.ConsentID
	for _, f := range in {
		if f.Basis.Kind == cases.BasisConsent && !f.Basis.Consent.IsZero() {
			ids = append(ids, f.Basis.Consent)
		}
		if !f.Confirm.IsZero() {
			ids = append(ids, f.Confirm)
		}
	}
	return ids
}

func (d *Desk) policyAt(context.Context) (*policy.Policy, error) {
	return d.Policies.At(civil.In(d.Now()))
}
