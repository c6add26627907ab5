package town

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"yipan/internal/area"
	"yipan/internal/fault"
)

// Config says what stands in a town.
type Config struct {
	Dir     string  // absolute; empty or missing
	Program Program // lays the town out; also its members where Executable is empty
	// Executable makes hub and nodes processes of it; empty: they run within this
	// process, and cannot be killed.
	Executable string
	Policy     []byte // the policy file of all nodes
	Nodes      []NodeConfig
}

// NodeConfig is one county's node.
type NodeConfig struct {
	Folder   string // in Dir
	Area     area.Key
	Name     string // of the office
	Accounts []Account
}

// Town is an exchange on this machine. Its methods are not for concurrent use,
// those of its nodes that call them are.
type Town struct {
	config Config
	hub    *member
	broker string // URL
	Nodes  []*Node
}

// New lays a town out below c.Dir: authority, keys, configurations, tokens of
// nobody yet. Nothing runs when it returns. Errors: Conflict FOLDER_NOT_EMPTY.
func New(ctx context.Context, c Config) (*Town, error) {
	if err := layFolder(c.Dir); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "policy.toml"), c.Policy, 0o644); err != nil { //nolint:gosec // nothing secret
		return nil, fmt.Errorf("town: write the policy: %w", err)
	}
	t := &Town{config: c}
	ports, err := freePorts(1 + 2*len(c.Nodes))
	if err != nil {
		return nil, err
	}
	t.broker = "nats://" + ports[0]
	t.hub = &member{
		name: "hub", town: t, log: t.LogFile("hub"),
		args: []string{"hub", "--store", filepath.Join(c.Dir, "hub"), "--listen", ports[0], "--set", "node.dir=" + c.Dir},
	}
	if _, err := t.run(ctx, "authority", "init", t.authority()); err != nil {
		return nil, err
	}
	for i, nc := range c.Nodes {
		n := &Node{NodeConfig: nc, town: t, Address: ports[1+2*i], Metrics: ports[2+2*i]}
		n.member = &member{name: nc.Folder, town: t, log: t.LogFile(nc.Folder), args: []string{"serve", "--config", n.ConfigFile()}}
		t.Nodes = append(t.Nodes, n)
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, n := range t.Nodes {
		g.Go(func() error { return n.layOut(gctx) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return t, t.admit(ctx)
}

// layFolder makes the folder, passable for the user whom PostgreSQL runs as.
func layFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o711); err != nil { //nolint:gosec // passable, not readable
		return fmt.Errorf("town: make %s: %w", dir, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("town: read %s: %w", dir, err)
	}
	if len(left) > 0 {
		return fault.Conflict("FOLDER_NOT_EMPTY", "town: %s is not empty", dir).Zh("目录 %s 不是空的；请另给一个空目录", dir)
	}
	if os.Geteuid() == 0 {
		if err := os.Chmod(dir, 0o711); err != nil {
			return fmt.Errorf("town: make %s passable: %w", dir, err)
		}
	}
	for _, sub := range []string{"log", "hub"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			return fmt.Errorf("town: make %s: %w", sub, err)
		}
	}
	return nil
}

// admit lets the authority take all nodes in and every node know the log, so
// that they know each other without having seen the broker.
func (t *Town) admit(ctx context.Context) error {
	args := []string{"authority", "admit", t.authority()}
	for _, n := range t.Nodes {
		args = append(args, filepath.Join(n.Dir(), "join-request.txt"))
	}
	if _, err := t.run(ctx, args...); err != nil {
		return err
	}
	for _, n := range t.Nodes {
		if _, err := t.run(ctx, "join", "--config", n.ConfigFile(), "--authority", filepath.Join(t.authority(), "authority.pub"),
			"--log", filepath.Join(t.authority(), "directory.log")); err != nil {
			return err
		}
	}
	return nil
}

func (t *Town) authority() string { return filepath.Join(t.config.Dir, "authority") }

// Dir returns the town's folder.
func (t *Town) Dir() string { return t.config.Dir }

// Broker returns the hub's URL.
func (t *Town) Broker() string { return t.broker }

// Processes reports whether hub and nodes are processes.
func (t *Town) Processes() bool { return t.config.Executable != "" }

// LogFile returns the log of a member, or of the town's user.
func (t *Town) LogFile(name string) string {
	return filepath.Join(t.config.Dir, "log", name+".jsonl")
}

// run runs a short command of the program and returns what it printed.
func (t *Town) run(ctx context.Context, args ...string) (string, error) {
	var out, errOut bytes.Buffer
	if code := t.config.Program(ctx, args, &out, &errOut); code != 0 {
		return "", fmt.Errorf("town: yipan %s: exit code %d: %s", strings.Join(args[:min(2, len(args))], " "), code, strings.TrimSpace(errOut.String()))
	}
	return out.String(), nil
}

// Start starts the hub and all nodes, publishes the directory, and makes the
// accounts.
func (t *Town) Start(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return t.StartHub(gctx) })
	for _, n := range t.Nodes {
		g.Go(func() error {
			if err := n.Start(gctx); err != nil {
				return err
			}
			return n.enroll(gctx)
		})
	}
	return g.Wait()
}

// StartHub starts the hub and publishes the directory, which an emptied hub
// lacks.
func (t *Town) StartHub(ctx context.Context) error {
	if err := t.hub.start(ctx); err != nil {
		return err
	}
	_, err := t.run(ctx, "authority", "publish", t.authority(), t.broker)
	return err
}

// KillHub kills the hub's process (SIGKILL), leaves its disk and returns its id.
func (t *Town) KillHub() (pid int, err error) { return t.hub.crash() }

// CrashHub is KillHub with the disk deleted.
func (t *Town) CrashHub() (pid int, err error) {
	if pid, err = t.KillHub(); err != nil {
		return 0, err
	}
	if err := os.RemoveAll(filepath.Join(t.config.Dir, "hub")); err != nil {
		return pid, fmt.Errorf("town: delete the hub's disk: %w", err)
	}
	return pid, nil
}

// Stop stops everything in good order, the hub last. It returns every error.
func (t *Town) Stop() error {
	var wg sync.WaitGroup
	errs := make([]error, len(t.Nodes), len(t.Nodes)+1)
	for i, n := range t.Nodes {
		wg.Go(func() { errs[i] = n.Stop() })
	}
	wg.Wait()
	return errors.Join(append(errs, t.hub.stop())...)
}

// freePorts returns addresses on the loopback that nothing listened on a moment
// ago. They are written into configurations, so that a restarted member is
// found where it was.
func freePorts(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("town: find a free port: %w", err)
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out, nil
}
