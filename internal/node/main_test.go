package node

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"yipan/internal/area"
	"yipan/internal/bus"
	"yipan/internal/cases"
	"yipan/internal/directory"
	"yipan/internal/keys"
	"yipan/internal/seal"
	"yipan/internal/store"
	"yipan/internal/wire"
)

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// template spares initdb after the first server.
var template string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "nodekept")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	template = filepath.Join(dir, "kept")
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// place returns a folder that PostgreSQL's user may be let into; t.TempDir lies
// in one that only root enters.
func place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "node")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls what no signal announces.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("not in time: %s", what)
		}
	}
}

var (
	origin    = area.MustOf(area.County, "520330")
	residence = area.MustOf(area.County, "330782")
	third     = area.MustOf(area.County, "522601")
	fourth    = area.MustOf(area.County, "520123")
)

// newConfig makes the folder of a node, with keys, certificate, journal and
// the authority's key.
func newConfig(t *testing.T, at area.Key, authority seal.VerifyKey) (Config, *keys.Files) {
	t.Helper()
	c := Default()
	c.Node = NodeConfig{Area: at.String(), Name: "示例单位", Dir: place(t)}
	c.GRPC.Listen, c.Metrics.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.Bus.URL = "nats://127.0.0.1:1" // nobody is there
	c.Directory.Authority = directory.FormatAuthority(authority)
	files, err := keys.Create(c.KeysDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.NodeCertificate(c.KeysDir(), []string{"127.0.0.1"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	j, err := keys.CreateJournal(c.JournalFile())
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return c, files
}

func newAuthority() (*directory.Authority, seal.VerifyKey) {
	k := seal.NewSigningKey()
	return directory.NewAuthority(k), k.Public()
}

// admit has the authority admit a node at an area.
func admit(t *testing.T, a *directory.Authority, at area.Key, files *keys.Files) directory.Record {
	t.Helper()
	sign, sealing := seal.NewSigningKey(), seal.SealingKey{}
	var err error
	if files != nil {
		sign, sealing = files.Signing(), files.Sealing()
	} else if sealing, err = seal.NewSealingKey(seal.SuiteX25519); err != nil {
		t.Fatal(err)
	}
	r, err := directory.NewRequest(directory.Claim{
		Node: cases.NodeID(at), Name: "示例单位", Areas: []area.Key{at}, Speaks: directory.Versions{Min: 1, Max: wire.Version},
		Keys: []directory.Key{directory.SignatureKey(directory.ParcelSigning, false, sign.Public()), directory.SealingKey(false, sealing.Public())},
	}, sign)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := a.Admit(r, time.Now(), directory.Leave{})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// openStore starts a private database under the node's folder.
func openStore(t *testing.T, c *Config) *store.DB {
	t.Helper()
	d, err := OpenDatabase(within(t), c, DatabaseOptions{Template: template})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if _, err := d.Migrate(within(t)); err != nil {
		t.Fatal(err)
	}
	db, err := d.Open(within(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func startHub(t *testing.T, dir string, port int) *bus.Hub {
	t.Helper()
	h, err := bus.StartHub(bus.HubConfig{StoreDir: dir, Port: port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	return h
}

func connect(t *testing.T, url string) *bus.Conn {
	t.Helper()
	conn, err := bus.Connect(context.Background(), bus.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// logs keeps what was logged.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logs) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.b.Bytes(), []byte(s))
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }
