package directory

import (
	"strings"
	"testing"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/seal"
)

func TestClaimForm(t *testing.T) {
	at := key(t, "3:520330")
	k := newKeys(t)
	twice := k
	twice.cert = k.sign
	tests := []struct {
		name, reason string
		change       func(*Claim)
	}{
		{"good", "", func(*Claim) {}},
		{"no name", "", func(c *Claim) { c.Name = "" }},
		{"no area", "", func(c *Claim) { c.Areas = nil }},
		{"long name", "DIRECTORY_CLAIM", func(c *Claim) { c.Name = strings.Repeat("示", 101) }},
		{"line break in name", "DIRECTORY_CLAIM", func(c *Claim) { c.Name = "a\nb" }},
		{"node 0", "DIRECTORY_CLAIM", func(c *Claim) { c.Node = 0 }},
		{"node without level", "DIRECTORY_CLAIM", func(c *Claim) { c.Node = cases.NodeID(at) - 3 }},
		{"node of level 9", "DIRECTORY_CLAIM", func(c *Claim) { c.Node = cases.NodeID(at) + 6 }},
		{"negative area", "DIRECTORY_CLAIM", func(c *Claim) { c.Areas = []area.Key{-at} }},
		{"area finer than its level", "DIRECTORY_CLAIM", func(c *Claim) { c.Areas = []area.Key{at - 1} }},
		{"area without a province", "DIRECTORY_CLAIM", func(c *Claim) { c.Areas = []area.Key{33_0000_0000_3} }},
		{"area twice", "DIRECTORY_CLAIM", func(c *Claim) { c.Areas = []area.Key{at, at} }},
		{"too many areas", "DIRECTORY_CLAIM", func(c *Claim) { c.Areas = make([]area.Key, MaxAreas+1) }},
		{"no signing key", "DIRECTORY_CLAIM", func(c *Claim) { c.Keys = c.Keys[1:] }},
		{"no sealing key", "DIRECTORY_CLAIM", func(c *Claim) { c.Keys = c.Keys[:4] }},
		{"one key for two uses", "DIRECTORY_CLAIM", func(c *Claim) { c.Keys = twice.public() }},
		{"two signing keys", "DIRECTORY_CLAIM", func(c *Claim) {
			c.Keys = append(k.public(), SignatureKey(ParcelSigning, false, seal.NewSigningKey().Public()))
		}},
		{"signature key of a sealing suite", "SUITE_UNKNOWN", func(c *Claim) { c.Keys = k.public(); c.Keys[0].Suite = 77 }},
		{"short signature key", "KEY_MALFORMED", func(c *Claim) { c.Keys = k.public(); c.Keys[0].Public = []byte{1} }},
		{"short sealing key", "KEY_MALFORMED", func(c *Claim) { c.Keys = k.public(); c.Keys[4].Public = []byte{1} }},
		{"empty key", "DIRECTORY_CLAIM", func(c *Claim) { c.Keys = k.public(); c.Keys[4].Public = nil }},
		{"sealing key of a newer suite", "", func(c *Claim) { c.Keys = append(k.public(), Key{Sealing, false, 77, []byte{1}}) }},
		{"key of a newer use", "", func(c *Claim) { c.Keys = append(k.public(), Key{99, false, 1, []byte{1}}) }},
		{"speaks nothing", "DIRECTORY_CLAIM", func(c *Claim) { c.Speaks = Versions{} }},
		{"speaks backwards", "DIRECTORY_CLAIM", func(c *Claim) { c.Speaks = Versions{3, 2} }},
		{"removed with keys", "DIRECTORY_CLAIM", func(c *Claim) { c.Removed = true }},
	}
	for _, tt := range tests {
		c := k.claim(at, []area.Key{at}, 0)
		tt.change(&c)
		_, err := NewRequest(c)
		if reason(err) != tt.reason {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.reason)
		}
	}
	if _, err := NewRequest(k.claim(at, nil, 0), seal.NewSigningKey()); err == nil {
		t.Error("a key that is not in the claim was accepted")
	}
}

func TestJoinNeedsPrincipalArea(t *testing.T) {
	x := newExchange(t)
	k := newKeys(t)
	r := request(t, k.claim(key(t, "3:520330"), keysOf(t, "3:520331"), 0), k.signing()...)
	_, err := x.auth.Admit(r, start, Leave{})
	wantReason(t, err, "DIRECTORY_CLAIM")
}

// The sender takes the receiver's first key that it knows and the receiver's
// floor allows.
func TestSealToPreference(t *testing.T) {
	hybrid, err := seal.NewSealingKey(seal.SuiteHybrid)
	if err != nil {
		t.Fatal(err)
	}
	at, k := key(t, "3:520330"), newKeys(t)
	unknown := Key{Sealing, false, 77, []byte{1, 2, 3}}
	h, low := SealingKey(false, hybrid.Public()), SealingKey(false, k.seal.Public())
	tests := []struct {
		name  string
		keys  []Key
		floor seal.Suite
		want  seal.KeyID
	}{
		{"order", []Key{h, low}, 0, hybrid.ID()},
		{"other order", []Key{low, h}, 0, k.seal.ID()},
		{"floor", []Key{low, h}, seal.SuiteHybrid, hybrid.ID()},
		{"unknown first", []Key{unknown, low}, 0, k.seal.ID()},
		{"only unknown", []Key{unknown}, 0, seal.KeyID{}},
		{"only below the floor", []Key{low}, seal.SuiteHybrid, seal.KeyID{}},
		{"unknown floor", []Key{h, low}, 77, seal.KeyID{}},
	}
	for _, tt := range tests {
		x := newExchange(t)
		c := k.claim(at, []area.Key{at}, 0)
		c.Keys = append(c.Keys[:4:4], tt.keys...)
		c.SuiteFloor = tt.floor
		x.admit(request(t, c, k.signing()...), Leave{})
		to, ok := x.auth.Directory().SealTo(c.Node)
		if to.ID() != tt.want || ok == tt.want.IsZero() {
			t.Errorf("%s: %s %t", tt.name, to.ID(), ok)
		}
	}
}
