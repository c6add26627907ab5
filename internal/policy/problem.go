package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with a policy file.
type Problem struct {
	Line int    // from 1; 0 where the file has no line for it
	Key  string // dotted path, "limits.outflow.answer_days"; "" for the file as a whole
	Text string // Chinese, for users
}

// String returns the problem as one line of Chinese.
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "第 %d 行", p.Line)
	}
	if p.Key != "" {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(p.Key)
	}
	if b.Len() > 0 {
		b.WriteString("：")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems is everything wrong with a file, by line. It is an error only when
// not empty.
type Problems []Problem

// Error returns the problems, one a line.
func (ps Problems) Error() string {
	s := make([]string, len(ps))
	for i, p := range ps {
		s[i] = p.String()
	}
	return strings.Join(s, "\n")
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
}

// lines maps the paths of a TOML file's keys and tables to their lines. The
// decoder does not tell them. It only serves messages, so where a file does
// something unusual (keys within inline tables) the line of what encloses it
// is good enough.
type lines map[string]int

// at returns the line of path, or of the nearest thing that encloses it.
func (l lines) at(path string) int {
	for path != "" {
		if n, ok := l[path]; ok {
			return n
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

func indexLines(text string) lines {
	l := lines{}
	count := map[string]int{} // how many [[…]] a path has had
	var table, open string    // current header; the quotes of an open multi-line string
	depth := 0                // open brackets of an array or inline table
	for i, s := range strings.Split(text, "\n") {
		if open == "" && depth == 0 {
			s = strings.TrimSpace(s)
			switch {
			case strings.HasPrefix(s, "[["):
				key, _ := readKey(s[2:])
				path := resolve(count, key)
				count[path]++
				table = fmt.Sprintf("%s[%d]", path, count[path]-1)
				l.put(table, i+1)
				l.put(path, i+1)
				continue
			case strings.HasPrefix(s, "["):
				key, _ := readKey(s[1:])
				table = resolve(count, key)
				l.put(table, i+1)
				continue
			case s != "" && s[0] != '#':
				key, rest := readKey(s)
				path := table
				for _, k := range key {
					path = join(path, k)
					l.put(path, i+1)
				}
				s = rest
			}
		}
		open, depth = skipValue(s, open, depth)
	}
	return l
}

func (l lines) put(path string, line int) {
	if _, ok := l[path]; !ok {
		l[path] = line
	}
}

// resolve turns a header's key into a path; a part that is an array of tables
// means its last table, except the last part of the header itself.
func resolve(count map[string]int, key []string) string {
	path := ""
	for i, k := range key {
		path = join(path, k)
		if n := count[path]; n > 0 && i < len(key)-1 {
			path = fmt.Sprintf("%s[%d]", path, n-1)
		}
	}
	return path
}

func join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}

// readKey reads a dotted key, parts bare or quoted, and returns what follows.
func readKey(s string) (key []string, rest string) {
	for {
		s = strings.TrimLeft(s, " \t")
		var part string
		if s != "" && (s[0] == '"' || s[0] == '\'') {
			end := strings.IndexByte(s[1:], s[0])
			if end < 0 {
				return append(key, s[1:]), ""
			}
			part, s = s[1:1+end], s[end+2:]
		} else {
			end := strings.IndexAny(s, ".=] \t")
			if end < 0 {
				return append(key, s), ""
			}
			part, s = s[:end], s[end:]
		}
		key = append(key, part)
		s = strings.TrimLeft(s, " \t")
		if s == "" || s[0] != '.' {
			return key, s
		}
		s = s[1:]
	}
}

// skipValue follows strings, brackets and comments over one line.
func skipValue(s, open string, depth int) (string, int) {
	for s != "" {
		if open != "" {
			if open[0] == '"' && s[0] == '\\' {
				s = s[min(2, len(s)):]
				continue
			}
			if strings.HasPrefix(s, open) {
				s, open = s[len(open):], ""
				continue
			}
			s = s[1:]
			continue
		}
		switch c := s[0]; c {
		case '#':
			return "", depth
		case '"', '\'':
			open = string(c)
			if q := strings.Repeat(open, 3); strings.HasPrefix(s, q) {
				open = q
			}
			s = s[len(open)-1:]
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		}
		s = s[1:]
	}
	if len(open) == 1 { // a one-line string that never ended: the decoder says so
		open = ""
	}
	return open, depth
}
