package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"yipan/internal/fault"
)

const (
	origin    int64 = 5201230000003
	residence int64 = 5226010000003
	third     int64 = 5301020000003
)

// patience bounds every wait of these tests.
const patience = 20 * time.Second

const childEnv = "BUS_TEST_HUB" // "<port> <store dir>": be a hub instead of tests

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		os.Exit(childHub(spec))
	}
	goleak.VerifyTestMain(m)
}

func childHub(spec string) int {
	var port int
	var dir string
	if _, err := fmt.Sscanf(spec, "%d %s", &port, &dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	h, err := StartHub(HubConfig{StoreDir: dir, Port: port})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(h.URL())
	io.Copy(io.Discard, os.Stdin) // until the parent ends or closes it
	h.Stop()
	return 0
}

// hubProcess is a hub in a process of its own.
type hubProcess struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

func startHubProcess(t *testing.T, port int, dir string) *hubProcess {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+strconv.Itoa(port)+" "+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &hubProcess{cmd: cmd, stdin: stdin}
	t.Cleanup(p.kill)
	if _, err := stdout.Read(make([]byte, 64)); err != nil {
		p.kill()
		t.Fatalf("hub process did not start: %v: %s", err, stderr.String())
	}
	return p
}

// kill is kill -9.
func (p *hubProcess) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func newHub(t *testing.T, cfg HubConfig) *Hub {
	t.Helper()
	if cfg.StoreDir == "" {
		cfg.StoreDir = t.TempDir()
	}
	cfg.Logger = testLog(t)
	h, err := StartHub(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	return h
}

func dial(t *testing.T, cfg Config) *Conn {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = testLog(t)
	}
	c, err := Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func urlAt(port int) string { return "nats://127.0.0.1:" + strconv.Itoa(port) }

func fromStart(context.Context) (time.Time, error) { return time.Time{}, nil }

// reader consumes for a node in the background, into in.
type reader struct {
	in  chan Message
	end func()
}

func read(t *testing.T, c *Conn, self int64, since func(context.Context) (time.Time, error)) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &reader{in: make(chan Message, 4096)}
	done := make(chan error, 1)
	go func() {
		done <- c.Consume(ctx, self, since, func(ctx context.Context, m Message) {
			select {
			case r.in <- m:
			case <-ctx.Done():
			}
		})
	}()
	r.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Consume: %v", err)
		}
	})
	t.Cleanup(r.end)
	return r
}

func (r *reader) next(t *testing.T) Message {
	t.Helper()
	select {
	case m := <-r.in:
		return m
	case <-time.After(patience):
		t.Fatal("no message came")
		return Message{}
	}
}

// until takes and acks messages until one carries want, and returns it.
func (r *reader) until(t *testing.T, want string) Message {
	t.Helper()
	for {
		m := r.next(t)
		if err := m.Ack(t.Context()); err != nil && !hasReason(err, ReasonStale) && !hasReason(err, ReasonAway) {
			t.Fatal(err)
		}
		if string(m.Data) == want {
			return m
		}
	}
}

func mustPublish(t *testing.T, c *Conn, dst, src int64, payload string) {
	t.Helper()
	if err := c.Publish(t.Context(), dst, src, []byte(payload)).Wait(t.Context()); err != nil {
		t.Fatalf("publish %q: %v", payload, err)
	}
}

// publishAtLast publishes again and again until the broker takes it.
func publishAtLast(t *testing.T, c *Conn, dst, src int64, payload string) {
	t.Helper()
	eventually(t, "publish "+payload, func() bool {
		return c.Publish(t.Context(), dst, src, []byte(payload)).Wait(t.Context()) == nil
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("did not come about: %s", what)
		}
	}
}

func hasReason(err error, reason string) bool {
	e, ok := errors.AsType[*fault.Error](err)
	return ok && e.Reason == reason
}

func wantFault(t *testing.T, err error, kind fault.Kind, reason string) {
	t.Helper()
	if !fault.Is(err, kind) || !hasReason(err, reason) {
		t.Fatalf("got %v, want %v %s", err, kind, reason)
	}
}
