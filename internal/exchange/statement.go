package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"yipan/internal/cases"
	"yipan/internal/store"
	"yipan/internal/wire"
)

// A range with fewer ids than this at both ends is listed, a larger one split
// (rule 17).
const listBelow = 256

// A list statement carries at most this many ids, 256 KiB; a digest statement
// this many ranges of some 36 bytes. Ranges of one parent that are parted cost
// lists, and nothing else.
const (
	maxListed  = 16 << 10
	maxDigests = 8 << 10
)

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

// wantAgain is want after something was mended: while rounds find what was
// lost they follow each other at the first pause.
func (x *Exchange) wantAgain(n cases.NodeID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.roundOf(n)
	r.wanted, r.pause = true, firstPause
	if soon := x.Now().Add(firstPause); r.notTill.After(soon) {
		r.notTill = soon
	}
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
	for i, n := range due {
		if _, ok := x.dir().SealTo(n); !ok {
			continue
		}
		var s *wire.Statement
		if err := x.DB.InExchange(ctx, nil, func(tx *store.Tx) (err error) {
			s, err = x.begin(ctx, tx, n)
			return err
		}); err != nil {
			for _, later := range due[i:] {
				x.want(later)
			}
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
		out, err = x.compare(ctx, tx, p)
	case wire.StateList, wire.StateReply:
		out, err = x.adjust(ctx, tx, peer, s)
	case wire.StateAgree:
		err = x.agreed(ctx, tx, p)
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

// agreed ends a round that found both sets equal. It opens the gate where the
// message answers a statement of this life of the database, its sender knows
// this node's directory, and nothing of this side's FEEDBACK is still on its
// way here (M13).
func (x *Exchange) agreed(ctx context.Context, tx *store.Tx, parcel *wire.Parcel) error {
	peer, s := parcel.From, parcel.Statement
	epoch, err := x.Epoch(ctx)
	if err != nil {
		return err
	}
	p, err := tx.Peer(ctx, peer)
	if err != nil {
		return err
	}
	mark := p.AgreedEpoch
	if s.Echo == nonceOf(epoch) && !s.FeedbackPending && parcel.Serial >= x.dir().Serial() {
		mark = epoch
	}
	x.mu.Lock()
	r := x.roundOf(peer)
	r.pause, r.wanted = 0, mark != epoch
	x.mu.Unlock()
	return tx.Agreed(ctx, peer, x.Now(), mark, s.LeastPending)
}
