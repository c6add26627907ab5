package ledger_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
)

func profile(address int, contacts ...ledger.Contact) ledger.Profile {
	return ledger.Profile{
		Name: "测试甲", Documents: []ledger.Document{{Kind: ident.KindPassport, Number: "E12345678"}}, Address: strings.Repeat("路", address),
		Contacts: contacts, Sex: 2, Birth: civil.MustParse("1990-02-01"), Registered: area.MustOf(area.County, "520330"),
	}
}

// TestProfileSizeTellsNoDecision walks every length of an address across the
// bounds of the sizes: what a person decided never moves a profile over one.
func TestProfileSizeTellsNoDecision(t *testing.T) {
	sizes := map[int]bool{}
	for n := range 1200 {
		contact := ledger.Contact{Kind: ledger.ContactPhone, Value: "13800000000", Preference: "any", Safe: true}
		plain := profile(n, contact)
		want, err := plain.Size()
		if err != nil {
			break
		}
		sizes[want] = true
		for name, change := range map[string]func(*ledger.Profile){
			"a refusal": func(p *ledger.Profile) {
				p.Refusals = map[ledger.Service]civil.Date{ledger.ThreeChecks: civil.MustParse("2026-11-20")}
			},
			"every refusal":  func(p *ledger.Profile) { p.Refusals = allRefused() },
			"not to be rung": func(p *ledger.Profile) { p.Contacts[0].Preference = "none" },
			"only messages":  func(p *ledger.Profile) { p.Contacts[0].Preference, p.Contacts[0].Safe = "message_only", false },
			"a marriage":     func(p *ledger.Profile) { p.Marital = 21 },
		} {
			p := plain.Clone()
			change(&p)
			if got, err := p.Size(); err != nil || got != want {
				t.Fatalf("%s at %d characters: %d bytes, without %d, %v", name, n, got, want, err)
			}
			if _, err := ledger.Encode(p, want); err != nil {
				t.Fatalf("%s at %d characters does not fit: %v", name, n, err)
			}
		}
	}
	if len(sizes) != len(ledger.ProfileSizes) {
		t.Errorf("sizes seen: %v", sizes)
	}
	p := profile(2000)
	if _, err := p.Size(); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("too long: %v", err)
	}
}

func allRefused() map[ledger.Service]civil.Date {
	m := map[ledger.Service]civil.Date{}
	for s := ledger.ThreeChecks; s.Known(); s++ {
		m[s] = civil.MustParse("2026-11-20")
	}
	return m
}

func TestProfileRoundTrip(t *testing.T) {
	p := profile(3, ledger.Contact{Kind: "wechat", Value: "ceshi", Preference: "evenings"})
	p.Refusals, p.FormerNames, p.Household, p.Relation, p.Marital = allRefused(), []string{"测试旧"}, "户口簿00001", "head", 20
	size, err := p.Size()
	if err != nil {
		t.Fatal(err)
	}
	b, err := ledger.Encode(p, size)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ledger.Decode[ledger.Profile](b)
	if err != nil {
		t.Fatal(err)
	}
	want := p.Clone()
	want.Sex, want.Birth, want.Registered = 0, civil.Date{}, 0 // columns
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, part := range []string{"520330", "1990-02-01"} {
		if strings.Contains(string(b), part) {
			t.Errorf("a column, %s, is sealed too", part)
		}
	}
}

func TestChanged(t *testing.T) {
	a := profile(2, ledger.Contact{Kind: ledger.ContactPhone, Value: "13800000000", Preference: "any"})
	b := a.Clone()
	if e := ledger.Changed(&a, &b); e != nil {
		t.Errorf("nothing changed: %v", e.Fields)
	}
	b.Refusals = allRefused()
	if e := ledger.Changed(&a, &b); e != nil {
		t.Errorf("a refusal is in the history: %v", e.Fields)
	}
	b.Name, b.Address, b.Living = "测试改", "", area.MustOf(area.Township, "520330001")
	want := &ledger.Event{
		Fields: []string{"address", "living", "name"},
		Before: map[string]string{"address": "路路", "name": "测试甲"},
		After:  map[string]string{"living": "4:520330001", "name": "测试改"},
	}
	if d := cmp.Diff(want, ledger.Changed(&a, &b)); d != "" {
		t.Error(d)
	}
}

// TestEventSizeTellsNoPreference: what was preferred about a contact, and what is
// now, has one size.
func TestEventSizeTellsNoPreference(t *testing.T) {
	for n := range 400 {
		before := profile(0, ledger.Contact{Kind: "other", Value: strings.Repeat("号", n), Preference: "any", Safe: true})
		seen := map[int]bool{}
		for _, to := range ledger.Preferences()[1:] {
			after := before.Clone()
			after.Contacts[0].Preference = to
			e := ledger.Changed(&before, &after)
			size, err := e.Size()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ledger.Encode(e, size); err != nil {
				t.Fatal(err)
			}
			seen[size] = true
		}
		if len(seen) != 1 {
			t.Fatalf("%d characters: sizes %v", n, seen)
		}
	}
}
