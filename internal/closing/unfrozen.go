package closing

import (
	"context"
	"time"

	"yipan/internal/policy"
	"yipan/internal/store"
)

// Unfrozen returns the instant T of the oldest month that is over and not
// frozen, among the areas of this node, and how many such months there are;
// zero: none. It is for metrics.
func (c *Closing) Unfrozen(ctx context.Context) (oldest time.Time, months int, err error) {
	now := c.Now()
	for _, u := range c.units() {
		var first time.Time
		var done map[int]uint32
		err := c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) (err error) {
			if done, err = tx.MonthRevisions(ctx, u.top); err != nil {
				return err
			}
			first, err = tx.FirstDue(ctx, u.offices)
			return err
		})
		if err != nil {
			return time.Time{}, 0, err
		}
		if first.IsZero() {
			continue
		}
		for p := policy.DueMonth(first); instant(p).Before(now); p = p.Next() {
			if _, ok := done[monthNo(p)]; ok {
				continue
			}
			if months++; oldest.IsZero() || instant(p).Before(oldest) {
				oldest = instant(p)
			}
		}
	}
	return oldest, months, nil
}
