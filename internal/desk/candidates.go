package desk

import (
	"context"

	"yipan/internal/access"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/match"
	"yipan/internal/people"
	"yipan/internal/store"
)

// maxCandidates is the most that a list of candidates shows.
const maxCandidates = 20

// ListCandidates lists whom of the receiver's ledger a notice may be about, the
// best first. It reads their names, so all of them are logged, and the case.
func (d *Desk) ListCandidates(ctx context.Context, p access.Principal, id cases.CaseID, purpose string) ([]Candidate, error) {
	if err := d.Allow(ctx, p, access.CasePair, 0); err != nil {
		return nil, err
	}
	var out []Candidate
	var miss error
	err := d.In(ctx, p, func(tx *store.Tx) error {
		out, miss = nil, nil
		event := store.Access{Principal: p, Office: p.FirstOffice(), Verb: access.CasePair, Purpose: purpose}
		s, err := d.toPair(ctx, tx, p, id)
		if err != nil {
			return err
		}
		if s == nil {
			miss = book.NotHeld(id)
			return tx.LogAccess(ctx, event)
		}
		event.Office, event.Subjects = s.Office, [][16]byte{s.Case}
		if !s.Person.IsZero() {
			event.Subjects = append(event.Subjects, s.Person)
		}
		if out, err = d.candidates(ctx, tx, s); err != nil {
			if f, ok := fault.As(err); !ok || f.Kind != fault.KindConflict {
				return err
			}
			miss = err
		}
		for i := range out {
			if out[i].Person != s.Person {
				event.Subjects = append(event.Subjects, out[i].Person)
			}
		}
		return tx.LogAccess(ctx, event)
	})
	if err == nil {
		err = miss
	}
	return out, err
}

func (d *Desk) candidates(ctx context.Context, tx *store.Tx, s *store.Side) ([]Candidate, error) {
	cs, err := d.Book.Read(ctx, tx, []cases.CaseID{s.Case})
	if err != nil {
		return nil, err
	}
	c := cs[s.Case]
	if c == nil {
		return nil, book.NotHeld(s.Case)
	}
	bodies, err := d.Book.Bodies(ctx, tx, c, c.State.Fields)
	if err != nil {
		return nil, err
	}
	f := book.Fields(c, bodies)
	if err := pairable(c, s, f); err != nil {
		return nil, err
	}
	found, err := d.People.Matches(ctx, tx, s.Office, describe(f))
	if err != nil {
		return nil, err
	}
	certain, ok := match.Certain(resultsOf(found))
	var out []Candidate
	for i, m := range found[:min(len(found), maxCandidates)] {
		out = append(out, Candidate{
			Person: m.Person, Name: m.Name, BirthYear: m.BirthYear, Document: m.Document,
			Score: m.Result.Score, Reasons: m.Result.Reasons.Names(), ReasonsZh: m.Result.Reasons.Zh(), Certain: ok && i == certain,
		})
	}
	return out, nil
}

// describe is what a notice tells of a person.
func describe(f *cases.Fields) match.Description {
	m := match.Description{Name: f.Name, Birth: f.Birth, Sex: f.Sex}
	if doc, _, err := ident.Parse(ident.Kind(f.DocumentKind), f.DocumentNumber); err == nil && doc.Number != "" {
		m.Documents = []ident.Doc{doc}
	}
	if f.Contact != "" {
		m.Phones = []string{f.Contact}
	}
	return m
}

func resultsOf(found []people.Match) []match.Result {
	out := make([]match.Result, len(found))
	for i := range found {
		out[i] = found[i].Result
	}
	return out
}
