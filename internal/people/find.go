package people

import (
	"context"
	"crypto/rand"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// Ref is somebody whom an office wants to find or add.
type Ref struct {
	Office area.Key
	Doc    ident.Doc
	Fields *cases.Fields
}

// FindOrAdd finds people by blind index in their offices' ledgers and adds those
// that are new; without a document everybody is new.
//
// Where a file that the caller may not see has the document (SECURITY D11), the
// caller gets one of its own, found by that document from then on: so nothing
// tells a hidden person from one who was never here.
func (l *People) FindOrAdd(ctx context.Context, tx *store.Tx, refs []Ref) (ids []cases.PersonID, added []bool, err error) {
	added = make([]bool, len(refs))
	stamp := l.indexKey() // before any index is made: at worst they are made anew for nothing
	ids, index, err := l.Find(ctx, tx, refs)
	if err != nil {
		return nil, nil, err
	}
	var fresh []store.Person
	own := make([]cases.PersonID, len(refs))
	for i, r := range refs {
		if !ids[i].IsZero() {
			continue
		}
		p := l.newPerson(r)
		p.DocIndex, p.IndexKey = index[i], stamp
		added[i], own[i] = true, p.ID
		if index[i] == nil {
			ids[i] = p.ID
		}
		fresh = append(fresh, p)
	}
	if len(fresh) == 0 {
		return ids, added, nil
	}
	if err := tx.AddPersons(ctx, fresh); err != nil {
		return nil, nil, err
	}
	// A concurrent request may have added the same people: theirs count.
	found, _, err := l.Find(ctx, tx, refs)
	if err != nil {
		return nil, nil, err
	}
	for i := range ids {
		if index[i] != nil {
			ids[i] = found[i]
			added[i] = added[i] && (found[i].IsZero() || found[i] == own[i])
		}
	}
	return ids, added, l.addBeside(ctx, tx, refs, ids, index, stamp)
}

// addBeside gives those of refs who are still nobody a file whose document is
// not in its row, since a hidden file has it, but among the lookups.
func (l *People) addBeside(ctx context.Context, tx *store.Tx, refs []Ref, ids []cases.PersonID, index [][]byte, stamp []byte) error {
	made := map[[16]byte]cases.PersonID{} // the index is different in each office
	for i, r := range refs {
		if !ids[i].IsZero() || index[i] == nil {
			continue
		}
		ix := [16]byte(index[i])
		if made[ix].IsZero() {
			p := l.newPerson(r)
			p.IndexKey = stamp
			if err := tx.AddPersons(ctx, []store.Person{p}); err != nil {
				return err
			}
			if err := tx.AddLookups(ctx, r.Office, p.ID, []store.Lookup{{Use: store.LookupDocument, Index: ix, Key: stamp}}); err != nil {
				return err
			}
			made[ix] = p.ID
		}
		ids[i] = made[ix]
	}
	return nil
}

// Find looks people up by blind index in their offices' ledgers, among former
// and further documents too. ids are zero, and index is nil, for those without a
// document.
func (l *People) Find(ctx context.Context, tx *store.Tx, refs []Ref) (ids []cases.PersonID, index [][]byte, err error) {
	ids, index = make([]cases.PersonID, len(refs)), make([][]byte, len(refs))
	offices := map[area.Key][][]byte{}
	older := l.Keys.Indexes()[1:]
	for i, r := range refs {
		if r.Doc.Number == "" {
			continue
		}
		x := l.DocIndex(r.Office, r.Doc)
		index[i] = x[:]
		offices[r.Office] = append(offices[r.Office], index[i])
		for _, k := range older { // until they were all made anew
			y := indexOf(k, r.Office, useDocument, matchOf(r.Doc))
			offices[r.Office] = append(offices[r.Office], y[:])
		}
	}
	for o, list := range offices {
		found, err := tx.PersonIDs(ctx, o, list)
		if err != nil {
			return nil, nil, err
		}
		for i, r := range refs {
			if r.Office != o || index[i] == nil {
				continue
			}
			ids[i] = found[[16]byte(index[i])]
			for _, k := range older {
				if ids[i].IsZero() {
					ids[i] = found[indexOf(k, o, useDocument, matchOf(r.Doc))]
				}
			}
		}
	}
	return ids, index, nil
}

// Uses of blind indexes.
const (
	useDocument  = "document"
	useLast4     = "last4"
	usePhone     = "phone"
	useHousehold = "household"
)

func indexOf(k *seal.IndexKey, office area.Key, use, value string) [16]byte {
	return seal.Index(k, int64(office), use, value)
}

// matchOf is the value under which a document is indexed: a 15-digit number as
// its 18-character form. "" where there is none.
func matchOf(doc ident.Doc) string {
	if n := doc.Match18(); n != "" {
		return n
	}
	return doc.Kind.String() + ":" + doc.Number
}

// last4Of is the end of a document's number.
func last4Of(number string) string { return number[max(0, len(number)-4):] }

// DocIndex is the blind index of a document in an office.
func (l *People) DocIndex(office area.Key, doc ident.Doc) [16]byte {
	return indexOf(l.Keys.Index(), office, useDocument, matchOf(doc))
}

func (l *People) indexKey() []byte {
	id := l.Keys.Index().ID()
	return id[:]
}

// newPerson makes the row of somebody of whom only a notice told.
func (l *People) newPerson(r Ref) store.Person {
	p := store.Person{Office: r.Office, Name: ident.NormalizeName(r.Fields.Name), Sex: r.Fields.Sex, Birth: r.Fields.Birth, DocKind: uint32(r.Doc.Kind), IndexKey: l.indexKey()}
	p.Initials, p.DocOK = Initials(p.Name), docOK(&ledger.Document{Kind: r.Doc.Kind, Number: r.Doc.Number})
	_, _ = rand.Read(p.ID[:])
	key, wrapped := l.Keys.Data().NewWrapped(book.PersonKeyAAD(p.ID))
	p.Key = wrapped
	if n := r.Doc.Number; n != "" {
		p.Doc = box(key, p.ID, "doc", n)
		x := indexOf(l.Keys.Index(), r.Office, useLast4, last4Of(n))
		p.Last4 = x[:]
	}
	if c := r.Fields.Contact; c != "" {
		p.Phone = box(key, p.ID, "phone", c)
		x := indexOf(l.Keys.Index(), r.Office, usePhone, phoneKey(c))
		p.PhoneIndex = x[:]
	}
	return p
}
