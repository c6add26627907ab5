package post

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http/httptest"
	"net/mail"
	"net/smtp"
	"strings"
	"sync"
	"testing"
	"time"
)

// mailServer is a small SMTP server on loopback.
type mailServer struct {
	net.Listener
	conf    *tls.Config
	roots   *x509.CertPool
	offers  bool   // STARTTLS
	wants   string // "user\x00password"; empty: no login
	rejects int    // the number that a recipient gets; 0: welcome
	talks   sync.WaitGroup

	mu      sync.Mutex
	letters []letter
}

type letter struct {
	from, to  string
	data      string
	encrypted bool
	login     string
}

func newMailServer(t *testing.T, offers bool) *mailServer {
	t.Helper()
	// httptest's certificate is for 127.0.0.1 and example.com.
	h := httptest.NewTLSServer(nil)
	pool := x509.NewCertPool()
	pool.AddCert(h.Certificate())
	conf := &tls.Config{Certificates: h.TLS.Certificates}
	h.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &mailServer{Listener: l, conf: conf, roots: pool, offers: offers}
	s.talks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.talks.Go(func() { s.talk(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); s.talks.Wait() })
	return s
}

func (s *mailServer) talk(c net.Conn) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	say := func(format string, a ...any) { _, _ = fmt.Fprintf(c, format+"\r\n", a...) }
	say("220 mail.example ready")
	var got letter
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		word, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		switch strings.ToUpper(word) {
		case "EHLO", "HELO":
			say("250-mail.example")
			if s.offers && !got.encrypted {
				say("250-STARTTLS")
			}
			say("250 AUTH PLAIN")
		case "STARTTLS":
			say("220 go ahead")
			t := tls.Server(c, s.conf)
			if t.Handshake() != nil {
				return
			}
			c, r = t, bufio.NewReader(t)
			say = func(format string, a ...any) { _, _ = fmt.Fprintf(t, format+"\r\n", a...) }
			got.encrypted = true
		case "AUTH":
			b, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			if got.login = strings.TrimPrefix(string(b), "\x00"); got.login != s.wants {
				say("535 authentication failed")
				continue
			}
			say("235 welcome")
		case "MAIL":
			got.from = rest
			say("250 ok")
		case "RCPT":
			got.to = rest
			if s.rejects != 0 {
				say("%d no such mailbox", s.rejects)
				continue
			}
			say("250 ok")
		case "DATA":
			say("354 end with a full stop")
			var b strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil || line == ".\r\n" {
					break
				}
				b.WriteString(strings.TrimPrefix(line, "."))
			}
			got.data = b.String()
			s.mu.Lock()
			s.letters = append(s.letters, got)
			s.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("500 what")
		}
	}
}

func (s *mailServer) post(t *testing.T) *Post {
	t.Helper()
	return made(t, Config{SMTP: s.Addr().String(), From: "yipan@example.gov.cn", Roots: s.roots})
}

const (
	subject = "习水县测试镇 待办提醒 2026-11-23（3 项），一个长到必须折行的主题，折行之后仍应还原成原样"
	text    = "测试镇\n· 流出通报：2 件即将到期\n.\n末行\n"
)

func TestEmailBySTARTTLS(t *testing.T) {
	s := newMailServer(t, true)
	s.wants = "office\x00a password"
	p := s.post(t)
	p.c.User, p.c.Password = "office", "a password"
	p.now = func() time.Time { return time.Date(2026, 11, 23, 8, 30, 0, 0, time.FixedZone("", 8*3600)) }
	for range 2 {
		if err := p.Email(t.Context(), "office@example.gov.cn", "520330/2026-11-23", subject, text); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.letters) != 2 {
		t.Fatalf("%d letters", len(s.letters))
	}
	got := s.letters[0]
	if !got.encrypted || got.login != s.wants || got.from != "FROM:<yipan@example.gov.cn>" || got.to != "TO:<office@example.gov.cn>" {
		t.Errorf("encrypted %v, from %s to %s", got.encrypted, got.from, got.to)
	}
	for line := range strings.Lines(got.data) {
		if len(line) > 78+2 || !strings.HasSuffix(line, "\r\n") || strings.ContainsFunc(line, func(r rune) bool { return r > 127 }) {
			t.Errorf("line %q", line)
		}
	}
	m, err := mail.ReadMessage(strings.NewReader(got.data))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil || s != subject {
		t.Errorf("subject %q, %v", s, err)
	}
	body, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	if want := strings.ReplaceAll(text, "\n", "\r\n"); err != nil || string(body) != want {
		t.Errorf("body %q, %v", body, err)
	}
	if d, err := m.Header.Date(); err != nil || !d.Equal(p.now()) {
		t.Errorf("date %v, %v", d, err)
	}
	again, err := mail.ReadMessage(strings.NewReader(s.letters[1].data))
	if id := m.Header.Get("Message-ID"); err != nil || !strings.HasSuffix(id, "@example.gov.cn>") || id != again.Header.Get("Message-ID") || len(id) < 40 {
		t.Errorf("message ids %s, %s", id, again.Header.Get("Message-ID"))
	}
}

func TestEmailFailures(t *testing.T) {
	to := "office@example.gov.cn"
	send := func(p *Post) error { return p.Email(t.Context(), to, "k", subject, text) }

	s := newMailServer(t, true)
	strange := s.post(t)
	strange.c.Roots = x509.NewCertPool()
	is(t, send(strange), CodeTLS, 0)

	login := s.post(t)
	s.wants = "office\x00right"
	login.c.User, login.c.Password = "office", "hidden"
	is(t, send(login), CodeLogin, 0)

	refuses := newMailServer(t, true)
	refuses.rejects = 550
	is(t, send(refuses.post(t)), CodeStatus, 550)

	// Off loopback, a server that offers no encryption gets neither login nor letter.
	p := s.post(t)
	client, server := net.Pipe()
	done := make(chan struct{})
	plain := &mailServer{}
	go func() { plain.talk(server); close(done) }()
	c, err := smtp.NewClient(client, "mail.example")
	if err != nil {
		t.Fatal(err)
	}
	is(t, p.greet(c, &tls.Config{ServerName: "mail.example"}, false, false), CodeTLS, 0)
	_ = client.Close()
	<-done

	gone := newMailServer(t, true)
	_ = gone.Close()
	is(t, send(gone.post(t)), CodeUnreachable, 0)
	is(t, p.Email(t.Context(), "a@example.cn\r\nDATA", "k", subject, text), CodeAddress, 0)
	if len(s.letters)+len(refuses.letters) != 0 {
		t.Errorf("%d letters arrived", len(s.letters)+len(refuses.letters))
	}

	// On this machine a server may do without.
	local := newMailServer(t, false)
	if err := send(local.post(t)); err != nil || len(local.letters) != 1 || local.letters[0].encrypted {
		t.Errorf("loopback: %v, %d letters", err, len(local.letters))
	}
}

// A server that says nothing ends with the time.
func TestEmailTimesOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	p := made(t, Config{SMTP: l.Addr().String(), From: "yipan@example.gov.cn"})
	p.timeout = 100 * time.Millisecond
	is(t, p.Email(t.Context(), "office@example.gov.cn", "k", subject, text), CodeTimeout, 0)
}
