package figures

import (
	"context"
	"slices"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// addedTogether is for how many offices one transaction adds up.
const addedTogether = 8

// AddUp adds changes of counts to the sums, and returns how many. Figures are
// the same before, during and after.
func (f *Figures) AddUp(ctx context.Context) (total int64, err error) {
	for offices := range slices.Chunk(f.Desk.Offices(), addedTogether) {
		var n int64
		err := f.DB.InExchange(ctx, offices, func(tx *store.Tx) (err error) {
			n, err = tx.AddUp(ctx)
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

// DropEmptySums removes sums that came back to nought.
func (f *Figures) DropEmptySums(ctx context.Context) (n int64, err error) {
	err = f.DB.InExchange(ctx, f.Desk.Offices(), func(tx *store.Tx) (err error) {
		n, err = tx.DropEmptySums(ctx)
		return err
	})
	return n, err
}

// stoodAtOnce bounds one transaction of StandUp.
const stoodAtOnce = 500

// StandUp computes the standing of rounds that an older program wrote, and
// returns of how many.
func (f *Figures) StandUp(ctx context.Context) (int64, error) {
	offices := f.Desk.Offices()
	sides, err := f.standUp(ctx, offices, (*store.Tx).UnknownSides, (*store.Tx).SetSideStandings)
	if err != nil {
		return sides, err
	}
	rounds, err := f.standUp(ctx, offices, (*store.Tx).UnknownRounds, (*store.Tx).SetRoundStandings)
	return sides + rounds, err
}

func (f *Figures) standUp(ctx context.Context, offices []area.Key, find func(*store.Tx, context.Context, int) ([]store.Side, error),
	set func(*store.Tx, context.Context, []store.Side) (int64, error),
) (total int64, err error) {
	for {
		found, n := 0, int64(0)
		err := f.DB.InExchange(ctx, offices, func(tx *store.Tx) error {
			rows, err := find(tx, ctx, stoodAtOnce)
			if err != nil || len(rows) == 0 {
				return err
			}
			found = len(rows)
			for i := range rows {
				s, day := rates.Stand(book.FactOf(&rows[i]))
				rows[i].Standing, rows[i].StandingDay = uint8(s), day
			}
			n, err = set(tx, ctx, rows)
			return err
		})
		total += n
		// Rows that somebody wrote meanwhile stand by that.
		if err != nil || found < stoodAtOnce {
			return total, err
		}
	}
}
