package node

import (
	"context"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/fault"
	"yipan/internal/pglocal"
	"yipan/internal/store"
)

// databaseName is the database in a private server.
const databaseName = "yipan"

// Database is a node's database as programs on its machine reach it: a private
// PostgreSQL that it started, one that a running node started, or a server at an
// URL.
type Database struct {
	url     string                  // of the owner
	loginAs func(store.Role) string // nil: the owner takes the role on
	private *privateServer          // nil: not started here
	conns   int
}

// DatabaseOptions are what the configuration does not say.
type DatabaseOptions struct {
	Log *slog.Logger // nil: discard
	// Attach joins a private server that a running node holds, instead of
	// failing with Conflict.
	Attach bool
	// NoStart refuses to start a private server (Unavailable DATABASE_STOPPED):
	// for a look from outside.
	NoStart bool
	// Template spares initdb: see pglocal.Options. For tests and demonstrations.
	Template string
}

// OpenDatabase makes the database reachable; a private server is started, and
// runs until Close. It connects to nothing and does not migrate. Errors:
// Conflict when a running node holds the private server; Unavailable; Invalid.
func OpenDatabase(ctx context.Context, c *Config, o DatabaseOptions) (*Database, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dir := c.PrivateDir()
	if dir == "" {
		u, err := c.databaseURL()
		if err != nil {
			return nil, err
		}
		return &Database{url: u, conns: c.Database.MaxConns}, nil
	}
	if o.NoStart {
		return attach(dir, c.Database.MaxConns)
	}
	p, err := startPrivate(ctx, pglocal.Options{Dir: dir, Base: c.Node.Dir, Durable: true, Log: o.Log, Template: o.Template})
	if fault.Is(err, fault.KindConflict) && o.Attach {
		return attach(dir, c.Database.MaxConns)
	}
	if err != nil {
		return nil, err
	}
	d := privateDatabase(p.server.URL)
	d.private, d.conns = p, c.Database.MaxConns
	if err := createDatabase(ctx, p.server.URL(pglocal.Superuser, "postgres")); err != nil {
		_ = d.Close(ctx) // the first error counts
		return nil, err
	}
	return d, nil
}

// privateDatabase logs in as each role itself, so that no session of the doors
// could become the owner again.
func privateDatabase(at func(user, db string) string) *Database {
	return &Database{
		url:     at(pglocal.Superuser, databaseName),
		loginAs: func(r store.Role) string { return at(string(r), databaseName) },
	}
}

// attach finds the socket of a private server that another process runs; see
// the layout in package pglocal.
func attach(dir string, conns int) (*Database, error) {
	sock := filepath.Join(dir, "sock")
	if b, err := os.ReadFile(filepath.Join(dir, "sock.path")); err == nil {
		sock = strings.TrimSpace(string(b))
	}
	const port = "5432" // numbers the socket's name only
	if _, err := os.Stat(filepath.Join(sock, ".s.PGSQL."+port)); err != nil {
		return nil, fault.Unavailable("DATABASE_STOPPED", "node: the private database in %s does not run", dir).
			Zh("内置数据库没有运行（%s）", dir)
	}
	abs, err := filepath.Abs(sock)
	if err != nil {
		return nil, fault.Unavailable("DATABASE_STOPPED", "node: find the socket of the private database").Because(err)
	}
	d := privateDatabase(func(user, db string) string {
		u := url.URL{Scheme: "postgres", User: url.User(user), Path: "/" + db,
			RawQuery: url.Values{"host": {abs}, "port": {port}}.Encode()}
		return u.String()
	})
	d.conns = conns
	return d, nil
}

func createDatabase(ctx context.Context, at string) error {
	conn, err := pgx.Connect(ctx, at)
	if err != nil {
		return fault.Unavailable("DATABASE", "node: connect to the private database server").Because(err).Zh("无法连接内置数据库")
	}
	defer conn.Close(ctx)
	var there bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, databaseName).Scan(&there); err != nil {
		return fault.Unavailable("DATABASE", "node: look for the database").Because(err)
	}
	if there {
		return nil
	}
	if _, err := conn.Exec(ctx, `CREATE DATABASE `+databaseName); err != nil {
		return fault.Unavailable("DATABASE", "node: create the database").Because(err)
	}
	return nil
}

// Migrate brings the database to the newest schema and returns how many
// migrations ran. Errors: store.Migrate's.
func (d *Database) Migrate(ctx context.Context) (int, error) { return store.Migrate(ctx, d.url) }

// Open connects the pools; the caller closes them before Close.
func (d *Database) Open(ctx context.Context) (*store.DB, error) {
	return store.Open(ctx, store.Config{URL: d.url, LoginAs: d.loginAs, MaxConns: d.conns})
}

// Clock returns how far the database's clock is ahead of this machine's, to
// about half of the time that the question took.
func (d *Database) Clock(ctx context.Context, now func() time.Time) (time.Duration, error) {
	conn, err := pgx.Connect(ctx, d.url)
	if err != nil {
		// The driver's text may quote the password.
		return 0, fault.Unavailable("DATABASE", "node: database not reached").Zh("数据库连接不上")
	}
	defer conn.Close(ctx)
	var at time.Time
	before := now()
	if err := conn.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&at); err != nil {
		return 0, fault.Unavailable("DATABASE", "node: read the database's clock").Zh("无法读取数据库时钟")
	}
	return at.Sub(before.Add(now().Sub(before) / 2)), nil
}

// Private reports whether Close will stop a server.
func (d *Database) Private() bool { return d.private != nil }

// Close stops the private server, if it was started here, in good order or,
// when ctx ends first, at once (nothing committed is lost).
func (d *Database) Close(ctx context.Context) error {
	if d.private == nil {
		return nil
	}
	return d.private.stop(ctx)
}

// privateServer keeps a private PostgreSQL running: one that ends by itself is
// started again on the same socket, where the pools find it.
type privateServer struct {
	opts pglocal.Options
	done chan struct{} // the keeper has returned
	quit chan struct{}
	once sync.Once

	mu     sync.Mutex
	server *pglocal.Server
}

func startPrivate(ctx context.Context, o pglocal.Options) (*privateServer, error) {
	s, err := pglocal.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	p := &privateServer{opts: o, server: s, done: make(chan struct{}), quit: make(chan struct{})}
	go p.keep()
	return p, nil
}

// restartPause keeps a server that cannot run from being started in a circle.
const restartPause = time.Second

func (p *privateServer) keep() {
	defer close(p.done)
	s := p.server
	for {
		select {
		case <-p.quit:
			return
		case <-s.Done():
		}
		for next := (*pglocal.Server)(nil); next == nil; {
			select {
			case <-p.quit:
				return
			case <-time.After(restartPause):
			}
			p.opts.Log.Error("private database ended by itself, starting again")
			var err error
			if next, err = p.startAgain(); err != nil {
				p.opts.Log.Error("private database does not start", "error", err)
				continue
			}
			p.mu.Lock()
			p.server, s = next, next
			p.mu.Unlock()
		}
	}
}

// startAgain gives up when stop is called meanwhile.
func (p *privateServer) startAgain() (*pglocal.Server, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-p.quit:
			cancel()
		case <-ctx.Done():
		}
	}()
	return pglocal.Start(ctx, p.opts)
}

func (p *privateServer) stop(ctx context.Context) error {
	p.once.Do(func() { close(p.quit) })
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.server.Stop(ctx)
}
