package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
)

// OldestDue is the earliest last day for an answer among the rounds of an
// office that have one standing (rates.Standing).
type OldestDue struct {
	Office   area.Key
	Side     cases.Side
	Kind     cases.Kind
	Standing uint8
	Day      civil.Date
}

// Both parts by their index on (office, book); what is not added up yet is
// added here.
const oldestDue = `SELECT office, side, kind, standing, min(day) FROM (
    SELECT office, side, kind, standing, day FROM (
        SELECT office, side, kind, standing, day, n FROM cube_day WHERE office = ANY ($1) AND book = 1 AND standing = ANY ($2) AND n <> 0
        UNION ALL
        SELECT office, side, kind, standing, day, n FROM cube_delta WHERE office = ANY ($1) AND book = 1 AND standing = ANY ($2)) u
    GROUP BY 1, 2, 3, 4, 5 HAVING sum(n) > 0) v
GROUP BY 1, 2, 3, 4`

// OldestDue returns the earliest day of each standing asked for, by office,
// side and kind. It reads counts alone, as the role yipan_counts.
func (tx *Tx) OldestDue(ctx context.Context, offices []area.Key, standings []uint8) ([]OldestDue, error) {
	of := make([]int16, len(standings))
	for i, s := range standings {
		of[i] = int16(s)
	}
	rows, err := tx.Query(ctx, oldestDue, ints(offices), of)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (o OldestDue, err error) {
		var side, kind, standing int16
		var day int32
		err = r.Scan((*int64)(&o.Office), &side, &kind, &standing, &day)
		o.Side, o.Kind, o.Standing, o.Day = cases.Side(side), cases.Kind(kind), uint8(standing), civil.FromDays(int(day))
		return o, err
	})
}
