package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
)

// Bulk is a bulk action: planned, done or undone. Sealed is its plan and what
// became of it, under the node's key.
type Bulk struct {
	ID       [16]byte
	Office   area.Key
	Account  string
	Action   int16
	At       time.Time // of the plan
	UndoneAt time.Time // zero: not undone
	Sealed   []byte
}

const addBulk = `INSERT INTO bulk (id, office, account, action, at, sealed) VALUES ($1, $2, $3, $4, $5, $6)`
const dropBulk = `DELETE FROM bulk WHERE office = $1 AND at < $2`

// AddBulk keeps a plan, and forgets the office's that are older than before.
func (tx *Tx) AddBulk(_ context.Context, b Bulk, before time.Time) error {
	if err := tx.write(dropBulk, int64(b.Office), before); err != nil {
		return err
	}
	return tx.write(addBulk, b.ID, int64(b.Office), b.Account, b.Action, b.At, b.Sealed)
}

const lockBulk = `SELECT id, office, account, action, at, undone_at, sealed FROM bulk WHERE id = $1 FOR UPDATE`

// LockBulk reads a bulk action and locks it; false: there is none, or of
// another office.
func (tx *Tx) LockBulk(ctx context.Context, id [16]byte) (b Bulk, found bool, err error) {
	var undone *time.Time
	err = tx.QueryRow(ctx, lockBulk, id).Scan(&b.ID, (*int64)(&b.Office), &b.Account, &b.Action, &b.At, &undone, &b.Sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return b, false, nil
	}
	b.UndoneAt = orZero(undone)
	return b, err == nil, err
}

const putBulk = `UPDATE bulk SET sealed = $2, undone_at = $3 WHERE id = $1`

// PutBulk notes what became of a bulk action.
func (tx *Tx) PutBulk(_ context.Context, b Bulk) error {
	return tx.write(putBulk, b.ID, b.Sealed, nullTime(b.UndoneAt))
}
