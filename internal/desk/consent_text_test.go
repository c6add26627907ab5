package desk_test

import (
	"testing"

	"yipan/internal/access"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/harness"
	"yipan/internal/ledger"
	"yipan/internal/policy"
)

// A text that the program or the policy in force knows comes with its own hash;
// one that nobody knows passes with a warning where the policy names none.
func TestConsentTextVersionAndHash(t *testing.T) {
	b := newBureau(t, false)
	own, err := policy.Parse(append(policy.DefaultFile(), "\n[[consent_text]]\nversion = \"confirm-local\"\npurpose = \"confirm_residence\"\ntext = \"甲\"\n"...))
	if err != nil {
		t.Fatal(err)
	}
	std := map[string]policy.ConsentText{}
	for _, c := range policy.StandardTexts() {
		std[c.Purpose] = c
	}
	given := func(purpose, version string, hash [32]byte) ([]string, error) {
		r := b.consent(here, 8, purpose, there)
		r.Consent.TextVersion, r.Consent.TextHash = version, hash
		c, err := b.at(here).RecordConsent(t.Context(), harness.Clerk(access.Clerk, here), r)
		return c.Warnings, err
	}
	confirm, notice := std[ledger.PurposeConfirm], std[ledger.PurposeNotice]
	for _, c := range []struct {
		what    string
		own     bool
		purpose string
		version string
		hash    [32]byte
		reason  string
		field   string
	}{
		{"standard", false, ledger.PurposeConfirm, confirm.Version, confirm.Hash, "", ""},
		{"standard, other hash", false, ledger.PurposeConfirm, confirm.Version, [32]byte{1}, "TEXT_HASH", "consent.text_sha256"},
		{"standard, other purpose", false, ledger.PurposeConfirm, notice.Version, notice.Hash, "TEXT_PURPOSE", "consent.text_version"},
		{"unknown", false, ledger.PurposeConfirm, "elsewhere-1", [32]byte{1}, "", ""},
		{"own", true, ledger.PurposeConfirm, "confirm-local", own.Texts[0].Hash, "", ""},
		{"own, other hash", true, ledger.PurposeConfirm, "confirm-local", [32]byte{1}, "TEXT_HASH", "consent.text_sha256"},
		{"unknown beside own", true, ledger.PurposeConfirm, "elsewhere-1", [32]byte{1}, "TEXT_UNKNOWN", "consent.text_version"},
		{"unknown of another purpose", true, ledger.PurposeNotice, "elsewhere-1", [32]byte{1}, "", ""},
	} {
		p := policy.Default()
		if c.own {
			p = own
		}
		set, err := policy.NewSet(p)
		if err != nil {
			t.Fatal(err)
		}
		b.Policies.Replace(set)
		warnings, err := given(c.purpose, c.version, c.hash)
		f, _ := fault.As(err)
		switch {
		case c.reason == "" && err != nil:
			t.Errorf("%s: %v", c.what, err)
		case c.reason != "" && (f == nil || f.Kind != fault.KindInvalid || f.Reason != c.reason || f.Field != c.field || f.Text == ""):
			t.Errorf("%s: %#v", c.what, f)
		}
		if unknown := c.reason == "" && c.version == "elsewhere-1"; unknown != (len(warnings) == 1) {
			t.Errorf("%s: warnings %v", c.what, warnings)
		}
	}
	// Nothing of what was refused is there.
	list, err := b.at(here).ListConsents(t.Context(), harness.Clerk(access.Clerk, here), here, desk.PersonRef{Document: person(8)}, "test")
	if err != nil || len(list) != 4 {
		t.Errorf("%d consents, %v", len(list), err)
	}
}
