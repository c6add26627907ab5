package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/ledger"
	"yipan/internal/policy"
)

// Books of the cube that an office's own ledger keeps (see migration 0004).
const (
	BookFiles        = 3 // open files
	BookMovements    = 4 // movements, by the last day of filing
	BookCertificates = 5 // certificates, by the day they were asked for
	BookChanges      = 6 // how often something changed that only its keys open
)

// BookCount is how much of an office's own book counts as one standing.
type BookCount struct {
	Office   area.Key
	Book     int16
	Side     int16
	Kind     int16
	Standing int16
	N        int64
}

// Sums and what was not added up yet. Files and changes have no day.
const bookStandings = `SELECT office, book, side, kind, standing, sum(n)::bigint FROM (
    SELECT office, book, side, kind, standing, n FROM cube_day WHERE office = ANY($1) AND book IN (3, 6) AND day = 0
    UNION ALL SELECT office, book, side, kind, standing, n FROM cube_delta WHERE office = ANY($1) AND book IN (3, 6)) u
GROUP BY 1, 2, 3, 4, 5`

const bookMonths = `SELECT office, book, side, kind, standing, sum(n)::bigint FROM (
    SELECT office, book, side, kind, standing, n FROM cube_month WHERE office = ANY($1) AND book IN (4, 5) AND month >= $2 AND month < $3
    UNION ALL SELECT office, book, side, kind, standing, n FROM cube_delta WHERE office = ANY($1) AND book IN (4, 5) AND day >= $4 AND day < $5) u
GROUP BY 1, 2, 3, 4, 5`

const bookDays = `SELECT office, book, side, kind, standing, sum(n)::bigint FROM (
    SELECT office, book, side, kind, standing, n FROM cube_day WHERE office = ANY($1) AND book IN (4, 5) AND day >= $2 AND day < $3
    UNION ALL SELECT office, book, side, kind, standing, n FROM cube_delta WHERE office = ANY($1) AND book IN (4, 5) AND day >= $2 AND day < $3) u
GROUP BY 1, 2, 3, 4, 5`

// BookStandings returns the open files of offices, and how often what only keys
// open has changed, as they are now.
func (tx *Tx) BookStandings(ctx context.Context, offices []area.Key) ([]BookCount, error) {
	return tx.bookCounts(ctx, bookStandings, ints(offices))
}

// BookPeriod returns movements and certificates of offices whose day lies in a
// period, as they are now.
func (tx *Tx) BookPeriod(ctx context.Context, offices []area.Key, p policy.Period) ([]BookCount, error) {
	from, to := int32(p.From.Sub(epoch)), int32(p.To.Sub(epoch))
	if p.From.Day == 1 && p.To.Day == 1 {
		return tx.bookCounts(ctx, bookMonths, ints(offices), monthNumber(p.From), monthNumber(p.To), from, to)
	}
	return tx.bookCounts(ctx, bookDays, ints(offices), from, to)
}

var epoch = civil.Date{Year: 1970, Month: time.January, Day: 1}

func monthNumber(d civil.Date) int32 { return int32(d.Year)*100 + int32(d.Month) }

func (tx *Tx) bookCounts(ctx context.Context, sql string, args ...any) ([]BookCount, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (c BookCount, err error) {
		err = r.Scan((*int64)(&c.Office), &c.Book, &c.Side, &c.Kind, &c.Standing, &c.N)
		return c, err
	})
}

const countMovementsAt = `SELECT office, 4::smallint, 0::smallint, 0::smallint, (CASE WHEN (recorded_at AT TIME ZONE 'Asia/Shanghai')::date <= due_on THEN 1 ELSE 2 END)::smallint, count(*)
FROM movement WHERE office = ANY($1) AND due_on >= $2 AND due_on < $3 AND recorded_at <= $4 AND (undone_at IS NULL OR undone_at > $4) GROUP BY 1, 5`

const countCertificatesAt = `SELECT office, 5::smallint, 0::smallint, 0::smallint, (CASE WHEN issued_on <= $4 THEN 2 ELSE 1 END)::smallint, count(*)
FROM certificate WHERE office = ANY($1) AND asked_on >= $2 AND asked_on < $3 AND asked_on <= $4 GROUP BY 1, 5`

// BookAt counts movements and certificates of a period one by one as they stood
// at an instant. Of a certificate only days are known: what was asked for or
// issued on the day that ends at the instant, or before, was.
func (tx *Tx) BookAt(ctx context.Context, offices []area.Key, p policy.Period, at time.Time) ([]BookCount, error) {
	out, err := tx.bookCounts(ctx, countMovementsAt, ints(offices), p.From.UTC(), p.To.UTC(), at)
	if err != nil {
		return nil, err
	}
	more, err := tx.bookCounts(ctx, countCertificatesAt, ints(offices), p.From.UTC(), p.To.UTC(), policy.DueDay(at).UTC())
	return append(out, more...), err
}

// The offices one by one, by an index that does not begin with them.
const countResidents = `SELECT o.office, sum(n.n)::bigint FROM unnest($1::bigint[]) o (office) CROSS JOIN unnest($2::smallint[]) s (sex) CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM person p WHERE p.sex = s.sex AND p.office = o.office AND p.birth >= $3 AND p.birth <= $4
        AND p.presence IN (1, 2) AND p.merged_into IS NULL AND p.erased_at IS NULL AND p.doc_kind >= 0 OFFSET 0) n GROUP BY 1`

// CountResidents counts the people of these sexes who live at offices and were
// born on days from first to last.
func (tx *Tx) CountResidents(ctx context.Context, offices []area.Key, sexes []uint32, first, last civil.Date) (map[area.Key]int64, error) {
	rows, err := tx.Query(ctx, countResidents, ints(offices), smallints(sexes), first.UTC(), last.UTC())
	if err != nil {
		return nil, err
	}
	return perOffice(rows)
}

func perOffice(rows pgx.Rows) (map[area.Key]int64, error) {
	out := map[area.Key]int64{}
	var o area.Key
	var n int64
	_, err := pgx.ForEachRow(rows, []any{(*int64)(&o), &n}, func() error { out[o] = n; return nil })
	return out, err
}

// A file counts once, however many proposals name it, and only while both files
// of a proposal are open.
const countDuplicates = `SELECT q.office, count(DISTINCT q.id) FROM (
    SELECT d.office, u.id FROM unnest($1::bigint[]) o (office) CROSS JOIN LATERAL (
        SELECT d.office, d.a, d.b FROM duplicate d WHERE d.office = o.office AND d.state = 0
            AND (SELECT true FROM person p WHERE p.id = d.a AND p.merged_into IS NULL AND p.erased_at IS NULL AND p.presence NOT IN (4, 5) LIMIT 1)
            AND (SELECT true FROM person p WHERE p.id = d.b AND p.merged_into IS NULL AND p.erased_at IS NULL AND p.presence NOT IN (4, 5) LIMIT 1) OFFSET 0) d
    CROSS JOIN LATERAL (VALUES (d.a), (d.b)) u (id)) q GROUP BY 1`

// CountDuplicates counts the open files that stand in an open proposal.
func (tx *Tx) CountDuplicates(ctx context.Context, offices []area.Key) (map[area.Key]int64, error) {
	rows, err := tx.Query(ctx, countDuplicates, ints(offices))
	if err != nil {
		return nil, err
	}
	return perOffice(rows)
}

// OfficeTally is a tally as stored.
type OfficeTally struct {
	Office area.Key
	Kind   ledger.Service
	Period uint32
	Sealed []byte
}

const officeTallies = `SELECT office, kind, period, sealed FROM service_tally WHERE office = ANY($1) AND kind = ANY($2) AND period = ANY($3)`

// Tallies returns the tallies of offices of these kinds and periods.
func (tx *Tx) Tallies(ctx context.Context, offices []area.Key, kinds []ledger.Service, periods []uint32) ([]OfficeTally, error) {
	ks, ps := make([]int16, len(kinds)), make([]int32, len(periods))
	for i, k := range kinds {
		ks[i] = int16(k)
	}
	for i, p := range periods {
		ps[i] = int32(p)
	}
	rows, err := tx.Query(ctx, officeTallies, ints(offices), ks, ps)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (t OfficeTally, err error) {
		var kind int16
		var period int32
		err = r.Scan((*int64)(&t.Office), &kind, &period, &t.Sealed)
		t.Kind, t.Period = ledger.Service(kind), uint32(period)
		return t, err
	})
}

const nobodyAnswered = `SELECT case_id, version FROM case_side WHERE office = $1 AND side = 2 AND kind = 1 AND status = 2 AND person IS NULL AND erased_at IS NULL`

// NobodyAnswered returns the outflow notices that an office has answered and
// paired with nobody, and the version of each.
func (tx *Tx) NobodyAnswered(ctx context.Context, office area.Key) (map[cases.CaseID]uint64, error) {
	rows, err := tx.Query(ctx, nobodyAnswered, int64(office))
	if err != nil {
		return nil, err
	}
	out := map[cases.CaseID]uint64{}
	var id [16]byte
	var version int64
	_, err = pgx.ForEachRow(rows, []any{&id, &version}, func() error { out[id] = uint64(version); return nil })
	return out, err
}

const countedAnswers = `SELECT case_id, private FROM case_side WHERE office = $1 AND side = 2 AND kind <= 2 AND private IS NOT NULL AND case_id > $2 ORDER BY case_id LIMIT $3`

// AnswersOf pages through what an office alone knows of the notices that it
// answered, by case.
func (tx *Tx) AnswersOf(ctx context.Context, office area.Key, after cases.CaseID, limit int) ([]Side, error) {
	rows, err := tx.Query(ctx, countedAnswers, int64(office), [16]byte(after), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (s Side, err error) {
		err = r.Scan((*[16]byte)(&s.Case), &s.Private)
		return s, err
	})
}
