package store

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
)

// Rounds as rates count them, without persons: the current one of a case_side,
// the earlier ones of side_round.
const (
	sideRounds = `case_id, office, side, kind, x, y, round, waiting, round_at, delivered_at, due_at, answered_at, answer_held, withdrawn_at, closed_at,
    reroute, rerouted_at, assigned, assigned_at, standing, standing_day, extended`
	pastRounds = `case_id, office, side, kind, x, y, round, 0::smallint AS waiting, round_at, delivered_at, due_at, answered_at, answer_held, withdrawn_at, closed_at,
    reroute, rerouted_at, 0::bigint AS assigned, NULL::timestamptz AS assigned_at, standing, standing_day, extended`
)

// roundScan scans the columns above.
type roundScan struct {
	s                           Side
	side, kind, waiting, stands int16
	round, day                  int32
	extended                    int16
	t                           [8]*time.Time
}

func (r *roundScan) into() []any {
	s := &r.s
	return []any{(*[16]byte)(&s.Case), (*int64)(&s.Office), &r.side, &r.kind, (*int64)(&s.X), (*int64)(&s.Y), &r.round, &r.waiting, &s.RoundAt,
		&r.t[0], &r.t[1], &r.t[2], &r.t[3], &r.t[4], &r.t[5], (*int64)(&s.Reroute), &r.t[6], (*int64)(&s.Assigned), &r.t[7], &r.stands, &r.day, &r.extended}
}

func (r *roundScan) row() Side {
	s := r.s
	s.Side, s.Kind, s.Waiting, s.Round = cases.Side(r.side), cases.Kind(r.kind), uint8(r.waiting), uint32(r.round)
	s.Standing, s.StandingDay, s.Extended = uint8(r.stands), civil.FromDays(int(r.day)), uint32(r.extended)
	for i, p := range []*time.Time{&s.DeliveredAt, &s.DueAt, &s.AnsweredAt, &s.AnswerHeld, &s.WithdrawnAt, &s.ClosedAt, &s.ReroutedAt, &s.AssignedAt} {
		*p = orZero(r.t[i])
	}
	return s
}

func eachRound(rows pgx.Rows, err error, each func(Side) error) error {
	if err != nil {
		return err
	}
	var r roundScan
	_, err = pgx.ForEachRow(rows, r.into(), func() error { return each(r.row()) })
	return err
}

func collectRounds(rows pgx.Rows, err error) (out []Side, _ error) {
	err = eachRound(rows, err, func(s Side) error { out = append(out, s); return nil })
	return out, err
}

// A due instant is the start of the next day.
const dueRounds = `SELECT ` + sideRounds + ` FROM case_side WHERE office = ANY ($1) AND side = $2
    AND coalesce(due_at, 'infinity'::timestamptz) > $3 AND coalesce(due_at, 'infinity'::timestamptz) <= $4
UNION ALL SELECT ` + pastRounds + ` FROM side_round WHERE office = ANY ($1) AND side = $2 AND due_at > $3 AND due_at <= $4`

// DueRounds streams the rounds of offices that fall due on a day of [from, to).
// Of a Side only what rates need is filled.
func (tx *Tx) DueRounds(ctx context.Context, offices []area.Key, side cases.Side, from, to civil.Date, each func(Side) error) error {
	rows, err := tx.Query(ctx, dueRounds, ints(offices), int16(side), from.StartInstant(), to.StartInstant())
	return eachRound(rows, err, each)
}

// RoundFilter selects the rounds behind a figure of one office, and a page.
type RoundFilter struct {
	Office    area.Key
	Side      cases.Side
	Kinds     []cases.Kind
	Standings []uint8
	From, To  civil.Date // standing days [From, To)
	Peer      area.Key   // counterpart area; 0: all

	AfterDue   time.Time // position of the page before; zero: not delivered
	AfterCase  cases.CaseID
	AfterRound uint32
	After      bool
	Limit      int
}

// Each branch gives at most a page, in order, of which the first rows are the
// page: current and earlier rounds, delivered (found by due) and not.
const (
	behind = `office = $1 AND side = $2 AND kind = ANY ($3) AND standing = ANY ($4) AND standing_day >= $5 AND standing_day < $6
        AND CASE side WHEN 1 THEN y ELSE x END >= $7 AND CASE side WHEN 1 THEN y ELSE x END <= $8`
	dueOrNever  = `coalesce(due_at, 'infinity'::timestamptz)`
	dueWithin   = ` AND ` + dueOrNever + ` > $9 AND ` + dueOrNever + ` <= $10`
	neverDue    = ` AND ` + dueOrNever + ` = 'infinity' AND standing <= 2`
	pageBehind  = ` AND (` + dueOrNever + `, case_id, round) > ($11::timestamptz, $12::uuid, $13::int) ORDER BY ` + dueOrNever + `, case_id, round LIMIT $14`
	dueOfRounds = ` AND due_at > $9 AND due_at <= $10`
	neverRounds = ` AND due_at IS NULL AND standing <= 2`
)

const roundsBehind = `SELECT * FROM (
    (SELECT ` + sideRounds + ` FROM case_side WHERE ` + behind + dueWithin + pageBehind + `)
    UNION ALL (SELECT ` + sideRounds + ` FROM case_side WHERE ` + behind + neverDue + pageBehind + `)
    UNION ALL (SELECT ` + pastRounds + ` FROM side_round WHERE ` + behind + dueOfRounds + pageBehind + `)
    UNION ALL (SELECT ` + pastRounds + ` FROM side_round WHERE ` + behind + neverRounds + pageBehind + `)
) u ORDER BY ` + dueOrNever + `, case_id, round LIMIT $14`

const countBehind = `SELECT (SELECT count(*) FROM case_side WHERE ` + behind + dueWithin + `) + (SELECT count(*) FROM case_side WHERE ` + behind + neverDue + `)
    + (SELECT count(*) FROM side_round WHERE ` + behind + dueOfRounds + `) + (SELECT count(*) FROM side_round WHERE ` + behind + neverRounds + `)`

// RoundsBehind returns a page of rounds in order of due, case and round; those
// that were not delivered come last.
func (tx *Tx) RoundsBehind(ctx context.Context, f RoundFilter) ([]Side, error) {
	after := any("-infinity")
	if f.After {
		if after = f.AfterDue; f.AfterDue.IsZero() {
			after = "infinity"
		}
	}
	return collectRounds(tx.Query(ctx, roundsBehind, append(f.args(), after, [16]byte(f.AfterCase), int32(f.AfterRound), f.Limit)...))
}

// CountBehind counts all rounds that RoundsBehind would page through.
func (tx *Tx) CountBehind(ctx context.Context, f RoundFilter) (n int64, err error) {
	err = tx.QueryRow(ctx, countBehind, f.args()...).Scan(&n)
	return n, err
}

func (f *RoundFilter) args() []any {
	kinds, standings := make([]int16, len(f.Kinds)), make([]int16, len(f.Standings))
	for i, k := range f.Kinds {
		kinds[i] = int16(k)
	}
	for i, s := range f.Standings {
		standings[i] = int16(s)
	}
	lo, hi := within(f.Peer)
	if f.Peer == 0 {
		hi = math.MaxInt64
	}
	return []any{int64(f.Office), int16(f.Side), kinds, standings, f.From.Days(), f.To.Days(), lo, hi, f.From.StartInstant(), f.To.StartInstant()}
}

const unreceipted = `SELECT y, count(*), min(round_at) FROM case_side
WHERE office = ANY ($1) AND ` + dueOrNever + ` = 'infinity' AND side = 1 AND kind = ANY ($2) AND standing = 1 AND standing_day < $3 GROUP BY y`

// Unreceipted is what was sent to an area and not receipted.
type Unreceipted struct {
	To     area.Key
	N      int64
	Oldest time.Time
}

// UnreceiptedTo counts rounds of offices sent before a day that are not
// receipted, by the area addressed.
func (tx *Tx) UnreceiptedTo(ctx context.Context, offices []area.Key, kinds []cases.Kind, before civil.Date) ([]Unreceipted, error) {
	ks := make([]int16, len(kinds))
	for i, k := range kinds {
		ks[i] = int16(k)
	}
	rows, err := tx.Query(ctx, unreceipted, ints(offices), ks, before.Days())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (u Unreceipted, err error) {
		err = r.Scan((*int64)(&u.To), &u.N, &u.Oldest)
		return u, err
	})
}

const gapsIn = `SELECT since, coalesce(until, 'infinity'::timestamptz) = 'infinity', coalesce(until, since) FROM outage
WHERE since < $2 AND coalesce(until, 'infinity'::timestamptz) > $1 ORDER BY since`

// Gap is a logged time without broker or database; Until zero: it lasts.
type Gap struct{ Since, Until time.Time }

// GapsIn returns the logged outages of this node that touch a stretch of time.
func (tx *Tx) GapsIn(ctx context.Context, from, to time.Time) ([]Gap, error) {
	rows, err := tx.Query(ctx, gapsIn, from, to)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (o Gap, err error) {
		var lasts bool
		if err = r.Scan(&o.Since, &lasts, &o.Until); lasts {
			o.Until = time.Time{}
		}
		return o, err
	})
}

const (
	unknownSides  = `SELECT ` + sideRounds + ` FROM case_side WHERE standing = 0 ORDER BY case_id, office LIMIT $1`
	unknownRounds = `SELECT ` + pastRounds + ` FROM side_round WHERE standing = 0 ORDER BY case_id, office, round LIMIT $1`
	standSides    = `UPDATE case_side s SET standing = u.standing, standing_day = u.day
FROM unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::int[]) u (case_id, office, standing, day)
WHERE s.case_id = u.case_id AND s.office = u.office AND s.standing = 0`
	standRounds = `UPDATE side_round s SET standing = u.standing, standing_day = u.day
FROM unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::int[], $5::int[]) u (case_id, office, standing, day, round)
WHERE s.case_id = u.case_id AND s.office = u.office AND s.round = u.round AND s.standing = 0`
)

// UnknownSides finds current rounds without a standing.
func (tx *Tx) UnknownSides(ctx context.Context, limit int) ([]Side, error) {
	return collectRounds(tx.Query(ctx, unknownSides, limit))
}

// UnknownRounds finds earlier rounds without a standing.
func (tx *Tx) UnknownRounds(ctx context.Context, limit int) ([]Side, error) {
	return collectRounds(tx.Query(ctx, unknownRounds, limit))
}

// SetSideStandings writes standings where there still is none, and returns of
// how many.
func (tx *Tx) SetSideStandings(ctx context.Context, s []Side) (int64, error) {
	ids, offices, standings, days, _ := standingColumns(s)
	t, err := tx.Exec(ctx, standSides, ids, offices, standings, days)
	return t.RowsAffected(), err
}

// SetRoundStandings is SetSideStandings for earlier rounds.
func (tx *Tx) SetRoundStandings(ctx context.Context, s []Side) (int64, error) {
	ids, offices, standings, days, rounds := standingColumns(s)
	t, err := tx.Exec(ctx, standRounds, ids, offices, standings, days, rounds)
	return t.RowsAffected(), err
}

func standingColumns(s []Side) (ids [][16]byte, offices []int64, standings []int16, days, rounds []int32) {
	for i := range s {
		ids, offices = append(ids, s[i].Case), append(offices, int64(s[i].Office))
		standings, days = append(standings, int16(s[i].Standing)), append(days, int32(s[i].StandingDay.Days()))
		rounds = append(rounds, int32(s[i].Round))
	}
	return ids, offices, standings, days, rounds
}
