package cli

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/timestamppb"

	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	nodev1 "yipan/internal/gen/yipan/node/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/keys"
)

// A scripted answers calls over real TLS on loopback and remembers requests.
type scripted struct {
	casesv1.UnimplementedCaseServiceServer
	consentv1.UnimplementedConsentServiceServer
	nodev1.UnimplementedNodeServiceServer
	nodev1.UnimplementedReminderServiceServer
	ratesv1.UnimplementedRateServiceServer
	ratesv1.UnimplementedReportServiceServer
	ratesv1.UnimplementedOutageServiceServer
	ledgerv1.UnimplementedPersonServiceServer
	ledgerv1.UnimplementedMovementServiceServer
	ledgerv1.UnimplementedOfferServiceServer
	ledgerv1.UnimplementedTodoServiceServer
	ledgerv1.UnimplementedAuditServiceServer

	addr, ca, token string

	mu   sync.Mutex
	got  []proto.Message
	meta metadata.MD
	fail map[string]error // by method name
	open map[string]string
}

func newScripted(t *testing.T) *scripted {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cert, err := keys.RenewCertificate(dir, []string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{ca: filepath.Join(dir, "ca.pem"), token: filepath.Join(dir, "token"), fail: map[string]error{}, open: map[string]string{}}
	for name, b := range map[string]string{s.ca: string(cert.PEM), s.token: "yp1_example\n"} {
		if err := os.WriteFile(name, []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = lis.Addr().String()
	pair := cert.TLS()
	g := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&pair)), grpc.UnaryInterceptor(s.note))
	casesv1.RegisterCaseServiceServer(g, s)
	consentv1.RegisterConsentServiceServer(g, s)
	nodev1.RegisterNodeServiceServer(g, s)
	nodev1.RegisterReminderServiceServer(g, s)
	ratesv1.RegisterRateServiceServer(g, s)
	ratesv1.RegisterReportServiceServer(g, s)
	ratesv1.RegisterOutageServiceServer(g, s)
	ledgerv1.RegisterPersonServiceServer(g, s)
	ledgerv1.RegisterMovementServiceServer(g, s)
	ledgerv1.RegisterOfferServiceServer(g, s)
	ledgerv1.RegisterTodoServiceServer(g, s)
	ledgerv1.RegisterAuditServiceServer(g, s)
	served := make(chan error, 1)
	go func() { served <- g.Serve(lis) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

func (s *scripted) note(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
	method := info.FullMethod[strings.LastIndexByte(info.FullMethod, '/')+1:]
	s.mu.Lock()
	s.got = append(s.got, req.(proto.Message))
	s.meta, _ = metadata.FromIncomingContext(ctx)
	err := s.fail[method]
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return h(ctx, req)
}

// last returns the newest request of M's type.
func last[M proto.Message](t *testing.T, s *scripted) M {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.got) - 1; i >= 0; i-- {
		if m, ok := s.got[i].(M); ok {
			return m
		}
	}
	var none M
	t.Fatalf("no request of type %T", none)
	return none
}

type result struct {
	code     int
	out, err string
}

// run runs a command against s with its address, certificate and token in the
// environment.
func (s *scripted) run(t *testing.T, in string, args ...string) result {
	t.Helper()
	env := map[string]string{"YIPAN_ADDR": s.addr, "YIPAN_CA": s.ca, "YIPAN_TOKEN_FILE": s.token}
	return runWith(env, in, args...)
}

func runWith(env map[string]string, in string, args ...string) result {
	var app struct {
		Globals
		Commands
	}
	var out, errs strings.Builder
	code := Execute(context.Background(), "yipan", "", &app, args,
		Std{In: strings.NewReader(in), Out: &out, Err: &errs, Getenv: func(k string) string { return env[k] }})
	return result{code, out.String(), errs.String()}
}

const (
	caseA    = "0123456789abcdef0123456789abcdef"
	caseB    = "fedcba9876543210fedcba9876543210"
	consentA = "00112233445566778899aabbccddeeff"
)

var day0 = timestamppb.New(time.Date(2026, 11, 2, 1, 30, 0, 0, time.UTC))

func sample(id string) *casesv1.Case {
	return &casesv1.Case{CaseId: id, Etag: "e1", Kind: casesv1.Kind_KIND_OUTFLOW, Side: casesv1.Side_SIDE_OPENER, State: casesv1.State_STATE_OPEN,
		Round: 1, Waiting: casesv1.Waiting_WAITING_RESIDENCE, Origin: "3:520330", Destination: "3:330112", DueAt: day0, Subject: "测** 1990", DeliveredAt: day0}
}

func (s *scripted) GetCase(_ context.Context, r *casesv1.GetCaseRequest) (*casesv1.GetCaseResponse, error) {
	return &casesv1.GetCaseResponse{Case: sample(r.GetCaseId())}, nil
}

func (s *scripted) ListCases(_ context.Context, r *casesv1.ListCasesRequest) (*casesv1.ListCasesResponse, error) {
	if r.GetPageToken() == "" {
		return &casesv1.ListCasesResponse{Cases: []*casesv1.Case{sample(caseA)}, NextPageToken: "p2"}, nil
	}
	c := sample(caseB)
	c.State, c.Waiting, c.Kind = casesv1.State_STATE_ANSWERED, 0, casesv1.Kind_KIND_BIRTH_SERVICE
	return &casesv1.ListCasesResponse{Cases: []*casesv1.Case{c}}, nil
}

func (s *scripted) OpenCase(context.Context, *casesv1.OpenCaseRequest) (*casesv1.OpenCaseResponse, error) {
	return &casesv1.OpenCaseResponse{Case: sample(caseA), Warnings: []string{"证件校验码不符"}}, nil
}

func (s *scripted) BatchOpenCases(_ context.Context, r *casesv1.BatchOpenCasesRequest) (*casesv1.BatchOpenCasesResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	resp := &casesv1.BatchOpenCasesResponse{}
	for i, o := range r.GetRequests() {
		res := &casesv1.OpenResult{Index: int32(i)}
		switch id, ok := s.open[o.GetRequestId()]; {
		case o.GetDestination() == "3:330110":
			res.Error = &casesv1.ItemError{Reason: "PEER_REFUSED", Field: "destination", Message: "对方不受理"}
		case ok:
			res.CaseId, res.RepeatedRequest = id, true
		default:
			res.CaseId = contentID("", o, 0)
			s.open[o.GetRequestId()] = res.CaseId
		}
		resp.Results = append(resp.Results, res)
	}
	return resp, nil
}

func changes(refs []*casesv1.CaseRef) []*casesv1.ChangeResult {
	var rs []*casesv1.ChangeResult
	for i, r := range refs {
		c := &casesv1.ChangeResult{Index: int32(i), CaseId: r.GetCaseId(), Etag: "e2"}
		if r.GetEtag() == "old" {
			c.Etag, c.Error = "", &casesv1.ItemError{Reason: "ETAG_STALE", Field: "etag", Message: "案件已有变化"}
		}
		rs = append(rs, c)
	}
	return rs
}

func (s *scripted) DistributeCases(_ context.Context, r *casesv1.DistributeCasesRequest) (*casesv1.DistributeCasesResponse, error) {
	return &casesv1.DistributeCasesResponse{Results: changes(r.GetCases())}, nil
}

func (s *scripted) BatchAnswerCases(_ context.Context, r *casesv1.BatchAnswerCasesRequest) (*casesv1.BatchAnswerCasesResponse, error) {
	var refs []*casesv1.CaseRef
	for _, a := range r.GetRequests() {
		refs = append(refs, a.GetRef())
	}
	return &casesv1.BatchAnswerCasesResponse{Results: changes(refs)}, nil
}

func (s *scripted) AnswerCase(_ context.Context, r *casesv1.AnswerCaseRequest) (*casesv1.AnswerCaseResponse, error) {
	c := sample(r.GetRef().GetCaseId())
	c.State, c.Answer = casesv1.State_STATE_ANSWERED, r.GetAnswer()
	return &casesv1.AnswerCaseResponse{Case: c}, nil
}

func (s *scripted) WithdrawCase(_ context.Context, r *casesv1.WithdrawCaseRequest) (*casesv1.WithdrawCaseResponse, error) {
	c := sample(r.GetRef().GetCaseId())
	c.State = casesv1.State_STATE_WITHDRAWN
	return &casesv1.WithdrawCaseResponse{Case: c}, nil
}

func (s *scripted) RecordOffer(_ context.Context, r *casesv1.RecordOfferRequest) (*casesv1.RecordOfferResponse, error) {
	return &casesv1.RecordOfferResponse{Case: sample(r.GetRef().GetCaseId())}, nil
}

func (s *scripted) TraceCase(_ context.Context, r *casesv1.TraceCaseRequest) (*casesv1.TraceCaseResponse, error) {
	return &casesv1.TraceCaseResponse{Case: sample(r.GetCaseId()), Events: []*casesv1.Event{
		{Kind: "OPEN", Side: casesv1.Side_SIDE_OPENER, Node: "3:520330", Round: 1, RecordedAt: day0, DeliveredAt: day0},
		{Kind: "ANSWER", Side: casesv1.Side_SIDE_RECEIVER, Node: "3:330112", Round: 1, RecordedAt: day0, Revoked: true},
	}, SideTimes: []*casesv1.SideTime{{Waiting: casesv1.Waiting_WAITING_RESIDENCE, Seconds: 2*86400 + 3600}}}, nil
}

func (s *scripted) WatchCases(_ *casesv1.WatchCasesRequest, st grpc.ServerStreamingServer[casesv1.WatchCasesResponse]) error {
	for _, id := range []string{caseA, caseB} {
		if err := st.Send(&casesv1.WatchCasesResponse{CaseId: id, State: casesv1.State_STATE_ANSWERED, Office: "3:520330"}); err != nil {
			return err
		}
	}
	<-st.Context().Done()
	return st.Context().Err()
}

func (s *scripted) ListConsents(context.Context, *consentv1.ListConsentsRequest) (*consentv1.ListConsentsResponse, error) {
	return &consentv1.ListConsentsResponse{Consents: []*consentv1.Consent{{ConsentId: consentA, PersonId: caseB, Purpose: "confirm_residence",
		Recipient: "3:330112", GivenAt: day0, ValidUntil: timestamppb.New(time.Now().Add(24 * time.Hour))}}}, nil
}

func (s *scripted) RecordConsent(_ context.Context, r *consentv1.RecordConsentRequest) (*consentv1.RecordConsentResponse, error) {
	c := proto.Clone(r.GetConsent()).(*consentv1.Consent)
	c.ConsentId, c.PersonId = consentA, caseB
	return &consentv1.RecordConsentResponse{Consent: c, Warnings: []string{"没有这个版本的文本"}}, nil
}

func (s *scripted) GetRates(context.Context, *ratesv1.GetRatesRequest) (*ratesv1.GetRatesResponse, error) {
	return &ratesv1.GetRatesResponse{Period: "2026-11", Rates: []*ratesv1.Rate{
		{Measure: ratesv1.Measure_MEASURE_CERTIFICATE, Area: "3:520330", AreaName: "习水县", N: 1631, D: 1677, Percent: "97.26"},
		{Measure: ratesv1.Measure_MEASURE_FEEDBACK, Area: "3:520330", AreaName: "习水县", Kind: casesv1.Kind_KIND_OUTFLOW, N: 0, D: 0, Percent: "—",
			Excluded: map[string]int64{"WITHDRAWN_BEFORE_DUE": 3}, Overdue: map[string]int64{"residence": 2, "origin": 1}},
	}}, nil
}

func (s *scripted) ListSignals(context.Context, *ratesv1.ListSignalsRequest) (*ratesv1.ListSignalsResponse, error) {
	return &ratesv1.ListSignalsResponse{Period: "2026-11", Signals: []*ratesv1.Signal{
		{Code: "ALL_NOT_FOUND", Text: "全部查无此人", Office: "3:520330", OfficeName: "习水县", N: 24, Of: 24, Rule: "全部"},
	}}, nil
}

func (s *scripted) ListPeers(context.Context, *nodev1.ListPeersRequest) (*nodev1.ListPeersResponse, error) {
	return &nodev1.ListPeersResponse{Peers: []*nodev1.Peer{{Node: "3:330112", Name: "临安区", Unsettled: 12, OldestSeconds: 90, Settled: 3994, RoundTripMs: 8, LastHeardAt: day0}}, NoNodeYet: 2}, nil
}

func (s *scripted) Resend(_ context.Context, r *nodev1.ResendRequest) (*nodev1.ResendResponse, error) {
	return &nodev1.ResendResponse{Items: 12}, nil
}

// refusal is a refusal as the server renders it.
func refusal(code codes.Code, english, reason, field, zh string) error {
	details := []protoadapt.MessageV1{protoadapt.MessageV1Of(&errdetails.ErrorInfo{Reason: reason, Domain: "yipan"}),
		protoadapt.MessageV1Of(&errdetails.LocalizedMessage{Locale: "zh-CN", Message: zh})}
	if field != "" {
		details = append(details, protoadapt.MessageV1Of(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: english}}}))
	}
	st, err := status.New(code, english).WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return st.Err()
}
