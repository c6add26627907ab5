package wire

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"

	"yipan/internal/cases"
	"yipan/internal/fault"
	wirev1 "yipan/internal/gen/yipan/wire/v1"
	"yipan/internal/seal"
)

func pack(t testing.TB, p *Parcel, to seal.SealTo) []byte {
	t.Helper()
	p.From, p.To, p.Serial = nodeA, nodeB, 12
	b, err := Pack(p, signA, to, start)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(b []byte, key seal.SealingKey) (*Parcel, error) {
	e, err := ParseEnvelope(b)
	if err != nil {
		return nil, err
	}
	p, err := e.Open(key, 0)
	if err != nil {
		return nil, err
	}
	return p, p.Verify(signA.Public())
}

// receiptOf returns a receipt of B for a parcel of A's with n items.
func receiptOf(t testing.TB, n int, v Verdicts) (cases.Item, *Parcel) {
	t.Helper()
	p := &Parcel{Items: ordinary(t, n)}
	pack(t, p, sealB.Public())
	r, err := NewReceipt(nodeB, signB, p, start, v)
	if err != nil {
		t.Fatal(err)
	}
	return r, p
}

func TestParcelRoundTrip(t *testing.T) {
	receipt, _ := receiptOf(t, 2, Verdicts{})
	erased := ordinary(t, 1)[0]
	erased.Nonce, erased.BodyRaw = nil, nil
	var every []cases.Item
	for _, s := range samples() {
		if s.head.Kind != cases.Receipt {
			every = append(every, newSample(t, s))
		}
	}
	statement := &Statement{Kind: StateDigest, Ranges: []Digest{{Range: Range{Day: 0, HasDay: true}, Count: 1, XOR: 2}}}
	tests := map[string]*Parcel{
		"empty":     {},
		"one item":  {Items: ordinary(t, 1)},
		"erased":    {Items: []cases.Item{erased}},
		"each kind": {Items: every},
		"full":      {Items: ordinary(t, MaxItems)},
		"receipts":  {Receipts: []cases.Item{receipt, receipt}},
		"statement": {Statement: statement},
		"hints":     {Hints: []Hint{{Parcel: ParcelID{1}, Kind: Moved, Serial: 5}, {Parcel: ParcelID{2}, Kind: Unopenable}}},
		"all":       {Items: append(slices.Clone(every), erased), Receipts: []cases.Item{receipt}, Statement: statement, Hints: []Hint{{Parcel: ParcelID{1}, Kind: Moved}}},
	}
	for _, suite := range []seal.Suite{seal.SuiteX25519, seal.SuiteHybrid} {
		key := sealing(suite)
		for name, p := range tests {
			b := pack(t, p, key.Public())
			got, err := open(b, key)
			if err != nil {
				t.Fatalf("%s, suite %s: %v", name, suite, err)
			}
			if d := cmp.Diff(p, got, cmp.AllowUnexported(Manifest{}), cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Manifest{}, "statementHash")); d != "" {
				t.Errorf("%s, suite %s (-packed +opened):\n%s", name, suite, d)
			}
		}
	}
}

func TestPackRefusesWhatNobodyOpens(t *testing.T) {
	huge := make([]cases.Item, 20)
	body := ordinaryFields()
	body.Request = string(bytes.Repeat([]byte("a"), MaxItemBytes-1000))
	for i := range huge {
		huge[i] = newSample(t, sample{"huge", head(cases.Open, cases.SideOpener), cases.Body{Fields: &body}, 0})
	}
	receipt, _ := receiptOf(t, 1, Verdicts{})
	for name, p := range map[string]*Parcel{
		"items":    {Items: ordinary(t, MaxItems+1)},
		"receipts": {Receipts: slices.Repeat([]cases.Item{receipt}, 2*MaxItems+1)},
		"bytes":    {Items: huge},
	} {
		if _, err := Pack(p, signA, sealB.Public(), start); err == nil {
			t.Errorf("too many %s were packed", name)
		}
	}
}

func TestSecurity14EqualSizeOnWire(t *testing.T) {
	for _, suite := range []seal.Suite{seal.SuiteX25519, seal.SuiteHybrid} {
		to := sealing(suite).Public()
		sizes := map[int]string{}
		receipt, _ := receiptOf(t, 1, Verdicts{})
		for name, p := range map[string]*Parcel{
			"1 item": {Items: ordinary(t, 1)}, "2 items": {Items: ordinary(t, 2)}, "3 items": {Items: ordinary(t, 3)}, "4 items": {Items: ordinary(t, 4)},
			"4 openings":          {Items: []cases.Item{ordinary(t, 1)[0], ordinary(t, 1)[0], ordinary(t, 1)[0], ordinary(t, 1)[0]}},
			"nothing":             {},
			"receipt":             {Receipts: []cases.Item{receipt}},
			"smallest statement":  {Statement: &Statement{Kind: StateDigest, Ranges: []Digest{{Count: 3, XOR: 9}}}},
			"hint":                {Hints: []Hint{{Parcel: ParcelID{1}, Kind: Moved}}},
			"2 items and receipt": {Items: ordinary(t, 2), Receipts: []cases.Item{receipt}},
		} {
			sizes[len(pack(t, p, to))] = name
		}
		if len(sizes) != 1 {
			t.Errorf("%s: sizes on the wire %v", suite, sizes)
		}
		if b := pack(t, &Parcel{Items: ordinary(t, 64)}, to); sizes[len(b)] != "" {
			t.Errorf("%s: 64 items have the size of one", suite)
		}
	}
	// The measured worst case: four items of the largest ordinary size.
	f := ordinaryFields()
	four := make([]cases.Item, 4)
	for i := range four {
		for pad := 0; ; pad++ {
			f.Request = string(bytes.Repeat([]byte("a"), pad))
			it := newSample(t, sample{"", head(cases.Open, cases.SideOpener), cases.Body{Fields: &f}, 0})
			if len(it.HeadRaw)+len(it.Nonce)+len(it.BodyRaw) > 400 {
				break
			}
			four[i] = it
		}
	}
	if a, b := len(pack(t, &Parcel{Items: four}, sealB.Public())), len(pack(t, &Parcel{}, sealB.Public())); a != b {
		t.Errorf("four items of 400 bytes: %d bytes on the wire, one has %d", a, b)
	}
}

// The header of a parcel says the same whatever the seal holds: only the random
// parcel id and the sealed bytes differ, and there is nothing beside them.
func TestSecurity15HeaderCarriesNeitherCountNorKind(t *testing.T) {
	receipt, _ := receiptOf(t, 1, Verdicts{})
	var want *wirev1.Envelope
	for name, p := range map[string]*Parcel{
		"nothing": {}, "4 items": {Items: ordinary(t, 4)}, "receipt": {Receipts: []cases.Item{receipt}},
		"statement": {Statement: &Statement{Kind: StateAsk}}, "64 items": {Items: ordinary(t, 64)},
	} {
		raw := pack(t, p, sealB.Public())
		var e wirev1.Envelope
		if err := proto.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		if len(e.ProtoReflect().GetUnknown()) > 0 {
			t.Errorf("%s: fields beside the header", name)
		}
		if n := len(e.GetCiphertext()) - 16; n < 2048 || n&(n-1) != 0 {
			t.Errorf("%s: %d sealed bytes are no padded size", name, n)
		}
		if bytes.Contains(raw, p.KeyID[:]) {
			t.Errorf("%s: the signing key is outside the seal", name)
		}
		for i := range p.Items {
			if bytes.Contains(raw, p.Items[i].ID[:]) {
				t.Errorf("%s: an item's id is outside the seal", name)
			}
		}
		e.ParcelId, e.Enc, e.Ciphertext = nil, nil, nil
		if want == nil {
			want = &e
		} else if !proto.Equal(want, &e) {
			t.Errorf("%s: header %v, another has %v", name, &e, want)
		}
	}
}

func TestEnvelopeRefused(t *testing.T) {
	good := pack(t, &Parcel{Items: ordinary(t, 2)}, sealB.Public())
	change := func(f func(*wirev1.Envelope)) []byte {
		var e wirev1.Envelope
		if err := proto.Unmarshal(good, &e); err != nil {
			t.Fatal(err)
		}
		f(&e)
		b, err := proto.Marshal(&e)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, b := range map[string][]byte{
		"empty":            nil,
		"garbage":          []byte("no envelope at all"),
		"truncated":        good[:len(good)/2],
		"one byte less":    good[:len(good)-1],
		"larger than read": make([]byte, MaxOpened+5000),
		"from":             change(func(e *wirev1.Envelope) { e.From = uint64(nodeC) }),
		"from no node":     change(func(e *wirev1.Envelope) { e.From = 1<<64 - 1 }),
		"to":               change(func(e *wirev1.Envelope) { e.To = uint64(nodeC) }),
		"version":          change(func(e *wirev1.Envelope) { e.Version = 2 }),
		"version 0":        change(func(e *wirev1.Envelope) { e.Version = 0 }),
		"unknown suite":    change(func(e *wirev1.Envelope) { e.Suite = 99 }),
		"other suite":      change(func(e *wirev1.Envelope) { e.Suite = uint32(seal.SuiteX25519) }),
		"suite beyond":     change(func(e *wirev1.Envelope) { e.Suite = 0x10002 }),
		"key id":           change(func(e *wirev1.Envelope) { e.KeyId[0] ^= 1 }),
		"short key id":     change(func(e *wirev1.Envelope) { e.KeyId = e.KeyId[1:] }),
		"parcel id":        change(func(e *wirev1.Envelope) { e.ParcelId[15] ^= 1 }),
		"no parcel id":     change(func(e *wirev1.Envelope) { e.ParcelId = nil }),
		"no enc":           change(func(e *wirev1.Envelope) { e.Enc = nil }),
		"no ciphertext":    change(func(e *wirev1.Envelope) { e.Ciphertext = nil }),
		"short ciphertext": change(func(e *wirev1.Envelope) { e.Ciphertext = e.Ciphertext[:len(e.Ciphertext)-1] }),
	} {
		if _, err := open(b, sealB); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	for i := range good { // every region, every byte
		b := bytes.Clone(good)
		b[i] ^= 0x10
		if p, err := open(b, sealB); err == nil {
			t.Fatalf("byte %d of %d flipped: opened as %+v", i, len(good), p.Manifest)
		}
	}
	if _, err := open(good, sealing(seal.SuiteHybrid)); err == nil {
		t.Error("opened with another key")
	}
	e, err := ParseEnvelope(pack(t, &Parcel{}, sealing(seal.SuiteX25519).Public()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Open(sealB, seal.SuiteHybrid); !fault.Is(err, fault.KindDenied) {
		t.Errorf("a suite below the floor: %v", err)
	}
}

// reseal seals content that A signed, or not, as anybody can who knows B's key.
func reseal(t *testing.T, to seal.SealTo, h Header, content *wirev1.Parcel) []byte {
	t.Helper()
	plain, err := proto.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	h.Version, h.Suite, h.KeyID = EnvelopeVersion, to.Suite(), to.ID()
	enc, ct, err := seal.Seal(to, h.info(), seal.Pad(plain))
	if err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(&wirev1.Envelope{Version: h.Version, Suite: uint32(h.Suite), From: uint64(h.From), To: uint64(h.To),
		KeyId: h.KeyID[:], ParcelId: h.Parcel[:], Enc: enc, Ciphertext: ct})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestResealed(t *testing.T) {
	p := &Parcel{Items: ordinary(t, 2), Statement: &Statement{Kind: StateAsk}}
	pack(t, p, sealB.Public())
	content := func(f func(*wirev1.Parcel)) *wirev1.Parcel {
		s, err := encodeStatement(p.Statement)
		if err != nil {
			t.Fatal(err)
		}
		c := &wirev1.Parcel{Manifest: p.ManifestRaw, Signature: p.Signature, Statement: s,
			Items: []*wirev1.Item{ItemToProto(&p.Items[0]), ItemToProto(&p.Items[1])}}
		if f != nil {
			f(c)
		}
		return c
	}
	same := Header{From: nodeA, To: nodeB, Parcel: p.Parcel}
	if _, err := open(reseal(t, sealB.Public(), same, content(nil)), sealB); err != nil {
		t.Fatalf("the same content again: %v", err)
	}
	other := ordinary(t, 1)[0]
	receipt, _ := receiptOf(t, 1, Verdicts{})
	manifest := func(f func(*wirev1.Manifest)) func(*wirev1.Parcel) {
		return func(c *wirev1.Parcel) {
			var m wirev1.Manifest
			if err := proto.Unmarshal(c.Manifest, &m); err != nil {
				t.Fatal(err)
			}
			f(&m)
			c.Manifest, _ = proto.Marshal(&m)
			c.Signature = signA.Sign(contextParcel, c.Manifest) // even signed, it does not hold
		}
	}
	for name, tt := range map[string]struct {
		header Header
		change func(*wirev1.Parcel)
	}{
		"to another node":       {Header{From: nodeA, To: nodeC, Parcel: p.Parcel}, nil},
		"from another node":     {Header{From: nodeC, To: nodeB, Parcel: p.Parcel}, nil},
		"another parcel id":     {Header{From: nodeA, To: nodeB, Parcel: ParcelID{1}}, nil},
		"item lacking":          {same, func(c *wirev1.Parcel) { c.Items = c.Items[:1] }},
		"item twice":            {same, func(c *wirev1.Parcel) { c.Items = append(c.Items, c.Items[0]) }},
		"item added":            {same, func(c *wirev1.Parcel) { c.Items = append(c.Items, ItemToProto(&other)) }},
		"item exchanged":        {same, func(c *wirev1.Parcel) { c.Items[0] = ItemToProto(&other) }},
		"item's body exchanged": {same, func(c *wirev1.Parcel) { c.Items[0].Body = c.Items[1].Body }},
		"item without id":       {same, func(c *wirev1.Parcel) { c.Items[0] = &wirev1.Item{} }},
		"statement swapped":     {same, func(c *wirev1.Parcel) { c.Statement, _ = encodeStatement(&Statement{Kind: StateAgree}) }},
		"statement stripped":    {same, func(c *wirev1.Parcel) { c.Statement = nil }},
		"statement added":       {same, manifest(func(m *wirev1.Manifest) { m.StatementHash = nil })},
		"statement unreadable": {same, func(c *wirev1.Parcel) {
			c.Statement = []byte{0xff}
			h := sha256.Sum256(c.Statement)
			manifest(func(m *wirev1.Manifest) { m.StatementHash = h[:] })(c)
		}},
		"no manifest":            {same, func(c *wirev1.Parcel) { c.Manifest = nil }},
		"no signature":           {same, func(c *wirev1.Parcel) { c.Signature = nil }},
		"signed by another":      {same, func(c *wirev1.Parcel) { c.Signature = signC.Sign(contextParcel, c.Manifest) }},
		"signed for another use": {same, func(c *wirev1.Parcel) { c.Signature = signA.Sign(contextReceipt, c.Manifest) }},
		"manifest lists twice":   {same, manifest(func(m *wirev1.Manifest) { m.Items = append(m.Items, m.Items[:16]...) })},
		"manifest lists more":    {same, manifest(func(m *wirev1.Manifest) { m.Items = append(m.Items, other.ID[:]...) })},
		"manifest lists half":    {same, manifest(func(m *wirev1.Manifest) { m.Items = m.Items[:24] })},
		"manifest lists 257":     {same, manifest(func(m *wirev1.Manifest) { m.Items = bytes.Repeat([]byte{1}, 257*16) })},
		"manifest to no node":    {same, manifest(func(m *wirev1.Manifest) { m.To = 6 })},
		"a receipt in a manifest": {same, func(c *wirev1.Parcel) {
			c.Items = append(c.Items, ItemToProto(&receipt))
			manifest(func(m *wirev1.Manifest) { m.Items = append(m.Items, receipt.ID[:]...) })(c)
		}},
		"more items than read": {same, func(c *wirev1.Parcel) { c.Items = slices.Repeat([]*wirev1.Item{ItemToProto(&receipt)}, 800) }},
	} {
		if got, err := open(reseal(t, sealB.Public(), tt.header, content(tt.change)), sealB); err == nil {
			t.Errorf("%s: opened as %+v", name, got.Manifest)
		}
	}
}

// An item that does not decode is known by its id, so that it can be rejected
// by name; one that nobody listed is dropped.
func TestBadItems(t *testing.T) {
	p := &Parcel{Items: ordinary(t, 2)}
	p.Items[1].HeadRaw = []byte{0xff}
	p.Items[1].ID = itemID(p.Items[1].HeadRaw, p.Items[1].BodyHash)
	b := pack(t, p, sealB.Public())
	got, err := open(b, sealB)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]BadItem{{p.Items[1].ID, cases.Unreadable}}, got.Bad); d != "" || len(got.Items) != 1 {
		t.Errorf("bad items (-want +got):\n%s", d)
	}
	stray := &Parcel{Items: ordinary(t, 1), Receipts: []cases.Item{p.Items[1]}}
	got, err = open(pack(t, stray, sealB.Public()), sealB)
	if err != nil || len(got.Bad) != 0 || len(got.Items) != 1 {
		t.Errorf("%d bad items, %v", len(got.Bad), err)
	}
}
