package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/cases"
	"yipan/internal/civil"
)

// Share is what this node believes about an item and a peer (rule 10).
type Share struct {
	Peer       cases.NodeID
	Item       cases.ItemID
	Pair       uint64
	Kind       cases.ItemKind
	MinVersion uint32
	RecordedAt time.Time
	Settled    bool
	Homeward   bool // FEEDBACK, REVOKE on its way back to its own side (M13)
}

// Day is the Shanghai day by which digests split.
func (s *Share) Day() int { return civil.In(s.RecordedAt).Days() }

const insertShares = `INSERT INTO share (peer, item, day, pair, hash, settled, urgent, kind, min_version, recorded_at, homeward)
SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::int[], $4::bigint[], $5::bigint[], $6::boolean[], $7::boolean[], $8::smallint[], $9::smallint[], $10::timestamptz[], $11::boolean[]) u`

// The exchange may meet rows that stand: a row that is settled stays so, and
// giving an item settles a pending one.
const mergeShares = `WITH merged AS (` + insertShares + `
    ON CONFLICT (peer, item) DO UPDATE SET settled = true WHERE excluded.settled AND NOT share.settled RETURNING peer, day, settled
), done AS (SELECT peer, day FROM merged WHERE settled), ` + dropped + ` SELECT count(*) FROM done`

// AddShares writes rows of items that were written just now in this
// transaction, none of which can stand yet.
func (tx *Tx) AddShares(ctx context.Context, s []Share) error { return tx.shares(ctx, insertShares, s) }

// MergeShares writes rows beside those that stand; only the exchange can. No
// (peer, item) may be there twice.
func (tx *Tx) MergeShares(ctx context.Context, s []Share) error {
	return tx.shares(ctx, mergeShares, s)
}

func (tx *Tx) shares(ctx context.Context, sql string, s []Share) error {
	if len(s) == 0 {
		return nil
	}
	n := len(s)
	peers, items, days, pairs, hashes := make([]int64, n), make([][16]byte, n), make([]int32, n), make([]int64, n), make([]int64, n)
	settled, urgent, kinds, vers, at := make([]bool, n), make([]bool, n), make([]int16, n), make([]int16, n), make([]time.Time, n)
	homeward := make([]bool, n)
	for i := range s {
		r := &s[i]
		homeward[i] = r.Homeward
		peers[i], items[i], days[i], pairs[i], hashes[i] = int64(r.Peer), r.Item, int32(r.Day()), int64(r.Pair), int64(r.Item.Hash64())
		settled[i], urgent[i], kinds[i], vers[i], at[i] = r.Settled, r.Kind == cases.Receipt, int16(r.Kind), int16(r.MinVersion), r.RecordedAt
	}
	return tx.write(sql, peers, items, days, pairs, hashes, settled, urgent, kinds, vers, at, homeward)
}

// Claimed is an item that is to be sent now.
type Claimed struct {
	Item       cases.ItemID
	Kind       cases.ItemKind
	Attempts   int // with this one, from 1
	RecordedAt time.Time
}

// Receipts come first, from their own range of share_due; FEEDBACK (kind 8)
// only where $4 allows. Skipping locked rows lets replicas share the work. The
// next try is 15 s after the first, then doubles up to $5 seconds, with a jitter
// of a quarter.
const claim = `WITH urgent AS (
    SELECT item FROM share WHERE peer = $1 AND NOT settled AND urgent AND next_try <= now() AND min_version <= $3
    ORDER BY next_try LIMIT $2 FOR UPDATE SKIP LOCKED
), rest AS (
    SELECT item FROM share WHERE peer = $1 AND NOT settled AND NOT urgent AND next_try <= now() AND min_version <= $3 AND ($4 OR kind <> 8 OR homeward)
    ORDER BY next_try LIMIT $2 FOR UPDATE SKIP LOCKED
), due AS (SELECT item FROM urgent UNION ALL SELECT item FROM rest LIMIT $2),
sent AS (
    UPDATE share s SET attempts = least(attempts + 1, 100), settled = s.urgent,
        next_try = now() + least(make_interval(secs => $5), interval '15 seconds' * power(2, least(attempts, 12))) * (0.875 + random() / 4)
    FROM due WHERE s.peer = $1 AND s.item = due.item
    RETURNING s.peer, s.day, s.item, s.kind, s.attempts, s.recorded_at, s.urgent
), done AS (SELECT peer, day FROM sent WHERE urgent), ` + dropped + `
SELECT item, kind, attempts, recorded_at FROM sent ORDER BY urgent DESC, recorded_at, item`

// Claim takes up to limit rows that are due for peer and sets their next try.
// Receipts among them are settled by that (rule 14). feedback says whether
// FEEDBACK may leave (rule 26), longest how long a row waits for its next try at
// most.
func (tx *Tx) Claim(ctx context.Context, peer cases.NodeID, limit int, speaks uint32, feedback bool, longest time.Duration) ([]Claimed, error) {
	rows, err := tx.Query(ctx, claim, int64(peer), limit, int16(min(speaks, 1<<14)), feedback, longest.Seconds())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (c Claimed, err error) {
		var kind int16
		err = r.Scan((*[16]byte)(&c.Item), &kind, &c.Attempts, &c.RecordedAt)
		c.Kind = cases.ItemKind(kind)
		return c, err
	})
}

const unclaim = `WITH done AS (
    UPDATE share SET next_try = now(), attempts = greatest(attempts - 1, 0), settled = false
    WHERE peer = $1 AND item = ANY($2) AND (urgent OR NOT settled) RETURNING peer, day
), ` + dropped + ` SELECT count(*) FROM done`

// Unclaim makes rows due at once that were claimed and then not sent; receipts,
// which the claim had settled, are owed again.
func (tx *Tx) Unclaim(ctx context.Context, peer cases.NodeID, ids []cases.ItemID) error {
	_, err := tx.Exec(ctx, unclaim, int64(peer), uuids(ids))
	return err
}

// coalesce hides share_due from the planner: by statistics from before a backlog
// it would read all that is pending for every receipt.
const settle = `WITH done AS (
    UPDATE share SET settled = true WHERE peer = $1 AND item = ANY($2) AND NOT coalesce(settled, false) RETURNING peer, day, item
), ` + dropped + ` SELECT item FROM done`

// Settle marks rows as held by the peer and returns those that were pending.
func (tx *Tx) Settle(ctx context.Context, peer cases.NodeID, ids []cases.ItemID) ([]cases.ItemID, error) {
	rows, err := tx.Query(ctx, settle, int64(peer), uuids(ids))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (id cases.ItemID, err error) {
		err = r.Scan((*[16]byte)(&id))
		return id, err
	})
}

const unsettle = `WITH done AS (
    UPDATE share SET settled = false, next_try = now(), attempts = 0 WHERE peer = $1 AND item = ANY($2) AND settled RETURNING peer, day
), ` + dropped + ` SELECT count(*) FROM done`
const forgetShares = `WITH done AS (DELETE FROM share WHERE peer = $1 AND item = ANY($2) RETURNING peer, day), ` + dropped + ` SELECT count(*) FROM done`

// Unsettle owes items to the peer again (rule 18, ii).
func (tx *Tx) Unsettle(ctx context.Context, peer cases.NodeID, ids []cases.ItemID) (n int, err error) {
	err = tx.QueryRow(ctx, unsettle, int64(peer), uuids(ids)).Scan(&n)
	return n, err
}

// ForgetShares deletes rows of a peer that is no longer a home.
func (tx *Tx) ForgetShares(ctx context.Context, peer cases.NodeID, ids []cases.ItemID) (n int, err error) {
	err = tx.QueryRow(ctx, forgetShares, int64(peer), uuids(ids)).Scan(&n)
	return n, err
}

// The distinct peers are few and share_due is partial, so walking it with a
// loose scan costs one probe a peer.
const pendingPeers = `WITH RECURSIVE p AS (
    (SELECT peer FROM share WHERE NOT settled ORDER BY peer LIMIT 1)
    UNION ALL
    SELECT (SELECT s.peer FROM share s WHERE NOT s.settled AND s.peer > p.peer ORDER BY s.peer LIMIT 1) FROM p WHERE p.peer IS NOT NULL
) SELECT peer FROM p WHERE peer IS NOT NULL`

// PendingPeers returns the peers to which something is owed.
func (tx *Tx) PendingPeers(ctx context.Context) ([]cases.NodeID, error) {
	rows, err := tx.Query(ctx, pendingPeers)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (n cases.NodeID, err error) {
		err = r.Scan((*int64)(&n))
		return n, err
	})
}

const retryNow = `UPDATE share SET next_try = now() WHERE NOT settled AND ($1::bigint = 0 OR peer = $1) AND next_try > now()`

// RetryNow makes everything owed to peer (0: to all) due at once.
func (tx *Tx) RetryNow(ctx context.Context, peer cases.NodeID) (int64, error) {
	t, err := tx.Exec(ctx, retryNow, int64(peer))
	return t.RowsAffected(), err
}

// share_due finds the rows; they are spread so that they do not all leave at once.
const hasten = `UPDATE share SET next_try = now() + $2 * random() * interval '1 second'
WHERE peer = $1 AND NOT settled AND next_try > now() + $2 * interval '1 second'`

// Hasten makes everything owed to a peer due within a time.
func (tx *Tx) Hasten(ctx context.Context, peer cases.NodeID, within time.Duration) (int64, error) {
	t, err := tx.Exec(ctx, hasten, int64(peer), within.Seconds())
	return t.RowsAffected(), err
}

// PeerLoad is what is owed to a peer and what is settled with it.
type PeerLoad struct {
	Peer         cases.NodeID
	Pending      int64
	OldestAt     time.Time // recorded_at of the oldest pending item; zero: none
	Settled      int64
	Rejected     int64
	PendingReady int64 // pending and known to be sent at least once
}

const peerLoads = `SELECT s.peer, count(*) FILTER (WHERE NOT s.settled AND s.kind <> 10), min(s.recorded_at) FILTER (WHERE NOT s.settled AND s.kind <> 10),
    count(*) FILTER (WHERE s.settled), count(*) FILTER (WHERE NOT s.settled AND s.attempts > 0)
FROM share s GROUP BY s.peer ORDER BY s.peer`
const pendingLoads = `SELECT peer, count(*) FILTER (WHERE kind <> 10), min(recorded_at) FILTER (WHERE kind <> 10), 0::bigint, count(*) FILTER (WHERE attempts > 0)
FROM share WHERE NOT settled GROUP BY peer ORDER BY peer`

// PeerLoads counts by peer. With settled it reads every share; without, only
// the pending ones, through the partial index.
func (tx *Tx) PeerLoads(ctx context.Context, settled bool) ([]PeerLoad, error) {
	sql := pendingLoads
	if settled {
		sql = peerLoads
	}
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (p PeerLoad, err error) {
		var oldest *time.Time
		err = r.Scan((*int64)(&p.Peer), &p.Pending, &oldest, &p.Settled, &p.PendingReady)
		p.OldestAt = orZero(oldest)
		return p, err
	})
}

const feedbackPending = `SELECT EXISTS (SELECT 1 FROM share WHERE peer = $1 AND NOT settled AND kind IN (8, 9) AND homeward)`

// FeedbackPending reports whether FEEDBACK or REVOKE of the peer's own side is
// pending towards it.
func (tx *Tx) FeedbackPending(ctx context.Context, peer cases.NodeID) (b bool, err error) {
	err = tx.QueryRow(ctx, feedbackPending, int64(peer)).Scan(&b)
	return b, err
}

// share is found by peer first; who settled was heard of, so peer has all.
const sharersOf = `SELECT s.peer FROM peer p CROSS JOIN LATERAL (SELECT peer, settled FROM share WHERE peer = p.node AND item = $1 OFFSET 0) s
WHERE s.settled ORDER BY s.peer`

// SharersOf returns the peers that hold an item.
func (tx *Tx) SharersOf(ctx context.Context, id cases.ItemID) ([]cases.NodeID, error) {
	rows, err := tx.Query(ctx, sharersOf, [16]byte(id))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (n cases.NodeID, err error) {
		err = r.Scan((*int64)(&n))
		return n, err
	})
}

const leastPending = `SELECT min(recorded_at) FROM share WHERE peer = $1 AND NOT settled AND kind NOT IN (10, 11)`

// LeastPending returns the least recorded_at of what cases are made of that is
// still owed to peer; zero: none.
func (tx *Tx) LeastPending(ctx context.Context, peer cases.NodeID) (time.Time, error) {
	var t *time.Time
	err := tx.QueryRow(ctx, leastPending, int64(peer)).Scan(&t)
	return orZero(t), err
}

const rejectedBy = `SELECT author, count(*) FROM cover WHERE reason <> 0 GROUP BY author`

// RejectedBy counts the items that each node rejected.
func (tx *Tx) RejectedBy(ctx context.Context) (map[cases.NodeID]int64, error) {
	rows, err := tx.Query(ctx, rejectedBy)
	if err != nil {
		return nil, err
	}
	out := map[cases.NodeID]int64{}
	var n, c int64
	_, err = pgx.ForEachRow(rows, []any{&n, &c}, func() error { out[cases.NodeID(n)] = c; return nil })
	return out, err
}
