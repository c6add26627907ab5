package exchange

import (
	"context"

	"yipan/internal/fault"
	"yipan/internal/wire"
)

// open unseals and verifies a parcel.
func (x *Exchange) open(envelope []byte) (*wire.Parcel, error) {
	e, err := wire.ParseEnvelope(envelope)
	if err != nil {
		return nil, err
	}
	if e.To != x.Self() {
		return nil, fault.Invalid("NOT_FOR_US", "parcel is for node %s", e.To)
	}
	key, err := x.Keys.SealingKey(e.KeyID)
	if err != nil {
		return nil, fault.Invalid("UNOPENABLE", "sealing key %s is not held", e.KeyID)
	}
	p, err := e.Open(key, x.SuiteFloor)
	if err != nil {
		return nil, err
	}
	sender, ok := x.keyOf(p.From, p.KeyID)
	if ok {
		if err := p.Verify(sender); err != nil {
			return nil, err
		}
	}
	if d := x.dir(); p.Serial > d.Serial() {
		return nil, fault.Unavailable("DIRECTORY_BEHIND", "sender knows directory %d, this node %d", p.Serial, d.Serial())
	}
	if !ok {
		return nil, fault.Denied("SENDER", "signing key %s of node %s is not in the directory", p.KeyID, p.From)
	}
	return p, nil
}

// quarantine keeps a parcel that cannot be opened and hints its sender.
func (x *Exchange) quarantine(ctx context.Context, envelope []byte, why error) (Absorbed, error) {
	reason := "UNOPENABLE"
	if f, ok := fault.As(why); ok {
		reason = f.Reason
	}
	x.metrics.refused.WithLabelValues(reason).Inc()
	e, err := wire.ParseEnvelope(envelope)
	if err != nil {
		x.Log.Warn("parcel is unreadable", "reason", reason, "bytes", len(envelope))
		return Absorbed{}, nil //nolint:nilerr // nothing names its sender: there is nobody to tell, and nothing to keep
	}
	x.Log.Warn("parcel quarantined", "reason", reason, "peer", e.From.String())
	if err := x.DB.Quarantine(ctx, e.Parcel, e.From, reason, envelope); err != nil {
		return Absorbed{}, err
	}
	out := Absorbed{From: e.From}
	if reason == "UNOPENABLE" && e.To == x.Self() {
		hint := wire.Parcel{Hints: []wire.Hint{{Parcel: e.Parcel, Kind: wire.Unopenable, Serial: x.dir().Serial()}}}
		if a, err := x.seal(&hint, e.From); err == nil {
			out.Answers = append(out.Answers, a)
		}
	}
	return out, nil
}
