package exchange

import (
	"context"
	"slices"
	"time"

	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/fold"
	"yipan/internal/store"
	"yipan/internal/wire"
)

// takeItems judges and holds the items that are new, and covers them with one
// new receipt; those that were covered before get that same receipt again.
func (in *inbound) takeItems(ctx context.Context, tx *store.Tx, ours []*cases.Item) error {
	x := in.x
	if len(ours) == 0 && len(in.p.Bad) == 0 {
		return nil
	}
	ids := make([]cases.ItemID, 0, len(ours)+len(in.p.Bad))
	for _, it := range ours {
		ids = append(ids, it.ID)
	}
	for _, b := range in.p.Bad {
		ids = append(ids, b.ID)
	}
	covers, dead, err := tx.Known(ctx, ids)
	if err != nil {
		return err
	}
	covered := in.coveredByUs(covers)
	// Verdicts known before, or of other nodes, decide with this one's.
	in.stale = in.stale || len(covers) > 0
	rejected := map[cases.ItemID]cases.Reject{}
	var cover, aside []cases.ItemID
	var rows []store.StoredItem
	var bare bare
	var shares []store.Share
	var reports []store.ReportIn
	for _, it := range ours {
		c := in.cases[it.Head.Case]
		if c == nil {
			return fault.Internal("LEG", "case %s was not locked", it.Head.Case)
		}
		again := covered[it.ID] != cases.ItemID{}
		var why cases.Reject
		if !again {
			cover = append(cover, it.ID)
			if home, ok := x.dir().Home(it.Head.Y); it.Head.Side == cases.SideOpener && !(ok && home == x.Self()) {
				aside = append(aside, it.ID)
			}
			if why = in.judge(it); why != cases.Accepted {
				rejected[it.ID] = why
				x.metrics.rejected.WithLabelValues(why.String()).Inc()
			}
		}
		if uncommitted(it.ID) {
			continue
		}
		if !c.Has(it.ID) {
			in.fresh++
			row, err := c.Sealed(it)
			if err != nil {
				return err
			}
			if why != cases.Accepted || dead[it.ID] || c.Erased(it.ID) {
				row = bare.tombstone(row, it)
			}
			rows = append(rows, row)
			if r, ok := in.reportFor(it); ok && row.Body != nil {
				reports = append(reports, r)
			}
			held := in.heldAt
			if slices.Contains(aside, it.ID) {
				held = time.Time{}
			}
			in.stale = in.stale || it.Head.Author == x.Self() || it.Erased() || dead[it.ID]
			c.Held(fold.Item{ID: it.ID, Head: it.Head, Held: held, Rejected: why != cases.Accepted})
			shares = append(shares, x.Book.Owe(it, it.Head.X, it.Head.Y)...)
		} else if c.Erased(it.ID) && !it.Erased() && !dead[it.ID] {
			if it.Head.Kind == cases.Report && in.judge(it) != cases.Accepted {
				bare.keep(it) // nobody is asked for such a body
			} else if err := in.fill(ctx, tx, c, it); err != nil {
				return err
			}
			in.stale = true
		}
		shares = append(shares, book.ShareOf(it, it.Head.X, it.Head.Y, in.p.From, true))
	}
	for _, b := range in.p.Bad {
		if covered[b.ID] != (cases.ItemID{}) {
			continue
		}
		cover = append(cover, b.ID)
		rejected[b.ID] = b.Reason
		x.metrics.rejected.WithLabelValues(b.Reason.String()).Inc()
	}
	if err := tx.InsertItems(ctx, rows); err != nil {
		return err
	}
	if err := bare.erase(ctx, tx); err != nil {
		return err
	}
	if err := tx.AddReportsIn(ctx, reports); err != nil {
		return err
	}
	x.metrics.items.WithLabelValues("new").Add(float64(len(rows)))
	x.metrics.items.WithLabelValues("again").Add(float64(len(ours) - len(rows)))
	if err := tx.MergeShares(ctx, dedupe(shares)); err != nil {
		return err
	}
	if err := in.repeat(ctx, tx, covered); err != nil {
		return err
	}
	if len(cover) == 0 {
		return nil
	}
	return in.cover(ctx, tx, wire.Verdicts{Covered: cover, Rejected: rejected, Aside: aside})
}

// fill gives a held item the body that it came without; nothing else changes
// (M3), but that a report can be read now.
func (in *inbound) fill(ctx context.Context, tx *store.Tx, c *book.Case, it *cases.Item) error {
	row, err := c.Sealed(it)
	if err != nil {
		return err
	}
	if r, ok := in.reportFor(it); ok && row.Body != nil {
		if err := tx.AddReportsIn(ctx, []store.ReportIn{r}); err != nil {
			return err
		}
	}
	return tx.FillBody(ctx, it.ID, row.Body)
}

// dedupe leaves one share for each peer and item, the settled one where two
// differ: a home that gave an item is not owed it.
func dedupe(s []store.Share) []store.Share {
	type key struct {
		peer cases.NodeID
		item cases.ItemID
	}
	at := make(map[key]int, len(s))
	out := s[:0]
	for _, r := range s {
		k := key{r.Peer, r.Item}
		if i, ok := at[k]; ok {
			out[i].Settled = out[i].Settled || r.Settled
			continue
		}
		at[k] = len(out)
		out = append(out, r)
	}
	return out
}

// bare are items held without their bodies for good: rejected, or erased here
// before they came. Nobody is asked for those bodies.
type bare struct {
	ids    []cases.ItemID
	hashes [][]byte
}

// tombstone is such an item as a row.
func (b *bare) tombstone(row store.StoredItem, it *cases.Item) store.StoredItem {
	b.keep(it)
	row.Body, row.BodyHash = nil, it.BodyHash[:]
	row.MinVersion = min(row.MinVersion, 1<<14)
	return row
}

// keep adds an item that is held without its body for good.
func (b *bare) keep(it *cases.Item) {
	b.ids, b.hashes = append(b.ids, it.ID), append(b.hashes, it.BodyHash[:])
}

func (b *bare) erase(ctx context.Context, tx *store.Tx) error {
	if len(b.ids) == 0 {
		return nil
	}
	return tx.EraseBodies(ctx, b.ids, b.hashes)
}

// judge says what is wrong with an item itself (rule 16).
func (in *inbound) judge(it *cases.Item) cases.Reject {
	if in.suspects[it.ID] {
		return cases.RefusedValue
	}
	if why := book.CheckHead(in.x.dir(), &it.Head); why != cases.Accepted {
		return why
	}
	if c := in.cases[it.Head.Case]; c.X != it.Head.X || c.Y != it.Head.Y {
		return cases.Unreadable
	}
	if it.Erased() {
		return cases.Accepted
	}
	b, err := wire.DecodeBody(it.BodyRaw)
	if err != nil || !wire.BodyFits(&it.Head, &b) {
		return cases.Unreadable
	}
	if in.badReport(it, &b) {
		return cases.BadlySigned
	}
	return cases.Accepted
}

// unproven finds items of other authors than the sender that came without a
// proof and are not held (rule 9). They are neither held nor covered by a
// receipt: a rejection would be final, and say nothing of the item itself, which
// its author may have written all the same.
func (in *inbound) unproven(ctx context.Context, tx *store.Tx) (map[cases.ItemID]bool, error) {
	out := map[cases.ItemID]bool{}
	var ids []cases.ItemID
	for i := range in.p.Items {
		if it := &in.p.Items[i]; it.Head.Author != in.p.From && !in.proven(it) {
			out[it.ID] = true
			ids = append(ids, it.ID)
		}
	}
	if len(ids) == 0 {
		return out, nil
	}
	held, err := tx.HaveItems(ctx, ids)
	for id := range held {
		delete(out, id)
	}
	return out, err
}

// proven reports whether some verified receipt of the parcel holds a manifest
// that the item's author signed and that lists the item (rule 9).
func (in *inbound) proven(it *cases.Item) bool {
	return slices.ContainsFunc(in.receipts, func(r wire.ReceiptInfo) bool {
		return r.Manifest.From == it.Head.Author && slices.Contains(r.Manifest.Items, it.ID)
	})
}
