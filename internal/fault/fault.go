// Package fault owns the closed set of error kinds of yipan. Every error that
// crosses a room carries exactly one kind; doors render it (gRPC status,
// console page, relay decision), nobody else does. It refuses to hold personal
// data: messages name the operation, ids of cases and items, fields, codes and
// limits, never the value of a person's field.
//
// The shape follows boulder's errors package: few kinds, wrapping with %w,
// rendering only at the edge.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what a caller can do about an error.
type Kind uint8

// The closed set. Add a kind only together with its rendering at every door.
const (
	KindInternal    Kind = iota // ours to fix; the caller can only report it
	KindInvalid                 // the request is wrong in itself; repeat it changed
	KindNotFound                // no such thing, or none that the caller may see
	KindConflict                // the thing moved on (stale etag, forbidden verb); read again
	KindDenied                  // the caller may not; for somebody else to do
	KindUnavailable             // try the same request again later
)

// String returns the kind in lower case.
func (k Kind) String() string {
	switch k {
	case KindInvalid:
		return "invalid"
	case KindNotFound:
		return "not found"
	case KindConflict:
		return "conflict"
	case KindDenied:
		return "denied"
	case KindUnavailable:
		return "unavailable"
	default:
		return "internal"
	}
}

// Error is an error of one Kind. Reason is an UPPER_SNAKE_CASE code that stays
// the same when wording changes (google.rpc.ErrorInfo.reason); Field names the
// offending request field, if one is; Text is the message for users in Chinese.
type Error struct {
	Kind   Kind
	Reason string
	Field  string
	Text   string // Chinese, for users; empty: the door says something general
	msg    string
	err    error
}

// Error returns the English message for logs and programs.
func (e *Error) Error() string {
	if e.err != nil {
		return e.msg + ": " + e.err.Error()
	}
	return e.msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }

// Zh sets the user's message and returns e.
func (e *Error) Zh(format string, a ...any) *Error {
	e.Text = fmt.Sprintf(format, a...)
	return e
}

// On names the offending request field and returns e.
func (e *Error) On(field string) *Error {
	e.Field = field
	return e
}

// Because sets the cause and returns e.
func (e *Error) Because(err error) *Error {
	e.err = err
	return e
}

// New returns an error of kind k.
func New(k Kind, reason, format string, a ...any) *Error {
	return &Error{Kind: k, Reason: reason, msg: fmt.Sprintf(format, a...)}
}

// Invalid is an error of a request that is wrong in itself.
func Invalid(reason, format string, a ...any) *Error { return New(KindInvalid, reason, format, a...) }

// NotFound is the error for what is not there, or not the caller's to see.
func NotFound(reason, format string, a ...any) *Error { return New(KindNotFound, reason, format, a...) }

// Conflict is the error for what the state forbids now.
func Conflict(reason, format string, a ...any) *Error { return New(KindConflict, reason, format, a...) }

// Denied is the error for what the caller may not.
func Denied(reason, format string, a ...any) *Error { return New(KindDenied, reason, format, a...) }

// Unavailable is the error for what may succeed later.
func Unavailable(reason, format string, a ...any) *Error {
	return New(KindUnavailable, reason, format, a...)
}

// Internal is the error for what is ours to fix.
func Internal(reason, format string, a ...any) *Error { return New(KindInternal, reason, format, a...) }

// Of returns the kind of err; an error without one is Internal.
func Of(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindInternal
}

// As returns the first *Error in err's chain.
func As(err error) (*Error, bool) { return errors.AsType[*Error](err) }

// Is reports whether err is of kind k.
func Is(err error, k Kind) bool { return err != nil && Of(err) == k }
