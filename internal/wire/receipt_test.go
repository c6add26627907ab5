package wire

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"yipan/internal/cases"
	"yipan/internal/fault"
	wirev1 "yipan/internal/gen/yipan/wire/v1"
	"yipan/internal/seal"
)

func TestReceiptRoundTrip(t *testing.T) {
	ids := func(p *Parcel) []cases.ItemID { return p.Manifest.Items }
	for name, tt := range map[string]struct {
		n        int
		verdicts func(*Parcel) Verdicts
		covered  func(*Parcel) []cases.ItemID
	}{
		"all":           {3, func(*Parcel) Verdicts { return Verdicts{} }, ids},
		"all, by name":  {3, func(p *Parcel) Verdicts { return Verdicts{Covered: ids(p)} }, ids},
		"some":          {3, func(p *Parcel) Verdicts { return Verdicts{Covered: ids(p)[1:]} }, func(p *Parcel) []cases.ItemID { return ids(p)[1:] }},
		"empty parcel":  {0, func(*Parcel) Verdicts { return Verdicts{} }, func(*Parcel) []cases.ItemID { return []cases.ItemID{} }},
		"full":          {MaxItems, func(*Parcel) Verdicts { return Verdicts{} }, ids},
		"full, one not": {MaxItems, func(p *Parcel) Verdicts { return Verdicts{Covered: ids(p)[1:]} }, func(p *Parcel) []cases.ItemID { return ids(p)[1:] }},
		"rejections": {4, func(p *Parcel) Verdicts {
			return Verdicts{Rejected: map[cases.ItemID]cases.Reject{ids(p)[3]: cases.NotHome, ids(p)[0]: cases.Unproven}, Aside: ids(p)[1:2]}
		}, ids},
	} {
		t.Run(name, func(t *testing.T) {
			p := &Parcel{Items: ordinary(t, tt.n)}
			pack(t, p, sealB.Public())
			v := tt.verdicts(p)
			it, err := NewReceipt(nodeB, signB, p, start.Add(999*time.Microsecond), v)
			if err != nil {
				t.Fatal(err)
			}
			back, err := ItemFromProto(ItemToProto(&it))
			if err != nil {
				t.Fatal(err)
			}
			info, err := VerifyReceipt(back, directory)
			if err != nil {
				t.Fatal(err)
			}
			want := ReceiptInfo{Item: it, Author: nodeB, HeldAt: start, Manifest: info.Manifest, Covered: tt.covered(p), Rejected: v.Rejected, Aside: v.Aside}
			if d := cmp.Diff(want, info, cmp.AllowUnexported(Manifest{})); d != "" {
				t.Errorf("info (-want +got):\n%s", d)
			}
			if info.Manifest.From != nodeA || info.Manifest.To != nodeB || info.Manifest.Parcel != p.Parcel {
				t.Errorf("manifest %+v", info.Manifest)
			}
			covered, err := CoveredBy(&back)
			if err != nil || !slices.Equal(covered, tt.covered(p)) {
				t.Errorf("covered by: %v, %v", covered, err)
			}
		})
	}
}

func TestNewReceiptRefusesVerdictsOnWhatItDoesNotCover(t *testing.T) {
	p := &Parcel{Items: ordinary(t, 2)}
	pack(t, p, sealB.Public())
	for name, v := range map[string]Verdicts{
		"nothing covered":       {Covered: []cases.ItemID{}},
		"rejected outside":      {Rejected: map[cases.ItemID]cases.Reject{{1}: cases.NotHome}},
		"rejected, not covered": {Covered: p.Manifest.Items[:1], Rejected: map[cases.ItemID]cases.Reject{p.Items[1].ID: cases.NotHome}},
		"aside outside":         {Aside: []cases.ItemID{{1}}},
	} {
		if _, err := NewReceipt(nodeB, signB, p, start, v); err == nil {
			t.Errorf("%s: made", name)
		}
	}
}

// forge makes a receipt item out of a changed body, signed anew by key where
// one is given.
func forge(t *testing.T, good cases.Item, key *seal.SigningKey, change func(*cases.Head, *cases.ReceiptBody)) cases.Item {
	t.Helper()
	b, err := DecodeBody(good.BodyRaw)
	if err != nil {
		t.Fatal(err)
	}
	h, nonce := good.Head, good.Nonce
	change(&h, b.Receipt)
	if key != nil {
		raw, err := det.Marshal(headToProto(&h))
		if err != nil {
			t.Fatal(err)
		}
		signed, err := receiptSigned(raw, nonce, b.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		b.Receipt.Signature = key.Sign(contextReceipt, signed)
	}
	it, err := newItem(h, b, 0, nonce)
	if err != nil {
		t.Fatal(err)
	}
	return it
}

func TestReceiptRefused(t *testing.T) {
	good, p := receiptOf(t, 3, Verdicts{})
	if it := forge(t, good, &signB, func(*cases.Head, *cases.ReceiptBody) {}); it.ID != good.ID {
		t.Fatal("forging nothing makes another item")
	}
	if _, err := VerifyReceipt(good, directory); err != nil {
		t.Fatal(err)
	}
	toC := &Parcel{Items: p.Items, Manifest: Manifest{From: nodeA, To: nodeC}}
	if _, err := Pack(toC, signA, sealB.Public(), start); err != nil {
		t.Fatal(err)
	}
	byC := &Parcel{Items: p.Items, Manifest: Manifest{From: nodeA, To: nodeB}}
	if _, err := Pack(byC, signC, sealB.Public(), start); err != nil {
		t.Fatal(err)
	}
	use := func(p *Parcel) func(*cases.Head, *cases.ReceiptBody) {
		return func(_ *cases.Head, r *cases.ReceiptBody) {
			r.Manifest, r.ManifestSignature = p.ManifestRaw, p.Signature
		}
	}
	first := p.Manifest.Items[0]
	for name, it := range map[string]cases.Item{
		// what its author did not sign
		"held earlier": forge(t, good, nil, func(h *cases.Head, r *cases.ReceiptBody) {
			r.HeldAt = r.HeldAt.Add(-time.Hour)
			h.RecordedAt = r.HeldAt
		}),
		"covers less": forge(t, good, nil, func(_ *cases.Head, r *cases.ReceiptBody) { r.Covered = []cases.ItemID{first} }),
		"rejects one": forge(t, good, nil, func(_ *cases.Head, r *cases.ReceiptBody) {
			r.Rejected = map[cases.ItemID]cases.Reject{first: cases.NotHome}
		}),
		"sets one aside":          forge(t, good, nil, func(_ *cases.Head, r *cases.ReceiptBody) { r.Aside = []cases.ItemID{first} }),
		"another t":               forge(t, good, nil, func(h *cases.Head, _ *cases.ReceiptBody) { h.T++ }),
		"another case":            forge(t, good, nil, func(h *cases.Head, _ *cases.ReceiptBody) { h.Case = cases.CaseID{1} }),
		"another author":          forge(t, good, nil, func(h *cases.Head, _ *cases.ReceiptBody) { h.Author = nodeC }),
		"author signature forged": forge(t, good, &signC, func(*cases.Head, *cases.ReceiptBody) {}),
		"no signature":            forge(t, good, nil, func(_ *cases.Head, r *cases.ReceiptBody) { r.Signature = nil }),
		"signed as a parcel":      forge(t, good, nil, func(_ *cases.Head, r *cases.ReceiptBody) { r.Signature = signB.Sign(contextParcel, r.Manifest) }),
		// what its author should not have signed
		"another kind":            forge(t, good, &signB, func(h *cases.Head, _ *cases.ReceiptBody) { h.Kind = cases.Close }),
		"head and body disagree":  forge(t, good, &signB, func(_ *cases.Head, r *cases.ReceiptBody) { r.HeldAt = r.HeldAt.Add(time.Second) }),
		"time before all clocks":  forge(t, good, &signB, func(h *cases.Head, r *cases.ReceiptBody) { r.HeldAt = time.UnixMilli(-1); h.RecordedAt = r.HeldAt }),
		"covers outside manifest": forge(t, good, &signB, func(_ *cases.Head, r *cases.ReceiptBody) { r.Covered = []cases.ItemID{first, {1}} }),
		"covers one twice":        forge(t, good, &signB, func(_ *cases.Head, r *cases.ReceiptBody) { r.Covered = []cases.ItemID{first, first} }),
		"rejects outside manifest": forge(t, good, &signB, func(_ *cases.Head, r *cases.ReceiptBody) {
			r.Rejected = map[cases.ItemID]cases.Reject{{1}: cases.NotHome}
		}),
		"rejects without covering": forge(t, good, &signB, func(_ *cases.Head, r *cases.ReceiptBody) {
			r.Covered = p.Manifest.Items[1:]
			r.Rejected = map[cases.ItemID]cases.Reject{first: cases.NotHome}
		}),
		"aside without covering": forge(t, good, &signB, func(_ *cases.Head, r *cases.ReceiptBody) {
			r.Covered = p.Manifest.Items[1:]
			r.Aside = []cases.ItemID{first}
		}),
		"manifest signature forged": forge(t, good, &signB, func(_ *cases.Head, r *cases.ReceiptBody) { r.ManifestSignature = signB.Sign(contextParcel, r.Manifest) }),
		"manifest changed":          forge(t, good, &signB, func(_ *cases.Head, r *cases.ReceiptBody) { r.Manifest = append(slices.Clone(r.Manifest), 0x40, 1) }),
		"no manifest":               forge(t, good, &signB, func(_ *cases.Head, r *cases.ReceiptBody) { r.Manifest = nil }),
		"manifest to another node":  forge(t, good, &signB, use(toC)),
		"manifest not by its node":  forge(t, good, &signB, use(byC)),
		"key of another node":       forge(t, good, &signC, func(_ *cases.Head, r *cases.ReceiptBody) { r.KeyID = signC.ID() }),
		"receipt by the wrong node": forge(t, good, &signC, func(h *cases.Head, r *cases.ReceiptBody) { h.Author, r.KeyID = nodeC, signC.ID() }),
		"body of another kind":      newSample(t, sample{"", good.Head, samples()[0].body, 0}),
	} {
		if info, err := VerifyReceipt(it, directory); !fault.Is(err, fault.KindDenied) {
			t.Errorf("%s: accepted as %+v, %v", name, info, err)
		}
	}
}

// Of one receipt nobody but its author can make a second item: not under
// another nonce, and not by writing its body in other bytes.
func TestReceiptHasOneItem(t *testing.T) {
	good, _ := receiptOf(t, 2, Verdicts{})
	variants := map[string]*wirev1.Item{}
	p := ItemToProto(&good)
	variants["nonce"] = &wirev1.Item{Head: p.Head, Nonce: append([]byte{p.Nonce[0] ^ 1}, p.Nonce[1:]...), Body: p.Body}
	variants["unknown field in body"] = &wirev1.Item{Head: p.Head, Nonce: p.Nonce, Body: append(slices.Clone(p.Body), 0xf8, 0x01, 1)}
	variants["unknown field in head"] = &wirev1.Item{Head: append(slices.Clone(p.Head), 0xf8, 0x07, 1), Nonce: p.Nonce, Body: p.Body}
	padded, ok := padBody(p.Body, len(p.Body)+40)
	if !ok {
		t.Fatal("not padded")
	}
	variants["padding"] = &wirev1.Item{Head: p.Head, Nonce: p.Nonce, Body: padded}
	widened, ok := padBody(p.Body, len(p.Body)+1)
	if !ok {
		t.Fatal("not widened")
	}
	variants["longer tag"] = &wirev1.Item{Head: p.Head, Nonce: p.Nonce, Body: widened}
	for name, v := range variants {
		raw, err := proto.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var q wirev1.Item
		if err := proto.Unmarshal(raw, &q); err != nil {
			t.Fatal(err)
		}
		it, err := ItemFromProto(&q)
		if err != nil || it.ID == good.ID {
			t.Fatalf("%s: id %s, %v", name, it.ID, err)
		}
		if _, err := VerifyReceipt(it, directory); err == nil {
			t.Errorf("%s: a second item of one receipt was accepted", name)
		}
	}
	erased := good
	erased.Nonce, erased.BodyRaw = nil, nil
	if _, err := VerifyReceipt(erased, directory); err == nil {
		t.Error("a receipt without body was accepted")
	}
}
