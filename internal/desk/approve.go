package desk

import (
	"context"
	"crypto/rand"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// actor is who acts: the end user where a program calls.
func actor(p access.Principal) string {
	if p.OnBehalf != "" {
		return p.OnBehalf
	}
	return p.ID
}

// fits reports whether an approval lets p open a notice about a person towards
// an area (a county, or what is above it) now: given by another user, not older
// than ApprovalLasts, and not used.
func (d *Desk) fits(a store.Approval, p access.Principal, office area.Key, person cases.PersonID, to area.Key) bool {
	return a.Kind == store.ApproveDestination && a.Office == office && a.About == person && a.Detail == to &&
		a.ApprovedBy != "" && a.ApprovedBy != actor(p) && a.ApprovedBy != p.ID && a.UsedAt.IsZero() && d.Now().Sub(a.ApprovedAt) < ApprovalLasts
}

// AskApproval asks for a second user's approval of a notice about a person
// towards one more destination and returns its id. Asking again for the same
// names the same approval while it can still be given or used.
func (d *Desk) AskApproval(ctx context.Context, tx *store.Tx, p access.Principal, office area.Key, person cases.PersonID, destination area.Key) ([16]byte, error) {
	k, err := d.knownOf(ctx, tx, []cases.PersonID{person})
	if err != nil {
		return [16]byte{}, err
	}
	now, to := d.Now(), destination.Cut(area.County)
	root := k.rootOf(person)
	list, err := tx.UnusedApprovals(ctx, root, store.ApproveDestination, to)
	if err != nil {
		return [16]byte{}, err
	}
	for _, a := range list {
		waits := a.ApprovedBy == "" && a.AskedBy == actor(p) && now.Sub(a.AskedAt) < ApprovalLasts
		if a.Office == office && (waits || d.fits(a, p, office, root, to)) {
			return a.ID, nil
		}
	}
	a := store.Approval{Office: office, Kind: store.ApproveDestination, About: root, Detail: to, AskedBy: actor(p), AskedAt: now}
	_, _ = rand.Read(a.ID[:])
	return a.ID, tx.AskApproval(ctx, a)
}

// ApproveDestination approves, as a user other than the one who asked, a notice
// to one more destination (SECURITY D2) and returns whom and where it is about.
// The approval can be used once, within a week.
func (d *Desk) ApproveDestination(ctx context.Context, p access.Principal, requestID string, approval [16]byte) (cases.PersonID, area.Key, error) {
	if err := d.Allow(ctx, p, access.Approve, 0); err != nil {
		return cases.PersonID{}, 0, err
	}
	if err := usher.CheckRequestID(requestID); err != nil {
		return cases.PersonID{}, 0, err
	}
	r := store.Request{Account: p.ID, RequestID: requestID, Method: "approve", Hash: d.HashOf(approval)}
	var a store.Approval
	err := d.In(ctx, p, func(tx *store.Tx) error {
		repeated, err := d.Repeated(ctx, tx, r)
		if err != nil {
			return err
		}
		if a, err = d.approvalOf(ctx, tx, p, approval); err != nil {
			return err
		}
		event := store.Access{Principal: p, Office: a.Office, Verb: access.Approve, Purpose: "destination", Subjects: [][16]byte{a.About}}
		if repeated {
			return tx.LogAccess(ctx, event)
		}
		if err := d.mayApprove(p, a); err != nil {
			return err
		}
		if err := tx.GiveApproval(ctx, a.ID, actor(p), d.Now()); err != nil {
			return err
		}
		r.Office = a.Office
		if err := tx.AddRequests(ctx, []store.Request{r}); err != nil {
			return err
		}
		return tx.LogAccess(ctx, event)
	})
	if fault.Is(err, fault.KindDenied) || fault.Is(err, fault.KindNotFound) {
		d.LogDenied(ctx, p, access.Approve, a.Office)
	}
	if err != nil {
		return cases.PersonID{}, 0, err
	}
	return a.About, a.Detail, nil
}

// approvalOf finds an approval of p's offices; one about a person whom p may
// not see is not there.
func (d *Desk) approvalOf(ctx context.Context, tx *store.Tx, p access.Principal, id [16]byte) (store.Approval, error) {
	none := fault.NotFound("APPROVAL_NOT_FOUND", "no such approval").Zh("没有这项待审批，或不属于本单位").On("approval_id")
	found, err := tx.LockApprovals(ctx, [][16]byte{id})
	if err != nil {
		return store.Approval{}, err
	}
	a, ok := found[id]
	if !ok || a.Kind != store.ApproveDestination || !access.Can(p, access.Approve, a.Office) {
		return store.Approval{}, none
	}
	seen, err := book.Knows(ctx, tx, a.About)
	if err == nil && !seen {
		err = none
	}
	return a, err
}

func (d *Desk) mayApprove(p access.Principal, a store.Approval) error {
	switch {
	case a.AskedBy == actor(p) || a.AskedBy == p.ID:
		return fault.Denied("OWN_REQUEST", "approval %x was asked for by the same user", a.ID).Zh("不能审批自己提出的申请，请本单位另一位经办人办理").On("approval_id")
	case a.ApprovedBy != "":
		return fault.Conflict("APPROVED_BEFORE", "approval %x was given before", a.ID).Zh("这项申请已经审批过").On("approval_id")
	case d.Now().Sub(a.AskedAt) >= ApprovalLasts:
		return fault.Conflict("APPROVAL_EXPIRED", "approval %x was asked for more than 7 days ago", a.ID).Zh("这项申请已超过 7 天，请重新提出").On("approval_id")
	}
	return nil
}
