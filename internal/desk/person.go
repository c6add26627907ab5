package desk

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

type personRef struct {
	office area.Key
	doc    ident.Doc
	fields *cases.Fields
}

// persons finds people by blind index in their offices' ledgers and adds those
// that are new; without a document everybody is new.
func (d *Desk) persons(ctx context.Context, tx *store.Tx, refs []personRef) (ids []cases.PersonID, added []bool, err error) {
	added = make([]bool, len(refs))
	ids, index, err := d.find(ctx, tx, refs)
	if err != nil {
		return nil, nil, err
	}
	var fresh []store.Person
	for i, r := range refs {
		if !ids[i].IsZero() {
			continue
		}
		p := d.newPerson(r)
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
	found, _, err := d.find(ctx, tx, refs)
	for i := range ids {
		if index[i] != nil && err == nil {
			ids[i] = found[i]
		}
	}
	return ids, added, err
}

// find looks people up by blind index in their offices' ledgers. ids are zero,
// and index is nil, for those without a document.
func (d *Desk) find(ctx context.Context, tx *store.Tx, refs []personRef) (ids []cases.PersonID, index [][]byte, err error) {
	ids, index = make([]cases.PersonID, len(refs)), make([][]byte, len(refs))
	offices := map[area.Key][][]byte{}
	for i, r := range refs {
		if r.doc.Number != "" {
			x := d.docIndex(r.office, r.doc)
			index[i] = x[:]
			offices[r.office] = append(offices[r.office], index[i])
		}
	}
	for o, list := range offices {
		found, err := tx.PersonIDs(ctx, o, list)
		if err != nil {
			return nil, nil, err
		}
		for i, r := range refs {
			if r.office == o && index[i] != nil {
				ids[i] = found[[16]byte(index[i])]
			}
		}
	}
	return ids, index, nil
}

func (d *Desk) docIndex(office area.Key, doc ident.Doc) [16]byte {
	n := doc.Match18()
	if n == "" {
		n = doc.Kind.String() + ":" + doc.Number
	}
	return seal.Index(d.Keys.Index(), int64(office), "document", n)
}

func (d *Desk) newPerson(r personRef) store.Person {
	p := store.Person{Office: r.office, Name: r.fields.Name, Sex: r.fields.Sex, Birth: r.fields.Birth, DocKind: uint32(r.doc.Kind)}
	_, _ = rand.Read(p.ID[:])
	key, wrapped := d.Keys.Data().NewWrapped(book.PersonKeyAAD(p.ID))
	p.Key = wrapped
	box := func(column, v string) []byte {
		return seal.EncryptField(key, seal.AAD{Table: "person", Column: column, Row: p.ID[:]}, []byte(v))
	}
	if n := r.doc.Number; n != "" {
		p.Doc = box("doc", n)
		x := seal.Index(d.Keys.Index(), int64(r.office), "last4", n[max(0, len(n)-4):])
		p.Last4 = x[:]
	}
	if c := r.fields.Contact; c != "" {
		p.Phone = box("phone", c)
		x := seal.Index(d.Keys.Index(), int64(r.office), "phone", c)
		p.PhoneIndex = x[:]
	}
	return p
}
