// Package cases owns the words of the exchange: case, item, head, body, kinds,
// outcomes and ids. Reading its types is understanding what two offices share.
// It does no I/O and knows no encoding.
package cases

import (
	"time"

	"yipan/internal/area"
	"yipan/internal/civil"
)

// Side of a case.
type Side uint8

// The two sides. Receipts have none.
const (
	SideNone     Side = 0
	SideOpener   Side = 1 // X
	SideReceiver Side = 2 // Y
)

// ItemKind is what an item does to its case.
type ItemKind uint8

// The kinds of items. Numbers are those of the wire and never change.
const (
	Open     ItemKind = 1
	Correct  ItemKind = 2
	Withdraw ItemKind = 3
	Answer   ItemKind = 4
	Close    ItemKind = 5
	Reopen   ItemKind = 6
	Assign   ItemKind = 7
	Feedback ItemKind = 8
	Revoke   ItemKind = 9
	Receipt  ItemKind = 10
	// Report carries counts between two offices: a snapshot for the area above, or
	// one to be compared. It belongs to no case: a leg of its own, without an OPEN.
	Report ItemKind = 11
	// Extend puts off the due of a round, because the receiver's county signed for
	// an outage.
	Extend ItemKind = 12
)

var itemKinds = [...]string{"", "OPEN", "CORRECT", "WITHDRAW", "ANSWER", "CLOSE", "REOPEN", "ASSIGN", "FEEDBACK", "REVOKE", "RECEIPT", "REPORT", "EXTEND"}

// Known reports whether k is one of the kinds above.
func (k ItemKind) Known() bool { return k >= Open && k <= Extend }

// String returns the kind in capitals.
func (k ItemKind) String() string {
	if !k.Known() {
		return "UNKNOWN"
	}
	return itemKinds[k]
}

// Kind of a case. Numbers are those of the wire.
type Kind uint8

// The kinds of cases of DOMAIN section 3.
const (
	Outflow      Kind = 1
	Inflow       Kind = 2
	Assist       Kind = 3
	Certificate  Kind = 4
	BirthService Kind = 5
)

var kinds = [...]string{"", "outflow", "inflow", "assist", "certificate", "birth"}

// Known reports whether k is one of the kinds above.
func (k Kind) Known() bool { return k >= Outflow && k <= BirthService }

// String returns the kind's name in policies and reports.
func (k Kind) String() string {
	if !k.Known() {
		return "unknown"
	}
	return kinds[k]
}

// ResidenceSide is the side of the person's residence: it offers services and
// gives feedback.
func (k Kind) ResidenceSide() Side {
	if k == Inflow || k == BirthService {
		return SideOpener
	}
	return SideReceiver
}

// Head is everything about an item from which state, times and rates are
// computed. It holds nothing about a person, so erasing a body breaks no fold
// (PROTOCOL rule 3). Times have millisecond precision.
type Head struct {
	Author     NodeID
	Side       Side
	Case       CaseID
	X, Y       area.Key
	Kind       ItemKind
	Round      uint32 // from 1
	T          int64  // orders items of one side, ms (rule 4)
	MinVersion uint32
	RecordedAt time.Time
	Local      bool // the author was home of both areas when recording

	// OPEN
	CaseKind    Kind
	Limit       Limit // also EXTEND: by how many calendar days
	Policy      [8]byte
	Parent      CaseID
	ParentRound uint32
	Hops        uint32
	Urgent      bool

	Terminal   bool     // ANSWER
	Area       area.Key // ANSWER: where to reroute; ASSIGN: the township
	Seen       ItemID   // ANSWER: newest field item the clerk had seen
	ByParent   bool     // WITHDRAW
	Dispute    bool     // REOPEN
	Target     ItemID   // REVOKE: the FEEDBACK; EXTEND: the outage
	OfferRound uint32   // FEEDBACK
}

// Limit is a time limit as an item carries it: both ends compute the same due
// instant from it alone.
type Limit struct {
	Days     uint32
	Working  bool
	Calendar uint32 // number of an immutable calendar
}

// Item is a head with its id and the bytes as first written. Body is
// nonce ‖ encoded body in clear; nil when erased, and then BodyHash keeps the
// id provable.
type Item struct {
	ID       ItemID
	Head     Head
	HeadRaw  []byte
	Nonce    []byte // 16 bytes
	BodyRaw  []byte
	BodyHash [32]byte // SHA-256(nonce ‖ body)
}

// Erased reports whether the body is gone.
func (i *Item) Erased() bool { return i.Nonce == nil }

// BasisKind says by what right something leaves an office.
type BasisKind uint8

// The kinds of basis of DOMAIN section 2, 7.
const (
	BasisNone    BasisKind = 0
	BasisRequest BasisKind = 1 // the person asked
	BasisConsent BasisKind = 2 // a recorded consent
	BasisDuty    BasisKind = 3 // a duty named in the policy in force
)

// Basis of an item. The zero value is none.
type Basis struct {
	Kind     BasisKind
	Consent  ConsentID
	TextHash [32]byte
	Duty     string
}

// Fields of a person that travel with OPEN and CORRECT.
type Fields struct {
	Name           string
	DocumentKind   uint32 // ident.Kind
	DocumentNumber string
	Sex            uint32 // GB/T 2261.1
	Birth          civil.Date
	Contact        string
	ContactSafe    bool
	EventDay       civil.Date
	Basis          Basis
	Confirm        Basis // consent to be confirmed; zero: none
	Place          area.Key
	Request        string
	Certificate    string
}

// AnswerBody is the body of an ANSWER.
type AnswerBody struct {
	Outcome        Outcome
	Area           area.Key
	DuplicateOf    CaseID
	Attempts       uint32
	Channels       []string
	ConflictFields []string
	Reason         string
	Check          string // visit, call, document; empty: none recorded
	Basis          Basis
}

// FeedbackBody is the body of a FEEDBACK.
type FeedbackBody struct {
	Released bool
	Fields   map[string]string
	Consent  ConsentID
}

// Body is the decoded body of an item: exactly one member is set, the one that
// fits the head's kind; Note for WITHDRAW, CLOSE, REOPEN, ASSIGN, REVOKE and EXTEND.
type Body struct {
	Fields   *Fields
	Answer   *AnswerBody
	Feedback *FeedbackBody
	Note     *string
	Receipt  *ReceiptBody
	Report   *ReportBody
}

// ReportForm says what a REPORT holds.
type ReportForm uint8

// The forms of reports. Numbers are those of the wire.
const (
	Snapshot   ReportForm = 1 // counts of a month for the area above
	Comparison ReportForm = 2 // counts and digests of the cases that two nodes share
	Detail     ReportForm = 3 // the cases of the digests that differ
)

// Known reports whether f is one of the forms above.
func (f ReportForm) Known() bool { return f >= Snapshot && f <= Detail }

// ReportBody is the body of a REPORT. It names no person.
type ReportBody struct {
	Form      ReportForm
	Period    string // that it is about, "2026-11"; at most 16 bytes
	Content   []byte // as the author encoded it, at most 60 KiB
	KeyID     [8]byte
	Signature []byte // the author's, over where it is from, about what, and content
}

// Reject says what is wrong with an item itself (rule 16).
type Reject uint8

// Reasons for a rejection. Numbers are those of the wire.
const (
	Accepted      Reject = 0
	Unreadable    Reject = 1
	UnknownKind   Reject = 2
	NotHome       Reject = 3
	NotItsVerb    Reject = 4
	RefusedValue  Reject = 5
	Unproven      Reject = 6
	BadlySigned   Reject = 7
	rejectReasons        = 8
)

var rejects = [rejectReasons]string{"", "unreadable", "unknown kind", "author was never home of its area", "not its verb to use", "the database refused a value", "no proof of authorship", "its own signature does not verify"}

// String returns the reason in English; empty for Accepted.
func (r Reject) String() string {
	if int(r) >= len(rejects) {
		return "unknown reason"
	}
	return rejects[r]
}

// ReceiptBody is the body of a RECEIPT (rule 14).
type ReceiptBody struct {
	Manifest          []byte // the sender's signed part, as received
	ManifestSignature []byte
	HeldAt            time.Time
	Covered           []ItemID // empty: every item of the manifest
	Rejected          map[ItemID]Reject
	Aside             []ItemID // received as home of the opener's side alone
	KeyID             [8]byte
	Signature         []byte
}
