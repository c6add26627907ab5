package store

import (
	"context"
	"time"

	"yipan/internal/area"
)

// Of the n-th invented round all is drawn from hashes of n, so that a fill is the
// same each time. Counterparts are drawn so that few have most (log-uniform, near
// to Zipf's law); dues lie in the two years before $6 and the month after.
const fillRounds = `INSERT INTO case_side (case_id, office, side, kind, x, y, status, waiting, round, opened_at, round_at, delivered_at, due_at,
    answered_at, answer_held, version, standing, standing_day)
SELECT md5('rates' || n)::uuid, office, side, kind, CASE side WHEN 1 THEN office ELSE peer END, CASE side WHEN 1 THEN peer ELSE office END,
    CASE WHEN stands IN (3, 4) THEN 2 ELSE 1 END, CASE stands WHEN 1 THEN 2 WHEN 11 THEN 4 ELSE 0 END, 1, due - interval '30 days', due - interval '30 days',
    CASE WHEN stands <> 1 THEN due - interval '29 days' END, CASE WHEN stands <> 1 THEN due END,
    CASE stands WHEN 3 THEN due - interval '5 days' WHEN 4 THEN due + interval '2 hours' END,
    CASE stands WHEN 3 THEN due - interval '119 hours' WHEN 4 THEN due + interval '3 hours' END, 1,
    stands, CASE WHEN stands = 1 THEN (due - interval '30 days') AT TIME ZONE 'Asia/Shanghai' ELSE (due - interval '1 day') AT TIME ZONE 'Asia/Shanghai' END::date - date '1970-01-01'
FROM (
    SELECT n, ($3::bigint[])[1 + mod(a, cardinality($3::bigint[]))] AS office, CASE WHEN a % 2 = 0 THEN 1 ELSE 2 END AS side,
        CASE WHEN b % 20 < 12 THEN 1 WHEN b % 20 < 17 THEN 2 ELSE 4 END AS kind,
        ($4::bigint[])[least(cardinality($4::bigint[]), floor(power(cardinality($4::bigint[]), c / 2147483648.0))::int)] AS peer, due,
        CASE WHEN d % 1000 < 3 AND due > $6 THEN 1 WHEN due - interval '5 days' > $6 THEN 11 WHEN d % 100 < 96 THEN 3 WHEN due < $6 - interval '1 day' AND d % 100 < 99 THEN 4 ELSE 11 END AS stands
    FROM (
        SELECT n, (hashint4(n) & 2147483647) AS a, (hashint4(n + 1000000007) & 2147483647) AS b, (hashint4(n + 500000003) & 2147483647) AS c, (hashint4(n + 700000001) & 2147483647) AS d,
            $5::timestamptz + (((hashint4(n + 900000011) & 2147483647) % 760) || ' days')::interval AS due
        FROM generate_series($1::int, $2::int) n) h) u`

// FillRounds writes invented rounds numbered from..to of offices with
// counterpart counties, as they would stand at now: for benchmarks, which have
// not the hours to open and answer so many.
func (tx *Tx) FillRounds(ctx context.Context, from, to int, offices, peers []area.Key, first, now time.Time) error {
	_ = tx.write(countTogether, "on") // it only queues
	_, err := tx.Exec(ctx, fillRounds, from, to, ints(offices), ints(peers), first, now)
	return err
}
