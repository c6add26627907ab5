package keys

import (
	"slices"
	"testing"
	"time"

	"yipan/internal/seal"
)

// The oldest index key stays the same from a rotation until the old key is
// removed, and a search meets the key that another replica may have rotated to.
func TestIndexKeysOverRotations(t *testing.T) {
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	f, err := Create(t.TempDir()+"/keys", now)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(f.place.dir)
	if err != nil {
		t.Fatal(err)
	}
	ids := func(f *Files) (out []seal.KeyID) {
		for _, k := range f.Indexes() {
			out = append(out, k.ID())
		}
		return out
	}
	first := f.Index().ID()
	if f.OldestIndex().ID() != first || len(ids(f)) != 2 {
		t.Errorf("new: oldest %s, current %s, %d keys", f.OldestIndex().ID(), first, len(ids(f)))
	}
	for i := range 2 {
		now = now.Add(time.Hour)
		if err := f.Rotate(seal.UseIndex, now); err != nil {
			t.Fatal(err)
		}
		if f.OldestIndex().ID() != first || f.Index().ID() == first || ids(f)[0] != f.Index().ID() || len(ids(f)) != 3+i {
			t.Errorf("rotated %d times: oldest %s, want %s", i+1, f.OldestIndex().ID(), first)
		}
		if i == 0 && !slices.Contains(ids(other), f.Index().ID()) {
			t.Error("whoever did not reload does not know the new key")
		}
	}
	if err := f.Remove(seal.UseIndex, first); err != nil {
		t.Fatal(err)
	}
	if got := f.OldestIndex().ID(); got == first || got == f.Index().ID() || !slices.Contains(ids(f), got) {
		t.Errorf("after the removal the oldest is %s", got)
	}
}
