package rpc

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"yipan/internal/access"
	"yipan/internal/fault"
)

// said is what a client reads out of a status.
type said struct {
	code                             codes.Code
	reason, field, chinese, rpc, msg string
}

func read(t *testing.T, err error) said {
	t.Helper()
	s, ok := status.FromError(err)
	if !ok {
		t.Fatalf("%v is no status", err)
	}
	r := said{code: s.Code(), msg: s.Message()}
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() != "yipan" {
				t.Errorf("domain %q", d.GetDomain())
			}
			r.reason = d.GetReason()
		case *errdetails.BadRequest:
			r.field = d.GetFieldViolations()[0].GetField()
		case *errdetails.LocalizedMessage:
			if d.GetLocale() != "zh-CN" {
				t.Errorf("locale %q", d.GetLocale())
			}
			r.chinese = d.GetMessage()
		case *errdetails.RequestInfo:
			r.rpc = d.GetRequestId()
		default:
			t.Errorf("detail %T", d)
		}
	}
	return r
}

func TestRender(t *testing.T) {
	secret := errors.New("secret cause")
	for _, tt := range []struct {
		name string
		err  error
		want said
	}{
		{"invalid", fault.Invalid("AREA_CODE", "bad area").Zh("区划不对").On("origin"), said{codes.InvalidArgument, "AREA_CODE", "origin", "区划不对", "", "bad area"}},
		{"invalid without words", fault.Invalid("X", "x"), said{codes.InvalidArgument, "X", "", "请求内容有误", "", "x"}},
		{"wrapped", fmt.Errorf("open: %w", fault.NotFound("CASE", "no case").Zh("没有")), said{codes.NotFound, "CASE", "", "没有", "", "no case"}},
		{"stale", fault.Conflict("ETAG_STALE", "stale").Zh("已变化"), said{codes.Aborted, "ETAG_STALE", "", "已变化", "", "stale"}},
		{"state forbids", fault.Conflict("NOT_OPEN", "closed"), said{codes.FailedPrecondition, "NOT_OPEN", "", "当前状态不允许这样办理，请重新查看", "", "closed"}},
		{"duplicate", fault.Conflict("DUPLICATE", "twice"), said{codes.AlreadyExists, "DUPLICATE", "", "当前状态不允许这样办理，请重新查看", "", "twice"}},
		{"denied", fault.Denied("NOT_ALLOWED", "no"), said{codes.PermissionDenied, "NOT_ALLOWED", "", "没有权限", "", "no"}},
		{"unauthenticated", fault.Denied("UNAUTHENTICATED", "who"), said{codes.Unauthenticated, "UNAUTHENTICATED", "", "没有权限", "", "who"}},
		{"unavailable", fault.Unavailable("DB_AWAY", "database away").Because(secret), said{codes.Unavailable, "DB_AWAY", "", "暂时无法办理，请稍后再试", "", "database away"}},
		{"internal", fault.Internal("SQL", "broken row").Zh("行").On("x").Because(secret), said{codes.Internal, "INTERNAL", "", "系统内部错误，已记录，请联系管理员", "", "internal error"}},
		{"of no kind", secret, said{codes.Internal, "INTERNAL", "", "系统内部错误，已记录，请联系管理员", "", "internal error"}},
		{"canceled", fault.Unavailable("DB", "q").Because(context.Canceled), said{codes.Canceled, "CANCELED", "", "请求已取消", "", "canceled"}},
		{"deadline", fmt.Errorf("x: %w", context.DeadlineExceeded), said{codes.DeadlineExceeded, "DEADLINE_EXCEEDED", "", "超过时限，请稍后再试", "", "deadline exceeded"}},
		{"from access", access.Check(access.Principal{ID: "a", Role: access.Admin}, access.CaseRead, 0), said{codes.PermissionDenied, "NOT_ALLOWED", "", "您的账号没有这项权限，请联系本单位安全员", "", "a (admin) may not case.read"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := read(t, render(tt.err).status("").Err()); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
			item := itemError(tt.err)
			if item.GetReason() != tt.want.reason || item.GetField() != tt.want.field || item.GetMessage() != tt.want.chinese {
				t.Errorf("as one of many: %v", item)
			}
		})
	}
	if itemError(nil) != nil {
		t.Error("no error has an item error")
	}
}

// Every kind of the closed set has a code of its own and words.
func TestKinds(t *testing.T) {
	seen := map[codes.Code]fault.Kind{}
	for k := fault.KindInternal; k <= fault.KindUnavailable; k++ {
		r := render(fault.New(k, "X", "x"))
		if was, ok := seen[r.code]; ok {
			t.Errorf("%s and %s have the code %s", was, k, r.code)
		}
		seen[r.code] = k
		if r.chinese == "" || r.reason == "" {
			t.Errorf("%s has no words: %+v", k, r)
		}
	}
}
