package bus

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"yipan/internal/fault"
)

func TestBrokerAwayAtStart(t *testing.T) {
	port := freePort(t)
	reg := prometheus.NewRegistry()
	c := dial(t, Config{URL: urlAt(port), Registerer: reg})
	met := make(chan string, 16)
	c.OnConnect(func() { met <- "early" })
	if c.Connected() {
		t.Fatal("connected to nothing")
	}
	err := c.Publish(t.Context(), residence, origin, []byte("x")).Wait(t.Context())
	wantFault(t, err, fault.KindUnavailable, ReasonAway)
	wantFault(t, c.PublishDirectory(t.Context(), []byte("x")), fault.KindUnavailable, ReasonAway)
	r := read(t, c, residence, fromStart)
	entries, _ := readDirectory(t, c)

	dir := t.TempDir()
	h := newHub(t, HubConfig{StoreDir: dir, Port: port})
	wantCall(t, met, "early")
	c.OnConnect(func() { met <- "late" })
	wantCall(t, met, "late") // there is a connection already
	publishAtLast(t, c, residence, origin, "hello")
	r.until(t, "hello")
	if err := c.PublishDirectory(t.Context(), []byte("entry")); err != nil {
		t.Fatal(err)
	}
	take(t, entries)

	h.Stop()
	eventually(t, "disconnected", func() bool {
		return !c.Connected() && gather(t, reg, "yipan_bus_connected", "") == 0
	})
	newHub(t, HubConfig{StoreDir: dir, Port: port})
	wantCall(t, met, "early")
	wantCall(t, met, "late")
	if e := take(t, entries); string(e.Data) != "entry" { // from the first again
		t.Fatalf("got %q", e.Data)
	}
	if n := gather(t, reg, "yipan_bus_reconnects_total", ""); n != 1 {
		t.Errorf("counted %v reconnects", n)
	}
}

func wantCall(t *testing.T, met <-chan string, who string) {
	t.Helper()
	select {
	case got := <-met:
		if got != who {
			t.Fatalf("%s was called, want %s", got, who)
		}
	case <-time.After(patience):
		t.Fatalf("%s was not called", who)
	}
}

func TestBrokerRestarts(t *testing.T) {
	port, dir := freePort(t), t.TempDir()
	h := newHub(t, HubConfig{StoreDir: dir, Port: port, Provinces: []string{"52"}})
	a := dial(t, Config{URL: urlAt(port)})
	r := read(t, dial(t, Config{URL: urlAt(port), AckWait: time.Second}), residence, fromStart)
	mustPublish(t, a, residence, origin, "before")
	held := r.next(t)
	h.Stop()
	err := a.Publish(t.Context(), residence, origin, []byte("while away")).Wait(t.Context())
	if !fault.Is(err, fault.KindUnavailable) {
		t.Fatalf("publish without a broker: %v", err)
	}

	newHub(t, HubConfig{StoreDir: dir, Port: port})
	publishAtLast(t, a, residence, origin, "after")
	eventually(t, "receiver back", func() bool { return held.conn.Connected() })
	// The consumer is a new one; an ack from the earlier connection must not
	// reach it.
	wantFault(t, held.Ack(t.Context()), fault.KindUnavailable, ReasonStale)
	got := map[string]bool{}
	for !got["before"] || !got["after"] {
		m := r.next(t)
		got[string(m.Data)] = true
		if err := m.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// The broker is killed and its disk deleted under load: streams and consumers
// come back by themselves, and what is sent again arrives.
func TestBrokerLosesItsDisk(t *testing.T) {
	port, dir := freePort(t), filepath.Join(t.TempDir(), "hub")
	hub := startHubProcess(t, port, dir)
	cfg := Config{URL: urlAt(port), Timeout: 2 * time.Second}
	a, b := dial(t, cfg), dial(t, cfg)
	there := read(t, b, residence, func(context.Context) (time.Time, error) { return time.Now(), nil })
	back := read(t, a, origin, fromStart)
	entries, _ := readDirectory(t, b)
	if err := a.PublishDirectory(t.Context(), []byte("entry of the first store")); err != nil {
		t.Fatal(err)
	}
	take(t, entries)
	mustPublish(t, a, residence, origin, "first")
	there.until(t, "first")
	mustPublish(t, b, origin, residence, "reply")
	back.until(t, "reply")

	load := make(chan int)
	stop, stopped := context.WithCancel(t.Context())
	go func() { // what fails is owed again, as the relay does it
		failed := 0
		for i := 0; stop.Err() == nil; i++ {
			if a.Publish(stop, residence, origin, fmt.Appendf(nil, "load %d", i)).Wait(stop) != nil {
				failed++
			}
		}
		load <- failed
	}()
	there.next(t)
	hub.kill()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "outage noticed", func() bool { return !a.Connected() && !b.Connected() })
	startHubProcess(t, port, dir)

	eventually(t, "both back", func() bool { return a.Connected() && b.Connected() })
	stopped()
	if failed := <-load; failed == 0 {
		t.Error("the fault struck nobody")
	}
	publishAtLast(t, a, residence, origin, "second")
	there.until(t, "second")
	publishAtLast(t, b, origin, residence, "second reply")
	back.until(t, "second reply")
	if n, err := a.DirectorySize(t.Context()); err != nil || n != 0 {
		t.Errorf("directory of the new store: %d entries, %v", n, err)
	}
	if err := a.PublishDirectory(t.Context(), []byte("entry of the second store")); err != nil {
		t.Fatal(err)
	}
	if e := take(t, entries); string(e.Data) != "entry of the second store" {
		t.Errorf("got %q", e.Data)
	}
}

// The consumer and the stream vanish without the connection breaking.
func TestConsumerAndStreamVanish(t *testing.T) {
	h := newHub(t, HubConfig{InProcess: true})
	c := dial(t, Config{InProcess: h, Heartbeat: 500 * time.Millisecond})
	r := read(t, c, residence, fromStart)
	publishAtLast(t, c, residence, origin, "one")
	r.until(t, "one")
	if err := c.js.DeleteConsumer(t.Context(), "EX_52", durableOf(residence)); err != nil {
		t.Fatal(err)
	}
	publishAtLast(t, c, residence, origin, "two")
	r.until(t, "two")
	if err := c.js.DeleteStream(t.Context(), "EX_52"); err != nil {
		t.Fatal(err)
	}
	publishAtLast(t, c, residence, origin, "three")
	r.until(t, "three")
}

// kill -9 with the disk kept: what was confirmed is still there, and so is
// the way to take the store over.
func TestBrokerKilledKeepsWhatItConfirmed(t *testing.T) {
	port, dir := freePort(t), t.TempDir()
	hub := startHubProcess(t, port, dir)
	c := dial(t, Config{URL: urlAt(port)})
	for i := range 50 {
		mustPublish(t, c, residence, origin, fmt.Sprint("confirmed ", i))
	}
	hub.kill()
	startHubProcess(t, port, dir)
	r := read(t, c, residence, func(context.Context) (time.Time, error) { return time.Now(), nil })
	for i := range 50 {
		if m := r.next(t); string(m.Data) != fmt.Sprint("confirmed ", i) {
			t.Fatalf("place %d: %q", i, m.Data)
		}
	}
}
