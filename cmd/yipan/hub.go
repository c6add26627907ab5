package main

import (
	"context"
	"net"
	"strconv"
	"time"

	"yipan/internal/bus"
	"yipan/internal/cli"
	"yipan/internal/node"
)

// HubCommand is `yipan hub`: the embedded broker as a process of its own.
type HubCommand struct {
	Configured
	Store    string   `placeholder:"DIR" help:"数据目录（hub.store）|Where its streams lie (hub.store)"`
	Listen   string   `placeholder:"HOST:PORT" help:"监听地址（hub.listen）；端口 0 为任意|Where it listens (hub.listen); port 0: any"`
	Cert     string   `placeholder:"FILE" help:"证书 PEM（hub.cert_file）|Certificate, PEM (hub.cert_file)"`
	Key      string   `placeholder:"FILE" help:"私钥 PEM（hub.key_file）|Its key, PEM (hub.key_file)"`
	Province []string `placeholder:"52" help:"预先建立这些省的队列（hub.provinces）|Make the streams of these provinces (hub.provinces)"`
}

// settings are the flags as keys of the configuration.
func (c HubCommand) settings() []string {
	set := c.Set
	for key, v := range map[string]string{"hub.store": c.Store, "hub.listen": c.Listen, "hub.cert_file": c.Cert, "hub.key_file": c.Key} {
		if v != "" {
			set = append(set, key+"="+v)
		}
	}
	for i, p := range c.Province {
		if i == 0 {
			set = append(set, "hub.provinces="+p)
			continue
		}
		set[len(set)-1] += "," + p
	}
	return set
}

// Run serves until ctx ends or the store is taken away.
func (c HubCommand) Run(ctx context.Context, e *cli.Env) error {
	spendMemory()
	c.Set = c.settings()
	l, err := c.load(e)
	if err != nil {
		return err
	}
	h, err := startHub(&l.Config, e)
	if err != nil {
		return err
	}
	if err := object(e, map[string]any{"ready": true, "url": h.URL()}); err != nil {
		h.Stop()
		return err
	}
	select {
	case <-ctx.Done():
		h.Stop()
	case <-h.Done():
	}
	return h.Err()
}

func startHub(c *node.Config, e *cli.Env) (*bus.Hub, error) {
	host, port, err := net.SplitHostPort(c.Hub.Listen)
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	return bus.StartHub(bus.HubConfig{
		StoreDir: c.HubStore(), Host: host, Port: n, CertFile: c.Hub.CertFile, KeyFile: c.Hub.KeyFile,
		Provinces: c.Hub.Provinces, Limits: bus.Limits{MaxBytes: int64(c.Hub.MaxBytes), MaxAge: c.Hub.MaxAge},
		StartTimeout: time.Minute, Logger: logger(e.Err, c.Log.Level),
	})
}
