package bus

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"yipan/internal/fault"
)

// MaxPayloadBytes bounds one message. Parcels are at most 512 KiB (256 KiB of
// items, padded to a power of two, and the seal); twice that leaves room.
const MaxPayloadBytes = 1 << 20

const (
	directoryStream = "DIR"
	// directoryBytes: 44,000 entries (every township of the country) measured
	// 75 MiB; ten times that is still a bound against a flood.
	directoryBytes = 1 << 30
)

// Limits are the settings of the province streams. Zero values mean the
// defaults.
type Limits struct {
	MaxBytes     int64         // per stream, default 4 GiB; a full stream refuses (STREAM_FULL)
	MaxAge       time.Duration // default 30 days
	Replicas     int           // 1 (default), 3 or 5 servers
	MaxConsumers int           // per stream, default 5,000; the server's own default is only 1,000
}

func (l Limits) withDefaults() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = 4 << 30
	}
	if l.MaxAge <= 0 {
		l.MaxAge = 30 * 24 * time.Hour
	}
	if l.Replicas <= 0 {
		l.Replicas = 1
	}
	if l.MaxConsumers <= 0 {
		l.MaxConsumers = 5000
	}
	return l
}

func (l Limits) exchangeStream(province string) jetstream.StreamConfig {
	c := l.baseStream()
	c.Name = streamOf(province)
	c.Subjects = []string{parcelPrefix + province + ".>"}
	c.MaxBytes = l.MaxBytes
	c.MaxAge = l.MaxAge
	return c
}

func (l Limits) directoryStream() jetstream.StreamConfig {
	c := l.baseStream()
	c.Name = directoryStream
	c.Subjects = []string{directorySubject}
	c.MaxBytes = directoryBytes
	return c
}

// baseStream: limits retention, because a work queue costs an fsync per ack
// and interest retention acks what nobody stores.
func (l Limits) baseStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Retention:         jetstream.LimitsPolicy,
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardNew,
		MaxMsgs:           -1,
		MaxMsgsPerSubject: -1,
		MaxMsgSize:        MaxPayloadBytes,
		Replicas:          l.Replicas,
		MaxConsumers:      l.MaxConsumers,
		DenyDelete:        true,
		DenyPurge:         true,
	}
}

// EnsureStreams makes the directory's stream and those of the given provinces
// (two digits each) where they are missing. It never alters one that exists.
// Errors: fault.Invalid for a province that is none, fault.Unavailable.
func (c *Conn) EnsureStreams(ctx context.Context, provinces []string) error {
	return c.eachStream(ctx, provinces, c.createStream)
}

// ApplyStreams is EnsureStreams for the operator: streams that exist get the
// limits of this Conn.
func (c *Conn) ApplyStreams(ctx context.Context, provinces []string) error {
	return c.eachStream(ctx, provinces, func(ctx context.Context, sc jetstream.StreamConfig) error {
		ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
		defer cancel()
		if _, err := c.js.CreateOrUpdateStream(ctx, sc); err != nil {
			return brokerFault(err, "apply stream "+sc.Name)
		}
		return nil
	})
}

func (c *Conn) eachStream(ctx context.Context, provinces []string, do func(context.Context, jetstream.StreamConfig) error) error {
	for _, p := range provinces {
		if len(p) != 2 || p[0] < '1' || p[0] > '9' || p[1] < '0' || p[1] > '9' {
			return fault.Invalid("PROVINCE", "a province is two digits").On("provinces")
		}
	}
	if err := do(ctx, c.cfg.Limits.directoryStream()); err != nil {
		return err
	}
	for _, p := range provinces {
		if err := do(ctx, c.cfg.Limits.exchangeStream(p)); err != nil {
			return err
		}
	}
	return nil
}

// createStream makes a stream unless there is one of that name. Callers that
// find the same stream missing at the same time share one request.
func (c *Conn) createStream(ctx context.Context, sc jetstream.StreamConfig) error {
	_, err, _ := c.making.Do(sc.Name, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.Timeout)
		defer cancel()
		_, err := c.js.CreateStream(ctx, sc)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return nil, nil // made by somebody with other limits: theirs stand
		}
		if err == nil {
			c.log.DebugContext(ctx, "stream ensured", "stream", sc.Name)
		}
		return nil, err
	})
	if err != nil {
		return brokerFault(err, "ensure stream "+sc.Name)
	}
	return nil
}
