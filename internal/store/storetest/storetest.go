// Package storetest gives tests real databases: one private PostgreSQL per test
// program, and in it a fresh, migrated database per test, copied from a
// template in some ten milliseconds. Where YIPAN_DATABASE_URL names a server,
// the databases are made there and dropped again.
//
// A package that uses it runs its tests through Main:
//
//	func TestMain(m *testing.M) { storetest.Main(m) }
//
// It refuses to skip: without PostgreSQL the tests fail. Nothing here is
// durable but Durable, whose server survives kill -9 with all that was
// committed.
package storetest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/pglocal"
	"yipan/internal/store"
)

// startTime bounds what a loaded machine may need to start a server.
const startTime = 2 * time.Minute

// shared is the server of this test program, started by the first test that
// asks for a database.
var shared struct {
	running atomic.Bool // inside Main
	once    sync.Once
	err     error
	admin   string // URL of the maintenance database
	local   *pglocal.Server
	dir     string
	plate   string // name of the migrated template
	number  atomic.Int64
}

// Main runs the tests of a package, stops the server that they used, and ends
// the program. It is the whole body of TestMain.
func Main(m *testing.M) { os.Exit(Run(m)) } //nolint:revive // it stands for TestMain itself

// Run is Main for a TestMain that has more to do: it returns the exit code.
func Run(m *testing.M) (code int) {
	shared.running.Store(true)
	defer func() {
		if err := stop(); err != nil {
			fmt.Fprintln(os.Stderr, "storetest: stop:", err)
			code = max(code, 1)
		}
	}()
	return m.Run()
}

// New returns a fresh migrated database, opened as a node opens it. It is
// closed and dropped when the test ends.
func New(t testing.TB) *store.DB {
	t.Helper()
	return Open(t, NewURL(t))
}

// Open opens a database of NewURL once more, as a second replica of a node
// would; it is closed when the test ends.
func Open(t testing.TB, owner string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), Config(owner))
	if err != nil {
		t.Fatalf("open database: %v", err)
	}
	t.Cleanup(db.Close)
	return db
}

// Config returns how a node opens a database of NewURL or EmptyURL: on the
// private server every role logs in by itself, as in production.
func Config(owner string) store.Config {
	c := store.Config{URL: owner}
	if os.Getenv("YIPAN_DATABASE_URL") == "" {
		c.LoginAs = func(r store.Role) string { return As(owner, string(r)) }
	}
	return c
}

// As returns the URL with another login, for a connection that is not the
// store's. Only the private server lets everybody in.
func As(owner, login string) string {
	u, err := url.Parse(owner)
	if err != nil {
		panic("storetest: unreadable URL of its own")
	}
	u.User = url.User(login)
	return u.String()
}

// NewURL returns the owner's URL of a fresh migrated database, which is dropped
// when the test ends.
func NewURL(t testing.TB) string {
	t.Helper()
	return create(t, true)
}

// EmptyURL is NewURL without the migration.
func EmptyURL(t testing.TB) string {
	t.Helper()
	return create(t, false)
}

// LogFile returns the path of the private server's log, "" on an existing one.
func LogFile(t testing.TB) string {
	t.Helper()
	ready(t)
	if shared.local == nil {
		return ""
	}
	return shared.local.LogFile()
}

func ready(t testing.TB) {
	t.Helper()
	if !shared.running.Load() {
		t.Fatal("storetest: TestMain must call storetest.Main")
	}
	shared.once.Do(func() { shared.err = start() })
	if shared.err != nil {
		t.Fatalf("storetest: %v", shared.err)
	}
}

func start() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	shared.admin = os.Getenv("YIPAN_DATABASE_URL")
	if shared.admin == "" {
		var err error
		if shared.dir, err = place(); err != nil {
			return err
		}
		shared.local, err = pglocal.Start(ctx, pglocal.Options{
			Dir: shared.dir, Template: templates(),
			// Many databases at once, none of them large; statistics come from
			// the tests that need them.
			Settings: map[string]string{"max_connections": "400", "shared_buffers": "64MB", "autovacuum": "off", "max_wal_size": "256MB"},
		})
		if err != nil {
			return err
		}
		shared.admin = shared.local.URL(pglocal.Superuser, "postgres")
	}
	shared.plate = name("plate")
	if err := exec(ctx, "CREATE DATABASE "+shared.plate); err != nil {
		return err
	}
	_, err := store.Migrate(ctx, database(shared.plate))
	return err
}

func stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	var err error
	switch {
	case shared.local != nil:
		err = shared.local.Stop(ctx)
	case shared.plate != "":
		err = exec(ctx, "DROP DATABASE IF EXISTS "+shared.plate+" WITH (FORCE)")
	}
	if shared.dir != "" {
		if rerr := os.RemoveAll(shared.dir); err == nil {
			err = rerr
		}
	}
	return err
}

// name is unique on the server, also among test programs that share one.
func name(what string) string {
	return fmt.Sprintf("yipan_test_%s_%d_%d_%d", what, os.Getpid(), time.Now().UnixNano()%1e9, shared.number.Add(1))
}

func create(t testing.TB, migrated bool) string {
	t.Helper()
	ready(t)
	db := name("db")
	sql := "CREATE DATABASE " + db
	if migrated {
		sql += " TEMPLATE " + shared.plate + " STRATEGY FILE_COPY"
	}
	ctx := context.Background() // the clean-up outlives the test's
	if err := exec(ctx, sql); err != nil {
		t.Fatalf("storetest: %v", err)
	}
	t.Cleanup(func() {
		if err := exec(ctx, "DROP DATABASE "+db+" WITH (FORCE)"); err != nil {
			t.Errorf("storetest: %v", err)
		}
	})
	return database(db)
}

func database(db string) string {
	u, err := url.Parse(shared.admin)
	if err != nil {
		return shared.admin
	}
	u.Path = "/" + db
	return u.String()
}

func exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, shared.admin)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, sql)
	return err
}

const prefix = "yipan-test-"

// place makes a directory for a server without durability, in memory where the
// system has such a place, and sweeps away those of test programs that were
// killed.
func place() (string, error) {
	parent := os.TempDir()
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		parent = "/dev/shm"
	}
	sweep(parent)
	return os.MkdirTemp(parent, prefix+strconv.Itoa(os.Getpid())+"-")
}

func sweep(parent string) {
	old, err := filepath.Glob(filepath.Join(parent, prefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range old {
		digits, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), prefix), "-")
		pid, err := strconv.Atoi(digits)
		if err != nil || alive(pid) {
			continue
		}
		// A program of another process namespace may share the place; its
		// server keeps its files fresh.
		if st, err := os.Stat(filepath.Join(dir, "pg", "postmaster.pid")); err == nil && time.Since(st.ModTime()) < time.Hour {
			continue
		}
		_ = os.RemoveAll(dir)
	}
}

func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	return err == nil && p.Signal(syscall.Signal(0)) == nil
}

// templates is where initialised data directories are kept between runs, "" for
// nowhere.
func templates() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "yipan", "pg-template")
}
