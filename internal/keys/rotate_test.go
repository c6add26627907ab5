package keys

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/seal"
)

func TestRotateIsStaged(t *testing.T) {
	for _, use := range seal.Uses() {
		f, dir := create(t)
		before := f.Keys()
		replica := reopen(t, dir) // has read the directory before the rotation
		at := start.Add(time.Hour)
		if err := f.Rotate(use, at); err != nil {
			t.Fatal(err)
		}
		got := map[State][]Info{}
		for _, i := range f.Keys() {
			if i.Use == use {
				got[i.State] = append(got[i.State], i)
			}
		}
		for _, i := range before {
			if i.Use != use {
				if !slices.Contains(f.Keys(), i) {
					t.Errorf("%s: a %s key changed", use, i.Use)
				}
				continue
			}
			switch i.State {
			case Current:
				i.State, i.Retired = Old, at
			case Next:
				i.State = Current
			}
			if diff := cmp.Diff([]Info{i}, got[i.State]); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", use, i.State, diff)
			}
		}
		if len(got[Next]) != 1 || !got[Next][0].Created.Equal(at) {
			t.Errorf("%s: next is %v", use, got[Next])
		}
		if diff := cmp.Diff(f.Keys(), reopen(t, dir).Keys()); diff != "" {
			t.Errorf("%s: reopened:\n%s", use, diff)
		}

		// A replica that has not reloaded reads what the rotated one writes.
		aad := seal.AAD{Table: "t"}
		if _, err := replica.Data().Decrypt(aad, f.Data().Encrypt(aad, nil)); err != nil {
			t.Errorf("%s: replica: %v", use, err)
		}
		if _, err := replica.SealingKey(f.Sealing().ID()); err != nil {
			t.Errorf("%s: replica: %v", use, err)
		}
		if err := replica.Reload(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(f.Keys(), replica.Keys()); diff != "" {
			t.Errorf("%s: replica after Reload:\n%s", use, diff)
		}
	}
	f, _ := create(t)
	wantReason(t, "unknown use", f.Rotate("other", start), "invalid KEY_USE")
}

func TestOldKeysStillRead(t *testing.T) {
	f, dir := create(t)
	aad := seal.AAD{Table: "t"}
	box := f.Data().Encrypt(aad, []byte("m"))
	index := seal.Index(f.Index(), 1, "u", "v")
	enc, ct, err := seal.Seal(f.Sealing().Public(), nil, []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	sealed := f.Sealing().ID()
	for i := range 3 {
		for _, use := range seal.Uses() {
			if err := f.Rotate(use, start.Add(time.Duration(i)*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	g := reopen(t, dir)
	if got, err := g.Data().Decrypt(aad, box); err != nil || string(got) != "m" {
		t.Errorf("old data key: %q, %v", got, err)
	}
	k, err := g.SealingKey(sealed)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := seal.Open(k, nil, enc, ct); err != nil || string(got) != "m" {
		t.Errorf("old sealing key: %q, %v", got, err)
	}
	found := slices.ContainsFunc(g.Indexes(), func(k *seal.IndexKey) bool { return seal.Index(k, 1, "u", "v") == index })
	if !found || g.Indexes()[0].ID() != g.Index().ID() || len(g.Indexes()) != 5 {
		t.Errorf("old index key found: %v, of %d", found, len(g.Indexes()))
	}
}

func TestPurge(t *testing.T) {
	f, dir := create(t)
	first := map[seal.Use]seal.KeyID{}
	for _, i := range f.Keys() {
		if i.State == Current {
			first[i.Use] = i.ID
		}
	}
	for _, use := range seal.Uses() {
		if err := f.Rotate(use, start); err != nil {
			t.Fatal(err)
		}
	}
	if ids, err := f.Purge(start.Add(KeepOld - time.Second)); err != nil || len(ids) != 0 {
		t.Fatalf("purged early: %v, %v", ids, err)
	}
	if _, err := f.SealingKey(first[seal.UseSeal]); err != nil {
		t.Errorf("before expiry: %v", err)
	}
	ids, err := f.Purge(start.Add(KeepOld))
	if err != nil {
		t.Fatal(err)
	}
	want := []seal.KeyID{first[seal.UseSeal], first[seal.UseSign]}
	less := func(a, b seal.KeyID) int { return strings.Compare(a.String(), b.String()) }
	slices.SortFunc(ids, less)
	slices.SortFunc(want, less)
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("purged (-want +got):\n%s", diff)
	}
	_, err = f.SealingKey(first[seal.UseSeal])
	wantReason(t, "after expiry", err, "not found SEALING_KEY_UNKNOWN")
	for use, id := range first {
		_, err := os.Stat(filepath.Join(dir, keyFileName(use, id)))
		if gone := os.IsNotExist(err); gone != expires(use) {
			t.Errorf("%s key file gone: %v", use, gone)
		}
	}
	if _, err := f.Data().Key(first[seal.UseData]); err != nil {
		t.Errorf("old data key: %v", err)
	}
	reopen(t, dir)
}

func TestRemove(t *testing.T) {
	f, dir := create(t)
	id := f.Data().Current().ID()
	wantReason(t, "current", f.Remove(seal.UseData, id), "conflict KEY_IN_USE")
	if err := f.Rotate(seal.UseData, start); err != nil {
		t.Fatal(err)
	}
	wantReason(t, "current after rotation", f.Remove(seal.UseData, f.Data().Current().ID()), "conflict KEY_IN_USE")
	wantReason(t, "wrong use", f.Remove(seal.UseIndex, id), "not found KEY_UNKNOWN")

	// A removal that was interrupted after the keyring's rename: the file is
	// left, and the second call deletes it.
	path := filepath.Join(dir, keyFileName(seal.UseData, id))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Remove(seal.UseData, id); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Fatalf("the key file is still there: %v", err)
		}
		if _, err := f.Data().Key(id); err == nil {
			t.Error("the ring still holds the key")
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantReason(t, "removed", f.Remove(seal.UseData, id), "not found KEY_UNKNOWN")
}

// Rotate writes the new key's temporary file, renames it, writes the keyring's
// temporary file, renames it. Each crash point is rebuilt from the files before
// and after: the directory opens as the old set or the new one, and the next
// rotation and purge work.
func TestRotateSurvivesACrashAnywhere(t *testing.T) {
	read := func(dir string) map[string][]byte {
		out := map[string][]byte{}
		for _, n := range names(t, dir) {
			b, err := os.ReadFile(filepath.Join(dir, n))
			if err != nil {
				t.Fatal(err)
			}
			out[n] = b
		}
		return out
	}
	for _, use := range seal.Uses() {
		f, dir := create(t)
		before, oldKeys := read(dir), f.Keys()
		if err := f.Rotate(use, start); err != nil {
			t.Fatal(err)
		}
		after, newKeys := read(dir), f.Keys()
		var added string
		for n := range after {
			if _, ok := before[n]; !ok {
				added = n
			}
		}
		half := func(b []byte) []byte { return b[:len(b)/2] }
		for name, tc := range map[string]struct {
			extra map[string][]byte
			want  []Info
		}{
			"key half written":     {map[string][]byte{"." + added + ".X.tmp": half(after[added])}, oldKeys},
			"key written":          {map[string][]byte{"." + added + ".X.tmp": after[added]}, oldKeys},
			"key in place":         {map[string][]byte{added: after[added]}, oldKeys},
			"keyring half written": {map[string][]byte{added: after[added], ".keyring.X.tmp": half(after[keyringName])}, oldKeys},
			"keyring written":      {map[string][]byte{added: after[added], ".keyring.X.tmp": after[keyringName]}, oldKeys},
			"keyring in place":     {map[string][]byte{added: after[added], keyringName: after[keyringName]}, newKeys},
		} {
			crashed := filepath.Join(t.TempDir(), "keys")
			if err := os.Mkdir(crashed, 0o700); err != nil {
				t.Fatal(err)
			}
			for _, files := range []map[string][]byte{before, tc.extra} {
				for n, b := range files {
					if err := os.WriteFile(filepath.Join(crashed, n), b, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			g := reopen(t, crashed)
			if diff := cmp.Diff(tc.want, g.Keys()); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", use, name, diff)
			}
			if err := g.Rotate(use, start.Add(time.Hour)); err != nil {
				t.Errorf("%s, %s: rotate: %v", use, name, err)
			}
			if _, err := g.Purge(start.Add(2 * KeepOld)); err != nil {
				t.Errorf("%s, %s: purge: %v", use, name, err)
			}
			named := map[string]bool{keyringName: true}
			for _, i := range reopen(t, crashed).Keys() {
				named[keyFileName(i.Use, i.ID)] = true
			}
			for _, n := range names(t, crashed) {
				stray := strings.HasSuffix(n, ".key") && !expires(use)
				if !named[n] && !stray {
					t.Errorf("%s, %s: %s is left over", use, name, n)
				}
			}
		}
	}
}

// Several processes (here several Files) rotate and reload at once: no rotation
// is lost and every reading is whole.
func TestConcurrentRotation(t *testing.T) {
	_, dir := create(t)
	const writers, turns = 4, 5
	var wg sync.WaitGroup
	for range writers {
		f := reopen(t, dir)
		wg.Go(func() {
			for range turns {
				if err := f.Rotate(seal.UseSeal, start); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range turns {
				if err := f.Reload(); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range turns {
				if _, err := f.Purge(start); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	old := 0
	for _, i := range reopen(t, dir).Keys() {
		if i.State == Old {
			old++
		}
	}
	if old != writers*turns {
		t.Errorf("%d old keys after %d rotations", old, writers*turns)
	}
}
