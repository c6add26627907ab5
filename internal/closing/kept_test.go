package closing_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/closing"
	"yipan/internal/fault"
	"yipan/internal/figures"
	"yipan/internal/report"
	"yipan/internal/store"
)

// TestReportsAreKept: what was made of a frozen month stays as it was made,
// whatever a later program would write, and whoever is forgotten.
func TestReportsAreKept(t *testing.T) {
	b := newBureau(t, origin, residence)
	ids := b.open(6, there)
	b.answer(there, ids[:3]...)
	b.settle()
	b.until("2027-01-04 00:01:00")
	b.freeze(origin, 1)
	c := b.at(origin).Closing

	outside, own := county(origin), clerk(here)
	key := func(p access.Principal, f report.Format) closing.KeptKey {
		t.Helper()
		r, err := c.Report(t.Context(), p, figures.Monthly, here, december, nil)
		if err != nil || !r.Frozen() {
			t.Fatalf("report: %+v, %v", r, err)
		}
		return r.Key(p, uint8(f))
	}
	seen := map[closing.KeptKey]bool{}
	for _, k := range []closing.KeptKey{key(outside, report.XLSX), key(own, report.XLSX), key(own, report.HTML)} {
		seen[k] = true
	}
	if len(seen) != 3 {
		t.Errorf("own and outside, workbook and page are %d reports", len(seen))
	}
	// Rendered by this program, then by one that would write otherwise.
	made := map[closing.KeptKey][]byte{}
	for k := range seen {
		b, err := c.Kept(t.Context(), own, k, 1, func() ([]byte, error) { return fmt.Append(nil, "layout 1 of ", k.View, k.Format), nil })
		if err != nil {
			t.Fatal(err)
		}
		made[k] = b
	}
	later := func() ([]byte, error) { return nil, errors.New("made again") }
	again := func(when string) {
		t.Helper()
		for k, want := range made {
			if got, err := c.Kept(t.Context(), own, k, 2, later); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %q, want %q: %v", when, got, want, err)
			}
		}
	}
	again("in another layout")

	// Another revision is another report, and nothing is kept of what failed.
	other := key(own, report.XLSX)
	other.Revision++
	if _, err := c.Kept(t.Context(), own, other, 2, later); err == nil {
		t.Error("another revision is the same report")
	}

	// Of those who make it at once, all get one.
	var wg sync.WaitGroup
	var got [8][]byte
	for i := range got {
		wg.Go(func() {
			b, err := c.Kept(t.Context(), own, other, 2, func() ([]byte, error) { return fmt.Append(nil, "made by ", i), nil })
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
			got[i] = b
		})
	}
	wg.Wait()
	for i := range got {
		if len(got[i]) == 0 || !bytes.Equal(got[i], got[0]) {
			t.Errorf("caller %d got %q, the first %q", i, got[i], got[0])
		}
	}

	if err := b.at(origin).DB.InExchange(t.Context(), []area.Key{here}, func(tx *store.Tx) error {
		sides, err := tx.SidesOf(t.Context(), ids[:1])
		if err != nil || len(sides) != 1 || sides[0].Person == (cases.PersonID{}) {
			return fmt.Errorf("sides of the case: %d, %w", len(sides), err)
		}
		return tx.ErasePerson(t.Context(), sides[0].Person)
	}); err != nil {
		t.Fatal(err)
	}
	again("after somebody was forgotten")

	if _, err := c.Kept(t.Context(), clerk(there), other, 2, later); !fault.Is(err, fault.KindDenied) {
		t.Errorf("of another office: %v", err)
	}
}
