package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"yipan/internal/directory"
	"yipan/internal/fault"
	"yipan/internal/seal"
)

// An authority's folder (0700):
//
//	authority.key  its private key (0600); to be kept offline between changes
//	authority.pub  its public key, for every node
//	directory.log  the log, one record a line; append-only
//	.lock          taken by whoever appends
const (
	authorityKey = "authority.key"
	authorityPub = "authority.pub"
	directoryLog = "directory.log"
	keyTitle     = "yipan authority key 1"
)

// authorityDir is an open folder of an authority, locked against others.
type authorityDir struct {
	dir     string
	lock    *os.File
	key     seal.SigningKey
	records [][]byte
}

// initAuthority makes the folder. Errors: Conflict AUTHORITY_EXISTS.
func initAuthority(dir string) (seal.VerifyKey, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return seal.VerifyKey{}, authorityIO("make the folder", err)
	}
	for _, name := range []string{authorityKey, directoryLog} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return seal.VerifyKey{}, fault.Conflict("AUTHORITY_EXISTS", "%s holds an authority already", dir).Zh("%s 中已有管理机构的文件，不会覆盖", dir)
		}
	}
	key := seal.NewSigningKey()
	secret := keyTitle + "\n" + base64.StdEncoding.EncodeToString(key.Secret()) + "\n"
	for _, f := range []struct {
		name, content string
		mode          fs.FileMode
	}{
		{directoryLog, "", 0o644},
		{authorityPub, directory.FormatAuthority(key.Public()) + "\n", 0o644},
		{authorityKey, secret, 0o600}, // last: with it the folder is an authority
	} {
		if err := writeNew(filepath.Join(dir, f.name), f.content, f.mode); err != nil {
			return seal.VerifyKey{}, err
		}
	}
	return key.Public(), nil
}

// openAuthority reads the folder and locks it; close it. Without its key, which
// may lie elsewhere, records can be published and nothing signed. Errors:
// NotFound AUTHORITY_MISSING; Conflict AUTHORITY_BUSY; Invalid.
func openAuthority(dir string) (*authorityDir, error) {
	lock, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.NotFound("AUTHORITY_MISSING", "no folder %s", dir).Zh("没有目录 %s；先运行 yipan authority init", dir)
	}
	if err != nil {
		return nil, authorityIO("lock the folder", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close() // nothing was written
		return nil, fault.Conflict("AUTHORITY_BUSY", "%s is used by another command", dir).Zh("%s 正被另一个命令使用", dir)
	}
	a := &authorityDir{dir: dir, lock: lock}
	if err := a.read(); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *authorityDir) read() error {
	text, err := os.ReadFile(filepath.Join(a.dir, directoryLog))
	if errors.Is(err, fs.ErrNotExist) {
		return fault.NotFound("AUTHORITY_MISSING", "no %s in %s", directoryLog, a.dir).Zh("%s 中没有 %s；先运行 yipan authority init", a.dir, directoryLog)
	}
	if err != nil {
		return authorityIO("read the log", err)
	}
	// A line that a crash left unfinished was never published: append says when.
	if i := bytes.LastIndexByte(text, '\n') + 1; i < len(text) {
		if err := os.Truncate(filepath.Join(a.dir, directoryLog), int64(i)); err != nil {
			return authorityIO("mend the log", err)
		}
		text = text[:i]
	}
	if a.records, err = directory.ParseLog(text); err != nil {
		return err
	}
	path := filepath.Join(a.dir, authorityKey)
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return authorityIO("read the key", err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return fault.Invalid("KEYS_MODE", "%s has mode %04o: others than its owner have access", path, st.Mode().Perm()).Zh("%s 的权限过宽，他人可能已读取私钥", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return authorityIO("read the key", err)
	}
	title, seed, _ := strings.Cut(string(b), "\n")
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(seed))
	if err == nil {
		a.key, err = seal.ParseSigningKey(raw)
	}
	if err != nil || title != keyTitle {
		return fault.Invalid("AUTHORITY_KEY", "%s is not an authority's key", path).Zh("%s 不是管理机构私钥", path)
	}
	return nil
}

func (a *authorityDir) close() { _ = a.lock.Close() } // releases the lock

// resume continues the log. Errors: NotFound AUTHORITY_KEY without a key.
func (a *authorityDir) resume() (*directory.Authority, error) {
	if a.key.IsZero() {
		return nil, fault.NotFound("AUTHORITY_KEY", "no %s in %s", authorityKey, a.dir).Zh("%s 中没有 %s：请插入保存私钥的介质", a.dir, authorityKey)
	}
	return directory.ResumeAuthority(a.key, a.records)
}

// append makes records durable. Nobody may see a record before that: an
// authority that forgets what it published forks its log.
func (a *authorityDir) append(rs ...directory.Record) error {
	f, err := os.OpenFile(filepath.Join(a.dir, directoryLog), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return authorityIO("open the log", err)
	}
	_, err = f.Write(directory.FormatLog(rs))
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return authorityIO("append to the log", err)
	}
	for _, r := range rs {
		a.records = append(a.records, r.Bytes())
	}
	return nil
}

func authorityIO(what string, err error) error {
	return fault.Unavailable("AUTHORITY_IO", "authority: %s", what).Because(err).Zh("无法读写管理机构的文件")
}

// writeNew writes a file that must not exist yet and makes it durable.
func writeNew(path, content string, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fault.Conflict("FILE_EXISTS", "%s exists", path).Zh("文件 %s 已存在，不会覆盖", path)
	}
	if err == nil {
		_, err = f.WriteString(content)
		if err == nil {
			err = f.Sync()
		}
		if closed := f.Close(); err == nil {
			err = closed
		}
	}
	if err != nil {
		return fault.Unavailable("FILE_IO", "write %s", path).Because(err).Zh("无法写入 %s", path)
	}
	return nil
}
