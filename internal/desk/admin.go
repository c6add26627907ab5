package desk

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/store"
)

// Node says what this node is.
func (d *Desk) Node(ctx context.Context, p access.Principal) (NodeView, error) {
	if err := d.Allow(ctx, p, access.NodeRead, 0); err != nil {
		return NodeView{}, err
	}
	v := NodeView{Node: d.Book.Self, Name: d.Name, Version: d.Version, Serial: d.Book.Directory().Serial(), Now: d.Now()}
	if d.BrokerConnected != nil {
		v.BrokerConnected = d.BrokerConnected()
	}
	err := d.DB.InExchange(ctx, nil, func(tx *store.Tx) (err error) {
		v.Cases, err = tx.CountCases(ctx)
		return err
	})
	return v, err
}

// Peers lists the other nodes: what is unsettled with each and how old. The
// second result counts cases that wait because no node serves their area yet.
func (d *Desk) Peers(ctx context.Context, p access.Principal) ([]PeerView, int64, error) {
	if err := d.Allow(ctx, p, access.NodeRead, 0); err != nil {
		return nil, 0, err
	}
	var out []PeerView
	var waiting int64
	err := d.DB.InExchange(ctx, d.Offices(), func(tx *store.Tx) error {
		known, err := tx.Peers(ctx)
		if err != nil {
			return err
		}
		loads, err := tx.PeerLoads(ctx, true)
		if err != nil {
			return err
		}
		rejected, err := tx.RejectedBy(ctx)
		if err != nil {
			return err
		}
		out = d.peerViews(known, loads, rejected)
		waiting, err = d.noNodeYet(ctx, tx)
		return err
	})
	return out, waiting, err
}

func (d *Desk) peerViews(known []store.Peer, loads []store.PeerLoad, rejected map[cases.NodeID]int64) []PeerView {
	views := map[cases.NodeID]*PeerView{}
	at := func(n cases.NodeID) *PeerView {
		if views[n] == nil {
			views[n] = &PeerView{Node: n, Name: area.FullName(n.Area()), Rejected: rejected[n]}
			if d.RoundTrip != nil {
				views[n].RoundTrip = d.RoundTrip(n)
			}
		}
		return views[n]
	}
	for _, k := range known {
		v := at(k.Node)
		v.LastHeard, v.LastAgreed, v.Mended = k.LastHeard, k.LastAgreed, k.Mended
	}
	now := d.Now()
	for _, l := range loads {
		v := at(l.Peer)
		v.Unsettled, v.Settled = l.Pending, l.Settled
		if !l.OldestAt.IsZero() {
			v.Oldest = max(0, now.Sub(l.OldestAt))
		}
	}
	out := make([]PeerView, 0, len(views))
	for _, v := range views {
		out = append(out, *v)
	}
	slices.SortFunc(out, func(a, b PeerView) int { return int(a.Node - b.Node) })
	return out
}

// noNodeYet counts open cases of this node's openers whose receiver no node
// serves.
func (d *Desk) noNodeYet(ctx context.Context, tx *store.Tx) (n int64, err error) {
	counts, err := tx.UndeliveredByReceiver(ctx)
	for y, c := range counts {
		if _, ok := d.Book.Directory().Home(y); !ok {
			n += c
		}
	}
	return n, err
}

// StartStatement begins a statement round with a peer, 0: with all.
func (d *Desk) StartStatement(ctx context.Context, p access.Principal, peer cases.NodeID) (int, error) {
	if err := d.Allow(ctx, p, access.NodeMend, 0); err != nil {
		return 0, err
	}
	if err := d.knownPeer(peer); err != nil {
		return 0, err
	}
	return d.Rounds(ctx, peer)
}

func (d *Desk) knownPeer(n cases.NodeID) error {
	if _, ok := d.Book.Directory().Node(n); n != 0 && (!ok || n == d.Book.Self) {
		return fault.NotFound("PEER_NOT_FOUND", "directory knows no other node %s", n).Zh("名录中没有节点 %s", n).On("peer")
	}
	return nil
}

// Resend makes everything owed to a peer (0: to all) due at once; a dry run
// only counts it.
func (d *Desk) Resend(ctx context.Context, p access.Principal, peer cases.NodeID, dryRun bool) (int64, error) {
	if err := d.Allow(ctx, p, access.NodeMend, 0); err != nil {
		return 0, err
	}
	if err := d.knownPeer(peer); err != nil {
		return 0, err
	}
	n, err := d.SendAgain(ctx, peer, dryRun)
	if !dryRun {
		d.wake()
	}
	return n, err
}

// Directory lists the nodes of the directory as this node knows it.
func (d *Desk) Directory(ctx context.Context, p access.Principal) ([]DirectoryView, error) {
	if err := d.Allow(ctx, p, access.NodeRead, 0); err != nil {
		return nil, err
	}
	dir := d.Book.Directory()
	var out []DirectoryView
	for _, m := range dir.Nodes() {
		v := DirectoryView{Serial: m.Serial, Node: m.ID, Name: m.Name, Areas: dir.ServedBy(m.ID), Speaks: m.Speaks.Max}
		for _, k := range m.Keys {
			v.Keys = append(v.Keys, k.Use.String()+":"+k.ID().String())
		}
		out = append(out, v)
	}
	return out, nil
}

// Folds pages through all cases of the node with digests of their sets and
// folds, for the conservation check. It names no persons.
func (d *Desk) Folds(ctx context.Context, p access.Principal, pageSize int, token string) ([]FoldView, string, error) {
	if err := d.Allow(ctx, p, access.NodeMend, 0); err != nil {
		return nil, "", err
	}
	if pageSize <= 0 {
		pageSize = 1000
	}
	pageSize = min(pageSize, 5000)
	var after cases.CaseID
	if token != "" {
		_, id, _, err := parsePageToken(token)
		if err != nil {
			return nil, "", err
		}
		after = id
	}
	var out []FoldView
	var next string
	err := d.DB.InExchange(ctx, nil, func(tx *store.Tx) error {
		out, next = nil, ""
		ids, err := tx.LegsAfter(ctx, after, pageSize)
		if err != nil || len(ids) == 0 {
			return err
		}
		cs, err := d.Book.Read(ctx, tx, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			out = append(out, foldView(cs[id]))
		}
		if len(ids) == pageSize {
			next = pageToken(time.Time{}, ids[len(ids)-1], 0)
		}
		return nil
	})
	return out, next, err
}

func foldView(c *book.Case) FoldView {
	ids := make([]cases.ItemID, len(c.Items))
	for i := range c.Items {
		ids[i] = c.Items[i].ID
	}
	slices.SortFunc(ids, func(a, b cases.ItemID) int { return slices.Compare(a[:], b[:]) })
	h := sha256.New()
	for _, id := range ids {
		h.Write(id[:])
	}
	return FoldView{Case: c.ID, X: c.X, Y: c.Y, Set: [16]byte(h.Sum(nil)[:16]), Fold: c.State.Digest(), Items: len(ids), Report: c.IsReport()}
}
