package keys

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"yipan/internal/fault"
)

// EntryKind says what must not come back.
type EntryKind string

// The closed set of journal entries (SECURITY D10).
const (
	ErasedPerson EntryKind = "person"      // the person's keys are destroyed
	ErasedItem   EntryKind = "item"        // the item's body is erased
	Withdrawal   EntryKind = "withdrawal"  // a consent is withdrawn
	Restriction  EntryKind = "restriction" // a person is restricted (D11)
	Lifting      EntryKind = "lifting"     // the restriction of a person is lifted
)

// Entry is one line of the journal. It holds ids only, nothing about a person.
// Of a person's restrictions and liftings the last entry holds.
type Entry struct {
	Time    time.Time // written with milliseconds, UTC
	Kind    EntryKind
	ID      []byte   // of the person or item, 1 to 32 bytes
	Office  int64    // area.Key; 0 where the entry is not one office's
	Keepers []string // accounts that see a restricted person; of a Restriction alone
}

const entryLimit = 2048 // bytes of a line; the longest usual entry has about 300

// line is an entry's JSON form. Sum is the start of a SHA-256 over the rest, so
// that a damaged id is noticed.
type line struct {
	Time   string    `json:"time"`
	Kind   EntryKind `json:"kind"`
	ID     string    `json:"id"`
	Office int64     `json:"office"`
	// Keepers is left out where there are none, as in all lines of old.
	Keepers []string `json:"keepers,omitempty"`
	Sum     string   `json:"sum"`
}

const entryTime = "2006-01-02T15:04:05.000Z"

func (e Entry) format() ([]byte, error) {
	switch e.Kind {
	case ErasedPerson, ErasedItem, Withdrawal, Restriction, Lifting:
	default:
		return nil, fault.Invalid("JOURNAL_ENTRY", "keys: unknown kind of journal entry")
	}
	if len(e.Keepers) > 0 && e.Kind != Restriction {
		return nil, fault.Invalid("JOURNAL_ENTRY", "keys: a journal entry of this kind has no keepers")
	}
	if len(e.ID) == 0 || len(e.ID) > 32 {
		return nil, fault.Invalid("JOURNAL_ENTRY", "keys: a journal entry's id has 1 to 32 bytes, not %d", len(e.ID))
	}
	if y := e.Time.UTC().Year(); y < 1 || y > 9999 {
		return nil, fault.Invalid("JOURNAL_ENTRY", "keys: a journal entry's year is out of range")
	}
	l := line{e.Time.UTC().Format(entryTime), e.Kind, hex.EncodeToString(e.ID), e.Office, e.Keepers, ""}
	b, err := json.Marshal(l)
	if err == nil {
		sum := sha256.Sum256(b)
		l.Sum = hex.EncodeToString(sum[:4])
		b, err = json.Marshal(l)
	}
	if err != nil {
		return nil, fault.Internal("JOURNAL_ENTRY", "keys: write a journal entry").Because(err)
	}
	if len(b) >= entryLimit {
		return nil, fault.Invalid("JOURNAL_ENTRY", "keys: a journal entry has %d bytes, at most %d", len(b), entryLimit-1)
	}
	return append(b, '\n'), nil
}

// parseEntry reads a line (without its end) spelt exactly as format spells it.
func parseEntry(b []byte) (Entry, bool) {
	var l line
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if d.Decode(&l) != nil {
		return Entry{}, false
	}
	at, err := time.Parse(entryTime, l.Time)
	if err != nil {
		return Entry{}, false
	}
	id, err := hex.DecodeString(l.ID)
	if err != nil {
		return Entry{}, false
	}
	e := Entry{at.UTC(), l.Kind, id, l.Office, l.Keepers}
	again, err := e.format()
	return e, err == nil && string(again) == string(b)+"\n"
}

// Journal lists, outside the database, what must stay erased, withdrawn or
// restricted when the database is restored from an older backup: JSON lines,
// append-only, each durable before Append returns. Write the entry before the
// database's commit: a repeated or superfluous entry is harmless, a missing one
// is not. Safe for concurrent use, also by several processes on one machine.
type Journal struct {
	mu     sync.Mutex
	f      *os.File
	path   string
	broken bool
}

// CreateJournal makes an empty journal (mode 0600). Errors: Conflict
// JOURNAL_EXISTS; Unavailable JOURNAL_IO.
func CreateJournal(path string) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if errors.Is(err, fs.ErrExist) {
		return nil, fault.Conflict("JOURNAL_EXISTS", "keys: the erasure journal %s exists", path)
	}
	if err != nil {
		return nil, journalIO("create", err)
	}
	err = f.Sync()
	f.Close()
	if err != nil {
		return nil, journalIO("create", err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return OpenJournal(path)
}

// OpenJournal opens an existing journal and cuts off a last line that a crash
// left unfinished. A missing journal is an error: a node whose journal is lost
// must not serve a restored database. Errors: NotFound JOURNAL_MISSING; Invalid
// KEYS_MODE; Unavailable JOURNAL_IO.
func OpenJournal(path string) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.NotFound("JOURNAL_MISSING", "keys: no erasure journal %s", path)
	}
	if err != nil {
		return nil, journalIO("open", err)
	}
	j := &Journal{f: f, path: path}
	info, err := f.Stat()
	if err != nil {
		err = journalIO("open", err)
	} else if err = ownPlace("").checkMode(path, info); err == nil {
		_, err = j.settle()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return j, nil
}

// Close releases the file.
func (j *Journal) Close() error { return j.f.Close() }

// Append writes entries, in order, and returns when they are on disk. Errors:
// Invalid JOURNAL_ENTRY; Unavailable JOURNAL_IO, after which entries may or may
// not have been written. After a failed sync the journal refuses until it is
// opened again: the kernel has dropped what it could not write.
func (j *Journal) Append(entries ...Entry) error {
	if len(entries) == 0 {
		return nil
	}
	var b []byte
	for _, e := range entries {
		l, err := e.format()
		if err != nil {
			return err
		}
		b = append(b, l...)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken {
		return fault.Unavailable("JOURNAL_IO", "keys: the erasure journal failed before; open it again")
	}
	unlock, err := j.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := j.cut(); err != nil {
		return err
	}
	if _, err := j.f.Write(b); err != nil {
		return journalIO("append to", err)
	}
	if err := j.f.Sync(); err != nil {
		j.broken = true
		return journalIO("sync", err)
	}
	return nil
}

// Replay calls fn for every entry, oldest first, and returns how many there
// were. It reads what lies there when it starts; an unfinished last line is cut
// off. Entries may repeat. fn's error ends it and is returned. Errors: Internal
// JOURNAL_CORRUPT when a finished line is not an entry of this version: what it
// said is unknown, so the node must not serve; Unavailable JOURNAL_IO.
func (j *Journal) Replay(fn func(Entry) error) (entries int, err error) {
	j.mu.Lock()
	size, err := j.settle()
	j.mu.Unlock()
	if err != nil {
		return 0, err
	}
	r := bufio.NewReaderSize(io.NewSectionReader(j.f, 0, size), entryLimit)
	for {
		b, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(b) == 0 {
			return entries, nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
			return entries, journalIO("read", err)
		}
		e, ok := parseEntry(bytes.TrimSuffix(b, []byte("\n")))
		if err != nil || !ok {
			return entries, fault.Internal("JOURNAL_CORRUPT", "keys: line %d of the erasure journal %s is no entry of this version", entries+1, j.path)
		}
		if err := fn(e); err != nil {
			return entries, err
		}
		entries++
	}
}

// lock excludes other processes; j.mu excludes this one's goroutines.
func (j *Journal) lock() (unlock func(), err error) {
	if err := flock(j.f); err != nil {
		return nil, journalIO("lock", err)
	}
	return func() { funlock(j.f) }, nil
}

// settle is cut under the lock.
func (j *Journal) settle() (size int64, err error) {
	unlock, err := j.lock()
	if err != nil {
		return 0, err
	}
	defer unlock()
	return j.cut()
}

// cut truncates the file after its last line end and returns its size. What
// follows was never acknowledged: Append returns only after a whole line is on
// disk.
func (j *Journal) cut() (size int64, err error) {
	info, err := j.f.Stat()
	if err != nil {
		return 0, journalIO("read", err)
	}
	size = info.Size()
	end := size
	var buf [4096]byte
	for end > 0 {
		n := min(end, int64(len(buf)))
		if _, err := j.f.ReadAt(buf[:n], end-n); err != nil {
			return 0, journalIO("read", err)
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			end += int64(i) + 1 - n
			break
		}
		end -= n
	}
	if end == size {
		return size, nil
	}
	if err := j.f.Truncate(end); err != nil {
		return 0, journalIO("truncate", err)
	}
	if err := j.f.Sync(); err != nil {
		return 0, journalIO("sync", err)
	}
	return end, nil
}

func journalIO(verb string, err error) error {
	return fault.Unavailable("JOURNAL_IO", "keys: %s the erasure journal", verb).Because(err)
}
