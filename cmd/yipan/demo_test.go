package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/cli"
	"yipan/internal/harness/demo"
	"yipan/internal/harness/roster"
	"yipan/internal/harness/town"
	"yipan/internal/sheet"
)

// demoTime bounds a small demo on a loaded machine with the race detector.
const demoTime = 4 * time.Minute

// within runs commands in this process, as the demo does.
func within(ctx context.Context, args []string, out, errOut io.Writer) int {
	return run(ctx, args, cli.Std{Out: out, Err: errOut})
}

// A small demo from end to end; while it stays up, every line that it prints is
// executed; afterwards its folder betrays nobody.
func TestDemo(t *testing.T) {
	dir := filepath.Join(place(t), "demo")
	ctx, cancel := context.WithTimeout(t.Context(), demoTime)
	defer cancel()
	up := make(chan demo.Result, 1)
	var out bytes.Buffer
	ended := make(chan error, 1)
	go func() {
		c := DemoCommand{Data: dir, Seed: 1, People: 200}
		ended <- c.run(ctx, &cli.Env{Std: cli.Std{Out: &out}}, func(r demo.Result) { up <- r })
	}()
	var res demo.Result
	select {
	case res = <-up:
	case err := <-ended:
		t.Fatalf("demo ended before it was up: %v\n%s", err, out.String())
	}
	printed := out.String() // nothing is printed while it waits
	if !res.Conservation.Holds() || res.Conservation.Cases < 200 || !strings.Contains(printed, "0 missing, 0 doubled") {
		t.Errorf("conservation: %+v\n%s", res.Conservation, printed)
	}
	if got := res.Report.Certificates; got.N != 82 || got.D != 84 {
		t.Errorf("certificates: %v", got)
	}
	if got := res.Report.Verified.String(); got != "3/3 100.00%" {
		t.Errorf("verified: %v", got)
	}
	for _, l := range res.Lines {
		if !strings.Contains(printed, "\n  # "+l.Zh+"\n") {
			t.Errorf("%q is not printed", l.Zh)
		}
	}
	if lines := commandsIn(printed); len(lines) != len(res.Lines) {
		t.Errorf("%d lines are printed, not %d:\n%s", len(lines), len(res.Lines), strings.Join(lines, "\n"))
	} else {
		for _, line := range lines {
			execute(t, line)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("demo: %v", err)
	}
	betraysNobody(t, dir)

	if r := yipan(t, "demo", "--once", "--data", dir); r.code != cli.ExitFailed || !strings.Contains(r.err, "不是空的") {
		t.Errorf("demo in a folder that is not empty: %+v", r)
	}
}

// commandsIn returns the lines that the demo prints to be tried.
func commandsIn(printed string) []string {
	var out []string
	lines := strings.Split(printed, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "  # ") && i+1 < len(lines) {
			out = append(out, strings.TrimSpace(lines[i+1]))
		}
	}
	return out
}

// execute runs a printed line in a shell at the top of the checkout, with this
// test program for `go run ./cmd/yipan`.
func execute(t *testing.T, line string) {
	t.Helper()
	const asPrinted = "go run ./cmd/yipan "
	if rest, ok := strings.CutPrefix(line, asPrinted); ok {
		line = "'" + os.Args[0] + "' " + rest
	} else if !strings.HasPrefix(line, "go tool ") {
		t.Errorf("what should run this? %s", line)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), demoTime) // a first grpcurl is compiled
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	if out, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) == 0 {
		t.Errorf("%s\n%v\n%s", line, err, out)
	}
}

// betraysNobody looks for everybody of the roster in what the broker stored and
// in what was logged.
func betraysNobody(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "roster.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, _, err := sheet.ReadRoster(f)
	if err != nil || len(rows) < 200 {
		t.Fatalf("roster of %d: %v", len(rows), err)
	}
	files := 0
	for folder, names := range map[string]bool{"hub": false, "log": true} {
		err := filepath.WalkDir(filepath.Join(dir, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			files++
			for _, r := range rows {
				if bytes.Contains(b, []byte(r.Document.Number)) || names && bytes.Contains(b, []byte(r.Name)) {
					t.Errorf("%s names the person of %v", path, r)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if files < 5 {
		t.Errorf("only %d files of hub and logs", files)
	}
}

// 篇一 with one certificate fewer: 1630/1677 is 97.20 %. The origin's node alone
// computes it; its notices wait for the others.
func TestOneCertificateFewer(t *testing.T) {
	spec := roster.Default()
	spec.Reference = civil.In(time.Now())
	rows := roster.Rows(roster.Make(1, spec))
	var asked []sheet.RosterRow
	removed := false
	for _, r := range rows {
		if r.Asked.IsZero() {
			continue
		}
		if !removed && !r.Issued.IsZero() {
			r.Issued, removed = civil.Date{}, true
		}
		asked = append(asked, r)
	}
	dir := place(t)
	file := filepath.Join(dir, "roster.csv")
	var b bytes.Buffer
	if err := sheet.WriteRoster(&b, asked); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), demoTime)
	defer cancel()
	tn, err := town.New(ctx, town.Config{
		Dir: filepath.Join(dir, "town"), Program: within, Policy: []byte(must(t, "policy", "default")),
		Nodes: []town.NodeConfig{{Folder: "origin", Area: spec.Origin.Cut(area.County), Name: "示例单位", Accounts: []town.Account{
			{Name: "clerk-1", Role: access.Clerk, Offices: []area.Key{spec.Origin}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tn.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if err := tn.Start(ctx); err != nil {
		t.Fatal(err)
	}
	n := tn.Nodes[0]
	at := []string{"--addr", n.Address, "--ca", n.Certificate(), "--token-file", n.TokenFile("clerk-1")}
	must(t, append([]string{"case", "import", file, "--no-consents"}, at...)...)
	got := must(t, append([]string{"rates", "--measure", "certificate", "--json"}, at...)...)
	if !strings.Contains(got, `"97.20"`) || !strings.Contains(got, `"1630"`) || !strings.Contains(got, `"1677"`) {
		t.Errorf("rates: %s", got)
	}
}

// A build that acknowledges what it does not commit must not pass the demo's
// check: it ends with exit code 1 and names the cases.
func TestPlantedFaultIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program once more")
	}
	dir := place(t)
	program := filepath.Join(dir, "yipan")
	ctx, cancel := context.WithTimeout(t.Context(), demoTime)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-tags", "plantedfault", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(ctx, program, "demo", "--once", "--people", "200", "--data", filepath.Join(dir, "demo")).Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the planted fault: %v\n%s", err, out)
	}
	named, clean := 0, false
	for line := range strings.Lines(string(out)) {
		clean = clean || strings.TrimSpace(line) == "0 missing, 0 doubled" // "20 missing" is not
		if _, what, ok := strings.Cut(line, "丢失 "); ok && len(what) > 32 && strings.Trim(what[:32], "0123456789abcdef") == "" {
			named++
		}
	}
	if named == 0 || clean {
		t.Errorf("no case is named:\n%s", out)
	}
}
