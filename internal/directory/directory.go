package directory

import (
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/seal"
)

// Directory is a snapshot of the log and of what follows from it. It never
// changes and is safe for concurrent use; Apply makes the next one.
type Directory struct {
	authority  seal.VerifyKey
	tree       tree
	checkpoint Checkpoint // of this size, the latest seen

	members map[cases.NodeID]*Member
	holders map[area.Key]cases.NodeID
	served  map[cases.NodeID][]area.Key // the reverse of holders, sorted
	tenures map[area.Key][]Tenure       // of holders, oldest first
	owners  map[seal.KeyID]keyOwner
}

type keyOwner struct {
	node cases.NodeID
	use  KeyUse
}

// New returns the empty directory of an authority.
func New(authority seal.VerifyKey) *Directory { return &Directory{authority: authority} }

// Load rebuilds a directory from the bytes of all its records in order, as
// Record.Bytes gave them. Events report what was skipped. On an error the
// directory of the records before it is returned too. A caller that keeps the
// largest checkpoint ever seen elsewhere then asks Compare with it, so that a
// truncated file is found. Errors: those of ParseRecord and Apply.
func Load(authority seal.VerifyKey, records [][]byte) (*Directory, []Event, error) {
	rs := make([]Record, 0, len(records))
	var bad error
	for _, b := range records {
		r, err := ParseRecord(b)
		if err != nil {
			bad = err
			break
		}
		rs = append(rs, r)
	}
	d, events, err := New(authority).Extend(rs)
	if err == nil {
		err = bad
	}
	return d, events, err
}

// Serial returns the serial of the last entry, 0 for the empty directory. It is
// the size of the log: skipped entries count.
func (d *Directory) Serial() uint64 { return uint64(d.tree.size) }

// Root returns the root of the log (RFC 6962 section 2.1).
func (d *Directory) Root() tlog.Hash { return d.tree.root(d.tree.size) }

// Authority returns the key that signs this directory.
func (d *Directory) Authority() seal.VerifyKey { return d.authority }

// Checkpoint returns the latest checkpoint seen of this directory's size; zero
// for an empty directory without one. Its time tells how fresh the directory
// is (D7: a warning after 72 hours, personal parcels held after 14 days).
func (d *Directory) Checkpoint() Checkpoint { return d.checkpoint }

// Compare holds another's checkpoint, a peer's or one kept from before, against
// this log: nil when the log explains it. Errors: Denied DIRECTORY_AUTHORITY and
// DIRECTORY_SIGNATURE (not the authority's, proves nothing); Unavailable
// DIRECTORY_GAP (of a larger log: catch up from Serial()+1, compare again);
// Conflict DIRECTORY_FORK (the authority has signed two logs: raise the alarm
// and keep both checkpoints' Bytes as evidence).
func (d *Directory) Compare(c Checkpoint) error {
	if err := c.verify(d.authority); err != nil {
		return err
	}
	if c.Size > d.Serial() {
		return gap(d.Serial(), c.Size)
	}
	if d.tree.root(int64(c.Size)) != c.Root {
		return fork(c.Size)
	}
	return nil
}

func gap(held, size uint64) error {
	return fault.Unavailable("DIRECTORY_GAP", "directory: serial %d is ahead of %d held: read from %d on", size, held, held+1).
		Zh("目录缺少第 %d 条起的记录", held+1)
}

func fork(size uint64) error {
	return fault.Conflict("DIRECTORY_FORK", "directory: the authority has signed two logs of size %d", size).
		Zh("目录出现分叉：管理机构对第 %d 条签发了两个版本，请立即报告", size)
}

// EventKind says what applying a record did.
type EventKind uint8

// What applying a record did.
const (
	Applied   EventKind = iota + 1 // the entry counts
	Skipped                        // the entry breaks a rule (Event.Why), and is only a leaf
	Duplicate                      // held already
	Refreshed                      // a checkpoint alone, consistent with the log
)

// String returns a lower-case word.
func (k EventKind) String() string {
	switch k {
	case Applied:
		return "applied"
	case Skipped:
		return "skipped"
	case Duplicate:
		return "duplicate"
	case Refreshed:
		return "refreshed"
	default:
		return "none"
	}
}

// Event tells what a record did.
type Event struct {
	Kind   EventKind
	Serial uint64
	Why    error // of Skipped: Invalid or Denied

	// The rest is set for Applied only.
	Node    cases.NodeID
	Time    time.Time
	Joined  bool // the node was not in the directory, or had left
	Removed bool
	// Rekeyed: the keys in use or announced, or the suite floor, changed.
	Rekeyed bool
	// Continued: the node's previous signing key signed the claim.
	Continued  bool
	Reassigned []Reassigned
}

// Reassigned is a served area that got another home, by a new holder of the
// same or of a longer prefix, or because its holder gave it up or was removed
// (To is then the home by a shorter prefix, or 0).
type Reassigned struct {
	Area     area.Key
	From, To cases.NodeID
	Agreed   bool // the loser signed
}

// Contested reports whether somebody who had to agree did not: keys replaced or
// a node removed without continuity, or a served area taken without its home's
// signature. Such a change counts at once for now; it is what D7's 72 hours
// will apply to. It deserves an alarm.
func (e Event) Contested() bool {
	if e.Kind != Applied {
		return false
	}
	if !e.Continued && !e.Joined && (e.Rekeyed || e.Removed) {
		return true
	}
	return slices.ContainsFunc(e.Reassigned, func(r Reassigned) bool { return !r.Agreed })
}
