package seal_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"yipan/internal/fault"
	"yipan/internal/seal"
)

func at(table, column, row string) seal.AAD {
	return seal.AAD{Table: table, Column: column, Row: []byte(row)}
}

func TestFieldRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := seal.NewDataKey()
		plain := rapid.SliceOfN(rapid.Byte(), 0, 500).Draw(t, "plain")
		aad := seal.AAD{
			Table:  rapid.String().Draw(t, "table"),
			Column: rapid.String().Draw(t, "column"),
			Row:    rapid.SliceOf(rapid.Byte()).Draw(t, "row"),
		}
		box := seal.EncryptField(key, aad, plain)
		if len(box) != len(plain)+seal.BoxOverhead {
			t.Fatalf("box of %d bytes for %d", len(box), len(plain))
		}
		if id, err := seal.BoxKeyID(box); err != nil || id != key.ID() {
			t.Fatalf("key id %s, %v", id, err)
		}
		parsed, err := seal.ParseDataKey(key.Cipher(), key.Secret())
		if err != nil || parsed.ID() != key.ID() {
			t.Fatalf("parse: %v", err)
		}
		got, err := seal.DecryptField(parsed, aad, box)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("decrypt: %v", err)
		}
		if again := seal.EncryptField(key, aad, plain); bytes.Equal(again, box) {
			t.Fatal("a nonce was used twice")
		}
		bad := bytes.Clone(box)
		bad[rapid.IntRange(0, len(bad)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := seal.DecryptField(key, aad, bad); !fault.Is(err, fault.KindInternal) {
			t.Fatalf("flipped bit: %v", err)
		}
	})
}

func TestSecurity29CiphertextMovedBetweenRows(t *testing.T) {
	key := seal.NewDataKey()
	home := at("person", "id_number", "row-1")
	plain := []byte("00000019000101000X")
	box := seal.EncryptField(key, home, plain)
	if got, err := seal.DecryptField(key, home, box); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("in place: %v", err)
	}
	for name, aad := range map[string]seal.AAD{
		"other row":       at("person", "id_number", "row-2"),
		"other column":    at("person", "phone", "row-1"),
		"other table":     at("person_old", "id_number", "row-1"),
		"shifted column":  at("person", "id_numberr", "ow-1"),
		"shifted table":   at("personi", "d_number", "row-1"),
		"row into column": at("person", "id_numberrow-1", ""),
		"nowhere":         {},
	} {
		got, err := seal.DecryptField(key, aad, box)
		wantReason(t, name, err, "internal FIELD_CORRUPT")
		if got != nil {
			t.Errorf("%s: plaintext returned", name)
		}
	}

	_, wrapped := seal.NewWrapped(key, home)
	_, err := seal.Unwrap(key, at("person", "id_number", "row-2"), wrapped)
	wantReason(t, "wrapped key moved", err, "internal FIELD_CORRUPT")
	_, err = seal.DecryptField(key, home, wrapped)
	wantReason(t, "wrapped key read as a field", err, "internal FIELD_CORRUPT")
	_, err = seal.Unwrap(key, home, box)
	wantReason(t, "field read as a wrapped key", err, "internal FIELD_CORRUPT")
	forged := seal.EncryptField(key, home, make([]byte, 33))
	_, err = seal.Unwrap(key, home, forged)
	wantReason(t, "field of a wrapped key's size", err, "internal FIELD_CORRUPT")
}

func TestFieldRefusals(t *testing.T) {
	key, other := seal.NewDataKey(), seal.NewDataKey()
	aad := at("t", "c", "1")
	box := seal.EncryptField(key, aad, nil)
	_, err := seal.DecryptField(other, aad, box)
	wantReason(t, "other key", err, "internal FIELD_KEY")
	for _, n := range []int{0, 1, seal.BoxOverhead - 1} {
		_, err = seal.DecryptField(key, aad, box[:n])
		wantReason(t, "short", err, "internal FIELD_MALFORMED")
	}
	box[0] = 2
	_, err = seal.DecryptField(key, aad, box)
	wantReason(t, "version", err, "internal FIELD_MALFORMED")
	_, err = seal.ParseDataKey(9, key.Secret())
	wantReason(t, "cipher", err, "invalid SUITE_UNKNOWN")
	_, err = seal.ParseDataKey(seal.CipherAES256GCM, make([]byte, 16))
	wantReason(t, "length", err, "invalid KEY_MALFORMED")
}

func TestRing(t *testing.T) {
	old, now := seal.NewDataKey(), seal.NewDataKey()
	before := seal.NewRing(old)
	after := seal.NewRing(now, old)
	aad := at("person", "phone", "1")

	box := before.Encrypt(aad, []byte("x"))
	if got, err := after.Decrypt(aad, box); err != nil || string(got) != "x" {
		t.Errorf("old box: %q, %v", got, err)
	}
	if stale, err := after.Stale(box); err != nil || !stale {
		t.Errorf("old box is not stale: %v", err)
	}
	renewed := after.Encrypt(aad, []byte("x"))
	if stale, err := after.Stale(renewed); err != nil || stale {
		t.Errorf("new box is stale: %v", err)
	}
	_, err := before.Decrypt(aad, renewed)
	wantReason(t, "unknown key", err, "internal FIELD_KEY")
	_, err = before.Decrypt(aad, []byte("junk"))
	wantReason(t, "junk", err, "internal FIELD_MALFORMED")

	person, wrapped := before.NewWrapped(aad)
	if len(wrapped) != seal.WrappedBytes {
		t.Errorf("wrapped key of %d bytes", len(wrapped))
	}
	back, err := after.Unwrap(aad, wrapped)
	if err != nil || back.ID() != person.ID() {
		t.Fatalf("unwrap: %v", err)
	}
	// A case's key moves from the node's key to the person's.
	caseKey, underNode := after.NewWrapped(at("case_key", "wrapped", "c1"))
	body := seal.EncryptField(caseKey, at("item", "body", "i1"), []byte("body"))
	again, err := after.Unwrap(at("case_key", "wrapped", "c1"), underNode)
	if err != nil {
		t.Fatal(err)
	}
	underPerson := seal.Wrap(person, at("case_side", "case_key", "c1"), again)
	final, err := seal.Unwrap(back, at("case_side", "case_key", "c1"), underPerson)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := seal.DecryptField(final, at("item", "body", "i1"), body); err != nil || string(got) != "body" {
		t.Errorf("body after rewrapping: %q, %v", got, err)
	}
	_, err = after.Unwrap(at("case_side", "case_key", "c1"), underPerson)
	wantReason(t, "node without the person's key", err, "internal FIELD_KEY")
}

func TestIndex(t *testing.T) {
	key := seal.NewIndexKey()
	same, err := seal.ParseIndexKey(key.Secret())
	if err != nil || same.ID() != key.ID() {
		t.Fatalf("parse: %v", err)
	}
	base := seal.Index(key, 1101050010004, "phone", "13800000000")
	if seal.Index(same, 1101050010004, "phone", "13800000000") != base {
		t.Error("not deterministic")
	}
	for name, got := range map[string][16]byte{
		"office":     seal.Index(key, 1101050020004, "phone", "13800000000"),
		"use":        seal.Index(key, 1101050010004, "phone2", "13800000000"),
		"value":      seal.Index(key, 1101050010004, "phone", "13800000001"),
		"key":        seal.Index(seal.NewIndexKey(), 1101050010004, "phone", "13800000000"),
		"empty use":  seal.Index(key, 1101050010004, "", "phone13800000000"),
		"moved byte": seal.Index(key, 1101050010004, "phone1", "3800000000"),
	} {
		if got == base {
			t.Errorf("%s does not change the index", name)
		}
	}
	_, err = seal.ParseIndexKey(nil)
	wantReason(t, "length", err, "invalid KEY_MALFORMED")
}

func TestToken(t *testing.T) {
	secret, hash := seal.Token()
	if len(secret) != 47 || !strings.HasPrefix(secret, "yp1_") {
		t.Fatalf("token has %d characters", len(secret))
	}
	if got, err := seal.HashToken(secret); err != nil || got != hash {
		t.Errorf("hash: %v", err)
	}
	if !seal.TokenMatches(secret, hash) {
		t.Error("own token refused")
	}
	other, _ := seal.Token()
	if seal.TokenMatches(other, hash) {
		t.Error("other token accepted")
	}
	for _, bad := range []string{"", "yp1_", secret[4:], secret + "A", "yp2_" + secret[4:], secret[:46] + "\n", secret[:46] + "/", secret[:20] + "\n" + secret[21:]} {
		_, err := seal.HashToken(bad)
		wantReason(t, "malformed", err, "denied TOKEN_MALFORMED")
		if seal.TokenMatches(bad, hash) {
			t.Errorf("malformed token of %d characters accepted", len(bad))
		}
	}
}

func TestCommitment(t *testing.T) {
	key := seal.NewDataKey()
	opening := seal.Opening(key, []byte("event 1"))
	c := seal.Commitment(opening, []byte("person"))
	if seal.Commitment(seal.Opening(key, []byte("event 1")), []byte("person")) != c {
		t.Error("not deterministic")
	}
	for name, got := range map[string][32]byte{
		"event":  seal.Commitment(seal.Opening(key, []byte("event 2")), []byte("person")),
		"person": seal.Commitment(opening, []byte("persom")),
		"key":    seal.Commitment(seal.Opening(seal.NewDataKey(), []byte("event 1")), []byte("person")),
	} {
		if got == c {
			t.Errorf("%s does not change the commitment", name)
		}
	}
}

func TestKeysRedactThemselves(t *testing.T) {
	sign, sealing := seal.NewSigningKey(), newSealing(t, seal.DefaultSuite)
	data, index := seal.NewDataKey(), seal.NewIndexKey()
	ring := seal.NewRing(data)
	type holder struct {
		Sign  seal.SigningKey
		seal  seal.SealingKey
		data  seal.DataKey
		Data  *seal.DataKey
		index *seal.IndexKey
		ring  *seal.Ring
	}
	h := holder{sign, sealing, *data, data, index, ring}
	values := []any{sign, &sign, sealing, &sealing, data, *data, index, *index, ring, h, &h, []any{sign, data}}
	secrets := [][]byte{sign.Secret(), sealing.Secret(), data.Secret(), index.Secret()}

	var text strings.Builder
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			fmt.Fprintf(&text, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&text, nil)).Info("key", "value", v)
		slog.New(slog.NewJSONHandler(&text, nil)).Info("key", "value", v)
	}
	out := text.String()
	for i, secret := range secrets {
		// Six bytes in any rendering would be no accident.
		for _, part := range [][]byte{secret[:6], secret[13:19], secret[len(secret)-6:]} {
			for _, form := range []string{"%x", "%X", "%d", "%v", "%#v", "%s", "%q", "% x"} {
				s := strings.Trim(fmt.Sprintf(form, part), `[]"`)
				s = strings.TrimSuffix(strings.TrimPrefix(s, "[]byte{"), "}")
				if strings.Contains(out, s) {
					t.Errorf("secret %d shows as %s", i, form)
				}
			}
		}
	}
	for _, id := range []seal.KeyID{sign.ID(), sealing.ID(), data.ID(), index.ID()} {
		if !strings.Contains(out, id.String()) {
			t.Errorf("key id %s is not shown", id)
		}
	}
}

func FuzzDecryptField(f *testing.F) {
	key, err := seal.ParseDataKey(seal.CipherAES256GCM, bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	ring := seal.NewRing(key)
	aad := at("t", "c", "1")
	honest := seal.EncryptField(key, aad, []byte("plain"))
	f.Add([]byte(nil))
	f.Add(honest)
	f.Add(seal.Wrap(key, aad, key))
	f.Add(append([]byte{1, 1}, make([]byte, 60)...))
	f.Fuzz(func(t *testing.T, box []byte) {
		for _, err := range []error{
			func() error { _, err := ring.Decrypt(at("t", "c", "2"), box); return err }(),
			func() error { _, err := ring.Unwrap(at("t", "c", "2"), box); return err }(),
		} {
			if !fault.Is(err, fault.KindInternal) {
				t.Fatalf("a box that was never made decrypts: %v", err)
			}
		}
		if _, err := seal.DecryptField(key, aad, box); err == nil && !bytes.Equal(box, honest) {
			if id, err := seal.BoxKeyID(box); err != nil || id != key.ID() {
				t.Fatalf("key id %s, %v", id, err)
			}
		}
	})
}
