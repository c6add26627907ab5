package node

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"yipan/internal/fault"
	"yipan/internal/policy"
)

// policyInterval is how often a running node looks whether its policy files
// have changed.
const policyInterval = time.Minute

// PolicyDir returns the folder into which `yipan policy import` puts files.
func (c *Config) PolicyDir() string { return filepath.Join(c.Node.Dir, "policy") }

// Policies reads a node's policies: the files that the configuration names, or
// the embedded policy where it names none, and every *.toml of PolicyDir. A
// policy that stands in several files alike counts once. Errors: NotFound,
// Unavailable or Invalid POLICY_FILE, which name the file; policy.NewSet's.
func Policies(c *Config) (*policy.Set, error) {
	var ps []*policy.Policy
	add := func(p *policy.Policy) {
		if !slices.ContainsFunc(ps, func(o *policy.Policy) bool { return o.Version == p.Version && o.Digest == p.Digest }) {
			ps = append(ps, p)
		}
	}
	if len(c.Policy.Files) == 0 {
		add(policy.Default())
	}
	imported, err := filepath.Glob(filepath.Join(c.PolicyDir(), "*.toml"))
	if err != nil {
		imported = nil // the folder's name is no pattern that can be read
	}
	for i, name := range slices.Concat(c.Policy.Files, imported) {
		p, err := readPolicy(name)
		if errors.Is(err, fs.ErrNotExist) && i >= len(c.Policy.Files) {
			continue // taken away while we looked
		}
		if err != nil {
			return nil, err
		}
		add(p)
	}
	return policy.NewSet(ps...)
}

func readPolicy(name string) (*policy.Policy, error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.NotFound("POLICY_FILE", "node: no policy file %s", name).On("policy.files").Because(err).Zh("没有政策文件 %s", name)
	}
	if err != nil {
		return nil, fault.Unavailable("POLICY_FILE", "node: read policy file %s", name).On("policy.files").Because(err).Zh("无法读取政策文件 %s", name)
	}
	p, err := policy.Parse(b)
	if err != nil {
		e := fault.Invalid("POLICY_FILE", "node: policy file %s", name).On("policy.files").Because(err)
		if f, ok := fault.As(err); ok {
			e = e.Zh("%s：%s", name, f.Text)
		}
		return nil, e
	}
	return p, nil
}

// policyFollower keeps a set as its node's files are.
type policyFollower struct {
	config *Config
	set    *policy.Set
	log    *slog.Logger
	failed string // what was last said to be wrong
}

// run looks again and again until ctx ends.
func (f *policyFollower) run(ctx context.Context) error {
	tick := time.NewTicker(policyInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.look()
		}
	}
}

// look takes over files that changed. With a wrong one all stays as it was; it
// is said once.
func (f *policyFollower) look() {
	fresh, err := Policies(f.config)
	if err != nil {
		if err.Error() != f.failed {
			f.log.Error("policy files not taken over, the old policies stay in force", "error", err)
		}
		f.failed = err.Error()
		return
	}
	f.failed = ""
	before, after := policyNames(f.set), policyNames(fresh)
	if slices.Equal(before, after) {
		return
	}
	f.set.Replace(fresh)
	f.log.Info("policies changed", "before", before, "now", after)
}

// policyNames are versions with digests.
func policyNames(s *policy.Set) []string {
	var out []string
	for _, p := range s.All() {
		out = append(out, p.Version+"/"+p.Digest.String())
	}
	return out
}
