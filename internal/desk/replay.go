package desk

import (
	"context"
	"maps"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/keys"
	"yipan/internal/store"
)

// replayAtOnce bounds one transaction of a replay.
const replayAtOnce = 500

// replayed is the journal by kind, each entry once.
type replayed struct {
	items     []cases.ItemID
	persons   []cases.PersonID
	consents  []cases.ConsentID
	withdrawn map[cases.ConsentID]time.Time // the first withdrawal
	offices   []area.Key                    // of consents and persons
	keepers   map[cases.PersonID][]string   // of restricted persons; nil: lifted. The last word
}

// ReplayJournal makes true again what the erasure journal says: erased items
// and people stay erased, withdrawn consents withdrawn and restricted persons
// restricted, whatever backup the database came from, and the duties of withdrawals are done (model rules M5
// and M14). It must end before pump, absorb or doors run, at every start of the
// database; doing it again changes nothing. It returns how much it changed.
func (d *Desk) ReplayJournal(ctx context.Context) (int, error) {
	if d.Journal == nil {
		return 0, nil
	}
	j, err := readJournal(d.Journal)
	if err != nil {
		return 0, err
	}
	for _, id := range j.consents {
		d.Book.KnowWithdrawn(id)
	}
	all := slices.Concat(d.Offices(), j.offices)
	slices.Sort(all)
	offices := slices.Compact(all)
	changed := 0
	for part := range slices.Chunk(j.items, replayAtOnce) {
		n, err := d.eraseAgain(ctx, part)
		if changed += n; err != nil {
			return changed, err
		}
	}
	// Before the persons: their consents open only with their keys.
	for _, id := range j.consents {
		n, err := d.withdrawAgain(ctx, offices, id, j.withdrawn[id])
		if changed += n; err != nil {
			return changed, err
		}
	}
	restricted := slices.SortedFunc(maps.Keys(j.keepers), func(a, b cases.PersonID) int { return slices.Compare(a[:], b[:]) })
	for part := range slices.Chunk(restricted, replayAtOnce) {
		n, err := d.restrictAgain(ctx, offices, part, j.keepers)
		if changed += n; err != nil {
			return changed, err
		}
	}
	for part := range slices.Chunk(j.persons, replayAtOnce) {
		n, err := d.forgetAgain(ctx, offices, part)
		if changed += n; err != nil {
			return changed, err
		}
	}
	if changed > 0 {
		d.Log.Warn("erasure journal replayed: the database is older than it", "changed", changed)
	}
	return changed, nil
}

func readJournal(j *keys.Journal) (replayed, error) {
	out := replayed{withdrawn: map[cases.ConsentID]time.Time{}, keepers: map[cases.PersonID][]string{}}
	seen := map[[17]byte]bool{}
	_, err := j.Replay(func(e keys.Entry) error {
		if len(e.ID) != 16 {
			return fault.Internal("JOURNAL_CORRUPT", "erasure journal: an id of %d bytes", len(e.ID))
		}
		id := [16]byte(e.ID)
		switch e.Kind {
		case keys.Restriction:
			out.keepers[id] = append([]string{}, e.Keepers...)
		case keys.Lifting:
			out.keepers[id] = nil
		}
		mark := [17]byte(append(slices.Clone(e.ID), e.Kind[0]))
		if seen[mark] {
			return nil
		}
		seen[mark] = true
		switch e.Kind {
		case keys.ErasedItem:
			out.items = append(out.items, id)
		case keys.ErasedPerson:
			out.persons = append(out.persons, id)
		case keys.Withdrawal:
			out.consents = append(out.consents, id)
			out.withdrawn[id] = e.Time
		}
		if e.Office != 0 {
			out.offices = append(out.offices, area.Key(e.Office))
		}
		return nil
	})
	return out, err
}

func (d *Desk) eraseAgain(ctx context.Context, ids []cases.ItemID) (n int, err error) {
	err = d.DB.InExchange(ctx, nil, func(tx *store.Tx) error {
		n = 0
		known, err := tx.Tombstones(ctx, ids)
		if err != nil {
			return err
		}
		fresh := slices.DeleteFunc(slices.Clone(ids), func(id cases.ItemID) bool { return known[id] })
		if len(fresh) == 0 {
			return nil
		}
		held, err := tx.CasesOfItems(ctx, fresh)
		if err != nil {
			return err
		}
		var cs map[cases.CaseID]*book.Case
		if len(held) > 0 {
			if cs, err = d.Book.Load(ctx, tx, held); err != nil {
				return err
			}
		}
		n = len(fresh)
		return d.Book.EraseAgain(ctx, tx, cs, fresh)
	})
	return n, err
}

// withdrawAgain marks a consent as withdrawn, where the database does not know
// it, and does the duties of its withdrawal.
func (d *Desk) withdrawAgain(ctx context.Context, offices []area.Key, id cases.ConsentID, at time.Time) (n int, err error) {
	var touched []cases.CaseID
	err = d.DB.InExchange(ctx, offices, func(tx *store.Tx) error {
		n, touched = 0, nil
		rows, err := tx.LockConsents(ctx, []cases.ConsentID{id})
		if err != nil {
			return err
		}
		row, ok := rows[id]
		if !ok {
			return nil // recorded after the backup; what cites it is met when it returns
		}
		key, err := d.Book.PersonKey(ctx, tx, row.Person)
		if fault.Is(err, fault.KindNotFound) {
			return nil // the person is erased: nobody can rely on it
		}
		if err != nil {
			return err
		}
		c, err := book.OpenConsent(key, row)
		if err != nil {
			return err
		}
		if c.WithdrawnAt.IsZero() {
			if err := d.putWithdrawn(ctx, tx, &c, at); err != nil {
				return err
			}
			n = 1
		}
		if touched, err = d.unwind(ctx, tx, offices, &c, nil); err != nil {
			return err
		}
		n += len(touched)
		ids, err := casesOf(ctx, tx, c.Person)
		if err != nil || len(ids) == 0 {
			return err
		}
		return d.spreadIn(ctx, tx, ids)
	})
	return n, err
}

// restrictAgain leaves to their keepers who was restricted after the backup, and
// shows who was restricted no more by then.
func (d *Desk) restrictAgain(ctx context.Context, offices []area.Key, ids []cases.PersonID, keepers map[cases.PersonID][]string) (n int, err error) {
	err = d.DB.InExchange(ctx, offices, func(tx *store.Tx) error {
		n = 0
		rows, err := tx.PersonsByID(ctx, ids)
		if err != nil {
			return err
		}
		held, err := tx.KeepersOf(ctx, ids)
		if err != nil {
			return err
		}
		for i := range rows {
			r := &rows[i]
			want := keepers[r.ID]
			slices.Sort(want)
			if r.Erased || r.Restricted == (want != nil) && slices.Equal(held[r.ID], want) {
				continue
			}
			one := []cases.PersonID{r.ID}
			if err := tx.Unrestrict(ctx, one); err != nil {
				return err
			}
			if want != nil {
				if err := tx.Restrict(ctx, r.Office, one, want); err != nil {
					return err
				}
			}
			n++
		}
		return nil
	})
	return n, err
}

func (d *Desk) forgetAgain(ctx context.Context, offices []area.Key, ids []cases.PersonID) (n int, err error) {
	err = d.DB.InExchange(ctx, offices, func(tx *store.Tx) error {
		n = 0
		living, err := tx.PersonKeys(ctx, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if living[id] == nil {
				continue
			}
			if err := d.Book.KeepCounted(ctx, tx, id); err != nil {
				return err
			}
			if err := tx.ErasePerson(ctx, id); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}
