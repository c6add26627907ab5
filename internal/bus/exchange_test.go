package bus

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"

	"yipan/internal/fault"
)

// both runs a test over an in-process hub and over loopback TCP.
func both(t *testing.T, limits Limits, f func(*testing.T, Config)) {
	t.Run("in process", func(t *testing.T) {
		h := newHub(t, HubConfig{InProcess: true, Limits: limits, Provinces: []string{"52"}})
		f(t, Config{InProcess: h})
	})
	t.Run("tcp", func(t *testing.T) {
		h := newHub(t, HubConfig{Limits: limits, Provinces: []string{"52"}})
		f(t, Config{URL: h.URL()})
	})
}

func TestEveryParcelArrives(t *testing.T) {
	both(t, Limits{}, func(t *testing.T, cfg Config) {
		reg := prometheus.NewRegistry()
		sending, receiving := cfg, cfg
		sending.Registerer, sending.Window = reg, 32
		c := dial(t, sending)
		r := read(t, dial(t, receiving), residence, fromStart)

		const n = 500 // many windows
		want := make(map[string]bool, n)
		futures := make([]*Future, n)
		for i := range n {
			p := fmt.Sprintf("parcel %d", i)
			want[p] = true
			futures[i] = c.Publish(t.Context(), residence, origin, []byte(p))
		}
		mustPublish(t, c, third, origin, "for somebody else") // makes the stream of 53 too
		for _, f := range futures {
			if err := f.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for len(want) > 0 {
			m := r.next(t)
			if !want[string(m.Data)] || m.Dst != residence || m.Src != origin || m.Redelivered != 0 {
				t.Fatalf("unexpected %q from %d to %d, redelivered %d", m.Data, m.Src, m.Dst, m.Redelivered)
			}
			if h := m.msg.Headers(); len(h) != 0 {
				t.Fatalf("headers %v", h)
			}
			if d := time.Since(m.Time); d < -time.Minute || d > time.Minute {
				t.Fatalf("stored at %v", m.Time)
			}
			delete(want, string(m.Data))
			if err := m.Ack(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "all acked", func() bool {
			cons, err := c.js.Consumer(t.Context(), "EX_52", durableOf(residence))
			return err == nil && cons.CachedInfo().NumAckPending == 0 && cons.CachedInfo().AckFloor.Stream == n
		})
		if got := gather(t, reg, "yipan_bus_publishes_total", "ok"); got != n+1 {
			t.Errorf("counted %v publishes", got)
		}
	})
}

func gather(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	fs, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fs {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			if len(m.Label) == 0 || m.Label[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

func TestWhatIsNotAckedComesAgain(t *testing.T) {
	both(t, Limits{}, func(t *testing.T, cfg Config) {
		cfg.AckWait = 200 * time.Millisecond
		c := dial(t, cfg)
		mustPublish(t, c, residence, origin, "forgotten")
		r := read(t, c, residence, fromStart)
		if m := r.next(t); m.Redelivered != 0 {
			t.Fatalf("first delivery says %d", m.Redelivered)
		}
		m := r.next(t)
		if string(m.Data) != "forgotten" || m.Redelivered != 1 {
			t.Fatalf("got %q, redelivered %d", m.Data, m.Redelivered)
		}
		if err := m.Nak(0); err != nil {
			t.Fatal(err)
		}
		if m = r.next(t); m.Redelivered != 2 {
			t.Fatalf("after nak: redelivered %d", m.Redelivered)
		}
		if err := m.Term(); err != nil {
			t.Fatal(err)
		}
		mustPublish(t, c, residence, origin, "next")
		if m = r.next(t); string(m.Data) != "next" {
			t.Fatalf("after term came %q again", m.Data)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		wantFault(t, m.Ack(ended), fault.KindUnavailable, ReasonTimeout)
		if err := m.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestReaderMayHoldMany(t *testing.T) {
	h := newHub(t, HubConfig{InProcess: true})
	c := dial(t, Config{InProcess: h, MaxAckPending: 40, Prefetch: 10})
	for i := range 60 {
		mustPublish(t, c, residence, origin, fmt.Sprint(i))
	}
	r := read(t, c, residence, fromStart)
	var held []Message
	for range 40 {
		held = append(held, r.next(t))
	}
	for _, m := range held {
		if err := m.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		if m := r.next(t); m.Redelivered != 0 {
			t.Fatalf("%s came again", m.Data)
		}
	}
}

func TestFullStreamRefuses(t *testing.T) {
	both(t, Limits{MaxBytes: 64 << 10}, func(t *testing.T, cfg Config) {
		reg := prometheus.NewRegistry()
		cfg.Registerer = reg
		c := dial(t, cfg)
		parcel := bytes.Repeat([]byte{7}, 8<<10)
		var fs []*Future
		for range 12 {
			fs = append(fs, c.Publish(t.Context(), residence, origin, parcel))
		}
		stored := 0
		for _, f := range fs {
			if err := f.Wait(t.Context()); err != nil {
				wantFault(t, err, fault.KindUnavailable, ReasonStreamFull)
			} else {
				stored++
			}
		}
		if stored < 6 || stored > 8 {
			t.Errorf("%d of 8 KiB fit into 64 KiB", stored)
		}
		if got := gather(t, reg, "yipan_bus_publishes_total", ReasonStreamFull); got != float64(12-stored) {
			t.Errorf("counted %v refusals, want %d", got, 12-stored)
		}
		mustPublish(t, c, third, origin, "other streams go on")
	})
}

func TestPublishRefuses(t *testing.T) {
	h := newHub(t, HubConfig{InProcess: true})
	c := dial(t, Config{InProcess: h})
	for _, x := range []struct {
		name     string
		dst, src int64
		bytes    int
		reason   string
	}{
		{"no such node", 52, origin, 1, "NODE_ID"},
		{"no such source", residence, 0, 1, "NODE_ID"},
		{"too large", residence, origin, MaxPayloadBytes + 1, ReasonTooLarge},
	} {
		t.Run(x.name, func(t *testing.T) {
			err := c.Publish(t.Context(), x.dst, x.src, make([]byte, x.bytes)).Wait(t.Context())
			wantFault(t, err, fault.KindInvalid, x.reason)
		})
	}
	if err := c.Publish(t.Context(), residence, origin, make([]byte, 600<<10)).Wait(t.Context()); err != nil {
		t.Errorf("a parcel of 600 KiB: %v", err)
	}
	wantFault(t, c.Consume(t.Context(), 7, fromStart, nil), fault.KindInvalid, "NODE_ID")
	c.Close()
	err := c.Publish(t.Context(), residence, origin, []byte("late")).Wait(t.Context())
	wantFault(t, err, fault.KindUnavailable, ReasonClosed)
	wantFault(t, c.Consume(t.Context(), residence, fromStart, nil), fault.KindUnavailable, ReasonClosed)
}

func TestReplicasShare(t *testing.T) {
	both(t, Limits{}, func(t *testing.T, cfg Config) {
		cfg.Prefetch, cfg.MaxAckPending = 4, 16
		pub := dial(t, cfg)
		a, b := read(t, dial(t, cfg), residence, fromStart), read(t, dial(t, cfg), residence, fromStart)
		eventually(t, "both wait for messages", func() bool {
			cons, err := pub.js.Consumer(t.Context(), "EX_52", durableOf(residence))
			return err == nil && cons.CachedInfo().NumWaiting == 2
		})
		const n = 100
		var fs []*Future
		for i := range n {
			fs = append(fs, pub.Publish(t.Context(), residence, origin, []byte(fmt.Sprint(i))))
		}
		for _, f := range fs {
			if err := f.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		seen := map[string]int{}
		var count [2]int
		for len(seen) < n {
			var m Message
			select {
			case m = <-a.in:
				count[0]++
			case m = <-b.in:
				count[1]++
			case <-time.After(patience):
				t.Fatalf("only %d of %d came", len(seen), n)
			}
			if seen[string(m.Data)]++; seen[string(m.Data)] > 1 {
				t.Fatalf("%s came twice", m.Data)
			}
			if err := m.Ack(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if count[0] == 0 || count[1] == 0 {
			t.Errorf("shared %v", count)
		}
	})
}

func TestJunkUnderASpoofedSource(t *testing.T) {
	h := newHub(t, HubConfig{InProcess: true, Provinces: []string{"52"}})
	c := dial(t, Config{InProcess: h})
	r := read(t, c, residence, fromStart)
	if _, err := c.js.Publish(t.Context(), parcelPrefix+route(residence)+".nobody", []byte("junk")); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, c, residence, origin, "real")
	if m := r.next(t); string(m.Data) != "real" {
		t.Fatalf("got %q", m.Data)
	}
}

func TestNewConsumerStartsADayBeforeTheLast(t *testing.T) {
	h := newHub(t, HubConfig{InProcess: true})
	c := dial(t, Config{InProcess: h})
	mustPublish(t, c, residence, origin, "old")
	for _, x := range []struct {
		name string
		last time.Time
		want string
	}{
		{"a moment ago: the day before covers it", time.Now(), "old"},
		{"long after: passed over", time.Now().Add(25 * time.Hour), "new"},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := read(t, c, residence, func(context.Context) (time.Time, error) { return x.last, nil })
			eventually(t, "consumer", func() bool {
				_, err := c.js.Consumer(t.Context(), "EX_52", durableOf(residence))
				return err == nil
			})
			if x.want == "new" {
				// A start in the future takes nothing yet; what counts is
				// that the old message is passed over.
				cons, err := c.js.Consumer(t.Context(), "EX_52", durableOf(residence))
				if err != nil || cons.CachedInfo().NumPending != 0 || cons.CachedInfo().Delivered.Consumer != 0 {
					t.Fatalf("old message not passed over: %v", err)
				}
			} else if m := r.next(t); string(m.Data) != x.want {
				t.Fatalf("got %q", m.Data)
			}
			r.end()
			if err := c.js.DeleteConsumer(t.Context(), "EX_52", durableOf(residence)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestDirectory(t *testing.T) {
	both(t, Limits{}, func(t *testing.T, cfg Config) {
		c := dial(t, cfg)
		for i := range 3 {
			if err := c.PublishDirectory(t.Context(), []byte(fmt.Sprint("entry ", i))); err != nil {
				t.Fatal(err)
			}
		}
		entries, end := readDirectory(t, c)
		for i := range 3 {
			if e := take(t, entries); string(e.Data) != fmt.Sprint("entry ", i) || e.Pending != uint64(2-i) {
				t.Fatalf("place %d: %q, %d pending", i, e.Data, e.Pending)
			}
		}
		if err := c.PublishDirectory(t.Context(), []byte("live")); err != nil {
			t.Fatal(err)
		}
		if e := take(t, entries); string(e.Data) != "live" {
			t.Fatalf("got %q", e.Data)
		}
		if n, err := c.DirectorySize(t.Context()); err != nil || n != 4 {
			t.Fatalf("size %d, %v", n, err)
		}
		wantFault(t, c.PublishDirectory(t.Context(), make([]byte, MaxPayloadBytes+1)), fault.KindInvalid, ReasonTooLarge)
		end()
	})
}

func readDirectory(t *testing.T, c *Conn) (<-chan Entry, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	entries := make(chan Entry, 1024)
	done := make(chan error, 1)
	go func() { done <- c.ReadDirectory(ctx, func(_ context.Context, e Entry) { entries <- e }) }()
	end := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ReadDirectory: %v", err)
		}
	})
	t.Cleanup(end)
	return entries, end
}

func take(t *testing.T, entries <-chan Entry) Entry {
	t.Helper()
	select {
	case e := <-entries:
		return e
	case <-time.After(patience):
		t.Fatal("no directory entry came")
		return Entry{}
	}
}

func TestPermissionErrorsAreSurfaced(t *testing.T) {
	var hubLog lockedBuffer
	h, err := startHub(HubConfig{StoreDir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&hubLog, nil))}, func(o *server.Options) {
		o.Users = []*server.User{{Username: "node", Password: "word", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{"$JS.API.>"}},
		}}}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	file := filepath.Join(t.TempDir(), "password")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("wrong\n")
	reg := prometheus.NewRegistry()
	c := dial(t, Config{URL: h.URL(), User: "node", PasswordFile: file, Timeout: 300 * time.Millisecond, Registerer: reg})
	eventually(t, "refused three times without giving up", func() bool {
		return strings.Count(hubLog.String(), "authentication error") >= 3
	})
	if gather(t, reg, "yipan_bus_async_errors_total", "auth") == 0 {
		t.Error("refused credentials were not counted")
	}
	write("word\n") // read anew at each attempt
	eventually(t, "connected", func() bool { return c.Connected() })
	err = c.Publish(t.Context(), residence, origin, []byte("x")).Wait(t.Context())
	wantFault(t, err, fault.KindUnavailable, ReasonTimeout)
	eventually(t, "permission error counted", func() bool {
		return gather(t, reg, "yipan_bus_async_errors_total", "permission") > 0
	})
}
