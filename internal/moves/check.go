package moves

import (
	"crypto/rand"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/policy"
	"yipan/internal/usher"
)

// check holds what was typed to the rules of DOMAIN section 5 that need no file.
func (m *Moves) check(in *Input, office area.Key) error {
	if !in.Kind.Known() {
		return fault.Invalid("MOVEMENT_KIND", "unknown kind of movement").Zh("请选择流动类型：流出、流入、再流动、返回、户口迁移、姓名或证件变更、死亡").On("kind")
	}
	if in.Person.IsZero() && in.Profile == nil {
		return fault.Invalid("REQUIRED", "neither a person nor a profile is given").Zh("请指明人员编号，或填写姓名和证件").On("person_id")
	}
	if err := desk.CheckCertificate(in.CertificateAsked, in.CertificateIssued, civil.In(m.Now())); err != nil {
		return err
	}
	switch today := civil.In(m.Now()); {
	case in.On.IsZero():
		return fault.Invalid("REQUIRED", "event date is missing").Zh("请填写发生日期").On("event_date")
	case in.On.After(today):
		return fault.Invalid("FUTURE_DATE", "event date lies in the future").Zh("发生日期不能晚于今天").On("event_date")
	}
	if err := m.checkPlace(in.From, in.On, "from", "来自何处"); err != nil {
		return err
	}
	if err := m.checkPlace(in.To, in.On, "to", "去往何处"); err != nil {
		return err
	}
	return checkTo(in, office)
}

func (m *Moves) checkPlace(k area.Key, on civil.Date, field, zh string) error {
	if k != 0 && !area.ValidOn(k, on) {
		return fault.Invalid("AREA_UNKNOWN", "area %s is unknown or not valid on the day", k).Zh("“%s”的区划 %s 不存在，或在 %s 无效", zh, k.Short(), on).On(field)
	}
	return nil
}

// checkTo holds the place to which somebody goes to the kind of movement.
func checkTo(in *Input, office area.Key) error {
	to := in.To
	switch in.Kind {
	case ledger.Leave, ledger.MoveOn:
		switch {
		case to != 0 && to.Level() < area.Prefecture:
			return fault.Invalid("AREA_LEVEL", "destination %s is above a prefecture", to).Zh("去向至少应到地级市；不清楚的请留空").On("to")
		case to != 0 && to.Within(office):
			return fault.Invalid("WITHIN_OFFICE", "destination %s lies in the office's own area", to).Zh("去向在本单位辖区内，不构成流动；地址有变请修改档案").On("to")
		}
	case ledger.Arrive, ledger.Return:
		if to != 0 && !to.Within(office) && in.Kind == ledger.Arrive {
			return fault.Invalid("NOT_WITHIN", "place of arrival %s lies outside the office's area", to).Zh("到达地应在本单位辖区内，可以到村（社区）；在别处的由当地登记").On("to")
		}
		if in.From != 0 && in.From.Within(office) {
			return fault.Invalid("WITHIN_OFFICE", "place of departure %s lies in the office's own area", in.From).Zh("来自本单位辖区内，不构成流动；地址有变请修改档案").On("from")
		}
	case ledger.Transfer:
		switch {
		case to == 0:
			return fault.Invalid("REQUIRED", "new place of registration is missing").Zh("请填写户口迁入地").On("to")
		case to.Level() < area.Prefecture:
			return fault.Invalid("AREA_LEVEL", "place of registration %s is above a prefecture", to).Zh("户口迁入地至少应到地级市").On("to")
		}
	default:
		if to != 0 || in.From != 0 {
			return fault.Invalid("AREA_UNEXPECTED", "a movement %s has no places", in.Kind).Zh("“%s”不填来去地区", in.Kind.Zh()).On("to")
		}
	}
	return nil
}

// dueOn is the last day of filing in time; zero where the kind is no movement
// between places or the policy has no limit.
func dueOn(kind ledger.MovementKind, on civil.Date, x, y area.Key, pol *policy.Policy) civil.Date {
	name := policy.Outflow
	switch kind {
	case ledger.Leave, ledger.Return:
	case ledger.Arrive, ledger.MoveOn:
		name = policy.Inflow
	default:
		return civil.Date{}
	}
	l, err := pol.LimitsFor(name, x, y)
	if err != nil || !l.HasFile {
		return civil.Date{}
	}
	due, err := l.File.Due(on.StartInstant(), pol.Calendar)
	if err != nil { // long ago, before the calendars
		return on.AddDays(int(l.File.Days))
	}
	return policy.DueDay(due)
}

// documentOf is the document by which a profile as typed is known.
func documentOf(f *ledger.Profile) (ident.Doc, error) {
	for i := range f.Documents {
		d := &f.Documents[i]
		if d.Former || d.Kind == ident.KindNone {
			continue
		}
		n := d.Original
		if n == "" {
			n = d.Number
		}
		doc, _, err := ident.Parse(d.Kind, n)
		return doc, usher.OnField(err, "profile.documents")
	}
	return ident.Doc{}, nil
}

func randomID() (id [16]byte) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// earlierThan is the day of the last movement that changed where the person
// lives and stands before m; zero: none.
func earlierThan(ms []ledger.Movement, m *ledger.Movement) (day civil.Date) {
	for i := range ms {
		o := &ms[i]
		if o.ID != m.ID && o.UndoneAt.IsZero() && o.Kind <= ledger.Return && !o.On.After(m.On) && o.On.After(day) {
			day = o.On
		}
	}
	return day
}

// superseded reports whether a later movement says where the person is now.
func superseded(ms []ledger.Movement, m *ledger.Movement) bool {
	for i := range ms {
		o := &ms[i]
		if o.ID != m.ID && o.UndoneAt.IsZero() && o.Kind != ledger.Identity && o.On.After(m.On) {
			return true
		}
	}
	return false
}

// registeredAfter is the place of registration when the movements have happened:
// that of the last transfer, else as the file says.
func registeredAfter(file area.Key, ms []ledger.Movement) area.Key {
	var last *ledger.Movement
	for i := range ms {
		o := &ms[i]
		if o.Kind == ledger.Transfer && o.UndoneAt.IsZero() &&
			(last == nil || o.On.After(last.On) || o.On == last.On && o.RecordedAt.After(last.RecordedAt)) {
			last = o
		}
	}
	if last == nil {
		return file
	}
	return last.To
}

// isMiss reports that a person is not there, or not the caller's to see.
func isMiss(err error) bool { return fault.Is(err, fault.KindNotFound) }

func isZero(id [16]byte) bool { return cases.CaseID(id).IsZero() }
