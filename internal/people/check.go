package people

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/usher"
)

// Limits of a profile, in characters or entries.
const (
	maxName    = 60 // the longest names of minorities stay far below
	maxNames   = 10
	maxDocs    = 10
	maxContact = 40
	maxPhones  = 8
	maxAddress = 100
	maxReason  = 300
)

func invalid(field, reason, msg, zh string) *fault.Error {
	return fault.Invalid(reason, "person: %s", msg).Zh("%s", zh).On("profile." + field)
}

// A checker holds what a clerk typed to the rules of DOMAIN section 5. It writes
// the derived and normalised values into the profile.
//
// What a file had before is not refused when something else of it changes: a
// number that nobody confirmed, an area that was abolished since.
type checker struct {
	f, before *Profile
	on, today civil.Date // day from which it holds; today
	warnings  []string
	villages  []place // to be looked up among those that were loaded
}

type place struct {
	key       area.Key
	field, zh string
}

func unknownArea(k area.Key, field, zh string) *fault.Error {
	return fault.Invalid("AREA_UNKNOWN", "area %s is unknown or not valid on the day", k).
		Zh("%s区划 %s 不存在或当日无效", zh, k.Short()).On("profile." + field)
}

// check normalises f, which before becomes.
func check(f, before *Profile, on, today civil.Date) (*checker, error) {
	c := &checker{f: f, before: before, on: on, today: today}
	for _, step := range []func() error{c.names, c.documents, c.birthAndSex, c.marital, c.places, c.contacts, c.household} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *checker) warn(zh string) {
	if !slices.Contains(c.warnings, zh) {
		c.warnings = append(c.warnings, zh)
	}
}

func (c *checker) names() error {
	f := c.f
	if err := checkName("name", "姓名", f.Name); err != nil {
		return err
	}
	if len(f.FormerNames) > maxNames {
		return invalid("former_names", "TOO_MANY", "too many former names", "曾用名最多 10 个")
	}
	current := ident.NormalizeName(f.Name)
	var kept []string
	for _, n := range f.FormerNames {
		if err := checkName("former_names", "曾用名", n); err != nil {
			return err
		}
		same := func(o string) bool { return ident.NormalizeName(o) == ident.NormalizeName(n) }
		if ident.NormalizeName(n) != current && !slices.ContainsFunc(kept, same) {
			kept = append(kept, n)
		}
	}
	f.FormerNames = kept
	return nil
}

func checkName(field, zh, name string) error {
	n := utf8.RuneCountInString(ident.NormalizeName(name))
	switch {
	case n == 0:
		return invalid(field, "REQUIRED", field+" is missing", zh+"不能为空")
	case strings.ContainsFunc(name, unicode.IsControl):
		return invalid(field, "NAME_CHARACTERS", "a name holds control characters", zh+"中有换行等不可见字符")
	case n > maxName || utf8.RuneCountInString(name) > 2*maxName:
		return invalid(field, "NAME_LENGTH", "a name is too long", zh+"过长（最多 60 字）")
	}
	return nil
}

func (c *checker) documents() error {
	f := c.f
	if len(f.Documents) > maxDocs {
		return invalid("documents", "TOO_MANY", "too many documents", "证件最多 10 个")
	}
	seen := map[string]bool{}
	for i := range f.Documents {
		d := &f.Documents[i]
		field := fmt.Sprintf("documents[%d]", i)
		raw := d.Original
		if raw == "" {
			raw = d.Number
		}
		doc, notes, err := ident.Parse(d.Kind, raw)
		if err != nil {
			return usher.OnField(err, "profile."+field+".number")
		}
		if doc.Kind == ident.KindNone && len(f.Documents) > 1 {
			return invalid(field, "ID_UNEXPECTED", "no document beside another", "选择“无证件”时不应再填写其他证件")
		}
		if utf8.RuneCountInString(d.Confirmed) > maxReason {
			return invalid(field+".confirmed", "TEXT_LENGTH", "reason is too long", "理由最多 300 字")
		}
		same := func(o ledger.Document) bool { return o.Kind == doc.Kind && o.Number == doc.Number }
		stood := slices.ContainsFunc(c.before.Documents, same)
		doubtful, area := false, stood
		for _, w := range notes {
			doubtful = doubtful || w.Code == ident.WarnCheckDigit
			area = area || w.Code == ident.WarnArea
			if !stood {
				c.warn(w.Text)
			}
		}
		if doubtful && d.Confirmed == "" && !stood {
			return fault.Invalid(string(ident.WarnCheckDigit), "check digit of document %d fails and nobody confirmed it", i).
				Zh("证件号码校验位不符，请核对；确认无误的，注明理由后再保存").On("profile." + field + ".number")
		}
		if !doubtful {
			d.Confirmed = "" // there is nothing to confirm
		}
		if hint := doc.AreaHint(); !area && hint != "" && AreaOfHint(hint) == 0 && doc.Kind != ident.KindHMT {
			c.warn("证件号码前六位不在现行区划表中，可能是已撤销的代码，请核对")
		}
		if m := matchOf(doc); m != "" {
			if seen[m+doc.Number] {
				return invalid(field, "DOCUMENT_TWICE", "a document stands twice", "同一证件重复填写")
			}
			seen[m+doc.Number] = true
		}
		d.Kind, d.Number, d.Original = doc.Kind, doc.Number, ""
		if raw != doc.Number {
			d.Original = raw
		}
	}
	return nil
}

// AreaOfHint is the area of the first six digits of an ID where the table knows
// it, else 0.
func AreaOfHint(hint string) area.Key {
	for _, l := range []area.Level{area.County, area.Prefecture, area.Province} {
		k, err := area.Of(l, hint)
		if err != nil {
			continue
		}
		if _, ok := area.Lookup(k); ok {
			return k
		}
	}
	return 0
}

func (c *checker) birthAndSex() error {
	f, doc, was := c.f, c.f.Current(), c.before.Current()
	if b, ok := doc.Birth(); ok {
		// What was derived from a document is derived anew from the next.
		if old, derived := was.Birth(); derived && f.Birth == old && c.before.Birth == old {
			f.Birth = b
		}
		if !f.Birth.IsZero() && f.Birth != b {
			return invalid("birth_date", "BIRTH_MISMATCH", "birth date disagrees with the ID document", "出生日期与证件号码不一致")
		}
		f.Birth = b
	}
	switch {
	case f.Birth.After(c.today):
		return invalid("birth_date", "FUTURE_DATE", "birth date lies in the future", "出生日期不能晚于今天")
	case !f.Birth.IsZero() && f.Birth.Year < 1850:
		return invalid("birth_date", "BIRTH_DATE", "birth date lies too long ago", "出生日期过早，请核对")
	case c.on.Before(f.Birth):
		return fault.Invalid("EVENT_BEFORE_BIRTH", "event date lies before the birth date").Zh("发生日期早于出生日期").On("event_date")
	}
	sex := ident.Sex(min(f.Sex, 255))
	if !sex.Valid() {
		return invalid("sex", "SEX_CODE", "sex is no code of GB/T 2261.1", "性别代码应为 0、1、2 或 9")
	}
	derived := doc.Sex()
	kept := sex == was.Sex() && f.Sex == c.before.Sex
	if sex == ident.SexUnknown || kept && derived.Known() {
		f.Sex = uint32(derived)
	} else if derived.Known() && sex.Known() && derived != sex {
		c.warn("性别与证件号码不一致，请核对")
	}
	return nil
}

func (c *checker) marital() error {
	if m := c.f.Marital; m != 0 && (m > 99 || !ident.Marital(m).Valid()) {
		return invalid("marital_status", "MARITAL_CODE", "marital status is no code of GB/T 2261.2", "婚姻状况代码应为 10、20、21、22、23、30、40 或 90")
	}
	return nil
}

func (c *checker) places() error {
	for _, p := range []struct {
		key, was  area.Key
		least     area.Level
		field, zh string
		want      string
	}{
		{c.f.Registered, c.before.Registered, area.Prefecture, "registered", "户籍地", "地级市及以下"},
		{c.f.Managed, c.before.Managed, area.Township, "managed", "管理地", "乡镇（街道）或村（居）"},
		{c.f.Living, c.before.Living, area.Township, "living", "现居住地", "乡镇（街道）或村（居）"},
	} {
		switch {
		case p.key == 0, p.key == p.was:
		case p.key.Level() < p.least:
			return invalid(p.field, "AREA_LEVEL", p.field+" is too coarse an area", p.zh+"应填到"+p.want)
		case !area.ValidOn(p.key, c.on):
			return unknownArea(p.key, p.field, p.zh)
		case p.key.Level() == area.Village:
			c.villages = append(c.villages, place{p.key, p.field, p.zh})
		}
	}
	if utf8.RuneCountInString(c.f.Address) > maxAddress || strings.ContainsFunc(c.f.Address, unicode.IsControl) {
		return invalid("address", "TEXT_LENGTH", "address is too long or holds control characters", "地址最多 100 字，且不能换行")
	}
	return nil
}

func (c *checker) contacts() error {
	f := c.f
	if len(f.Contacts) > maxPhones {
		return invalid("contacts", "TOO_MANY", "too many contacts", "联系方式最多 8 个")
	}
	for i := range f.Contacts {
		t, field := &f.Contacts[i], fmt.Sprintf("contacts[%d]", i)
		t.Value = strings.TrimSpace(t.Value)
		if t.Kind == "" {
			t.Kind = ledger.ContactPhone
		}
		if t.Preference == "" {
			t.Preference = "any"
		}
		switch {
		case !slices.Contains(ledger.ContactKinds(), t.Kind):
			return invalid(field+".kind", "CONTACT_KIND", "unknown kind of contact", "联系方式类别应为 phone（电话）、wechat（微信）、mail（信件）、through_family（经家人）或 other（其他）")
		case !slices.Contains(ledger.Preferences(), t.Preference):
			return invalid(field+".preference", "CONTACT_PREFERENCE", "unknown preference", "联系意愿应为 any（随时）、workdays（工作日）、evenings（晚上）、message_only（只发消息）或 none（不要联系）")
		case t.Value == "":
			return invalid(field+".value", "REQUIRED", "contact is empty", "联系方式不能为空")
		case utf8.RuneCountInString(t.Value) > maxContact || strings.ContainsFunc(t.Value, unicode.IsControl):
			return invalid(field+".value", "CONTACT_LENGTH", "contact is too long", "联系方式最多 40 字")
		case t.Kind == ledger.ContactPhone:
			n := phoneKey(t.Value)
			if strings.Trim(strings.TrimPrefix(n, "+"), "0123456789") != "" || len(n) < 5 {
				return invalid(field+".value", "PHONE_FORMAT", "not a telephone number", "电话号码只能由数字、空格和短横组成，至少 5 位")
			}
			if strings.HasPrefix(n, "1") && len(n) != 11 && len(n) > 5 {
				c.warn("手机号码应为 11 位，请核对")
			}
		}
	}
	return nil
}

// phoneKey is the form of a telephone number for searching: full-width
// characters folded, spaces, hyphens and brackets left out, +86 taken off.
func phoneKey(s string) string {
	n := strings.Map(func(r rune) rune {
		if r >= 0xFF01 && r <= 0xFF5E {
			r -= 0xFEE0
		}
		if unicode.IsSpace(r) || strings.ContainsRune("-‐‑–—()（）", r) {
			return -1
		}
		return r
	}, s)
	if rest, ok := strings.CutPrefix(n, "+86"); ok && rest != "" {
		return rest
	}
	return n
}

func (c *checker) household() error {
	f := c.f
	f.Household = strings.TrimSpace(f.Household)
	switch n := utf8.RuneCountInString(f.Household); {
	case n == 0 && f.Relation != "":
		return invalid("household_relation", "HOUSEHOLD", "relation without household", "未填家庭编号时不应填写与户主关系")
	case n > 0 && (n < 8 || n > 64) || strings.ContainsFunc(f.Household, unicode.IsControl):
		return invalid("household", "HOUSEHOLD", "household has a wrong length", "家庭编号应为 8 到 64 个字符")
	case f.Relation != "" && !slices.Contains(ledger.Relations(), f.Relation):
		return invalid("household_relation", "HOUSEHOLD_RELATION", "unknown relation", "与户主关系应为 head（户主）、spouse（配偶）、child（子女）、parent（父母）或 other（其他）")
	}
	return nil
}
