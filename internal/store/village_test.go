package store_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/fault"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

func villages(rows ...string) iter.Seq2[area.VillageRow, error] {
	return func(yield func(area.VillageRow, error) bool) {
		for i := 0; i < len(rows); i += 2 {
			if !yield(area.VillageRow{Key: area.MustOf(area.Village, rows[i]), Name: rows[i+1]}, nil) {
				return
			}
		}
	}
}

func TestVillages(t *testing.T) {
	url := storetest.NewURL(t)
	db := storetest.Open(t, url)
	load := func(rows iter.Seq2[area.VillageRow, error]) store.VillageCount {
		t.Helper()
		n, err := store.LoadVillages(t.Context(), url, rows)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	const one, two, three, elsewhere, far = "520330001001", "520330001002", "520330001999", "520330002001", "441900101005"
	if n := load(villages(one, "甲村", two, "乙村", far, "石碣村")); n != (store.VillageCount{Added: 3}) {
		t.Errorf("first: %+v", n)
	}
	if n := load(villages(one, "甲村", two, "乙新村")); n != (store.VillageCount{Renamed: 1, Unchanged: 1}) {
		t.Errorf("again: %+v", n)
	}
	broken := errors.New("broken")
	failing := func(yield func(area.VillageRow, error) bool) {
		if yield(area.VillageRow{Key: area.MustOf(area.Village, three), Name: "丙村"}, nil) {
			yield(area.VillageRow{}, broken)
		}
	}
	if _, err := store.LoadVillages(t.Context(), url, failing); !errors.Is(err, broken) {
		t.Errorf("a broken file: %v", err)
	}
	for _, c := range []struct {
		codes  []string
		want   map[string]string
		loaded bool
	}{
		{nil, map[string]string{}, true},
		{[]string{one, two, far}, map[string]string{one: "甲村", two: "乙新村", far: "石碣村"}, true},
		{[]string{one, three}, map[string]string{one: "甲村"}, true}, // its township is loaded: no such village
		{[]string{elsewhere}, map[string]string{}, false},
		{[]string{one, elsewhere}, map[string]string{one: "甲村"}, false},
		{[]string{three, elsewhere}, map[string]string{}, false},
	} {
		var codes []area.Key
		for _, s := range c.codes {
			codes = append(codes, area.MustOf(area.Village, s))
		}
		for name, in := range map[string]func(context.Context, []area.Key, func(*store.Tx) error) error{"desk": db.InDesk, "exchange": db.InExchange} {
			err := in(t.Context(), []area.Key{east}, func(tx *store.Tx) error {
				names, loaded, err := tx.Villages(t.Context(), codes)
				got := map[string]string{}
				for k, n := range names {
					got[k.Code()] = n
				}
				if d := cmp.Diff(c.want, got); d != "" || loaded != c.loaded {
					t.Errorf("%s, %v: loaded %v\n%s", name, c.codes, loaded, d)
				}
				return err
			})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if _, err := store.LoadVillages(t.Context(), "postgres://nobody:secret@127.0.0.1:1/none", villages(one, "甲")); !fault.Is(err, fault.KindUnavailable) {
		t.Errorf("no database: %v", err)
	}
}

// A file of any size crosses in batches.
func TestLoadManyVillages(t *testing.T) {
	url := storetest.NewURL(t)
	const n = 25_000
	rows := func(yield func(area.VillageRow, error) bool) {
		for i := range n {
			k := area.MustOf(area.Township, "520330001") - area.Key(area.Township) + area.Key(area.Village)
			k += area.Key(i/999)*10_000 + area.Key(1+i%999)*10
			if !yield(area.VillageRow{Key: k, Name: "村"}, nil) {
				return
			}
		}
	}
	for _, want := range []store.VillageCount{{Added: n}, {Unchanged: n}} {
		if got, err := store.LoadVillages(t.Context(), url, rows); err != nil || got != want {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
}
