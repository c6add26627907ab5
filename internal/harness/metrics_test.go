package harness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"yipan/internal/directory"
	"yipan/internal/keys"
	"yipan/internal/node"
	"yipan/internal/seal"
)

// The folders of what watches a node.
const (
	rulesFile  = "../../deploy/prometheus/yipan.rules.yml"
	ruleTests  = "../../deploy/prometheus/yipan_test.yml"
	dashboards = "../../deploy/grafana/dashboards"
	schemas    = "../../deploy/grafana/schema"
	runbooks   = "../../docs/runbooks"
)

// described records what is registered, with its labels: a counter by peer has
// no series before the first peer, and is exported all the same.
type described struct {
	*prometheus.Registry
	mu     sync.Mutex
	labels map[string][]string // by name
}

var descText = regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)

func (r *described) Register(c prometheus.Collector) error {
	descs := make(chan *prometheus.Desc, 1000)
	c.Describe(descs)
	close(descs)
	r.mu.Lock()
	defer r.mu.Unlock()
	for d := range descs {
		m := descText.FindStringSubmatch(d.String())
		if m == nil {
			return fmt.Errorf("unreadable description %s", d)
		}
		r.labels[m[1]] = strings.FieldsFunc(m[2], func(c rune) bool { return c == ',' || c == ' ' })
	}
	return r.Registry.Register(c)
}

func (r *described) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

// startAndScrape starts a node as `yipan serve` does and returns the labels of every
// metric that it registers, and what /metrics shows.
func startAndScrape(t *testing.T) (labels map[string][]string, page string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "watched") // PostgreSQL's user is let in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	c := node.Default()
	c.Node = node.NodeConfig{Area: origin.String(), Name: "示例单位", Dir: dir}
	c.GRPC.Listen, c.Metrics.Listen, c.Bus.URL = "127.0.0.1:0", "127.0.0.1:0", "nats://127.0.0.1:1"
	c.Directory.Authority = directory.FormatAuthority(seal.NewSigningKey().Public())
	if _, err := keys.Create(c.KeysDir(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.NodeCertificate(c.KeysDir(), []string{"127.0.0.1"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	j, err := keys.CreateJournal(c.JournalFile())
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	reg := &described{Registry: prometheus.NewRegistry(), labels: map[string][]string{}}
	n, err := node.New(node.Options{Config: c, Version: "test", Registerer: reg, Gatherer: reg})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.Addresses().Metrics+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("/metrics %d, %v", resp.StatusCode, err)
	}
	reg.mu.Lock()
	defer reg.mu.Unlock()
	return maps.Clone(reg.labels), string(b)
}

var (
	comment   = regexp.MustCompile(`(?m)^\s*#.*$`)
	selector  = regexp.MustCompile(`\b(yipan_[a-zA-Z0-9_]+)\b(?:\{([^}]*)\})?`)
	matcher   = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)`)
	grouping  = regexp.MustCompile(`\b(?:by|on|ignoring|without)\s*\(([^)]*)\)`)
	histogram = regexp.MustCompile(`_(?:bucket|sum|count)$`)
	ruleAfter = regexp.MustCompile(`(?m)^\s+(?:for|labels):`)
	alertName = regexp.MustCompile(`(?m)^\s*- alert: (\w+)$`)
)

// uses says which metrics and labels an expression names that are not exported.
func uses(expr string, labels map[string][]string) (bad []string) {
	known := []string{"instance", "job"} // of the target
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		name, extra := m[1], []string(nil)
		of, ok := labels[name]
		if !ok {
			if short := histogram.ReplaceAllString(name, ""); short != name {
				of, ok = labels[short]
				extra = []string{"le"}
			}
		}
		if !ok {
			bad = append(bad, name)
			continue
		}
		of = append(slices.Clone(of), extra...)
		if i := slices.Index(of, "job"); i >= 0 {
			of[i] = "exported_job" // what Prometheus makes of it beside the target's
		}
		known = append(known, of...)
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(of, l[1]) && l[1] != "instance" && l[1] != "job" {
				bad = append(bad, name+"{"+l[1]+"}")
			}
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for l := range strings.SplitSeq(g[1], ",") {
			if l = strings.TrimSpace(l); l != "" && !slices.Contains(known, l) {
				bad = append(bad, "by "+l)
			}
		}
	}
	return bad
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// expressions returns the expressions of a rule file, by alert.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	text := comment.ReplaceAllString(read(t, rulesFile), "")
	out := map[string]string{}
	at := alertName.FindAllStringSubmatchIndex(text, -1)
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		rule := text[m[1]:end]
		_, rest, ok := strings.Cut(rule, "expr: >-")
		exprEnd := ruleAfter.FindStringIndex(rest)
		if !ok || exprEnd == nil {
			t.Fatalf("%s has no expression", text[m[2]:m[3]])
		}
		out[text[m[2]:m[3]]] = rest[:exprEnd[0]]
	}
	if len(out) < 20 {
		t.Fatalf("%d alerts read", len(out))
	}
	return out
}

type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ H, W, X, Y int }
	Targets []struct {
		Expr       string
		Datasource struct{ Type, UID string }
	}
	Options     any
	FieldConfig struct{ Defaults map[string]any }
	Panels      []panel
}

type dashboard struct {
	UID           string
	SchemaVersion int
	Panels        []panel
	Templating    struct {
		List []struct {
			Type, Name string
			Query      any
		}
	}
}

func readDashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob(dashboards + "/*.json")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d dashboards, %v", len(files), err)
	}
	out := map[string]dashboard{}
	for _, f := range files {
		var d dashboard
		if err := json.Unmarshal([]byte(read(t, f)), &d); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		out[f] = d
	}
	return out
}

// What may label a metric; whoever adds one says here that it names no person
// and is bounded.
var labelsAllowed = []string{"area", "code", "job", "kind", "method", "peer", "period", "reason", "result", "role", "side", "stream", "what"}

// Of what a person decided nothing is measured (SECURITY D3).
var decided = regexp.MustCompile(`(?i)refusal|declin|consent|outcome|disclos|standing_`)

// TestMetricsExported holds rules, their tests and dashboards against what a
// real node exports.
func TestMetricsExported(t *testing.T) {
	labels, page := startAndScrape(t)
	for name, of := range labels {
		for _, l := range of {
			if !slices.Contains(labelsAllowed, l) {
				t.Errorf("metric %s has the label %s", name, l)
			}
		}
		if decided.MatchString(name) || decided.MatchString(strings.Join(of, " ")) {
			t.Errorf("metric %s measures what a person decided", name)
		}
	}
	// Those without labels are there from the start.
	for name, of := range labels {
		if len(of) == 0 && !strings.Contains(page, "\n"+name+" ") && !strings.Contains(page, "\n"+name+"_count ") {
			t.Errorf("/metrics does not show %s", name)
		}
	}
	check := func(where, expr string) {
		t.Helper()
		for _, bad := range uses(expr, labels) {
			t.Errorf("%s uses %s, which no node exports", where, bad)
		}
	}
	for alert, expr := range expressions(t) {
		check(alert, expr)
		if !selector.MatchString(expr) && !strings.Contains(expr, "up{") {
			t.Errorf("%s uses no metric", alert)
		}
	}
	for i, line := range strings.Split(read(t, ruleTests), "\n") {
		check(fmt.Sprintf("%s:%d", filepath.Base(ruleTests), i+1), line)
	}
	for file, d := range readDashboards(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				check(filepath.Base(file)+" "+p.Title, target.Expr)
			}
		}
		for _, v := range d.Templating.List {
			check(filepath.Base(file)+" $"+v.Name, fmt.Sprint(v.Query))
		}
	}
}

// TestMetricsExportedCanFail: the reader of expressions finds what is wrong.
func TestMetricsExportedCanFail(t *testing.T) {
	labels := map[string][]string{"yipan_a": {"peer"}, "yipan_j": {"job"}, "yipan_h": nil}
	for expr, bad := range map[string]int{
		`sum by (instance, peer) (rate(yipan_a{peer="x",instance=~"$i"}[5m]))`: 0,
		`yipan_b > 0`:               1,
		`yipan_a{person="x"}`:       1,
		`sum by (person) (yipan_a)`: 1,
		`histogram_quantile(0.9, sum by (le) (yipan_h_bucket))`: 0,
		`yipan_j{exported_job="keys"}`:                          0,
		`yipan_a and on (instance, job) yipan_j{peer="x"}`:      1,
	} {
		if got := uses(expr, labels); len(got) != bad {
			t.Errorf("%s: %v, want %d", expr, got, bad)
		}
	}
}

// TestRunbooks: each alert has a page in both languages and a unit test, and
// each page an alert.
func TestRunbooks(t *testing.T) {
	rules, tests := read(t, rulesFile), read(t, ruleTests)
	pages := map[string]bool{}
	for alert, expr := range expressions(t) {
		if !strings.Contains(tests, "alertname: "+alert+"\n") {
			t.Errorf("%s has no unit test", alert)
		}
		for _, ending := range []string{".md", ".zh-CN.md"} {
			name := alert + ending
			pages[name] = true
			text := read(t, filepath.Join(runbooks, name))
			if !strings.Contains(rules, ": docs/runbooks/"+name+"\n") {
				t.Errorf("no annotation names %s", name)
			}
			if !strings.HasPrefix(text, "# "+alert+"\n") || len(regexp.MustCompile(`(?m)^\d+\. `).FindAllString(text, -1)) < 2 {
				t.Errorf("%s has another title, or fewer than two things to do", name)
			}
			if flat := strings.Join(strings.Fields(expr), " "); !strings.Contains(strings.Join(strings.Fields(text), " "), flat) {
				t.Errorf("%s explains another condition than %s", name, flat)
			}
			for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1) {
				if _, err := os.Stat(filepath.Join(runbooks, link[1])); err != nil {
					t.Errorf("%s links to %s: %v", name, link[1], err)
				}
			}
		}
	}
	files, err := filepath.Glob(runbooks + "/Yipan*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !pages[filepath.Base(f)] {
			t.Errorf("%s is of no alert", f)
		}
	}
}

func schema(t *testing.T, name, at string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(filepath.Join(schemas, name+".schema.json") + at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestDashboards holds the dashboards against Grafana's own model, their panels
// against those of the plugins, and each other.
func TestDashboards(t *testing.T) {
	whole := schema(t, "dashboard", "")
	type plugin struct{ options, custom *jsonschema.Schema }
	plugins := map[string]plugin{
		"timeseries": {schema(t, "timeseries", "#/definitions/Options"), schema(t, "timeseries", "#/definitions/FieldConfig")},
		"stat":       {schema(t, "stat", "#/definitions/Options"), nil},
		"table":      {schema(t, "table", "#/definitions/Options"), schema(t, "table", "#/definitions/FieldConfig")},
	}
	uids := map[string]bool{}
	for file, d := range readDashboards(t) {
		text := read(t, file)
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := whole.Validate(doc); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		// It can fail: an unknown member, and one of another type.
		for old, wrong := range map[string]string{`"editable": true`: `"editible": true`, `"graphTooltip": 1`: `"graphTooltip": "1"`} {
			broken := strings.Replace(text, old, wrong, 1)
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(broken))
			if err != nil || broken == text || whole.Validate(doc) == nil {
				t.Errorf("%s: the schema takes %s (%v)", file, wrong, err)
			}
		}
		if d.UID != strings.TrimSuffix(filepath.Base(file), ".json") || uids[d.UID] || len(d.UID) < 8 || len(d.UID) > 40 {
			t.Errorf("%s has the uid %q", file, d.UID)
		}
		uids[d.UID] = true
		if d.SchemaVersion != 42 {
			t.Errorf("%s: schema version %d", file, d.SchemaVersion)
		}
		if !bytes.Contains([]byte(text), []byte(`"name": "DS_PROMETHEUS"`)) {
			t.Errorf("%s has no variable for its data source", file)
		}
		ids, taken := map[int]bool{}, map[[2]int]string{}
		for _, p := range d.Panels {
			if ids[p.ID] || p.ID == 0 {
				t.Errorf("%s: %q has the id %d", file, p.Title, p.ID)
			}
			ids[p.ID] = true
			if p.GridPos.X+p.GridPos.W > 24 || p.GridPos.W < 1 || p.GridPos.H < 1 {
				t.Errorf("%s: %q stands beside the grid", file, p.Title)
			}
			for x := range p.GridPos.W {
				for y := range p.GridPos.H {
					at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
					if taken[at] != "" {
						t.Errorf("%s: %q covers %q", file, p.Title, taken[at])
					}
					taken[at] = p.Title
				}
			}
			if p.Type == "row" {
				continue
			}
			plug, ok := plugins[p.Type]
			if !ok {
				t.Errorf("%s: %q is of the plugin %s, of which no schema is here", file, p.Title, p.Type)
				continue
			}
			if err := plug.options.Validate(p.Options); err != nil {
				t.Errorf("%s: options of %q: %v", file, p.Title, err)
			}
			if custom, ok := p.FieldConfig.Defaults["custom"]; ok {
				if plug.custom == nil {
					t.Errorf("%s: %q has fields of another plugin", file, p.Title)
				} else if err := plug.custom.Validate(custom); err != nil {
					t.Errorf("%s: fields of %q: %v", file, p.Title, err)
				}
			}
			if len(p.Targets) == 0 {
				t.Errorf("%s: %q shows nothing", file, p.Title)
			}
			for _, target := range p.Targets {
				if target.Expr == "" || target.Datasource.UID != "${DS_PROMETHEUS}" {
					t.Errorf("%s: %q asks %q of %q", file, p.Title, target.Expr, target.Datasource.UID)
				}
			}
		}
	}
}
