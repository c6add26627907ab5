// Package ledger owns the words of an office's own book: person, movement,
// service and consent.
// What people decided is written down only in the sealed forms here, which
// have one size whatever they say, so that no length tells a refusal from a
// yes (SECURITY D4). It does no I/O.
package ledger

import (
	"encoding/json"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
)

// Purposes of a consent.
const (
	PurposeConfirm  = "confirm_residence" // the residence may confirm whereabouts
	PurposeFeedback = "feedback"          // fields of an offer may return to the origin
	PurposeNotice   = "notice"            // a notice may leave
	PurposeBirth    = "birth_service"     // a birth-service notice may leave
	PurposeContact  = "contact"           // the office may contact the person
)

// Purposes lists the purposes.
func Purposes() []string {
	return []string{PurposeConfirm, PurposeFeedback, PurposeNotice, PurposeBirth, PurposeContact}
}

// Findings lists the names of what the three checks (三查) can find: pregnancy
// 孕情, iud 环情, reproductive_health 生殖健康. There are no others (DOMAIN
// section 2, 4).
func Findings() []string { return []string{"pregnancy", "iud", "reproductive_health"} }

// MaxFinding is the longest value of a finding, in bytes: all three together
// must fit into a FEEDBACK of fixed size.
const MaxFinding = 90

// GivenHow lists how a consent can be given.
func GivenHow() []string { return []string{"paper", "counter", "phone_recorded"} }

// MaxConsent is the longest that a consent holds: 12 months (SECURITY D12).
const MaxConsent = 366 * 24 * time.Hour

// Consent is one act of one person. It names recipient, fields and purpose and
// the text that was shown.
type Consent struct {
	ID     cases.ConsentID `json:"-"`
	Person cases.PersonID  `json:"-"`
	Office area.Key        `json:"-"`
	// Files are all files of the person, where several were merged; nil: not
	// looked up.
	Files []cases.PersonID `json:"-"`

	Recipient   area.Key  `json:"recipient"`
	Purpose     string    `json:"purpose"`
	Fields      []string  `json:"fields,omitempty"`
	TextVersion string    `json:"text_version"`
	TextHash    [32]byte  `json:"text_hash"`
	GivenHow    string    `json:"given_how"`
	GivenAt     time.Time `json:"given_at"`
	ValidUntil  time.Time `json:"valid_until"`
	WithdrawnAt time.Time `json:"withdrawn_at,omitzero"`
}

// Covers reports whether c, at an instant, allows purpose towards an area.
func (c *Consent) Covers(purpose string, to area.Key, at time.Time) bool {
	return c.Purpose == purpose && c.WithdrawnAt.IsZero() && !at.Before(c.GivenAt) && at.Before(c.ValidUntil) &&
		(to.Within(c.Recipient) || c.Recipient.Within(to))
}

// Of reports whether c was given by the person of a file.
func (c *Consent) Of(file cases.PersonID) bool {
	return !file.IsZero() && (c.Person == file || slices.Contains(c.Files, file))
}

// Releases reports whether c names a field.
func (c *Consent) Releases(field string) bool { return slices.Contains(c.Fields, field) }

// Private is what an office alone knows of a case.
type Private struct {
	TrueReason string `json:"true_reason,omitempty"` // of NO_DISCLOSURE
	Check      string `json:"check,omitempty"`
	By         string `json:"by,omitempty"`
	// Month in which the answer counts (year × 100 + month); 0: not counted.
	Month uint32 `json:"m,omitempty"`
}

// TrueReasons lists the residence's true reasons of a NO_DISCLOSURE.
func TrueReasons() []string { return []string{"declined", "withheld", "unavailable", "not_offered"} }

// Sizes of the sealed forms, before encryption.
const (
	ConsentBytes = 1024
	PrivateBytes = 256
)

// Encode writes v (a sealed form) as JSON of at most size bytes
// less the padding's own needs; longer is Invalid.
func Encode(v any, size int) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fault.Internal("ENCODE", "encode sealed form").Because(err)
	}
	if len(b) > size-8 {
		return nil, fault.Invalid("TOO_LONG", "sealed form has %d bytes, at most %d", len(b), size-8).Zh("内容过长，请精简")
	}
	return b, nil
}

// Decode reads what Encode wrote.
func Decode[T any](b []byte) (T, error) {
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		return v, fault.Internal("DECODE", "sealed form does not decode").Because(err)
	}
	return v, nil
}
