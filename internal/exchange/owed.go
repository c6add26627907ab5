package exchange

import (
	"context"
	"slices"

	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/store"
	"yipan/internal/wire"
)

// owed reports whether an item that is no receipt is owed to a peer: a current
// home of its case, the author of a FEEDBACK, or, for a REVOKE, who holds the
// FEEDBACK that it names (rule 11, model rule M16).
func (x *Exchange) owed(ctx context.Context, tx *store.Tx, peer cases.NodeID, h *cases.Head) (bool, error) {
	switch {
	case slices.Contains(x.Book.Homes(h.X, h.Y), peer) || h.Kind == cases.Feedback && h.Author == peer:
		return true, nil
	case h.Kind != cases.Revoke:
		return false, nil
	}
	holders, err := tx.SharersOf(ctx, h.Target)
	return slices.Contains(holders, peer), err
}

// dropUnowed leaves out of claimed items those that are not owed to the peer any
// more, and forgets their rows: a home that moved on is sent nothing, and what
// it holds all the same its statement tells.
func (x *Exchange) dropUnowed(ctx context.Context, tx *store.Tx, peer cases.NodeID, items []cases.Item) ([]cases.Item, error) {
	var gone []cases.ItemID
	kept := items[:0]
	for i := range items {
		ok, err := x.owed(ctx, tx, peer, &items[i].Head)
		if err != nil {
			return nil, err
		}
		if ok {
			kept = append(kept, items[i])
		} else {
			gone = append(gone, items[i].ID)
		}
	}
	if len(gone) == 0 {
		return kept, nil
	}
	_, err := tx.ForgetShares(ctx, peer, gone)
	return kept, err
}

// oweRevokes owes REVOKEs to whoever holds the FEEDBACK they name, home or not
// (M16).
func (x *Exchange) oweRevokes(ctx context.Context, tx *store.Tx, items []cases.Item) error {
	var shares []store.Share
	for i := range items {
		h := &items[i].Head
		if h.Kind != cases.Revoke {
			continue
		}
		holders, err := tx.SharersOf(ctx, h.Target)
		if err != nil {
			return err
		}
		for _, n := range holders {
			if n != x.Self() {
				shares = append(shares, book.ShareOf(&items[i], h.X, h.Y, n, false))
			}
		}
	}
	return tx.MergeShares(ctx, dedupe(shares))
}

// owedAtOnce bounds how many items are read at once with their bodies.
const owedAtOnce = 1000

// owedOf returns those of ids that are held and owed to the peer. A receipt
// belongs to the cases of the items it covers (rule 11).
func (x *Exchange) owedOf(ctx context.Context, tx *store.Tx, peer cases.NodeID, ids []cases.ItemID) (map[cases.ItemID]bool, error) {
	out := make(map[cases.ItemID]bool, len(ids))
	for part := range slices.Chunk(ids, owedAtOnce) {
		rows, err := tx.Items(ctx, part)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			ok, err := x.rowOwed(ctx, tx, peer, &rows[i])
			if err != nil {
				return nil, err
			}
			if ok {
				out[rows[i].ID] = true
			}
		}
	}
	return out, nil
}

func (x *Exchange) rowOwed(ctx context.Context, tx *store.Tx, peer cases.NodeID, row *store.StoredItem) (bool, error) {
	if row.Kind != cases.Receipt {
		h, err := wire.DecodeHead(row.Head)
		if err != nil {
			return false, nil //nolint:nilerr // what does not decode is owed to nobody
		}
		return x.owed(ctx, tx, peer, &h)
	}
	r, err := book.Receipt(row)
	if err != nil {
		return false, err
	}
	covered, err := wire.CoveredBy(&r)
	if err != nil {
		return false, nil //nolint:nilerr // a receipt that does not decode is owed to nobody
	}
	of, err := tx.CasesOfItems(ctx, covered)
	if err != nil || len(of) == 0 {
		return false, err
	}
	legs, err := tx.ReadLegs(ctx, of)
	if err != nil {
		return false, err
	}
	for _, l := range legs {
		if slices.Contains(x.Book.Homes(l.X, l.Y), peer) {
			return true, nil
		}
	}
	return false, nil
}
