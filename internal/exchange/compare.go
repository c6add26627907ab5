package exchange

import (
	"bytes"
	"context"
	"slices"

	"yipan/internal/cases"
	"yipan/internal/store"
	"yipan/internal/wire"
)

// tally is a settled set in the shape of its digests.
type tally struct{ pairs []store.DayPair }

func (t tally) of(r wire.Range) (n, xor uint64) {
	for _, p := range t.pairs {
		if (!r.HasDay || p.Day == r.Day) && (!r.HasPair || p.Pair == r.Pair) {
			n, xor = n+p.N, xor^p.XOR
		}
	}
	return n, xor
}

// compare holds a peer's digests against this node's: equal roots end the
// round; an unequal range is listed where it is small and split where not. A
// peer that lists some children of a range has no others.
func (x *Exchange) compare(ctx context.Context, tx *store.Tx, p *wire.Parcel) ([]*wire.Statement, error) {
	peer, s := p.From, p.Statement
	pairs, err := tx.Digests(ctx, peer, x.Now())
	if err != nil {
		return nil, err
	}
	c := comparison{own: settledSets{tx: tx, peer: peer}, mine: tally{pairs}, prefixes: map[string][]wire.Digest{}}
	if len(s.Ranges) == 1 && !s.Ranges[0].HasDay {
		if n, xor := c.mine.of(wire.Range{}); n == s.Ranges[0].Count && xor == s.Ranges[0].XOR {
			return []*wire.Statement{{Kind: wire.StateAgree}}, x.agreed(ctx, tx, p)
		}
	}
	theirs, err := c.complete(ctx, s.Ranges)
	if err != nil {
		return nil, err
	}
	for _, r := range theirs {
		if err := c.onRange(ctx, r); err != nil {
			return nil, err
		}
	}
	return c.out(), nil
}

type comparison struct {
	own      settledSets
	mine     tally
	prefixes map[string][]wire.Digest // children by prefix, once computed

	split []wire.Digest
	lists []wire.Digest
}

// complete adds, with count 0, the ranges that this node has beside those that
// the peer lists under the same parent.
func (c *comparison) complete(ctx context.Context, listed []wire.Digest) ([]wire.Digest, error) {
	out := slices.Clone(listed)
	seen := map[string]bool{}
	parents := map[string]wire.Range{}
	for _, r := range listed {
		seen[keyOf(r.Range)] = true
		if p, ok := parentOf(r.Range); ok {
			parents[keyOf(p)] = p
		}
	}
	for _, p := range parents {
		mine, err := c.children(ctx, p)
		if err != nil {
			return nil, err
		}
		for _, m := range mine {
			if !seen[keyOf(m.Range)] {
				out = append(out, wire.Digest{Range: m.Range})
			}
		}
	}
	return out, nil
}

func keyOf(r wire.Range) string {
	b := []byte{0, 0}
	if r.HasDay {
		b[0] = 1
		b = append(b, byte(r.Day>>24), byte(r.Day>>16), byte(r.Day>>8), byte(r.Day))
	}
	if r.HasPair {
		b[1] = 1
		for i := 56; i >= 0; i -= 8 {
			b = append(b, byte(r.Pair>>i))
		}
	}
	return string(append(b, r.Prefix...))
}

func parentOf(r wire.Range) (wire.Range, bool) {
	switch {
	case len(r.Prefix) > 0:
		r.Prefix = r.Prefix[:len(r.Prefix)-1]
	case r.HasPair:
		r.HasPair, r.Pair = false, 0
	case r.HasDay:
		r.HasDay, r.Day = false, 0
	default:
		return r, false
	}
	return r, true
}

// digest returns this node's digest of a range.
func (c *comparison) digest(ctx context.Context, r wire.Range) (n, xor uint64, err error) {
	if len(r.Prefix) == 0 {
		n, xor = c.mine.of(r)
		return n, xor, nil
	}
	ids, err := c.ids(ctx, r)
	for _, id := range ids {
		n, xor = n+1, xor^id.Hash64()
	}
	return n, xor, err
}

func (c *comparison) ids(ctx context.Context, r wire.Range) ([]cases.ItemID, error) {
	return c.own.in(ctx, r)
}

func bounds(prefix []byte) (lo, hi cases.ItemID) {
	copy(lo[:], prefix)
	for i := range hi {
		hi[i] = 0xff
	}
	copy(hi[:], prefix)
	return lo, hi
}

// children returns the non-empty parts of a range on this node.
func (c *comparison) children(ctx context.Context, r wire.Range) ([]wire.Digest, error) {
	if !r.HasPair {
		sums := map[string]*wire.Digest{}
		for _, p := range c.mine.pairs {
			if r.HasDay && p.Day != r.Day {
				continue
			}
			k := wire.Range{Day: p.Day, HasDay: true}
			if r.HasDay {
				k.Pair, k.HasPair = p.Pair, true
			}
			d := sums[keyOf(k)]
			if d == nil {
				d = &wire.Digest{Range: k}
				sums[keyOf(k)] = d
			}
			d.Count, d.XOR = d.Count+p.N, d.XOR^p.XOR
		}
		out := make([]wire.Digest, 0, len(sums))
		for _, d := range sums {
			out = append(out, *d)
		}
		return out, nil
	}
	key := keyOf(r)
	if d, ok := c.prefixes[key]; ok {
		return d, nil
	}
	ids, err := c.ids(ctx, r)
	if err != nil {
		return nil, err
	}
	var out []wire.Digest
	for _, id := range ids { // in order, so children come together
		p := id[:len(r.Prefix)+1]
		if n := len(out); n == 0 || !bytes.Equal(out[n-1].Prefix, p) {
			k := r
			k.Prefix = bytes.Clone(p)
			out = append(out, wire.Digest{Range: k})
		}
		d := &out[len(out)-1]
		d.Count, d.XOR = d.Count+1, d.XOR^id.Hash64()
	}
	c.prefixes[key] = out
	return out, nil
}

// onRange answers one range of the peer's.
func (c *comparison) onRange(ctx context.Context, r wire.Digest) error {
	n, xor, err := c.digest(ctx, r.Range)
	if err != nil || n == r.Count && xor == r.XOR {
		return err
	}
	if !r.HasPair || max(n, r.Count) >= listBelow && len(r.Prefix) < 15 {
		children, err := c.children(ctx, r.Range)
		if err != nil {
			return err
		}
		if len(children) > 0 {
			c.split = append(c.split, children...)
			return nil
		}
	}
	if !r.HasPair { // nothing of it is settled here: let the peer list it
		return c.empty(r.Range)
	}
	ids, err := c.ids(ctx, r.Range)
	c.lists = append(c.lists, wire.Digest{Range: r.Range, IDs: ids})
	return err
}

// empty tells the peer that a day, or everything, is empty here: a list
// without ids, which it answers with its own.
func (c *comparison) empty(r wire.Range) error {
	c.lists = append(c.lists, wire.Digest{Range: r})
	return nil
}

func (c *comparison) out() []*wire.Statement {
	var out []*wire.Statement
	for part := range slices.Chunk(c.split, maxDigests) {
		out = append(out, &wire.Statement{Kind: wire.StateDigest, Ranges: part})
	}
	return append(out, lists(wire.StateList, c.lists)...)
}

// lists divides ranges into statements of bounded size.
func lists(kind wire.StatementKind, ranges []wire.Digest) []*wire.Statement {
	var out []*wire.Statement
	n := maxListed
	for _, r := range ranges {
		if n+len(r.IDs)+4 > maxListed {
			out, n = append(out, &wire.Statement{Kind: kind}), 0
		}
		s := out[len(out)-1]
		s.Ranges, n = append(s.Ranges, r), n+len(r.IDs)+4
	}
	return out
}
