package node

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"yipan/internal/area"
	"yipan/internal/directory"
	"yipan/internal/seal"
)

// logLevels are the values of log.level.
var logLevels = []string{"debug", "info", "warn", "error"}

// Check returns everything wrong with a configuration as one error, Invalid
// CONFIG. It reads no file: what paths lead to is for Start.
func (c *Config) Check() error { return c.check(func(string) string { return "" }).err() }

func (c *Config) check(where func(key string) string) problems {
	var ps problems
	no := func(key, zh, en string) {
		ps = append(ps, Problem{Where: where(key), Key: key, Zh: zh, En: en})
	}
	if c.Node.Area != "" {
		if k, err := area.Parse(c.Node.Area); err != nil {
			no("node.area", "不是行政区划代码，应如 3:520330", "not an area; write it like 3:520330")
		} else if _, ok := area.Lookup(k); !ok {
			no("node.area", "没有这个行政区划", "no such area")
		}
	}
	if len(c.Node.Name) > directory.MaxNameBytes || strings.ContainsFunc(c.Node.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		no("node.name", "名称过长或含有不可显示的字符", "too long or not printable")
	}
	if c.Node.Dir == "" {
		no("node.dir", "不能为空", "must not be empty")
	}
	c.checkDatabase(no)
	c.checkBus(no)
	c.checkPost(no)
	for _, l := range []struct {
		key, value string
		optional   bool
	}{{"grpc.listen", c.GRPC.Listen, false}, {"metrics.listen", c.Metrics.Listen, true}, {"hub.listen", c.Hub.Listen, false}} {
		if !(l.optional && l.value == "") && !isListen(l.value) {
			no(l.key, "应写作 主机:端口，如 127.0.0.1:7443", "must be HOST:PORT, like 127.0.0.1:7443")
		}
	}
	if c.Keys.Dir == systemd {
		if c.Keys.Journal == "" {
			no("keys.journal", "使用 systemd 凭据时须指明擦除日志的位置", "must be named where keys are systemd credentials")
		}
		if c.GRPC.TLSFile == "" {
			no("grpc.tls_file", "使用 systemd 凭据时须指明证书文件", "must be named where keys are systemd credentials")
		}
	}
	if c.Directory.Authority != "" {
		if _, err := directory.ParseAuthority(c.Directory.Authority); err != nil {
			no("directory.authority", "不是管理机构公钥，应以 yipan-authority+ 开头", "not an authority's key; it begins with yipan-authority+")
		}
	}
	if f := c.Exchange.SuiteFloor; f != 0 && (f < 0 || f > 0xffff || seal.Suite(f).Check(0) != nil) {
		no("exchange.suite_floor", "没有这个算法套件", "no such suite")
	}
	for _, d := range []struct {
		key      string
		value    time.Duration
		min, max time.Duration
	}{
		// D5: a pair that has exchanged anything sends one statement a day.
		{"jobs.statement", c.Jobs.Statement, time.Minute, 24 * time.Hour},
		{"jobs.poll", c.Jobs.Poll, 10 * time.Millisecond, time.Minute},
		{"jobs.interval", c.Jobs.Interval, 100 * time.Millisecond, 10 * time.Minute},
		{"hub.max_age", c.Hub.MaxAge, time.Hour, 365 * 24 * time.Hour},
	} {
		if d.value < d.min || d.value > d.max {
			no(d.key, "应在 "+d.min.String()+" 到 "+d.max.String()+" 之间", "must be from "+d.min.String()+" to "+d.max.String())
		}
	}
	if !slices.Contains(logLevels, c.Log.Level) {
		no("log.level", "应为 "+strings.Join(logLevels, "、")+" 之一", "must be one of "+strings.Join(logLevels, ", "))
	}
	c.checkHub(no)
	return ps
}

func (c *Config) checkDatabase(no func(key, zh, en string)) {
	d := &c.Database
	if d.URL != "" {
		u, err := url.Parse(d.URL)
		if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
			no("database.url", "应以 postgres:// 开头", "must begin with postgres://")
		}
	} else if d.PasswordFile != "" {
		no("database.password_file", "没有 database.url，密码文件无用", "useless without database.url")
	}
	if d.MaxConns < 4 || d.MaxConns > 1000 {
		no("database.max_conns", "应在 4 到 1000 之间", "must be from 4 to 1000")
	}
}

func (c *Config) checkBus(no func(key, zh, en string)) {
	b := &c.Bus
	if b.URL == "" {
		no("bus.url", "不能为空", "must not be empty")
		return
	}
	for part := range strings.SplitSeq(b.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) || u.Host == "" {
			no("bus.url", "应写作 nats://主机:端口 或 tls://主机:端口", "must be nats://HOST:PORT or tls://HOST:PORT")
			break
		}
	}
	if b.CredsFile != "" && b.User != "" {
		no("bus.user", "已有 creds_file，不能再写用户名", "cannot be used together with creds_file")
	}
	if (b.User == "") != (b.PasswordFile == "") {
		no("bus.password_file", "user 与 password_file 须同时写明", "user and password_file go together")
	}
}

func (c *Config) checkHub(no func(key, zh, en string)) {
	h := &c.Hub
	if (h.CertFile == "") != (h.KeyFile == "") {
		no("hub.cert_file", "cert_file 与 key_file 须同时写明", "cert_file and key_file go together")
	}
	if h.MaxBytes < 1<<20 {
		no("hub.max_bytes", "至少 1048576（1 MiB）", "must be at least 1048576 (1 MiB)")
	}
	for _, p := range h.Provinces {
		if n, err := strconv.Atoi(p); err != nil || len(p) != 2 || n < 10 {
			no("hub.provinces", "省级代码为两位数字，如 52", "a province is two digits, like 52")
			return
		}
	}
}

func isListen(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 0 && n <= 65535
}
