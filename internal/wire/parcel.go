package wire

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"yipan/internal/cases"
	"yipan/internal/fault"
	wirev1 "yipan/internal/gen/yipan/wire/v1"
	"yipan/internal/seal"
)

// MaxItems and MaxBytes bound a parcel (PROTOCOL rule 12). MaxOpened bounds
// what a receiver unpacks: a parcel of MaxBytes with its receipts, padded.
const (
	MaxItems  = 256
	MaxBytes  = 256 << 10
	MaxOpened = 1 << 20
)

// Contexts of signatures (domain separation).
const (
	contextParcel  = "parcel"
	contextReceipt = "receipt"
	contextReport  = "report"
)

// ParcelID names one attempt to send; it is random and never reused.
type ParcelID [16]byte

// Header is what anyone between two nodes may read (rule 6).
type Header struct {
	Version  uint32
	Suite    seal.Suite
	From, To cases.NodeID
	KeyID    seal.KeyID
	Parcel   ParcelID
}

// info binds the header to the sealed body (RFC 9180, info).
func (h Header) info() []byte {
	b := []byte("yipan/envelope\x00")
	b = binary.BigEndian.AppendUint32(b, h.Version)
	b = binary.BigEndian.AppendUint16(b, uint16(h.Suite))
	b = binary.BigEndian.AppendUint64(b, uint64(h.From))
	b = binary.BigEndian.AppendUint64(b, uint64(h.To))
	b = append(b, h.KeyID[:]...)
	return append(b, h.Parcel[:]...)
}

// Manifest is the part of a parcel that its sender signs.
type Manifest struct {
	Parcel   ParcelID
	From, To cases.NodeID
	Items    []cases.ItemID
	KeyID    seal.KeyID
	Serial   uint64
	Speaks   uint32
	PackedAt time.Time

	statementHash []byte
}

// HintKind is what a hint says.
type HintKind uint8

// Hints. Nothing settles on them.
const (
	Unopenable HintKind = 1
	Moved      HintKind = 2
)

// Hint tells the sender what became of a parcel when no receipt can.
type Hint struct {
	Parcel ParcelID
	Kind   HintKind
	Serial uint64
}

// BadItem is an item that cannot be decoded; its id is known all the same.
type BadItem struct {
	ID     cases.ItemID
	Reason cases.Reject
}

// Parcel is the content of a sealed envelope. To pack, fill From, To, Serial,
// Items, Receipts, Statement and Hints; opening fills all.
type Parcel struct {
	Manifest
	ManifestRaw []byte
	Signature   []byte

	Items     []cases.Item
	Bad       []BadItem
	Receipts  []cases.Item
	Statement *Statement
	Hints     []Hint
}

// Pack signs, pads and seals p for the key to, and returns the envelope's
// bytes. It fills p's parcel id, manifest and signature. More than MaxItems
// items, twice as many receipts or more than a receiver opens is Internal
// PARCEL_TOO_LARGE.
func Pack(p *Parcel, sign seal.SigningKey, to seal.SealTo, now time.Time) ([]byte, error) {
	if len(p.Items) > MaxItems || len(p.Receipts) > 2*MaxItems {
		return nil, fault.Internal("PARCEL_TOO_LARGE", "parcel of %d items and %d receipts", len(p.Items), len(p.Receipts))
	}
	_, _ = rand.Read(p.Parcel[:])
	p.KeyID, p.Speaks, p.PackedAt = sign.ID(), Version, now
	out := &wirev1.Parcel{Items: make([]*wirev1.Item, 0, len(p.Receipts)+len(p.Items))}
	m := &wirev1.Manifest{
		ParcelId: p.Parcel[:], From: uint64(p.From), To: uint64(p.To), KeyId: p.KeyID[:],
		Serial: p.Serial, Speaks: p.Speaks, PackedAt: now.UnixMilli(),
		Items: make([]byte, 0, 16*len(p.Items)),
	}
	p.Manifest.Items = make([]cases.ItemID, 0, len(p.Items))
	for i := range p.Receipts {
		out.Items = append(out.Items, ItemToProto(&p.Receipts[i]))
	}
	for i := range p.Items {
		m.Items = append(m.Items, p.Items[i].ID[:]...)
		p.Manifest.Items = append(p.Manifest.Items, p.Items[i].ID)
		out.Items = append(out.Items, ItemToProto(&p.Items[i]))
	}
	var err error
	if p.Statement != nil {
		if out.Statement, err = encodeStatement(p.Statement); err != nil {
			return nil, err
		}
		h := sha256.Sum256(out.Statement)
		m.StatementHash = h[:]
	}
	for _, h := range p.Hints {
		out.Hints = append(out.Hints, &wirev1.Hint{ParcelId: h.Parcel[:], Kind: wirev1.HintKind(h.Kind), Serial: h.Serial})
	}
	if out.Manifest, err = det.Marshal(m); err != nil {
		return nil, fault.Internal("ENCODE", "encode manifest").Because(err)
	}
	out.Signature = sign.Sign(contextParcel, out.Manifest)
	p.ManifestRaw, p.Signature = out.Manifest, out.Signature
	plain, err := det.Marshal(out)
	if err != nil {
		return nil, fault.Internal("ENCODE", "encode parcel").Because(err)
	}
	padded := seal.Pad(plain)
	if len(padded) > MaxOpened {
		return nil, fault.Internal("PARCEL_TOO_LARGE", "parcel of %d bytes", len(plain))
	}
	h := Header{Version: EnvelopeVersion, Suite: to.Suite(), From: p.From, To: p.To, KeyID: to.ID(), Parcel: p.Parcel}
	enc, ct, err := seal.Seal(to, h.info(), padded)
	if err != nil {
		return nil, err
	}
	b, err := det.Marshal(&wirev1.Envelope{
		Version: h.Version, Suite: uint32(h.Suite), From: uint64(h.From), To: uint64(h.To),
		KeyId: h.KeyID[:], ParcelId: h.Parcel[:], Enc: enc, Ciphertext: ct,
	})
	if err != nil {
		return nil, fault.Internal("ENCODE", "encode envelope").Because(err)
	}
	return b, nil
}

// Envelope is a parcel not yet opened.
type Envelope struct {
	Header
	enc, ct []byte
}

// ParseEnvelope reads the outside of a parcel. Version and suite are not
// judged here.
func ParseEnvelope(b []byte) (Envelope, error) {
	var p wirev1.Envelope
	if len(b) > MaxOpened+4096 {
		return Envelope{}, fault.Invalid("UNREADABLE", "envelope has %d bytes", len(b))
	}
	if err := proto.Unmarshal(b, &p); err != nil {
		return Envelope{}, fault.Invalid("UNREADABLE", "envelope does not decode").Because(err)
	}
	from, errFrom := areaKey(p.GetFrom())
	to, errTo := areaKey(p.GetTo())
	if len(p.GetKeyId()) != 8 || len(p.GetParcelId()) != 16 || p.GetSuite() > 0xffff || errFrom != nil || errTo != nil {
		return Envelope{}, fault.Invalid("UNREADABLE", "envelope misses key id, parcel id or the nodes")
	}
	return Envelope{
		Header: Header{
			Version: p.GetVersion(), Suite: seal.Suite(p.GetSuite()), From: cases.NodeID(from), To: cases.NodeID(to),
			KeyID: seal.KeyID(p.GetKeyId()), Parcel: ParcelID(p.GetParcelId()),
		},
		enc: p.GetEnc(), ct: p.GetCiphertext(),
	}, nil
}

// Open unseals the envelope with key and decodes the parcel. The parcel's
// sender is not proven before Verify.
func (e Envelope) Open(key seal.SealingKey, floor seal.Suite) (*Parcel, error) {
	if e.Version != EnvelopeVersion {
		return nil, fault.Invalid("VERSION_UNKNOWN", "envelope version %d, this node reads %d", e.Version, EnvelopeVersion)
	}
	if err := e.Suite.Check(floor); err != nil {
		return nil, err
	}
	padded, err := seal.Open(key, e.info(), e.enc, e.ct)
	if err != nil {
		return nil, err
	}
	plain, err := seal.Unpad(padded)
	if err != nil {
		return nil, err
	}
	p, err := decodeParcel(plain)
	if err != nil {
		return nil, err
	}
	if p.From != e.From || p.To != e.To || p.Parcel != e.Parcel {
		return nil, fault.Invalid("MANIFEST", "parcel's signed part disagrees with its envelope")
	}
	return p, nil
}

func decodeParcel(plain []byte) (*Parcel, error) {
	var in wirev1.Parcel
	if err := proto.Unmarshal(plain, &in); err != nil {
		return nil, fault.Invalid("UNREADABLE", "parcel does not decode").Because(err)
	}
	m, err := ParseManifest(in.GetManifest())
	if err != nil {
		return nil, err
	}
	p := &Parcel{Manifest: m, ManifestRaw: in.GetManifest(), Signature: in.GetSignature()}
	if len(in.GetItems()) > 2*MaxItems+MaxItems {
		return nil, fault.Invalid("UNREADABLE", "parcel has %d items", len(in.GetItems()))
	}
	for _, raw := range in.GetItems() {
		it, err := ItemFromProto(raw)
		switch {
		case err != nil && it.ID.IsZero():
			return nil, fault.Invalid("UNREADABLE", "parcel holds an item without an id").Because(err)
		case err != nil:
			p.Bad = append(p.Bad, BadItem{it.ID, cases.Unreadable})
		case it.Head.Kind == cases.Receipt:
			p.Receipts = append(p.Receipts, it)
		default:
			p.Items = append(p.Items, it)
		}
	}
	for _, h := range in.GetHints() {
		if len(h.GetParcelId()) == 16 && h.GetKind() > 0 && h.GetKind() < 256 {
			p.Hints = append(p.Hints, Hint{ParcelID(h.GetParcelId()), HintKind(h.GetKind()), h.GetSerial()})
		}
	}
	if s := in.GetStatement(); len(s) > 0 || len(m.statementHash) > 0 {
		if h := sha256.Sum256(s); !slices.Equal(h[:], m.statementHash) {
			return nil, fault.Invalid("MANIFEST", "statement is not the one that was signed")
		}
		if p.Statement, err = decodeStatement(s); err != nil {
			return nil, err
		}
	}
	return p, p.matches()
}

// matches holds the items against the manifest: the same ids, each once.
func (p *Parcel) matches() error {
	want := make(map[cases.ItemID]bool, len(p.Manifest.Items))
	for _, id := range p.Manifest.Items {
		want[id] = true
	}
	if len(want) != len(p.Manifest.Items) {
		return fault.Invalid("MANIFEST", "manifest lists an item twice")
	}
	for i := range p.Items {
		if !want[p.Items[i].ID] {
			return fault.Invalid("MANIFEST", "item %s is not in the signed manifest, or came twice", p.Items[i].ID)
		}
		delete(want, p.Items[i].ID)
	}
	// What cannot be read and is not listed would be a receipt: nobody waits
	// for a verdict on it.
	p.Bad = slices.DeleteFunc(p.Bad, func(b BadItem) bool {
		listed := want[b.ID]
		delete(want, b.ID)
		return !listed
	})
	if len(want) > 0 {
		return fault.Invalid("MANIFEST", "parcel lacks %d items of its manifest", len(want))
	}
	return nil
}

// Verify checks the sender's signature over the manifest.
func (p *Parcel) Verify(key seal.VerifyKey) error {
	return verifyManifest(p.ManifestRaw, p.Signature, key)
}

func verifyManifest(raw, sig []byte, key seal.VerifyKey) error {
	if !key.Verify(contextParcel, raw, sig) {
		return fault.Denied("SIGNATURE", "parcel signature does not verify")
	}
	return nil
}

// ParseManifest decodes a signed part.
func ParseManifest(raw []byte) (Manifest, error) {
	var p wirev1.Manifest
	if err := proto.Unmarshal(raw, &p); err != nil {
		return Manifest{}, fault.Invalid("UNREADABLE", "manifest does not decode").Because(err)
	}
	ids := p.GetItems()
	from, errFrom := areaKey(p.GetFrom())
	to, errTo := areaKey(p.GetTo())
	if len(p.GetParcelId()) != 16 || len(p.GetKeyId()) != 8 || len(ids)%16 != 0 || len(ids) > 16*MaxItems || errFrom != nil || errTo != nil {
		return Manifest{}, fault.Invalid("UNREADABLE", "manifest is malformed")
	}
	m := Manifest{
		Parcel: ParcelID(p.GetParcelId()), From: cases.NodeID(from), To: cases.NodeID(to),
		KeyID: seal.KeyID(p.GetKeyId()), Serial: p.GetSerial(), Speaks: p.GetSpeaks(),
		PackedAt: time.UnixMilli(p.GetPackedAt()), statementHash: p.GetStatementHash(),
		Items: make([]cases.ItemID, 0, len(ids)/16),
	}
	for ; len(ids) > 0; ids = ids[16:] {
		m.Items = append(m.Items, cases.ItemID(ids[:16]))
	}
	return m, nil
}
