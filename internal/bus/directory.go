package bus

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"yipan/internal/fault"
)

// Entry is one delivery of a directory entry.
type Entry struct {
	Data    []byte
	Time    time.Time // when the broker stored it; no evidence of anything
	Pending uint64    // entries that follow and are there already; 0: caught up
}

// PublishDirectory stores one entry of the directory and returns when the
// broker has it. Errors: fault.Invalid (PAYLOAD_TOO_LARGE), fault.Unavailable.
func (c *Conn) PublishDirectory(ctx context.Context, payload []byte) error {
	if len(payload) > MaxPayloadBytes {
		return fault.Invalid(ReasonTooLarge, "directory entry of %d bytes", len(payload))
	}
	err := c.publishSync(ctx, directorySubject, payload)
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		if err := c.createStream(ctx, c.cfg.Limits.directoryStream()); err != nil {
			return err
		}
		err = c.publishSync(ctx, directorySubject, payload)
	}
	if err != nil {
		return brokerFault(err, "publish directory entry")
	}
	return nil
}

// DirectorySize returns how many entries the broker holds; 0 after its disk
// was lost, when whoever keeps the log should publish it again. Errors:
// fault.Unavailable.
func (c *Conn) DirectorySize(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	s, err := c.js.Stream(ctx, directoryStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, brokerFault(err, "look up directory")
	}
	return s.CachedInfo().State.Msgs, nil
}

// ReadDirectory hands every entry of the directory to h in the order of
// publishing, then each new one, until ctx ends (nil) or Close
// (fault.Unavailable, BUS_CLOSED). After every new connection, and whenever
// an entry was missed, it begins again from the first: h sees entries
// repeatedly and tells them apart by their content.
func (c *Conn) ReadDirectory(ctx context.Context, h func(context.Context, Entry)) error {
	var next uint64 // place of the entry that must come next in this subscription
	find := func(ctx context.Context) (jetstream.Consumer, error) {
		next = 1
		cfg := jetstream.ConsumerConfig{
			Name:          "d_" + nuid.Next(),
			FilterSubject: directorySubject,
			DeliverPolicy: jetstream.DeliverAllPolicy,
			AckPolicy:     jetstream.AckNonePolicy,
			MemoryStorage: true,
			Replicas:      1,
			// Long, so that a slow reader does not lose it between two pulls.
			InactiveThreshold: 5 * time.Minute,
		}
		cons, err := c.js.CreateConsumer(ctx, directoryStream, cfg)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			if err := c.createStream(ctx, c.cfg.Limits.directoryStream()); err != nil {
				return nil, err
			}
			cons, err = c.js.CreateConsumer(ctx, directoryStream, cfg)
		}
		return cons, err
	}
	return c.keepPulling(ctx, "directory", find, func(msg jetstream.Msg, _ uint64) error {
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		if meta.Sequence.Consumer != next {
			return fault.Unavailable("DIRECTORY_GAP", "entry %d of this reading came instead of %d", meta.Sequence.Consumer, next)
		}
		next++
		h(ctx, Entry{Data: msg.Data(), Time: meta.Timestamp, Pending: meta.NumPending})
		return nil
	})
}
