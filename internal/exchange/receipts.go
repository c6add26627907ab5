package exchange

import (
	"context"
	"slices"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/store"
	"yipan/internal/wire"
)

// verifyReceipts keeps the receipts whose signatures hold; the others are
// reported and forgotten.
func (in *inbound) verifyReceipts() {
	for _, r := range in.p.Receipts {
		info, err := wire.VerifyReceipt(r, in.x.keyOf)
		if err != nil {
			in.x.Log.Warn("receipt refused", "peer", in.p.From.String(), "error", err)
			in.x.metrics.refused.WithLabelValues("RECEIPT").Inc()
			continue
		}
		if !slices.ContainsFunc(in.receipts, func(o wire.ReceiptInfo) bool { return o.Item.ID == r.ID }) {
			in.receipts = append(in.receipts, info)
		}
	}
}

// coveredCases returns the cases of what the receipts cover. Of an item that is
// not held the case is unknown, and with it what to lock: a transaction that is
// bringing it would neither see these receipts nor be seen by them, and what the
// office sees would stay without their verdict. So such receipts, which a node
// gets after a restore, wait for all who add to cases.
func (in *inbound) coveredCases(ctx context.Context, tx *store.Tx) ([]cases.CaseID, error) {
	var receipts, covered []cases.ItemID
	for i := range in.receipts {
		receipts = append(receipts, in.receipts[i].Item.ID)
		covered = append(covered, in.receipts[i].Covered...)
	}
	if len(covered) == 0 {
		return nil, nil
	}
	have, err := tx.HaveItems(ctx, append(covered[:len(covered):len(covered)], receipts...))
	if err != nil {
		return nil, err
	}
	lacks := func(id cases.ItemID) bool { return !have[id] }
	if slices.ContainsFunc(receipts, lacks) && slices.ContainsFunc(covered, lacks) {
		if err := tx.LockOutItems(ctx); err != nil {
			return nil, err
		}
	}
	return tx.CasesOfItems(ctx, covered)
}

// takeReceipts keeps receipts, indexes what they cover and settles it (rule
// 15, i). They come before items.
func (in *inbound) takeReceipts(ctx context.Context, tx *store.Tx) error {
	if len(in.receipts) == 0 {
		return nil
	}
	in.stale = true
	x := in.x
	ids := make([]cases.ItemID, len(in.receipts))
	for i := range in.receipts {
		ids[i] = in.receipts[i].Item.ID
	}
	have, err := tx.HaveItems(ctx, ids)
	if err != nil {
		return err
	}
	var rows []store.StoredItem
	var covers []store.Cover
	var shares []store.Share
	for i := range in.receipts {
		r := &in.receipts[i]
		if !have[r.Item.ID] {
			have[r.Item.ID] = true
			rows = append(rows, book.Row(&r.Item))
			for _, id := range r.Covered {
				covers = append(covers, store.Cover{Item: id, Receipt: r.Item.ID, Author: r.Author, HeldAt: r.HeldAt, Reason: r.Rejected[id], Aside: slices.Contains(r.Aside, id)})
			}
		}
		shares = append(shares, book.ShareOf(&r.Item, 0, 0, in.p.From, true))
		if r.Author != x.Self() {
			done, err := tx.Settle(ctx, r.Author, r.Covered)
			if err != nil {
				return err
			}
			in.settled = append(in.settled, done...)
			if r.Author != in.p.From {
				shares = append(shares, book.ShareOf(&r.Item, 0, 0, r.Author, true))
			}
		}
	}
	if err := tx.InsertItems(ctx, rows); err != nil {
		return err
	}
	if err := tx.InsertCovers(ctx, covers); err != nil {
		return err
	}
	return tx.MergeShares(ctx, shares)
}

// misses reports whether a receipt names an item of this node that is not held:
// a sign of a restore, which a statement mends.
func (in *inbound) misses(r *wire.ReceiptInfo) bool {
	if r.Manifest.From != in.x.Self() {
		return false
	}
	held := 0
	for _, c := range in.cases {
		for _, id := range r.Covered {
			if c.Has(id) {
				held++
			}
		}
	}
	return held < len(r.Covered)
}

// coveredByUs returns, for items that a receipt of this node covers already,
// that receipt.
func (in *inbound) coveredByUs(covers []store.Cover) map[cases.ItemID]cases.ItemID {
	out := map[cases.ItemID]cases.ItemID{}
	for _, c := range covers {
		if c.Author == in.x.Self() {
			out[c.Item] = c.Receipt
		}
	}
	return out
}

// repeat adds the receipts that cover items already; they are part of what both
// hold from then on.
func (in *inbound) repeat(ctx context.Context, tx *store.Tx, covered map[cases.ItemID]cases.ItemID) error {
	var ids []cases.ItemID
	for _, r := range covered {
		if !slices.Contains(ids, r) {
			ids = append(ids, r)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Items(ctx, ids)
	if err != nil {
		return err
	}
	var shares []store.Share
	for i := range rows {
		r, err := book.Receipt(&rows[i])
		if err != nil {
			return err
		}
		in.reply.Receipts = append(in.reply.Receipts, r)
		shares = append(shares, book.ShareOf(&r, 0, 0, in.p.From, true))
	}
	return tx.MergeShares(ctx, shares)
}

// cover writes the new receipt of this node for the parcel. It counts as sent:
// the answer leaves when the transaction is committed, and a sender that does
// not get it sends again and is answered again (rule 14).
func (in *inbound) cover(ctx context.Context, tx *store.Tx, v wire.Verdicts) error {
	x := in.x
	r, err := wire.NewReceipt(x.Self(), x.Keys.Signing(), in.p, in.heldAt, v)
	if err != nil {
		return err
	}
	if err := tx.InsertItems(ctx, []store.StoredItem{book.Row(&r)}); err != nil {
		return err
	}
	covers := make([]store.Cover, len(v.Covered))
	for i, id := range v.Covered {
		covers[i] = store.Cover{Item: id, Receipt: r.ID, Author: x.Self(), HeldAt: in.heldAt, Reason: v.Rejected[id], Aside: slices.Contains(v.Aside, id)}
	}
	if err := tx.InsertCovers(ctx, covers); err != nil {
		return err
	}
	in.reply.Receipts = append(in.reply.Receipts, r)
	return tx.MergeShares(ctx, []store.Share{book.ShareOf(&r, 0, 0, in.p.From, true)})
}

// oweReceipts owes the receipts of this parcel to homes of their items' cases
// other than its sender and their author. Only cases that moved have any.
func (in *inbound) oweReceipts(ctx context.Context, tx *store.Tx) error {
	var others []cases.NodeID
	for _, c := range in.cases {
		for _, n := range in.x.Book.Homes(c.X, c.Y) {
			if n != in.p.From && !slices.Contains(others, n) {
				others = append(others, n)
			}
		}
	}
	if len(others) == 0 {
		return nil
	}
	of := map[cases.ItemID][]area.Key{}
	for _, c := range in.cases {
		for i := range c.Items {
			of[c.Items[i].ID] = []area.Key{c.X, c.Y}
		}
	}
	var shares []store.Share
	owe := func(r *cases.Item, author cases.NodeID, covered []cases.ItemID) {
		for _, id := range covered {
			if xy := of[id]; xy != nil {
				for _, n := range in.x.Book.Homes(xy[0], xy[1]) {
					if n != in.p.From && n != author {
						shares = append(shares, book.ShareOf(r, 0, 0, n, false))
					}
				}
			}
		}
	}
	for i := range in.receipts {
		owe(&in.receipts[i].Item, in.receipts[i].Author, in.receipts[i].Covered)
	}
	for i := range in.reply.Receipts {
		owe(&in.reply.Receipts[i], in.x.Self(), in.p.Manifest.Items)
	}
	in.owed = in.owed || len(shares) > 0
	return tx.MergeShares(ctx, dedupe(shares))
}
