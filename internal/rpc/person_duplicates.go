package rpc

import (
	"context"

	"yipan/internal/cases"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/people"
)

// maxDuplicatePage is the most that one page of proposals holds.
const maxDuplicatePage = 200

func (s *personService) ListDuplicates(ctx context.Context, r *ledgerv1.ListDuplicatesRequest) (*ledgerv1.ListDuplicatesResponse, error) {
	d := &decoder{}
	q := people.DuplicatesRequest{
		Office: d.area("office", r.GetOffice()), PageSize: d.pageSize(r.GetPageSize(), maxDuplicatePage),
		PageToken: d.text("page_token", r.GetPageToken(), maxText), Purpose: d.text("purpose", r.GetPurpose(), maxText),
	}
	if d.err != nil {
		return nil, d.err
	}
	list, next, err := s.people.ListDuplicates(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	resp := &ledgerv1.ListDuplicatesResponse{NextPageToken: next}
	for _, p := range list {
		resp.Duplicates = append(resp.Duplicates, &ledgerv1.Duplicate{
			A: summaryMessage(p.A), B: summaryMessage(p.B), Score: int32(p.Score), Reasons: p.Reasons, At: instantOf(p.At),
		})
	}
	return resp, nil
}

func (s *personService) MergePersons(ctx context.Context, r *ledgerv1.MergePersonsRequest) (*ledgerv1.MergePersonsResponse, error) {
	d := &decoder{}
	q := people.MergeRequest{
		RequestID: d.requestID(r.GetRequestId()), Person: requiredID(d, "person_id", r.GetPersonId(), cases.ParsePersonID),
		Other: requiredID(d, "other_id", r.GetOtherId(), cases.ParsePersonID), Reason: d.required("reason", r.GetReason(), maxText),
	}
	if d.err != nil {
		return nil, d.err
	}
	f, err := s.people.Merge(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.MergePersonsResponse{Person: personMessage(f)}, nil
}

func (s *personService) UnmergePerson(ctx context.Context, r *ledgerv1.UnmergePersonRequest) (*ledgerv1.UnmergePersonResponse, error) {
	d := &decoder{}
	q := people.UnmergeRequest{
		RequestID: d.requestID(r.GetRequestId()), Person: requiredID(d, "person_id", r.GetPersonId(), cases.ParsePersonID),
		Reason: d.required("reason", r.GetReason(), maxText),
	}
	if d.err != nil {
		return nil, d.err
	}
	f, err := s.people.Unmerge(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.UnmergePersonResponse{Person: personMessage(f)}, nil
}

func (s *personService) DismissDuplicate(ctx context.Context, r *ledgerv1.DismissDuplicateRequest) (*ledgerv1.DismissDuplicateResponse, error) {
	d := &decoder{}
	q := people.DismissRequest{
		RequestID: d.requestID(r.GetRequestId()), A: requiredID(d, "person_id", r.GetPersonId(), cases.ParsePersonID),
		B: requiredID(d, "other_id", r.GetOtherId(), cases.ParsePersonID),
	}
	if d.err != nil {
		return nil, d.err
	}
	if err := s.people.Dismiss(ctx, principal(ctx), q); err != nil {
		return nil, err
	}
	return &ledgerv1.DismissDuplicateResponse{}, nil
}
