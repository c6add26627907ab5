package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
)

// ReportIn is a report to an area of this node, with its author's signature
// (wire.VerifyReport), which was verified before it was written.
type ReportIn struct {
	Item       cases.ItemID
	Author     cases.NodeID
	X, Y       area.Key
	Form       cases.ReportForm
	Period     string
	Content    []byte
	KeyID      [8]byte
	Signature  []byte
	RecordedAt time.Time // by its author
	HeldAt     time.Time // here
}

const insertReportIn = `INSERT INTO report_in (item, author, x, y, form, period, content, key_id, signature, recorded_at, held_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (item) DO NOTHING`

// AddReportsIn writes reports that came; those that are there stay as they are.
func (tx *Tx) AddReportsIn(_ context.Context, rs []ReportIn) error {
	for i := range rs {
		r := &rs[i]
		content := r.Content
		if content == nil {
			content = []byte{}
		}
		err := tx.write(insertReportIn, [16]byte(r.Item), int64(r.Author), int64(r.X), int64(r.Y), int16(r.Form), r.Period, content, r.KeyID[:], r.Signature, r.RecordedAt, r.HeldAt)
		if err != nil {
			return err
		}
	}
	return nil
}

const reportsIn = `SELECT item, author, x, y, form, period, content, key_id, signature, recorded_at, held_at FROM report_in
WHERE done_at IS NULL ORDER BY held_at, item LIMIT $1`

// ReportsIn returns reports that were not read yet, the oldest first. Only the
// exchange sees them.
func (tx *Tx) ReportsIn(ctx context.Context, limit int) ([]ReportIn, error) {
	rows, err := tx.Query(ctx, reportsIn, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (o ReportIn, err error) {
		var form int16
		var key []byte
		err = r.Scan((*[16]byte)(&o.Item), (*int64)(&o.Author), (*int64)(&o.X), (*int64)(&o.Y), &form, &o.Period, &o.Content, &key, &o.Signature, &o.RecordedAt, &o.HeldAt)
		o.Form = cases.ReportForm(form)
		copy(o.KeyID[:], key)
		return o, err
	})
}

const markReportDone = `UPDATE report_in SET done_at = $2 WHERE item = $1 AND done_at IS NULL`

// MarkReportDone notes that a report was read.
func (tx *Tx) MarkReportDone(_ context.Context, item cases.ItemID, at time.Time) error {
	return tx.write(markReportDone, [16]byte(item), at)
}
