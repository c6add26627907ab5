package exchange

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/fold"
	"yipan/internal/store"
	"yipan/internal/wire"
)

// Absorbed is what became of a parcel: answers to publish once the broker was
// acked, and the cases that changed, for those who watch.
type Absorbed struct {
	From    cases.NodeID
	Answers []Parcel
	Cases   []cases.CaseID
	// Receipted are parcels of this node that the sender's receipts cover.
	Receipted []wire.ParcelID
	// Owed says that items towards other nodes were written on the way.
	Owed bool
}

// Absorb takes a parcel in: one transaction (rule 13). When it returns without
// an error the broker may be acked. An error of kind Unavailable means: not
// now, deliver it again. A parcel that can never be opened is quarantined and
// gives no error.
func (x *Exchange) Absorb(ctx context.Context, envelope []byte) (Absorbed, error) {
	p, err := x.open(envelope)
	if fault.Is(err, fault.KindUnavailable) {
		return Absorbed{}, err
	}
	if err != nil {
		return x.quarantine(ctx, envelope, err)
	}
	in := &inbound{x: x, p: p, heldAt: x.Now().Truncate(time.Millisecond)}
	in.verifyReceipts()
	run := func(suspects map[cases.ItemID]bool, after error) error {
		return x.DB.InExchange(ctx, nil, func(tx *store.Tx) error {
			in.reset(suspects)
			if err := in.absorb(ctx, tx); err != nil {
				return err
			}
			return after
		})
	}
	if err = run(nil, nil); isCulprit(err) {
		var culprits map[cases.ItemID]bool
		culprits, err = bisect(func(m map[cases.ItemID]bool) error {
			if err := run(m, errDry); err != errDry { //nolint:errorlint // our own value
				return err
			}
			return nil
		}, p.Manifest.Items)
		if err == nil {
			err = run(culprits, nil)
		}
	}
	if err != nil {
		return Absorbed{}, err
	}
	return in.answer()
}

// isCulprit reports whether the database refused a value (SQLSTATE class 22 or
// 23), so that one item of the parcel is to blame.
func isCulprit(err error) bool {
	f, ok := fault.As(err)
	return ok && (f.Reason == store.ReasonValue || f.Reason == store.ReasonDuplicate)
}

// errDry rolls a trial back.
var errDry = fault.Internal("DRY_RUN", "trial")

// bisect finds the items whose values the database refuses and returns them:
// they alone are rejected (rule 16). Trials are rolled back.
func bisect(try func(map[cases.ItemID]bool) error, ids []cases.ItemID) (map[cases.ItemID]bool, error) {
	culprits := map[cases.ItemID]bool{}
	with := func(more ...[]cases.ItemID) map[cases.ItemID]bool {
		m := maps.Clone(culprits)
		for _, l := range more {
			for _, id := range l {
				m[id] = true
			}
		}
		return m
	}
	if err := try(with(ids)); err != nil {
		return nil, err // even without all of them it fails: not an item's fault
	}
	for range ids {
		err := try(culprits)
		if err == nil {
			return culprits, nil
		}
		if !isCulprit(err) {
			return nil, err
		}
		var aside []cases.ItemID
		rest := ids
		for len(rest) > 1 {
			half := rest[:len(rest)/2]
			switch err := try(with(aside, half)); {
			case err == nil:
				rest = half // with half aside it passes: one is in half
			case isCulprit(err):
				aside, rest = append(aside, half...), rest[len(rest)/2:]
			default:
				return nil, err
			}
		}
		culprits[rest[0]] = true
	}
	return culprits, nil
}

// open unseals and verifies a parcel.
func (x *Exchange) open(envelope []byte) (*wire.Parcel, error) {
	e, err := wire.ParseEnvelope(envelope)
	if err != nil {
		return nil, err
	}
	if e.To != x.Self() {
		return nil, fault.Invalid("NOT_FOR_US", "parcel is for node %s", e.To)
	}
	key, err := x.Keys.SealingKey(e.KeyID)
	if err != nil {
		return nil, fault.Invalid("UNOPENABLE", "sealing key %s is not held", e.KeyID)
	}
	p, err := e.Open(key, x.SuiteFloor)
	if err != nil {
		return nil, err
	}
	if d := x.dir(); p.Serial > d.Serial() {
		return nil, fault.Unavailable("DIRECTORY_BEHIND", "sender knows directory %d, this node %d", p.Serial, d.Serial())
	}
	sender, ok := x.keyOf(p.From, p.KeyID)
	if !ok {
		return nil, fault.Denied("SENDER", "signing key %s of node %s is not in the directory", p.KeyID, p.From)
	}
	return p, p.Verify(sender)
}

// quarantine keeps a parcel that cannot be opened and hints its sender.
func (x *Exchange) quarantine(ctx context.Context, envelope []byte, why error) (Absorbed, error) {
	reason := "UNOPENABLE"
	if f, ok := fault.As(why); ok {
		reason = f.Reason
	}
	x.metrics.refused.WithLabelValues(reason).Inc()
	e, err := wire.ParseEnvelope(envelope)
	if err != nil {
		x.Log.Warn("parcel is unreadable", "reason", reason, "bytes", len(envelope))
		return Absorbed{}, nil
	}
	x.Log.Warn("parcel quarantined", "reason", reason, "peer", e.From.String())
	if err := x.DB.Quarantine(ctx, e.Parcel, e.From, reason, envelope); err != nil {
		return Absorbed{}, err
	}
	out := Absorbed{From: e.From}
	if reason == "UNOPENABLE" && e.To == x.Self() {
		hint := wire.Parcel{Hints: []wire.Hint{{Parcel: e.Parcel, Kind: wire.Unopenable, Serial: x.dir().Serial()}}}
		if a, err := x.seal(&hint, e.From); err == nil {
			out.Answers = append(out.Answers, a)
		}
	}
	return out, nil
}

// inbound is one parcel on its way into the database.
type inbound struct {
	x      *Exchange
	p      *wire.Parcel
	heldAt time.Time

	receipts []wire.ReceiptInfo // verified

	// What one run of the transaction found; reset before each.
	suspects   map[cases.ItemID]bool
	cases      map[cases.CaseID]*book.Case
	moved      bool
	reply      *wire.Parcel
	statements []*wire.Statement
	settled    []cases.ItemID
	fresh      int
	owed       bool
	unknown    bool // a receipt named an item that is not held
}

func (in *inbound) reset(suspects map[cases.ItemID]bool) {
	in.suspects, in.cases, in.moved, in.settled, in.fresh, in.owed, in.unknown = suspects, map[cases.CaseID]*book.Case{}, false, nil, 0, false, false
	in.reply, in.statements = &wire.Parcel{}, nil
}

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
		in.receipts = append(in.receipts, info)
	}
}

func (in *inbound) absorb(ctx context.Context, tx *store.Tx) error {
	x, p := in.x, in.p
	if err := tx.HeardFrom(ctx, p.From, p.Speaks, x.Now()); err != nil {
		return err
	}
	ours, err := in.lock(ctx, tx)
	if err != nil {
		return err
	}
	if err := in.takeReceipts(ctx, tx); err != nil {
		return err
	}
	if err := in.takeItems(ctx, tx, ours); err != nil {
		return err
	}
	if len(in.cases) > 0 {
		if err := in.effects(ctx, tx); err != nil {
			return err
		}
	}
	if p.Statement != nil {
		var err error
		if in.statements, err = x.onStatement(ctx, tx, p); err != nil {
			return err
		}
	}
	return nil
}

// lock begins the legs of new cases and locks all that the parcel touches, in
// id order. It returns the items of which this node is a home.
func (in *inbound) lock(ctx context.Context, tx *store.Tx) ([]*cases.Item, error) {
	d := in.x.dir()
	var ours []*cases.Item
	legs := map[cases.CaseID]store.Leg{}
	for i := range in.p.Items {
		it := &in.p.Items[i]
		h := &it.Head
		if hx, ok := d.Home(h.X); !ok || hx != in.x.Self() {
			if hy, ok := d.Home(h.Y); !ok || hy != in.x.Self() {
				in.moved = true
				continue
			}
		}
		ours = append(ours, it)
		if _, ok := legs[h.Case]; !ok {
			_, legs[h.Case] = in.x.Book.New(h.Case, h.X, h.Y)
		}
	}
	var covered []cases.ItemID
	for i := range in.receipts {
		covered = append(covered, in.receipts[i].Covered...)
	}
	ids := make([]cases.CaseID, 0, len(legs))
	for id := range legs {
		ids = append(ids, id)
	}
	if len(covered) > 0 {
		more, err := tx.CasesOfItems(ctx, covered)
		if err != nil {
			return nil, err
		}
		for _, id := range more {
			if _, ok := legs[id]; !ok {
				ids = append(ids, id)
			}
		}
	}
	slices.SortFunc(ids, func(a, b cases.CaseID) int { return bytes.Compare(a[:], b[:]) })
	if len(legs) > 0 {
		sorted := make([]store.Leg, 0, len(legs))
		for _, id := range ids {
			if l, ok := legs[id]; ok {
				sorted = append(sorted, l)
			}
		}
		if _, err := tx.InsertLegs(ctx, sorted); err != nil {
			return nil, err
		}
	}
	if len(ids) == 0 {
		return ours, nil
	}
	var err error
	in.cases, err = in.x.Book.Load(ctx, tx, ids)
	return ours, err
}

// takeReceipts keeps receipts, indexes what they cover and settles it (rule
// 15, i). They come before items.
func (in *inbound) takeReceipts(ctx context.Context, tx *store.Tx) error {
	if len(in.receipts) == 0 {
		return nil
	}
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
			in.unknown = in.unknown || in.misses(r)
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
	covered, err := in.coveredByUs(ctx, tx, ids)
	if err != nil {
		return err
	}
	dead, err := tx.Tombstones(ctx, ids)
	if err != nil {
		return err
	}
	rejected := map[cases.ItemID]cases.Reject{}
	var cover, aside []cases.ItemID
	var rows []store.StoredItem
	var shares []store.Share
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
		if !c.Has(it.ID) {
			in.fresh++
			row, err := c.Sealed(it)
			if err != nil {
				return err
			}
			if why != cases.Accepted || dead[it.ID] {
				row = tombstone(row, it)
			}
			rows = append(rows, row)
			c.Held(fold.Item{ID: it.ID, Head: it.Head, Held: in.heldAt, Rejected: why != cases.Accepted})
			shares = append(shares, x.Book.Owe(it, it.Head.X, it.Head.Y)...)
		} else if c.Erased(it.ID) && !it.Erased() && !dead[it.ID] {
			// It came bare before; a body fills it, and nothing else changes (M3).
			row, err := c.Sealed(it)
			if err != nil {
				return err
			}
			if err := tx.FillBody(ctx, it.ID, row.Body); err != nil {
				return err
			}
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

// tombstone is a rejected item as a row: its body is not kept.
func tombstone(row store.StoredItem, it *cases.Item) store.StoredItem {
	row.Body, row.BodyHash = nil, it.BodyHash[:]
	row.MinVersion = min(row.MinVersion, 1<<14)
	return row
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
	if it.Head.Author != in.p.From && !in.proven(it) {
		return cases.Unproven
	}
	if it.Erased() {
		return cases.Accepted
	}
	b, err := wire.DecodeBody(it.BodyRaw)
	if err != nil || !wire.BodyFits(&it.Head, &b) {
		return cases.Unreadable
	}
	return cases.Accepted
}

// proven reports whether some verified receipt of the parcel holds a manifest
// that the item's author signed and that lists the item (rule 9).
func (in *inbound) proven(it *cases.Item) bool {
	return slices.ContainsFunc(in.receipts, func(r wire.ReceiptInfo) bool {
		return r.Manifest.From == it.Head.Author && slices.Contains(r.Manifest.Items, it.ID)
	})
}

// coveredByUs returns, for items that a receipt of this node covers already,
// that receipt.
func (in *inbound) coveredByUs(ctx context.Context, tx *store.Tx, ids []cases.ItemID) (map[cases.ItemID]cases.ItemID, error) {
	covers, err := tx.CoversOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := map[cases.ItemID]cases.ItemID{}
	for _, c := range covers {
		if c.Author == in.x.Self() {
			out[c.Item] = c.Receipt
		}
	}
	return out, nil
}

// repeat adds the receipts that cover items already.
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
	for i := range rows {
		r, err := book.Receipt(&rows[i])
		if err != nil {
			return err
		}
		in.reply.Receipts = append(in.reply.Receipts, r)
	}
	return nil
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

// effects folds the cases again from what is held now, owes receipts to other
// homes (rule 11), does the duties of the opener's home and writes what the
// offices see.
func (in *inbound) effects(ctx context.Context, tx *store.Tx) error {
	x := in.x
	ids := make([]cases.CaseID, 0, len(in.cases))
	for id := range in.cases {
		ids = append(ids, id)
	}
	var err error
	if in.cases, err = x.Book.Read(ctx, tx, ids); err != nil {
		return err
	}
	if err := in.oweReceipts(ctx, tx); err != nil {
		return err
	}
	if err := in.revokeReturned(ctx, tx); err != nil {
		return err
	}
	before := len(in.cases)
	if err := x.Book.Duties(ctx, tx, in.cases, nil); err != nil {
		return err
	}
	in.owed = in.owed || len(in.cases) > before
	all := make([]*book.Case, 0, len(in.cases))
	for _, c := range in.cases {
		all = append(all, c)
	}
	return x.Book.Project(ctx, tx, all, nil)
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

// replies divides the answer into parcels of bounded size.
func (in *inbound) replies() []*wire.Parcel {
	out := []*wire.Parcel{{Hints: in.reply.Hints}}
	size := 0
	for i := range in.reply.Receipts {
		n := bytesOf(in.reply.Receipts[i : i+1])
		if size+n > wire.MaxBytes && size > 0 {
			out, size = append(out, &wire.Parcel{}), 0
		}
		last := out[len(out)-1]
		last.Receipts, size = append(last.Receipts, in.reply.Receipts[i]), size+n
	}
	for _, s := range in.statements {
		if last := out[len(out)-1]; last.Statement == nil && size < wire.MaxBytes/8 && len(s.Ranges) < 1000 {
			last.Statement = s
			continue
		}
		out = append(out, &wire.Parcel{Statement: s})
	}
	return out
}

// answer seals what goes back to the sender.
func (in *inbound) answer() (Absorbed, error) {
	x := in.x
	x.metrics.received.WithLabelValues(peerLabel(in.p.From)).Inc()
	out := Absorbed{From: in.p.From, Owed: in.owed}
	for i := range in.receipts {
		if r := &in.receipts[i]; r.Manifest.From == x.Self() && r.Author == in.p.From {
			out.Receipted = append(out.Receipted, r.Manifest.Parcel)
			if len(in.settled) > 0 {
				x.observe(in.p.From, x.Now().Sub(r.Manifest.PackedAt))
			}
		}
	}
	for id := range in.cases {
		out.Cases = append(out.Cases, id)
	}
	if in.moved {
		x.metrics.items.WithLabelValues("moved").Inc()
		in.reply.Hints = append(in.reply.Hints, wire.Hint{Parcel: in.p.Parcel, Kind: wire.Moved, Serial: x.dir().Serial()})
	}
	if in.unknown {
		x.want(in.p.From)
	}
	replies := in.replies()
	for _, r := range replies {
		if len(r.Receipts) == 0 && len(r.Hints) == 0 && r.Statement == nil {
			continue
		}
		a, err := x.seal(r, in.p.From)
		if err != nil {
			return out, nil //nolint:nilerr // the sender left the directory: it is owed nothing, and what it sent is held
		}
		out.Answers = append(out.Answers, a)
	}
	return out, nil
}
