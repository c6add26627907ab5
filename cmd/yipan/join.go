package main

import (
	"bytes"
	"os"
	"path/filepath"

	"yipan/internal/cli"
	"yipan/internal/directory"
	"yipan/internal/fault"
	"yipan/internal/node"
	"yipan/internal/seal"
)

// JoinCommand is `yipan join`: it takes in what the authority gave, and says
// what is still to do. It needs neither database nor broker.
type JoinCommand struct {
	Configured
	Authority   string `placeholder:"KEY|FILE" help:"管理机构公钥，或存放公钥的文件|The authority's public key, or a file with it"`
	Fingerprint string `placeholder:"TEXT" help:"电话核对过的公钥指纹；不符则不接受|Its fingerprint as compared by telephone; another key is refused"`
	Log         string `placeholder:"FILE" help:"管理机构的 directory.log（没有消息服务器时）|The authority's directory.log, where no broker brings it"`
	Replace     bool   `help:"换成另一个管理机构的公钥|Change to another authority's key"`
}

// Run verifies before it writes.
func (c JoinCommand) Run(e *cli.Env) error {
	l, err := c.load(e)
	if err != nil {
		return err
	}
	key, err := c.authority(l)
	if err != nil {
		return err
	}
	d := directory.New(key)
	if c.Log != "" {
		if d, err = c.takeLog(l, key); err != nil {
			return err
		}
	} else if text, err := os.ReadFile(l.LogFile()); err == nil {
		if records, err := directory.ParseLog(text); err == nil {
			d, _, _ = directory.Load(key, records) // shown only; serve verifies it again
		}
	}
	return c.told(e, l, d)
}

// authority returns the key to trust and writes it down where it is new.
func (c JoinCommand) authority(l *node.Loaded) (seal.VerifyKey, error) {
	if c.Authority == "" {
		return l.Authority()
	}
	text := c.Authority
	if b, err := os.ReadFile(text); err == nil {
		text = string(bytes.TrimSpace(b))
	}
	key, err := directory.ParseAuthority(text)
	if err != nil {
		return key, err
	}
	if c.Fingerprint != "" && !sameFingerprint(c.Fingerprint, directory.Fingerprint(key)) {
		return key, fault.Denied("FINGERPRINT", "the authority's key has the fingerprint %s", directory.Fingerprint(key)).
			Zh("管理机构公钥的指纹是 %s，与核对的不符", directory.Fingerprint(key))
	}
	old, err := l.Config.Authority()
	switch {
	case err == nil && old.ID() == key.ID():
		return key, nil
	case err == nil && l.Directory.Authority != "":
		return key, fault.Conflict("AUTHORITY_SET", "the configuration names authority %s (directory.authority)", old.ID()).
			Zh("配置文件中已写明另一个管理机构（directory.authority），请先改配置")
	case err == nil && !c.Replace:
		return key, fault.Conflict("AUTHORITY_SET", "this node trusts authority %s already", old.ID()).
			Zh("本节点已信任另一个管理机构（%s）；确要更换请加 --replace", old.ID())
	case err != nil && !fault.Is(err, fault.KindNotFound):
		return key, err
	}
	return key, replaceFile(l.AuthorityFile(), directory.FormatAuthority(key)+"\n")
}

// takeLog verifies a log and puts it where serve looks for it.
func (c JoinCommand) takeLog(l *node.Loaded, key seal.VerifyKey) (*directory.Directory, error) {
	text, err := os.ReadFile(c.Log)
	if err != nil {
		return nil, fault.NotFound("DIRECTORY_LOG", "read %s", c.Log).Because(err).Zh("无法读取名录文件 %s", c.Log)
	}
	records, err := directory.ParseLog(text)
	if err != nil {
		return nil, err
	}
	d, _, err := directory.Load(key, records)
	if err != nil {
		return nil, err
	}
	return d, replaceFile(l.LogFile(), string(text))
}

func (c JoinCommand) told(e *cli.Env, l *node.Loaded, d *directory.Directory) error {
	m, ok := d.Node(l.ID())
	in := ok && !m.Removed
	request := filepath.Join(l.Node.Dir, requestName)
	fingerprint := ""
	if text, err := os.ReadFile(request); err == nil {
		if r, err := directory.ParseRequest(text); err == nil {
			fingerprint = r.Fingerprint()
		}
	}
	key := directory.Fingerprint(d.Authority())
	if e.JSON {
		return object(e, map[string]any{
			"node": l.ID().String(), "authority_fingerprint": key, "serial": d.Serial(), "admitted": in,
			"request": request, "request_fingerprint": fingerprint,
		})
	}
	say(e, "管理机构公钥指纹：%s", "The authority's fingerprint: %s", key)
	if in {
		say(e, "本节点 %s 在名录中（第 %d 条）", "This node %s is in the directory (serial %d)", l.ID(), m.Serial)
	} else {
		say(e, "还没有看到本节点 %s 的名录记录", "No entry of this node %s was seen yet", l.ID())
		if fingerprint != "" {
			say(e, "  请把 %s 交给管理机构，电话核对申请指纹：%s", "  Give %s to the authority and compare its fingerprint by telephone: %s", request, fingerprint)
		}
		say(e, "  管理机构接纳并发布后，运行中的节点会自动收到", "  Once it is admitted and published, a running node gets it by itself")
	}
	say(e, "下一步：yipan serve%s，再用 yipan doctor 检查", "Next: yipan serve%s, then look with yipan doctor", configFlag(l.File))
	return nil
}

func configFlag(file string) string {
	if file == "" {
		return ""
	}
	return " --config " + file
}

// replaceFile puts a file in place as a whole.
func replaceFile(path, content string) error {
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !os.IsNotExist(err) {
		return fault.Unavailable("FILE_IO", "write %s", path).Because(err)
	}
	if err := writeNew(tmp, content, 0o644); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return fault.Unavailable("FILE_IO", "write %s", path).Because(err).Zh("无法写入 %s", path)
	}
	return nil
}
