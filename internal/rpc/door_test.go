package rpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"yipan/internal/access"
	"yipan/internal/fault"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
	nodev1 "yipan/internal/gen/yipan/node/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/keys"
)

// A probe is a service behind the door whose methods do what a test needs.
type probe struct {
	casesv1.UnimplementedCaseServiceServer
	nodev1.UnimplementedNodeServiceServer
	consentv1.UnimplementedConsentServiceServer
	ratesv1.UnimplementedRateServiceServer
	get      func(context.Context, *casesv1.GetCaseRequest) error
	watching chan struct{}
}

func (p *probe) GetCase(ctx context.Context, r *casesv1.GetCaseRequest) (*casesv1.GetCaseResponse, error) {
	if p.get == nil {
		return &casesv1.GetCaseResponse{}, nil
	}
	return &casesv1.GetCaseResponse{}, p.get(ctx, r)
}

func (p *probe) WatchCases(_ *casesv1.WatchCasesRequest, st grpc.ServerStreamingServer[casesv1.WatchCasesResponse]) error {
	if err := st.Send(&casesv1.WatchCasesResponse{CaseId: principal(st.Context()).ID}); err != nil {
		return err
	}
	close(p.watching)
	<-st.Context().Done()
	return nil
}

// logged is what the server logged; safe to read while it logs.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type rig struct {
	probe *probe
	door  *door
	log   *logged
	reg   *prometheus.Registry
	conn  *grpc.ClientConn
	addr  string
	stop  func() error
}

// newRig serves the probe behind a real door on loopback, with TLS.
func newRig(t *testing.T, change ...func(*door)) *rig {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cert, err := keys.RenewCertificate(dir, []string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{probe: &probe{watching: make(chan struct{})}, log: &logged{}, reg: prometheus.NewRegistry()}
	m, err := newMetrics(r.reg)
	if err != nil {
		t.Fatal(err)
	}
	r.door = &door{
		log: slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})), metrics: m, deadline: DefaultDeadline,
		authenticate: func(_ context.Context, secret string) (access.Principal, error) {
			switch secret {
			case "yp1_clerk":
				return access.Principal{ID: "clerk1", Role: access.Clerk}, nil
			case "yp1_service":
				return access.Principal{ID: "program1", Role: access.Service, OnBehalf: "forged"}, nil
			}
			return access.Principal{}, fault.Denied("UNAUTHENTICATED", "unknown token").Zh("令牌无效")
		},
	}
	for _, c := range change {
		c(r.door)
	}
	s := r.door.server(&tls.Config{Certificates: []tls.Certificate{cert.TLS()}})
	casesv1.RegisterCaseServiceServer(s.grpc, r.probe)
	consentv1.RegisterConsentServiceServer(s.grpc, r.probe)
	ratesv1.RegisterRateServiceServer(s.grpc, r.probe)
	nodev1.RegisterNodeServiceServer(s.grpc, r.probe)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = lis.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, lis) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	r.conn, err = grpc.NewClient(r.addr, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: cert.Roots, MinVersion: tls.VersionTLS13})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.conn.Close() })
	return r
}

func (r *rig) call(ctx context.Context, pairs ...string) error {
	ctx = metadata.AppendToOutgoingContext(ctx, pairs...)
	_, err := casesv1.NewCaseServiceClient(r.conn).GetCase(ctx, &casesv1.GetCaseRequest{CaseId: "personal-value", Purpose: "personal-value"})
	return err
}

const auth = "authorization"

func TestAuthentication(t *testing.T) {
	r := newRig(t)
	var got access.Principal
	r.probe.get = func(ctx context.Context, _ *casesv1.GetCaseRequest) error { got = principal(ctx); return nil }
	for _, tt := range []struct {
		name   string
		md     []string
		code   codes.Code
		reason string
		behalf string
	}{
		{"clerk", []string{auth, "Bearer yp1_clerk"}, codes.OK, "", ""},
		{"scheme in lower case", []string{auth, "bearer yp1_clerk"}, codes.OK, "", ""},
		{"a clerk acts for nobody", []string{auth, "Bearer yp1_clerk", OnBehalfHeader, "boss"}, codes.OK, "", ""},
		{"nothing", nil, codes.Unauthenticated, "UNAUTHENTICATED", ""},
		{"other scheme", []string{auth, "Basic yp1_clerk"}, codes.Unauthenticated, "UNAUTHENTICATED", ""},
		{"bare", []string{auth, "yp1_clerk"}, codes.Unauthenticated, "UNAUTHENTICATED", ""},
		{"other token", []string{auth, "Bearer xx_clerk"}, codes.Unauthenticated, "UNAUTHENTICATED", ""},
		{"unknown", []string{auth, "Bearer yp1_other"}, codes.Unauthenticated, "UNAUTHENTICATED", ""},
		{"two", []string{auth, "Bearer yp1_clerk", auth, "Bearer yp1_service"}, codes.Unauthenticated, "UNAUTHENTICATED", ""},
		{"long", []string{auth, "Bearer yp1_" + strings.Repeat("x", maxSecret)}, codes.Unauthenticated, "UNAUTHENTICATED", ""},
		{"service", []string{auth, "Bearer yp1_service", OnBehalfHeader, "clerk7"}, codes.OK, "", "clerk7"},
		{"service for nobody", []string{auth, "Bearer yp1_service"}, codes.InvalidArgument, "ON_BEHALF_REQUIRED", ""},
		{"service for blanks", []string{auth, "Bearer yp1_service", OnBehalfHeader, "  "}, codes.InvalidArgument, "ON_BEHALF_REQUIRED", ""},
		{"service for two", []string{auth, "Bearer yp1_service", OnBehalfHeader, "a", OnBehalfHeader, "b"}, codes.InvalidArgument, "ON_BEHALF_REQUIRED", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got = access.Principal{}
			err := r.call(t.Context(), tt.md...)
			if s := read(t, err); s.code != tt.code || s.reason != tt.reason {
				t.Errorf("%s %s, want %s %s", s.code, s.reason, tt.code, tt.reason)
			}
			if got.OnBehalf != tt.behalf || (err == nil) != (got.ID != "") {
				t.Errorf("handler saw %+v", got)
			}
		})
	}
	if log := r.log.String(); strings.Contains(log, "yp1_") || strings.Contains(log, "personal-value") {
		t.Error("the log holds a token or a request")
	}
}

// Every method of every service of yipan needs a token; health and reflection
// do not.
func TestOpenMethods(t *testing.T) {
	r := newRig(t)
	for _, d := range []grpc.ServiceDesc{casesv1.CaseService_ServiceDesc, consentv1.ConsentService_ServiceDesc, ratesv1.RateService_ServiceDesc, nodev1.NodeService_ServiceDesc} {
		for _, m := range d.Methods {
			var out casesv1.GetCaseResponse
			if err := r.conn.Invoke(t.Context(), "/"+d.ServiceName+"/"+m.MethodName, &casesv1.GetCaseRequest{}, &out); status.Code(err) != codes.Unauthenticated {
				t.Errorf("%s without a token: %v", m.MethodName, err)
			}
		}
		for _, s := range d.Streams {
			st, err := r.conn.NewStream(t.Context(), &s, "/"+d.ServiceName+"/"+s.StreamName)
			if err == nil {
				err = st.SendMsg(&casesv1.WatchCasesRequest{})
			}
			if err == nil {
				err = st.RecvMsg(&casesv1.WatchCasesResponse{})
			}
			if status.Code(err) != codes.Unauthenticated {
				t.Errorf("%s without a token: %v", s.StreamName, err)
			}
		}
	}
	h, err := healthv1.NewHealthClient(r.conn).Check(t.Context(), &healthv1.HealthCheckRequest{Service: "yipan.cases.v1.CaseService"})
	if err != nil || h.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", h, err)
	}
	refl, err := reflectionv1.NewServerReflectionClient(r.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := refl.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	list, err := refl.Recv()
	if err != nil || len(list.GetListServicesResponse().GetService()) < 6 {
		t.Errorf("reflection: %v, %v", list, err)
	}
	if err := refl.CloseSend(); err != nil {
		t.Error(err)
	}
}

func TestPlainRefused(t *testing.T) {
	r := newRig(t)
	conn, err := grpc.NewClient(r.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("without TLS: %v", err)
	}
}

// An internal error and a panic show nothing, and can be found in the log.
func TestInternal(t *testing.T) {
	r := newRig(t)
	for name, get := range map[string]func(context.Context, *casesv1.GetCaseRequest) error{
		"error": func(context.Context, *casesv1.GetCaseRequest) error {
			return fault.Internal("SQL", "broken row").Because(errors.New("hidden cause"))
		},
		"panic": func(_ context.Context, r *casesv1.GetCaseRequest) error {
			return []error{}[len(r.GetCaseId())]
		},
		"personal data": func(context.Context, *casesv1.GetCaseRequest) error { panic("测试甲") },
	} {
		t.Run(name, func(t *testing.T) {
			r.probe.get = get
			err := r.call(t.Context(), auth, "Bearer yp1_clerk")
			s := read(t, err)
			if s.code != codes.Internal || s.reason != "INTERNAL" || s.rpc == "" || strings.Contains(err.Error(), "hidden") {
				t.Errorf("%+v", s)
			}
			if !strings.Contains(r.log.String(), `"rpc_id":"`+s.rpc+`"`) {
				t.Error("the log line cannot be found")
			}
		})
	}
	if log := r.log.String(); !strings.Contains(log, "hidden cause") || !strings.Contains(log, "index out of range") || strings.Contains(log, "测试甲") {
		t.Error("the log lacks the cause or holds what the panic said")
	}
	r.probe.get = nil
	if err := r.call(t.Context(), auth, "Bearer yp1_clerk"); err != nil {
		t.Errorf("after the panics: %v", err)
	}
}

func TestDeadline(t *testing.T) {
	var left time.Duration
	get := func(ctx context.Context, _ *casesv1.GetCaseRequest) error {
		at, ok := ctx.Deadline()
		if left = time.Until(at); !ok || left > time.Minute {
			return nil
		}
		<-ctx.Done()
		return fault.Unavailable("DB_AWAY", "query").Because(ctx.Err())
	}
	r := newRig(t, func(d *door) { d.deadline = 50 * time.Millisecond })
	r.probe.get = get
	if s := read(t, r.call(t.Context(), auth, "Bearer yp1_clerk")); s.code != codes.DeadlineExceeded || s.reason != "DEADLINE_EXCEEDED" || left > 50*time.Millisecond {
		t.Errorf("%+v with %v left", s, left)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if err := r.call(ctx, auth, "Bearer yp1_clerk"); err != nil || left < 30*time.Minute {
		t.Errorf("the client's own deadline: %v, %v left", err, left)
	}
}

func TestMessageSize(t *testing.T) {
	r := newRig(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), auth, "Bearer yp1_clerk")
	_, err := casesv1.NewCaseServiceClient(r.conn).GetCase(ctx, &casesv1.GetCaseRequest{Purpose: strings.Repeat("x", MaxMessageBytes)})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("over 4 MiB: %v", err)
	}
}

// One line and one observation for each call.
func TestObserved(t *testing.T) {
	r := newRig(t)
	if err := r.call(t.Context(), auth, "Bearer yp1_clerk"); err != nil {
		t.Fatal(err)
	}
	r.probe.get = func(context.Context, *casesv1.GetCaseRequest) error {
		return fault.NotFound("CASE_NOT_FOUND", "no case").Zh("没有")
	}
	if err := r.call(t.Context(), auth, "Bearer yp1_clerk"); status.Code(err) != codes.NotFound {
		t.Fatal(err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	families, err := r.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			got[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	method := casesv1.CaseService_GetCase_FullMethodName
	for name, want := range map[string]float64{
		"yipan_rpc_requests_total{OK," + method + "}": 1, "yipan_rpc_requests_total{NotFound," + method + "}": 1,
		"yipan_rpc_duration_seconds{" + method + "}": 2, "yipan_rpc_running{}": 0, "yipan_rpc_panics_total{}": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s = %v, want %v; have %v", name, v, want, got)
		}
	}
	lines := strings.Split(strings.TrimSpace(r.log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), r.log)
	}
	var last map[string]any
	if err := json.Unmarshal([]byte(lines[1]), &last); err != nil {
		t.Fatal(err)
	}
	if last["method"] != method || last["account"] != "clerk1" || last["code"] != "NotFound" || last["reason"] != "CASE_NOT_FOUND" || last["duration_ms"] == nil {
		t.Errorf("line %v", last)
	}
}

// A second server of the same node goes on counting in the same metrics.
func TestMetricsTwice(t *testing.T) {
	reg := prometheus.NewRegistry()
	for range 2 {
		if _, err := newMetrics(reg); err != nil {
			t.Fatal(err)
		}
	}
}

// A stop ends watchers, says so, and lets Serve return.
func TestStop(t *testing.T) {
	r := newRig(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), auth, "Bearer yp1_clerk")
	st, err := casesv1.NewCaseServiceClient(r.conn).WatchCases(ctx, &casesv1.WatchCasesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := st.Recv()
	if err != nil || first.GetCaseId() != "clerk1" {
		t.Fatalf("%v, %v", first, err)
	}
	<-r.probe.watching
	began := time.Now()
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > stopWithin/2 {
		t.Errorf("the stop took %v", took)
	}
	_, err = st.Recv()
	if s := read(t, err); s.code != codes.Unavailable || s.reason != "STOPPING" {
		t.Errorf("watcher ended with %+v", s)
	}
}

func TestConfig(t *testing.T) {
	if _, err := New(Config{}); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("without a desk: %v", err)
	}
}
