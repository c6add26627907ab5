// Package bench owns the benchmark of `yipan bench`: two nodes and a hub as
// processes on this machine with everything on (fsync, sync always, signatures,
// sealing, receipts, field encryption, row-level security), measured through
// the public API, with a baseline of bare SQL taken in the same run. It decides
// nothing: figures are printed, never judged.
package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/harness/town"
	"yipan/internal/pglocal"
	"yipan/internal/policy"
	"yipan/internal/store"
)

// Config of a run.
type Config struct {
	Dir        string // empty: a temporary place, removed at the end
	Executable string // the program, started as hub and nodes
	Program    town.Program
	Out        io.Writer
	JSON       string // file for the figures; empty: none
	Bulk       int    // notices of the bulk run, 0: 40,000
	Backlog    int    // notices of the catch-up, 0: 100,000
}

// Figures are what a run measured. Names are those of bench.json.
type Figures struct {
	BulkPerS     float64 `json:"bulk_per_s"`
	BaselinePerS float64 `json:"baseline_per_s"`
	BulkRatio    float64 `json:"bulk_ratio"`
	SinglePerS   float64 `json:"single_per_s"`
	P50MS        float64 `json:"p50_ms"`
	P99MS        float64 `json:"p99_ms"`
	CatchupS     float64 `json:"catchup_s"`
	IdleMB       float64 `json:"idle_mb"`
	LoadMB       float64 `json:"load_mb"`
	WireB        float64 `json:"wire_b"`
	DBB          float64 `json:"db_b"`
}

var (
	origin     = area.MustOf(area.County, "520330")
	originTown = area.MustOf(area.Township, "520330101")
	residence  = area.MustOf(area.County, "330782")
)

// account is the account that opens; watcher may look after the node.
const (
	account = "bench"
	watcher = "bench-admin"
)

// Run measures and writes the figures.
func Run(ctx context.Context, c Config) (f Figures, err error) {
	if c.Bulk == 0 {
		c.Bulk = 40_000
	}
	if c.Backlog == 0 {
		c.Backlog = 100_000
	}
	if c.Dir == "" {
		if c.Dir, err = os.MkdirTemp("", "yipan-bench-"); err != nil {
			return f, fmt.Errorf("bench: make a folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.Dir)) }()
		if err := os.Chmod(c.Dir, 0o711); err != nil {
			return f, fmt.Errorf("bench: make the folder passable: %w", err)
		}
	}
	say := func(format string, a ...any) { _, _ = fmt.Fprintf(c.Out, format+"\n", a...) }
	say("baseline: bare SQL of one case, %d per transaction …", store.BaselineBatch)
	if f.BaselinePerS, err = baseline(ctx, filepath.Join(c.Dir, "baseline")); err != nil {
		return f, err
	}
	say("  %8.0f cases/s", f.BaselinePerS)

	t, err := town.New(ctx, town.Config{
		Dir: filepath.Join(c.Dir, "town"), Program: c.Program, Executable: c.Executable, Policy: policy.DefaultFile(),
		Nodes: []town.NodeConfig{county("origin", origin), county("residence", residence)},
	})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, t.Stop()) }()
	if err := t.Start(ctx); err != nil {
		return f, err
	}
	r := &run{town: t, a: t.Nodes[0], b: t.Nodes[1], say: say}
	defer r.a.Hangup()
	if err := r.open(ctx); err != nil {
		return f, err
	}
	for _, step := range []func(context.Context, *Config, *Figures) error{r.idle, r.latency, r.single, r.bulk, r.catchup} {
		if err := step(ctx, &c, &f); err != nil {
			return f, err
		}
	}
	f.BulkRatio = f.BulkPerS / f.BaselinePerS
	print(c.Out, &f)
	return f, writeJSON(c.JSON, f)
}

// writeJSON writes figures to a file; an empty name writes none.
func writeJSON(name string, figures any) error {
	if name == "" {
		return nil
	}
	b, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return fmt.Errorf("bench: encode: %w", err)
	}
	if err := os.WriteFile(name, append(b, '\n'), 0o644); err != nil { //nolint:gosec // figures
		return fmt.Errorf("bench: write %s: %w", name, err)
	}
	return nil
}

func county(folder string, k area.Key) town.NodeConfig {
	return town.NodeConfig{Folder: folder, Area: k, Name: area.FullName(k), Accounts: []town.Account{
		{Name: account, Role: access.Clerk, Offices: []area.Key{originTown}},
		{Name: watcher, Role: access.Admin},
	}}
}

// baseline measures bare SQL on a durable PostgreSQL of its own, which is gone
// before the nodes start.
func baseline(ctx context.Context, dir string) (perSecond float64, err error) {
	s, err := pglocal.Start(ctx, pglocal.Options{Dir: dir, Base: filepath.Dir(dir), Durable: true})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Stop(context.WithoutCancel(ctx)), os.RemoveAll(dir)) }()
	url := s.URL(pglocal.Superuser, "postgres")
	if _, err := store.Migrate(ctx, url); err != nil {
		return 0, err
	}
	return store.Baseline(ctx, url, 4*time.Second)
}

func print(w io.Writer, f *Figures) {
	for _, l := range []struct {
		key, unit, what string
		v               float64
	}{
		{"bulk_per_s", "/s", "bulk, submitted at A to receipt durable at A", f.BulkPerS},
		{"baseline_per_s", "/s", "bare SQL of one case, same run", f.BaselinePerS},
		{"bulk_ratio", "", "bulk as a part of the baseline", f.BulkRatio},
		{"single_per_s", "/s", "single-notice RPCs", f.SinglePerS},
		{"p50_ms", "ms", "round trip at 100/s, median", f.P50MS},
		{"p99_ms", "ms", "round trip at 100/s, 99th percentile", f.P99MS},
		{"catchup_s", "s", "catch-up after an outage", f.CatchupS},
		{"idle_mb", "MB", "memory of a node, idle", f.IdleMB},
		{"load_mb", "MB", "memory of a node, under load", f.LoadMB},
		{"wire_b", "B", "on the wire, per notice, both ways", f.WireB},
		{"db_b", "B", "in the origin's database, per notice", f.DBB},
	} {
		_, _ = fmt.Fprintf(w, "%-15s %12.2f %-3s %s\n", l.key, l.v, l.unit, l.what)
	}
}
