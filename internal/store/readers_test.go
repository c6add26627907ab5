package store_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// shows are the functions whose statements read personal columns of table person:
// name, document, telephone, profile, birth date (SECURITY D13). Their callers
// log the read in the same transaction.
var shows = map[string]string{
	"PersonsByID":    "files",
	"LockPersonRows": "files, for a change",
	"MergedInto":     "files that were merged into others",
	"SearchNames":    "whom a name finds",
	"SearchInitials": "whom initials find",
	"OffersDue":      "birth dates, as places in a list",
}

// readers are the files that call them, each with where the read is logged.
var readers = map[string]string{
	"desk/forget.go":        "asks whether a file is more than what a notice told; shows nobody",
	"desk/replay.go":        "asks who is restricted; shows nobody",
	"figures/annual.go":     "one event for each office and run, with the count; shows nobody",
	"moves/accept.go":       "Prefill and Accept log",
	"moves/register.go":     "Register, Accept and Undo log whom they are about",
	"moves/undo.go":         "Undo and List log",
	"people/draft.go":       "RegisterPerson and the movements log whom they register",
	"people/duplicate.go":   "Propose: its callers log; ListDuplicates logs",
	"people/file.go":        "Register, Change, ProfileOf, Root, Group: their callers log",
	"people/match.go":       "Matches: its callers log whom they show, and runs of the machine their count",
	"people/merge.go":       "decide logs every file that it locked",
	"people/reindex.go":     "one event a run, with the count",
	"people/restrict.go":    "with logs whom it shows, and misses",
	"people/search.go":      "SearchPersons logs whom it shows, and misses",
	"people/view.go":        "with logs whom it shows, and misses",
	"services/due.go":       "ListDue logs the page",
	"services/contact.go":   "RecordContact and ListContacts log, and misses",
	"services/person.go":    "PersonServices logs, and misses",
	"services/recording.go": "recording of services: its callers log",
	"todo/others.go":        "masked: List logs the page",
	"todo/plan.go":          "Preview logs whom it shows",
}

var (
	ofPerson   = regexp.MustCompile(`\b(FROM|JOIN|UPDATE|INTO) person\b`)
	selectList = regexp.MustCompile(`(?s)\b(?:SELECT|RETURNING)\b(.*?)(?:\bFROM\b|$)`)
	personal   = regexp.MustCompile(`\b(name|initials|doc|phone|profile|birth)\b`)
)

// TestReadsOfPersonsAreKnown: a statement that reads personal columns stands in a
// function that is known for it, and that is called by files which are known to
// log. Who adds one decides where the read is logged, and says it here.
func TestReadsOfPersonsAreKnown(t *testing.T) {
	reading := map[string]bool{}
	for name, sql := range statements(t) {
		if !ofPerson.MatchString(sql) {
			continue
		}
		for _, list := range selectList.FindAllStringSubmatch(sql, -1) {
			// An upsert of arrays selects values that the program brings.
			if personal.MatchString(list[1]) && !strings.HasPrefix(strings.TrimSpace(sql), "INSERT") {
				reading[name] = true
			}
		}
	}
	if !reading["personsByID"] || !reading["searchNames"] || reading["personKeys"] || reading["erasePerson"] || reading["countOffersDue"] {
		t.Fatalf("the lint reads statements wrongly: %v", slices.Sorted(maps.Keys(reading)))
	}
	fset := token.NewFileSet()
	got := map[string]bool{}
	eachFunc(t, fset, ".", func(_ string, fn *ast.FuncDecl) {
		ast.Inspect(fn, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && reading[id.Name] {
				got[fn.Name.Name] = true
			}
			return true
		})
	})
	for name := range got {
		if shows[name] == "" {
			t.Errorf("store: %s reads personal columns of table person: add it to shows, and log where it is called", name)
		}
	}
	for name := range shows {
		if !got[name] {
			t.Errorf("store: %s reads no personal columns any more", name)
		}
	}
	called := map[string]bool{}
	eachFunc(t, fset, "..", func(file string, fn *ast.FuncDecl) {
		if strings.HasPrefix(file, "store/") || strings.HasPrefix(file, "harness/") || strings.HasPrefix(file, "gen/") {
			return
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			// A function may be handed on as well as called.
			for _, e := range append(slices.Clone(call.Args), call.Fun) {
				if s, ok := e.(*ast.SelectorExpr); ok && shows[s.Sel.Name] != "" && s.Sel.Name != "MergedInto" || ok && e == call.Fun && s.Sel.Name == "MergedInto" {
					called[file] = true
				}
			}
			return true
		})
	})
	for file := range called {
		if readers[file] == "" {
			t.Errorf("%s reads persons: add it to readers, with where the read is logged", file)
		}
	}
	for file := range readers {
		if !called[file] {
			t.Errorf("%s reads no persons any more: take it off readers", file)
		}
	}
}

// eachFunc visits the functions of the sources below a folder, tests left out;
// file names are relative to it.
func eachFunc(t *testing.T, fset *token.FileSet, dir string, visit func(file string, fn *ast.FuncDecl)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				visit(filepath.ToSlash(rel), fn)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
