package harness

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"yipan/internal/rates"
)

// ofDecisions are words of what a person decided, as figures must not know them.
var ofDecisions = regexp.MustCompile(`(?i)refus|declin|consent|disclos|uptake|unwilling|objected|outcome|result|谢绝|拒绝|未授权|不同意|同意率`)

// notOfPeople are names that match ofDecisions and say nothing of anybody, each with
// what it is.
var notOfPeople = map[string]string{
	"yipan_directory_refused_total":        "entries of the directory that do not prove themselves",
	"yipan_exchange_parcels_refused_total": "parcels that do not open or are not signed",
	"result":                               "how a delivery, a call or a job of the machine ended",
}

// figureServices are the services through which figures leave an office.
var figureServices = regexp.MustCompile(`^yipan\.(rates|node)\.`)

// TestSecurity10NoRefusalMetric: row 10. No message that figures travel in, no
// measure, exclusion, standing or sign, and no metric is about what a person
// decided.
func TestSecurity10NoRefusalMetric(t *testing.T) {
	walked := 0
	name := func(s, of string) {
		walked++
		if ofDecisions.MatchString(s) {
			t.Errorf("%s of %s is about what somebody decided", s, of)
		}
	}
	for _, m := range methods(t) {
		if !figureServices.MatchString(string(m.FullName())) {
			continue
		}
		name(string(m.Name()), string(m.Parent().FullName()))
		for _, d := range []protoreflect.MessageDescriptor{m.Input(), m.Output()} {
			fieldsOf(d, func(f protoreflect.FieldDescriptor) {
				name(string(f.Name()), string(f.ContainingMessage().FullName()))
				if e := f.Enum(); e != nil {
					for i := range e.Values().Len() {
						name(string(e.Values().Get(i).Name()), string(e.FullName()))
					}
				}
			})
		}
	}
	if walked < 150 {
		t.Fatalf("only %d names of messages", walked)
	}
	for _, m := range rates.All() {
		name(m.String(), "measures")
		name(m.Zh(), "measures")
	}
	for c := rates.Included; c <= rates.OtherKind; c++ {
		name(c.String(), "exclusions")
		name(c.Zh(), "exclusions")
	}
	for _, s := range rates.Signs() {
		name(s.String(), "signs")
		name(s.Zh(), "signs")
	}
	for _, bad := range []string{"MEASURE_REFUSAL", "declined", "consent_rate", "yipan_offers_declined_total", "谢绝率", "no_disclosure_share"} {
		if !ofDecisions.MatchString(bad) {
			t.Errorf("%s passes", bad)
		}
	}

	// Metrics and their labels, and what rules and dashboards ask.
	metrics := 0
	excused := map[string]bool{}
	for _, found := range metricWords(t) {
		metrics++
		if ofDecisions.MatchString(found.word) {
			if notOfPeople[found.word] == "" {
				t.Errorf("%s: metric or label %q is about what somebody decided", found.at, found.word)
			}
			excused[found.word] = true
		}
	}
	if metrics < 30 {
		t.Fatalf("only %d names of metrics and labels", metrics)
	}
	for w := range notOfPeople {
		if !excused[w] {
			t.Errorf("%q needs no excuse any more", w)
		}
	}
}

type metricWord struct{ at, word string }

// metricWords are the names and labels given to constructors of Prometheus, in
// this module's sources.
func metricWords(t *testing.T) (out []metricWord) {
	t.Helper()
	metric := regexp.MustCompile(`^yipan_[a-z0-9_]+$`)
	label := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "gen" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		uses := false
		for _, i := range file.Imports {
			uses = uses || i.Path.Value == `"github.com/prometheus/client_golang/prometheus"`
		}
		if !uses {
			return nil
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !strings.HasPrefix(f.Sel.Name, "New") {
				return true
			}
			if x, ok := f.X.(*ast.Ident); !ok || x.Name != "prometheus" {
				return true
			}
			ast.Inspect(call, func(n ast.Node) bool {
				l, ok := n.(*ast.BasicLit)
				if !ok || l.Kind != token.STRING {
					return true
				}
				s, err := strconv.Unquote(l.Value)
				if err == nil && (metric.MatchString(s) || label.MatchString(s)) {
					out = append(out, metricWord{fset.Position(l.Pos()).String(), s})
				}
				return true
			})
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
