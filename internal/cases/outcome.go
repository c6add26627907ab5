package cases

import "slices"

// Outcome of an ANSWER. Numbers are those of the wire.
type Outcome uint8

// The outcomes of DOMAIN section 3.
const (
	NoDisclosure        Outcome = 1
	Residing            Outcome = 2
	NotFound            Outcome = 3
	MovedOn             Outcome = 4
	Misrouted           Outcome = 5
	Duplicate           Outcome = 6
	Unreachable         Outcome = 7
	Confirmed           Outcome = 8
	RegisteredElsewhere Outcome = 9
	NotOurRegister      Outcome = 10
	IdentityConflict    Outcome = 11
	Done                Outcome = 12
	Partly              Outcome = 13
	Cannot              Outcome = 14
	Valid               Outcome = 15
	Expired             Outcome = 16
	Revoked             Outcome = 17
	Unknown             Outcome = 18
	BadSignature        Outcome = 19
	Received            Outcome = 20
)

var outcomes = [...]string{"", "NO_DISCLOSURE", "RESIDING", "NOT_FOUND", "MOVED_ON", "MISROUTED", "DUPLICATE", "UNREACHABLE",
	"CONFIRMED", "REGISTERED_ELSEWHERE", "NOT_OUR_REGISTER", "IDENTITY_CONFLICT", "DONE", "PARTLY", "CANNOT",
	"VALID", "EXPIRED", "REVOKED", "UNKNOWN", "BAD_SIGNATURE", "RECEIVED"}

// String returns the outcome in capitals.
func (o Outcome) String() string {
	if int(o) >= len(outcomes) {
		return "?"
	}
	return outcomes[o]
}

var outcomesOf = map[Kind][]Outcome{
	Outflow:      {Residing, NotFound, MovedOn, Misrouted, Duplicate, Unreachable, NoDisclosure},
	Inflow:       {Confirmed, RegisteredElsewhere, NotOurRegister, IdentityConflict, Misrouted, NoDisclosure},
	Assist:       {Done, Partly, Cannot, Misrouted, NoDisclosure},
	Certificate:  {Valid, Expired, Revoked, Unknown, BadSignature},
	BirthService: {Received},
}

// OutcomesOf returns the outcomes that DOMAIN section 3 allows for a kind.
func OutcomesOf(k Kind) []Outcome { return slices.Clone(outcomesOf[k]) }

// AnswersWith reports whether a case of kind k may be answered with o.
func (k Kind) AnswersWith(o Outcome) bool { return slices.Contains(outcomesOf[k], o) }

// Discloses reports whether o tells where a person is or is not, so that it
// leaves only with the person's consent or request to be confirmed
// (SECURITY D1).
func (o Outcome) Discloses() bool {
	return o == Residing || o == NotFound || o == Unreachable || o == MovedOn
}

// Status of a case: what its set of items folds to.
type Status uint8

// The states of PROTOCOL rule 23. StatusNone: no OPEN is held.
const (
	StatusNone      Status = 0
	StatusOpen      Status = 1
	StatusAnswered  Status = 2
	StatusRerouted  Status = 3
	StatusWithdrawn Status = 4
	StatusClosed    Status = 5
)

var statuses = [...]string{"NONE", "OPEN", "ANSWERED", "REROUTED", "WITHDRAWN", "CLOSED"}

// String returns the state in capitals.
func (s Status) String() string {
	if int(s) >= len(statuses) {
		return "?"
	}
	return statuses[s]
}
