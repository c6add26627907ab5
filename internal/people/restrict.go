package people

import (
	"context"
	"slices"
	"strings"

	"yipan/internal/access"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// Restrict leaves a person's file, and the cases about the person, to two named
// clerks of the office, on the person's request (SECURITY D11); the caller is
// one of them. For everybody else at the office nobody is there from then on.
func (l *People) Restrict(ctx context.Context, p access.Principal, requestID string, id cases.PersonID, keepers []string) (File, error) {
	keepers = slices.Clone(keepers)
	slices.Sort(keepers)
	return l.guard(ctx, p, requestID, id, "restrict", keepers, func(tx *store.Tx, group []store.PersonRow) error {
		row := &group[0]
		if row.Restricted {
			return fault.Conflict("ALREADY_RESTRICTED", "file %s is restricted", id).Zh("该人员已限制查看；如需更换，请先解除")
		}
		if len(keepers) != 2 || keepers[0] == keepers[1] {
			return fault.Invalid("KEEPERS", "%d keepers are named, two different ones are needed", len(keepers)).
				Zh("请指定两名不同的经办人账号").On("keepers")
		}
		if !slices.Contains(keepers, p.ID) {
			return fault.Invalid("KEEPERS", "the caller is not among the keepers").Zh("两名经办人之一应为您本人").On("keepers")
		}
		found, err := tx.ClerksOf(ctx, keepers, row.Office)
		if err != nil {
			return err
		}
		for _, k := range keepers {
			if !slices.Contains(found, k) {
				return fault.Invalid("KEEPER", "a keeper is no active clerk of the office").Zh("账号 %s 不是本单位在用的经办人账号", k).On("keepers")
			}
		}
		// Written before the rows are hidden, and by somebody who goes on seeing them.
		e := ledger.Event{After: map[string]string{"keepers": strings.Join(keepers, "; ")}}
		if err := l.Note(ctx, tx, p, row, ledger.EventRestricted, civil.In(l.Now()), e); err != nil {
			return err
		}
		if err := tx.Restrict(ctx, row.Office, idsOf(group), keepers); err != nil {
			return err
		}
		return l.Book.Restricted(row.Office, idsOf(group), keepers)
	})
}

// Unrestrict lifts a restriction, on the person's request. Either keeper can.
func (l *People) Unrestrict(ctx context.Context, p access.Principal, requestID string, id cases.PersonID) (File, error) {
	return l.guard(ctx, p, requestID, id, "unrestrict", nil, func(tx *store.Tx, group []store.PersonRow) error {
		row := &group[0]
		if !row.Restricted {
			return fault.Conflict("NOT_RESTRICTED", "file %s is not restricted", id).Zh("该人员未限制查看")
		}
		if err := l.Note(ctx, tx, p, row, ledger.EventUnrestricted, civil.In(l.Now()), ledger.Event{}); err != nil {
			return err
		}
		if err := tx.Unrestrict(ctx, idsOf(group)); err != nil {
			return err
		}
		return l.Book.Lifted(row.Office, idsOf(group))
	})
}

func (l *People) guard(ctx context.Context, p access.Principal, requestID string, id cases.PersonID, what string, keepers []string, fn func(*store.Tx, []store.PersonRow) error) (File, error) {
	if err := usher.CheckRequestID(requestID); err != nil {
		return File{}, err
	}
	var f File
	err := l.with(ctx, p, access.PersonRestrict, id, what, func(tx *store.Tx, group []store.PersonRow) error {
		first, err := l.first(ctx, tx, p, &group[0], requestID, "person."+what, stated{Subject: id.String(), Fields: keepers})
		if err != nil {
			return err
		}
		if first {
			// Locked, so that the journal has restricting and lifting in the order in
			// which they are done.
			ids := idsOf(group)
			if group, err = tx.LockPersonRows(ctx, ids); err != nil {
				return err
			}
			if len(group) != len(ids) {
				return NotFound()
			}
			slices.SortFunc(group, func(a, b store.PersonRow) int { return slices.Index(ids, a.ID) - slices.Index(ids, b.ID) })
			if err := fn(tx, group); err != nil {
				return err
			}
			if group, err = l.group(ctx, tx, group[0].ID); err != nil {
				return err
			}
		}
		f, err = l.view(ctx, tx, group)
		return err
	})
	if err != nil {
		return File{}, err
	}
	return f, nil
}

func idsOf(rows []store.PersonRow) []cases.PersonID {
	out := make([]cases.PersonID, len(rows))
	for i := range rows {
		out[i] = rows[i].ID
	}
	return out
}
