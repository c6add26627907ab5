package harness

import (
	"fmt"
	"testing"
	"time"

	"yipan/internal/access"
	"yipan/internal/desk"
)

// BenchmarkBulk measures the exchange without doors and broker: opened at one
// site in batches of 256, absorbed at the other, receipts absorbed.
func BenchmarkBulk(b *testing.B) {
	ctx := b.Context()
	w := world(b, origin, residence)
	a := w.Sites[0]
	to := towns(b, residence, 1)[0]
	clerk := Clerk(access.Clerk, originTown)
	const batch = 256
	var open, pack, absorb, receipt time.Duration
	n := 0
	b.ResetTimer()
	for b.Loop() {
		rs := make([]desk.OpenRequest, batch)
		for i := range rs {
			rs[i] = notice(n+i, to)
			rs[i].RequestID = fmt.Sprintf("bench-%09d", n+i)
		}
		n += batch
		t := time.Now()
		if _, err := a.Desk.OpenCases(ctx, clerk, rs); err != nil {
			b.Fatal(err)
		}
		open += time.Since(t)
		t = time.Now()
		if _, err := w.Pump(ctx, a, w.Sites[1].Node); err != nil {
			b.Fatal(err)
		}
		pack += time.Since(t)
		t = time.Now()
		p := w.Net[0]
		w.Net = nil
		if err := w.Deliver(ctx, p); err != nil {
			b.Fatal(err)
		}
		absorb += time.Since(t)
		t = time.Now()
		p = w.Net[0]
		w.Net = nil
		if err := w.Deliver(ctx, p); err != nil {
			b.Fatal(err)
		}
		receipt += time.Since(t)
	}
	per := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(n) }
	b.ReportMetric(per(open), "open-µs/notice")
	b.ReportMetric(per(pack), "pack-µs/notice")
	b.ReportMetric(per(absorb), "absorb-µs/notice")
	b.ReportMetric(per(receipt), "receipt-µs/notice")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "notices/s")
}
