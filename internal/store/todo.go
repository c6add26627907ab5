package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
)

// Kinds of what waits on a side, as the database computes them (Side.Todo).
// Numbers are those of the API.
const (
	TodoDistribute   = 1
	TodoPair         = 2
	TodoAnswer       = 3
	TodoReadAnswer   = 5
	TodoReadFeedback = 6
	TodoCorrection   = 7
	TodoReroute      = 11
)

// TodoMost is the most that a count of what waits tells apart: one more row is
// read to know that there are more.
const TodoMost = 1000

// A TodoPlace is where a page of the list begins: after an entry with this time
// and these ids. The zero value is the beginning.
type TodoPlace struct {
	At     time.Time // zero: no limit, which comes last
	ID, Of [16]byte
	Office area.Key
	Set    bool
}

// A TodoPart is one kind of what waits for one office, from a place on.
type TodoPart struct {
	Office area.Key
	Kind   int16
	After  TodoPlace
}

func (p TodoPlace) at() pgtype.Timestamptz {
	switch {
	case !p.Set:
		return pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}
	case p.At.IsZero():
		return pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}
	}
	return pgtype.Timestamptz{Time: p.At, Valid: true}
}

// case_side_todo gives each office's rows of a kind in order; a page reads no
// more of each than itself.
const listTodoSides = `SELECT s.* FROM unnest($1::bigint[], $2::smallint[], $3::timestamptz[], $4::uuid[], $5::bigint[]) q (office, kind, at, id, other)
CROSS JOIN LATERAL (
    SELECT ` + sideColumns + ` FROM case_side
    WHERE office = q.office AND case_side.todo = q.kind AND (case_side.todo_at, case_id, office) > (q.at, q.id, q.other)
    ORDER BY case_side.todo_at, case_id LIMIT $6
) s ORDER BY coalesce(s.todo_at, 'infinity'::timestamptz), s.case_id, s.office LIMIT $6`

// TodoSides returns the sides on which something waits, in order of TodoAt, case
// and office, at most limit.
func (tx *Tx) TodoSides(ctx context.Context, parts []TodoPart, limit int) ([]Side, error) {
	n := len(parts)
	if n == 0 {
		return nil, nil
	}
	offices, kinds, at, ids, others := make([]int64, n), make([]int16, n), make([]pgtype.Timestamptz, n), make([][16]byte, n), make([]int64, n)
	for i, p := range parts {
		offices[i], kinds[i], at[i], ids[i], others[i] = int64(p.Office), p.Kind, p.After.at(), p.After.ID, int64(p.After.Office)
	}
	rows, err := tx.Query(ctx, listTodoSides, offices, kinds, at, ids, others, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanSide)
}

// TodoCount is how many entries of a kind wait, and how many of them are late;
// more than TodoMost of one office are not counted.
type TodoCount struct {
	Kind    int16
	N, Late int64
}

// The rows come in order of time, so that the first TodoMost+1 hold all that
// are late, or as many as are told apart.
const countTodoSides = `SELECT q.kind, sum(c.n)::bigint, sum(c.late)::bigint FROM unnest($1::bigint[], $2::smallint[]) q (office, kind)
CROSS JOIN LATERAL (
    SELECT count(*) AS n, count(*) FILTER (WHERE t.todo_at < $3) AS late FROM (
        SELECT case_side.todo_at FROM case_side WHERE office = q.office AND case_side.todo = q.kind ORDER BY case_side.todo_at, case_id LIMIT $4) t
) c GROUP BY q.kind`

// CountTodoSides counts what waits on sides.
func (tx *Tx) CountTodoSides(ctx context.Context, offices []area.Key, kinds []int16, now time.Time) ([]TodoCount, error) {
	var os []int64
	var ks []int16
	for _, o := range offices {
		for _, k := range kinds {
			os, ks = append(os, int64(o)), append(ks, k)
		}
	}
	if len(os) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, countTodoSides, os, ks, now, TodoMost+1)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (c TodoCount, err error) {
		err = r.Scan(&c.Kind, &c.N, &c.Late)
		return c, err
	})
}

const markSeen = `UPDATE case_side SET seen_at = $3, seen_feedback = $4, rev = rev + 1, changed_at = now() WHERE case_id = $1 AND office = $2`

// MarkSeen notes what an office has read of a case (at zero: no answer). The
// etag changes.
func (tx *Tx) MarkSeen(_ context.Context, id cases.CaseID, office area.Key, at time.Time, feedback int16) error {
	return tx.write(markSeen, [16]byte(id), int64(office), nullTime(at), feedback)
}

// TodoDuplicate is an open proposal that two files are of one person.
type TodoDuplicate struct {
	Office area.Key
	A, B   cases.PersonID
	At     time.Time
}

// duplicate_open gives an office's proposals in order. One of which a file is
// restricted to others, erased, or merged since is not there, as in
// ListDuplicates.
const todoDuplicates = `SELECT d.* FROM unnest($1::bigint[]) o (office) CROSS JOIN LATERAL (
    SELECT office, a, b, at FROM duplicate
    WHERE office = o.office AND state = 0 AND (at, a, b) > ($2::timestamptz, $3::uuid, $4::uuid)
        AND (SELECT true FROM person p WHERE p.id = duplicate.a AND p.merged_into IS NULL AND p.erased_at IS NULL LIMIT 1)
        AND (SELECT true FROM person p WHERE p.id = duplicate.b AND p.merged_into IS NULL AND p.erased_at IS NULL LIMIT 1)
    ORDER BY at, a, b LIMIT $5
) d ORDER BY d.at, d.a, d.b LIMIT $5`

// TodoDuplicates returns proposals that nobody decided, oldest first.
func (tx *Tx) TodoDuplicates(ctx context.Context, offices []area.Key, after TodoPlace, limit int) ([]TodoDuplicate, error) {
	rows, err := tx.Query(ctx, todoDuplicates, ints(offices), after.at(), after.ID, after.Of, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (d TodoDuplicate, err error) {
		err = r.Scan((*int64)(&d.Office), (*[16]byte)(&d.A), (*[16]byte)(&d.B), &d.At)
		return d, err
	})
}

const countTodoDuplicates = `SELECT coalesce(sum(c.n), 0)::bigint FROM unnest($1::bigint[]) o (office) CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM (SELECT 1 FROM duplicate WHERE office = o.office AND state = 0
        AND (SELECT true FROM person p WHERE p.id = duplicate.a AND p.merged_into IS NULL AND p.erased_at IS NULL LIMIT 1)
        AND (SELECT true FROM person p WHERE p.id = duplicate.b AND p.merged_into IS NULL AND p.erased_at IS NULL LIMIT 1) LIMIT $2) q) c`

// CountTodoDuplicates counts them, up to TodoMost+1 of an office.
func (tx *Tx) CountTodoDuplicates(ctx context.Context, offices []area.Key) (n int64, err error) {
	err = tx.QueryRow(ctx, countTodoDuplicates, ints(offices), TodoMost+1).Scan(&n)
	return n, err
}

// TodoApproval is what waits for a second user.
type TodoApproval struct {
	ID     [16]byte
	Office area.Key
	Kind   ApprovalKind
	About  cases.PersonID
	Detail area.Key
	At     time.Time
}

// approval_open gives an office's in order.
const todoApprovals = `SELECT a.* FROM unnest($1::bigint[]) o (office) CROSS JOIN LATERAL (
    SELECT id, office, kind, about, detail, asked_at FROM approval
    WHERE office = o.office AND approved_at IS NULL AND used_at IS NULL AND asked_by <> $2 AND (asked_at, id) > ($3::timestamptz, $4::uuid) AND asked_at > $5
        AND (SELECT true FROM person p WHERE p.id = approval.about AND p.erased_at IS NULL LIMIT 1)
    ORDER BY asked_at, id LIMIT $6
) a ORDER BY a.asked_at, a.id LIMIT $6`

// TodoApprovals returns what others than account have asked a second user for
// after since, oldest first.
func (tx *Tx) TodoApprovals(ctx context.Context, offices []area.Key, account string, since time.Time, after TodoPlace, limit int) ([]TodoApproval, error) {
	rows, err := tx.Query(ctx, todoApprovals, ints(offices), account, after.at(), after.ID, since, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (a TodoApproval, err error) {
		var kind int16
		err = r.Scan(&a.ID, (*int64)(&a.Office), &kind, (*[16]byte)(&a.About), (*int64)(&a.Detail), &a.At)
		a.Kind = ApprovalKind(kind)
		return a, err
	})
}

const countTodoApprovals = `SELECT coalesce(sum(c.n), 0)::bigint FROM unnest($1::bigint[]) o (office) CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM (SELECT 1 FROM approval WHERE office = o.office AND approved_at IS NULL AND used_at IS NULL AND asked_by <> $2 AND asked_at > $3
        AND (SELECT true FROM person p WHERE p.id = approval.about AND p.erased_at IS NULL LIMIT 1) LIMIT $4) q) c`

// CountTodoApprovals counts them, up to TodoMost+1 of an office.
func (tx *Tx) CountTodoApprovals(ctx context.Context, offices []area.Key, account string, since time.Time) (n int64, err error) {
	err = tx.QueryRow(ctx, countTodoApprovals, ints(offices), account, since, TodoMost+1).Scan(&n)
	return n, err
}

// TodoCertificate is a certificate whose last day comes.
type TodoCertificate struct {
	ID      [16]byte
	Office  area.Key
	Person  cases.PersonID
	LastDay civil.Date
}

// certificate_issued gives the window; what is sorted is no more than that. A
// person's later certificate replaces the earlier one.
const todoCertificates = `SELECT c.* FROM unnest($1::bigint[]) o (office) CROSS JOIN LATERAL (
    SELECT id, office, person, (issued_on + make_interval(months => $2::int))::date AS last_day FROM certificate
    WHERE office = o.office AND issued_on >= $3 AND issued_on <= $4
        AND ((issued_on + make_interval(months => $2::int))::date, id) > ($5::date, $6::uuid)
        AND (issued_on + make_interval(months => $2::int))::date BETWEEN $7::date AND $8::date
        AND (SELECT true FROM person p WHERE p.id = certificate.person AND p.erased_at IS NULL LIMIT 1)
        AND NOT (SELECT bool_or(coalesce(n.issued_on > certificate.issued_on, false)) FROM certificate n WHERE n.office = certificate.office AND n.person = certificate.person)
    ORDER BY last_day, id LIMIT $9
) c ORDER BY c.last_day, c.id LIMIT $9`

// TodoCertificates returns certificates whose months end in from to to, both
// included, by that day.
func (tx *Tx) TodoCertificates(ctx context.Context, offices []area.Key, months int, from, to civil.Date, after civil.Date, id [16]byte, limit int) ([]TodoCertificate, error) {
	// Months differ by three days at most: the window of issuing is wider than
	// that of expiry.
	const slack = 4
	first, last := from.UTC().AddDate(0, -months, -slack), to.UTC().AddDate(0, -months, slack)
	if after.IsZero() {
		after = civil.FromDays(from.Days() - 1)
	}
	rows, err := tx.Query(ctx, todoCertificates, ints(offices), months, first, last, after.UTC(), id, from.UTC(), to.UTC(), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (c TodoCertificate, err error) {
		var day time.Time
		err = r.Scan(&c.ID, (*int64)(&c.Office), (*[16]byte)(&c.Person), &day)
		c.LastDay = civil.Date{Year: day.Year(), Month: day.Month(), Day: day.Day()}
		return c, err
	})
}
