package store

import (
	"context"
	"iter"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/fault"
)

// The village's own name, and whether anything of its township is loaded: the
// last four digits of an area's key are those of the village and the level.
const villagesOf = `SELECT u.code, (SELECT name FROM village v WHERE v.code = u.code),
    coalesce((SELECT true FROM village v WHERE v.code >= u.code - u.code % 10000 AND v.code < u.code - u.code % 10000 + 10000 LIMIT 1), false)
FROM unnest($1::bigint[]) u (code)`

// Villages returns the names of villages. A code that is missing from names is
// no village as far as the data file says, if loaded; where loaded is false the
// villages of a missing code's township were never loaded, and nothing can be
// said of it. Villages are no personal data, and every role reads all of them.
func (tx *Tx) Villages(ctx context.Context, codes []area.Key) (names map[area.Key]string, loaded bool, err error) {
	names, loaded = make(map[area.Key]string, len(codes)), true
	if len(codes) == 0 {
		return names, loaded, nil
	}
	list := make([]int64, len(codes))
	for i, k := range codes {
		list[i] = int64(k)
	}
	rows, err := tx.Query(ctx, villagesOf, list)
	if err != nil {
		return nil, false, err
	}
	var code int64
	var name *string
	var known bool
	_, err = pgx.ForEachRow(rows, []any{&code, &name, &known}, func() error {
		if name != nil {
			names[area.Key(code)] = *name
		} else if !known {
			loaded = false
		}
		return nil
	})
	return names, loaded, err
}

const putVillages = `INSERT INTO village (code, name) SELECT * FROM unnest($1::bigint[], $2::text[])
ON CONFLICT (code) DO UPDATE SET name = excluded.name WHERE village.name <> excluded.name
RETURNING xmax = 0`

// villageBatch is how many rows cross to the server at once: some 300 KB.
const villageBatch = 10_000

// VillageCount is what LoadVillages did.
type VillageCount struct {
	Added, Renamed, Unchanged int
}

// LoadVillages writes villages into the database behind url, whose owner it must
// name: all rows in one transaction; the first error of rows ends it and leaves
// nothing. Names of villages that are there are replaced; villages that the rows
// do not name stay. No key may come twice.
func LoadVillages(ctx context.Context, url string, rows iter.Seq2[area.VillageRow, error]) (VillageCount, error) {
	var n VillageCount
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		// The driver's text may quote the password.
		return n, fault.Unavailable("DATABASE", "load villages: database not reached").Zh("数据库连接不上")
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	t, err := conn.Begin(ctx)
	if err != nil {
		return n, translate("load villages", err)
	}
	defer func() { _ = t.Rollback(context.WithoutCancel(ctx)) }() // nothing after a commit
	codes, names := make([]int64, 0, villageBatch), make([]string, 0, villageBatch)
	for r, err := range rows {
		if err != nil {
			return n, err
		}
		if codes, names = append(codes, int64(r.Key)), append(names, r.Name); len(codes) == villageBatch {
			if err := n.put(ctx, t, codes, names); err != nil {
				return n, translate("load villages", err)
			}
			codes, names = codes[:0], names[:0]
		}
	}
	if err := n.put(ctx, t, codes, names); err != nil {
		return n, translate("load villages", err)
	}
	if _, err := t.Exec(ctx, "ANALYZE village"); err != nil {
		return n, translate("load villages", err)
	}
	return n, translate("load villages", t.Commit(ctx))
}

func (n *VillageCount) put(ctx context.Context, t pgx.Tx, codes []int64, names []string) error {
	rows, err := t.Query(ctx, putVillages, codes, names)
	if err != nil {
		return err
	}
	written := 0
	var added bool
	_, err = pgx.ForEachRow(rows, []any{&added}, func() error {
		written++
		if added {
			n.Added++
		} else {
			n.Renamed++
		}
		return nil
	})
	n.Unchanged += len(codes) - written
	return err
}
