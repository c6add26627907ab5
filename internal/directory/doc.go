// Package directory owns the list of nodes: which node serves which area, with
// which keys, since when. It is a log that the exchange authority signs
// (PROTOCOL rule 21, SECURITY D7): one entry says all about one node and
// replaces that node's entry before. The package is pure: it reads no clock
// and stores nothing; callers keep Record.Bytes and rebuild with Load.
//
// # What is signed
//
// A node makes a Claim about itself and signs its bytes: with each new
// signature key (possession), with its previous signing key (continuity); a
// node that loses an area signs them too (release). The authority puts claim
// and proofs into an entry with a serial and a time and signs that. Sealing
// keys cannot sign: the node's signing key vouches for them, and naming a key
// that is not one's own gains nothing, because a parcel is bound to its
// receiver. Continuity and release count only when the claim names the entry
// that it replaces, so an old claim, admitted again, proves nothing.
//
// # The log
//
// Each signed entry is a leaf of a Merkle tree (golang.org/x/mod/sumdb/tlog,
// RFC 6962); with each the authority signs a checkpoint, the size and root of
// the log ending in it. A Directory holds all hashes, so that it checks every
// checkpoint of any size up to its own by itself. Two signed statements of the
// authority that no single log explains are a fork: Conflict, DIRECTORY_FORK.
// An entry that breaks a rule below is a leaf like any other and is skipped
// and reported: one bad entry never stops the directory.
//
// # Who serves an area
//
// The home of an area is the node holding the longest prefix of it, by digits
// and level: 4:441900003 is looked up as 4:441900003, 3:441900, 2:4419, 1:44.
// A node holding 3:441900 (东莞 as a county) does not serve 2:4419 (东莞 as a
// prefecture), but one holding 2:4419 serves both. An area has one holder: a
// later entry that lists it takes it over, and the history keeps the loser.
//
// # Changes that somebody may contest
//
// The authority may reassign any area and replace any key; what the loser or
// the node's previous key did not sign is marked in the event (Contested), and
// counts at once. SECURITY D7 will have such a change wait 72 hours in sight
// of all; neither entries nor log change for that: it is a decision of
// draft.take, which then also needs the time at which this node first saw the
// record.
//
// Invariants: a Directory never changes after it was made and is safe for
// concurrent readers; equal logs give equal directories; a key belongs to one
// node and one use for ever.
package directory
