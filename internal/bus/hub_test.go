package bus

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"yipan/internal/fault"
)

func TestSecondHubOnOneStoreIsRefused(t *testing.T) {
	dir := t.TempDir()
	h := newHub(t, HubConfig{StoreDir: dir, InProcess: true})
	if _, err := StartHub(HubConfig{StoreDir: dir, InProcess: true}); !fault.Is(err, fault.KindConflict) {
		t.Fatalf("second hub: %v, want conflict", err)
	}
	h.Stop()
	newHub(t, HubConfig{StoreDir: dir, InProcess: true})
}

func TestHubRefuses(t *testing.T) {
	h := newHub(t, HubConfig{})
	_, port, _ := net.SplitHostPort(h.address())
	taken := 0
	for _, d := range port {
		taken = taken*10 + int(d-'0')
	}
	for _, c := range []struct {
		name   string
		cfg    HubConfig
		kind   fault.Kind
		reason string
	}{
		{"no store", HubConfig{}, fault.KindInvalid, "HUB_CONFIG"},
		{"port taken", HubConfig{StoreDir: t.TempDir(), Port: taken}, fault.KindUnavailable, "HUB_START"},
		{"certificate missing", HubConfig{StoreDir: t.TempDir(), CertFile: "none.pem", KeyFile: "none.pem"}, fault.KindInvalid, "HUB_CONFIG"},
		{"no province", HubConfig{StoreDir: t.TempDir(), Provinces: []string{"5*"}}, fault.KindInvalid, "PROVINCE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, err := StartHub(c.cfg)
			if err == nil {
				h.Stop()
			}
			wantFault(t, err, c.kind, c.reason)
		})
	}
}

func TestHubBeginsAnewWithoutItsStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hub")
	h := newHub(t, HubConfig{StoreDir: dir, InProcess: true, Provinces: []string{"52"}})
	mustPublish(t, dial(t, Config{InProcess: h}), residence, origin, "lost")
	h.Stop()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	h = newHub(t, HubConfig{StoreDir: dir, InProcess: true})
	mustPublish(t, dial(t, Config{InProcess: h}), residence, origin, "kept")

	// Deleted under a running hub: it ends by itself, and says why.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	select {
	case <-h.Done():
	case <-time.After(patience):
		t.Fatal("hub runs on without its store")
	}
	wantFault(t, h.Err(), fault.KindUnavailable, "HUB_STORE_LOST")
	h = newHub(t, HubConfig{StoreDir: dir, InProcess: true})
	mustPublish(t, dial(t, Config{InProcess: h}), residence, origin, "kept")
}

func TestStreamsAsDesigned(t *testing.T) {
	h := newHub(t, HubConfig{InProcess: true, Provinces: []string{"52"}, Limits: Limits{MaxBytes: 1 << 20}})
	info, err := h.server.Jsz(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !info.Config.SyncAlways {
		t.Error("the hub does not sync every message")
	}
	c := dial(t, Config{InProcess: h})
	if err := c.EnsureStreams(t.Context(), []string{"52", "53"}); err != nil {
		t.Fatal(err)
	}
	type essence struct {
		Subjects              []string
		Retention             jetstream.RetentionPolicy
		Storage               jetstream.StorageType
		Discard               jetstream.DiscardPolicy
		MaxBytes              int64
		MaxAge                time.Duration
		Replicas, Consumers   int
		Direct, Delete, Purge bool
	}
	for name, want := range map[string]essence{
		"EX_52": {[]string{"pip.v1.52.>"}, jetstream.LimitsPolicy, jetstream.FileStorage, jetstream.DiscardNew, 1 << 20, 720 * time.Hour, 1, 5000, false, true, true},
		"EX_53": {[]string{"pip.v1.53.>"}, jetstream.LimitsPolicy, jetstream.FileStorage, jetstream.DiscardNew, 4 << 30, 720 * time.Hour, 1, 5000, false, true, true},
		"DIR":   {[]string{"dir.v1.entry"}, jetstream.LimitsPolicy, jetstream.FileStorage, jetstream.DiscardNew, 1 << 30, 0, 1, 5000, false, true, true},
	} {
		s, err := c.js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		g := s.CachedInfo().Config
		got := essence{g.Subjects, g.Retention, g.Storage, g.Discard, g.MaxBytes, g.MaxAge, g.Replicas, g.MaxConsumers, g.AllowDirect, g.DenyDelete, g.DenyPurge}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	wantFault(t, c.EnsureStreams(t.Context(), []string{"520"}), fault.KindInvalid, "PROVINCE")

	// Many provinces' limits together may exceed the disk: they are bounds.
	var all []string
	for p := 11; p <= 82; p++ {
		all = append(all, string([]byte{byte('0' + p/10), byte('0' + p%10)}))
	}
	big := dial(t, Config{InProcess: h, Limits: Limits{MaxBytes: 1 << 42}})
	if err := big.ApplyStreams(t.Context(), all); err != nil {
		t.Fatal(err)
	}
}

func TestHubWithTLS(t *testing.T) {
	certFile, keyFile, pool := selfSigned(t)
	h := newHub(t, HubConfig{CertFile: certFile, KeyFile: keyFile, Provinces: []string{"52"}})
	if !strings.HasPrefix(h.URL(), "tls://") {
		t.Fatalf("URL = %s", h.URL())
	}
	mustPublish(t, dial(t, Config{URL: h.URL(), RootCAs: pool}), residence, origin, "sealed")
	stranger := dial(t, Config{URL: h.URL(), RootCAs: x509.NewCertPool()})
	err := stranger.Publish(t.Context(), residence, origin, []byte("x")).Wait(t.Context())
	wantFault(t, err, fault.KindUnavailable, ReasonAway)
}

func selfSigned(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hub"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err2 := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	kder, err3 := x509.MarshalPKCS8PrivateKey(key)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	err4 := os.WriteFile(certFile, cert, 0o600)
	err5 := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kder}), 0o600)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return certFile, keyFile, pool
}

func TestNoPayloadInTheLog(t *testing.T) {
	var out lockedBuffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug - 8}))
	h, err := StartHub(HubConfig{StoreDir: t.TempDir(), Provinces: []string{"52"}, Limits: Limits{MaxBytes: 8 << 10}, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, Config{URL: h.URL(), Logger: log})
	marker := "MARKER-OF-THE-PAYLOAD"
	var last error
	for range 12 { // more than fit
		last = c.Publish(t.Context(), residence, origin, bytes.Repeat([]byte(marker), 50)).Wait(t.Context())
	}
	wantFault(t, last, fault.KindUnavailable, ReasonStreamFull)
	r := read(t, c, residence, fromStart)
	r.next(t)
	r.end()
	c.Close()
	h.Stop()
	if s := out.String(); strings.Contains(s, marker) || !strings.Contains(s, "Server is ready") {
		t.Errorf("log holds a payload, or none of the server's lines:\n%s", s)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
