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

// ServiceKey names a service to one person in one period: an offer round for
// the three checks, a month (year × 100 + month) for the others.
type ServiceKey struct {
	Person cases.PersonID
	Kind   ledger.Service
	Period uint32
}

// Service is a service as stored: Sealed is everything about it but whether
// more is due in the period.
type Service struct {
	ServiceKey
	Office area.Key
	Closed bool
	Sealed []byte
}

// One probe of service_pkey a key.
const servicesByKey = `SELECT s.person, s.office, s.kind, s.period, s.closed, s.sealed FROM unnest($1::uuid[], $2::smallint[], $3::int[]) u (p, k, n)
CROSS JOIN LATERAL (SELECT * FROM service WHERE person = u.p AND kind = u.k AND period = u.n OFFSET 0) s`

const servicesOf = `SELECT s.* FROM (SELECT DISTINCT unnest($1::uuid[]) AS person) u
CROSS JOIN LATERAL (SELECT person, office, kind, period, closed, sealed FROM service WHERE person = u.person OFFSET 0) s ORDER BY period DESC, kind, person`

const servicesOfPeriod = `SELECT person, office, kind, period, closed, sealed FROM service
WHERE office = $1 AND kind = $2 AND period = $3 AND person > $4 ORDER BY person LIMIT $5`

// Services returns the services that stand under keys.
func (tx *Tx) Services(ctx context.Context, keys []ServiceKey) (map[ServiceKey]Service, error) {
	people, kinds, periods := make([][16]byte, len(keys)), make([]int16, len(keys)), make([]int32, len(keys))
	for i, k := range keys {
		people[i], kinds[i], periods[i] = k.Person, int16(k.Kind), int32(k.Period)
	}
	list, err := tx.services(ctx, servicesByKey, people, kinds, periods)
	out := make(map[ServiceKey]Service, len(list))
	for _, s := range list {
		out[s.ServiceKey] = s
	}
	return out, err
}

// ServicesOf returns all services to people, the newest period first.
func (tx *Tx) ServicesOf(ctx context.Context, people []cases.PersonID) ([]Service, error) {
	return tx.services(ctx, servicesOf, uuids(people))
}

// ServicesOfPeriod pages through an office's services of a kind and period, by
// person.
func (tx *Tx) ServicesOfPeriod(ctx context.Context, office area.Key, kind ledger.Service, period uint32, after cases.PersonID, limit int) ([]Service, error) {
	return tx.services(ctx, servicesOfPeriod, int64(office), int16(kind), int32(period), [16]byte(after), limit)
}

func (tx *Tx) services(ctx context.Context, sql string, args ...any) ([]Service, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (s Service, err error) {
		var kind int16
		var period int32
		err = r.Scan((*[16]byte)(&s.Person), (*int64)(&s.Office), &kind, &period, &s.Closed, &s.Sealed)
		s.Kind, s.Period = ledger.Service(kind), uint32(period)
		return s, err
	})
}

const putServices = `INSERT INTO service (person, office, kind, period, closed, sealed)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::int[], $5::boolean[], $6::bytea[]) u
ON CONFLICT (person, kind, period) DO UPDATE SET closed = excluded.closed, sealed = excluded.sealed`

// PutServices writes services; no key may be there twice.
func (tx *Tx) PutServices(ctx context.Context, ss []Service) error {
	if len(ss) == 0 {
		return nil
	}
	n := len(ss)
	people, offices, kinds, periods := make([][16]byte, n), make([]int64, n), make([]int16, n), make([]int32, n)
	closed, sealed := make([]bool, n), make([][]byte, n)
	for i := range ss {
		s := &ss[i]
		people[i], offices[i], kinds[i], periods[i], closed[i], sealed[i] = s.Person, int64(s.Office), int16(s.Kind), int32(s.Period), s.Closed, s.Sealed
	}
	return tx.write(putServices, people, offices, kinds, periods, closed, sealed)
}

const insertTally = `INSERT INTO service_tally (office, kind, period, sealed) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`
const lockTally = `SELECT sealed FROM service_tally WHERE office = $1 AND kind = $2 AND period = $3 FOR UPDATE`
const readTally = `SELECT sealed FROM service_tally WHERE office = $1 AND kind = $2 AND period = $3`
const putTally = `UPDATE service_tally SET sealed = $4 WHERE office = $1 AND kind = $2 AND period = $3`

// LockTally locks the tally of an office, kind and period, and returns it. Where
// there is none, empty stands first.
func (tx *Tx) LockTally(ctx context.Context, office area.Key, kind ledger.Service, period uint32, empty []byte) ([]byte, error) {
	sealed, err := tx.oneTally(ctx, lockTally, office, kind, period)
	if err != nil || sealed != nil {
		return sealed, err
	}
	if err := tx.write(insertTally, int64(office), int16(kind), int32(period), empty); err != nil {
		return nil, err
	}
	return tx.oneTally(ctx, lockTally, office, kind, period)
}

// ReadTally returns a tally, nil where there is none.
func (tx *Tx) ReadTally(ctx context.Context, office area.Key, kind ledger.Service, period uint32) ([]byte, error) {
	return tx.oneTally(ctx, readTally, office, kind, period)
}

func (tx *Tx) oneTally(ctx context.Context, sql string, office area.Key, kind ledger.Service, period uint32) (sealed []byte, err error) {
	rows, err := tx.Query(ctx, sql, int64(office), int16(kind), int32(period))
	if err != nil {
		return nil, err
	}
	_, err = pgx.ForEachRow(rows, []any{&sealed}, func() error { return nil })
	return sealed, err
}

// PutTally rewrites a tally, which LockTally has locked.
func (tx *Tx) PutTally(ctx context.Context, office area.Key, kind ledger.Service, period uint32, sealed []byte) error {
	return tx.write(putTally, int64(office), int16(kind), int32(period), sealed)
}

// ServedFile is what recording a service needs of a person's row.
type ServedFile struct {
	ID           cases.PersonID
	Office       area.Key
	Presence     ledger.Presence
	OfferedRound uint32
}

const lockFiles = `SELECT p.* FROM (SELECT DISTINCT unnest($1::uuid[]) AS id ORDER BY 1) u
CROSS JOIN LATERAL (SELECT id, office, presence, offered_round FROM person WHERE id = u.id AND erased_at IS NULL OFFSET 0 FOR UPDATE) p`

// LockFiles locks the rows of people; erased ones, and those of others, are
// missing. It shows nobody, so it is no read of a person.
func (tx *Tx) LockFiles(ctx context.Context, ids []cases.PersonID) (map[cases.PersonID]ServedFile, error) {
	rows, err := tx.Query(ctx, lockFiles, uuids(ids))
	if err != nil {
		return nil, err
	}
	out := make(map[cases.PersonID]ServedFile, len(ids))
	var f ServedFile
	var presence int16
	var round int32
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&f.ID), (*int64)(&f.Office), &presence, &round}, func() error {
		f.Presence, f.OfferedRound = ledger.Presence(presence), uint32(round)
		out[f.ID] = f
		return nil
	})
	return out, err
}

const served = `UPDATE person SET profile = $2, offered_round = $3 WHERE id = $1`

// Served writes what recording a service leaves in people's rows, the same
// columns whatever the result: the sealed profile and the offer round.
func (tx *Tx) Served(ctx context.Context, ids []cases.PersonID, profiles [][]byte, rounds []uint32) error {
	// One by one: joined with a list, a planner that knows no rows yet reads all
	// files of the office.
	for i, id := range ids {
		if err := tx.write(served, [16]byte(id), profiles[i], int32(rounds[i])); err != nil {
			return err
		}
	}
	return nil
}

const rootsOf = `SELECT p.* FROM (SELECT DISTINCT unnest($1::uuid[]) AS id) u CROSS JOIN LATERAL (SELECT id, merged_into FROM person WHERE id = u.id OFFSET 0) p`
const mergedInto = `SELECT p.* FROM (SELECT DISTINCT unnest($1::uuid[]) AS id) u CROSS JOIN LATERAL (SELECT id, merged_into FROM person WHERE merged_into = u.id OFFSET 0) p`

// chain bounds how long merged files are followed.
const chain = 20

// Roots returns for each person the file that it was merged into at last, which
// is itself where it was not.
func (tx *Tx) Roots(ctx context.Context, ids []cases.PersonID) (map[cases.PersonID]cases.PersonID, error) {
	out := make(map[cases.PersonID]cases.PersonID, len(ids))
	for _, id := range ids {
		out[id] = id
	}
	next := ids
	for range chain {
		if len(next) == 0 {
			break
		}
		up, err := tx.merges(ctx, rootsOf, next)
		if err != nil {
			return nil, err
		}
		next = nil
		for id, root := range out {
			if to, ok := up[root]; ok {
				out[id] = to
				next = append(next, to)
			}
		}
	}
	return out, nil
}

// Groups returns for each of several roots itself and all that was merged into
// it.
func (tx *Tx) Groups(ctx context.Context, roots []cases.PersonID) (map[cases.PersonID][]cases.PersonID, error) {
	out, of := make(map[cases.PersonID][]cases.PersonID, len(roots)), make(map[cases.PersonID]cases.PersonID, len(roots))
	for _, r := range roots {
		out[r], of[r] = []cases.PersonID{r}, r
	}
	next := roots
	for range chain {
		if len(next) == 0 {
			break
		}
		down, err := tx.merges(ctx, mergedInto, next)
		if err != nil {
			return nil, err
		}
		next = nil
		for id, to := range down {
			if _, seen := of[id]; seen {
				continue
			}
			root := of[to]
			of[id] = root
			out[root] = append(out[root], id)
			next = append(next, id)
		}
	}
	return out, nil
}

// merges reads pairs of a merged file and the one that it was merged into.
func (tx *Tx) merges(ctx context.Context, sql string, ids []cases.PersonID) (map[cases.PersonID]cases.PersonID, error) {
	rows, err := tx.Query(ctx, sql, uuids(ids))
	if err != nil {
		return nil, err
	}
	out := map[cases.PersonID]cases.PersonID{}
	var id [16]byte
	var to *[16]byte
	_, err = pgx.ForEachRow(rows, []any{&id, &to}, func() error {
		if to != nil {
			out[id] = *to
		}
		return nil
	})
	return out, err
}

const consentsOfPeople = `SELECT id FROM consent WHERE person = ANY($1)`

// ConsentIDs returns the ids of all consents of people.
func (tx *Tx) ConsentIDs(ctx context.Context, people []cases.PersonID) ([]cases.ConsentID, error) {
	rows, err := tx.Query(ctx, consentsOfPeople, uuids(people))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (id cases.ConsentID, err error) {
		err = r.Scan((*[16]byte)(&id))
		return id, err
	})
}

// DueFilter asks for whom an offer round is still due at an office: by round,
// never by outcome.
type DueFilter struct {
	Office            area.Key
	Round             uint32
	Sexes             []uint32
	FirstBirth, Birth civil.Date // born from, and until, both included
	After             DueMark    // zero: from the beginning
	Limit             int
}

// DueMark is a place in the list of those due.
type DueMark struct {
	Round  uint32
	Birth  civil.Date
	Person cases.PersonID
}

const dueWhere = ` FROM person WHERE office = $1 AND offered_round < $2 AND sex = ANY($3) AND birth >= $4 AND birth <= $5
    AND presence IN (1, 2) AND merged_into IS NULL AND erased_at IS NULL`

const offersDue = `SELECT offered_round, birth, id` + dueWhere + ` AND (offered_round, birth, id) > ($6, $7, $8) ORDER BY offered_round, birth, id LIMIT $9`

const countOffersDue = `SELECT count(*) FROM (SELECT 1` + dueWhere + ` ORDER BY offered_round, birth, id LIMIT $6) q`

// OffersDue returns the places of those for whom a round is due, in order.
func (tx *Tx) OffersDue(ctx context.Context, f DueFilter) ([]DueMark, error) {
	after := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	if !f.After.Birth.IsZero() {
		after = f.After.Birth.UTC()
	}
	rows, err := tx.Query(ctx, offersDue, int64(f.Office), int32(f.Round), smallints(f.Sexes), f.FirstBirth.UTC(), f.Birth.UTC(),
		int32(f.After.Round), after, [16]byte(f.After.Person), f.Limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (m DueMark, err error) {
		var round int32
		var birth time.Time
		err = r.Scan(&round, &birth, (*[16]byte)(&m.Person))
		m.Round, m.Birth = uint32(round), civil.Date{Year: birth.Year(), Month: birth.Month(), Day: birth.Day()}
		return m, err
	})
}

// CountOffersDue counts those for whom a round is due, at most f.Limit.
func (tx *Tx) CountOffersDue(ctx context.Context, f DueFilter) (n int, err error) {
	err = tx.QueryRow(ctx, countOffersDue, int64(f.Office), int32(f.Round), smallints(f.Sexes), f.FirstBirth.UTC(), f.Birth.UTC(), f.Limit).Scan(&n)
	return n, err
}

func smallints(in []uint32) []int16 {
	out := make([]int16, len(in))
	for i, v := range in {
		out[i] = int16(v)
	}
	return out
}

// Draft is a FEEDBACK that waits to be sent: one a case and round, whatever was
// offered. What was offered is read when it is sent.
type Draft struct {
	Case   cases.CaseID
	Office area.Key // of the residence
	Round  uint32
	Due    time.Time // the round's instant
}

const draftOffers = `INSERT INTO offer (case_id, office, round, due)
SELECT c, o, $3, $4 FROM unnest($1::uuid[], $2::bigint[]) u(c, o) ON CONFLICT (case_id, office, round) DO NOTHING`

// DraftOffers ends a round for disclosed cases: each gets a draft, whether
// anything was offered or not. Doing it again is harmless.
func (tx *Tx) DraftOffers(ctx context.Context, sides []Side, round uint32, instant time.Time) (int64, error) {
	ids, offices := make([][16]byte, len(sides)), make([]int64, len(sides))
	for i := range sides {
		ids[i], offices[i] = sides[i].Case, int64(sides[i].Office)
	}
	t, err := tx.Exec(ctx, draftOffers, ids, offices, int32(round), instant)
	return t.RowsAffected(), err
}

const offerDrafts = `SELECT case_id, office, round, due FROM offer
WHERE item IS NULL AND (due, case_id) > ($1, $2) ORDER BY due, case_id LIMIT $3 FOR UPDATE SKIP LOCKED`

// OfferDrafts locks drafts that wait to be sent, of the transaction's offices,
// in order of due time and case, those after the given place.
func (tx *Tx) OfferDrafts(ctx context.Context, due time.Time, after cases.CaseID, limit int) ([]Draft, error) {
	rows, err := tx.Query(ctx, offerDrafts, due, [16]byte(after), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (d Draft, err error) {
		var round int32
		err = r.Scan((*[16]byte)(&d.Case), (*int64)(&d.Office), &round, &d.Due)
		d.Round = uint32(round)
		return d, err
	})
}

const sentOffer = `UPDATE offer SET item = $4 WHERE case_id = $1 AND office = $2 AND round = $3`

// SentOffer notes the FEEDBACK that a draft became.
func (tx *Tx) SentOffer(ctx context.Context, d Draft, item cases.ItemID) error {
	return tx.write(sentOffer, [16]byte(d.Case), int64(d.Office), int32(d.Round), [16]byte(item))
}
