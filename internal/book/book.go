// Package book owns the set of items of a case as one node keeps it: writing
// items with their bodies encrypted, owing them to their homes (rule T),
// folding cases again and writing what their offices see, and the duties of
// the opener's home (PROTOCOL rules 11, 22, 23). Desk and exchange both write
// through it, inside their own transactions and under their own database
// roles. It refuses to write an item twice and never sends anything.
package book

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/directory"
	"yipan/internal/fault"
	"yipan/internal/fold"
	"yipan/internal/keys"
	"yipan/internal/seal"
	"yipan/internal/store"
	"yipan/internal/wire"
)

// Book writes the cases of one node. It is safe for concurrent use; its
// methods work on the transaction they are given.
type Book struct {
	Self cases.NodeID
	Keys *keys.Files
	Now  func() time.Time
	// Journal is the erasure journal outside the database; nil: none is kept.
	Journal *keys.Journal
	dir     func() *directory.Directory

	withdrawn sync.Map // cases.ConsentID: known from the journal
}

// New returns the book of node self. dir returns the directory as known now.
func New(self cases.NodeID, k *keys.Files, j *keys.Journal, dir func() *directory.Directory, now func() time.Time) *Book {
	return &Book{Self: self, Keys: k, Now: now, Journal: j, dir: dir}
}

// Directory returns the directory as known now.
func (b *Book) Directory() *directory.Directory { return b.dir() }

// OfficeOf returns the office that works for an area: villages belong to their
// township, everything above is an office of its own.
func OfficeOf(k area.Key) area.Key { return k.Cut(area.Township) }

// Case is a case as loaded in a transaction: its leg locked, all its items
// known.
type Case struct {
	ID    cases.CaseID
	X, Y  area.Key
	Items []fold.Item
	State fold.State
	IsNew bool // its first item is written in this transaction
	// Left says that a duty needs what only the exchange sees: call LeftDuties.
	Left bool

	// Of a new case: whom it is about in the opener's ledger, and the hash of the
	// request that opened it. Project writes them.
	Person  cases.PersonID
	ReqHash int64

	erased  map[cases.ItemID]bool
	ring    *seal.Ring
	wrapped []byte        // the bodies' key; nil: erased
	key     *seal.DataKey // wrapped, once it was needed
}

// bodyKey unwraps the key of the bodies; nil where it is erased.
func (c *Case) bodyKey() (*seal.DataKey, error) {
	if c.key != nil || c.wrapped == nil {
		return c.key, nil
	}
	var err error
	c.key, err = c.ring.Unwrap(legAAD(c.ID), c.wrapped)
	return c.key, err
}

// Has reports whether an item of the case is held.
func (c *Case) Has(id cases.ItemID) bool {
	return slices.ContainsFunc(c.Items, func(i fold.Item) bool { return i.ID == id })
}

// IsReport reports whether the leg is no case, but carries reports.
func (c *Case) IsReport() bool {
	return !c.State.Exists() && slices.ContainsFunc(c.Items, func(i fold.Item) bool { return i.Head.Kind == cases.Report })
}

// Erased reports whether the body of a held item is gone.
func (c *Case) Erased(id cases.ItemID) bool { return c.wrapped == nil || c.erased[id] }

// Side returns the side that office has in the case, SideNone where it has
// none: the opener's office, and on the receiver's side the township to which
// the case was given, else the area addressed.
func (c *Case) Side(office area.Key) cases.Side {
	switch office {
	case OfficeOf(c.X):
		return cases.SideOpener
	case c.ReceiverOffice():
		return cases.SideReceiver
	}
	return cases.SideNone
}

// ReceiverOffice returns the office whose turn it is on the receiver's side.
func (c *Case) ReceiverOffice() area.Key {
	if c.State.Assigned != 0 {
		return OfficeOf(c.State.Assigned)
	}
	return OfficeOf(c.Y)
}

// Load locks cases in order of their ids and reads their items. Cases that are
// not held, or that the transaction may not see, are missing in the result.
func (b *Book) Load(ctx context.Context, tx *store.Tx, ids []cases.CaseID) (map[cases.CaseID]*Case, error) {
	legs, err := tx.LockLegs(ctx, ids)
	if err != nil || len(legs) == 0 {
		return nil, err
	}
	return b.read(ctx, tx, legs)
}

// Read is Load without locks, for reads.
func (b *Book) Read(ctx context.Context, tx *store.Tx, ids []cases.CaseID) (map[cases.CaseID]*Case, error) {
	legs, err := tx.ReadLegs(ctx, ids)
	if err != nil || len(legs) == 0 {
		return nil, err
	}
	return b.read(ctx, tx, legs)
}

// Keyed returns cases that can open their bodies, without reading their items.
func (b *Book) Keyed(ctx context.Context, tx *store.Tx, ids []cases.CaseID) (map[cases.CaseID]*Case, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	legs, err := tx.ReadLegs(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[cases.CaseID]*Case, len(legs))
	for id, l := range legs {
		out[id] = b.caseOf(l)
	}
	return out, nil
}

// ReadLegs reads the items of cases whose legs are locked.
func (b *Book) ReadLegs(ctx context.Context, tx *store.Tx, legs map[cases.CaseID]store.Leg) (map[cases.CaseID]*Case, error) {
	if len(legs) == 0 {
		return map[cases.CaseID]*Case{}, nil
	}
	return b.read(ctx, tx, legs)
}

func (b *Book) read(ctx context.Context, tx *store.Tx, legs map[cases.CaseID]store.Leg) (map[cases.CaseID]*Case, error) {
	ids := make([]cases.CaseID, 0, len(legs))
	for id := range legs {
		ids = append(ids, id)
	}
	items, err := tx.CaseItems(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[cases.CaseID]*Case, len(legs))
	for id, leg := range legs {
		c := b.caseOf(leg)
		for _, it := range items[id] {
			h, err := wire.DecodeHead(it.Head)
			if err != nil && it.Reason == cases.Accepted {
				return nil, fault.Internal("HEAD", "stored head of item %s does not decode", it.ID).Because(err)
			}
			c.Items = append(c.Items, fold.Item{ID: it.ID, Head: h, Held: it.Held, Rejected: it.Reason != cases.Accepted})
			if it.Erased {
				c.erased[it.ID] = true
			}
		}
		c.State = fold.Fold(c.Items)
		out[id] = c
	}
	return out, nil
}

func legAAD(id cases.CaseID) seal.AAD {
	return seal.AAD{Table: "leg", Column: "body_key", Row: id[:]}
}

func itemAAD(id cases.ItemID) seal.AAD { return seal.AAD{Table: "item", Column: "body", Row: id[:]} }

// New returns a case that is not held yet, with a key of its own. Begin writes
// its leg.
func (b *Book) New(id cases.CaseID, x, y area.Key) (*Case, store.Leg) {
	key, wrapped := b.Keys.Data().NewWrapped(legAAD(id))
	leg := store.Leg{Case: id, X: x, Y: y, BodyKey: wrapped}
	c := b.caseOf(leg)
	c.IsNew, c.key = true, key
	return c, leg
}

func (b *Book) caseOf(l store.Leg) *Case {
	return &Case{ID: l.Case, X: l.X, Y: l.Y, erased: map[cases.ItemID]bool{}, ring: b.Keys.Data(), wrapped: l.BodyKey}
}

// Sealed returns an item as a row, its body encrypted under the case's key.
// Receipts stay in clear: they name nobody.
func (c *Case) Sealed(it *cases.Item) (store.StoredItem, error) {
	s := Row(it)
	key, err := c.bodyKey()
	switch {
	case err != nil:
		return s, err
	case it.Erased() || key == nil:
		s.Body, s.BodyHash = nil, it.BodyHash[:]
	default:
		s.Body = seal.EncryptField(key, itemAAD(it.ID), s.Body)
	}
	return s, nil
}

func bodyHash(it *cases.Item) []byte {
	h := sha256.Sum256(slices.Concat(it.Nonce, it.BodyRaw))
	return h[:]
}

// Row returns an item as a row with its body in clear, as receipts are kept.
func Row(it *cases.Item) store.StoredItem {
	return store.StoredItem{
		ID: it.ID, Case: it.Head.Case, Kind: it.Head.Kind, Author: it.Head.Author, MinVersion: it.Head.MinVersion,
		RecordedAt: storable(it.Head.RecordedAt), Head: it.HeadRaw, Body: slices.Concat(it.Nonce, it.BodyRaw),
	}
}

// Open decrypts a stored row of the case back into an item.
func (c *Case) Open(s *store.StoredItem) (cases.Item, error) {
	it := cases.Item{ID: s.ID, HeadRaw: s.Head}
	var err error
	if it.Head, err = wire.DecodeHead(s.Head); err != nil {
		it.Head = cases.Head{Case: s.Case, Kind: s.Kind, Author: s.Author}
	}
	key, err := c.bodyKey()
	if err != nil {
		return it, err
	}
	if s.Body == nil || key == nil {
		if len(s.BodyHash) == 32 {
			it.BodyHash = [32]byte(s.BodyHash)
		}
		return it, nil
	}
	plain, err := seal.DecryptField(key, itemAAD(s.ID), s.Body)
	if err != nil || len(plain) < 16 {
		return it, fault.Internal("BODY", "stored body of item %s does not open", s.ID).Because(err)
	}
	it.Nonce, it.BodyRaw = plain[:16:16], plain[16:]
	return it, nil
}

// Receipt returns a stored receipt as an item.
func Receipt(s *store.StoredItem) (cases.Item, error) {
	h, err := wire.DecodeHead(s.Head)
	if err != nil || len(s.Body) < 16 {
		return cases.Item{}, fault.Internal("RECEIPT", "stored receipt %s does not decode", s.ID)
	}
	return cases.Item{ID: s.ID, Head: h, HeadRaw: s.Head, Nonce: s.Body[:16:16], BodyRaw: s.Body[16:]}, nil
}

// Bodies decodes the bodies of items of the case that are not erased.
func (b *Book) Bodies(ctx context.Context, tx *store.Tx, c *Case, ids []cases.ItemID) (map[cases.ItemID]cases.Body, error) {
	out, err := b.BodiesOf(ctx, tx, map[cases.CaseID]*Case{c.ID: c}, ids)
	return out, err
}

// BodiesOf decodes bodies of items of several cases.
func (b *Book) BodiesOf(ctx context.Context, tx *store.Tx, cs map[cases.CaseID]*Case, ids []cases.ItemID) (map[cases.ItemID]cases.Body, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := tx.Items(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[cases.ItemID]cases.Body, len(rows))
	for i := range rows {
		c := cs[rows[i].Case]
		if c == nil {
			continue
		}
		it, err := c.Open(&rows[i])
		if err != nil {
			return nil, err
		}
		if it.Erased() {
			continue
		}
		body, err := wire.DecodeBody(it.BodyRaw)
		if err != nil {
			return nil, fault.Internal("BODY", "stored body of item %s does not decode", it.ID).Because(err)
		}
		out[it.ID] = body
	}
	return out, nil
}

// Fields overlays the field items of the case: the newest body that is not
// erased counts whole. Nil: all are erased.
func Fields(c *Case, bodies map[cases.ItemID]cases.Body) *cases.Fields {
	for _, id := range slices.Backward(c.State.Fields) {
		if f := bodies[id].Fields; f != nil {
			return f
		}
	}
	return nil
}
