package rpc

import (
	"context"

	"yipan/internal/cases"
	"yipan/internal/desk"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
)

func pairRequest(r *casesv1.PairCaseRequest) (desk.PairRequest, error) {
	d := &decoder{}
	q := desk.PairRequest{
		RequestID: d.requestID(r.GetRequestId()), Ref: caseRef(d, "ref", r.GetRef()),
		Person: id(d, "person_id", r.GetPersonId(), cases.ParsePersonID),
	}
	return q, d.err
}

func (s *caseService) PairCase(ctx context.Context, r *casesv1.PairCaseRequest) (*casesv1.PairCaseResponse, error) {
	q, err := pairRequest(r)
	if err != nil {
		return nil, err
	}
	v, err := s.desk.Pair(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &casesv1.PairCaseResponse{PersonId: idOf(v.Person), Registered: v.Registered, Case: caseMessage(v.Case), Warnings: v.Warnings}, nil
}

func (s *caseService) ListCandidates(ctx context.Context, r *casesv1.ListCandidatesRequest) (*casesv1.ListCandidatesResponse, error) {
	d := &decoder{}
	id, purpose := d.caseID("case_id", r.GetCaseId()), d.text("purpose", r.GetPurpose(), maxText)
	if d.err != nil {
		return nil, d.err
	}
	found, err := s.desk.ListCandidates(ctx, principal(ctx), id, purpose)
	if err != nil {
		return nil, err
	}
	resp := &casesv1.ListCandidatesResponse{}
	for _, c := range found {
		resp.Candidates = append(resp.Candidates, &casesv1.Candidate{
			PersonId: idOf(c.Person), Name: c.Name, BirthYear: int32(c.BirthYear), Document: c.Document, Score: int32(c.Score), Reasons: c.Reasons, Certain: c.Certain,
		})
	}
	return resp, nil
}

func (s *caseService) UnpairCase(ctx context.Context, r *casesv1.UnpairCaseRequest) (*casesv1.UnpairCaseResponse, error) {
	d := &decoder{}
	q := desk.UnpairRequest{RequestID: d.requestID(r.GetRequestId()), Ref: caseRef(d, "ref", r.GetRef())}
	if d.err != nil {
		return nil, d.err
	}
	v, err := s.desk.Unpair(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &casesv1.UnpairCaseResponse{Case: caseMessage(v)}, nil
}
