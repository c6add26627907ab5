//go:build unix && !linux

package pglocal

import (
	"io/fs"
	"path/filepath"
)

// syncTree puts a new directory tree on disk.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncDir(path) // fsync(2) is the same for files
	})
}
