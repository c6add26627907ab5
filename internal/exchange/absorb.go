package exchange

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
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
			if after == nil {
				return nil
			}
			if err := tx.Flush(ctx); err != nil { // a trial is about what the database says
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

// inbound is one parcel on its way into the database.
type inbound struct {
	x      *Exchange
	p      *wire.Parcel
	heldAt time.Time

	receipts []wire.ReceiptInfo // verified

	// What one run of the transaction found; reset before each.
	suspects   map[cases.ItemID]bool
	cases      map[cases.CaseID]*book.Case
	legs       map[cases.CaseID]store.Leg // of cases that were held before
	stale      bool                       // in.cases is not what the database holds
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
	in.reply, in.statements, in.legs, in.stale = &wire.Parcel{}, nil, nil, false
}

func (in *inbound) absorb(ctx context.Context, tx *store.Tx) error {
	x, p := in.x, in.p
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
	if len(in.cases)+len(in.legs) > 0 {
		if err := in.effects(ctx, tx); err != nil {
			return err
		}
	}
	if err := tx.HeardFrom(ctx, p.From, p.Speaks, x.Now()); err != nil {
		return err
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
	covered, err := in.coveredCases(ctx, tx)
	if err != nil {
		return nil, err
	}
	guest, err := in.guests(ctx, tx)
	if err != nil {
		return nil, err
	}
	posing, err := in.unproven(ctx, tx)
	if err != nil {
		return nil, err
	}
	var ours []*cases.Item
	legs := map[cases.CaseID]store.Leg{}
	begun := map[cases.CaseID]*book.Case{}
	for i := range in.p.Items {
		it := &in.p.Items[i]
		h := &it.Head
		hx, okX := d.Home(h.X)
		hy, okY := d.Home(h.Y)
		if !(okX && hx == in.x.Self()) && !(okY && hy == in.x.Self()) && !guest[it.ID] {
			in.moved = true
			// The sender believes that a FEEDBACK is held here: a statement tells.
			in.unknown = in.unknown || h.Kind == cases.Revoke
			continue
		}
		if posing[it.ID] {
			in.x.Log.Warn("item without proof of its author is not held", "peer", in.p.From.String(), "item", it.ID.String())
			in.x.metrics.rejected.WithLabelValues(cases.Unproven.String()).Inc()
			continue
		}
		ours = append(ours, it)
		if _, ok := legs[h.Case]; !ok {
			begun[h.Case], legs[h.Case] = in.x.Book.New(h.Case, h.X, h.Y)
		}
	}
	ids := slices.Collect(maps.Keys(legs))
	for _, id := range covered {
		if _, ok := legs[id]; !ok {
			ids = append(ids, id)
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
		fresh, err := tx.InsertNewLegs(ctx, sorted)
		if err != nil {
			return nil, err
		}
		for id := range fresh {
			in.cases[id] = begun[id]
		}
		ids = slices.DeleteFunc(ids, func(id cases.CaseID) bool { return fresh[id] })
	}
	if len(ids) == 0 {
		return ours, nil
	}
	if in.legs, err = tx.LockLegs(ctx, ids); err != nil {
		return nil, err
	}
	if len(ours) == 0 {
		in.stale = true // receipts alone: the items are read when they are in
		return nil, nil
	}
	held, err := in.x.Book.ReadLegs(ctx, tx, in.legs)
	maps.Copy(in.cases, held)
	return ours, err
}

// guests finds what this node holds though it is home of neither area: its own
// FEEDBACK, and the REVOKE of one that it holds (M16).
func (in *inbound) guests(ctx context.Context, tx *store.Tx) (map[cases.ItemID]bool, error) {
	out := map[cases.ItemID]bool{}
	var targets []cases.ItemID
	for i := range in.p.Items {
		switch h := &in.p.Items[i].Head; {
		case h.Kind == cases.Feedback && h.Author == in.x.Self():
			out[in.p.Items[i].ID] = true
		case h.Kind == cases.Revoke:
			targets = append(targets, h.Target)
		}
	}
	if len(targets) == 0 {
		return out, nil
	}
	held, err := tx.HaveItems(ctx, targets)
	for i := range in.p.Items {
		if h := &in.p.Items[i].Head; h.Kind == cases.Revoke && held[h.Target] {
			out[in.p.Items[i].ID] = true
		}
	}
	return out, err
}

// effects folds the cases again from what is held now, owes receipts to other
// homes (rule 11), does the duties of the opener's home and writes what the
// offices see.
func (in *inbound) effects(ctx context.Context, tx *store.Tx) error {
	x := in.x
	if in.stale {
		ids := slices.Collect(maps.Keys(in.cases))
		for id := range in.legs {
			if in.cases[id] == nil {
				ids = append(ids, id)
			}
		}
		var err error
		if in.cases, err = x.Book.Read(ctx, tx, ids); err != nil {
			return err
		}
	}
	for i := range in.receipts {
		in.unknown = in.unknown || in.receipts[i].Author != x.Self() && in.misses(&in.receipts[i])
	}
	if err := in.oweReceipts(ctx, tx); err != nil {
		return err
	}
	if err := x.oweRevokes(ctx, tx, in.p.Items); err != nil {
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
