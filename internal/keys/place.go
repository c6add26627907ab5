package keys

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"yipan/internal/fault"
)

const (
	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600

	tmpSuffix = ".tmp"
	lockName  = ".lock"
)

// place is where secrets come from: a directory of our own, or systemd's
// credentials directory, where names carry a prefix and nothing is written.
type place struct {
	dir       string
	prefix    string
	forbidden fs.FileMode // permission bits that no entry may have
	readOnly  bool
}

func ownPlace(dir string) place { return place{dir: dir, forbidden: 0o077} }

func (p place) path(name string) string { return filepath.Join(p.dir, p.prefix+name) }

func (p place) checkDir() error {
	info, err := os.Stat(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.NotFound("KEYS_MISSING", "keys: no key directory %s", p.dir)
	}
	if err != nil {
		return fault.Unavailable("KEYS_IO", "keys: open the key directory").Because(err)
	}
	if !info.IsDir() {
		return fault.Invalid("KEYS_MODE", "keys: %s is not a directory", p.dir)
	}
	return p.checkMode(p.dir, info)
}

func (p place) checkMode(path string, info fs.FileInfo) error {
	if bad := info.Mode().Perm() & p.forbidden; bad != 0 {
		return fault.Invalid("KEYS_MODE", "keys: %s has mode %04o: others than its owner have access (chmod go= and replace the key if they may have used it)", path, info.Mode().Perm())
	}
	return nil
}

// read returns a file of at most limit bytes after checking its mode.
func (p place) read(name string, limit int64) ([]byte, error) {
	path := p.path(name)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.NotFound("KEY_FILE_MISSING", "keys: no file %s", path).Because(fs.ErrNotExist)
	}
	if err != nil {
		return nil, fault.Unavailable("KEYS_IO", "keys: open a key file").Because(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fault.Unavailable("KEYS_IO", "keys: read a key file").Because(err)
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fault.Invalid("KEY_FILE_MALFORMED", "keys: %s is no file of at most %d bytes", path, limit)
	}
	if err := p.checkMode(path, info); err != nil {
		return nil, err
	}
	b := make([]byte, info.Size())
	n, err := f.ReadAt(b, 0)
	if n != len(b) {
		return nil, fault.Unavailable("KEYS_IO", "keys: read %s", path).Because(err)
	}
	return b, nil
}

// write puts a file in place as a whole: a reader, or a crash at any point,
// meets the old content or the new one.
func (p place) write(name string, content []byte) error {
	path := p.path(name)
	tmp := filepath.Join(p.dir, "."+name+"."+rand.Text()+tmpSuffix)
	err := writeSynced(tmp, content)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return fault.Unavailable("KEYS_IO", "keys: write %s", path).Because(err)
	}
	return syncDir(p.dir)
}

func writeSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// syncDir makes renames and removals in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err == nil {
		err = d.Sync()
		d.Close()
	}
	if err != nil {
		return fault.Unavailable("KEYS_IO", "keys: sync directory %s", dir).Because(err)
	}
	return nil
}

// names lists the entries that belong to this place, without prefix.
func (p place) names() ([]string, error) {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return nil, fault.Unavailable("KEYS_IO", "keys: list the key directory").Because(err)
	}
	var out []string
	for _, e := range entries {
		if name, ok := strings.CutPrefix(e.Name(), p.prefix); ok {
			out = append(out, name)
		}
	}
	return out, nil
}

// lock excludes every other writer of the directory, in this process or
// another, until unlock.
func (p place) lock() (unlock func(), err error) {
	if p.readOnly {
		return nil, fault.Denied("KEYS_READ_ONLY", "keys: %s holds credentials that are changed at their source", p.dir)
	}
	f, err := os.OpenFile(filepath.Join(p.dir, lockName), os.O_RDWR|os.O_CREATE, fileMode)
	if err == nil {
		err = flock(f)
	}
	if err != nil {
		return nil, fault.Unavailable("KEYS_IO", "keys: lock %s", p.dir).Because(err)
	}
	return func() { f.Close() }, nil // closing releases the lock
}

// flock takes the exclusive advisory lock of an open file, waiting for it.
func flock(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			return err
		}
	}
}

func funlock(f *os.File) { syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
