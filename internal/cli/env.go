package cli

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
	nodev1 "yipan/internal/gen/yipan/node/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
)

// Std is what a command has of the machine. Getenv may be nil: an empty
// environment; In may be nil: empty.
type Std struct {
	In     io.Reader
	Out    io.Writer
	Err    io.Writer
	Getenv func(string) string
}

// Globals are the flags of every command, local ones too.
type Globals struct {
	JSON bool   `name:"json" help:"每个结果输出一行 JSON|Print each result as one line of JSON"`
	Lang string `enum:",zh,en" default:"" placeholder:"zh|en" help:"语言（环境变量 YIPAN_LANG、LANG）|Language (environment YIPAN_LANG, LANG)"`
}

// AfterApply tells the environment what was asked for.
func (g *Globals) AfterApply(e *Env) error {
	e.JSON = g.JSON
	return nil
}

// Remote are the flags of every command that calls a node. Flags win over the
// environment.
type Remote struct {
	Addr      string        `placeholder:"HOST:PORT" help:"节点地址（YIPAN_ADDR，默认 127.0.0.1:7443）|The node's address (YIPAN_ADDR, default 127.0.0.1:7443)"`
	TokenFile string        `placeholder:"FILE" help:"存放令牌的文件（YIPAN_TOKEN_FILE）|File that holds the token (YIPAN_TOKEN_FILE)"`
	CA        string        `name:"ca" placeholder:"FILE" help:"节点证书或 CA 证书 PEM（YIPAN_CA；不写则用系统证书）|The node's certificate or its CA, PEM (YIPAN_CA; else the system's)"`
	OnBehalf  string        `placeholder:"ACCOUNT" help:"服务账号所代表的经办人（YIPAN_ON_BEHALF）|The user for whom a service account acts (YIPAN_ON_BEHALF)"`
	Timeout   time.Duration `default:"30s" help:"每次调用的时限|Time limit of each call"`
}

const (
	defaultAddr = "127.0.0.1:7443"
	maxMessage  = 4 << 20 // bytes, as the server's
	maxToken    = 4 << 10 // bytes; anything longer is not a token file
)

// AfterApply fills in what the environment says.
func (r *Remote) AfterApply(e *Env) error {
	or := func(to *string, names ...string) {
		for _, n := range names {
			if *to == "" {
				*to = e.getenv(n)
			}
		}
	}
	or(&r.Addr, "YIPAN_ADDR")
	or(&r.TokenFile, "YIPAN_TOKEN_FILE")
	or(&r.CA, "YIPAN_CA")
	or(&r.OnBehalf, "YIPAN_ON_BEHALF")
	if r.Addr == "" {
		r.Addr = defaultAddr
	}
	if r.Timeout <= 0 {
		return usage(e, "--timeout 应大于 0", "--timeout must be above 0")
	}
	e.remote = r
	return nil
}

// Env is what a command runs in. It is for one command and one goroutine.
type Env struct {
	Std
	Lang   Lang
	JSON   bool
	remote *Remote
	conn   *grpc.ClientConn
}

func (e *Env) getenv(name string) string {
	if e.Getenv == nil {
		return ""
	}
	return e.Getenv(name)
}

// T chooses the text of the language.
func (e *Env) T(zh, en string) string { return e.Lang.T(zh, en) }

// Note writes a line to standard error: progress, hints.
func (e *Env) Note(zh, en string, a ...any) {
	fmt.Fprintf(e.Err, e.T(zh, en)+"\n", a...)
}

// Conn returns the connection to the node, made at its first use. Execute
// closes it.
func (e *Env) Conn() (*grpc.ClientConn, error) {
	if e.conn != nil {
		return e.conn, nil
	}
	if e.remote == nil {
		return nil, fmt.Errorf("cli: command without connection flags")
	}
	token, err := e.token()
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS13}
	if e.remote.CA != "" {
		pem, err := os.ReadFile(e.remote.CA)
		if err != nil {
			return nil, usage(e, "无法读取证书文件 %s：%v", "cannot read certificate file %s: %v", e.remote.CA, e.cause(err))
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usage(e, "%s 中没有 PEM 证书", "%s holds no PEM certificate", e.remote.CA)
		}
	}
	e.conn, err = grpc.NewClient(e.remote.Addr,
		grpc.WithTransportCredentials(credentials.NewTLS(conf)),
		grpc.WithPerRPCCredentials(bearer{token: token, onBehalf: e.remote.OnBehalf}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithUnaryInterceptor(limit(e.remote.Timeout)),
		grpc.WithUserAgent("yipan-cli"))
	if err != nil {
		return nil, usage(e, "节点地址 %q 不正确", "%q is not an address", e.remote.Addr)
	}
	return e.conn, nil
}

func (e *Env) close() {
	if e.conn != nil {
		_ = e.conn.Close() // nothing is left to send
	}
}

// limit gives each call the time limit of --timeout.
func limit(d time.Duration) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		return call(ctx, method, req, reply, cc, opts...)
	}
}

func (e *Env) token() (string, error) {
	name := e.remote.TokenFile
	if name == "" {
		return "", usage(e, "请用 --token-file 或 YIPAN_TOKEN_FILE 指明令牌文件", "name the token file by --token-file or YIPAN_TOKEN_FILE")
	}
	f, err := os.Open(name)
	if err != nil {
		return "", usage(e, "无法读取令牌文件 %s：%v", "cannot read token file %s: %v", name, e.cause(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", usage(e, "无法读取令牌文件 %s：%v", "cannot read token file %s: %v", name, e.cause(err))
	}
	token := strings.TrimSpace(string(b))
	if token == "" || len(b) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", usage(e, "文件 %s 中应只有一个令牌", "file %s must hold one token and nothing else", name)
	}
	return token, nil
}

// bearer adds the token to each call, over TLS only.
type bearer struct{ token, onBehalf string }

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	m := map[string]string{"authorization": "Bearer " + b.token}
	if b.onBehalf != "" {
		m["x-yipan-on-behalf"] = b.onBehalf
	}
	return m, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

// The services. Each answers Conn's errors.

func (e *Env) cases() (casesv1.CaseServiceClient, error) {
	c, err := e.Conn()
	return casesv1.NewCaseServiceClient(c), err
}

func (e *Env) consents() (consentv1.ConsentServiceClient, error) {
	c, err := e.Conn()
	return consentv1.NewConsentServiceClient(c), err
}

func (e *Env) rates() (ratesv1.RateServiceClient, error) {
	c, err := e.Conn()
	return ratesv1.NewRateServiceClient(c), err
}

func (e *Env) node() (nodev1.NodeServiceClient, error) {
	c, err := e.Conn()
	return nodev1.NewNodeServiceClient(c), err
}

// Write are the flags of every command that changes something.
type Write struct {
	RequestID string `name:"request-id" placeholder:"ID" help:"请求编号；用同一编号重做不会重复办理（默认随机）|Request id; repeating with the same one does nothing twice (default: random)"`
}

// id returns the request id, made up at its first use.
func (w *Write) id() string {
	if w.RequestID == "" {
		w.RequestID = "cli-" + rand.Text()
	}
	return w.RequestID
}

// done marks an error of a write, so that it is explained how to repeat it.
func (w *Write) done(err error) error {
	if err == nil {
		return nil
	}
	return &writeError{id: w.RequestID, err: err}
}

type writeError struct {
	id  string
	err error
}

func (w *writeError) Error() string { return w.err.Error() }
func (w *writeError) Unwrap() error { return w.err }
