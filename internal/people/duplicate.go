package people

import (
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/match"
	"yipan/internal/store"
)

// DuplicateHint is a file that may be of the same person as another.
type DuplicateHint struct {
	Person  Summary
	Score   int      // match.Near to 100
	Reasons []string // see package match
}

// Propose compares a file with the others of its office and notes those that may
// be of the same person; nothing is merged. What somebody decided about two
// files stays. The caller logs whom it shows.
func (l *People) Propose(ctx context.Context, tx *store.Tx, office area.Key, id cases.PersonID) ([]DuplicateHint, error) {
	group, err := tx.GroupOf(ctx, id)
	if err != nil || len(group) == 0 {
		return nil, err
	}
	root := group[0]
	rows, err := tx.PersonsByID(ctx, []cases.PersonID{id})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || rows[0].Erased || rows[0].Office != office {
		return nil, NotFound()
	}
	f, err := l.open(&rows[0])
	if err != nil {
		return nil, err
	}
	found, err := l.Matches(ctx, tx, office, Describe(&f))
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(m Match) bool { return m.Person == root || m.Result.Score < match.Near })
	if len(found) == 0 {
		return nil, nil
	}
	others := make([]cases.PersonID, len(found))
	for i := range found {
		others[i] = found[i].Person
	}
	states, err := tx.DuplicateStates(ctx, root, others)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(m Match) bool { return states[m.Person] != store.DuplicateProposed })
	proposals := make([]store.Duplicate, len(found))
	for i, m := range found {
		proposals[i] = store.Duplicate{A: root, B: m.Person, Office: office, Score: m.Result.Score, Reasons: uint32(m.Result.Reasons)}
	}
	if err := tx.ProposeDuplicates(ctx, proposals); err != nil {
		return nil, err
	}
	summaries, err := l.summariesOf(ctx, tx, others)
	if err != nil {
		return nil, err
	}
	var out []DuplicateHint
	for _, m := range found {
		if s, ok := summaries[m.Person]; ok {
			out = append(out, DuplicateHint{Person: s, Score: m.Result.Score, Reasons: m.Result.Reasons.Names()})
		}
	}
	return out, nil
}

func (l *People) summariesOf(ctx context.Context, tx *store.Tx, ids []cases.PersonID) (map[cases.PersonID]Summary, error) {
	rows, err := tx.PersonsByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(r store.PersonRow) bool { return r.Erased || r.Key == nil })
	list, err := l.Summaries(rows)
	out := make(map[cases.PersonID]Summary, len(list))
	for _, s := range list {
		out[s.ID] = s
	}
	return out, err
}

// DuplicatesRequest lists proposals.
type DuplicatesRequest struct {
	Office    area.Key // 0: all of the caller's
	PageSize  int      // 1 to 200; 0: 50
	PageToken string
	Purpose   string
}

// Duplicate is two files that may be of one person.
type Duplicate struct {
	A, B    Summary
	Score   int
	Reasons []string // see package match
	At      time.Time
}

const (
	duplicatesPage = 50
	duplicatesMost = 200
)

// ListDuplicates lists the open proposals of the caller's offices, oldest
// first, and the token of the next page.
func (l *People) ListDuplicates(ctx context.Context, p access.Principal, r DuplicatesRequest) ([]Duplicate, string, error) {
	if err := l.Allow(ctx, p, access.PersonSearch, 0); err != nil {
		return nil, "", err
	}
	offices := p.Offices
	if r.Office != 0 {
		o, err := l.Office(ctx, p, access.PersonSearch, r.Office, "office")
		if err != nil {
			return nil, "", err
		}
		offices = []area.Key{o}
	}
	n := r.PageSize
	switch {
	case n < 0 || n > duplicatesMost:
		return nil, "", fault.Invalid("PAGE_SIZE", "page of %d, at most %d", n, duplicatesMost).Zh("每页最多 %d 条", duplicatesMost).On("page_size")
	case n == 0:
		n = duplicatesPage
	}
	after, err := parsePlace(r.PageToken)
	if err != nil {
		return nil, "", err
	}
	var out []Duplicate
	var next string
	err = l.In(ctx, p, func(tx *store.Tx) error {
		out, next = nil, ""
		rows, err := tx.ListDuplicates(ctx, offices, after, n+1)
		if err != nil {
			return err
		}
		if len(rows) > n {
			rows = rows[:n]
			last := rows[n-1]
			next = placeToken(store.DuplicatePlace{At: last.At, A: last.A, B: last.B})
		}
		out, err = l.duplicates(ctx, tx, p, offices, rows, r.Purpose)
		return err
	})
	return out, next, err
}

func (l *People) duplicates(ctx context.Context, tx *store.Tx, p access.Principal, offices []area.Key, rows []store.Duplicate, purpose string) ([]Duplicate, error) {
	var ids []cases.PersonID
	for i := range rows {
		ids = append(ids, rows[i].A, rows[i].B)
	}
	summaries, err := l.summariesOf(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	subjects := map[area.Key][][16]byte{}
	if len(rows) == 0 {
		for _, o := range offices {
			subjects[o] = nil
		}
	}
	var out []Duplicate
	for _, d := range rows {
		a, okA := summaries[d.A]
		b, okB := summaries[d.B]
		if !okA || !okB {
			continue
		}
		out = append(out, Duplicate{A: a, B: b, Score: d.Score, Reasons: match.Reason(d.Reasons).Names(), At: d.At})
		for _, id := range [][16]byte{d.A, d.B} {
			if !slices.Contains(subjects[d.Office], id) {
				subjects[d.Office] = append(subjects[d.Office], id)
			}
		}
	}
	for _, o := range slices.Sorted(maps.Keys(subjects)) {
		if err := tx.LogAccess(ctx, store.Access{Principal: p, Office: o, Verb: access.PersonSearch, Purpose: purpose, Subjects: subjects[o]}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func placeToken(d store.DuplicatePlace) string {
	return base64.RawURLEncoding.EncodeToString([]byte(d.At.Format(time.RFC3339Nano) + " " + d.A.String() + " " + d.B.String()))
}

func parsePlace(s string) (d store.DuplicatePlace, err error) {
	if s == "" {
		return d, nil
	}
	no := fault.Invalid("PAGE_TOKEN", "page token is malformed").Zh("翻页标识不正确，请从第一页开始").On("page_token")
	b, err := base64.RawURLEncoding.DecodeString(s)
	parts := strings.Split(string(b), " ")
	if err != nil || len(parts) != 3 {
		return d, no
	}
	if d.At, err = time.Parse(time.RFC3339Nano, parts[0]); err != nil {
		return d, no
	}
	if d.A, err = cases.ParsePersonID(parts[1]); err != nil {
		return d, no
	}
	if d.B, err = cases.ParsePersonID(parts[2]); err != nil {
		return d, no
	}
	return d, nil
}
