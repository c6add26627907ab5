package town

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Program is the program in this process: it runs a command line, without the
// program's name, until the command or ctx ends, and returns the exit code.
type Program func(ctx context.Context, args []string, out, errOut io.Writer) int

const (
	// readyTime bounds the start of a member: initdb on a slow disk.
	readyTime = 2 * time.Minute
	// stopTime bounds a stop in good order; then a process is killed.
	stopTime = 45 * time.Second
)

// life is one run of a member, from start to end.
type life struct {
	done chan struct{} // closed at the end
	code int           // exit code; valid once done
	term func()        // ask it to end in good order
	kill func() error  // end it at once; nil: not a process
	pid  int           // 0: not a process
}

// member is a long-running command: the hub or a node.
type member struct {
	name string
	args []string
	log  string // file that its standard error is appended to
	town *Town

	mu   sync.Mutex
	life *life
}

// start runs the member and returns when it says that it is ready.
func (m *member) start(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.life != nil {
		return fmt.Errorf("town: %s runs already", m.name)
	}
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("town: open the log of %s: %w", m.name, err)
	}
	out := &readiness{ready: make(chan struct{})}
	var l *life
	if m.town.config.Executable == "" {
		l = m.within(out, log)
	} else if l, err = m.process(out, log); err != nil {
		_ = log.Close() // the first error counts
		return err
	}
	limit := time.NewTimer(readyTime)
	defer limit.Stop()
	select {
	case <-out.ready:
		m.life = l
		return nil
	case <-l.done:
		return fmt.Errorf("town: %s ended at its start with exit code %d; it says: %s", m.name, l.code, lastLine(m.log))
	case <-limit.C:
		err = fmt.Errorf("town: %s was not ready within %s; see %s", m.name, readyTime, m.log)
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.end()
	return err
}

// within runs the member in this process.
func (m *member) within(out io.Writer, log *os.File) *life {
	ctx, cancel := context.WithCancel(context.Background())
	l := &life{done: make(chan struct{}), term: cancel}
	go func() {
		defer close(l.done)
		defer log.Close()
		l.code = m.town.config.Program(ctx, m.args, out, log)
		cancel()
	}()
	return l
}

// end stops a life in good order, or else at once.
func (l *life) end() {
	l.term()
	select {
	case <-l.done:
	case <-time.After(stopTime):
		if l.kill != nil {
			_ = l.kill() // it may have ended meanwhile
		}
		<-l.done
	}
}

// stop ends the member in good order; one that does not run is fine. Its exit
// code decides.
func (m *member) stop() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.life == nil {
		return nil
	}
	l := m.life
	m.life = nil
	l.end()
	if l.code != 0 {
		return fmt.Errorf("town: %s ended with exit code %d; it says: %s", m.name, l.code, lastLine(m.log))
	}
	return nil
}

// crash kills the member's process (SIGKILL) and returns its process id once it
// has ended.
func (m *member) crash() (pid int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.life == nil || m.life.kill == nil {
		return 0, fmt.Errorf("town: %s is no running process", m.name)
	}
	l := m.life
	m.life = nil
	if err := l.kill(); err != nil {
		return 0, fmt.Errorf("town: kill %s: %w", m.name, err)
	}
	<-l.done
	return l.pid, nil
}

// readiness waits for the line {"ready":true,…} on standard output.
type readiness struct {
	mu    sync.Mutex
	seen  bool
	line  []byte
	ready chan struct{}
}

func (r *readiness) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen {
		return len(p), nil
	}
	r.line = append(r.line, p...)
	for {
		line, rest, ok := bytes.Cut(r.line, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		r.line = rest
		var said struct{ Ready bool }
		if json.Unmarshal(line, &said) == nil && said.Ready {
			r.seen = true
			close(r.ready)
			return len(p), nil
		}
	}
}

// lastLine is the end of a log, for an error message.
func lastLine(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return filepath.Base(name) + " cannot be read"
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}
