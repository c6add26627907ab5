package exchange

import (
	"context"
	"maps"
	"slices"

	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/ledger"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// offered is what was offered to the people of drafts, and their consents, which
// nobody withdraws before the transaction ends. Everything is read and locked
// for everybody alike, whatever was offered: a lock on one consent alone would
// tell in the table who released something (SECURITY D4).
type offered struct {
	files    map[cases.PersonID][]cases.PersonID // all files of a person, by any of them
	consents map[cases.ConsentID]ledger.Consent
	keys     map[cases.PersonID]*seal.DataKey
	rows     map[store.ServiceKey]store.Service
}

// offeredTo reads what was offered; people are those of drafts, zero where none
// is paired.
func (x *Exchange) offeredTo(ctx context.Context, tx *store.Tx, drafts []store.Draft, people []cases.PersonID) (*offered, error) {
	o := &offered{files: map[cases.PersonID][]cases.PersonID{}}
	named := slices.DeleteFunc(slices.Clone(people), cases.PersonID.IsZero)
	if len(named) == 0 {
		return o, nil
	}
	// A person may have several files that were merged.
	roots, err := tx.Roots(ctx, named)
	if err != nil {
		return nil, err
	}
	groups, err := tx.Groups(ctx, slices.Collect(maps.Values(roots)))
	if err != nil {
		return nil, err
	}
	var all []cases.PersonID
	for _, g := range groups {
		all = append(all, g...)
	}
	for id, root := range roots {
		o.files[id] = groups[root]
	}
	if o.consents, err = x.Book.ConsentsOf(ctx, tx, all); err != nil {
		return nil, err
	}
	if o.keys, err = x.Book.PersonKeys(ctx, tx, all); err != nil {
		return nil, err
	}
	var ks []store.ServiceKey
	for i, d := range drafts {
		for _, id := range o.files[people[i]] {
			ks = append(ks, store.ServiceKey{Person: id, Kind: ledger.ThreeChecks, Period: d.Round})
		}
	}
	o.rows, err = tx.Services(ctx, ks)
	return o, err
}

// last is what was recorded last of the three checks of a round in the files of
// one person; the zero record where nothing was.
func (o *offered) last(person cases.PersonID, round uint32) (ledger.ServiceRecord, error) {
	var last ledger.ServiceRecord
	for _, id := range o.files[person] {
		row, ok := o.rows[store.ServiceKey{Person: id, Kind: ledger.ThreeChecks, Period: round}]
		if !ok || o.keys[id] == nil {
			continue
		}
		r, err := book.OpenService(o.keys[id], &row)
		if err != nil {
			return last, err
		}
		if r.Result != "" && !r.At.Before(last.At) {
			last = r
		}
	}
	return last, nil
}
