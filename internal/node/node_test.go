package node

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"yipan/internal/directory"
	"yipan/internal/fault"
)

func newNode(t *testing.T, c Config) (*Node, *logs) {
	t.Helper()
	l, reg := &logs{}, prometheus.NewRegistry()
	n, err := New(Options{Config: c, Version: "test", Log: l.logger(), Registerer: reg, Gatherer: reg, Template: template})
	if err != nil {
		t.Fatal(err)
	}
	return n, l
}

func get(t *testing.T, n *Node, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://"+n.Addresses().Metrics+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestNodeStartsWithoutBroker(t *testing.T) {
	_, authority := newAuthority()
	c, _ := newConfig(t, origin, authority)
	n, _ := newNode(t, c)
	if err := n.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	code, body := get(t, n, "/readyz")
	var parts map[string]string
	if err := json.Unmarshal([]byte(body), &parts); err != nil {
		t.Fatal(err)
	}
	if code != http.StatusOK || parts["broker"] != "away" || parts["database"] != "ok" {
		t.Errorf("/readyz %d %s", code, body)
	}
	if code, _ := get(t, n, "/healthz"); code != http.StatusOK {
		t.Errorf("/healthz %d", code)
	}
	if code, body := get(t, n, "/metrics"); code != http.StatusOK || !strings.Contains(body, "yipan_directory_serial 0") {
		t.Errorf("/metrics %d", code)
	}

	// A second one in the same folder is refused, and leaves the first alone.
	other, _ := newNode(t, c)
	if err := other.Start(within(t)); !fault.Is(err, fault.KindConflict) {
		t.Errorf("second node on one folder: %v", err)
	}
	if code, _ := get(t, n, "/readyz"); code != http.StatusOK {
		t.Errorf("/readyz %d after a second start", code)
	}

	if err := n.Stop(within(t)); err != nil {
		t.Error(err)
	}
	if err := n.Stop(within(t)); err != nil {
		t.Errorf("second stop: %v", err)
	}
	if _, err := os.Stat(filepath.Join(c.PrivateDir(), "pg", "postmaster.pid")); !os.IsNotExist(err) {
		t.Errorf("the private database outlived its node: %v", err)
	}

	// The same folder starts again.
	again, _ := newNode(t, c)
	if err := again.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := again.Stop(within(t)); err != nil {
		t.Error(err)
	}
}

// A private database that dies makes the node unready until it is back, and the
// node brings it back.
func TestNodeRestartsItsDatabase(t *testing.T) {
	_, authority := newAuthority()
	c, _ := newConfig(t, origin, authority)
	n, l := newNode(t, c)
	if err := n.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	b, err := os.ReadFile(filepath.Join(c.PrivateDir(), "pg", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an unready node", func() bool { code, _ := get(t, n, "/readyz"); return code == http.StatusServiceUnavailable })
	if code, _ := get(t, n, "/healthz"); code != http.StatusOK {
		t.Errorf("/healthz %d while the database is away", code)
	}
	eventually(t, "a ready node", func() bool { code, _ := get(t, n, "/readyz"); return code == http.StatusOK })
	if !l.has("private database ended by itself") || n.Err() != nil {
		t.Errorf("the end of the database: %v", n.Err())
	}
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	_, authority := newAuthority()
	for name, c := range map[string]struct {
		spoil  func(*testing.T, *Config)
		reason string
	}{
		"authority":   {func(_ *testing.T, c *Config) { c.Directory.Authority = "" }, "AUTHORITY_MISSING"},
		"keys":        {func(t *testing.T, c *Config) { c.Keys.Dir = filepath.Join(t.TempDir(), "none"); c.Keys.Journal = "x" }, "KEYS_MISSING"},
		"journal":     {func(t *testing.T, c *Config) { c.Keys.Journal = filepath.Join(t.TempDir(), "none") }, "JOURNAL_MISSING"},
		"certificate": {func(t *testing.T, c *Config) { c.GRPC.TLSFile = filepath.Join(t.TempDir(), "none") }, "KEY_FILE_MISSING"},
		"policy":      {func(t *testing.T, c *Config) { c.Policy.Files = []string{filepath.Join(t.TempDir(), "none")} }, "POLICY_FILE"},
		"port":        {func(_ *testing.T, c *Config) { c.Metrics.Listen = "192.0.2.1:1" }, "METRICS_LISTEN"}, // RFC 5737: nobody's
		"database":    {func(_ *testing.T, c *Config) { c.Database.URL = "postgres://u@127.0.0.1:1/d" }, "DATABASE"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, _ := newConfig(t, origin, authority)
			c.spoil(t, &cfg)
			n, _ := newNode(t, cfg)
			err := n.Start(within(t))
			f, ok := fault.As(err)
			if !ok || f.Reason != c.reason {
				t.Fatalf("got %v, want %s", err, c.reason)
			}
			if f.Text == "" {
				t.Errorf("no Chinese text: %v", err)
			}
			if _, err := os.Stat(filepath.Join(cfg.Node.Dir, "pg", "pg", "postmaster.pid")); !os.IsNotExist(err) {
				t.Error("the private database still runs")
			}
		})
	}
	c := Default()
	if _, err := New(Options{Config: c}); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("a node without an area: %v", err)
	}
}

func TestInspect(t *testing.T) {
	a, authority := newAuthority()
	c, files := newConfig(t, origin, authority)
	levels := func() map[string]Level {
		out := map[string]Level{}
		for _, f := range Inspect(within(t), &c, time.Now) {
			if f.Level == Wrong || out[f.Check] == "" || f.Level == Watch && out[f.Check] == Fine {
				out[f.Check] = f.Level
			}
			if f.Level != Fine && (f.Do.Zh == "" || f.Do.En == "") {
				t.Errorf("%s says not what to do: %+v", f.Check, f)
			}
		}
		return out
	}
	got := levels()
	if got["keys"] != Fine || got["journal"] != Fine || got["certificate"] != Fine || got["policy"] != Fine {
		t.Errorf("with database and broker away: %v", got)
	}
	if got["database"] != Wrong || got["broker"] != Wrong || got["directory"] != "" {
		t.Errorf("with database and broker away: %v", got)
	}

	h := startHub(t, t.TempDir(), 0)
	c.Bus.URL = h.URL()
	if err := os.WriteFile(c.LogFile(), directory.FormatLog([]directory.Record{admit(t, a, origin, files)}), 0o600); err != nil {
		t.Fatal(err)
	}
	n, _ := newNode(t, c)
	if err := n.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the stream to be filled", func() bool { s, err := n.bus.DirectorySize(within(t)); return err == nil && s == 1 })
	for check, l := range levels() {
		if l != Fine {
			t.Errorf("%s is %s on a node that works", check, l)
		}
	}
	if err := os.Chmod(c.KeysDir(), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := levels(); got["keys"] != Wrong {
		t.Errorf("keys that everybody can read: %v", got)
	}
}
