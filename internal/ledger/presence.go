package ledger

// Presence says where a person is, as the movements tell. The numbers are
// stored and those of the API.
type Presence uint8

// The presences. Unknown: nothing was registered.
const (
	Unknown Presence = 0
	Here    Presence = 1 // registered and living here
	Inflow  Presence = 2 // registered elsewhere, living here 流入
	Outflow Presence = 3 // registered here, living elsewhere 流出
	Gone    Presence = 4 // left, neither registered nor living here 注销
	Dead    Presence = 5
)

// LivesHere reports whether offers of the office are for the person.
func (p Presence) LivesHere() bool { return p == Here || p == Inflow }

// Service is a kind of service. The numbers are stored and those of the API.
type Service uint8

// The kinds of service. ThreeChecks goes by offer round, the others by month.
const (
	ThreeChecks    Service = 1 // 三查
	Contraceptives Service = 2 // 药具
	FollowUp       Service = 3 // 随访
	Entitlement    Service = 4 // 优待
	Visit          Service = 5 // 来访
)

// What is counted beside the kinds of service, in tallies of their own, by month:
// notices answered by whether the answer was checked, and visits by when they
// fall due. Nothing is recorded under them.
const (
	Answered Service = 6
	VisitDue Service = 7
)

// Known reports whether s is one of the kinds.
func (s Service) Known() bool { return s >= ThreeChecks && s <= Visit }
