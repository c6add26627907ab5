package desk

import (
	"context"

	"yipan/internal/access"
	"yipan/internal/cases"
	"yipan/internal/store"
)

// OpenIn opens a case inside the caller's transaction, which has authorised it;
// everything that OpenCase checks is checked. The same request id names the same
// case. With an error no case was written; with one that is neither Internal nor
// Unavailable the caller may go on and commit. After that it calls Opened.
func (d *Desk) OpenIn(ctx context.Context, tx *store.Tx, p access.Principal, r OpenRequest) (cases.CaseID, []string, error) {
	pol, err := d.policyAt(ctx)
	if err != nil {
		return cases.CaseID{}, nil, err
	}
	j := &opening{req: r}
	if err := d.prepare(p, j, pol); err != nil {
		return cases.CaseID{}, nil, err
	}
	if err := d.openAll(ctx, tx, p, []*opening{j}, pol); err != nil {
		return cases.CaseID{}, nil, err
	}
	if j.err != nil {
		return cases.CaseID{}, nil, j.err
	}
	return j.id, j.warnings, nil
}

// OpenAllIn is OpenIn for many, each with a result of its own. An error of its
// own says that none was opened.
func (d *Desk) OpenAllIn(ctx context.Context, tx *store.Tx, p access.Principal, rs []OpenRequest) ([]OpenResult, error) {
	pol, err := d.policyAt(ctx)
	if err != nil {
		return nil, err
	}
	js := make([]*opening, len(rs))
	for i := range rs {
		js[i] = &opening{req: rs[i]}
		js[i].err = d.prepare(p, js[i], pol)
	}
	if err := d.openAll(ctx, tx, p, js, pol); err != nil {
		return nil, err
	}
	out := make([]OpenResult, len(js))
	for i, j := range js {
		if out[i].Err = j.err; j.err == nil {
			out[i].Case, out[i].Warnings = j.id, j.warnings
		}
	}
	return out, nil
}

// Opened says, after the commit, that cases were opened or changed in a
// caller's transaction: those who watch are told, and what is owed leaves.
func (d *Desk) Opened(ids []cases.CaseID) {
	if len(ids) == 0 {
		return
	}
	d.wake()
	d.watch.changed(ids)
}
