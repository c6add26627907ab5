package store

import (
	"context"
	"math"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
)

// Books of the cube: what is counted.
const (
	BookRounds  = 1 // rounds, by rates.Standing
	BookPairing = 2 // notices received, by whether they are paired (PairingOpen, PairingDone)

	PairingOpen = 1
	PairingDone = 2

	// Of CubeRow alone: rounds sent before CubeQuery.Sent and not receipted, and
	// rounds of the period whose due an outage put off.
	BookUnreceipted = 101
	BookExtended    = 102
)

// addsUp is the advisory lock of whoever changes the sums.
const addsUp = `SELECT pg_try_advisory_xact_lock(hashtext('cube'))`

// What is taken is all that the row policy shows: a part of it, taken by ctid,
// had a plan of an empty table that compared each row with each of the part, and
// kept at it for minutes. In cube_peer the day is kept only while it decides what
// a round counts as.
const addUp = `WITH gone AS (
    DELETE FROM cube_delta RETURNING office, book, side, kind, peer, standing, day, n
), days AS (
    INSERT INTO cube_day AS c (office, book, day, side, kind, standing, n)
    SELECT office, book, day, side, kind, standing, sum(n) FROM gone GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(n) <> 0
    ON CONFLICT (office, book, day, side, kind, standing) DO UPDATE SET n = c.n + excluded.n
), months AS (
    INSERT INTO cube_month AS c (office, book, month, side, kind, standing, n)
    SELECT office, book, month_of(day), side, kind, standing, sum(n) FROM gone GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(n) <> 0
    ON CONFLICT (office, book, month, side, kind, standing) DO UPDATE SET n = c.n + excluded.n
), peers AS (
    INSERT INTO cube_peer AS c (office, book, month, peer, side, kind, standing, day, n)
    SELECT office, book, month_of(day), peer, side, kind, standing, CASE WHEN standing = 1 OR standing >= 8 THEN day ELSE 0 END, sum(n)
    FROM gone WHERE book = 1 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 HAVING sum(n) <> 0
    ON CONFLICT (office, book, month, peer, side, kind, standing, day) DO UPDATE SET n = c.n + excluded.n
)
SELECT count(*) FROM gone`

// AddUp adds the changes of counts of the transaction's offices to the sums and
// returns how many; 0 also where somebody else adds up just now. Readers see a
// change either among the changes or in the sums, at any instant.
func (tx *Tx) AddUp(ctx context.Context) (n int64, err error) {
	var mine bool
	if err := tx.QueryRow(ctx, addsUp).Scan(&mine); err != nil || !mine {
		return 0, err
	}
	err = tx.QueryRow(ctx, addUp).Scan(&n)
	return n, err
}

const countDeltas = `SELECT count(*) FROM cube_delta`

// Deltas counts the changes that wait to be added up.
func (tx *Tx) Deltas(ctx context.Context) (n int64, err error) {
	err = tx.QueryRow(ctx, countDeltas).Scan(&n)
	return n, err
}

const (
	dropEmptyDays   = `DELETE FROM cube_day WHERE n = 0`
	dropEmptyMonths = `DELETE FROM cube_month WHERE n = 0`
	dropEmptyPeers  = `DELETE FROM cube_peer WHERE n = 0`
)

// DropEmptySums removes sums that came back to nought, unless somebody adds up
// just now.
func (tx *Tx) DropEmptySums(ctx context.Context) (int64, error) {
	var mine bool
	if err := tx.QueryRow(ctx, addsUp).Scan(&mine); err != nil || !mine {
		return 0, err
	}
	var n int64
	for _, sql := range []string{dropEmptyDays, dropEmptyMonths, dropEmptyPeers} {
		t, err := tx.Exec(ctx, sql)
		if err != nil {
			return n, err
		}
		n += t.RowsAffected()
	}
	return n, nil
}

// CubeQuery selects counts of the transaction's offices.
type CubeQuery struct {
	Kinds    []cases.Kind
	Pairing  bool // BookPairing too; has no counterpart
	ByOffice bool // else together, CubeRow.Office is 0

	// Side from which rounds count; of certificates ShownSide.
	Side, ShownSide cases.Side

	// Days [From, To). Days false: whole months, answered from sums of months.
	From, To civil.Date
	Days     bool

	// Open is the first day whose end has not come; Sent the first of sending of
	// which the receipt is not missed yet.
	Open, Sent civil.Date

	// Peer is a counterpart area at or above the county, 0: all; ByPeer keeps the
	// counterparts apart. Both want whole months.
	Peer   area.Key
	ByPeer bool
}

// CubeRow is a count. Month is yyyymm, 0 where days were asked for. Past says
// of a standing that waits whether its day is over; of others it says nothing.
type CubeRow struct {
	Office   area.Key
	Peer     area.Key
	Book     int16
	Kind     cases.Kind
	Month    int
	Standing uint8
	Past     bool
	N        int64
}

// The three statements share their numbers: $1 by office, $2 kinds, $3 side of
// rounds, $4 side of certificates, $5 and $6 first and last month, $7 and $8 days
// from and to, $9 the first open day, $10 the first of sending that is not missed,
// $11 with pairing. Sums and changes are read in one statement, so that nothing is
// counted twice or lost between them. The offices are those of the transaction:
// asked for once more, each of them would be looked up once for each of them.
const (
	cubeOf    = `kind = ANY ($2)`
	cubeSide  = ` AND side = CASE kind WHEN 4 THEN $4::smallint ELSE $3::smallint END`
	cubeOut   = `CASE WHEN $1 THEN office ELSE 0 END, peer, book, kind, month, standing, past, sum(n)::bigint FROM (`
	cubeGroup = `) u GROUP BY 1, 2, 3, 4, 5, 6, 7 HAVING sum(n) <> 0`
	inD       = ` AND standing IN (3, 4, 8, 9, 10, 11)`

	cubeExtended = `
    UNION ALL SELECT office, 0, 102, kind, 0, standing, true, 1 FROM case_side
        WHERE ` + cubeOf + cubeSide + ` AND extended > 0 AND standing_day >= $7 AND standing_day < $8` + inD + `
    UNION ALL SELECT office, 0, 102, kind, 0, standing, true, 1 FROM side_round
        WHERE ` + cubeOf + cubeSide + ` AND extended > 0 AND standing_day >= $7 AND standing_day < $8` + inD

	cubeUnreceipted = `
    UNION ALL SELECT office, 0, 101, kind, 0, standing, true, n FROM cube_month
        WHERE ` + cubeOf + cubeSide + ` AND book = 1 AND standing = 1 AND month < month_of($10)
    UNION ALL SELECT office, 0, 101, kind, 0, standing, true, n FROM cube_day
        WHERE ` + cubeOf + cubeSide + ` AND book = 1 AND standing = 1 AND day >= $10 - 30 AND month_of(day) = month_of($10) AND day < $10
    UNION ALL SELECT office, 0, 101, kind, 0, standing, true, n FROM d WHERE book = 1 AND standing = 1 AND day < $10`

	// Changes are read once, whatever for: after many the index keeps their dead
	// entries until it is vacuumed.
	cubeChanges = ` d AS MATERIALIZED (SELECT office, book, side, kind, peer, standing, day, n FROM cube_delta
        WHERE ` + cubeOf + ` AND (book = 1` + cubeSide + ` OR book = 2)) `
)

// Sums of months, and of the month in which days are over and days are open the
// waiting ones by day: what is over is taken from what is not.
const cubeMonths = `WITH` + cubeChanges + `SELECT ` + cubeOut + `
    SELECT office, 0::bigint AS peer, book, kind, month, standing, standing >= 8 AND month < month_of($9) AS past, n FROM cube_month
        WHERE ` + cubeOf + cubeSide + ` AND book = 1 AND month >= $5 AND month <= $6
    UNION ALL SELECT office, 0, book, kind, month_of(day), standing, standing >= 8 AND day < $9, n FROM d
        WHERE book = 1 AND month_of(day) >= $5 AND month_of(day) <= $6
    UNION ALL SELECT office, 0, book, kind, month_of($9), standing, v.past, n * v.f FROM cube_day, (VALUES (true, 1), (false, -1)) v (past, f)
        WHERE ` + cubeOf + cubeSide + ` AND book = 1 AND day >= $9 - 30 AND month_of(day) = month_of($9) AND day < $9 AND standing >= 8
            AND month_of($9) >= $5 AND month_of($9) <= $6
    UNION ALL SELECT office, 0, book, kind, month, standing, false, n FROM cube_month
        WHERE ` + cubeOf + ` AND $11 AND book = 2 AND month >= $5 AND month <= $6
    UNION ALL SELECT office, 0, book, kind, month_of(day), standing, false, n FROM d
        WHERE $11 AND book = 2 AND month_of(day) >= $5 AND month_of(day) <= $6` +
	cubeUnreceipted + cubeExtended + cubeGroup

const cubeDays = `WITH` + cubeChanges + `SELECT ` + cubeOut + `
    SELECT office, 0::bigint AS peer, book, kind, 0 AS month, standing, standing >= 8 AND day < $9 AS past, n FROM cube_day
        WHERE ` + cubeOf + cubeSide + ` AND book = 1 AND day >= $7 AND day < $8
    UNION ALL SELECT office, 0, book, kind, 0, standing, standing >= 8 AND day < $9, n FROM d
        WHERE book = 1 AND day >= $7 AND day < $8
    UNION ALL SELECT office, 0, book, kind, 0, standing, false, n FROM cube_day
        WHERE ` + cubeOf + ` AND $11 AND book = 2 AND day >= $7 AND day < $8
    UNION ALL SELECT office, 0, book, kind, 0, standing, false, n FROM d
        WHERE $11 AND book = 2 AND day >= $7 AND day < $8 AND $5::int <= $6::int` +
	cubeUnreceipted + cubeExtended + cubeGroup

// $11 by counterpart, $12 and $13 the range of counterparts.
const (
	byPeer = `CASE WHEN $11 THEN peer ELSE 0 END`
	ofPeer = ` AND peer >= $12 AND peer <= $13`
	ofArea = ` AND area_county(CASE side WHEN 1 THEN y ELSE x END) >= $12 AND area_county(CASE side WHEN 1 THEN y ELSE x END) <= $13`
	byArea = `CASE WHEN $11 THEN area_county(CASE side WHEN 1 THEN y ELSE x END) ELSE 0 END`
)

const cubePeers = `WITH` + cubeChanges + `SELECT ` + cubeOut + `
    SELECT office, ` + byPeer + ` AS peer, book, kind, month, standing, standing >= 8 AND day < $9 AS past, n FROM cube_peer
        WHERE ` + cubeOf + cubeSide + ofPeer + ` AND book = 1 AND month >= $5 AND month <= $6
    UNION ALL SELECT office, ` + byPeer + `, book, kind, month_of(day), standing, standing >= 8 AND day < $9, n FROM d
        WHERE book = 1` + ofPeer + ` AND month_of(day) >= $5 AND month_of(day) <= $6
    UNION ALL SELECT office, ` + byPeer + `, 101, kind, 0, standing, true, n FROM cube_peer
        WHERE ` + cubeOf + cubeSide + ofPeer + ` AND book = 1 AND standing = 1 AND day < $10
    UNION ALL SELECT office, ` + byPeer + `, 101, kind, 0, standing, true, n FROM d
        WHERE book = 1` + ofPeer + ` AND standing = 1 AND day < $10
    UNION ALL SELECT office, ` + byArea + `, 102, kind, 0, standing, true, 1 FROM case_side
        WHERE ` + cubeOf + cubeSide + ofArea + ` AND extended > 0 AND standing_day >= $7 AND standing_day < $8` + inD + `
    UNION ALL SELECT office, ` + byArea + `, 102, kind, 0, standing, true, 1 FROM side_round
        WHERE ` + cubeOf + cubeSide + ofArea + ` AND extended > 0 AND standing_day >= $7 AND standing_day < $8` + inD + cubeGroup

// Cube counts. Everything in one answer is of one instant.
func (tx *Tx) Cube(ctx context.Context, q CubeQuery) ([]CubeRow, error) {
	kinds := make([]int16, len(q.Kinds))
	for i, k := range q.Kinds {
		kinds[i] = int16(k)
	}
	args := []any{q.ByOffice, kinds, int16(q.Side), int16(q.ShownSide), yyyymm(q.From), yyyymm(q.To.AddDays(-1)),
		q.From.Days(), q.To.Days(), q.Open.Days(), q.Sent.Days()}
	sql := cubeMonths
	switch {
	case q.Peer != 0 || q.ByPeer:
		lo, hi := within(q.Peer)
		if q.Peer == 0 {
			hi = math.MaxInt64
		}
		sql, args = cubePeers, append(args, q.ByPeer, lo, hi)
	case q.Days:
		sql, args = cubeDays, append(args, q.Pairing)
	default:
		args = append(args, q.Pairing)
	}
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (c CubeRow, err error) {
		var kind, standing int16
		err = r.Scan((*int64)(&c.Office), (*int64)(&c.Peer), &c.Book, &kind, &c.Month, &standing, &c.Past, &c.N)
		c.Kind, c.Standing = cases.Kind(kind), uint8(standing)
		return c, err
	})
}

func yyyymm(d civil.Date) int { return d.Year*100 + int(d.Month) }
