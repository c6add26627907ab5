package directory

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"strings"

	"google.golang.org/protobuf/proto"

	"yipan/internal/cases"
	"yipan/internal/fault"
	directoryv1 "yipan/internal/gen/yipan/directory/v1"
	"yipan/internal/seal"
)

// Titles of the text block that a request is mailed as.
const (
	joinTitle   = "YIPAN JOIN REQUEST"
	changeTitle = "YIPAN CHANGE REQUEST"
)

// Request is a claim with its proofs, as a node sends it to the authority. The
// claim's bytes never change once made.
type Request struct {
	claim  Claim
	bytes  []byte
	proofs []Proof
}

// NewRequest makes a request and proves possession of those of the claim's keys
// whose private halves are given; keys that the claim does not list are a
// mistake. Errors: Invalid DIRECTORY_CLAIM and those of keys.
func NewRequest(c Claim, keys ...seal.SigningKey) (Request, error) {
	b, err := c.encode()
	if err != nil {
		return Request{}, err
	}
	if c, err = parseClaim(b); err != nil {
		return Request{}, err
	}
	r := Request{claim: c, bytes: b}
	listed := make(map[seal.KeyID]bool)
	for _, k := range c.Keys {
		if k.Use.signs() {
			listed[k.ID()] = true
		}
	}
	for _, k := range keys {
		if !listed[k.ID()] {
			return Request{}, fault.Invalid("DIRECTORY_CLAIM", "directory: key %s is not in the claim", k.ID())
		}
		r.proofs = append(r.proofs, prove(Possession, c.Node, k, b))
	}
	return r, nil
}

// Continue returns the request signed also by a signing key of the node's
// previous entry, the one in use or the one announced as next.
func (r Request) Continue(previous seal.SigningKey) Request {
	return r.with(prove(Continuity, r.claim.Node, previous, r.bytes))
}

// Release returns the request signed also by a node that loses an area by it,
// with a signing key of that node's entry.
func (r Request) Release(loser cases.NodeID, key seal.SigningKey) Request {
	return r.with(prove(Release, loser, key, r.bytes))
}

func (r Request) with(p Proof) Request {
	r.proofs = append(r.proofs[:len(r.proofs):len(r.proofs)], p)
	return r
}

// Claim returns what is asked for.
func (r Request) Claim() Claim { return r.claim }

// Proofs returns the signatures; they are not verified yet.
func (r Request) Proofs() []Proof { return r.proofs }

// Fingerprint is what both sides read to each other before the authority
// admits a request: 128 bits of SHA-256 of the claim in 8 groups of 4 digits.
func (r Request) Fingerprint() string { return fingerprint(r.bytes) }

// Fingerprint is the same for a key, the authority's above all.
func Fingerprint(k seal.VerifyKey) string { return fingerprint(k.Bytes()) }

func fingerprint(b []byte) string {
	sum := sha256.Sum256(b)
	digits := hex.EncodeToString(sum[:16])
	var groups []string
	for i := 0; i < len(digits); i += 4 {
		groups = append(groups, digits[i:i+4])
	}
	return strings.Join(groups, " ")
}

// Text returns the request as a block of text (RFC 7468) that survives mail.
func (r Request) Text() string {
	b, err := proto.Marshal(&directoryv1.Request{Claim: r.bytes, Proofs: encodeProofs(r.proofs)})
	if err != nil {
		panic(err) // bytes and numbers only
	}
	title := joinTitle
	if r.claim.Previous != 0 {
		title = changeTitle
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: title, Bytes: b}))
}

// ParseRequest finds the one block that Text wrote in a text and reads it. It
// checks the form; the proofs are the authority's to verify. Errors: Invalid
// DIRECTORY_REQUEST, DIRECTORY_CLAIM, DIRECTORY_PROOF, DIRECTORY_VERSION and
// those of keys.
func ParseRequest(text []byte) (Request, error) {
	bad := func(why string) error {
		return fault.Invalid("DIRECTORY_REQUEST", "directory: request: %s", why).Zh("节点申请文件无法读取")
	}
	// Three times: base64 takes 4/3, and mail adds headers and a greeting.
	if len(text) > 3*MaxRecordBytes {
		return Request{}, bad("too long")
	}
	block, rest := pem.Decode(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))
	if block == nil || block.Type != joinTitle && block.Type != changeTitle || len(block.Headers) > 0 {
		return Request{}, bad("no block of text " + joinTitle)
	}
	if more, _ := pem.Decode(rest); more != nil {
		return Request{}, bad("more than one block of text")
	}
	var m directoryv1.Request
	if err := proto.Unmarshal(block.Bytes, &m); err != nil {
		return Request{}, bad("unreadable")
	}
	c, err := parseClaim(m.Claim)
	if err != nil {
		return Request{}, err
	}
	proofs, err := parseProofs(m.Proofs)
	if err != nil {
		return Request{}, err
	}
	return Request{c, m.Claim, proofs}, nil
}
