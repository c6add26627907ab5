package demo

import (
	"testing"
	"time"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/harness/roster"
	"yipan/internal/policy"
)

// Whatever the day, the demo's policy is right, its round is open, everything
// is due on the day of delivery, and the roster's duty is in force.
func TestPolicyFile(t *testing.T) {
	spec := roster.Default()
	for _, day := range []string{"2026-01-01", "2026-04-30", "2026-05-01", "2026-08-31", "2026-09-01", "2026-12-31", "2028-02-29", "2031-11-20"} {
		on := civil.MustParse(day)
		noon := on.StartInstant().Add(12 * time.Hour)
		for version, ends := range map[int]time.Time{1: noEnd, 2: noon} {
			p, err := policy.Parse(policyFile(on, version, ends))
			if err != nil {
				t.Fatalf("%s: %v", day, err)
			}
			number, _, _ := offerRound(on)
			round, err := p.Round(policy.RoundNumber(number))
			if err != nil || !round.Open(noon.Add(-time.Second)) || round.Open(noon) != ends.IsZero() {
				t.Errorf("%s: round %d is %+v, %v", day, number, round, err)
			}
			l, err := p.LimitFor(policy.Outflow, spec.Origin, spec.Residence)
			if err != nil || l.Days != 0 {
				t.Errorf("%s: limit %v, %v", day, l, err)
			}
			if _, err := p.BasisFor(spec.Duty, policy.Outflow); err != nil {
				t.Errorf("%s: %v", day, err)
			}
			if !p.InForce(on) || !p.Moved(spec.Origin, spec.Residence) {
				t.Errorf("%s: not in force, or no movement", day)
			}
		}
	}
}

// The consents of those who agreed have to reach the third county too.
func TestProvinceHoldsBoth(t *testing.T) {
	spec := roster.Default()
	if !spec.Third.Within(spec.Residence.Cut(area.Province)) {
		t.Error("the third county lies in another province than the residence")
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"/tmp/demo/a.pem": "/tmp/demo/a.pem", "/tmp/my demo": "'/tmp/my demo'", "it's": `'it'\''s'`, "/tmp/演示": "/tmp/演示",
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%s) = %s, want %s", in, got, want)
		}
	}
}
