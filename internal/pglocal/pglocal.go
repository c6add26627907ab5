package pglocal

import (
	"log/slog"
	"net/url"
	"path/filepath"
	"strconv"
)

// Superuser is the database user that initdb makes, on every machine the same.
const Superuser = "postgres"

// socketPort numbers the socket's name, .s.PGSQL.5432; nothing listens on TCP.
const socketPort = 5432

// Options says what to start. The zero value is a server for tests: without
// durability, in a temporary directory, removed by Stop.
type Options struct {
	// Dir holds everything of this server; see the package comment. It is made
	// when it is missing, with its parents. Empty: a temporary directory, which
	// Stop removes (a killed program leaves it behind).
	Dir string

	// Base is a directory at or above Dir that the caller made for itself. When
	// root starts the server, Base and what lies between it and Dir may then be
	// made passable (o+x) for the server's user; os.MkdirTemp makes 0700. Empty:
	// no existing directory but Dir is changed.
	Base string

	// Log receives the life of the server: a few lines, no personal data.
	// Nil: none.
	Log *slog.Logger

	// Settings are settings of postgresql.conf, by name. Those that would open
	// the server to the network, weaken Durable or log rows are refused.
	Settings map[string]string

	// Durable: what is committed survives a power cut (fsync,
	// synchronous_commit and full_page_writes on). False is for tests that do
	// not test that: such a directory may be ruined by a crash of the machine,
	// though not by one of the program.
	Durable bool

	// Template is a directory that keeps initialised, never started data
	// directories, one per version of PostgreSQL; a new Dir is then copied from
	// there, which takes a fraction of initdb's time, and the first one fills
	// it. Copies share their system identifier, so PostgreSQL cannot tell their
	// write-ahead logs apart: for tests and demonstrations, not for a node that
	// will have replicas or archived backups. Empty: initdb.
	Template string

	// Binaries to use. Zero: Find's, or where Dir already holds data of another
	// major version, those of that version.
	Binaries Binaries
}

// Server is a running private server, safe for concurrent use.
type Server struct {
	dir     string
	sockDir string
	bin     Binaries
	machine // what the system needs to run and end it
}

// URL returns the connection URL of a database, through the server's Unix
// socket, for libpq and pgx alike.
func (s *Server) URL(user, db string) string {
	u := url.URL{
		Scheme: "postgres", User: url.User(user), Path: "/" + db,
		RawQuery: url.Values{"host": {s.sockDir}, "port": {strconv.Itoa(socketPort)}}.Encode(),
	}
	return u.String()
}

// Dir returns the absolute directory of the server.
func (s *Server) Dir() string { return s.dir }

// SocketDir returns the directory of the server's socket (libpq's PGHOST).
func (s *Server) SocketDir() string { return s.sockDir }

// Binaries returns the installation that the server runs from.
func (s *Server) Binaries() Binaries { return s.bin }

// LogFile returns the path of the server's own log.
func (s *Server) LogFile() string { return filepath.Join(s.dir, "postgres.log") }

// owner is the system user that the server runs as.
type owner struct {
	uid, gid int
	name     string
	other    bool // not the user of this program: files are given to it
}
