package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/ledger"
)

// PersonEvent is a line of a file's history. Sealed is what it says, under the
// person's key.
type PersonEvent struct {
	ID         [16]byte
	Office     area.Key
	Person     cases.PersonID
	Kind       ledger.EventKind
	On         civil.Date
	RecordedAt time.Time
	Account    string
	Sealed     []byte
}

const insertPersonEvent = `INSERT INTO person_event (id, office, person, kind, event_on, recorded_at, account, sealed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

// AddPersonEvent appends a line to a history; no line is ever changed.
func (tx *Tx) AddPersonEvent(_ context.Context, e PersonEvent) error {
	return tx.write(insertPersonEvent, e.ID, int64(e.Office), [16]byte(e.Person), int16(e.Kind), e.On.UTC(), e.RecordedAt, e.Account, e.Sealed)
}

const personEvents = `SELECT id, office, person, kind, event_on, recorded_at, account, sealed FROM person_event WHERE person = ANY($1) ORDER BY recorded_at, id`

// PersonEvents reads the histories of files, oldest first by recording time. The
// caller has seen the files and logs the read.
func (tx *Tx) PersonEvents(ctx context.Context, ids []cases.PersonID) ([]PersonEvent, error) {
	rows, err := tx.Query(ctx, personEvents, uuids(ids))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (e PersonEvent, err error) {
		var kind int16
		var on time.Time
		err = r.Scan(&e.ID, (*int64)(&e.Office), (*[16]byte)(&e.Person), &kind, &on, &e.RecordedAt, &e.Account, &e.Sealed)
		e.Kind, e.On = ledger.EventKind(kind), dayOf(&on)
		return e, err
	})
}

const addKeepers = `INSERT INTO keeper (person, office, account) SELECT p, $2, a FROM unnest($1::uuid[]) p, unnest($3::text[]) a ON CONFLICT DO NOTHING`
const dropKeepers = `DELETE FROM keeper WHERE person = ANY($1)`
const restrictPersons = `UPDATE person SET restricted = $2, rev = rev + 1 WHERE id = ANY($1)`
const restrictSides = `UPDATE case_side SET restricted = $2 WHERE person = ANY($1)`
const hideSides = `UPDATE case_side s SET restricted = true FROM person p WHERE s.person = ANY($1) AND p.id = s.person AND p.restricted AND NOT s.restricted`

// Restrict leaves files, and the cases about them, to two accounts (D11), one of
// which must be the transaction's.
func (tx *Tx) Restrict(_ context.Context, office area.Key, ids []cases.PersonID, keepers []string) error {
	// Keepers first: a row that its writer would not see cannot be written.
	if err := tx.write(addKeepers, uuids(ids), int64(office), keepers); err != nil {
		return err
	}
	if err := tx.write(restrictPersons, uuids(ids), true); err != nil {
		return err
	}
	return tx.write(restrictSides, uuids(ids), true)
}

// Unrestrict undoes Restrict.
func (tx *Tx) Unrestrict(_ context.Context, ids []cases.PersonID) error {
	if err := tx.write(restrictPersons, uuids(ids), false); err != nil {
		return err
	}
	if err := tx.write(restrictSides, uuids(ids), false); err != nil {
		return err
	}
	return tx.write(dropKeepers, uuids(ids))
}

const keepersOf = `SELECT person, account FROM keeper WHERE person = ANY($1) ORDER BY person, account`

// KeepersOf returns who sees restricted persons, in order; others are missing.
func (tx *Tx) KeepersOf(ctx context.Context, ids []cases.PersonID) (map[cases.PersonID][]string, error) {
	rows, err := tx.Query(ctx, keepersOf, uuids(ids))
	if err != nil {
		return nil, err
	}
	out := map[cases.PersonID][]string{}
	var id [16]byte
	var account string
	_, err = pgx.ForEachRow(rows, []any{&id, &account}, func() error {
		out[id] = append(out[id], account)
		return nil
	})
	return out, err
}

// HideSides hides, as the last thing before the transaction commits, its cases
// about those of ids who are restricted. Whoever links a case to a person calls
// it; PersonIDs does so by itself. For others it does nothing.
func (tx *Tx) HideSides(ids ...cases.PersonID) { tx.hidden = append(tx.hidden, uuids(ids)...) }

const clerksOf = `SELECT id FROM account WHERE id = ANY($1) AND role = $3 AND disabled_at IS NULL AND $2 = ANY(offices)`

// ClerksOf returns those of ids that are active clerks of an office.
func (tx *Tx) ClerksOf(ctx context.Context, ids []string, office area.Key) ([]string, error) {
	rows, err := tx.Query(ctx, clerksOf, ids, int64(office), string(access.Clerk))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

const recentAccess = `SELECT coalesce(sum(n) FILTER (WHERE at > now() - interval '1 hour'), 0), coalesce(sum(n), 0) FROM access_log
WHERE account = $1 AND verb = ANY($2) AND at > now() - interval '24 hours' AND on_behalf = $3 AND (verb <> 'person.write' OR purpose = 'update')`

// RecentAccess counts the persons whose files a user opened or edited within the
// last hour and the last 24, by the database's clock.
func (tx *Tx) RecentAccess(ctx context.Context, p access.Principal) (hour, day int64, err error) {
	err = tx.QueryRow(ctx, recentAccess, p.ID, []string{string(access.PersonOpen), string(access.PersonWrite)}, p.OnBehalf).Scan(&hour, &day)
	return hour, day, err
}

// Read is one look at somebody, as the access log has it.
type Read struct {
	At       time.Time
	Office   area.Key
	Account  string
	OnBehalf string
	Verb     access.Verb
	Purpose  string
}

const readsOf = `SELECT at, office, account, on_behalf, verb, purpose FROM reads_of($1, $2)`

// ReadsOf returns the newest looks at subjects by offices of the transaction.
func (tx *Tx) ReadsOf(ctx context.Context, subjects [][16]byte, most int) ([]Read, error) {
	rows, err := tx.Query(ctx, readsOf, subjects, most)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (v Read, err error) {
		var verb string
		err = r.Scan(&v.At, (*int64)(&v.Office), &v.Account, &v.OnBehalf, &verb, &v.Purpose)
		v.Verb = access.Verb(verb)
		return v, err
	})
}
