package bus

import (
	"strings"
	"testing"

	"yipan/internal/fault"
)

func TestSubject(t *testing.T) {
	for _, c := range []struct {
		name     string
		dst, src int64
		want     string
	}{
		{"county to county", 5226010000003, 5201230000003, "pip.v1.52.5226.522601.5226010000003.5201230000003"},
		{"to a township", 5201231010004, 5301020000003, "pip.v1.52.5201.520123.5201231010004.5301020000003"},
		{"to a province", 5300000000001, 5301020000003, "pip.v1.53.5300.530000.5300000000001.5301020000003"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Subject(c.dst, c.src); got != c.want {
				t.Fatalf("Subject = %s, want %s", got, c.want)
			}
			dst, src, err := ParseSubject(c.want)
			if err != nil || dst != c.dst || src != c.src {
				t.Fatalf("ParseSubject = %d, %d, %v", dst, src, err)
			}
			if f := filterOf(c.dst); !strings.HasSuffix(f, ".*") || !strings.HasPrefix(c.want, f[:len(f)-1]) {
				t.Fatalf("filter %s does not take %s", f, c.want)
			}
		})
	}
}

func TestParseSubjectRefuses(t *testing.T) {
	for _, s := range []string{
		"", "pip.v1", "dir.v1.entry",
		"pip.v1.52.5226.522601.5226010000003",                               // no source
		"pip.v1.52.5226.522601.5226010000003.5201230000003.1",               // one token more
		"pip.v2.52.5226.522601.5226010000003.5201230000003",                 // another version
		"pip.v1.53.5226.522601.5226010000003.5201230000003",                 // another province
		"pip.v1.52.5226.522602.5226010000003.5201230000003",                 // another county
		"pip.v1.52.5226.522601.5226010000003.junk",                          // no number
		"pip.v1.52.5226.522601.5226010000003.+201230000003",                 // a sign
		"pip.v1.52.5226.522601.5226010000006.5201230000003",                 // level 6
		"pip.v1.52.5226.522601.5226010000003.5201230000000",                 // level 0
		"pip.v1.05.0522.052260.0522601000003.5201230000003",                 // no such province
		"pip.v1.52.5226.522601.05226010000003.5201230000003",                // a zero too many
		"pip.v1.-5.-522.-52260.-522601000003.5201230000003",                 // negative
		"pip.v1.99.9999.999999.99999999999999999999999999993.5201230000003", // overflow
	} {
		if _, _, err := ParseSubject(s); !fault.Is(err, fault.KindInvalid) {
			t.Errorf("ParseSubject(%q) = %v, want invalid", s, err)
		}
	}
}

func FuzzParseSubject(f *testing.F) {
	f.Add("pip.v1.52.5226.522601.5226010000003.5201230000003")
	f.Add("pip.v1.52.5226.522601.5226010000003.*")
	f.Fuzz(func(t *testing.T, s string) {
		if dst, src, err := ParseSubject(s); err == nil && Subject(dst, src) != s {
			t.Fatalf("%q parses but is not what Subject makes", s)
		}
	})
}
