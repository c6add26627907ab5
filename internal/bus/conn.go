package bus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"yipan/internal/fault"
)

// Config says how to reach the broker. Either URL or InProcess is required;
// all other fields have defaults.
type Config struct {
	URL       string // nats:// or tls://, several separated by commas
	InProcess *Hub   // connect without a socket; the Conn ends with this Hub

	Name         string         // shown by the broker's operator tools
	CredsFile    string         // NATS credentials (JWT and nkey seed)
	User         string         // with PasswordFile, read anew at each connection
	PasswordFile string         //
	RootCAs      *x509.CertPool // not nil: TLS is demanded and verified against these
	InboxPrefix  string         // default "_INBOX"

	Limits Limits // of the streams this Conn makes when they are missing

	PingInterval time.Duration // default 10 s; two unanswered pings end a connection
	Timeout      time.Duration // of one request or publish, default 5 s
	DialTimeout  time.Duration // default 2 s; publishes wait while a dial is under way
	DrainTimeout time.Duration // bound of Close, default 5 s

	Window        int           // publishes under way at most, default 256
	AckWait       time.Duration // until an unacked message comes again, default 30 s
	MaxAckPending int           // unacked messages of one node at most, over all replicas, default 256
	Prefetch      int           // messages fetched ahead by one replica, default 64
	Heartbeat     time.Duration // of an idle pull, default 5 s; a subscription silent for two is begun anew

	Logger     *slog.Logger          // default: discard
	Registerer prometheus.Registerer // default: none
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&c.PingInterval, 10*time.Second)
	def(&c.Timeout, 5*time.Second)
	def(&c.DialTimeout, 2*time.Second)
	def(&c.DrainTimeout, 5*time.Second)
	def(&c.AckWait, 30*time.Second)
	def(&c.Heartbeat, 5*time.Second)
	if c.Window <= 0 {
		c.Window = 256
	}
	if c.MaxAckPending <= 0 {
		c.MaxAckPending = 256
	}
	if c.Prefetch <= 0 {
		c.Prefetch = 64
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Limits = c.Limits.withDefaults()
	return c
}

// Conn is a connection that mends itself. Safe for concurrent use.
type Conn struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	nc      *nats.Conn
	js      jetstream.JetStream
	making  singleflight.Group // streams being made, by name
	window  chan struct{}      // one token per publish under way
	closing chan struct{}      // closed by Close
	closed  chan struct{}      // closed by nats.go when all its callbacks ran
	idle    sync.WaitGroup     // the goroutine of OnConnect
	jobs    sync.WaitGroup     // publishes under way

	mu      sync.Mutex
	done    bool
	up      bool
	gen     uint64        // counts connections made
	changed chan struct{} // closed and replaced whenever the fields around it change
	hooks   []hook
	lastErr string
}

type hook struct {
	f   func()
	gen uint64
}

// Connect returns a Conn at once, whether or not the broker can be reached:
// it goes on trying until Close. Errors: fault.Invalid for a Config that
// cannot work.
func Connect(_ context.Context, cfg Config) (*Conn, error) {
	cfg = cfg.withDefaults()
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fault.Internal("METRICS", "register bus metrics").Because(err)
	}
	c := &Conn{
		cfg: cfg, log: cfg.Logger, metrics: m,
		window:  make(chan struct{}, cfg.Window),
		closing: make(chan struct{}), closed: make(chan struct{}),
		changed: make(chan struct{}),
	}
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	if c.nc, err = nats.Connect(cfg.URL, opts...); err != nil {
		return nil, fault.Invalid("BUS_CONFIG", "connect to broker").Because(err)
	}
	c.js, err = jetstream.New(c.nc,
		jetstream.WithPublishAsyncMaxPending(cfg.Window),
		jetstream.WithPublishAsyncTimeout(cfg.Timeout),
		jetstream.WithDefaultTimeout(cfg.Timeout))
	if err != nil {
		c.nc.Close()
		return nil, fault.Internal("BUS_CONFIG", "set up jetstream client").Because(err)
	}
	c.idle.Go(c.runHooks)
	return c, nil
}

func (c *Conn) options() ([]nats.Option, error) {
	cfg := c.cfg
	opts := []nats.Option{
		nats.Name(cfg.Name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // credentials may be granted or renewed later
		nats.CustomReconnectDelay(reconnectDelay),
		nats.ReconnectBufSize(-1), // PostgreSQL is the queue
		nats.PingInterval(cfg.PingInterval),
		nats.MaxPingsOutstanding(2),
		nats.Timeout(cfg.DialTimeout),
		nats.DrainTimeout(cfg.DrainTimeout),
		nats.ConnectHandler(func(*nats.Conn) { c.onUp() }),
		nats.ReconnectHandler(func(*nats.Conn) { c.onUp() }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.onDown(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { c.onAttempt(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) { c.onAsyncError(err) }),
		nats.ClosedHandler(func(*nats.Conn) { close(c.closed) }),
	}
	switch {
	case cfg.InProcess != nil:
		opts = append(opts, nats.InProcessServer(cfg.InProcess.server))
	case cfg.URL == "":
		return nil, fault.Invalid("BUS_CONFIG", "no broker URL").On("url").Zh("未配置消息服务器地址")
	}
	if cfg.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(cfg.InboxPrefix))
	}
	if cfg.RootCAs != nil {
		opts = append(opts, nats.Secure(&tls.Config{RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS13}))
	}
	switch {
	case cfg.CredsFile != "":
		if _, err := os.Stat(cfg.CredsFile); err != nil {
			return nil, fault.Invalid("BUS_CONFIG", "broker credentials file").On("creds_file").Because(err)
		}
		opts = append(opts, nats.UserCredentials(cfg.CredsFile))
	case cfg.User != "":
		if _, err := readPassword(cfg.PasswordFile); err != nil {
			return nil, fault.Invalid("BUS_CONFIG", "broker password file").On("password_file").Because(err)
		}
		opts = append(opts, nats.UserInfoHandler(func() (string, string) {
			pw, err := readPassword(cfg.PasswordFile)
			if err != nil {
				c.log.Error("broker password file unreadable", "error", err)
			}
			return cfg.User, pw
		}))
	}
	return opts, nil
}

func readPassword(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// reconnectDelay doubles from 100 ms to 5 s, less up to a half at random, so
// that the nodes of a country do not come back in step.
func reconnectDelay(attempts int) time.Duration {
	return backoff(attempts, 100*time.Millisecond, 5*time.Second)
}

func backoff(n int, least, most time.Duration) time.Duration {
	d := most
	if n < 16 {
		d = min(most, least<<max(n-1, 0))
	}
	return d - rand.N(d/2+1)
}

// Connected reports whether the broker is connected now.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// OnConnect has f called after each connection made from now on, and once
// soon if there is one already. Calls come one after the other from one
// goroutine; connections that follow each other faster than f may share a call.
func (c *Conn) OnConnect(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hooks = append(c.hooks, hook{f: f})
	c.touch()
}

func (c *Conn) runHooks() {
	for {
		c.mu.Lock()
		var due []func()
		for i := range c.hooks {
			if h := &c.hooks[i]; c.up && h.gen < c.gen {
				h.gen = c.gen
				due = append(due, h.f)
			}
		}
		changed := c.changed
		c.mu.Unlock()
		for _, f := range due {
			f()
		}
		if len(due) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-c.closing:
			return
		}
	}
}

// touch tells all who wait for c.changed. The caller holds c.mu.
func (c *Conn) touch() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Conn) onUp() {
	c.mu.Lock()
	c.up = true
	c.gen++
	again := c.gen > 1
	c.lastErr = ""
	c.touch()
	c.mu.Unlock()
	c.metrics.connected.Set(1)
	if again {
		c.metrics.reconnects.Inc()
	}
	c.log.Info("broker connected", "again", again)
}

func (c *Conn) onDown(err error) {
	c.mu.Lock()
	c.up = false
	c.touch()
	c.mu.Unlock()
	c.metrics.connected.Set(0)
	if err != nil {
		c.log.Warn("broker connection lost", "error", err)
	}
}

// onAttempt logs why connecting fails, once per reason.
func (c *Conn) onAttempt(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	news := c.lastErr != err.Error()
	c.lastErr = err.Error()
	c.mu.Unlock()
	if errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked) {
		c.metrics.asyncErrors.WithLabelValues("auth").Inc()
	}
	if news {
		c.log.Warn("broker not reached", "error", err)
	}
}

// onAsyncError surfaces what the broker refuses without answering: a publish
// without permission looks like a time-out to its caller.
func (c *Conn) onAsyncError(err error) {
	kind := "other"
	switch {
	case errors.Is(err, nats.ErrPermissionViolation):
		kind = "permission"
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		kind = "auth"
	case errors.Is(err, nats.ErrSlowConsumer):
		kind = "slow"
	}
	c.metrics.asyncErrors.WithLabelValues(kind).Inc()
	c.log.Error("broker reported an error", "kind", kind, "error", err)
}

// awaitUp waits for a connection and returns its number. It fails with
// ctx.Err, or fault.Unavailable (BUS_CLOSED) after Close.
func (c *Conn) awaitUp(ctx context.Context) (uint64, error) {
	for {
		c.mu.Lock()
		gen, up, changed := c.gen, c.up, c.changed
		c.mu.Unlock()
		if up {
			return gen, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-c.closing:
			return 0, errClosed()
		}
	}
}

// awaitOther waits until a later connection than gen is made, or stop or
// Close ends it; only the first is reported as true.
func (c *Conn) awaitOther(gen uint64, stop <-chan struct{}) bool {
	for {
		c.mu.Lock()
		now, changed := c.gen, c.changed
		c.mu.Unlock()
		if now != gen {
			return true
		}
		select {
		case <-changed:
		case <-stop:
			return false
		case <-c.closing:
			return false
		}
	}
}

// epoch identifies the connection under the client: unlike gen it changes
// before anything can be sent over the next one.
func (c *Conn) epoch() uint64 { return c.nc.Stats().Reconnects }

func errClosed() *fault.Error { return fault.Unavailable(ReasonClosed, "bus connection closed") }

// Close waits for publishes under way, drains and disconnects, within about
// twice DrainTimeout. Consume and ReadDirectory return; end their contexts
// first to do it in order.
func (c *Conn) Close() {
	c.mu.Lock()
	again := c.done
	if !again {
		c.done = true
		close(c.closing)
	}
	c.mu.Unlock()
	if again {
		<-c.closed
		return
	}
	bound := time.NewTimer(c.cfg.DrainTimeout)
	defer bound.Stop()
	published := make(chan struct{})
	go func() { c.jobs.Wait(); close(published) }()
	select {
	case <-published:
	case <-bound.C:
	}
	if err := c.nc.Drain(); err != nil {
		c.nc.Close()
	}
	bound.Reset(c.cfg.DrainTimeout)
	select {
	case <-c.closed:
	case <-bound.C:
		c.nc.Close()
		<-c.closed
	}
	<-published // closing the connection fails what was still under way
	c.idle.Wait()
	c.metrics.connected.Set(0)
}
