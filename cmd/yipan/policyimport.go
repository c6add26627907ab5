package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"yipan/internal/civil"
	"yipan/internal/cli"
	"yipan/internal/fault"
	"yipan/internal/node"
	"yipan/internal/policy"
)

// PolicyImport is `yipan policy import FILE`.
type PolicyImport struct {
	Placed
	File        string `arg:"" help:"政策文件（TOML）|Policy file (TOML)"`
	ReplaceFrom string `placeholder:"DATE" help:"确认自这一天（须等于文件的 from）起代替有效期与它重叠的版本|Confirm that from this day (the file's own) on it takes the place of versions whose validity overlaps"`
}

// Run checks the file as `policy check` does and copies it into the node's
// policy folder, where a running node finds it within a minute.
func (c PolicyImport) Run(e *cli.Env) error {
	l, err := c.load(e)
	if err != nil {
		return err
	}
	known, err := node.Policies(&l.Config)
	if err != nil {
		return err
	}
	p, bad, err := readPolicy(e, c.File)
	if err != nil {
		return err
	}
	if bad > 0 {
		return wrongFiles(bad)
	}
	if err := describe(e, c.File, p, known); err != nil {
		return err
	}
	if old, err := known.ByVersion(p.Version); err == nil {
		if old.Digest != p.Digest {
			return fault.Conflict("POLICY_VERSION", "policy version %s is there with other content", p.Version).
				Zh("已有版本 %s，内容不同（指纹 %s，文件的是 %s）：已开的件沿用旧版本，请另取版本号", p.Version, old.Digest, p.Digest)
		}
		if !e.JSON {
			say(e, "版本 %s 早已导入，没有改动", "Version %s is there already; nothing changed", p.Version)
		}
		return nil
	}
	if err := c.overlaps(p, known); err != nil {
		return err
	}
	if _, err := policy.NewSet(append(known.All(), p)...); err != nil {
		return err
	}
	file := filepath.Join(l.PolicyDir(), p.Version+".toml")
	if err := c.copy(file); err != nil {
		return err
	}
	if e.JSON {
		return object(e, map[string]string{"imported": p.Version, "digest": p.Digest.String(), "file": file})
	}
	say(e, "已导入 %s：%s 起开的件适用", "Imported %s: for cases opened from %s on", p.Version, p.From)
	say(e, "运行中的节点一分钟内自动采用，不必重启", "A running node takes it over within a minute, without a restart")
	return nil
}

// overlaps wants --replace-from where the new policy shares days with another.
func (c PolicyImport) overlaps(p *policy.Policy, known *policy.Set) error {
	var names []string
	for _, o := range known.All() {
		if (o.To.IsZero() || p.From.Before(o.To)) && (p.To.IsZero() || o.From.Before(p.To)) {
			until := "长期"
			if !o.To.IsZero() {
				until = o.To.String()
			}
			names = append(names, o.Version+"（"+o.From.String()+" 至 "+until+"）")
		}
	}
	switch {
	case c.ReplaceFrom != "" && c.ReplaceFrom != p.From.String():
		return fault.Invalid("POLICY_REPLACE", "--replace-from is not the file's own first day %s", p.From).On("replace-from").
			Zh("--replace-from 应与文件的 from 相同：%s", p.From)
	case len(names) > 0 && c.ReplaceFrom == "":
		return fault.Conflict("POLICY_OVERLAP", "policy %s overlaps %d others", p.Version, len(names)).
			Zh("有效期与已有的版本重叠：%s。重叠的日子里，生效日较晚的适用；确认无误请加 --replace-from=%s", strings.Join(names, "、"), p.From)
	}
	return nil
}

// copy puts the file, whole or not at all, where the node reads.
func (c PolicyImport) copy(to string) error {
	failed := func(err error) error {
		return fault.Unavailable("FILE_IO", "write %s", to).Because(err).Zh("无法写入 %s", to)
	}
	b, err := os.ReadFile(c.File)
	if err != nil {
		return failed(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
		return failed(err)
	}
	// The name of the one that is written does not end in .toml, so that the node
	// never reads half of it.
	f, err := os.CreateTemp(filepath.Dir(to), ".new-*")
	if err != nil {
		return failed(err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(b)
	if err == nil {
		err = f.Chmod(fs.FileMode(0o644))
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), to)
	}
	if err != nil {
		return failed(err)
	}
	return nil
}

// PolicyList is `yipan policy list`.
type PolicyList struct{ Placed }

// Run lists the versions, the latest first, with the one that applies today
// marked.
func (c PolicyList) Run(e *cli.Env) error {
	l, err := c.load(e)
	if err != nil {
		return err
	}
	set, err := node.Policies(&l.Config)
	if err != nil {
		return err
	}
	current, _ := set.At(civil.In(time.Now()))
	for _, p := range set.All() {
		if e.JSON {
			if err := object(e, map[string]any{"version": p.Version, "digest": p.Digest.String(), "from": p.From.String(), "to": p.To.String(),
				"calendar": p.Calendar.String(), "applies": p == current}); err != nil {
				return err
			}
			continue
		}
		mark, until := "  ", "长期"
		if p == current {
			mark = "* "
		}
		if !p.To.IsZero() {
			until = p.To.String()
		}
		say(e, "%s%s  %s 至 %s  %s  指纹 %s", "%s%s  %s to %s  %s  digest %s", mark, p.Version, p.From, until, p.Calendar, p.Digest)
	}
	return nil
}
