package bus

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"yipan/internal/fault"
)

// lookBack is how far before the last processed message a new consumer
// starts: what was fetched but not committed, and clocks that disagree.
const lookBack = 24 * time.Hour

// Message is one delivery of a parcel. It may be kept and acked later, from
// any goroutine, once.
type Message struct {
	Dst, Src    int64     // from the subject: Dst is the node itself, Src no evidence
	Data        []byte    // the parcel; owned by the reader
	Time        time.Time // when the broker stored it, by the broker's clock
	Redelivered int       // how often it was delivered before, 0 at first

	msg   jetstream.Msg
	conn  *Conn
	epoch uint64
}

// Ack tells the broker that the message is taken care of; call it after the
// commit. It is not confirmed: a lost ack means that the message comes again.
// Errors: fault.Unavailable (STALE_DELIVERY when the connection that delivered
// it is gone; BROKER_AWAY); the message comes again.
func (m Message) Ack(ctx context.Context) error {
	if ctx.Err() != nil {
		return fault.Unavailable(ReasonTimeout, "ack").Because(ctx.Err())
	}
	return m.reply("ack", m.msg.Ack)
}

// Nak asks for the message again after delay. Errors as Ack.
func (m Message) Nak(delay time.Duration) error {
	return m.reply("nak", func() error { return m.msg.NakWithDelay(delay) })
}

// Term ends the delivery of a message that can never be taken. Errors as Ack.
func (m Message) Term() error { return m.reply("term", m.msg.Term) }

func (m Message) reply(what string, do func() error) error {
	if m.conn.epoch() != m.epoch {
		return fault.Unavailable(ReasonStale, "%s over a later connection", what)
	}
	if err := do(); err != nil {
		return brokerFault(err, what)
	}
	return nil
}

// Consume hands every parcel for node self to h, one after the other, until
// ctx ends (nil) or Close (fault.Unavailable, BUS_CLOSED). All replicas of a
// node share one durable consumer. It lives in the broker's memory and is made
// anew whenever it is missing, from a day before what since returns (the
// stream time of the last message that the node committed; the zero time
// means everything there is). h may keep messages and ack later, at most
// Config.MaxAckPending of them; what is not acked within Config.AckWait comes
// again, and so does everything unacked when a connection is lost.
func (c *Conn) Consume(ctx context.Context, self int64, since func(context.Context) (time.Time, error), h func(context.Context, Message)) error {
	if err := checkNode(self); err != nil {
		return err
	}
	find := func(ctx context.Context) (jetstream.Consumer, error) { return c.durable(ctx, self, since) }
	return c.keepPulling(ctx, "exchange", find, func(msg jetstream.Msg, epoch uint64) error {
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		dst, src, err := ParseSubject(msg.Subject())
		if err != nil || dst != self {
			c.metrics.deliveries.WithLabelValues("junk").Inc()
			c.log.WarnContext(ctx, "message under a malformed subject dropped")
			return msg.Ack()
		}
		again := int(meta.NumDelivered) - 1
		if again > 0 {
			c.metrics.deliveries.WithLabelValues("again").Inc()
		} else {
			c.metrics.deliveries.WithLabelValues("first").Inc()
		}
		h(ctx, Message{
			Dst: dst, Src: src, Data: msg.Data(), Time: meta.Timestamp, Redelivered: again,
			msg: msg, conn: c, epoch: epoch,
		})
		return nil
	})
}

// durable finds the node's consumer or makes it, and its stream, anew.
func (c *Conn) durable(ctx context.Context, self int64, since func(context.Context) (time.Time, error)) (jetstream.Consumer, error) {
	stream, name := streamOf(provinceOf(self)), durableOf(self)
	cons, err := c.js.Consumer(ctx, stream, name)
	if err == nil {
		return c.adopt(ctx, stream, self, cons)
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err := c.createStream(ctx, c.cfg.Limits.exchangeStream(provinceOf(self))); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, err
	}
	last, err := since(ctx)
	if err != nil {
		return nil, err
	}
	cfg := jetstream.ConsumerConfig{
		Durable:       name,
		AckPolicy:     jetstream.AckExplicitPolicy,
		MaxDeliver:    -1,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		MemoryStorage: true,
		Replicas:      1,
	}
	c.setDelivery(&cfg, self)
	if !last.IsZero() {
		start := last.Add(-lookBack)
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &start
	}
	cons, err = c.js.CreateConsumer(ctx, stream, cfg)
	if errors.Is(err, jetstream.ErrConsumerExists) {
		return c.js.Consumer(ctx, stream, name) // another replica was faster
	}
	if err == nil {
		c.log.InfoContext(ctx, "consumer made", "stream", stream, "consumer", name, "from", last)
	}
	return cons, err
}

func (c *Conn) setDelivery(cfg *jetstream.ConsumerConfig, self int64) {
	cfg.FilterSubject = filterOf(self)
	cfg.AckWait = c.cfg.AckWait
	cfg.MaxAckPending = c.cfg.MaxAckPending
}

// adopt gives an existing consumer this Conn's settings.
func (c *Conn) adopt(ctx context.Context, stream string, self int64, cons jetstream.Consumer) (jetstream.Consumer, error) {
	has := cons.CachedInfo().Config
	want := has
	c.setDelivery(&want, self)
	if want.FilterSubject == has.FilterSubject && want.AckWait == has.AckWait && want.MaxAckPending == has.MaxAckPending {
		return cons, nil
	}
	return c.js.UpdateConsumer(ctx, stream, want)
}

// keepPulling runs one pull subscription after the other until ctx ends. find
// is asked before each of them; a subscription ends when the connection was
// made anew or the broker says, or its silence tells, that it is gone.
func (c *Conn) keepPulling(ctx context.Context, kind string, find func(context.Context) (jetstream.Consumer, error), each func(jetstream.Msg, uint64) error) error {
	for failures := 0; ; {
		gen, err := c.awaitUp(ctx)
		if err == nil {
			epoch, begun := c.epoch(), time.Now()
			if err = c.pullOnce(ctx, kind, gen, epoch, find, each); time.Since(begun) > c.cfg.Timeout {
				failures = 0
			}
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is no error
		}
		select {
		case <-c.closing:
			return errClosed()
		default:
		}
		if err == nil {
			failures = 0
			continue
		}
		failures++
		c.log.WarnContext(ctx, "subscription interrupted", "stream_kind", kind, "failures", failures, "error", err)
		wait := time.NewTimer(backoff(failures, 50*time.Millisecond, 5*time.Second))
		select {
		case <-wait.C:
		case <-ctx.Done():
		case <-c.closing:
		}
		wait.Stop()
	}
}

// pullOnce returns nil when the subscription ended because another connection
// was made.
func (c *Conn) pullOnce(ctx context.Context, kind string, gen, epoch uint64, find func(context.Context) (jetstream.Consumer, error), each func(jetstream.Msg, uint64) error) error {
	asking, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	cons, err := find(asking)
	cancel()
	if err != nil {
		return err
	}
	it, err := cons.Messages(
		jetstream.PullMaxMessages(c.cfg.Prefetch),
		jetstream.PullExpiry(max(30*time.Second, 4*c.cfg.Heartbeat)),
		jetstream.PullHeartbeat(c.cfg.Heartbeat),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return err
	}
	c.metrics.rebuilt.WithLabelValues(kind).Inc()
	sub, stop := context.WithCancel(ctx)
	watched, renewed := make(chan struct{}), false
	go func() {
		defer close(watched)
		if renewed = c.awaitOther(gen, sub.Done()); renewed {
			it.Drain() // what was fetched already is still handed over
		} else {
			it.Stop()
		}
	}()
	for err == nil {
		var msg jetstream.Msg
		if msg, err = it.Next(jetstream.NextContext(ctx)); err == nil {
			err = each(msg, epoch)
		}
	}
	stop()
	<-watched
	it.Stop()
	if renewed && errors.Is(err, jetstream.ErrMsgIteratorClosed) {
		return nil
	}
	return err
}
