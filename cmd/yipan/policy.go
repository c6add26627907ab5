package main

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"yipan/internal/civil"
	"yipan/internal/cli"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/node"
	"yipan/internal/policy"
)

// PolicyCommand groups the commands on policy files.
type PolicyCommand struct {
	Check   PolicyCheck   `cmd:"" help:"检查政策文件，并与生效中的政策对照|Check policy files, and compare them to the policy in force"`
	Import  PolicyImport  `cmd:"" help:"把政策文件导入本机的节点|Take a policy file into a node of this machine"`
	List    PolicyList    `cmd:"" help:"列出节点的政策版本|List the policies of a node"`
	Texts   PolicyTexts   `cmd:"" help:"同意书文本：版本、校验值、全文|Consent texts: version, SHA-256, text"`
	Default PolicyDefault `cmd:"" help:"输出内置的政策文件，供修改|Print the embedded policy file, to start from"`
}

// Placed are the flags of commands that work on a node's folder: --data names it
// without its configuration.
type Placed struct {
	Configured
	Data string `placeholder:"DIR" help:"节点的目录（yipan init 所建）；代替 --config|The node's folder, as yipan init makes it; instead of --config"`
}

func (c Placed) load(e *cli.Env) (*node.Loaded, error) {
	if c.Data == "" {
		return c.Configured.load(e)
	}
	if c.Config != "" {
		return nil, fault.Invalid("USAGE", "--data and --config exclude each other").Zh("--data 与 --config 只能用一个")
	}
	if st, err := os.Stat(c.Data); err != nil || !st.IsDir() {
		return nil, fault.NotFound("DATA_DIR", "no folder %s", c.Data).Zh("没有目录 %s", c.Data)
	}
	if _, err := os.Stat(filepath.Join(c.Data, configName)); err == nil {
		c.Config = c.Data
	} else {
		c.Set = append(slices.Clone(c.Set), "node.dir="+c.Data)
	}
	return c.Configured.load(e)
}

// PolicyCheck is `yipan policy check FILE...`.
type PolicyCheck struct {
	Placed
	Files []string `arg:"" name:"file" help:"政策文件（TOML）|Policy files (TOML)"`
}

// Run prints the problems and remarks of each file, what it changes, and
// whether the files go together. A problem makes exit code 1.
func (c PolicyCheck) Run(e *cli.Env) error {
	known, err := c.known(e)
	if err != nil {
		return err
	}
	bad := 0
	var ps []*policy.Policy
	for _, name := range c.Files {
		p, n, err := readPolicy(e, name)
		if err != nil {
			return err
		}
		if bad += n; n > 0 {
			continue
		}
		ps = append(ps, p)
		if err := describe(e, name, p, known); err != nil {
			return err
		}
	}
	if bad > 0 {
		return wrongFiles(bad)
	}
	_, err = policy.NewSet(ps...)
	return err
}

// known is what is in force where the command runs: a node's policies if one is
// configured here, else the embedded policy.
func (c PolicyCheck) known(e *cli.Env) (*policy.Set, error) {
	l, err := c.load(e)
	if err != nil && (c.Config != "" || c.Data != "") {
		return nil, err
	}
	var s *policy.Set
	if err == nil {
		s, err = node.Policies(&l.Config)
	}
	if err != nil {
		// A file must be checkable where the node's own are broken.
		e.Note("提醒：读不到本机节点的政策，与内置政策对照", "Note: this machine's policies cannot be read; comparing to the embedded one")
		return policy.NewSet(policy.Default())
	}
	return s, nil
}

// readPolicy reads and checks a file, prints its problems, and counts them.
func readPolicy(e *cli.Env, name string) (*policy.Policy, int, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, 0, fault.NotFound("POLICY_FILE", "read policy file %s", name).Because(err).Zh("无法读取政策文件 %s", name)
	}
	problems := policy.Check(b)
	for _, p := range problems {
		if e.JSON {
			if err := object(e, map[string]any{"file": name, "line": p.Line, "key": p.Key, "problem": p.Text}); err != nil {
				return nil, 0, err
			}
			continue
		}
		say(e, "%s：%s", "%s: %s", name, p)
	}
	if len(problems) > 0 {
		return nil, len(problems), nil
	}
	p, err := policy.Parse(b)
	return p, 0, err
}

func wrongFiles(n int) error {
	return fault.Invalid("POLICY_FILE", "%d problems in policy files", n).Zh("政策文件有 %d 处问题", n)
}

// describe prints what a right policy is, and what somebody should know before
// it takes the place of the one that applies on its first day (or today, where
// that is later).
func describe(e *cli.Env, name string, p *policy.Policy, known *policy.Set) error {
	on := p.From
	if today := civil.In(time.Now()); on.Before(today) {
		on = today
	}
	changes, against := []string{}, ""
	if old, err := known.At(on); err == nil {
		changes, against = append(changes, p.ChangesFrom(old)...), old.Version
	}
	if e.JSON {
		return object(e, map[string]any{"file": name, "version": p.Version, "digest": p.Digest.String(), "from": p.From.String(), "to": p.To.String(),
			"remarks": append([]string{}, p.Remarks()...), "compared_to": against, "changes": changes})
	}
	say(e, "%s：正确，版本 %s，自 %s 起，指纹 %s", "%s: right, version %s, from %s, digest %s", name, p.Version, p.From, p.Digest)
	for _, r := range p.Remarks() {
		say(e, "  提醒：%s", "  Note: %s", r)
	}
	for _, c := range changes {
		say(e, "  与 %s 相比：%s", "  Compared to %s: %s", against, c)
	}
	return nil
}

// PolicyTexts is `yipan policy texts [VERSION]`.
type PolicyTexts struct {
	Placed
	Version string `arg:"" optional:"" help:"只输出这一版的全文，供打印|Print this version's text alone, for paper"`
}

// Run lists the consent texts of the policy in force and the standard ones, or
// prints one as it was hashed: sha256sum of the output is its hash.
func (c PolicyTexts) Run(e *cli.Env) error {
	l, err := c.load(e)
	if err != nil {
		return err
	}
	set, err := node.Policies(&l.Config)
	if err != nil {
		return err
	}
	p, err := set.At(civil.In(time.Now()))
	if err != nil {
		return err
	}
	for _, purpose := range ledger.Purposes() {
		for _, t := range p.TextsFor(purpose) {
			switch {
			case c.Version != "" && t.Version == c.Version:
				if t.Text == "" {
					return fault.NotFound("TEXT_ELSEWHERE", "policy %s has only the hash of text %s", p.Version, t.Version).
						Zh("政策 %s 只写了文本 %s 的校验值，全文请向发文单位索取", p.Version, t.Version)
				}
				_, err := e.Out.Write([]byte(t.Text))
				return err
			case c.Version != "":
			case e.JSON:
				if err := object(e, map[string]string{"version": t.Version, "purpose": t.Purpose, "sha256": t.SHA256(), "text": t.Text}); err != nil {
					return err
				}
			default:
				say(e, "版本 %s  用途 %s", "Version %s  purpose %s", t.Version, t.Purpose)
				say(e, "SHA-256 %s", "SHA-256 %s", t.SHA256())
				say(e, "\n%s", "\n%s", t.Text)
			}
		}
	}
	if c.Version != "" {
		return fault.NotFound("TEXT_UNKNOWN", "no consent text %.40q", c.Version).Zh("没有版本为“%.40s”的同意书文本；不写版本可列出全部", c.Version)
	}
	return nil
}

// PolicyDefault is `yipan policy default`.
type PolicyDefault struct{}

// Run prints the embedded policy file as it is.
func (PolicyDefault) Run(e *cli.Env) error {
	_, err := e.Out.Write(policy.DefaultFile())
	return err
}
