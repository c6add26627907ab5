package book

import (
	"context"
	"slices"

	"yipan/internal/cases"
	"yipan/internal/fold"
	"yipan/internal/keys"
	"yipan/internal/store"
)

// Erase drops the bodies of items of a case for good and keeps their heads.
// The ids go into the journal outside the database first, so that a restored
// database erases them again (model rule M4).
func (b *Book) Erase(ctx context.Context, tx *store.Tx, c *Case, ids []cases.ItemID) error {
	rows, err := tx.Items(ctx, ids)
	if err != nil || len(rows) == 0 {
		return err
	}
	var gone []cases.ItemID
	var hashes [][]byte
	var lines []keys.Entry
	for i := range rows {
		it, err := c.Open(&rows[i])
		if err != nil {
			return err
		}
		if !it.Erased() {
			rows[i].BodyHash = bodyHash(&it)
		}
		gone, hashes = append(gone, it.ID), append(hashes, rows[i].BodyHash)
		lines = append(lines, keys.Entry{Time: b.Now(), Kind: keys.ErasedItem, ID: it.ID[:]})
		c.erased[it.ID] = true
	}
	if err := b.journal(lines...); err != nil {
		return err
	}
	return tx.EraseBodies(ctx, gone, hashes)
}

// Journaled writes lines to the journal before the transaction that they are
// about commits.
func (b *Book) journal(lines ...keys.Entry) error {
	if b.Journal == nil {
		return nil
	}
	return b.Journal.Append(lines...)
}

// Withdrawn writes the withdrawal of a consent to the journal.
func (b *Book) Withdrawn(id cases.ConsentID) error {
	return b.journal(keys.Entry{Time: b.Now(), Kind: keys.Withdrawal, ID: id[:]})
}

// Revoked erases the FEEDBACKs of a case that a valid REVOKE names.
func (b *Book) Revoked(ctx context.Context, tx *store.Tx, c *Case) error {
	var ids []cases.ItemID
	for i := range c.Items {
		r := &c.Items[i]
		if r.Head.Kind != cases.Revoke || r.Rejected {
			continue
		}
		for j := range c.Items {
			f := &c.Items[j]
			if f.ID == r.Head.Target && f.Head.Kind == cases.Feedback && f.Head.Side == r.Head.Side && !c.Erased(f.ID) {
				ids = append(ids, f.ID)
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return b.Erase(ctx, tx, c, ids)
}

// Revoke takes back a FEEDBACK of the residence side here: its body is erased,
// and a REVOKE goes to every home and to whoever holds it (M14, M16).
func (b *Book) Revoke(ctx context.Context, tx *store.Tx, c *Case, target *fold.Item) error {
	if err := b.Erase(ctx, tx, c, []cases.ItemID{target.ID}); err != nil {
		return err
	}
	note := "withdrawn"
	h := cases.Head{Kind: cases.Revoke, Side: target.Head.Side, Round: target.Head.Round, Target: target.ID, OfferRound: target.Head.OfferRound}
	items, err := b.Author(ctx, tx, []Entry{{Case: c, Head: h, Body: cases.Body{Note: &note}}})
	if err != nil || tx.Role != store.Exchange {
		return err
	}
	holders, err := tx.SharersOf(ctx, target.ID)
	if err != nil {
		return err
	}
	var more []store.Share
	for _, n := range holders {
		if !slices.Contains(b.Homes(c.X, c.Y), n) {
			more = append(more, ShareOf(&items[0], c.X, c.Y, n, false))
		}
	}
	return tx.MergeShares(ctx, more)
}

// Disclosed reports whether the person's residence was disclosed on the case:
// it was opened by the residence, or its present answer is RESIDING (M11).
func (b *Book) Disclosed(ctx context.Context, tx *store.Tx, c *Case) (bool, error) {
	s := &c.State
	if !s.Exists() || s.Status == cases.StatusWithdrawn {
		return false, nil
	}
	if s.Kind == cases.Inflow {
		return true, nil
	}
	if s.Answer.IsZero() {
		return false, nil
	}
	bodies, err := b.Bodies(ctx, tx, c, []cases.ItemID{s.Answer})
	a := bodies[s.Answer].Answer
	return a != nil && a.Outcome == cases.Residing, err
}
