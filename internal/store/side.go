package store

import (
	"bytes"
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
)

// Flags of a side.
const (
	FlagDisputed    = 1 << 0
	FlagOlderFields = 1 << 1
	FlagCrossed     = 1 << 2
	FlagByParent    = 1 << 3
	FlagUrgent      = 1 << 4

	newsShift = 8   // bits 8 to 14 count what came to be read
	newsMost  = 127 // and stop there
)

// NewsFlags returns the bits of a side's flags that count n FEEDBACKs and changed
// answers of the other side.
func NewsFlags(n int) int16 { return int16(min(n, newsMost)) << newsShift }

// Side is what one office sees of a case: the projection of its fold.
type Side struct {
	Case        cases.CaseID
	Office      area.Key
	Side        cases.Side
	Kind        cases.Kind
	X, Y        area.Key
	Status      cases.Status
	Waiting     uint8
	Round       uint32
	OpenedAt    time.Time
	RoundAt     time.Time
	DeliveredAt time.Time
	DueAt       time.Time
	AnsweredAt  time.Time
	AnswerHeld  time.Time
	WithdrawnAt time.Time
	ClosedAt    time.Time
	Reroute     area.Key
	ReroutedAt  time.Time
	Assigned    area.Key
	AssignedAt  time.Time
	Version     uint64
	Flags       int16
	Parent      cases.CaseID
	Hops        uint32

	// What the round counts as (rates.Standing) on which day, and the days by which
	// a county-signed outage put off its due.
	Standing    uint8
	StandingDay civil.Date
	Extended    uint32

	// Private to the office; not written by PutSides on an existing row.
	Person   cases.PersonID
	ReqHash  int64
	Rev      int32
	Private  []byte
	ErasedAt time.Time

	// When the office took note of the answer (zero: never), and of how much of
	// News.
	SeenAt       time.Time
	SeenFeedback int16
	// What the case waits for here as a number of the to-do list, 0: nothing; and
	// until or since when, zero: without limit. The database computes both.
	Todo   int16
	TodoAt time.Time
}

// News is how many FEEDBACKs and changed answers came from the other side.
func (s *Side) News() int16 { return s.Flags >> newsShift }

const insertSides = `INSERT INTO case_side (case_id, office, side, kind, x, y, status, waiting, round, opened_at, round_at, delivered_at,
    due_at, answered_at, answer_held, withdrawn_at, closed_at, reroute, rerouted_at, assigned, assigned_at, version, flags, parent, hops, person, req_hash,
    standing, standing_day, extended)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::smallint[], $5::bigint[], $6::bigint[], $7::smallint[], $8::smallint[],
    $9::int[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[],
    $16::timestamptz[], $17::timestamptz[], $18::bigint[], $19::timestamptz[], $20::bigint[], $21::timestamptz[], $22::bigint[],
    $23::smallint[], $24::uuid[], $25::smallint[], $26::uuid[], $27::bigint[], $28::smallint[], $29::int[], $30::smallint[]) u`

const putSides = insertSides + ` ON CONFLICT (case_id, office) DO UPDATE SET
    status = excluded.status, waiting = excluded.waiting, round = excluded.round, opened_at = excluded.opened_at, round_at = excluded.round_at,
    delivered_at = excluded.delivered_at, due_at = excluded.due_at, answered_at = excluded.answered_at, answer_held = excluded.answer_held,
    withdrawn_at = excluded.withdrawn_at, closed_at = excluded.closed_at, reroute = excluded.reroute, rerouted_at = excluded.rerouted_at,
    assigned = excluded.assigned, assigned_at = excluded.assigned_at, version = excluded.version, flags = excluded.flags,
    kind = excluded.kind, parent = excluded.parent, hops = excluded.hops, standing = excluded.standing, standing_day = excluded.standing_day,
    extended = excluded.extended, changed_at = now()`

// InsertSides adds sides of cases that are new here; a side that stands is an
// error (IsDuplicate).
func (tx *Tx) InsertSides(ctx context.Context, s []Side) error { return tx.sides(ctx, insertSides, s) }

// PutSides writes projections; private facts of rows that stand are kept.
//
// The other side of a case that lives on the same node may be that of a
// restricted person (D11): who works on this side writes it without seeing it.
func (tx *Tx) PutSides(ctx context.Context, s []Side) error {
	both := tx.Role == App && bothSides(s)
	if both {
		if err := tx.write(letSides, "on"); err != nil {
			return err
		}
	}
	if err := tx.sides(ctx, putSides, s); err != nil || !both {
		return err
	}
	return tx.write(letSides, "")
}

const letSides = `SELECT set_config('yipan.sides', $1, true)`

// bothSides reports whether some case is among s twice.
func bothSides(s []Side) bool {
	seen := make(map[cases.CaseID]bool, len(s))
	for i := range s {
		if seen[s[i].Case] {
			return true
		}
		seen[s[i].Case] = true
	}
	return false
}

// countedTogether is from how many rows on a statement's counts are changed
// together at its end (migration 0003); below, row by row is less work.
const countedTogether = 5

const countTogether = `SELECT set_config('yipan.many', $1, true)`

func (tx *Tx) sides(ctx context.Context, sql string, s []Side) error {
	if len(s) == 0 {
		return nil
	}
	n := len(s)
	ids, offices, sides, kinds := make([][16]byte, n), make([]int64, n), make([]int16, n), make([]int16, n)
	xs, ys, status, waiting, rounds := make([]int64, n), make([]int64, n), make([]int16, n), make([]int16, n), make([]int32, n)
	opened, roundAt := make([]time.Time, n), make([]time.Time, n)
	times := make([][]*time.Time, 8)
	for i := range times {
		times[i] = make([]*time.Time, n)
	}
	reroutes, assigned, versions, flags := make([]int64, n), make([]int64, n), make([]int64, n), make([]int16, n)
	parents, hops, persons, hashes := make([]*[16]byte, n), make([]int16, n), make([]*[16]byte, n), make([]int64, n)
	standings, days, extended := make([]int16, n), make([]int32, n), make([]int16, n)
	for i := range s {
		r := &s[i]
		ids[i], offices[i], sides[i], kinds[i] = r.Case, int64(r.Office), int16(r.Side), int16(r.Kind)
		xs[i], ys[i], status[i], waiting[i], rounds[i] = int64(r.X), int64(r.Y), int16(r.Status), int16(r.Waiting), int32(r.Round)
		opened[i], roundAt[i] = r.OpenedAt, r.RoundAt
		for j, t := range []time.Time{r.DeliveredAt, r.DueAt, r.AnsweredAt, r.AnswerHeld, r.WithdrawnAt, r.ClosedAt, r.ReroutedAt, r.AssignedAt} {
			times[j][i] = nullTime(t)
		}
		reroutes[i], assigned[i], versions[i], flags[i] = int64(r.Reroute), int64(r.Assigned), int64(r.Version), r.Flags
		parents[i], hops[i], persons[i], hashes[i] = null16(r.Parent), int16(min(r.Hops, 100)), null16(r.Person), r.ReqHash
		standings[i], days[i], extended[i] = int16(r.Standing), int32(r.StandingDay.Days()), int16(r.Extended)
	}
	if n >= countedTogether {
		_ = tx.write(countTogether, "on") // they only queue
		defer func() { _ = tx.write(countTogether, "") }()
	}
	return tx.write(sql, ids, offices, sides, kinds, xs, ys, status, waiting, rounds, opened, roundAt,
		times[0], times[1], times[2], times[3], times[4], times[5], reroutes, times[6], assigned, times[7], versions, flags, parents, hops, persons, hashes,
		standings, days, extended)
}

const sideColumns = `case_id, office, side, kind, x, y, status, waiting, round, opened_at, round_at, delivered_at, due_at, answered_at, answer_held,
    withdrawn_at, closed_at, reroute, rerouted_at, assigned, assigned_at, version, flags, parent, hops, person, req_hash, rev, private, erased_at,
    seen_at, seen_feedback, coalesce(todo, 0) AS todo, CASE WHEN todo IS NOT NULL AND isfinite(todo_at) THEN todo_at END AS todo_at, extended`

func scanSide(r pgx.CollectableRow) (Side, error) {
	var s Side
	var side, kind, status, waiting, hops, extended int16
	var round int32
	var version int64
	var t [11]*time.Time
	var parent, person *[16]byte
	err := r.Scan((*[16]byte)(&s.Case), (*int64)(&s.Office), &side, &kind, (*int64)(&s.X), (*int64)(&s.Y), &status, &waiting, &round,
		&s.OpenedAt, &s.RoundAt, &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], (*int64)(&s.Reroute), &t[6], (*int64)(&s.Assigned), &t[7],
		&version, &s.Flags, &parent, &hops, &person, &s.ReqHash, &s.Rev, &s.Private, &t[8],
		&t[9], &s.SeenFeedback, &s.Todo, &t[10], &extended)
	s.Side, s.Kind, s.Status, s.Waiting = cases.Side(side), cases.Kind(kind), cases.Status(status), uint8(waiting)
	s.Round, s.Version, s.Hops, s.Extended = uint32(round), uint64(version), uint32(hops), uint32(extended)
	for i, p := range []*time.Time{&s.DeliveredAt, &s.DueAt, &s.AnsweredAt, &s.AnswerHeld, &s.WithdrawnAt, &s.ClosedAt, &s.ReroutedAt, &s.AssignedAt, &s.ErasedAt, &s.SeenAt, &s.TodoAt} {
		*p = orZero(t[i])
	}
	s.Parent, s.Person = or16[cases.CaseID](parent), or16[cases.PersonID](person)
	return s, err
}

// Each case is probed by itself, as in caseItems.
const sidesOf = `SELECT s.* FROM (SELECT DISTINCT unnest($1::uuid[]) AS id) u
CROSS JOIN LATERAL (SELECT ` + sideColumns + ` FROM case_side WHERE case_id = u.id OFFSET 0) s`

// SidesOf returns the sides of cases that the transaction's offices see.
func (tx *Tx) SidesOf(ctx context.Context, ids []cases.CaseID) ([]Side, error) {
	rows, err := tx.Query(ctx, sidesOf, uuids(ids))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanSide)
}

const touchSides = `UPDATE case_side s SET rev = rev + 1, person = coalesce(u.person, s.person), private = coalesce(u.private, s.private), changed_at = now()
FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::bytea[]) u(case_id, office, person, private) WHERE s.case_id = u.case_id AND s.office = u.office`

// TouchSides writes private facts of sides: their paired persons (zero: keeps)
// and the encrypted rest (nil: keeps). The etags change.
func (tx *Tx) TouchSides(ctx context.Context, sides []Side) error {
	if len(sides) == 0 {
		return nil
	}
	n := len(sides)
	ids, offices, persons, private := make([][16]byte, n), make([]int64, n), make([]*[16]byte, n), make([][]byte, n)
	for i := range sides {
		ids[i], offices[i], persons[i], private[i] = sides[i].Case, int64(sides[i].Office), null16(sides[i].Person), sides[i].Private
	}
	return tx.write(touchSides, ids, offices, persons, private)
}

const moveSide = `DELETE FROM case_side WHERE case_id = $1 AND side = 2 AND office <> $2`

// DropOtherReceivers removes the receiver's side from offices other than the
// one to which the case was given.
func (tx *Tx) DropOtherReceivers(ctx context.Context, id cases.CaseID, office area.Key) error {
	return tx.write(moveSide, [16]byte(id), int64(office))
}

const markErased = `UPDATE case_side SET erased_at = $2, private = NULL, person = NULL WHERE case_id = ANY($1) AND side = 2`

// MarkErased notes that the receiver's side holds no person's fields any more.
func (tx *Tx) MarkErased(ctx context.Context, ids []cases.CaseID, at time.Time) error {
	_, err := tx.Exec(ctx, markErased, uuids(ids), at)
	return err
}

const dueErasures = `SELECT case_id, office FROM case_side WHERE side = 2 AND status = 3 AND erased_at IS NULL AND rerouted_at < $1 LIMIT $2`

// DueErasures finds rerouted cases whose wrong receiver must forget the person.
func (tx *Tx) DueErasures(ctx context.Context, before time.Time, limit int) ([]Side, error) {
	rows, err := tx.Query(ctx, dueErasures, before, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (s Side, err error) {
		err = r.Scan((*[16]byte)(&s.Case), (*int64)(&s.Office))
		return s, err
	})
}

// SideFilter selects sides for a list. Zero members select nothing away. None
// of them is about what a person decided (SECURITY D4).
type SideFilter struct {
	Offices     []area.Key
	Kind        cases.Kind
	States      []cases.Status
	Side        cases.Side
	Waiting     uint8
	DueBefore   time.Time
	Counterpart area.Key
	Unassigned  bool      // only those not given to a township
	AfterDue    time.Time // position of the page before; zero: not delivered
	AfterCase   cases.CaseID
	AfterOffice area.Key // 0: after all sides of AfterCase
	After       bool
	Limit       int
}

// case_side_due gives each office's rows in order, so that a page reads no more
// than itself; undelivered ones, without a due time, come last. Offices beyond
// the first cost a page each.
const listSides = `SELECT s.* FROM unnest($1::bigint[]) o (office) CROSS JOIN LATERAL (
    SELECT ` + sideColumns + ` FROM case_side
    WHERE office = o.office AND ($2 = 0 OR kind = $2) AND (cardinality($3::smallint[]) = 0 OR status = ANY($3)) AND ($4 = 0 OR side = $4)
        AND ($5 = 0 OR waiting = $5) AND ($6::bigint = 0 OR CASE WHEN side = 1 THEN y ELSE x END BETWEEN $6 AND $7::bigint)
        AND (coalesce(due_at, 'infinity'::timestamptz), case_id, office) > ($8::timestamptz, $9::uuid, $10::bigint)
        AND (coalesce(due_at, 'infinity'::timestamptz), case_id) < ($11::timestamptz, $12::uuid) AND (NOT $14 OR assigned = 0)
    ORDER BY coalesce(due_at, 'infinity'::timestamptz), case_id LIMIT $13
) s ORDER BY coalesce(s.due_at, 'infinity'::timestamptz), s.case_id, s.office LIMIT $13`

// ListSides returns sides in order of due time, case and office.
func (tx *Tx) ListSides(ctx context.Context, f SideFilter) ([]Side, error) {
	states := make([]int16, len(f.States))
	for i, s := range f.States {
		states[i] = int16(s)
	}
	// Both bounds are rows, in place of conditions that may be absent: those
	// would keep the index from finding a page.
	const infinity, beginning = "infinity", "-infinity"
	after, afterOffice := any(beginning), f.AfterOffice
	if f.After {
		after = f.AfterDue
		if f.AfterDue.IsZero() {
			after = infinity
		}
		if afterOffice == 0 {
			afterOffice = math.MaxInt64
		}
	}
	before, beforeCase := any(f.DueBefore), [16]byte{}
	if f.DueBefore.IsZero() {
		before, beforeCase = infinity, [16]byte(bytes.Repeat([]byte{0xff}, 16))
	}
	lo, hi := within(f.Counterpart)
	rows, err := tx.Query(ctx, listSides, ints(f.Offices), int16(f.Kind), states, int16(f.Side), int16(f.Waiting), lo, hi,
		after, [16]byte(f.AfterCase), int64(afterOffice), before, beforeCase, f.Limit, f.Unassigned)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanSide)
}

// within returns the range of keys of an area and all below it.
func within(k area.Key) (lo, hi int64) {
	if k == 0 {
		return 0, 0
	}
	step := int64(10)
	for i, d := len(k.Short()), 12; i < d; i++ {
		step *= 10
	}
	base := int64(k) / 10 * 10
	return base, base + step - 1
}

const insertRounds = `INSERT INTO side_round (case_id, office, round, side, kind, x, y, round_at, delivered_at, due_at, answered_at, withdrawn_at, closed_at, reroute, rerouted_at,
    answer_held, standing, standing_day, extended)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
ON CONFLICT (case_id, office, round) DO UPDATE SET delivered_at = excluded.delivered_at, due_at = excluded.due_at, answered_at = excluded.answered_at,
    withdrawn_at = excluded.withdrawn_at, closed_at = excluded.closed_at, reroute = excluded.reroute, rerouted_at = excluded.rerouted_at,
    answer_held = excluded.answer_held, standing = excluded.standing, standing_day = excluded.standing_day, extended = excluded.extended`

// PutRounds writes earlier rounds of cases; they are few, so one by one.
func (tx *Tx) PutRounds(_ context.Context, rounds []Side) error {
	for i := range rounds {
		s := &rounds[i]
		err := tx.write(insertRounds, [16]byte(s.Case), int64(s.Office), int32(s.Round), int16(s.Side), int16(s.Kind), int64(s.X), int64(s.Y), s.RoundAt,
			nullTime(s.DeliveredAt), nullTime(s.DueAt), nullTime(s.AnsweredAt), nullTime(s.WithdrawnAt), nullTime(s.ClosedAt), int64(s.Reroute), nullTime(s.ReroutedAt),
			nullTime(s.AnswerHeld), int16(s.Standing), int32(s.StandingDay.Days()), int16(s.Extended))
		if err != nil {
			return err
		}
	}
	return nil
}

const undeliveredByReceiver = `SELECT y, count(*) FROM case_side WHERE side = 1 AND status = 1 AND delivered_at IS NULL GROUP BY y`

// UndeliveredByReceiver counts open cases that were not delivered, by the area
// addressed.
func (tx *Tx) UndeliveredByReceiver(ctx context.Context) (map[area.Key]int64, error) {
	rows, err := tx.Query(ctx, undeliveredByReceiver)
	if err != nil {
		return nil, err
	}
	out := map[area.Key]int64{}
	var y, c int64
	_, err = pgx.ForEachRow(rows, []any{&y, &c}, func() error { out[area.Key(y)] = c; return nil })
	return out, err
}
