package directory

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/protobuf/proto"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	directoryv1 "yipan/internal/gen/yipan/directory/v1"
	"yipan/internal/seal"
)

// Authority is who admits nodes: it signs entries and checkpoints. Its key is
// needed only while it admits. It is not safe for concurrent use.
//
// A record must be stored durably before anybody else sees it: an authority
// that publishes one, forgets it and signs another with the same serial has
// forked its log.
type Authority struct {
	key seal.SigningKey
	dir *Directory
}

// NewAuthority begins an empty log.
func NewAuthority(key seal.SigningKey) *Authority { return &Authority{key, New(key.Public())} }

// ResumeAuthority continues the log of all records in order. Errors: those of
// Load.
func ResumeAuthority(key seal.SigningKey, records [][]byte) (*Authority, error) {
	d, _, err := Load(key.Public(), records)
	if err != nil {
		return nil, err
	}
	return &Authority{key, d}, nil
}

// Directory returns the log's present state.
func (a *Authority) Directory() *Directory { return a.dir }

// Leave is what the authority takes upon itself, where a node's signature is
// missing. The zero value takes nothing.
type Leave struct {
	// Unsigned: change a live node's entry without its previous key's
	// signature, as after a lost disk.
	Unsigned bool
	// Areas that may be taken from the node that serves them without its
	// signature.
	Areas []area.Key
}

// Admit makes the request's entry and signs it with its checkpoint. It refuses
// what nodes would skip, and what a node has not signed beyond leave. Times never run
// backwards: now is raised to the last checkpoint's. Errors: Conflict
// DIRECTORY_STALE (the claim replaces another entry than the node's current
// one), Denied DIRECTORY_NO_CONTINUITY, DIRECTORY_AREA_SERVED (On names the
// area), DIRECTORY_PROOF, DIRECTORY_KEY_TAKEN; Invalid for the rest.
func (a *Authority) Admit(req Request, now time.Time, leave Leave) (Record, error) {
	var current uint64
	m, ok := a.dir.Node(req.claim.Node)
	if ok {
		current = m.Serial
	}
	// Who left may come back with a request made without the directory.
	back := ok && m.Removed && req.claim.Previous == 0
	if req.claim.Previous != current && !back && !leave.Unsigned {
		return Record{}, fault.Conflict("DIRECTORY_STALE", "directory: claim of node %s replaces entry %d, which is not its current one", req.claim.Node, req.claim.Previous).
			Zh("节点 %s 的申请所依据的目录记录（第 %d 条）不是其现行记录", req.claim.Node, req.claim.Previous)
	}
	rec, next, ev, err := a.sign(req, now)
	if err != nil {
		return Record{}, err
	}
	switch {
	case ev.Kind == Skipped:
		return Record{}, ev.Why
	case !ev.Continued && !ev.Joined && !leave.Unsigned:
		return Record{}, fault.Denied("DIRECTORY_NO_CONTINUITY", "directory: claim of node %s changes a live node without its previous key's signature", ev.Node).
			Zh("节点 %s 的变更没有其原签名密钥的签名", ev.Node)
	}
	for _, r := range ev.Reassigned {
		if !r.Agreed && r.From != ev.Node && !slices.Contains(leave.Areas, r.Area) {
			return Record{}, fault.Denied("DIRECTORY_AREA_SERVED", "directory: area %s is served by node %s, which has not signed", r.Area, r.From).
				Zh("区划 %s 现由节点 %s 服务，且该节点未签字同意", r.Area, r.From).On(r.Area.String())
		}
	}
	a.dir = next
	return rec, nil
}

// Remove ends a node's part in the exchange without its signature, as when it
// is gone for good; a node that can sign asks by a request. Errors: Invalid
// DIRECTORY_CLAIM when it is not there.
func (a *Authority) Remove(node cases.NodeID, now time.Time) (Record, error) {
	c := Claim{Node: node, Removed: true}
	if m, ok := a.dir.Node(node); ok {
		c.Previous = m.Serial
	}
	req, err := NewRequest(c)
	if err != nil {
		return Record{}, err
	}
	return a.Admit(req, now, Leave{Unsigned: true})
}

// Refresh signs a fresh checkpoint alone, so that nodes can tell a quiet
// directory from one that is withheld from them.
func (a *Authority) Refresh(now time.Time) (Record, error) {
	cp, err := signCheckpoint(a.key, a.dir.Serial(), a.dir.Root(), a.notBefore(now))
	if err != nil {
		return Record{}, err
	}
	rec, err := newRecord(nil, cp)
	if err != nil {
		return Record{}, err
	}
	next, _, err := a.dir.Apply(rec)
	if err != nil {
		return Record{}, err
	}
	a.dir = next
	return rec, nil
}

// sign makes the record and shows what it would do.
func (a *Authority) sign(req Request, now time.Time) (Record, *Directory, Event, error) {
	fail := func(err error) (Record, *Directory, Event, error) { return Record{}, nil, Event{}, err }
	now = a.notBefore(now)
	serial := a.dir.Serial() + 1
	entry, err := proto.Marshal(&directoryv1.Entry{
		Version: formatVersion, Serial: serial, Time: now.UnixMilli(),
		Claim: req.bytes, Proofs: encodeProofs(req.proofs),
	})
	if err != nil {
		return fail(fault.Internal("DIRECTORY_ENCODE", "directory: entry %d", serial).Because(err))
	}
	leaf, err := proto.Marshal(&directoryv1.SignedEntry{Entry: entry, Signature: a.key.Sign(entryContext, entry)})
	if err != nil {
		return fail(fault.Internal("DIRECTORY_ENCODE", "directory: entry %d", serial).Because(err))
	}
	t := a.dir.tree.shared()
	t = t.extend(t.grown(tlog.RecordHash(leaf)))
	cp, err := signCheckpoint(a.key, serial, t.root(t.size), now)
	if err != nil {
		return fail(err)
	}
	rec, err := newRecord(leaf, cp)
	if err != nil {
		return fail(err)
	}
	next, ev, err := a.dir.Apply(rec)
	if err != nil {
		return fail(err)
	}
	return rec, next, ev, nil
}

func (a *Authority) notBefore(now time.Time) time.Time {
	if last := a.dir.checkpoint.Time; now.Before(last) {
		return last
	}
	return now
}

const authorityPrefix = "yipan-authority"

// FormatAuthority writes an authority's key for a node's configuration:
// "yipan-authority+<key id>+<base64 of 32 bytes>".
func FormatAuthority(k seal.VerifyKey) string {
	return authorityPrefix + "+" + k.ID().String() + "+" + base64.StdEncoding.EncodeToString(k.Bytes())
}

// ParseAuthority reads what FormatAuthority wrote; the key id guards against a
// mistyped key. Errors: Invalid DIRECTORY_AUTHORITY_KEY.
func ParseAuthority(s string) (seal.VerifyKey, error) {
	bad := func(why string) (seal.VerifyKey, error) {
		return seal.VerifyKey{}, fault.Invalid("DIRECTORY_AUTHORITY_KEY", "directory: authority key: %s", why).Zh("管理机构公钥格式不正确")
	}
	// Base64 has + in its alphabet: cut only twice.
	part := strings.SplitN(strings.TrimSpace(s), "+", 3)
	if len(part) != 3 || part[0] != authorityPrefix {
		return bad("not of the form " + authorityPrefix + "+id+base64")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(part[2])
	if err != nil {
		return bad("not base64")
	}
	k, err := seal.ParseVerifyKey(b)
	if err != nil {
		return bad("no valid key")
	}
	if k.ID().String() != part[1] {
		return bad("key id and key differ")
	}
	return k, nil
}
