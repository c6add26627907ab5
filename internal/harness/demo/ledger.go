package demo

import (
	"context"
	"fmt"
	"sync/atomic"

	"yipan/internal/area"
	"yipan/internal/cases"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
)

func (p *place) people(account string) ledgerv1.PersonServiceClient {
	return ledgerv1.NewPersonServiceClient(p.conn(account))
}

func (p *place) movements(account string) ledgerv1.MovementServiceClient {
	return ledgerv1.NewMovementServiceClient(p.conn(account))
}

func (p *place) services(account string) ledgerv1.OfferServiceClient {
	return ledgerv1.NewOfferServiceClient(p.conn(account))
}

func (p *place) todos(account string) ledgerv1.TodoServiceClient {
	return ledgerv1.NewTodoServiceClient(p.conn(account))
}

// profile is the file of a person of the roster, as a township types it.
func (f *file) profile(registered, living area.Key) *ledgerv1.Profile {
	p := &ledgerv1.Profile{
		Name: f.Row.Name, Documents: []*ledgerv1.Document{{Number: f.Row.Document.Number}}, MaritalStatus: uint32(f.Row.Marital),
		Registered: registered.String(), Living: living.String(),
	}
	if f.Row.Phone != "" {
		p.Contacts = []*ledgerv1.Contact{{Value: f.Row.Phone, Kind: "phone", Safe: f.Row.PhoneSafe}}
	}
	return p
}

// movement is the movement that a row of the roster tells, with the request id
// of the row; the same whenever it is asked for.
func (r *run) movement(f *file) *ledgerv1.MovementInput {
	if f.moved == nil {
		f.moved = r.newMovement(f)
	}
	return f.moved
}

func (r *run) newMovement(f *file) *ledgerv1.MovementInput {
	q := f.request
	m := &ledgerv1.MovementInput{
		RequestId: q.GetRequestId(), Office: r.spec.Origin.String(), PersonId: f.person, EventDate: q.GetFields().GetEventDate(),
		Basis: q.GetFields().GetBasis(), ConfirmConsentId: q.GetFields().GetConfirmConsentId(),
		CertificateAskedOn: q.GetCertificateAskedOn(), CertificateIssuedOn: q.GetCertificateIssuedOn(),
	}
	if f.Row.Kind == cases.Inflow {
		m.Kind, m.From, m.To = ledgerv1.MovementKind_MOVEMENT_KIND_ARRIVE, q.GetDestination(), r.spec.Origin.String()
		m.Profile = f.profile(f.Row.Origin, r.spec.Origin)
		return m
	}
	m.Kind, m.To = ledgerv1.MovementKind_MOVEMENT_KIND_LEAVE, q.GetDestination()
	if f.person == "" {
		m.Profile = f.profile(r.spec.Origin, r.spec.Origin)
	}
	return m
}

// handful is how many movements one call registers: each is a transaction of
// its own, and a call should end within seconds.
const handful = 50

// openAll registers the movements of the roster, from which the notices arise.
// Again: every row must stand already.
func (r *run) openAll(ctx context.Context, again bool) error {
	s := r.origin.movements(r.clerk())
	var done atomic.Int64
	return eachOf(ctx, 4, chunks(r.people, handful), func(ctx context.Context, part []*file) error {
		req := &ledgerv1.BatchRegisterMovementsRequest{}
		for _, f := range part {
			req.Movements = append(req.Movements, r.movement(f))
		}
		resp, err := s.BatchRegisterMovements(ctx, req)
		if err != nil {
			return fmt.Errorf("demo: register movements: %w", err)
		}
		for i, row := range resp.GetRows() {
			f, m := part[i], row.GetResult().GetMovement()
			switch {
			case row.GetError() != nil:
				return fmt.Errorf("demo: line %d of the roster refused: %s %s %s", f.Row.Line, row.GetError().GetReason(), row.GetError().GetField(), row.GetError().GetMessage())
			case m.GetCaseId() == "":
				return fmt.Errorf("demo: line %d of the roster opened no notice: %s", f.Row.Line, m.GetStayedBecause())
			case again && (!row.GetResult().GetRepeatedRequest() || m.GetCaseId() != f.id):
				return fmt.Errorf("demo: line %d of the roster, sent again, opened case %s beside %s", f.Row.Line, m.GetCaseId(), f.id)
			case !again:
				f.id, f.person = m.GetCaseId(), m.GetPersonId()
				r.acts.add(f.id, 1)
			}
		}
		if n := done.Add(int64(len(part))); n%1000 < handful || n == int64(len(r.people)) {
			r.say("已登记 %d / %d 人，通报随之发出", "%d of %d movements registered; the notices leave by themselves", n, len(r.people))
		}
		return nil
	})
}

// earlyAtMost is how many people have registered at the residence before the
// notice about them comes.
const earlyAtMost = 20

// arriveEarly lets some people register at the residence on their own, so that
// only one side has their card when the notice comes (一方未建卡).
func (r *run) arriveEarly(ctx context.Context) error {
	n := 0
	for _, f := range r.people {
		k := f.Row.Destination
		account, served := r.residence.clerks[k]
		if n == earlyAtMost || !served || f.Row.Kind != cases.Outflow || f.Truth.Answer.Outcome != cases.Residing {
			continue
		}
		resp, err := r.residence.movements(account).RegisterMovement(ctx, &ledgerv1.RegisterMovementRequest{Movement: &ledgerv1.MovementInput{
			RequestId: requestID("arrive", f.request.GetRequestId()), Kind: ledgerv1.MovementKind_MOVEMENT_KIND_ARRIVE,
			Profile: f.profile(r.spec.Origin, k), To: k.String(), EventDate: f.request.GetFields().GetEventDate(),
		}})
		if err != nil {
			return fmt.Errorf("demo: register an arrival (line %d): %w", f.Row.Line, err)
		}
		m := resp.GetResult().GetMovement()
		if m.GetStayedBecause() != "no_basis" {
			return fmt.Errorf("demo: an arrival without a basis (line %d): stayed because %q, case %s", f.Row.Line, m.GetStayedBecause(), m.GetCaseId())
		}
		f.early = m.GetPersonId()
		n++
	}
	r.say("%d 人已先在现居住地登记（无依据，只在本地登记，不发通报）", "%d people have registered at the residence already (without a basis: filed there, no notice leaves)", n)
	return nil
}

// pairEarly pairs the notices of those whose card is there already, as the
// to-do list proposes: previewed, done, undone and done again.
func (d *desk) pairEarly(ctx context.Context) error {
	s := d.place.todos(d.account)
	preview := func() (*ledgerv1.PreviewActionResponse, error) {
		return s.PreviewAction(ctx, &ledgerv1.PreviewActionRequest{Action: ledgerv1.BulkAction_BULK_ACTION_PAIR, Purpose: "演示：批量配对"})
	}
	plan, err := preview()
	if err != nil {
		return fmt.Errorf("demo: preview pairing: %w", err)
	}
	if len(fitting(plan)) == 0 {
		return nil
	}
	apply := func(token, again string) (string, error) {
		resp, err := s.ApplyAction(ctx, &ledgerv1.ApplyActionRequest{RequestId: requestID("pair many"+again, d.account+token), PlanToken: token})
		if err != nil {
			return "", fmt.Errorf("demo: pair many: %w", err)
		}
		return resp.GetActionId(), nil
	}
	action, err := apply(plan.GetPlanToken(), "")
	if err != nil {
		return err
	}
	if _, err := s.UndoAction(ctx, &ledgerv1.UndoActionRequest{RequestId: requestID("unpair many", action), ActionId: action}); err != nil {
		return fmt.Errorf("demo: undo pairing: %w", err)
	}
	if plan, err = preview(); err != nil {
		return fmt.Errorf("demo: preview pairing again: %w", err)
	}
	if _, err := apply(plan.GetPlanToken(), " again"); err != nil {
		return err
	}
	d.paired.Add(int64(len(fitting(plan))))
	return nil
}

// fitting returns the cases that a plan would change.
func fitting(plan *ledgerv1.PreviewActionResponse) []string {
	var ids []string
	for _, c := range plan.GetChanges() {
		if c.GetLeftOut() == "" {
			ids = append(ids, c.GetCaseId())
		}
	}
	return ids
}
