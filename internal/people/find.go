package people

import (
	"context"
	"crypto/rand"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/ident"
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
func (l *People) FindOrAdd(ctx context.Context, tx *store.Tx, refs []Ref) (ids []cases.PersonID, added []bool, err error) {
	added = make([]bool, len(refs))
	ids, index, err := l.Find(ctx, tx, refs)
	if err != nil {
		return nil, nil, err
	}
	var fresh []store.Person
	for i, r := range refs {
		if !ids[i].IsZero() {
			continue
		}
		p := l.newPerson(r)
		p.DocIndex = index[i]
		added[i] = true
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
	for i := range ids {
		if index[i] != nil && err == nil {
			ids[i] = found[i]
		}
	}
	return ids, added, err
}

// Find looks people up by blind index in their offices' ledgers. ids are zero,
// and index is nil, for those without a document.
func (l *People) Find(ctx context.Context, tx *store.Tx, refs []Ref) (ids []cases.PersonID, index [][]byte, err error) {
	ids, index = make([]cases.PersonID, len(refs)), make([][]byte, len(refs))
	offices := map[area.Key][][]byte{}
	for i, r := range refs {
		if r.Doc.Number != "" {
			x := l.DocIndex(r.Office, r.Doc)
			index[i] = x[:]
			offices[r.Office] = append(offices[r.Office], index[i])
		}
	}
	for o, list := range offices {
		found, err := tx.PersonIDs(ctx, o, list)
		if err != nil {
			return nil, nil, err
		}
		for i, r := range refs {
			if r.Office == o && index[i] != nil {
				ids[i] = found[[16]byte(index[i])]
			}
		}
	}
	return ids, index, nil
}

// DocIndex is the blind index of a document in an office.
func (l *People) DocIndex(office area.Key, doc ident.Doc) [16]byte {
	n := doc.Match18()
	if n == "" {
		n = doc.Kind.String() + ":" + doc.Number
	}
	return seal.Index(l.Keys.Index(), int64(office), "document", n)
}

func (l *People) newPerson(r Ref) store.Person {
	p := store.Person{Office: r.Office, Name: r.Fields.Name, Sex: r.Fields.Sex, Birth: r.Fields.Birth, DocKind: uint32(r.Doc.Kind)}
	_, _ = rand.Read(p.ID[:])
	key, wrapped := l.Keys.Data().NewWrapped(book.PersonKeyAAD(p.ID))
	p.Key = wrapped
	box := func(column, v string) []byte {
		return seal.EncryptField(key, seal.AAD{Table: "person", Column: column, Row: p.ID[:]}, []byte(v))
	}
	if n := r.Doc.Number; n != "" {
		p.Doc = box("doc", n)
		x := seal.Index(l.Keys.Index(), int64(r.Office), "last4", n[max(0, len(n)-4):])
		p.Last4 = x[:]
	}
	if c := r.Fields.Contact; c != "" {
		p.Phone = box("phone", c)
		x := seal.Index(l.Keys.Index(), int64(r.Office), "phone", c)
		p.PhoneIndex = x[:]
	}
	return p
}
