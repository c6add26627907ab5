package people

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// Search sizes.
const (
	pageDefault = 50
	pageMost    = 200
)

// SearchRequest searches by exactly one of Document, Last4, Name, Initials,
// Phone and Area.
type SearchRequest struct {
	Office    area.Key // 0: all of the caller's
	Document  string   // whole number
	Last4     string
	Name      string // beginning of a present or former name
	Initials  string // beginning
	Phone     string
	Area      area.Key // it or one within it
	AreaOf    string   // "living" (""), "registered"
	PageSize  int      // 0: 50; at most 200
	PageToken string
	Purpose   string
}

// finder runs one kind of search.
type finder func(ctx context.Context, tx *store.Tx, s store.Search) ([]store.Found, error)

// SearchPersons finds people of the caller's offices and returns the token of
// the next page, "" where there is none. Of merged files the one stands that
// they were merged into. Everybody shown is logged.
func (l *People) SearchPersons(ctx context.Context, p access.Principal, r SearchRequest) ([]Summary, string, error) {
	if err := l.Allow(ctx, p, access.PersonSearch, 0); err != nil {
		return nil, "", err
	}
	s := store.Search{Offices: p.Offices, Limit: pageDefault}
	if r.Office != 0 {
		o, err := l.Office(ctx, p, access.PersonSearch, r.Office, "office")
		if err != nil {
			return nil, "", err
		}
		s.Offices = []area.Key{o}
	}
	switch {
	case r.PageSize < 0 || r.PageSize > pageMost:
		return nil, "", fault.Invalid("PAGE_SIZE", "page of %d, at most %d", r.PageSize, pageMost).Zh("每页最多 %d 条", pageMost).On("page_size")
	case r.PageSize > 0:
		s.Limit = r.PageSize
	}
	find, err := l.finder(&r, s.Offices)
	if err != nil {
		return nil, "", err
	}
	if r.PageToken != "" {
		if s.After, err = parseToken(r.PageToken); err != nil {
			return nil, "", err
		}
	}
	size := s.Limit
	s.Limit++ // one more tells whether there is a next page
	var out []Summary
	var next string
	err = l.In(ctx, p, func(tx *store.Tx) error {
		out, next = nil, ""
		found, err := find(ctx, tx, s)
		if err != nil {
			return err
		}
		if len(found) > size {
			found = found[:size]
			next = token(found[size-1])
		}
		if out, err = l.lines(ctx, tx, found); err != nil {
			return err
		}
		return l.logLines(ctx, tx, p, s.Offices, r.Purpose, out)
	})
	return out, next, err
}

// finder chooses the search and checks its value.
func (l *People) finder(r *SearchRequest, offices []area.Key) (finder, error) {
	given := 0
	for _, s := range []string{r.Document, r.Last4, r.Name, r.Initials, r.Phone} {
		if s != "" {
			given++
		}
	}
	if r.Area != 0 {
		given++
	}
	if given != 1 {
		return nil, fault.Invalid("ONE_CRITERION", "%d criteria are given, exactly one is needed", given).
			Zh("请只填一项查询条件：证件号码、证件后四位、姓名、拼音首字母、电话或区划")
	}
	switch {
	case r.Document != "":
		return l.byDocument(r.Document, offices)
	case r.Last4 != "":
		v := ident.Doc{Number: normalLast4(r.Last4)}
		if len(v.Number) != 4 {
			return nil, fault.Invalid("LAST4", "not four characters of a number").Zh("请填写证件号码的最后四位").On("last4")
		}
		return l.blind(store.LookupLast4, useLast4, v.Number, offices), nil
	case r.Name != "":
		name := ident.NormalizeName(r.Name)
		if name == "" || utf8.RuneCountInString(name) > maxName {
			return nil, fault.Invalid("NAME_LENGTH", "name is empty or too long").Zh("请填写姓名的开头（最多 60 字）").On("name")
		}
		return func(ctx context.Context, tx *store.Tx, s store.Search) ([]store.Found, error) {
			return tx.SearchNames(ctx, s, name)
		}, nil
	case r.Initials != "":
		in := strings.ToLower(strings.TrimSpace(r.Initials))
		if in == "" || len(in) > maxName || strings.ContainsFunc(in, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') }) {
			return nil, fault.Invalid("INITIALS", "initials are letters").Zh("拼音首字母只能是字母，例如 zs").On("initials")
		}
		return func(ctx context.Context, tx *store.Tx, s store.Search) ([]store.Found, error) {
			return tx.SearchInitials(ctx, s, in)
		}, nil
	case r.Phone != "":
		n := phoneKey(r.Phone)
		if len(n) < 5 || strings.Trim(strings.TrimPrefix(n, "+"), "0123456789") != "" {
			return nil, fault.Invalid("PHONE_FORMAT", "not a telephone number").Zh("电话号码只能由数字、空格和短横组成，至少 5 位").On("phone")
		}
		return l.blind(store.LookupPhone, usePhone, n, offices), nil
	}
	if r.AreaOf != "" && r.AreaOf != "living" && r.AreaOf != "registered" {
		return nil, fault.Invalid("AREA_OF", "area_of is neither living nor registered").Zh("区划用途应为 living（现居住地）或 registered（户籍地）").On("area_of")
	}
	if k := r.Area.Cut(area.Township); !known(k) {
		return nil, fault.Invalid("AREA_UNKNOWN", "area %s is unknown", r.Area).Zh("区划 %s 不存在", r.Area.Short()).On("area")
	}
	return func(ctx context.Context, tx *store.Tx, s store.Search) ([]store.Found, error) {
		return tx.SearchArea(ctx, s, r.Area, r.AreaOf == "registered")
	}, nil
}

func known(k area.Key) bool {
	_, ok := area.Lookup(k)
	return ok
}

func normalLast4(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0xFF01 && r <= 0xFF5E {
			r -= 0xFEE0
		}
		if unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, s)
}

// byDocument finds the whole number, of 15 or 18 characters, whatever its kind:
// a passport is indexed by its number as others are.
func (l *People) byDocument(number string, offices []area.Key) (finder, error) {
	doc, _, err := ident.Parse(ident.KindAuto, number)
	if err != nil {
		// Passports without letters are told from half a number by their length.
		if doc, _, err = ident.Parse(ident.KindPassport, number); err != nil || len(doc.Number) > 9 && strings.Trim(doc.Number, "0123456789") == "" {
			return nil, fault.Invalid("ID_FORMAT", "id number has no known shape").Zh("证件号码不完整或格式不符；只记得后四位时请按后四位查询").On("document")
		}
	}
	return l.blind(store.LookupDocument, useDocument, matchOf(doc), offices), nil
}

// blind searches by blind index, under every key that may have made one.
func (l *People) blind(lookup int16, use, value string, offices []area.Key) finder {
	var bs []store.Blind
	for _, k := range l.Keys.Indexes() {
		for _, o := range offices {
			bs = append(bs, store.Blind{Office: o, Index: indexOf(k, o, use, value)})
		}
	}
	return func(ctx context.Context, tx *store.Tx, s store.Search) ([]store.Found, error) {
		return tx.SearchBlind(ctx, s, lookup, bs)
	}
}

// lines makes one line of each person found, in order: of a merged file the one
// that it was merged into, once.
func (l *People) lines(ctx context.Context, tx *store.Tx, found []store.Found) ([]Summary, error) {
	ids := make([]cases.PersonID, len(found))
	for i := range found {
		ids[i] = found[i].ID
	}
	rows, err := l.roots(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	var out []Summary
	for _, f := range found {
		row := rows[f.ID]
		if row == nil || slices.ContainsFunc(out, func(s Summary) bool { return s.ID == row.ID }) {
			continue
		}
		if row.ID != f.ID && f.Name != "" && !f.Former && row.Name == f.Name {
			continue // it is found by the same name itself
		}
		lines, err := l.Summaries([]store.PersonRow{*row})
		if err != nil {
			return nil, err
		}
		for _, s := range lines {
			if f.Name != "" && f.Name != row.Name {
				s.FoundBy = f.Name
			}
			out = append(out, s)
		}
	}
	return out, nil
}

// roots reads, for each id, the row of the file that stands for the person.
func (l *People) roots(ctx context.Context, tx *store.Tx, ids []cases.PersonID) (map[cases.PersonID]*store.PersonRow, error) {
	rows := map[cases.PersonID]*store.PersonRow{}
	for next := ids; len(next) > 0; {
		read, err := tx.PersonsByID(ctx, next)
		if err != nil {
			return nil, err
		}
		next = nil
		for i := range read {
			rows[read[i].ID] = &read[i]
		}
		for i := range read {
			if m := read[i].MergedInto; !m.IsZero() && rows[m] == nil && len(rows) < maxMerges*pageMost {
				next = append(next, m)
			}
		}
	}
	out := make(map[cases.PersonID]*store.PersonRow, len(ids))
	for _, id := range ids {
		row := rows[id]
		for range maxMerges {
			if row == nil || row.MergedInto.IsZero() {
				break
			}
			row = rows[row.MergedInto]
		}
		if row != nil && !row.Erased {
			out[id] = row
		}
	}
	return out, nil
}

// logLines logs one event per office that was searched, misses too.
func (l *People) logLines(ctx context.Context, tx *store.Tx, p access.Principal, offices []area.Key, purpose string, lines []Summary) error {
	for _, o := range offices {
		var subjects [][16]byte
		for i := range lines {
			if lines[i].Office == o {
				subjects = append(subjects, lines[i].ID)
			}
		}
		if len(subjects) == 0 && len(lines) > 0 {
			continue
		}
		if err := tx.LogAccess(ctx, store.Access{Principal: p, Office: o, Verb: access.PersonSearch, Purpose: purpose, Subjects: subjects}); err != nil {
			return err
		}
	}
	return nil
}

// token is the place of a row: the next page begins after it.
func token(f store.Found) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(int64(f.Place), 10) + " " + hex.EncodeToString(f.ID[:]) + " " + f.Value))
}

func parseToken(s string) (store.Found, error) {
	no := usher.OnField(fault.Invalid("PAGE_TOKEN", "page token is malformed").Zh("翻页标识不正确，请从第一页开始"), "page_token")
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return store.Found{}, no
	}
	parts := strings.SplitN(string(b), " ", 3)
	if len(parts) != 3 || !utf8.ValidString(parts[2]) || strings.ContainsRune(parts[2], 0) {
		return store.Found{}, no
	}
	place, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return store.Found{}, no
	}
	id, err := cases.ParsePersonID(parts[1])
	if err != nil {
		return store.Found{}, no
	}
	return store.Found{Place: area.Key(place), ID: id, Value: parts[2]}, nil
}
