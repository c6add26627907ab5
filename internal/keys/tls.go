package keys

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"time"

	"yipan/internal/fault"
)

const (
	tlsName  = "tls.pem"
	tlsLimit = 1 << 20 // bytes; a chain of many certificates fits

	// CertificateLife is how long a certificate made here is valid. Two years:
	// renewal is by hand, and clients pin the certificate anyway.
	CertificateLife = 2 * 365 * 24 * time.Hour
)

// Certificate is a node's TLS identity.
type Certificate struct {
	pair     func() tls.Certificate // behind a function: fmt would follow a pointer to the key
	Roots    *x509.CertPool         // what a client trusts to reach this node
	PEM      []byte                 // the certificates without the key, to hand to clients
	NotAfter time.Time
}

// TLS returns the certificate and its key for a tls.Config.
func (c *Certificate) TLS() tls.Certificate { return c.pair() }

// String redacts: it names the expiry only.
func (c *Certificate) String() string {
	return "certificate until " + c.NotAfter.UTC().Format(time.RFC3339)
}

// GoString redacts like String.
func (c *Certificate) GoString() string { return c.String() }

// LogValue redacts like String.
func (c *Certificate) LogValue() slog.Value { return slog.StringValue(c.String()) }

// NodeCertificate loads tls.pem from a key directory and, if there is none,
// first makes a self-signed one (ECDSA P-256, for servers and clients) for
// hosts: DNS names or IP addresses. Errors: Conflict TLS_HOSTS when an existing
// certificate lacks one of hosts (RenewCertificate makes a new one); and
// RenewCertificate's and LoadCertificate's.
func NodeCertificate(dir string, hosts []string, now time.Time) (*Certificate, error) {
	c, err := LoadCertificate(filepath.Join(dir, tlsName), now)
	if errors.Is(err, fs.ErrNotExist) {
		return RenewCertificate(dir, hosts, now)
	}
	if err != nil {
		return nil, err
	}
	for _, h := range hosts {
		if c.TLS().Leaf.VerifyHostname(h) != nil {
			return nil, fault.Conflict("TLS_HOSTS", "keys: the certificate in %s does not name host %s", dir, h)
		}
	}
	return c, nil
}

// RenewCertificate replaces tls.pem by a new self-signed certificate with a new
// key. Certificate and key are one file, so that no crash parts them. Errors:
// Invalid TLS_HOSTS without hosts; NotFound KEYS_MISSING; Invalid KEYS_MODE;
// Unavailable KEYS_IO.
func RenewCertificate(dir string, hosts []string, now time.Time) (*Certificate, error) {
	if len(hosts) == 0 {
		return nil, fault.Invalid("TLS_HOSTS", "keys: a certificate needs at least one host")
	}
	p := ownPlace(dir)
	if err := p.checkDir(); err != nil {
		return nil, err
	}
	content, err := selfSigned(hosts, now)
	if err != nil {
		return nil, fault.Internal("TLS_CREATE", "keys: make a certificate").Because(err)
	}
	unlock, err := p.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := p.write(tlsName, content); err != nil {
		return nil, err
	}
	return LoadCertificate(p.path(tlsName), now)
}

func selfSigned(hosts []string, now time.Time) ([]byte, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // positive, ≤ 20 bytes (RFC 5280 section 4.1.2.2)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		Subject:               pkix.Name{Organization: []string{"yipan"}, CommonName: hosts[0]},
		NotBefore:             now.Add(-time.Hour), // clocks of clients differ
		NotAfter:              now.Add(CertificateLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, // and not a CA: trusting it trusts these hosts only
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return append(b, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})...), nil
}

// LoadCertificate reads a file with a certificate chain, leaf first, and its
// key, both PEM: one made here, or one from an authority. Errors: NotFound
// KEY_FILE_MISSING; Invalid KEYS_MODE, TLS_MALFORMED, TLS_EXPIRED (also when
// not yet valid); Unavailable KEYS_IO.
func LoadCertificate(path string, now time.Time) (*Certificate, error) {
	content, err := ownPlace(filepath.Dir(path)).read(filepath.Base(path), tlsLimit)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(content, content)
	if err != nil {
		return nil, fault.Invalid("TLS_MALFORMED", "keys: %s is not a certificate with its key", path).Because(err)
	}
	c := &Certificate{pair: func() tls.Certificate { return pair }, Roots: x509.NewCertPool(), NotAfter: pair.Leaf.NotAfter}
	if now.Before(pair.Leaf.NotBefore) || now.After(pair.Leaf.NotAfter) {
		return nil, fault.Invalid("TLS_EXPIRED", "keys: the certificate in %s is valid from %s to %s", path,
			pair.Leaf.NotBefore.UTC().Format(time.RFC3339), pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	for _, der := range pair.Certificate {
		c.PEM = append(c.PEM, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	c.Roots.AppendCertsFromPEM(c.PEM)
	return c, nil
}
