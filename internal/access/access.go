// Package access owns who may do what: principals, roles, verbs and the one
// question Can. It refuses by default; a role that is not named for a verb
// does not have it. It does no I/O.
package access

import (
	"slices"

	"yipan/internal/area"
	"yipan/internal/fault"
)

// Role of an account. A principal has exactly one.
type Role string

// The roles of DESIGN section 7.
const (
	Clerk       Role = "clerk"       // 经办人: reads and writes the cases of a township
	Distributor Role = "distributor" // 分发员: cases addressed to the county and not yet given away
	County      Role = "county"      // 县级: rates and counts, never people
	Auditor     Role = "auditor"     // 审计: the access log only
	Admin       Role = "admin"       // 管理员: the machine, no persons
	Security    Role = "security"    // 安全员: accounts, no persons
	Service     Role = "service"     // a program that acts for a named clerk
)

// Roles lists every role.
func Roles() []Role {
	return []Role{Clerk, Distributor, County, Auditor, Admin, Security, Service}
}

// Principal is who calls. Offices are the areas the account works for: a
// clerk's townships, a distributor's or county operator's county.
type Principal struct {
	ID       string // account name, stable, without personal data
	Role     Role
	Offices  []area.Key
	OnBehalf string // Service: the end user named by the program; logged
}

// Verb is what a principal wants to do, checked against role and office.
type Verb string

// The verbs of the desk.
const (
	CaseOpen       Verb = "case.open"
	CaseRead       Verb = "case.read"
	CaseUnmask     Verb = "case.unmask"
	CaseDistribute Verb = "case.distribute"
	CasePair       Verb = "case.pair"
	CaseAnswer     Verb = "case.answer"
	CaseOffer      Verb = "case.offer"
	CaseChange     Verb = "case.change" // correct, withdraw, reroute, dispute, close, reopen
	ConsentWrite   Verb = "consent.write"
	ConsentRead    Verb = "consent.read"
	PersonOpen     Verb = "person.open"   // one file, its history
	PersonSearch   Verb = "person.search" // lines of a list
	PersonWrite    Verb = "person.write"  // register, edit, merge
	PersonRestrict Verb = "person.restrict"
	PersonSlip     Verb = "person.slip" // for the person present
	MovementRead   Verb = "movement.read"
	MovementWrite  Verb = "movement.write"
	ServiceRead    Verb = "service.read"
	ServiceWrite   Verb = "service.write"
	ContactRead    Verb = "contact.read" // the contact log of one person
	ContactWrite   Verb = "contact.write"
	TodoRead       Verb = "todo.read"
	TodoAct        Verb = "todo.act" // acknowledge, bulk actions
	Approve        Verb = "approve"  // as a second user
	RatesRead      Verb = "rates.read"
	OutageDeclare  Verb = "outage.declare"
	LogRead        Verb = "log.read"
	NodeRead       Verb = "node.read"
	NodeMend       Verb = "node.mend"
	UserManage     Verb = "user.manage"
	ReminderRead   Verb = "reminder.read" // digests, counts only, and the duty rota
	ReminderWrite  Verb = "reminder.write"
	DutyWrite      Verb = "duty.write"
)

var grants = map[Verb][]Role{
	CaseOpen:       {Clerk, Service},
	CaseRead:       {Clerk, Distributor, Service},
	CaseUnmask:     {Clerk, Service},
	CaseDistribute: {Distributor},
	CasePair:       {Clerk, Service},
	CaseAnswer:     {Clerk, Distributor, Service},
	CaseOffer:      {Clerk, Service},
	CaseChange:     {Clerk, Service},
	ConsentWrite:   {Clerk, Service},
	ConsentRead:    {Clerk, Service},
	PersonOpen:     {Clerk, Service},
	PersonSearch:   {Clerk, Service},
	PersonWrite:    {Clerk, Service},
	PersonRestrict: {Clerk},
	PersonSlip:     {Clerk},
	MovementRead:   {Clerk, Service},
	MovementWrite:  {Clerk, Service},
	ServiceRead:    {Clerk, Service},
	ServiceWrite:   {Clerk, Service},
	ContactRead:    {Clerk, Service},
	ContactWrite:   {Clerk, Service},
	TodoRead:       {Clerk, Distributor, Service},
	TodoAct:        {Clerk, Distributor, Service},
	Approve:        {Clerk},
	RatesRead:      {Clerk, Distributor, County, Service},
	OutageDeclare:  {County},
	LogRead:        {Auditor},
	NodeRead:       {Admin, Security, County, Auditor},
	NodeMend:       {Admin},
	UserManage:     {Security},
	ReminderRead:   {Clerk, Distributor, County},
	ReminderWrite:  {Clerk, Distributor, County},
	DutyWrite:      {Clerk, Distributor, County},
}

// Verbs lists every verb that some role has.
func Verbs() []Verb {
	v := make([]Verb, 0, len(grants))
	for k := range grants {
		v = append(v, k)
	}
	slices.Sort(v)
	return v
}

// ReadsPersons reports whether the role can ever be shown a person; an account
// with such a role is granted by two persons.
func (r Role) ReadsPersons() bool {
	return r == Clerk || r == Distributor || r == Service
}

// Can reports whether p may do v in office. Office 0 asks about the verb alone.
func Can(p Principal, v Verb, office area.Key) bool {
	if !slices.Contains(grants[v], p.Role) {
		return false
	}
	if office == 0 {
		return true
	}
	for _, o := range p.Offices {
		if o == office || v == RatesRead && office.Within(o) {
			return true
		}
	}
	return false
}

// Check is Can as an error of kind Denied.
func Check(p Principal, v Verb, office area.Key) error {
	if Can(p, v, office) {
		return nil
	}
	return fault.Denied("NOT_ALLOWED", "%s (%s) may not %s", p.ID, p.Role, v).
		Zh("您的账号没有这项权限，请联系本单位安全员")
}

// StandsAbove reports whether p looks at area k from above its county: no area
// that p works for is a county that holds k, or lies in it. What leaves the county
// alone is for such a caller (SECURITY D3), but for its own office's work.
func (p Principal) StandsAbove(k area.Key) bool {
	return !slices.ContainsFunc(p.Offices, func(o area.Key) bool { return o == k || k.Within(o) && o.Level() >= area.County })
}

// FirstOffice is where an event stands that is about no office: p's first, 0
// where p has none.
func (p Principal) FirstOffice() area.Key {
	if len(p.Offices) == 0 {
		return 0
	}
	return p.Offices[0]
}

// Office returns the office that p means: asked where p works there, or p's
// only one where asked is 0.
func (p Principal) Office(asked area.Key) (area.Key, error) {
	switch {
	case asked == 0 && len(p.Offices) == 1:
		return p.Offices[0], nil
	case asked == 0:
		return 0, fault.Invalid("OFFICE_REQUIRED", "%s works for %d offices; name one", p.ID, len(p.Offices)).
			Zh("请指明所用单位（您的账号有 %d 个单位）", len(p.Offices))
	case slices.Contains(p.Offices, asked):
		return asked, nil
	}
	return 0, fault.Denied("FOREIGN_OFFICE", "%s does not work for area %s", p.ID, asked).
		Zh("区划 %s 不属于您的账号", asked.Short())
}
