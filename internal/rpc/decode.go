package rpc

import (
	"encoding/hex"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
)

// Limits of what a request may say, in characters.
const (
	maxName  = 100   // the longest names on ID cards have some 50
	maxWord  = 100   // codes, numbers, channels
	maxText  = 1_000 // reasons, requests, purposes
	maxList  = 50    // values of a repeated member
	maxToken = 2_000
	maxBatch = 1_000 // of a batch call, as CONVENTIONS and the API say

	minRequestID, maxRequestID = 8, 64
)

// A decoder reads the members of one request. It keeps the first error, which
// names its field and has a Chinese text; what it reads after that is not used.
type decoder struct {
	prefix string // of field names
	err    error
}

func (d *decoder) fail(field string, err error) {
	if d.err != nil {
		return
	}
	f, ok := fault.As(err)
	if !ok {
		f = fault.Invalid("FIELD_INVALID", "rpc: %s is not valid", field)
	}
	named := *f
	d.err = named.On(d.prefix + field)
}

func (d *decoder) refuse(field, reason, english, zh string) {
	d.fail(field, fault.Invalid(reason, "rpc: %s%s: %s", d.prefix, field, english).Zh("%s", zh))
}

// in returns a decoder for a member message; merge takes its error.
func (d *decoder) in(field string) *decoder { return &decoder{prefix: d.prefix + field + "."} }

func (d *decoder) merge(o *decoder) {
	if d.err == nil {
		d.err = o.err
	}
}

// requestID reads an AIP-155 id.
func (d *decoder) requestID(s string) string {
	if n := utf8.RuneCountInString(s); n < minRequestID || n > maxRequestID || !printable(s, false) {
		d.refuse("request_id", "REQUEST_ID", "must have 8 to 64 printable characters", "请求编号（request_id）应为 8 到 64 个字符")
	}
	return s
}

// text reads free text of at most n characters; lines may break.
func (d *decoder) text(field, s string, n int) string {
	switch {
	case utf8.RuneCountInString(s) > n:
		d.fail(field, fault.Invalid("TEXT_TOO_LONG", "rpc: %s%s has over %d characters", d.prefix, field, n).Zh("内容超过 %d 个字", n))
	case !printable(s, true):
		d.refuse(field, "TEXT_CONTROL", "holds control characters", "内容含有不可见的控制字符")
	}
	return s
}

// required is text that must not be empty.
func (d *decoder) required(field, s string, n int) string {
	if s == "" {
		d.refuse(field, "FIELD_REQUIRED", "is missing", "此项必填")
	}
	return d.text(field, s, n)
}

func printable(s string, lines bool) bool {
	for _, r := range s {
		if unicode.IsControl(r) && !(lines && (r == '\n' || r == '\r' || r == '\t')) {
			return false
		}
	}
	return true
}

func (d *decoder) words(field string, in []string) []string {
	if len(in) > maxList {
		d.refuse(field, "TOO_MANY", "has too many values", "项数过多")
		return nil
	}
	for _, s := range in {
		d.text(field, s, maxWord)
	}
	return in
}

func (d *decoder) pairs(field string, in map[string]string) map[string]string {
	if len(in) > maxList {
		d.refuse(field, "TOO_MANY", "has too many values", "项数过多")
		return nil
	}
	for k, v := range in {
		d.required(field, k, maxWord)
		d.text(field, v, maxText)
	}
	return in
}

// area reads a code; empty is 0.
func (d *decoder) area(field, s string) area.Key {
	if s == "" {
		return 0
	}
	k, err := area.Parse(s)
	if err != nil {
		d.fail(field, err)
	}
	return k
}

func (d *decoder) requiredArea(field, s string) area.Key {
	if s == "" {
		d.refuse(field, "FIELD_REQUIRED", "is missing", "缺少行政区划代码")
	}
	return d.area(field, s)
}

// date reads a day; empty is nil.
func (d *decoder) date(field, s string) *civil.Date {
	if s == "" {
		return nil
	}
	v, err := civil.Parse(s)
	if err != nil {
		d.fail(field, err)
	}
	return &v
}

// day reads a day; empty is the zero Date.
func (d *decoder) day(field, s string) civil.Date {
	if v := d.date(field, s); v != nil {
		return *v
	}
	return civil.Date{}
}

// instant reads a time; nil is the zero Time.
func (d *decoder) instant(field string, t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	if t.CheckValid() != nil {
		d.refuse(field, "TIME_INVALID", "is no time", "时间不正确")
		return time.Time{}
	}
	return t.AsTime()
}

// number reads the number of an enum of which last is the highest known.
func number[To ~uint8, E ~int32](d *decoder, field string, v E, last To) To {
	if v < 0 || int32(v) > int32(last) {
		d.refuse(field, "VALUE_UNKNOWN", "has an unknown value", "取值不在允许的范围内")
		return 0
	}
	return To(v)
}

// requiredNumber is number that must be given.
func requiredNumber[To ~uint8, E ~int32](d *decoder, field string, v E, last To) To {
	if v == 0 {
		d.refuse(field, "FIELD_REQUIRED", "is missing", "此项必填")
	}
	return number(d, field, v, last)
}

// id reads 32 hex digits; empty is the zero id.
func id[ID ~[16]byte](d *decoder, field, s string, parse func(string) (ID, error)) ID {
	if s == "" {
		return ID{}
	}
	v, err := parse(s)
	if err != nil {
		d.fail(field, err)
	}
	return v
}

func requiredID[ID ~[16]byte](d *decoder, field, s string, parse func(string) (ID, error)) ID {
	if s == "" {
		d.refuse(field, "FIELD_REQUIRED", "is missing", "缺少编号")
	}
	return id(d, field, s, parse)
}

func (d *decoder) caseID(field, s string) cases.CaseID {
	return requiredID(d, field, s, cases.ParseCaseID)
}

// hash reads 64 hex digits; empty is zero.
func (d *decoder) hash(field, s string) (h [32]byte) {
	if s == "" {
		return h
	}
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(h) {
		d.refuse(field, "HASH_FORMAT", "is not 64 hex digits", "应为 64 位十六进制数字")
		return h
	}
	return [32]byte(b)
}

// pageSize reads AIP-158's: 0 is the desk's own choice, more than limit is
// limit.
func (d *decoder) pageSize(n int32, limit int32) int {
	if n < 0 {
		d.refuse("page_size", "PAGE_SIZE", "is negative", "每页件数不能为负")
		return 0
	}
	return int(min(n, limit))
}

// node reads a node by its area; empty is 0.
func (d *decoder) node(field, s string) cases.NodeID { return cases.NodeID(d.area(field, s)) }

func tooMany(n int) error {
	if n <= maxBatch {
		return nil
	}
	return fault.Invalid("BATCH_TOO_LARGE", "rpc: batch of %d, at most %d", n, maxBatch).
		Zh("一批最多 %d 件，本批有 %d 件，请分批", maxBatch, n)
}

// instantOf writes a time; zero is nil.
func instantOf(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// areaOf writes an area; 0 is empty.
func areaOf(k area.Key) string {
	if k == 0 {
		return ""
	}
	return k.String()
}

func nodeOf(n cases.NodeID) string { return areaOf(n.Area()) }

func idOf[ID interface {
	String() string
	IsZero() bool
}](v ID) string {
	if v.IsZero() {
		return ""
	}
	return v.String()
}

func dayOf(d *civil.Date) string {
	if d == nil {
		return ""
	}
	return d.String()
}
