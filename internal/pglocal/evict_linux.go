package pglocal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"yipan/internal/fault"
)

// eviction says how long each step may take.
type eviction struct {
	fast      time.Duration // for a postmaster to end after SIGINT, in good order
	orphans   time.Duration // for backends without a postmaster to notice that
	immediate time.Duration // after SIGQUIT, which leaves the log to be replayed
	discard   bool          // the directory will be removed: kill, no more
}

var patient = eviction{fast: 20 * time.Second, orphans: 3 * time.Second, immediate: 5 * time.Second}

// evict ends what is left of an earlier server on data: the caller holds the
// lock of the directory, so the program that owned it is gone. Every process of
// PostgreSQL works in its data directory, which tells them for sure, where a
// number in postmaster.pid may have become another process's. A second
// postmaster beside orphaned backends would ruin the data; PostgreSQL's own
// interlock (shared memory) stays on as well.
func evict(ctx context.Context, data string, _ Binaries, _ owner, e eviction) error {
	left := func() []int { return residents(data) }
	if len(left()) == 0 {
		return dropStalePid(data)
	}
	switch head := postmasterPid(data); {
	case e.discard:
	case head < 0:
		return fault.Conflict("POSTGRES_SINGLE_USER", "somebody works on %s in single-user mode (process %d)", data, -head).
			Zh("有人正以单用户模式操作数据目录 %s（进程 %d）。", data, -head)
	case slices.Contains(left(), head):
		signal([]int{head}, syscall.SIGINT)
		if gone(ctx, left, e.fast) {
			return dropStalePid(data)
		}
		signal([]int{head}, syscall.SIGQUIT)
	default:
		if gone(ctx, left, e.orphans) {
			return dropStalePid(data)
		}
		signal(left(), syscall.SIGQUIT)
	}
	if (e.discard || !gone(ctx, left, e.immediate)) && ctx.Err() == nil {
		signal(left(), syscall.SIGKILL)
		gone(ctx, left, 10*time.Second)
	}
	if err := ctx.Err(); err != nil {
		return ours("wait for the end of an earlier server", err)
	}
	if n := len(left()); n > 0 {
		return fault.Unavailable("POSTGRES_ORPHANS", "%d processes of an earlier server on %s do not end", n, data).
			Zh("目录 %s 上次运行的数据库进程（%d 个）未能结束，请稍后再试。", data, n)
	}
	return dropStalePid(data)
}

// residents returns the processes of PostgreSQL that work in data.
func residents(data string) []int {
	here, err := os.Stat(data)
	if err != nil {
		return nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		proc := filepath.Join("/proc", entry.Name())
		st, err := os.Stat(proc + "/cwd")
		if err != nil || !os.SameFile(st, here) {
			continue
		}
		if comm, err := os.ReadFile(proc + "/comm"); err == nil && strings.HasPrefix(string(comm), "post") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// dropStalePid removes postmaster.pid when the number in it now is that of a
// process that is no PostgreSQL of this directory: the server would take it for
// a postmaster and never start. A number of no process it sees through itself.
func dropStalePid(data string) error {
	pid := postmasterPid(data)
	if pid == 0 {
		return nil
	}
	if pid < 0 {
		pid = -pid
	}
	if err := syscall.Kill(pid, 0); err != nil || slices.Contains(residents(data), pid) {
		return nil //nolint:nilerr // no such process: nothing to evict
	}
	if err := os.Remove(filepath.Join(data, "postmaster.pid")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return ours("remove a stale postmaster.pid", err)
	}
	return nil
}

func signal(pids []int, sig syscall.Signal) {
	for _, pid := range pids {
		syscall.Kill(pid, sig) // ended meanwhile: just as well
	}
}

// gone waits until nobody is left.
func gone(ctx context.Context, left func() []int, most time.Duration) bool {
	for end := time.Now().Add(most); ; {
		if len(left()) == 0 {
			return true
		}
		if time.Now().After(end) || wait(ctx, 20*time.Millisecond) != nil {
			return false
		}
	}
}
