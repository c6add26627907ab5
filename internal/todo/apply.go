package todo

import (
	"context"
	"encoding/hex"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// Apply does exactly what a preview showed, to each case under the etag that it
// was shown with: one that changed since is refused by itself. The id names the
// action for Undo.
func (t *Todo) Apply(ctx context.Context, p access.Principal, requestID, token string) (string, []Done, error) {
	b, r, done, err := t.begin(ctx, p, requestID, token, "plan_token", func(b *store.Bulk, r *record) (bool, error) {
		switch {
		case r.AppliedBy == requestID:
			return !r.AppliedAt.IsZero(), nil
		case r.AppliedBy != "":
			return false, fault.Conflict("PLAN_USED", "plan was applied already").Zh("该预览已执行过，请重新预览").On("plan_token")
		case t.Now().Sub(b.At) > planLasts:
			return false, fault.Conflict("PLAN_EXPIRED", "plan is older than %s", planLasts).Zh("预览已超过 15 分钟，请重新预览后再执行").On("plan_token")
		}
		r.AppliedBy = requestID
		return false, nil
	})
	if err != nil {
		return "", nil, err
	}
	if !done {
		if err := t.apply(ctx, p, &b, &r); err != nil {
			return "", nil, err
		}
		r.AppliedAt = t.Now()
		if err := t.finish(ctx, p, requestID, b, &r); err != nil {
			return "", nil, err
		}
	}
	out := make([]Done, len(r.Steps))
	for i := range r.Steps {
		out[i] = *r.Steps[i].Done
	}
	return token, out, nil
}

// begin finds a bulk action of p's own, lets check decide whether it goes ahead
// or is done already, and notes that it began.
func (t *Todo) begin(ctx context.Context, p access.Principal, requestID, token, field string, check func(*store.Bulk, *record) (bool, error)) (b store.Bulk, r record, done bool, err error) {
	if err := usher.CheckRequestID(requestID); err != nil {
		return b, r, false, err
	}
	if err := t.Allow(ctx, p, access.TodoAct, 0); err != nil {
		return b, r, false, err
	}
	none := fault.NotFound("PLAN_UNKNOWN", "no such bulk action").Zh("没有这个批量操作，或它不是您预览的").On(field)
	raw, err := hex.DecodeString(token)
	if err != nil || len(raw) != 16 {
		return b, r, false, none
	}
	err = t.In(ctx, p, func(tx *store.Tx) error {
		var found bool
		var err error
		b, found, err = tx.LockBulk(ctx, [16]byte(raw))
		switch {
		case err != nil:
			return err
		case !found || b.Account != p.ID || !access.Can(p, access.TodoAct, b.Office):
			return none
		}
		if r, err = t.open(&b); err != nil {
			return err
		}
		claim := store.Request{Account: p.ID, RequestID: requestID, Office: b.Office, Method: "todo." + field, Hash: t.HashOf(token)}
		if _, err := tx.ClaimRequest(ctx, claim); err != nil {
			return err
		}
		if done, err = check(&b, &r); err != nil || done {
			return err
		}
		if b.Sealed, err = t.seal(b.ID, &r); err != nil {
			return err
		}
		return tx.PutBulk(ctx, b)
	})
	return b, r, done, err
}

// finish keeps what happened.
func (t *Todo) finish(ctx context.Context, p access.Principal, requestID string, b store.Bulk, r *record) error {
	var err error
	if b.Sealed, err = t.seal(b.ID, r); err != nil {
		return err
	}
	return t.In(ctx, p, func(tx *store.Tx) error {
		if err := tx.FinishRequest(ctx, p.ID, requestID, []byte(hex.EncodeToString(b.ID[:]))); err != nil {
			return err
		}
		return tx.PutBulk(ctx, b)
	})
}

// apply changes the cases by the desk's own verbs and notes each result.
func (t *Todo) apply(ctx context.Context, p access.Principal, b *store.Bulk, r *record) error {
	switch Action(b.Action) {
	case Acknowledge:
		rs := make([]desk.AcknowledgeRequest, len(r.Steps))
		for i, s := range r.Steps {
			rs[i] = desk.AcknowledgeRequest{RequestID: partID("bulk", b.ID, s.Case[:]), Ref: s.ref(), Office: b.Office}
		}
		got, err := t.Desk.AcknowledgeMany(ctx, p, rs)
		return r.note(got, err)
	case PairCertain:
		for i := range r.Steps {
			s := &r.Steps[i]
			got, err := t.Desk.Pair(ctx, p, desk.PairRequest{RequestID: partID("bulk", b.ID, s.Case[:]), Ref: s.ref(), Person: s.Person})
			if broken(err) {
				return err
			}
			s.Done = doneOf(s.Case, got.Case.Etag, err)
		}
		return nil
	case DistributeTo:
		return t.distribute(ctx, p, b, r)
	}
	return fault.Internal("BULK_ACTION", "stored bulk action %d is unknown", b.Action)
}

// distribute does one township after the other.
func (t *Todo) distribute(ctx context.Context, p access.Principal, b *store.Bulk, r *record) error {
	var towns []area.Key
	for _, s := range r.Steps {
		if !slices.Contains(towns, s.Township) {
			towns = append(towns, s.Township)
		}
	}
	for _, to := range towns {
		q := desk.DistributeRequest{RequestID: partID("bulk", b.ID, []byte(to.String())), Township: to}
		for i := range r.Steps {
			if s := &r.Steps[i]; s.Township == to {
				q.Refs = append(q.Refs, s.ref())
			}
		}
		got, err := t.Desk.Distribute(ctx, p, q)
		if broken(err) {
			return err
		}
		for i := range r.Steps {
			s := &r.Steps[i]
			if s.Township != to {
				continue
			}
			if s.Done = doneOf(s.Case, "", err); err == nil {
				n := slices.IndexFunc(got, func(c desk.ChangeResult) bool { return c.Case == s.Case })
				s.Done = doneOf(s.Case, got[n].Etag, got[n].Err)
			}
		}
	}
	return nil
}

func (s *step) ref() desk.CaseRef { return desk.CaseRef{Case: s.Case, Etag: s.Etag} }

// note keeps the results of steps that were done together.
func (r *record) note(got []desk.ChangeResult, err error) error {
	if err != nil {
		return err
	}
	for i, c := range got {
		r.Steps[i].Done = doneOf(c.Case, c.Etag, c.Err)
	}
	return nil
}

// broken reports whether a change failed for a reason that is not its own: the
// whole action may be asked for again.
func broken(err error) bool {
	return fault.Is(err, fault.KindInternal) || fault.Is(err, fault.KindUnavailable)
}

func doneOf(id cases.CaseID, etag string, err error) *Done {
	if err == nil {
		return &Done{Case: id, Etag: etag}
	}
	d := &Done{Case: id, Reason: "FAILED", Message: "未办理"}
	if f, ok := fault.As(err); ok {
		d.Reason = f.Reason
		if f.Text != "" {
			d.Message = f.Text
		}
	}
	return d
}

// Undo undoes what a bulk action did, where nothing has gone on since: notes of
// having read are put back, pairings of cases that were not answered are taken
// back. What was given to a township is not.
func (t *Todo) Undo(ctx context.Context, p access.Principal, requestID, action string) ([]Done, error) {
	b, r, done, err := t.begin(ctx, p, requestID, action, "action_id", func(b *store.Bulk, r *record) (bool, error) {
		switch {
		case r.AppliedAt.IsZero():
			return false, fault.Conflict("NOT_APPLIED", "bulk action was not done").Zh("该批量操作尚未执行，无需撤销").On("action_id")
		case !Action(b.Action).Undoable():
			return false, fault.Conflict("NOT_UNDOABLE", "distribution cannot be undone").Zh("已分发的案件不能撤销，可由县级重新分发给正确的乡镇（街道）").On("action_id")
		case r.UndoneBy == requestID:
			return r.Undone, nil
		case r.UndoneBy != "":
			return false, fault.Conflict("UNDONE", "bulk action was undone already").Zh("该批量操作已撤销过").On("action_id")
		case t.Now().Sub(r.AppliedAt) > undoLasts:
			return false, fault.Conflict("UNDO_EXPIRED", "bulk action is older than %s", undoLasts).Zh("批量操作超过 24 小时，不能整批撤销，请逐件办理").On("action_id")
		}
		r.UndoneBy = requestID
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	if !done {
		if err := t.undo(ctx, p, &b, &r); err != nil {
			return nil, err
		}
		r.Undone, b.UndoneAt = true, t.Now()
		if err := t.finish(ctx, p, requestID, b, &r); err != nil {
			return nil, err
		}
	}
	var out []Done
	for i := range r.Steps {
		if u := r.Steps[i].Undone; u != nil {
			out = append(out, *u)
		}
	}
	return out, nil
}

func (t *Todo) undo(ctx context.Context, p access.Principal, b *store.Bulk, r *record) error {
	var rs []desk.AcknowledgeRequest
	var at []int
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.Done == nil || s.Done.Reason != "" {
			continue // nothing was done to it
		}
		ref := desk.CaseRef{Case: s.Case, Etag: s.Done.Etag}
		id := partID("undo", b.ID, s.Case[:])
		if Action(b.Action) == Acknowledge {
			rs, at = append(rs, desk.AcknowledgeRequest{RequestID: id, Ref: ref, Office: b.Office, Undo: &s.Before}), append(at, i)
			continue
		}
		view, err := t.Desk.Unpair(ctx, p, desk.UnpairRequest{RequestID: id, Ref: ref})
		if broken(err) {
			return err
		}
		s.Undone = doneOf(s.Case, view.Etag, err)
	}
	got, err := t.Desk.AcknowledgeMany(ctx, p, rs)
	if err != nil {
		return err
	}
	for n, c := range got {
		r.Steps[at[n]].Undone = doneOf(c.Case, c.Etag, c.Err)
	}
	return nil
}
