package node

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"yipan/internal/fault"
)

// health answers /metrics, /healthz and /readyz. It never names a person: what
// it shows is counters, and one word for each part.
type health struct {
	ping   func(context.Context) error // the database
	broker func() bool                 // shown, and never decides
	serves atomic.Bool                 // between the end of Start and the begin of Stop
}

// pingTime bounds the question to the database in /readyz.
const pingTime = 2 * time.Second

func (h *health) handler(g prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		code, parts := h.ready(r.Context())
		answer(w, code, parts)
	})
	if g != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{}))
	}
	return mux
}

// ready says whether calls would be served. A broker or a peer that is away
// makes nothing unready: items queue in the database.
func (h *health) ready(ctx context.Context) (int, map[string]string) {
	parts := map[string]string{"status": "ready", "database": "ok", "broker": "away"}
	if h.broker() {
		parts["broker"] = "ok"
	}
	code := http.StatusOK
	if !h.serves.Load() {
		code, parts["status"] = http.StatusServiceUnavailable, "starting or stopping"
	}
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	if err := h.ping(ctx); err != nil {
		code, parts["status"], parts["database"] = http.StatusServiceUnavailable, "not ready", "away"
	}
	return code, parts
}

func answer(w http.ResponseWriter, code int, parts map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(parts) // whoever asked may be gone
}

// listen begins to answer at address and returns where, and what ends it.
func (h *health) listen(address string, g prometheus.Gatherer, log *slog.Logger) (at string, stop func(context.Context) error, err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, fault.Unavailable("METRICS_LISTEN", "node: listen on %s", address).Because(err).
			Zh("监控端口 %s 无法使用（可能已被占用）", address).On("metrics.listen")
	}
	s := &http.Server{
		Handler: h.handler(g), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics listener ended", "error", err)
		}
	}()
	return l.Addr().String(), func(ctx context.Context) error {
		err := s.Shutdown(ctx)
		if err != nil {
			err = s.Close()
		}
		<-done
		return err
	}, nil
}

// register registers a collector at reg (nil: nowhere). A registerer that has it
// already, from an earlier life of the same node, goes on counting in it.
func register[C prometheus.Collector](reg prometheus.Registerer, c *C) error {
	if reg == nil {
		return nil
	}
	err := reg.Register(*c)
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if old, ok := already.ExistingCollector.(C); ok {
			*c = old
			return nil
		}
	}
	if err != nil {
		return fault.Internal("METRICS", "node: register metrics").Because(err)
	}
	return nil
}
