package keys

import (
	"os"
	"strings"
	"time"

	"yipan/internal/fault"
	"yipan/internal/seal"
)

// KeepOld is how long an old sealing key still opens parcels: the broker's
// streams keep a message for at most 30 days, and 7 days are margin (PROTOCOL
// 8). Old signing keys are kept as long, to sign the directory entry of their
// successor.
const KeepOld = (30 + 7) * 24 * time.Hour

// Rotate makes a use's next key current, keeps the current one as old, and
// makes a new next key of the default suite. A crash leaves the set before or
// after. Other replicas follow with Reload; as they hold the next key already,
// they can read what this one writes. Errors: Invalid KEY_USE; Denied
// KEYS_READ_ONLY; Unavailable KEYS_IO; and Open's.
func (f *Files) Rotate(use seal.Use, now time.Time) error {
	if !use.Valid() {
		return errUse(use)
	}
	return f.change(func(ring keyring) (keyring, error) {
		k, err := newKey(use, now)
		if err != nil {
			return nil, err
		}
		if err := f.place.write(keyFileName(use, k.id), k.format()); err != nil {
			return nil, err
		}
		return ring.rotated(use, k.id, now), nil
	})
}

// Purge removes the sealing and signing keys that have been old for KeepOld,
// and what a crash left behind: temporary files, and sealing and signing keys
// of that age that no keyring names. It never removes a data or index key.
// It returns the ids of the keys removed from the keyring. Errors: as Rotate's.
func (f *Files) Purge(now time.Time) ([]seal.KeyID, error) {
	var ids []seal.KeyID
	err := f.change(func(ring keyring) (keyring, error) {
		kept, dropped := ring.without(func(s slot) bool {
			return s.state == Old && expires(s.use) && now.Sub(s.retired) >= KeepOld
		})
		for _, s := range dropped {
			ids = append(ids, s.id)
		}
		return kept, nil
	})
	if err != nil {
		return nil, err
	}
	return ids, f.sweep(now)
}

// expires reports whether old keys of a use are useless after KeepOld.
func expires(use seal.Use) bool { return use == seal.UseSeal || use == seal.UseSign }

// Remove destroys one old key at once: a data or index key when everything
// under it has been written anew (the caller has counted), any key when it is
// compromised. It also deletes the file of a key that a crash left outside the
// keyring. Errors: NotFound KEY_UNKNOWN; Conflict KEY_IN_USE for a current
// or next key; and Rotate's.
func (f *Files) Remove(use seal.Use, id seal.KeyID) error {
	return f.change(func(ring keyring) (keyring, error) {
		kept, dropped := ring.without(func(s slot) bool { return s.use == use && s.id == id })
		if len(dropped) == 0 {
			name := keyFileName(use, id)
			if _, err := os.Stat(f.place.path(name)); err == nil && use.Valid() {
				return kept, f.remove(name)
			}
			return nil, fault.NotFound("KEY_UNKNOWN", "keys: no %s key %s", string(use), id)
		}
		if dropped[0].state != Old {
			return nil, fault.Conflict("KEY_IN_USE", "keys: %s key %s is %s; rotate first", string(use), id, string(dropped[0].state))
		}
		return kept, nil
	})
}

// change replaces the keyring under the directory's lock, starting from what
// lies there now, then deletes the files of keys that it dropped.
func (f *Files) change(next func(keyring) (keyring, error)) error {
	unlock, err := f.place.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := f.Reload(); err != nil {
		return err
	}
	before := f.view.Load().ring
	after, err := next(before)
	if err != nil {
		return err
	}
	if err := f.place.write(keyringName, after.format()); err != nil {
		return err
	}
	kept := map[seal.KeyID]bool{}
	for _, s := range after {
		kept[s.id] = true
	}
	for _, s := range before {
		if !kept[s.id] {
			if err := f.remove(keyFileName(s.use, s.id)); err != nil {
				return err
			}
		}
	}
	return f.Reload()
}

func (f *Files) remove(name string) error {
	if err := os.Remove(f.place.path(name)); err != nil && !os.IsNotExist(err) {
		return fault.Unavailable("KEYS_IO", "keys: remove a key file").Because(err)
	}
	return syncDir(f.place.dir)
}

// sweep deletes temporary files and expired keys that no keyring names.
func (f *Files) sweep(now time.Time) error {
	unlock, err := f.place.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := f.Reload(); err != nil {
		return err
	}
	named := map[string]bool{}
	for _, s := range f.view.Load().ring {
		named[keyFileName(s.use, s.id)] = true
	}
	names, err := f.place.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		switch {
		case strings.HasPrefix(name, ".") && strings.HasSuffix(name, tmpSuffix):
		case strings.HasSuffix(name, ".key") && !named[name] && f.expiredStray(name, now):
		default:
			continue
		}
		if err := f.remove(name); err != nil {
			return err
		}
	}
	return nil
}

func (f *Files) expiredStray(name string, now time.Time) bool {
	content, err := f.place.read(name, keyFileLimit)
	if err != nil {
		return false
	}
	k, err := parseKey(content)
	return err == nil && name == keyFileName(k.use, k.id) && expires(k.use) && now.Sub(k.created) >= KeepOld
}
