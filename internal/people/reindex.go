package people

import (
	"context"
	"slices"
	"sync"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// Rotating the index key.
//
// `yipan key rotate` makes the next index key current; the old one stays. From
// then on new indexes are made with the current key, and every search looks for
// a value under each key that is left, so that it finds what lies under the old
// one too. Reindex, which time starts, makes the indexes of every file anew, some
// at a time; killed at any point it goes on where it was, and each file is found
// before and after. When nothing is left under the old key, `yipan key remove`
// destroys it.
//
// Two transactions that are open at the very instant at which their processes
// learn of the rotation can register one document twice, each under its own key,
// and neither sees the other. Reindex finds the second file when it makes its
// index anew: the file keeps its document among the lookups, as beside a hidden
// file, so that a search by the document finds both, and the two are proposed as
// duplicates.

const (
	reindexBatch = 200    // files a transaction
	reindexTurn  = 10_000 // files a turn: the exchange goes first
	// reindexAgain is between two looks at everything: there is no quick way, since
	// an index for it would cost every registration.
	reindexAgain = time.Hour
)

// reindexing is how far Reindex has come in this process; it need not be kept.
type reindexing struct {
	mu     sync.Mutex
	key    seal.KeyID              // under which everything is being put
	after  cases.PersonID          // files up to this one are done
	list   []cases.PersonID        // the next ones, found by reading all files once
	looked time.Time               // when nothing was found anywhere
	broken map[cases.PersonID]bool // files that do not open
}

// indexesOf are the blind indexes under which a value may lie: that of the
// current key first, then those of the others.
func (l *People) indexesOf(office area.Key, use, value string) [][seal.IndexBytes]byte {
	all := l.Keys.Indexes()
	out := make([][seal.IndexBytes]byte, len(all))
	for i, k := range all {
		out[i] = indexOf(k, office, use, value)
	}
	return out
}

// Reindex learns of a rotation by another process, and makes blind indexes of
// offices' files anew that were made with another key than the current one. It
// returns how many files it rewrote. It may be cancelled at any time and run by
// several replicas at once. A file that does not open is left as it is and is an
// Internal REINDEX_BROKEN, once the others are done.
func (l *People) Reindex(ctx context.Context, offices []area.Key) (n int64, err error) {
	r := &l.reindex
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := l.Keys.Reload(); err != nil {
		return 0, err
	}
	if current := l.Keys.Index().ID(); r.key != current {
		r.key, r.after, r.list, r.looked, r.broken = current, cases.PersonID{}, nil, time.Time{}, map[cases.PersonID]bool{}
	}
	rotating := l.Keys.OldestIndex().ID() != r.key
	looked := func() bool { return !r.looked.IsZero() && l.Now().Sub(r.looked) < reindexAgain }
	if rotating && !looked() {
		// Notices that wait under the old key come first: who is registered from now
		// on lies under the new one.
		err := l.DB.InExchange(ctx, offices, func(tx *store.Tx) error {
			_, err := tx.ForgetStaleWaiting(ctx, r.key)
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	// Once a process, for a database from before a rotation, and again and again
	// as long as an old key lives.
	for n < reindexTurn && len(offices) > 0 && (rotating || r.looked.IsZero()) && !looked() {
		var done, seen int
		var last cases.PersonID
		err := l.DB.InExchange(ctx, offices, func(tx *store.Tx) (err error) {
			done, seen, last, err = l.reindexSome(ctx, tx)
			return err
		})
		if err != nil {
			return n, err
		}
		n += int64(done)
		if r.after = last; seen == 0 {
			r.looked, r.after = l.Now(), cases.PersonID{}
		}
		if done == 0 {
			break
		}
	}
	if len(r.broken) > 0 {
		return n, fault.Internal("REINDEX_BROKEN", "%d files do not open and keep their old indexes", len(r.broken))
	}
	return n, nil
}

// reindexSome does a batch of rows, or of what lies beside them where no row is
// left, and returns how many files it rewrote, how many there were to be
// rewritten, and up to which file the rows are done.
func (l *People) reindexSome(ctx context.Context, tx *store.Tx) (done, seen int, last cases.PersonID, err error) {
	r := &l.reindex
	last = r.after
	for len(r.list) > 0 && slices.Compare(r.list[0][:], last[:]) <= 0 {
		r.list = r.list[1:]
	}
	if len(r.list) == 0 {
		if r.list, err = tx.StaleFiles(ctx, r.key, last, reindexTurn); err != nil {
			return 0, 0, last, err
		}
	}
	ids := slices.Clone(r.list[:min(reindexBatch, len(r.list))])
	if len(ids) > 0 {
		last = ids[len(ids)-1]
	}
	isBroken := func(id cases.PersonID) bool { return l.reindex.broken[id] }
	if ids = slices.DeleteFunc(ids, isBroken); len(ids) == 0 {
		if ids, err = tx.StaleLookups(ctx, r.key, reindexBatch+len(r.broken)); err != nil {
			return 0, 0, last, err
		}
		ids = slices.DeleteFunc(ids, isBroken)
	}
	if len(ids) == 0 {
		return 0, 0, last, nil
	}
	rows, err := tx.LockPersonRows(ctx, ids)
	if err != nil {
		return 0, len(ids), last, err
	}
	rows = slices.DeleteFunc(rows, func(r store.PersonRow) bool { return r.Erased }) // while we waited
	done, err = l.reindexRows(ctx, tx, rows)
	return done, len(ids), last, err
}

func (l *People) reindexRows(ctx context.Context, tx *store.Tx, rows []store.PersonRow) (n int, err error) {
	fresh := make([]*findable, len(rows))
	var index [][]byte
	for i := range rows {
		if fresh[i], err = l.anew(&rows[i]); err != nil {
			l.reindex.broken[rows[i].ID] = true // the errors of seal quote nobody
			l.Log.Error("file does not open", "person", rows[i].ID.String(), "error", err)
			continue
		}
		if ix := rows[i].DocIndex; ix != nil {
			index = append(index, ix)
		}
	}
	holders, err := tx.DocumentHolders(ctx, index) // an index names its office
	if err != nil {
		return n, err
	}
	for i := range rows {
		row := &rows[i]
		if fresh[i] == nil {
			continue
		}
		n++
		twice, hidden := false, row.Restricted
		if row.DocIndex != nil {
			ix := [16]byte(row.DocIndex)
			if h, held := holders[ix]; held && h.Person != row.ID {
				fresh[i].besideHidden(row)
				twice, hidden = true, hidden || h.Restricted
			} else {
				holders[ix] = store.Holder{Person: row.ID, Restricted: row.Restricted}
			}
		}
		if err := tx.PutIndexes(ctx, row); err != nil {
			return n, err
		}
		if err := tx.SetLookups(ctx, row.Office, row.ID, fresh[i].lookups); err != nil {
			return n, err
		}
		if twice && !hidden {
			if _, err := l.Propose(ctx, tx, row.Office, row.ID); err != nil {
				return n, err
			}
		}
	}
	if n == 0 {
		return 0, nil
	}
	// No door leads here and nobody is shown: the run is noted, with its count.
	return n, tx.LogAccess(ctx, store.Access{Principal: access.Principal{ID: "job/reindex"}, Verb: access.PersonWrite, Purpose: "reindex", Count: n})
}

// anew computes the indexes of a file from what is sealed in it.
func (l *People) anew(row *store.PersonRow) (*findable, error) {
	if row.Key == nil {
		return nil, fault.Internal("PERSON_KEY", "a file that was not erased has no key")
	}
	key, err := l.Keys.Data().Unwrap(book.PersonKeyAAD(row.ID), row.Key)
	if err != nil {
		return nil, err
	}
	f, err := OpenProfile(key, row)
	if err != nil {
		return nil, err
	}
	hidden := row.DocIndex == nil
	out, err := l.fill(row, key, &f)
	if err == nil && hidden && row.DocIndex != nil {
		out.besideHidden(row)
	}
	return out, err
}
