package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/ledger"
)

const movedPersons = `SELECT DISTINCT person FROM movement
WHERE office = $1 AND kind = $2 AND event_on >= $3 AND event_on < $4 AND recorded_at <= $5 AND (undone_at IS NULL OR undone_at > $5)`

// MovedPersons returns who has a movement of a kind at an office that happened
// in [from, to), was recorded up to an instant and stood then; each once, in no
// order. It uses movement_event.
func (tx *Tx) MovedPersons(ctx context.Context, office area.Key, kind ledger.MovementKind, from, to civil.Date, at time.Time) ([]cases.PersonID, error) {
	rows, err := tx.Query(ctx, movedPersons, int64(office), int16(kind), from.UTC(), to.UTC(), at)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (id cases.PersonID, err error) {
		err = r.Scan((*[16]byte)(&id))
		return id, err
	})
}

// OpenRound is a round of a case that had no answer at an instant though it was
// due. It names nobody.
type OpenRound struct {
	Case     cases.CaseID
	Extended int // days by which a county-signed outage put off the due
	RoundFact
}

// A due later than the instant is no concern of it, and what was answered by then
// is none either; the rest of what a round counts as is decided by its fact.
const openRounds = `SELECT case_id, extended, office, side, kind, x, y, round, waiting, round_at, delivered_at, due_at, answered_at, withdrawn_at, closed_at, reroute, rerouted_at
FROM case_side WHERE office = ANY($1) AND coalesce(due_at, 'infinity'::timestamptz) > $2 AND coalesce(due_at, 'infinity'::timestamptz) <= $3
    AND (answered_at IS NULL OR answered_at > $4)
UNION ALL
SELECT case_id, extended, office, side, kind, x, y, round, 0, round_at, delivered_at, due_at, answered_at, withdrawn_at, closed_at, reroute, rerouted_at
FROM side_round WHERE office = ANY($1) AND due_at > $2 AND due_at <= $3 AND (answered_at IS NULL OR answered_at > $4)`

// OpenRounds streams the rounds of offices, as both sides, that fell due after
// from and up to to and had no answer at an instant. It uses case_side_due and
// side_round_due.
func (tx *Tx) OpenRounds(ctx context.Context, offices []area.Key, from, to, at time.Time, each func(OpenRound) error) error {
	rows, err := tx.Query(ctx, openRounds, ints(offices), from, to, at)
	if err != nil {
		return err
	}
	var f OpenRound
	var s, k, w, extended int16
	var round int32
	var t [6]*time.Time
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&f.Case), &extended, (*int64)(&f.Office), &s, &k, (*int64)(&f.X), (*int64)(&f.Y), &round, &w, &f.RoundAt,
		&t[0], &t[1], &t[2], &t[3], &t[4], (*int64)(&f.Reroute), &t[5]}, func() error {
		f.Side, f.Kind, f.Waiting, f.Round, f.Extended = cases.Side(s), cases.Kind(k), uint8(w), uint32(round), int(extended)
		f.DeliveredAt, f.DueAt, f.AnsweredAt, f.WithdrawnAt, f.ClosedAt, f.ReroutedAt = orZero(t[0]), orZero(t[1]), orZero(t[2]), orZero(t[3]), orZero(t[4]), orZero(t[5])
		return each(f)
	})
	return err
}

// What was not delivered at the instant was not due at it either.
const unreceiptedAt = `SELECT office, count(*) FROM (
    SELECT office FROM case_side WHERE office = ANY($1) AND side = 1 AND coalesce(due_at, 'infinity'::timestamptz) > $2
        AND round_at < $3 AND (delivered_at IS NULL OR delivered_at > $2) AND (closed_at IS NULL OR closed_at > $2)
    UNION ALL
    SELECT office FROM side_round WHERE office = ANY($1) AND side = 1 AND coalesce(due_at, 'infinity'::timestamptz) > $2
        AND round_at < $3 AND (delivered_at IS NULL OR delivered_at > $2) AND (closed_at IS NULL OR closed_at > $2)) u
GROUP BY office`

// UnreceiptedAt counts, for each office that opened them, the rounds that were
// sent before an instant and neither delivered nor closed at another (未签收).
func (tx *Tx) UnreceiptedAt(ctx context.Context, offices []area.Key, at, sentBefore time.Time) (map[area.Key]int64, error) {
	rows, err := tx.Query(ctx, unreceiptedAt, ints(offices), at, sentBefore)
	if err != nil {
		return nil, err
	}
	out := map[area.Key]int64{}
	var k area.Key
	var n int64
	_, err = pgx.ForEachRow(rows, []any{(*int64)(&k), &n}, func() error {
		out[k] = n
		return nil
	})
	return out, err
}
