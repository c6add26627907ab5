// Package relay carries parcels between the exchange and the bus: a pump from
// what is owed to the broker, and a door for what comes in. It acks the broker
// only when a parcel's transaction is committed, publishes only what is durable,
// and settles nothing on the broker's word. It refuses to decide anything.
package relay

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"yipan/internal/bus"
	"yipan/internal/cases"
	"yipan/internal/exchange"
	"yipan/internal/fault"
	"yipan/internal/store"
)

// Config of a relay.
type Config struct {
	DB       *store.DB
	Exchange *exchange.Exchange
	Bus      *bus.Conn
	Self     cases.NodeID
	Log      *slog.Logger
	Now      func() time.Time

	// Workers absorb at the same time; 0: 3.
	Workers int
	// Poll is how often the pump looks without being woken; 0: 1 s.
	Poll time.Duration
	// Daily is how often every peer is sent a statement; 0: 24 h.
	Daily time.Duration
	// OnCases is told which cases a peer changed; nil: nobody.
	OnCases func([]cases.CaseID)
	// OnBehind is called when a peer knows a newer directory; nil: nobody.
	OnBehind func()
}

// Relay is one node's two ways to the bus.
type Relay struct {
	Config
	wake    chan struct{}
	reached chan struct{} // the broker was reached (again)
	flights *flights
	sent    sync.WaitGroup // publishes whose answer is awaited
	note    time.Duration  // how often the processed time is written down

	mu   sync.Mutex
	pump map[cases.NodeID]bool // pumps under way; true: to look once more
}

// New returns a relay; Run starts it.
func New(c Config) *Relay {
	if c.Workers == 0 {
		c.Workers = 3
	}
	if c.Poll == 0 {
		c.Poll = time.Second
	}
	if c.Daily == 0 {
		c.Daily = 24 * time.Hour
	}
	return &Relay{
		Config: c, wake: make(chan struct{}, 1), reached: make(chan struct{}, 1),
		pump: map[cases.NodeID]bool{}, flights: newFlights(c.Now), note: 10 * time.Second,
	}
}

// Wake tells the pump that something is owed. It never blocks.
func (r *Relay) Wake() { tell(r.wake) }

// tell leaves word; one word is enough.
func tell(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run carries parcels until ctx ends. Nothing of it goes on when it has
// returned. It is called once.
func (r *Relay) Run(ctx context.Context) error {
	defer r.sent.Wait()
	r.Bus.OnConnect(func() { tell(r.reached) })
	g, ctx := errgroup.WithContext(ctx)
	in := make(chan bus.Message)
	g.Go(func() error {
		defer close(in)
		return r.Bus.Consume(ctx, int64(r.Self), r.lastProcessed, func(ctx context.Context, m bus.Message) {
			select {
			case in <- m:
			case <-ctx.Done():
			}
		})
	})
	done := make(chan time.Time, 64)
	for range r.Workers {
		g.Go(func() error {
			for m := range in {
				r.receive(ctx, m, done)
			}
			return nil
		})
	}
	g.Go(func() error { return r.remember(ctx, done) })
	g.Go(func() error { return r.pumpLoop(ctx, g) })
	g.Go(func() error { return r.reachLoop(ctx) })
	g.Go(func() error { return r.stateLoop(ctx) })
	return g.Wait()
}

// noteTime is where the stream time of the last processed message is kept: a
// consumer that is missing is made anew from a day before it.
const noteTime = "bus.processed"

func (r *Relay) lastProcessed(ctx context.Context) (time.Time, error) {
	v, err := r.DB.Note(ctx, noteTime)
	if err != nil || v == "" {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil {
		return time.Time{}, nil //nolint:nilerr // an unreadable note means: from the beginning
	}
	return t, nil
}

// remember writes the processed time down now and then; what comes again
// because it was not written is absorbed again without effect.
func (r *Relay) remember(ctx context.Context, done <-chan time.Time) error {
	tick := time.NewTicker(r.note)
	defer tick.Stop()
	var last, written time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case t := <-done:
			if t.After(last) {
				last = t
			}
		case <-tick.C:
			if last.After(written) {
				if err := r.DB.PutNote(ctx, noteTime, last.Format(time.RFC3339Nano)); err == nil {
					written = last
				}
			}
		}
	}
}

// longestNak is how late a parcel may come that waited for the database or the
// directory: a try costs little, and nobody tells the broker when they are back.
const longestNak = 15 * time.Second

// receive absorbs one message and acks it, then publishes the answer.
func (r *Relay) receive(ctx context.Context, m bus.Message, done chan<- time.Time) {
	got, err := r.Exchange.Absorb(ctx, m.Data)
	if err != nil {
		if ctx.Err() != nil {
			return
		}
		f, _ := fault.As(err)
		if f != nil && f.Reason == "DIRECTORY_BEHIND" && r.OnBehind != nil {
			r.OnBehind()
		}
		delay := min(time.Second<<min(m.Redelivered, 6), longestNak)
		r.Log.Warn("parcel not absorbed; it will come again", "error", err, "redelivered", m.Redelivered)
		_ = m.Nak(delay)
		return
	}
	if hook := testHookAbsorbed; hook != nil {
		hook()
	}
	_ = m.Ack(ctx) // an ack that fails means: it comes again, without effect
	select {
	case done <- m.Time:
	default:
	}
	r.publish(ctx, got.Answers)
	if r.flights.heard(got.From) {
		if err := r.Exchange.Heard(ctx, got.From); err != nil { // its rows keep their clocks
			r.Log.Warn("what is owed to a peer that is back keeps its pauses", "peer", got.From.String(), "error", err)
		}
	}
	r.flights.landed(got.From, got.Receipted)
	if got.Owed || len(got.Receipted) > 0 {
		r.Wake()
	}
	if r.OnCases != nil && len(got.Cases) > 0 {
		r.OnCases(got.Cases)
	}
}

// testHookAbsorbed runs between commit and ack, where a test ends the relay.
var testHookAbsorbed func()

func (r *Relay) publish(ctx context.Context, ps []exchange.Parcel) {
	for _, p := range ps {
		f := r.Bus.Publish(ctx, int64(p.To), int64(r.Self), p.Bytes)
		r.sent.Go(func() {
			switch err := f.Wait(ctx); {
			case ctx.Err() != nil:
			case err != nil:
				r.Log.Warn("parcel not published; what it holds is sent again", "peer", p.To.String(), "error", err)
				r.flights.refused(p.To, p.ID)
			case r.flights.taken(p.To, p.ID):
				r.Wake()
			}
		})
	}
}

// reachLoop does what is due when the broker was reached (again): what is
// unsettled is sent at once, and every peer is owed a statement round. A
// database that is away just then is waited for.
func (r *Relay) reachLoop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.reached:
		}
		r.flights.clear()
		r.Wake()
		for wait := time.Second; ; wait = min(2*wait, longestNak) {
			_, err := r.Exchange.Resend(ctx, 0, false)
			if err == nil {
				err = r.wantAll(ctx)
			}
			if err == nil || ctx.Err() != nil {
				break
			}
			r.Log.Warn("unsettled items not made due", "error", err)
			if !pause(ctx, wait) {
				break
			}
		}
		r.Wake()
	}
}

// wantAll asks for a statement round with every peer, jittered.
func (r *Relay) wantAll(ctx context.Context) error {
	peers, err := r.Exchange.Peers(ctx)
	if err != nil {
		return err
	}
	for _, p := range peers {
		r.Exchange.WantIn(p, time.Duration(rand.Int64N(int64(2*time.Second)))) //nolint:gosec // jitter
	}
	return nil
}

// stateLoop begins the statement rounds that are wanted: after connecting,
// daily, and after anything that hints at a difference.
func (r *Relay) stateLoop(ctx context.Context) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	next := r.Now().Add(r.Daily/2 + time.Duration(rand.Int64N(int64(r.Daily/2)+1))) //nolint:gosec // jitter
	looked := r.Now()
	all := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := r.Now()
		if now.After(next) {
			next, all = now.Add(r.Daily), true
		}
		if now.Sub(looked) > 10*time.Second {
			looked = now
			changed, err := r.Exchange.Refresh(ctx)
			all = all || err == nil && changed
		}
		if all {
			if err := r.wantAll(ctx); err == nil {
				all = false
			} else if ctx.Err() == nil {
				r.Log.Warn("peers not read", "error", err)
			}
		}
		if !r.Bus.Connected() {
			continue
		}
		ps, err := r.Exchange.Statements(ctx)
		if err != nil && ctx.Err() == nil {
			r.Log.Warn("statements not made", "error", err)
		}
		r.publish(ctx, ps)
	}
}
