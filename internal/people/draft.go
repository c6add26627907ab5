package people

import (
	"context"
	"crypto/rand"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/ledger"
	"yipan/internal/match"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// Draft is the file of somebody new that was not written yet. What a file goes
// through after it was written, it may go through before: it ends the same, its
// history too, and many are written at once.
type Draft struct {
	Row      store.PersonRow
	Key      *seal.DataKey
	Profile  Profile
	Warnings []string // Chinese

	found  *findable
	events []store.PersonEvent
}

// Draft makes the file of a person from a day on, with the first line of its
// history, and writes nothing. Errors are those of Register, but for
// PERSON_EXISTS.
func (l *People) Draft(ctx context.Context, tx *store.Tx, p access.Principal, office area.Key, f Profile, on civil.Date) (*Draft, error) {
	f = f.Clone()
	f.Refusals = nil // said of services alone
	var blank Profile
	warnings, err := l.checkFile(ctx, tx, &f, &blank, on)
	if err != nil {
		return nil, err
	}
	d := &Draft{Row: store.PersonRow{Office: office}, Warnings: warnings}
	_, _ = rand.Read(d.Row.ID[:]) // never fails (crypto/rand)
	d.Key, d.Row.Key = l.Keys.Data().NewWrapped(book.PersonKeyAAD(d.Row.ID))
	if f.Living.Within(office) && f.Registered.Within(office) {
		d.Row.Presence = ledger.Here
	}
	if d.found, err = l.fill(&d.Row, d.Key, &f); err != nil {
		return nil, err
	}
	d.Profile = f
	d.events, err = l.eventsOf(p, &d.Row, d.Key, ledger.EventRegistered, on, "", &blank, &f)
	return d, err
}

// Amend is Change for a draft, of another kind than an edit.
func (l *People) Amend(ctx context.Context, tx *store.Tx, p access.Principal, d *Draft, kind ledger.EventKind, on civil.Date, reason string, edit func(*Profile) error) ([]string, error) {
	before := d.Profile
	after := before.Clone()
	if err := edit(&after); err != nil {
		return nil, err
	}
	warnings, err := l.checkFile(ctx, tx, &after, &before, on)
	if err != nil {
		return nil, err
	}
	if ledger.Changed(&before, &after) != nil {
		if d.found, err = l.fill(&d.Row, d.Key, &after); err != nil {
			return nil, err
		}
		d.Row.Rev++
	}
	more, err := l.eventsOf(p, &d.Row, d.Key, kind, on, reason, &before, &after)
	d.events, d.Profile = append(d.events, more...), after
	return warnings, err
}

// Place is store.Tx.SetPresence for a draft.
func (d *Draft) Place(presence ledger.Presence, living area.Key, since civil.Date) {
	d.Row.Presence, d.Row.Living, d.Row.Since = presence, living, since
	d.Row.Rev++
}

// indexes are the blind indexes of the draft's documents.
func (d *Draft) indexes() [][]byte {
	var out [][]byte
	if d.Row.DocIndex != nil {
		out = append(out, d.Row.DocIndex)
	}
	for i := range d.found.lookups {
		if x := &d.found.lookups[i]; x.Use == store.LookupDocument {
			out = append(out, x.Index[:])
		}
	}
	return out
}

// Alone reports which drafts of an office are of people of whom the transaction
// knows nothing: no file has a document of theirs, and no notice waits for one.
func (l *People) Alone(ctx context.Context, tx *store.Tx, office area.Key, ds []*Draft) ([]bool, error) {
	var refs []Ref
	var all [][]byte
	of := make([]int, 0, len(ds))
	for i, d := range ds {
		for k := range d.Profile.Documents {
			if doc := &d.Profile.Documents[k]; doc.Number != "" && !doc.Former {
				refs, of = append(refs, Ref{Office: office, Doc: doc.Doc()}), append(of, i)
			}
		}
		all = append(all, d.indexes()...)
	}
	ids, _, err := l.Find(ctx, tx, refs)
	if err != nil {
		return nil, err
	}
	waits, err := tx.Awaited(ctx, office, all)
	if err != nil {
		return nil, err
	}
	alone := make([]bool, len(ds))
	for i, d := range ds {
		alone[i] = !slices.ContainsFunc(d.indexes(), func(x []byte) bool { return waits[[16]byte(x)] })
	}
	for n, i := range of {
		if !ids[n].IsZero() {
			alone[i] = false
		}
	}
	return alone, nil
}

// Add writes drafts, all or, where it reports false, not all: then another file
// has a document of one of them after all, and the transaction must not commit.
func (l *People) Add(ctx context.Context, tx *store.Tx, ds []*Draft) (bool, error) {
	rows := make([]*store.PersonRow, len(ds))
	var events []store.PersonEvent
	for i, d := range ds {
		rows[i], events = &d.Row, append(events, d.events...)
	}
	if all, err := tx.AddFiles(ctx, rows); err != nil || !all {
		return false, err
	}
	for _, d := range ds {
		if err := d.found.writeNew(ctx, tx, &d.Row); err != nil {
			return false, err
		}
	}
	return true, tx.AddPersonEvents(ctx, events)
}

// ProposeEach is Propose for drafts of an office that were added: one is compared
// with those before it and with the files that were there before all. It reports
// of which there are proposals.
func (l *People) ProposeEach(ctx context.Context, tx *store.Tx, office area.Key, ds []*Draft) ([]bool, error) {
	place := make(map[cases.PersonID]int, len(ds))
	asks := make([]store.Likeness, len(ds))
	all := make([]match.Description, len(ds))
	for i, d := range ds {
		place[d.Row.ID], all[i] = i, Describe(&d.Profile)
		asks[i] = l.likeness(office, &all[i])
	}
	ids, err := tx.LikeEach(ctx, office, asks)
	if err != nil {
		return nil, err
	}
	var others []cases.PersonID
	for i := range ids {
		ids[i] = slices.DeleteFunc(ids[i], func(id cases.PersonID) bool { at, ok := place[id]; return ok && at >= i })
		others = append(others, ids[i]...)
	}
	has := make([]bool, len(ds))
	if len(others) == 0 {
		return has, nil
	}
	rows, err := tx.PersonsByID(ctx, others)
	if err != nil {
		return nil, err
	}
	var proposals []store.Duplicate
	for i, d := range ds {
		near := slices.DeleteFunc(slices.Clone(rows), func(r store.PersonRow) bool { return !slices.Contains(ids[i], r.ID) })
		found, err := l.matches(tx, office, near, &all[i])
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			if m.Result.Score >= match.Near {
				has[i] = true
				proposals = append(proposals, store.Duplicate{A: d.Row.ID, B: m.Person, Office: office, Score: m.Result.Score, Reasons: uint32(m.Result.Reasons)})
			}
		}
	}
	return has, tx.ProposeDuplicates(ctx, proposals)
}
