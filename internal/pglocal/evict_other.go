//go:build unix && !linux

package pglocal

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// eviction says how long each step may take.
type eviction struct {
	fast, orphans, immediate time.Duration
	discard                  bool // the directory will be removed: no fast shutdown
}

var patient = eviction{fast: 20 * time.Second, orphans: 3 * time.Second, immediate: 5 * time.Second}

// evict stops a postmaster that an earlier program left, with pg_ctl, which
// believes postmaster.pid. Orphaned backends cannot be told here: PostgreSQL's
// shared memory interlock refuses to start beside them, and Start tries again.
func evict(ctx context.Context, data string, b Binaries, who owner, e eviction) error {
	ctl := func(args ...string) error {
		cmd := exec.CommandContext(ctx, b.Path("pg_ctl"), append([]string{"-D", data, "-s"}, args...)...)
		cmd.Dir, cmd.Env, cmd.SysProcAttr = "/", serverEnv(os.Getenv), who.attr()
		return cmd.Run()
	}
	if postmasterPid(data) <= 0 || ctl("status") != nil {
		return nil
	}
	seconds := func(d time.Duration) string { return strconv.Itoa(max(1, int(d.Seconds()))) }
	if !e.discard && ctl("stop", "-m", "fast", "-w", "-t", seconds(e.fast)) == nil {
		return nil
	}
	if err := ctl("stop", "-m", "immediate", "-w", "-t", seconds(e.immediate)); err != nil {
		return ours("stop an earlier server", err)
	}
	return nil
}
