package node

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"yipan/internal/fault"
	"yipan/internal/remind"
)

func TestDigestsLeaveAsConfigured(t *testing.T) {
	deliver, check, err := digests(&Config{})
	if deliver != nil || check != nil || err != nil {
		t.Errorf("nothing configured: %v", err)
	}
	var body map[string]any
	var signature string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(b, &body)
		signature = r.Header.Get("Yipan-Signature")
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	dir := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := file("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	c := &Config{Post: PostConfig{
		SMTP: "127.0.0.1:25", From: "yipan@example.gov.cn", User: "office", PasswordFile: file("password", "hidden1\n"),
		WebhookSecretFile: file("secret", "hidden2 of sixteen bytes\n"), CAFile: ca, AllowNetworks: []string{"127.0.0.0/8"},
	}}
	pc, err := postConfig(&c.Post)
	if err != nil || pc.Password != "hidden1" || string(pc.Secret) != "hidden2 of sixteen bytes" {
		t.Errorf("files were read otherwise: %v", err)
	}
	if deliver, check, err = digests(c); err != nil {
		t.Fatal(err)
	}
	for _, m := range []remind.Message{{Webhook: server.URL, JSON: []byte(`{"office":"x"}`)}, {Email: "office@example.gov.cn"}} {
		if err := check(m); err != nil {
			t.Error(err)
		}
	}
	for _, m := range []remind.Message{{Webhook: "http://hooks.example.cn"}, {Email: "office"}} {
		if check(m) == nil {
			t.Errorf("%+v is taken", m)
		}
	}
	if err := deliver(t.Context(), remind.Message{Webhook: server.URL, Key: "k", JSON: []byte(`{"office":"x"}`)}); err != nil || body["office"] != "x" || !strings.HasPrefix(signature, "t=") {
		t.Errorf("%v, %v, %s", err, body, signature)
	}

	for name, change := range map[string]func(*PostConfig){
		"no password file": func(p *PostConfig) { p.PasswordFile = filepath.Join(dir, "none") },
		"empty secret":     func(p *PostConfig) { p.WebhookSecretFile = file("empty", "\n") },
		"short secret":     func(p *PostConfig) { p.WebhookSecretFile = file("short", "hidden3") },
		"no certificate":   func(p *PostConfig) { p.CAFile = file("none.pem", "hidden4") },
	} {
		broken := *c
		change(&broken.Post)
		_, _, err := digests(&broken)
		f, ok := fault.As(err)
		if !ok || f.Kind != fault.KindInvalid || f.Text == "" || strings.Contains(f.Error()+f.Text, "hidden") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a dump shows of the post is where secrets lie, never what they are.
func TestDumpShowsNoSecretOfPost(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hidden of sixteen bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := writeConfig(t, "[post]\nsmtp = \"mail.example:587\"\nfrom = \"a@example.cn\"\nuser = \"u\"\npassword_file = \""+secret+
		"\"\nwebhook_secret_file = \"s\"\nallow_networks = [\"127.0.0.0/8\"]\n")
	l, err := Load(Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, s := range l.Dump() {
		shown[s.Key] = s.Value
		if strings.Contains(s.Value, "hidden") {
			t.Errorf("%s = %s", s.Key, s.Value)
		}
	}
	for key, want := range map[string]string{
		"post.smtp": `"mail.example:587"`, "post.user": `"u"`, "post.password_file": `"` + secret + `"`,
		"post.webhook_secret_file": `"` + filepath.Join(filepath.Dir(file), "s") + `"`, "post.allow_networks": `["127.0.0.0/8"]`,
	} {
		if shown[key] != want {
			t.Errorf("%s = %s, want %s", key, shown[key], want)
		}
	}
}
