package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"yipan/internal/cli"
	"yipan/internal/policy"
)

// policyFile writes the default policy with words replaced.
func policyFile(t *testing.T, dir, name string, pairs ...string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	text := string(policy.DefaultFile())
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("no %q in the default policy", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// later makes the default policy one of 2027, without the rounds of 2026.
func later(version string, more ...string) []string {
	rounds := string(policy.DefaultFile())
	from := strings.Index(rounds, "[[round]]\nnumber = 20261")
	to := strings.Index(rounds, "[[round]]\nnumber = 20271")
	return append([]string{"default-2026.1", version, `from = "2024-01-01"`, `from = "2027-01-01"`, rounds[from:to], ""}, more...)
}

func TestPolicyCheckSaysEverythingAtOnce(t *testing.T) {
	dir := place(t)
	wrong := policyFile(t, dir, "wrong.toml", "version =", "vershion =", "last_feedback_day = 27", "last_feedback_day = 29", `kinds = ["outflow", "inflow", "assist"]`, `kinds = ["birth"]`)
	r := yipan(t, "policy", "check", wrong)
	if r.code != cli.ExitFailed {
		t.Fatalf("%+v", r)
	}
	for _, want := range []string{"vershion：不认识", "第 21 行 monthly.last_feedback_day：应为 1 到 28 的整数", "basis[0].kinds：birth 只凭本人请求或同意"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is not in\n%s", want, r.out)
		}
	}
	shorter := policyFile(t, dir, "shorter.toml", later("local-2027", "answer_days = 30\nunit = \"calendar\"\nfile_days = 30", "answer_days = 20\nunit = \"calendar\"\nfile_days = 30", "duty:joint-service", "duty:another")...)
	out := must(t, "policy", "check", shorter)
	for _, want := range []string{"正确，版本 local-2027", "没有 2027 年的放假通知", "与 default-2026.1 相比：流出通报的答复期限缩短：原 30 日，现 20 日", "不再承认职责 duty:joint-service"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	m := decode(t, must(t, "policy", "check", shorter, "--json"))
	if m["compared_to"] != "default-2026.1" || len(m["changes"].([]any)) != 2 {
		t.Errorf("%v", m)
	}
}

func TestPolicyImport(t *testing.T) {
	dir := place(t)
	node := initNode(t, dir, "3:520330")
	good := policyFile(t, dir, "good.toml", later("local-2027")...)
	other := policyFile(t, dir, "other.toml", later("local-2027", "last_feedback_day = 27", "last_feedback_day = 26")...)
	twin := policyFile(t, dir, "twin.toml", later("local-2027b")...)
	broken := policyFile(t, dir, "broken.toml", "calendar = \"CN-2026a\"", "calendar = \"CN-2099z\"")
	same := policyFile(t, dir, "same.toml")

	for _, c := range []struct {
		what string
		args []string
		code int
		say  string
	}{
		{"a broken file", []string{broken, "--data", node}, cli.ExitFailed, "政策文件有 1 处问题"},
		{"no file", []string{filepath.Join(dir, "none.toml"), "--data", node}, cli.ExitFailed, "无法读取政策文件"},
		{"no node", []string{good, "--data", filepath.Join(dir, "none")}, cli.ExitFailed, "没有目录"},
		{"both", []string{good, "--data", node, "--config", node}, cli.ExitFailed, "只能用一个"},
		{"overlap", []string{good, "--data", node}, cli.ExitFailed, "--replace-from=2027-01-01"},
		{"another day", []string{good, "--data", node, "--replace-from", "2027-02-01"}, cli.ExitFailed, "应与文件的 from 相同"},
		{"the embedded one", []string{same, "--data", node}, cli.ExitOK, "早已导入"},
		{"confirmed", []string{good, "--data", node, "--replace-from", "2027-01-01"}, cli.ExitOK, "已导入 local-2027"},
		{"again", []string{good, "--data", node}, cli.ExitOK, "早已导入"},
		{"the same name", []string{other, "--data", node, "--replace-from", "2027-01-01"}, cli.ExitFailed, "请另取版本号"},
		{"the same day", []string{twin, "--config", node, "--replace-from", "2027-01-01"}, cli.ExitFailed, "生效日相同"},
	} {
		if r := yipan(t, append([]string{"policy", "import"}, c.args...)...); r.code != c.code || !strings.Contains(r.out+r.err, c.say) {
			t.Errorf("%s: %+v", c.what, r)
		}
	}
	files, err := os.ReadDir(filepath.Join(node, "policy"))
	if err != nil || len(files) != 1 || files[0].Name() != "local-2027.toml" {
		t.Errorf("the folder holds %v, %v", files, err)
	}
	list := must(t, "policy", "list", "--data", node)
	if strings.Count(list, "\n") != 2 || !strings.Contains(list, "* default-2026.1") || !strings.Contains(list, "  local-2027  2027-01-01 至 长期") {
		t.Error(list)
	}
	if out := must(t, "policy", "check", good, "--data", node); !strings.Contains(out, "正确") || strings.Contains(out, "相比") {
		t.Errorf("against itself: %s", out)
	}
}

func TestPolicyTexts(t *testing.T) {
	dir := place(t)
	list := must(t, "policy", "texts")
	for _, c := range policy.StandardTexts() {
		if !strings.Contains(list, "版本 "+c.Version) || !strings.Contains(list, c.SHA256()) || !strings.Contains(list, "撤回") {
			t.Errorf("%s is not whole in the list", c.Version)
		}
		sum := sha256.Sum256([]byte(must(t, "policy", "texts", c.Version)))
		if hex.EncodeToString(sum[:]) != c.SHA256() {
			t.Errorf("%s printed alone has another hash", c.Version)
		}
	}
	if r := yipan(t, "policy", "texts", "v9"); r.code != cli.ExitFailed || !strings.Contains(r.err, "没有版本为“v9”") {
		t.Errorf("%+v", r)
	}
	own := policyFile(t, dir, "own.toml", "default-2026.1", "own-2026", `from = "2024-01-01"`, `from = "2025-01-01"`, "[targets]",
		"[[consent_text]]\nversion = \"notice-local\"\npurpose = \"notice\"\nsha256 = \""+strings.Repeat("0f", 32)+"\"\n\n[targets]")
	node := initNode(t, dir, "3:520330")
	must(t, "policy", "import", own, "--data", node, "--replace-from", "2025-01-01")
	if out := must(t, "policy", "texts", "--data", node, "--json"); !strings.Contains(out, `"version":"notice-local"`) || strings.Count(out, "\n") != 6 {
		t.Error(out)
	}
	if r := yipan(t, "policy", "texts", "notice-local", "--data", node); r.code != cli.ExitFailed || !strings.Contains(r.err, "全文请向") {
		t.Errorf("%+v", r)
	}
}
