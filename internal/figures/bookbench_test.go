package figures_test

import (
	"testing"
	"time"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/figures"
	"yipan/internal/ledger"
	"yipan/internal/rates"
)

// BenchmarkBooks asks for every measure of the offices' own books: of one
// township with 200,000 files, and of 20 with 10,000 each, all at once. Each
// office has as many movements as files in the year asked for.
func BenchmarkBooks(b *testing.B) {
	for name, size := range map[string]struct{ offices, files int }{"one of 200,000": {1, 200_000}, "20 of 10,000": {20, 10_000}} {
		b.Run(name, func(b *testing.B) {
			w := newBureau(b, true)
			offices := area.Children(residence)
			for len(offices) < size.offices {
				offices = append(offices, area.Children(origin)...)
			}
			offices = offices[:size.offices]
			raw := w.raw(there)
			for _, o := range offices {
				raw.Exec(b, `INSERT INTO person (id, office, key, name, sex, birth, doc_kind, doc_ok, living, presence)
					SELECT gen_random_uuid(), $1::bigint, '\x00', '测试', 1 + n % 2, date '1950-01-01' + n % 25000, 1, n % 50 > 0, $1::bigint, 1 + n % 3 FROM generate_series(1, $2::int) n`, int64(o), size.files)
				raw.Exec(b, `INSERT INTO movement (id, office, person, kind, event_on, due_on, recorded_at, account, sealed)
					SELECT gen_random_uuid(), $1::bigint, gen_random_uuid(), 1, date '2026-01-01' + n % 300, date '2026-01-01' + n % 300 + 30, timestamptz '2026-01-10' + n % 300 * interval '1 day', 'a', '\x00' FROM generate_series(1, $2::int) n`, int64(o), size.files)
			}
			raw.Exec(b, `VACUUM ANALYZE person`)
			raw.Close()
			w.addUp()
			var ms []rates.Measure
			ms = append(ms, rates.All()...)
			ask := func() {
				r, err := figures.BookRatios(w.figures(there), b.Context(), offices, ms, period("2026"), w.Clock.Now())
				if err != nil || r[offices[0]][rates.ID].D == 0 {
					b.Fatal(r[offices[0]], err)
				}
			}
			ask()
			b.ResetTimer()
			for b.Loop() {
				ask()
			}
		})
	}
}

// BenchmarkOpening opens all consents of an office: what Refresh does after one
// of them changed.
func BenchmarkOpening(b *testing.B) {
	const n = 2000
	w := newBureau(b, true)
	for i := range n {
		who := w.register(here, ledger.Profile{
			Name: "测试甲", Registered: here, Managed: here, Living: here, Sex: 2, Birth: civil.MustParse("1990-06-01").AddDays(i % 3000),
		})
		w.consent(here, who, ledger.PurposeContact, here, w.Clock.Now())
	}
	old := w.Clock.Now()
	w.Clock.Add(time.Hour)
	raw := w.raw(here)
	raw.Exec(b, `ANALYZE`)
	raw.Close()
	b.ResetTimer()
	for b.Loop() { // an earlier instant is never kept
		if _, err := figures.BookRatios(w.figures(here), b.Context(), []area.Key{here}, []rates.Measure{rates.EffectiveContact}, period("2026"), old); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "µs/consent")
}
