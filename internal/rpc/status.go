package rpc

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"yipan/internal/fault"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
)

// Domain is the ErrorInfo domain of every refusal.
const Domain = "yipan"

// A rendering is what a client is told about an error.
type rendering struct {
	code    codes.Code
	reason  string
	field   string
	english string // without causes
	chinese string
}

// render decides what a client is told. An error of no kind, and an internal
// one, show neither reason nor cause.
func render(err error) rendering {
	switch f, ok := fault.As(err); {
	case errors.Is(err, context.Canceled):
		return rendering{code: codes.Canceled, reason: "CANCELED", english: "canceled", chinese: "请求已取消"}
	case errors.Is(err, context.DeadlineExceeded):
		return rendering{code: codes.DeadlineExceeded, reason: "DEADLINE_EXCEEDED", english: "deadline exceeded", chinese: "超过时限，请稍后再试"}
	case !ok || f.Kind == fault.KindInternal:
		return rendering{code: codes.Internal, reason: "INTERNAL", english: "internal error", chinese: "系统内部错误，已记录，请联系管理员"}
	default:
		r := rendering{code: codeOf(f), reason: f.Reason, field: f.Field, english: message(f), chinese: f.Text}
		if r.reason == "" {
			r.reason = strings.ToUpper(strings.ReplaceAll(f.Kind.String(), " ", "_"))
		}
		if r.chinese == "" {
			r.chinese = general[f.Kind]
		}
		return r
	}
}

var general = map[fault.Kind]string{
	fault.KindInvalid:     "请求内容有误",
	fault.KindNotFound:    "没有找到，或不属于您的单位",
	fault.KindConflict:    "当前状态不允许这样办理，请重新查看",
	fault.KindDenied:      "没有权限",
	fault.KindUnavailable: "暂时无法办理，请稍后再试",
}

// codeOf chooses the gRPC code (AIP-193, google.rpc.Code): Aborted says "read
// again and repeat", FailedPrecondition "not before the state changes".
func codeOf(f *fault.Error) codes.Code {
	switch f.Kind {
	case fault.KindInvalid:
		return codes.InvalidArgument
	case fault.KindNotFound:
		return codes.NotFound
	case fault.KindConflict:
		switch {
		case f.Reason == "ETAG_STALE":
			return codes.Aborted
		case f.Reason == "DUPLICATE" || strings.HasPrefix(f.Reason, "DUPLICATE_"):
			return codes.AlreadyExists
		}
		return codes.FailedPrecondition
	case fault.KindDenied:
		if f.Reason == unauthenticated {
			return codes.Unauthenticated
		}
		return codes.PermissionDenied
	case fault.KindUnavailable:
		return codes.Unavailable
	default:
		return codes.Internal
	}
}

// message is the error's own message without its cause's.
func message(f *fault.Error) string {
	if cause := f.Unwrap(); cause != nil {
		return strings.TrimSuffix(f.Error(), ": "+cause.Error())
	}
	return f.Error()
}

// status turns the rendering into a status with its details; id names the log
// line of an internal error, empty for none.
func (r rendering) status(id string) *status.Status {
	details := []protoadapt.MessageV1{
		protoadapt.MessageV1Of(&errdetails.ErrorInfo{Reason: r.reason, Domain: Domain}),
		protoadapt.MessageV1Of(&errdetails.LocalizedMessage{Locale: "zh-CN", Message: r.chinese}),
	}
	if r.field != "" {
		details = append(details, protoadapt.MessageV1Of(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{
			Field: r.field, Description: r.english, Reason: r.reason,
			LocalizedMessage: &errdetails.LocalizedMessage{Locale: "zh-CN", Message: r.chinese},
		}}}))
	}
	if id != "" {
		details = append(details, protoadapt.MessageV1Of(&errdetails.RequestInfo{RequestId: id}))
	}
	s := status.New(r.code, r.english)
	detailed, err := s.WithDetails(details...)
	if err != nil { // text that is not UTF-8
		return s
	}
	return detailed
}

// itemError is the refusal of one of many.
func itemError(err error) *casesv1.ItemError {
	if err == nil {
		return nil
	}
	r := render(err)
	return &casesv1.ItemError{Reason: r.reason, Field: r.field, Message: r.chinese}
}
