package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
)

// Outage is a time in which the offices of an area could not work, as their
// county signed for it.
type Outage struct {
	ID         cases.ItemID // what EXTENDs name
	Office     area.Key     // the county
	Area       area.Key     // that could not work
	From, To   time.Time    // To is not part of it
	Reason     string
	Account    string
	DeclaredAt time.Time
	Rounds     int64 // whose due it put off
}

const insertOutage = `INSERT INTO outage_declared (id, office, area, since, until, reason, account, declared_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

// AddOutage writes an outage; one that stands is an error (ReasonDuplicate).
func (tx *Tx) AddOutage(_ context.Context, o *Outage) error {
	return tx.write(insertOutage, [16]byte(o.ID), int64(o.Office), int64(o.Area), o.From, o.To, o.Reason, o.Account, o.DeclaredAt)
}

const outageColumns = `id, office, area, since, until, reason, account, declared_at, rounds`

func scanOutage(r pgx.CollectableRow) (o Outage, err error) {
	err = r.Scan((*[16]byte)(&o.ID), (*int64)(&o.Office), (*int64)(&o.Area), &o.From, &o.To, &o.Reason, &o.Account, &o.DeclaredAt, &o.Rounds)
	return o, err
}

const outageOf = `SELECT ` + outageColumns + ` FROM outage_declared WHERE id = $1`

// Outage reads one outage; false where the transaction sees none of the id.
func (tx *Tx) Outage(ctx context.Context, id cases.ItemID) (Outage, bool, error) {
	rows, err := tx.Query(ctx, outageOf, [16]byte(id))
	if err != nil {
		return Outage{}, false, err
	}
	os, err := pgx.CollectRows(rows, scanOutage)
	if err != nil || len(os) == 0 {
		return Outage{}, false, err
	}
	return os[0], true, nil
}

const outagesSince = `SELECT ` + outageColumns + ` FROM outage_declared WHERE declared_at >= $1 ORDER BY declared_at DESC, id LIMIT $2`

// Outages returns what the transaction's offices declared since an instant, the
// newest first.
func (tx *Tx) Outages(ctx context.Context, since time.Time, limit int) ([]Outage, error) {
	rows, err := tx.Query(ctx, outagesSince, since, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanOutage)
}

// RoundRef names a round in the order of its due.
type RoundRef struct {
	Case  cases.CaseID
	Round uint32
	Due   time.Time
}

// case_side_due and side_round_due give an office's rows from a due on.
const stoodIn = ` office = $1 AND side = 2 AND delivered_at < $5
    AND (answered_at IS NULL OR answered_at > $4) AND (withdrawn_at IS NULL OR withdrawn_at > $4) AND (closed_at IS NULL OR closed_at > $4)`
const outageSides = `SELECT case_id, round, due_at FROM case_side s WHERE` + stoodIn + `
    AND (coalesce(due_at, 'infinity'::timestamptz), case_id) > ($2::timestamptz, $3::uuid) AND due_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM outage_round o WHERE o.outage = $6 AND o.case_id = s.case_id AND o.round = s.round)
ORDER BY coalesce(due_at, 'infinity'::timestamptz), case_id LIMIT $7`
const outageRounds = `SELECT case_id, round, due_at FROM side_round s WHERE` + stoodIn + `
    AND due_at >= $2 AND (due_at, case_id) > ($2::timestamptz, $3::uuid)
    AND NOT EXISTS (SELECT FROM outage_round o WHERE o.outage = $6 AND o.case_id = s.case_id AND o.round = s.round)
ORDER BY due_at, case_id LIMIT $7`

// RoundsIn pages through the rounds of an office on the receiver's side that
// waited while an outage lasted: delivered before its end, unanswered and open at
// its beginning, not overdue by then, and not put off by it yet. past asks for
// earlier rounds of cases. The page begins after a round; zero: at the first.
func (tx *Tx) RoundsIn(ctx context.Context, o *Outage, office area.Key, past bool, after RoundRef, limit int) ([]RoundRef, error) {
	sql := outageSides
	if past {
		sql = outageRounds
	}
	if after.Due.IsZero() {
		after = RoundRef{Due: o.From}
	}
	rows, err := tx.Query(ctx, sql, int64(office), after.Due, [16]byte(after.Case), o.From, o.To, [16]byte(o.ID), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (f RoundRef, err error) {
		var n int32
		err = r.Scan((*[16]byte)(&f.Case), &n, &f.Due)
		f.Round = uint32(n)
		return f, err
	})
}

const markPutOff = `WITH fresh AS (
    INSERT INTO outage_round (outage, case_id, round, office) SELECT $1, u.case_id, u.round, $2 FROM unnest($3::uuid[], $4::int[]) u (case_id, round)
    ON CONFLICT DO NOTHING RETURNING 1
) UPDATE outage_declared SET rounds = rounds + (SELECT count(*) FROM fresh) WHERE id = $1`

// MarkPutOff notes that an outage has put off the dues of rounds.
func (tx *Tx) MarkPutOff(_ context.Context, o *Outage, rounds []RoundRef) error {
	if len(rounds) == 0 {
		return nil
	}
	ids, ns := make([][16]byte, len(rounds)), make([]int32, len(rounds))
	for i, r := range rounds {
		ids[i], ns[i] = r.Case, int32(r.Round)
	}
	return tx.write(markPutOff, [16]byte(o.ID), int64(o.Office), ids, ns)
}
