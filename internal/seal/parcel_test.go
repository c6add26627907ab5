package seal_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"testing"

	"pgregory.net/rapid"

	"yipan/internal/fault"
	"yipan/internal/seal"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func reason(err error) string {
	if e, ok := fault.As(err); ok {
		return e.Kind.String() + " " + e.Reason
	}
	return ""
}

func wantReason(t *testing.T, what string, err error, want string) {
	t.Helper()
	if got := reason(err); got != want {
		t.Errorf("%s: got %q (%v), want %q", what, got, err, want)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var suites = []seal.Suite{seal.SuiteX25519, seal.SuiteHybrid}

func newSealing(t testing.TB, s seal.Suite) seal.SealingKey {
	t.Helper()
	k, err := seal.NewSealingKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSuiteCheck(t *testing.T) {
	for _, tc := range []struct {
		suite, floor seal.Suite
		want         string
	}{
		{seal.SuiteX25519, 0, ""},
		{seal.SuiteHybrid, 0, ""},
		{seal.SuiteX25519, seal.SuiteX25519, ""},
		{seal.SuiteHybrid, seal.SuiteX25519, ""},
		{seal.SuiteX25519, seal.SuiteHybrid, "denied SUITE_TOO_LOW"},
		{0, 0, "invalid SUITE_UNKNOWN"},
		{99, seal.SuiteX25519, "invalid SUITE_UNKNOWN"},
		{seal.SuiteHybrid, 99, "invalid SUITE_UNKNOWN"},
	} {
		wantReason(t, tc.suite.String(), tc.suite.Check(tc.floor), tc.want)
	}
	_, err := seal.NewSealingKey(99)
	wantReason(t, "new", err, "invalid SUITE_UNKNOWN")
	_, err = seal.ParseSealingKey(99, nil)
	wantReason(t, "parse", err, "invalid SUITE_UNKNOWN")
	_, err = seal.ParseSealTo(99, nil)
	wantReason(t, "parse public", err, "invalid SUITE_UNKNOWN")
}

func TestSealRoundTrip(t *testing.T) {
	info := []byte("v1|suite|from|to|key|parcel")
	for _, suite := range suites {
		t.Run(suite.String(), func(t *testing.T) {
			made := newSealing(t, suite)
			key, err := seal.ParseSealingKey(suite, made.Secret())
			if err != nil {
				t.Fatal(err)
			}
			to, err := seal.ParseSealTo(suite, made.Public().Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if key.ID() != made.ID() || to.ID() != made.ID() || key.ID().IsZero() {
				t.Fatalf("ids differ: %s %s %s", made.ID(), key.ID(), to.ID())
			}
			plain := seal.Pad([]byte("content"))
			enc, ct, err := seal.Seal(to, info, plain)
			if err != nil {
				t.Fatal(err)
			}
			if len(enc) != suite.EncBytes() || len(ct) != len(plain)+16 {
				t.Fatalf("enc %d bytes, ct %d", len(enc), len(ct))
			}
			got, err := seal.Open(key, info, enc, ct)
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("open: %v", err)
			}

			const refused = "invalid UNOPENABLE"
			_, err = seal.Open(key, []byte("v1|suite|from|another|key|parcel"), enc, ct)
			wantReason(t, "other info", err, refused)
			_, err = seal.Open(key, nil, enc, ct)
			wantReason(t, "no info", err, refused)
			_, err = seal.Open(newSealing(t, suite), info, enc, ct)
			wantReason(t, "other key", err, refused)
			_, err = seal.Open(key, info, enc[:len(enc)-1], ct)
			wantReason(t, "short enc", err, refused)
			_, err = seal.Open(key, info, enc, ct[:15])
			wantReason(t, "short ct", err, refused)
			_, err = seal.Open(seal.SealingKey{}, info, enc, ct)
			wantReason(t, "zero key", err, refused)
			for _, at := range []int{0, 1, len(enc) / 2, len(enc) - 2} {
				bad := bytes.Clone(enc)
				bad[at] ^= 4
				_, err = seal.Open(key, info, bad, ct)
				wantReason(t, "flipped enc", err, refused)
			}
			for _, at := range []int{0, len(ct) / 2, len(ct) - 1} {
				bad := bytes.Clone(ct)
				bad[at] ^= 1
				_, err = seal.Open(key, info, enc, bad)
				wantReason(t, "flipped ct", err, refused)
			}
		})
	}
}

func TestSealedTwiceDiffers(t *testing.T) {
	key := newSealing(t, seal.DefaultSuite)
	enc1, ct1, _ := seal.Seal(key.Public(), nil, []byte("x"))
	enc2, ct2, err := seal.Seal(key.Public(), nil, []byte("x"))
	if err != nil || bytes.Equal(enc1, enc2) || bytes.Equal(ct1, ct2) {
		t.Errorf("two sealings of one text are equal (%v)", err)
	}
}

// The suites are a promise to other nodes: what was sealed by an earlier build
// must open. Rewrite the file only for a new suite.
func TestGoldenParcelsOpen(t *testing.T) {
	type parcel struct {
		Suite                        seal.Suite
		Secret, KeyID, Info, Enc, Ct string
	}
	const file = "testdata/parcels.json"
	info, plain := []byte("golden info"), []byte("golden content")
	if *update {
		var out []parcel
		for _, s := range suites {
			k := newSealing(t, s)
			enc, ct, err := seal.Seal(k.Public(), info, plain)
			if err != nil {
				t.Fatal(err)
			}
			x := hex.EncodeToString
			out = append(out, parcel{s, x(k.Secret()), k.ID().String(), x(info), x(enc), x(ct)})
		}
		b, _ := json.MarshalIndent(out, "", " ")
		if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var in []parcel
	if err := json.Unmarshal(b, &in); err != nil {
		t.Fatal(err)
	}
	if len(in) != len(suites) {
		t.Fatalf("%d golden parcels, want %d", len(in), len(suites))
	}
	for _, p := range in {
		k, err := seal.ParseSealingKey(p.Suite, unhex(t, p.Secret))
		if err != nil {
			t.Fatal(err)
		}
		if k.ID().String() != p.KeyID {
			t.Errorf("suite %d: key id %s, want %s", p.Suite, k.ID(), p.KeyID)
		}
		got, err := seal.Open(k, unhex(t, p.Info), unhex(t, p.Enc), unhex(t, p.Ct))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("suite %d: %q, %v", p.Suite, got, err)
		}
	}
}

func TestMalformedKeysRefused(t *testing.T) {
	const bad = "invalid KEY_MALFORMED"
	for _, s := range suites {
		_, err := seal.ParseSealingKey(s, make([]byte, 31))
		wantReason(t, "sealing key", err, bad)
		_, err = seal.ParseSealTo(s, make([]byte, 31))
		wantReason(t, "public key", err, bad)
	}
	_, err := seal.ParseSigningKey(make([]byte, 31))
	wantReason(t, "signing key", err, bad)
	_, err = seal.ParseVerifyKey(make([]byte, 33))
	wantReason(t, "verification key", err, bad)
	_, _, err = seal.Seal(seal.SealTo{}, nil, nil)
	wantReason(t, "zero key", err, "invalid SEAL_FAILED")

	low, err := seal.ParseSealTo(seal.SuiteX25519, make([]byte, 32))
	if err == nil {
		_, _, err = seal.Seal(low, nil, []byte("x"))
		wantReason(t, "X25519 point of small order", err, "invalid SEAL_FAILED")
	}
}

func TestSignIsEd25519OfTheBoundMessage(t *testing.T) {
	// RFC 8032 section 7.1, test 1: seed and public key.
	seed := unhex(t, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	public := unhex(t, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
	key, err := seal.ParseSigningKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(key.Public().Bytes(), public) {
		t.Fatalf("public key %x", key.Public().Bytes())
	}
	sig := key.Sign("parcel", []byte("msg"))
	if want := ed25519.Sign(ed25519.NewKeyFromSeed(seed), []byte("yipan/parcel/v1\x00msg")); !bytes.Equal(sig, want) {
		t.Errorf("signature %x, want %x", sig, want)
	}
	verify, err := seal.ParseVerifyKey(public)
	if err != nil {
		t.Fatal(err)
	}
	if verify.ID() != key.ID() {
		t.Errorf("ids differ: %s, %s", verify.ID(), key.ID())
	}
	if !verify.Verify("parcel", []byte("msg"), sig) {
		t.Error("own signature refused")
	}
	flipped := bytes.Clone(sig)
	flipped[5] ^= 1
	for _, tc := range []struct {
		name    string
		key     seal.VerifyKey
		context string
		msg     string
		sig     []byte
	}{
		{"other context", verify, "receipt", "msg", sig},
		{"other message", verify, "parcel", "msh", sig},
		{"flipped", verify, "parcel", "msg", flipped},
		{"short", verify, "parcel", "msg", sig[:63]},
		{"none", verify, "parcel", "msg", nil},
		{"other key", seal.NewSigningKey().Public(), "parcel", "msg", sig},
		{"zero key", seal.VerifyKey{}, "parcel", "msg", sig},
	} {
		if tc.key.Verify(tc.context, []byte(tc.msg), tc.sig) {
			t.Errorf("%s: verified", tc.name)
		}
	}
}

func TestSignContextIsChecked(t *testing.T) {
	key := seal.NewSigningKey()
	for _, context := range []string{"", "parcel/v1\x00x"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("context %q accepted", context)
				}
			}()
			key.Sign(context, nil)
		}()
	}
}

// A key of small order accepts one fixed signature for many messages; the test
// shows that the standard library's verification does, and that we refuse the
// key.
func TestSmallOrderKeyRefused(t *testing.T) {
	public := unhex(t, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
	sig := make([]byte, ed25519.SignatureSize)
	sig[0] = 1 // R = the neutral element, S = 0
	accepted := 0
	for i := range 256 {
		if ed25519.Verify(public, []byte{byte(i)}, sig) {
			accepted++
		}
	}
	if accepted < 10 {
		t.Fatalf("the fixed signature verified %d times in 256; expected about 32", accepted)
	}
	for _, signBit := range []byte{0, 0x80} {
		public[31] = public[31]&0x7f | signBit
		_, err := seal.ParseVerifyKey(public)
		wantReason(t, "small order", err, "invalid KEY_MALFORMED")
	}
}

func TestKeyID(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	seen := map[seal.KeyID]string{}
	for _, u := range seal.Uses() {
		if !u.Valid() {
			t.Errorf("use %q is not valid", u)
		}
		for _, s := range suites {
			id := seal.KeyIDOf(u, s, key)
			if other, dup := seen[id]; dup {
				t.Errorf("%s/%d has the id of %s", u, s, other)
			}
			seen[id] = string(u)
			back, err := seal.ParseKeyID(id.String())
			if err != nil || back != id {
				t.Errorf("%s does not parse back: %v", id, err)
			}
		}
	}
	if seal.Use("other").Valid() {
		t.Error("unknown use is valid")
	}
	for _, s := range []string{"", "00", "0123456789abcdeg", "0123456789ABCDEF", "0123456789abcdef00"} {
		_, err := seal.ParseKeyID(s)
		wantReason(t, s, err, "invalid KEY_ID")
	}
	b, err := json.Marshal(map[string]seal.KeyID{"id": {0xab}})
	if err != nil || string(b) != `{"id":"ab00000000000000"}` {
		t.Errorf("json %s, %v", b, err)
	}
}

func TestPad(t *testing.T) {
	for _, tc := range []struct{ content, padded int }{
		{0, 2048}, {1, 2048}, {2044, 2048}, {2045, 4096}, {4092, 4096}, {4093, 8192}, {256 << 10, 512 << 10},
	} {
		if got := len(seal.Pad(make([]byte, tc.content))); got != tc.padded {
			t.Errorf("%d bytes padded to %d, want %d", tc.content, got, tc.padded)
		}
	}
	for name, p := range map[string][]byte{
		"empty":           nil,
		"too small":       make([]byte, 1024),
		"no power of two": make([]byte, 2049),
		"length too long": append([]byte{0, 0, 7, 0xfd}, make([]byte, 2044)...),
		"length overflow": append([]byte{0xff, 0xff, 0xff, 0xff}, make([]byte, 2044)...),
		"stray first":     append([]byte{0, 0, 0, 0, 1}, make([]byte, 2043)...),
		"stray last":      append(make([]byte, 2047), 1),
	} {
		_, err := seal.Unpad(p)
		wantReason(t, name, err, "invalid PADDING")
	}
	if b, err := seal.Unpad(make([]byte, 4096)); err != nil || len(b) != 0 {
		t.Errorf("a greater power of two: %v", err)
	}
}

func TestPadTo(t *testing.T) {
	p, err := seal.PadTo([]byte("DECLINED"), 32)
	if err != nil || len(p) != 32 {
		t.Fatalf("%d bytes, %v", len(p), err)
	}
	b, err := seal.UnpadTo(p, 32)
	if err != nil || string(b) != "DECLINED" {
		t.Fatalf("%q, %v", b, err)
	}
	const bad = "invalid PADDING"
	_, err = seal.PadTo(make([]byte, 29), 32)
	wantReason(t, "too long", err, bad)
	_, err = seal.PadTo(nil, 3)
	wantReason(t, "no room", err, bad)
	_, err = seal.UnpadTo(p, 64)
	wantReason(t, "other size", err, bad)
	_, err = seal.UnpadTo(nil, 0)
	wantReason(t, "nothing", err, bad)
	p[31] = 1
	_, err = seal.UnpadTo(p, 32)
	wantReason(t, "stray", err, bad)
}

func TestPadProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 9000).Draw(t, "content")
		p := seal.Pad(b)
		if len(p) < 2048 || len(p)&(len(p)-1) != 0 || len(p) >= 2*max(len(b)+4, 2048) {
			t.Fatalf("%d bytes padded to %d", len(b), len(p))
		}
		got, err := seal.Unpad(p)
		if err != nil || !bytes.Equal(got, b) {
			t.Fatalf("round trip: %v", err)
		}
		// Any change of one byte is refused or changes the content: two padded
		// forms of one size never mean the same.
		at := rapid.IntRange(0, len(p)-1).Draw(t, "at")
		p[at] ^= rapid.ByteRange(1, 255).Draw(t, "flip")
		if got, err := seal.Unpad(p); err == nil && bytes.Equal(got, b) {
			t.Fatalf("byte %d changed without effect", at)
		}
	})
}

func FuzzUnpad(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(seal.Pad(nil))
	f.Add(seal.Pad([]byte("abc")))
	f.Add(append(make([]byte, 2047), 1))
	f.Fuzz(func(t *testing.T, p []byte) {
		b, err := seal.Unpad(p)
		if err != nil {
			if e, ok := errors.AsType[*fault.Error](err); !ok || e.Kind != fault.KindInvalid {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		if again := seal.Pad(b); !bytes.HasPrefix(p, again) || len(bytes.Trim(p[len(again):], "\x00")) != 0 {
			t.Fatal("accepted another layout than Pad's")
		}
	})
}
