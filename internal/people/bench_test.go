package people_test

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/harness"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/store"
)

// BenchmarkRegister registers people 100 to a transaction, four transactions at
// a time, below what the API does. The server's disk is in memory.
func BenchmarkRegister(b *testing.B) {
	const many, callers = 100, 4
	o := newOffice(b)
	p := harness.Clerk(access.Clerk, here)
	var n atomic.Int64
	today := civil.MustParse("2026-11-18")
	for b.Loop() {
		g, ctx := errgroup.WithContext(b.Context())
		for range callers {
			g.Go(func() error {
				from := int(n.Add(many))
				return o.DB.InDeskAs(ctx, p.ID, []area.Key{here}, func(tx *store.Tx) error {
					for i := from; i < from+many; i++ {
						f := people.Profile{
							Name: "测试" + strconv.Itoa(i%10), Registered: here, Living: here,
							Documents: []ledger.Document{{Number: ident.Make("520330", civil.MustParse("1950-01-01").AddDays(i/500), i%500, i%2 == 0)}},
							Contacts:  []ledger.Contact{{Kind: ledger.ContactPhone, Value: fmt.Sprintf("199%08d", i), Safe: true, Preference: "any"}},
						}
						if _, _, err := o.People.Register(ctx, tx, p, here, f, today); err != nil {
							return err
						}
					}
					return nil
				})
			})
		}
		if err := g.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n.Load())/b.Elapsed().Seconds(), "people/s")
}
