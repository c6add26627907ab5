//go:build unix

package pglocal

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"yipan/internal/fault"
)

// childDir makes this test program start a server there, say so, and wait to be
// killed.
const childDir = "PGLOCAL_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		s, err := Start(context.Background(), Options{Dir: dir, Durable: true})
		if err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		fmt.Println("ready", s.cmd.Process.Pid)
		<-s.Done()
		os.Exit(2)
	}
	dir, err := os.MkdirTemp("", "pglkept")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	template = filepath.Join(dir, "kept")
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// template spares initdb in tests that are about something else.
var template string

// place returns a directory that the server's user can reach.
func place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func start(t *testing.T, o Options) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := Start(ctx, o)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func psql(t *testing.T, s *Server, sql string) string {
	t.Helper()
	out, err := query(s, sql)
	if err != nil {
		t.Fatalf("psql: %v: %s", err, out)
	}
	return out
}

func query(s *Server, sql string) (string, error) {
	cmd := exec.Command(s.Binaries().Path("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", s.URL(Superuser, "postgres"), "-c", sql)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// eventually polls what no signal announces.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for !cond() {
		if wait(ctx, 10*time.Millisecond) != nil {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func alive(pid int) bool {
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		return !strings.Contains(string(b), ") Z ") // killed, and its parent did not look yet
	}
	return syscall.Kill(pid, 0) == nil
}

func TestStartStopRestart(t *testing.T) {
	base := place(t)
	dir := filepath.Join(base, "deep", "er", "一盘")
	s := start(t, Options{Dir: dir, Base: base, Durable: true, Settings: map[string]string{"work_mem": "5MB", "jit": "on"}})
	for name, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "data_checksums": "on",
		"listen_addresses": "", "server_encoding": "UTF8", "lc_collate": "C.UTF-8", "shared_buffers": "128MB",
		"max_connections": "60", "jit": "on", "work_mem": "5MB", "wal_compression": "pglz",
		"log_error_verbosity": "terse", "log_min_error_statement": "panic", "log_parameter_max_length_on_error": "0",
	} {
		got := psql(t, s, "select current_setting('"+name+"')")
		if name == "lc_collate" && got == "C" {
			continue // a system without C.UTF-8
		}
		if got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	for _, d := range []string{filepath.Join(dir, "pg"), s.SocketDir()} {
		if st, err := os.Stat(d); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, mode %v, want 0700", d, err, st.Mode())
		}
	}
	psql(t, s, "create table t (v text primary key); insert into t values ('示例一')")
	stop(t, s)
	select {
	case <-s.Done():
	default:
		t.Error("stopped and not done")
	}
	if err := s.Err(); err != nil {
		t.Errorf("stopped in good order and %v", err)
	}
	if _, err := query(s, "select 1"); err == nil {
		t.Error("stopped and answers")
	}
	stop(t, s) // twice is not an error

	s = start(t, Options{Dir: dir, Durable: true})
	if got := psql(t, s, "select v from t"); got != "示例一" {
		t.Errorf("after restart %q", got)
	}
	if got := psql(t, s, "show work_mem"); got != "4MB" {
		t.Errorf("a setting of the last start stayed: work_mem %s", got)
	}
	// The hostile settings: nothing of these rows may be in the log.
	for _, sql := range []string{
		"insert into t values ('示例一')",    // DETAIL quotes the key
		"select '示例一'::int",               // the message itself quotes it
		"select v::date from t",           // a value from the table
		"do $$ begin raise '示例一'; end $$", // a message of our own making
		"create or replace function f(v text) returns int language plpgsql as 'begin return v::int; end'; select f(v) from t", // CONTEXT
	} {
		if out, err := query(s, sql); err == nil {
			t.Errorf("%s: no error, so nothing to log: %s", sql, out)
		}
	}
	// The superuser may turn logging on by itself, which proves that the marker
	// would be seen: one line.
	psql(t, s, "alter role postgres set log_statement = 'all'")
	psql(t, s, "select '示例一'")
	if log, err := os.ReadFile(s.LogFile()); err != nil || !bytes.Contains(log, []byte("ready to accept")) {
		t.Errorf("log: %v, %q", err, log)
	} else if n := bytes.Count(log, []byte("示例一")); n != 1 {
		t.Errorf("the marker is %d times in the log, want 1", n)
	}
}

func TestTemporary(t *testing.T) {
	s := start(t, Options{Template: template})
	if got := psql(t, s, "show fsync"); got != "off" {
		t.Errorf("fsync %s without Durable", got)
	}
	dir := s.Dir()
	stop(t, s)
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("temporary directory stayed: %v", err)
	}
}

func TestOneServerPerDirectory(t *testing.T) {
	dir := place(t)
	s := start(t, Options{Dir: dir, Template: template})
	_, err := Start(context.Background(), Options{Dir: dir + "/./"})
	if !fault.Is(err, fault.KindConflict) {
		t.Fatalf("second start: %v, want a conflict", err)
	}
	if got := psql(t, s, "select 1"); got != "1" {
		t.Errorf("the first answers %q", got)
	}
}

func TestRefusals(t *testing.T) {
	file := filepath.Join(place(t), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	notData := place(t)
	if err := os.Mkdir(filepath.Join(notData, "pg"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		o    Options
		kind fault.Kind
	}{
		"network":    {Options{Dir: place(t), Settings: map[string]string{"listen_addresses": "*"}}, fault.KindInvalid},
		"durability": {Options{Dir: place(t), Durable: true, Settings: map[string]string{"fsync": "off"}}, fault.KindInvalid},
		"logging":    {Options{Dir: place(t), Settings: map[string]string{"log_statement": "all"}}, fault.KindInvalid},
		"injection":  {Options{Dir: place(t), Settings: map[string]string{"work_mem": "4MB'\nfsync = 'off"}}, fault.KindInvalid},
		"name":       {Options{Dir: place(t), Settings: map[string]string{"a b": "1"}}, fault.KindInvalid},
		"value":      {Options{Dir: place(t), Template: template, Settings: map[string]string{"work_mem": "plenty"}}, fault.KindUnavailable},
		"not data":   {Options{Dir: notData}, fault.KindInvalid},
		"a file":     {Options{Dir: file}, fault.KindInternal},
		"base":       {Options{Dir: place(t), Base: "/nowhere"}, fault.KindInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "base" && os.Geteuid() != 0 {
				t.Skip("Base matters to root only")
			}
			if _, err := Start(context.Background(), tt.o); err == nil || !fault.Is(err, tt.kind) {
				t.Errorf("error %v, want %v", err, tt.kind)
			}
		})
	}
}

func TestNoBinaries(t *testing.T) {
	t.Setenv("PG_BIN_DIR", t.TempDir())
	if _, err := Find(); !fault.Is(err, fault.KindInvalid) || !strings.Contains(err.Error(), "PG_BIN_DIR") {
		t.Errorf("Find: %v", err)
	}
	if _, err := Start(context.Background(), Options{Dir: place(t)}); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("Start: %v", err)
	}
}

// A directory whose parent only root may pass: refused with the command to
// type, unless the caller says that the parent is its own.
func TestClosedParent(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("an ordinary user runs the server itself")
	}
	base := place(t) // 0700
	dir := filepath.Join(base, "a", "b")
	_, err := Start(context.Background(), Options{Dir: dir})
	f, ok := fault.As(err)
	if !ok || f.Kind != fault.KindInvalid || !strings.Contains(f.Error(), "chmod o+x "+base) || !strings.Contains(f.Text, "chmod o+x "+base) {
		t.Fatalf("error %v, want invalid with the command", err)
	}
	if st, err := os.Stat(base); err != nil || st.Mode().Perm() != 0o700 {
		t.Fatalf("somebody else's directory was changed: %v %v", st.Mode(), err)
	}
	s := start(t, Options{Dir: dir, Base: base, Template: template})
	if got := psql(t, s, "select 1"); got != "1" {
		t.Errorf("answers %q", got)
	}
	if st, err := os.Stat(base); err != nil || st.Mode().Perm() != 0o701 {
		t.Errorf("base: %v %v, want 0701", st.Mode(), err)
	}
}

func TestLongPath(t *testing.T) {
	for name, last := range map[string]string{"long": strings.Repeat("长", 40), "comma": "a,b"} {
		t.Run(name, func(t *testing.T) {
			base := place(t)
			dir := filepath.Join(base, last)
			s := start(t, Options{Dir: dir, Base: base, Template: template})
			sock := s.SocketDir()
			if filepath.Dir(sock) == dir || len(sock) > 90 {
				t.Fatalf("socket in %s", sock)
			}
			psql(t, s, "create table t ()")
			if err := s.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-s.Done()
			if _, err := os.Stat(sock); !os.IsNotExist(err) {
				t.Errorf("the socket directory stayed: %v", err)
			}
			// As if the program had been killed: it is found again.
			if err := os.Mkdir(sock, 0o700); err != nil {
				t.Fatal(err)
			}
			who, err := chooseOwner(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := who.take(sock); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "sock.path"), []byte(sock+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			s = start(t, Options{Dir: dir})
			if s.SocketDir() != sock {
				t.Errorf("socket in %s, was in %s", s.SocketDir(), sock)
			}
			psql(t, s, "table t")
			stop(t, s)
			// One that anybody could have made is not used.
			if err := os.Mkdir(sock, 0o755); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(sock)
			if err := os.WriteFile(filepath.Join(dir, "sock.path"), []byte(sock+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			s = start(t, Options{Dir: dir})
			if s.SocketDir() == sock {
				t.Error("a socket directory open to others is used")
			}
		})
	}
}

func TestTemplate(t *testing.T) {
	kept := filepath.Join(place(t), "kept")
	var ids []string
	for range 2 {
		s := start(t, Options{Template: kept, Durable: true})
		ids = append(ids, psql(t, s, "select system_identifier from pg_control_system()"))
		psql(t, s, "create table t ()") // fails if a template had it
		stop(t, s)
	}
	if ids[0] != ids[1] {
		t.Errorf("the second was not copied: %v", ids)
	}
	if err := os.Chmod(kept, 0o777); err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{Template: kept})
	if id := psql(t, s, "select system_identifier from pg_control_system()"); id == ids[0] {
		t.Error("a template that others may write is used")
	}
}

// The watchdog of systems without a parent death signal, tried here by closing
// its pipe as the end of a program does.
func TestWatchdog(t *testing.T) {
	victim := exec.Command("sleep", "60")
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	release, err := watchdog(victim.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if !alive(victim.Process.Pid) {
		t.Fatal("a released watchdog bites")
	}
	// A program that ends without a release: the shell holds its pipe.
	sh := exec.Command("/bin/sh", "-c", `read -r _; kill -INT "$0"`, strconv.Itoa(victim.Process.Pid))
	in, err := sh.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sh.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if err := sh.Wait(); err != nil {
		t.Fatal(err)
	}
	victim.Wait()
	if ws, ok := victim.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGINT {
		t.Errorf("ended by %v, want SIGINT", victim.ProcessState)
	}
}

func TestStopOutOfTime(t *testing.T) {
	dir := place(t)
	s := start(t, Options{Dir: dir, Durable: true, Template: template})
	psql(t, s, "create table t (n int); insert into t values (7)")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Stop(ctx); err != nil && !fault.Is(err, fault.KindUnavailable) {
		t.Errorf("stop: %v", err)
	}
	<-s.Done()
	s = start(t, Options{Dir: dir, Durable: true})
	if got := psql(t, s, "select n from t"); got != "7" {
		t.Errorf("after the stop %q", got)
	}
}

func BenchmarkStart(b *testing.B) {
	for name, o := range map[string]Options{
		"initdb/durable": {Durable: true}, "initdb/fast": {},
		"template/durable": {Durable: true, Template: filepath.Join(b.TempDir(), "kept")},
		"template/fast":    {Template: filepath.Join(b.TempDir(), "kept")},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s, err := Start(context.Background(), o)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := s.Stop(context.Background()); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
