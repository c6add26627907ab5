package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"yipan/internal/bus"
	"yipan/internal/cli"
)

// patience bounds every wait of these tests.
const patience = 60 * time.Second

// asProgram makes this test program be yipan, with its own arguments.
const asProgram = "YIPAN_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// place returns a folder that PostgreSQL's user may be let into; t.TempDir lies
// in one that only root enters.
func place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "yipan")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// result is how a command ended.
type result struct {
	code     int
	out, err string
}

// yipan runs a command in this process, in an empty environment.
func yipan(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, err bytes.Buffer
	code := run(ctx, args, cli.Std{Out: &out, Err: &err})
	return result{code, out.String(), err.String()}
}

// must is yipan for commands that have to succeed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	r := yipan(t, args...)
	if r.code != cli.ExitOK {
		t.Fatalf("yipan %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

func decode(t *testing.T, line string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return m
}

// initNode makes a node's folder under dir and returns it.
func initNode(t *testing.T, dir, area string, more ...string) string {
	t.Helper()
	at := filepath.Join(dir, strings.ReplaceAll(area, ":", "-"))
	must(t, append([]string{"init", at, "--area", area, "--name", "示例单位", "--listen", "127.0.0.1:0", "--watch", "127.0.0.1:0"}, more...)...)
	return at
}

func TestInitAdmitJoin(t *testing.T) {
	dir := place(t)
	authority := filepath.Join(dir, "authority")
	made := decode(t, must(t, "authority", "init", authority, "--json"))
	key, fingerprint := made["authority"].(string), made["fingerprint"].(string)
	if r := yipan(t, "authority", "init", authority); r.code != cli.ExitFailed || !strings.Contains(r.err, "不会覆盖") {
		t.Errorf("second init of an authority: %+v", r)
	}

	one, two := initNode(t, dir, "3:520330"), initNode(t, dir, "3:330782", "--serves", "4:330782001")
	if r := yipan(t, "init", one, "--area", "3:520330", "--name", "x"); r.code != cli.ExitFailed {
		t.Errorf("second init of a node: %+v", r)
	}
	for name, mode := range map[string]os.FileMode{"keys": 0o700, "keys/tls.pem": 0o600, "keys/erasure.jsonl": 0o600, "yipan.toml": 0o600} {
		st, err := os.Stat(filepath.Join(one, name))
		if err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}

	// Before it joined, a node says what is missing.
	if r := yipan(t, "join", "--config", one); r.code != cli.ExitFailed || !strings.Contains(r.err, "管理机构的公钥") {
		t.Errorf("join without a key: %+v", r)
	}
	if r := yipan(t, "serve", "--config", one); r.code != cli.ExitFailed || !strings.Contains(r.err, "yipan join") {
		t.Errorf("serve before join: %+v", r)
	}
	if r := yipan(t, "join", "--config", one, "--authority", key, "--fingerprint", "0000"); r.code != cli.ExitFailed {
		t.Errorf("wrong fingerprint of the authority: %+v", r)
	}
	joined := decode(t, must(t, "join", "--config", one, "--authority", key, "--fingerprint", strings.ToUpper(fingerprint), "--json"))
	if joined["admitted"] != false || joined["authority_fingerprint"] != fingerprint {
		t.Errorf("join says %v", joined)
	}

	// All requests are admitted, or none.
	r1, r2 := filepath.Join(one, requestName), filepath.Join(two, requestName)
	print1 := joined["request_fingerprint"].(string)
	if r := yipan(t, "authority", "admit", authority, r1, r2, "--fingerprint", print1, "--fingerprint", "0000"); r.code != cli.ExitFailed {
		t.Errorf("wrong fingerprint of a request: %+v", r)
	}
	if b, err := os.ReadFile(filepath.Join(authority, directoryLog)); err != nil || len(b) != 0 {
		t.Errorf("the log after a refusal: %q, %v", b, err)
	}
	out := must(t, "authority", "admit", authority, r1, r2, "--json")
	if n := strings.Count(out, "\n"); n != 2 || !strings.Contains(out, `"4:330782001"`) {
		t.Errorf("admitted: %s", out)
	}
	if r := yipan(t, "authority", "admit", authority, r1); r.code != cli.ExitFailed || !strings.Contains(r.err, "DIRECTORY_STALE") {
		t.Errorf("the same request again: %+v", r)
	}
	must(t, "authority", "refresh", authority)

	// A log of another authority is refused; this one's is taken.
	other := filepath.Join(dir, "other")
	must(t, "authority", "init", other)
	must(t, "authority", "admit", other, r1)
	if r := yipan(t, "join", "--config", one, "--log", filepath.Join(other, directoryLog)); r.code != cli.ExitFailed {
		t.Errorf("a foreign log: %+v", r)
	}
	if r := yipan(t, "join", "--config", one, "--authority", filepath.Join(other, authorityPub)); r.code != cli.ExitFailed || !strings.Contains(r.err, "--replace") {
		t.Errorf("another authority: %+v", r)
	}
	joined = decode(t, must(t, "join", "--config", one, "--log", filepath.Join(authority, directoryLog), "--json"))
	if joined["admitted"] != true || joined["serial"] != 2.0 {
		t.Errorf("join with the log says %v", joined)
	}

	// Without its key an authority publishes and cannot sign.
	if err := os.Remove(filepath.Join(authority, authorityKey)); err != nil {
		t.Fatal(err)
	}
	if r := yipan(t, "authority", "refresh", authority); r.code != cli.ExitFailed || !strings.Contains(r.err, "离线") && !strings.Contains(r.err, "私钥") {
		t.Errorf("refresh without the key: %+v", r)
	}
	h, err := bus.StartHub(bus.HubConfig{StoreDir: filepath.Join(dir, "hub")})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Stop()
	for i, want := range []float64{3, 0} { // two entries and the refreshed checkpoint; then nothing is missing
		if got := decode(t, must(t, "authority", "publish", authority, h.URL(), "--json")); got["published"] != want {
			t.Errorf("publish %d: %v", i+1, got)
		}
	}
	if r := yipan(t, "authority", "publish", authority, "nats://127.0.0.1:1", "--timeout", "300ms"); r.code != cli.ExitUnavailable {
		t.Errorf("publish to nobody: %+v", r)
	}
}

// A line that a crash left unfinished was never shown to anybody.
func TestAuthorityMendsATornLine(t *testing.T) {
	dir := place(t)
	authority := filepath.Join(dir, "authority")
	must(t, "authority", "init", authority)
	log := filepath.Join(authority, directoryLog)
	must(t, "authority", "admit", authority, filepath.Join(initNode(t, dir, "3:520330"), requestName))
	whole, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log, append(whole, whole[:40]...), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "authority", "admit", authority, filepath.Join(initNode(t, dir, "3:330782"), requestName))
	if b, err := os.ReadFile(log); err != nil || !bytes.HasPrefix(b, whole) || bytes.Count(b, []byte("\n")) != 2 {
		t.Errorf("log: %s, %v", b, err)
	}
}

func TestWrongCommandLines(t *testing.T) {
	dir := place(t)
	for _, c := range []struct {
		args []string
		say  string
	}{
		{[]string{"init", dir, "--area", "abc", "--name", "x"}, "数字"},
		{[]string{"init", dir, "--area", "3:529999", "--name", "x"}, "没有这个行政区划"},
		{[]string{"init", dir, "--area", "3:520330"}, "--name"},
		{[]string{"init", dir, "--area", "3:520330", "--name", " "}, "名称"},
		{[]string{"init", dir, "--area", "3:520330", "--name", "x", "--listen", "7443"}, "主机:端口"},
		{[]string{"init", dir, "--area", "3:520330", "--name", "x", "--serves", "x"}, "数字"},
		{[]string{"init", dir, "--area", "3:520330", "--name", "x", "--bus", "nats://u:p@h:1"}, "password_file"},
		{[]string{"user", "add", "测试甲", "--role", "clerk", "--area", "4:520330001"}, "账号"},
		{[]string{"user", "add", "a1", "--role", "boss"}, "角色"},
		{[]string{"user", "add", "a1", "--role", "clerk"}, "--area"},
		{[]string{"user", "add", "a1", "--role", "clerk", "--area", "4:529999001"}, "没有这个行政区划"},
		{[]string{"user", "add", "a1", "--role", "admin", "--days", "91"}, "90"},
		{[]string{"user", "token", "a1", "--days", "0"}, "90"},
		{[]string{"authority", "admit", dir}, "节点的申请文件"},
		{[]string{"authority", "admit", dir, "a", "b", "--fingerprint", "x"}, "个数"},
		{[]string{"policy", "check"}, "政策文件"},
		{[]string{"serve", "--no-such-flag"}, "--no-such-flag"},
	} {
		r := yipan(t, c.args...)
		if r.code != cli.ExitUsage || !strings.Contains(r.err, c.say) || r.out != "" {
			t.Errorf("yipan %s: %+v", strings.Join(c.args, " "), r)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("a refused init left %v, %v", left, err)
	}
}

func TestConfigDumpAndCheck(t *testing.T) {
	node := initNode(t, place(t), "3:520330")
	out := must(t, "config", "dump", "--config", node, "--set", "log.level=warn")
	for _, want := range []string{
		"[node]\narea = \"3:520330\"  # " + filepath.Join(node, configName) + ":6\n",
		"level = \"warn\"  # --set log.level\n", "max_conns = 12  # 默认\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	must(t, "config", "check", "--config", node)
	if r := yipan(t, "config", "check", "--config", node, "--set", "log.level=loud"); r.code != cli.ExitFailed || !strings.Contains(r.err, "log.level") {
		t.Errorf("%+v", r)
	}
	if r := yipan(t, "config", "check", "--config", filepath.Join(node, "none.toml"), "--lang", "en"); r.code != cli.ExitFailed || !strings.Contains(r.err, "no configuration file") {
		t.Errorf("%+v", r)
	}
}

func TestPolicyCheck(t *testing.T) {
	dir := place(t)
	right, wrong := filepath.Join(dir, "right.toml"), filepath.Join(dir, "wrong.toml")
	text := must(t, "policy", "default")
	for name, content := range map[string]string{right: text, wrong: strings.Replace(text, "version", "vershion", 1)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out := must(t, "policy", "check", right); !strings.Contains(out, "正确") {
		t.Error(out)
	}
	if r := yipan(t, "policy", "check", wrong); r.code != cli.ExitFailed || !strings.Contains(r.out, "第 ") {
		t.Errorf("%+v", r)
	}
}

func TestDoctorWithTheDatabaseAway(t *testing.T) {
	node := initNode(t, place(t), "3:520330", "--bus", "nats://127.0.0.1:1")
	for _, set := range []string{"database.url=", "database.url=postgres://nobody@127.0.0.1:1/none"} {
		r := yipan(t, "doctor", "--config", node, "--set", set)
		if r.code != cli.ExitFailed || !strings.Contains(r.out, "【故障】") || !strings.Contains(r.out, "数据库") || !strings.Contains(r.out, "怎么办") {
			t.Errorf("%s: %+v", set, r)
		}
		r = yipan(t, "doctor", "--config", node, "--json", "--set", set)
		levels := map[string]any{}
		for line := range strings.Lines(r.out) {
			m := decode(t, line)
			levels[m["check"].(string)] = m["level"]
		}
		if levels["database"] != "fail" || levels["broker"] != "fail" || levels["authority"] != "fail" || levels["keys"] != "ok" || r.code != cli.ExitFailed {
			t.Errorf("%s: %v", set, levels)
		}
	}
}

func TestUsersNeedTwoGrantors(t *testing.T) {
	node := initNode(t, place(t), "3:520330")
	token := filepath.Join(node, "clerk.token")
	clerk := []string{"user", "add", "clerk-1", "--config", node, "--role", "clerk", "--area", "4:520330001", "--token-file", token}
	grants := func(by ...string) []string {
		args := clerk
		for _, b := range by {
			args = append(args[:len(args):len(args)], "--granted-by", b)
		}
		return args
	}
	must(t, "migrate", "--config", node)
	must(t, "user", "add", "sec-a", "--config", node, "--role", "security")
	must(t, "user", "add", "admin-1", "--config", node, "--role", "admin")
	must(t, "user", "add", "sec-b", "--config", node, "--role", "security")
	for name, args := range map[string][]string{
		"nobody":       grants(),
		"one":          grants("sec-a"),
		"one twice":    grants("sec-a", "sec-a"),
		"oneself":      grants("sec-a", "clerk-1"),
		"an admin":     grants("sec-a", "admin-1"),
		"a third who":  grants("sec-a", "sec-x"),
		"more guards":  {"user", "add", "sec-c", "--config", node, "--role", "security"},
		"a name twice": {"user", "add", "admin-1", "--config", node, "--role", "admin"},
	} {
		if r := yipan(t, args...); r.code != cli.ExitFailed || r.out != "" {
			t.Errorf("granted by %s: %+v", name, r)
		}
	}
	if _, err := os.Stat(token); !os.IsNotExist(err) {
		t.Fatalf("a refused account left a token: %v", err)
	}
	must(t, grants("sec-a", "sec-b")...)
	b, err := os.ReadFile(token)
	if err != nil || !strings.HasPrefix(string(b), "yp1_") {
		t.Errorf("token: %v", err)
	}
	if st, err := os.Stat(token); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("token file: %v, %v", st, err)
	}
	must(t, "user", "disable", "sec-b", "--config", node)
	if r := yipan(t, "user", "add", "clerk-2", "--config", node, "--role", "clerk", "--area", "4:520330001", "--granted-by", "sec-a", "--granted-by", "sec-b"); r.code != cli.ExitFailed {
		t.Errorf("granted by a disabled account: %+v", r)
	}
	if r := yipan(t, "user", "token", "sec-b", "--config", node); r.code != cli.ExitFailed {
		t.Errorf("a token for a disabled account: %+v", r)
	}
	out := must(t, "user", "list", "--config", node, "--json")
	if n := strings.Count(out, "\n"); n != 4 || strings.Contains(out, "yp1_") || !strings.Contains(out, `"granted_by":["sec-a","sec-b"]`) {
		t.Errorf("list: %s", out)
	}
}
