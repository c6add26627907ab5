package pglocal

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/fault"
)

// install puts a fake installation into root+dir.
func install(t *testing.T, root, dir, version string) {
	t.Helper()
	dir = filepath.Join(root, dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"postgres":  "echo 'postgres (PostgreSQL) " + version + "'",
		"initdb":    "exit 1",
		"pg_ctl":    "exit 1",
		"pg_config": "echo " + dir,
	} {
		script(t, filepath.Join(dir, name), body)
	}
}

func script(t *testing.T, path, body string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestFindOrder(t *testing.T) {
	const (
		deb15 = "/usr/lib/postgresql/15/bin"
		deb9  = "/usr/lib/postgresql/9.6/bin"
		deb18 = "/usr/lib/postgresql/18/bin"
		brew  = "/opt/homebrew/opt/postgresql@17/bin"
	)
	tests := []struct {
		name    string
		tree    map[string]string // directory: version
		clients []string          // directories with pg_config alone, pointing at deb15
		env     map[string]string // values below the root start with @
		major   int
		want    string // directory; "" for an error
		version string
		kind    fault.Kind
		reason  string
	}{
		{name: "nothing", kind: fault.KindUnavailable, reason: "POSTGRES_NOT_FOUND"},
		{name: "highest of the well-known", tree: map[string]string{deb15: "15.18 (Debian 15.18-0+deb12u1)", deb18: "18.1", brew: "17.6 (Homebrew)", deb9: "9.6.24"}, want: deb18, version: "18.1"},
		{name: "numbers, not text", tree: map[string]string{"/usr/pgsql-16/bin": "16.2", "/usr/pgsql-15/bin": "15.10", "/opt/postgresql-16/bin": "16.10"}, want: "/opt/postgresql-16/bin", version: "16.10"},
		{name: "PG_BIN_DIR first", tree: map[string]string{deb15: "15.1", deb18: "18.1"}, env: map[string]string{"PG_BIN_DIR": "@" + deb15, "PATH": "@" + deb18}, want: deb15, version: "15.1"},
		{name: "PG_BIN_DIR wrong is not passed over", tree: map[string]string{deb15: "15.1"}, env: map[string]string{"PG_BIN_DIR": "@/nowhere"}, kind: fault.KindInvalid, reason: "POSTGRES_BIN_DIR"},
		{name: "PG_BIN_DIR too old", tree: map[string]string{deb9: "9.6.24", deb15: "15.1"}, env: map[string]string{"PG_BIN_DIR": "@" + deb9}, kind: fault.KindInvalid, reason: "POSTGRES_BIN_DIR"},
		{name: "pg_config before the places", tree: map[string]string{deb15: "15.1", deb18: "18.1"}, clients: []string{"/usr/bin"}, env: map[string]string{"PATH": "@/bin:@/usr/bin"}, want: deb15, version: "15.1"},
		{name: "pg_config of a client package", tree: map[string]string{deb18: "18.1"}, clients: []string{"/usr/bin"}, env: map[string]string{"PATH": "@/usr/bin"}, want: deb18, version: "18.1"},
		{name: "PATH before the places", tree: map[string]string{"/home/bin": "16.1", deb18: "18.1"}, env: map[string]string{"PATH": "@/home/bin"}, want: "/home/bin", version: "16.1"},
		{name: "PATH too old", tree: map[string]string{"/home/bin": "14.9", brew: "17.0"}, env: map[string]string{"PATH": "@/home/bin"}, want: brew, version: "17.0"},
		{name: "only too old", tree: map[string]string{deb9: "9.6.24", "/usr/lib/postgresql/14/bin": "14.9"}, kind: fault.KindUnavailable, reason: "POSTGRES_VERSION"},
		{name: "beta", tree: map[string]string{deb18: "19beta2"}, want: deb18, version: "19beta2"},
		{name: "the version of the data", tree: map[string]string{deb15: "15.1", deb18: "18.1"}, major: 15, want: deb15, version: "15.1"},
		{name: "not the version of the data", tree: map[string]string{deb18: "18.1"}, major: 15, kind: fault.KindUnavailable, reason: "POSTGRES_VERSION"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for dir, version := range tt.tree {
				install(t, root, dir, version)
			}
			for _, dir := range tt.clients {
				script(t, filepath.Join(root, dir, "pg_config"), "echo "+root+deb15)
			}
			s := search{root: root, hint: "apt-get install -y postgresql", getenv: func(name string) string {
				return strings.ReplaceAll(tt.env[name], "@", root)
			}}
			got, err := s.find(tt.major)
			if tt.want == "" {
				f, ok := fault.As(err)
				if !ok || f.Kind != tt.kind || f.Reason != tt.reason {
					t.Fatalf("error %v, want %v %s", err, tt.kind, tt.reason)
				}
				if tt.kind == fault.KindUnavailable {
					for _, text := range []string{f.Error(), f.Text} {
						for _, part := range []string{s.hint, "YIPAN_DATABASE_URL"} {
							if !strings.Contains(text, part) {
								t.Errorf("%q does not name %q", text, part)
							}
						}
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Dir != root+tt.want || got.Version != tt.version {
				t.Errorf("found %s (%s), want %s (%s)", got.Dir, got.Version, root+tt.want, tt.version)
			}
		})
	}
}

func TestParseVersion(t *testing.T) {
	for out, want := range map[string]Binaries{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)": {Dir: "/x", Major: 15, Version: "15.18"},
		"postgres (PostgreSQL) 18rc1":                          {Dir: "/x", Major: 18, Version: "18rc1"},
		"postgres (PostgreSQL) 19devel":                        {Dir: "/x", Major: 19, Version: "19devel"},
		"postgres (PostgreSQL) 9.6.24":                         {Dir: "/x", Major: 9, Version: "9.6.24"},
		"something else 15.1":                                  {},
		"":                                                     {},
	} {
		got, err := parseVersion("/x", out)
		if (err != nil) != (want == Binaries{}) {
			t.Errorf("%q: error %v", out, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q: %s", out, d)
		}
	}
}

func TestInstallHint(t *testing.T) {
	only := func(tools ...string) func(string) bool {
		return func(tool string) bool { return strings.Contains(strings.Join(tools, " ")+" ", tool+" ") }
	}
	for _, tt := range []struct {
		goos string
		root bool
		has  func(string) bool
		want string
	}{
		{"linux", true, only("apt-get"), "apt-get update && apt-get install -y postgresql"},
		{"linux", false, only("apt-get"), "sudo apt-get update && sudo apt-get install -y postgresql"},
		{"linux", false, only("dnf", "yum"), "sudo dnf install -y postgresql-server"},
		{"linux", true, only("yum"), "yum install -y postgresql-server"},
		{"linux", true, only(), downloadPage},
		{"darwin", false, only("brew"), "brew install postgresql@17"},
		{"darwin", false, only(), downloadPage + "macosx/"},
		{"plan9", false, only(), downloadPage},
	} {
		if got := installHint(tt.goos, tt.root, tt.has); got != tt.want {
			t.Errorf("%s root=%v: %q, want %q", tt.goos, tt.root, got, tt.want)
		}
	}
}

// The install script must see what Find sees.
func TestInstallScript(t *testing.T) {
	const path = "../../deploy/install-postgresql.sh"
	tools := t.TempDir() // a PATH without PostgreSQL
	for _, name := range []string{"sh", "sed", "id", "uname", "readlink", "dirname"} {
		p, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(p, filepath.Join(tools, name)); err != nil {
			t.Fatal(err)
		}
	}
	script(t, filepath.Join(tools, "dnf"), "exit 0")
	empty, full, old := t.TempDir(), t.TempDir(), t.TempDir()
	install(t, full, "/usr/lib/postgresql/17/bin", "17.2 (Ubuntu 17.2-1)")
	install(t, old, "/usr/lib/postgresql/13/bin", "13.9")
	for _, tt := range []struct {
		name string
		env  []string
		code int
		says string
	}{
		{"found in a well-known place", []string{"YIPAN_PG_SEARCH_ROOT=" + full}, 0, ""},
		{"none, no Debian", []string{"YIPAN_PG_SEARCH_ROOT=" + empty}, 1, "dnf install -y postgresql-server"},
		{"too old", []string{"YIPAN_PG_SEARCH_ROOT=" + old}, 1, "dnf install -y postgresql-server"},
		{"PG_BIN_DIR", []string{"PG_BIN_DIR=" + full + "/usr/lib/postgresql/17/bin", "YIPAN_PG_SEARCH_ROOT=" + empty}, 0, ""},
		{"PG_BIN_DIR wrong", []string{"PG_BIN_DIR=" + empty, "YIPAN_PG_SEARCH_ROOT=" + full}, 1, "PG_BIN_DIR=" + empty},
		{"an existing server", []string{"YIPAN_DATABASE_URL=postgres://db.example/x", "YIPAN_PG_SEARCH_ROOT=" + empty}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command("/bin/sh", path)
			cmd.Env = append([]string{"PATH=" + tools}, tt.env...)
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != tt.code {
				t.Fatalf("exit code %d (%v), want %d: %s", code, err, tt.code, out)
			}
			if !strings.Contains(string(out), tt.says) || (tt.says == "") != (len(out) == 0) {
				t.Errorf("says %q, want %q", out, tt.says)
			}
		})
	}
}
