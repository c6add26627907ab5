package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/cli"
	"yipan/internal/directory"
	"yipan/internal/fault"
	"yipan/internal/keys"
	"yipan/internal/node"
	"yipan/internal/seal"
	"yipan/internal/wire"
)

// What init leaves in the node's folder, beside keys/ and what the node makes
// itself.
const (
	requestName     = "join-request.txt"
	certificateName = "node.crt"
)

// InitCommand is `yipan init DIR`.
type InitCommand struct {
	Dir    string   `arg:"" help:"节点的目录|The node's folder"`
	Area   string   `required:"" placeholder:"3:520330" help:"本节点的行政区划，也是节点编号|The node's area, which is its id"`
	Name   string   `required:"" help:"单位名称（不是人名）|Name of the office, never a person's"`
	Hosts  []string `placeholder:"HOST" help:"证书上的主机名或 IP，逗号分隔（默认 localhost,127.0.0.1）|Host names or addresses of the certificate (default localhost,127.0.0.1)"`
	Serves []string `placeholder:"AREA" help:"除本区划外还服务的区划|Areas served besides the node's own"`
	Bus    string   `default:"nats://127.0.0.1:4222" placeholder:"URL" help:"消息服务器|The broker"`
	Listen string   `default:"127.0.0.1:7443" placeholder:"HOST:PORT" help:"gRPC 监听地址|Where gRPC listens"`
	Watch  string   `default:"127.0.0.1:7480" placeholder:"HOST:PORT" help:"监控监听地址|Where metrics and health listen"`
	Suite  int      `default:"0" help:"只接受不低于此编号强度的算法套件（0 为不限）|Weakest suite accepted (0: any)"`

	node  area.Key
	areas []area.Key
}

// AfterApply reads the areas and checks what would only be found after keys were
// made.
func (c *InitCommand) AfterApply(e *cli.Env) error {
	var err error
	if c.node, err = area.Parse(c.Area); err != nil {
		return inLanguage(e, err)
	}
	c.areas = []area.Key{c.node}
	for _, s := range c.Serves {
		k, err := area.Parse(s)
		if err != nil {
			return inLanguage(e, err)
		}
		if !slices.Contains(c.areas, k) {
			c.areas = append(c.areas, k)
		}
	}
	for _, k := range c.areas {
		if _, ok := area.Lookup(k); !ok {
			return misuse(e, "没有这个行政区划："+k.String(), "no such area: "+k.String())
		}
	}
	if strings.TrimSpace(c.Name) == "" || len(c.Name) > directory.MaxNameBytes || strings.ContainsFunc(c.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return misuse(e, "单位名称不能为空、过长或含不可显示的字符", "the name must be printable, not empty and not too long")
	}
	if len(c.Hosts) == 0 {
		c.Hosts = []string{"localhost", "127.0.0.1"}
		if host, _, err := net.SplitHostPort(c.Listen); err == nil && host != "" && !slices.Contains(c.Hosts, host) {
			if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
				c.Hosts = append(c.Hosts, host)
			}
		}
	}
	if node.HoldsSecret(c.Bus) {
		return misuse(e, "消息服务器地址中不得写密码；请在配置文件中用 bus.password_file 指明密码文件", "no password in the broker's address: name a file by bus.password_file in the configuration")
	}
	cfg := c.config()
	if err := cfg.Check(); err != nil {
		return inLanguage(e, err)
	}
	return nil
}

// config is what the file will say.
func (c *InitCommand) config() node.Config {
	cfg := node.Default()
	cfg.Node = node.NodeConfig{Area: c.node.String(), Name: c.Name, Dir: c.Dir}
	cfg.Bus.URL, cfg.GRPC.Listen, cfg.Metrics.Listen, cfg.Exchange.SuiteFloor = c.Bus, c.Listen, c.Watch, c.Suite
	return cfg
}

// Run makes the node and says what to do next.
func (c *InitCommand) Run(e *cli.Env) error {
	request, err := c.make()
	if err != nil {
		return err
	}
	return c.told(e, filepath.Join(c.Dir, configName), request)
}

// make makes keys, certificate, journal, request and, last, the configuration: a
// folder without one is not a node, and init can be begun anew in another.
func (c *InitCommand) make() (directory.Request, error) {
	none := directory.Request{}
	if _, err := os.Lstat(filepath.Join(c.Dir, configName)); !errors.Is(err, fs.ErrNotExist) {
		return none, fault.Conflict("NODE_EXISTS", "%s holds a node already", c.Dir).Zh("%s 中已有节点，不会覆盖", c.Dir)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return none, fault.Unavailable("FILE_IO", "make %s", c.Dir).Because(err).Zh("无法建立目录 %s", c.Dir)
	}
	cfg, now := c.config(), time.Now()
	files, err := keys.Create(cfg.KeysDir(), now)
	if err != nil {
		return none, err
	}
	certificate, err := keys.NodeCertificate(cfg.KeysDir(), c.Hosts, now)
	if err != nil {
		return none, err
	}
	journal, err := keys.CreateJournal(cfg.JournalFile())
	if err != nil {
		return none, err
	}
	if err := journal.Close(); err != nil {
		return none, err
	}
	request, err := joinRequest(files, cases.NodeID(c.node), c.Name, c.areas, seal.Suite(c.Suite))
	if err != nil {
		return none, err
	}
	for _, f := range []struct {
		name, content string
		mode          fs.FileMode
	}{
		{certificateName, string(certificate.PEM), 0o644},
		{requestName, request.Text(), 0o644},
		{configName, c.file(), 0o600},
	} {
		if err := writeNew(filepath.Join(c.Dir, f.name), f.content, f.mode); err != nil {
			return none, err
		}
	}
	return request, nil
}

// joinRequest is the node's claim with proofs for all its keys.
func joinRequest(files *keys.Files, id cases.NodeID, name string, areas []area.Key, floor seal.Suite) (directory.Request, error) {
	return directory.NewRequest(directory.Claim{
		Node: id, Name: name, Areas: areas, SuiteFloor: floor,
		Keys: []directory.Key{
			directory.SignatureKey(directory.ParcelSigning, false, files.Signing().Public()),
			directory.SignatureKey(directory.ParcelSigning, true, files.NextSigning().Public()),
			directory.SealingKey(false, files.Sealing().Public()),
			directory.SealingKey(true, files.NextSealing().Public()),
		},
		Speaks: directory.Versions{Min: 1, Max: wire.Version},
	}, files.Signing(), files.NextSigning())
}

func (c *InitCommand) told(e *cli.Env, file string, r directory.Request) error {
	if e.JSON {
		return object(e, map[string]any{
			"node": c.node.String(), "config": file, "request": filepath.Join(c.Dir, requestName), "fingerprint": r.Fingerprint(),
			"certificate": filepath.Join(c.Dir, certificateName), "areas": areaTexts(c.areas),
		})
	}
	say(e, "节点 %s（%s）已建立：%s", "Node %s (%s) is made: %s", c.node, area.FullName(c.node), c.Dir)
	say(e, "申请指纹：%s", "Fingerprint of the request: %s", r.Fingerprint())
	say(e, "下一步：", "Next:")
	say(e, "  1. 把 %s 交给交换管理机构，在电话中核对上面的指纹", "  1. give %s to the exchange authority and compare the fingerprint by telephone", filepath.Join(c.Dir, requestName))
	say(e, "  2. 取得管理机构公钥后：yipan join --config %s --authority 公钥", "  2. with the authority's public key: yipan join --config %s --authority KEY", file)
	say(e, "  3. 另行保管 %s 中的密钥，不与数据库备份放在一起", "  3. keep the keys in %s apart from backups of the database", filepath.Join(c.Dir, "keys"))
	say(e, "  4. yipan serve --config %s", "  4. yipan serve --config %s", file)
	return nil
}

// file is the configuration as init writes it: what differs between nodes. All
// other keys are in deploy/yipan.toml.example.
func (c *InitCommand) file() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# 节点配置；全部配置项见 deploy/yipan.toml.example。相对路径以本文件所在目录为准。\n")
	fmt.Fprintf(&b, "# Configuration of a node; for all keys see deploy/yipan.toml.example. Relative\n# paths are relative to this file's folder.\n\n")
	fmt.Fprintf(&b, "[node]\narea = %q\nname = %s\ndir = \".\"\n\n", c.node.String(), tomlString(c.Name))
	fmt.Fprintf(&b, "[bus]\nurl = %s\n\n", tomlString(c.Bus))
	fmt.Fprintf(&b, "[grpc]\nlisten = %s\n\n", tomlString(c.Listen))
	fmt.Fprintf(&b, "[metrics]\nlisten = %s\n", tomlString(c.Watch))
	if c.Suite != 0 {
		fmt.Fprintf(&b, "\n[exchange]\nsuite_floor = %d\n", c.Suite)
	}
	return b.String()
}

// tomlString writes printable text as a TOML basic string.
func tomlString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
