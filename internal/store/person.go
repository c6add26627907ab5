package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
)

// Person is a row of an office's ledger. Doc, Phone and the indexes are
// ciphertext and blind; Key is the person's key, wrapped by the node's.
type Person struct {
	ID         cases.PersonID
	Office     area.Key
	Key        []byte
	Name       string // normalised
	Initials   string
	Sex        uint32
	Birth      civil.Date
	DocKind    uint32
	DocOK      bool // the document passes its check, or somebody confirmed it
	Doc        []byte
	DocIndex   []byte // nil: no document
	Last4      []byte
	Phone      []byte
	PhoneIndex []byte
	IndexKey   []byte // id of the key that made the indexes
}

// person_doc is unique per office, so that one office's rows tell nothing
// about another's.
const upsertPersons = `INSERT INTO person (id, office, key, name, sex, birth, doc_kind, doc, doc_index, last4, phone, phone_index, initials, index_key, doc_ok)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::text[], $5::smallint[], $6::date[], $7::smallint[], $8::bytea[], $9::bytea[], $10::bytea[], $11::bytea[], $12::bytea[],
    $13::text[], $14::bytea[], $15::boolean[]) u
ON CONFLICT (office, doc_index) DO NOTHING`

// AddPersons adds people; one whose document the office knows already stays as
// it is.
func (tx *Tx) AddPersons(ctx context.Context, ps []Person) error {
	if len(ps) == 0 {
		return nil
	}
	n := len(ps)
	ids, offices, keys, names, sexes, births := make([][16]byte, n), make([]int64, n), make([][]byte, n), make([]string, n), make([]int16, n), make([]*time.Time, n)
	kinds, docs, index, last4, phones, pindex := make([]int16, n), make([][]byte, n), make([][]byte, n), make([][]byte, n), make([][]byte, n), make([][]byte, n)
	initials, indexKeys, right := make([]string, n), make([][]byte, n), make([]bool, n)
	for i := range ps {
		p := &ps[i]
		ids[i], offices[i], keys[i], names[i], sexes[i] = p.ID, int64(p.Office), p.Key, p.Name, int16(p.Sex)
		if !p.Birth.IsZero() {
			t := p.Birth.UTC()
			births[i] = &t
		}
		kinds[i], docs[i], index[i], last4[i], phones[i], pindex[i] = int16(p.DocKind), p.Doc, p.DocIndex, p.Last4, p.Phone, p.PhoneIndex
		initials[i], indexKeys[i], right[i] = p.Initials, p.IndexKey, p.DocOK
	}
	return tx.write(upsertPersons, ids, offices, keys, names, sexes, births, kinds, docs, index, last4, phones, pindex, initials, indexKeys, right)
}

// One probe of each index a value: with = ANY the planner may walk the whole
// office instead, and so it may where the office is asked for, in the first
// minutes of a node, whose plans are kept. The blind index names the office. rank 1: a further or former document of the file.
const personsByDoc = `SELECT u.ix, p.id, p.restricted, p.rank FROM unnest($2::bytea[]) u (ix) CROSS JOIN LATERAL (
    SELECT coalesce(merged_into, id) AS id, restricted, 0 AS rank FROM person WHERE doc_index = u.ix
    UNION ALL
    SELECT coalesce(p.merged_into, p.id), p.restricted, 1 FROM lookup l JOIN person p ON p.id = l.person WHERE l.office = $1 AND l.use = 1 AND l.ix = u.ix
    OFFSET 0) p ORDER BY p.rank, p.id`

// PersonIDs finds ids by blind index within one office, among further and
// former documents too; of a merged file that into which it was merged. It shows
// nobody, so it is no read of a person. Cases that the transaction goes on to
// write about a restricted person are hidden at its end.
func (tx *Tx) PersonIDs(ctx context.Context, office area.Key, index [][]byte) (map[[16]byte]cases.PersonID, error) {
	rows, err := tx.Query(ctx, personsByDoc, int64(office), index)
	if err != nil {
		return nil, err
	}
	out := make(map[[16]byte]cases.PersonID, len(index))
	var ix []byte
	var id [16]byte
	var restricted bool
	var rank int32
	_, err = pgx.ForEachRow(rows, []any{&ix, &id, &restricted, &rank}, func() error {
		if len(ix) != 16 {
			return nil
		}
		if _, ok := out[[16]byte(ix)]; !ok {
			out[[16]byte(ix)] = id
		}
		if restricted {
			tx.HideSides(id)
		}
		return nil
	})
	return out, err
}

const personKey = `SELECT key FROM person WHERE id = $1`

// PersonKey returns the wrapped key of a person; nil: erased.
func (tx *Tx) PersonKey(ctx context.Context, id cases.PersonID) (key []byte, err error) {
	err = tx.QueryRow(ctx, personKey, [16]byte(id)).Scan(&key)
	return key, err
}

const personKeys = `SELECT p.id, p.key FROM (SELECT DISTINCT unnest($1::uuid[]) AS id) u CROSS JOIN LATERAL (SELECT id, key FROM person WHERE id = u.id OFFSET 0) p`

// PersonKeys returns the wrapped keys of people; erased ones are missing.
func (tx *Tx) PersonKeys(ctx context.Context, ids []cases.PersonID) (map[cases.PersonID][]byte, error) {
	rows, err := tx.Query(ctx, personKeys, uuids(ids))
	if err != nil {
		return nil, err
	}
	out := make(map[cases.PersonID][]byte, len(ids))
	var id [16]byte
	var key []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &key}, func() error {
		if key != nil {
			out[id] = key
		}
		key = nil
		return nil
	})
	return out, err
}

const erasePerson = `UPDATE person SET key = NULL, name = '', sex = 0, birth = NULL, doc_kind = 0, doc_ok = false, doc = NULL, doc_index = NULL, last4 = NULL, phone = NULL, phone_index = NULL,
    initials = '', registered = 0, managed = 0, living = 0, presence = 0, since = NULL, household = NULL, profile = NULL, index_key = NULL, rev = rev + 1, erased_at = now() WHERE id = $1`

// ErasePerson destroys a person's key and blanks the plain columns (D10), and
// with them what finds the person elsewhere: lookups, former names. Keepers of a
// restricted person stay, so that the blank row stays hidden. Lines of the
// history, movements and services stay too: what they say went with the key,
// their plain columns name nobody, and counts of an office's work go on counting
// erased persons (D4).
func (tx *Tx) ErasePerson(ctx context.Context, id cases.PersonID) error {
	if err := tx.write(dropLookups, [16]byte(id)); err != nil {
		return err
	}
	if err := tx.write(dropFormerNames, [16]byte(id)); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, erasePerson, [16]byte(id))
	return err
}

// ConsentRow is a consent as stored: Sealed is everything about it.
type ConsentRow struct {
	ID     cases.ConsentID
	Office area.Key
	Person cases.PersonID
	Sealed []byte
}

const insertConsent = `INSERT INTO consent (id, office, person, sealed) VALUES ($1, $2, $3, $4)`

// AddConsent records one consent of one person. There is no bulk form (D12).
func (tx *Tx) AddConsent(ctx context.Context, c ConsentRow) error {
	return tx.write(insertConsent, [16]byte(c.ID), int64(c.Office), [16]byte(c.Person), c.Sealed)
}

const updateConsent = `UPDATE consent SET sealed = $2 WHERE id = $1`

// PutConsent rewrites a consent, which LockConsents has locked.
func (tx *Tx) PutConsent(ctx context.Context, id cases.ConsentID, sealed []byte) error {
	return tx.write(updateConsent, [16]byte(id), sealed)
}

const shareConsents = `SELECT id, office, person, sealed FROM consent WHERE id = ANY($1) ORDER BY id FOR SHARE`
const lockConsents = `SELECT id, office, person, sealed FROM consent WHERE id = ANY($1) ORDER BY id FOR UPDATE`
const consentsOfPerson = `SELECT id, office, person, sealed FROM consent WHERE person = $1 ORDER BY recorded_at DESC, id`

// ShareConsents reads consents and keeps them from being withdrawn until the
// transaction ends: what relies on them commits before or sees the withdrawal.
func (tx *Tx) ShareConsents(ctx context.Context, ids []cases.ConsentID) (map[cases.ConsentID]ConsentRow, error) {
	return tx.consents(ctx, shareConsents, uuids(ids))
}

// LockConsents reads consents for a withdrawal.
func (tx *Tx) LockConsents(ctx context.Context, ids []cases.ConsentID) (map[cases.ConsentID]ConsentRow, error) {
	return tx.consents(ctx, lockConsents, uuids(ids))
}

// ConsentsOf reads the consents of one person, newest first.
func (tx *Tx) ConsentsOf(ctx context.Context, p cases.PersonID) ([]ConsentRow, error) {
	rows, err := tx.Query(ctx, consentsOfPerson, [16]byte(p))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanConsent)
}

func (tx *Tx) consents(ctx context.Context, sql string, arg any) (map[cases.ConsentID]ConsentRow, error) {
	rows, err := tx.Query(ctx, sql, arg)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, scanConsent)
	out := make(map[cases.ConsentID]ConsentRow, len(list))
	for _, c := range list {
		out[c.ID] = c
	}
	return out, err
}

func scanConsent(r pgx.CollectableRow) (c ConsentRow, err error) {
	err = r.Scan((*[16]byte)(&c.ID), (*int64)(&c.Office), (*[16]byte)(&c.Person), &c.Sealed)
	return c, err
}

const casesOfPerson = `SELECT ` + sideColumns + ` FROM case_side WHERE person = $1`

// SidesOfPerson returns the cases that are about a person of the office.
func (tx *Tx) SidesOfPerson(ctx context.Context, p cases.PersonID) ([]Side, error) {
	rows, err := tx.Query(ctx, casesOfPerson, [16]byte(p))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanSide)
}

// Certificate is one request for a 婚育证明 at the origin.
type Certificate struct {
	ID       [16]byte
	Office   area.Key
	Person   cases.PersonID
	AskedOn  civil.Date
	IssuedOn civil.Date // zero: not yet
}

const addCertificates = `INSERT INTO certificate (id, office, person, asked_on, issued_on)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::date[], $5::date[]) u ON CONFLICT (office, person, asked_on) DO NOTHING`

// AddCertificates records requests for certificates; repeating one does
// nothing.
func (tx *Tx) AddCertificates(ctx context.Context, cs []Certificate) error {
	if len(cs) == 0 {
		return nil
	}
	n := len(cs)
	ids, offices, persons, asked, issued := make([][16]byte, n), make([]int64, n), make([][16]byte, n), make([]time.Time, n), make([]*time.Time, n)
	for i, c := range cs {
		ids[i], offices[i], persons[i], asked[i] = c.ID, int64(c.Office), c.Person, c.AskedOn.UTC()
		if !c.IssuedOn.IsZero() {
			t := c.IssuedOn.UTC()
			issued[i] = &t
		}
	}
	return tx.write(addCertificates, ids, offices, persons, asked, issued)
}
