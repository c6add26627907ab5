package desk

import (
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/people"
	"yipan/internal/store"
)

// OpenRequest opens one case.
type OpenRequest struct {
	RequestID   string // 8 to 64 characters
	Kind        cases.Kind
	Origin      area.Key // 0: the caller's only office
	Destination area.Key // prefecture or below
	Fields      FieldsInput
	// Person of the office's ledger, where the caller of OpenIn knows and has
	// checked who it is; zero: found or added by the document.
	Person cases.PersonID `json:",omitzero"`
	// Newcomer is where Person stands, who was registered in the caller's
	// transaction, so that no case is about them yet; nil: Person was there before.
	Newcomer *store.Standing `json:"-"`
	Urgent   bool            // assistance: the person asked urgently
	// When the person asked for a certificate and when it was issued; nil: not.
	// They stay at this office, for its own 办证率.
	CertificateAsked, CertificateIssued *civil.Date
	// Approval of a second user, for a fourth destination in 12 months; zero: none.
	Approval [16]byte `json:",omitzero"`
}

// FieldsInput is what a clerk types; empty members are derived where they can
// be.
type FieldsInput struct {
	Name     string
	Document string // number; its kind is recognised
	// DocumentConfirmed is why a number whose check digit fails is right all the
	// same; it is recorded with the opening.
	DocumentConfirmed string
	Sex               uint32
	Birth             *civil.Date // nil: derived from a resident ID
	Contact           string
	ContactSafe       bool
	EventDay          civil.Date
	Basis             BasisInput
	Confirm           cases.ConsentID // consent to be confirmed; zero: none
	Request           string
	Certificate       string
}

// BasisInput names the basis of something that leaves.
type BasisInput struct {
	Kind    cases.BasisKind
	Consent cases.ConsentID
	Duty    string
}

// OpenResult is the result of one of many openings.
type OpenResult struct {
	Case     cases.CaseID
	Warnings []string // Chinese, for the clerk
	Repeated bool     // stood already under this request id
	Err      error
}

// Waiting says on whose side a case waits.
type Waiting uint8

// On whose side a case waits. Numbers are those of the API.
const (
	WaitNobody    Waiting = 0
	WaitOrigin    Waiting = 1
	WaitTransport Waiting = 2
	WaitCounty    Waiting = 3
	WaitResidence Waiting = 4
)

// CaseView is a case as one office may see it.
type CaseView struct {
	ID          cases.CaseID
	Kind        cases.Kind
	Side        cases.Side
	Office      area.Key
	X, Y        area.Key
	Status      cases.Status
	Round       uint32
	Waiting     Waiting
	Etag        string
	OpenedAt    time.Time
	DeliveredAt time.Time // zero: not yet
	DueAt       time.Time // zero: not yet known
	Extended    uint32    // days by which signed outages put off DueAt
	Extensions  []string  // why, one for each outage; only where one case is read
	AnsweredAt  time.Time // zero: not yet
	Assigned    area.Key
	Subject     string            // masked: surname, birth year
	Fields      *cases.Fields     // nil where masked
	Answer      *cases.AnswerBody // nil: none, or erased
	Paired      bool
	MayConfirm  bool // the notice carries the person's consent to be confirmed
	Disputed    bool
	OlderFields bool
	Crossed     bool
	Parent      cases.CaseID
	Hops        uint32
	NoNodeYet   bool
	Feedback    []FeedbackView
}

// FeedbackView is the feedback of one offer round.
type FeedbackView struct {
	OfferRound uint32
	Released   bool
	Fields     map[string]string
}

// GetRequest reads one case.
type GetRequest struct {
	Case    cases.CaseID
	Unmask  bool
	Purpose string
}

// ListRequest lists cases; no filter selects by what a person decided.
type ListRequest struct {
	Kind        cases.Kind     // 0: all
	States      []cases.Status // empty: all
	Side        cases.Side     // 0: both
	Waiting     Waiting        // 0: any
	DueBefore   time.Time      // zero: any
	Office      area.Key       // 0: all of the caller's
	Counterpart area.Key       // 0: any; else it or within it
	PageSize    int            // 1..1000; 0: 50
	PageToken   string
	Purpose     string
}

// CaseRef names a case and the etag under which it was seen.
type CaseRef struct {
	Case cases.CaseID
	Etag string
}

// ChangeResult is the result of one of many changes.
type ChangeResult struct {
	Case     cases.CaseID
	Etag     string
	Warnings []string
	Err      error
}

// AnswerRequest answers one case.
type AnswerRequest struct {
	RequestID string
	Ref       CaseRef
	Answer    AnswerInput
}

// AnswerInput is what a clerk answers.
type AnswerInput struct {
	Outcome        cases.Outcome
	Area           area.Key
	DuplicateOf    cases.CaseID
	Attempts       uint32
	Channels       []string
	ConflictFields []string
	Reason         string
	Check          string
	Basis          BasisInput
	TrueReason     string // of NO_DISCLOSURE; stays here
}

// ChangeRequest is a change that needs no more than a reason.
type ChangeRequest struct {
	RequestID string
	Ref       CaseRef
	Reason    string
}

// CorrectRequest replaces all fields.
type CorrectRequest struct {
	RequestID string
	Ref       CaseRef
	Fields    FieldsInput
}

// RerouteRequest opens a case anew towards Destination.
type RerouteRequest struct {
	RequestID   string
	Ref         CaseRef
	Destination area.Key
}

// DistributeRequest gives cases to a township.
type DistributeRequest struct {
	RequestID string
	Refs      []CaseRef // at most 1,000
	Township  area.Key
}

// PairRequest pairs a notice with a person of the ledger.
type PairRequest struct {
	RequestID string
	Ref       CaseRef
	Person    cases.PersonID // zero: by the notice's own document
}

// PairResult is the result of a pairing.
type PairResult struct {
	Person     cases.PersonID
	Registered bool
	Case       CaseView
	Warnings   []string // Chinese, for the clerk
}

// UnpairRequest undoes a pairing.
type UnpairRequest struct {
	RequestID string
	Ref       CaseRef
}

// Candidate is a person of the ledger whom a notice may be about.
type Candidate struct {
	Person    cases.PersonID
	Name      string
	BirthYear int      // 0: not known
	Document  string   // redacted
	Score     int      // 0 to 100
	Reasons   []string // see package match
	ReasonsZh []string
	Certain   bool // the machine would pair it by itself
}

// Event is one line of a case's timeline.
type Event struct {
	Item        cases.ItemID
	Kind        cases.ItemKind
	Side        cases.Side
	Node        cases.NodeID
	Round       uint32
	RecordedAt  time.Time
	DeliveredAt time.Time
	Rejected    cases.Reject
	Revoked     bool
	Erased      bool
}

// Trace is a case's timeline and on whose side time was spent.
type Trace struct {
	Case   CaseView
	Events []Event
	Spent  map[Waiting]time.Duration
}

// Change is one change of a watched case.
type Change struct {
	Case   cases.CaseID
	Status cases.Status
	Office area.Key
	Etag   string

	DeliveredAt time.Time // zero: not yet
}

// PersonRef names a person: by id, or by document (and name, where new).
type PersonRef = people.Whose

// Consent of one person (SECURITY D12).
type Consent struct {
	ID          cases.ConsentID
	Person      cases.PersonID
	Office      area.Key
	Recipient   area.Key
	Purpose     string // confirm_residence, feedback, notice, birth_service, contact
	Fields      []string
	TextVersion string
	TextHash    [32]byte
	GivenHow    string // paper, counter, phone_recorded
	GivenAt     time.Time
	ValidUntil  time.Time
	WithdrawnAt time.Time // zero: not withdrawn
	Warnings    []string  // Chinese; of one that was recorded now
}

// ConsentRequest records one consent.
type ConsentRequest struct {
	RequestID string
	Office    area.Key // 0: the caller's only one
	Person    PersonRef
	Consent   Consent
}

// NodeView says what this node is.
type NodeView struct {
	Node            cases.NodeID
	Name            string
	Version         string
	BrokerConnected bool
	Serial          uint64
	Cases           int64
	Now             time.Time
}

// PeerView is another node as this one sees it.
type PeerView struct {
	Node       cases.NodeID
	Name       string
	Unsettled  int64
	Oldest     time.Duration
	Settled    int64
	Rejected   int64
	LastHeard  time.Time
	LastAgreed time.Time
	Mended     int64
	RoundTrip  time.Duration
}

// DirectoryView is one node of the directory.
type DirectoryView struct {
	Serial uint64
	Node   cases.NodeID
	Name   string
	Areas  []area.Key
	Keys   []string // "use:hex id"
	Speaks uint32
}

// FoldView is the fold of one case without persons.
type FoldView struct {
	Case      cases.CaseID
	X, Y      area.Key
	Set, Fold [16]byte
	Items     int
	Report    bool // no case, but the leg of a report
}
