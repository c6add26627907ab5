//go:build unix

package pglocal

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"yipan/internal/fault"
)

// prepare makes o.Dir absolute and there, and takes its lock.
func prepare(o Options) (dir string, temp bool, lock *os.File, err error) {
	dir = o.Dir
	if dir == "" {
		temp = true
		if dir, err = os.MkdirTemp("", "yipan-pg-"); err != nil {
			return "", false, nil, ours("make a temporary directory", err)
		}
	}
	defer func() {
		if err != nil && temp {
			os.RemoveAll(dir)
		}
	}()
	if dir, err = filepath.Abs(dir); err != nil {
		return "", temp, nil, ours("resolve the directory", err)
	}
	if err = makeDir(dir); err != nil {
		return dir, temp, nil, ours("make the directory", err)
	}
	if os.Geteuid() == 0 {
		if err = openWay(dir, o.Base); err != nil {
			return dir, temp, nil, ours("open the directory to the server's user", err)
		}
	}
	lock, err = takeLock(filepath.Join(dir, "lock"))
	return dir, temp, lock, err
}

// makeDir is os.MkdirAll, except that what it makes is 0711 for root, whose
// server runs as somebody else, and 0700 for others, whatever the umask.
func makeDir(dir string) error {
	if st, err := os.Stat(dir); err == nil {
		if !st.IsDir() {
			return &os.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	mode := os.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	if err := os.Mkdir(dir, mode); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil // another program was quicker; the lock decides
		}
		return err
	}
	return os.Chmod(dir, mode)
}

// openWay lets others pass through dir, and through what lies above it up to
// base if dir is inside base. Nothing becomes readable.
func openWay(dir, base string) error {
	way := []string{dir}
	if base != "" {
		base, err := filepath.Abs(base)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(base, dir)
		if err != nil {
			return err
		}
		if rel == ".." || strings.HasPrefix(rel, "../") {
			return fault.Invalid("POSTGRES_BASE", "base %s is not above %s", base, dir).On("base")
		}
		for d := dir; d != base; {
			d = filepath.Dir(d)
			way = append(way, d)
		}
	}
	for _, d := range way {
		st, err := os.Stat(d)
		if err != nil {
			return err
		}
		if st.Mode().Perm()&0o001 == 0 {
			if err := os.Chmod(d, st.Mode().Perm()|st.Mode()&os.ModeSticky|0o001); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeLock locks path for this open file (flock(2)): the kernel lets go of it
// when the program ends, however it ends; children do not keep it.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, ours("open the lock file", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.Conflict("POSTGRES_DIR_IN_USE", "another program runs its PostgreSQL in %s; stop it or choose another directory", filepath.Dir(path)).
				Zh("目录 %s 正被另一个程序的内置数据库使用，请先停止它，或另选目录。", filepath.Dir(path))
		}
		return nil, ours("lock the directory", err)
	}
	return f, nil
}

// releaseLock lets go of a lock. Closing alone would not do so at once: a child
// that another goroutine forks has the file too, until it becomes its program.
func releaseLock(f *os.File) {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) // closing releases it as well, only later
	f.Close()
}

// chooseOwner returns the user to run as. Root takes the owner of the data that
// is there, or of the directory, or the user postgres, or nobody (which other
// services may share: whoever is nobody reaches the database).
func chooseOwner(dir string) (owner, error) {
	if os.Geteuid() != 0 {
		return owner{uid: os.Geteuid(), gid: os.Getegid(), name: strconv.Itoa(os.Geteuid())}, nil
	}
	for _, d := range []string{filepath.Join(dir, "pg"), dir} {
		if st, err := os.Stat(d); err == nil {
			if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Uid != 0 {
				return owner{uid: int(sys.Uid), gid: int(sys.Gid), name: strconv.Itoa(int(sys.Uid)), other: true}, nil
			}
		}
	}
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2); err != nil || uid == 0 {
			continue
		}
		return owner{uid: uid, gid: gid, name: name, other: true}, nil
	}
	return owner{}, fault.Unavailable("POSTGRES_NO_USER", "PostgreSQL refuses to run as root, and this machine has no user postgres or nobody; start the program as an ordinary user").
		Zh("PostgreSQL 不能以 root 身份运行，本机又没有 postgres 或 nobody 用户；请用普通用户启动本程序。")
}

// take gives a file or directory to the owner.
func (w owner) take(path string) error {
	if !w.other {
		return nil
	}
	return os.Lchown(path, w.uid, w.gid)
}

// attr returns how processes of the owner are started. They have a process
// group of their own: Ctrl-C at the terminal is for the program, which then
// stops its server in good order.
func (w owner) attr() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if w.other {
		a.Credential = &syscall.Credential{Uid: uint32(w.uid), Gid: uint32(w.gid)}
	}
	return a
}

// reachable tries, as the owner, to enter dir and to run the server's program.
func reachable(ctx context.Context, dir string, b Binaries, who owner) error {
	if !who.other {
		return nil
	}
	cmd := exec.CommandContext(ctx, b.Path("postgres"), "--version")
	cmd.Dir, cmd.Env, cmd.SysProcAttr = dir, serverEnv(os.Getenv), who.attr()
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if errors.Is(err, fs.ErrPermission) {
		if d := closedTo(dir, who); d != "" {
			return fault.Invalid("POSTGRES_DIR_CLOSED", "PostgreSQL refuses to run as root, and its user %s may not pass through %s to reach %s; choose a directory elsewhere (for example under /var/lib), or type: chmod o+x %s", who.name, d, dir, d).
				On("dir").Zh("PostgreSQL 不能以 root 身份运行，而用户 %s 无权经过 %s 进入 %s。请另选目录（例如 /var/lib 之下），或执行：chmod o+x %s", who.name, d, dir, d)
		}
		if d := closedTo(b.Dir, who); d != "" {
			return fault.Invalid("POSTGRES_DIR_CLOSED", "user %s may not pass through %s to the programs in %s", who.name, d, b.Dir).
				On("PG_BIN_DIR").Zh("用户 %s 无权经过 %s 使用 %s 中的程序。", who.name, d, b.Dir)
		}
	}
	return ours("run the server's program as user "+who.name, err)
}

// closedTo returns the topmost directory on the way to dir that the owner may
// not pass by its mode, or "".
func closedTo(dir string, who owner) string {
	var way []string
	for d := dir; ; d = filepath.Dir(d) {
		way = append(way, d)
		if d == filepath.Dir(d) {
			break
		}
	}
	for _, d := range slices.Backward(way) {
		st, err := os.Stat(d)
		if err != nil {
			return d
		}
		sys, ok := st.Sys().(*syscall.Stat_t)
		if !ok {
			continue
		}
		bit := os.FileMode(0o001)
		if int(sys.Uid) == who.uid {
			bit = 0o100
		} else if int(sys.Gid) == who.gid {
			bit = 0o010
		}
		if st.Mode().Perm()&bit == 0 {
			return d
		}
	}
	return ""
}

// socketPathMax is the longest path of a Unix socket in bytes: sockaddr_un has
// 108 with the final zero on Linux, 104 on the BSDs and macOS.
func socketPathMax() int {
	if runtime.GOOS == "linux" {
		return 107
	}
	return 103
}

// socketDir makes the directory of the socket: dir/sock, or where that is too
// long or would be read as a list, a short one under os.TempDir that
// dir/sock.path remembers.
func socketDir(dir string, who owner) (string, error) {
	name := "/.s.PGSQL." + strconv.Itoa(socketPort)
	fits := func(d string) bool {
		return len(d)+len(name) <= socketPathMax() && !strings.ContainsAny(d, ",\"\\'\n\r")
	}
	record := filepath.Join(dir, "sock.path")
	if d := filepath.Join(dir, "sock"); fits(d) {
		if err := os.Mkdir(d, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", ours("make the socket directory", err)
		}
		if !isPrivate(d, who) {
			if err := errors.Join(os.Chmod(d, 0o700), who.take(d)); err != nil {
				return "", ours("give the socket directory to the server's user", err)
			}
		}
		return d, nil
	}
	if b, err := os.ReadFile(record); err == nil {
		if d := strings.TrimSpace(string(b)); fits(d) && isPrivate(d, who) {
			return d, nil
		}
	}
	for _, parent := range []string{os.TempDir(), "/tmp"} {
		d, err := os.MkdirTemp(parent, "yipan-")
		if err != nil {
			continue
		}
		if fits(d) && who.take(d) == nil && writeFile(record, d+"\n", who, false) == nil && reachableParent(d, who) {
			return d, nil
		}
		os.Remove(d)
	}
	return "", fault.Invalid("POSTGRES_SOCKET_PATH", "no place for a socket: %s is too long (over %d bytes) or has characters that a socket path may not have, and so is the temporary directory", dir, socketPathMax()-len(name)-len("/sock")).
		On("dir").Zh("目录 %s 太长或含有不能用于套接字的字符，临时目录也不行，请另选较短的目录。", dir)
}

// reachableParent reports whether the owner may pass through all above d.
func reachableParent(d string, who owner) bool {
	return !who.other || closedTo(d, who) == ""
}

// isPrivate reports whether d is a real directory of the owner that nobody else
// enters: one recorded under /tmp may have been removed and made by others.
func isPrivate(d string, who owner) bool {
	st, err := os.Lstat(d)
	if err != nil || !st.IsDir() || st.Mode().Perm() != 0o700 {
		return false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(sys.Uid) == who.uid
}

// maxLog is when the server's log is moved aside: at a few lines per start it
// is never reached unless something is wrong.
const maxLog = 8 << 20

// openLog opens the server's log for appending and says where it ends.
func openLog(path string, who owner) (*os.File, int64, error) {
	if st, err := os.Stat(path); err == nil && st.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, 0, ours("move the log aside", err)
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, 0, ours("open the log", err)
	}
	if who.other {
		if err := f.Chown(who.uid, who.gid); err != nil {
			f.Close()
			return nil, 0, ours("open the log", err)
		}
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, ours("open the log", err)
	}
	return f, st.Size(), nil
}

// ours wraps an error of the system, keeping one that already has a kind.
func ours(what string, err error) error {
	if _, ok := fault.As(err); ok {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fault.Unavailable("POSTGRES_TIMEOUT", "pglocal: %s", what).
			Zh("内置数据库未能在限定时间内完成操作。").Because(err)
	}
	return fault.Internal("POSTGRES_LOCAL", "pglocal: %s", what).
		Zh("内置数据库出错。").Because(err)
}

// wait returns after d, or earlier with ctx's error.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
