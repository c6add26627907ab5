package wire

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"slices"
	"time"

	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/seal"
)

// Verdicts say what a receipt says of a parcel's items: which it covers, which
// of them it rejects, and which the author received as home of the opener's
// side alone (model rule M8).
type Verdicts struct {
	Covered  []cases.ItemID
	Rejected map[cases.ItemID]cases.Reject
	Aside    []cases.ItemID
}

// NewReceipt makes the signed receipt of author for the items of p that it
// holds since heldAt. Covered names them where they are not all of the
// manifest's; nil means all, and an empty list is a mistake of the caller. What
// is rejected is part of what is covered.
func NewReceipt(author cases.NodeID, key seal.SigningKey, p *Parcel, heldAt time.Time, v Verdicts) (cases.Item, error) {
	covered, rejected := v.Covered, v.Rejected
	if covered != nil && len(covered) == 0 {
		return cases.Item{}, fault.Internal("RECEIPT", "a receipt that covers nothing")
	}
	if len(covered) == len(p.Manifest.Items) {
		covered = nil
	}
	listed := p.Manifest.Items
	if covered != nil {
		listed = covered
	}
	for _, id := range slices.AppendSeq(slices.Clone(v.Aside), maps.Keys(rejected)) {
		if !slices.Contains(listed, id) {
			return cases.Item{}, fault.Internal("RECEIPT", "a verdict on item %s, which is not covered", id)
		}
	}
	r := &cases.ReceiptBody{
		Manifest: p.ManifestRaw, ManifestSignature: p.Signature, HeldAt: heldAt.Truncate(time.Millisecond),
		Covered: covered, Rejected: rejected, Aside: v.Aside, KeyID: key.ID(),
	}
	h := cases.Head{Author: author, Kind: cases.Receipt, MinVersion: 1, RecordedAt: r.HeldAt, T: r.HeldAt.UnixMilli()}
	head, err := det.Marshal(headToProto(&h))
	if err != nil {
		return cases.Item{}, fault.Internal("ENCODE", "encode head of a receipt").Because(err)
	}
	nonce := newNonce()
	signed, err := receiptSigned(head, nonce, r)
	if err != nil {
		return cases.Item{}, err
	}
	r.Signature = key.Sign(contextReceipt, signed)
	return newItem(h, cases.Body{Receipt: r}, 0, nonce)
}

// receiptSigned is what a receipt's author signs: everything that makes the
// item's id but the signature, that is head, nonce and the rest of the body.
// So nobody else can make further items out of one receipt, among which the
// smallest id would decide (rule 14).
func receiptSigned(head, nonce []byte, r *cases.ReceiptBody) ([]byte, error) {
	bare := *r
	bare.Signature = nil
	b, err := det.Marshal(receiptToProto(&bare))
	if err != nil {
		return nil, fault.Internal("ENCODE", "encode receipt").Because(err)
	}
	body := bodyHash(nonce, b)
	h := sha256.Sum256(slices.Concat(head, body[:]))
	return h[:], nil
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
	Aside    []cases.ItemID
}

// VerifyReceipt decodes a receipt and checks both signatures: that of its
// author, and that of the parcel's sender over the manifest, which was packed
// for that author.
func VerifyReceipt(it cases.Item, keyOf KeyOf) (ReceiptInfo, error) {
	bad := func(what string) (ReceiptInfo, error) {
		return ReceiptInfo{}, fault.Denied("RECEIPT", "receipt %s: %s", it.ID, what)
	}
	b, err := DecodeBody(it.BodyRaw)
	if err != nil || b.Receipt == nil || it.Head.Kind != cases.Receipt {
		return bad("does not decode")
	}
	if raw, err := det.Marshal(bodyToProto(b)); err != nil || !bytes.Equal(raw, it.BodyRaw) {
		return bad("is not encoded as its author did")
	}
	r := b.Receipt
	author := it.Head.Author
	key, ok := keyOf(author, r.KeyID)
	if !ok {
		return bad("signing key of its author is not in the directory")
	}
	signed, err := receiptSigned(it.HeadRaw, it.Nonce, r)
	if err != nil {
		return ReceiptInfo{}, err
	}
	if !key.Verify(contextReceipt, signed, r.Signature) {
		return bad("signature of its author does not verify")
	}
	if !it.Head.RecordedAt.Equal(r.HeldAt) {
		return bad("head and body name different times")
	}
	if y := r.HeldAt.UTC().Year(); y < 2000 || y > 2199 {
		return bad("names a time that no clock shows")
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
	listed := make(map[cases.ItemID]bool, len(m.Items))
	for _, id := range m.Items {
		listed[id] = true
	}
	held := make(map[cases.ItemID]bool, len(covered))
	for _, id := range covered {
		if !listed[id] || held[id] {
			return bad("covers an item twice or one that its manifest does not list")
		}
		held[id] = true
	}
	for id := range r.Rejected {
		if !held[id] {
			return bad("rejects an item that it does not cover")
		}
	}
	for _, id := range r.Aside {
		if !held[id] {
			return bad("sets aside an item that it does not cover")
		}
	}
	return ReceiptInfo{Item: it, Author: author, HeldAt: r.HeldAt, Manifest: m, Covered: covered, Rejected: r.Rejected, Aside: r.Aside}, nil
}

// CoveredBy returns the items that a stored receipt covers, without verifying
// it again.
func CoveredBy(it *cases.Item) ([]cases.ItemID, error) {
	b, err := DecodeBody(it.BodyRaw)
	if err != nil {
		return nil, err
	}
	if b.Receipt == nil {
		return nil, fault.Invalid("UNREADABLE", "item %s is no receipt", it.ID)
	}
	if len(b.Receipt.Covered) > 0 {
		return b.Receipt.Covered, nil
	}
	m, err := ParseManifest(b.Receipt.Manifest)
	return m.Items, err
}
