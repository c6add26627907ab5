package directory

import (
	"golang.org/x/mod/sumdb/tlog"

	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/seal"
)

// Apply returns the directory with one more record; on an error, and when
// nothing changes, d itself. Errors:
//
//   - Denied DIRECTORY_AUTHORITY, DIRECTORY_SIGNATURE: not from the authority,
//     or put together by somebody else; it proves nothing and counts for
//     nothing;
//   - Invalid DIRECTORY_RECORD: the entry's serial is not its checkpoint's size;
//   - Unavailable DIRECTORY_GAP: entries between are missing, read them first;
//   - Conflict DIRECTORY_FORK: the authority contradicts what it signed before.
//
// A record held already is a Duplicate; a lower serial with other bytes is one
// of the errors above.
func (d *Directory) Apply(r Record) (*Directory, Event, error) {
	next, events, err := d.Extend([]Record{r})
	if err != nil {
		return d, Event{}, err
	}
	return next, events[0], nil
}

// Extend applies records in order, at the cost of one copy of the directory. It
// stops at the first error and returns what the records before it gave.
func (d *Directory) Extend(rs []Record) (*Directory, []Event, error) {
	w := newDraft(d)
	events := make([]Event, 0, len(rs))
	for _, r := range rs {
		e, err := w.apply(r)
		if err != nil {
			return w.done(), events, err
		}
		events = append(events, e)
	}
	return w.done(), events, nil
}

func (w *draft) apply(r Record) (Event, error) {
	d := &w.d
	size, held := r.checkpoint.Size, d.Serial()
	if !r.HasEntry() {
		if err := d.Compare(r.checkpoint); err != nil {
			return Event{}, err
		}
		w.refresh(r.checkpoint)
		return Event{Kind: Refreshed, Serial: size}, nil
	}
	if err := r.checkpoint.verify(d.authority); err != nil {
		return Event{}, err
	}
	switch leaf := tlog.RecordHash(r.leaf); {
	case size > held+1:
		return Event{}, gap(held, size)
	case size <= held:
		if d.tree.root(int64(size)) != r.checkpoint.Root {
			return Event{}, fork(size)
		}
		if d.tree.leaf(int64(size)-1) != leaf {
			return Event{}, w.blame(r)
		}
		w.refresh(r.checkpoint)
		return Event{Kind: Duplicate, Serial: size}, nil
	default:
		grown := d.tree.extend(d.tree.grown(leaf))
		if grown.root(grown.size) != r.checkpoint.Root {
			return Event{}, w.blame(r)
		}
		w.grow(grown, r.checkpoint)
		return w.enter(r), nil
	}
}

// blame says whose fault it is that an entry and a checkpoint do not fit to
// each other and to the log. Only what the authority signed counts against it.
func (w *draft) blame(r Record) error {
	if !r.authentic(w.d.authority) {
		return fault.Denied("DIRECTORY_SIGNATURE", "directory: entry at serial %d is not signed by the authority", r.Serial()).
			Zh("目录签名不正确")
	}
	if e, err := parseEntry(r.entry); e.Serial != r.Serial() {
		return fault.Invalid("DIRECTORY_RECORD", "directory: entry %d with the checkpoint of size %d", e.Serial, r.Serial()).Because(err)
	}
	return fork(r.Serial())
}

// enter lets a leaf's entry count, or skips it.
func (w *draft) enter(r Record) Event {
	e, proven, err := w.judge(r)
	if err != nil {
		return Event{Kind: Skipped, Serial: r.Serial(), Why: err}
	}
	return w.take(e, proven)
}

// proven is what the signatures under a claim amount to.
type proven struct {
	continued bool
	released  map[cases.NodeID]bool
}

// judge holds an entry to every rule.
func (w *draft) judge(r Record) (Entry, proven, error) {
	d := &w.d
	if !r.authentic(d.authority) {
		return Entry{}, proven{}, fault.Denied("DIRECTORY_SIGNATURE", "directory: entry %d is not signed by the authority", r.Serial())
	}
	e, err := parseEntry(r.entry)
	if err != nil {
		return e, proven{}, err
	}
	if e.Serial != r.Serial() {
		return e, proven{}, fault.Invalid("DIRECTORY_RECORD", "directory: entry says serial %d at serial %d", e.Serial, r.Serial())
	}
	if err := w.judgeClaim(e.Claim); err != nil {
		return e, proven{}, err
	}
	p, err := w.judgeProofs(e)
	return e, p, err
}

// judgeClaim holds a claim to what the directory already says.
func (w *draft) judgeClaim(c Claim) error {
	m := w.d.members[c.Node]
	if joining := m == nil || m.Removed; joining {
		if c.Removed {
			return fault.Invalid("DIRECTORY_CLAIM", "directory: node %s is not there to be removed", c.Node).
				Zh("节点 %s 不在目录中", c.Node)
		}
		if !contains(c.Areas, c.Node.Area()) {
			return fault.Invalid("DIRECTORY_CLAIM", "directory: node %s joins without its principal area", c.Node).
				Zh("节点 %s 的申请未包含其主区划", c.Node)
		}
	}
	for _, k := range c.Keys {
		owner, taken := w.d.owners[k.ID()]
		if taken && owner != (keyOwner{c.Node, k.Use}) {
			return fault.Denied("DIRECTORY_KEY_TAKEN", "directory: key %s of node %s is %s's for %s", k.ID(), c.Node, owner.node, owner.use).
				Zh("密钥 %s 已由其他节点或用途登记", k.ID())
		}
	}
	return nil
}

// judgeProofs verifies the proofs. A wrong signature spoils the entry; so does a
// new signature key without proof of possession. Continuity and release by a
// claim that replaces another entry than the node's current one are void: they
// were given for another state of the directory.
func (w *draft) judgeProofs(e Entry) (proven, error) {
	c := e.Claim
	m := w.d.members[c.Node]
	current := c.Previous == 0 && m == nil || m != nil && c.Previous == m.Serial
	result := proven{released: make(map[cases.NodeID]bool)}
	possessed := make(map[seal.KeyID]bool)
	for _, p := range e.Proofs {
		bad := func(why string) (proven, error) {
			return proven{}, fault.Denied("DIRECTORY_PROOF", "directory: claim of node %s: proof by key %s of node %s: %s", c.Node, p.KeyID, p.Node, why).
				Zh("申请中的签名不正确（密钥 %s）", p.KeyID)
		}
		switch {
		case p.Kind == Possession:
			k, ok := listed(c, p.KeyID)
			if !ok || p.Node != c.Node {
				return bad("no such key in the claim")
			}
			if !p.holds(k, e.claim) {
				return bad("wrong signature of possession")
			}
			possessed[p.KeyID] = true
		case !current:
		case p.Kind == Continuity:
			k, ok := m.vouches(p.KeyID)
			if !ok || p.Node != c.Node || !p.holds(k, e.claim) {
				return bad("wrong signature of continuity")
			}
			result.continued = true
		case p.Kind == Release:
			k, ok := w.d.members[p.Node].vouches(p.KeyID)
			if !ok || !p.holds(k, e.claim) {
				return bad("wrong signature of release")
			}
			result.released[p.Node] = true
		}
	}
	for _, k := range c.Keys {
		if k.Use.signs() && !m.lists(k.Use, k.ID()) && !possessed[k.ID()] {
			return proven{}, fault.Denied("DIRECTORY_PROOF", "directory: claim of node %s: no proof of possession of %s key %s", c.Node, k.Use, k.ID()).
				Zh("密钥 %s 缺少持有证明", k.ID())
		}
	}
	return result, nil
}

func listed(c Claim, id seal.KeyID) (seal.VerifyKey, bool) {
	for _, k := range c.Keys {
		if k.Use.signs() && k.ID() == id {
			v, err := k.verifyKey()
			return v, err == nil
		}
	}
	return seal.VerifyKey{}, false
}
