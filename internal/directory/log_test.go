package directory

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/protobuf/proto"

	"yipan/internal/area"
	directoryv1 "yipan/internal/gen/yipan/directory/v1"
	"yipan/internal/seal"
)

func three(t testing.TB) *exchange {
	x := newExchange(t)
	x.join(Leave{}, "3:520330")
	x.join(Leave{}, "3:441900")
	x.join(Leave{}, "3:110101")
	return x
}

func TestApplyInOrder(t *testing.T) {
	x := three(t)
	d := New(x.authKey.Public())
	for i, r := range x.records {
		before := d
		next, ev, err := d.Apply(r)
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind != Applied || !ev.Joined || ev.Contested() || ev.Serial != uint64(i+1) {
			t.Errorf("event %+v", ev)
		}
		if before.Serial() != uint64(i) || next.Serial() != uint64(i+1) {
			t.Errorf("serials %d, %d", before.Serial(), next.Serial())
		}
		if next.Root() != r.Checkpoint().Root || next.Checkpoint().Size != next.Serial() {
			t.Error("root or checkpoint differs")
		}
		d = next
	}
}

// The tree is the one of RFC 6962, computed here without stored hashes.
func TestRootAgainstRFC6962(t *testing.T) {
	var root func(leaves []tlog.Hash) tlog.Hash
	root = func(leaves []tlog.Hash) tlog.Hash {
		if len(leaves) == 1 {
			return leaves[0]
		}
		k := 1
		for k*2 < len(leaves) {
			k *= 2
		}
		return tlog.NodeHash(root(leaves[:k]), root(leaves[k:]))
	}
	var tr tree
	var leaves []tlog.Hash
	for i := range 33 {
		h := tlog.RecordHash([]byte{byte(i)})
		leaves = append(leaves, h)
		tr = tr.extend(tr.grown(h))
		for n := 1; n <= len(leaves); n++ {
			if tr.root(int64(n)) != root(leaves[:n]) {
				t.Fatalf("root of %d of %d leaves", n, len(leaves))
			}
		}
		if tr.leaf(int64(i)) != h {
			t.Fatalf("leaf %d", i)
		}
	}
}

func TestDuplicateAndGap(t *testing.T) {
	x := three(t)
	d := x.load()
	for _, r := range x.records {
		same, ev, err := d.Apply(r)
		if err != nil || ev.Kind != Duplicate || same != d {
			t.Errorf("record %d again: %v %v, same %t", r.Serial(), ev.Kind, err, same == d)
		}
	}
	one, _, err := New(x.authKey.Public()).Apply(x.records[0])
	if err != nil {
		t.Fatal(err)
	}
	same, _, err := one.Apply(x.records[2])
	wantReason(t, err, "DIRECTORY_GAP")
	if same != one {
		t.Error("a gap changed the directory")
	}
	got, events, err := one.Extend([]Record{x.records[1], x.records[2], x.records[0]})
	if err != nil || got.Serial() != 3 || len(events) != 3 || got.Root() != d.Root() {
		t.Errorf("catching up: %v, serial %d", err, got.Serial())
	}
}

// Two branches of one authority: whichever comes second is a fork, as the next
// entry, as a lower one, as a longer log, and as a checkpoint alone.
func TestFork(t *testing.T) {
	x := newExchange(t)
	x.join(Leave{}, "3:520330")
	y := x.clone()
	x.join(Leave{}, "3:441900")
	x.join(Leave{}, "3:110101")
	y.keys = map[area.Key]keySet{}
	y.join(Leave{}, "3:441900")
	y.join(Leave{}, "3:110101")
	y.join(Leave{}, "3:110102")
	d := x.load()
	fresh, err := y.auth.Refresh(y.now)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]Record{
		"lower": y.records[1], "same": y.records[2], "next": y.records[3],
	} {
		same, _, err := d.Apply(r)
		if reason(err) != "DIRECTORY_FORK" || same != d {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := y.load().Apply(x.records[2]); reason(err) != "DIRECTORY_FORK" {
		t.Errorf("on the other side: %v", err)
	}
	wantReason(t, d.Compare(y.records[2].Checkpoint()), "DIRECTORY_FORK")
	wantReason(t, d.Compare(fresh.Checkpoint()), "DIRECTORY_GAP")
	_, _, err = d.Apply(fresh)
	wantReason(t, err, "DIRECTORY_GAP")
	if err := d.Compare(y.records[0].Checkpoint()); err != nil {
		t.Errorf("the common prefix: %v", err)
	}
}

func TestReplacedRoot(t *testing.T) {
	x := three(t)
	d := x.load()
	next := x.raw(encoded(t, newKeys(t).claim(key(t, "3:110102"), keysOf(t, "3:110102"), 0)))
	wrong := d.Root()
	wrong[0] ^= 1
	for name, size := range map[string]uint64{"next": 4, "held": 3, "prefix": 1} {
		cp, err := signCheckpoint(x.authKey, size, wrong, x.now)
		if err != nil {
			t.Fatal(err)
		}
		leaf := next.leaf
		if size <= 3 {
			leaf = x.records[size-1].leaf
		}
		r, err := newRecord(leaf, cp)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := d.Apply(r); reason(err) != "DIRECTORY_FORK" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A checkpoint alone.
	cp, err := signCheckpoint(x.authKey, 3, wrong, x.now)
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRecord(nil, cp)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = d.Apply(r)
	wantReason(t, err, "DIRECTORY_FORK")
}

// What somebody else than the authority puts together is no fork: it must not
// raise an alarm, and changes nothing.
func TestNotTheAuthoritys(t *testing.T) {
	x := three(t)
	d := x.load()
	other := newExchange(t)
	other.join(Leave{}, "3:520330")
	genuine := x.raw(encoded(t, newKeys(t).claim(key(t, "3:110102"), keysOf(t, "3:110102"), 0)))
	forged := func(leaf []byte, cp Checkpoint) Record {
		r, err := newRecord(leaf, cp)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	badSig := genuine.Checkpoint()
	var m directoryv1.Checkpoint
	if err := proto.Unmarshal(badSig.raw, &m); err != nil {
		t.Fatal(err)
	}
	m.Signature[5] ^= 1
	b, err := proto.Marshal(&m)
	if err != nil {
		t.Fatal(err)
	}
	badSig, err = ParseCheckpoint(b)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(genuine.leaf)
	flipped[len(flipped)-1] ^= 1 // in the authority's signature
	tests := []struct {
		name, reason string
		r            Record
	}{
		{"another authority", "DIRECTORY_AUTHORITY", other.records[0]},
		{"checkpoint signature", "DIRECTORY_SIGNATURE", forged(genuine.leaf, badSig)},
		{"checkpoint signature alone", "DIRECTORY_SIGNATURE", forged(nil, badSig)},
		{"entry signature", "DIRECTORY_SIGNATURE", forged(flipped, genuine.Checkpoint())},
		{"junk entry", "DIRECTORY_SIGNATURE", forged([]byte("junk"), genuine.Checkpoint())},
		{"junk at a held serial", "DIRECTORY_SIGNATURE", forged([]byte("junk"), x.records[1].Checkpoint())},
		{"old entry, new checkpoint", "DIRECTORY_RECORD", forged(x.records[0].leaf, genuine.Checkpoint())},
		{"new entry, old checkpoint", "DIRECTORY_RECORD", forged(genuine.leaf, x.records[1].Checkpoint())},
	}
	for _, tt := range tests {
		same, _, err := d.Apply(tt.r)
		if reason(err) != tt.reason || same != d {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.reason)
		}
	}
}

// The authority commits to entries that break rules: each is a leaf, is skipped
// and reported, and what follows still counts.
func TestBadEntriesAreSkipped(t *testing.T) {
	x := three(t)
	k := newKeys(t)
	c := k.claim(key(t, "3:110102"), keysOf(t, "3:110102"), 0)
	good := request(t, c, k.signing()...)
	entry := func(change func(*directoryv1.Entry)) Record {
		e := &directoryv1.Entry{
			Version: 1, Serial: x.auth.dir.Serial() + 1, Time: x.now.UnixMilli(),
			Claim: good.bytes, Proofs: encodeProofs(good.proofs),
		}
		change(e)
		return x.rawEntry(e)
	}
	tests := []struct {
		name, reason string
		record       func() Record
	}{
		{"junk", "DIRECTORY_SIGNATURE", func() Record { return x.rawLeaf([]byte{0xff, 0xff}) }},
		{"unsigned", "DIRECTORY_SIGNATURE", func() Record {
			b, _ := proto.Marshal(&directoryv1.SignedEntry{Entry: []byte("e"), Signature: make([]byte, 64)})
			return x.rawLeaf(b)
		}},
		{"version", "DIRECTORY_VERSION", func() Record { return entry(func(e *directoryv1.Entry) { e.Version = 2 }) }},
		{"serial", "DIRECTORY_RECORD", func() Record { return entry(func(e *directoryv1.Entry) { e.Serial = 99 }) }},
		{"claim", "DIRECTORY_CLAIM", func() Record { return entry(func(e *directoryv1.Entry) { e.Claim = []byte{0xff} }) }},
		{"no proofs", "DIRECTORY_PROOF", func() Record { return entry(func(e *directoryv1.Entry) { e.Proofs = nil }) }},
	}
	for _, tt := range tests {
		size := x.auth.dir.Serial()
		ev := x.publish(tt.record())
		if ev.Kind != Skipped || reason(ev.Why) != tt.reason || x.auth.dir.Serial() != size+1 {
			t.Errorf("%s: %v, %v", tt.name, ev.Kind, ev.Why)
		}
	}
	if ev := x.publish(entry(func(*directoryv1.Entry) {})); ev.Kind != Applied || ev.Contested() {
		t.Errorf("the good entry after them: %+v", ev)
	}
	d := x.load()
	if _, ok := d.Home(key(t, "3:110102")); !ok || d.Root() != x.auth.dir.Root() {
		t.Error("loading gives another directory")
	}
}

func TestRefresh(t *testing.T) {
	x := three(t)
	d := x.load()
	r, err := x.auth.Refresh(x.now.Add(hours(24)))
	if err != nil {
		t.Fatal(err)
	}
	next, ev, err := d.Apply(r)
	if err != nil || ev.Kind != Refreshed || next == d {
		t.Fatalf("%v %v", ev, err)
	}
	if !next.Checkpoint().Time.Equal(x.now.Add(hours(24))) || next.Serial() != 3 || next.Root() != d.Root() {
		t.Error("not the fresh checkpoint of the same log")
	}
	// The older one, replayed, does not turn time back.
	if same, _, err := next.Apply(x.records[2]); err != nil || same != next {
		t.Errorf("replay: %v", err)
	}
	x.join(Leave{}, "3:110102")
	if cp := x.auth.Directory().Checkpoint(); cp.Time.Before(r.Checkpoint().Time) {
		t.Error("the authority's time ran backwards")
	}
	empty, err := NewAuthority(x.authKey).Refresh(start)
	if err != nil {
		t.Fatal(err)
	}
	if _, ev, err := d.Apply(empty); err != nil || ev.Kind != Refreshed {
		t.Errorf("checkpoint of the empty log: %v", err)
	}
}

// A node keeps the largest checkpoint apart from its cache: a cache cut short,
// or an old one served again, is then found (SECURITY, row 18).
func TestCutLogIsFound(t *testing.T) {
	x := three(t)
	kept, err := ParseCheckpoint(x.load().Checkpoint().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	x.records = x.records[:2]
	wantReason(t, x.load().Compare(kept), "DIRECTORY_GAP")
}

func TestLogText(t *testing.T) {
	x := three(t)
	text := append([]byte("# directory\n\n"), FormatLog(x.records)...)
	got, err := ParseLog(text)
	if err != nil {
		t.Fatal(err)
	}
	var want [][]byte
	for _, r := range x.records {
		want = append(want, r.Bytes())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got, err = ParseLog(text[:len(text)-9])
	if len(got) != 2 {
		t.Errorf("%d records before a torn line", len(got))
	}
	wantReason(t, err, "DIRECTORY_LOG")
	d, events, err := Load(x.authKey.Public(), append(want[:2:2], []byte("x")))
	if err == nil || d.Serial() != 2 || len(events) != 2 {
		t.Errorf("serial %d, %v", d.Serial(), err)
	}
	_, _, err = Load(seal.NewSigningKey().Public(), want)
	wantReason(t, err, "DIRECTORY_AUTHORITY")
}

// Two successors of one snapshot leave it and each other alone, however much
// room its slices happen to have.
func TestSnapshotsDoNotShare(t *testing.T) {
	x := newExchange(t)
	for n := range 12 {
		base := x.auth.Directory()
		root := base.Root()
		a, b := x.rawLeaf([]byte{byte(n), 'a'}), x.rawLeaf([]byte{byte(n), 'b'})
		da, _, errA := base.Apply(a)
		db, _, errB := base.Apply(b)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if da.Root() != a.Checkpoint().Root || db.Root() != b.Checkpoint().Root || base.Root() != root {
			t.Fatalf("roots change after %d leaves", n)
		}
		x.auth.dir = da
	}

	// From the last on, so that each further area moves the others.
	all := keysOf(t, "3:520330", "3:520323", "3:520322", "3:520304", "3:520303", "3:520302")
	k := newKeys(t)
	x.admit(request(t, k.claim(all[0], all[:1], 0), k.signing()...), Leave{})
	for n := 1; n < len(all)-1; n++ {
		c := k.claim(all[0], append(all[:n:n], all[n+1]), x.previous(all[0]))
		x.clone().admit(request(t, c).Continue(k.sign), Leave{})
		if diff := cmp.Diff(slices.Sorted(slices.Values(all[:n])), x.auth.Directory().ServedBy(c.Node)); diff != "" {
			t.Fatalf("areas of the base: %s", diff)
		}
		c.Areas = all[:n+1]
		x.admit(request(t, c).Continue(k.sign), Leave{})
	}
}
