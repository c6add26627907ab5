// Package people owns the office's book of persons (台帐, 一人一档): files, how
// they are found, their history, duplicates, and who may see a restricted
// person. Names and areas are plain and searched under row-level security;
// documents, telephones and everything else are sealed under the person's key.
// History is appended, never overwritten. Every read of a person is logged in
// its own transaction. It opens no case and sends nothing.
package people

import (
	"context"
	"log/slog"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/keys"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// Config of the book of persons.
type Config struct {
	DB   *store.DB
	Book *book.Book
	Keys *keys.Files
	Now  func() time.Time
	Log  *slog.Logger

	// PagesAnHour is after how many files in an hour a user is warned, PagesADay
	// at how many in a day (24 hours) no more are opened (SECURITY D4). 0: 60 and
	// 300.
	PagesAnHour, PagesADay int

	// Registered is told of every person whom RegisterPerson registered, or to
	// whom UpdatePerson gave other documents, in the same transaction, and answers with the notices that were paired by it. nil:
	// none are.
	Registered func(ctx context.Context, tx *store.Tx, p access.Principal, office area.Key, id cases.PersonID) ([]cases.CaseID, error)
	// Edited is told of every file that UpdatePerson changed, in the same
	// transaction, with the names of the changed fields, and answers with what
	// the cases about the person became by it. nil: nothing.
	Edited func(ctx context.Context, tx *store.Tx, p access.Principal, office area.Key, id cases.PersonID, fields []string) (Edited, error)
	// Changed is told, after the commit, of the cases that Registered paired.
	Changed func([]cases.CaseID)
}

// Edited is what an edit of a file made of the cases about the person.
type Edited struct {
	Corrected []cases.CaseID
	Warnings  []string              // Chinese: cases that were left as they are
	After     func(context.Context) // what is left to do after the commit; nil: nothing
}

// People is the book of persons of a node. It is safe for concurrent use.
type People struct {
	*usher.Usher
	Config
	reindex reindexing
}

// New returns the book of persons.
func New(c Config) *People {
	if c.PagesAnHour == 0 {
		c.PagesAnHour = 60
	}
	if c.PagesADay == 0 {
		c.PagesADay = 300
	}
	return &People{Usher: usher.New(c.DB, c.Keys, c.Log), Config: c}
}

// Whose names a person: by id, or by document (and name, where new).
type Whose struct {
	ID       cases.PersonID
	Name     string
	Document string
}

// Of finds a person of an office by id or document. With add, one that is new is
// registered, and the file is locked until the transaction ends: it is not erased
// before what the caller goes on to write of the person stands.
func (l *People) Of(ctx context.Context, tx *store.Tx, office area.Key, r Whose, add bool) (cases.PersonID, error) {
	id, err := l.of(ctx, tx, office, r, add)
	if err != nil || !add {
		return id, err
	}
	files, err := tx.LockFiles(ctx, []cases.PersonID{id})
	if f, ok := files[id]; err == nil && (!ok || f.Office != office) {
		err = NotFound().On("person")
	}
	return id, err
}

func (l *People) of(ctx context.Context, tx *store.Tx, office area.Key, r Whose, add bool) (cases.PersonID, error) {
	none := NotFound().On("person")
	if !r.ID.IsZero() {
		known, err := book.Knows(ctx, tx, r.ID)
		if err == nil && !known {
			err = none
		}
		return r.ID, err
	}
	doc, _, err := ident.Parse(ident.KindAuto, r.Document)
	if err != nil {
		return cases.PersonID{}, usher.OnField(err, "person.document")
	}
	if !add {
		found, _, err := l.Find(ctx, tx, []Ref{{Office: office, Doc: doc}})
		if err == nil && found[0].IsZero() {
			err = none
		}
		if err != nil {
			return cases.PersonID{}, err
		}
		return found[0], nil
	}
	name := ident.NormalizeName(r.Name)
	if name == "" {
		return cases.PersonID{}, fault.Invalid("REQUIRED", "name is missing").Zh("姓名不能为空").On("person.name")
	}
	f := &cases.Fields{Name: r.Name, Sex: uint32(doc.Sex())}
	if b, ok := doc.Birth(); ok {
		f.Birth = b
	}
	ids, _, err := l.FindOrAdd(ctx, tx, []Ref{{Office: office, Doc: doc, Fields: f}})
	if err != nil {
		return cases.PersonID{}, err
	}
	return ids[0], nil
}

// NotFound is the one answer about a person who is not here, who was erased, or
// whom the caller may not see (SECURITY D11).
func NotFound() *fault.Error {
	return fault.NotFound("PERSON_NOT_FOUND", "no such person at this office").Zh("本单位没有该人员")
}
