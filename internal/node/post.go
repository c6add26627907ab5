package node

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/mail"
	"net/netip"
	"os"

	"yipan/internal/fault"
	"yipan/internal/post"
	"yipan/internal/remind"
)

// checkPost judges how digests leave the node.
func (c *Config) checkPost(no func(key, zh, en string)) {
	p := &c.Post
	if p.SMTP != "" {
		if host, _, err := net.SplitHostPort(p.SMTP); err != nil || host == "" || !isListen(p.SMTP) {
			no("post.smtp", "应写作 主机:端口，如 mail.example.gov.cn:587", "must be HOST:PORT, like mail.example.gov.cn:587")
		}
	} else if p.User != "" || p.PasswordFile != "" || p.From != "" {
		no("post.smtp", "没有邮件服务器，user、password_file 和 from 无用", "user, password_file and from are useless without a mail server")
	}
	if (p.User == "") != (p.PasswordFile == "") {
		no("post.password_file", "user 与 password_file 须同时写明", "user and password_file go together")
	}
	if p.SMTP != "" {
		if a, err := mail.ParseAddress(p.From); err != nil || a.Address != p.From {
			no("post.from", "应为发件地址，如 yipan@example.gov.cn", "must be the sender's address, like yipan@example.gov.cn")
		}
	}
	if _, err := networks(p.AllowNetworks); err != nil {
		no("post.allow_networks", "应写作网段，如 127.0.0.1/32", "must be networks, like 127.0.0.1/32")
	}
}

func networks(texts []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, len(texts))
	var err error
	for i, s := range texts {
		if out[i], err = netip.ParsePrefix(s); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// digests returns how digests are delivered and their addresses judged; nil
// where this node sends none.
func digests(c *Config) (func(context.Context, remind.Message) error, func(remind.Message) error, error) {
	if c.Post.SMTP == "" && c.Post.WebhookSecretFile == "" {
		return nil, nil, nil
	}
	pc, err := postConfig(&c.Post)
	if err != nil {
		return nil, nil, err
	}
	p, err := post.New(pc)
	if err != nil {
		return nil, nil, fault.Invalid("POST_CONFIG", "node: %s", err).On("post").Zh("提醒的发送配置不正确（[post]）：发件地址应为普通邮箱地址，签名密钥至少 16 字节")
	}
	deliver := func(ctx context.Context, m remind.Message) error {
		if m.Webhook != "" {
			return p.Webhook(ctx, m.Webhook, m.Key, m.JSON)
		}
		return p.Email(ctx, m.Email, m.Key, m.Subject, m.Text)
	}
	check := func(m remind.Message) error {
		if m.Webhook != "" {
			return p.CheckWebhook(m.Webhook)
		}
		return p.CheckEmail(m.Email)
	}
	return deliver, check, nil
}

// postConfig reads the files that the configuration names.
func postConfig(c *PostConfig) (post.Config, error) {
	out := post.Config{SMTP: c.SMTP, User: c.User, From: c.From}
	secret := func(key, name string) ([]byte, error) {
		if name == "" {
			return nil, nil
		}
		b, err := os.ReadFile(name)
		b = bytes.TrimRight(b, "\r\n")
		if err == nil && len(b) == 0 {
			err = errors.New("empty")
		}
		if err != nil {
			return nil, fault.Invalid("POST_FILE", "node: read %s", key).On(key).Because(err).Zh("无法读取 %s 指明的文件，或文件为空", key)
		}
		return b, nil
	}
	password, err := secret("post.password_file", c.PasswordFile)
	if err != nil {
		return out, err
	}
	out.Password = string(password)
	if out.Secret, err = secret("post.webhook_secret_file", c.WebhookSecretFile); err != nil {
		return out, err
	}
	ca, err := secret("post.ca_file", c.CAFile)
	if err != nil {
		return out, err
	}
	if ca != nil {
		out.Roots = x509.NewCertPool()
		if !out.Roots.AppendCertsFromPEM(ca) {
			return out, fault.Invalid("POST_FILE", "node: no certificate in post.ca_file").On("post.ca_file").Zh("post.ca_file 中没有证书")
		}
	}
	out.Allow, err = networks(c.AllowNetworks)
	return out, err
}
