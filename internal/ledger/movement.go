package ledger

import (
	"bytes"
	"encoding/hex"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
)

// MovementID names a movement. The zero value is none.
type MovementID [16]byte

// String returns 32 hex digits.
func (m MovementID) String() string { return hex.EncodeToString(m[:]) }

// IsZero reports whether m names nothing.
func (m MovementID) IsZero() bool { return m == MovementID{} }

// ParseMovementID reads 32 hex digits; dashes are ignored.
func ParseMovementID(s string) (MovementID, error) {
	id, err := cases.ParsePersonID(s) // the same form
	if f, ok := fault.As(err); ok {
		c := *f
		return MovementID{}, c.On("movement_id")
	}
	return MovementID(id), err
}

// MovementKind is what happened. The numbers are stored and those of the API.
type MovementKind uint8

// The kinds of movement.
const (
	Leave    MovementKind = 1 // 流出: left the place of registration
	Arrive   MovementKind = 2 // 流入
	MoveOn   MovementKind = 3 // 再流动: on to another place, without returning
	Return   MovementKind = 4 // 返回 to the place of registration
	Transfer MovementKind = 5 // 户口迁移
	Identity MovementKind = 6 // name or ID number changed
	Death    MovementKind = 7
)

var (
	movementNames = []string{"", "leave", "arrive", "move_on", "return", "transfer", "identity", "death"}
	movementZh    = []string{"", "流出", "流入", "再流动", "返回", "户口迁移", "姓名或证件变更", "死亡"}
)

// Known reports whether k is one of the kinds.
func (k MovementKind) Known() bool { return k >= Leave && k <= Death }

// String returns the kind's stable name, "leave".
func (k MovementKind) String() string {
	if !k.Known() {
		return "unknown"
	}
	return movementNames[k]
}

// Zh returns the kind's name in Chinese.
func (k MovementKind) Zh() string {
	if !k.Known() {
		return "未知"
	}
	return movementZh[k]
}

// Movement is one that was registered; its sealed part is MovementNote.
type Movement struct {
	ID         MovementID
	Office     area.Key
	Person     cases.PersonID
	Kind       MovementKind
	From, To   area.Key // 0: not known
	On         civil.Date
	DueOn      civil.Date // last day of filing in time; zero: none
	RecordedAt time.Time
	Account    string
	UndoneAt   time.Time // zero: it stands
}

// Why a movement's notice stayed here. They are sealed: nothing plain separates
// who objected from who did not (SECURITY D4).
const (
	StayedObjected       = "objected"
	StayedNoBasis        = "no_basis"
	StayedNoDestination  = "no_destination"
	StayedNoRegistered   = "no_registered_area"
	StayedNoMovement     = "no_movement"
	StayedNoticeExists   = "notice_exists"
	StayedApprovalNeeded = "approval_needed"
	StayedElsewhere      = "office_elsewhere"
	StayedSuperseded     = "superseded"
)

var stayedZh = map[string]string{
	StayedObjected:       "本人不同意，只在本地登记，不发送通报",
	StayedNoBasis:        "没有依据（本人申请、同意书或政策职责），只在本地登记，不发送通报",
	StayedNoDestination:  "去向不明（至少应到地级市），只在本地登记；查明后请登记“再流动”",
	StayedNoRegistered:   "户籍地不明（至少应到地级市），只在本地登记；请补全户籍地",
	StayedNoMovement:     "按现行政策两地之间不构成流动，只在本地登记",
	StayedNoticeExists:   "双方之间已有此人的通报，不再重复发送，请在该案件中办理",
	StayedApprovalNeeded: "十二个月内已通报三个目的地，须第二人审批后才发送；已提交审批，批准后以审批编号再次登记",
	StayedSuperseded:     "此后已登记新的流动，本次只在本地补录，不发送通报",
	StayedElsewhere:      "本单位的区划现由其他节点办理，只在本地登记，不能由此发送",
}

// StayedZh tells a clerk why no notice left; "" for an unknown reason.
func StayedZh(reason string) string { return stayedZh[reason] }

// MovementNote is what is known of a movement beside its plain columns: by what
// right a notice left, which, or why none did. It is kept under the person's
// key in one size.
type MovementNote struct {
	BasisKind cases.BasisKind `json:"basis,omitempty"`
	Consent   cases.ConsentID `json:"consent,omitzero"`
	Duty      string          `json:"duty,omitempty"`
	Confirm   cases.ConsentID `json:"confirm,omitzero"`
	Case      cases.CaseID    `json:"case,omitzero"`     // the notice that it opened
	Accepted  cases.CaseID    `json:"accepted,omitzero"` // the notice from which it was accepted
	Stayed    string          `json:"stayed,omitempty"`
	Approval  [16]byte        `json:"approval,omitzero"`
	Followed  []NotedCase     `json:"followed,omitempty"`
	Warnings  []string        `json:"warnings,omitempty"`
	Undone    string          `json:"undone,omitempty"` // why it was taken back
	UndoneBy  string          `json:"undone_by,omitempty"`
}

// NotedCase is a case that a movement changed: withdrawn, closed, corrected or
// opened.
type NotedCase struct {
	Case   cases.CaseID `json:"c"`
	Change string       `json:"w"`
}

// MovementBytes is the size of a sealed MovementNote, before encryption.
const MovementBytes = 2048

// Fit leaves out what does not fit into the sealed form: the warnings, then
// cases beyond the first few. Nothing else of a note is long.
func (n *MovementNote) Fit() {
	if _, err := Encode(n, MovementBytes); err != nil {
		n.Warnings = nil
	}
	if _, err := Encode(n, MovementBytes); err != nil {
		n.Followed = n.Followed[:min(len(n.Followed), 5)]
	}
}

// stay is where somebody is between two movements.
type stay struct {
	presence   Presence
	living     area.Key
	registered area.Key
	since      civil.Date
}

// inOrder returns the movements that stand, by day of the event, then time of
// recording.
func inOrder(ms []Movement) []Movement {
	live := slices.DeleteFunc(slices.Clone(ms), func(m Movement) bool { return !m.UndoneAt.IsZero() })
	slices.SortFunc(live, func(a, b Movement) int {
		if c := a.On.Compare(b.On); c != 0 {
			return c
		}
		if c := a.RecordedAt.Compare(b.RecordedAt); c != 0 {
			return c
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	return live
}

// begin is the stay before the first movement. registered is the area after the
// last transfer; the first transfer says what it was before.
func begin(registered area.Key, live []Movement) stay {
	for _, m := range live {
		if m.Kind == Transfer && m.From != 0 {
			registered = m.From
			break
		}
	}
	return stay{presence: Unknown, registered: registered}
}

// Places returns where a person is as the movements tell that were not undone:
// presence at the office, place of living (0: not known) and since when (zero:
// not known). registered is the place of registration as the file says now. The
// order in which movements are given does not matter. There is one residence by
// construction; the dead move no more.
func Places(office, registered area.Key, ms []Movement) (Presence, area.Key, civil.Date) {
	live := inOrder(ms)
	s := begin(registered, live)
	for i := range live {
		s = s.after(office, &live[i])
	}
	return s.presence, s.living, s.since
}

func (s stay) after(office area.Key, m *Movement) stay {
	if s.presence == Dead {
		return s
	}
	own := s.registered != 0 && s.registered.Within(office)
	to := s
	switch m.Kind {
	case Leave, MoveOn:
		to.presence, to.living = Gone, m.To
		if own {
			to.presence = Outflow
		}
	case Arrive:
		to.presence, to.living = Inflow, m.To
		if own {
			to.presence = Here
		}
		if to.living == 0 {
			to.living = office
		}
	case Return:
		to.presence, to.living = Gone, s.registered
		if own {
			to.presence = Here
		}
		if m.To != 0 {
			to.living = m.To
		}
	case Transfer:
		to.registered = m.To
		to.presence = Transferred(s.presence, m.To != 0 && m.To.Within(office))
		if to.presence == s.presence {
			return to
		}
	case Death:
		to.presence, to.living = Dead, 0
	default:
		return s
	}
	to.since = m.On
	return to
}

// Transferred is the presence after the registration moved, here or elsewhere.
func Transferred(p Presence, here bool) Presence {
	switch {
	case here && p == Inflow:
		return Here
	case here && p == Gone:
		return Outflow
	case !here && p == Here:
		return Inflow
	case !here && p == Outflow:
		return Gone
	}
	return p
}

// CheckMovement reports whether a movement fits between those that stand: what
// contradicts where the person was on that day, or makes what was registered
// after it wrong, is a Conflict that says what to do instead.
func CheckMovement(office, registered area.Key, ms []Movement, m Movement) error {
	old := misfits(office, registered, ms)
	for _, f := range misfits(office, registered, append(slices.Clone(ms), m)) {
		switch {
		case f.m.ID == m.ID:
			return f.err
		case !slices.ContainsFunc(old, f.same):
			return fault.Conflict("LATER_MOVEMENT", "a later %s contradicts a %s before it", f.m.Kind, m.Kind).
				Zh("%s 已登记“%s”，与本次“%s”矛盾；请核对日期，或先撤销后来的登记", f.m.On, f.m.Kind.Zh(), m.Kind.Zh()).On("event_date")
		}
	}
	return nil
}

// CheckUndo reports whether a movement can be taken back: one on which a later
// one rests is a Conflict. registered is the place of registration without it.
func CheckUndo(office, before, registered area.Key, ms []Movement, id MovementID) error {
	old := misfits(office, before, ms)
	rest := slices.DeleteFunc(slices.Clone(ms), func(m Movement) bool { return m.ID == id })
	for _, f := range misfits(office, registered, rest) {
		if !slices.ContainsFunc(old, f.same) {
			return fault.Conflict("LATER_MOVEMENT", "a later %s rests on the movement", f.m.Kind).
				Zh("%s 登记的“%s”以本次登记为前提，请先撤销它", f.m.On, f.m.Kind.Zh()).On("movement_id")
		}
	}
	return nil
}

type misfit struct {
	m   *Movement
	err error
}

func (f misfit) same(o misfit) bool { return f.m.ID == o.m.ID }

func misfits(office, registered area.Key, ms []Movement) []misfit {
	live := inOrder(ms)
	s := begin(registered, live)
	var out []misfit
	for i := range live {
		if err := s.fits(office, &live[i]); err != nil {
			out = append(out, misfit{&live[i], err})
		}
		s = s.after(office, &live[i])
	}
	return out
}

func (s stay) fits(office area.Key, m *Movement) error {
	no := func(reason, zh string) error {
		return fault.Conflict(reason, "movement %s does not fit presence %d on its day", m.Kind, s.presence).Zh("%s", zh).On("kind")
	}
	own := s.registered != 0 && s.registered.Within(office)
	if s.presence == Dead {
		return no("PERSON_DEAD", "此人已登记死亡，不能再登记流动；如属误登，请先撤销死亡登记")
	}
	switch m.Kind {
	case Leave:
		switch {
		case s.registered == 0:
			return no("NOT_REGISTERED_HERE", "档案中没有户籍地，请先补全户籍地再登记流出")
		case !own:
			return no("NOT_REGISTERED_HERE", "此人户籍不在本单位，离开本地请登记“再流动”")
		case s.presence == Outflow:
			return no("ALREADY_AWAY", "此人已登记流出；换了地方请登记“再流动”，回来了请登记“返回”")
		}
	case Arrive:
		switch {
		case s.presence.LivesHere():
			return no("ALREADY_HERE", "此人已登记在本地居住，不能重复登记流入；地址有变请修改档案，离开请先登记“再流动”或“流出”")
		case s.presence == Outflow:
			return no("IS_RETURN", "此人户籍在本单位，回来请登记“返回”")
		}
	case MoveOn:
		switch {
		case own && s.presence != Outflow:
			return no("IS_LEAVE", "此人户籍在本单位且未登记外出，离开请登记“流出”")
		case s.presence == Gone:
			return no("ALREADY_GONE", "此人已登记离开；再次来到请先登记“流入”")
		}
	case Return:
		switch s.presence {
		case Here:
			return no("NOT_AWAY", "此人未登记外出，不需要登记返回")
		case Gone:
			return no("ALREADY_GONE", "此人已登记离开本地，不需要再登记返回")
		}
	case Transfer:
		if m.To == s.registered {
			return no("SAME_REGISTER", "迁入地与现户籍地相同，请核对")
		}
	}
	return nil
}
