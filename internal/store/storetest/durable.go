package storetest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/pglocal"
	"yipan/internal/store"
)

// Server is a PostgreSQL of one test, on disk and durable, for tests that kill
// it. It is not safe for concurrent use.
type Server struct {
	dir string
	pg  *pglocal.Server
}

// Durable starts a durable server with one migrated database. It is always a
// private one, whatever YIPAN_DATABASE_URL says, and ends with the test.
func Durable(t testing.TB) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", prefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{dir: dir}
	t.Cleanup(func() {
		if s.pg != nil {
			ctx, cancel := context.WithTimeout(context.Background(), startTime)
			defer cancel()
			if err := s.pg.Stop(ctx); err != nil {
				t.Errorf("stop the durable server: %v", err)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s.Start(t)
	if _, err := store.Migrate(t.Context(), s.URL()); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	return s
}

// Start starts the server again after Kill9; what was committed is there.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	var err error
	s.pg, err = pglocal.Start(ctx, pglocal.Options{Dir: s.dir, Durable: true, Template: templates()})
	if err != nil {
		t.Fatalf("start the durable server: %v", err)
	}
}

// URL is the owner's URL of the database. It stays the same over Kill9.
func (s *Server) URL() string { return s.pg.URL(pglocal.Superuser, "postgres") }

// Open opens the database as a node does; it is closed when the test ends. The
// DB outlives Kill9 and Start: only its connections break.
func (s *Server) Open(t testing.TB) *store.DB {
	t.Helper()
	owner := s.URL()
	db, err := store.Open(t.Context(), store.Config{URL: owner, LoginAs: func(r store.Role) string { return As(owner, string(r)) }})
	if err != nil {
		t.Fatalf("open database: %v", err)
	}
	t.Cleanup(db.Close)
	return db
}

// Kill9 kills the postmaster and all its backends with SIGKILL, as the end of
// the machine would, and returns when the server is gone.
func (s *Server) Kill9(t testing.TB) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "pg", "postmaster.pid"))
	if err != nil {
		t.Fatalf("kill -9: %v", err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	pid, err := strconv.Atoi(string(bytes.TrimSpace(line)))
	if err != nil || pid <= 1 {
		t.Fatalf("kill -9: no process in postmaster.pid")
	}
	// The postmaster first: it would start a new life after a backend's death.
	for _, pid := range append([]int{pid}, s.backends(t)...) {
		p, err := os.FindProcess(pid)
		if err == nil {
			err = p.Kill()
		}
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatalf("kill -9: %v", err)
		}
	}
	select {
	case <-s.pg.Done():
	case <-time.After(startTime):
		t.Fatal("kill -9: postgres did not end")
	}
}

func (s *Server) backends(t testing.TB) []int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL())
	if err != nil {
		t.Fatalf("kill -9: %v", err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(t.Context(), "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
	if err != nil {
		t.Fatalf("kill -9: %v", err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		t.Fatalf("kill -9: %v", err)
	}
	return pids
}
