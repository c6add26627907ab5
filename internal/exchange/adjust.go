package exchange

import (
	"context"
	"maps"
	"slices"

	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/store"
	"yipan/internal/wire"
)

// bringBodies owes again the items whose bodies the peer misses and that are
// held here in full and owed to it (M6).
func (x *Exchange) bringBodies(ctx context.Context, tx *store.Tx, peer cases.NodeID, missing []cases.ItemID) error {
	if len(missing) == 0 {
		return nil
	}
	rows, err := tx.Items(ctx, missing)
	if err != nil {
		return err
	}
	var full []cases.ItemID
	for i := range rows {
		if rows[i].Body != nil {
			if ok, err := x.rowOwed(ctx, tx, peer, &rows[i]); err != nil {
				return err
			} else if ok {
				full = append(full, rows[i].ID)
			}
		}
	}
	_, err = tx.Unsettle(ctx, peer, full)
	return err
}

// adjust applies rule 18 to the ranges that a peer listed.
func (x *Exchange) adjust(ctx context.Context, tx *store.Tx, peer cases.NodeID, s *wire.Statement) ([]*wire.Statement, error) {
	var reply []wire.Digest
	mended := 0
	for _, r := range s.Ranges {
		mine, err := x.settledIn(ctx, tx, peer, r.Range)
		if err != nil {
			return nil, err
		}
		n, differ, err := x.adjustRange(ctx, tx, peer, r.IDs, mine)
		if err != nil {
			return nil, err
		}
		mended += n
		if differ && s.Kind == wire.StateList {
			after, err := x.settledIn(ctx, tx, peer, r.Range)
			if err != nil {
				return nil, err
			}
			reply = append(reply, wire.Digest{Range: r.Range, IDs: after})
		}
	}
	if mended > 0 || len(reply) > 0 {
		x.metrics.mended.WithLabelValues(peerLabel(peer)).Add(float64(mended))
		if err := tx.AddMended(ctx, peer, mended); err != nil {
			return nil, err
		}
		x.want(peer) // again until equal
	}
	return lists(wire.StateReply, reply), nil
}

func (x *Exchange) settledIn(ctx context.Context, tx *store.Tx, peer cases.NodeID, r wire.Range) ([]cases.ItemID, error) {
	lo, hi := bounds(r.Prefix)
	if r.HasPair {
		return tx.SettledIDs(ctx, peer, r.Day, r.Pair, lo, hi)
	}
	pairs, err := tx.Digests(ctx, peer, x.Now())
	if err != nil {
		return nil, err
	}
	var out []cases.ItemID
	for _, p := range pairs {
		if !r.HasDay || p.Day == r.Day {
			ids, err := tx.SettledIDs(ctx, peer, p.Day, p.Pair, lo, hi)
			if err != nil {
				return nil, err
			}
			out = append(out, ids...)
		}
	}
	return out, nil
}

// adjustRange does rule 18, (i) and (ii), and reports how many rows changed and
// whether the two sets differed.
func (x *Exchange) adjustRange(ctx context.Context, tx *store.Tx, peer cases.NodeID, theirs, mine []cases.ItemID) (changed int, differ bool, err error) {
	settled := make(map[cases.ItemID]bool, len(mine))
	for _, id := range mine {
		settled[id] = true
	}
	var listed []cases.ItemID
	for _, id := range theirs {
		if settled[id] {
			delete(settled, id)
			continue
		}
		listed = append(listed, id)
	}
	held, err := tx.HaveItems(ctx, listed)
	if err != nil {
		return 0, false, err
	}
	differ = len(held) < len(listed) || len(settled) > 0
	if err := x.settleListed(ctx, tx, peer, held); err != nil {
		return 0, false, err
	}
	var owed, gone []cases.ItemID
	unlisted := slices.Collect(maps.Keys(settled))
	still, err := x.owedOf(ctx, tx, peer, unlisted)
	if err != nil {
		return 0, false, err
	}
	for _, id := range unlisted {
		if still[id] {
			owed = append(owed, id)
		} else {
			gone = append(gone, id)
		}
	}
	if len(owed) > 0 {
		if _, err := tx.Unsettle(ctx, peer, owed); err != nil {
			return 0, false, err
		}
	}
	if len(gone) > 0 {
		if _, err := tx.ForgetShares(ctx, peer, gone); err != nil {
			return 0, false, err
		}
	}
	return len(held) + len(owed) + len(gone), differ, nil
}

// settleListed settles items held here that the peer lists: it signed that it
// holds them (rule 15, iii).
func (x *Exchange) settleListed(ctx context.Context, tx *store.Tx, peer cases.NodeID, held map[cases.ItemID]bool) error {
	if len(held) == 0 {
		return nil
	}
	ids := make([]cases.ItemID, 0, len(held))
	for id := range held {
		ids = append(ids, id)
	}
	rows, err := tx.Items(ctx, ids)
	if err != nil {
		return err
	}
	shares := make([]store.Share, 0, len(rows))
	for i := range rows {
		h, err := wire.DecodeHead(rows[i].Head)
		if err != nil {
			continue
		}
		shares = append(shares, book.ShareOf(&cases.Item{ID: rows[i].ID, Head: h}, h.X, h.Y, peer, true))
	}
	return tx.MergeShares(ctx, shares)
}
