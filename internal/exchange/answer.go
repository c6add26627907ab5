package exchange

import (
	"yipan/internal/wire"
)

// replies divides the answer into parcels of bounded size.
func (in *inbound) replies() []*wire.Parcel {
	out := []*wire.Parcel{{Hints: in.reply.Hints}}
	size := 0
	for i := range in.reply.Receipts {
		n := bytesOf(in.reply.Receipts[i : i+1])
		if size+n > wire.MaxBytes && size > 0 {
			out, size = append(out, &wire.Parcel{}), 0
		}
		last := out[len(out)-1]
		last.Receipts, size = append(last.Receipts, in.reply.Receipts[i]), size+n
	}
	for _, s := range in.statements {
		if last := out[len(out)-1]; last.Statement == nil && size < wire.MaxBytes/8 && len(s.Ranges) < 1000 {
			last.Statement = s
			continue
		}
		out = append(out, &wire.Parcel{Statement: s})
	}
	return out
}

// answer seals what goes back to the sender.
func (in *inbound) answer() (Absorbed, error) {
	x := in.x
	x.metrics.received.WithLabelValues(peerLabel(in.p.From)).Inc()
	out := Absorbed{From: in.p.From, Owed: in.owed}
	for i := range in.receipts {
		if r := &in.receipts[i]; r.Manifest.From == x.Self() && r.Author == in.p.From {
			out.Receipted = append(out.Receipted, r.Manifest.Parcel)
			if len(in.settled) > 0 {
				x.observe(in.p.From, x.Now().Sub(r.Manifest.PackedAt))
			}
		}
	}
	for id := range in.cases {
		out.Cases = append(out.Cases, id)
	}
	if in.moved {
		x.metrics.items.WithLabelValues("moved").Inc()
		in.reply.Hints = append(in.reply.Hints, wire.Hint{Parcel: in.p.Parcel, Kind: wire.Moved, Serial: x.dir().Serial()})
	}
	if in.unknown {
		x.want(in.p.From)
	}
	replies := in.replies()
	for _, r := range replies {
		if len(r.Receipts) == 0 && len(r.Hints) == 0 && r.Statement == nil {
			continue
		}
		a, err := x.seal(r, in.p.From)
		if err != nil {
			return out, nil //nolint:nilerr // the sender left the directory: it is owed nothing, and what it sent is held
		}
		out.Answers = append(out.Answers, a)
	}
	return out, nil
}
