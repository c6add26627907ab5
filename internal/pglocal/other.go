//go:build !unix

package pglocal

import (
	"context"
	"runtime"

	"yipan/internal/fault"
)

type machine struct{}

// Start refuses: see the package comment.
func Start(context.Context, Options) (*Server, error) {
	return nil, fault.Unavailable("POSTGRES_PRIVATE_UNIX", "a private PostgreSQL server is not started on %s; install PostgreSQL and set YIPAN_DATABASE_URL", runtime.GOOS).
		Zh("此系统（%s）不支持内置数据库，请安装 PostgreSQL 并设置 YIPAN_DATABASE_URL。", runtime.GOOS)
}

// Stop does nothing: there is no server.
func (s *Server) Stop(context.Context) error { return nil }

// Err returns nil: there is no server.
func (s *Server) Err() error { return nil }

// Done returns a closed channel: there is no server.
func (s *Server) Done() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
