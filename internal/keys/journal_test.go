package keys

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/fault"
)

var sample = []Entry{
	{start, ErasedPerson, []byte("0123456789abcdef"), 1101050010004, nil},
	{start.Add(1500 * time.Millisecond), ErasedItem, []byte{1}, 0, nil},
	{start.Add(time.Hour), Withdrawal, bytes.Repeat([]byte{0xff}, 32), 1101050020004, nil},
	{start.Add(2 * time.Hour), Restriction, []byte("fedcba9876543210"), -1, nil},
	{start.Add(3 * time.Hour), Restriction, []byte("fedcba9876543210"), -1, []string{"clerk-a", "经办\"乙"}},
	{start.Add(4 * time.Hour), Lifting, []byte("fedcba9876543210"), -1, nil},
}

func newJournal(t *testing.T) (*Journal, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "erasures.jsonl")
	j, err := CreateJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j, path
}

func replay(j *Journal) (out []Entry, err error) {
	n, err := j.Replay(func(e Entry) error { out = append(out, e); return nil })
	if n != len(out) {
		return out, errors.New("count differs")
	}
	return out, err
}

func TestJournal(t *testing.T) {
	j, path := newJournal(t)
	if got, err := replay(j); err != nil || len(got) != 0 {
		t.Fatalf("empty: %v, %v", got, err)
	}
	if err := j.Append(sample[0]); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(sample[1:]...); err != nil {
		t.Fatal(err)
	}
	k, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	for name, j := range map[string]*Journal{"same": j, "reopened": k} {
		got, err := replay(j)
		if diff := cmp.Diff(sample, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	stop := errors.New("stop")
	if n, err := j.Replay(func(Entry) error { return stop }); !errors.Is(err, stop) || n != 0 {
		t.Errorf("stopped: %d, %v", n, err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const first = `{"time":"2026-03-01T08:00:00.000Z","kind":"person","id":"30313233343536373839616263646566","office":1101050010004,"sum":"`
	if !strings.HasPrefix(string(b), first) {
		t.Errorf("first line: %s", b[:len(first)])
	}

	_, err = CreateJournal(path)
	wantReason(t, "create again", err, "conflict JOURNAL_EXISTS")
	_, err = OpenJournal(path + ".none")
	wantReason(t, "missing", err, "not found JOURNAL_MISSING")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = OpenJournal(path)
	wantReason(t, "mode", err, "invalid KEYS_MODE")
}

func TestJournalRefusesBadEntries(t *testing.T) {
	j, path := newJournal(t)
	for name, e := range map[string]Entry{
		"kind":    {start, "other", []byte{1}, 0, nil},
		"no id":   {start, ErasedItem, nil, 0, nil},
		"long id": {start, ErasedItem, make([]byte, 33), 0, nil},
		"year":    {start.AddDate(9000, 0, 0), ErasedItem, []byte{1}, 0, nil},
		"keepers": {start, Lifting, []byte{1}, 0, []string{"clerk-a"}},
		"endless": {start, Restriction, []byte{1}, 0, []string{strings.Repeat("a", entryLimit)}},
	} {
		wantReason(t, name, j.Append(sample[0], e), "invalid JOURNAL_ENTRY")
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 0 {
		t.Errorf("something was written: %v", err)
	}
}

func TestJournalTornLastLine(t *testing.T) {
	torn, err := sample[1].format()
	if err != nil {
		t.Fatal(err)
	}
	for cut := 1; cut < len(torn); cut++ {
		for _, before := range [][]Entry{nil, sample[:1]} {
			j, path := newJournal(t)
			if err := j.Append(before...); err != nil {
				t.Fatal(err)
			}
			tear(t, path, torn[:cut])
			k, err := OpenJournal(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := replay(k)
			if diff := cmp.Diff(before, got); diff != "" || err != nil {
				t.Fatalf("cut at %d: %v\n%s", cut, err, diff)
			}
			k.Close()
			// A journal that stays open meets the torn line of another process
			// when it appends.
			tear(t, path, torn[:cut])
			if err := j.Append(sample[2]); err != nil {
				t.Fatal(err)
			}
			want := append(slices.Clone(before), sample[2])
			got, err = replay(j)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Fatalf("cut at %d, then appended: %v\n%s", cut, err, diff)
			}
			j.Close()
		}
	}
	j, path := newJournal(t)
	if err := j.Append(sample[0]); err != nil {
		t.Fatal(err)
	}
	tear(t, path, make([]byte, 10000)) // blocks allocated, never written
	if got, err := replay(j); err != nil || len(got) != 1 {
		t.Errorf("zeros: %v, %v", got, err)
	}
}

func tear(t *testing.T, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = f.Write(b)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestJournalDamageIsAnError(t *testing.T) {
	j, path := newJournal(t)
	if err := j.Append(sample...); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		if whole[at] == '\n' {
			continue // joins or cuts lines; covered by the fuzz target
		}
		bad := bytes.Clone(whole)
		bad[at] ^= 1
		if bad[at] == '\n' {
			continue
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := replay(j); !fault.Is(err, fault.KindInternal) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
	long := append(bytes.Repeat([]byte{' '}, 3*entryLimit), '\n')
	if err := os.WriteFile(path, long, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = replay(j)
	wantReason(t, "long line", err, "internal JOURNAL_CORRUPT")
}

func TestJournalConcurrentAppends(t *testing.T) {
	j, path := newJournal(t)
	k, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	const each = 10
	var wg sync.WaitGroup
	for i, j := range []*Journal{j, k, j, k} {
		wg.Go(func() {
			for n := range each {
				if err := j.Append(Entry{start, ErasedItem, []byte{byte(i), byte(n)}, 0, nil}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	n, err := k.Replay(func(e Entry) error { seen[string(e.ID)] = true; return nil })
	if err != nil || n != 4*each || len(seen) != n {
		t.Errorf("%d entries, %d distinct, %v", n, len(seen), err)
	}
}

func FuzzJournalReplay(f *testing.F) {
	var whole []byte
	for _, e := range sample {
		l, err := e.format()
		if err != nil {
			f.Fatal(err)
		}
		whole = append(whole, l...)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-7])
	f.Add([]byte("\n"))
	f.Add([]byte("{}\n"))
	path := filepath.Join(f.TempDir(), "journal")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := OpenJournal(path)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		var again []byte
		_, err = j.Replay(func(e Entry) error {
			l, err := e.format()
			again = append(again, l...)
			return err
		})
		if err != nil && !fault.Is(err, fault.KindInternal) {
			t.Fatalf("kind of %v", err)
		}
		finished := b[:bytes.LastIndexByte(b, '\n')+1]
		if !bytes.HasPrefix(finished, again) || err == nil && len(again) != len(finished) {
			t.Fatal("replayed something else than what is written")
		}
	})
}

func BenchmarkJournalAppend(b *testing.B) {
	j, err := CreateJournal(filepath.Join(b.TempDir(), "journal"))
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	for b.Loop() {
		if err := j.Append(sample[0]); err != nil {
			b.Fatal(err)
		}
	}
}
