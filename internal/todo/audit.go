package todo

import (
	"context"
	"strconv"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/fault"
	"yipan/internal/store"
)

// AuditQuery selects events of the access log.
type AuditQuery struct {
	Office    area.Key // 0: all of the caller's
	Account   string
	Subject   [16]byte // a person, or the case of an unpaired notice; zero: any
	Denied    bool     // only denials
	From, To  time.Time
	PageSize  int // 1..MaxAuditPage; 0: 100
	PageToken string
}

// AccessEvent is one event of the access log.
type AccessEvent = store.AccessEvent

// MaxAuditPage is the most events of a page.
const MaxAuditPage = 1000

// Access returns a page of the access log of the caller's offices, newest first,
// and the token of the next page (empty: none). A page may be short, even empty,
// with more to come: a rare event is looked for a bounded part of the log at a
// time. The reading is itself an event.
func (t *Todo) Access(ctx context.Context, p access.Principal, q AuditQuery) ([]AccessEvent, string, error) {
	offices, err := t.offices(ctx, p, access.LogRead, q.Office)
	if err != nil {
		return nil, "", err
	}
	f := store.AccessFilter{Offices: offices, Account: q.Account, Subject: q.Subject, Denied: q.Denied, From: q.From, To: q.To, Limit: q.PageSize}
	switch {
	case q.PageSize < 0 || q.PageSize > MaxAuditPage:
		return nil, "", fault.Invalid("PAGE_SIZE", "page of %d, at most %d", q.PageSize, MaxAuditPage).Zh("每页最多 %d 条", MaxAuditPage).On("page_size")
	case q.PageSize == 0:
		f.Limit = 100
	}
	if !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		return nil, "", fault.Invalid("TIME_RANGE", "from is not before to").Zh("开始时间应早于结束时间").On("to")
	}
	if q.PageToken != "" {
		if f.Before, err = strconv.ParseInt(q.PageToken, 36, 64); err != nil || f.Before <= 0 {
			return nil, "", fault.Invalid("PAGE_TOKEN", "page token is malformed").Zh("翻页标识不正确，请从第一页开始").On("page_token")
		}
	}
	var out []AccessEvent
	var next string
	err = t.In(ctx, p, func(tx *store.Tx) error {
		office := q.Office
		if office == 0 && len(p.Offices) > 0 {
			office = p.Offices[0]
		}
		newest, err := tx.LogAccessNumber(ctx, store.Access{Principal: p, Office: office, Verb: access.LogRead})
		if err != nil {
			return err
		}
		if f.Before == 0 || f.Before > newest {
			f.Before = newest
		}
		var below int64
		out, below, err = tx.AccessEvents(ctx, f)
		next = ""
		if below > 0 {
			next = strconv.FormatInt(below, 36)
		}
		return err
	})
	return out, next, err
}
