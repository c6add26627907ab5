package main

import (
	"context"
	"os"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"yipan/internal/cli"
	"yipan/internal/node"
)

// stopTime bounds a stop in good order; afterwards parts are cut short, which
// loses nothing that is committed.
const stopTime = 30 * time.Second

// ServeCommand is `yipan serve`.
type ServeCommand struct{ Configured }

// ready is the line that serve prints when it serves.
type ready struct {
	Ready bool   `json:"ready"`
	Node  string `json:"node"`
	node.Addresses
}

// spendMemory lets a long-running process collect garbage seldom as long as it
// stays small: a node rests at some 40 MB and may take 256 under load. What the
// environment says (GOGC, GOMEMLIMIT) counts.
func spendMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(256 << 20)
	}
}

// Run serves until ctx ends (SIGTERM, SIGINT) or a part fails.
func (c ServeCommand) Run(ctx context.Context, e *cli.Env) error {
	l, err := c.load(e)
	if err != nil {
		return err
	}
	spendMemory()
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	n, err := node.New(node.Options{
		Config: l.Config, Version: programVersion(), Log: logger(e.Err, l.Log.Level), Registerer: reg, Gatherer: reg,
	})
	if err != nil {
		return err
	}
	if err := n.Start(ctx); err != nil {
		return err
	}
	err = object(e, ready{true, l.ID().String(), n.Addresses()})
	if err == nil {
		select {
		case <-ctx.Done():
		case <-n.Failed():
			err = n.Err()
		}
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if stopped := n.Stop(stop); err == nil {
		err = stopped
	}
	return err
}
