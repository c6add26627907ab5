package closing_test

import (
	"fmt"
	"testing"
	"time"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/harness"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

// BenchmarkFreeze freezes the months of a county with cases of two years. One
// operation is one month.
func BenchmarkFreeze(b *testing.B) {
	for _, n := range []int{10_000, 200_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w, err := harness.NewWorld(b.TempDir(), time.Date(2026, 11, 20, 9, 0, 0, 0, civil.Shanghai))
			if err != nil {
				b.Fatal(err)
			}
			s, err := w.AddSite(storetest.Open(b, storetest.NewURL(b)), origin)
			if err != nil {
				b.Fatal(err)
			}
			towns := area.Children(origin)[:20]
			now := civil.In(w.Clock.Now()).StartInstant()
			const part = 20_000
			for at := 0; at < n; at += part {
				if err := s.DB.InExchange(b.Context(), s.Desk.Offices(), func(tx *store.Tx) error {
					return tx.FillRounds(b.Context(), at, min(at+part, n)-1, towns, area.Children(area.MustOf(area.Prefecture, "3307")), now.AddDate(-2, 0, 0), now)
				}); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Figures.AddUp(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			began := time.Now()
			b.ResetTimer()
			months, err := s.Closing.Freeze(b.Context())
			if err != nil || months < 20 {
				b.Fatalf("froze %d months: %v", months, err)
			}
			b.ReportMetric(time.Since(began).Seconds()/float64(months), "s/month")
			b.ReportMetric(0, "ns/op")
		})
	}
}
