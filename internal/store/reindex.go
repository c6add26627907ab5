package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/seal"
)

// An index for what is looked for once a rotation would cost every registration.
const staleFiles = `SELECT id FROM person WHERE id > $3 AND (index_key IS NULL OR index_key <> $1) AND erased_at IS NULL ORDER BY id LIMIT $2`

// StaleFiles returns files of the transaction's offices whose blind indexes were
// made with another key than current, at most limit of them, in order of id after
// one. It shows nobody, and reads all files where there are fewer.
func (tx *Tx) StaleFiles(ctx context.Context, current seal.KeyID, after cases.PersonID, limit int) ([]cases.PersonID, error) {
	return tx.personIDs(ctx, staleFiles, current[:], limit, [16]byte(after))
}

const staleLookups = `SELECT DISTINCT person FROM lookup WHERE index_key <> $1 LIMIT $2`

// StaleLookups returns files with an index beside their row that was made with
// another key than current. It reads all that is beside rows.
func (tx *Tx) StaleLookups(ctx context.Context, current seal.KeyID, limit int) ([]cases.PersonID, error) {
	return tx.personIDs(ctx, staleLookups, current[:], limit)
}

func (tx *Tx) personIDs(ctx context.Context, sql string, args ...any) ([]cases.PersonID, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (id cases.PersonID, err error) {
		err = r.Scan((*[16]byte)(&id))
		return id, err
	})
}

const putIndexes = `UPDATE person SET doc_index = $2, last4 = $3, phone_index = $4, household = $5, index_key = $6 WHERE id = $1`

// PutIndexes rewrites the blind indexes of a file that is locked, and
// nothing else: who edits the file meanwhile notices nothing.
func (tx *Tx) PutIndexes(_ context.Context, p *PersonRow) error {
	return tx.write(putIndexes, [16]byte(p.ID), p.DocIndex, p.Last4, p.PhoneIndex, null16(p.Household), p.IndexKey)
}

const documentHolders = `SELECT u.ix, p.id, p.restricted FROM unnest($1::bytea[]) u (ix)
CROSS JOIN LATERAL (SELECT id, restricted FROM person WHERE doc_index = u.ix OFFSET 0) p`

// Holder is a file whose row has a document's index.
type Holder struct {
	Person     cases.PersonID
	Restricted bool
}

// DocumentHolders finds the files whose rows have documents' indexes, merged and hidden ones too, each as it is. It shows nobody.
func (tx *Tx) DocumentHolders(ctx context.Context, index [][]byte) (map[[16]byte]Holder, error) {
	rows, err := tx.Query(ctx, documentHolders, index)
	if err != nil {
		return nil, err
	}
	out := make(map[[16]byte]Holder, len(index))
	var ix []byte
	var h Holder
	_, err = pgx.ForEachRow(rows, []any{&ix, (*[16]byte)(&h.Person), &h.Restricted}, func() error {
		if len(ix) == 16 {
			out[[16]byte(ix)] = h
		}
		return nil
	})
	return out, err
}

// A notice that somebody unpaired, or that has no document, has no index to be
// made anew.
const restampWaiting = `UPDATE case_lookup SET index_key = $1 WHERE index_key <> $1 AND length(ix) <= 1`
const dropStaleWaiting = `DELETE FROM case_lookup WHERE index_key <> $1 AND length(ix) > 1`

// ForgetStaleWaiting forgets which notices wait under another index key than
// current: whoever looks at unpaired notices sees them as new, and pairs them or
// notes them under the current key.
func (tx *Tx) ForgetStaleWaiting(ctx context.Context, current seal.KeyID) (int64, error) {
	if err := tx.write(restampWaiting, current[:]); err != nil {
		return 0, err
	}
	t, err := tx.Exec(ctx, dropStaleWaiting, current[:])
	return t.RowsAffected(), err
}

const indexKeyUse = `SELECT coalesce(index_key, ''), count(*) FROM (
    SELECT index_key FROM person WHERE erased_at IS NULL
    UNION ALL SELECT index_key FROM lookup
    UNION ALL SELECT index_key FROM case_lookup) all_rows GROUP BY 1`

// IndexKeyUse counts the rows that lie under each index key, of some offices. The
// zero KeyID stands for rows of which nobody knows.
func (db *DB) IndexKeyUse(ctx context.Context, offices []area.Key) (map[seal.KeyID]int64, error) {
	out := map[seal.KeyID]int64{}
	err := db.InExchange(ctx, offices, func(tx *Tx) error {
		clear(out)
		rows, err := tx.Query(ctx, indexKeyUse)
		if err != nil {
			return err
		}
		var id []byte
		var n int64
		_, err = pgx.ForEachRow(rows, []any{&id, &n}, func() error {
			var k seal.KeyID
			copy(k[:], id)
			out[k] += n
			return nil
		})
		return err
	})
	return out, err
}
