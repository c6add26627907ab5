package node

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"yipan/internal/book"
	"yipan/internal/bus"
	"yipan/internal/cases"
	"yipan/internal/closing"
	"yipan/internal/desk"
	"yipan/internal/exchange"
	"yipan/internal/fault"
	"yipan/internal/figures"
	"yipan/internal/jobs"
	"yipan/internal/keys"
	"yipan/internal/moves"
	"yipan/internal/people"
	"yipan/internal/policy"
	"yipan/internal/relay"
	"yipan/internal/remind"
	"yipan/internal/rpc"
	"yipan/internal/seal"
	"yipan/internal/services"
	"yipan/internal/store"
	"yipan/internal/todo"
)

// Options are a node's configuration and what its surroundings lend it.
type Options struct {
	Config     Config
	Version    string                // of the program
	Log        *slog.Logger          // nil: discard
	Now        func() time.Time      // nil: time.Now
	Registerer prometheus.Registerer // nil: none
	Gatherer   prometheus.Gatherer   // of /metrics; nil: no /metrics
	Template   string                // spares initdb; see DatabaseOptions
}

// Node is one node of the exchange. New, Start, Stop; a stopped node stays so.
type Node struct {
	opts   Options
	log    *slog.Logger
	now    func() time.Time
	health health

	dir       *follower
	bus       *bus.Conn
	addresses Addresses

	mu       sync.Mutex
	cleanups []cleanup
	err      error
	failed   chan struct{}
	stop     sync.Once
	stopErr  error
}

// Addresses are where a started node listens, as HOST:PORT.
type Addresses struct {
	GRPC    string `json:"grpc"`
	Metrics string `json:"metrics,omitempty"`
}

type cleanup struct {
	name string
	do   func(context.Context) error
}

// New checks the configuration and makes a node; it opens nothing. Errors:
// Invalid CONFIG.
func New(o Options) (*Node, error) {
	if err := o.Config.Check(); err != nil {
		return nil, err
	}
	if o.Config.ID() == 0 {
		return nil, fault.Invalid("CONFIG", "configuration: node.area is not set").On("node.area").
			Zh("配置中没有本节点的行政区划（node.area）：用 yipan init 新建节点")
	}
	n := &Node{opts: o, log: o.Log, now: o.Now, failed: make(chan struct{})}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.now == nil {
		n.now = time.Now
	}
	return n, nil
}

// Start starts everything, in the order of what needs what, and returns when the
// node serves; ctx bounds the starting only. On an error what had started is
// stopped again. A broker that is away is no error.
func (n *Node) Start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Stop(context.WithoutCancel(ctx)))
		}
	}()
	c, reg, self := &n.opts.Config, n.opts.Registerer, n.opts.Config.ID()

	// What the node knows before it has a database.
	authority, err := c.Authority()
	if err != nil {
		return err
	}
	policies, err := Policies(c)
	if err != nil {
		return err
	}
	files, err := openKeys(c)
	if err != nil {
		return err
	}
	certificate, err := loadCertificate(c, n.now())
	if err != nil {
		return err
	}
	journal, err := openJournal(c)
	if err != nil {
		return err
	}
	n.cleanup("journal", func(context.Context) error { return journal.Close() })

	db, err := n.openStore(ctx)
	if err != nil {
		return err
	}

	if n.dir, err = newFollower(db, n.log, reg); err != nil {
		return err
	}
	if err := n.dir.load(ctx, authority, c.LogFile()); err != nil {
		return err
	}
	if err := n.connectBus(ctx); err != nil {
		return err
	}

	door, err := n.assemble(ctx, db, files, policies, journal)
	if err != nil {
		return err
	}
	n.background("directory", func(ctx context.Context) error { return n.dir.run(ctx, n.bus) })
	n.background("policies", (&policyFollower{config: c, set: policies, log: n.log}).run)

	if c.Metrics.Listen != "" {
		at, stop, err := n.health.listen(c.Metrics.Listen, n.opts.Gatherer, n.log)
		if err != nil {
			return err
		}
		n.addresses.Metrics = at
		n.cleanup("metrics listener", stop)
	}
	// Doors last: nobody is let in before all parts stand.
	if err := n.openDoor(door, certificate); err != nil {
		return err
	}
	n.health.serves.Store(true)
	n.log.Info("node started", "node", self.String(), "version", n.opts.Version,
		"grpc", n.addresses.GRPC, "metrics", n.addresses.Metrics, "directory", n.dir.current().Serial())
	return nil
}

func (n *Node) openStore(ctx context.Context) (*store.DB, error) {
	database, err := OpenDatabase(ctx, &n.opts.Config, DatabaseOptions{Log: n.log, Template: n.opts.Template})
	if err != nil {
		return nil, err
	}
	n.cleanup("database server", database.Close)
	ran, err := database.Migrate(ctx)
	if err != nil {
		return nil, err
	}
	if ran > 0 {
		n.log.Info("database migrated", "migrations", ran)
	}
	db, err := database.Open(ctx)
	if err != nil {
		return nil, err
	}
	n.cleanup("database", func(context.Context) error { db.Close(); return nil })
	n.health.ping = db.Ping
	return db, db.Ping(ctx)
}

func (n *Node) connectBus(ctx context.Context) error {
	bc, err := busConfig(&n.opts.Config, n.log, n.opts.Registerer)
	if err != nil {
		return err
	}
	if n.bus, err = bus.Connect(ctx, bc); err != nil {
		return err
	}
	n.cleanup("broker", func(context.Context) error { n.bus.Close(); return nil })
	n.health.broker = n.bus.Connected
	return nil
}

// assemble puts the rooms of the exchange together and starts what works in the
// background; it returns the verbs, for the doors.
func (n *Node) assemble(ctx context.Context, db *store.DB, files *keys.Files, policies *policy.Set, journal *keys.Journal) (rpc.Config, error) {
	c, reg, self := &n.opts.Config, n.opts.Registerer, n.opts.Config.ID()
	dir := n.dir.current
	bk := book.New(self, files, journal, dir, n.now)
	ex := exchange.New(exchange.Config{
		DB: db, Book: bk, Keys: files, Now: n.now, Log: n.log, Registerer: reg, Journal: journal,
		SuiteFloor: seal.Suite(c.Exchange.SuiteFloor),
	})
	n.dir.changed = ex.DirectoryChanged
	var d *desk.Desk // the relay only calls it once it runs
	rl := relay.New(relay.Config{
		DB: db, Exchange: ex, Bus: n.bus, Self: self, Log: n.log, Now: n.now,
		Poll: c.Jobs.Poll, Daily: c.Jobs.Statement,
		OnCases: func(ids []cases.CaseID) { d.Changed(ids) },
	})
	pp := people.New(people.Config{DB: db, Book: bk, Keys: files, Now: n.now, Log: n.log})
	d = desk.New(desk.Config{
		DB: db, Book: bk, People: pp, Keys: files, Policies: policies, Journal: journal, Now: n.now, Log: n.log, Registerer: reg,
		Version: n.opts.Version, Name: c.Node.Name, Wake: rl.Wake,
		Rounds: rounds(db, ex, rl.Wake), SendAgain: ex.Resend, RoundTrip: ex.RoundTrip, BrokerConnected: n.bus.Connected,
	})
	// What the journal says was erased or withdrawn holds before anything moves,
	// also in a database put back to an older backup (SECURITY D10).
	replayed, err := d.ReplayJournal(ctx)
	if err != nil {
		return rpc.Config{}, err
	}
	if replayed > 0 {
		n.log.Info("journal replayed", "changes", replayed)
	}
	pp.Registered, pp.Edited, pp.Changed = d.PairWaiting, d.Edited, d.Opened
	mv := moves.New(moves.Config{DB: db, Book: bk, Keys: files, People: pp, Desk: d, Policies: policies, Now: n.now, Log: n.log})
	sv := services.New(services.Config{DB: db, Book: bk, Keys: files, People: pp, Desk: d, Policies: policies, Now: n.now, Log: n.log})
	td := todo.New(todo.Config{DB: db, Book: bk, Keys: files, People: pp, Desk: d, Services: sv, Policies: policies, Now: n.now, Log: n.log})
	fg := figures.New(figures.Config{DB: db, Book: bk, Keys: files, People: pp, Desk: d, Services: sv, Policies: policies, Now: n.now, Log: n.log})
	cl := closing.New(closing.Config{
		DB: db, Book: bk, Keys: files, Desk: d, Services: sv, Figures: fg, Policies: policies, Now: n.now, Log: n.log,
		Send: reports(ex, rl.Wake), Ask: func(_ context.Context, peer cases.NodeID) error { ex.Want(peer); rl.Wake(); return nil },
	})
	reminders := remind.Config{DB: db, Keys: files, Desk: d, Todo: td, Policies: policies, Now: n.now, Log: n.log}
	if reminders.Deliver, reminders.Check, err = digests(c); err != nil {
		return rpc.Config{}, err
	}
	rm := remind.New(reminders)
	jb := jobs.New(jobs.Config{
		Desk: d, Exchange: ex, Figures: fg, Closing: cl, Remind: rm, Policies: policies, Now: n.now, Log: n.log, Registerer: reg, Interval: c.Jobs.Interval,
	})
	n.background("relay", rl.Run)
	n.background("jobs", jb.Run)
	return rpc.Config{Desk: d, People: pp, Moves: mv, Services: sv, Todo: td, Figures: fg, Closing: cl, Remind: rm}, nil
}

// reports hands reports to the exchange.
func reports(ex *exchange.Exchange, wake func()) func(context.Context, []closing.Outgoing) error {
	return func(ctx context.Context, out []closing.Outgoing) error {
		rs := make([]exchange.Report, len(out))
		for i, o := range out {
			rs[i] = exchange.Report(o)
		}
		if err := ex.SendReports(ctx, rs); err != nil {
			return err
		}
		wake()
		return nil
	}
}

// rounds asks for statement rounds with a peer, or with all that were ever heard
// of, and returns with how many.
func rounds(db *store.DB, ex *exchange.Exchange, wake func()) func(context.Context, cases.NodeID) (int, error) {
	return func(ctx context.Context, peer cases.NodeID) (int, error) {
		peers := []store.Peer{{Node: peer}}
		if peer == 0 {
			err := db.InExchange(ctx, nil, func(tx *store.Tx) (err error) {
				peers, err = tx.Peers(ctx)
				return err
			})
			if err != nil {
				return 0, err
			}
		}
		for _, p := range peers {
			ex.Want(p.Node)
		}
		wake()
		return len(peers), nil
	}
}

// openDoor begins to serve gRPC.
func (n *Node) openDoor(verbs rpc.Config, certificate *keys.Certificate) error {
	verbs.Logger, verbs.Registerer, verbs.Version = n.log, n.opts.Registerer, n.opts.Version
	verbs.TLS = &tls.Config{Certificates: []tls.Certificate{certificate.TLS()}, MinVersion: tls.VersionTLS13}
	server, err := rpc.New(verbs)
	if err != nil {
		return err
	}
	listen := n.opts.Config.GRPC.Listen
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fault.Unavailable("GRPC_LISTEN", "node: listen on %s", listen).Because(err).
			Zh("端口 %s 无法使用（可能已被占用）", listen).On("grpc.listen")
	}
	n.addresses.GRPC = l.Addr().String()
	n.background("grpc", func(ctx context.Context) error { return server.Serve(ctx, l) })
	return nil
}

// Addresses returns where a started node listens.
func (n *Node) Addresses() Addresses { return n.addresses }

// Failed is closed when a part of a started node ended by itself; Err says why.
// The other parts go on until Stop.
func (n *Node) Failed() <-chan struct{} { return n.failed }

// Err returns why the node failed, nil as long as it did not.
func (n *Node) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}

// Stop ends all parts, the last started first, and returns when they have
// ended. When ctx ends first, what takes long is cut short; nothing that was
// committed is lost. Later calls return what the first one did.
func (n *Node) Stop(ctx context.Context) error {
	n.stop.Do(func() {
		n.health.serves.Store(false)
		n.mu.Lock()
		all := slices.Clone(n.cleanups)
		n.mu.Unlock()
		for _, c := range slices.Backward(all) {
			if err := c.do(ctx); err != nil {
				n.log.Warn("clean-up failed", "part", c.name, "error", err)
				n.stopErr = errors.Join(n.stopErr, err)
			}
		}
		n.log.Info("node stopped", "node", n.opts.Config.ID().String())
	})
	return n.stopErr
}

func (n *Node) cleanup(name string, do func(context.Context) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cleanups = append(n.cleanups, cleanup{name, do})
}

// background runs a part until Stop.
func (n *Node) background(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx); err != nil && ctx.Err() == nil {
			n.fail(name, err)
		}
	}()
	n.cleanup(name, func(context.Context) error {
		cancel()
		<-done
		return nil
	})
}

func (n *Node) fail(part string, err error) {
	n.log.Error("part of the node ended", "part", part, "error", err)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err == nil {
		n.err = err
		close(n.failed)
	}
}
