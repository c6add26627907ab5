package directory

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/seal"
)

func TestRequestText(t *testing.T) {
	at, k := key(t, "3:520330"), newKeys(t)
	r := request(t, k.claim(at, []area.Key{at}, 0), k.signing()...)
	text := r.Text()
	if !strings.HasPrefix(text, "-----BEGIN YIPAN JOIN REQUEST-----\n") {
		t.Errorf("text begins %q", text[:40])
	}
	mailed := "您好，\r\n请接入。\r\n\r\n" + strings.ReplaceAll(text, "\n", "\r\n") + "\r\n此致\r\n"
	got, err := ParseRequest([]byte(mailed))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.Claim(), got.Claim()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(r.Proofs(), got.Proofs()); diff != "" {
		t.Error(diff)
	}
	if got.Fingerprint() != r.Fingerprint() || len(r.Fingerprint()) != 8*4+7 {
		t.Errorf("fingerprint %q", got.Fingerprint())
	}
	x := newExchange(t)
	x.admit(got, Leave{})

	change := request(t, k.claim(at, []area.Key{at}, 1)).Continue(k.sign)
	if !strings.Contains(change.Text(), "YIPAN CHANGE REQUEST") {
		t.Error("a change is titled as a join")
	}
	if got, err = ParseRequest([]byte(change.Text())); err != nil {
		t.Fatal(err)
	}
	if rec := x.admit(got, Leave{}); rec.Serial() != 2 {
		t.Errorf("serial %d", rec.Serial())
	}

	for name, bad := range map[string]string{
		"empty":    "",
		"no block": "hello",
		"title":    strings.ReplaceAll(text, "YIPAN JOIN REQUEST", "CERTIFICATE"),
		"two":      text + text,
		"headers":  strings.Replace(text, "-----\n", "-----\nA: b\n\n", 1),
		"huge":     text + strings.Repeat(" ", 3*MaxRecordBytes),
		"cut":      text[:len(text)/2],
		"junk":     "-----BEGIN YIPAN JOIN REQUEST-----\n/////w==\n-----END YIPAN JOIN REQUEST-----\n",
	} {
		_, err := ParseRequest([]byte(bad))
		if got := reason(err); got != "DIRECTORY_REQUEST" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Adding a signature leaves the request that it was added to as it was.
func TestRequestIsImmutable(t *testing.T) {
	at, k := key(t, "3:520330"), newKeys(t)
	r := request(t, k.claim(at, []area.Key{at}, 1), k.sign)
	a, b := r.Continue(k.sign), r.Release(7, k.next)
	if len(r.Proofs()) != 1 || a.Proofs()[1].Kind != Continuity || b.Proofs()[1].Kind != Release {
		t.Error("requests share their proofs")
	}
}

func TestAuthorityText(t *testing.T) {
	for range 50 { // base64 with and without + and /
		k := seal.NewSigningKey().Public()
		s := FormatAuthority(k)
		got, err := ParseAuthority(" " + s + "\n")
		if err != nil || got.ID() != k.ID() {
			t.Fatalf("%q: %v", s, err)
		}
	}
	k := seal.NewSigningKey().Public()
	s := FormatAuthority(k)
	other := FormatAuthority(seal.NewSigningKey().Public())
	for _, bad := range []string{
		"", "yipan-authority", s[:len(s)-4], s + "=", "x" + s,
		s[:len("yipan-authority+")+16] + other[len("yipan-authority+")+16:],
	} {
		_, err := ParseAuthority(bad)
		if reason(err) != "DIRECTORY_AUTHORITY_KEY" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if Fingerprint(k) == Fingerprint(seal.NewSigningKey().Public()) {
		t.Error("equal fingerprints")
	}
}

func TestResumeAuthority(t *testing.T) {
	x := three(t)
	var bs [][]byte
	for _, r := range x.records {
		bs = append(bs, r.Bytes())
	}
	a, err := ResumeAuthority(x.authKey, bs)
	if err != nil {
		t.Fatal(err)
	}
	x.auth = a
	x.join(Leave{}, "3:110102")
	if d := x.load(); d.Serial() != 4 {
		t.Errorf("serial %d", d.Serial())
	}
	_, err = ResumeAuthority(seal.NewSigningKey(), bs)
	wantReason(t, err, "DIRECTORY_AUTHORITY")
}

func FuzzParseRecord(f *testing.F) {
	x := three(f)
	for _, r := range x.records {
		f.Add(r.Bytes())
	}
	fresh, err := x.auth.Refresh(x.now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(fresh.Bytes())
	f.Add(x.rawLeaf([]byte{0xff}).Bytes())
	d := New(x.authKey.Public())
	held := x.load()
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecord(b)
		if err != nil {
			return
		}
		if string(r.Bytes()) != string(b) {
			t.Fatal("bytes are not kept as written")
		}
		if _, err := ParseLog([]byte(r.Line())); err != nil {
			t.Fatal(err)
		}
		_, _ = r.Entry()
		// No bytes but the authority's own change a directory.
		for _, d := range []*Directory{d, held} {
			next, _, err := d.Apply(r)
			if err == nil && next.Serial() > d.Serial() && next.Root() != r.Checkpoint().Root {
				t.Fatal("root differs from the checkpoint")
			}
			if reason(err) == "DIRECTORY_FORK" {
				t.Fatal("an alarm without the authority's signature")
			}
		}
	})
}

// FuzzClaim reaches what signatures shield in FuzzParseRecord.
func FuzzClaim(f *testing.F) {
	at, k := key(f, "3:520330"), newKeys(f)
	r := request(f, k.claim(at, []area.Key{at}, 0), k.signing()...)
	f.Add(r.bytes)
	x := newExchange(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		y := x.clone()
		y.t = t
		ev := y.publish(y.raw(b, r.proofs...))
		if ev.Kind == Applied && string(b) != string(r.bytes) {
			t.Fatal("proofs of one claim hold for another")
		}
		if c, err := parseClaim(b); err == nil && !wellFormed(c.Node.Area()) {
			t.Fatal("malformed node accepted")
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	at, k := key(f, "3:520330"), newKeys(f)
	f.Add([]byte(request(f, k.claim(at, []area.Key{at}, 0), k.signing()...).Text()))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRequest(b)
		if err != nil {
			return
		}
		again, err := ParseRequest([]byte(r.Text()))
		if err != nil || again.Fingerprint() != r.Fingerprint() {
			t.Fatalf("text does not read back: %v", err)
		}
	})
}
