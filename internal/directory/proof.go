package directory

import (
	"yipan/internal/cases"
	"yipan/internal/fault"
	directoryv1 "yipan/internal/gen/yipan/directory/v1"
	"yipan/internal/seal"
)

// ProofKind is what a node's signature over a claim says.
type ProofKind uint8

// The kinds of proof. Others, of newer nodes, are carried and not counted.
const (
	// Possession: the holder of a new key made the claim.
	Possession ProofKind = ProofKind(directoryv1.ProofKind_PROOF_KIND_POSSESSION)
	// Continuity: so did the holder of a signing key of the node's entry before.
	Continuity ProofKind = ProofKind(directoryv1.ProofKind_PROOF_KIND_CONTINUITY)
	// Release: another node gives up what the claim takes from it.
	Release ProofKind = ProofKind(directoryv1.ProofKind_PROOF_KIND_RELEASE)
)

// Proof is a node's signature over the bytes of a claim.
type Proof struct {
	Kind      ProofKind
	Node      cases.NodeID // that signed
	KeyID     seal.KeyID
	Signature []byte
}

// context separates the kinds from each other and from all else that is signed.
func (k ProofKind) context() string {
	switch k {
	case Possession:
		return "directory-possession"
	case Continuity:
		return "directory-continuity"
	default:
		return "directory-release"
	}
}

func prove(kind ProofKind, node cases.NodeID, key seal.SigningKey, claim []byte) Proof {
	return Proof{kind, node, key.ID(), key.Sign(kind.context(), claim)}
}

func (p Proof) holds(key seal.VerifyKey, claim []byte) bool {
	return p.KeyID == key.ID() && key.Verify(p.Kind.context(), claim, p.Signature)
}

func encodeProofs(ps []Proof) []*directoryv1.Proof {
	var ms []*directoryv1.Proof
	for _, p := range ps {
		ms = append(ms, &directoryv1.Proof{
			Kind: directoryv1.ProofKind(p.Kind), Node: uint64(p.Node), KeyId: p.KeyID[:], Signature: p.Signature,
		})
	}
	return ms
}

func parseProofs(ms []*directoryv1.Proof) ([]Proof, error) {
	if len(ms) > MaxProofs {
		return nil, fault.Invalid("DIRECTORY_PROOF", "directory: %d proofs, more than %d", len(ms), MaxProofs)
	}
	var ps []Proof
	for _, m := range ms {
		if m.Kind < 1 || m.Kind > 255 || len(m.KeyId) != len(seal.KeyID{}) {
			return nil, fault.Invalid("DIRECTORY_PROOF", "directory: malformed proof")
		}
		ps = append(ps, Proof{ProofKind(m.Kind), cases.NodeID(m.Node), seal.KeyID(m.KeyId), m.Signature})
	}
	return ps, nil
}
