package keys

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/fault"
	"yipan/internal/seal"
)

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func wantReason(t *testing.T, what string, err error, want string) {
	t.Helper()
	got := ""
	if e, ok := fault.As(err); ok {
		got = e.Kind.String() + " " + e.Reason
	}
	if got != want {
		t.Errorf("%s: got %q (%v), want %q", what, got, err, want)
	}
}

func create(t *testing.T) (*Files, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	f, err := Create(dir, start)
	if err != nil {
		t.Fatal(err)
	}
	return f, dir
}

func reopen(t *testing.T, dir string) *Files {
	t.Helper()
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// names lists a directory without the lock.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if e.Name() != lockName {
			out = append(out, e.Name())
		}
	}
	return out
}

func TestCreateAndOpen(t *testing.T) {
	f, dir := create(t)
	g := reopen(t, dir)
	if diff := cmp.Diff(f.Keys(), g.Keys()); diff != "" {
		t.Errorf("keys after opening (-created +opened):\n%s", diff)
	}
	if n := len(f.Keys()); n != 8 {
		t.Errorf("%d keys, want a current and a next one of 4 uses", n)
	}
	sig := f.Signing().Sign("test", []byte("m"))
	if !g.Signing().Public().Verify("test", []byte("m"), sig) {
		t.Error("the signing key changed")
	}
	enc, ct, err := seal.Seal(f.Sealing().Public(), nil, []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := seal.Open(g.Sealing(), nil, enc, ct); err != nil || string(got) != "m" {
		t.Errorf("open: %q, %v", got, err)
	}
	if f.Sealing().Suite() != seal.DefaultSuite {
		t.Errorf("suite %d", f.Sealing().Suite())
	}
	aad := seal.AAD{Table: "t", Column: "c", Row: []byte("r")}
	if got, err := g.Data().Decrypt(aad, f.Data().Encrypt(aad, []byte("m"))); err != nil || string(got) != "m" {
		t.Errorf("decrypt: %q, %v", got, err)
	}
	if seal.Index(f.Index(), 1, "u", "v") != seal.Index(g.Index(), 1, "u", "v") {
		t.Error("the index key changed")
	}
	if f.NextSigning().ID() == f.Signing().ID() || f.NextSealing().ID() == f.Sealing().ID() || len(f.Indexes()) != 2 {
		t.Error("current and next keys are not two")
	}
	_, err = Create(dir, start)
	wantReason(t, "create again", err, "conflict KEYS_EXIST")
	_, err = Open(filepath.Join(dir, "none"))
	wantReason(t, "no directory", err, "not found KEYS_MISSING")
	_, err = g.SealingKey(seal.KeyID{1})
	wantReason(t, "unknown sealing key", err, "not found SEALING_KEY_UNKNOWN")
}

func TestModes(t *testing.T) {
	f, dir := create(t)
	keyFile := filepath.Join(dir, keyFileName(seal.UseSign, f.Signing().ID()))
	for _, path := range []string{dir, keyFile, filepath.Join(dir, keyringName)} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s made with mode %04o", filepath.Base(path), info.Mode().Perm())
		}
		for _, bad := range []fs.FileMode{0o040, 0o004, 0o020, 0o001} {
			if err := os.Chmod(path, info.Mode().Perm()|bad); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir)
			wantReason(t, fmt.Sprintf("%s with %04o", filepath.Base(path), bad), err, "invalid KEYS_MODE")
		}
		if err := os.Chmod(path, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	reopen(t, dir)

	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Create(open, start)
	wantReason(t, "create in an open directory", err, "invalid KEYS_MODE")
}

func TestCredentials(t *testing.T) {
	f, dir := create(t)
	creds := t.TempDir()
	if err := os.Chmod(creds, 0o550); err != nil {
		t.Fatal(err)
	}
	for _, name := range names(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(creds, "yipan_"+name), b, 0o440); err != nil {
			t.Fatal(err)
		}
	}
	g, err := OpenCredentials(creds)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f.Keys(), g.Keys()); diff != "" {
		t.Errorf("keys as credentials:\n%s", diff)
	}
	const readOnly = "denied KEYS_READ_ONLY"
	wantReason(t, "rotate", g.Rotate(seal.UseSign, start), readOnly)
	_, err = g.Purge(start)
	wantReason(t, "purge", err, readOnly)
	wantReason(t, "remove", g.Remove(seal.UseData, seal.KeyID{}), readOnly)
	_, err = OpenCredentials("")
	wantReason(t, "not under systemd", err, "not found KEYS_MISSING")
	if err := os.Chmod(filepath.Join(creds, "yipan_keyring"), 0o444); err != nil {
		t.Fatal(err)
	}
	_, err = OpenCredentials(creds)
	wantReason(t, "readable by all", err, "invalid KEYS_MODE")
}

func TestDamagedKeyFilesRefused(t *testing.T) {
	f, dir := create(t)
	for _, use := range seal.Uses() {
		var id seal.KeyID
		for _, i := range f.Keys() {
			if i.Use == use && i.State == Current {
				id = i.ID
			}
		}
		path := filepath.Join(dir, keyFileName(use, id))
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		secretAt := bytes.Index(whole, []byte("key: ")) + len("key: ")
		flipped := bytes.Clone(whole)
		if flipped[secretAt+4] == 'A' {
			flipped[secretAt+4] = 'B'
		} else {
			flipped[secretAt+4] = 'A'
		}
		const bad = "invalid KEY_FILE_MALFORMED"
		for name, content := range map[string][]byte{
			"empty":           {},
			"torn":            whole[:len(whole)-20],
			"no last newline": whole[:len(whole)-1],
			"one more line":   append(bytes.Clone(whole), '\n'),
			"other key":       flipped,
			"other type":      bytes.Replace(whole, []byte("key 1"), []byte("key 2"), 1),
			"other use":       bytes.Replace(whole, []byte("use: "+use), []byte("use: other"), 1),
			"other spelling":  bytes.Replace(whole, []byte("suite: "), []byte("suite: 0"), 1),
			"other time":      bytes.Replace(whole, []byte("Z\n"), []byte("+00:00\n"), 1),
			"unknown suite":   bytes.Replace(whole, []byte("suite: "), []byte("suite: 9"), 1),
		} {
			if bytes.Equal(content, whole) {
				t.Fatalf("%s: nothing changed", name)
			}
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir)
			wantReason(t, string(use)+" "+name, err, bad)
			if err != nil && bytes.Contains([]byte(err.Error()), whole[secretAt:secretAt+8]) {
				t.Errorf("%s: the error quotes key bytes", name)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		_, err = Open(dir)
		wantReason(t, "missing file", err, "not found KEY_FILE_MISSING")
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reopen(t, dir)

	ring := filepath.Join(dir, keyringName)
	whole, err := os.ReadFile(ring)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(whole), "\n")
	for name, content := range map[string]string{
		"empty":         "",
		"torn":          string(whole[:len(whole)-5]),
		"no next":       strings.Join(append(lines[:2:2], lines[3:]...), ""),
		"two current":   strings.Replace(string(whole), "sign next", "sign current", 1),
		"a key twice":   string(whole) + lines[1],
		"old, no time":  strings.Replace(string(whole), "sign next", "sign old", 1),
		"unknown use":   strings.Replace(string(whole), "sign next", "other next", 1),
		"unknown state": strings.Replace(string(whole), "sign next", "sign later", 1),
	} {
		if err := os.WriteFile(ring, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir)
		wantReason(t, "keyring "+name, err, "invalid KEYRING_MALFORMED")
	}
	if err := os.Remove(ring); err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir)
	wantReason(t, "no keyring", err, "not found KEY_FILE_MISSING")
	_, err = Create(dir, start)
	wantReason(t, "create over keys without a keyring", err, "conflict KEYS_EXIST")
}

func TestErrorsAndFormattingShowNoKey(t *testing.T) {
	f, dir := create(t)
	cert, err := NodeCertificate(dir, []string{"localhost"}, start)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	type holder struct {
		files *Files
		Files *Files
		v     *view
		cert  *Certificate
		Cert  *Certificate
	}
	for _, v := range []any{f, cert, f.Keys(), f.view.Load(), *f.view.Load(), holder{f, f, f.view.Load(), cert, cert}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("keys", "value", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("keys", "value", v)
	}
	text := out.String()
	for _, n := range names(t, dir) {
		if !strings.HasSuffix(n, ".key") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, n))
		if err != nil {
			t.Fatal(err)
		}
		k, err := parseKey(b)
		if err != nil {
			t.Fatal(err)
		}
		s := k.secret()[:6]
		for _, form := range []string{
			hex.EncodeToString(s), base64.StdEncoding.EncodeToString(s), strings.Trim(fmt.Sprint(s), "[]"), string(s),
			strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", s), "[]byte{"), "}"),
		} {
			if strings.Contains(text, form) {
				t.Errorf("a %s key shows as %q", k.use, form)
			}
		}
	}
	if !strings.Contains(text, f.Signing().ID().String()) {
		t.Error("the current signing key's id is not shown")
	}
	private, ok := cert.TLS().PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatal("the TLS key is not ECDSA")
	}
	scalar, err := private.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	number := new(big.Int).SetBytes(scalar)
	for _, form := range []string{number.String(), hex.EncodeToString(scalar[:8]), strings.Trim(fmt.Sprint(scalar[:6]), "[]"), fmt.Sprint(number.Bits()[0])} {
		if strings.Contains(text, form) {
			t.Errorf("the TLS key shows as %q", form)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, use := range seal.Uses() {
		// Fixed keys: a fuzz target's seeds must be the same in every process.
		k := key{use: use, suite: 1, created: start}
		if err := k.parseSecret(bytes.Repeat([]byte{7}, 32)); err != nil {
			f.Fatal(err)
		}
		k.id = k.ownID()
		f.Add(k.format())
	}
	f.Add([]byte("yipan key 1\nuse: data\nsuite: 1\nid: 0\ncreated: \nkey: \n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := parseKey(b)
		if err != nil {
			if !fault.Is(err, fault.KindInvalid) {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		if !bytes.Equal(k.format(), b) || k.ownID() != k.id {
			t.Fatal("accepted another spelling")
		}
	})
}

func FuzzParseKeyring(f *testing.F) {
	var ring keyring
	for i, use := range seal.Uses() {
		ring = append(ring, slot{use: use, state: Current, id: seal.KeyID{byte(i), 1}}, slot{use: use, state: Next, id: seal.KeyID{byte(i), 2}})
	}
	f.Add(ring.format())
	f.Add(ring.rotated(seal.UseSeal, seal.KeyID{9}, start).format())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseKeyring(b)
		if err != nil {
			if !fault.Is(err, fault.KindInvalid) {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		if !bytes.Equal(r.format(), b) {
			t.Fatal("accepted another spelling")
		}
	})
}

func TestReadReportsMissingFile(t *testing.T) {
	_, err := ownPlace(t.TempDir()).read("none", 10)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}
