package wire

import (
	"crypto/sha256"
	"slices"
	"time"

	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/seal"
)

// NewReceipt makes the signed receipt of author for the items of p that it
// holds since heldAt. covered names them where they are not all of the
// manifest's.
func NewReceipt(author cases.NodeID, key seal.SigningKey, p *Parcel, heldAt time.Time, covered []cases.ItemID, rejected map[cases.ItemID]cases.Reject) (cases.Item, error) {
	if len(covered) == len(p.Manifest.Items) {
		covered = nil
	}
	r := &cases.ReceiptBody{
		Manifest: p.ManifestRaw, ManifestSignature: p.Signature, HeldAt: heldAt.Truncate(time.Millisecond),
		Covered: covered, Rejected: rejected, KeyID: key.ID(),
	}
	h := cases.Head{Author: author, Kind: cases.Receipt, MinVersion: 1, RecordedAt: r.HeldAt, T: r.HeldAt.UnixMilli()}
	signed, err := receiptSigned(author, r)
	if err != nil {
		return cases.Item{}, err
	}
	r.Signature = key.Sign(contextReceipt, signed)
	return NewItem(h, cases.Body{Receipt: r}, 0)
}

// receiptSigned is what a receipt's author signs: itself, and the receipt
// without the signature.
func receiptSigned(author cases.NodeID, r *cases.ReceiptBody) ([]byte, error) {
	bare := *r
	bare.Signature = nil
	b, err := det.Marshal(receiptToProto(&bare))
	if err != nil {
		return nil, fault.Internal("ENCODE", "encode receipt").Because(err)
	}
	h := sha256.Sum256(b)
	return append([]byte(author.String()+"\x00"), h[:]...), nil
}

// KeyOf finds the key of a node by its id, current or former.
type KeyOf func(cases.NodeID, seal.KeyID) (seal.VerifyKey, bool)

// ReceiptInfo is a receipt that was verified.
type ReceiptInfo struct {
	Item     cases.Item
	Author   cases.NodeID
	HeldAt   time.Time
	Manifest Manifest
	Covered  []cases.ItemID
	Rejected map[cases.ItemID]cases.Reject
}

// VerifyReceipt decodes a receipt and checks both signatures: that of its
// author, and that of the parcel's sender over the manifest, which was packed
// for that author.
func VerifyReceipt(it cases.Item, keyOf KeyOf) (ReceiptInfo, error) {
	bad := func(what string) (ReceiptInfo, error) {
		return ReceiptInfo{}, fault.Denied("RECEIPT", "receipt %s: %s", it.ID, what)
	}
	b, err := DecodeBody(it.BodyRaw)
	if err != nil || b.Receipt == nil {
		return bad("does not decode")
	}
	r := b.Receipt
	author := it.Head.Author
	key, ok := keyOf(author, r.KeyID)
	if !ok {
		return bad("signing key of its author is not in the directory")
	}
	signed, err := receiptSigned(author, r)
	if err != nil {
		return ReceiptInfo{}, err
	}
	if !key.Verify(contextReceipt, signed, r.Signature) {
		return bad("signature of its author does not verify")
	}
	if !it.Head.RecordedAt.Equal(r.HeldAt) {
		return bad("head and body name different times")
	}
	m, err := ParseManifest(r.Manifest)
	if err != nil {
		return bad("manifest does not decode")
	}
	if m.To != author {
		return bad("manifest was packed for another node")
	}
	sender, ok := keyOf(m.From, m.KeyID)
	if !ok {
		return bad("signing key of the manifest's sender is not in the directory")
	}
	if err := verifyManifest(r.Manifest, r.ManifestSignature, sender); err != nil {
		return bad("manifest signature does not verify")
	}
	covered := r.Covered
	if len(covered) == 0 {
		covered = m.Items
	}
	for _, id := range r.Covered {
		if !slices.Contains(m.Items, id) {
			return bad("covers an item that its manifest does not list")
		}
	}
	return ReceiptInfo{Item: it, Author: author, HeldAt: r.HeldAt, Manifest: m, Covered: covered, Rejected: r.Rejected}, nil
}
