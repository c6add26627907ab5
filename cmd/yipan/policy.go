package main

import (
	"os"

	"yipan/internal/cli"
	"yipan/internal/fault"
	"yipan/internal/policy"
)

// PolicyCommand groups the commands on policy files.
type PolicyCommand struct {
	Check   PolicyCheck   `cmd:"" help:"检查政策文件|Check policy files"`
	Default PolicyDefault `cmd:"" help:"输出内置的政策文件，供修改|Print the embedded policy file, to start from"`
}

// PolicyCheck is `yipan policy check FILE...`.
type PolicyCheck struct {
	Files []string `arg:"" name:"file" help:"政策文件（TOML）|Policy files (TOML)"`
}

// Run prints the problems and remarks of each file, and whether the files go
// together. A problem makes exit code 1.
func (c PolicyCheck) Run(e *cli.Env) error {
	bad := 0
	var ps []*policy.Policy
	for _, name := range c.Files {
		b, err := os.ReadFile(name)
		if err != nil {
			return fault.NotFound("POLICY_FILE", "read policy file %s", name).Because(err).Zh("无法读取政策文件 %s", name)
		}
		problems := policy.Check(b)
		for _, p := range problems {
			bad++
			if e.JSON {
				if err := object(e, map[string]any{"file": name, "line": p.Line, "key": p.Key, "problem": p.Text}); err != nil {
					return err
				}
				continue
			}
			say(e, "%s：%s", "%s: %s", name, p)
		}
		if len(problems) > 0 {
			continue
		}
		p, err := policy.Parse(b)
		if err != nil {
			return err
		}
		ps = append(ps, p)
		if e.JSON {
			if err := object(e, map[string]any{"file": name, "version": p.Version, "digest": p.Digest.String(), "from": p.From.String(), "remarks": p.Remarks()}); err != nil {
				return err
			}
			continue
		}
		say(e, "%s：正确，版本 %s，自 %s 起，指纹 %s", "%s: right, version %s, from %s, digest %s", name, p.Version, p.From, p.Digest)
		for _, r := range p.Remarks() {
			say(e, "  提醒：%s", "  Note: %s", r)
		}
	}
	if bad > 0 {
		return fault.Invalid("POLICY_FILE", "%d problems in policy files", bad).Zh("政策文件有 %d 处问题", bad)
	}
	_, err := policy.NewSet(ps...)
	return err
}

// PolicyDefault is `yipan policy default`.
type PolicyDefault struct{}

// Run prints the embedded policy file as it is.
func (PolicyDefault) Run(e *cli.Env) error {
	_, err := e.Out.Write(policy.DefaultFile())
	return err
}
