package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
)

const (
	// Each case is probed by itself, as in caseItems.
	recountSides = `SELECT s.* FROM (SELECT DISTINCT unnest($1::uuid[]) AS id) u
CROSS JOIN LATERAL (SELECT ` + sideRounds + `, status FROM case_side WHERE case_id = u.id OFFSET 0) s`
	recountRounds = `SELECT s.* FROM (SELECT DISTINCT unnest($1::uuid[]) AS id) u
CROSS JOIN LATERAL (SELECT ` + pastRounds + ` FROM side_round WHERE case_id = u.id OFFSET 0) s`
	sidesAfter  = `SELECT ` + sideRounds + ` FROM case_side WHERE (case_id, office) > ($1::uuid, $2::bigint) ORDER BY case_id, office LIMIT $3`
	roundsAfter = `SELECT ` + pastRounds + ` FROM side_round WHERE (case_id, office, round) > ($1::uuid, $2::bigint, $3::int) ORDER BY case_id, office, round LIMIT $4`
)

// Standings returns the current rounds of cases, with their status, and the
// earlier ones, as the transaction's offices see them.
func (tx *Tx) Standings(ctx context.Context, ids []cases.CaseID) (current, past []Side, err error) {
	rows, err := tx.Query(ctx, recountSides, uuids(ids))
	if err != nil {
		return nil, nil, err
	}
	var r roundScan
	var status int16
	if _, err = pgx.ForEachRow(rows, append(r.into(), &status), func() error {
		s := r.row()
		s.Status = cases.Status(status)
		current = append(current, s)
		return nil
	}); err != nil {
		return nil, nil, err
	}
	past, err = collectRounds(tx.Query(ctx, recountRounds, uuids(ids)))
	return current, past, err
}

// SidesAfter pages through the current rounds of the transaction's offices.
func (tx *Tx) SidesAfter(ctx context.Context, after cases.CaseID, office area.Key, limit int) ([]Side, error) {
	return collectRounds(tx.Query(ctx, sidesAfter, [16]byte(after), int64(office), limit))
}

// RoundsAfter pages through the earlier rounds of the transaction's offices.
func (tx *Tx) RoundsAfter(ctx context.Context, after cases.CaseID, office area.Key, round uint32, limit int) ([]Side, error) {
	return collectRounds(tx.Query(ctx, roundsAfter, [16]byte(after), int64(office), int32(round), limit))
}

// Every count that the triggers should have written, from the rows themselves,
// and every change that waits to be added up with its sign turned. Book 6 counts
// how often something changed: no rows say that.
const counted = ` office, 1::smallint AS book, side, kind, area_county(CASE side WHEN 1 THEN y ELSE x END) AS peer, standing, standing_day AS day, count(*) AS n
        FROM case_side WHERE standing <> 0 AND office = ANY ($1) GROUP BY 1, 3, 4, 5, 6, 7
    UNION ALL SELECT office, 1, side, kind, area_county(CASE side WHEN 1 THEN y ELSE x END), standing, standing_day, count(*)
        FROM side_round WHERE standing <> 0 AND office = ANY ($1) GROUP BY 1, 3, 4, 5, 6, 7
    UNION ALL SELECT office, 2, side, kind, 0, CASE WHEN person IS NULL THEN 1 ELSE 2 END, standing_day, count(*)
        FROM case_side WHERE side = 2 AND kind <= 2 AND standing IN (3, 4, 8, 9, 10, 11) AND office = ANY ($1) GROUP BY 1, 3, 4, 6, 7
    UNION ALL SELECT office, 3, (presence = 2)::int, 0, 0, 1 + (living % 10 = 5)::int + 2 * doc_ok::int, 0, count(*)
        FROM person WHERE merged_into IS NULL AND erased_at IS NULL AND presence NOT IN (4, 5) AND office = ANY ($1) GROUP BY 1, 3, 6
    UNION ALL SELECT office, 4, 0, 0, 0, CASE WHEN (recorded_at AT TIME ZONE 'Asia/Shanghai')::date <= due_on THEN 1 ELSE 2 END, due_on - date '1970-01-01', count(*)
        FROM movement WHERE due_on IS NOT NULL AND undone_at IS NULL AND office = ANY ($1) GROUP BY 1, 6, 7
    UNION ALL SELECT office, 5, 0, 0, 0, CASE WHEN issued_on IS NULL THEN 1 ELSE 2 END, asked_on - date '1970-01-01', count(*)
        FROM certificate WHERE office = ANY ($1) GROUP BY 1, 6, 7
    UNION ALL SELECT office, book, side, kind, peer, standing, day, -n FROM cube_delta WHERE office = ANY ($1) AND book <> 6`

const recountSums = `WITH c AS MATERIALIZED (SELECT` + counted + `), u AS (
    SELECT 'day' AS sums, office, book, side, kind, 0::bigint AS peer, standing, day, 0 AS month, n AS counted, 0::bigint AS kept FROM c
    UNION ALL SELECT 'day', office, book, side, kind, 0, standing, day, 0, 0, n FROM cube_day WHERE office = ANY ($1) AND book <> 6
    UNION ALL SELECT 'month', office, book, side, kind, 0, standing, 0, month_of(day), n, 0 FROM c
    UNION ALL SELECT 'month', office, book, side, kind, 0, standing, 0, month, 0, n FROM cube_month WHERE office = ANY ($1) AND book <> 6
    UNION ALL SELECT 'peer', office, book, side, kind, peer, standing, CASE WHEN standing = 1 OR standing >= 8 THEN day ELSE 0 END, month_of(day), n, 0 FROM c WHERE book = 1
    UNION ALL SELECT 'peer', office, book, side, kind, peer, standing, day, month, 0, n FROM cube_peer WHERE office = ANY ($1)
), g AS (
    SELECT sums, office, book, side, kind, peer, standing, day, month, sum(counted)::bigint AS counted, sum(kept)::bigint AS kept
    FROM u GROUP BY sums, office, book, side, kind, peer, standing, day, month
)
SELECT count(*) OVER (), sums, office, book, side, kind, peer, standing, day, month, counted, kept, counted <> kept FROM g
ORDER BY counted = kept, sums, office, book, side, kind, peer, standing, day, month LIMIT $2`

// SumDifference is a sum that is not what the rows count.
type SumDifference struct {
	Sums          string // "day", "month" or "peer"
	Office        area.Key
	Book          int16
	Side          cases.Side
	Kind          cases.Kind
	Peer          area.Key
	Standing      uint8
	Day           int // since 1970-01-01, 0 where the sums keep none
	Month         int // yyyymm, 0 likewise
	Counted, Kept int64
}

// RecountSums counts all rows of offices and compares each sum, with what waits
// to be added to it. It returns how many sums it compared, and at most limit
// (at least 1) that differ. All is of one instant.
func (tx *Tx) RecountSums(ctx context.Context, offices []area.Key, limit int) (compared int64, out []SumDifference, err error) {
	rows, err := tx.Query(ctx, recountSums, ints(offices), limit)
	if err != nil {
		return 0, nil, err
	}
	var d SumDifference
	var side, kind, standing int16
	var differs bool
	_, err = pgx.ForEachRow(rows, []any{&compared, &d.Sums, (*int64)(&d.Office), &d.Book, &side, &kind, (*int64)(&d.Peer), &standing, &d.Day, &d.Month,
		&d.Counted, &d.Kept, &differs}, func() error {
		if differs {
			d.Side, d.Kind, d.Standing = cases.Side(side), cases.Kind(kind), uint8(standing)
			out = append(out, d)
		}
		return nil
	})
	return compared, out, err
}
