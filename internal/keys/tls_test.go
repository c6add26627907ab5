package keys

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNodeCertificate(t *testing.T) {
	_, dir := create(t)
	now := time.Now() // the handshake below looks at the real clock
	hosts := []string{"localhost", "127.0.0.1"}
	made, err := NodeCertificate(dir, hosts, now)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := NodeCertificate(dir, hosts[:1], now)
	if err != nil {
		t.Fatal(err)
	}
	if string(made.PEM) != string(loaded.PEM) || strings.Contains(string(made.PEM), "PRIVATE") {
		t.Error("loading changed the certificate, or PEM holds a key")
	}
	info, err := os.Stat(filepath.Join(dir, tlsName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for _, host := range hosts {
		if err := handshake(t, loaded, host); err != nil {
			t.Errorf("handshake with %s: %v", host, err)
		}
	}
	if err := handshake(t, loaded, "other.example"); err == nil {
		t.Error("the certificate was accepted for another host")
	}

	_, err = NodeCertificate(dir, []string{"other.example"}, now)
	wantReason(t, "other host", err, "conflict TLS_HOSTS")
	_, err = RenewCertificate(dir, nil, now)
	wantReason(t, "no host", err, "invalid TLS_HOSTS")
	_, err = NodeCertificate(dir, hosts, now.Add(CertificateLife+time.Hour))
	wantReason(t, "expired", err, "invalid TLS_EXPIRED")
	_, err = NodeCertificate(dir, hosts, now.Add(-2*time.Hour))
	wantReason(t, "not yet valid", err, "invalid TLS_EXPIRED")

	renewed, err := RenewCertificate(dir, []string{"other.example"}, now)
	if err != nil {
		t.Fatal(err)
	}
	if string(renewed.PEM) == string(made.PEM) {
		t.Error("not renewed")
	}
	if err := os.Chmod(filepath.Join(dir, tlsName), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = NodeCertificate(dir, nil, now)
	wantReason(t, "mode", err, "invalid KEYS_MODE")
	if err := os.WriteFile(filepath.Join(dir, tlsName), renewed.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, tlsName), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = NodeCertificate(dir, nil, now)
	wantReason(t, "no key", err, "invalid TLS_MALFORMED")
	_, err = NodeCertificate(filepath.Join(dir, "none"), hosts, now)
	wantReason(t, "no directory", err, "not found KEYS_MISSING")
	reopen(t, dir)
}

// handshake connects over loopback with mutual TLS, both sides using c.
func handshake(t *testing.T, c *Certificate, host string) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer conn.Close()
		server := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{c.TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: c.Roots})
		_, err = server.Write([]byte("hello"))
		done <- err
	}()
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: c.Roots, ServerName: host, Certificates: []tls.Certificate{c.TLS()}})
	if err != nil {
		<-done
		return err
	}
	defer conn.Close()
	_, err = io.ReadFull(conn, make([]byte, 5))
	return errors.Join(err, <-done)
}
