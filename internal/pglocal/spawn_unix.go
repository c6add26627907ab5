//go:build unix

package pglocal

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

// launch starts cmd from an operating system thread that lives as long as the
// process does: the death signal of Linux follows the thread, not the program.
// The channel yields the process's end once.
func launch(cmd *exec.Cmd) (<-chan error, error) {
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	return ended, <-started
}

// watchdog starts a shell that waits for this program to end, which closes the
// pipe that it reads, and then shuts the postmaster down (SIGINT, fast). It is
// in a process group of its own, so that Ctrl-C does not reach it. Killed
// itself, it guards nothing; the next Start then clears up. release ends it.
func watchdog(pid int) (release func(), err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", `read -r _; kill -INT "$0"`, strconv.Itoa(pid))
	cmd.Stdin, cmd.Dir, cmd.SysProcAttr = r, "/", &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	r.Close()
	if err != nil {
		w.Close()
		return nil, err
	}
	return func() {
		// Ended before the pipe closes: else it would signal a process number
		// that may be somebody else's by now.
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // how it ended does not matter
		w.Close()
	}, nil
}
