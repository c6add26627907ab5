package node

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/bus"
	"yipan/internal/directory"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// following is a follower under test; its changes are kept as pairs of serials.
type following struct {
	*follower
	logs logs

	mu      sync.Mutex
	changes [][2]uint64
	fail    error
}

func newFollowing(t *testing.T, db *store.DB, authority seal.VerifyKey, logFile string) *following {
	t.Helper()
	f := &following{}
	var err error
	if f.follower, err = newFollower(db, f.logs.logger(), nil); err != nil {
		t.Fatal(err)
	}
	f.jitter = func() time.Duration { return 0 }
	f.changed = func(_ context.Context, old, next *directory.Directory) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.fail != nil {
			return f.fail
		}
		f.changes = append(f.changes, [2]uint64{old.Serial(), next.Serial()})
		return nil
	}
	if err := f.load(within(t), authority, logFile); err != nil {
		t.Fatal(err)
	}
	return f
}

// evaluatedTo reports up to which serial changes were evaluated, and that no
// serial was left out or came twice.
func (f *following) evaluatedTo(t *testing.T) uint64 {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	at := uint64(0)
	for i, c := range f.changes {
		if i > 0 && c[0] != at || c[1] <= c[0] {
			t.Fatalf("changes %v", f.changes)
		}
		at = c[1]
	}
	return at
}

func (f *following) evaluations() [][2]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.changes)
}

// follow runs it until the end of the test or stop.
func (f *following) follow(t *testing.T, conn *bus.Conn) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.run(ctx, conn) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("follower: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func (f *following) serial() uint64 { return f.current().Serial() }

func TestDirectoryComesFromTheStream(t *testing.T) {
	ctx := within(t)
	a, authority := newAuthority()
	c, _ := newConfig(t, origin, authority)
	db := openStore(t, &c)
	h := startHub(t, t.TempDir(), 0)
	conn := connect(t, h.URL())

	records := []directory.Record{admit(t, a, origin, nil), admit(t, a, residence, nil), admit(t, a, third, nil)}
	impostor, _ := newAuthority()
	// Out of order, repeated, of another authority, and junk.
	for _, b := range [][]byte{records[2].Bytes(), admit(t, impostor, origin, nil).Bytes(), []byte("junk"),
		records[0].Bytes(), records[0].Bytes(), records[1].Bytes()} {
		if err := conn.PublishDirectory(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	f := newFollowing(t, db, authority, "")
	stop := f.follow(t, conn)
	eventually(t, "three records", func() bool { return f.serial() == 3 && f.evaluatedTo(t) == 3 })
	if home, ok := f.current().Home(third); !ok || home.Area() != third {
		t.Errorf("home of %s: %v", third, home)
	}
	if !f.logs.has("directory record refused") {
		t.Error("junk was not reported")
	}
	stop()

	// What was taken is durable, and evaluated once.
	again := newFollowing(t, db, authority, "")
	if again.serial() != 3 {
		t.Errorf("after a restart: serial %d", again.serial())
	}
	again.follow(t, conn)
	if err := conn.PublishDirectory(ctx, admit(t, a, fourth, nil).Bytes()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the fourth", func() bool { return again.evaluatedTo(t) == 4 })
	if diff := cmp.Diff([][2]uint64{{3, 4}}, again.evaluations()); diff != "" {
		t.Errorf("evaluated twice: %s", diff)
	}
}

func TestDirectoryIsRefilled(t *testing.T) {
	a, authority := newAuthority()
	c, _ := newConfig(t, origin, authority)
	db := openStore(t, &c)
	dir := filepath.Join(t.TempDir(), "hub")
	h := startHub(t, dir, 0)
	u, err := url.Parse(h.URL())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	records := []directory.Record{admit(t, a, origin, nil), admit(t, a, residence, nil)}
	logFile := filepath.Join(t.TempDir(), "directory.log")
	if err := os.WriteFile(logFile, directory.FormatLog(records), 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFollowing(t, db, authority, logFile)
	conn := connect(t, h.URL())
	f.follow(t, conn)
	full := func() bool {
		n, err := conn.DirectorySize(within(t))
		return err == nil && n == 2
	}
	eventually(t, "a new broker to be filled", full)

	h.Stop()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	startHub(t, dir, port)
	eventually(t, "a wiped broker to be filled again", full)
}

func TestChangeIsOwedUntilEvaluated(t *testing.T) {
	a, authority := newAuthority()
	c, _ := newConfig(t, origin, authority)
	db := openStore(t, &c)
	h := startHub(t, t.TempDir(), 0)
	conn := connect(t, h.URL())
	f := newFollowing(t, db, authority, "")
	f.fail = errors.New("the database is away")
	stop := f.follow(t, conn)
	if err := conn.PublishDirectory(within(t), admit(t, a, origin, nil).Bytes()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record", func() bool { return f.serial() == 1 && f.logs.has("not evaluated yet") })
	stop()

	again := newFollowing(t, db, authority, "")
	again.follow(t, conn)
	eventually(t, "the evaluation owed", func() bool { return again.evaluatedTo(t) == 1 })
	if diff := cmp.Diff([][2]uint64{{0, 1}}, again.evaluations()); diff != "" {
		t.Error(diff)
	}
}

func TestForkIsKept(t *testing.T) {
	key := seal.NewSigningKey()
	one, two := directory.NewAuthority(key), directory.NewAuthority(key)
	c, _ := newConfig(t, origin, key.Public())
	db := openStore(t, &c)
	f := newFollowing(t, db, key.Public(), "")
	forked := admit(t, two, residence, nil)
	if err := f.take(within(t), []directory.Record{admit(t, one, origin, nil), forked}); err != nil {
		t.Fatal(err)
	}
	if home, ok := f.current().Home(residence); ok {
		t.Errorf("the second log counts: %s", home)
	}
	note, err := db.Note(within(t), noteFork)
	if err != nil || note != forked.Line() {
		t.Errorf("evidence %q, %v", note, err)
	}
}

func TestStoredDirectoryOfAnotherAuthority(t *testing.T) {
	a, authority := newAuthority()
	c, _ := newConfig(t, origin, authority)
	db := openStore(t, &c)
	f := newFollowing(t, db, authority, "")
	if err := f.take(within(t), []directory.Record{admit(t, a, origin, nil)}); err != nil {
		t.Fatal(err)
	}
	_, other := newAuthority()
	g, err := newFollower(db, f.log, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.load(within(t), other, ""); err == nil {
		t.Error("a directory of another authority was taken")
	}
}
