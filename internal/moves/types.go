package moves

import (
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/ledger"
)

// Input is a movement as a clerk registers it.
type Input struct {
	RequestID string          // 8 to 64 characters
	Office    area.Key        // 0: the caller's only one
	Person    cases.PersonID  // zero: by Profile, registered where new
	Profile   *ledger.Profile // who it is; of an identity change, what changed
	Kind      ledger.MovementKind
	From, To  area.Key // 0: not known, or known from the file
	On        civil.Date
	Basis     desk.BasisInput // by what right a notice leaves; zero: none
	Confirm   cases.ConsentID // the consent to be confirmed; zero: none
	Objects   bool            // filed here, and no notice leaves
	Approval  [16]byte        // of a second user, for a fourth destination; zero: none
	// When the person asked for a certificate and when it was issued; nil: not.
	// They stay at this office, for its own 办证率.
	CertificateAsked, CertificateIssued *civil.Date
}

// Movement as it was registered.
type Movement struct {
	ledger.Movement
	Case   cases.CaseID // the notice that it opened; zero: none left
	Stayed string       // why none left, one of ledger.Stayed…; empty: none was due
}

// Result is what came of a movement.
type Result struct {
	Movement Movement
	Warnings []string // Chinese
	Cases    []ledger.NotedCase
	Approval [16]byte // waits for a second user under this id; zero: does not
	Repeated bool     // stood already under this request id
}

// Row is the result of one of many.
type Row struct {
	Result Result
	Err    error
}

// Accept is the acceptance of a received notice into the ledger.
type Accept struct {
	RequestID string
	Ref       desk.CaseRef
	Movement  *Input // as corrected by the clerk; nil: as prefilled
}

// Accepted is what came of an acceptance.
type Accepted struct {
	Result Result
	Etag   string // the case's new one
}

// Prefill is what accepting a notice would register.
type Prefill struct {
	Movement Input
	Person   cases.PersonID // with whom the notice is paired; zero: nobody
}

// Undo takes a movement back.
type Undo struct {
	RequestID string
	Movement  ledger.MovementID
	Reason    string // at most 200 characters
}
