package node

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// kind says how a setting is treated besides its type.
type kind uint8

const (
	plain  kind = iota
	asPath      // in the file relative to the file's folder
	asURL       // a password in it is a secret
)

// setting is one key of the configuration.
type setting struct {
	key   string // "database.url"
	kind  kind
	index []int
}

// env is the environment variable of the setting.
func (s setting) env() string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

func (s setting) in(c *Config) reflect.Value { return reflect.ValueOf(c).Elem().FieldByIndex(s.index) }

// EnvPrefix begins the environment variable of every setting: database.url is
// YIPAN_DATABASE_URL.
const EnvPrefix = "YIPAN_"

// settings lists all keys in the order of the struct, which is the order of the
// file.
var settings = sync.OnceValue(func() []setting {
	var out []setting
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		section := t.Field(i)
		for j := range section.Type.NumField() {
			f := section.Type.Field(j)
			s := setting{key: section.Tag.Get("toml") + "." + f.Tag.Get("toml"), index: []int{i, j}}
			switch f.Tag.Get("as") {
			case "path":
				s.kind = asPath
			case "url":
				s.kind = asURL
			}
			out = append(out, s)
		}
	}
	return out
})

func settingOf(key string) (setting, bool) {
	for _, s := range settings() {
		if s.key == key {
			return s, true
		}
	}
	return setting{}, false
}

var (
	errInteger  = errors.New("an integer is needed; 应为整数")
	errDuration = errors.New("a duration is needed, like \"15s\" or \"24h\"; 应为时长，如 \"15s\"、\"24h\"")
	errText     = errors.New("a text in quotes is needed; 应为带引号的文字")
	errList     = errors.New("a list of texts is needed; 应为文字列表，如 [\"a\", \"b\"]")
)

// setText sets a value from environment or flag; lists are separated by commas.
func (s setting) setText(c *Config, text string) error {
	v := s.in(c)
	switch v.Interface().(type) {
	case string:
		v.SetString(text)
	case int:
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return errInteger
		}
		v.SetInt(int64(n))
	case time.Duration:
		d, err := time.ParseDuration(strings.TrimSpace(text))
		if err != nil {
			return errDuration
		}
		v.SetInt(int64(d))
	case []string:
		list := []string{}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		v.Set(reflect.ValueOf(list))
	default:
		panic("node: setting of an unknown type: " + s.key)
	}
	return nil
}

// setTOML sets a value as the TOML decoder gave it.
func (s setting) setTOML(c *Config, value any) error {
	v := s.in(c)
	switch v.Interface().(type) {
	case string:
		t, ok := value.(string)
		if !ok {
			return errText
		}
		v.SetString(t)
	case int:
		n, ok := value.(int64)
		if !ok {
			return errInteger
		}
		v.SetInt(n)
	case time.Duration:
		t, _ := value.(string)
		d, err := time.ParseDuration(t)
		if err != nil {
			return errDuration
		}
		v.SetInt(int64(d))
	case []string:
		items, ok := value.([]any)
		if !ok {
			return errList
		}
		list := make([]string, 0, len(items))
		for _, item := range items {
			t, ok := item.(string)
			if !ok {
				return errList
			}
			list = append(list, t)
		}
		v.Set(reflect.ValueOf(list))
	default:
		panic("node: setting of an unknown type: " + s.key)
	}
	return nil
}

// resolve makes the paths of a setting relative to base.
func (s setting) resolve(c *Config, base string) {
	if s.kind != asPath {
		return
	}
	abs := func(p string) string {
		if p == "" || p == systemd || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(base, p)
	}
	switch v := s.in(c); p := v.Interface().(type) {
	case string:
		v.SetString(abs(p))
	case []string:
		list := make([]string, len(p))
		for i := range p {
			list[i] = abs(p[i])
		}
		v.Set(reflect.ValueOf(list))
	}
}

// text returns the value as TOML, secrets redacted.
func (s setting) text(c *Config) string {
	switch v := s.in(c).Interface().(type) {
	case string:
		if s.kind == asURL {
			v = redactURLs(v)
		}
		return quote(v)
	case time.Duration:
		return quote(v.String())
	case []string:
		list := make([]string, len(v))
		for i := range v {
			list[i] = quote(v[i])
		}
		return "[" + strings.Join(list, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

// quote writes a TOML basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// redactURLs hides the passwords of URLs separated by commas, and what cannot
// be read as one, for it may hold a password too.
func redactURLs(list string) string {
	if list == "" {
		return ""
	}
	var out []string
	for part := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil {
			out = append(out, "(unreadable)")
			continue
		}
		q := u.Query()
		if q.Has("password") {
			q.Set("password", "xxxxx")
			u.RawQuery = q.Encode()
		}
		out = append(out, u.Redacted())
	}
	return strings.Join(out, ",")
}

// HoldsSecret reports whether URLs separated by commas hold a password.
func HoldsSecret(list string) bool {
	for part := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		if _, ok := u.User.Password(); ok || u.Query().Has("password") {
			return true
		}
	}
	return false
}
