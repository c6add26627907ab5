package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"yipan/internal/fault"
)

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "yipan.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func env(m map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func TestFlagOverEnvironmentOverFileOverDefault(t *testing.T) {
	file := writeConfig(t, `# a comment
[node]
area = "3:520330"
name = "示例单位"

[database]
max_conns = 20

[grpc]
listen = "127.0.0.1:1001"

[metrics]
listen = "127.0.0.1:1002"

[jobs]
statement = "12h"
`)
	l, err := Load(Sources{
		File: file,
		Lookup: env(map[string]string{
			"YIPAN_METRICS_LISTEN": "127.0.0.1:2002", "YIPAN_GRPC_LISTEN": "127.0.0.1:2001",
			"YIPAN_HUB_PROVINCES": "52, 33", "YIPAN_LOG_LEVEL": "",
		}),
		Set: []string{"grpc.listen=127.0.0.1:3001"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Node.Area, want.Node.Name = "3:520330", "示例单位"
	want.Database.MaxConns = 20
	want.GRPC.Listen, want.Metrics.Listen = "127.0.0.1:3001", "127.0.0.1:2002"
	want.Jobs.Statement = 12 * time.Hour
	want.Hub.Provinces = []string{"52", "33"}
	if diff := cmp.Diff(want, l.Config); diff != "" {
		t.Error(diff)
	}
	got := map[string]Origin{}
	for _, s := range l.Dump() {
		got[s.Key] = Origin{s.Origin, s.At}
	}
	for key, o := range map[string]Origin{
		"grpc.listen":        {"flag", "--set grpc.listen"},
		"metrics.listen":     {"environment", "YIPAN_METRICS_LISTEN"},
		"hub.provinces":      {"environment", "YIPAN_HUB_PROVINCES"},
		"database.max_conns": {"file", file + ":7"},
		"log.level":          {"default", ""}, // an empty variable says nothing
	} {
		if got[key] != o {
			t.Errorf("%s: origin %v, want %v", key, got[key], o)
		}
	}
	if len(got) != len(settings()) {
		t.Errorf("%d settings in the dump, want %d", len(got), len(settings()))
	}
}

func TestWhatIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		env  map[string]string
		set  []string
		want []string // in the Chinese or the English text; FILE is the file's name
	}{
		"unknown key":        {file: "[grpc]\nlisten = \"127.0.0.1:1\"\nlissten = \"x\"\n", want: []string{"FILE:3 grpc.lissten", "grpc.listen"}},
		"unknown table":      {file: "\n\n[grcp]\nlisten = \"x\"\n", want: []string{"FILE:3 grcp"}},
		"key without table":  {file: "listen = \"x\"\n", want: []string{"FILE:1 listen"}},
		"all at once":        {file: "[log]\nlevvel = \"x\"\n[bus]\nurll = \"x\"\n", want: []string{"FILE:2 log.levvel", "FILE:4 bus.urll"}},
		"not toml":           {file: "[grpc]\nlisten = \n", want: []string{"FILE:2"}},
		"text for a number":  {file: "[database]\nmax_conns = \"many\"\n", want: []string{"FILE:2 database.max_conns", "an integer is needed"}},
		"number for a text":  {file: "[node]\nname = 7\n", want: []string{"FILE:2 node.name", "应为带引号的文字"}},
		"duration":           {file: "[jobs]\npoll = 5\n", want: []string{"FILE:2 jobs.poll", "应为时长"}},
		"list":               {file: "[policy]\nfiles = \"a.toml\"\n", want: []string{"FILE:2 policy.files", "应为文字列表"}},
		"list of numbers":    {file: "[policy]\nfiles = [1]\n", want: []string{"FILE:2 policy.files"}},
		"value out of range": {file: "[jobs]\nstatement = \"48h\"\n", want: []string{"FILE:2 jobs.statement", "24h0m0s"}},
		"level":              {file: "[log]\nlevel = \"loud\"\n", want: []string{"FILE:2 log.level", "debug"}},
		"area":               {file: "[node]\narea = \"3:529999\"\n", want: []string{"FILE:2 node.area", "no such area"}},
		"listen":             {file: "[grpc]\nlisten = \"7443\"\n", want: []string{"FILE:2 grpc.listen", "HOST:PORT"}},
		"broker":             {file: "[bus]\nurl = \"127.0.0.1\"\n", want: []string{"FILE:2 bus.url"}},
		"half a login":       {file: "[bus]\nuser = \"a\"\n", want: []string{"bus.password_file"}},
		"authority":          {file: "[directory]\nauthority = \"abc\"\n", want: []string{"FILE:2 directory.authority"}},
		"suite":              {file: "[exchange]\nsuite_floor = 99\n", want: []string{"FILE:2 exchange.suite_floor"}},
		"systemd":            {file: "[keys]\ndir = \"systemd\"\n", want: []string{"keys.journal", "grpc.tls_file"}},
		"mail server":        {file: "[post]\nsmtp = \"mail.example\"\nfrom = \"a@example.cn\"\n", want: []string{"FILE:2 post.smtp", "HOST:PORT"}},
		"sender":             {file: "[post]\nsmtp = \"mail.example:587\"\nfrom = \"示例 <a@example.cn>\"\n", want: []string{"FILE:3 post.from"}},
		"no sender":          {file: "[post]\nsmtp = \"mail.example:587\"\n", want: []string{"post.from"}},
		"half a mail login":  {file: "[post]\nsmtp = \"mail.example:587\"\nfrom = \"a@example.cn\"\nuser = \"a\"\n", want: []string{"post.password_file"}},
		"login without mail": {file: "[post]\nuser = \"a\"\npassword_file = \"p\"\n", want: []string{"post.smtp"}},
		"network":            {file: "[post]\nallow_networks = [\"127.0.0.1\"]\n", want: []string{"FILE:2 post.allow_networks", "127.0.0.1/32"}},
		"password in a post": {file: "[post]\npassword = \"hidden\"\n", want: []string{"FILE:2 post.password", "unknown key"}},
		"province":           {file: "[hub]\nprovinces = [\"520\"]\n", want: []string{"FILE:2 hub.provinces"}},
		"secret in the file": {file: "[database]\nurl = \"postgres://u:hidden@h/d\"\n", want: []string{"FILE:2 database.url", "password_file"}},
		"secret in a query":  {file: "[database]\nurl = \"postgres://h/d?user=u&password=hidden\"\n", want: []string{"FILE:2 database.url"}},
		"secret in a flag":   {set: []string{"bus.url=nats://u:hidden@h:1"}, want: []string{"--set bus.url", "password_file"}},
		"variable":           {env: map[string]string{"YIPAN_DATABASE_MAX_CONNS": "x"}, want: []string{"YIPAN_DATABASE_MAX_CONNS"}},
		"unknown flag":       {set: []string{"grpc.lisen=x"}, want: []string{"--set grpc.lisen", "grpc.listen"}},
		"flag without value": {set: []string{"grpc.listen"}, want: []string{"KEY=VALUE"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeConfig(t, c.file)
			l, err := Load(Sources{File: file, Lookup: env(c.env), Set: c.set})
			f, ok := fault.As(err)
			if !ok || f.Kind != fault.KindInvalid || f.Reason != "CONFIG" || l != nil {
				t.Fatalf("got %v, %v", l, err)
			}
			text := f.Text + "\n" + f.Error()
			for _, w := range c.want {
				if w = strings.ReplaceAll(w, "FILE", file); !strings.Contains(text, w) {
					t.Errorf("%q is not in\n%s", w, text)
				}
			}
			if strings.Contains(text, "hidden") {
				t.Errorf("the message shows the secret:\n%s", text)
			}
		})
	}
	_, err := Load(Sources{File: filepath.Join(t.TempDir(), "none.toml")})
	if !fault.Is(err, fault.KindNotFound) {
		t.Errorf("missing file: %v", err)
	}
}

func TestDumpShowsNoSecret(t *testing.T) {
	l, err := Load(Sources{Lookup: env(map[string]string{
		"YIPAN_DATABASE_URL": "postgres://owner:hidden1@db.example/yipan?sslpassword=x&password=hidden2",
		"YIPAN_BUS_URL":      "nats://u:hidden3@a:1,tls://v:hidden4@b:2",
	})})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range l.Dump() {
		if strings.Contains(s.Value, "hidden") {
			t.Errorf("%s = %s", s.Key, s.Value)
		}
		// What is dumped is TOML that reads back to the same, but for secrets.
		var v map[string]any
		if _, err := toml.Decode("v = "+s.Value, &v); err != nil {
			t.Errorf("%s = %s: %v", s.Key, s.Value, err)
		}
	}
	if got := redactURLs(l.Database.URL); !strings.HasPrefix(got, "postgres://owner:xxxxx@db.example/yipan?") {
		t.Errorf("the address is lost with the secret: %s", got)
	}
}

func TestRelativePathsAreOfTheFile(t *testing.T) {
	file := writeConfig(t, "[node]\ndir = \".\"\n[policy]\nfiles = [\"p.toml\", \"/etc/q.toml\"]\n[keys]\ndir = \"systemd\"\njournal = \"j\"\n[grpc]\ntls_file = \"t.pem\"\n")
	l, err := Load(Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Dir(file)
	got := []string{l.Node.Dir, l.Policy.Files[0], l.Policy.Files[1], l.Keys.Dir, l.JournalFile(), l.TLSFile()}
	want := []string{base, filepath.Join(base, "p.toml"), "/etc/q.toml", "systemd", filepath.Join(base, "j"), filepath.Join(base, "t.pem")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPasswordFile(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("a:b@c/d\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Default()
	c.Database.URL, c.Database.PasswordFile = "postgres://owner@db.example/yipan", secret
	if got, err := c.databaseURL(); err != nil || got != "postgres://owner:a%3Ab%40c%2Fd@db.example/yipan" {
		t.Errorf("%s, %v", got, err)
	}
	c.Database.URL = "postgres://db.example/yipan"
	if _, err := c.databaseURL(); !fault.Is(err, fault.KindInvalid) {
		t.Errorf("without a user: %v", err)
	}
}

func TestUnknownVariables(t *testing.T) {
	got := Unknown([]string{"YIPAN_GRPC_LISTEN=x", "YIPAN_GRPC_LISEN=x", "HOME=/", "YIPAN_ADDR=x"}, "YIPAN_ADDR")
	if diff := cmp.Diff([]string{"YIPAN_GRPC_LISEN"}, got); diff != "" {
		t.Error(diff)
	}
}

// The example names every key with its default, as a comment or not, and nothing
// else.
func TestExampleNamesEveryKey(t *testing.T) {
	b, err := os.ReadFile("../../deploy/yipan.toml.example")
	if err != nil {
		t.Fatal(err)
	}
	var plain []string
	for line := range strings.Lines(string(b)) {
		// "#key = value" is a key that stands at its default; "# text" is text.
		if rest, ok := strings.CutPrefix(line, "#"); ok && rest != "" && rest[0] != ' ' && rest[0] != '\n' {
			line = rest
		}
		plain = append(plain, line)
	}
	file := writeConfig(t, strings.Join(plain, ""))
	l, err := Load(Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	set := map[string]bool{}
	for _, s := range l.Dump() {
		if s.Origin != "file" {
			t.Errorf("the example lacks %s", s.Key)
		}
		set[s.Key] = true
	}
	// Node is each node's own; an empty list of the file is not nil.
	want.Node = l.Node
	want.Hub.Provinces, want.Policy.Files, want.Post.AllowNetworks = l.Hub.Provinces, l.Policy.Files, l.Post.AllowNetworks
	if diff := cmp.Diff(want, l.Config); diff != "" {
		t.Errorf("the example has other defaults: %s", diff)
	}
	if _, err := Load(Sources{File: "../../deploy/yipan.toml.example"}); err != nil {
		t.Errorf("as it is: %v", err)
	}
}
