//go:build unix

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"yipan/internal/fault"
)

type machine struct {
	cmd     *exec.Cmd
	lock    *os.File
	temp    bool // Stop removes dir
	who     owner
	log     *slog.Logger
	ended   <-chan error
	done    chan struct{}
	release func() // of the watchdog

	mu       sync.Mutex
	stopping bool
	stopped  bool
	err      error
}

// Start starts a private server and returns when it accepts connections; after
// a crash that includes the replay of its log. ctx bounds the starting only.
// Errors: KindUnavailable when no binaries are found, an earlier server does
// not end, or ctx ends first; KindConflict when another program uses the
// directory; KindInvalid for a directory or setting that cannot be used.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	begin := time.Now()
	s := &Server{machine: machine{log: o.Log, done: make(chan struct{})}}
	var err error
	s.dir, s.temp, s.lock, err = prepare(o)
	if err == nil {
		err = s.start(ctx, o)
	}
	if err != nil {
		if s.lock != nil {
			s.cleanUp()
			releaseLock(s.lock)
		}
		return nil, err
	}
	go s.end()
	o.Log.Info("postgres started", "version", s.bin.Version, "took_ms", time.Since(begin).Milliseconds())
	return s, nil
}

func (s *Server) start(ctx context.Context, o Options) error {
	data := filepath.Join(s.dir, "pg")
	major, err := dataMajor(data)
	if err != nil {
		return err
	}
	if s.bin, err = pick(o.Binaries, major); err != nil {
		return err
	}
	if s.who, err = chooseOwner(s.dir); err != nil {
		return err
	}
	if err := s.who.take(s.lock.Name()); err != nil {
		return ours("give the lock file to the server's user", err)
	}
	if err := reachable(ctx, s.dir, s.bin, s.who); err != nil {
		return err
	}
	if s.sockDir, err = socketDir(s.dir, s.who); err != nil {
		return err
	}
	file, args, err := conf(o, s.sockDir)
	if err != nil {
		return err
	}
	if major == 0 {
		if err := initialise(ctx, s.dir, s.bin, s.who, o); err != nil {
			return err
		}
	}
	if err := evict(ctx, data, s.bin, s.who, patient); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(data, "postgresql.conf"), file, s.who, o.Durable); err != nil {
		return ours("write postgresql.conf", err)
	}
	return s.run(ctx, data, args)
}

// pick returns the binaries to use on data of a major version (0: none yet).
func pick(b Binaries, major int) (Binaries, error) {
	if b.Dir != "" {
		if major != 0 && b.Major != major {
			return b, fault.Invalid("POSTGRES_VERSION", "the data is of PostgreSQL %d, the programs in %s of %d", major, b.Dir, b.Major).
				Zh("数据由 PostgreSQL %d 版建立，而 %s 中的程序是 %d 版。", major, b.Dir, b.Major)
		}
		return b, nil
	}
	return system().find(major)
}

// retryFor is how long Start tries again when PostgreSQL itself finds something
// left of an earlier server (evict sees no processes of other namespaces).
const retryFor = 15 * time.Second

func (s *Server) run(ctx context.Context, data string, args []string) error {
	for begin := time.Now(); ; {
		text, err := s.launch(ctx, data, args)
		if err == nil {
			return nil
		}
		leftover := strings.Contains(text, "shared memory block") || strings.Contains(text, "lock file")
		if !leftover || time.Since(begin) > retryFor || wait(ctx, 200*time.Millisecond) != nil {
			return err
		}
		s.log.Warn("postgres start retried", "reason", "leftovers of an earlier server")
	}
}

// launch starts one postmaster and waits until it is ready; on failure it is
// gone again and its log text is returned.
func (s *Server) launch(ctx context.Context, data string, args []string) (string, error) {
	for _, name := range []string{".s.PGSQL.%d", ".s.PGSQL.%d.lock"} {
		// Nobody else makes files here, and no server of ours is left.
		err := os.Remove(filepath.Join(s.sockDir, fmt.Sprintf(name, socketPort)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", ours("remove a stale socket", err)
		}
	}
	logFile, from, err := openLog(s.LogFile(), s.who)
	if err != nil {
		return "", err
	}
	defer logFile.Close() // the postmaster has its own
	cmd := exec.Command(s.bin.Path("postgres"), append([]string{"-D", data}, args...)...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = "/", serverEnv(os.Getenv), s.who.attr()
	cmd.Stdout, cmd.Stderr = logFile, logFile
	dieWithParent(cmd.SysProcAttr, syscall.SIGINT)
	stale := pidFile(data)
	ended, err := launch(cmd)
	if err != nil {
		return "", ours("start postgres", err)
	}
	release, err := watch(cmd.Process.Pid)
	if err == nil {
		err = ready(ctx, cmd.Process.Pid, data, stale, ended)
	}
	if err != nil {
		if release != nil {
			release()
		}
		if !errors.Is(err, errEnded) {
			_ = cmd.Process.Signal(syscall.SIGQUIT) // it may have ended
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				_ = cmd.Process.Kill() // it may have ended
				<-ended
			}
			return "", ours("start postgres", err)
		}
		text, _ := io.ReadAll(io.NewSectionReader(logFile, from, 64<<10))
		if line := lastLine(string(text), "FATAL:", "PANIC:", "postgres: "); line != "" {
			err = errors.New(line)
		}
		return string(text), fault.Unavailable("POSTGRES_START", "postgres did not start, see %s", s.LogFile()).
			Zh("内置数据库未能启动，详见 %s。", s.LogFile()).Because(err)
	}
	s.cmd, s.release, s.ended = cmd, release, ended
	return "", nil
}

// end notes the postmaster's end and lets go of the directory.
func (s *Server) end() {
	err := <-s.ended
	s.release()
	s.mu.Lock()
	if !s.stopping {
		if err == nil {
			err = errors.New("shut down from outside")
		}
		s.err = fault.Unavailable("POSTGRES_ENDED", "postgres ended by itself, see %s", s.LogFile()).
			Zh("内置数据库意外结束，详见 %s。", s.LogFile()).Because(err)
		s.log.Error("postgres ended", "error", err)
	}
	s.mu.Unlock()
	if !s.temp { // a temporary directory stays ours until Stop removes it
		s.cleanUp() // before another Start may use the directory
		releaseLock(s.lock)
	}
	close(s.done)
}

var errEnded = errors.New("postgres ended before it was ready")

// ready waits until the postmaster says so in postmaster.pid, as pg_ctl does
// (PostgreSQL 15, src/include/utils/pidfile.h: line 1 is the process, line 8
// the status). A stale file does not count: in a container a new postmaster may
// well get the number of the one before.
func ready(ctx context.Context, pid int, data string, stale []string, ended <-chan error) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if l := pidFile(data); !slices.Equal(l, stale) && len(l) >= 8 && l[0] == strconv.Itoa(pid) && strings.TrimSpace(l[7]) == "ready" {
			return nil
		}
		select {
		case <-ended:
			return errEnded
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func pidFile(data string) []string {
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return nil
	}
	return strings.Split(string(b), "\n")
}

// postmasterPid returns what postmaster.pid says: 0 for none, negative for a
// server in single-user mode.
func postmasterPid(data string) int {
	l := pidFile(data)
	if len(l) == 0 {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(l[0]))
	if err != nil {
		return 0
	}
	return pid
}

// Done is closed when the postmaster has ended, by Stop or by itself. The
// directory is then free for another Start, unless it is a temporary one.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err returns nil while the server runs and after Stop, and a
// fault.KindUnavailable error once it ended by itself.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Stop ends the server: connections are cut, their transactions rolled back,
// and everything is written out (fast shutdown). When ctx ends first the server
// is stopped at once, which loses nothing that is committed, only the next
// Start takes longer; the error is fault.KindUnavailable then. Stopping a
// server that has ended is not an error. A temporary directory is removed.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	s.cmd.Process.Signal(syscall.SIGINT)
	var err error
	select {
	case <-s.done:
	case <-ctx.Done():
		err = ours("stop postgres in good order", ctx.Err())
		s.cmd.Process.Signal(syscall.SIGQUIT)
		select {
		case <-s.done:
		case <-time.After(10 * time.Second): // the postmaster itself kills its children after 5
			s.cmd.Process.Kill()
			<-s.done
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return err
	}
	s.stopped = true
	if s.temp {
		s.cleanUp()
		releaseLock(s.lock)
	}
	s.log.Info("postgres stopped")
	return err
}

// cleanUp removes what does not outlive the server: a temporary directory and a
// short socket directory outside Dir.
func (s *Server) cleanUp() {
	if s.temp {
		// Backends of a postmaster that was killed still write there.
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		if err := evict(ctx, filepath.Join(s.dir, "pg"), s.bin, s.who, eviction{discard: true}); err != nil {
			s.log.Warn("postgres clean-up", "error", err)
		}
	}
	if s.sockDir != "" && filepath.Dir(s.sockDir) != s.dir {
		os.RemoveAll(s.sockDir)
		os.Remove(filepath.Join(s.dir, "sock.path"))
	}
	if s.temp {
		if err := os.RemoveAll(s.dir); err != nil {
			s.log.Warn("postgres clean-up", "error", err)
		}
	}
}
