package exchange

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

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

// adjust applies rule 18 to the ranges that a peer listed: what it lists and is
// held here is settled; what is settled here and it does not list is owed again,
// or forgotten where the peer is no home. A list is answered once, with what is
// settled then.
func (x *Exchange) adjust(ctx context.Context, tx *store.Tx, peer cases.NodeID, s *wire.Statement) ([]*wire.Statement, error) {
	own := settledSets{tx: tx, peer: peer, now: x.Now()}
	settled := map[cases.ItemID]bool{} // here, in the ranges listed
	missed := map[cases.ItemID]int{}   // of those, by range: not listed
	var listed []cases.ItemID          // by the peer, and not settled here
	for i, r := range s.Ranges {
		mine, err := own.in(ctx, r.Range)
		if err != nil {
			return nil, err
		}
		for _, id := range mine {
			settled[id], missed[id] = true, i
		}
		for _, id := range r.IDs {
			delete(missed, id)
			if !settled[id] {
				listed = append(listed, id)
			}
		}
	}
	held, err := tx.HaveItems(ctx, listed)
	if err != nil {
		return nil, err
	}
	if err := x.settleListed(ctx, tx, peer, held); err != nil {
		return nil, err
	}
	if err := x.mendMissed(ctx, tx, peer, slices.Collect(maps.Keys(missed))); err != nil {
		return nil, err
	}
	var reply []wire.Digest
	if s.Kind == wire.StateList {
		differ := map[int]bool{}
		for _, i := range missed {
			differ[i] = true
		}
		for i, r := range s.Ranges {
			after := slices.DeleteFunc(slices.Clone(r.IDs), func(id cases.ItemID) bool { return !settled[id] && !held[id] })
			if differ[i] || len(after) < len(r.IDs) {
				reply = append(reply, wire.Digest{Range: r.Range, IDs: after})
			}
		}
	}
	if mended := len(held) + len(missed); mended > 0 || len(reply) > 0 {
		x.metrics.mended.WithLabelValues(peerLabel(peer)).Add(float64(mended))
		if err := tx.AddMended(ctx, peer, mended); err != nil {
			return nil, err
		}
		x.wantAgain(peer) // again until equal
	}
	return lists(wire.StateReply, reply), nil
}

// mendMissed deals with what is settled here and the peer does not hold.
func (x *Exchange) mendMissed(ctx context.Context, tx *store.Tx, peer cases.NodeID, missed []cases.ItemID) error {
	still, err := x.owedOf(ctx, tx, peer, missed)
	if err != nil {
		return err
	}
	var owed, gone []cases.ItemID
	for _, id := range missed {
		if still[id] {
			owed = append(owed, id)
		} else {
			gone = append(gone, id)
		}
	}
	if len(owed) > 0 {
		if _, err := tx.Unsettle(ctx, peer, owed); err != nil {
			return err
		}
	}
	if len(gone) > 0 {
		_, err = tx.ForgetShares(ctx, peer, gone)
	}
	return err
}

// settledSets reads what is settled with a peer, each day and pair once: the
// index finds a day's blocks, not a range of ids.
type settledSets struct {
	tx   *store.Tx
	peer cases.NodeID
	now  time.Time

	pairs  []store.DayPair // of all days; nil: not read
	loaded map[store.DayPair][]cases.ItemID
}

// in returns the ids of a range; those of a pair come in order.
func (s *settledSets) in(ctx context.Context, r wire.Range) ([]cases.ItemID, error) {
	if r.HasPair {
		ids, err := s.pair(ctx, r.Day, r.Pair)
		lo, hi := bounds(r.Prefix)
		byID := func(a, b cases.ItemID) int { return bytes.Compare(a[:], b[:]) }
		i, _ := slices.BinarySearchFunc(ids, lo, byID)
		j, found := slices.BinarySearchFunc(ids, hi, byID)
		if found {
			j++
		}
		return ids[i:j], err
	}
	if s.pairs == nil {
		var err error
		if s.pairs, err = s.tx.Digests(ctx, s.peer, s.now); err != nil {
			return nil, err
		}
	}
	var out []cases.ItemID
	for _, p := range s.pairs {
		if !r.HasDay || p.Day == r.Day {
			ids, err := s.pair(ctx, p.Day, p.Pair)
			if err != nil {
				return nil, err
			}
			out = append(out, ids...)
		}
	}
	return out, nil
}

func (s *settledSets) pair(ctx context.Context, day int, pair uint64) ([]cases.ItemID, error) {
	key := store.DayPair{Day: day, Pair: pair}
	if ids, ok := s.loaded[key]; ok {
		return ids, nil
	}
	lo, hi := bounds(nil)
	ids, err := s.tx.SettledIDs(ctx, s.peer, day, pair, lo, hi)
	if err != nil {
		return nil, err
	}
	if s.loaded == nil {
		s.loaded = map[store.DayPair][]cases.ItemID{}
	}
	s.loaded[key] = ids
	return ids, nil
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
