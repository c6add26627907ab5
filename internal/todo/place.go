package todo

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"time"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/store"
)

// A mark is the place of an entry in the whole list: what is due comes first, by
// time; then what has no limit, by the time since when it waits. The kind is no
// part of it, so that an entry that changes its kind between two pages, keeping
// its time, is neither lost nor shown twice.
type mark struct {
	limited bool
	store.TodoPlace
}

func (m mark) compare(o mark) int {
	switch {
	case m.limited != o.limited:
		if m.limited {
			return -1
		}
		return 1
	case m.At.IsZero() != o.At.IsZero():
		if o.At.IsZero() {
			return -1
		}
		return 1
	}
	for _, n := range []int{m.At.Compare(o.At), bytes.Compare(m.ID[:], o.ID[:]), bytes.Compare(m.Of[:], o.Of[:])} {
		if n != 0 {
			return n
		}
	}
	return int(m.Office - o.Office)
}

func (e *Entry) mark() mark { return mark{limited: e.Kind.limited(), TodoPlace: e.place} }

// start is where entries of a kind begin after m; false: all of them lie before
// it.
func (m mark) start(k Kind) (store.TodoPlace, bool) {
	switch {
	case !m.Set || m.limited && !k.limited():
		return store.TodoPlace{}, true
	case !m.limited && k.limited():
		return store.TodoPlace{}, false
	}
	return m.TodoPlace, true
}

const markBytes = 1 + 8 + 16 + 16 + 8

// token writes a mark: microseconds, as the database keeps them.
func (m mark) token() string {
	b := make([]byte, 0, markBytes)
	flags := byte(0)
	if m.limited {
		flags |= 1
	}
	at := int64(0)
	if !m.At.IsZero() {
		flags, at = flags|2, m.At.UnixMicro()
	}
	b = binary.BigEndian.AppendUint64(append(b, flags), uint64(at))
	b = append(append(b, m.ID[:]...), m.Of[:]...)
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(b, uint64(m.Office)))
}

// parseMark reads a token; an empty one is the beginning.
func parseMark(s string) (m mark, err error) {
	if s == "" {
		return m, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != markBytes || b[0] > 3 {
		return m, fault.Invalid("PAGE_TOKEN", "page token is malformed").Zh("翻页标识不正确，请从第一页开始").On("page_token")
	}
	m.Set, m.limited = true, b[0]&1 != 0
	if b[0]&2 != 0 {
		m.At = time.UnixMicro(int64(binary.BigEndian.Uint64(b[1:])))
		if y := m.At.Year(); y < 1900 || y > 9999 { // out of what the database stores
			return mark{}, fault.Invalid("PAGE_TOKEN", "page token is out of range").Zh("翻页标识不正确，请从第一页开始").On("page_token")
		}
	}
	m.ID, m.Of = [16]byte(b[9:25]), [16]byte(b[25:41])
	m.Office = area.Key(binary.BigEndian.Uint64(b[41:]))
	return m, nil
}

// lastDay splits a place between days: certificates whose last day is after day,
// or that day with an id after id, come after it.
func lastDay(p store.TodoPlace) (day civil.Date, id [16]byte) {
	if !p.Set {
		return civil.Date{}, id
	}
	if p.At.IsZero() { // after everything that is due
		return civil.MustParse("9999-12-30"), id
	}
	day = civil.In(p.At).AddDays(-1)
	if day.EndInstant().Equal(p.At) {
		return day, p.ID
	}
	return day, [16]byte(bytes.Repeat([]byte{0xff}, 16))
}

// dueOf is when a side is due, as the list orders it.
func dueOf(s *store.Side) time.Time {
	if Kind(s.Todo).limited() {
		return s.TodoAt
	}
	return time.Time{}
}

func placeOf(s *store.Side) store.TodoPlace {
	return store.TodoPlace{At: s.TodoAt, ID: s.Case, Office: s.Office, Set: true}
}
