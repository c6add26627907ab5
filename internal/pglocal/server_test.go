//go:build unix

package pglocal

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
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
	os.Exit(m.Run())
}

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
		"set log_statement = 'all'; select '示例一'::text; select 1/0",
	} {
		query(s, sql)
	}
	psql(t, s, "reset all")
	if log, err := os.ReadFile(s.LogFile()); err != nil || !bytes.Contains(log, []byte("ready to accept")) {
		t.Errorf("log: %v, %q", err, log)
	} else if n := bytes.Count(log, []byte("示例一")); n != 1 {
		// One: the superuser may turn logging on for its own session. That line
		// also proves that the marker would be seen.
		t.Errorf("the marker is %d times in the log, want 1 (its own session's)", n)
	}
}

func TestTemporary(t *testing.T) {
	s := start(t, Options{})
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
	s := start(t, Options{Dir: dir})
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
		"value":      {Options{Dir: place(t), Settings: map[string]string{"work_mem": "plenty"}}, fault.KindUnavailable},
		"not data":   {Options{Dir: notData}, fault.KindInvalid},
		"a file":     {Options{Dir: file}, fault.KindInternal},
		"version":    {Options{Dir: place(t), Base: "/nowhere"}, fault.KindInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "version" && os.Geteuid() != 0 {
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
	s := start(t, Options{Dir: dir, Base: base})
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
			s := start(t, Options{Dir: dir, Base: base})
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

// The postmaster is killed while a backend works that does not notice: the next
// Start must clear it away before it touches the data.
func TestPostmasterKilled(t *testing.T) {
	dir := place(t)
	s := start(t, Options{Dir: dir, Durable: true})
	psql(t, s, "create table t (n int); insert into t values (7)")
	busy := exec.Command(s.Binaries().Path("psql"), "-XAtq", "-d", s.URL(Superuser, "postgres"),
		"-c", "select pg_backend_pid()", "-c", "do $$ begin loop end loop; end $$")
	out, err := busy.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	defer busy.Wait()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	orphan, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the loop runs", func() bool {
		return psql(t, s, fmt.Sprintf("select count(*) from pg_stat_activity where pid = %d and query like 'do %%'", orphan)) == "1"
	})
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if err := s.Err(); !fault.Is(err, fault.KindUnavailable) {
		t.Errorf("killed and Err is %v", err)
	}
	if !alive(orphan) {
		t.Fatal("the backend ended with its postmaster: this test tests nothing")
	}
	stop(t, s)
	s = start(t, Options{Dir: dir, Durable: true})
	if alive(orphan) {
		t.Error("two servers on one data directory")
	}
	if got := psql(t, s, "select n from t"); got != "7" {
		t.Errorf("after the crash %q", got)
	}
}

// postmaster.pid names a number that is another process's by now.
func TestStalePidOfAnother(t *testing.T) {
	dir := place(t)
	s := start(t, Options{Dir: dir})
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	other := exec.Command("sleep", "60")
	who, err := chooseOwner(dir)
	if err != nil {
		t.Fatal(err)
	}
	other.SysProcAttr, other.Dir = who.attr(), "/"
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { other.Process.Kill(); other.Wait() }()
	path := filepath.Join(dir, "pg", "postmaster.pid")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\n")
	if err := os.WriteFile(path, []byte(strconv.Itoa(other.Process.Pid)+"\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	s = start(t, Options{Dir: dir})
	if got := psql(t, s, "select 1"); got != "1" {
		t.Errorf("answers %q", got)
	}
	if !alive(other.Process.Pid) {
		t.Error("an innocent process was ended")
	}
}

// child starts this test program with a server in dir.
func child(t *testing.T, dir string) (*exec.Cmd, io.Reader) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, out
}

func TestProgramKilled(t *testing.T) {
	dir := place(t)
	cmd, out := child(t, dir)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready ") {
		t.Fatalf("child: %q %v", line, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "ready ")))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{dir: dir, sockDir: filepath.Join(dir, "sock"), bin: b}
	psql(t, s, "create table t (n int); insert into t select generate_series(1, 1000)")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	eventually(t, "postgres ends with its program", func() bool { return !alive(pid) })
	t.Logf("postgres was gone %v after its program", time.Since(begin).Round(time.Millisecond))
	cmd.Wait()
	s = start(t, Options{Dir: dir, Durable: true})
	if got := psql(t, s, "select count(*), sum(n) from t"); got != "1000|500500" {
		t.Errorf("after the kill %q", got)
	}
}

// A Start right after the kill, while the old server is still ending.
func TestProgramKilledStartAtOnce(t *testing.T) {
	dir := place(t)
	cmd, out := child(t, dir)
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "ready ") {
		t.Fatalf("child: %q %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	s := start(t, Options{Dir: dir, Durable: true})
	if got := psql(t, s, "select 1"); got != "1" {
		t.Errorf("answers %q", got)
	}
}

func TestProgramKilledDuringInitdb(t *testing.T) {
	dir := place(t)
	cmd, _ := child(t, dir)
	fresh := filepath.Join(dir, "pg.new")
	eventually(t, "initdb is at work", func() bool {
		_, err := os.Stat(filepath.Join(fresh, "PG_VERSION"))
		return err == nil
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if _, err := os.Stat(filepath.Join(dir, "pg")); !os.IsNotExist(err) {
		t.Fatalf("initdb had ended before the kill: %v", err)
	}
	s := start(t, Options{Dir: dir, Durable: true})
	if got := psql(t, s, "select 1"); got != "1" {
		t.Errorf("answers %q", got)
	}
	if _, err := os.Stat(fresh); !os.IsNotExist(err) {
		t.Errorf("the unfinished directory stayed: %v", err)
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
	s := start(t, Options{Dir: dir, Durable: true})
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
