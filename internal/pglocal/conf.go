package pglocal

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"yipan/internal/fault"
)

// hba lets in whoever reached the socket; its directory is the guard. The
// replication line is for pg_basebackup.
const hba = `# TYPE  DATABASE     USER  METHOD
local   all          all   trust
local   replication  all   trust
`

// defaults suit an old office PC; Options.Settings overrides each.
var defaults = map[string]string{
	"shared_buffers":  "128MB", // PostgreSQL's own default, safe with 2 GB of memory
	"max_connections": "60",    // a pool of 32, a few tools, and reserve
	"jit":             "off",   // compiling costs more than these short statements
	// pgbench -N with a checkpoint per 64 MB of log, 2 cores: the log per
	// transaction shrinks to a seventh, and throughput rises; "on" is pglz, which
	// every build has.
	"wal_compression": "on",
	"timezone":        "UTC",
	"log_timezone":    "UTC",
	"lc_messages":     "C", // Start reads the log
	"cluster_name":    "yipan",
	"log_checkpoints": "off", // else a line every five minutes, for years
}

// private keeps values of rows out of the log. An error's primary message may
// quote one ("invalid input syntax for type date: …"), so errors of statements,
// which their callers get anyway, are not logged at all: the level "log" is
// above "error" here and lets LOG, FATAL and PANIC through.
var private = map[string]string{
	"log_min_messages":                  "log",
	"log_min_error_statement":           "panic",
	"log_error_verbosity":               "terse", // no DETAIL, which quotes keys
	"log_statement":                     "none",
	"log_duration":                      "off",
	"log_min_duration_statement":        "-1",
	"log_min_duration_sample":           "-1",
	"log_transaction_sample_rate":       "0",
	"log_parameter_max_length":          "0",
	"log_parameter_max_length_on_error": "0",
	"debug_print_parse":                 "off",
	"debug_print_rewritten":             "off",
	"debug_print_plan":                  "off",
	"log_destination":                   "stderr",
	"logging_collector":                 "off",
	"log_line_prefix":                   "%m [%p] ",
}

// durability returns the three settings that decide whether a committed
// transaction survives a power cut. synchronous_commit stays on without it: what
// a test saw committed must survive kill -9, and without fsync it costs nothing.
func durability(on bool) map[string]string {
	v := "off"
	if on {
		v = "on"
	}
	return map[string]string{"fsync": v, "synchronous_commit": "on", "full_page_writes": v}
}

// fixed names settings that are this package's alone, beside private ones.
var fixed = []string{
	"listen_addresses", "port", "unix_socket_directories", "unix_socket_group", "unix_socket_permissions",
	"data_directory", "config_file", "hba_file", "ident_file", "external_pid_file", "ssl",
}

var settingName = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`)

// conf returns the content of postgresql.conf, and the settings that also go on
// the command line, where neither ALTER SYSTEM nor an edit overrides them.
func conf(o Options, sockDir string) (file string, args []string, err error) {
	guard := durability(o.Durable)
	maps.Copy(guard, private)
	guard["listen_addresses"] = ""
	guard["port"] = fmt.Sprint(socketPort)
	guard["unix_socket_directories"] = sockDir
	guard["unix_socket_permissions"] = "0700"
	all := maps.Clone(defaults)
	for name, value := range o.Settings {
		_, guarded := guard[name]
		if guarded && value == guard[name] {
			continue
		}
		if guarded || slices.Contains(fixed, name) {
			return "", nil, fault.Invalid("POSTGRES_SETTING", "setting %s of the private server cannot be changed", name).
				On(name).Zh("内置数据库的参数 %s 不能更改。", name)
		}
		if !settingName.MatchString(name) || strings.ContainsAny(value, "\x00\r\n") {
			return "", nil, fault.Invalid("POSTGRES_SETTING", "setting %q of the private server is malformed", name).
				On(name).Zh("内置数据库的参数 %s 格式不对。", name)
		}
		all[name] = value
	}
	maps.Copy(all, guard)
	var b strings.Builder
	b.WriteString("# Written at every start of the program that owns this directory.\n" +
		"# Tune with ALTER SYSTEM; the settings given on the command line stay.\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s = '%s'\n", name, quote.Replace(all[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(guard)) {
		args = append(args, "-c", name+"="+guard[name])
	}
	return b.String(), args, nil
}

// quote escapes a value of postgresql.conf (PostgreSQL 15, section 20.1.2).
var quote = strings.NewReplacer(`\`, `\\`, `'`, `''`)

// serverEnv is the environment of the server and its tools: where programs and
// libraries are, and nothing of the program's own, whose variables may be
// secrets or change what PostgreSQL does (PGDATA, PGPORT).
func serverEnv(getenv func(string) string) []string {
	env := []string{"LC_ALL=C"} // macOS: a postmaster without it may start threads and give up
	for _, name := range []string{
		"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH",
		"LOCPATH", "LOCALE_ARCHIVE", "TZDIR", "SystemRoot",
	} {
		if v := getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// writeFile replaces a file at one stroke and gives it to the owner.
func writeFile(path, content string, who owner, sync bool) error {
	tmp := path + ".tmp"
	// Root writes into a directory of the server's user here: never through a
	// link that this user might have put there.
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if err == nil && sync {
		err = f.Sync()
	}
	if err == nil && who.other {
		err = f.Chown(who.uid, who.gid)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	if sync {
		return syncDir(filepath.Dir(path))
	}
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
