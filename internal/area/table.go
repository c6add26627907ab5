package area

import (
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"yipan/internal/civil"
)

//go:embed data/areas.csv.gz
var areasGz []byte

//go:embed data/changes.csv
var changesCSV string

// row is one area; its name is text[off:off+n] of the table. Names are not
// copied out: 44,703 string headers would take as much as the text itself.
type row struct {
	key Key
	off uint32
	n   uint8
}

type table struct {
	text  string
	level [Village][]row   // by Level, each sorted by key; 0 is empty
	dated map[Key][]period // from changes.csv, oldest first
}

// period is the validity of one meaning of a code, first and last day.
type period struct {
	name     string
	from, to civil.Date
}

func (p period) holds(on civil.Date) bool {
	return (p.from.IsZero() || !on.Before(p.from)) && (p.to.IsZero() || !on.After(p.to))
}

// loaded panics where the embedded files are broken, which only a wrong build
// can bring about and a test catches.
var loaded = sync.OnceValue(func() *table {
	t, err := load(areasGz, changesCSV)
	if err != nil {
		panic(fmt.Sprintf("area: embedded table: %v", err))
	}
	return t
})

func load(gz []byte, changes string) (*table, error) {
	if len(gz) < 18 {
		return nil, io.ErrUnexpectedEOF
	}
	z, err := gzip.NewReader(bytes.NewReader(gz))
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	// The trailer of RFC 1952 ends with the inflated size, so one allocation does.
	b.Grow(int(binary.LittleEndian.Uint32(gz[len(gz)-4:])))
	if _, err := io.Copy(&b, z); err != nil {
		return nil, err
	}
	t := &table{text: b.String(), dated: map[Key][]period{}}
	for l, n := range [...]int{Province: 31, Prefecture: 342, County: 2978, Township: 41352} {
		t.level[l] = make([]row, 0, n)
	}
	pos := strings.IndexByte(t.text, '\n') + 1
	for pos < len(t.text) {
		line := t.text[pos:]
		end := strings.IndexByte(line, '\n')
		if end < 0 {
			return nil, io.ErrUnexpectedEOF
		}
		code, name, ok := strings.Cut(line[:end], ",")
		l := levelOfDigits(len(code))
		if !ok || l == None || l == Village || len(name) > 255 {
			return nil, fmt.Errorf("bad row at byte %d", pos)
		}
		k, err := Of(l, code)
		if err != nil {
			return nil, err
		}
		if rows := t.level[l]; len(rows) > 0 && rows[len(rows)-1].key >= k {
			return nil, fmt.Errorf("row %v out of order", k)
		}
		t.level[l] = append(t.level[l], row{k, uint32(pos + len(code) + 1), uint8(len(name))})
		pos += end + 1
	}
	return t, t.readChanges(changes)
}

func (t *table) readChanges(s string) error {
	recs, err := csv.NewReader(strings.NewReader(s)).ReadAll()
	if err != nil {
		return err
	}
	for _, r := range recs[1:] {
		l, err := strconv.Atoi(r[0])
		if err != nil {
			return err
		}
		k, err := Of(Level(l), r[1])
		if err != nil {
			return err
		}
		p := period{name: r[2]}
		if err := p.from.UnmarshalText([]byte(r[3])); err != nil {
			return fmt.Errorf("%v: %w", k, err)
		}
		if err := p.to.UnmarshalText([]byte(r[4])); err != nil {
			return fmt.Errorf("%v: %w", k, err)
		}
		if old := t.dated[k]; len(old) > 0 && !old[len(old)-1].to.Before(p.from) {
			return fmt.Errorf("%v: periods out of order", k)
		}
		t.dated[k] = append(t.dated[k], p)
	}
	return nil
}

func levelOfDigits(n int) Level {
	for l := Province; l <= Village; l++ {
		if digits[l] == n {
			return l
		}
	}
	return None
}

func (t *table) name(r row) string { return t.text[r.off : r.off+uint32(r.n)] }

func byKey(r row, k Key) int { return cmp.Compare(r.key, k) }

func (t *table) find(k Key) (row, bool) {
	l := k.Level()
	if l < Province || l > Township {
		return row{}, false
	}
	i, ok := slices.BinarySearchFunc(t.level[l], k, byKey)
	if !ok {
		return row{}, false
	}
	return t.level[l][i], true
}

// rows returns the rows of level l within k; all of them for the zero Key.
func (t *table) rows(l Level, k Key) []row {
	all := t.level[l]
	if k == 0 {
		return all
	}
	if kl := k.Level(); kl < Province || kl > l {
		return nil
	}
	// Keys in k lie in [code of k, code of k + one unit of its level).
	unit := int64(10)
	for i := digits[k.Level()]; i < 12; i++ {
		unit *= 10
	}
	first := int64(k) - int64(k.Level())
	from, _ := slices.BinarySearchFunc(all, Key(first), byKey)
	to, _ := slices.BinarySearchFunc(all, Key(first+unit), byKey)
	return all[from:to]
}
