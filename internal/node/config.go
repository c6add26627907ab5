package node

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/directory"
	"yipan/internal/fault"
	"yipan/internal/jobs"
	"yipan/internal/seal"
)

// Config is everything that is said about a node from outside. Paths are
// absolute or relative to the working directory once loaded. Load checks it;
// whoever fills it by hand calls Check.
type Config struct {
	Node      NodeConfig      `toml:"node"`
	Database  DatabaseConfig  `toml:"database"`
	Bus       BusConfig       `toml:"bus"`
	GRPC      GRPCConfig      `toml:"grpc"`
	Metrics   MetricsConfig   `toml:"metrics"`
	Keys      KeysConfig      `toml:"keys"`
	Directory DirectoryConfig `toml:"directory"`
	Policy    PolicyConfig    `toml:"policy"`
	Exchange  ExchangeConfig  `toml:"exchange"`
	Jobs      JobsConfig      `toml:"jobs"`
	Post      PostConfig      `toml:"post"`
	Log       LogConfig       `toml:"log"`
	Hub       HubConfig       `toml:"hub"`
}

// NodeConfig says who the node is.
type NodeConfig struct {
	Area string `toml:"area"` // principal area, "3:520330"; the node's id
	Name string `toml:"name"` // of the office, never a person's
	Dir  string `toml:"dir" as:"path"`
}

// DatabaseConfig says where the node's database is.
type DatabaseConfig struct {
	URL          string `toml:"url" as:"url"`            // empty: a private PostgreSQL under Node.Dir/pg
	PasswordFile string `toml:"password_file" as:"path"` // of URL's user
	MaxConns     int    `toml:"max_conns"`               // per role
}

// BusConfig says how the broker is reached.
type BusConfig struct {
	URL          string `toml:"url" as:"url"`         // nats:// or tls://, several separated by commas
	CAFile       string `toml:"ca_file" as:"path"`    // not empty: TLS is demanded and verified against it
	CredsFile    string `toml:"creds_file" as:"path"` // NATS credentials
	User         string `toml:"user"`                 // with PasswordFile
	PasswordFile string `toml:"password_file" as:"path"`
	InboxPrefix  string `toml:"inbox_prefix"` // empty: the client's own
}

// GRPCConfig is the door for clerks' programs; it always has TLS.
type GRPCConfig struct {
	Listen  string `toml:"listen"`
	TLSFile string `toml:"tls_file" as:"path"` // PEM, chain and key; empty: Keys.Dir/tls.pem
}

// MetricsConfig is the listener for /metrics, /healthz and /readyz: plain HTTP,
// without persons in it.
type MetricsConfig struct {
	Listen string `toml:"listen"` // empty: none
}

// KeysConfig says where secrets lie, apart from data and backups (SECURITY D10).
type KeysConfig struct {
	Dir     string `toml:"dir" as:"path"`     // empty: Node.Dir/keys; "systemd": $CREDENTIALS_DIRECTORY
	Journal string `toml:"journal" as:"path"` // erasure journal; empty: Keys.Dir/erasure.jsonl
}

// DirectoryConfig names the exchange authority.
type DirectoryConfig struct {
	Authority     string `toml:"authority"`                // its public key as `authority init` prints it
	AuthorityFile string `toml:"authority_file" as:"path"` // a file with it; empty: Node.Dir/authority.pub
}

// PolicyConfig names the policy files.
type PolicyConfig struct {
	Files []string `toml:"files" as:"path"` // empty: the embedded policy
}

// ExchangeConfig bounds what is taken from peers.
type ExchangeConfig struct {
	SuiteFloor int `toml:"suite_floor"` // weakest suite accepted; 0: any that is known
}

// JobsConfig says when time starts something.
type JobsConfig struct {
	Statement time.Duration `toml:"statement"` // between two statements to a peer, at a jittered time
	Poll      time.Duration `toml:"poll"`      // of the pump, for what nothing here woke it for
	Interval  time.Duration `toml:"interval"`  // between two looks for what time starts: round ends, erasures
}

// PostConfig says how digests leave the node (package post). What is empty is not
// sent.
type PostConfig struct {
	SMTP              string   `toml:"smtp"`                          // HOST:PORT of a mail server: STARTTLS, or TLS at port 465; empty: no e-mail
	User              string   `toml:"user"`                          // with PasswordFile
	PasswordFile      string   `toml:"password_file" as:"path"`       // of User
	From              string   `toml:"from"`                          // address of the sender
	WebhookSecretFile string   `toml:"webhook_secret_file" as:"path"` // signs webhooks, at least 16 bytes; empty: no webhooks
	CAFile            string   `toml:"ca_file" as:"path"`             // not empty: servers are verified against it alone
	AllowNetworks     []string `toml:"allow_networks"`                // loopback, link-local: otherwise refused to webhooks
}

// LogConfig says what is logged (JSON lines on standard error).
type LogConfig struct {
	Level string `toml:"level"` // debug, info, warn, error
}

// HubConfig is for `yipan hub`, which may share the file.
type HubConfig struct {
	Listen    string        `toml:"listen"`
	Store     string        `toml:"store" as:"path"` // empty: Node.Dir/hub
	CertFile  string        `toml:"cert_file" as:"path"`
	KeyFile   string        `toml:"key_file" as:"path"`
	Provinces []string      `toml:"provinces"` // two digits each: streams made, or given these limits, at start
	MaxBytes  int           `toml:"max_bytes"` // per stream
	MaxAge    time.Duration `toml:"max_age"`   // of a message
}

// Default returns the configuration of a node of which nothing was said.
func Default() Config {
	return Config{
		Node:     NodeConfig{Dir: "yipan-data"},
		Database: DatabaseConfig{MaxConns: 12},
		Bus:      BusConfig{URL: "nats://127.0.0.1:4222"},
		GRPC:     GRPCConfig{Listen: "127.0.0.1:7443"},
		Metrics:  MetricsConfig{Listen: "127.0.0.1:7480"},
		Jobs: JobsConfig{
			Statement: 24 * time.Hour,
			Poll:      time.Second,
			Interval:  jobs.DefaultInterval,
		},
		Log: LogConfig{Level: "info"},
		// Limits as the bus has them where nobody says otherwise.
		Hub: HubConfig{Listen: "127.0.0.1:4222", MaxBytes: 4 << 30, MaxAge: 30 * 24 * time.Hour},
	}
}

// systemd as Keys.Dir means the credentials that a systemd unit was given.
const systemd = "systemd"

// ID returns the node's id, 0 where Node.Area is not an area.
func (c *Config) ID() cases.NodeID {
	k, err := area.Parse(c.Node.Area)
	if err != nil {
		return 0
	}
	return cases.NodeID(k)
}

// KeysDir returns where the key directory is.
func (c *Config) KeysDir() string { return or(c.Keys.Dir, filepath.Join(c.Node.Dir, "keys")) }

// JournalFile returns where the erasure journal is.
func (c *Config) JournalFile() string {
	return or(c.Keys.Journal, filepath.Join(c.KeysDir(), "erasure.jsonl"))
}

// TLSFile returns where the node's certificate and its key are.
func (c *Config) TLSFile() string { return or(c.GRPC.TLSFile, filepath.Join(c.KeysDir(), "tls.pem")) }

// AuthorityFile returns where the authority's public key is, unless Authority
// says it.
func (c *Config) AuthorityFile() string {
	return or(c.Directory.AuthorityFile, filepath.Join(c.Node.Dir, "authority.pub"))
}

// LogFile returns where a directory.log that `yipan join` took in lies.
func (c *Config) LogFile() string { return filepath.Join(c.Node.Dir, "directory.log") }

// PrivateDir returns where the private PostgreSQL lies, empty where an URL is
// given.
func (c *Config) PrivateDir() string {
	if c.Database.URL != "" {
		return ""
	}
	return filepath.Join(c.Node.Dir, "pg")
}

// HubStore returns where the hub keeps its streams.
func (c *Config) HubStore() string { return or(c.Hub.Store, filepath.Join(c.Node.Dir, "hub")) }

func or(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// Authority returns the authority's public key. Errors: NotFound
// AUTHORITY_MISSING where nobody named it yet; Invalid DIRECTORY_AUTHORITY_KEY.
func (c *Config) Authority() (seal.VerifyKey, error) {
	text := c.Directory.Authority
	if text == "" {
		b, err := os.ReadFile(c.AuthorityFile())
		if os.IsNotExist(err) {
			return seal.VerifyKey{}, fault.NotFound("AUTHORITY_MISSING", "node: no public key of the exchange authority (%s)", c.AuthorityFile()).
				Zh("还没有交换管理机构的公钥（%s）：请向管理机构索取，再运行 yipan join --authority", c.AuthorityFile())
		}
		if err != nil {
			return seal.VerifyKey{}, fault.Unavailable("AUTHORITY_IO", "node: read the authority's public key").Because(err)
		}
		text = firstLine(string(b))
	}
	return directory.ParseAuthority(text)
}

// firstLine returns the first line that says something; # begins a comment.
func firstLine(s string) string {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return line
		}
	}
	return ""
}

// databaseURL returns Database.URL with the password of PasswordFile.
func (c *Config) databaseURL() (string, error) {
	if c.Database.PasswordFile == "" {
		return c.Database.URL, nil
	}
	b, err := os.ReadFile(c.Database.PasswordFile)
	if err != nil {
		return "", fault.Invalid("DATABASE_PASSWORD", "node: read the database's password file").On("database.password_file").Because(err).
			Zh("无法读取数据库密码文件")
	}
	u, err := url.Parse(c.Database.URL)
	if err != nil || u.User == nil {
		return "", fault.Invalid("DATABASE_URL", "node: a password needs a database URL with a user").On("database.url").
			Zh("使用密码文件时，数据库地址中应写明用户名")
	}
	u.User = url.UserPassword(u.User.Username(), strings.TrimRight(string(b), "\r\n"))
	return u.String(), nil
}
