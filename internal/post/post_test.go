package post

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	secret   = []byte("a secret of sixteen bytes")
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
)

// is reports whether an error has a code, and that it says nothing else.
func is(t *testing.T, err error, code string, number int) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Code != code || e.Number != number {
		t.Errorf("error %v, want %s %d", err, code, number)
		return
	}
	for _, s := range []string{"127.0.0.1", "localhost", "example", string(secret), "hidden"} {
		if strings.Contains(err.Error(), s) {
			t.Errorf("error %q shows %q", err, s)
		}
	}
}

func made(t *testing.T, c Config) *Post {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// hook is an office's server.
type hook struct {
	*httptest.Server
	body   []byte
	header http.Header
	hits   int
}

func newHook(t *testing.T, tls bool, answer func(http.ResponseWriter, *http.Request)) *hook {
	t.Helper()
	h := &hook{}
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.hits++
		h.header = r.Header.Clone()
		h.body, _ = io.ReadAll(r.Body)
		if answer != nil {
			answer(w, r)
		}
	}))
	h.Config.ErrorLog = log.New(io.Discard, "", 0)
	if tls {
		h.StartTLS()
	} else {
		h.Start()
	}
	t.Cleanup(h.Close)
	return h
}

func (h *hook) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(h.Certificate())
	return pool
}

func TestWebhookIsSigned(t *testing.T) {
	h := newHook(t, true, nil)
	p := made(t, Config{Secret: secret, Roots: h.roots(), Allow: loopback})
	p.now = func() time.Time { return time.Unix(1_790_000_000, 0) }
	body := []byte(`{"lines":[]}`)
	if err := p.Webhook(t.Context(), h.URL+"/in?key=hidden", "520330/2026-11-23", body); err != nil {
		t.Fatal(err)
	}
	m := hmac.New(sha256.New, secret)
	_, _ = m.Write([]byte(`1790000000.{"lines":[]}`))
	if got, want := h.header.Get(HeaderSignature), "t=1790000000,v1="+hex.EncodeToString(m.Sum(nil)); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	if h.header.Get(HeaderDelivery) != "520330/2026-11-23" || h.header.Get("Content-Type") != "application/json; charset=utf-8" || string(h.body) != string(body) {
		t.Errorf("got %v %s", h.header, h.body)
	}
}

func TestWebhookFailures(t *testing.T) {
	target := newHook(t, true, nil)
	refuses := newHook(t, true, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("hidden"))
	})
	redirects := newHook(t, true, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target.URL, http.StatusFound) })
	held := make(chan struct{})
	hangs := newHook(t, true, func(http.ResponseWriter, *http.Request) { <-held })
	defer close(held)
	gone := newHook(t, true, nil)
	gone.Close()
	p := made(t, Config{Secret: secret, Roots: target.roots(), Allow: loopback})
	is(t, p.Webhook(t.Context(), refuses.URL, "k", nil), CodeStatus, http.StatusTeapot)
	is(t, p.Webhook(t.Context(), redirects.URL, "k", nil), CodeRedirect, http.StatusFound)
	if target.hits != 0 {
		t.Error("a redirect was followed")
	}
	is(t, p.Webhook(t.Context(), gone.URL, "k", nil), CodeUnreachable, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	is(t, p.Webhook(ctx, hangs.URL, "k", nil), CodeTimeout, 0)
	strange := made(t, Config{Secret: secret, Roots: x509.NewCertPool(), Allow: loopback})
	is(t, strange.Webhook(t.Context(), target.URL, "k", nil), CodeTLS, 0)
	is(t, made(t, Config{}).Webhook(t.Context(), target.URL, "k", nil), CodeOff, 0)
	if target.hits != 0 {
		t.Error("a server that is not trusted got the message")
	}
}

// A name is judged by the address that it leads to, when the connection is made.
func TestWebhookNetworks(t *testing.T) {
	h := newHook(t, true, nil)
	port := h.URL[strings.LastIndexByte(h.URL, ':'):]
	t.Setenv("HTTPS_PROXY", h.URL) // no proxy makes the connection instead
	p := made(t, Config{Secret: secret, Roots: h.roots()})
	is(t, p.Webhook(t.Context(), h.URL, "k", nil), CodeNetwork, 0)
	if err := p.CheckWebhook("https://localhost" + port); err != nil {
		t.Errorf("a name is not judged before it is looked up: %v", err)
	}
	is(t, p.Webhook(t.Context(), "https://localhost"+port, "k", nil), CodeNetwork, 0)
	if h.hits != 0 {
		t.Error("loopback was reached")
	}
	for address, allowed := range map[string]bool{
		"10.1.2.3": true, "192.168.1.1": true, "172.16.0.1": true, "203.0.113.7": true, "fd12::1": true, "2001:db8::1": true,
		"127.0.0.1": false, "127.8.8.8": false, "::1": false, "::ffff:127.0.0.1": false, "169.254.169.254": false, "::ffff:169.254.169.254": false,
		"fe80::1": false, "fe80::1%eth0": false, "0.0.0.0": false, "::": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false,
		"100.100.100.200": false, "fd00:ec2::254": false,
	} {
		a := netip.MustParseAddr(address)
		if p.allowed(a) != allowed {
			t.Errorf("%s: allowed %v", address, !allowed)
		}
		if err := p.control("tcp", netip.AddrPortFrom(a, 443).String(), nil); (err == nil) != allowed {
			t.Errorf("%s: connection %v", address, err)
		}
	}
}

func TestCheckAddresses(t *testing.T) {
	open := made(t, Config{Secret: secret, Allow: loopback, SMTP: "mail.example:587", From: "a@example.cn"})
	closed := made(t, Config{Secret: secret})
	for address, want := range map[string][2]string{ // with loopback allowed, and without
		"https://hooks.example.gov.cn/a?key=1": {"", ""},
		"https://10.1.2.3:8443/":               {"", ""},
		"http://127.0.0.1:8080/":               {"", CodeNetwork},
		"https://127.0.0.1/":                   {"", CodeNetwork},
		"https://169.254.169.254/":             {CodeNetwork, CodeNetwork},
		"https://[fe80::1]/":                   {CodeNetwork, CodeNetwork},
		"http://hooks.example.gov.cn/":         {CodeAddress, CodeAddress},
		"http://localhost/":                    {CodeAddress, CodeAddress},
		"http://10.1.2.3/":                     {CodeAddress, CodeAddress},
		"ftp://hooks.example.gov.cn/":          {CodeAddress, CodeAddress},
		"https://user:hidden@example.cn/":      {CodeAddress, CodeAddress},
		"https:///a":                           {CodeAddress, CodeAddress},
		"https://example.cn/a b":               {CodeAddress, CodeAddress},
		"file:///etc/passwd":                   {CodeAddress, CodeAddress},
		"":                                     {CodeAddress, CodeAddress},
		"https://example.cn/" + strings.Repeat("a", maxWebhook): {CodeAddress, CodeAddress},
	} {
		for i, p := range []*Post{open, closed} {
			if err := p.CheckWebhook(address); want[i] == "" {
				if err != nil {
					t.Errorf("%s: %v", address, err)
				}
			} else {
				is(t, err, want[i], 0)
			}
		}
	}
	if err := open.CheckEmail("office-1.a@mail.example.gov.cn"); err != nil {
		t.Error(err)
	}
	for _, address := range []string{"", "office", "a@b@c", "测试 <a@example.cn>", "<a@example.cn>", "a@example.cn\r\nRCPT TO:<b@example.cn>", "a b@example.cn", "示例@example.cn",
		"a@example.cn,b@example.cn", strings.Repeat("a", maxEmail) + "@example.cn"} {
		is(t, open.CheckEmail(address), CodeAddress, 0)
	}
	is(t, closed.CheckEmail("a@example.cn"), CodeOff, 0)
	for name, c := range map[string]Config{"short secret": {Secret: []byte("short")}, "no port": {SMTP: "mail.example", From: "a@example.cn"}, "no sender": {SMTP: "mail.example:25"}} {
		if _, err := New(c); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
