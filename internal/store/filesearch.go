package store

import (
	"context"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
)

// Found is a file that a search found: by which value, and whether that is a
// former name. The value and the id are the place after which the next page
// begins.
type Found struct {
	Value  string // of a search by name or initials
	Place  area.Key
	ID     cases.PersonID
	Name   string // the name that was found
	Former bool
}

// A search begins after a place, and each office's index gives its rows in
// order, so that a page reads little more than itself. Ranges instead of ^@: with
// an argument a plan kept for all has no prefix to look for. Whoever is hidden
// from the transaction, or erased, is found by nothing: former names and lookups
// count only beside a row that is seen.
const searchNames = `SELECT h.* FROM unnest($1::bigint[]) o (office) CROSS JOIN LATERAL (
    (SELECT name AS value, id, name AS found, false AS former FROM person
        WHERE office = o.office AND (name COLLATE "C", id) > ($2::text, $3::uuid) AND name COLLATE "C" < $4::text
        ORDER BY name COLLATE "C", id LIMIT $5)
    UNION ALL
    (SELECT f.name, p.id, f.name, true FROM former_name f JOIN person p ON p.id = f.person
        WHERE f.office = o.office AND f.name COLLATE "C" >= $2::text AND (f.name COLLATE "C", f.person) > ($2::text, $3::uuid) AND f.name COLLATE "C" < $4::text
        ORDER BY f.name COLLATE "C", f.person LIMIT $5)
) h ORDER BY h.value COLLATE "C", h.id LIMIT $5`

const searchInitials = `SELECT h.* FROM unnest($1::bigint[]) o (office) CROSS JOIN LATERAL (
    (SELECT initials AS value, id, name AS found, false AS former FROM person
        WHERE office = o.office AND initials <> '' AND (initials COLLATE "C", id) > ($2::text, $3::uuid) AND initials COLLATE "C" < $4::text
        ORDER BY initials COLLATE "C", id LIMIT $5)
    UNION ALL
    (SELECT f.initials, p.id, f.name, true FROM former_name f JOIN person p ON p.id = f.person
        WHERE f.office = o.office AND f.initials COLLATE "C" >= $2::text AND (f.initials COLLATE "C", f.person) > ($2::text, $3::uuid) AND f.initials COLLATE "C" < $4::text
        ORDER BY f.initials COLLATE "C", f.person LIMIT $5)
) h ORDER BY h.value COLLATE "C", h.id LIMIT $5`

// Search says where a search begins and how much of it is wanted.
type Search struct {
	Offices []area.Key
	After   Found // the last of the page before; zero: from the beginning
	Limit   int
}

// SearchNames finds files by the beginning of a present or former name, in order
// of that name. The caller logs whom it shows.
func (tx *Tx) SearchNames(ctx context.Context, s Search, prefix string) ([]Found, error) {
	return tx.searchText(ctx, searchNames, s, prefix)
}

// SearchInitials is SearchNames for pinyin initials.
func (tx *Tx) SearchInitials(ctx context.Context, s Search, prefix string) ([]Found, error) {
	return tx.searchText(ctx, searchInitials, s, prefix)
}

func (tx *Tx) searchText(ctx context.Context, sql string, s Search, prefix string) ([]Found, error) {
	after := s.After.Value
	if s.After.ID.IsZero() {
		after = prefix
	}
	rows, err := tx.Query(ctx, sql, ints(s.Offices), after, [16]byte(s.After.ID), prefix+string(utf8.MaxRune), s.Limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (f Found, err error) {
		err = r.Scan(&f.Value, (*[16]byte)(&f.ID), &f.Name, &f.Former)
		return f, err
	})
}

const searchDocument = `SELECT h.id FROM unnest($1::bigint[], $2::bytea[]) u (office, ix) CROSS JOIN LATERAL (
    SELECT id FROM person WHERE doc_index = u.ix
    UNION ALL
    SELECT p.id FROM lookup l JOIN person p ON p.id = l.person WHERE l.office = u.office AND l.use = 1 AND l.ix = u.ix
    OFFSET 0) h WHERE h.id > $3 GROUP BY h.id ORDER BY h.id LIMIT $4`

const searchLast4 = `SELECT h.id FROM unnest($1::bigint[], $2::bytea[]) u (office, ix) CROSS JOIN LATERAL (
    SELECT id FROM person WHERE last4 = u.ix
    UNION ALL
    SELECT p.id FROM lookup l JOIN person p ON p.id = l.person WHERE l.office = u.office AND l.use = 2 AND l.ix = u.ix
    OFFSET 0) h WHERE h.id > $3 GROUP BY h.id ORDER BY h.id LIMIT $4`

const searchPhone = `SELECT h.id FROM unnest($1::bigint[], $2::bytea[]) u (office, ix) CROSS JOIN LATERAL (
    SELECT id FROM person WHERE phone_index = u.ix
    UNION ALL
    SELECT p.id FROM lookup l JOIN person p ON p.id = l.person WHERE l.office = u.office AND l.use = 3 AND l.ix = u.ix
    OFFSET 0) h WHERE h.id > $3 GROUP BY h.id ORDER BY h.id LIMIT $4`

// Blind is a blind index in an office.
type Blind struct {
	Office area.Key
	Index  [16]byte
}

// SearchBlind finds files by blind indexes of a use (LookupDocument, ...), in
// order of id. The caller logs whom it shows.
func (tx *Tx) SearchBlind(ctx context.Context, s Search, use int16, bs []Blind) ([]Found, error) {
	sql := map[int16]string{LookupDocument: searchDocument, LookupLast4: searchLast4, LookupPhone: searchPhone}[use]
	offices, index := make([]int64, len(bs)), make([][]byte, len(bs))
	for i := range bs {
		offices[i], index[i] = int64(bs[i].Office), bs[i].Index[:]
	}
	rows, err := tx.Query(ctx, sql, offices, index, [16]byte(s.After.ID), s.Limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (f Found, err error) {
		err = r.Scan((*[16]byte)(&f.ID))
		return f, err
	})
}

const searchLiving = `SELECT h.* FROM unnest($1::bigint[]) o (office) CROSS JOIN LATERAL (
    SELECT living AS place, id FROM person WHERE office = o.office AND living <> 0 AND (living, id) > ($2::bigint, $3::uuid) AND living <= $4::bigint
    ORDER BY living, id LIMIT $5) h ORDER BY h.place, h.id LIMIT $5`

const searchRegistered = `SELECT h.* FROM unnest($1::bigint[]) o (office) CROSS JOIN LATERAL (
    SELECT registered AS place, id FROM person WHERE office = o.office AND registered <> 0 AND (registered, id) > ($2::bigint, $3::uuid) AND registered <= $4::bigint
    ORDER BY registered, id LIMIT $5) h ORDER BY h.place, h.id LIMIT $5`

// SearchArea finds files by the place where people live, or are registered, in
// an area or below it, in order of place. The caller logs whom it shows.
func (tx *Tx) SearchArea(ctx context.Context, s Search, in area.Key, registered bool) ([]Found, error) {
	sql := searchLiving
	if registered {
		sql = searchRegistered
	}
	lo, hi := within(in)
	after := int64(s.After.Place)
	if s.After.ID.IsZero() {
		after = lo
	}
	rows, err := tx.Query(ctx, sql, ints(s.Offices), after, [16]byte(s.After.ID), hi, s.Limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (f Found, err error) {
		err = r.Scan((*int64)(&f.Place), (*[16]byte)(&f.ID))
		return f, err
	})
}
