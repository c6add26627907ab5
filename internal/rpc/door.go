package rpc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"yipan/internal/access"
	"yipan/internal/fault"
)

const (
	unauthenticated = "UNAUTHENTICATED"

	// OnBehalfHeader names the end user for whom a service account calls; its
	// value goes to the access log (SECURITY D13).
	OnBehalfHeader = "x-yipan-on-behalf"

	maxSecret   = 512 // bytes; tokens are shorter
	maxOnBehalf = 64  // bytes
)

// door is what every call passes: authentication, deadline, recovery, the log
// line, the metrics, and the rendering of errors.
type door struct {
	authenticate func(ctx context.Context, secret string) (access.Principal, error)
	log          *slog.Logger
	metrics      *metrics
	deadline     time.Duration
	stopping     context.Context
}

type principalKey struct{}

// principal returns who calls. Only handlers behind the door ask.
func principal(ctx context.Context) access.Principal {
	p, _ := ctx.Value(principalKey{}).(access.Principal)
	return p
}

// open reports whether a method needs no token: health and reflection tell
// nothing about persons, and probes have no account.
func open(method string) bool {
	return strings.HasPrefix(method, "/grpc.health.v1.Health/") || strings.HasPrefix(method, "/grpc.reflection.")
}

// A call is one RPC on its way.
type call struct {
	door    *door
	method  string
	account string
	began   time.Time
}

func (d *door) begin(method string) *call {
	d.metrics.running.Inc()
	return &call{door: d, method: method, began: time.Now()}
}

// end renders the error, counts and logs the call.
func (c *call) end(ctx context.Context, err error) error {
	took := time.Since(c.began)
	code, rendered := codes.OK, error(nil)
	level, attrs := slog.LevelInfo, []slog.Attr{slog.String("method", c.method), slog.String("account", c.account)}
	if open(c.method) {
		level = slog.LevelDebug
	}
	switch {
	case err == nil:
	case isStatus(err): // gRPC's own, or health's and reflection's
		code, rendered = status.Code(err), err
	default:
		r, id := render(err), ""
		switch r.code {
		case codes.Internal:
			id, level = rand.Text()[:12], slog.LevelError
			attrs = append(attrs, slog.String("rpc_id", id), slog.Any("error", err))
		case codes.Unavailable:
			level = slog.LevelWarn
			attrs = append(attrs, slog.Any("error", err))
		}
		attrs = append(attrs, slog.String("reason", r.reason))
		code, rendered = r.code, r.status(id).Err()
	}
	c.door.metrics.running.Dec()
	c.door.metrics.requests.WithLabelValues(c.method, code.String()).Inc()
	c.door.metrics.duration.WithLabelValues(c.method).Observe(took.Seconds())
	attrs = append(attrs, slog.String("code", code.String()), slog.Float64("duration_ms", float64(took.Microseconds())/1000))
	c.door.log.LogAttrs(ctx, level, "rpc", attrs...)
	return rendered
}

// isStatus does not unwrap: a fault around a status is a fault.
func isStatus(err error) bool {
	_, ok := err.(interface{ GRPCStatus() *status.Status })
	return ok
}

// recovered turns a panic into an internal error. What the panic says may hold
// a person, so that only Go's own runtime errors are quoted.
func (c *call) recovered(r any) error {
	c.door.metrics.panics.Inc()
	what := fmt.Sprintf("%T", r)
	if e, ok := r.(runtime.Error); ok {
		what = e.Error()
	}
	return fault.Internal("PANIC", "rpc: %s panicked: %s\n%s", c.method, what, debug.Stack())
}

func (d *door) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	c := d.begin(info.FullMethod)
	defer func() {
		if r := recover(); r != nil {
			resp, err = nil, c.recovered(r)
		}
		err = c.end(ctx, err)
	}()
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.deadline)
		defer cancel()
	}
	ctx, err = d.admit(ctx, c)
	if err != nil {
		return nil, err
	}
	return handle(ctx, req)
}

func (d *door) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	c := d.begin(info.FullMethod)
	ctx, cancel := context.WithCancelCause(ss.Context())
	defer cancel(nil)
	defer func() {
		if r := recover(); r != nil {
			err = c.recovered(r)
		}
		err = c.end(ctx, err)
	}()
	// A watcher must not hold up the stop.
	defer context.AfterFunc(d.stopping, func() { cancel(errStopping) })()
	ctx, err = d.admit(ctx, c)
	if err != nil {
		return err
	}
	err = handle(srv, &admitted{ServerStream: ss, ctx: ctx})
	if errors.Is(context.Cause(ctx), errStopping) {
		// However the handler took it: a quiet end would tell a watcher that there
		// is nothing more to come.
		return errStopping
	}
	return err
}

var errStopping error = fault.Unavailable("STOPPING", "rpc: the server stops").Zh("节点正在停止，请稍后重新连接")

// admitted is a stream with the principal in its context.
type admitted struct {
	grpc.ServerStream
	ctx context.Context
}

func (a *admitted) Context() context.Context { return a.ctx }

// admit authenticates a call that needs it.
func (d *door) admit(ctx context.Context, c *call) (context.Context, error) {
	if open(c.method) {
		return ctx, nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	secret, err := bearer(md.Get("authorization"))
	if err != nil {
		return ctx, err
	}
	p, err := d.authenticate(ctx, secret)
	if err != nil {
		return ctx, err
	}
	c.account = p.ID
	if p.Role == access.Service {
		if p.OnBehalf, err = onBehalf(md.Get(OnBehalfHeader)); err != nil {
			return ctx, err
		}
	}
	return context.WithValue(ctx, principalKey{}, p), nil
}

func bearer(values []string) (string, error) {
	no := fault.Denied(unauthenticated, "rpc: no bearer token").Zh("缺少令牌或令牌格式不正确")
	if len(values) != 1 || len(values[0]) > maxSecret {
		return "", no
	}
	scheme, secret, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || !strings.HasPrefix(secret, "yp1_") {
		return "", no
	}
	return secret, nil
}

func onBehalf(values []string) (string, error) {
	if len(values) == 1 {
		v := strings.TrimSpace(values[0])
		if v != "" && len(v) <= maxOnBehalf && !strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return v, nil
		}
	}
	return "", fault.Invalid("ON_BEHALF_REQUIRED", "rpc: a service account names the end user in one header %s of 1 to %d characters", OnBehalfHeader, maxOnBehalf).
		Zh("服务账号须写明代表哪位经办人（%s）", OnBehalfHeader).On(OnBehalfHeader)
}

// inside logs an internal error that is rendered as one of many.
func (d *door) inside(ctx context.Context, method string, err error) {
	if err != nil && render(err).code == codes.Internal {
		d.log.LogAttrs(ctx, slog.LevelError, "rpc item", slog.String("method", method), slog.Any("error", err))
	}
}
