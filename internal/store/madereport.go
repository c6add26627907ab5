package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
)

// MadeReport is a report of frozen figures as it was first made. It never
// changes.
type MadeReport struct {
	Area     area.Key // that it is about
	Kind     uint8    // figures.ReportKind
	Period   string
	Revision uint32
	Format   uint8
	View     string // whose figures are shown as to themselves; empty: nobody's
	Layout   int    // of the program that made it
	Content  []byte
	Digest   [32]byte // SHA-256 of the content
	MadeAt   time.Time
}

const keepReport = `INSERT INTO made_report (office, kind, period, revision, format, view, layout, content, digest, made_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`

// KeepReport writes a report; where one stands already, that one stays.
func (tx *Tx) KeepReport(ctx context.Context, r *MadeReport) error {
	_, err := tx.Exec(ctx, keepReport, int64(r.Area), int16(r.Kind), r.Period, int(r.Revision), int16(r.Format), r.View, r.Layout, r.Content, r.Digest[:], r.MadeAt)
	return err
}

const keptReport = `SELECT layout, content, digest, made_at FROM made_report
WHERE office = $1 AND kind = $2 AND period = $3 AND revision = $4 AND format = $5 AND view = $6`

// KeptReport reads the rest of a report by its first six fields; false: none was
// made.
func (tx *Tx) KeptReport(ctx context.Context, r *MadeReport) (bool, error) {
	var digest []byte
	err := tx.QueryRow(ctx, keptReport, int64(r.Area), int16(r.Kind), r.Period, int(r.Revision), int16(r.Format), r.View).Scan(&r.Layout, &r.Content, &digest, &r.MadeAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	copy(r.Digest[:], digest)
	return err == nil, err
}
