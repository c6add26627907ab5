package node

import (
	"context"
	"iter"

	"yipan/internal/area"
	"yipan/internal/directory"
	"yipan/internal/store"
)

// LoadVillages writes names of villages into the database, as its owner: see
// store.LoadVillages.
func (d *Database) LoadVillages(ctx context.Context, rows iter.Seq2[area.VillageRow, error]) (store.VillageCount, error) {
	return store.LoadVillages(ctx, d.url, rows)
}

// ServedAreas returns the areas that a node serves as its copy of the directory
// says; one that is not in it yet serves its own area.
func ServedAreas(ctx context.Context, c *Config, db *store.DB) ([]area.Key, error) {
	own := []area.Key{area.Key(c.ID())}
	authority, err := c.Authority()
	if err != nil {
		return own, nil //nolint:nilerr // it has not joined
	}
	records, err := db.DirectoryRecords(ctx)
	if err != nil || len(records) == 0 {
		return own, err
	}
	d, _, err := directory.Load(authority, records)
	if err != nil {
		return nil, err
	}
	if served := d.ServedBy(c.ID()); len(served) > 0 {
		return served, nil
	}
	return own, nil
}
