package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func pkg(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "dist"), 0o755); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{
		"provinces.csv": "code,name\n52,\"甲省\"\n11,\"乙市\"\n",
		"cities.csv":    "\ufeffname,code,provinceCode\n丙市,5203,52\n",
		"areas.csv":     "code,name,cityCode\n520330,丁县,5203\n",
		"streets.csv":   "areaCode,code,name\n520330,520330001,戊街道\n",
	}
	for n, s := range files {
		all[n] = s
	}
	for n, s := range all {
		if err := os.WriteFile(filepath.Join(dir, "dist", n), []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "a.gz")
	var first []byte
	for i := range 2 {
		if err := run(pkg(t, nil), out); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && !bytes.Equal(b, first) {
			t.Error("equal packages gave different bytes")
		}
		first = b
	}
	z, err := gzip.NewReader(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	want := "code,name\n11,乙市\n52,甲省\n5203,丙市\n520330,丁县\n520330001,戊街道\n"
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRunRefuses(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"orphan":     {"streets.csv": "code,name\n520331001,戊街道\n"},
		"twice":      {"areas.csv": "code,name\n520330,丁县\n520330,丁县\n"},
		"no column":  {"cities.csv": "id,name\n5203,丙市\n"},
		"empty name": {"areas.csv": "code,name\n520330,\n"},
		"digits":     {"areas.csv": "code,name\n52033,丁县\n"},
		"comma":      {"areas.csv": "code,name\n520330,\"丁,县\"\n"},
	} {
		out := filepath.Join(t.TempDir(), "a.gz")
		if err := run(pkg(t, files), out); err == nil {
			t.Errorf("%s: taken", name)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: wrote a file", name)
		}
	}
}
