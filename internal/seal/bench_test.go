package seal_test

import (
	"testing"

	"yipan/internal/seal"
)

func BenchmarkSign(b *testing.B) {
	k, msg := seal.NewSigningKey(), make([]byte, 256)
	b.ReportAllocs()
	for b.Loop() {
		k.Sign("parcel", msg)
	}
}

func BenchmarkVerify(b *testing.B) {
	k, msg := seal.NewSigningKey(), make([]byte, 256)
	sig, public := k.Sign("parcel", msg), k.Public()
	b.ReportAllocs()
	for b.Loop() {
		if !public.Verify("parcel", msg, sig) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	for _, s := range suites {
		b.Run(s.String(), func(b *testing.B) {
			to, plain := newSealing(b, s).Public(), make([]byte, 2048)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := seal.Seal(to, nil, plain); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, s := range suites {
		b.Run(s.String(), func(b *testing.B) {
			k := newSealing(b, s)
			enc, ct, err := seal.Seal(k.Public(), nil, make([]byte, 2048))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := seal.Open(k, nil, enc, ct); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

var benchAAD = seal.AAD{Table: "person", Column: "id_number", Row: make([]byte, 16)}

func BenchmarkEncryptField(b *testing.B) {
	k, plain := seal.NewDataKey(), make([]byte, 18)
	b.ReportAllocs()
	for b.Loop() {
		seal.EncryptField(k, benchAAD, plain)
	}
}

func BenchmarkDecryptField(b *testing.B) {
	k := seal.NewDataKey()
	box := seal.EncryptField(k, benchAAD, make([]byte, 18))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := seal.DecryptField(k, benchAAD, box); err != nil {
			b.Fatal(err)
		}
	}
}

// A new key, its wrapped form and one field under it: what a new case costs.
func BenchmarkNewWrappedAndField(b *testing.B) {
	k, plain := seal.NewDataKey(), make([]byte, 18)
	b.ReportAllocs()
	for b.Loop() {
		own, _ := seal.NewWrapped(k, benchAAD)
		seal.EncryptField(own, benchAAD, plain)
	}
}

func BenchmarkUnwrapAndField(b *testing.B) {
	k := seal.NewDataKey()
	own, wrapped := seal.NewWrapped(k, benchAAD)
	box := seal.EncryptField(own, benchAAD, make([]byte, 18))
	b.ReportAllocs()
	for b.Loop() {
		got, err := seal.Unwrap(k, benchAAD, wrapped)
		if err == nil {
			_, err = seal.DecryptField(got, benchAAD, box)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIndex(b *testing.B) {
	k := seal.NewIndexKey()
	b.ReportAllocs()
	for b.Loop() {
		seal.Index(k, 1101050010004, "id", "000000190001010000")
	}
}
