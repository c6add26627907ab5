package town

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/node"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// Node is a county's node in a town.
type Node struct {
	NodeConfig
	Address string // of gRPC, HOST:PORT
	Metrics string // of /metrics, HOST:PORT

	town   *Town
	member *member

	mu    sync.Mutex
	conns map[string]*grpc.ClientConn
}

// Account is an account of a node. Every node has two security accounts
// besides, which grant the others.
type Account struct {
	Name    string
	Role    access.Role
	Offices []area.Key
}

// The security accounts of every node.
var guards = []string{"security-1", "security-2"}

// Dir returns the node's folder.
func (n *Node) Dir() string { return filepath.Join(n.town.config.Dir, n.Folder) }

// ConfigFile returns the node's configuration.
func (n *Node) ConfigFile() string { return filepath.Join(n.Dir(), "yipan.toml") }

// Certificate returns the file with the node's certificate, for its clients.
func (n *Node) Certificate() string { return filepath.Join(n.Dir(), "node.crt") }

// TokenFile returns the file with an account's token.
func (n *Node) TokenFile(account string) string {
	return filepath.Join(n.Dir(), "tokens", account+".token")
}

// layOut makes the node's folder and adds to its configuration what is the
// town's.
func (n *Node) layOut(ctx context.Context) error {
	if _, err := n.town.run(ctx, "init", n.Dir(), "--area", n.Area.String(), "--name", n.Name,
		"--bus", n.town.broker, "--listen", n.Address, "--watch", n.Metrics); err != nil {
		return err
	}
	f, err := os.OpenFile(n.ConfigFile(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("town: open the configuration of %s: %w", n.Folder, err)
	}
	_, err = f.WriteString("\n[policy]\nfiles = [\"../policy.toml\"]\n\n[jobs]\ninterval = \"200ms\"\n")
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("town: write the configuration of %s: %w", n.Folder, err)
	}
	return nil
}

// tokenLife is how long tokens of a town are good.
const tokenLife = 30 * 24 * time.Hour

// enroll makes the accounts of a running node, locally, as `yipan user` does.
func (n *Node) enroll(ctx context.Context) (err error) {
	l, err := node.Load(node.Sources{File: n.ConfigFile()})
	if err != nil {
		return err
	}
	d, err := node.OpenDatabase(ctx, &l.Config, node.DatabaseOptions{Attach: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close(context.WithoutCancel(ctx))) }()
	db, err := d.Open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := os.MkdirAll(filepath.Join(n.Dir(), "tokens"), 0o700); err != nil {
		return fmt.Errorf("town: make the folder of tokens: %w", err)
	}
	all := []Account{{Name: guards[0], Role: access.Security}, {Name: guards[1], Role: access.Security}}
	for _, a := range append(all, n.Accounts...) {
		by := []string{}
		if a.Role.ReadsPersons() {
			by = guards
		}
		if err := db.PutAccount(ctx, store.Account{ID: a.Name, Role: a.Role, Offices: a.Offices, GrantedBy: by}); err != nil {
			return err
		}
		secret, hash := seal.Token()
		if err := os.WriteFile(n.TokenFile(a.Name), []byte(secret+"\n"), 0o600); err != nil {
			return fmt.Errorf("town: write a token: %w", err)
		}
		if err := db.AddToken(ctx, hash, a.Name, time.Now().Add(tokenLife)); err != nil {
			return err
		}
	}
	return nil
}

// Start starts the node and returns when it serves.
func (n *Node) Start(ctx context.Context) error { return n.member.start(ctx) }

// Stop stops it in good order; a node that does not run is fine.
func (n *Node) Stop() error { return n.member.stop() }

// Restart stops and starts it, for a changed configuration or policy.
func (n *Node) Restart(ctx context.Context) error {
	if err := n.Stop(); err != nil {
		return err
	}
	return n.Start(ctx)
}

// PID returns the node's process id; 0 where it runs within this process.
func (n *Node) PID() int {
	n.member.mu.Lock()
	defer n.member.mu.Unlock()
	if n.member.life == nil {
		return 0
	}
	return n.member.life.pid
}

// Crash kills the node's process (SIGKILL) and returns its id.
func (n *Node) Crash() (pid int, err error) { return n.member.crash() }

// Backup copies the database of a stopped node to a folder; keys and journal
// are no part of it (SECURITY D10).
func (n *Node) Backup(ctx context.Context, to string) error {
	return copyTree(ctx, filepath.Join(n.Dir(), "pg"), to)
}

// Restore replaces the database of a stopped node by a copy that Backup made.
func (n *Node) Restore(ctx context.Context, from string) error {
	pg := filepath.Join(n.Dir(), "pg")
	if err := os.RemoveAll(pg); err != nil {
		return fmt.Errorf("town: remove the database of %s: %w", n.Folder, err)
	}
	return copyTree(ctx, from, pg)
}

// copyTree copies a folder with owners and modes, which PostgreSQL insists on.
func copyTree(ctx context.Context, from, to string) error {
	out, err := exec.CommandContext(ctx, "cp", "-a", from, to).CombinedOutput() //nolint:gosec // folders of the town
	if err != nil {
		return fmt.Errorf("town: copy %s: %w: %s", from, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Dial returns the connection of an account, made at its first use and kept for
// the town's life. It finds a restarted node by itself.
func (n *Node) Dial(account string) (*grpc.ClientConn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.conns[account]; c != nil {
		return c, nil
	}
	token, err := os.ReadFile(n.TokenFile(account))
	if err != nil {
		return nil, fmt.Errorf("town: read a token: %w", err)
	}
	pem, err := os.ReadFile(n.Certificate())
	if err != nil {
		return nil, fmt.Errorf("town: read the certificate of %s: %w", n.Folder, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("town: %s holds no certificate", n.Certificate())
	}
	c, err := grpc.NewClient(n.Address,
		grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(roots, "")),
		grpc.WithPerRPCCredentials(bearer(strings.TrimSpace(string(token)))),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(16<<20)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: 5 * time.Second,
		}))
	if err != nil {
		return nil, fmt.Errorf("town: dial %s: %w", n.Folder, err)
	}
	if n.conns == nil {
		n.conns = map[string]*grpc.ClientConn{}
	}
	n.conns[account] = c
	return c, nil
}

// Hangup closes the connections.
func (n *Node) Hangup() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		_ = c.Close() // nothing is left to send
	}
	n.conns = nil
}

// bearer adds a token to each call, over TLS only.
type bearer string

// GetRequestMetadata returns the header.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity is true.
func (bearer) RequireTransportSecurity() bool { return true }
