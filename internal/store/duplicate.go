package store

import (
	"bytes"
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
)

// DuplicateState says what was decided about a proposal.
type DuplicateState int16

// The states of a proposal.
const (
	DuplicateProposed  DuplicateState = 0
	DuplicateMerged    DuplicateState = 1
	DuplicateDismissed DuplicateState = 2
)

// Duplicate is two files of an office that may be of one person.
type Duplicate struct {
	A, B    cases.PersonID // A < B, see PairOf
	Office  area.Key
	Score   int
	Reasons uint32 // bits of package match
	State   DuplicateState
	At      time.Time // since when it is proposed
}

// PairOf puts two persons in the order of the table.
func PairOf(a, b cases.PersonID) (cases.PersonID, cases.PersonID) {
	if bytes.Compare(a[:], b[:]) > 0 {
		return b, a
	}
	return a, b
}

const proposeDuplicates = `INSERT INTO duplicate (a, b, office, score, reasons)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::smallint[], $5::int[]) u
ON CONFLICT (a, b) DO UPDATE SET score = excluded.score, reasons = excluded.reasons WHERE duplicate.state = 0`

// ProposeDuplicates notes pairs of files that may be of one person; what was
// decided about a pair stays.
func (tx *Tx) ProposeDuplicates(_ context.Context, ds []Duplicate) error {
	n := len(ds)
	if n == 0 {
		return nil
	}
	as, bs, offices, scores, reasons := make([][16]byte, n), make([][16]byte, n), make([]int64, n), make([]int16, n), make([]int32, n)
	for i := range ds {
		a, b := PairOf(ds[i].A, ds[i].B)
		as[i], bs[i], offices[i], scores[i], reasons[i] = a, b, int64(ds[i].Office), int16(ds[i].Score), int32(ds[i].Reasons)
	}
	return tx.write(proposeDuplicates, as, bs, offices, scores, reasons)
}

const decideDuplicate = `INSERT INTO duplicate (a, b, office, score, reasons, state, decided_at, account) VALUES ($1, $2, $3, $4, $5, $6, now(), $7)
ON CONFLICT (a, b) DO UPDATE SET score = excluded.score, reasons = excluded.reasons, state = excluded.state, decided_at = now(), account = excluded.account`

// DecideDuplicate writes what somebody decided about two files, whether the
// pair was proposed or not.
func (tx *Tx) DecideDuplicate(_ context.Context, d Duplicate, account string) error {
	a, b := PairOf(d.A, d.B)
	return tx.write(decideDuplicate, [16]byte(a), [16]byte(b), int64(d.Office), int16(d.Score), int32(d.Reasons), int16(d.State), account)
}

const reopenDuplicate = `UPDATE duplicate SET state = CASE WHEN score >= $3 THEN 0 ELSE 2 END, decided_at = CASE WHEN score >= $3 THEN NULL ELSE now() END, account = $4 WHERE a = $1 AND b = $2`

// ReopenDuplicate takes back what was decided about two files: the pair is
// proposed again from score near on, and else dismissed.
func (tx *Tx) ReopenDuplicate(_ context.Context, a, b cases.PersonID, near int, account string) error {
	a, b = PairOf(a, b)
	return tx.write(reopenDuplicate, [16]byte(a), [16]byte(b), int16(near), account)
}

const duplicateStates = `SELECT o.id, d.state FROM unnest($2::uuid[]) o (id) CROSS JOIN LATERAL (
    SELECT state FROM duplicate WHERE a = least($1::uuid, o.id) AND b = greatest($1::uuid, o.id) OFFSET 0) d`

// DuplicateStates returns what was decided about a file and others; pairs that
// were never proposed are missing.
func (tx *Tx) DuplicateStates(ctx context.Context, id cases.PersonID, others []cases.PersonID) (map[cases.PersonID]DuplicateState, error) {
	rows, err := tx.Query(ctx, duplicateStates, [16]byte(id), uuids(others))
	if err != nil {
		return nil, err
	}
	out := map[cases.PersonID]DuplicateState{}
	var o [16]byte
	var s int16
	_, err = pgx.ForEachRow(rows, []any{&o, &s}, func() error { out[o] = DuplicateState(s); return nil })
	return out, err
}

// A proposal is there as long as both files are there, for the caller to see and
// on their own.
const listDuplicates = `SELECT d.* FROM unnest($1::bigint[]) o (office) CROSS JOIN LATERAL (
    SELECT a, b, office, score, reasons, at FROM duplicate d WHERE office = o.office AND state = 0 AND (at, a, b) > ($2::timestamptz, $3::uuid, $4::uuid)
        AND (SELECT true FROM person p WHERE p.id = d.a AND p.merged_into IS NULL AND p.erased_at IS NULL LIMIT 1)
        AND (SELECT true FROM person p WHERE p.id = d.b AND p.merged_into IS NULL AND p.erased_at IS NULL LIMIT 1)
    ORDER BY at, a, b LIMIT $5
) d ORDER BY d.at, d.a, d.b LIMIT $5`

// DuplicatePlace is the place of a proposal in the list; the zero value is
// before all.
type DuplicatePlace struct {
	At   time.Time
	A, B cases.PersonID
}

// ListDuplicates returns open proposals after a place, oldest first.
func (tx *Tx) ListDuplicates(ctx context.Context, offices []area.Key, after DuplicatePlace, limit int) ([]Duplicate, error) {
	rows, err := tx.Query(ctx, listDuplicates, ints(offices), after.At, [16]byte(after.A), [16]byte(after.B), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (d Duplicate, err error) {
		var score int16
		var reasons int32
		err = r.Scan((*[16]byte)(&d.A), (*[16]byte)(&d.B), (*int64)(&d.Office), &score, &reasons, &d.At)
		d.Score, d.Reasons = int(score), uint32(reasons)
		return d, err
	})
}

const groupOf = `WITH root AS (SELECT coalesce((SELECT merged_into FROM person WHERE id = $1), $1) AS id)
SELECT id FROM root UNION ALL SELECT p.id FROM root CROSS JOIN LATERAL (SELECT id FROM person WHERE merged_into = root.id ORDER BY id OFFSET 0) p`

// GroupOf returns the ids of all files of the person of a file, the one into
// which the others were merged first. One that is not there is alone.
func (tx *Tx) GroupOf(ctx context.Context, id cases.PersonID) ([]cases.PersonID, error) {
	rows, err := tx.Query(ctx, groupOf, [16]byte(id))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (p cases.PersonID, err error) {
		err = r.Scan((*[16]byte)(&p))
		return p, err
	})
}

// The root is a column of its own, since coalesce in a condition counts as leaky
// and keeps the index from being used.
const keysAndGroups = `SELECT p.id, p.key, r.id, ARRAY(SELECT m.id FROM person m WHERE m.merged_into = r.id)
FROM (SELECT DISTINCT unnest($1::uuid[]) AS id) u CROSS JOIN LATERAL (SELECT id, key, merged_into FROM person WHERE id = u.id OFFSET 0) p
CROSS JOIN LATERAL (SELECT coalesce(p.merged_into, p.id) AS id OFFSET 0) r`

// Held is a file's wrapped key, and all files of its person.
type Held struct {
	Key   []byte
	Files []cases.PersonID
}

// KeysAndGroups is PersonKeys with the files that were merged.
func (tx *Tx) KeysAndGroups(ctx context.Context, ids []cases.PersonID) (map[cases.PersonID]Held, error) {
	rows, err := tx.Query(ctx, keysAndGroups, uuids(ids))
	if err != nil {
		return nil, err
	}
	out := make(map[cases.PersonID]Held, len(ids))
	var id, root [16]byte
	var key []byte
	var merged [][16]byte
	_, err = pgx.ForEachRow(rows, []any{&id, &key, &root, &merged}, func() error {
		if key != nil {
			h := Held{Key: key, Files: []cases.PersonID{root}}
			for _, m := range merged {
				h.Files = append(h.Files, m)
			}
			out[id] = h
		}
		key, merged = nil, nil
		return nil
	})
	return out, err
}

const mergeInto = `UPDATE person SET merged_into = CASE WHEN id = $1 THEN $3 ELSE merged_into END, rev = rev + 1 WHERE id IN ($1, $2)`

// The root of merged files stands in the list of those due for all of them; when
// one goes, what remains says what it was offered. 1 is the three checks.
const joinRound = `UPDATE person SET offered_round = greatest(offered_round, (SELECT o.offered_round FROM person o WHERE o.id = $2)) WHERE id = $1`
const splitRound = `UPDATE person SET offered_round = coalesce((SELECT max(s.period) FROM service s
    WHERE s.person = ANY(ARRAY(SELECT $1::uuid UNION ALL SELECT m.id FROM person m WHERE m.merged_into = $1)) AND s.kind = 1 AND s.closed), 0) WHERE id = $1`

// MergeInto says that a file is one more of root's person (merged), or its own
// again, and so of the last offer round that the root had. Both files' etags
// change.
func (tx *Tx) MergeInto(_ context.Context, id, root cases.PersonID, merged bool) error {
	var into *[16]byte
	if merged {
		into = null16(root)
	}
	if err := tx.write(mergeInto, [16]byte(id), [16]byte(root), into); err != nil {
		return err
	}
	if merged {
		return tx.write(joinRound, [16]byte(root), [16]byte(id))
	}
	return tx.write(splitRound, [16]byte(root))
}
