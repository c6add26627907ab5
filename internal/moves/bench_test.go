package moves_test

import (
	"strconv"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"yipan/internal/ledger"
	"yipan/internal/moves"
)

// BenchmarkRegisterMany registers departures of new people as a township does
// that begins: 50 a call, four callers, each with a notice to another node. The
// server's disk is in memory.
func BenchmarkRegisterMany(b *testing.B) {
	const many, callers = 50, 4
	w := newBureau(b, false)
	site := w.site(here)
	var n atomic.Int64
	for b.Loop() {
		g, ctx := errgroup.WithContext(b.Context())
		for range callers {
			g.Go(func() error {
				ins := make([]moves.Input, many)
				for i := range ins {
					k := int(n.Add(1))
					ins[i] = moves.Input{RequestID: "movement-" + strconv.Itoa(k), Office: here, Kind: ledger.Leave, On: day("2026-11-18"), To: there, Basis: asked, Profile: profile(k, here, here)}
				}
				rows, err := site.Moves.RegisterMany(ctx, clerk(here), ins)
				for _, r := range rows {
					if err == nil {
						err = r.Err
					}
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n.Load())/b.Elapsed().Seconds(), "movements/s")
}
