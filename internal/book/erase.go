package book

import (
	"context"
	"slices"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fold"
	"yipan/internal/keys"
	"yipan/internal/store"
)

// Erase drops the bodies of items of a case for good and keeps their heads.
// The ids go into the journal outside the database first, so that a restored
// database erases them again (model rule M4).
func (b *Book) Erase(ctx context.Context, tx *store.Tx, c *Case, ids []cases.ItemID) error {
	return b.EraseAll(ctx, tx, map[cases.CaseID]*Case{c.ID: c}, ids)
}

// EraseAll is Erase for items of several cases.
func (b *Book) EraseAll(ctx context.Context, tx *store.Tx, cs map[cases.CaseID]*Case, ids []cases.ItemID) error {
	if len(ids) == 0 {
		return nil
	}
	lines := make([]keys.Entry, len(ids))
	for i, id := range ids {
		lines[i] = keys.Entry{Time: b.Now(), Kind: keys.ErasedItem, ID: id[:]}
	}
	if err := b.journal(lines...); err != nil {
		return err
	}
	return b.EraseAgain(ctx, tx, cs, ids)
}

// EraseAgain is EraseAll for what the journal names already; ids that are not
// held become tombstones.
func (b *Book) EraseAgain(ctx context.Context, tx *store.Tx, cs map[cases.CaseID]*Case, ids []cases.ItemID) error {
	rows, err := tx.Items(ctx, ids)
	if err != nil {
		return err
	}
	hash := make(map[cases.ItemID][]byte, len(rows))
	for i := range rows {
		c := cs[rows[i].Case]
		if c == nil {
			continue
		}
		it, err := c.Open(&rows[i])
		if err != nil {
			return err
		}
		if hash[it.ID] = rows[i].BodyHash; !it.Erased() {
			hash[it.ID] = bodyHash(&it) // keeps the id provable
		}
		c.erased[it.ID] = true
	}
	hashes := make([][]byte, len(ids))
	for i, id := range ids {
		hashes[i] = hash[id]
	}
	return tx.EraseBodies(ctx, ids, hashes)
}

// ErasePerson destroys a person's key and blanks the row, journal first.
func (b *Book) ErasePerson(ctx context.Context, tx *store.Tx, office area.Key, id cases.PersonID) error {
	if err := b.journal(keys.Entry{Time: b.Now(), Kind: keys.ErasedPerson, ID: id[:], Office: int64(office)}); err != nil {
		return err
	}
	if err := b.KeepCounted(ctx, tx, id); err != nil {
		return err
	}
	return tx.ErasePerson(ctx, id)
}

// journal writes lines to the journal before the transaction that they are
// about commits.
func (b *Book) journal(lines ...keys.Entry) error {
	if b.Journal == nil {
		return nil
	}
	return b.Journal.Append(lines...)
}

// Withdrawn writes the withdrawal of a consent of an office to the journal.
func (b *Book) Withdrawn(id cases.ConsentID, office area.Key) error {
	return b.journal(keys.Entry{Time: b.Now(), Kind: keys.Withdrawal, ID: id[:], Office: int64(office)})
}

// Restricted writes to the journal that files of an office are left to keepers
// alone (SECURITY D11), before the transaction commits.
func (b *Book) Restricted(office area.Key, ids []cases.PersonID, keepers []string) error {
	lines := make([]keys.Entry, len(ids))
	for i := range ids {
		lines[i] = keys.Entry{Time: b.Now(), Kind: keys.Restriction, ID: ids[i][:], Office: int64(office), Keepers: keepers}
	}
	return b.journal(lines...)
}

// Lifted writes to the journal that files of an office are restricted no more,
// before the transaction commits too: where it then fails, the next start lifts
// what a keeper was asked to lift.
func (b *Book) Lifted(office area.Key, ids []cases.PersonID) error {
	lines := make([]keys.Entry, len(ids))
	for i := range ids {
		lines[i] = keys.Entry{Time: b.Now(), Kind: keys.Lifting, ID: ids[i][:], Office: int64(office)}
	}
	return b.journal(lines...)
}

// KnowWithdrawn remembers, as long as this process lives, that a consent was
// withdrawn whose row an older backup may not hold.
func (b *Book) KnowWithdrawn(id cases.ConsentID) { b.withdrawn.Store(id, true) }

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
	return b.spread(ctx, tx, c, &items[0])
}

// RevokeDead takes back each FEEDBACK of this node whose consent is withdrawn,
// or whose body was erased here, and which no REVOKE names yet: the duty of
// model rule M14. It reports whether it wrote anything; Project must follow
// then. The transaction must see the offices of both sides.
func (b *Book) RevokeDead(ctx context.Context, tx *store.Tx, c *Case) (bool, error) {
	var own []fold.Item
	var ids []cases.ItemID
	for _, it := range c.Items {
		if it.Head.Kind == cases.Feedback && it.Head.Author == b.Self && !it.Rejected && !c.revoked(&it) {
			own, ids = append(own, it), append(ids, it.ID)
		}
	}
	if len(own) == 0 {
		return false, nil
	}
	bodies, err := b.Bodies(ctx, tx, c, ids)
	if err != nil {
		return false, err
	}
	var cited []cases.ConsentID
	for _, body := range bodies {
		if f := body.Feedback; f != nil && f.Released {
			cited = append(cited, f.Consent)
		}
	}
	consents, err := b.Consents(ctx, tx, cited)
	if err != nil {
		return false, err
	}
	var tombs map[cases.ItemID]bool
	if tx.Role == store.Exchange { // the desk cannot read them, and needs not
		if tombs, err = tx.Tombstones(ctx, ids); err != nil {
			return false, err
		}
	}
	did := false
	for i := range own {
		f := bodies[own[i].ID].Feedback
		switch {
		case f == nil && !tombs[own[i].ID]:
			continue
		case f != nil && !f.Released:
			continue
		case f != nil:
			k, held := consents[f.Consent]
			if _, known := b.withdrawn.Load(f.Consent); !known && (!held || k.WithdrawnAt.IsZero()) {
				continue
			}
		}
		if err := b.Revoke(ctx, tx, c, &own[i]); err != nil {
			return did, err
		}
		did = true
	}
	return did, nil
}

// revoked reports whether a valid REVOKE names f.
func (c *Case) revoked(f *fold.Item) bool {
	return slices.ContainsFunc(c.Items, func(r fold.Item) bool {
		return r.Head.Kind == cases.Revoke && !r.Rejected && r.Head.Target == f.ID && r.Head.Side == f.Head.Side
	})
}

// SpreadRevokes owes the REVOKEs of this node also to whoever holds what they
// name without being a home (M16). Only the exchange can.
func (b *Book) SpreadRevokes(ctx context.Context, tx *store.Tx, c *Case) error {
	for i := range c.Items {
		it := &c.Items[i]
		if it.Head.Kind != cases.Revoke || it.Head.Author != b.Self {
			continue
		}
		if err := b.spread(ctx, tx, c, &cases.Item{ID: it.ID, Head: it.Head}); err != nil {
			return err
		}
	}
	return nil
}

func (b *Book) spread(ctx context.Context, tx *store.Tx, c *Case, revoke *cases.Item) error {
	holders, err := tx.SharersOf(ctx, revoke.Head.Target)
	if err != nil {
		return err
	}
	homes := b.Homes(c.X, c.Y)
	var more []store.Share
	for _, n := range holders {
		if !slices.Contains(homes, n) {
			more = append(more, ShareOf(revoke, c.X, c.Y, n, false))
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
