package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"yipan/internal/bus"
	"yipan/internal/fault"
)

// busConfig says to package bus what the configuration says.
func busConfig(c *Config, log *slog.Logger, reg prometheus.Registerer) (bus.Config, error) {
	roots, err := brokerRoots(c)
	if err != nil {
		return bus.Config{}, err
	}
	return bus.Config{
		URL: c.Bus.URL, Name: "yipan " + c.ID().String(), CredsFile: c.Bus.CredsFile,
		User: c.Bus.User, PasswordFile: c.Bus.PasswordFile, RootCAs: roots, InboxPrefix: c.Bus.InboxPrefix,
		Logger: log, Registerer: reg,
	}, nil
}

// ConnectBus connects to the node's broker as the node does, for local
// commands. Errors: Invalid.
func ConnectBus(ctx context.Context, c *Config, log *slog.Logger) (*bus.Conn, error) {
	bc, err := busConfig(c, log, nil)
	if err != nil {
		return nil, err
	}
	return bus.Connect(ctx, bc)
}

func brokerRoots(c *Config) (*x509.CertPool, error) {
	if c.Bus.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.Bus.CAFile)
	if err != nil {
		return nil, fault.Invalid("BUS_CA", "node: read the broker's CA").On("bus.ca_file").Because(err).Zh("无法读取消息服务器的 CA 证书")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fault.Invalid("BUS_CA", "node: %s holds no PEM certificate", c.Bus.CAFile).On("bus.ca_file").Zh("%s 中没有 PEM 证书", c.Bus.CAFile)
	}
	return pool, nil
}

// brokerSeen is what one question to the broker told.
type brokerSeen struct {
	records uint64        // of the directory's stream
	off     time.Duration // how far the broker's clock is ahead
	timed   bool
}

// directoryStream is the name of the directory's stream, as package bus has it.
const directoryStream = "DIR"

// askBroker connects once and asks for the directory's stream, in whose answer
// the broker's clock stands. Package bus would go on trying, and keeps the
// reasons to its log. Errors: Unavailable BROKER_AWAY, with the reason.
func askBroker(ctx context.Context, c *Config, now func() time.Time) (brokerSeen, error) {
	away := func(err error) error {
		return fault.Unavailable("BROKER_AWAY", "node: broker at %s not reached", redactURLs(c.Bus.URL)).Because(err).
			Zh("消息服务器 %s 连接不上（%s）", redactURLs(c.Bus.URL), err)
	}
	roots, err := brokerRoots(c)
	if err != nil {
		return brokerSeen{}, err
	}
	opts := []nats.Option{nats.Name("yipan doctor"), nats.Timeout(InspectTime), nats.NoReconnect()}
	if c.Bus.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(c.Bus.InboxPrefix))
	}
	if roots != nil {
		opts = append(opts, nats.Secure(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}))
	}
	switch {
	case c.Bus.CredsFile != "":
		opts = append(opts, nats.UserCredentials(c.Bus.CredsFile))
	case c.Bus.User != "":
		b, err := os.ReadFile(c.Bus.PasswordFile)
		if err != nil {
			return brokerSeen{}, fault.Invalid("BUS_CONFIG", "node: read the broker's password file").On("bus.password_file").Because(err).
				Zh("无法读取消息服务器密码文件")
		}
		opts = append(opts, nats.UserInfo(c.Bus.User, strings.TrimRight(string(b), "\r\n")))
	}
	nc, err := nats.Connect(c.Bus.URL, opts...)
	if err != nil {
		return brokerSeen{}, away(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return brokerSeen{}, away(err)
	}
	before := now()
	s, err := js.Stream(ctx, directoryStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return brokerSeen{}, nil
	}
	if err != nil {
		return brokerSeen{}, away(err)
	}
	middle := before.Add(now().Sub(before) / 2)
	info := s.CachedInfo()
	return brokerSeen{records: info.State.Msgs, off: info.TimeStamp.Sub(middle), timed: !info.TimeStamp.IsZero()}, nil
}
