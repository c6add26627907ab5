package seal

import (
	"crypto/ecdh"
	"crypto/hpke"
	"fmt"

	"yipan/internal/fault"
)

// Suite numbers a set of algorithms for sealing and signing. Numbers are on the
// wire and in key ids: never reuse one. The zero value is no suite.
type Suite uint16

const (
	// SuiteX25519 is HPKE base mode (RFC 9180) with DHKEM(X25519, HKDF-SHA256),
	// HKDF-SHA256, AES-256-GCM; signatures Ed25519 (RFC 8032).
	SuiteX25519 Suite = 1
	// SuiteHybrid is HPKE base mode with MLKEM768-X25519 (X-Wing,
	// draft-ietf-hpke-pq), HKDF-SHA256, AES-256-GCM; signatures Ed25519. What is
	// sealed today stays closed to a later quantum computer.
	SuiteHybrid Suite = 2
	// DefaultSuite is what new sealing keys are made for.
	DefaultSuite = SuiteHybrid
)

// signSuite numbers Ed25519 keys in key ids: the lowest suite that signs with
// Ed25519, so that moving to another suite of the same signature keeps the key.
const signSuite = SuiteX25519

type (
	sealFunc func(info, plaintext []byte) (enc, ct []byte, err error)
	openFunc func(info, enc, ct []byte) ([]byte, error)
)

// scheme is one row of the table of suites. A suite of other algorithms (SM2
// with SM4-GCM) is one more row with functions of its own; nothing outside the
// table knows HPKE.
type scheme struct {
	name     string
	strength int // greater is stronger; what a floor compares
	encBytes int
	generate func() (secret []byte, err error)
	private  func(secret []byte) (canonical, public []byte, open openFunc, err error)
	public   func(public []byte) (seal sealFunc, err error)
}

var schemes = map[Suite]scheme{
	SuiteX25519: hpkeScheme("x25519-hkdfsha256-aes256gcm-ed25519", 1, 32, hpke.DHKEM(ecdh.X25519())),
	SuiteHybrid: hpkeScheme("mlkem768x25519-hkdfsha256-aes256gcm-ed25519", 2, 1088+32, hpke.MLKEM768X25519()),
}

func hpkeScheme(name string, strength, encBytes int, kem hpke.KEM) scheme {
	kdf, aead := hpke.HKDFSHA256(), hpke.AES256GCM()
	return scheme{
		name: name, strength: strength, encBytes: encBytes,
		generate: func() ([]byte, error) {
			k, err := kem.GenerateKey()
			if err != nil {
				return nil, err
			}
			return k.Bytes()
		},
		private: func(secret []byte) ([]byte, []byte, openFunc, error) {
			k, err := kem.NewPrivateKey(secret)
			if err != nil {
				return nil, nil, nil, err
			}
			canonical, err := k.Bytes()
			if err != nil {
				return nil, nil, nil, err
			}
			return canonical, k.PublicKey().Bytes(), func(info, enc, ct []byte) ([]byte, error) {
				r, err := hpke.NewRecipient(enc, k, kdf, aead, info)
				if err != nil {
					return nil, err
				}
				return r.Open(nil, ct)
			}, nil
		},
		public: func(public []byte) (sealFunc, error) {
			k, err := kem.NewPublicKey(public)
			if err != nil {
				return nil, err
			}
			return func(info, plaintext []byte) ([]byte, []byte, error) {
				enc, s, err := hpke.NewSender(k, kdf, aead, info)
				if err != nil {
					return nil, nil, err
				}
				ct, err := s.Seal(nil, plaintext)
				return enc, ct, err
			}, nil
		},
	}
}

// String names the suite's algorithms, or its number when unknown.
func (s Suite) String() string {
	if sc, ok := schemes[s]; ok {
		return sc.name
	}
	return fmt.Sprintf("suite %d", uint16(s))
}

// EncBytes is the length of the encapsulated key that Seal returns, 0 for an
// unknown suite.
func (s Suite) EncBytes() int { return schemes[s].encBytes }

// Check refuses a suite that this program does not know (Invalid
// SUITE_UNKNOWN) or that is weaker than floor (Denied SUITE_TOO_LOW). The zero
// floor allows every known suite; an unknown floor is Invalid SUITE_UNKNOWN.
func (s Suite) Check(floor Suite) error {
	sc, err := schemeOf(s)
	if err != nil {
		return err
	}
	if floor == 0 {
		return nil
	}
	low, err := schemeOf(floor)
	if err != nil {
		return err
	}
	if sc.strength < low.strength {
		return fault.Denied("SUITE_TOO_LOW", "seal: suite %d is below the floor %d", uint16(s), uint16(floor))
	}
	return nil
}

func schemeOf(s Suite) (scheme, error) {
	sc, ok := schemes[s]
	if !ok {
		return scheme{}, fault.Invalid("SUITE_UNKNOWN", "seal: unknown suite %d", uint16(s))
	}
	return sc, nil
}
