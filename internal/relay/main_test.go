package relay

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/bus"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/exchange"
	"yipan/internal/harness"
	"yipan/internal/ident"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	origin     = area.MustOf(area.County, "520330")
	originTown = area.MustOf(area.Township, "520330101")
	residence  = area.MustOf(area.County, "330782")
)

// patience bounds every wait of these tests.
const patience = 40 * time.Second

// town is a broker on a port of its own and sites that reach it by relays.
type town struct {
	*harness.World
	t      *testing.T
	limits bus.Limits
	store  string
	port   int
	hub    *bus.Hub
	a, b   *station
	opened int
}

// station is a site with its way to the broker.
type station struct {
	*harness.Site
	town  *town
	conn  *bus.Conn
	reg   *prometheus.Registry
	relay *Relay
	log   lines
	speed time.Duration // of the relay's clock; 0: 1
	poll  time.Duration
	dying <-chan struct{} // closed when the relay is told to end
	end   func()
}

// lines is a log that tests read.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), what)
}

// newTown returns two sites; neither hub nor relays run yet. What runs is ended
// with the test, and then nothing may be left of it.
func newTown(t *testing.T, db func() *store.DB) *town {
	t.Helper()
	if db == nil {
		_ = storetest.NewURL(t) // the shared server's own goroutines are not the test's
		db = func() *store.DB { return storetest.New(t) }
	}
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	w, err := harness.NewWorld(t.TempDir(), time.Date(2026, 11, 20, 9, 0, 0, 0, civil.Shanghai))
	if err != nil {
		t.Fatal(err)
	}
	n := &town{World: w, t: t, store: filepath.Join(t.TempDir(), "hub"), port: freePort(t)}
	for _, at := range []struct {
		county area.Key
		s      **station
	}{{origin, &n.a}, {residence, &n.b}} {
		site, err := w.AddSite(db(), at.county)
		if err != nil {
			t.Fatal(err)
		}
		*at.s = &station{Site: site, town: n}
	}
	// The world's clock goes on as fast as the real one.
	ctx, cancel := context.WithCancel(context.Background())
	var moving sync.WaitGroup
	moving.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				w.Clock.Add(now.Sub(last))
				last = now
			}
		}
	})
	t.Cleanup(func() { cancel(); moving.Wait() })
	return n
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

func (n *town) startHub() {
	n.t.Helper()
	var err error
	if n.hub, err = bus.StartHub(bus.HubConfig{StoreDir: n.store, Port: n.port}); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(n.hub.Stop)
}

func (n *town) startBoth() {
	n.t.Helper()
	n.a.start()
	n.b.start()
}

// start connects a station and runs its relay until end or the test's end.
func (s *station) start() { s.startAs(s.Exchange) }

func (s *station) startAs(x *exchange.Exchange) {
	t := s.town.t
	t.Helper()
	if s.conn == nil {
		s.reg = prometheus.NewRegistry()
		var err error
		s.conn, err = bus.Connect(t.Context(), bus.Config{
			URL: fmt.Sprintf("nats://127.0.0.1:%d", s.town.port), Limits: s.town.limits, Registerer: s.reg,
			AckWait: 3 * time.Second, Heartbeat: 500 * time.Millisecond, Timeout: 2 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.conn.Close)
	}
	s.run(x)
}

func (s *station) run(x *exchange.Exchange) {
	t := s.town.t
	t.Helper()
	begun, speed := time.Now(), max(s.speed, 1)
	s.relay = New(Config{
		DB: s.DB, Exchange: x, Bus: s.conn, Self: s.Node, Poll: s.poll,
		Log: slog.New(slog.NewTextHandler(&s.log, nil)),
		Now: func() time.Time { return begun.Add(time.Since(begun) * speed) },
	})
	s.relay.note = 200 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	s.dying = ctx.Done()
	done := make(chan error, 1)
	go func() { done <- s.relay.Run(ctx) }()
	s.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("relay: %v", err)
		}
	})
	t.Cleanup(s.end)
}

// open opens so many notices at the origin, in one transaction, and wakes its
// relay as a node does.
func (n *town) open(count int) {
	n.t.Helper()
	if err := n.openAt(n.opened, count); err != nil {
		n.t.Fatal(err)
	}
	n.opened += count
}

func (n *town) openAt(first, count int) error {
	to := area.Children(residence)[0]
	birth := civil.MustParse("1990-01-01")
	rs := make([]desk.OpenRequest, count)
	for k := range rs {
		i := first + k
		rs[k] = desk.OpenRequest{
			RequestID: fmt.Sprintf("request-%06d", i), Kind: cases.Outflow, Origin: originTown, Destination: to,
			Fields: desk.FieldsInput{
				Name: "测试甲", Document: ident.Make("520330", birth.AddDays(i/400), i%400, i%2 == 0), EventDay: civil.MustParse("2026-11-10"),
				Basis: desk.BasisInput{Kind: cases.BasisRequest},
			},
		}
	}
	got, err := n.a.Desk.OpenCases(context.Background(), harness.Clerk(access.Clerk, originTown), rs)
	if err != nil {
		return err
	}
	for _, r := range got {
		if r.Err != nil {
			return r.Err
		}
	}
	if n.a.relay != nil {
		n.a.relay.Wake()
	}
	return nil
}

// unsettled is what a station owes; -1: its database does not say.
func (s *station) unsettled() int64 {
	var open int64
	err := s.DB.InExchange(context.Background(), nil, func(tx *store.Tx) error {
		loads, err := tx.PeerLoads(context.Background(), false)
		open = 0
		for _, l := range loads {
			open += l.Pending
		}
		return err
	})
	if err != nil {
		return -1
	}
	return open
}

// settled waits until nobody owes anything, and then both must hold the same.
func (n *town) settled() {
	n.t.Helper()
	eventually(n.t, "the exchange settles", func() bool { return n.a.unsettled() == 0 && n.b.unsettled() == 0 })
	n.conserved()
}

func (n *town) conserved() {
	n.t.Helper()
	if bad := n.Conserved(n.t.Context(), n.t.Fatalf); len(bad) > 0 {
		n.t.Fatalf("%d cases differ: %s", len(bad), bad[0])
	}
	if got := n.held(n.b); got != n.opened {
		n.t.Fatalf("%d notices were opened, %d cases are held", n.opened, got)
	}
}

func (n *town) held(s *station) int {
	n.t.Helper()
	total := 0
	for token := ""; ; {
		folds, next, err := s.Desk.Folds(n.t.Context(), harness.Clerk(access.Admin), 5000, token)
		if err != nil {
			n.t.Fatal(err)
		}
		for _, f := range folds {
			if f.Items != 1 {
				n.t.Fatalf("case %s has %d items", f.Case, f.Items)
			}
		}
		if total, token = total+len(folds), next; token == "" {
			return total
		}
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("did not come about: %s", what)
		}
	}
}

// metric is the value of one series of a counter of the station's connection.
func (s *station) metric(name, label string) float64 {
	s.town.t.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		s.town.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetValue() == label {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	return 0
}

const (
	published  = "yipan_bus_publishes_total"
	deliveries = "yipan_bus_deliveries_total"
)
