package node

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"yipan/internal/civil"
	"yipan/internal/directory"
	"yipan/internal/fault"
	"yipan/internal/keys"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// Level says how bad a finding is.
type Level string

// The levels of findings. Wrong means that somebody must do something.
const (
	Fine  Level = "ok"
	Watch Level = "warn"
	Wrong Level = "fail"
)

// Finding is what an inspection says about one thing.
type Finding struct {
	Check string // config, keys, journal, certificate, authority, policy, database, clock, directory, broker, lag
	Level Level
	Text  Text
	Do    Text // what to do; empty where there is nothing to do
}

// Text is a message in the two languages.
type Text struct{ Zh, En string }

// Limits of what an inspection lets pass.
const (
	// clockWatch and clockWrong: dues are counted in days, but t (PROTOCOL rule 4)
	// and TLS live on clocks that roughly agree.
	clockWatch = 2 * time.Second
	clockWrong = 30 * time.Second
	// lagWatch: a peer that works answers within minutes, and sends a statement a
	// day; lagWrong is when an item has outlived the shortest limits.
	lagWatch = time.Hour
	lagWrong = 24 * time.Hour
	// staleWatch and staleWrong are those of SECURITY D7.
	staleWatch = 72 * time.Hour
	staleWrong = 14 * 24 * time.Hour
	// expiryWatch leaves a month to renew a certificate.
	expiryWatch = 30 * 24 * time.Hour
)

// InspectTime bounds each question to database or broker.
const InspectTime = 5 * time.Second

// Inspect looks at a node from outside, running or not, and changes nothing. It
// never fails: what it cannot ask is a finding.
func Inspect(ctx context.Context, c *Config, now func() time.Time) []Finding {
	i := &inspection{c: c, now: now}
	i.identity()
	files := i.secrets()
	authority := i.authority()
	i.policies()
	db := i.database(ctx)
	var d *directory.Directory
	if db != nil {
		defer db.Close()
		if !authority.IsZero() {
			d = i.directory(ctx, db, authority, files)
		}
		i.lag(ctx, db)
	}
	i.broker(ctx, d)
	return i.found
}

type inspection struct {
	c     *Config
	now   func() time.Time
	found []Finding
}

func (i *inspection) add(check string, l Level, text, do Text) {
	i.found = append(i.found, Finding{check, l, text, do})
}

func (i *inspection) fine(check, zh, en string) { i.add(check, Fine, Text{zh, en}, Text{}) }

// fault adds an error as a finding.
func (i *inspection) fault(check string, err error, do Text) {
	t := Text{err.Error(), err.Error()}
	if e, ok := fault.As(err); ok && e.Text != "" {
		t.Zh = e.Text
	}
	i.add(check, Wrong, t, do)
}

func (i *inspection) identity() {
	if i.c.ID() == 0 {
		i.add("config", Wrong, Text{"配置中没有本节点的行政区划（node.area）", "node.area is not set"},
			Text{"用 yipan init 新建节点，或在配置文件中写明 node.area", "make the node with yipan init, or set node.area"})
		return
	}
	i.fine("config", "节点 "+i.c.ID().String()+" "+i.c.Node.Name, "node "+i.c.ID().String()+" "+i.c.Node.Name)
}

func (i *inspection) secrets() *keys.Files {
	files, err := openKeys(i.c)
	if err != nil {
		i.fault("keys", err, Text{"从备用密钥恢复；若从未建立，用 yipan init 新建节点", "restore the keys; if there never were any, run yipan init"})
	} else {
		i.fine("keys", "密钥完好："+i.c.KeysDir(), "keys are whole: "+i.c.KeysDir())
	}
	j, err := openJournal(i.c)
	n := 0
	if err == nil {
		n, err = j.Replay(func(keys.Entry) error { return nil })
		err = inChinese(err)
		_ = j.Close() // only read
	}
	if err != nil {
		i.fault("journal", err, Text{"找回擦除日志；丢失时不得使用恢复的数据库", "find the erasure journal; without it a restored database must not serve"})
	} else {
		i.fine("journal", fmt.Sprintf("擦除日志完好，%d 条", n), fmt.Sprintf("the erasure journal is whole, %d entries", n))
	}
	renew := Text{"更换 " + i.c.TLSFile() + "（证书与私钥在同一文件），再重启节点", "replace " + i.c.TLSFile() + " (certificate and key in one file), then restart the node"}
	switch cert, err := loadCertificate(i.c, i.now()); {
	case err != nil:
		i.fault("certificate", err, renew)
	case cert.NotAfter.Sub(i.now()) < expiryWatch:
		day := cert.NotAfter.Format(time.DateOnly)
		i.add("certificate", Watch, Text{"证书将于 " + day + " 到期", "the certificate expires on " + day}, renew)
	default:
		i.fine("certificate", "证书有效至 "+cert.NotAfter.Format(time.DateOnly), "the certificate is valid until "+cert.NotAfter.Format(time.DateOnly))
	}
	return files
}

func (i *inspection) authority() seal.VerifyKey {
	k, err := i.c.Authority()
	if err != nil {
		i.fault("authority", err, Text{"向交换管理机构索取公钥，运行 yipan join --authority 公钥", "get the public key from the exchange authority and run yipan join --authority KEY"})
		return seal.VerifyKey{}
	}
	i.fine("authority", "管理机构指纹 "+directory.Fingerprint(k), "authority's fingerprint "+directory.Fingerprint(k))
	return k
}

func (i *inspection) policies() {
	set, err := Policies(i.c)
	if err != nil {
		i.fault("policy", err, Text{"用 yipan policy check 查看并改正", "see yipan policy check and correct it"})
		return
	}
	if _, err := set.At(civil.In(i.now())); err != nil {
		i.fault("policy", err, Text{"加入今天有效的政策文件（policy.files）", "add a policy that is in force today (policy.files)"})
		return
	}
	i.fine("policy", fmt.Sprintf("政策 %d 个版本", len(set.All())), fmt.Sprintf("%d versions of the policy", len(set.All())))
}

// database answers nil where it does not answer.
func (i *inspection) database(ctx context.Context) *store.DB {
	ctx, cancel := context.WithTimeout(ctx, InspectTime)
	defer cancel()
	do := Text{"启动节点：yipan serve --config …", "start the node: yipan serve --config …"}
	if i.c.PrivateDir() == "" {
		do = Text{"检查 PostgreSQL 是否运行、database.url 是否正确、网络是否通", "check that PostgreSQL runs, database.url is right and the network is up"}
	}
	d, err := OpenDatabase(ctx, i.c, DatabaseOptions{NoStart: true})
	if err != nil {
		i.fault("database", err, do)
		return nil
	}
	off, err := d.Clock(ctx, i.now)
	if err != nil {
		i.fault("database", err, do)
		return nil
	}
	db, err := d.Open(context.WithoutCancel(ctx))
	if err == nil {
		if _, err = db.Epoch(ctx); err != nil {
			db.Close()
		}
	}
	if err != nil {
		i.fault("database", err, Text{"数据库尚未建表或权限不对：运行 yipan migrate", "the schema is missing or not ours: run yipan migrate"})
		return nil
	}
	i.fine("database", "数据库正常", "the database answers")
	i.clock("数据库", "database", off)
	return db
}

func (i *inspection) clock(zh, en string, off time.Duration) {
	size := off.Abs().Round(time.Millisecond)
	l := Fine
	switch {
	case size > clockWrong:
		l = Wrong
	case size > clockWatch:
		l = Watch
	}
	text := Text{"本机与" + zh + "的时钟相差 " + size.String(), "the clocks of this machine and the " + en + " differ by " + size.String()}
	if l == Fine {
		i.add("clock", l, text, Text{})
		return
	}
	i.add("clock", l, text, Text{"用 NTP（chrony 或 systemd-timesyncd）校准两台机器的时钟", "set both clocks by NTP (chrony or systemd-timesyncd)"})
}

func (i *inspection) directory(ctx context.Context, db *store.DB, authority seal.VerifyKey, files *keys.Files) *directory.Directory {
	ctx, cancel := context.WithTimeout(ctx, InspectTime)
	defer cancel()
	records, err := db.DirectoryRecords(ctx)
	if err != nil {
		i.fault("directory", err, Text{"先解决数据库的问题", "mend the database first"})
		return nil
	}
	d, _, err := directory.Load(authority, records)
	if err != nil {
		i.fault("directory", err, Text{"核对管理机构公钥；数据库可能属于另一个交换网", "check the authority's key; the database may belong to another exchange"})
		return nil
	}
	if fork, err := db.Note(ctx, noteFork); err == nil && fork != "" {
		i.add("directory", Wrong, Text{"名录出现分叉：管理机构签发过互相矛盾的记录", "the directory has forked: the authority signed records that contradict each other"},
			Text{"立即电话报告管理机构和上级，勿清除数据库（证据在 note 表）", "tell the authority by telephone at once; keep the database, it holds the evidence (table note)"})
	}
	i.membership(d, files)
	return d
}

// membership compares the node's own entry with its keys.
func (i *inspection) membership(d *directory.Directory, files *keys.Files) {
	m, ok := d.Node(i.c.ID())
	serial := strconv.FormatUint(d.Serial(), 10)
	switch {
	case !ok:
		i.add("directory", Wrong, Text{"名录（第 " + serial + " 条）中没有本节点", "this node is not in the directory (serial " + serial + ")"},
			Text{"把 join-request.txt 交给管理机构，由其运行 yipan authority admit", "give join-request.txt to the authority, who runs yipan authority admit"})
		return
	case m.Removed:
		i.add("directory", Wrong, Text{"本节点已被移出名录", "this node was removed from the directory"}, Text{"联系管理机构", "ask the authority"})
		return
	case files != nil && m.Signing.ID() != files.Signing().ID():
		i.add("directory", Wrong, Text{"名录中的签名密钥不是本节点正在使用的", "the directory names another signing key than this node uses"},
			Text{"提交变更申请，由管理机构批准新密钥", "have the authority admit the new key by a change request"})
		return
	}
	age := i.now().Sub(d.Checkpoint().Time)
	days := strconv.Itoa(int(age.Hours() / 24))
	refresh := Text{"请管理机构运行 yipan authority refresh；仍不更新时，可能有人扣留名录", "ask the authority to run yipan authority refresh; if nothing comes, somebody may withhold the directory"}
	text := Text{"名录第 " + serial + " 条，已 " + days + " 天没有新的签名", "directory serial " + serial + ", without a new signature for " + days + " days"}
	switch {
	case age > staleWrong:
		i.add("directory", Wrong, text, refresh)
	case age > staleWatch:
		i.add("directory", Watch, text, refresh)
	default:
		i.fine("directory", "名录第 "+serial+" 条，本节点在内", "directory serial "+serial+", with this node in it")
	}
}

// lag looks at what is owed to peers, and for how long.
func (i *inspection) lag(ctx context.Context, db *store.DB) {
	ctx, cancel := context.WithTimeout(ctx, InspectTime)
	defer cancel()
	var loads []store.PeerLoad
	err := db.InExchange(ctx, nil, func(tx *store.Tx) (err error) {
		loads, err = tx.PeerLoads(ctx, false)
		return err
	})
	if err != nil {
		i.fault("lag", err, Text{"先解决数据库的问题", "mend the database first"})
		return
	}
	clean := true
	for _, p := range loads {
		if p.Pending == 0 || p.OldestAt.IsZero() {
			continue
		}
		age := i.now().Sub(p.OldestAt).Round(time.Minute)
		if age < lagWatch {
			continue
		}
		clean = false
		l := Watch
		if age > lagWrong {
			l = Wrong
		}
		who := p.Peer.String()
		i.add("lag", l, Text{fmt.Sprintf("节点 %s 有 %d 件未签收，最久 %s", who, p.Pending, age), fmt.Sprintf("node %s has not signed for %d items, the oldest for %s", who, p.Pending, age)},
			Text{"用 yipan peers 查看；电话询问对方节点是否运行；必要时 yipan resend", "see yipan peers; ask the other office whether its node runs; then yipan resend"})
	}
	if clean {
		i.fine("lag", "没有积压", "nothing is waiting long")
	}
}

// broker asks it once, without the patience of a running node.
func (i *inspection) broker(ctx context.Context, d *directory.Directory) {
	ctx, cancel := context.WithTimeout(ctx, InspectTime)
	defer cancel()
	do := Text{"检查 hub 是否运行、bus.url 与证书是否正确、防火墙是否放行；其间来件去件自动排队", "check that the hub runs, bus.url and certificates are right and no firewall is between; items queue meanwhile"}
	seen, err := askBroker(ctx, i.c, i.now)
	if err != nil {
		i.fault("broker", err, do)
		return
	}
	i.fine("broker", "消息服务器正常", "the broker answers")
	if seen.timed {
		i.clock("消息服务器", "broker", seen.off)
	}
	if d != nil && seen.records < d.Serial() {
		i.add("broker", Watch, Text{fmt.Sprintf("消息服务器上的名录只有 %d 条，本节点有 %d 条", seen.records, d.Serial()), fmt.Sprintf("the broker holds %d records of the directory, this node %d", seen.records, d.Serial())},
			Text{"运行中的节点会自动补发；或由管理机构运行 yipan authority publish", "a running node publishes them again; or the authority runs yipan authority publish"})
	}
}
