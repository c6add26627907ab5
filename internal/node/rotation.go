package node

import (
	"context"

	"yipan/internal/area"
	"yipan/internal/keys"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// OpenKeys opens the node's keys where its configuration says they are. Errors:
// those of keys.Open, with texts for users.
func OpenKeys(c *Config) (*keys.Files, error) { return openKeys(c) }

// IndexKeyUse counts the rows of the node's offices that lie under each index
// key; the zero id stands for rows whose key nobody knows.
func IndexKeyUse(ctx context.Context, c *Config, db *store.DB) (map[seal.KeyID]int64, error) {
	served, err := ServedAreas(ctx, c, db)
	if err != nil {
		return nil, err
	}
	return db.IndexKeyUse(ctx, officesWithin(served))
}

// officesWithin are all that can be an office within areas: townships and
// counties. Some may be another node's; they have no rows here.
func officesWithin(areas []area.Key) []area.Key {
	var out []area.Key
	for _, k := range areas {
		if k.Level() >= area.County {
			out = append(out, k)
		}
		out = append(out, officesWithin(area.Children(k))...)
	}
	return out
}
