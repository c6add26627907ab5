package rpc

import (
	"context"

	"google.golang.org/grpc"

	"yipan/internal/desk"
	"yipan/internal/fault"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	"yipan/internal/services"
)

// caseService is yipan.cases.v1.CaseService. Every method decodes, calls one
// verb and encodes.
type caseService struct {
	casesv1.UnimplementedCaseServiceServer
	desk     *desk.Desk
	services *services.Services
	door     *door
}

func (s *caseService) OpenCase(ctx context.Context, r *casesv1.OpenCaseRequest) (*casesv1.OpenCaseResponse, error) {
	q, err := openRequest(r)
	if err != nil {
		return nil, err
	}
	v, warnings, err := s.desk.OpenCase(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &casesv1.OpenCaseResponse{Case: caseMessage(v), Warnings: warnings}, nil
}

// BatchOpenCases calls the desk once for the rows that can be read.
func (s *caseService) BatchOpenCases(ctx context.Context, r *casesv1.BatchOpenCasesRequest) (*casesv1.BatchOpenCasesResponse, error) {
	rows := r.GetRequests()
	results, err := batch(rows, openRequest, func(qs []desk.OpenRequest) ([]desk.OpenResult, error) {
		return s.desk.OpenCases(ctx, principal(ctx), qs)
	}, func(_ int, err error) desk.OpenResult { return desk.OpenResult{Err: err} })
	if err != nil {
		return nil, err
	}
	resp := &casesv1.BatchOpenCasesResponse{}
	for i, o := range results {
		s.door.inside(ctx, casesv1.CaseService_BatchOpenCases_FullMethodName, o.Err)
		resp.Results = append(resp.Results, openResult(i, o))
	}
	return resp, nil
}

func (s *caseService) GetCase(ctx context.Context, r *casesv1.GetCaseRequest) (*casesv1.GetCaseResponse, error) {
	q, err := getRequest(r)
	if err != nil {
		return nil, err
	}
	v, err := s.desk.GetCase(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &casesv1.GetCaseResponse{Case: caseMessage(v)}, nil
}

func (s *caseService) ListCases(ctx context.Context, r *casesv1.ListCasesRequest) (*casesv1.ListCasesResponse, error) {
	q, err := listRequest(r)
	if err != nil {
		return nil, err
	}
	vs, next, err := s.desk.ListCases(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &casesv1.ListCasesResponse{Cases: caseMessages(vs), NextPageToken: next}, nil
}

// DistributeCases calls the desk once for the references that can be read.
func (s *caseService) DistributeCases(ctx context.Context, r *casesv1.DistributeCasesRequest) (*casesv1.DistributeCasesResponse, error) {
	d := &decoder{}
	q := desk.DistributeRequest{RequestID: d.requestID(r.GetRequestId()), Township: d.requiredArea("township", r.GetTownship())}
	if d.err != nil {
		return nil, d.err
	}
	ref := func(m *casesv1.CaseRef) (desk.CaseRef, error) {
		d := &decoder{}
		v := caseRef(d, "", m)
		return v, d.err
	}
	results, err := batch(r.GetCases(), ref, func(refs []desk.CaseRef) ([]desk.ChangeResult, error) {
		q.Refs = refs
		return s.desk.Distribute(ctx, principal(ctx), q)
	}, func(_ int, err error) desk.ChangeResult { return desk.ChangeResult{Err: err} })
	if err != nil {
		return nil, err
	}
	return &casesv1.DistributeCasesResponse{Results: s.changes(ctx, casesv1.CaseService_DistributeCases_FullMethodName, results)}, nil
}

func (s *caseService) AnswerCase(ctx context.Context, r *casesv1.AnswerCaseRequest) (*casesv1.AnswerCaseResponse, error) {
	q, err := answerRequest(r)
	if err != nil {
		return nil, err
	}
	v, warnings, err := s.desk.Answer(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &casesv1.AnswerCaseResponse{Case: caseMessage(v), Warnings: warnings}, nil
}

// BatchAnswerCases calls the desk once for the answers that can be read.
func (s *caseService) BatchAnswerCases(ctx context.Context, r *casesv1.BatchAnswerCasesRequest) (*casesv1.BatchAnswerCasesResponse, error) {
	results, err := batch(r.GetRequests(), answerRequest, func(qs []desk.AnswerRequest) ([]desk.ChangeResult, error) {
		return s.desk.AnswerMany(ctx, principal(ctx), qs)
	}, func(_ int, err error) desk.ChangeResult { return desk.ChangeResult{Err: err} })
	if err != nil {
		return nil, err
	}
	return &casesv1.BatchAnswerCasesResponse{Results: s.changes(ctx, casesv1.CaseService_BatchAnswerCases_FullMethodName, results)}, nil
}

func (s *caseService) RecordOffer(ctx context.Context, r *casesv1.RecordOfferRequest) (*casesv1.RecordOfferResponse, error) {
	q, err := offerRequest(r)
	if err != nil {
		return nil, err
	}
	v, err := s.services.RecordOffer(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &casesv1.RecordOfferResponse{Case: caseMessage(v)}, nil
}

func (s *caseService) CorrectCase(ctx context.Context, r *casesv1.CorrectCaseRequest) (*casesv1.CorrectCaseResponse, error) {
	q, err := correctRequest(r)
	if err != nil {
		return nil, err
	}
	v, warnings, err := s.desk.Correct(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &casesv1.CorrectCaseResponse{Case: caseMessage(v), Warnings: warnings}, nil
}

func (s *caseService) WithdrawCase(ctx context.Context, r *casesv1.WithdrawCaseRequest) (*casesv1.WithdrawCaseResponse, error) {
	q, err := changeRequest(r)
	if err != nil {
		return nil, err
	}
	v, err := s.desk.Withdraw(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &casesv1.WithdrawCaseResponse{Case: caseMessage(v)}, nil
}

func (s *caseService) RerouteCase(ctx context.Context, r *casesv1.RerouteCaseRequest) (*casesv1.RerouteCaseResponse, error) {
	q, err := rerouteRequest(r)
	if err != nil {
		return nil, err
	}
	v, err := s.desk.Reroute(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &casesv1.RerouteCaseResponse{Case: caseMessage(v)}, nil
}

func (s *caseService) DisputeCase(ctx context.Context, r *casesv1.DisputeCaseRequest) (*casesv1.DisputeCaseResponse, error) {
	q, err := changeRequest(r)
	if err != nil {
		return nil, err
	}
	v, err := s.desk.Dispute(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &casesv1.DisputeCaseResponse{Case: caseMessage(v)}, nil
}

func (s *caseService) CloseCase(ctx context.Context, r *casesv1.CloseCaseRequest) (*casesv1.CloseCaseResponse, error) {
	q, err := changeRequest(r)
	if err != nil {
		return nil, err
	}
	v, err := s.desk.Close(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &casesv1.CloseCaseResponse{Case: caseMessage(v)}, nil
}

func (s *caseService) ReopenCase(ctx context.Context, r *casesv1.ReopenCaseRequest) (*casesv1.ReopenCaseResponse, error) {
	q, err := changeRequest(r)
	if err != nil {
		return nil, err
	}
	v, err := s.desk.Reopen(ctx, principal(ctx), q)
	if err != nil {
		return nil, err
	}
	return &casesv1.ReopenCaseResponse{Case: caseMessage(v)}, nil
}

func (s *caseService) TraceCase(ctx context.Context, r *casesv1.TraceCaseRequest) (*casesv1.TraceCaseResponse, error) {
	d := &decoder{}
	id, purpose := d.caseID("case_id", r.GetCaseId()), d.text("purpose", r.GetPurpose(), maxText)
	if d.err != nil {
		return nil, d.err
	}
	t, err := s.desk.Trace(ctx, principal(ctx), id, purpose)
	if err != nil {
		return nil, err
	}
	return traceMessage(t), nil
}

func (s *caseService) WatchCases(r *casesv1.WatchCasesRequest, st grpc.ServerStreamingServer[casesv1.WatchCasesResponse]) error {
	ctx := st.Context()
	d := &decoder{}
	office := d.area("office", r.GetOffice())
	if d.err != nil {
		return d.err
	}
	return s.desk.Watch(ctx, principal(ctx), office, func(c desk.Change) error {
		return st.Send(&casesv1.WatchCasesResponse{
			CaseId: idOf(c.Case), State: casesv1.State(c.Status), Office: areaOf(c.Office), Etag: c.Etag,
			DeliveredAt: instantOf(c.DeliveredAt),
		})
	})
}

func (s *caseService) changes(ctx context.Context, method string, results []desk.ChangeResult) []*casesv1.ChangeResult {
	ms := make([]*casesv1.ChangeResult, len(results))
	for i, r := range results {
		s.door.inside(ctx, method, r.Err)
		ms[i] = changeResult(i, r)
	}
	return ms
}

// batch decodes many, gives those that can be read to the desk in one call, and
// puts the results in the order of the request. More than 1,000 are refused as
// a whole; what cannot be read is refused alone.
func batch[M, Q, R any](rows []M, decode func(M) (Q, error), do func([]Q) ([]R, error), refused func(int, error) R) ([]R, error) {
	if err := tooMany(len(rows)); err != nil {
		return nil, err
	}
	results := make([]R, len(rows))
	var qs []Q
	var at []int
	for i, m := range rows {
		q, err := decode(m)
		if err != nil {
			results[i] = refused(i, err)
			continue
		}
		qs, at = append(qs, q), append(at, i)
	}
	if len(qs) == 0 {
		return results, nil
	}
	done, err := do(qs)
	if err != nil {
		return nil, err
	}
	if len(done) != len(qs) {
		return nil, fault.Internal("BATCH_RESULTS", "rpc: %d results for %d requests", len(done), len(qs))
	}
	for i, r := range done {
		results[at[i]] = r
	}
	return results, nil
}
