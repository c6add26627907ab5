package pglocal

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"yipan/internal/fault"
)

// MinMajor is the oldest major version accepted: 15 is what Debian 12 carries,
// and the schema uses what it brought.
const MinMajor = 15

// Binaries is an installation of PostgreSQL. The zero value stands for none.
type Binaries struct {
	Dir     string // absolute; holds postgres, initdb and pg_ctl
	Major   int    // 15 and up
	Version string // as the server says it, for example "15.18" or "18beta1"
}

// Path returns the path of one program, for example "postgres" or "pg_dump".
// It does not check that it exists.
func (b Binaries) Path(program string) string { return filepath.Join(b.Dir, program) }

// Find returns the first installation of PostgreSQL 15 or later, looking at
// PG_BIN_DIR (nothing else when it is set), what pg_config says, PATH, and the
// places where packages put it, there the highest version first. None found is
// fault.KindUnavailable with the command to type; a PG_BIN_DIR that holds no
// such server is fault.KindInvalid. It runs `postgres --version`.
func Find() (Binaries, error) { return system().find(0) }

// search is where to look; tests give it another root.
type search struct {
	getenv func(string) string
	root   string // before every well-known place; "" for the real one
	hint   string
}

func system() search { return search{getenv: os.Getenv, hint: InstallHint()} }

// places are globs of bin directories, of packages on Debian, PGDG's RPMs,
// Fedora and openEuler, Alpine, Arch, source installs, Homebrew, Postgres.app,
// MacPorts.
var places = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/usr/libexec/postgresql*",
	"/usr/local/pgsql/bin",
	"/usr/local/pgsql-*/bin",
	"/usr/local/bin",
	"/usr/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
	"/opt/local/lib/postgresql*/bin",
	"/opt/postgresql*/bin",
}

// find returns the first installation; with major > 0 the first of that major
// version.
func (s search) find(major int) (Binaries, error) {
	var passed []string // what was there and did not do
	usable := func(dir string) (Binaries, bool) {
		b, err := examine(dir)
		switch {
		case err != nil:
			return b, false
		case b.Major < MinMajor, major > 0 && b.Major != major:
			passed = append(passed, fmt.Sprintf("%s (%s)", b.Version, b.Dir))
			return b, false
		}
		return b, true
	}
	if dir := s.getenv("PG_BIN_DIR"); dir != "" {
		b, ok := usable(dir)
		if !ok {
			return Binaries{}, fault.Invalid("POSTGRES_BIN_DIR", "PG_BIN_DIR=%s holds no PostgreSQL server%s", dir, wantText(major)).
				On("PG_BIN_DIR").Zh("环境变量 PG_BIN_DIR=%s 指向的目录中没有可用的 PostgreSQL 服务端程序（%s）。", dir, wantZh(major))
		}
		return b, nil
	}
	for _, dir := range s.first() {
		if b, ok := usable(dir); ok {
			return b, nil
		}
	}
	var found []Binaries
	for _, pattern := range places {
		dirs, _ := filepath.Glob(s.root + pattern)
		for _, dir := range dirs {
			if b, ok := usable(dir); ok {
				found = append(found, b)
			}
		}
	}
	if len(found) == 0 {
		return Binaries{}, s.notFound(major, passed)
	}
	slices.SortStableFunc(found, func(a, b Binaries) int {
		if a.Major != b.Major {
			return b.Major - a.Major
		}
		return compareMinor(b.Version, a.Version)
	})
	return found[0], nil
}

// first returns the directories that the environment names: pg_config's and
// those of PATH.
func (s search) first() []string {
	var dirs []string
	path := filepath.SplitList(s.getenv("PATH"))
	for _, dir := range path {
		if !filepath.IsAbs(dir) {
			continue // the current directory is no place to take programs from
		}
		if dir, err := run(filepath.Join(dir, "pg_config"), "--bindir"); err == nil {
			dirs = append(dirs, dir)
			break
		}
	}
	for _, dir := range path {
		if !filepath.IsAbs(dir) {
			continue
		}
		if p, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres")); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	return dirs
}

func (s search) notFound(major int, passed []string) error {
	if len(passed) == 0 {
		return fault.Unavailable("POSTGRES_NOT_FOUND",
			"no PostgreSQL server programs found%s; type: %s; or set PG_BIN_DIR to their directory, or YIPAN_DATABASE_URL to use an existing server", wantText(major), s.hint).
			Zh("没有找到 PostgreSQL 服务端程序（%s）。请执行：%s；或用 PG_BIN_DIR 指明其目录，或用 YIPAN_DATABASE_URL 连接已有的数据库。", wantZh(major), s.hint)
	}
	slices.Sort(passed)
	list := strings.Join(slices.Compact(passed), ", ")
	return fault.Unavailable("POSTGRES_VERSION",
		"no PostgreSQL server programs%s; found only %s; type: %s, or see %s; or set YIPAN_DATABASE_URL to use an existing server", wantText(major), list, s.hint, downloadPage).
		Zh("需要 PostgreSQL（%s），本机只有：%s。请执行：%s，或见 %s；也可用 YIPAN_DATABASE_URL 连接已有的数据库。", wantZh(major), list, s.hint, downloadPage)
}

func wantText(major int) string {
	if major > 0 {
		return fmt.Sprintf(" of version %d, which the data directory was made by", major)
	}
	return fmt.Sprintf(" of version %d or later", MinMajor)
}

func wantZh(major int) string {
	if major > 0 {
		return fmt.Sprintf("数据目录由 %d 版建立，需要同一大版本", major)
	}
	return fmt.Sprintf("%d 或更高版本", MinMajor)
}

var versionText = regexp.MustCompile(`\bPostgreSQL\)? (\d+)((?:\.\d+|devel|alpha\d+|beta\d+|rc\d+)*)`)

// examine says what server dir holds. All programs used here must be there: a
// client package alone has pg_config and no initdb.
func examine(dir string) (Binaries, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Binaries{}, err
	}
	for _, program := range []string{"postgres", "initdb", "pg_ctl"} {
		if runtime.GOOS == "windows" {
			program += ".exe"
		}
		if st, err := os.Stat(filepath.Join(dir, program)); err != nil || st.IsDir() {
			return Binaries{}, fmt.Errorf("no %s in %s", program, dir)
		}
	}
	out, err := run(filepath.Join(dir, "postgres"), "--version")
	if err != nil {
		return Binaries{}, err
	}
	return parseVersion(dir, out)
}

func parseVersion(dir, out string) (Binaries, error) {
	m := versionText.FindStringSubmatch(out)
	if m == nil {
		return Binaries{}, fmt.Errorf("unknown version in %s: %q", dir, out)
	}
	major, err := strconv.Atoi(m[1])
	if err != nil {
		return Binaries{}, err
	}
	return Binaries{Dir: dir, Major: major, Version: m[1] + m[2]}, nil
}

// compareMinor orders two versions of one major version by their minor number.
func compareMinor(a, b string) int {
	minor := func(v string) int {
		_, m, _ := strings.Cut(v, ".")
		n, _ := strconv.Atoi(m) // a beta has none: 0
		return n
	}
	return minor(a) - minor(b)
}

// run returns the trimmed output of a program that should answer at once.
func run(path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = serverEnv(os.Getenv)
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}
