package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	module   = "yipan"
	internal = "internal/"
)

// A Breach is one place where a source tree leaves the plan.
type Breach struct {
	File string // slash-separated, from the root of the module
	Rule string // one of the Rule constants
	Text string // what is wrong, for a person
}

func (b Breach) String() string { return b.File + ": " + b.Text + " [" + b.Rule + "]" }

// The rules that Check holds a tree to.
const (
	RuleRoom      = "room"      // each package is of a room of the plan, or a program where the plan has one
	RuleFloor     = "floor"     // imports go down, or beside where the plan says so
	RuleNever     = "never"     // the plan's "never" column
	RuleKept      = "kept"      // drivers and templates stay in their rooms
	RuleTests     = "tests"     // what is for tests is imported by tests
	RuleGenerated = "generated" // gen holds generated files alone
	RuleLines     = "lines"     // no file is everybody's room
)

// Check parses every Go file of the module whose root tree is, and returns the
// places where it leaves the plan, in order of file name. Folders that the go
// command ignores, and modules inside the module, are left out. A file that
// does not parse is an error.
func Check(tree fs.FS) ([]Breach, error) {
	var found []Breach
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(tree, name)
		}
		if path.Ext(name) != ".go" || strings.HasPrefix(path.Base(name), "_") || strings.HasPrefix(path.Base(name), ".") {
			return nil
		}
		f, err := parse(tree, name)
		if err != nil {
			return err
		}
		found = append(found, f.check()...)
		return nil
	})
	return found, err
}

// skip answers fs.SkipDir for folders that are not of this module.
func skip(tree fs.FS, dir string) error {
	if dir == "." {
		return nil
	}
	base := path.Base(dir)
	if base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' {
		return fs.SkipDir
	}
	if _, err := fs.Stat(tree, path.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// A file is what the rules need to know of a source file.
type file struct {
	name      string
	dir       string
	pkg       string
	imports   []string
	lines     int
	generated bool
}

func parse(tree fs.FS, name string) (file, error) {
	src, err := fs.ReadFile(tree, name)
	if err != nil {
		return file{}, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return file{}, err
	}
	f := file{
		name:      name,
		dir:       path.Dir(name),
		pkg:       parsed.Name.Name,
		lines:     bytes.Count(src, []byte("\n")),
		generated: ast.IsGenerated(parsed),
	}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, fmt.Errorf("%s: import %s: %w", name, spec.Path.Value, err)
		}
		f.imports = append(f.imports, imported)
	}
	return f, nil
}

func (f file) check() []Breach {
	var found []Breach
	add := func(rule, text string, args ...any) {
		found = append(found, Breach{File: f.name, Rule: rule, Text: fmt.Sprintf(text, args...)})
	}

	test := strings.HasSuffix(f.name, "_test.go")
	switch {
	case test || f.generated:
	case f.name == program+"/main.go" && f.lines > maxMainLines:
		add(RuleLines, "%d lines, at most %d: main.go only chooses the command", f.lines, maxMainLines)
	case f.lines > maxLines:
		add(RuleLines, "%d lines, at most %d", f.lines, maxLines)
	}

	if f.dir == program {
		for _, imported := range f.imports {
			if !test && isForTests(imported) {
				add(RuleTests, "imports %s, which is for tests", imported)
			}
		}
		return found
	}
	if isForTests(module+"/"+f.dir) && !slices.Contains(forTests, roomName(f.dir)) {
		return found
	}
	here, ok := find(roomName(f.dir))
	if !ok {
		add(RuleRoom, "package %s is neither a room of the plan nor %s", f.dir, program)
		return found
	}
	if f.pkg == "main" {
		if path.Base(f.dir) != generator {
			add(RuleRoom, "a program, which is neither %s nor a folder %s of a room", program, generator)
		}
		return found
	}
	if here.name == "gen" && !f.generated {
		add(RuleGenerated, "gen holds generated files alone")
	}
	if test && !slices.Contains(forTests, here.name) {
		return found
	}
	for _, imported := range f.imports {
		if isForTests(imported) && !test && roomOf(imported) != here.name {
			add(RuleTests, "imports %s, which is for tests", imported)
			continue
		}
		if b := here.breach(imported); b.Rule != "" {
			b.File = f.name
			found = append(found, b)
		}
	}
	return found
}

// breach says which rule an import by this room breaks; one is enough, and a
// Breach without a rule is none.
func (r room) breach(imported string) Breach {
	target := roomOf(imported)
	if target == r.name {
		return Breach{}
	}
	for word := range strings.FieldsSeq(r.never) {
		if covers(word, imported) {
			return Breach{Rule: RuleNever, Text: fmt.Sprintf("%s never imports %s, here %s", r.name, word, imported)}
		}
	}
	for thing, owners := range kept {
		if covers(thing, imported) && !has(owners, r.name) {
			return Breach{Rule: RuleKept, Text: fmt.Sprintf("%s is kept in %s, here %s", imported, owners, r.name)}
		}
	}
	if imported != module && !strings.HasPrefix(imported, module+"/") {
		return Breach{}
	}
	below, ok := find(target)
	switch {
	case !ok:
		return Breach{Rule: RuleRoom, Text: fmt.Sprintf("imports %s, which no room of the plan holds", imported)}
	case target == "fault" || below.floor < r.floor || has(r.beside, target):
		return Breach{}
	case below.floor == r.floor:
		return Breach{Rule: RuleFloor, Text: fmt.Sprintf("%s is not among the rooms that %s may import beside it", target, r.name)}
	default:
		return Breach{Rule: RuleFloor, Text: fmt.Sprintf("%s (floor %d) imports %s (floor %d): imports go down", r.name, r.floor, target, below.floor)}
	}
}

// covers reports whether a word of the "never" column stands for an import.
func covers(word, imported string) bool {
	if paths, ok := outside[word]; ok {
		covered := false
		for _, p := range paths {
			if p, out := strings.CutPrefix(p, "-"); out {
				if imported == p {
					return false
				}
			} else if imported == p || strings.HasSuffix(p, "/") && strings.HasPrefix(imported, p) {
				covered = true
			}
		}
		return covered
	}
	target := roomOf(imported)
	if target == word {
		return true
	}
	r, ok := find(target)
	return ok && r.floor.String() == word && r.name != "fault"
}

// floors by name, as the "never" column calls them. The floor of the desk has
// the name of its first room, and is not to be confused with it.
var floorNames = [...]string{words: "words", rules: "rules", machines: "machines", desk: "", doors: "doors", house: "", town: ""}

func (f floor) String() string { return floorNames[f] }

func find(name string) (room, bool) {
	i := slices.IndexFunc(plan, func(r room) bool { return r.name == name })
	if i < 0 {
		return room{}, false
	}
	return plan[i], true
}

// roomName is the room that a folder belongs to, "" for one outside internal/.
func roomName(dir string) string {
	rest, ok := strings.CutPrefix(dir, internal)
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// roomOf is the room that an import path leads to, "" for one that leads out.
func roomOf(imported string) string {
	dir, ok := strings.CutPrefix(imported, module+"/")
	if !ok {
		return ""
	}
	return roomName(dir)
}

func isForTests(imported string) bool {
	dir, ok := strings.CutPrefix(imported, module+"/"+internal)
	if !ok {
		return false
	}
	return slices.Contains(forTests, roomOf(imported)) ||
		slices.ContainsFunc(strings.Split(dir, "/"), func(s string) bool { return strings.HasSuffix(s, "test") })
}

func has(list, word string) bool { return slices.Contains(strings.Fields(list), word) }
