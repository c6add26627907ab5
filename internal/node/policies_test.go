package node

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"yipan/internal/civil"
	"yipan/internal/policy"
)

func TestPoliciesAndTheirFollower(t *testing.T) {
	c := Default()
	c.Node.Dir = t.TempDir()
	write := func(file string, pairs ...string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer(pairs...).Replace(string(policy.DefaultFile()))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, err := Policies(&c)
	if err != nil || len(set.All()) != 1 {
		t.Fatalf("without files: %v", err)
	}
	var log bytes.Buffer
	f := &policyFollower{config: &c, set: set, log: slog.New(slog.NewJSONHandler(&log, nil))}
	on := civil.MustParse("2026-11-01")
	inForce := func() string {
		p, err := set.At(on)
		if err != nil {
			t.Fatal(err)
		}
		return p.Version
	}
	f.look()
	if strings.Contains(log.String(), "policies changed") {
		t.Error("nothing changed")
	}

	imported := filepath.Join(c.PolicyDir(), "new.toml")
	write(imported, "default-2026.1", "new", "2024-01-01", "2025-01-01")
	f.look()
	if inForce() != "new" || len(set.All()) != 2 || !strings.Contains(log.String(), "policies changed") {
		t.Errorf("after an import %s is in force", inForce())
	}
	before := set.All()
	// One that is wrong changes nothing, however it is wrong.
	wrong := filepath.Join(c.PolicyDir(), "wrong.toml")
	for range 2 {
		write(wrong, "version", "vershion")
		f.look()
		if got := set.All(); len(got) != 2 || got[0] != before[0] {
			t.Error("a wrong file changed the set")
		}
	}
	if n := strings.Count(log.String(), "not taken over"); n != 1 {
		t.Errorf("a wrong file is said %d times", n)
	}
	write(wrong, "default-2026.1", "same-day", "2024-01-01", "2025-01-01")
	f.look()
	if got := set.All(); len(got) != 2 || got[0] != before[0] {
		t.Error("two policies of one day changed the set")
	}
	// The same policy twice, as a copy with other line ends, is one.
	write(wrong, "default-2026.1", "new", "2024-01-01", "2025-01-01", "\n", "\r\n")
	f.look()
	if inForce() != "new" || len(set.All()) != 2 {
		t.Errorf("%d policies after a copy", len(set.All()))
	}
	if err := os.Remove(wrong); err != nil {
		t.Fatal(err)
	}
	// Named files take the place of the embedded policy.
	named := filepath.Join(t.TempDir(), "named.toml")
	write(named, "default-2026.1", "named")
	c.Policy.Files = []string{named}
	f.look()
	if _, err := set.ByVersion("default-2026.1"); err == nil || len(set.All()) != 2 {
		t.Error("the embedded policy stands beside a named one")
	}
	if err := os.Remove(named); err != nil {
		t.Fatal(err)
	}
	f.look()
	if _, err := set.ByVersion("named"); err != nil {
		t.Error("a missing named file changed the set")
	}
	if _, err := Policies(&c); err == nil || !strings.Contains(err.Error(), "named.toml") {
		t.Errorf("a missing named file: %v", err)
	}
}
