package exchange

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/store"
	"yipan/internal/wire"
)

// A range with fewer ids than this at both ends is listed, a larger one split
// (rule 17).
const listBelow = 256

// A list statement carries at most this many ids, 256 KiB.
const maxListed = 16 << 10

// Statement rounds with one peer follow each other at least this far apart,
// doubling up to the longest while differences go on: under load something is
// always on its way.
const (
	firstPause   = 2 * time.Second
	longestPause = 5 * time.Minute
)

// round is what is remembered of statements with a peer; a restart forgets it,
// and then every peer is asked anew.
type round struct {
	wanted  bool
	pause   time.Duration
	notTill time.Time
}

// want asks for a statement round with a peer.
func (x *Exchange) want(n cases.NodeID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.roundOf(n).wanted = true
}

// Want asks for statement rounds with a peer now, however short ago the last
// one was.
func (x *Exchange) Want(n cases.NodeID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.roundOf(n)
	r.wanted, r.pause, r.notTill = true, 0, time.Time{}
}

// Start asks for a round with a peer, 0: with all, and returns how many.
func (x *Exchange) Start(ctx context.Context, n cases.NodeID) (int, error) {
	if n != 0 {
		x.Want(n)
		return 1, nil
	}
	peers, err := x.Peers(ctx)
	for _, p := range peers {
		x.Want(p)
	}
	return len(peers), err
}

// WantIn is Want after a pause, so that many peers are not asked at once.
func (x *Exchange) WantIn(n cases.NodeID, d time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.roundOf(n)
	r.wanted, r.pause, r.notTill = true, 0, x.Now().Add(d)
}

func (x *Exchange) roundOf(n cases.NodeID) *round {
	if x.state[n] == nil {
		x.state[n] = &round{}
	}
	return x.state[n]
}

// Statements returns the parcels that begin the rounds wanted now: the node
// with the lower code states, the other asks it to.
func (x *Exchange) Statements(ctx context.Context) ([]Parcel, error) {
	now := x.Now()
	var due []cases.NodeID
	x.mu.Lock()
	for n, r := range x.state {
		if r.wanted && !now.Before(r.notTill) {
			r.wanted = false
			r.pause = min(max(2*r.pause, firstPause), longestPause)
			r.notTill = now.Add(r.pause)
			due = append(due, n)
		}
	}
	x.mu.Unlock()
	slices.Sort(due)
	var out []Parcel
	for _, n := range due {
		if _, ok := x.dir().SealTo(n); !ok {
			continue
		}
		var s *wire.Statement
		if err := x.DB.InExchange(ctx, nil, func(tx *store.Tx) (err error) {
			s, err = x.begin(ctx, tx, n)
			return err
		}); err != nil {
			x.want(n)
			return out, err
		}
		p, err := x.seal(&wire.Parcel{Statement: s}, n)
		if err != nil {
			return out, err
		}
		out = append(out, p)
	}
	return out, nil
}

// begin returns the statement that begins a round: the node with the lower code
// states, and so may the other while its gate is closed (model rule M13).
func (x *Exchange) begin(ctx context.Context, tx *store.Tx, n cases.NodeID) (*wire.Statement, error) {
	open, err := x.gate(ctx, tx, n)
	if err != nil {
		return nil, err
	}
	if x.Self() < n || !open {
		return x.stateRoot(ctx, tx, n, 0)
	}
	s := &wire.Statement{Kind: wire.StateAsk}
	return s, x.stamp(ctx, tx, n, s, 0)
}

// gate reports whether a round with the peer was completed in this life of the
// database: before that no FEEDBACK leaves towards it (rule 26).
func (x *Exchange) gate(ctx context.Context, tx *store.Tx, n cases.NodeID) (bool, error) {
	epoch, err := x.Epoch(ctx)
	if err != nil {
		return false, err
	}
	p, err := tx.Peer(ctx, n)
	return p.AgreedEpoch == epoch, err
}

// stamp fills in what every statement carries.
func (x *Exchange) stamp(ctx context.Context, tx *store.Tx, peer cases.NodeID, s *wire.Statement, echo uint64) error {
	epoch, err := x.Epoch(ctx)
	if err != nil {
		return err
	}
	s.Nonce, s.Echo = nonceOf(epoch), echo
	if s.LeastPending, err = tx.LeastPending(ctx, peer); err != nil {
		return err
	}
	if s.FeedbackPending, err = tx.FeedbackPending(ctx, peer); err != nil {
		return err
	}
	s.Missing, err = tx.MissingBodies(ctx, peer, listBelow)
	return err
}

func nonceOf(epoch string) uint64 {
	h := sha256.Sum256([]byte(epoch))
	return binary.BigEndian.Uint64(h[:8]) | 1
}

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

func (x *Exchange) stateRoot(ctx context.Context, tx *store.Tx, peer cases.NodeID, echo uint64) (*wire.Statement, error) {
	pairs, err := tx.Digests(ctx, peer, x.Now())
	if err != nil {
		return nil, err
	}
	n, xor := tally{pairs}.of(wire.Range{})
	s := &wire.Statement{Kind: wire.StateDigest, Ranges: []wire.Digest{{Count: n, XOR: xor}}}
	return s, x.stamp(ctx, tx, peer, s, echo)
}

// onStatement takes a peer's statement in and returns what is answered.
func (x *Exchange) onStatement(ctx context.Context, tx *store.Tx, p *wire.Parcel) ([]*wire.Statement, error) {
	peer, s := p.From, p.Statement
	if err := tx.TouchPeer(ctx, peer); err != nil {
		return nil, err
	}
	var out []*wire.Statement
	var err error
	switch s.Kind {
	case wire.StateAsk:
		root, err := x.stateRoot(ctx, tx, peer, s.Nonce)
		if err != nil {
			return nil, err
		}
		out = append(out, root)
	case wire.StateDigest:
		out, err = x.compare(ctx, tx, peer, s)
	case wire.StateList, wire.StateReply:
		out, err = x.adjust(ctx, tx, peer, s)
	case wire.StateAgree:
		err = x.agreed(ctx, tx, peer, s)
	}
	if err != nil {
		return nil, err
	}
	for _, o := range out {
		if o.Nonce == 0 {
			if err := x.stamp(ctx, tx, peer, o, s.Nonce); err != nil {
				return nil, err
			}
		}
	}
	return out, x.bringBodies(ctx, tx, peer, s.Missing)
}

// bringBodies owes again the items whose bodies the peer misses and that are
// held here in full (M6).
func (x *Exchange) bringBodies(ctx context.Context, tx *store.Tx, peer cases.NodeID, missing []cases.ItemID) error {
	if len(missing) == 0 {
		return nil
	}
	rows, err := tx.Items(ctx, missing)
	if err != nil {
		return err
	}
	var full []cases.ItemID
	for i := range rows {
		if rows[i].Body != nil {
			full = append(full, rows[i].ID)
		}
	}
	_, err = tx.Unsettle(ctx, peer, full)
	return err
}

// agreed ends a round that found both sets equal. It opens the gate where the
// message answers a statement of this life of the database, and nothing of
// this side's FEEDBACK is still on its way here (M13).
func (x *Exchange) agreed(ctx context.Context, tx *store.Tx, peer cases.NodeID, s *wire.Statement) error {
	epoch, err := x.Epoch(ctx)
	if err != nil {
		return err
	}
	p, err := tx.Peer(ctx, peer)
	if err != nil {
		return err
	}
	mark := p.AgreedEpoch
	if s.Echo == nonceOf(epoch) && !s.FeedbackPending {
		mark = epoch
	}
	x.mu.Lock()
	r := x.roundOf(peer)
	r.pause, r.wanted = 0, mark != epoch
	x.mu.Unlock()
	return tx.Agreed(ctx, peer, x.Now(), mark, s.LeastPending)
}

// compare holds a peer's digests against this node's: equal roots end the
// round; an unequal range is listed where it is small and split where not. A
// peer that lists some children of a range has no others.
func (x *Exchange) compare(ctx context.Context, tx *store.Tx, peer cases.NodeID, s *wire.Statement) ([]*wire.Statement, error) {
	pairs, err := tx.Digests(ctx, peer, x.Now())
	if err != nil {
		return nil, err
	}
	c := comparison{x: x, tx: tx, peer: peer, mine: tally{pairs}, prefixes: map[string][]wire.Digest{}}
	if len(s.Ranges) == 1 && !s.Ranges[0].HasDay {
		if n, xor := c.mine.of(wire.Range{}); n == s.Ranges[0].Count && xor == s.Ranges[0].XOR {
			return []*wire.Statement{{Kind: wire.StateAgree}}, x.agreed(ctx, tx, peer, s)
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
	x        *Exchange
	tx       *store.Tx
	peer     cases.NodeID
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
	lo, hi := bounds(r.Prefix)
	return c.tx.SettledIDs(ctx, c.peer, r.Day, r.Pair, lo, hi)
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
	if len(c.split) > 0 {
		out = append(out, &wire.Statement{Kind: wire.StateDigest, Ranges: c.split})
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

// adjust applies rule 18 to the ranges that a peer listed.
func (x *Exchange) adjust(ctx context.Context, tx *store.Tx, peer cases.NodeID, s *wire.Statement) ([]*wire.Statement, error) {
	var reply []wire.Digest
	mended := 0
	for _, r := range s.Ranges {
		mine, err := x.settledIn(ctx, tx, peer, r.Range)
		if err != nil {
			return nil, err
		}
		n, differ, err := x.adjustRange(ctx, tx, peer, r.IDs, mine)
		if err != nil {
			return nil, err
		}
		mended += n
		if differ && s.Kind == wire.StateList {
			after, err := x.settledIn(ctx, tx, peer, r.Range)
			if err != nil {
				return nil, err
			}
			reply = append(reply, wire.Digest{Range: r.Range, IDs: after})
		}
	}
	if mended > 0 || len(reply) > 0 {
		x.metrics.mended.WithLabelValues(peerLabel(peer)).Add(float64(mended))
		if err := tx.AddMended(ctx, peer, mended); err != nil {
			return nil, err
		}
		x.want(peer) // again until equal
	}
	return lists(wire.StateReply, reply), nil
}

func (x *Exchange) settledIn(ctx context.Context, tx *store.Tx, peer cases.NodeID, r wire.Range) ([]cases.ItemID, error) {
	lo, hi := bounds(r.Prefix)
	if r.HasPair {
		return tx.SettledIDs(ctx, peer, r.Day, r.Pair, lo, hi)
	}
	pairs, err := tx.Digests(ctx, peer, x.Now())
	if err != nil {
		return nil, err
	}
	var out []cases.ItemID
	for _, p := range pairs {
		if !r.HasDay || p.Day == r.Day {
			ids, err := tx.SettledIDs(ctx, peer, p.Day, p.Pair, lo, hi)
			if err != nil {
				return nil, err
			}
			out = append(out, ids...)
		}
	}
	return out, nil
}

// adjustRange does rule 18, (i) and (ii), and reports how many rows changed and
// whether the two sets differed.
func (x *Exchange) adjustRange(ctx context.Context, tx *store.Tx, peer cases.NodeID, theirs, mine []cases.ItemID) (changed int, differ bool, err error) {
	settled := make(map[cases.ItemID]bool, len(mine))
	for _, id := range mine {
		settled[id] = true
	}
	var listed []cases.ItemID
	for _, id := range theirs {
		if settled[id] {
			delete(settled, id)
			continue
		}
		listed = append(listed, id)
	}
	held, err := tx.HaveItems(ctx, listed)
	if err != nil {
		return 0, false, err
	}
	differ = len(held) < len(listed) || len(settled) > 0
	if err := x.settleListed(ctx, tx, peer, held); err != nil {
		return 0, false, err
	}
	var owed, gone []cases.ItemID
	for id := range settled {
		home, err := x.isOwed(ctx, tx, peer, id)
		if err != nil {
			return 0, false, err
		}
		if home {
			owed = append(owed, id)
		} else {
			gone = append(gone, id)
		}
	}
	if len(owed) > 0 {
		if _, err := tx.Unsettle(ctx, peer, owed); err != nil {
			return 0, false, err
		}
	}
	if len(gone) > 0 {
		if _, err := tx.ForgetShares(ctx, peer, gone); err != nil {
			return 0, false, err
		}
	}
	return len(held) + len(owed) + len(gone), differ, nil
}

// settleListed settles items held here that the peer lists: it signed that it
// holds them (rule 15, iii).
func (x *Exchange) settleListed(ctx context.Context, tx *store.Tx, peer cases.NodeID, held map[cases.ItemID]bool) error {
	if len(held) == 0 {
		return nil
	}
	ids := make([]cases.ItemID, 0, len(held))
	for id := range held {
		ids = append(ids, id)
	}
	rows, err := tx.Items(ctx, ids)
	if err != nil {
		return err
	}
	shares := make([]store.Share, 0, len(rows))
	for i := range rows {
		h, err := wire.DecodeHead(rows[i].Head)
		if err != nil {
			continue
		}
		shares = append(shares, book.ShareOf(&cases.Item{ID: rows[i].ID, Head: h}, h.X, h.Y, peer, true))
	}
	return tx.MergeShares(ctx, shares)
}

// isOwed reports whether the peer is a current home of an item's case: a
// receipt belongs to the cases of the items it covers (rule 11).
func (x *Exchange) isOwed(ctx context.Context, tx *store.Tx, peer cases.NodeID, id cases.ItemID) (bool, error) {
	rows, err := tx.Items(ctx, []cases.ItemID{id})
	if err != nil || len(rows) == 0 {
		return false, err
	}
	of := []cases.CaseID{rows[0].Case}
	if rows[0].Kind == cases.Receipt {
		r, err := book.Receipt(&rows[0])
		if err != nil {
			return false, err
		}
		covered, err := wire.CoveredBy(&r)
		if err != nil {
			return false, nil //nolint:nilerr // a receipt that does not decode is owed to nobody
		}
		if of, err = tx.CasesOfItems(ctx, covered); err != nil {
			return false, err
		}
	}
	legs, err := tx.ReadLegs(ctx, of)
	if err != nil {
		return false, err
	}
	for _, l := range legs {
		if slices.Contains(x.Book.Homes(l.X, l.Y), peer) {
			return true, nil
		}
	}
	return false, nil
}
