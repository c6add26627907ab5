package directory

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/protobuf/proto"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	directoryv1 "yipan/internal/gen/yipan/directory/v1"
	"yipan/internal/seal"
)

var start = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)

// keySet is what a node of a test holds.
type keySet struct {
	sign, next, cert, log seal.SigningKey
	seal                  seal.SealingKey
}

// seeds counts test keys. They come in a fixed order, because the workers of a
// fuzz run must make the same ones as the process that gave the seed corpus.
var seeds atomic.Uint32

func nextSeed() []byte {
	b := sha256.Sum256(binary.BigEndian.AppendUint32([]byte("test key "), seeds.Add(1)))
	return b[:]
}

func newSigningKey(t testing.TB) seal.SigningKey {
	t.Helper()
	k, err := seal.ParseSigningKey(nextSeed())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newKeys(t testing.TB) keySet {
	t.Helper()
	sealing, err := seal.ParseSealingKey(seal.SuiteX25519, nextSeed())
	if err != nil {
		t.Fatal(err)
	}
	return keySet{newSigningKey(t), newSigningKey(t), newSigningKey(t), newSigningKey(t), sealing}
}

func (k keySet) signing() []seal.SigningKey {
	return []seal.SigningKey{k.sign, k.next, k.cert, k.log}
}

func (k keySet) public() []Key {
	return []Key{
		SignatureKey(ParcelSigning, false, k.sign.Public()),
		SignatureKey(ParcelSigning, true, k.next.Public()),
		SignatureKey(Certificate, false, k.cert.Public()),
		SignatureKey(AccessLog, false, k.log.Public()),
		SealingKey(false, k.seal.Public()),
	}
}

func key(t testing.TB, s string) area.Key {
	t.Helper()
	k, err := area.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keysOf(t testing.TB, ss ...string) []area.Key {
	t.Helper()
	var ks []area.Key
	for _, s := range ss {
		ks = append(ks, key(t, s))
	}
	return ks
}

func (k keySet) claim(node area.Key, areas []area.Key, previous uint64) Claim {
	return Claim{
		Node: cases.NodeID(node), Name: "示例办公室", Areas: areas, Keys: k.public(),
		Speaks: Versions{1, 1}, SuiteFloor: seal.SuiteX25519, Previous: previous,
	}
}

func request(t testing.TB, c Claim, keys ...seal.SigningKey) Request {
	t.Helper()
	r, err := NewRequest(c, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// exchange is an authority with its nodes and all records.
type exchange struct {
	t       testing.TB
	auth    *Authority
	authKey seal.SigningKey
	keys    map[area.Key]keySet
	records []Record
	now     time.Time
}

func newExchange(t testing.TB) *exchange {
	k := newSigningKey(t)
	return &exchange{t: t, auth: NewAuthority(k), authKey: k, keys: make(map[area.Key]keySet), now: start}
}

// clone forks the exchange: same key, same log so far.
func (x *exchange) clone() *exchange {
	y := *x
	a := *x.auth
	y.auth = &a
	y.records = append([]Record(nil), x.records...)
	return &y
}

func (x *exchange) admit(r Request, leave Leave) Record {
	x.t.Helper()
	x.now = x.now.Add(time.Hour)
	rec, err := x.auth.Admit(r, x.now, leave)
	if err != nil {
		x.t.Fatal(err)
	}
	x.records = append(x.records, rec)
	return rec
}

// join admits a node whose areas are given, its principal area first.
func (x *exchange) join(leave Leave, areas ...string) Record {
	x.t.Helper()
	ks := keysOf(x.t, areas...)
	k := newKeys(x.t)
	x.keys[ks[0]] = k
	return x.admit(request(x.t, k.claim(ks[0], ks, x.previous(ks[0])), k.signing()...), leave)
}

func (x *exchange) previous(node area.Key) uint64 {
	if m, ok := x.auth.Directory().Node(cases.NodeID(node)); ok {
		return m.Serial
	}
	return 0
}

// raw makes a record of any claim and proofs as an authority without rules
// would: it signs whatever it is given.
func (x *exchange) raw(claim []byte, proofs ...Proof) Record {
	x.t.Helper()
	return x.rawEntry(&directoryv1.Entry{
		Version: formatVersion, Serial: x.auth.Directory().Serial() + 1,
		Time: x.now.UnixMilli(), Claim: claim, Proofs: encodeProofs(proofs),
	})
}

func (x *exchange) rawEntry(e *directoryv1.Entry) Record {
	x.t.Helper()
	b, err := proto.Marshal(e)
	if err != nil {
		x.t.Fatal(err)
	}
	leaf, err := proto.Marshal(&directoryv1.SignedEntry{Entry: b, Signature: x.authKey.Sign(entryContext, b)})
	if err != nil {
		x.t.Fatal(err)
	}
	return x.rawLeaf(leaf)
}

// rawLeaf commits any bytes as the next leaf.
func (x *exchange) rawLeaf(leaf []byte) Record {
	x.t.Helper()
	tr := x.auth.dir.tree.shared()
	tr = tr.extend(tr.grown(leafHash(leaf)))
	cp, err := signCheckpoint(x.authKey, uint64(tr.size), tr.root(tr.size), x.now)
	if err != nil {
		x.t.Fatal(err)
	}
	r, err := newRecord(leaf, cp)
	if err != nil {
		x.t.Fatal(err)
	}
	return r
}

// publish takes a raw record into the authority's own log.
func (x *exchange) publish(r Record) Event {
	x.t.Helper()
	next, ev, err := x.auth.dir.Apply(r)
	if err != nil {
		x.t.Fatal(err)
	}
	x.auth.dir = next
	x.records = append(x.records, r)
	return ev
}

func (x *exchange) load() *Directory {
	x.t.Helper()
	var bs [][]byte
	for _, r := range x.records {
		bs = append(bs, r.Bytes())
	}
	d, _, err := Load(x.authKey.Public(), bs)
	if err != nil {
		x.t.Fatal(err)
	}
	return d
}

func reason(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Reason
	}
	if err != nil {
		return "other: " + err.Error()
	}
	return ""
}

func wantReason(t testing.TB, err error, want string) {
	t.Helper()
	if got := reason(err); got != want {
		t.Errorf("error %v has reason %q, want %q", err, got, want)
	}
}

// encoded returns a claim's bytes without checking it.
func encoded(t testing.TB, c Claim) []byte {
	t.Helper()
	b, err := c.encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func node(t testing.TB, s string) cases.NodeID {
	t.Helper()
	return cases.NodeID(key(t, s))
}
func hours(n int) time.Duration { return time.Duration(n) * time.Hour }

func leafHash(b []byte) tlog.Hash { return tlog.RecordHash(b) }
