package todo

import (
	"context"
	"maps"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/store"
)

// List returns a page of what waits for the caller's offices, least time left
// first, and the token of the next page (empty: none). Subjects are masked; all
// whom the page shows are logged.
func (t *Todo) List(ctx context.Context, p access.Principal, q Query) ([]Entry, string, error) {
	offices, err := t.offices(ctx, p, access.TodoRead, q.Office)
	if err != nil {
		return nil, "", err
	}
	if err := q.check(); err != nil {
		return nil, "", err
	}
	after, err := parseMark(q.PageToken)
	if err != nil {
		return nil, "", err
	}
	var out []Entry
	var next string
	err = t.In(ctx, p, func(tx *store.Tx) error {
		out, next = nil, ""
		list, sides, err := t.gather(ctx, tx, p, offices, q, after)
		if err != nil {
			return err
		}
		slices.SortFunc(list, func(a, b Entry) int { return a.mark().compare(b.mark()) })
		if len(list) > q.PageSize {
			list = list[:q.PageSize]
			next = list[len(list)-1].mark().token()
		}
		if err := t.name(ctx, tx, list, sides); err != nil {
			return err
		}
		out = list
		return t.logShown(ctx, tx, p, access.TodoRead, q.Purpose, offices, list)
	})
	return out, next, err
}

// offices are those that p means by asked (0: all), held against v.
func (t *Todo) offices(ctx context.Context, p access.Principal, v access.Verb, asked area.Key) ([]area.Key, error) {
	if asked != 0 {
		o, err := t.Office(ctx, p, v, asked, "office")
		return []area.Key{o}, err
	}
	return p.Offices, t.Allow(ctx, p, v, 0)
}

// shown are those of kinds that p may see.
func shown(p access.Principal, kinds []Kind) []Kind {
	return slices.DeleteFunc(slices.Clone(kinds), func(k Kind) bool { return !access.Can(p, k.needs(), 0) })
}

// gather reads of every source the entries after a mark, one more than a page
// each.
func (t *Todo) gather(ctx context.Context, tx *store.Tx, p access.Principal, offices []area.Key, q Query, after mark) ([]Entry, map[cases.CaseID][]store.Side, error) {
	limit := q.PageSize + 1
	sides := map[cases.CaseID][]store.Side{}
	var list []Entry
	var parts [2][]store.TodoPart // limited and not: they are ordered apart
	for _, k := range shown(p, q.Kinds) {
		from, some := after.start(k)
		if !some {
			continue
		}
		if k.onCase() {
			i := 0
			if !k.limited() {
				i = 1
			}
			for _, o := range offices {
				parts[i] = append(parts[i], store.TodoPart{Office: o, Kind: int16(k), After: from})
			}
			continue
		}
		more, err := t.others(ctx, tx, p, offices, k, from, limit)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, more...)
	}
	for _, part := range parts {
		found, err := tx.TodoSides(ctx, part, limit)
		if err != nil {
			return nil, nil, err
		}
		for i := range found {
			s := &found[i]
			if !desk.Visible(p, s) {
				continue
			}
			list = append(list, entryOf(s))
			sides[s.Case] = append(sides[s.Case], *s)
		}
	}
	return list, sides, nil
}

func entryOf(s *store.Side) Entry {
	e := Entry{
		Kind: Kind(s.Todo), Office: s.Office, Case: s.Case, Etag: book.Etag(s.Version, s.Rev), DueAt: dueOf(s), Counterpart: s.X, CaseKind: s.Kind,
		place: placeOf(s), who: [][16]byte{desk.SubjectOf(s)},
	}
	if s.Side == cases.SideOpener {
		e.Counterpart = s.Y
	}
	if s.Todo == store.TodoReadFeedback {
		e.N = int64(s.News() - s.SeenFeedback)
	}
	return e
}

// name fills in the masked subjects of a page's cases.
func (t *Todo) name(ctx context.Context, tx *store.Tx, list []Entry, sides map[cases.CaseID][]store.Side) error {
	var ids []cases.CaseID
	for i := range list {
		if id := list[i].Case; !id.IsZero() && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	subjects, err := t.subjects(ctx, tx, ids)
	if err != nil {
		return err
	}
	for i := range list {
		e := &list[i]
		if e.Case.IsZero() {
			continue
		}
		erased := slices.ContainsFunc(sides[e.Case], func(s store.Side) bool { return s.Office == e.Office && !s.ErasedAt.IsZero() })
		if e.Subject = desk.Mask(nil); !erased {
			e.Subject = desk.Mask(subjects[e.Case])
		}
	}
	return nil
}

// subjects reads the fields of cases.
func (t *Todo) subjects(ctx context.Context, tx *store.Tx, ids []cases.CaseID) (map[cases.CaseID]*cases.Fields, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	cs, err := t.Book.Read(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	var items []cases.ItemID
	for _, c := range cs {
		items = append(items, c.State.Fields...)
	}
	bodies, err := t.Book.BodiesOf(ctx, tx, cs, items)
	if err != nil {
		return nil, err
	}
	out := make(map[cases.CaseID]*cases.Fields, len(cs))
	for id, c := range cs {
		out[id] = book.Fields(c, bodies)
	}
	return out, nil
}

// logShown logs whom a page shows: one event for each office of which it shows
// somebody, or one for each asked where it shows nobody.
func (t *Todo) logShown(ctx context.Context, tx *store.Tx, p access.Principal, v access.Verb, purpose string, offices []area.Key, list []Entry) error {
	who := map[area.Key][][16]byte{}
	for i := range list {
		for _, w := range list[i].who {
			if !slices.Contains(who[list[i].Office], w) {
				who[list[i].Office] = append(who[list[i].Office], w)
			}
		}
	}
	if len(who) == 0 {
		for _, o := range offices {
			who[o] = nil
		}
	}
	for _, o := range slices.Sorted(maps.Keys(who)) {
		if err := tx.LogAccess(ctx, store.Access{Principal: p, Office: o, Verb: v, Purpose: purpose, Subjects: who[o]}); err != nil {
			return err
		}
	}
	return nil
}
