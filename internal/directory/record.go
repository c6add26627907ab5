package directory

import (
	"bytes"
	"encoding/base64"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/protobuf/proto"

	"yipan/internal/fault"
	directoryv1 "yipan/internal/gen/yipan/directory/v1"
	"yipan/internal/seal"
)

// Contexts of the authority's signatures.
const (
	entryContext      = "directory-entry"
	checkpointContext = "directory-checkpoint"
)

// Checkpoint is what the authority signed about the whole log. The zero value
// is that of no log.
type Checkpoint struct {
	Size uint64    // leaves, which is the serial of the last
	Root tlog.Hash // RFC 6962 section 2.1
	Time time.Time // to the millisecond

	raw       []byte
	body      []byte
	keyID     seal.KeyID
	signature []byte
}

// Bytes returns the checkpoint as the authority wrote it, for statements and as
// evidence of a fork; nil for the zero Checkpoint.
func (c Checkpoint) Bytes() []byte { return c.raw }

// ParseCheckpoint reads what Bytes returned. It does not verify the signature:
// Directory.Compare does. Errors: Invalid DIRECTORY_CHECKPOINT.
func ParseCheckpoint(b []byte) (Checkpoint, error) {
	bad := func() (Checkpoint, error) {
		return Checkpoint{}, fault.Invalid("DIRECTORY_CHECKPOINT", "directory: unreadable checkpoint")
	}
	var m directoryv1.Checkpoint
	var body directoryv1.CheckpointBody
	if len(b) > 1024 || proto.Unmarshal(b, &m) != nil || proto.Unmarshal(m.Body, &body) != nil {
		return bad()
	}
	if len(body.Root) != tlog.HashSize || len(body.KeyId) != len(seal.KeyID{}) || body.Size > 1<<40 {
		return bad()
	}
	return Checkpoint{
		Size: body.Size, Root: tlog.Hash(body.Root), Time: time.UnixMilli(body.Time).UTC(),
		raw: bytes.Clone(b), body: m.Body, keyID: seal.KeyID(body.KeyId), signature: m.Signature,
	}, nil
}

func (c Checkpoint) verify(authority seal.VerifyKey) error {
	if c.keyID != authority.ID() {
		return fault.Denied("DIRECTORY_AUTHORITY", "directory: checkpoint by key %s, not the authority's %s", c.keyID, authority.ID()).
			Zh("目录由另一个管理机构签发")
	}
	if !authority.Verify(checkpointContext, c.body, c.signature) {
		return fault.Denied("DIRECTORY_SIGNATURE", "directory: checkpoint of size %d with a wrong signature", c.Size).
			Zh("目录签名不正确")
	}
	return nil
}

func signCheckpoint(key seal.SigningKey, size uint64, root tlog.Hash, at time.Time) (Checkpoint, error) {
	id := key.ID()
	body, err := proto.Marshal(&directoryv1.CheckpointBody{Size: size, Root: root[:], Time: at.UnixMilli(), KeyId: id[:]})
	if err != nil {
		return Checkpoint{}, fault.Internal("DIRECTORY_ENCODE", "directory: checkpoint").Because(err)
	}
	b, err := proto.Marshal(&directoryv1.Checkpoint{Body: body, Signature: key.Sign(checkpointContext, body)})
	if err != nil {
		return Checkpoint{}, fault.Internal("DIRECTORY_ENCODE", "directory: checkpoint").Because(err)
	}
	return ParseCheckpoint(b)
}

// Entry is what the authority says about one node.
type Entry struct {
	Serial uint64
	Time   time.Time // admitted, to the millisecond
	Claim  Claim
	Proofs []Proof

	claim []byte
}

func parseEntry(b []byte) (Entry, error) {
	var m directoryv1.Entry
	if err := proto.Unmarshal(b, &m); err != nil {
		return Entry{}, fault.Invalid("DIRECTORY_ENTRY", "directory: unreadable entry").Because(err)
	}
	e := Entry{Serial: m.Serial, Time: time.UnixMilli(m.Time).UTC(), claim: m.Claim}
	if m.Version != formatVersion {
		return e, fault.Invalid("DIRECTORY_VERSION", "directory: entry of version %d", m.Version)
	}
	var err error
	if e.Proofs, err = parseProofs(m.Proofs); err != nil {
		return e, err
	}
	e.Claim, err = parseClaim(m.Claim)
	return e, err
}

// Record is one message of the directory's stream and one line of its file: a
// signed entry with the checkpoint of the log ending in it, or a fresh
// checkpoint alone. Its bytes are kept as first written.
type Record struct {
	raw        []byte
	leaf       []byte // the signed entry's bytes, what the log hashes
	entry      []byte
	signature  []byte
	checkpoint Checkpoint
}

// ParseRecord reads a record's outer form and its checkpoint. What is wrong
// with the entry, or with any signature, Directory.Apply tells. Errors: Invalid
// DIRECTORY_RECORD, DIRECTORY_CHECKPOINT.
func ParseRecord(b []byte) (Record, error) {
	var m directoryv1.Record
	if len(b) > MaxRecordBytes {
		return Record{}, fault.Invalid("DIRECTORY_RECORD", "directory: record of %d bytes, more than %d", len(b), MaxRecordBytes)
	}
	if err := proto.Unmarshal(b, &m); err != nil {
		return Record{}, fault.Invalid("DIRECTORY_RECORD", "directory: unreadable record").Because(err)
	}
	cp, err := ParseCheckpoint(m.Checkpoint)
	if err != nil {
		return Record{}, err
	}
	r := Record{raw: bytes.Clone(b), leaf: m.SignedEntry, checkpoint: cp}
	if len(m.SignedEntry) > 0 {
		if cp.Size == 0 {
			return Record{}, fault.Invalid("DIRECTORY_RECORD", "directory: entry with the checkpoint of an empty log")
		}
		// A leaf that does not parse is still the authority's if its checkpoint
		// says so; then entry and signature stay empty, and the entry is skipped.
		var se directoryv1.SignedEntry
		if proto.Unmarshal(m.SignedEntry, &se) == nil {
			r.entry, r.signature = se.Entry, se.Signature
		}
	}
	return r, nil
}

func newRecord(leaf []byte, cp Checkpoint) (Record, error) {
	b, err := proto.Marshal(&directoryv1.Record{SignedEntry: leaf, Checkpoint: cp.raw})
	if err != nil {
		return Record{}, fault.Internal("DIRECTORY_ENCODE", "directory: record").Because(err)
	}
	return ParseRecord(b)
}

// Bytes returns the record as first written; do not change them.
func (r Record) Bytes() []byte { return r.raw }

// Line returns the record as a line of directory.log, base64 without its end.
func (r Record) Line() string { return base64.StdEncoding.EncodeToString(r.raw) }

// Serial returns the size of the checkpoint, which is the serial of the entry
// when there is one.
func (r Record) Serial() uint64 { return r.checkpoint.Size }

// Checkpoint returns the record's checkpoint.
func (r Record) Checkpoint() Checkpoint { return r.checkpoint }

// HasEntry reports whether the record is more than a fresh checkpoint.
func (r Record) HasEntry() bool { return len(r.leaf) > 0 }

// Entry reads the entry, for showing it. Errors: NotFound DIRECTORY_ENTRY where
// there is none, else why a Directory would skip it by its form.
func (r Record) Entry() (Entry, error) {
	if !r.HasEntry() {
		return Entry{}, fault.NotFound("DIRECTORY_ENTRY", "directory: record without an entry")
	}
	return parseEntry(r.entry)
}

// authentic reports whether the authority signed the entry's bytes.
func (r Record) authentic(authority seal.VerifyKey) bool {
	return authority.Verify(entryContext, r.entry, r.signature)
}

// ParseLog reads the text of directory.log: one record per line in base64;
// empty lines and those beginning with # do not count. A torn last line, as a
// crash leaves it, is an error like any other, with its number; the records
// before it are returned too. Errors: Invalid DIRECTORY_LOG.
func ParseLog(text []byte) ([][]byte, error) {
	var records [][]byte
	n := 0
	for line := range bytes.Lines(text) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		b, err := base64.StdEncoding.Strict().DecodeString(string(line))
		if err == nil {
			_, err = ParseRecord(b)
		}
		if err != nil {
			return records, fault.Invalid("DIRECTORY_LOG", "directory: log line %d", n).Because(err).
				Zh("目录文件第 %d 行无法读取", n)
		}
		records = append(records, b)
	}
	return records, nil
}

// FormatLog is the reverse of ParseLog.
func FormatLog(records []Record) []byte {
	var b bytes.Buffer
	for _, r := range records {
		b.WriteString(r.Line())
		b.WriteByte('\n')
	}
	return b.Bytes()
}
