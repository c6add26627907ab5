package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/cases"
	"yipan/internal/civil"
)

// DayPair is the digest of the settled items of one day and pair.
type DayPair struct {
	Day  int
	Pair uint64
	N    uint64
	XOR  uint64
}

const digestThrough = `SELECT digest_through FROM peer WHERE node = $1 FOR UPDATE`
const droppedDigests = `SELECT day, n FROM digest_dropped WHERE peer = $1`

// dropped is the part of a statement that forgets the cached digests of what
// its part "done" changed: of days that are over, or that were cached by a clock
// ahead of this one. Today's are never cached, so most statements drop nothing
// and no two of them meet in one row.
const dropped = `dropped AS (
    INSERT INTO digest_dropped (peer, day, n) SELECT DISTINCT d.peer, d.day, 1 FROM done d LEFT JOIN peer p ON p.node = d.peer
    WHERE d.day < (now() AT TIME ZONE 'Asia/Shanghai')::date - date '1970-01-01' OR d.day <= p.digest_through ORDER BY 1, 2
    ON CONFLICT (peer, day) DO UPDATE SET n = digest_dropped.n + 1
)`

// closedAfter is how long after its end a day is held open. A transaction that
// began before midnight drops nothing of its day, and may commit beside the
// statement that would cache that day without it; none runs for an hour.
const closedAfter = time.Hour

// share_day finds the blocks of the open and the dropped days.
const computeDigests = `SELECT day, pair, count(*), bit_xor(hash) FROM share
WHERE peer = $1 AND settled AND (day > $2 OR day = ANY($3)) GROUP BY day, pair`
const forgetDigests = `DELETE FROM digest WHERE peer = $1 AND day = ANY($2)`
const keepDigests = `INSERT INTO digest (peer, day, pair, n, x) SELECT $1, * FROM unnest($2::int[], $3::bigint[], $4::bigint[], $5::bigint[]) u`
const readDigests = `SELECT day, pair, n, x FROM digest WHERE peer = $1`
const undrop = `DELETE FROM digest_dropped d USING unnest($2::int[], $3::bigint[]) u(day, n) WHERE d.peer = $1 AND d.day = u.day AND d.n = u.n`
const setThrough = `UPDATE peer SET digest_through = $2 WHERE node = $1`

// Digests returns the digest of every day and pair settled with peer. Days
// that have been over for an hour are computed once and kept until a change
// drops them.
func (tx *Tx) Digests(ctx context.Context, peer cases.NodeID, now time.Time) ([]DayPair, error) {
	if err := tx.TouchPeer(ctx, peer); err != nil {
		return nil, err
	}
	var through int
	if err := tx.QueryRow(ctx, digestThrough, int64(peer)).Scan(&through); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, droppedDigests, int64(peer))
	if err != nil {
		return nil, err
	}
	var days []int32
	var ns []int64
	var day int32
	var n int64
	if _, err = pgx.ForEachRow(rows, []any{&day, &n}, func() error { days, ns = append(days, day), append(ns, n); return nil }); err != nil {
		return nil, err
	}
	if len(days) > 0 {
		if _, err := tx.Exec(ctx, forgetDigests, int64(peer), days); err != nil {
			return nil, err
		}
	}
	out, err := tx.dayPairs(ctx, readDigests, int64(peer))
	if err != nil {
		return nil, err
	}
	fresh, err := tx.dayPairs(ctx, computeDigests, int64(peer), through, days)
	if err != nil {
		return nil, err
	}
	// What was cached once stays so, even if the clock was set back.
	through = max(through, civil.In(now.Add(-closedAfter)).Days()-1)
	if err := tx.keepClosed(ctx, peer, fresh, through); err != nil {
		return nil, err
	}
	if len(days) > 0 {
		if _, err := tx.Exec(ctx, undrop, int64(peer), days, ns); err != nil {
			return nil, err
		}
	}
	return append(out, fresh...), nil
}

func (tx *Tx) keepClosed(ctx context.Context, peer cases.NodeID, fresh []DayPair, through int) error {
	var days []int32
	var pairs, ns, xs []int64
	for _, d := range fresh {
		if d.Day <= through {
			days, pairs, ns, xs = append(days, int32(d.Day)), append(pairs, int64(d.Pair)), append(ns, int64(d.N)), append(xs, int64(d.XOR))
		}
	}
	if len(days) > 0 {
		if _, err := tx.Exec(ctx, keepDigests, int64(peer), days, pairs, ns, xs); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, setThrough, int64(peer), through)
	return err
}

func (tx *Tx) dayPairs(ctx context.Context, sql string, args ...any) ([]DayPair, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (d DayPair, err error) {
		var p, n, x int64
		err = r.Scan(&d.Day, &p, &n, &x)
		d.Pair, d.N, d.XOR = uint64(p), uint64(n), uint64(x)
		return d, err
	})
}

const settledIDs = `SELECT item FROM share WHERE peer = $1 AND settled AND day = $2 AND pair = $3 AND item >= $4 AND item <= $5 ORDER BY item`

// SettledIDs returns the ids settled with peer of one day and pair, between lo
// and hi inclusive, in order.
func (tx *Tx) SettledIDs(ctx context.Context, peer cases.NodeID, day int, pair uint64, lo, hi cases.ItemID) ([]cases.ItemID, error) {
	rows, err := tx.Query(ctx, settledIDs, int64(peer), day, int64(pair), [16]byte(lo), [16]byte(hi))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (id cases.ItemID, err error) {
		err = r.Scan((*[16]byte)(&id))
		return id, err
	})
}
