package node

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"yipan/internal/fault"
)

// Sources are where a configuration comes from. Flags win over the environment,
// that over the file, that over Default.
type Sources struct {
	File   string                      // TOML; empty: none
	Lookup func(string) (string, bool) // the environment; nil: none. An empty value counts as none
	Set    []string                    // flags, "key=value"
}

// Origin says where a value comes from.
type Origin struct {
	From string // "default", "file", "environment" or "flag"
	Name string // file and line, variable, or flag
}

// Loaded is a configuration that passed Check, with the origin of each value.
type Loaded struct {
	Config
	File    string
	origins map[string]Origin
}

// Problem is one thing wrong with a configuration.
type Problem struct {
	Where  string // file and line, variable, or flag; empty: the whole
	Key    string
	Zh, En string
}

type problems []Problem

func (ps problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	var zh, en []string
	for _, p := range ps {
		at := strings.TrimSpace(p.Where + " " + p.Key)
		if at != "" {
			at += ": "
		}
		zh, en = append(zh, at+p.Zh), append(en, at+p.En)
	}
	return fault.Invalid("CONFIG", "configuration: %s", strings.Join(en, "; ")).On(ps[0].Key).
		Zh("配置有 %d 处问题：\n  %s", len(ps), strings.Join(zh, "\n  "))
}

// maxConfigBytes bounds a configuration file; the example has 5 KiB.
const maxConfigBytes = 1 << 20

// Load reads a configuration and checks it. Errors: Invalid CONFIG, which lists
// everything that is wrong; NotFound CONFIG_FILE; Unavailable CONFIG_IO.
func Load(src Sources) (*Loaded, error) {
	l := &Loaded{Config: Default(), File: src.File, origins: map[string]Origin{}}
	var ps problems
	if src.File != "" {
		b, err := os.ReadFile(src.File)
		switch {
		case os.IsNotExist(err):
			return nil, fault.NotFound("CONFIG_FILE", "no configuration file %s", src.File).
				Zh("没有配置文件 %s（用 yipan init 新建节点，或用 --config 指明）", src.File)
		case err != nil:
			return nil, fault.Unavailable("CONFIG_IO", "read configuration").Because(err).Zh("无法读取配置文件 %s", src.File)
		case len(b) > maxConfigBytes:
			return nil, fault.Invalid("CONFIG", "configuration file of %d bytes", len(b)).Zh("配置文件过大")
		}
		ps = append(ps, l.fromFile(src.File, b)...)
	}
	ps = append(ps, l.fromEnvironment(src.Lookup)...)
	ps = append(ps, l.fromFlags(src.Set)...)
	if len(ps) == 0 {
		ps = l.check(l.where)
	}
	if err := ps.err(); err != nil {
		return nil, err
	}
	return l, nil
}

// where renders the origin of a key for a message.
func (l *Loaded) where(key string) string { return l.origins[key].Name }

func (l *Loaded) fromFile(name string, b []byte) problems {
	var tree map[string]any
	if _, err := toml.Decode(string(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))), &tree); err != nil {
		p := Problem{Where: name, Zh: "不是正确的 TOML：" + err.Error(), En: "not TOML: " + err.Error()}
		if pe, ok := asParseError(err); ok {
			// Message quotes no value; the rest of the error would quote a line.
			p.Where = fmt.Sprintf("%s:%d", name, pe.Position.Line)
			p.Zh, p.En = "不是正确的 TOML："+pe.Message, "not TOML: "+pe.Message
		}
		return problems{p}
	}
	base, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		base = filepath.Dir(name)
	}
	lines := keyLines(string(b))
	at := func(key string) string {
		if n := lines[key]; n > 0 {
			return fmt.Sprintf("%s:%d", name, n)
		}
		return name
	}
	var ps problems
	unknown := func(key string) {
		ps = append(ps, Problem{Where: at(key), Key: key, Zh: "不认识的配置项" + likely(key, "，是不是 "), En: "unknown key" + likely(key, ", did you mean ")})
	}
	for _, section := range slices.Sorted(maps.Keys(tree)) {
		table, ok := tree[section].(map[string]any)
		if !ok || !slices.ContainsFunc(settings(), func(s setting) bool { return strings.HasPrefix(s.key, section+".") }) {
			unknown(section)
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(table)) {
			key := section + "." + name
			s, ok := settingOf(key)
			if !ok {
				unknown(key)
				continue
			}
			if err := s.setTOML(&l.Config, table[name]); err != nil {
				ps = append(ps, bad(at(key), key, err))
				continue
			}
			s.resolve(&l.Config, base)
			if s.kind == asURL && HoldsSecret(s.in(&l.Config).String()) {
				ps = append(ps, secret(at(key), key))
			}
			l.origins[key] = Origin{"file", at(key)}
		}
	}
	return ps
}

func (l *Loaded) fromEnvironment(lookup func(string) (string, bool)) problems {
	if lookup == nil {
		return nil
	}
	var ps problems
	for _, s := range settings() {
		v, ok := lookup(s.env())
		if !ok || v == "" {
			continue
		}
		if err := s.setText(&l.Config, v); err != nil {
			ps = append(ps, bad(s.env(), s.key, err))
			continue
		}
		l.origins[s.key] = Origin{"environment", s.env()}
	}
	return ps
}

func (l *Loaded) fromFlags(set []string) problems {
	var ps problems
	for _, pair := range set {
		key, v, ok := strings.Cut(pair, "=")
		key = strings.TrimSpace(key)
		at := "--set " + key
		s, known := settingOf(key)
		switch {
		case !ok:
			ps = append(ps, Problem{Where: at, Zh: "应写作 配置项=值", En: "must be KEY=VALUE"})
			continue
		case !known:
			ps = append(ps, Problem{Where: at, Zh: "不认识的配置项" + likely(key, "，是不是 "), En: "unknown key" + likely(key, ", did you mean ")})
			continue
		}
		if err := s.setText(&l.Config, v); err != nil {
			ps = append(ps, bad(at, "", err))
			continue
		}
		if s.kind == asURL && HoldsSecret(v) { // anybody on the machine sees a command line
			ps = append(ps, secret(at, ""))
		}
		l.origins[key] = Origin{"flag", at}
	}
	return ps
}

func bad(where, key string, err error) Problem {
	en, zh, _ := strings.Cut(err.Error(), "; ")
	return Problem{Where: where, Key: key, Zh: zh, En: en}
}

func secret(where, key string) Problem {
	return Problem{Where: where, Key: key,
		Zh: "地址中不得写密码，请用 password_file 指明密码文件", En: "no password in an address: name a file by password_file"}
}

func asParseError(err error) (toml.ParseError, bool) {
	pe, ok := err.(toml.ParseError) //nolint:errorlint // returned bare by Decode
	return pe, ok
}

// likely names the one setting whose key ends alike, or has few other letters.
func likely(key, lead string) string {
	_, last, _ := strings.Cut(key, ".")
	best, least := "", 3
	for _, s := range settings() {
		_, name, _ := strings.Cut(s.key, ".")
		d := distance(key, s.key)
		if name == last || name == key {
			d = min(d, 2)
		}
		if d < least {
			best, least = s.key, d
		}
	}
	if best == "" {
		return ""
	}
	return lead + best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left, diagonal := i+1, row[0]
		row[0] = left
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			left = min(left+1, row[j+1]+1, cost)
			row[j+1] = left
		}
	}
	return row[len(b)]
}

// keyLines maps keys and tables to their lines, which the decoder does not tell.
// It only serves messages, and knows the simple form that such files have.
func keyLines(text string) map[string]int {
	lines := map[string]int{}
	table := ""
	put := func(key string, n int) {
		if _, ok := lines[key]; !ok {
			lines[key] = n
		}
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "["); ok {
			if name, _, ok := strings.Cut(strings.TrimLeft(rest, "["), "]"); ok {
				table = strings.TrimSpace(name)
				put(table, n)
			}
			continue
		}
		key, _, ok := strings.Cut(line, "=")
		if key = strings.Trim(strings.TrimSpace(key), `"'`); !ok || key == "" || line[0] == '#' {
			continue
		}
		if table != "" {
			key = table + "." + key
		}
		put(key, n)
	}
	return lines
}

// Setting is one line of a dump.
type Setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"` // as TOML, secrets redacted
	Origin string `json:"origin"`
	At     string `json:"at,omitempty"`
}

// Dump returns every setting with its value and where it comes from.
func (l *Loaded) Dump() []Setting {
	out := make([]Setting, 0, len(settings()))
	for _, s := range settings() {
		o, ok := l.origins[s.key]
		if !ok {
			o.From = "default"
		}
		out = append(out, Setting{Key: s.key, Value: s.text(&l.Config), Origin: o.From, At: o.Name})
	}
	return out
}

// Unknown returns the variables of an environment ("NAME=value") that begin with
// EnvPrefix and mean nothing to a node or to the commands named by known.
func Unknown(environ []string, known ...string) []string {
	var out []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, EnvPrefix) && !slices.Contains(known, name) &&
			!slices.ContainsFunc(settings(), func(s setting) bool { return s.env() == name }) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
