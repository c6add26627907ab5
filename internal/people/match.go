package people

import (
	"context"
	"slices"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/match"
	"yipan/internal/store"
)

// Match is a person of an office's ledger who may be the one described.
type Match struct {
	// Person is the file; of a merged one, that into which it was merged.
	Person    cases.PersonID
	Name      string // of the file that is like the description
	BirthYear int    // 0: not known
	Document  string // redacted
	Result    match.Result
}

// maxIndexes bounds the blind indexes of one search (SECURITY D9).
const maxIndexes = 20

// Matches finds who of an office's ledger may be somebody described: by
// documents and what a slip of the hand makes of them, by name and birth date,
// by former names. The best comes first; of merged files the best one stands
// for all. The caller logs whom it shows.
func (l *People) Matches(ctx context.Context, tx *store.Tx, office area.Key, d match.Description) ([]Match, error) {
	ids, err := tx.Like(ctx, office, l.likeness(office, &d))
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	rows, err := tx.PersonsByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	return l.matches(tx, office, rows, &d)
}

// matches compares files of an office that have something in common with a
// description.
func (l *People) matches(tx *store.Tx, office area.Key, rows []store.PersonRow, d *match.Description) ([]Match, error) {
	// The machine treats a restricted person as one who is not here, as others do
	// (SECURITY D11): their keepers decide.
	rows = slices.DeleteFunc(rows, func(r store.PersonRow) bool {
		return r.Erased || r.Key == nil || r.Office != office || r.Restricted && tx.Role == store.Exchange
	})
	var out []Match
	for i := range rows {
		row := &rows[i]
		m, err := l.matched(row, d)
		if err != nil {
			return nil, err
		}
		// A file that was merged away shows as the one that the caller sees.
		if !row.MergedInto.IsZero() {
			if !slices.ContainsFunc(rows, func(r store.PersonRow) bool { return r.ID == row.MergedInto }) {
				continue
			}
			m.Person = row.MergedInto
		}
		at := slices.IndexFunc(out, func(o Match) bool { return o.Person == m.Person })
		switch {
		case at < 0:
			out = append(out, m)
		case match.Order(m.Result, out[at].Result) < 0:
			out[at] = m
		}
	}
	slices.SortStableFunc(out, func(a, b Match) int { return match.Order(a.Result, b.Result) })
	return out, nil
}

// likeness is what a file may have in common with a description.
func (l *People) likeness(office area.Key, d *match.Description) store.Likeness {
	q := store.Likeness{Birth: d.Birth, Names: names(d)}
	for _, x := range l.indexes(office, d.Documents) {
		q.Index = append(q.Index, x[:])
	}
	return q
}

// indexes are the blind indexes of documents as they stand and, as far as there
// is room, of their variants.
func (l *People) indexes(office area.Key, docs []ident.Doc) [][16]byte {
	var exact, variants [][16]byte
	for _, doc := range docs {
		if doc.Number == "" {
			continue
		}
		exact = append(exact, l.indexesOf(office, useDocument, matchOf(doc))...)
		for _, v := range match.Variants(doc.Match18())[1:] {
			variants = append(variants, l.DocIndex(office, ident.Doc{Kind: doc.Kind, Number: v}))
		}
	}
	all := append(exact, variants...)
	return all[:min(len(all), maxIndexes)]
}

func names(d *match.Description) []string {
	var out []string
	for _, n := range append([]string{d.Name}, d.Former...) {
		if n = ident.NormalizeName(n); n != "" {
			out = append(out, n)
		}
	}
	return out
}

func (l *People) matched(row *store.PersonRow, d *match.Description) (Match, error) {
	f, err := l.open(row)
	if err != nil {
		return Match{}, err
	}
	m := Match{Person: row.ID, Name: f.Name, BirthYear: f.Birth.Year, Result: match.Compare(*d, Describe(&f))}
	doc := f.Current()
	m.Document = doc.Redact()
	return m, nil
}

// open reads the profile of a row.
func (l *People) open(row *store.PersonRow) (Profile, error) {
	key, err := l.keyOf(row)
	if err != nil {
		return Profile{}, err
	}
	return OpenProfile(key, row)
}

// Describe is what a profile tells of a person.
func Describe(f *Profile) match.Description {
	d := match.Description{Name: f.Name, Former: f.FormerNames, Birth: f.Birth, Sex: f.Sex}
	for i := range f.Documents {
		if doc := f.Documents[i].Doc(); doc.Number != "" {
			d.Documents = append(d.Documents, doc)
		}
	}
	for _, c := range f.Contacts {
		if c.Kind == ledger.ContactPhone {
			d.Phones = append(d.Phones, c.Value)
		}
	}
	return d
}
