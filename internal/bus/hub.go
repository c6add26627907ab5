package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"yipan/internal/fault"
)

// HubConfig describes an embedded broker.
type HubConfig struct {
	StoreDir  string // required; made when missing
	Host      string // default 127.0.0.1
	Port      int    // 0: any free one
	InProcess bool   // no socket at all; reached through Config.InProcess only

	CertFile, KeyFile string // PEM; both or neither. TLS is then demanded on the socket

	Provinces []string // streams made, or given Limits, at start, beside the directory's
	Limits    Limits

	StartTimeout time.Duration // default 30 s: a big store takes time to check
	Logger       *slog.Logger  // default: discard
}

// Hub is an embedded nats-server with JetStream. Every message is synced to
// disk before it is confirmed (SyncAlways): the default loses a whole new
// stream when the power fails.
type Hub struct {
	server *server.Server
	log    *slog.Logger
	lock   *storeLock
	tls    bool
	stop   sync.Once
	ending chan struct{} // closed when shutting down begins
	done   chan struct{}

	mu  sync.Mutex
	err error
}

// storeCheck is how often a hub looks whether its store is still its own.
const storeCheck = time.Second

// StartHub starts a broker and returns when it serves. A store that was
// deleted is simply begun anew. Errors: fault.Conflict (HUB_LOCKED: another
// hub has the store), fault.Invalid (certificate, provinces),
// fault.Unavailable (HUB_START: the port is taken, the store unreadable).
func StartHub(cfg HubConfig) (*Hub, error) {
	return startHub(cfg, nil)
}

func startHub(cfg HubConfig, adjust func(*server.Options)) (*Hub, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.StartTimeout <= 0 {
		cfg.StartTimeout = 30 * time.Second
	}
	opts, err := hubOptions(cfg)
	if err != nil {
		return nil, err
	}
	if adjust != nil {
		adjust(opts)
	}
	if err := os.MkdirAll(cfg.StoreDir, 0o700); err != nil {
		return nil, fault.Internal("HUB_STORE", "make the hub's store").Because(err)
	}
	lock, err := lockStore(cfg.StoreDir)
	if err != nil {
		return nil, err
	}
	h := &Hub{log: cfg.Logger, lock: lock, tls: opts.TLS, ending: make(chan struct{}), done: make(chan struct{})}
	if h.server, err = server.NewServer(opts); err != nil {
		lock.release()
		return nil, fault.Invalid("HUB_CONFIG", "set up hub").Because(err)
	}
	lines := &serverLog{log: cfg.Logger, fatal: make(chan string, 1)}
	h.server.SetLoggerV2(lines, false, false, false)
	go h.run()
	if err := h.await(cfg, lines.fatal); err != nil {
		h.Stop()
		return nil, err
	}
	if len(cfg.Provinces) > 0 {
		if err := h.applyStreams(cfg); err != nil {
			h.Stop()
			return nil, err
		}
	}
	h.log.Info("hub started", "address", h.address(), "in_process", cfg.InProcess)
	return h, nil
}

func hubOptions(cfg HubConfig) (*server.Options, error) {
	if cfg.StoreDir == "" {
		return nil, fault.Invalid("HUB_CONFIG", "no store directory").On("store_dir") // nats-server would take a temporary one
	}
	o := &server.Options{
		ServerName: "yipan-hub",
		Host:       cfg.Host,
		Port:       cfg.Port,
		DontListen: cfg.InProcess,
		MaxPayload: MaxPayloadBytes,
		JetStream:  true,
		StoreDir:   cfg.StoreDir,
		SyncAlways: true,
		// The streams' own MaxBytes are the bound; the server would take
		// theirs for reservations and refuse the thirtieth province.
		JetStreamMaxStore:  1 << 50,
		JetStreamMaxMemory: 1 << 30, // consumers only
		NoSigs:             true,
		PingInterval:       20 * time.Second,
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	if cfg.CertFile != "" || cfg.KeyFile != "" {
		cert, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, fault.Invalid("HUB_CONFIG", "load the hub's certificate").On("cert_file").Because(err)
		}
		o.TLS = true
		o.TLSTimeout = 5
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	}
	return o, nil
}

// await returns when the server takes connections, or why it never will.
func (h *Hub) await(cfg HubConfig, fatal <-chan string) error {
	h.server.Start()
	why := errors.New("not ready in time")
	for end := time.Now().Add(cfg.StartTimeout); time.Now().Before(end); {
		if h.server.ReadyForConnections(50*time.Millisecond) && h.server.JetStreamEnabled() {
			return nil
		}
		select {
		case line := <-fatal:
			why = errors.New(line)
			end = time.Time{}
		default:
		}
	}
	return fault.Unavailable("HUB_START", "start hub").Because(why).Zh("消息服务器无法启动")
}

// applyStreams makes the streams as the operator: over a connection inside.
func (h *Hub) applyStreams(cfg HubConfig) error {
	ctx, cancel := context.WithTimeout(context.Background(), cfg.StartTimeout)
	defer cancel()
	c, err := Connect(ctx, Config{InProcess: h, Name: "hub", Limits: cfg.Limits, Logger: cfg.Logger})
	if err != nil {
		return err
	}
	defer c.Close()
	return c.ApplyStreams(ctx, cfg.Provinces)
}

// run guards the store while the server runs, and sees it out.
func (h *Hub) run() {
	defer close(h.done)
	defer h.lock.release()
	tick := time.NewTicker(storeCheck)
	defer tick.Stop()
	for watching := true; watching; {
		select {
		case <-h.ending:
			watching = false
		case <-tick.C:
			if h.lock.lost() {
				// It would go on confirming messages into deleted files.
				h.log.Error("hub store was taken away, stopping")
				h.mu.Lock()
				h.err = fault.Unavailable("HUB_STORE_LOST", "the hub's store was deleted while it ran")
				h.mu.Unlock()
				watching = false
			}
		}
	}
	h.server.Shutdown()
	h.server.WaitForShutdown()
	h.log.Info("hub stopped")
}

// Stop ends the server and returns when the store is free again. Repeated
// calls are fine.
func (h *Hub) Stop() {
	h.stop.Do(func() { close(h.ending) })
	<-h.done
}

// Done is closed when the hub has ended: by Stop, or because its store was
// deleted under it (see Err).
func (h *Hub) Done() <-chan struct{} { return h.done }

// Err says why a hub ended that nobody stopped: fault.Unavailable
// (HUB_STORE_LOST); nil otherwise. StartHub on the same directory works again.
func (h *Hub) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// URL is where clients on this machine connect; empty for an in-process hub.
func (h *Hub) URL() string {
	a := h.address()
	if a == "" {
		return ""
	}
	if h.tls {
		return "tls://" + a
	}
	return "nats://" + a
}

func (h *Hub) address() string {
	a, ok := h.server.Addr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	host := a.IP.String()
	if a.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(a.Port))
}

// serverLog takes the server's own lines; those speak of addresses, streams
// and consumers. Debug and trace lines, which may quote payloads, are dropped.
type serverLog struct {
	log   *slog.Logger
	fatal chan string
}

func (l *serverLog) line(level slog.Level, format string, a []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "nats-server", "line", fmt.Sprintf(format, a...))
	}
}

func (l *serverLog) Noticef(format string, a ...any) { l.line(slog.LevelDebug, format, a) }
func (l *serverLog) Warnf(format string, a ...any)   { l.line(slog.LevelWarn, format, a) }
func (l *serverLog) Errorf(format string, a ...any)  { l.line(slog.LevelError, format, a) }
func (l *serverLog) Debugf(string, ...any)           {}
func (l *serverLog) Tracef(string, ...any)           {}
func (l *serverLog) Fatalf(format string, a ...any) {
	l.line(slog.LevelError, format, a)
	select {
	case l.fatal <- fmt.Sprintf(format, a...):
	default:
	}
}
