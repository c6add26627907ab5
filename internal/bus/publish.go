package bus

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"yipan/internal/fault"
)

// Future is a publish under way.
type Future struct {
	done chan struct{}
	err  error
}

// Done is closed when the broker has answered, or will not.
func (f *Future) Done() <-chan struct{} { return f.done }

// Wait waits for the broker's answer: nil when it has stored the message,
// else a fault (reasons in this package). When ctx ends first, the outcome
// stays open: fault.Unavailable (BROKER_TIMEOUT).
func (f *Future) Wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	default:
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return fault.Unavailable(ReasonTimeout, "wait for publish").Because(ctx.Err())
	}
}

// Publish sends payload from node src to node dst and returns while the
// answer is under way; it blocks only while Config.Window publishes are (and
// then at most until ctx ends). The Future always comes to an end, after at
// most about three times Config.Timeout. Where no stream takes the subject
// (the broker lost its disk), the stream is made and the publish repeated once.
// payload must stay unchanged until then. Errors, all through the Future:
// fault.Invalid (NODE_ID, PAYLOAD_TOO_LARGE), else fault.Unavailable.
//
// Success means that the broker stored the bytes, nothing more.
func (c *Conn) Publish(ctx context.Context, dst, src int64, payload []byte) *Future {
	f := &Future{done: make(chan struct{})}
	if err := errors.Join(checkNode(dst), checkNode(src)); err != nil {
		c.settle(f, err)
		return f
	}
	if len(payload) > MaxPayloadBytes {
		c.settle(f, fault.Invalid(ReasonTooLarge, "payload of %d bytes", len(payload)))
		return f
	}
	select {
	case c.window <- struct{}{}:
	case <-ctx.Done():
		c.settle(f, fault.Unavailable(ReasonTimeout, "wait for the publish window").Because(ctx.Err()))
		return f
	case <-c.closing:
		c.settle(f, errClosed())
		return f
	}
	c.mu.Lock()
	if c.done {
		c.mu.Unlock()
		<-c.window
		c.settle(f, errClosed())
		return f
	}
	c.jobs.Add(1)
	c.mu.Unlock()

	if !c.nc.IsConnected() { // spares a timer per try, which nats.go would leave running
		c.finish(f, nats.ErrDisconnected)
		return f
	}
	subject := Subject(dst, src)
	ack, err := c.js.PublishAsync(subject, payload,
		jetstream.WithStallWait(c.cfg.Timeout), jetstream.WithRetryAttempts(0))
	if err != nil {
		c.finish(f, err)
		return f
	}
	go func() { c.finish(f, c.answer(ctx, ack, dst, subject, payload)) }()
	return f
}

// answer waits for the broker's answer and mends a missing stream.
func (c *Conn) answer(ctx context.Context, ack jetstream.PubAckFuture, dst int64, subject string, payload []byte) error {
	var err error
	select {
	case <-ack.Ok():
	case err = <-ack.Err():
	}
	if !errors.Is(err, jetstream.ErrNoStreamResponse) {
		return err
	}
	ctx = context.WithoutCancel(ctx) // the caller may have left; the answer is still owed
	if err := c.createStream(ctx, c.cfg.Limits.exchangeStream(provinceOf(dst))); err != nil {
		return err
	}
	return c.publishSync(ctx, subject, payload)
}

func (c *Conn) publishSync(ctx context.Context, subject string, payload []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	_, err := c.js.Publish(ctx, subject, payload,
		jetstream.WithRetryAttempts(2), jetstream.WithRetryWait(100*time.Millisecond))
	return err
}

func (c *Conn) finish(f *Future, err error) {
	<-c.window
	c.settle(f, err)
	c.jobs.Done()
}

func (c *Conn) settle(f *Future, err error) {
	result := "ok"
	if err != nil {
		e := brokerFault(err, "publish")
		f.err = e
		result = e.Reason
	}
	c.metrics.publishes.WithLabelValues(result).Inc()
	close(f.done)
}
