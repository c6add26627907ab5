package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Tx is a transaction under one role. It is not safe for concurrent use.
//
// Writes whose results nobody reads are not sent one by one: they wait, in
// order, until something is read or the transaction commits, and then cross to
// the server together. Their errors come then.
type Tx struct {
	querier
	Role Role

	behind *pgx.Batch // writes not sent yet; nil: none
	hidden [][16]byte // restricted persons whose cases are hidden at the end
}

// querier is what a connection and a transaction of pgx have in common.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// write queues a statement.
func (tx *Tx) write(sql string, args ...any) error {
	if tx.behind == nil {
		tx.behind = &pgx.Batch{}
	}
	tx.behind.Queue(sql, args...)
	return nil
}

// flush sends the queued writes in one round trip.
func (tx *Tx) flush(ctx context.Context) error {
	if tx.behind == nil {
		return nil
	}
	b := tx.behind
	tx.behind = nil
	return tx.SendBatch(ctx, b).Close()
}

// Flush sends the writes that wait for the commit, so that an error of theirs
// shows in a transaction that will be rolled back.
func (tx *Tx) Flush(ctx context.Context) error { return tx.flush(ctx) }

// Query sends what is queued and queries, in one round trip.
func (tx *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if tx.behind == nil {
		return tx.querier.Query(ctx, sql, args...)
	}
	b, err := tx.after(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	rows, err := b.Query()
	if err != nil {
		_ = b.Close() // the first error counts
		return nil, err
	}
	return &lastRows{rows, b}, nil
}

// QueryRow sends what is queued and queries for one row.
func (tx *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if tx.behind == nil {
		return tx.querier.QueryRow(ctx, sql, args...)
	}
	b, err := tx.after(ctx, sql, args)
	if err != nil {
		return lastRow{err: err}
	}
	return lastRow{batch: b}
}

// Exec sends what is queued and executes.
func (tx *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if tx.behind == nil {
		return tx.querier.Exec(ctx, sql, args...)
	}
	b, err := tx.after(ctx, sql, args)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	t, err := b.Exec()
	if end := b.Close(); err == nil {
		err = end
	}
	return t, err
}

// after sends the queued writes with one more statement and reads the writes'
// results; what the statement answers is left to be read.
func (tx *Tx) after(ctx context.Context, sql string, args []any) (pgx.BatchResults, error) {
	n := tx.behind.Len()
	tx.behind.Queue(sql, args...)
	b := tx.SendBatch(ctx, tx.behind)
	tx.behind = nil
	for range n {
		if _, err := b.Exec(); err != nil {
			_ = b.Close() // the first error counts
			return nil, err
		}
	}
	return b, nil
}

// lastRows is the rows of the last statement of a batch, which ends with them.
type lastRows struct {
	pgx.Rows
	batch pgx.BatchResults
}

// Next ends the batch with the rows.
func (r *lastRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

// Close ends the rows and the batch.
func (r *lastRows) Close() {
	r.Rows.Close()
	if r.batch != nil {
		_ = r.batch.Close() // an error of the rows is Err's
		r.batch = nil
	}
}

// lastRow is the row of the last statement of a batch, or why there is none.
type lastRow struct {
	batch pgx.BatchResults
	err   error
}

// Scan reads the row and ends the batch.
func (r lastRow) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	err := r.batch.QueryRow().Scan(dest...)
	if end := r.batch.Close(); err == nil {
		err = end
	}
	return err
}

// commit sends what is queued and commits, in one round trip. A transaction
// that the server had aborted answers ROLLBACK to that.
func (tx *Tx) commit(ctx context.Context) error {
	if len(tx.hidden) > 0 {
		_ = tx.write(hideSides, tx.hidden) // it only queues
	}
	if tx.behind == nil {
		t, err := tx.querier.Exec(ctx, "COMMIT")
		if err == nil && t.String() == "ROLLBACK" {
			err = pgx.ErrTxCommitRollback
		}
		return err
	}
	n := tx.behind.Len()
	tx.behind.Queue("COMMIT")
	b := tx.SendBatch(ctx, tx.behind)
	tx.behind = nil
	for range n {
		if _, err := b.Exec(); err != nil {
			_ = b.Close() // the first error counts
			return err
		}
	}
	t, err := b.Exec()
	if err == nil && t.String() == "ROLLBACK" {
		err = pgx.ErrTxCommitRollback
	}
	return errors.Join(err, b.Close())
}
