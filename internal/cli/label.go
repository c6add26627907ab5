package cli

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"yipan/internal/area"
	"yipan/internal/civil"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/rates"
)

// A label is what people call a value of an enum: its word on the command line
// and its Chinese name.
type label[E ~int32] struct {
	value E
	word  string
	zh    string
}

type labels[E ~int32] []label[E]

var kinds = labels[casesv1.Kind]{
	{casesv1.Kind_KIND_OUTFLOW, "outflow", "流出通报"},
	{casesv1.Kind_KIND_INFLOW, "inflow", "流入通报"},
	{casesv1.Kind_KIND_ASSIST, "assist", "协查"},
	{casesv1.Kind_KIND_CERTIFICATE, "certificate", "验证"},
	{casesv1.Kind_KIND_BIRTH_SERVICE, "birth", "生育服务通报"},
}

var states = labels[casesv1.State]{
	{casesv1.State_STATE_OPEN, "open", "待答复"},
	{casesv1.State_STATE_ANSWERED, "answered", "已答复"},
	{casesv1.State_STATE_REROUTED, "rerouted", "已改派"},
	{casesv1.State_STATE_WITHDRAWN, "withdrawn", "已撤回"},
	{casesv1.State_STATE_CLOSED, "closed", "已注销"},
}

var sides = labels[casesv1.Side]{
	{casesv1.Side_SIDE_OPENER, "opener", "开立方"},
	{casesv1.Side_SIDE_RECEIVER, "receiver", "接收方"},
}

var waitings = labels[casesv1.Waiting]{
	{casesv1.Waiting_WAITING_ORIGIN, "origin", "等开立方"},
	{casesv1.Waiting_WAITING_TRANSPORT, "transport", "传输中"},
	{casesv1.Waiting_WAITING_COUNTY, "county", "等县级分发"},
	{casesv1.Waiting_WAITING_RESIDENCE, "residence", "等接收方"},
}

var outcomes = labels[casesv1.Outcome]{
	{casesv1.Outcome_OUTCOME_NO_DISCLOSURE, "no_disclosure", "本人未授权共享"},
	{casesv1.Outcome_OUTCOME_RESIDING, "residing", "在住"},
	{casesv1.Outcome_OUTCOME_NOT_FOUND, "not_found", "查无此人"},
	{casesv1.Outcome_OUTCOME_MOVED_ON, "moved_on", "已迁往他处"},
	{casesv1.Outcome_OUTCOME_MISROUTED, "misrouted", "非本辖区"},
	{casesv1.Outcome_OUTCOME_DUPLICATE, "duplicate", "重复通报"},
	{casesv1.Outcome_OUTCOME_UNREACHABLE, "unreachable", "无法联系"},
	{casesv1.Outcome_OUTCOME_CONFIRMED, "confirmed", "户籍属实"},
	{casesv1.Outcome_OUTCOME_REGISTERED_ELSEWHERE, "registered_elsewhere", "户籍在他处"},
	{casesv1.Outcome_OUTCOME_NOT_OUR_REGISTER, "not_our_register", "非本地户籍"},
	{casesv1.Outcome_OUTCOME_IDENTITY_CONFLICT, "identity_conflict", "身份信息不一致"},
	{casesv1.Outcome_OUTCOME_DONE, "done", "已办结"},
	{casesv1.Outcome_OUTCOME_PARTLY, "partly", "部分办结"},
	{casesv1.Outcome_OUTCOME_CANNOT, "cannot", "无法办理"},
	{casesv1.Outcome_OUTCOME_VALID, "valid", "证明有效"},
	{casesv1.Outcome_OUTCOME_EXPIRED, "expired", "证明过期"},
	{casesv1.Outcome_OUTCOME_REVOKED, "revoked", "证明已撤销"},
	{casesv1.Outcome_OUTCOME_UNKNOWN, "unknown", "证明不存在"},
	{casesv1.Outcome_OUTCOME_BAD_SIGNATURE, "bad_signature", "签名不符"},
	{casesv1.Outcome_OUTCOME_RECEIVED, "received", "已接收"},
}

var bases = labels[casesv1.BasisKind]{
	{casesv1.BasisKind_BASIS_KIND_REQUEST, "request", "本人申请"},
	{casesv1.BasisKind_BASIS_KIND_CONSENT, "consent", "同意书"},
	{casesv1.BasisKind_BASIS_KIND_DUTY, "duty", "政策职责"},
}

// measures are the rates, with the names that policies use.
var measures = func() (out labels[ratesv1.Measure]) {
	for _, m := range rates.All() {
		out = append(out, label[ratesv1.Measure]{ratesv1.Measure(m), m.String(), m.Zh()})
	}
	return out
}()

// name returns what people call v; "" for one without a label.
func (ls labels[E]) name(v E, lang Lang) string {
	for _, l := range ls {
		if l.value == v {
			return lang.T(l.zh, l.word)
		}
	}
	return ""
}

// pick reads a word of the command line or a file; both languages and the
// words of the API are understood. Empty is the zero value. The error says what
// is allowed.
func (ls labels[E]) pick(e *Env, what, s string) (E, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, nil
	}
	word := strings.ToLower(s)
	for _, l := range ls {
		if l.zh == s || l.word == word || strings.HasSuffix(word, "_"+l.word) && strings.HasPrefix(word, apiPrefix(l.value)) {
			return l.value, nil
		}
	}
	words := make([]string, len(ls))
	for i, l := range ls {
		words[i] = l.word
		if e.Lang != English {
			words[i] += "（" + l.zh + "）"
		}
	}
	slices.Sort(words)
	return 0, usage(e, "%s 只能是：%s", "%s must be one of: %s", what, strings.Join(words, e.T("、", ", ")))
}

// apiPrefix is how the API's own names of v's enum begin, in lower case.
func apiPrefix(v any) string {
	switch v.(type) {
	case casesv1.Kind:
		return "kind_"
	case casesv1.State:
		return "state_"
	case casesv1.Side:
		return "side_"
	case casesv1.Waiting:
		return "waiting_"
	case casesv1.Outcome:
		return "outcome_"
	case casesv1.BasisKind:
		return "basis_kind_"
	case ledgerv1.TodoKind:
		return "todo_kind_"
	case ledgerv1.BulkAction:
		return "bulk_action_"
	default:
		return "measure_"
	}
}

// when prints an instant as people in China read it; "" for none.
func when(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().In(civil.Shanghai).Format("2006-01-02 15:04")
}

// until prints a limit: midnight as the end of the day before, which is the last
// day on which it is kept.
func until(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	at := t.AsTime().In(civil.Shanghai)
	if at.Hour() == 0 && at.Minute() == 0 && at.Second() == 0 {
		return at.AddDate(0, 0, -1).Format("2006-01-02") + " 24:00"
	}
	return at.Format("2006-01-02 15:04")
}

// instant reads RFC 3339, "2006-01-02 15:04" or "2006-01-02" in Shanghai; a
// date alone is its last second where end is set, else its first.
func instant(e *Env, what, s string, end bool) (*timestamppb.Timestamp, error) {
	if s == "" {
		return nil, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return timestamppb.New(t), nil
	}
	if t, err := time.ParseInLocation("2006-01-02 15:04", s, civil.Shanghai); err == nil {
		return timestamppb.New(t), nil
	}
	t, err := time.ParseInLocation("2006-01-02", s, civil.Shanghai)
	if err != nil {
		return nil, usage(e, "%s 应写成 2006-01-02 或 2006-01-02 15:04", "%s must be 2006-01-02, 2006-01-02 15:04 or RFC 3339", what)
	}
	if end {
		t = t.Add(24*time.Hour - time.Second)
	}
	return timestamppb.New(t), nil
}

// place prints an area with its own name: "东皇街道 4:520330001".
func place(key string) string {
	k, err := area.Parse(key)
	if err != nil {
		return key
	}
	if i, ok := area.Lookup(k); ok {
		return i.Name + " " + key
	}
	return key
}

// span prints a duration in its two largest units.
func span(d time.Duration, lang Lang) string {
	units := []struct {
		d      time.Duration
		zh, en string
	}{{24 * time.Hour, "天", "d"}, {time.Hour, "小时", "h"}, {time.Minute, "分", "m"}, {time.Second, "秒", "s"}}
	var b strings.Builder
	parts := 0
	for i, u := range units {
		n := d / u.d
		d %= u.d
		if n == 0 && parts == 0 && i < len(units)-1 {
			continue
		}
		if n > 0 || parts == 0 {
			b.WriteString(itoa(int64(n)) + lang.T(u.zh, u.en))
		}
		if parts++; parts == 2 {
			break
		}
	}
	return b.String()
}
