// Package post delivers messages to offices: HTTPS webhooks and e-mail by SMTP.
// It knows no office and no case; addresses and texts are given to it. Secrets
// are given to it by whoever read them from files.
//
// An office says where its messages go, so an address must not lead a message
// to what only this machine reaches. The address that a connection is really
// made to is judged, after the name was looked up: loopback, link-local (the
// clouds' metadata services among them), multicast and unspecified addresses
// are refused unless Config.Allow names them. Private networks are let through,
// because offices stand in them. Redirects are not followed and no proxy of the
// environment is used. Only webhooks are judged so: the mail server is the
// administrator's choice.
//
// Its errors are of type *Error: a code, without addresses, answers or secrets.
package post

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// Timeout bounds the delivery of one message.
const Timeout = 10 * time.Second

const (
	maxWebhook = 500 // bytes of an address
	maxEmail   = 254 // RFC 5321 section 4.5.3.1.3, without the brackets
	minSecret  = 16  // bytes; shorter ones can be guessed
)

// Codes of errors.
const (
	CodeOff         = "OFF"         // nothing of this kind is configured
	CodeAddress     = "ADDRESS"     // not an address that is delivered to
	CodeNetwork     = "NETWORK"     // it leads to a network that is refused
	CodeUnreachable = "UNREACHABLE" // no connection
	CodeTimeout     = "TIMEOUT"
	CodeTLS         = "TLS"      // no TLS, or a certificate that is not trusted
	CodeRedirect    = "REDIRECT" // answered by another address
	CodeStatus      = "STATUS"   // answered by a refusal; Number says which
	CodeLogin       = "LOGIN"    // the mail server refused user or password
)

// Error says why a message was not delivered.
type Error struct {
	Code   string
	Number int // CodeStatus: of HTTP or SMTP
}

// Error returns the code, with the number where there is one.
func (e *Error) Error() string {
	if e.Number != 0 {
		return fmt.Sprintf("post: %s %d", e.Code, e.Number)
	}
	return "post: " + e.Code
}

// Config of a post. The zero value delivers nothing.
type Config struct {
	SMTP     string // HOST:PORT; empty: no e-mail. Port 465 speaks TLS from the start, others STARTTLS
	User     string // empty: no login
	Password string
	From     string // address of the sender

	Secret []byte         // signs webhooks; empty: no webhooks
	Roots  *x509.CertPool // nil: the system's
	Allow  []netip.Prefix // networks that are otherwise refused to webhooks
}

// Post delivers. It is safe for concurrent use.
type Post struct {
	c       Config
	client  *http.Client
	now     func() time.Time
	timeout time.Duration
}

// New returns a post. It opens nothing.
func New(c Config) (*Post, error) {
	if c.SMTP != "" {
		if _, _, err := net.SplitHostPort(c.SMTP); err != nil {
			return nil, errors.New("post: mail server must be HOST:PORT")
		}
		if !isEmail(c.From) {
			return nil, errors.New("post: sender is no e-mail address")
		}
	}
	if n := len(c.Secret); n > 0 && n < minSecret {
		return nil, fmt.Errorf("post: secret of %d bytes, at least %d are needed", n, minSecret)
	}
	p := &Post{c: c, now: time.Now, timeout: Timeout}
	dialer := &net.Dialer{Timeout: Timeout, Control: p.control}
	p.client = &http.Client{
		Timeout: Timeout,
		Transport: &http.Transport{ // Proxy nil: none, whatever the environment says
			DialContext:           dialer.DialContext,
			TLSClientConfig:       &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:   Timeout,
			ResponseHeaderTimeout: Timeout,
			DisableKeepAlives:     true, // one message a day
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return p, nil
}

// control refuses a connection by the address that it is made to, so that a name
// which resolves to another address the second time gains nothing.
func (p *Post) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !p.allowed(at.Addr()) {
		return &Error{Code: CodeNetwork}
	}
	return nil
}

// metadata are services of clouds outside the link-local networks.
var metadata = []netip.Addr{netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("fd00:ec2::254")}

func (p *Post) allowed(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, n := range p.c.Allow {
		if n.Contains(a) {
			return true
		}
	}
	for _, m := range metadata {
		if a == m {
			return false
		}
	}
	return a.IsGlobalUnicast()
}

// CheckWebhook judges an address before it is stored: https, or http to a
// loopback address that Config.Allow names. What a name resolves to is judged at
// each delivery. Errors: CodeOff, CodeAddress, CodeNetwork.
func (p *Post) CheckWebhook(address string) error {
	if len(p.c.Secret) == 0 {
		return &Error{Code: CodeOff}
	}
	u, err := url.Parse(address)
	if err != nil || len(address) > maxWebhook || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" || strings.ContainsAny(address, " \r\n\t") {
		return &Error{Code: CodeAddress}
	}
	ip, notIP := netip.ParseAddr(u.Hostname())
	if notIP == nil && !p.allowed(ip) {
		return &Error{Code: CodeNetwork}
	}
	if u.Scheme != "https" && (u.Scheme != "http" || notIP != nil || !ip.IsLoopback()) {
		return &Error{Code: CodeAddress}
	}
	return nil
}

// CheckEmail judges an address before it is stored. Errors: CodeOff,
// CodeAddress.
func (p *Post) CheckEmail(address string) error {
	if p.c.SMTP == "" {
		return &Error{Code: CodeOff}
	}
	if !isEmail(address) {
		return &Error{Code: CodeAddress}
	}
	return nil
}

// isEmail wants a bare ASCII address: no name, no quoting, nothing that could
// end a line of SMTP.
func isEmail(s string) bool {
	for _, r := range s {
		if r <= ' ' || r > '~' || strings.ContainsRune(`<>"(),:;\[]`, r) {
			return false
		}
	}
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && len(s) <= maxEmail
}

// failure turns an error of the network into a code; nothing of its text is
// kept, which can hold addresses and what a server said.
func failure(ctx context.Context, err error) error {
	var own *Error
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var timeout net.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &verify), errors.As(err, &record), errors.As(err, &alert):
		return &Error{Code: CodeTLS}
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &Error{Code: CodeTimeout}
	}
	return &Error{Code: CodeUnreachable}
}
