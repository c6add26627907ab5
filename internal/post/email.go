package post

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"mime"
	"net"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"
)

// lineBytes is the longest line of base64 (RFC 2045 section 6.8).
const lineBytes = 76

// implicitTLS is the port of submission that begins with TLS (RFC 8314).
const implicitTLS = "465"

// Email sends a text. Off loopback the connection is always encrypted and the
// server's certificate verified; a server that does not offer it gets nothing.
// key names the message at every try: it becomes the Message-ID, by which a
// mailbox knows what it has already.
func (p *Post) Email(ctx context.Context, to, key, subject, text string) error {
	if err := p.CheckEmail(to); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	c, err := p.mailServer(ctx)
	if err != nil {
		return failure(ctx, err)
	}
	defer func() { _ = c.Close() }()
	if err := p.send(c, to, p.letter(to, key, subject, text)); err != nil {
		return failure(ctx, err)
	}
	return nil
}

func (p *Post) mailServer(ctx context.Context) (*smtp.Client, error) {
	host, port, err := net.SplitHostPort(p.c.SMTP)
	if err != nil {
		return nil, &Error{Code: CodeAddress}
	}
	conf := &tls.Config{ServerName: host, RootCAs: p.c.Roots, MinVersion: tls.VersionTLS12}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.c.SMTP)
	if err != nil {
		return nil, err
	}
	// Whatever the server does, the connection ends with ctx.
	raw := conn
	context.AfterFunc(ctx, func() { _ = raw.Close() })
	at, parseErr := netip.ParseAddrPort(conn.RemoteAddr().String())
	local := parseErr == nil && at.Addr().Unmap().IsLoopback()
	if port == implicitTLS {
		t := tls.Client(conn, conf)
		if err := t.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		conn = t
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		_ = conn.Close()
		return nil, answered(err)
	}
	if err := p.greet(c, conf, local, port == implicitTLS); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// greet says hello, encrypts and logs in.
func (p *Post) greet(c *smtp.Client, conf *tls.Config, local, encrypted bool) error {
	if err := c.Hello(p.domain()); err != nil {
		return answered(err)
	}
	offered, _ := c.Extension("STARTTLS")
	switch {
	case encrypted:
	case offered:
		if err := c.StartTLS(conf); err != nil {
			return err
		}
	case !local:
		return &Error{Code: CodeTLS}
	}
	if p.c.User == "" {
		return nil
	}
	if err := c.Auth(smtp.PlainAuth("", p.c.User, p.c.Password, conf.ServerName)); err != nil {
		var refused *textproto.Error
		if errors.As(err, &refused) && refused.Code/100 == 4 {
			return answered(err)
		}
		return &Error{Code: CodeLogin}
	}
	return nil
}

func (p *Post) send(c *smtp.Client, to string, letter []byte) error {
	if err := c.Mail(p.c.From); err != nil {
		return answered(err)
	}
	if err := c.Rcpt(to); err != nil {
		return answered(err)
	}
	w, err := c.Data()
	if err != nil {
		return answered(err)
	}
	if _, err := w.Write(letter); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return answered(err)
	}
	_ = c.Quit() // it is delivered already
	return nil
}

// answered keeps the number of a server's refusal.
func answered(err error) error {
	var refused *textproto.Error
	if errors.As(err, &refused) {
		return &Error{Code: CodeStatus, Number: refused.Code}
	}
	return err
}

// domain of the sender, for HELO and Message-ID.
func (p *Post) domain() string {
	_, d, _ := strings.Cut(p.c.From, "@")
	return d
}

// letter is the message as RFC 5322 and MIME have it.
func (p *Post) letter(to, key, subject, text string) []byte {
	id := sha256.Sum256([]byte(p.c.From + "\x00" + to + "\x00" + key))
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"Date", p.now().Format(time.RFC1123Z)},
		{"From", p.c.From},
		{"To", to},
		{"Message-ID", "<" + hex.EncodeToString(id[:16]) + "@" + p.domain() + ">"},
		{"Subject", mime.BEncoding.Encode("UTF-8", subject)},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "base64"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: nobody's absence note answers it
	} {
		// Each encoded word stands on a line of its own, which then has at most 76
		// characters (RFC 2047 section 2).
		words := strings.ReplaceAll(h[1], "?= =?", "?=\r\n =?")
		if strings.HasPrefix(words, "=?") {
			words = "\r\n " + words
		} else {
			words = " " + words
		}
		b.WriteString(h[0] + ":" + words + "\r\n")
	}
	b.WriteString("\r\n")
	body := base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(text, "\n", "\r\n")))
	for len(body) > lineBytes {
		b.WriteString(body[:lineBytes] + "\r\n")
		body = body[lineBytes:]
	}
	b.WriteString(body + "\r\n")
	return b.Bytes()
}
