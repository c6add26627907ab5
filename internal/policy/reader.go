package policy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"yipan/internal/civil"
)

// reader collects everything wrong with one file.
type reader struct {
	lines    lines
	problems Problems
}

// table is one table of the file, with the keys asked for so far; done reports
// the others.
type table struct {
	r    *reader
	path string
	m    map[string]any
	used map[string]bool
}

// open decodes a file into its top table; nil where it is no TOML at all.
func open(text string) (*reader, *table) {
	r := &reader{lines: indexLines(text)}
	m := map[string]any{}
	if _, err := toml.Decode(text, &m); err != nil {
		line, msg := 0, err.Error()
		if pe, ok := errors.AsType[toml.ParseError](err); ok {
			line, msg = pe.Position.Line, pe.Message
		}
		r.problems = append(r.problems, Problem{Line: line, Text: "不合 TOML 格式（" + msg + "）"})
		return r, nil
	}
	return r, r.table("", m)
}

func (r *reader) table(path string, m map[string]any) *table {
	return &table{r: r, path: path, m: m, used: map[string]bool{}}
}

func (r *reader) add(path, format string, a ...any) {
	r.problems = append(r.problems, Problem{Line: r.lines.at(path), Key: path, Text: fmt.Sprintf(format, a...)})
}

func (t *table) add(key, format string, a ...any) { t.r.add(join(t.path, key), format, a...) }

// get takes a key; a missing one that is required is a problem.
func (t *table) get(key string, required bool) (any, bool) {
	t.used[key] = true
	v, ok := t.m[key]
	if !ok && required {
		t.r.problems = append(t.r.problems, Problem{Line: t.r.lines.at(t.path), Key: join(t.path, key), Text: "缺少这一项"})
	}
	return v, ok
}

// done reports the keys that nobody asked for, with those that were possible.
func (t *table) done() {
	known := make([]string, 0, len(t.used))
	for k := range t.used {
		known = append(known, k)
	}
	slices.Sort(known)
	for k := range t.m {
		if !t.used[k] {
			t.add(k, "不认识这一项；这里可用：%s", strings.Join(known, "、"))
		}
	}
}

// text reads a string of 1..max bytes.
func (t *table) text(key string, required bool, limit int) string {
	v, ok := t.get(key, required)
	if !ok {
		return ""
	}
	s, ok := v.(string)
	switch {
	case !ok:
		t.add(key, "应为文字（加双引号）")
	case strings.TrimSpace(s) == "":
		t.add(key, "不能为空")
	case len(s) > limit:
		t.add(key, "过长（最多 %d 字节）", limit)
	default:
		return s
	}
	return ""
}

// choice reads one of the given words.
func (t *table) choice(key string, required bool, words ...string) string {
	v, ok := t.get(key, required)
	if !ok {
		return ""
	}
	if s, ok := v.(string); ok && slices.Contains(words, s) {
		return s
	}
	t.add(key, "应为 %s 之一", strings.Join(words, "、"))
	return ""
}

// integer reads a number in lo..hi; ok only if it was there and right.
func (t *table) integer(key string, required bool, lo, hi int) (int, bool) {
	v, ok := t.get(key, required)
	if !ok {
		return 0, false
	}
	n, ok := v.(int64)
	if !ok || n < int64(lo) || n > int64(hi) {
		t.add(key, "应为 %d 到 %d 的整数", lo, hi)
		return 0, false
	}
	return int(n), true
}

// percent reads a percentage above 0 up to 100 with at most two decimals.
func (t *table) percent(key string) (Percent, bool) {
	v, ok := t.get(key, false)
	if !ok {
		return 0, false
	}
	var f float64
	switch n := v.(type) {
	case int64:
		f = float64(n)
	case float64:
		f = n
	}
	h := math.Round(f * 100)
	if !(f > 0 && f <= 100) || math.Abs(f*100-h) > 1e-6 {
		t.add(key, "应为大于 0、不超过 100 的百分数，最多两位小数")
		return 0, false
	}
	return Percent(h), true
}

// date reads "2026-01-01", quoted or not.
func (t *table) date(key string, required bool) (civil.Date, bool) {
	v, ok := t.get(key, required)
	if !ok {
		return civil.Date{}, false
	}
	var d civil.Date
	switch x := v.(type) {
	case string:
		if p, err := civil.Parse(x); err == nil {
			d = p
		}
	case time.Time:
		if x.Location().String() == "date-local" {
			d = civil.Date{Year: x.Year(), Month: x.Month(), Day: x.Day()}
		}
	}
	if d.Year < 2000 || d.Year > 2199 {
		t.add(key, "应为 2000 到 2199 年间的日期，如 2026-01-01")
		return civil.Date{}, false
	}
	return d, true
}

// instant reads an RFC 3339 instant with its offset, quoted or not.
func (t *table) instant(key string) (time.Time, bool) {
	v, ok := t.get(key, false)
	if !ok {
		return time.Time{}, false
	}
	switch x := v.(type) {
	case string:
		if p, err := time.Parse(time.RFC3339Nano, x); err == nil {
			return p, true
		}
	case time.Time:
		if !strings.HasSuffix(x.Location().String(), "-local") {
			return x, true
		}
	}
	t.add(key, "应为带时区的时刻（RFC 3339），如 2026-11-23T15:04:05+08:00")
	return time.Time{}, false
}

// clock reads "08:30" as minutes after midnight, "24:00" included.
func (t *table) clock(key string) (int, bool) {
	v, ok := t.get(key, true)
	if !ok {
		return 0, false
	}
	if s, ok := v.(string); ok {
		if s == "24:00" {
			return 24 * 60, true
		}
		if c, err := time.Parse("15:04", s); err == nil && len(s) == len("15:04") {
			return c.Hour()*60 + c.Minute(), true
		}
	}
	t.add(key, "应为 00:00 到 24:00 的时刻，如 \"08:30\"")
	return 0, false
}

// list reads an array of strings, at least one.
func (t *table) list(key string) []string {
	v, ok := t.get(key, true)
	if !ok {
		return nil
	}
	a, _ := v.([]any)
	var out []string
	for _, x := range a {
		if s, ok := x.(string); ok {
			out = append(out, s)
		}
	}
	if len(out) == 0 || len(out) != len(a) {
		t.add(key, "应为至少有一项的文字列表，如 [\"outflow\"]")
		return nil
	}
	return out
}

// child reads a table; nil where there is none.
func (t *table) child(key string, required bool) *table {
	v, ok := t.get(key, required)
	if !ok {
		return nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		t.add(key, "应为一节：[%s]", join(t.path, key))
		return nil
	}
	return t.r.table(join(t.path, key), m)
}

// children reads an array of tables.
func (t *table) children(key string, limit int) []*table {
	v, ok := t.get(key, false)
	if !ok {
		return nil
	}
	var maps []map[string]any
	switch a := v.(type) {
	case []map[string]any:
		maps = a
	case []any:
		for _, x := range a {
			if m, ok := x.(map[string]any); ok {
				maps = append(maps, m)
			}
		}
		if len(maps) != len(a) {
			maps = nil
		}
	}
	if maps == nil || len(maps) > limit {
		t.add(key, "应写成 [[%s]] 节，最多 %d 节", join(t.path, key), limit)
		return nil
	}
	out := make([]*table, len(maps))
	for i, m := range maps {
		out[i] = t.r.table(fmt.Sprintf("%s[%d]", join(t.path, key), i), m)
	}
	return out
}
