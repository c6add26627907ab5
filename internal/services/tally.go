package services

import (
	"context"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/ledger"
	"yipan/internal/store"
)

// Tally is how many services of an office, kind and period have each result.
// It shows nobody; whoever shows a figure of it outside the office keeps to the
// suppression of SECURITY D3.
func (s *Services) Tally(ctx context.Context, tx *store.Tx, office area.Key, kind ledger.Service, period uint32) (ledger.Tally, error) {
	return s.Book.Tally(ctx, tx, book.TallyKey{Office: office, Kind: kind, Period: period})
}

// recountPage is how many services a recount opens at once.
const recountPage = 500

// Recount counts the records of the living anew; it equals Tally's Living. Those
// of erased people cannot be opened any more.
func (s *Services) Recount(ctx context.Context, tx *store.Tx, office area.Key, kind ledger.Service, period uint32) (ledger.Counts, error) {
	t := ledger.Tally{}
	var after cases.PersonID
	for {
		rows, err := tx.ServicesOfPeriod(ctx, office, kind, period, after, recountPage)
		if err != nil {
			return nil, err
		}
		ids := make([]cases.PersonID, len(rows))
		for i := range rows {
			ids[i] = rows[i].Person
		}
		keys, err := s.Book.PersonKeys(ctx, tx, ids)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			if keys[rows[i].Person] == nil {
				continue
			}
			r, err := book.OpenService(keys[rows[i].Person], &rows[i])
			if err != nil {
				return nil, err
			}
			t.Move("", r.Result)
		}
		if len(rows) < recountPage {
			return t.Living, nil
		}
		after = rows[len(rows)-1].Person
	}
}
