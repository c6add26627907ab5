package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/ledger"
)

// PersonRow is a person's file as stored. Key, Doc, Phone and Profile are
// ciphertext; DocIndex, Last4, PhoneIndex and Household are blind.
type PersonRow struct {
	ID           cases.PersonID
	Office       area.Key
	Key          []byte // wrapped; nil: erased
	Name         string // normalised
	Initials     string
	Sex          uint32
	Birth        civil.Date
	DocKind      uint32
	DocOK        bool // the document passes its check, or somebody confirmed it
	Doc          []byte
	DocIndex     []byte // nil: no document, or a hidden file has it
	Last4        []byte
	Phone        []byte
	PhoneIndex   []byte
	IndexKey     []byte // id of the key that made the indexes
	Registered   area.Key
	Managed      area.Key
	Living       area.Key
	Presence     ledger.Presence
	Since        civil.Date
	Household    [16]byte       // zero: none
	Profile      []byte         // nil: whoever only a notice told of
	MergedInto   cases.PersonID // zero: stands for itself
	Restricted   bool
	OfferedRound uint32
	Rev          int32
	Erased       bool
}

const personColumns = `id, office, key, name, initials, sex, birth, doc_kind, doc, doc_index, last4, phone, phone_index, index_key,
    registered, managed, living, presence, since, household, profile, merged_into, restricted, offered_round, rev, erased_at IS NOT NULL, doc_ok`

func scanPersonRow(r pgx.CollectableRow) (p PersonRow, err error) {
	var sex, kind, presence int16
	var round int32
	var birth, since *time.Time
	var household, merged *[16]byte
	err = r.Scan((*[16]byte)(&p.ID), (*int64)(&p.Office), &p.Key, &p.Name, &p.Initials, &sex, &birth, &kind, &p.Doc, &p.DocIndex, &p.Last4, &p.Phone,
		&p.PhoneIndex, &p.IndexKey, (*int64)(&p.Registered), (*int64)(&p.Managed), (*int64)(&p.Living), &presence, &since, &household, &p.Profile,
		&merged, &p.Restricted, &round, &p.Rev, &p.Erased, &p.DocOK)
	p.Sex, p.DocKind, p.Presence, p.OfferedRound = uint32(sex), uint32(kind), ledger.Presence(presence), uint32(round)
	p.Birth, p.Since = dayOf(birth), dayOf(since)
	p.Household, p.MergedInto = or16[[16]byte](household), or16[cases.PersonID](merged)
	return p, err
}

func dayOf(t *time.Time) civil.Date {
	if t == nil {
		return civil.Date{}
	}
	return civil.Date{Year: t.Year(), Month: t.Month(), Day: t.Day()}
}

func sqlDay(d civil.Date) *time.Time {
	if d.IsZero() {
		return nil
	}
	t := d.UTC()
	return &t
}

// Each file is probed by itself, as in sidesOf: for = ANY a planner that knows no
// rows yet reads all files of the office. Files are locked in order of id.
const personsByID = `SELECT p.* FROM (SELECT DISTINCT unnest($1::uuid[]) AS id) u
CROSS JOIN LATERAL (SELECT ` + personColumns + ` FROM person WHERE id = u.id OFFSET 0) p ORDER BY p.id`
const lockPersonRows = `SELECT p.* FROM (SELECT DISTINCT unnest($1::uuid[]) AS id ORDER BY 1) u
CROSS JOIN LATERAL (SELECT ` + personColumns + ` FROM person WHERE id = u.id OFFSET 0 FOR NO KEY UPDATE) p`
const groupsOf = `SELECT p.* FROM (SELECT DISTINCT unnest($1::uuid[]) AS id) u
CROSS JOIN LATERAL (SELECT ` + personColumns + ` FROM person WHERE merged_into = u.id OFFSET 0) p ORDER BY p.id`

// PersonsByID reads files, erased ones too, in order of id. Those that the
// transaction may not see are missing. The caller logs the read.
func (tx *Tx) PersonsByID(ctx context.Context, ids []cases.PersonID) ([]PersonRow, error) {
	return tx.personRows(ctx, personsByID, uuids(ids))
}

// LockPersonRows is PersonsByID that keeps others from changing the files until
// the transaction ends.
func (tx *Tx) LockPersonRows(ctx context.Context, ids []cases.PersonID) ([]PersonRow, error) {
	return tx.personRows(ctx, lockPersonRows, uuids(ids))
}

// MergedInto reads the files that were merged into one of ids.
func (tx *Tx) MergedInto(ctx context.Context, ids []cases.PersonID) ([]PersonRow, error) {
	return tx.personRows(ctx, groupsOf, uuids(ids))
}

func (tx *Tx) personRows(ctx context.Context, sql string, args ...any) ([]PersonRow, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanPersonRow)
}

// It looks for the documents as personsByDoc does.
const insertFile = `INSERT INTO person (id, office, key, name, initials, sex, birth, doc_kind, doc, doc_index, last4, phone, phone_index, index_key,
    registered, managed, living, presence, since, household, profile, doc_ok)
SELECT $1::uuid, $2::bigint, $3::bytea, $4::text, $5::text, $6::smallint, $7::date, $8::smallint, $9::bytea, $10::bytea, $11::bytea, $12::bytea, $13::bytea, $14::bytea,
    $15::bigint, $16::bigint, $17::bigint, $18::smallint, $19::date, $20::uuid, $21::bytea, $22::boolean
WHERE (SELECT true FROM unnest($23::bytea[]) u (ix) CROSS JOIN LATERAL (
    SELECT true FROM person WHERE doc_index = u.ix
    UNION ALL
    SELECT true FROM lookup l JOIN person p ON p.id = l.person WHERE l.office = $2 AND l.use = 1 AND l.ix = u.ix
    OFFSET 0) p LIMIT 1) IS NULL
ON CONFLICT (office, doc_index) DO NOTHING`

// AddFile adds a file. It reports false, and adds none, where one of the office
// has the document of the row already, be it one that the transaction may not
// see, or where one that it sees has a document of these blind indexes.
func (tx *Tx) AddFile(ctx context.Context, p *PersonRow, index [][]byte) (bool, error) {
	t, err := tx.Exec(ctx, insertFile, append(fileArgs(p, int64(p.Office), p.Key), index)...)
	return t.RowsAffected() == 1, err
}

// fileArgs are the columns that a file's edit writes; before them come the id
// and what else the statement wants.
func fileArgs(p *PersonRow, before ...any) []any {
	args := append([]any{[16]byte(p.ID)}, before...)
	return append(args, p.Name, p.Initials, int16(p.Sex), sqlDay(p.Birth), int16(p.DocKind), p.Doc, p.DocIndex, p.Last4, p.Phone, p.PhoneIndex, p.IndexKey,
		int64(p.Registered), int64(p.Managed), int64(p.Living), int16(p.Presence), sqlDay(p.Since), null16(p.Household), p.Profile, p.DocOK)
}

const updateFile = `UPDATE person SET rev = rev + 1, name = $2, initials = $3, sex = $4, birth = $5, doc_kind = $6, doc = $7, doc_index = $8, last4 = $9,
    phone = $10, phone_index = $11, index_key = $12, registered = $13, managed = $14, living = $15, presence = $16, since = $17, household = $18, profile = $19, doc_ok = $20
WHERE id = $1`

// PutFile rewrites a file that LockPersonRows has locked; its rev grows. It reports
// false, and writes nothing, where another file of the office has the document,
// be it one that the transaction may not see.
func (tx *Tx) PutFile(ctx context.Context, p *PersonRow) (bool, error) {
	// A savepoint, because a violation would end the transaction.
	if _, err := tx.Exec(ctx, "SAVEPOINT file"); err != nil {
		return false, err
	}
	_, err := tx.Exec(ctx, updateFile, fileArgs(p)...)
	if err != nil && !IsDuplicate(err) {
		return false, err
	}
	end, stands := "RELEASE SAVEPOINT file", err == nil
	if !stands {
		end = "ROLLBACK TO SAVEPOINT file"
	}
	_, err = tx.Exec(ctx, end)
	return stands, err
}

// PutKnownFile is PutFile where the index of the document is the one that the
// file has had, so that no other file can have it.
func (tx *Tx) PutKnownFile(_ context.Context, p *PersonRow) error {
	return tx.write(updateFile, fileArgs(p)...)
}

const setPresence = `UPDATE person SET presence = $2, living = $3, since = $4, rev = rev + 1 WHERE id = $1`

// SetPresence writes where a person is, as the movements tell.
func (tx *Tx) SetPresence(_ context.Context, id cases.PersonID, presence ledger.Presence, living area.Key, since civil.Date) error {
	return tx.write(setPresence, [16]byte(id), int16(presence), int64(living), sqlDay(since))
}

// Uses of a Lookup.
const (
	LookupDocument = 1
	LookupLast4    = 2
	LookupPhone    = 3
)

// Lookup is a blind index of a file beside those of its row.
type Lookup struct {
	Use   int16
	Index [16]byte
	Key   []byte // id of the key that made it
}

const dropLookups = `DELETE FROM lookup WHERE person = $1`
const addLookups = `INSERT INTO lookup (office, use, ix, person, index_key)
SELECT $1, use, ix, $2, key FROM unnest($3::smallint[], $4::bytea[], $5::bytea[]) u (use, ix, key) ON CONFLICT DO NOTHING`

// SetLookups replaces the lookups of a file.
func (tx *Tx) SetLookups(ctx context.Context, office area.Key, id cases.PersonID, ls []Lookup) error {
	if err := tx.write(dropLookups, [16]byte(id)); err != nil {
		return err
	}
	return tx.AddLookups(ctx, office, id, ls)
}

// AddLookups adds lookups to those of a file.
func (tx *Tx) AddLookups(_ context.Context, office area.Key, id cases.PersonID, ls []Lookup) error {
	if len(ls) == 0 {
		return nil
	}
	uses, index, keys := make([]int16, len(ls)), make([][]byte, len(ls)), make([][]byte, len(ls))
	for i := range ls {
		uses[i], index[i], keys[i] = ls[i].Use, ls[i].Index[:], ls[i].Key
	}
	return tx.write(addLookups, int64(office), [16]byte(id), uses, index, keys)
}

// FormerName is a name that a person had, normalised, with its initials.
type FormerName struct{ Name, Initials string }

const dropFormerNames = `DELETE FROM former_name WHERE person = $1`
const addFormerNames = `INSERT INTO former_name (person, office, name, initials)
SELECT $1, $2, name, initials FROM unnest($3::text[], $4::text[]) u (name, initials) ON CONFLICT DO NOTHING`

// SetFormerNames replaces the former names of a file.
func (tx *Tx) SetFormerNames(ctx context.Context, office area.Key, id cases.PersonID, names []FormerName) error {
	if err := tx.write(dropFormerNames, [16]byte(id)); err != nil {
		return err
	}
	return tx.AddFormerNames(ctx, office, id, names)
}

// AddFormerNames adds former names to those of a file.
func (tx *Tx) AddFormerNames(_ context.Context, office area.Key, id cases.PersonID, names []FormerName) error {
	if len(names) == 0 {
		return nil
	}
	ns, is := make([]string, len(names)), make([]string, len(names))
	for i, n := range names {
		ns[i], is[i] = n.Name, n.Initials
	}
	return tx.write(addFormerNames, [16]byte(id), int64(office), ns, is)
}
