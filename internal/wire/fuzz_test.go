package wire

import (
	"testing"

	"yipan/internal/cases"
	"yipan/internal/seal"
)

func FuzzParseEnvelope(f *testing.F) {
	key := sealing(seal.SuiteX25519)
	f.Add(pack(f, &Parcel{Items: ordinary(f, 2)}, key.Public()))
	f.Add(pack(f, &Parcel{Statement: &Statement{Kind: StateAsk}}, sealB.Public()))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEnvelope(b)
		if err != nil {
			return
		}
		_, _ = e.From.String(), e.To.String()
		_, _ = e.Open(key, 0)
		_, _ = e.Open(sealB, seal.SuiteHybrid)
	})
}

func FuzzDecodeParcel(f *testing.F) {
	receipt, _ := receiptOf(f, 2, Verdicts{})
	for _, p := range []*Parcel{
		{}, {Items: ordinary(f, 3), Receipts: []cases.Item{receipt}}, {Hints: []Hint{{Kind: Moved}}},
		{Statement: &Statement{Kind: StateList, Ranges: []Digest{{IDs: []cases.ItemID{{1}}}}}},
	} {
		e, err := ParseEnvelope(pack(f, p, sealB.Public()))
		if err != nil {
			f.Fatal(err)
		}
		padded, err := seal.Open(sealB, e.info(), e.enc, e.ct)
		if err != nil {
			f.Fatal(err)
		}
		plain, err := seal.Unpad(padded)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(plain)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodeParcel(b)
		if err != nil {
			return
		}
		if len(p.Items)+len(p.Bad) != len(p.Manifest.Items) {
			t.Fatalf("%d items and %d bad ones for a manifest of %d", len(p.Items), len(p.Bad), len(p.Manifest.Items))
		}
		_ = p.Verify(signA.Public())
		for i := range p.Receipts {
			_, _ = VerifyReceipt(p.Receipts[i], directory)
			_, _ = CoveredBy(&p.Receipts[i])
		}
	})
}

func FuzzDecodeHead(f *testing.F) {
	for _, s := range samples() {
		f.Add(newSample(f, s).HeadRaw)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := DecodeHead(b)
		if err != nil {
			return
		}
		_, _, _ = h.Kind.String(), h.CaseKind.String(), h.Author.String()+h.X.String()+h.Y.String()+h.Area.String()
		raw, err := det.Marshal(headToProto(&h))
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeHead(raw)
		if err != nil || again != h {
			t.Fatalf("%+v read again as %+v, %v", h, again, err)
		}
	})
}

func FuzzDecodeBody(f *testing.F) {
	for _, s := range samples() {
		f.Add(newSample(f, s).BodyRaw)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := DecodeBody(b)
		if err != nil {
			return
		}
		raw, err := det.Marshal(bodyToProto(body))
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeBody(raw)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := det.Marshal(bodyToProto(again))
		if err != nil || string(twice) != string(raw) {
			t.Fatalf("%x written again as %x, %v", raw, twice, err)
		}
	})
}

func FuzzParseManifest(f *testing.F) {
	p := &Parcel{Items: ordinary(f, 3)}
	pack(f, p, sealB.Public())
	f.Add(p.ManifestRaw)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseManifest(b)
		if err != nil {
			return
		}
		if len(m.Items) > MaxItems {
			t.Fatalf("%d items", len(m.Items))
		}
		_, _ = m.From.String(), m.To.String()
	})
}

func FuzzDecodeStatement(f *testing.F) {
	for _, s := range []*Statement{{Kind: StateAsk}, {Kind: StateReply, LeastPending: start, Missing: []cases.ItemID{{1}},
		Ranges: []Digest{{Range: Range{Day: 3, HasDay: true, Pair: 4, HasPair: true, Prefix: []byte{5}}, Count: 6, XOR: 7, IDs: []cases.ItemID{{8}}}}}} {
		b, err := encodeStatement(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeStatement(b)
		if err != nil {
			return
		}
		raw, err := encodeStatement(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeStatement(raw); err != nil {
			t.Fatal(err)
		}
	})
}

// keyOf says yes to every node, as a directory full of strange entries might.
func FuzzVerifyReceipt(f *testing.F) {
	good, _ := receiptOf(f, 2, Verdicts{})
	f.Add(good.HeadRaw, good.BodyRaw)
	anyone := func(_ cases.NodeID, id seal.KeyID) (seal.VerifyKey, bool) {
		if id == signA.ID() {
			return signA.Public(), true
		}
		return signB.Public(), true
	}
	f.Fuzz(func(t *testing.T, head, body []byte) {
		it := cases.Item{HeadRaw: head, Nonce: good.Nonce, BodyRaw: body}
		h, err := DecodeHead(head)
		if err != nil {
			return
		}
		it.Head, it.BodyHash = h, bodyHash(it.Nonce, body)
		it.ID = itemID(head, it.BodyHash)
		if _, err := VerifyReceipt(it, anyone); err == nil && it.ID != good.ID {
			t.Fatalf("a receipt nobody signed: head %x, body %x", head, body)
		}
		_, _ = CoveredBy(&it)
	})
}
