package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
)

var (
	given    = time.Date(2026, 3, 1, 9, 0, 0, 0, civil.Shanghai)
	until    = given.AddDate(1, 0, 0)
	county   = area.MustOf(area.County, "520330")
	township = area.MustOf(area.Township, "520330001")
	village  = area.MustOf(area.Village, "520330001005")
	sibling  = area.MustOf(area.Township, "520330002")
	elsewh   = area.MustOf(area.Township, "440304002")
)

func TestCovers(t *testing.T) {
	base := ledger.Consent{Purpose: ledger.PurposeConfirm, Recipient: township, GivenAt: given, ValidUntil: until}
	with := func(f func(*ledger.Consent)) ledger.Consent { c := base; f(&c); return c }
	at := given.Add(time.Hour)
	for _, tt := range []struct {
		name    string
		c       ledger.Consent
		purpose string
		to      area.Key
		at      time.Time
		want    bool
	}{
		{"as given", base, ledger.PurposeConfirm, township, at, true},
		{"when given", base, ledger.PurposeConfirm, township, given, true},
		{"before it was given", base, ledger.PurposeConfirm, township, given.Add(-1), false},
		{"at its last instant", base, ledger.PurposeConfirm, township, until.Add(-1), true},
		{"expired", base, ledger.PurposeConfirm, township, until, false},
		{"withdrawn", with(func(c *ledger.Consent) { c.WithdrawnAt = at }), ledger.PurposeConfirm, township, at.Add(time.Hour), false},
		{"withdrawn later: nothing leaves after, whatever instant is asked", with(func(c *ledger.Consent) { c.WithdrawnAt = at }), ledger.PurposeConfirm, township, given, false},
		{"other purpose", base, ledger.PurposeFeedback, township, at, false},
		{"no purpose", base, "", township, at, false},
		{"a village in the recipient", base, ledger.PurposeConfirm, village, at, true},
		{"the county of the recipient", base, ledger.PurposeConfirm, county, at, true},
		{"a township of the recipient county", with(func(c *ledger.Consent) { c.Recipient = county }), ledger.PurposeConfirm, sibling, at, true},
		{"a sibling", base, ledger.PurposeConfirm, sibling, at, false},
		{"elsewhere", base, ledger.PurposeConfirm, elsewh, at, false},
		{"nowhere", base, ledger.PurposeConfirm, 0, at, false},
		{"no recipient", with(func(c *ledger.Consent) { c.Recipient = 0 }), ledger.PurposeConfirm, township, at, false},
		{"no recipient, nowhere", with(func(c *ledger.Consent) { c.Recipient = 0 }), ledger.PurposeConfirm, 0, at, false},
		{"zero consent", ledger.Consent{}, "", 0, time.Time{}, false},
	} {
		if got := tt.c.Covers(tt.purpose, tt.to, tt.at); got != tt.want {
			t.Errorf("%s: covers %v", tt.name, got)
		}
	}
}

func TestReleases(t *testing.T) {
	c := ledger.Consent{Fields: []string{"date", "channel"}}
	if !c.Releases("date") || c.Releases("findings") || c.Releases("") {
		t.Error("fields released beyond those named")
	}
}

func TestEncodeRoundTripAndLimit(t *testing.T) {
	consent := ledger.Consent{Recipient: township, Purpose: ledger.PurposeFeedback, Fields: []string{"date"}, TextVersion: "v1",
		TextHash: [32]byte{1, 31: 2}, GivenHow: "paper", GivenAt: given.UTC(), ValidUntil: until.UTC(), WithdrawnAt: given.UTC().Add(time.Hour)}
	b, err := ledger.Encode(consent, ledger.ConsentBytes)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ledger.Decode[ledger.Consent](b)
	if d := cmp.Diff(consent, back); d != "" || err != nil {
		t.Errorf("consent (-want +got):\n%s%v", d, err)
	}
	// Every true reason, with the rest of the form, fits its fixed size.
	for _, r := range ledger.TrueReasons() {
		if _, err := ledger.Encode(ledger.Private{TrueReason: r, Check: "document", By: strings.Repeat("a", 64)}, ledger.PrivateBytes); err != nil {
			t.Errorf("%s: %v", r, err)
		}
	}
	overhead := len(`{"by":""}`)
	for n, ok := range map[int]bool{0: true, ledger.PrivateBytes - 8 - overhead: true, ledger.PrivateBytes - 7 - overhead: false, ledger.PrivateBytes * 2: false} {
		b, err := ledger.Encode(ledger.Private{By: strings.Repeat("a", n)}, ledger.PrivateBytes)
		if (err == nil) != ok || err != nil && !fault.Is(err, fault.KindInvalid) || len(b) > ledger.PrivateBytes-8 {
			t.Errorf("%d letters: %d bytes, %v", n, len(b), err)
		}
		if err != nil && strings.Contains(err.Error(), "aaa") {
			t.Error("the error repeats the content")
		}
	}
	if _, err := ledger.Decode[ledger.Private]([]byte("{")); !fault.Is(err, fault.KindInternal) {
		t.Errorf("garbage: %v", err)
	}
}

// Each list names each word once and is the caller's own.
func TestLists(t *testing.T) {
	for name, l := range map[string][]string{"purposes": ledger.Purposes(), "given how": ledger.GivenHow(), "offer results": ledger.OfferResults(), "service results": ledger.ServiceResults(),
		"channels": ledger.Channels(), "true reasons": ledger.TrueReasons()} {
		seen := map[string]bool{}
		for _, s := range l {
			if s == "" || seen[s] {
				t.Errorf("%s: %q twice or empty", name, s)
			}
			seen[s] = true
		}
		l[0] = "changed"
	}
	if ledger.Purposes()[0] == "changed" || ledger.OfferResults()[0] == "changed" {
		t.Error("a list can be changed from outside")
	}
}
