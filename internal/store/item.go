package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
)

// Leg is the row that locks a case and keeps the key of its bodies.
type Leg struct {
	Case    cases.CaseID
	X, Y    area.Key
	BodyKey []byte // wrapped; nil: erased
}

const insertLegs = `INSERT INTO leg (case_id, x, y, body_key)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bytea[]) u ON CONFLICT DO NOTHING`

// InsertLegs adds legs, which must come sorted by case id: that is the one
// order in which cases are locked. Those that exist stay as they are.
func (tx *Tx) InsertLegs(ctx context.Context, legs []Leg) (inserted int64, err error) {
	t, err := tx.Exec(ctx, insertLegs, legArgs(legs)...)
	return t.RowsAffected(), err
}

func legArgs(legs []Leg) []any {
	n := len(legs)
	ids, xs, ys, keys := make([][16]byte, n), make([]int64, n), make([]int64, n), make([][]byte, n)
	for i, l := range legs {
		ids[i], xs[i], ys[i], keys[i] = l.Case, int64(l.X), int64(l.Y), l.BodyKey
	}
	return []any{ids, xs, ys, keys}
}

const insertNewLegs = insertLegs + ` RETURNING case_id`

// InsertNewLegs is InsertLegs for the exchange; it returns which were new.
func (tx *Tx) InsertNewLegs(ctx context.Context, legs []Leg) (map[cases.CaseID]bool, error) {
	rows, err := tx.Query(ctx, insertNewLegs, legArgs(legs)...)
	if err != nil {
		return nil, err
	}
	out := make(map[cases.CaseID]bool, len(legs))
	var id [16]byte
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error { out[id] = true; return nil })
	return out, err
}

const lockLegs = `SELECT case_id, x, y, body_key FROM leg WHERE case_id = ANY($1) ORDER BY case_id FOR UPDATE`

// LockLegs locks cases in order of their ids and returns their legs. Missing
// ones, and those the role may not see, are not in the result.
func (tx *Tx) LockLegs(ctx context.Context, ids []cases.CaseID) (map[cases.CaseID]Leg, error) {
	return tx.legs(ctx, lockLegs, ids)
}

const readLegs = `SELECT case_id, x, y, body_key FROM leg WHERE case_id = ANY($1)`

// ReadLegs is LockLegs without the lock.
func (tx *Tx) ReadLegs(ctx context.Context, ids []cases.CaseID) (map[cases.CaseID]Leg, error) {
	return tx.legs(ctx, readLegs, ids)
}

func (tx *Tx) legs(ctx context.Context, sql string, ids []cases.CaseID) (map[cases.CaseID]Leg, error) {
	rows, err := tx.Query(ctx, sql, uuids(ids))
	if err != nil {
		return nil, err
	}
	out := make(map[cases.CaseID]Leg, len(ids))
	var l Leg
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&l.Case), (*int64)(&l.X), (*int64)(&l.Y), &l.BodyKey}, func() error {
		out[l.Case] = l
		l.BodyKey = nil
		return nil
	})
	return out, err
}

const legsWithin = `SELECT DISTINCT l.case_id FROM leg l JOIN unnest($1::bigint[], $2::bigint[]) u (lo, hi)
    ON l.x BETWEEN u.lo AND u.hi OR l.y BETWEEN u.lo AND u.hi
WHERE l.case_id > $3 ORDER BY l.case_id LIMIT $4`

// LegsWithin pages through the cases of which one side lies in one of areas. It
// reads every leg: homes change rarely.
func (tx *Tx) LegsWithin(ctx context.Context, areas []area.Key, after cases.CaseID, limit int) ([]cases.CaseID, error) {
	lo, hi := make([]int64, len(areas)), make([]int64, len(areas))
	for i, k := range areas {
		lo[i], hi[i] = within(k)
	}
	rows, err := tx.Query(ctx, legsWithin, lo, hi, [16]byte(after), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (c cases.CaseID, err error) {
		err = r.Scan((*[16]byte)(&c))
		return c, err
	})
}

const eraseLegs = `UPDATE leg SET body_key = NULL WHERE case_id = ANY($1)`

// EraseLegs destroys the keys of all bodies of the cases held here.
func (tx *Tx) EraseLegs(ctx context.Context, ids []cases.CaseID) error {
	_, err := tx.Exec(ctx, eraseLegs, uuids(ids))
	return err
}

// StoredItem is an item as a row.
type StoredItem struct {
	ID         cases.ItemID
	Case       cases.CaseID // zero: a receipt
	Kind       cases.ItemKind
	Author     cases.NodeID
	MinVersion uint32
	RecordedAt time.Time
	Head       []byte
	Body       []byte // encrypted nonce ‖ body (receipts: in clear); nil: erased
	BodyHash   []byte // SHA-256(nonce ‖ body), only where erased
}

const insertItems = `INSERT INTO item (id, case_id, kind, author, min_version, recorded_at, head, body, body_hash)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::bigint[], $5::smallint[], $6::timestamptz[], $7::bytea[], $8::bytea[], $9::bytea[]) u`

// InsertItems stores items that are not held yet: a repeated id is an error.
func (tx *Tx) InsertItems(ctx context.Context, items []StoredItem) error {
	if len(items) == 0 {
		return nil
	}
	n := len(items)
	ids, cs, kinds, authors := make([][16]byte, n), make([]*[16]byte, n), make([]int16, n), make([]int64, n)
	vers, at, heads, bodies, hashes := make([]int16, n), make([]time.Time, n), make([][]byte, n), make([][]byte, n), make([][]byte, n)
	for i := range items {
		it := &items[i]
		ids[i], cs[i], kinds[i], authors[i] = it.ID, null16(it.Case), int16(it.Kind), int64(it.Author)
		vers[i], at[i], heads[i], bodies[i], hashes[i] = int16(it.MinVersion), it.RecordedAt, it.Head, it.Body, it.BodyHash
	}
	return tx.write(insertItems, ids, cs, kinds, authors, vers, at, heads, bodies, hashes)
}

const haveItems = `SELECT id FROM item WHERE id = ANY($1)`

// HaveItems returns those of ids that are held.
func (tx *Tx) HaveItems(ctx context.Context, ids []cases.ItemID) (map[cases.ItemID]bool, error) {
	rows, err := tx.Query(ctx, haveItems, uuids(ids))
	if err != nil {
		return nil, err
	}
	out := make(map[cases.ItemID]bool, len(ids))
	var id [16]byte
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error { out[id] = true; return nil })
	return out, err
}

const selectItems = `SELECT id, case_id, kind, author, min_version, recorded_at, head, body, body_hash FROM item WHERE id = ANY($1)`

// Items reads items with their bodies, in no order.
func (tx *Tx) Items(ctx context.Context, ids []cases.ItemID) ([]StoredItem, error) {
	rows, err := tx.Query(ctx, selectItems, uuids(ids))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanItem)
}

func scanItem(r pgx.CollectableRow) (StoredItem, error) {
	var it StoredItem
	var c *[16]byte
	var kind, ver int16
	err := r.Scan((*[16]byte)(&it.ID), &c, &kind, (*int64)(&it.Author), &ver, &it.RecordedAt, &it.Head, &it.Body, &it.BodyHash)
	it.Case, it.Kind, it.MinVersion = or16[cases.CaseID](c), cases.ItemKind(kind), uint32(ver)
	return it, err
}

const shareItems = selectItems + ` FOR SHARE`

// ShareItems is Items with the rows kept as they are until the transaction
// ends: a body that is being erased is waited for, and comes back erased.
func (tx *Tx) ShareItems(ctx context.Context, ids []cases.ItemID) ([]StoredItem, error) {
	rows, err := tx.Query(ctx, shareItems, uuids(ids))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanItem)
}

// CaseItem is an item of a case with its verdict: all that the fold needs.
type CaseItem struct {
	ID     cases.ItemID
	Head   []byte
	Erased bool      // without body
	Held   time.Time // of the deciding receipt; zero: none
	Reason cases.Reject
	Stored time.Time
}

// The deciding receipt is the smallest (held_at, id) not written by the item's
// author (rule 14); delivery counts from the smallest by a home of the
// receiver's side (M8). cover's primary key finds them.
// Each case is probed by itself (OFFSET 0 keeps it so): before the first ANALYZE
// the planner would read the whole table for a parcel's cases.
const caseItems = `SELECT i.case_id, i.id, i.head, i.body IS NULL, c.held_at, coalesce(c.reason, 0), i.stored_at
FROM (SELECT DISTINCT unnest($1::uuid[]) AS id) u
CROSS JOIN LATERAL (SELECT case_id, id, author, head, body, stored_at FROM item WHERE case_id = u.id OFFSET 0) i
LEFT JOIN LATERAL (
    SELECT min(held_at) FILTER (WHERE NOT aside) AS held_at, (array_agg(reason ORDER BY held_at, receipt))[1] AS reason
    FROM cover WHERE item = i.id AND author <> i.author
) c ON true`

// CaseItems reads the items of cases, heads only.
func (tx *Tx) CaseItems(ctx context.Context, ids []cases.CaseID) (map[cases.CaseID][]CaseItem, error) {
	rows, err := tx.Query(ctx, caseItems, uuids(ids))
	if err != nil {
		return nil, err
	}
	out := make(map[cases.CaseID][]CaseItem, len(ids))
	var id [16]byte
	var it CaseItem
	var held *time.Time
	var reason int16
	_, err = pgx.ForEachRow(rows, []any{&id, (*[16]byte)(&it.ID), &it.Head, &it.Erased, &held, &reason, &it.Stored}, func() error {
		it.Held, it.Reason = orZero(held), cases.Reject(reason)
		out[id] = append(out[id], it)
		it.Head, held = nil, nil
		return nil
	})
	return out, err
}

const lockOutItems = `SELECT lock_out_items()`

// LockOutItems waits for the transactions that add to cases and keeps new ones
// out until this one ends; reading goes on. It comes before any case is locked.
func (tx *Tx) LockOutItems(ctx context.Context) error {
	_, err := tx.Exec(ctx, lockOutItems)
	return err
}

const casesOfItems = `SELECT DISTINCT case_id FROM item WHERE id = ANY($1) AND case_id IS NOT NULL`

// CasesOfItems returns the cases that items belong to.
func (tx *Tx) CasesOfItems(ctx context.Context, ids []cases.ItemID) ([]cases.CaseID, error) {
	rows, err := tx.Query(ctx, casesOfItems, uuids(ids))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (c cases.CaseID, err error) {
		err = r.Scan((*[16]byte)(&c))
		return c, err
	})
}

const eraseBodies = `UPDATE item SET body = NULL, body_hash = coalesce(u.hash, item.body_hash), erased = true
FROM unnest($1::uuid[], $2::bytea[]) u(id, hash) WHERE item.id = u.id AND NOT item.erased`
const addTombstones = `INSERT INTO tombstone (item) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING`

// EraseBodies drops nonce and body of items and keeps their heads; hashes keep
// the ids provable (rule 25; nil where the body is gone already). The bodies
// never come back.
func (tx *Tx) EraseBodies(ctx context.Context, ids []cases.ItemID, hashes [][]byte) error {
	if err := tx.write(addTombstones, uuids(ids)); err != nil {
		return err
	}
	return tx.write(eraseBodies, uuids(ids), hashes)
}

const tombstones = `SELECT item FROM tombstone WHERE item = ANY($1)`

// Tombstones returns those of ids whose bodies must not be kept.
func (tx *Tx) Tombstones(ctx context.Context, ids []cases.ItemID) (map[cases.ItemID]bool, error) {
	rows, err := tx.Query(ctx, tombstones, uuids(ids))
	if err != nil {
		return nil, err
	}
	out := map[cases.ItemID]bool{}
	var id [16]byte
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error { out[id] = true; return nil })
	return out, err
}

// Known returns, in one round trip, the covers of items (as CoversOf) and those
// of them whose bodies must not be kept (as Tombstones).
func (tx *Tx) Known(ctx context.Context, ids []cases.ItemID) ([]Cover, map[cases.ItemID]bool, error) {
	if err := tx.flush(ctx); err != nil {
		return nil, nil, err
	}
	var covers []Cover
	dead := map[cases.ItemID]bool{}
	b := &pgx.Batch{}
	b.Queue(coversOf, uuids(ids)).Query(func(rows pgx.Rows) (err error) {
		covers, err = pgx.CollectRows(rows, scanCover)
		return err
	})
	b.Queue(tombstones, uuids(ids)).Query(func(rows pgx.Rows) error {
		var id [16]byte
		_, err := pgx.ForEachRow(rows, []any{&id}, func() error { dead[id] = true; return nil })
		return err
	})
	err := tx.SendBatch(ctx, b).Close()
	return covers, dead, err
}

const fillBody = `UPDATE item SET body = $2, body_hash = NULL WHERE id = $1 AND body IS NULL AND NOT erased`

// FillBody gives an item its body that came bare before.
func (tx *Tx) FillBody(ctx context.Context, id cases.ItemID, body []byte) error {
	return tx.write(fillBody, [16]byte(id), body)
}

const missingBodies = `SELECT i.id FROM item i JOIN share s ON s.item = i.id AND s.peer = $1 WHERE i.body IS NULL AND NOT i.erased LIMIT $2`

// MissingBodies returns items shared with a peer that came bare.
func (tx *Tx) MissingBodies(ctx context.Context, peer cases.NodeID, limit int) ([]cases.ItemID, error) {
	rows, err := tx.Query(ctx, missingBodies, int64(peer), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (id cases.ItemID, err error) {
		err = r.Scan((*[16]byte)(&id))
		return id, err
	})
}

// Cover says that a receipt covers an item.
type Cover struct {
	Item    cases.ItemID
	Receipt cases.ItemID
	Author  cases.NodeID
	HeldAt  time.Time
	Reason  cases.Reject
	Aside   bool // says nothing of delivery to the receiver's side
}

const insertCovers = `INSERT INTO cover (item, receipt, author, held_at, reason, aside)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::timestamptz[], $5::smallint[], $6::boolean[]) u ON CONFLICT DO NOTHING`

// InsertCovers indexes what receipts cover.
func (tx *Tx) InsertCovers(ctx context.Context, cs []Cover) error {
	if len(cs) == 0 {
		return nil
	}
	n := len(cs)
	items, receipts, authors, at, reasons := make([][16]byte, n), make([][16]byte, n), make([]int64, n), make([]time.Time, n), make([]int16, n)
	aside := make([]bool, n)
	for i, c := range cs {
		aside[i] = c.Aside
		items[i], receipts[i], authors[i], at[i], reasons[i] = c.Item, c.Receipt, int64(c.Author), c.HeldAt, int16(c.Reason)
	}
	return tx.write(insertCovers, items, receipts, authors, at, reasons, aside)
}

const coversOf = `SELECT c.item, c.receipt, c.author, c.held_at, c.reason FROM (SELECT DISTINCT unnest($1::uuid[]) AS id) u
CROSS JOIN LATERAL (SELECT item, receipt, author, held_at, reason FROM cover WHERE item = u.id OFFSET 0) c`

// CoversOf returns the covers of items, in no order.
func (tx *Tx) CoversOf(ctx context.Context, ids []cases.ItemID) ([]Cover, error) {
	rows, err := tx.Query(ctx, coversOf, uuids(ids))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanCover)
}

func scanCover(r pgx.CollectableRow) (c Cover, err error) {
	var reason int16
	err = r.Scan((*[16]byte)(&c.Item), (*[16]byte)(&c.Receipt), (*int64)(&c.Author), &c.HeldAt, &reason)
	c.Reason = cases.Reject(reason)
	return c, err
}
