package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/cases"
	"yipan/internal/ledger"
)

// MovementRow is a movement with its sealed note.
type MovementRow struct {
	ledger.Movement
	Sealed []byte
}

const lockPersons = `SELECT p.id FROM (SELECT DISTINCT unnest($1::uuid[]) AS id ORDER BY 1) u
CROSS JOIN LATERAL (SELECT id FROM person WHERE id = u.id AND erased_at IS NULL OFFSET 0 FOR NO KEY UPDATE) p`

// LockPersons locks people in order of their ids until the transaction ends, so
// that the movements of one are registered one after the other, and returns
// those that are there and not erased. It shows nobody.
func (tx *Tx) LockPersons(ctx context.Context, ids []cases.PersonID) ([]cases.PersonID, error) {
	rows, err := tx.Query(ctx, lockPersons, uuids(ids))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (id cases.PersonID, err error) {
		err = r.Scan((*[16]byte)(&id))
		return id, err
	})
}

const insertMovement = `INSERT INTO movement (id, office, person, kind, place_from, place_to, event_on, due_on, recorded_at, account, sealed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`

// AddMovement adds a movement.
func (tx *Tx) AddMovement(_ context.Context, m *MovementRow) error {
	return tx.write(insertMovement, [16]byte(m.ID), int64(m.Office), [16]byte(m.Person), int16(m.Kind), int64(m.From), int64(m.To), sqlDay(m.On), sqlDay(m.DueOn),
		m.RecordedAt, m.Account, m.Sealed)
}

const movementColumns = `id, office, person, kind, place_from, place_to, event_on, due_on, recorded_at, account, undone_at, sealed`

func scanMovement(r pgx.CollectableRow) (m MovementRow, err error) {
	var kind int16
	var on time.Time
	var due, undone *time.Time
	err = r.Scan((*[16]byte)(&m.ID), (*int64)(&m.Office), (*[16]byte)(&m.Person), &kind, (*int64)(&m.From), (*int64)(&m.To), &on, &due, &m.RecordedAt, &m.Account, &undone, &m.Sealed)
	m.Kind, m.UndoneAt = ledger.MovementKind(kind), orZero(undone)
	m.On, m.DueOn = dayOf(&on), dayOf(due)
	return m, err
}

const movementsOf = `SELECT m.* FROM (SELECT DISTINCT unnest($1::uuid[]) AS person) u
CROSS JOIN LATERAL (SELECT ` + movementColumns + ` FROM movement WHERE person = u.person OFFSET 0) m ORDER BY event_on, recorded_at, id`

// MovementsOf returns the movements of people, undone ones too, in order of
// event, then recording. It uses movement_person.
func (tx *Tx) MovementsOf(ctx context.Context, persons []cases.PersonID) ([]MovementRow, error) {
	rows, err := tx.Query(ctx, movementsOf, uuids(persons))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanMovement)
}

const movementByID = `SELECT ` + movementColumns + ` FROM movement WHERE id = $1`

// MovementByID returns a movement of the transaction's offices, false where
// there is none.
func (tx *Tx) MovementByID(ctx context.Context, id ledger.MovementID) (MovementRow, bool, error) {
	rows, err := tx.Query(ctx, movementByID, [16]byte(id))
	if err != nil {
		return MovementRow{}, false, err
	}
	ms, err := pgx.CollectRows(rows, scanMovement)
	if err != nil || len(ms) == 0 {
		return MovementRow{}, false, err
	}
	return ms[0], true, nil
}

const noteMovement = `UPDATE movement SET sealed = $2, undone_at = coalesce($3, undone_at) WHERE id = $1`

// NoteMovement replaces the sealed note of a movement, and marks it as undone
// where undone is not zero.
func (tx *Tx) NoteMovement(_ context.Context, id ledger.MovementID, sealed []byte, undone time.Time) error {
	return tx.write(noteMovement, [16]byte(id), sealed, nullTime(undone))
}
