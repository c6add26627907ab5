package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
)

// Likeness is what a file may have in common with somebody described.
type Likeness struct {
	Index [][]byte   // blind indexes of documents, at most 20 (SECURITY D9)
	Birth civil.Date // zero: names are not searched
	Names []string   // normalised; present or former
}

// Each value is probed by itself, as in personsByDoc. A merged file brings the
// one into which it was merged.
const likePersons = `WITH found AS (
    SELECT p.id, p.merged_into FROM unnest($2::bytea[]) u (ix)
        CROSS JOIN LATERAL (SELECT id, merged_into FROM person WHERE doc_index = u.ix OFFSET 0) p
    UNION ALL
    SELECT p.id, p.merged_into FROM unnest($2::bytea[]) u (ix)
        CROSS JOIN LATERAL (SELECT person FROM lookup WHERE office = $1 AND use = 1 AND ix = u.ix OFFSET 0) l
        CROSS JOIN LATERAL (SELECT id, merged_into FROM person WHERE id = l.person AND erased_at IS NULL OFFSET 0) p
    UNION ALL
    (SELECT id, merged_into FROM person WHERE office = $1 AND birth = $3 AND name = ANY($4) LIMIT 20)
    UNION ALL
    (SELECT p.id, p.merged_into FROM unnest($4::text[]) u (name)
        CROSS JOIN LATERAL (SELECT person FROM former_name WHERE office = $1 AND name COLLATE "C" = u.name OFFSET 0) f
        CROSS JOIN LATERAL (SELECT id, merged_into FROM person WHERE id = f.person AND birth = $3 OFFSET 0) p LIMIT 20)
)
SELECT id FROM found UNION SELECT merged_into FROM found WHERE merged_into IS NOT NULL`

// Like finds the files of an office that have something in common with somebody
// described. It shows nobody; who reads the files by the ids logs it.
func (tx *Tx) Like(ctx context.Context, office area.Key, l Likeness) ([]cases.PersonID, error) {
	var birth *time.Time
	if !l.Birth.IsZero() {
		t := l.Birth.UTC()
		birth = &t
	}
	rows, err := tx.Query(ctx, likePersons, int64(office), l.Index, birth, l.Names)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (id cases.PersonID, err error) {
		err = r.Scan((*[16]byte)(&id))
		return id, err
	})
}

// A notice that was never looked at since it, or the key, changed. One that
// somebody unpaired waits for people.
const unpairedSides = `SELECT s.case_id, s.office FROM unnest($1::bigint[]) o (office) CROSS JOIN LATERAL (
    SELECT case_id, office FROM case_side s
    WHERE office = o.office AND side = 2 AND status = 1 AND person IS NULL AND erased_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM case_lookup l WHERE l.case_id = s.case_id AND l.office = s.office AND (l.version = s.version AND l.index_key = $3 OR length(l.ix) = 1))
    ORDER BY case_id LIMIT $2
) s LIMIT $2`

// UnpairedSides returns open notices to offices that nobody paired and that were
// not looked at as they are now, under the index key of that id.
func (tx *Tx) UnpairedSides(ctx context.Context, offices []area.Key, limit int, key []byte) ([]Side, error) {
	return tx.sideIDs(ctx, unpairedSides, ints(offices), limit, key)
}

// A file has the document of a notice that waits, though nobody told it so: it
// came by another way than a registration. What restricted persons have is left
// to their keepers.
const metSides = `SELECT s.case_id, s.office FROM unnest($1::bigint[]) o (office) CROSS JOIN LATERAL (
    SELECT l.case_id, l.office FROM case_lookup l WHERE l.office = o.office AND l.ix > '\x00' AND (
        (SELECT true FROM person p WHERE p.doc_index = l.ix AND NOT p.restricted LIMIT 1)
        OR (SELECT true FROM lookup k JOIN person p ON p.id = k.person WHERE k.office = l.office AND k.use = 1 AND k.ix = l.ix AND NOT p.restricted LIMIT 1))
    LIMIT $2
) s LIMIT $2`

// MetSides returns waiting notices whose document some file of their office has
// by now.
func (tx *Tx) MetSides(ctx context.Context, offices []area.Key, limit int) ([]Side, error) {
	return tx.sideIDs(ctx, metSides, ints(offices), limit)
}

func (tx *Tx) sideIDs(ctx context.Context, sql string, args ...any) ([]Side, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (s Side, err error) {
		err = r.Scan((*[16]byte)(&s.Case), (*int64)(&s.Office))
		return s, err
	})
}

// Waiting is a notice that no person of the ledger matched beyond doubt.
type Waiting struct {
	Case     cases.CaseID
	Office   area.Key
	Index    []byte // blind index of its document; empty: nothing finds it; Unpaired
	IndexKey []byte // id of the key that made it
	Version  uint64 // of the case as it was looked at
}

// Unpaired is the index of a notice whose pairing somebody undid: nothing pairs
// it by itself.
var Unpaired = []byte{0}

const putWaiting = `INSERT INTO case_lookup (case_id, office, ix, index_key, version)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bigint[]) u
ON CONFLICT (case_id, office) DO UPDATE SET ix = excluded.ix, index_key = excluded.index_key, version = excluded.version`

// PutWaiting notes notices that wait for a person of the ledger.
func (tx *Tx) PutWaiting(_ context.Context, ws []Waiting) error {
	n := len(ws)
	if n == 0 {
		return nil
	}
	ids, offices, index, keys, versions := make([][16]byte, n), make([]int64, n), make([][]byte, n), make([][]byte, n), make([]int64, n)
	for i := range ws {
		ids[i], offices[i], index[i], keys[i], versions[i] = ws[i].Case, int64(ws[i].Office), ws[i].Index, ws[i].IndexKey, int64(ws[i].Version)
		if index[i] == nil {
			index[i] = []byte{}
		}
	}
	return tx.write(putWaiting, ids, offices, index, keys, versions)
}

const dropWaiting = `DELETE FROM case_lookup WHERE case_id = $1 AND office = $2`

// DropWaiting forgets that a notice waits.
func (tx *Tx) DropWaiting(_ context.Context, id cases.CaseID, office area.Key) error {
	return tx.write(dropWaiting, [16]byte(id), int64(office))
}

const waitingFor = `SELECT w.case_id FROM (
    SELECT doc_index AS ix FROM person WHERE id = $2 AND doc_index IS NOT NULL
    UNION SELECT ix FROM lookup WHERE person = $2 AND use = 1
) d CROSS JOIN LATERAL (SELECT case_id FROM case_lookup WHERE office = $1 AND ix = d.ix OFFSET 0) w ORDER BY w.case_id LIMIT $3`

// WaitingFor finds notices to an office that wait for a person's documents.
func (tx *Tx) WaitingFor(ctx context.Context, office area.Key, id cases.PersonID, limit int) ([]cases.CaseID, error) {
	rows, err := tx.Query(ctx, waitingFor, int64(office), [16]byte(id), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (c cases.CaseID, err error) {
		err = r.Scan((*[16]byte)(&c))
		return c, err
	})
}

const sweepWaiting = `DELETE FROM case_lookup l USING (
    SELECT w.case_id, w.office FROM unnest($1::bigint[]) o (office) CROSS JOIN LATERAL (
        SELECT case_id, office FROM case_lookup l WHERE office = o.office
            AND NOT EXISTS (SELECT 1 FROM case_side s WHERE s.case_id = l.case_id AND s.office = l.office AND s.side = 2 AND s.status = 1 AND s.person IS NULL AND s.erased_at IS NULL)
        LIMIT $2
    ) w LIMIT $2
) gone WHERE l.case_id = gone.case_id AND l.office = gone.office`

// SweepWaiting forgets notices that wait no more: paired, answered, withdrawn,
// rerouted, given to another office or erased.
func (tx *Tx) SweepWaiting(ctx context.Context, offices []area.Key, limit int) (int64, error) {
	t, err := tx.Exec(ctx, sweepWaiting, ints(offices), limit)
	return t.RowsAffected(), err
}

// A case about a restricted person is there for the keepers only. The file is
// locked, so that who restricts it meanwhile comes before, or hides this side too.
const pairSide = `UPDATE case_side s SET person = p.id, restricted = p.restricted, rev = s.rev + 1,` + pairedWith
const foundSide = `UPDATE case_side s SET person = p.id, restricted = p.restricted,` + pairedWith
const pairedWith = ` changed_at = now()
FROM (SELECT id, office, restricted FROM person WHERE id = $3 AND erased_at IS NULL FOR SHARE) p
WHERE s.case_id = $1 AND s.office = $2 AND s.side = 2 AND s.status = 1 AND s.person IS NULL AND s.erased_at IS NULL AND p.office = s.office`

// PairSide pairs an open notice that nobody paired yet and reports whether it
// did. The etag changes.
func (tx *Tx) PairSide(ctx context.Context, id cases.CaseID, office area.Key, person cases.PersonID) (bool, error) {
	t, err := tx.Exec(ctx, pairSide, [16]byte(id), int64(office), [16]byte(person))
	return t.RowsAffected() == 1, err
}

const ownSide = `UPDATE case_side s SET person = p.id, restricted = p.restricted
FROM (SELECT id, office, restricted FROM person WHERE id = $3 FOR SHARE) p WHERE s.case_id = $1 AND s.office = $2 AND p.office = s.office`

// OwnSide writes whom a side is about, and whether that person is restricted.
// The etag stays: TouchSides changes it.
func (tx *Tx) OwnSide(_ context.Context, id cases.CaseID, office area.Key, person cases.PersonID) error {
	return tx.write(ownSide, [16]byte(id), int64(office), [16]byte(person))
}

// FoundSide is PairSide for a pairing that nobody decided. The etag stays: what
// somebody decides about a notice that was shown to them unpaired holds, and a
// pairing by a machine is overruled by people.
func (tx *Tx) FoundSide(ctx context.Context, id cases.CaseID, office area.Key, person cases.PersonID) (bool, error) {
	t, err := tx.Exec(ctx, foundSide, [16]byte(id), int64(office), [16]byte(person))
	return t.RowsAffected() == 1, err
}

const unpairSide = `UPDATE case_side SET person = NULL, restricted = false, rev = rev + 1, changed_at = now() WHERE case_id = $1 AND office = $2`

// UnpairSide undoes a pairing. The etag changes.
func (tx *Tx) UnpairSide(_ context.Context, id cases.CaseID, office area.Key) error {
	return tx.write(unpairSide, [16]byte(id), int64(office))
}
