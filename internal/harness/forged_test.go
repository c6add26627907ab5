package harness

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/exchange"
	"yipan/internal/fault"
	wirev1 "yipan/internal/gen/yipan/wire/v1"
	"yipan/internal/keys"
	"yipan/internal/seal"
	"yipan/internal/store/storetest"
	"yipan/internal/wire"
)

// watched is a world whose tables a test looks at.
type watched struct {
	*World
	t   testing.TB
	raw map[cases.NodeID]*storetest.Tables
	url map[cases.NodeID]string
}

func watch(t testing.TB, counties ...area.Key) *watched {
	t.Helper()
	w, err := NewWorld(t.TempDir(), time.Date(2026, 11, 20, 9, 0, 0, 0, civil.Shanghai))
	if err != nil {
		t.Fatal(err)
	}
	out := &watched{World: w, t: t, raw: map[cases.NodeID]*storetest.Tables{}, url: map[cases.NodeID]string{}}
	for _, c := range counties {
		url := storetest.NewURL(t)
		s, err := w.AddSite(storetest.Open(t, url), c)
		if err != nil {
			t.Fatal(err)
		}
		out.raw[s.Node], out.url[s.Node] = storetest.Raw(t, url), url
	}
	return out
}

func (w *watched) count(s *Site, sql string, args ...any) int64 {
	w.t.Helper()
	return w.raw[s.Node].Rows(w.t, `SELECT count(*) FROM `+sql, args...)[0][0].(int64)
}

// open opens one notice at a site and returns its case.
func (w *watched) open(s *Site, i int, to area.Key) cases.CaseID {
	w.t.Helper()
	v, _, err := s.Desk.OpenCase(w.t.Context(), Clerk(access.Clerk, originTown), notice(i, to))
	if err != nil {
		w.t.Fatal(err)
	}
	return v.ID
}

// pack returns the only parcel that a site has for a peer.
func (w *watched) pack(s, to *Site) exchange.Parcel {
	w.t.Helper()
	ps, _, err := s.Exchange.Pack(w.t.Context(), to.Node)
	if err != nil || len(ps) != 1 {
		w.t.Fatalf("%d parcels, %v", len(ps), err)
	}
	return ps[0]
}

func (w *watched) absorb(s *Site, b []byte) exchange.Absorbed {
	w.t.Helper()
	got, err := s.Exchange.Absorb(w.t.Context(), b)
	if err != nil {
		w.t.Fatalf("absorb: %v", err)
	}
	return got
}

func (w *watched) settle() {
	w.t.Helper()
	if err := w.Settle(w.t.Context(), 20); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watched) view(s *Site, office area.Key, id cases.CaseID) desk.CaseView {
	w.t.Helper()
	v, err := s.Desk.GetCase(w.t.Context(), Clerk(access.Clerk, office), desk.GetRequest{Case: id, Purpose: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// forge seals a parcel as from one node to another, signed by whoever signs.
func (w *watched) forge(from cases.NodeID, sign seal.SigningKey, to *Site, p wire.Parcel) []byte {
	w.t.Helper()
	key, ok := to.Directory().SealTo(to.Node)
	if !ok {
		w.t.Fatal("no sealing key")
	}
	p.From, p.To = from, to.Node
	if p.Serial == 0 {
		p.Serial = to.Directory().Serial()
	}
	b, err := wire.Pack(&p, sign, key, w.Clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// unseal opens a parcel with its receiver's keys.
func unseal(t testing.TB, s *Site, b []byte) *wire.Parcel {
	t.Helper()
	e, err := wire.ParseEnvelope(b)
	if err != nil {
		t.Fatal(err)
	}
	k, err := s.Keys.SealingKey(e.KeyID)
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Open(k, seal.SuiteX25519)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// answerItem is an ANSWER to a case as some node might write it.
func (w *watched) answerItem(author cases.NodeID, id cases.CaseID, y area.Key) cases.Item {
	w.t.Helper()
	now := w.Clock.Now().Truncate(time.Millisecond)
	it, err := wire.NewItem(cases.Head{
		Author: author, Side: cases.SideReceiver, Case: id, X: originTown, Y: y, Kind: cases.Answer, Round: 1, T: now.UnixMilli() + 1000,
		MinVersion: 1, RecordedAt: now, Terminal: true,
	}, cases.Body{Answer: &cases.AnswerBody{Outcome: cases.NotFound}}, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return it
}

func (w *watched) reason(s *Site, id cases.ItemID) cases.Reject {
	w.t.Helper()
	rows := w.raw[s.Node].Rows(w.t, `SELECT reason FROM cover WHERE item = $1 AND author = $2`, [16]byte(id), int64(s.Node))
	if len(rows) != 1 {
		w.t.Fatalf("%d verdicts on item %s", len(rows), id)
	}
	return cases.Reject(rows[0][0].(int16))
}

// SECURITY row 16.
func TestSecurity16ThirdNodesAnswerRejected(t *testing.T) {
	w := watch(t, origin, residence, third)
	a, b, c := w.Sites[0], w.Sites[1], w.Sites[2]
	y := towns(t, residence, 1)[0]
	id := w.open(a, 1, y)
	w.settle()
	own, posing := w.answerItem(c.Node, id, y), w.answerItem(b.Node, id, y)
	for _, at := range []*Site{a, b} {
		w.absorb(at, w.forge(c.Node, c.Keys.Signing(), at, wire.Parcel{Items: []cases.Item{own, posing}}))
		if got := w.reason(at, own.ID); got != cases.NotHome {
			t.Errorf("%s: the third node's answer is judged %q", at.Node, got)
		}
		if n := w.count(at, `item WHERE id = $1 AND body IS NOT NULL`, [16]byte(own.ID)); n > 0 {
			t.Errorf("%s keeps the body of a rejected item", at.Node)
		}
		if n := w.count(at, `item WHERE id = $1`, [16]byte(posing.ID)) + w.count(at, `cover WHERE item = $1`, [16]byte(posing.ID)); n > 0 {
			t.Errorf("%s holds, or judged, an answer in the receiver's name without a proof", at.Node)
		}
	}
	for at, office := range map[*Site]area.Key{a: originTown, b: y} {
		if v := w.view(at, office, id); v.Status != cases.StatusOpen || v.Answer != nil {
			t.Errorf("%s shows %v after a third node's answer", at.Node, v.Status)
		}
	}
	w.settle()
	if err := w.State(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if bad := w.Conserved(t.Context(), t.Fatalf); len(bad) > 0 {
		t.Error(bad)
	}
}

// An author takes back only what it signed once: an item that names it as its
// author needs a receipt whose manifest it signed.
func TestForgedReturnOfOwnItem(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	y := towns(t, residence, 1)[0]
	id := w.open(a, 1, y)
	first := w.pack(a, b)
	w.absorb(b, first.Bytes)
	now := w.Clock.Now().Truncate(time.Millisecond)
	note := "x"
	forged, err := wire.NewItem(cases.Head{
		Author: a.Node, Side: cases.SideOpener, Case: id, X: originTown, Y: y, Kind: cases.Withdraw, Round: 1, T: now.UnixMilli() + 1, MinVersion: 1, RecordedAt: now,
	}, cases.Body{Note: &note}, 0)
	if err != nil {
		t.Fatal(err)
	}
	// A receipt of B over A's true manifest does not list the forged item; one
	// over a manifest of B's own making is not signed by A.
	honest := unseal(t, b, first.Bytes)
	true1, err := wire.NewReceipt(b.Node, b.Keys.Signing(), honest, now, wire.Verdicts{})
	if err != nil {
		t.Fatal(err)
	}
	made := unseal(t, b, w.forge(a.Node, b.Keys.Signing(), b, wire.Parcel{Items: []cases.Item{forged}}))
	false1, err := wire.NewReceipt(b.Node, b.Keys.Signing(), made, now, wire.Verdicts{})
	if err != nil {
		t.Fatal(err)
	}
	for _, receipts := range [][]cases.Item{nil, {true1}, {false1}} {
		w.absorb(a, w.forge(b.Node, b.Keys.Signing(), a, wire.Parcel{Items: []cases.Item{forged}, Receipts: receipts}))
		if n := w.count(a, `item WHERE id = $1`, [16]byte(forged.ID)) + w.count(a, `cover WHERE item = $1`, [16]byte(forged.ID)); n > 0 {
			t.Error("a forged item of its own is held, or judged")
		}
	}
	if n := w.count(a, `item WHERE id = $1`, [16]byte(false1.ID)); n != 0 {
		t.Error("a receipt over a forged manifest is kept")
	}
	if v := w.view(a, originTown, id); v.Status != cases.StatusOpen {
		t.Errorf("case shows %v after a forged withdrawal", v.Status)
	}
}

func TestReceiptByTheWrongNode(t *testing.T) {
	w := watch(t, origin, residence, third)
	a, b, c := w.Sites[0], w.Sites[1], w.Sites[2]
	w.open(a, 1, towns(t, residence, 1)[0])
	p := unseal(t, b, w.pack(a, b).Bytes)
	now := w.Clock.Now()
	for name, r := range map[string]struct {
		author cases.NodeID
		key    seal.SigningKey
	}{"in its own name": {c.Node, c.Keys.Signing()}, "in the receiver's name": {b.Node, c.Keys.Signing()}} {
		receipt, err := wire.NewReceipt(r.author, r.key, p, now, wire.Verdicts{})
		if err != nil {
			t.Fatal(err)
		}
		w.absorb(a, w.forge(c.Node, c.Keys.Signing(), a, wire.Parcel{Receipts: []cases.Item{receipt}}))
		if n := w.count(a, `share WHERE settled`); n != 0 {
			t.Errorf("a receipt of a third node %s settled %d rows", name, n)
		}
		if n := w.count(a, `item WHERE kind = 10`); n != 0 {
			t.Errorf("a receipt of a third node %s is kept", name)
		}
	}
	// The same receipt twice in one parcel is one receipt.
	receipt, err := wire.NewReceipt(b.Node, b.Keys.Signing(), p, now, wire.Verdicts{})
	if err != nil {
		t.Fatal(err)
	}
	w.absorb(a, w.forge(b.Node, b.Keys.Signing(), a, wire.Parcel{Receipts: []cases.Item{receipt, receipt}}))
	if n := w.count(a, `share WHERE settled AND kind <> 10`); n != 1 {
		t.Errorf("the receiver's own receipt settled %d rows", n)
	}
}

// headerInfo is what an envelope binds to its sealed body.
func headerInfo(e *wirev1.Envelope) []byte {
	b := []byte("yipan/envelope\x00")
	b = binary.BigEndian.AppendUint32(b, e.GetVersion())
	b = binary.BigEndian.AppendUint16(b, uint16(e.GetSuite()))
	b = binary.BigEndian.AppendUint64(b, e.GetFrom())
	b = binary.BigEndian.AppendUint64(b, e.GetTo())
	return append(append(b, e.GetKeyId()...), e.GetParcelId()...)
}

// A receiver that seals a parcel anew to a third node proves nothing there.
func TestParcelResealedToAnotherNode(t *testing.T) {
	w := watch(t, origin, residence, third)
	a, b, c := w.Sites[0], w.Sites[1], w.Sites[2]
	w.open(a, 1, towns(t, residence, 1)[0])
	var e wirev1.Envelope
	if err := proto.Unmarshal(w.pack(a, b).Bytes, &e); err != nil {
		t.Fatal(err)
	}
	plain, err := seal.Open(b.Keys.Sealing(), headerInfo(&e), e.GetEnc(), e.GetCiphertext())
	if err != nil {
		t.Fatal(err)
	}
	to, _ := c.Directory().SealTo(c.Node)
	id := to.ID()
	e.To, e.KeyId = uint64(c.Node), id[:]
	if e.Enc, e.Ciphertext, err = seal.Seal(to, headerInfo(&e), plain); err != nil {
		t.Fatal(err)
	}
	sealed, err := proto.Marshal(&e)
	if err != nil {
		t.Fatal(err)
	}
	w.absorb(c, sealed)
	if n := w.count(c, `item`); n != 0 {
		t.Errorf("%d items of a parcel for another node are held", n)
	}
	if n := w.count(c, `quarantine WHERE reason = 'MANIFEST'`); n != 1 {
		t.Errorf("%d parcels in quarantine", n)
	}
}

func TestDamagedParcelsAreSetAside(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	w.open(a, 1, towns(t, residence, 1)[0])
	whole := w.pack(a, b).Bytes
	for i := 0; i < len(whole); i += max(1, len(whole)/60) {
		flipped := slices.Clone(whole)
		flipped[i] ^= 1 << (i % 8)
		w.absorb(b, flipped)
		w.absorb(b, whole[:i])
	}
	if n := w.count(b, `item`); n != 0 {
		t.Fatalf("%d items of damaged parcels are held", n)
	}
	if w.count(b, `quarantine`) == 0 {
		t.Error("nothing in quarantine")
	}
	var e wirev1.Envelope
	if err := proto.Unmarshal(whole, &e); err != nil {
		t.Fatal(err)
	}
	for reason, change := range map[string]func(*wirev1.Envelope){
		"VERSION_UNKNOWN": func(e *wirev1.Envelope) { e.Version = 99 },
		"SUITE_UNKNOWN":   func(e *wirev1.Envelope) { e.Suite = 999 },
	} {
		odd := proto.CloneOf(&e)
		odd.ParcelId = []byte(reason + "----------------")[:16]
		change(odd)
		raw, err := proto.Marshal(odd)
		if err != nil {
			t.Fatal(err)
		}
		w.absorb(b, raw)
		if n := w.count(b, `quarantine WHERE reason = $1`, reason); n != 1 {
			t.Errorf("%s: %d parcels in quarantine", reason, n)
		}
	}
	got := w.absorb(b, whole) // the junk holds nothing up
	if len(got.Cases) != 1 || w.count(b, `case_side`) != 1 {
		t.Errorf("the sound parcel changed %d cases", len(got.Cases))
	}
}

func TestRotationWithParcelsInFlight(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	y := towns(t, residence, 1)[0]
	w.open(a, 1, y)
	inFlight := w.pack(a, b).Bytes
	w.open(a, 2, y)
	late := w.pack(a, b).Bytes
	if err := b.Keys.Rotate(seal.UseSeal, w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.absorb(b, inFlight)
	if n := w.count(b, `case_side`); n != 1 {
		t.Fatalf("a parcel sealed to the old key gave %d cases", n)
	}
	if _, err := b.Keys.Purge(w.Clock.Now().Add(keys.KeepOld + time.Hour)); err != nil {
		t.Fatal(err)
	}
	got := w.absorb(b, late)
	if w.count(b, `case_side`) != 1 || w.count(b, `quarantine WHERE reason = 'UNOPENABLE'`) != 1 || len(got.Answers) != 1 {
		t.Fatalf("a parcel sealed to a key that is gone: %d answers", len(got.Answers))
	}
	if p := unseal(t, a, got.Answers[0].Bytes); len(p.Hints) != 1 || p.Hints[0].Kind != wire.Unopenable {
		t.Errorf("hints %+v", p.Hints)
	}
	e, _ := w.Authority.Directory().Node(b.Node)
	if err := w.Admit(b, w.Authority.Directory().ServedBy(b.Node), e.Serial); err != nil {
		t.Fatal(err)
	}
	if err := w.Learn(); err != nil {
		t.Fatal(err)
	}
	w.raw[a.Node].Exec(t, `UPDATE share SET next_try = '-infinity' WHERE NOT settled`)
	w.settle()
	if n := w.count(b, `case_side`); n != 2 {
		t.Errorf("%d cases after the new key was known", n)
	}
}

func TestStrangersAndNewerDirectories(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	w.open(a, 1, towns(t, residence, 1)[0])
	sound := w.pack(a, b).Bytes
	k, err := keys.Create(t.TempDir()+"/k", w.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	y := towns(t, residence, 1)[0]
	item := w.answerItem(cases.NodeID(third), cases.NewCaseID(1, 1, "x"), y)
	newer := b.Directory().Serial() + 5
	for _, c := range []struct {
		name   string
		from   cases.NodeID
		sign   seal.SigningKey
		serial uint64
		reason string // of the quarantine; "": not now
	}{
		{"a stranger", cases.NodeID(third), k.Signing(), 0, "SENDER"},
		{"an impostor with a key of its own", a.Node, k.Signing(), 0, "SENDER"},
		{"a stranger who may be in a newer directory", cases.NodeID(third), k.Signing(), newer, ""},
		{"a peer with a newer directory", a.Node, a.Keys.Signing(), newer, ""},
	} {
		before := w.count(b, `quarantine`)
		_, err := b.Exchange.Absorb(t.Context(), w.forge(c.from, c.sign, b, wire.Parcel{Manifest: wire.Manifest{Serial: c.serial}, Items: []cases.Item{item}}))
		switch f, _ := fault.As(err); {
		case c.reason == "" && (f == nil || f.Kind != fault.KindUnavailable || f.Reason != "DIRECTORY_BEHIND"):
			t.Errorf("%s: %v", c.name, err)
		case c.reason != "" && (err != nil || w.count(b, `quarantine WHERE reason = $1`, c.reason) == 0 || w.count(b, `quarantine`) != before+1):
			t.Errorf("%s: not in quarantine as %s: %v", c.name, c.reason, err)
		}
	}
	if w.count(b, `item`) != 0 {
		t.Error("a stranger's item is held")
	}
	if len(w.absorb(b, sound).Cases) != 1 {
		t.Error("the next sound parcel is not absorbed")
	}
}
