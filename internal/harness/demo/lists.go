package demo

import (
	"context"
	"fmt"
	"slices"

	"yipan/internal/area"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
)

// handled is a case as the clerk of its township sees it.
type handled struct {
	township area.Key
	account  string
	ref      *casesv1.CaseRef
}

// handled lists what the clerks of the residence have answered.
func (r *run) handled(ctx context.Context) (map[string]handled, error) {
	at := map[string]handled{}
	for township, account := range r.residence.clerks {
		cs, err := listed(ctx, r.residence.cases(account), &casesv1.ListCasesRequest{
			Kind: casesv1.Kind_KIND_OUTFLOW, States: []casesv1.State{casesv1.State_STATE_ANSWERED}, Side: casesv1.Side_SIDE_RECEIVER, Purpose: "演示：协查",
		})
		if err != nil {
			return nil, err
		}
		for _, c := range cs {
			at[c.GetCaseId()] = handled{township, account, refOf(c)}
		}
	}
	return at, nil
}

// emptyLists works off what still waits in the to-do lists: answers and feedback
// are read, notices that nobody can address are closed, files that only look
// alike are told apart. At the end every list is empty.
func (r *run) emptyLists(ctx context.Context) error {
	read := 0
	for _, p := range r.places() {
		for _, account := range append([]string{p.distributor}, sortedClerks(p)...) {
			n, err := r.emptyList(ctx, p, account)
			if err != nil {
				return err
			}
			read += n
		}
	}
	r.say("待办全部办结：批量阅知 %d 件答复与反馈", "all to-do lists are empty: %d answers and pieces of feedback were read in bulk", read)
	return r.settle(ctx)
}

func sortedClerks(p *place) []string {
	var out []string
	for _, account := range p.clerks {
		out = append(out, account)
	}
	slices.Sort(out)
	return out
}

// turns bounds how often a list is looked at again; each look works off up to
// 1,000 entries of a kind.
const turns = 30

func (r *run) emptyList(ctx context.Context, p *place, account string) (read int, err error) {
	s := p.todos(account)
	for range turns {
		resp, err := s.CountTodos(ctx, &ledgerv1.CountTodosRequest{})
		if err != nil {
			return read, fmt.Errorf("demo: count what waits for %s: %w", account, err)
		}
		left := 0
		for _, c := range resp.GetCounts() {
			if c.GetN() == 0 {
				continue
			}
			left++
			n, err := r.workOff(ctx, p, account, c.GetKind())
			if err != nil {
				return read, err
			}
			read += n
		}
		if left == 0 {
			return read, nil
		}
	}
	return read, fmt.Errorf("demo: the to-do list of %s at %s does not empty", account, p.Folder)
}

// workOff does what waits of one kind, as far as one look shows it, and returns
// how many entries were read in bulk.
func (r *run) workOff(ctx context.Context, p *place, account string, kind ledgerv1.TodoKind) (int, error) {
	switch kind {
	case ledgerv1.TodoKind_TODO_KIND_READ_ANSWER, ledgerv1.TodoKind_TODO_KIND_READ_FEEDBACK, ledgerv1.TodoKind_TODO_KIND_CORRECTION:
		return r.readMany(ctx, p, account)
	case ledgerv1.TodoKind_TODO_KIND_REROUTE, ledgerv1.TodoKind_TODO_KIND_DUPLICATE:
	default:
		return 0, fmt.Errorf("demo: %s still waits for %s at %s", kind, account, p.Folder)
	}
	resp, err := p.todos(account).ListTodos(ctx, &ledgerv1.ListTodosRequest{Kinds: []ledgerv1.TodoKind{kind}, PageSize: 200, Purpose: "演示：待办"})
	if err != nil {
		return 0, fmt.Errorf("demo: list what waits for %s: %w", account, err)
	}
	return 0, each(ctx, resp.GetTodos(), func(ctx context.Context, t *ledgerv1.Todo) error {
		if kind == ledgerv1.TodoKind_TODO_KIND_DUPLICATE {
			_, err := p.people(account).DismissDuplicate(ctx, &ledgerv1.DismissDuplicateRequest{
				RequestId: requestID("dismiss", t.GetRefs()[0]+t.GetRefs()[1]), PersonId: t.GetRefs()[0], OtherId: t.GetRefs()[1],
			})
			return err
		}
		_, err := p.cases(account).CloseCase(ctx, &casesv1.CloseCaseRequest{
			RequestId: requestID("unaddressed", t.GetCaseId()), Reason: "无法查明去向",
			Ref: &casesv1.CaseRef{CaseId: t.GetCaseId(), Etag: t.GetEtag()},
		})
		if err != nil {
			return fmt.Errorf("demo: close case %s: %w", t.GetCaseId(), err)
		}
		r.acts.add(t.GetCaseId(), 1)
		return nil
	})
}

// readMany takes note of up to 1,000 answers and pieces of feedback, as a
// preview showed them.
func (r *run) readMany(ctx context.Context, p *place, account string) (int, error) {
	s := p.todos(account)
	plan, err := s.PreviewAction(ctx, &ledgerv1.PreviewActionRequest{Action: ledgerv1.BulkAction_BULK_ACTION_ACKNOWLEDGE, Purpose: "演示：批量阅知"})
	if err != nil {
		return 0, fmt.Errorf("demo: preview reading: %w", err)
	}
	resp, err := s.ApplyAction(ctx, &ledgerv1.ApplyActionRequest{RequestId: requestID("read many", plan.GetPlanToken()), PlanToken: plan.GetPlanToken()})
	if err != nil {
		return 0, fmt.Errorf("demo: read many: %w", err)
	}
	n := 0
	for _, c := range resp.GetChanges() {
		if c.GetReason() == "" {
			n++
		}
	}
	return n, nil
}
