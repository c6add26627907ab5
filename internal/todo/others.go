package todo

import (
	"context"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/store"
)

// expiringDays is how long before its last day a certificate waits to be
// renewed.
const expiringDays = 30

// others reads the entries of a kind that is about no case.
func (t *Todo) others(ctx context.Context, tx *store.Tx, p access.Principal, offices []area.Key, k Kind, after store.TodoPlace, limit int) ([]Entry, error) {
	switch k {
	case Offer:
		return t.offers(ctx, tx, offices, after)
	case Duplicate:
		return t.duplicates(ctx, tx, offices, after, limit)
	case Approve:
		return t.approvals(ctx, tx, p, offices, after, limit)
	case Certificate:
		return t.certificates(ctx, tx, offices, after, limit)
	}
	return nil, nil
}

// offers is one entry for each office to whose residents something is still to
// be offered in the round that is open. It names nobody.
func (t *Todo) offers(ctx context.Context, tx *store.Tx, offices []area.Key, after store.TodoPlace) ([]Entry, error) {
	var out []Entry
	for _, o := range offices {
		n, more, round, open, err := t.Services.CountDue(ctx, tx, o, store.TodoMost)
		if err != nil {
			return nil, err
		}
		e := Entry{Kind: Offer, Office: o, DueAt: round.Ends, N: int64(n), More: more, Refs: []string{round.Number.String()},
			place: store.TodoPlace{At: round.Ends, Office: o, Set: true}}
		before := mark{limited: true, TodoPlace: after}
		if open && n > 0 && (!after.Set || before.compare(e.mark()) < 0) {
			out = append(out, e)
		}
	}
	return out, nil
}

func (t *Todo) duplicates(ctx context.Context, tx *store.Tx, offices []area.Key, after store.TodoPlace, limit int) ([]Entry, error) {
	rows, err := tx.TodoDuplicates(ctx, offices, after, limit)
	if err != nil {
		return nil, err
	}
	out := make([]Entry, len(rows))
	whom := make([]cases.PersonID, 0, 2*len(rows))
	for i, d := range rows {
		whom = append(whom, d.A, d.B)
		out[i] = Entry{Kind: Duplicate, Office: d.Office, N: 2, Refs: []string{d.A.String(), d.B.String()}, who: [][16]byte{d.A, d.B},
			place: store.TodoPlace{At: d.At, ID: d.A, Of: d.B, Office: d.Office, Set: true}}
	}
	names, err := masked(ctx, tx, whom)
	for i, d := range rows {
		if out[i].Subject = names[d.A]; names[d.B] != names[d.A] {
			out[i].Subject += " / " + names[d.B]
		}
	}
	return out, err
}

func (t *Todo) approvals(ctx context.Context, tx *store.Tx, p access.Principal, offices []area.Key, after store.TodoPlace, limit int) ([]Entry, error) {
	rows, err := tx.TodoApprovals(ctx, offices, p.ID, t.approvable(), after, limit)
	if err != nil {
		return nil, err
	}
	out := make([]Entry, len(rows))
	whom := make([]cases.PersonID, len(rows))
	for i, a := range rows {
		whom[i] = a.About
		out[i] = Entry{Kind: Approve, Office: a.Office, Counterpart: a.Detail, Refs: []string{cases.PersonID(a.ID).String(), a.About.String()},
			who: [][16]byte{a.About}, place: store.TodoPlace{At: a.At, ID: a.ID, Office: a.Office, Set: true}}
	}
	names, err := masked(ctx, tx, whom)
	for i := range out {
		out[i].Subject = names[whom[i]]
	}
	return out, err
}

// approvable is since when what was asked for can still be approved.
func (t *Todo) approvable() time.Time { return t.Now().Add(-desk.ApprovalLasts) }

func (t *Todo) certificates(ctx context.Context, tx *store.Tx, offices []area.Key, after store.TodoPlace, limit int) ([]Entry, error) {
	today, months, err := t.certificateMonths()
	if err != nil {
		return nil, err
	}
	day, id := lastDay(after)
	rows, err := tx.TodoCertificates(ctx, offices, months, today, today.AddDays(expiringDays), day, id, limit)
	if err != nil {
		return nil, err
	}
	out := make([]Entry, len(rows))
	whom := make([]cases.PersonID, len(rows))
	for i, c := range rows {
		whom[i] = c.Person
		due := c.LastDay.EndInstant()
		out[i] = Entry{Kind: Certificate, Office: c.Office, DueAt: due, Refs: []string{c.Person.String()}, who: [][16]byte{c.Person},
			place: store.TodoPlace{At: due, ID: c.ID, Office: c.Office, Set: true}}
	}
	names, err := masked(ctx, tx, whom)
	for i := range out {
		out[i].Subject = names[whom[i]]
	}
	return out, err
}

func (t *Todo) certificateMonths() (today civil.Date, months int, err error) {
	today = civil.In(t.Now())
	pol, err := t.Policies.At(today)
	if err != nil {
		return today, 0, fault.Unavailable("POLICY", "no policy is in force").Zh("当前没有生效的政策").Because(err)
	}
	return today, pol.CertificateMonths, nil
}

// masked shows people of the ledger as a list does.
func masked(ctx context.Context, tx *store.Tx, ids []cases.PersonID) (map[cases.PersonID]string, error) {
	out := make(map[cases.PersonID]string, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	rows, err := tx.PersonsByID(ctx, ids)
	for i := range rows {
		out[rows[i].ID] = desk.MaskName(ident.NormalizeName(rows[i].Name), rows[i].Birth)
	}
	return out, err
}
