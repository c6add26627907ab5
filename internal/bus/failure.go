package bus

import (
	"context"
	"errors"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"yipan/internal/fault"
)

// Reasons of the errors of this package, beside those named where they arise.
const (
	ReasonStreamFull = "STREAM_FULL"       // the stream's MaxBytes are reached; old messages must age out
	ReasonNoStream   = "NO_STREAM"         // no stream takes the subject, and none could be made
	ReasonTimeout    = "BROKER_TIMEOUT"    // no answer in time; a publish may still have been stored
	ReasonAway       = "BROKER_AWAY"       // no connection to the broker now
	ReasonTooLarge   = "PAYLOAD_TOO_LARGE" // above MaxPayloadBytes or the server's own limit
	ReasonStale      = "STALE_DELIVERY"    // the connection that delivered the message is gone
	ReasonClosed     = "BUS_CLOSED"        // Close was called
	ReasonBroker     = "BROKER"            // any other refusal of the broker
)

// Error codes of JetStream that nats.go has no names for (nats-server
// errors.json).
const codeStoreFailed jetstream.ErrorCode = 10077

// brokerFault turns an error of nats.go into one of the closed set. All are
// fault.Unavailable but a payload that is too large, which is fault.Invalid.
func brokerFault(err error, what string) *fault.Error {
	if f, ok := fault.As(err); ok {
		return f
	}
	reason := ReasonBroker
	var api *jetstream.APIError
	switch {
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum):
		return fault.Invalid(ReasonTooLarge, "%s", what).Because(err)
	case errors.As(err, &api) && api.ErrorCode == codeStoreFailed && strings.HasPrefix(api.Description, "maximum "):
		reason = ReasonStreamFull
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, jetstream.ErrStreamNotFound):
		reason = ReasonNoStream
	case errors.Is(err, jetstream.ErrAsyncPublishTimeout), errors.Is(err, nats.ErrTimeout),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, jetstream.ErrTooManyStalledMsgs):
		reason = ReasonTimeout
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrDisconnected),
		errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrConnectionReconnecting):
		reason = ReasonAway
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		reason = ReasonClosed
	}
	return fault.Unavailable(reason, "%s", what).Because(err)
}
