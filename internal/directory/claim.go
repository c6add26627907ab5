package directory

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	directoryv1 "yipan/internal/gen/yipan/directory/v1"
	"yipan/internal/seal"
)

// Bounds of what one record may hold. A prefecture has some 20 counties and
// 300 townships; a name is an office's, not a text.
const (
	MaxAreas       = 1024
	MaxKeys        = 32
	MaxProofs      = 128
	MaxNameBytes   = 300
	MaxRecordBytes = 64 << 10
)

// formatVersion is the version of Claim and Entry that this package reads.
const formatVersion = 1

// signatureSuite is the suite that Ed25519 keys are enrolled under.
const signatureSuite = seal.SuiteX25519

// KeyUse says what a key of a node is for.
type KeyUse uint8

// The uses. Keys of other uses, from newer nodes, are carried and not used.
const (
	ParcelSigning KeyUse = KeyUse(directoryv1.KeyUse_KEY_USE_PARCEL_SIGNING)
	Sealing       KeyUse = KeyUse(directoryv1.KeyUse_KEY_USE_SEALING)
	Certificate   KeyUse = KeyUse(directoryv1.KeyUse_KEY_USE_CERTIFICATE)
	AccessLog     KeyUse = KeyUse(directoryv1.KeyUse_KEY_USE_ACCESS_LOG)
)

// signs reports whether keys of this use make signatures.
func (u KeyUse) signs() bool { return u == ParcelSigning || u == Certificate || u == AccessLog }

// String returns a lower-case word.
func (u KeyUse) String() string {
	switch u {
	case ParcelSigning:
		return "parcel-signing"
	case Sealing:
		return "sealing"
	case Certificate:
		return "certificate"
	case AccessLog:
		return "access-log"
	default:
		return "unknown-use"
	}
}

// Key is a public key as a claim lists it. Next marks one that is announced and
// not yet in use.
type Key struct {
	Use    KeyUse
	Next   bool
	Suite  seal.Suite
	Public []byte
}

// SignatureKey lists a verification key for a use other than Sealing.
func SignatureKey(use KeyUse, next bool, k seal.VerifyKey) Key {
	return Key{use, next, signatureSuite, k.Bytes()}
}

// SealingKey lists a key that parcels are sealed to.
func SealingKey(next bool, k seal.SealTo) Key { return Key{Sealing, next, k.Suite(), k.Bytes()} }

// ID names the key as package seal does.
func (k Key) ID() seal.KeyID {
	if k.Use == Sealing {
		return seal.KeyIDOf(seal.UseSeal, k.Suite, k.Public)
	}
	return seal.KeyIDOf(seal.UseSign, k.Suite, k.Public)
}

// verifyKey parses a signature key.
func (k Key) verifyKey() (seal.VerifyKey, error) {
	if k.Suite != signatureSuite {
		return seal.VerifyKey{}, fault.Invalid("SUITE_UNKNOWN", "directory: unknown signature suite %d", uint16(k.Suite))
	}
	return seal.ParseVerifyKey(k.Public)
}

// Versions is the range of protocol versions that a node speaks, both
// inclusive, from 1.
type Versions struct{ Min, Max uint32 }

// Claim is what a node says about itself. A claim with Removed has neither
// areas nor keys.
type Claim struct {
	Node   cases.NodeID
	Name   string // of the office, for people; never a person's
	Areas  []area.Key
	Keys   []Key // sealing keys in the node's order of preference
	Speaks Versions
	// SuiteFloor is the weakest suite that the node accepts; 0: any.
	SuiteFloor seal.Suite
	Removed    bool
	// Previous is the serial of the node's entry that this claim replaces
	// (Member.Serial), 0 for its first.
	Previous uint64
}

// encode writes the claim once; the bytes are signed and kept.
func (c Claim) encode() ([]byte, error) {
	m := &directoryv1.Claim{
		Version: formatVersion, Node: uint64(c.Node), Name: c.Name,
		SpeaksMin: c.Speaks.Min, SpeaksMax: c.Speaks.Max, SuiteFloor: uint32(c.SuiteFloor),
		Removed: c.Removed, Previous: c.Previous,
	}
	for _, a := range c.Areas {
		m.Areas = append(m.Areas, uint64(a))
	}
	for _, k := range c.Keys {
		m.Keys = append(m.Keys, &directoryv1.Key{
			Use: directoryv1.KeyUse(k.Use), Next: k.Next, Suite: uint32(k.Suite), Public: k.Public,
		})
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, fault.Invalid("DIRECTORY_CLAIM", "directory: claim of node %s cannot be encoded", c.Node).Because(err)
	}
	return b, nil
}

// parseClaim reads and checks a claim.
func parseClaim(b []byte) (Claim, error) {
	var m directoryv1.Claim
	if err := proto.Unmarshal(b, &m); err != nil {
		return Claim{}, fault.Invalid("DIRECTORY_CLAIM", "directory: unreadable claim").Because(err)
	}
	if m.Version != formatVersion {
		return Claim{}, fault.Invalid("DIRECTORY_VERSION", "directory: claim of version %d", m.Version)
	}
	c := Claim{
		Node: cases.NodeID(m.Node), Name: m.Name,
		Speaks:  Versions{m.SpeaksMin, m.SpeaksMax},
		Removed: m.Removed, Previous: m.Previous,
	}
	for _, a := range m.Areas {
		c.Areas = append(c.Areas, area.Key(a))
	}
	for _, k := range m.Keys {
		if k.Use < 1 || k.Use > 255 || k.Suite > 0xffff {
			return Claim{}, fault.Invalid("DIRECTORY_CLAIM", "directory: key with use or suite out of range")
		}
		c.Keys = append(c.Keys, Key{KeyUse(k.Use), k.Next, seal.Suite(k.Suite), k.Public})
	}
	if m.SuiteFloor > 0xffff {
		return Claim{}, fault.Invalid("DIRECTORY_CLAIM", "directory: suite floor out of range")
	}
	c.SuiteFloor = seal.Suite(m.SuiteFloor)
	return c, c.check()
}

// check holds a claim to the rules that need no directory. Areas are judged by
// their form alone: which codes exist changes with the embedded table, and
// nodes of two releases must agree on an entry.
func (c Claim) check() error {
	bad := func(format string, a ...any) error {
		return fault.Invalid("DIRECTORY_CLAIM", "directory: claim of node %s: "+format, append([]any{c.Node}, a...)...).
			Zh("节点申请内容有误")
	}
	if !wellFormed(c.Node.Area()) {
		return fault.Invalid("DIRECTORY_CLAIM", "directory: node id is no area").Zh("节点编号不是有效的行政区划")
	}
	if len(c.Name) > MaxNameBytes || !utf8.ValidString(c.Name) ||
		slices.ContainsFunc([]rune(c.Name), func(r rune) bool { return !unicode.IsPrint(r) }) {
		return bad("name too long or not printable")
	}
	if c.Removed {
		if len(c.Areas)+len(c.Keys) > 0 {
			return bad("removed, but with areas or keys")
		}
		return nil
	}
	if len(c.Areas) > MaxAreas || len(c.Keys) > MaxKeys {
		return bad("%d areas and %d keys, more than %d and %d", len(c.Areas), len(c.Keys), MaxAreas, MaxKeys)
	}
	seen := make(map[area.Key]bool, len(c.Areas))
	for _, a := range c.Areas {
		if !wellFormed(a) {
			return bad("malformed area")
		}
		if seen[a] {
			return bad("area %s twice", a)
		}
		seen[a] = true
	}
	if c.Speaks.Min < 1 || c.Speaks.Max < c.Speaks.Min {
		return bad("versions %d to %d", c.Speaks.Min, c.Speaks.Max)
	}
	return c.checkKeys(bad)
}

// checkKeys demands one parcel-signing key and at least one sealing key in use,
// at most one signature key per use and time, and no key twice. A sealing key
// of an unknown suite is a newer node's and is let pass.
func (c Claim) checkKeys(bad func(string, ...any) error) error {
	type slot struct {
		use  KeyUse
		next bool
	}
	count := make(map[slot]int)
	ids := make(map[seal.KeyID]bool, len(c.Keys))
	for _, k := range c.Keys {
		id := k.ID()
		if ids[id] {
			return bad("key %s twice", id)
		}
		ids[id] = true
		if len(k.Public) == 0 || len(k.Public) > 8<<10 {
			return bad("%s key of %d bytes", k.Use, len(k.Public))
		}
		count[slot{k.Use, k.Next}]++
		switch {
		case k.Use.signs():
			if count[slot{k.Use, k.Next}] > 1 {
				return bad("two %s keys for one time", k.Use)
			}
			if _, err := k.verifyKey(); err != nil {
				return err
			}
		case k.Use == Sealing && k.Suite.Check(0) == nil:
			if _, err := seal.ParseSealTo(k.Suite, k.Public); err != nil {
				return err
			}
		}
	}
	if count[slot{ParcelSigning, false}] == 0 || count[slot{Sealing, false}] == 0 {
		return bad("no signing or no sealing key")
	}
	return nil
}

// key returns the listed signature key of a use, zero when there is none.
func (c Claim) key(use KeyUse, next bool) seal.VerifyKey {
	for _, k := range c.Keys {
		if k.Use == use && k.Next == next {
			v, _ := k.verifyKey() // checked by check
			return v
		}
	}
	return seal.VerifyKey{}
}

// wellFormed reports whether k is an area by its form: a known level, no digits
// below it, a province.
func wellFormed(k area.Key) bool {
	const digits12 = 1_000_000_000_000
	l := k.Level()
	return k > 0 && l >= area.Province && l <= area.Village &&
		int64(k)/10 < digits12 && k.Cut(l) == k && k.Cut(area.Province) > area.Key(area.Province)
}
