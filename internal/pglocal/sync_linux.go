package pglocal

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncTree puts a new directory tree on disk at once (syncfs(2), which reports
// errors since Linux 5.8): a thousand fsync calls take seconds on a busy disk.
func syncTree(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return os.NewSyscallError("syncfs", err)
	}
	return nil
}
