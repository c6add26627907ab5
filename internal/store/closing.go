package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
)

// FrozenMonth is a revision of a frozen month. It never changes.
type FrozenMonth struct {
	Area      area.Key // the highest area that this node served
	Month     int      // yyyymm
	Revision  uint32
	At        time.Time
	FrozenAt  time.Time
	Digest    []byte
	Snapshot  []byte
	KeyID     [8]byte
	Signature []byte
}

const insertFrozen = `INSERT INTO month_frozen (office, month, revision, at, frozen_at, digest, snapshot, key_id, signature)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`

// AddFrozen writes a revision; one that stands is an error (IsDuplicate).
func (tx *Tx) AddFrozen(ctx context.Context, f *FrozenMonth) error {
	_, err := tx.Exec(ctx, insertFrozen, int64(f.Area), f.Month, int(f.Revision), f.At, f.FrozenAt, f.Digest, f.Snapshot, f.KeyID[:], f.Signature)
	return err
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

const frozenColumns = `office, month, revision, at, frozen_at, digest, snapshot, key_id, signature`

func scanFrozen(r pgx.CollectableRow) (f FrozenMonth, err error) {
	var revision int
	var key []byte
	err = r.Scan((*int64)(&f.Area), &f.Month, &revision, &f.At, &f.FrozenAt, &f.Digest, &f.Snapshot, &key, &f.Signature)
	f.Revision = uint32(revision)
	copy(f.KeyID[:], key)
	return f, err
}

const latestFrozen = `SELECT ` + frozenColumns + ` FROM month_frozen WHERE office = $1 AND month = $2 ORDER BY revision DESC LIMIT 1`
const frozenRevision = `SELECT ` + frozenColumns + ` FROM month_frozen WHERE office = $1 AND month = $2 AND revision = $3`

// LatestFrozen returns the latest revision of a month; false: it is not frozen.
func (tx *Tx) LatestFrozen(ctx context.Context, of area.Key, month int) (FrozenMonth, bool, error) {
	return tx.oneFrozen(ctx, latestFrozen, int64(of), month)
}

// Frozen returns a revision of a month; false: there is none.
func (tx *Tx) Frozen(ctx context.Context, of area.Key, month int, revision uint32) (FrozenMonth, bool, error) {
	return tx.oneFrozen(ctx, frozenRevision, int64(of), month, int(revision))
}

func (tx *Tx) oneFrozen(ctx context.Context, sql string, args ...any) (f FrozenMonth, ok bool, err error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return f, false, err
	}
	f, err = pgx.CollectOneRow(rows, scanFrozen)
	if errors.Is(err, pgx.ErrNoRows) {
		return f, false, nil
	}
	return f, err == nil, err
}

const frozenMonths = `SELECT DISTINCT ON (month) office, month, revision, at, frozen_at, digest, snapshot, key_id, signature FROM month_frozen
WHERE office = $1 ORDER BY month DESC, revision DESC`

// FrozenMonths returns the latest revision of each frozen month of an area, the
// newest month first.
func (tx *Tx) FrozenMonths(ctx context.Context, of area.Key) ([]FrozenMonth, error) {
	rows, err := tx.Query(ctx, frozenMonths, int64(of))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanFrozen)
}

const monthRevisions = `SELECT month, max(revision) FROM month_frozen WHERE office = $1 GROUP BY month`

// MonthRevisions returns the number of the latest revision of each frozen month.
func (tx *Tx) MonthRevisions(ctx context.Context, of area.Key) (map[int]uint32, error) {
	rows, err := tx.Query(ctx, monthRevisions, int64(of))
	if err != nil {
		return nil, err
	}
	out := map[int]uint32{}
	var month, revision int
	_, err = pgx.ForEachRow(rows, []any{&month, &revision}, func() error { out[month] = uint32(revision); return nil })
	return out, err
}

// MonthRound is one round of a month with what both ends know of it.
type MonthRound struct {
	RoundFact
	Case     cases.CaseID
	Extended uint32
}

const monthRounds = `SELECT case_id, office, side, kind, x, y, round, waiting, extended, round_at, delivered_at, due_at, answered_at, withdrawn_at, closed_at, reroute, rerouted_at
FROM case_side WHERE office = ANY($1) AND coalesce(due_at, 'infinity'::timestamptz) > $2 AND coalesce(due_at, 'infinity'::timestamptz) <= $3
UNION ALL
SELECT case_id, office, side, kind, x, y, round, 0, extended, round_at, delivered_at, due_at, answered_at, withdrawn_at, closed_at, reroute, rerouted_at
FROM side_round WHERE office = ANY($1) AND due_at > $2 AND due_at <= $3`

// MonthRounds streams the rounds of offices whose due lies after from and up to
// to, in no order. each must not keep the pointer.
func (tx *Tx) MonthRounds(ctx context.Context, offices []area.Key, from, to time.Time, each func(*MonthRound) error) error {
	rows, err := tx.Query(ctx, monthRounds, ints(offices), from, to)
	if err != nil {
		return err
	}
	var f MonthRound
	var s, k, w, extended int16
	var round int32
	var t [6]*time.Time
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&f.Case), (*int64)(&f.Office), &s, &k, (*int64)(&f.X), (*int64)(&f.Y), &round, &w, &extended, &f.RoundAt,
		&t[0], &t[1], &t[2], &t[3], &t[4], (*int64)(&f.Reroute), &t[5]}, func() error {
		f.Side, f.Kind, f.Waiting, f.Round, f.Extended = cases.Side(s), cases.Kind(k), uint8(w), uint32(round), uint32(extended)
		f.DeliveredAt, f.DueAt, f.AnsweredAt, f.WithdrawnAt, f.ClosedAt, f.ReroutedAt = orZero(t[0]), orZero(t[1]), orZero(t[2]), orZero(t[3]), orZero(t[4]), orZero(t[5])
		return each(&f)
	})
	return err
}

const firstDue = `SELECT min(d.due) FROM unnest($1::bigint[]) o (office) CROSS JOIN LATERAL (
    SELECT coalesce(due_at, 'infinity'::timestamptz) AS due FROM case_side WHERE office = o.office
    ORDER BY coalesce(due_at, 'infinity'::timestamptz), case_id LIMIT 1) d WHERE isfinite(d.due)`

// FirstDue returns the earliest due of the offices' cases; zero: nothing was
// delivered yet.
func (tx *Tx) FirstDue(ctx context.Context, offices []area.Key) (time.Time, error) {
	var t *time.Time
	err := tx.QueryRow(ctx, firstDue, ints(offices)).Scan(&t)
	return orZero(t), err
}

const monthPeers = `SELECT peer FROM (
    SELECT peer, n FROM cube_peer WHERE office = ANY($1) AND book = 1 AND month = $2
    UNION ALL SELECT peer, n FROM cube_delta WHERE office = ANY($1) AND book = 1 AND month_of(day) = $2) u GROUP BY peer HAVING sum(n) <> 0 ORDER BY peer`

// MonthCounterparts returns the other side's areas (at most their counties) of
// the rounds of a month.
func (tx *Tx) MonthCounterparts(ctx context.Context, offices []area.Key, month int) ([]area.Key, error) {
	rows, err := tx.Query(ctx, monthPeers, ints(offices), month)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (k area.Key, err error) {
		err = r.Scan((*int64)(&k))
		return k, err
	})
}

const monthSums = `SELECT coalesce(sha256(convert_to(string_agg(concat_ws(',', office, side, kind, standing, n), ';' ORDER BY office, side, kind, standing), 'UTF8')), ''::bytea) FROM (
    SELECT office, side, kind, standing, sum(n) AS n FROM (
        SELECT office, side, kind, standing, n FROM cube_month WHERE office = ANY($1) AND book = 1 AND month = $2
        UNION ALL SELECT office, side, kind, standing, n FROM cube_delta WHERE office = ANY($1) AND book = 1 AND month_of(day) = $2) u
    GROUP BY office, side, kind, standing HAVING sum(n) <> 0) v`

// MonthSums returns a digest of the counts of a month as they are now, which
// changes with them.
func (tx *Tx) MonthSums(ctx context.Context, offices []area.Key, month int) (sums []byte, err error) {
	err = tx.QueryRow(ctx, monthSums, ints(offices), month).Scan(&sums)
	return notNil(sums), err
}

// RoundsPart is the rounds of one office, side and kind behind a revision.
type RoundsPart struct {
	Office   area.Key
	Side     cases.Side
	Kind     cases.Kind
	Revision uint32
	Rounds   []byte
}

const insertMonthRounds = `INSERT INTO month_rounds (office, month, side, kind, revision, rounds) VALUES ($1, $2, $3, $4, $5, $6)`

// AddMonthRounds writes parts of a revision, those that differ from the one
// before.
func (tx *Tx) AddMonthRounds(_ context.Context, month int, parts []RoundsPart) error {
	for _, p := range parts {
		if err := tx.write(insertMonthRounds, int64(p.Office), month, int16(p.Side), int16(p.Kind), int(p.Revision), notNil(p.Rounds)); err != nil {
			return err
		}
	}
	return nil
}

const selectMonthRounds = `SELECT DISTINCT ON (office, side, kind) office, side, kind, revision, rounds FROM month_rounds
WHERE office = ANY($1) AND month = $2 AND revision <= $3 ORDER BY office, side, kind, revision DESC`

// MonthParts returns the parts of a revision.
func (tx *Tx) MonthParts(ctx context.Context, offices []area.Key, month int, revision uint32) ([]RoundsPart, error) {
	rows, err := tx.Query(ctx, selectMonthRounds, ints(offices), month, int(revision))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (p RoundsPart, err error) {
		var side, kind int16
		var rev int
		err = r.Scan((*int64)(&p.Office), &side, &kind, &rev, &p.Rounds)
		p.Side, p.Kind, p.Revision = cases.Side(side), cases.Kind(kind), uint32(rev)
		return p, err
	})
}

// MonthState is what a later look at a month begins with.
type MonthState struct {
	Area      area.Key
	Month     int
	Sums      []byte
	CheckedAt time.Time
	Waiting   []area.Key // peers that an unfrozen month waits for
	Sent      []byte     // what was reported upwards
	SentAt    time.Time
}

const putMonthState = `INSERT INTO month_state (office, month, sums, checked_at, waiting, sent, sent_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (office, month) DO UPDATE SET sums = excluded.sums, checked_at = excluded.checked_at, waiting = excluded.waiting, sent = excluded.sent, sent_at = excluded.sent_at`

// PutMonthState replaces the state of a month.
func (tx *Tx) PutMonthState(ctx context.Context, s MonthState) error {
	_, err := tx.Exec(ctx, putMonthState, int64(s.Area), s.Month, notNil(s.Sums), s.CheckedAt, ints(s.Waiting), notNil(s.Sent), nullTime(s.SentAt))
	return err
}

const monthStates = `SELECT office, month, sums, checked_at, waiting, sent, sent_at FROM month_state WHERE office = $1 ORDER BY month`

// MonthStates returns the states of an area's months, by month.
func (tx *Tx) MonthStates(ctx context.Context, of area.Key) ([]MonthState, error) {
	rows, err := tx.Query(ctx, monthStates, int64(of))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (s MonthState, err error) {
		var waiting []int64
		var sent *time.Time
		err = r.Scan((*int64)(&s.Area), &s.Month, &s.Sums, &s.CheckedAt, &waiting, &s.Sent, &sent)
		for _, w := range waiting {
			s.Waiting = append(s.Waiting, area.Key(w))
		}
		s.SentAt = orZero(sent)
		return s, err
	})
}

// MonthPeer is the comparison of a month with a peer.
type MonthPeer struct {
	Area           area.Key
	Month          int
	Peer           cases.NodeID
	Shared, Differ int64
	Sent           []byte // ours, as sent last
	Received       []byte // theirs, as it came last
	HeldAt         time.Time
}

const putMonthPeer = `INSERT INTO month_peer (office, month, peer, shared, differ, sent, received, held_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (office, month, peer) DO UPDATE SET shared = excluded.shared, differ = excluded.differ, sent = excluded.sent, received = excluded.received, held_at = excluded.held_at`

// PutMonthPeer replaces a comparison.
func (tx *Tx) PutMonthPeer(ctx context.Context, p MonthPeer) error {
	_, err := tx.Exec(ctx, putMonthPeer, int64(p.Area), p.Month, int64(p.Peer), p.Shared, p.Differ, notNil(p.Sent), notNil(p.Received), nullTime(p.HeldAt))
	return err
}

const markMonthSent = `UPDATE month_peer SET sent = $4 WHERE office = $1 AND month = $2 AND peer = $3`

// MarkMonthSent notes what was sent to a peer.
func (tx *Tx) MarkMonthSent(ctx context.Context, p MonthPeer) error {
	_, err := tx.Exec(ctx, markMonthSent, int64(p.Area), p.Month, int64(p.Peer), notNil(p.Sent))
	return err
}

const selectMonthPeers = `SELECT office, month, peer, shared, differ, sent, received, held_at FROM month_peer WHERE office = $1 AND month = $2 ORDER BY peer`

// MonthPeers returns the comparisons of a month.
func (tx *Tx) MonthPeers(ctx context.Context, of area.Key, month int) ([]MonthPeer, error) {
	rows, err := tx.Query(ctx, selectMonthPeers, int64(of), month)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (p MonthPeer, err error) {
		var held *time.Time
		err = r.Scan((*int64)(&p.Area), &p.Month, (*int64)(&p.Peer), &p.Shared, &p.Differ, &p.Sent, &p.Received, &held)
		p.HeldAt = orZero(held)
		return p, err
	})
}

// MonthDifference is a round that two ends count otherwise.
type MonthDifference struct {
	Office       area.Key
	Case         cases.CaseID
	Round        uint32
	Ours, Theirs uint8 // 0: not there
}

const dropDifferences = `DELETE FROM month_difference WHERE office = ANY($1) AND month = $2 AND peer = $3`
const addDifference = `INSERT INTO month_difference (office, month, peer, case_id, round, ours, theirs) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (office, month, peer, case_id, round) DO UPDATE SET ours = excluded.ours, theirs = excluded.theirs`
const dropDifference = `DELETE FROM month_difference WHERE office = ANY($1) AND month = $2 AND peer = $3 AND case_id = ANY($4)`
const selectDifferences = `SELECT office, case_id, round, ours, theirs FROM month_difference WHERE office = ANY($1) AND month = $2 AND peer = $3 ORDER BY case_id, round LIMIT $4`
const countDifferences = `SELECT count(*) FROM month_difference WHERE office = ANY($1) AND month = $2 AND peer = $3`

// DropDifferences forgets those of a month and peer: all, or those of cases.
func (tx *Tx) DropDifferences(ctx context.Context, offices []area.Key, month int, peer cases.NodeID, of []cases.CaseID) error {
	var err error
	if of == nil {
		_, err = tx.Exec(ctx, dropDifferences, ints(offices), month, int64(peer))
	} else {
		_, err = tx.Exec(ctx, dropDifference, ints(offices), month, int64(peer), uuids(of))
	}
	return err
}

// AddDifferences writes rounds that two ends count otherwise.
func (tx *Tx) AddDifferences(_ context.Context, month int, peer cases.NodeID, ds []MonthDifference) error {
	for _, d := range ds {
		if err := tx.write(addDifference, int64(d.Office), month, int64(peer), [16]byte(d.Case), int32(d.Round), int16(d.Ours), int16(d.Theirs)); err != nil {
			return err
		}
	}
	return nil
}

// CountDifferences counts those of a month and peer.
func (tx *Tx) CountDifferences(ctx context.Context, offices []area.Key, month int, peer cases.NodeID) (n int64, err error) {
	err = tx.QueryRow(ctx, countDifferences, ints(offices), month, int64(peer)).Scan(&n)
	return n, err
}

// Differences lists those of a month and peer, at most limit.
func (tx *Tx) Differences(ctx context.Context, offices []area.Key, month int, peer cases.NodeID, limit int) ([]MonthDifference, error) {
	rows, err := tx.Query(ctx, selectDifferences, ints(offices), month, int64(peer), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (d MonthDifference, err error) {
		var round int32
		var ours, theirs int16
		err = r.Scan((*int64)(&d.Office), (*[16]byte)(&d.Case), &round, &ours, &theirs)
		d.Round, d.Ours, d.Theirs = uint32(round), uint8(ours), uint8(theirs)
		return d, err
	})
}

// ChildReport is what an area below reported about a month.
type ChildReport struct {
	Parent   area.Key // that it was reported to
	Month    int
	Child    area.Key
	Basis    uint8 // rates.Basis
	Revision uint32
	AsOf     time.Time
	HeldAt   time.Time
	Content  []byte
}

const putChild = `INSERT INTO report_child (office, month, child, basis, revision, as_of, held_at, content) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (office, month, child, basis) DO UPDATE SET revision = excluded.revision, as_of = excluded.as_of, held_at = excluded.held_at, content = excluded.content
WHERE (report_child.revision, report_child.as_of) <= (excluded.revision, excluded.as_of)`

// PutChildReport keeps a report, unless a newer one is there; reports come in
// any order.
func (tx *Tx) PutChildReport(ctx context.Context, c ChildReport) error {
	_, err := tx.Exec(ctx, putChild, int64(c.Parent), c.Month, int64(c.Child), int16(c.Basis), int(c.Revision), c.AsOf, c.HeldAt, c.Content)
	return err
}

const childReports = `SELECT office, month, child, basis, revision, as_of, held_at, content FROM report_child WHERE office = ANY($1) AND month = $2 ORDER BY child, basis`

// ChildReports returns what was reported to areas of this node about a month:
// of each child at most a live and a frozen report.
func (tx *Tx) ChildReports(ctx context.Context, to []area.Key, month int) ([]ChildReport, error) {
	rows, err := tx.Query(ctx, childReports, ints(to), month)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanChild)
}

func scanChild(r pgx.CollectableRow) (c ChildReport, err error) {
	var basis int16
	var revision int
	err = r.Scan((*int64)(&c.Parent), &c.Month, (*int64)(&c.Child), &basis, &revision, &c.AsOf, &c.HeldAt, &c.Content)
	c.Basis, c.Revision = uint8(basis), uint32(revision)
	return c, err
}

const childReportsOf = `SELECT DISTINCT ON (month, child) office, month, child, basis, revision, as_of, held_at, content FROM report_child
WHERE office = ANY($1) AND month >= $2 AND month <= $3 ORDER BY month, child, basis DESC`

// ChildCells returns what was reported to areas of this node about months from
// one to another: of each child and month the frozen report, or else the live one.
func (tx *Tx) ChildCells(ctx context.Context, to []area.Key, from, until int) ([]ChildReport, error) {
	rows, err := tx.Query(ctx, childReportsOf, ints(to), from, until)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanChild)
}

const firstChildMonth = `SELECT coalesce(min(month), 0) FROM report_child WHERE office = ANY($1)`

// FirstChildMonth returns the earliest month about which anything was reported;
// 0: none.
func (tx *Tx) FirstChildMonth(ctx context.Context, to []area.Key) (month int, err error) {
	err = tx.QueryRow(ctx, firstChildMonth, ints(to)).Scan(&month)
	return month, err
}

const childrenEver = `SELECT DISTINCT child FROM report_child WHERE office = ANY($1)`

// ChildrenEver returns the areas that ever reported.
func (tx *Tx) ChildrenEver(ctx context.Context, to []area.Key) ([]area.Key, error) {
	rows, err := tx.Query(ctx, childrenEver, ints(to))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (k area.Key, err error) {
		err = r.Scan((*int64)(&k))
		return k, err
	})
}
