package exchange

import (
	"context"
	"slices"
	"time"

	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/store"
	"yipan/internal/wire"
)

// From this attempt on an item goes alone, so that one that nobody can read
// holds nothing else up (rule 12). That needs a peer that lives: a silent one
// has refused nothing.
const (
	aloneFrom   = 3
	heardWithin = 10 * time.Minute
	aloneAtOnce = 16
)

// How long an item waits for its next try at most: an hour where the peer is
// silent (rule 12), and half a minute where it was heard within the last one,
// for then it is only busy, and what it lost on the way must not wait for a
// pause that an outage had made long.
const (
	longestSilent = time.Hour
	longestBusy   = 30 * time.Second
	busyWithin    = time.Minute
)

// Pack claims what is due for a peer and seals it into parcels. More says that
// the claim was full. The claims are committed before it returns; nothing was
// published yet. A peer that the directory does not know gives nothing.
func (x *Exchange) Pack(ctx context.Context, peer cases.NodeID) (parcels []Parcel, more bool, err error) {
	if _, ok := x.dir().SealTo(peer); !ok {
		return nil, false, nil
	}
	epoch, err := x.Epoch(ctx)
	if err != nil {
		return nil, false, err
	}
	var batches []wire.Parcel
	err = x.DB.InPump(ctx, func(tx *store.Tx) error {
		batches, more = nil, false
		p, err := x.peer(ctx, tx, peer)
		if err != nil {
			return err
		}
		longest := longestSilent
		if x.Now().Sub(p.LastHeard) < busyWithin {
			longest = longestBusy
		}
		claimed, err := tx.Claim(ctx, peer, wire.MaxItems, p.Speaks, p.AgreedEpoch == epoch, longest)
		if err != nil || len(claimed) == 0 {
			return err
		}
		if slices.ContainsFunc(claimed, func(c store.Claimed) bool { return c.Kind == cases.Feedback }) {
			if err := x.sameLife(ctx, tx, epoch); err != nil {
				return err
			}
		}
		more = len(claimed) == wire.MaxItems
		batches, err = x.fillParcels(ctx, tx, &p, claimed)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	for i := range batches {
		sealed, err := x.seal(&batches[i], peer)
		if err != nil {
			return parcels, more, err
		}
		parcels = append(parcels, sealed)
	}
	return parcels, more, nil
}

// peer reads what is remembered of a peer; what it announces in the directory
// counts where it was never heard.
func (x *Exchange) peer(ctx context.Context, tx *store.Tx, n cases.NodeID) (store.Peer, error) {
	p, err := tx.Peer(ctx, n)
	if err != nil {
		return p, err
	}
	if v, ok := x.dir().Speaks(n); ok && p.LastHeard.IsZero() {
		p.Speaks = v.Max
	}
	return p, nil
}

// fillParcels reads the claimed items and divides them: one parcel for all,
// and one each for those that failed too often. What does not fit is due again
// at once.
func (x *Exchange) fillParcels(ctx context.Context, tx *store.Tx, p *store.Peer, claimed []store.Claimed) ([]wire.Parcel, error) {
	ids := make([]cases.ItemID, len(claimed))
	alone := map[cases.ItemID]bool{}
	alive := x.Now().Sub(p.LastHeard) < heardWithin
	for i, c := range claimed {
		ids[i] = c.Item
		if c.Attempts >= aloneFrom && alive && c.Kind != cases.Receipt && len(alone) < aloneAtOnce {
			alone[c.Item] = true
		}
	}
	items, receipts, err := x.load(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	if items, err = x.dropUnowed(ctx, tx, p.Node, items); err != nil {
		return nil, err
	}
	if err := x.oweRevokes(ctx, tx, items); err != nil {
		return nil, err
	}
	proofs, err := x.proofs(ctx, tx, items)
	if err != nil {
		return nil, err
	}
	var main wire.Parcel
	var out []wire.Parcel
	size := 0
	for i := range receipts {
		n := bytesOf(receipts[i : i+1])
		if size+n > wire.MaxBytes && size > 0 {
			out, main, size = append(out, main), wire.Parcel{}, 0
		}
		main.Receipts, size = append(main.Receipts, receipts[i]), size+n
	}
	var late []cases.ItemID
	for i := range items {
		it, proof := items[i], proofs[items[i].ID]
		n := len(it.HeadRaw) + len(it.BodyRaw) + 64
		if proof != nil && !carries(&main, proof) {
			n += len(proof.BodyRaw) + 64
		}
		switch {
		case alone[it.ID]:
			one := wire.Parcel{Items: []cases.Item{it}}
			addProof(&one, proof)
			out = append(out, one)
		case size+n > wire.MaxBytes && len(main.Items)+len(main.Receipts) > 0:
			late = append(late, it.ID)
		default:
			size += n
			main.Items = append(main.Items, it)
			addProof(&main, proof)
		}
	}
	if len(late) > 0 {
		if err := tx.Unclaim(ctx, p.Node, late); err != nil {
			return nil, err
		}
	}
	if len(main.Items)+len(main.Receipts) > 0 {
		out = append(out, main)
	}
	return out, nil
}

func addProof(p *wire.Parcel, proof *cases.Item) {
	if proof != nil && !carries(p, proof) {
		p.Receipts = append(p.Receipts, *proof)
	}
}

func carries(p *wire.Parcel, receipt *cases.Item) bool {
	return slices.ContainsFunc(p.Receipts, func(r cases.Item) bool { return r.ID == receipt.ID })
}

func bytesOf(items []cases.Item) int {
	n := 0
	for i := range items {
		n += len(items[i].HeadRaw) + len(items[i].BodyRaw) + 64
	}
	return n
}

// load reads items by id, bodies decrypted, receipts apart.
func (x *Exchange) load(ctx context.Context, tx *store.Tx, ids []cases.ItemID) (items, receipts []cases.Item, err error) {
	rows, err := tx.Items(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	// The body of a FEEDBACK leaves only if no withdrawal erases it before this
	// attempt commits.
	for i := range rows {
		if rows[i].Kind != cases.Feedback {
			continue
		}
		fresh, err := tx.ShareItems(ctx, []cases.ItemID{rows[i].ID})
		if err != nil {
			return nil, nil, err
		}
		rows[i] = fresh[0]
	}
	var legs []cases.CaseID
	for i := range rows {
		if rows[i].Kind != cases.Receipt {
			legs = append(legs, rows[i].Case)
		}
	}
	cs, err := x.Book.Keyed(ctx, tx, legs)
	if err != nil {
		return nil, nil, err
	}
	for i := range rows {
		if rows[i].Kind == cases.Receipt {
			r, err := book.Receipt(&rows[i])
			if err != nil {
				return nil, nil, err
			}
			receipts = append(receipts, r)
			continue
		}
		c := cs[rows[i].Case]
		if c == nil {
			return nil, nil, fault.Internal("LEG", "item %s has no leg", rows[i].ID)
		}
		it, err := c.Open(&rows[i])
		if err != nil {
			return nil, nil, err
		}
		items = append(items, it)
	}
	return items, receipts, nil
}

// proofs finds, for items that another node wrote, a receipt whose manifest
// their author signed (rule 9). Without one the item travels bare and the
// receiver must hold a proof of its own.
func (x *Exchange) proofs(ctx context.Context, tx *store.Tx, items []cases.Item) (map[cases.ItemID]*cases.Item, error) {
	author := map[cases.ItemID]cases.NodeID{}
	var foreign []cases.ItemID
	for i := range items {
		if a := items[i].Head.Author; a != x.Self() {
			author[items[i].ID] = a
			foreign = append(foreign, items[i].ID)
		}
	}
	if len(foreign) == 0 {
		return nil, nil
	}
	covers, err := tx.CoversOf(ctx, foreign)
	if err != nil {
		return nil, err
	}
	var ids []cases.ItemID
	for _, c := range covers {
		if !slices.Contains(ids, c.Receipt) {
			ids = append(ids, c.Receipt)
		}
	}
	rows, err := tx.Items(ctx, ids)
	if err != nil {
		return nil, err
	}
	receipts := map[cases.ItemID]*cases.Item{}
	signer := map[cases.ItemID]cases.NodeID{}
	for i := range rows {
		r, err := book.Receipt(&rows[i])
		if err != nil {
			return nil, err
		}
		b, err := wire.DecodeBody(r.BodyRaw)
		if err != nil || b.Receipt == nil {
			continue
		}
		if m, err := wire.ParseManifest(b.Receipt.Manifest); err == nil {
			receipts[r.ID], signer[r.ID] = &r, m.From
		}
	}
	out := map[cases.ItemID]*cases.Item{}
	for _, c := range covers {
		if r := receipts[c.Receipt]; r != nil && signer[c.Receipt] == author[c.Item] {
			out[c.Item] = r
		}
	}
	return out, nil
}

// Pending returns the peers to which something is owed.
func (x *Exchange) Pending(ctx context.Context) (peers []cases.NodeID, err error) {
	err = x.DB.InExchange(ctx, nil, func(tx *store.Tx) error {
		peers, err = tx.PendingPeers(ctx)
		return err
	})
	return peers, err
}

// Heard makes what is owed to a peer that was silent due soon: its pauses had
// grown with the silence.
func (x *Exchange) Heard(ctx context.Context, peer cases.NodeID) error {
	return x.DB.InExchange(ctx, nil, func(tx *store.Tx) error {
		_, err := tx.Hasten(ctx, peer, longestBusy)
		return err
	})
}

// Resend makes everything owed to a peer (0: to all) due at once and returns
// how much that is; a dry run only counts.
func (x *Exchange) Resend(ctx context.Context, peer cases.NodeID, dryRun bool) (n int64, err error) {
	err = x.DB.InExchange(ctx, nil, func(tx *store.Tx) error {
		if !dryRun {
			n, err = tx.RetryNow(ctx, peer)
			return err
		}
		loads, err := tx.PeerLoads(ctx, false)
		n = 0
		for _, l := range loads {
			if peer == 0 || l.Peer == peer {
				n += l.Pending
			}
		}
		return err
	})
	return n, err
}
