package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"yipan/internal/closing"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/figures"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	nodev1 "yipan/internal/gen/yipan/node/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/moves"
	"yipan/internal/people"
	"yipan/internal/remind"
	"yipan/internal/services"
	"yipan/internal/todo"
)

const (
	// MaxMessageBytes bounds a request and an answer: a batch of 1,000 openings is
	// some 300 KiB.
	MaxMessageBytes = 4 << 20

	// DefaultDeadline ends a unary call whose client gave no deadline.
	DefaultDeadline = 30 * time.Second

	// stopWithin is how long Serve lets calls end by themselves.
	stopWithin = 10 * time.Second

	// maxStreams of one connection; a console or a program needs a handful.
	maxStreams = 256
)

// Config of a Server. Desk and TLS are required; Logger nil logs nowhere,
// Registerer nil counts nowhere.
type Config struct {
	Desk       *desk.Desk
	People     *people.People
	Moves      *moves.Moves
	Services   *services.Services
	Todo       *todo.Todo
	Figures    *figures.Figures
	Closing    *closing.Closing
	Remind     *remind.Remind
	TLS        *tls.Config // with a certificate; at least TLS 1.2, HTTP/2
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Version    string // of the program, where the desk's own view has none
}

// Server is the gRPC door of one node.
type Server struct {
	grpc   *grpc.Server
	health *health.Server
	stop   context.CancelFunc // ends streams
}

// New makes a server that serves nothing yet. Errors: Invalid RPC_CONFIG.
func New(c Config) (*Server, error) {
	if c.Desk == nil {
		return nil, fault.Invalid("RPC_CONFIG", "rpc: no desk")
	}
	if c.TLS == nil || len(c.TLS.Certificates) == 0 && c.TLS.GetCertificate == nil && c.TLS.GetConfigForClient == nil {
		return nil, fault.Invalid("RPC_CONFIG", "rpc: no certificate; TLS is always on")
	}
	log := c.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(c.Registerer)
	if err != nil {
		return nil, fault.Invalid("RPC_CONFIG", "rpc: register metrics").Because(err)
	}
	d := &door{authenticate: c.Desk.Authenticate, log: log, metrics: m, deadline: DefaultDeadline}
	s := d.server(c.TLS)
	ledgerv1.RegisterPersonServiceServer(s.grpc, &personService{people: c.People})
	ledgerv1.RegisterMovementServiceServer(s.grpc, &movementService{moves: c.Moves})
	ledgerv1.RegisterOfferServiceServer(s.grpc, &offerService{services: c.Services})
	ledgerv1.RegisterTodoServiceServer(s.grpc, &todoService{todo: c.Todo})
	ledgerv1.RegisterAuditServiceServer(s.grpc, &auditService{todo: c.Todo})
	casesv1.RegisterCaseServiceServer(s.grpc, &caseService{desk: c.Desk, services: c.Services, door: d})
	consentv1.RegisterConsentServiceServer(s.grpc, &consentService{desk: c.Desk})
	ledgerv1.RegisterContactServiceServer(s.grpc, &contactService{services: c.Services})
	ratesv1.RegisterRateServiceServer(s.grpc, &rateService{figures: c.Figures, closing: c.Closing})
	ratesv1.RegisterReportServiceServer(s.grpc, &reportService{closing: c.Closing})
	ratesv1.RegisterOutageServiceServer(s.grpc, &outageService{desk: c.Desk})
	nodev1.RegisterReminderServiceServer(s.grpc, &reminderService{remind: c.Remind})
	nodev1.RegisterNodeServiceServer(s.grpc, &nodeService{desk: c.Desk, version: c.Version})
	return s, nil
}

// server makes the gRPC server behind the door, with health and reflection.
func (d *door) server(conf *tls.Config) *Server {
	conf = conf.Clone()
	conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
	s := &Server{health: health.NewServer()}
	d.stopping, s.stop = context.WithCancel(context.Background())
	s.grpc = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(conf)),
		grpc.UnaryInterceptor(d.unary),
		grpc.StreamInterceptor(d.stream),
		grpc.MaxRecvMsgSize(MaxMessageBytes),
		grpc.MaxSendMsgSize(MaxMessageBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(20*time.Second),
		// A watcher behind a slow line pings to keep its path open.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 20 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
	)
	healthv1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	return s
}

// Serve accepts connections from lis until ctx ends, then stops: health says so
// first, streams end, and calls get 10 s to end. It owns lis. The answer is nil
// after a stop that ctx asked for. Call it once.
func (s *Server) Serve(ctx context.Context, lis net.Listener) error {
	for name := range s.grpc.GetServiceInfo() {
		s.health.SetServingStatus(name, healthv1.HealthCheckResponse_SERVING)
	}
	stopped := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(stopped)
		s.shutdown()
	})
	err := s.grpc.Serve(lis)
	if !unhook() {
		<-stopped
	}
	s.stop()
	if err == nil || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return fault.Unavailable("RPC_SERVE", "rpc: serve").Because(err)
}

func (s *Server) shutdown() {
	s.health.Shutdown()
	s.stop()
	hard := time.AfterFunc(stopWithin, s.grpc.Stop)
	s.grpc.GracefulStop()
	hard.Stop()
}
