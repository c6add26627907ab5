package directory

import (
	"maps"
	"slices"
	"sync"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/seal"
)

// Member is what the directory knows about a node. It is shared between
// snapshots: do not change what its fields point to.
type Member struct {
	ID   cases.NodeID
	Name string
	// Serial and Time are those of its current entry.
	Serial uint64
	Time   time.Time
	// Joined is the time of its first entry.
	Joined time.Time
	// Removed says that it left: it has neither areas nor keys in use, and only
	// its former keys still verify.
	Removed bool
	// Signing signs its parcels now; SigningNext soon, zero when none is named.
	Signing, SigningNext seal.VerifyKey
	// Certificate and AccessLog are zero when the node has none.
	Certificate, AccessLog seal.VerifyKey
	Keys                   []Key // all that its entry lists, unknown uses too
	Speaks                 Versions
	SuiteFloor             seal.Suite

	former  map[ownedKey]seal.VerifyKey // every signature key of any entry
	sealing []*sealingKey               // in use, in the node's order
}

type ownedKey struct {
	use KeyUse
	id  seal.KeyID
}

// sealingKey parses its key when somebody first sends to the node: parsed, a
// hybrid key takes some 8 KiB, and a node writes to few of all the nodes.
type sealingKey struct {
	key    Key
	once   sync.Once
	parsed seal.SealTo
}

func (k *sealingKey) to() seal.SealTo {
	k.once.Do(func() { k.parsed, _ = seal.ParseSealTo(k.key.Suite, k.key.Public) })
	return k.parsed
}

// succeed returns the member that an entry makes of m, nil before the first.
func (m *Member) succeed(e Entry) *Member {
	c := e.Claim
	next := &Member{
		ID: c.Node, Name: c.Name, Serial: e.Serial, Time: e.Time, Joined: e.Time,
		Removed: c.Removed, Keys: c.Keys, Speaks: c.Speaks, SuiteFloor: c.SuiteFloor,
		Signing: c.key(ParcelSigning, false), SigningNext: c.key(ParcelSigning, true),
		Certificate: c.key(Certificate, false), AccessLog: c.key(AccessLog, false),
		former: make(map[ownedKey]seal.VerifyKey),
	}
	if m != nil {
		next.Joined = m.Joined
		next.former = maps.Clone(m.former)
		if c.Name == "" {
			next.Name = m.Name
		}
	}
	for _, k := range c.Keys {
		switch {
		case k.Use.signs():
			v, _ := k.verifyKey() // checked with the claim
			next.former[ownedKey{k.Use, v.ID()}] = v
		case k.Use == Sealing && !k.Next:
			next.sealing = append(next.sealing, &sealingKey{key: k})
		}
	}
	return next
}

// lists reports whether the member's current entry lists a key for a use.
func (m *Member) lists(use KeyUse, id seal.KeyID) bool {
	return m != nil && slices.ContainsFunc(m.Keys, func(k Key) bool { return k.Use == use && k.ID() == id })
}

// vouches returns the key by which the member's current entry can sign for
// another entry: its signing key or the announced next one.
func (m *Member) vouches(id seal.KeyID) (seal.VerifyKey, bool) {
	switch {
	case m == nil || id.IsZero():
		return seal.VerifyKey{}, false
	case m.Signing.ID() == id:
		return m.Signing, true
	case m.SigningNext.ID() == id:
		return m.SigningNext, true
	}
	return seal.VerifyKey{}, false
}

// Node returns a node of the present or the past. Removed says which.
func (d *Directory) Node(id cases.NodeID) (*Member, bool) {
	m, ok := d.members[id]
	return m, ok
}

// Nodes returns the nodes that have not left, by id.
func (d *Directory) Nodes() []*Member {
	var ms []*Member
	for _, id := range slices.Sorted(maps.Keys(d.members)) {
		if m := d.members[id]; !m.Removed {
			ms = append(ms, m)
		}
	}
	return ms
}

// VerifyKey returns a parcel-signing key of a node by its id: the one in use,
// the next, or any former one, so that what was signed long ago still verifies.
func (d *Directory) VerifyKey(node cases.NodeID, id seal.KeyID) (seal.VerifyKey, bool) {
	return d.KeyOf(node, ParcelSigning, id)
}

// KeyOf is VerifyKey for any use that signs.
func (d *Directory) KeyOf(node cases.NodeID, use KeyUse, id seal.KeyID) (seal.VerifyKey, bool) {
	m, ok := d.members[node]
	if !ok {
		return seal.VerifyKey{}, false
	}
	v, ok := m.former[ownedKey{use, id}]
	return v, ok
}

// SealTo returns the key that parcels to a node are sealed to now: the first of
// its keys in use whose suite this program knows and the node's own floor
// allows. False for unknown and removed nodes, and for one whose every suite is
// newer than this program; what is owed to it waits.
func (d *Directory) SealTo(node cases.NodeID) (seal.SealTo, bool) {
	m, ok := d.members[node]
	if !ok {
		return seal.SealTo{}, false
	}
	for _, k := range m.sealing {
		if k.key.Suite.Check(m.SuiteFloor) != nil {
			continue
		}
		if to := k.to(); !to.IsZero() {
			return to, true
		}
	}
	return seal.SealTo{}, false
}

// Speaks returns the protocol versions that a node speaks; false for unknown
// and removed nodes.
func (d *Directory) Speaks(node cases.NodeID) (Versions, bool) {
	m, ok := d.members[node]
	if !ok || m.Removed {
		return Versions{}, false
	}
	return m.Speaks, true
}

// ServedBy returns the areas that a node holds, by key. Within each some may be
// held by others.
func (d *Directory) ServedBy(node cases.NodeID) []area.Key { return slices.Clone(d.served[node]) }
