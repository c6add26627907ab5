package services

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/people"
	"yipan/internal/policy"
	"yipan/internal/store"
	"yipan/internal/usher"
)

const (
	defaultPage = 50
	maxPage     = 200
)

// DueRequest asks for whom an offer round is due.
type DueRequest struct {
	Office    area.Key // 0: all of the caller's
	Round     uint32   // 0: the one that is open
	PageSize  int      // 1 to 200; 0: 50
	PageToken string
	Purpose   string // logged
}

// DueList is a page of those for whom a round is due.
type DueList struct {
	Persons []people.Summary
	Next    string // token of the next page; empty: none
	Round   policy.Round
}

// pageMark is a place in a list over several offices.
type pageMark struct {
	Office area.Key       `json:"o"`
	Round  uint32         `json:"r"`
	After  uint32         `json:"a"`
	Birth  civil.Date     `json:"b,omitzero"`
	Person cases.PersonID `json:"p"`
}

// ListDue lists those who live here, are in the policy's scope, and have not been
// given a full answer to this round: by round, never by outcome. Errors:
// Conflict ROUND_NONE or ROUND_OVER between rounds; Invalid PAGE_TOKEN.
func (s *Services) ListDue(ctx context.Context, p access.Principal, r DueRequest) (DueList, error) {
	var list DueList
	offices, err := s.offices(ctx, p, r.Office)
	if err != nil {
		return list, err
	}
	if list.Round, err = s.openRound(r.Round); err != nil {
		return list, usher.OnField(err, "offer_round")
	}
	f, ok, err := s.scope(list.Round)
	if err != nil || !ok {
		return list, err
	}
	at, err := parseMark(r.PageToken, list.Round)
	if err != nil {
		return list, err
	}
	size := r.PageSize
	if size <= 0 {
		size = defaultPage
	}
	size = min(size, maxPage)
	err = s.In(ctx, p, func(tx *store.Tx) error {
		list.Persons, list.Next = nil, ""
		found := map[area.Key][]store.DueMark{}
		n := 0
		for _, o := range offices {
			if o < at.Office {
				continue
			}
			q := f
			q.Office, q.Limit = o, size-n+1
			if o == at.Office {
				q.After = store.DueMark{Round: at.After, Birth: at.Birth, Person: at.Person}
			}
			marks, err := tx.OffersDue(ctx, q)
			if err != nil {
				return err
			}
			if more := len(marks) > size-n; more {
				marks = marks[:size-n]
				list.Next = nextMark(at, o, list.Round, marks)
			}
			if n += len(marks); len(marks) > 0 || len(offices) == 1 {
				found[o] = marks
			}
			if list.Next != "" {
				break
			}
		}
		return s.summaries(ctx, tx, p, r.Purpose, offices, found, &list)
	})
	return list, err
}

// summaries reads and logs the people of a page.
func (s *Services) summaries(ctx context.Context, tx *store.Tx, p access.Principal, purpose string, offices []area.Key, found map[area.Key][]store.DueMark, list *DueList) error {
	subjects := map[area.Key][][16]byte{}
	var ids []cases.PersonID
	for _, o := range offices {
		marks, ok := found[o]
		if !ok {
			continue
		}
		subjects[o] = [][16]byte{}
		for _, m := range marks {
			ids, subjects[o] = append(ids, m.Person), append(subjects[o], m.Person)
		}
	}
	if len(ids) > 0 {
		rows, err := tx.PersonsByID(ctx, ids)
		if err != nil {
			return err
		}
		at := make(map[cases.PersonID]int, len(ids))
		for i, id := range ids {
			at[id] = i
		}
		slices.SortFunc(rows, func(a, b store.PersonRow) int { return at[a.ID] - at[b.ID] })
		if list.Persons, err = s.People.Summaries(rows); err != nil {
			return err
		}
	}
	return s.log(ctx, tx, p, access.ServiceRead, purpose, subjects, len(subjects) == 0)
}

// offices are those that the caller means, in order.
func (s *Services) offices(ctx context.Context, p access.Principal, asked area.Key) ([]area.Key, error) {
	if err := s.Allow(ctx, p, access.ServiceRead, 0); err != nil {
		return nil, err
	}
	if asked == 0 && len(p.Offices) > 0 {
		return slices.Sorted(slices.Values(p.Offices)), nil
	}
	o, err := s.Office(ctx, p, access.ServiceRead, asked, "office")
	return []area.Key{o}, err
}

// scope is whom the policy in force offers the round to.
func (s *Services) scope(r policy.Round) (store.DueFilter, bool, error) {
	today := civil.In(s.Now())
	now, err := s.Policies.At(today)
	if fault.Is(err, fault.KindNotFound) {
		return store.DueFilter{}, false, nil
	}
	if err != nil {
		return store.DueFilter{}, false, err
	}
	scope := now.OfferScope
	f := store.DueFilter{Round: uint32(r.Number), Sexes: []uint32{scope.Sex}}
	if scope.Sex == policy.AnySex {
		f.Sexes = []uint32{0, 1, 2, 9}
	}
	f.FirstBirth, f.Birth = scope.Born(today)
	return f, true, nil
}

// CountDue counts those for whom the open round is due at an office, up to
// atMost; more says that there are others. ok is false between rounds. The
// caller has authorised; it shows nobody.
func (s *Services) CountDue(ctx context.Context, tx *store.Tx, office area.Key, atMost int) (n int, more bool, round policy.Round, ok bool, err error) {
	if round, ok = s.Policies.RoundAt(s.Now()); !ok {
		return 0, false, round, false, nil
	}
	f, ok, err := s.scope(round)
	if err != nil || !ok {
		return 0, false, round, false, err
	}
	f.Office, f.Limit = office, atMost+1
	if n, err = tx.CountOffersDue(ctx, f); err != nil {
		return 0, false, round, false, err
	}
	return min(n, atMost), n > atMost, round, true, nil
}

func nextMark(at pageMark, office area.Key, r policy.Round, marks []store.DueMark) string {
	m := pageMark{Office: office, Round: uint32(r.Number)}
	if at.Office == office {
		m.After, m.Birth, m.Person = at.After, at.Birth, at.Person
	}
	if n := len(marks); n > 0 {
		m.After, m.Birth, m.Person = marks[n-1].Round, marks[n-1].Birth, marks[n-1].Person
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // a plain struct
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseMark(token string, r policy.Round) (m pageMark, err error) {
	if token == "" {
		return m, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil || m.Round != uint32(r.Number) {
		return m, fault.Invalid("PAGE_TOKEN", "page token is not of this list").Zh("翻页标识不正确，请从第一页重新查询").On("page_token")
	}
	return m, nil
}
