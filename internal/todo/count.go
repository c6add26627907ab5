package todo

import (
	"context"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/store"
)

// Count is how many entries of a kind wait.
type Count struct {
	Kind    Kind
	N       int64 // at most store.TodoMost
	More    bool  // there are more than N
	Overdue int64 // of them late, at most store.TodoMost
}

// Counts counts what waits for the caller's offices (office 0: all), kinds that
// do not wait left out. It names nobody, and nobody is logged.
func (t *Todo) Counts(ctx context.Context, p access.Principal, office area.Key) ([]Count, error) {
	offices, err := t.offices(ctx, p, access.TodoRead, office)
	if err != nil {
		return nil, err
	}
	var out []Count
	err = t.In(ctx, p, func(tx *store.Tx) error {
		out = nil
		var onCases []int16
		for _, k := range shown(p, Kinds()) {
			if k.onCase() {
				onCases = append(onCases, int16(k))
				continue
			}
			n, err := t.countOthers(ctx, tx, p, offices, k)
			if err != nil {
				return err
			}
			out = add(out, Count{Kind: k, N: n})
		}
		found, err := tx.CountTodoSides(ctx, offices, onCases, t.Now())
		for _, c := range found {
			k := Count{Kind: Kind(c.Kind), N: c.N}
			if k.Kind.limited() {
				k.Overdue = min(c.Late, store.TodoMost)
			}
			out = add(out, k)
		}
		slices.SortFunc(out, func(a, b Count) int { return int(a.Kind) - int(b.Kind) })
		return err
	})
	return out, err
}

func add(out []Count, c Count) []Count {
	if c.N == 0 {
		return out
	}
	c.More = c.N > store.TodoMost
	c.N = min(c.N, store.TodoMost)
	return append(out, c)
}

// countOthers counts the entries of a kind that is about no case. Offers count
// as the people whom the entry stands for, which is the work that is left.
func (t *Todo) countOthers(ctx context.Context, tx *store.Tx, p access.Principal, offices []area.Key, k Kind) (int64, error) {
	switch k {
	case Offer:
		total := int64(0)
		for _, o := range offices {
			n, more, _, open, err := t.Services.CountDue(ctx, tx, o, store.TodoMost)
			if err != nil {
				return 0, err
			}
			if more {
				n++
			}
			if open {
				total += int64(n)
			}
		}
		return total, nil
	case Duplicate:
		return tx.CountTodoDuplicates(ctx, offices)
	case Approve:
		return tx.CountTodoApprovals(ctx, offices, p.ID, t.approvable())
	}
	today, months, err := t.certificateMonths()
	if err != nil {
		return 0, err
	}
	rows, err := tx.TodoCertificates(ctx, offices, months, today, today.AddDays(expiringDays), civil.Date{}, [16]byte{}, store.TodoMost+1)
	return int64(len(rows)), err
}
