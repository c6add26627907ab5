package exchange

import (
	"context"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/directory"
	"yipan/internal/store"
)

// casesAtOnce bounds one transaction of a re-evaluation.
const casesAtOnce = 500

// DirectoryChanged re-evaluates rule T for the cases of areas whose home
// changed: their items and receipts are owed to their new homes, duties pass
// with the home, and the offices of a new home see their cases (rules 11, 21).
// Former homes keep their rows. It may be interrupted and done again.
func (x *Exchange) DirectoryChanged(ctx context.Context, old, now *directory.Directory) error {
	changed := directory.HomesChanged(old, now)
	if len(changed) == 0 {
		return nil
	}
	var after cases.CaseID
	for {
		var n int
		err := x.DB.InExchange(ctx, nil, func(tx *store.Tx) error {
			ids, err := tx.LegsWithin(ctx, changed, after, casesAtOnce)
			n = len(ids)
			if err != nil || n == 0 {
				return err
			}
			after = ids[n-1]
			return x.rehome(ctx, tx, ids)
		})
		if err != nil {
			return err
		}
		if n < casesAtOnce {
			return nil
		}
	}
}

func (x *Exchange) rehome(ctx context.Context, tx *store.Tx, ids []cases.CaseID) error {
	cs, err := x.Book.Load(ctx, tx, ids)
	if err != nil {
		return err
	}
	var shares []store.Share
	var items []cases.ItemID
	of := map[cases.ItemID][2]area.Key{}
	var all []*book.Case
	for _, c := range cs {
		all = append(all, c)
		for i := range c.Items {
			it := cases.Item{ID: c.Items[i].ID, Head: c.Items[i].Head}
			shares = append(shares, x.Book.Owe(&it, it.Head.X, it.Head.Y)...)
			items = append(items, it.ID)
			of[it.ID] = [2]area.Key{c.X, c.Y}
		}
	}
	covers, err := tx.CoversOf(ctx, items)
	if err != nil {
		return err
	}
	for _, c := range covers {
		r := cases.Item{ID: c.Receipt, Head: cases.Head{Kind: cases.Receipt, MinVersion: 1, RecordedAt: c.HeldAt}}
		xy := of[c.Item]
		for _, n := range x.Book.Homes(xy[0], xy[1]) {
			if n != c.Author {
				shares = append(shares, book.ShareOf(&r, 0, 0, n, false))
			}
		}
	}
	if err := tx.MergeShares(ctx, dedupe(shares)); err != nil {
		return err
	}
	if err := x.Book.Duties(ctx, tx, cs, nil); err != nil {
		return err
	}
	return x.Book.Project(ctx, tx, all, nil)
}
