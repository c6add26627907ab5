package bus

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"yipan/internal/fault"
)

// storeLock keeps a second server off a store: nats-server itself would start.
// The lock ends with the process, however it ends.
type storeLock struct {
	path string
	file *os.File
}

func lockStore(dir string) (*storeLock, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.Internal("HUB_STORE", "open lock of the hub's store").Because(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.Conflict("HUB_LOCKED", "the hub's store is in use by another process").
				Zh("消息服务器的数据目录正被另一个进程使用")
		}
		return nil, fault.Internal("HUB_STORE", "lock the hub's store").Because(err)
	}
	l := &storeLock{path: path, file: f}
	if l.lost() { // removed between opening and locking
		f.Close()
		return nil, fault.Conflict("HUB_LOCKED", "the hub's store was removed while starting")
	}
	return l, nil
}

// lost reports whether the locked file no longer stands at its path: the
// store was deleted, or another one put in its place.
func (l *storeLock) lost() bool {
	there, err := os.Stat(l.path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	held, err := l.file.Stat()
	return err == nil && !os.SameFile(there, held)
}

// release lets go at once: closing alone waits for children that another
// goroutine is just forking, and which have the file until they exec.
func (l *storeLock) release() {
	_ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN) // closing releases it as well, only later
	l.file.Close()
}
