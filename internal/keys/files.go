package keys

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"yipan/internal/fault"
	"yipan/internal/seal"
)

// CredentialName is the name under which the key directory is given to a
// systemd unit: LoadCredential=yipan:/etc/yipan/keys.
const CredentialName = "yipan"

// Files is an open key directory. Reading methods return what the last Open,
// Reload or own change saw, and never block; it is safe for concurrent use.
type Files struct {
	place  place
	reload sync.Mutex // so that an older reading never replaces a newer one
	view   atomic.Pointer[view]
}

// view is one consistent reading of the directory.
type view struct {
	ring    keyring
	infos   []Info
	sign    map[State]seal.SigningKey // current and next
	sealing map[State]seal.SealingKey
	byID    map[seal.KeyID]seal.SealingKey
	data    *seal.Ring
	indexes []*seal.IndexKey // current first
	oldest  *seal.IndexKey
}

// Info describes a key without its secret.
type Info struct {
	Use     seal.Use
	State   State
	ID      seal.KeyID
	Suite   seal.Suite // for data keys the number of the Cipher
	Created time.Time  // UTC
	Retired time.Time  // UTC; when it became old, else zero
}

// Create makes a key directory (or fills an empty one) with a current and a
// next key of every use. Errors: Conflict KEYS_EXIST when it holds keys
// already; Invalid KEYS_MODE; Unavailable KEYS_IO.
func Create(dir string, now time.Time) (*Files, error) {
	p := ownPlace(dir)
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fault.Unavailable("KEYS_IO", "keys: make the key directory").Because(err)
	}
	if err := p.checkDir(); err != nil {
		return nil, err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return nil, err
	}
	unlock, err := p.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	names, err := p.names()
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		if n == keyringName || strings.HasSuffix(n, ".key") {
			// Also after an interrupted Create: whether those keys were ever used
			// is for a person to say.
			return nil, fault.Conflict("KEYS_EXIST", "keys: %s already holds key files; open it, or move them away first", dir)
		}
	}
	var ring keyring
	for _, use := range seal.Uses() {
		for _, state := range []State{Current, Next} {
			k, err := newKey(use, now)
			if err != nil {
				return nil, err
			}
			if err := p.write(keyFileName(use, k.id), k.format()); err != nil {
				return nil, err
			}
			ring = append(ring, slot{use: use, state: state, id: k.id})
		}
	}
	if err := p.write(keyringName, ring.format()); err != nil {
		return nil, err
	}
	return open(p)
}

// Open reads a key directory of our own. Errors: NotFound KEYS_MISSING,
// KEY_FILE_MISSING; Invalid KEYS_MODE, KEYRING_MALFORMED, KEY_FILE_MALFORMED,
// SUITE_UNKNOWN; Unavailable KEYS_IO.
func Open(dir string) (*Files, error) { return open(ownPlace(dir)) }

// OpenCredentials reads a key directory that systemd handed over with
// LoadCredential=yipan:/path; dir is $CREDENTIALS_DIRECTORY. Files are named
// yipan_<file> there. They cannot be changed: Rotate, Purge and Remove answer
// Denied KEYS_READ_ONLY. Errors: as Open's.
func OpenCredentials(dir string) (*Files, error) {
	if dir == "" {
		return nil, fault.NotFound("KEYS_MISSING", "keys: no credentials directory ($CREDENTIALS_DIRECTORY is empty)")
	}
	// systemd grants its unit's user access by an ACL, whose mask shows as the
	// group's read bit; the directory itself is private to the unit.
	return open(place{dir: dir, prefix: CredentialName + "_", forbidden: 0o027, readOnly: true})
}

func open(p place) (*Files, error) {
	f := &Files{place: p}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Reload reads the directory again, after another process rotated. On error
// Files stays as it was. Errors: as Open's.
func (f *Files) Reload() error {
	f.reload.Lock()
	defer f.reload.Unlock()
	if err := f.place.checkDir(); err != nil {
		return err
	}
	var last []byte
	for {
		content, err := f.place.read(keyringName, keyringLimit)
		if err != nil {
			return err
		}
		ring, err := parseKeyring(content)
		if err != nil {
			return err
		}
		v, err := f.load(ring)
		if errors.Is(err, fs.ErrNotExist) && !bytes.Equal(content, last) {
			last = content // a purge may have overtaken us: read the ring again
			continue
		}
		if err != nil {
			return err
		}
		f.view.Store(v)
		return nil
	}
}

func (f *Files) load(ring keyring) (*view, error) {
	v := &view{
		ring:    ring,
		sign:    map[State]seal.SigningKey{},
		sealing: map[State]seal.SealingKey{},
		byID:    map[seal.KeyID]seal.SealingKey{},
	}
	var current *seal.DataKey
	var others []*seal.DataKey
	for _, s := range ring {
		k, err := f.readKey(s)
		if err != nil {
			return nil, err
		}
		v.infos = append(v.infos, Info{s.use, s.state, s.id, k.suite, k.created, s.retired})
		switch s.use {
		case seal.UseSign:
			if s.state != Old {
				v.sign[s.state] = k.sign
			}
		case seal.UseSeal:
			v.byID[s.id] = k.sealing
			if s.state != Old {
				v.sealing[s.state] = k.sealing
			}
		case seal.UseData:
			if s.state == Current {
				current = k.data
			} else {
				others = append(others, k.data)
			}
		case seal.UseIndex:
			if s.state != Next {
				v.oldest = k.index // the ring has the current one before the old ones, the latest of them first
			}
			if s.state == Current {
				v.indexes = slices.Insert(v.indexes, 0, k.index)
			} else {
				v.indexes = append(v.indexes, k.index)
			}
		}
	}
	v.data = seal.NewRing(current, others...)
	return v, nil
}

func (f *Files) readKey(s slot) (key, error) {
	name := keyFileName(s.use, s.id)
	content, err := f.place.read(name, keyFileLimit)
	if err != nil {
		return key{}, err
	}
	k, err := parseKey(content)
	if err != nil {
		return key{}, fault.New(fault.Of(err), "KEY_FILE_MALFORMED", "keys: %s", f.place.path(name)).Because(err)
	}
	if k.use != s.use || k.id != s.id {
		return key{}, fault.Invalid("KEY_FILE_MALFORMED", "keys: %s holds another key than its name says", f.place.path(name))
	}
	return k, nil
}

// Signing is the key that signs.
func (f *Files) Signing() seal.SigningKey { return f.view.Load().sign[Current] }

// NextSigning is the key to announce before Rotate makes it sign.
func (f *Files) NextSigning() seal.SigningKey { return f.view.Load().sign[Next] }

// Sealing is the key that peers are to seal to.
func (f *Files) Sealing() seal.SealingKey { return f.view.Load().sealing[Current] }

// NextSealing is the key to announce before Rotate makes it current; it opens
// already.
func (f *Files) NextSealing() seal.SealingKey { return f.view.Load().sealing[Next] }

// SealingKey finds the key that a parcel names: current, next, or old and not
// yet purged. Errors: NotFound SEALING_KEY_UNKNOWN.
func (f *Files) SealingKey(id seal.KeyID) (seal.SealingKey, error) {
	k, ok := f.view.Load().byID[id]
	if !ok {
		return seal.SealingKey{}, fault.NotFound("SEALING_KEY_UNKNOWN", "keys: no sealing key %s", id)
	}
	return k, nil
}

// Data is the ring of data keys; next and old ones decrypt.
func (f *Files) Data() *seal.Ring { return f.view.Load().data }

// Index is the key that new blind indexes are written with.
func (f *Files) Index() *seal.IndexKey { return f.view.Load().indexes[0] }

// Indexes are all keys under which blind indexes may lie, the current one
// first: a search looks for the value under each. The next one is among them,
// because another replica may have rotated already.
func (f *Files) Indexes() []*seal.IndexKey { return slices.Clone(f.view.Load().indexes) }

// OldestIndex is the key that has been in use the longest of those that are still
// here. What is only ever compared to itself is made with it, so that it stays
// the same until a rotation is over and the old key was removed.
func (f *Files) OldestIndex() *seal.IndexKey { return f.view.Load().oldest }

// Keys describes every key that the keyring names, without secrets.
func (f *Files) Keys() []Info { return slices.Clone(f.view.Load().infos) }

// String names the directory and the current keys.
func (f *Files) String() string {
	s := "keys in " + f.place.dir
	for _, i := range f.view.Load().infos {
		if i.State == Current {
			s += ", " + string(i.Use) + " " + i.ID.String()
		}
	}
	return s
}

// GoString redacts like String.
func (f *Files) GoString() string { return f.String() }

// LogValue redacts like String.
func (f *Files) LogValue() slog.Value { return slog.StringValue(f.String()) }
