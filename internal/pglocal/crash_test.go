//go:build unix

package pglocal

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"yipan/internal/fault"
)

// The postmaster is killed while a backend works that does not notice: the next
// Start must clear it away before it touches the data.
func TestPostmasterKilled(t *testing.T) {
	dir := place(t)
	s := start(t, Options{Dir: dir, Durable: true, Template: template})
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
	s := start(t, Options{Dir: dir, Template: template})
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
	s := start(t, Options{Dir: dir, Durable: true, Template: template})
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
	s := start(t, Options{Dir: dir, Durable: true, Template: template})
	if got := psql(t, s, "select 1"); got != "1" {
		t.Errorf("answers %q", got)
	}
	if _, err := os.Stat(fresh); !os.IsNotExist(err) {
		t.Errorf("the unfinished directory stayed: %v", err)
	}
}
