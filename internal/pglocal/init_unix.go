//go:build unix

package pglocal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"yipan/internal/fault"
)

// dataMajor returns the major version of a data directory; 0 when there is
// none.
func dataMajor(data string) (int, error) {
	b, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err == nil {
		n, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			return 0, ours("read PG_VERSION", err)
		}
		return n, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, ours("read PG_VERSION", err)
	}
	if _, err := os.Lstat(data); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return 0, fault.Invalid("POSTGRES_NOT_DATA", "%s exists and is not a data directory of PostgreSQL; move it away", data).
		On("dir").Zh("%s 已存在，但不是 PostgreSQL 数据目录，请将其移走。", data)
}

// initialise makes the data directory dir/pg. The name appears last, so what an
// interrupted attempt leaves is only ever dir/pg.new.
func initialise(ctx context.Context, dir string, b Binaries, who owner, o Options) error {
	data, fresh := filepath.Join(dir, "pg"), filepath.Join(dir, "pg.new")
	if err := evict(ctx, fresh, b, who, eviction{discard: true}); err != nil {
		return err
	}
	if err := os.RemoveAll(fresh); err != nil {
		return ours("remove an unfinished data directory", err)
	}
	kept := ""
	if o.Template != "" {
		var err error
		if kept, err = filepath.Abs(filepath.Join(o.Template, "pg-"+b.Version)); err != nil {
			return ours("resolve the template", err)
		}
		if o.Durable {
			kept += "-synced" // after a power cut the other may be torn
		}
	}
	copied := false
	if kept != "" && trusted(kept) {
		if err := copyTree(ctx, kept, fresh, who); err != nil {
			return ours("copy the template", err)
		}
		copied = true
	} else if err := runInitdb(ctx, fresh, b, who); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(fresh, "pg_hba.conf"), hba, who, false); err != nil {
		return ours("write pg_hba.conf", err)
	}
	if kept != "" && !copied {
		if err := keep(ctx, fresh, kept, o.Durable); err != nil {
			return ours("keep the template", err)
		}
	}
	if o.Durable {
		if err := syncTree(fresh); err != nil {
			return ours("sync the data directory", err)
		}
	}
	if err := os.Rename(fresh, data); err != nil {
		return ours("name the data directory", err)
	}
	if o.Durable {
		if err := syncDir(dir); err != nil {
			return ours("sync the directory", err)
		}
	}
	return nil
}

// runInitdb makes the cluster: UTF-8, code point order (the same on every
// machine and for ever, unlike a language's), page checksums. the caller
// syncs what it wrote, faster than initdb's fsync of a thousand files.
func runInitdb(ctx context.Context, data string, b Binaries, who owner) error {
	if err := os.Mkdir(data, 0o700); err != nil {
		return ours("make the data directory", err)
	}
	if err := who.take(data); err != nil {
		return ours("give the data directory to the server's user", err)
	}
	try := func(locale ...string) (string, error) {
		args := append([]string{"--pgdata=" + data, "--encoding=UTF8", "--data-checksums",
			"--auth=trust", "--username=" + Superuser, "--no-instructions", "--no-sync"}, locale...)
		cmd := exec.Command(b.Path("initdb"), args...)
		cmd.Dir, cmd.Env, cmd.SysProcAttr = "/", serverEnv(os.Getenv), who.attr()
		dieWithParent(cmd.SysProcAttr, syscall.SIGKILL)
		cmd.WaitDelay = 5 * time.Second // its own children hold the pipe too
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		ended, err := launch(cmd)
		if err != nil {
			return "", err
		}
		select {
		case err = <-ended:
		case <-ctx.Done():
			_ = cmd.Process.Kill() // it may have ended
			<-ended
			err = ctx.Err()
		}
		return out.String(), err
	}
	out, err := try("--locale=C.UTF-8")
	if err != nil && strings.Contains(out, "invalid locale name") {
		// Older macOS and BSDs have no C.UTF-8; C sorts alike. initdb complained
		// before it wrote anything.
		out, err = try("--locale=C")
	}
	if err != nil {
		if line := lastLine(out, "initdb: error:", "FATAL:", "PANIC:"); line != "" {
			err = errors.Join(errors.New(line), err)
		}
		return ours("initdb", err)
	}
	return nil
}

// trusted reports whether a template is there and only this user could have
// written it.
func trusted(template string) bool {
	for _, d := range []string{filepath.Dir(template), template} {
		st, err := os.Lstat(d)
		if err != nil || !st.IsDir() || st.Mode().Perm()&0o022 != 0 {
			return false
		}
		if sys, ok := st.Sys().(*syscall.Stat_t); !ok || int(sys.Uid) != os.Geteuid() {
			return false
		}
	}
	return true
}

// keep copies a fresh data directory to where templates are, whole or not at
// all; when another program was quicker, its copy stays.
func keep(ctx context.Context, fresh, kept string, sync bool) error {
	parent := filepath.Dir(kept)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(parent, "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	me := owner{uid: os.Geteuid(), gid: os.Getegid()}
	me.other = me.uid == 0 // root's copy of what belongs to the server's user
	whole := filepath.Join(tmp, "pg")
	if err := copyTree(ctx, fresh, whole, me); err != nil {
		return err
	}
	if sync {
		if err := syncTree(whole); err != nil {
			return err
		}
	}
	if err := os.Rename(whole, kept); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	return syncDir(parent)
}

// copyTree copies a data directory; one that never started holds directories
// and plain files only, and anything else is refused.
func copyTree(ctx context.Context, from, to string, who owner) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			if err := os.Mkdir(target, 0o700); err != nil {
				return err
			}
			return who.take(target)
		}
		if !d.Type().IsRegular() {
			return &os.PathError{Op: "copy", Path: path, Err: syscall.EINVAL}
		}
		return copyFile(path, target, who)
	})
}

func copyFile(from, to string, who owner) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil && who.other {
		err = out.Chown(who.uid, who.gid)
	}
	return errors.Join(err, out.Close())
}

// lastLine returns the last line that holds one of the marks, without
// surrounding space.
func lastLine(text string, marks ...string) string {
	last := ""
	for line := range strings.Lines(text) {
		for _, m := range marks {
			if strings.Contains(line, m) {
				last = strings.TrimSpace(line)
			}
		}
	}
	return last
}
