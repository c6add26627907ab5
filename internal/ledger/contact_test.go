package ledger_test

import (
	"strings"
	"testing"
	"time"

	"yipan/internal/civil"
	"yipan/internal/ledger"
)

// The log keeps the latest tries, and the latest that reached the person, and
// fits into its one size.
func TestContactLogKeepsTheLastReached(t *testing.T) {
	var l ledger.ContactLog
	day := civil.MustParse("2026-01-01")
	at := day.StartInstant().Unix()
	l.Add(ledger.ContactTry{Date: day, Channel: "message", Reached: true, By: strings.Repeat("a", 64), At: at})
	for i := range 30 {
		l.Add(ledger.ContactTry{Date: day.AddDays(1 + i), Channel: "message", By: strings.Repeat("a", 64), At: at})
	}
	if len(l.Tries) != ledger.MaxTries || !l.Tries[0].Reached || l.Tries[ledger.MaxTries-1].Date != day.AddDays(30) {
		t.Errorf("kept %+v", l.Tries)
	}
	if _, err := ledger.Encode(l, ledger.ContactBytes); err != nil {
		t.Error(err)
	}
	for at, want := range map[string]bool{"2025-12-31": false, "2026-01-01": true, "2026-12-31": true, "2027-01-01": false} {
		if got := l.ReachedBy(civil.MustParse(at).StartInstant().Add(time.Hour)); got != want {
			t.Errorf("reached by %s: %v", at, got)
		}
	}
}
