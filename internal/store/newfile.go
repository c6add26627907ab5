package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
)

// As insertFile, for many. A file may have been changed before it is written, so
// that its rev comes along.
const insertFiles = `INSERT INTO person (id, office, key, name, initials, sex, birth, doc_kind, doc, doc_index, last4, phone, phone_index, index_key,
    registered, managed, living, presence, since, household, profile, rev, doc_ok)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::text[], $5::text[], $6::smallint[], $7::date[], $8::smallint[], $9::bytea[], $10::bytea[], $11::bytea[],
    $12::bytea[], $13::bytea[], $14::bytea[], $15::bigint[], $16::bigint[], $17::bigint[], $18::smallint[], $19::date[], $20::uuid[], $21::bytea[], $22::int[], $23::boolean[]) u
ON CONFLICT (office, doc_index) DO NOTHING`

// AddFiles adds files, all or, where it reports false, not all: one of the
// office had a document already, and the transaction must not commit.
func (tx *Tx) AddFiles(ctx context.Context, ps []*PersonRow) (bool, error) {
	n := len(ps)
	if n == 0 {
		return true, nil
	}
	ids, offices, keys, names, initials := make([][16]byte, n), make([]int64, n), make([][]byte, n), make([]string, n), make([]string, n)
	sexes, births, kinds, docs, index := make([]int16, n), make([]*time.Time, n), make([]int16, n), make([][]byte, n), make([][]byte, n)
	last4, phones, pindex, stamps := make([][]byte, n), make([][]byte, n), make([][]byte, n), make([][]byte, n)
	registered, managed, living, presence := make([]int64, n), make([]int64, n), make([]int64, n), make([]int16, n)
	since, households, profiles, revs := make([]*time.Time, n), make([]*[16]byte, n), make([][]byte, n), make([]int32, n)
	right := make([]bool, n)
	for i, p := range ps {
		ids[i], offices[i], keys[i], names[i], initials[i] = p.ID, int64(p.Office), p.Key, p.Name, p.Initials
		sexes[i], births[i], kinds[i], docs[i], index[i] = int16(p.Sex), sqlDay(p.Birth), int16(p.DocKind), p.Doc, p.DocIndex
		last4[i], phones[i], pindex[i], stamps[i] = p.Last4, p.Phone, p.PhoneIndex, p.IndexKey
		registered[i], managed[i], living[i], presence[i] = int64(p.Registered), int64(p.Managed), int64(p.Living), int16(p.Presence)
		since[i], households[i], profiles[i], revs[i], right[i] = sqlDay(p.Since), null16(p.Household), p.Profile, p.Rev, p.DocOK
	}
	t, err := tx.Exec(ctx, insertFiles, ids, offices, keys, names, initials, sexes, births, kinds, docs, index, last4, phones, pindex, stamps,
		registered, managed, living, presence, since, households, profiles, revs, right)
	return t.RowsAffected() == int64(n), err
}

const insertPersonEvents = `INSERT INTO person_event (id, office, person, kind, event_on, recorded_at, account, sealed)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::smallint[], $5::date[], $6::timestamptz[], $7::text[], $8::bytea[]) u`

// AddPersonEvents is AddPersonEvent for many.
func (tx *Tx) AddPersonEvents(_ context.Context, es []PersonEvent) error {
	n := len(es)
	if n == 0 {
		return nil
	}
	ids, offices, persons, kinds := make([][16]byte, n), make([]int64, n), make([][16]byte, n), make([]int16, n)
	on, at, accounts, sealed := make([]time.Time, n), make([]time.Time, n), make([]string, n), make([][]byte, n)
	for i := range es {
		e := &es[i]
		ids[i], offices[i], persons[i], kinds[i] = e.ID, int64(e.Office), e.Person, int16(e.Kind)
		on[i], at[i], accounts[i], sealed[i] = e.On.UTC(), e.RecordedAt, e.Account, e.Sealed
	}
	return tx.write(insertPersonEvents, ids, offices, persons, kinds, on, at, accounts, sealed)
}

const insertMovements = `INSERT INTO movement (id, office, person, kind, place_from, place_to, event_on, due_on, recorded_at, account, sealed)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::smallint[], $5::bigint[], $6::bigint[], $7::date[], $8::date[], $9::timestamptz[], $10::text[], $11::bytea[]) u`

// AddMovements is AddMovement for many.
func (tx *Tx) AddMovements(_ context.Context, ms []MovementRow) error {
	n := len(ms)
	if n == 0 {
		return nil
	}
	ids, offices, persons, kinds, from, to := make([][16]byte, n), make([]int64, n), make([][16]byte, n), make([]int16, n), make([]int64, n), make([]int64, n)
	on, due, at, accounts, sealed := make([]*time.Time, n), make([]*time.Time, n), make([]time.Time, n), make([]string, n), make([][]byte, n)
	for i := range ms {
		m := &ms[i]
		ids[i], offices[i], persons[i], kinds[i], from[i], to[i] = m.ID, int64(m.Office), m.Person, int16(m.Kind), int64(m.From), int64(m.To)
		on[i], due[i], at[i], accounts[i], sealed[i] = sqlDay(m.On), sqlDay(m.DueOn), m.RecordedAt, m.Account, m.Sealed
	}
	return tx.write(insertMovements, ids, offices, persons, kinds, from, to, on, due, at, accounts, sealed)
}

// In order of the ids, so that two who claim the same do not wait for each other.
const claimRequests = `INSERT INTO request (account, request_id, office, method, hash, result)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bytea[], $6::bytea[]) u ORDER BY 2 ON CONFLICT DO NOTHING RETURNING request_id`

// ClaimRequests is ClaimRequest and FinishRequest for many requests of one
// account that nobody made before, with what each results in; it returns which
// those are, and leaves the others as they are.
func (tx *Tx) ClaimRequests(ctx context.Context, rs []Request, results [][]byte) (map[string]bool, error) {
	n := len(rs)
	accounts, ids, offices, methods, hashes := make([]string, n), make([]string, n), make([]int64, n), make([]string, n), make([][]byte, n)
	for i := range rs {
		r := &rs[i]
		accounts[i], ids[i], offices[i], methods[i], hashes[i] = r.Account, r.RequestID, int64(r.Office), r.Method, r.Hash[:]
	}
	rows, err := tx.Query(ctx, claimRequests, accounts, ids, offices, methods, hashes, results)
	if err != nil {
		return nil, err
	}
	out := make(map[string]bool, n)
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error { out[id] = true; return nil })
	return out, err
}

const awaited = `SELECT u.ix FROM unnest($2::bytea[]) u (ix) WHERE (SELECT true FROM case_lookup WHERE office = $1 AND ix = u.ix LIMIT 1)`

// Awaited returns those blind indexes of documents for which a notice to an
// office waits.
func (tx *Tx) Awaited(ctx context.Context, office area.Key, index [][]byte) (map[[16]byte]bool, error) {
	rows, err := tx.Query(ctx, awaited, int64(office), index)
	if err != nil {
		return nil, err
	}
	out := map[[16]byte]bool{}
	var ix []byte
	_, err = pgx.ForEachRow(rows, []any{&ix}, func() error {
		if len(ix) == 16 {
			out[[16]byte(ix)] = true
		}
		return nil
	})
	return out, err
}

// LikeEach is Like for many, in one round trip.
func (tx *Tx) LikeEach(ctx context.Context, office area.Key, ls []Likeness) ([][]cases.PersonID, error) {
	if len(ls) == 0 {
		return nil, nil
	}
	if err := tx.flush(ctx); err != nil {
		return nil, err
	}
	b := &pgx.Batch{}
	for i := range ls {
		b.Queue(likePersons, int64(office), ls[i].Index, sqlDay(ls[i].Birth), ls[i].Names)
	}
	found := tx.SendBatch(ctx, b)
	out := make([][]cases.PersonID, len(ls))
	for i := range out {
		rows, err := found.Query()
		if err == nil {
			out[i], err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (id cases.PersonID, err error) {
				err = r.Scan((*[16]byte)(&id))
				return id, err
			})
		}
		if err != nil {
			_ = found.Close() // the first error counts
			return nil, err
		}
	}
	return out, found.Close()
}
