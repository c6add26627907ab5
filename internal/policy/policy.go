// Package policy owns limits as data: how long each kind of case may take,
// between which areas, counted in which days; the working-day calendars; the
// instants that follow from them; the offer rounds, targets, monthly days,
// bases and consent texts in force. A Policy is read from a TOML file, has a version, a validity
// and a digest, and does not change once read.
//
// Invariants: everything is a pure function of the file and of embedded data,
// so two nodes that hold the same numbers compute the same instant. A calendar
// never changes under its id; a year added is a new calendar. All days are
// days of Asia/Shanghai; every range in a file includes its from and excludes
// its to.
//
// It refuses unknown keys, unknown kinds and calendars, targets on anything
// that is not an office's work, and a duty as the basis of what only the
// person may ask for (DOMAIN §2).
package policy

import (
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/fault"
)

// The kinds of case that have limits (DOMAIN §3).
const (
	Outflow      = "outflow"       // 流出通报
	Inflow       = "inflow"        // 流入通报
	Assist       = "assist"        // 协查
	AssistUrgent = "assist_urgent" // 加急协查, urgent only because the person asked
	Certificate  = "certificate"   // 婚育证明
	Birth        = "birth"         // 生育服务通报
)

// Kinds returns every kind that a policy must give limits for, in the order in
// which they are shown.
func Kinds() []string {
	return []string{Outflow, Inflow, Assist, AssistUrgent, Certificate, Birth}
}

// dutyKinds are the kinds that may be opened on a duty; the others need the
// person's own request or consent.
var dutyKinds = []string{Outflow, Inflow, Assist}

// The rates that a policy may set a target for (DOMAIN §4). All of them judge
// an office's work; uptake of a service has none.
const (
	RateFiledInTime      = "filed_in_time"     // 及时录入率
	RateFeedback         = "feedback"          // 反馈率
	RateFeedbackOnTime   = "feedback_on_time"  // 及时反馈率
	RateChecking         = "checking"          // 核实率
	RateVerification     = "verification"      // 验证率
	RateCertificate      = "certificate"       // 办证率
	RateRegistration     = "registration"      // 登记率
	RateOffer            = "offer"             // 服务告知率
	RateContraceptives   = "contraceptives"    // 药具
	RateFollowUp         = "follow_up"         // 随访
	RateBirthNotice      = "birth_notice"      // 通报率
	RateEffectiveContact = "effective_contact" // 有效联系率
	RatePairing          = "pairing"           // 配对率
	RateAddress          = "address"           // 地址到村率
	RateID               = "id"                // ID合格率
	RateDuplicate        = "duplicate"         // 重复率
	RateVisits           = "visits"            // 来访办结率
)

// Rates returns the names that [targets] may use.
func Rates() []string {
	return []string{RateFiledInTime, RateFeedback, RateFeedbackOnTime, RateChecking, RateVerification,
		RateCertificate, RateRegistration, RateOffer, RateContraceptives, RateFollowUp, RateBirthNotice,
		RateEffectiveContact, RatePairing, RateAddress, RateID, RateDuplicate, RateVisits}
}

// Digest is the first 8 bytes of the SHA-256 of Canonical(file); an item
// carries it.
type Digest [8]byte

// String returns 16 hex digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Policy is one version of the rules. Treat it as read-only: it is shared
// between goroutines without a lock.
type Policy struct {
	Version       string // 1..40 of [A-Za-z0-9._-]
	Digest        Digest
	From, To      civil.Date // in force [From, To); the zero To is open-ended
	Calendar      CalendarNo // the calendar that items opened under this policy carry
	MovementLevel area.Level // Township, County or Prefecture
	StatYear      Span       // SpanYear or SpanOctSep
	GraceDays     int        // a MISROUTED within these calendar days leaves the wrong receiver's rates
	Monthly       MonthlyDays
	Hours         OfficeHours
	Limits        map[string]Limits // by kind, all of Kinds()
	Pairs         []Pair            // exceptions, most specific first
	Targets       map[string]Percent
	Rounds        []Round // by From
	Bases         []Basis // duties in force
	OfferScope    OfferScope
	// CertificateMonths is how long a certificate (婚育证明) is valid, 1..120.
	CertificateMonths int
	// VisitDays is within how many working days what a visitor (来访) asked for is
	// to be settled, 1..MaxDays.
	VisitDays int
	Texts     []ConsentText // consent texts that the policy names
}

// MonthlyDays are the days of the month (1..28) up to which an office submits
// and feeds back for the month's report.
type MonthlyDays struct {
	Submission, Feedback int
}

// In returns both last days of the month that begins at m.From.
func (d MonthlyDays) In(m Period) (submission, feedback civil.Date) {
	return m.From.AddDays(d.Submission - 1), m.From.AddDays(d.Feedback - 1)
}

// OfficeHours are the minutes after midnight between which an office works, on
// working days of the policy's calendar.
type OfficeHours struct {
	From, To int // 0..1440, From < To
}

// Percent is a percentage in hundredths of a percent: 9500 is 95 %.
type Percent int

// String returns the percentage with two decimals and its sign, "95.00%".
func (p Percent) String() string { return fmt.Sprintf("%d.%02d%%", p/100, p%100) }

// Limits are the limits of one kind of case.
type Limits struct {
	Answer   Limit  // from delivery to the terminal answer
	Township Limit  // from ASSIGN to it, the township's own due (PROTOCOL, ASSIGN)
	File     Limit  // from the event to the filing or opening
	HasFile  bool   // false: no limit on filing
	Source   string // where the numbers come from
}

// Pair is an exception for cases of Kind from within X to within Y; a zero
// area is any.
type Pair struct {
	Kind   string
	X, Y   area.Key
	Limits Limits
}

// Basis is a duty that may stand as the basis of opening or correcting a case
// (DOMAIN §2.7). It is never a basis for disclosing whereabouts.
type Basis struct {
	ID     string // "duty:" and 1..40 of [a-z0-9-]
	Text   string
	Source string
	Kinds  []string // a subset of outflow, inflow, assist
}

// LimitsFor returns the limits of kind between opener x and receiver y. Of the
// pairs that hold both areas, the one with the most digits in X and Y together
// wins; at a tie the one with more digits in X, because the opener's limit is
// what the item carries. (Two pairs equal in both cannot be in one file.)
// An unknown kind is Invalid.
func (p *Policy) LimitsFor(kind string, x, y area.Key) (Limits, error) {
	l, ok := p.Limits[kind]
	if !ok {
		return Limits{}, unknownKind(kind)
	}
	for i := range p.Pairs {
		if q := &p.Pairs[i]; q.Kind == kind && q.holds(x, y) {
			return q.Limits, nil
		}
	}
	return l, nil
}

// LimitFor returns the limit of the answer, the one that an item carries.
func (p *Policy) LimitFor(kind string, x, y area.Key) (Limit, error) {
	l, err := p.LimitsFor(kind, x, y)
	return l.Answer, err
}

// BasisFor returns the duty id if it is in force for kind; else Invalid.
func (p *Policy) BasisFor(id, kind string) (Basis, error) {
	for _, b := range p.Bases {
		if b.ID == id && slices.Contains(b.Kinds, kind) {
			return b, nil
		}
	}
	return Basis{}, fault.Invalid("BASIS_NOT_IN_FORCE", "basis not in force for kind %q under policy %s", kind, p.Version).
		Zh("政策 %s 未把该职责列为此类件的依据", p.Version).On("basis")
}

// InForce reports whether the policy's validity holds d.
func (p *Policy) InForce(d civil.Date) bool {
	return !d.Before(p.From) && (p.To.IsZero() || d.Before(p.To))
}

// OutOfHours reports whether t lies outside the office hours: before or after
// them, or on a day off. Under the plain calendar Saturdays and Sundays are off.
func (p *Policy) OutOfHours(t time.Time) bool {
	d := civil.In(t)
	c, err := CalendarByNo(p.Calendar)
	if err != nil || c.plain {
		if weekend(d) {
			return true
		}
	} else if !c.Working(d) {
		return true
	}
	l := t.In(civil.Shanghai)
	m := l.Hour()*60 + l.Minute()
	return m < p.Hours.From || m >= p.Hours.To
}

// Moved reports whether origin and residence differ at the level that makes a
// movement. Areas of which one holds the other do not differ. For prefectures
// a municipality (北京, 天津, 上海, 重庆) is one, and below a pseudo-prefecture
// (4190, 4290, 4690, 6590) each county-level city is its own.
func (p *Policy) Moved(origin, residence area.Key) bool {
	a, b := p.cut(origin), p.cut(residence)
	return a != 0 && b != 0 && !a.Within(b) && !b.Within(a)
}

func (p *Policy) cut(k area.Key) area.Key {
	l := p.MovementLevel
	if l == area.Prefecture && k.Level() >= area.Prefecture {
		switch s := k.Code(); {
		case slices.Contains([]string{"11", "12", "31", "50"}, s[:2]):
			l = area.Province
		case slices.Contains([]string{"4190", "4290", "4690", "6590"}, s[:4]):
			l = area.County
		}
	}
	return k.Cut(l)
}

func (q *Pair) holds(x, y area.Key) bool {
	return (q.X == 0 || x.Within(q.X)) && (q.Y == 0 || y.Within(q.Y))
}

func unknownKind(kind string) error {
	return fault.Invalid("CASE_KIND", "no limits for kind %q", kind).Zh("政策中没有这类件的期限").On("kind")
}
