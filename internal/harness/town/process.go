package town

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// process runs the member as a process of the program. Where the system can, it
// dies with this process however that ends.
func (m *member) process(out io.Writer, log *os.File) (*life, error) {
	cmd := exec.Command(m.town.config.Executable, m.args...) //nolint:gosec // the program itself
	cmd.Stdout, cmd.Stderr, cmd.Env = out, log, environment(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the town, which ends its members in order
	dieWithParent(cmd.SysProcAttr)

	l := &life{
		done: make(chan struct{}),
		term: func() { _ = cmd.Process.Signal(syscall.SIGTERM) }, // it may have ended
		kill: func() error { return cmd.Process.Kill() },
	}
	started := make(chan error)
	go func() {
		defer close(l.done)
		defer log.Close()
		// The kernel ends the child with the thread that started it: this one
		// has to last as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the exit code says it
			l.code = cmd.ProcessState.ExitCode()
		}
	}()
	if err := <-started; err != nil {
		<-l.done
		return nil, fmt.Errorf("town: start %s: %w", m.name, err)
	}
	l.pid = cmd.Process.Pid
	return l, nil
}

// environment leaves out what would configure a node besides its file.
func environment(all []string) []string {
	var env []string
	for _, kv := range all {
		if strings.HasPrefix(kv, "YIPAN_") && !strings.HasPrefix(kv, "YIPAN_TEST_") {
			continue
		}
		env = append(env, kv)
	}
	return env
}
