package main

import (
	"context"
	"crypto/x509"
	"os"
	"time"

	"yipan/internal/area"
	"yipan/internal/bus"
	"yipan/internal/cli"
	"yipan/internal/directory"
	"yipan/internal/fault"
	"yipan/internal/node"
)

// AuthorityCommand groups what the exchange authority does.
type AuthorityCommand struct {
	Init    AuthorityInit    `cmd:"" help:"建立管理机构：密钥和空名录|Set up the authority: its key and an empty log"`
	Admit   AuthorityAdmit   `cmd:"" help:"接纳节点：签发名录记录|Admit nodes: sign their entries"`
	Refresh AuthorityRefresh `cmd:"" help:"重新签署名录，证明没有遗漏（至少每三天一次）|Sign the log anew, so that nodes see nothing is withheld (every three days at least)"`
	Publish AuthorityPublish `cmd:"" help:"把名录发布到消息服务器|Publish the log to the broker"`
}

// AuthorityInit is `yipan authority init DIR`.
type AuthorityInit struct {
	Dir string `arg:"" help:"新目录|A new folder"`
}

// Run makes the folder and prints the public key.
func (c AuthorityInit) Run(e *cli.Env) error {
	k, err := initAuthority(c.Dir)
	if err != nil {
		return err
	}
	if e.JSON {
		return object(e, map[string]string{"authority": directory.FormatAuthority(k), "fingerprint": directory.Fingerprint(k)})
	}
	say(e, "管理机构公钥：%s", "Authority's public key: %s", directory.FormatAuthority(k))
	say(e, "指纹：%s", "Fingerprint: %s", directory.Fingerprint(k))
	e.Note("下一步：把公钥交给各节点（yipan join --authority），并在电话中核对指纹；私钥 %s 平时离线保存", "Next: give the public key to every node (yipan join --authority) and compare the fingerprint by telephone; keep %s offline", authorityKey)
	return nil
}

// Publishing are the flags of commands that reach the broker.
type Publishing struct {
	CAFile    string        `placeholder:"FILE" help:"消息服务器的 CA 证书 PEM|The broker's CA, PEM"`
	CredsFile string        `placeholder:"FILE" help:"NATS 凭据文件|NATS credentials file"`
	Timeout   time.Duration `default:"30s" help:"时限|Time limit"`
}

// publish sends what the broker's stream lacks.
func (p Publishing) publish(ctx context.Context, e *cli.Env, url string, records [][]byte) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	bc := bus.Config{URL: url, Name: "yipan authority", CredsFile: p.CredsFile, Logger: logger(e.Err, "error")}
	if p.CAFile != "" {
		pem, err := os.ReadFile(p.CAFile)
		if err != nil {
			return 0, fault.NotFound("BUS_CA", "read %s", p.CAFile).Because(err).Zh("无法读取证书文件 %s", p.CAFile)
		}
		bc.RootCAs = x509.NewCertPool()
		if !bc.RootCAs.AppendCertsFromPEM(pem) {
			return 0, fault.Invalid("BUS_CA", "%s holds no PEM certificate", p.CAFile).Zh("%s 中没有 PEM 证书", p.CAFile)
		}
	}
	conn, err := bus.Connect(ctx, bc)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := awaitConnected(ctx, conn); err != nil {
		return 0, err
	}
	return node.PublishDirectory(ctx, conn, records)
}

func awaitConnected(ctx context.Context, conn *bus.Conn) error {
	up := make(chan struct{})
	conn.OnConnect(func() {
		select {
		case <-up:
		default:
			close(up)
		}
	})
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return fault.Unavailable("BROKER_AWAY", "broker not reached in time").Zh("消息服务器连接不上")
	}
}

func (p Publishing) published(ctx context.Context, e *cli.Env, url string, records [][]byte) error {
	n, err := p.publish(ctx, e, url, records)
	if err != nil {
		return err
	}
	if e.JSON {
		return object(e, map[string]int{"published": n, "records": len(records)})
	}
	say(e, "发布了 %d 条（名录共 %d 条）", "Published %d records (the log has %d)", n, len(records))
	return nil
}

// AuthorityAdmit is `yipan authority admit DIR REQUEST...`.
type AuthorityAdmit struct {
	Publishing
	Dir         string   `arg:"" help:"管理机构的目录|The authority's folder"`
	Requests    []string `arg:"" name:"request" help:"节点的申请文件|Files with requests"`
	Fingerprint []string `sep:"none" placeholder:"TEXT" help:"电话核对过的申请指纹，依申请的顺序；不符则不接纳|Fingerprints compared by telephone, in the order of the requests; others are refused"`
	Unsigned    bool     `help:"没有原密钥签名也接纳（如磁盘损毁）|Admit without the signature of the previous key, as after a lost disk"`
	Take        []string `placeholder:"AREA" help:"可不经原服务节点同意而划走的区划|Areas that may be taken without the signature of the node that serves them"`
	Publish     string   `placeholder:"URL" help:"随即发布到这个消息服务器|Publish to this broker at once"`

	take []area.Key
}

// AfterApply reads the areas.
func (c *AuthorityAdmit) AfterApply(e *cli.Env) error {
	for _, s := range c.Take {
		k, err := area.Parse(s)
		if err != nil {
			return inLanguage(e, err)
		}
		c.take = append(c.take, k)
	}
	if len(c.Fingerprint) > 0 && len(c.Fingerprint) != len(c.Requests) {
		return misuse(e, "指纹的个数应与申请相同", "as many fingerprints as requests are needed")
	}
	return nil
}

// Run admits all requests or none.
func (c *AuthorityAdmit) Run(ctx context.Context, e *cli.Env) error {
	a, err := openAuthority(c.Dir)
	if err != nil {
		return err
	}
	defer a.close()
	authority, err := a.resume()
	if err != nil {
		return err
	}
	var records []directory.Record
	var admitted []directory.Request
	for i, name := range c.Requests {
		text, err := os.ReadFile(name)
		if err != nil {
			return fault.NotFound("REQUEST_FILE", "read request %s", name).Because(err).Zh("无法读取申请文件 %s", name)
		}
		r, err := directory.ParseRequest(text)
		if err != nil {
			return err
		}
		if len(c.Fingerprint) > 0 && !sameFingerprint(c.Fingerprint[i], r.Fingerprint()) {
			return fault.Denied("FINGERPRINT", "request %s has the fingerprint %s", name, r.Fingerprint()).
				Zh("申请 %s 的指纹是 %s，与核对的不符", name, r.Fingerprint())
		}
		rec, err := authority.Admit(r, time.Now(), directory.Leave{Unsigned: c.Unsigned, Areas: c.take})
		if err != nil {
			return err
		}
		records, admitted = append(records, rec), append(admitted, r)
	}
	if err := a.append(records...); err != nil {
		return err
	}
	for i, r := range admitted {
		if err := c.show(e, records[i], r); err != nil {
			return err
		}
	}
	if len(c.Fingerprint) == 0 {
		e.Note("提醒：请与申请单位在电话中核对指纹", "Note: compare the fingerprints with the offices by telephone")
	}
	if c.Publish == "" {
		e.Note("下一步：yipan authority publish %s 消息服务器地址，或把 %s 交给节点（yipan join --log）", "Next: yipan authority publish %s BROKER, or give %s to the nodes (yipan join --log)", c.Dir, directoryLog)
		return nil
	}
	return c.published(ctx, e, c.Publish, a.records)
}

func (c *AuthorityAdmit) show(e *cli.Env, rec directory.Record, r directory.Request) error {
	claim := r.Claim()
	if e.JSON {
		return object(e, map[string]any{
			"serial": rec.Serial(), "node": claim.Node.String(), "name": claim.Name, "areas": areaTexts(claim.Areas), "fingerprint": r.Fingerprint(),
		})
	}
	say(e, "第 %d 条：节点 %s %s，服务 %v，申请指纹 %s", "Serial %d: node %s %s, serves %v, fingerprint %s",
		rec.Serial(), claim.Node, claim.Name, areaTexts(claim.Areas), r.Fingerprint())
	return nil
}

func areaTexts(ks []area.Key) []string {
	out := make([]string, len(ks))
	for i, k := range ks {
		out[i] = k.String()
	}
	return out
}

// AuthorityRefresh is `yipan authority refresh DIR`.
type AuthorityRefresh struct {
	Publishing
	Dir     string `arg:"" help:"管理机构的目录|The authority's folder"`
	Publish string `placeholder:"URL" help:"随即发布到这个消息服务器|Publish to this broker at once"`
}

// Run signs a fresh checkpoint.
func (c AuthorityRefresh) Run(ctx context.Context, e *cli.Env) error {
	a, err := openAuthority(c.Dir)
	if err != nil {
		return err
	}
	defer a.close()
	authority, err := a.resume()
	if err != nil {
		return err
	}
	rec, err := authority.Refresh(time.Now())
	if err != nil {
		return err
	}
	if err := a.append(rec); err != nil {
		return err
	}
	if c.Publish != "" {
		return c.published(ctx, e, c.Publish, a.records)
	}
	if e.JSON {
		return object(e, map[string]uint64{"serial": rec.Serial()})
	}
	say(e, "名录（%d 条）已重新签署", "The log of %d entries is signed anew", rec.Serial())
	return nil
}

// AuthorityPublish is `yipan authority publish DIR URL`. It needs no key.
type AuthorityPublish struct {
	Publishing
	Dir string `arg:"" help:"管理机构的目录|The authority's folder"`
	URL string `arg:"" help:"消息服务器，如 nats://127.0.0.1:4222|The broker, like nats://127.0.0.1:4222"`
}

// Run publishes what the broker lacks.
func (c AuthorityPublish) Run(ctx context.Context, e *cli.Env) error {
	a, err := openAuthority(c.Dir)
	if err != nil {
		return err
	}
	defer a.close()
	return c.published(ctx, e, c.URL, a.records)
}
