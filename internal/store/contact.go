package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
)

// ContactRow is the contact log of a person as stored.
type ContactRow struct {
	Person cases.PersonID
	Office area.Key
	Sealed []byte
}

const contactsOf = `SELECT c.* FROM (SELECT DISTINCT unnest($1::uuid[]) AS id ORDER BY 1) u
CROSS JOIN LATERAL (SELECT person, office, sealed FROM contact WHERE person = u.id OFFSET 0) c`

// ContactsOf returns the contact logs in files; most have none.
func (tx *Tx) ContactsOf(ctx context.Context, files []cases.PersonID) ([]ContactRow, error) {
	rows, err := tx.Query(ctx, contactsOf, uuids(files))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (c ContactRow, err error) {
		err = r.Scan((*[16]byte)(&c.Person), (*int64)(&c.Office), &c.Sealed)
		return c, err
	})
}

const putContact = `INSERT INTO contact (person, office, sealed) VALUES ($1, $2, $3) ON CONFLICT (person) DO UPDATE SET sealed = excluded.sealed`

// PutContact writes a person's contact log.
func (tx *Tx) PutContact(_ context.Context, c ContactRow) error {
	return tx.write(putContact, [16]byte(c.Person), int64(c.Office), c.Sealed)
}

// PersonSecrets is what an office keeps under the key of one file: a consent,
// or its contact log.
type PersonSecrets struct {
	File    cases.PersonID
	Into    cases.PersonID // the file that it was merged into; zero: none
	Key     []byte         // wrapped
	Consent *ConsentRow    // nil: none
	Contact []byte         // nil: none
}

const officeConsents = `SELECT c.id, c.person, c.sealed, p.key, p.merged_into FROM consent c CROSS JOIN LATERAL (
    SELECT key, merged_into FROM person WHERE id = c.person AND erased_at IS NULL OFFSET 0) p WHERE c.whole = $1`
const officeContacts = `SELECT c.person, c.sealed, p.key, p.merged_into FROM contact c CROSS JOIN LATERAL (
    SELECT key, merged_into FROM person WHERE id = c.person AND erased_at IS NULL OFFSET 0) p WHERE c.whole = $1`
const officeBirths = `SELECT person, opened_at FROM case_side WHERE office = $1 AND side = 1 AND kind = 5 AND person IS NOT NULL`

// EachSecret calls fn with every consent, and then with every contact log, of an
// office, one at a time, and returns when birth-service notices were opened, by
// file. Those of erased people are missing. It is for counts alone: whoever
// calls it shows nobody.
func (tx *Tx) EachSecret(ctx context.Context, office area.Key, fn func(*PersonSecrets) error) (map[cases.PersonID][]time.Time, error) {
	rows, err := tx.Query(ctx, officeConsents, int64(office))
	if err != nil {
		return nil, err
	}
	var c ConsentRow
	var key, sealed []byte
	var into *[16]byte
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&c.ID), (*[16]byte)(&c.Person), &c.Sealed, &key, &into}, func() error {
		c.Office = office
		return fn(&PersonSecrets{File: c.Person, Into: or16[cases.PersonID](into), Key: key, Consent: &c})
	})
	if err != nil {
		return nil, err
	}
	if rows, err = tx.Query(ctx, officeContacts, int64(office)); err != nil {
		return nil, err
	}
	var who cases.PersonID
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&who), &sealed, &key, &into}, func() error {
		return fn(&PersonSecrets{File: who, Into: or16[cases.PersonID](into), Key: key, Contact: sealed})
	})
	if err != nil {
		return nil, err
	}
	if rows, err = tx.Query(ctx, officeBirths, int64(office)); err != nil {
		return nil, err
	}
	births := map[cases.PersonID][]time.Time{}
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&who), &at}, func() error { births[who] = append(births[who], at); return nil })
	return births, err
}
