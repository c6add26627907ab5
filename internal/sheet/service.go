package sheet

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"unicode"

	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
)

// ServiceRow is one service as a row of a list. Printing and logging it shows
// its line only.
type ServiceRow struct {
	Line int // from 1; the header stands above

	Person    string // id in the office's ledger
	Kind      ledger.Service
	Record    ledger.ServiceRecord // without consent; attempts, account and instant are not the clerk's
	ConsentID string
}

// String returns "row at line 12".
func (r ServiceRow) String() string { return fmt.Sprintf("row at line %d", r.Line) }

// Format writes String for every verb.
func (r ServiceRow) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue returns String.
func (r ServiceRow) LogValue() slog.Value { return slog.StringValue(r.String()) }

// serviceColumns in the order in which an empty list is written.
var serviceColumns = []struct {
	key      string
	names    []string
	required bool
}{
	{"person", []string{"人员编号", "person_id"}, true},
	{"kind", []string{"服务类别", "服务", "kind"}, false},
	{"result", []string{"结果", "服务结果", "result"}, true},
	{"date", []string{"日期", "服务日期", "date"}, true},
	{"channel", []string{"方式", "联系方式", "channel"}, true},
	{"pregnancy", []string{"孕情", "pregnancy"}, false},
	{"iud", []string{"环情", "iud"}, false},
	{"reproductive_health", []string{"生殖健康", "reproductive_health"}, false},
	{"consent", []string{"同意书编号", "consent_id"}, false},
	{"own_proof", []string{"本人出示证明", "own_proof"}, false},
	{"appointment", []string{"预约日期", "appointment"}, false},
	{"referral", []string{"转介去向", "referral_to"}, false},
	{"referred", []string{"转介日期", "referral_date"}, false},
	{"referral_done", []string{"转介办结日期", "referral_done"}, false},
}

var serviceKinds = map[string]ledger.Service{
	"": ledger.ThreeChecks, "三查": ledger.ThreeChecks, "three_checks": ledger.ThreeChecks,
	"药具": ledger.Contraceptives, "contraceptives": ledger.Contraceptives,
	"随访": ledger.FollowUp, "follow_up": ledger.FollowUp,
	"优待": ledger.Entitlement, "优待与免费项目": ledger.Entitlement, "entitlement": ledger.Entitlement,
	"来访": ledger.Visit, "visit": ledger.Visit,
}

var serviceResults = map[string]string{
	"已申请": ledger.OfferAsked, "需要": ledger.OfferAsked, "asked": ledger.OfferAsked,
	"已服务": ledger.OfferDone, "已办": ledger.OfferDone, "done": ledger.OfferDone,
	"谢绝": ledger.OfferDeclined, "拒绝": ledger.OfferDeclined, "declined": ledger.OfferDeclined,
	"不再询问": ledger.OfferStandingRefusal, "长期谢绝": ledger.OfferStandingRefusal, "standing_refusal": ledger.OfferStandingRefusal,
	"未联系上": ledger.OfferNotReached, "not_reached": ledger.OfferNotReached,
	"不适用": ledger.OfferNotApplicable, "not_applicable": ledger.OfferNotApplicable,
}

var serviceChannels = map[string]string{
	"上门": "visit", "入户": "visit", "visit": "visit", "电话": "phone", "phone": "phone", "短信": "message", "微信": "message", "message": "message",
	"信函": "letter", "letter": "letter", "窗口": "counter", "来所": "counter", "counter": "counter",
}

var yesNo = map[string]bool{"": false, "否": false, "no": false, "0": false, "是": true, "yes": true, "1": true, "√": true}

// ServiceKind reads the name of a kind of service, Chinese or of the API.
func ServiceKind(s string) (ledger.Service, bool) {
	k, ok := serviceKinds[strings.ToLower(strings.TrimSpace(s))]
	return k, ok && s != ""
}

// ServiceWord reads the name of a result or channel, Chinese or of the API; what
// it does not know it returns as it is.
func ServiceWord(s string) string {
	w := strings.ToLower(strings.TrimSpace(s))
	if r, ok := serviceResults[w]; ok {
		return r
	}
	if c, ok := serviceChannels[w]; ok {
		return c
	}
	return s
}

// ReadServices reads services as CSV, each row with its own date and channel.
// It reads what ReadRoster reads of encodings, line ends and columns, and knows
// the results, channels and kinds by Chinese names and by those of the API; a
// row without a kind is of the three checks. rows are those without a problem.
// err is Invalid as ReadRoster's.
func ReadServices(r io.Reader) (rows []ServiceRow, problems []Problem, err error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, nil, fault.Unavailable("ROSTER_READ", "read list of services").Zh("文件读取失败").Because(err)
	}
	text, err := decode(data)
	if err != nil {
		return nil, nil, err
	}
	c := csv.NewReader(strings.NewReader(text))
	c.FieldsPerRecord = -1
	at, err := serviceHeader(c)
	if err != nil {
		return nil, nil, err
	}
	n := 0
	for {
		cells, line, err := next(c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		if blank(cells) {
			continue
		}
		if n++; n > MaxRows {
			return nil, nil, tooLarge("文件超过 %d 行，请分成几个文件", MaxRows)
		}
		p := serviceParser{line: line, at: at, cells: cells}
		row := p.read()
		if len(p.problems) == 0 {
			rows = append(rows, row)
		} else {
			problems = append(problems, p.problems...)
		}
	}
	if n == 0 {
		return nil, nil, fault.Invalid("ROSTER_EMPTY", "list of services has no rows").Zh("表头以下没有数据").On("file")
	}
	return rows, problems, nil
}

// serviceHeader finds the header among the first records and returns the index
// of each column by its key.
func serviceHeader(c *csv.Reader) (map[string]int, error) {
	for range titleRows + 1 {
		cells, _, err := next(c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		at := map[string]int{}
		for i, cell := range cells {
			name := strings.ToLower(strings.Join(strings.Fields(strings.Map(narrow, tidy(cell))), ""))
			for _, col := range serviceColumns {
				if !slices.Contains(col.names, name) {
					continue
				}
				if _, twice := at[col.key]; twice {
					return nil, fault.Invalid("ROSTER_COLUMN", "a column stands twice").Zh("“%s”一列出现了两次", col.names[0]).On("file")
				}
				at[col.key] = i
			}
		}
		if len(at) < 3 {
			continue // a title
		}
		for _, col := range serviceColumns {
			if _, ok := at[col.key]; !ok && col.required {
				return nil, fault.Invalid("ROSTER_COLUMN", "a required column is missing").Zh("缺少“%s”一列", col.names[0]).On("file")
			}
		}
		return at, nil
	}
	return nil, fault.Invalid("ROSTER_COLUMN", "no header").Zh("没有找到表头，应有“人员编号、结果、日期、方式”等列").On("file")
}

type serviceParser struct {
	line     int
	at       map[string]int
	cells    []string
	problems []Problem
}

func (p *serviceParser) refuse(key, reason, text string) {
	for _, c := range serviceColumns {
		if c.key == key {
			p.problems = append(p.problems, Problem{Line: p.line, Column: c.names[0], Reason: reason, Text: text})
		}
	}
}

func (p *serviceParser) text(key string) string {
	i, ok := p.at[key]
	if !ok || i >= len(p.cells) {
		return ""
	}
	s := tidy(p.cells[i])
	if len([]rune(s)) > maxCell {
		p.refuse(key, "ROSTER_CELL_LONG", fmt.Sprintf("内容超过 %d 个字", maxCell))
		return ""
	}
	return s
}

func (p *serviceParser) token(key string) string {
	return strings.Map(func(r rune) rune {
		if r = narrow(r); unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, p.text(key))
}

func (p *serviceParser) day(key string, required bool) civil.Date {
	s := strings.Map(narrow, p.text(key))
	if s == "" {
		if required {
			p.refuse(key, "REQUIRED", "不能为空，每一行都要填写实际日期")
		}
		return civil.Date{}
	}
	for _, midnight := range []string{" 0:00", " 00:00", " 0:00:00", " 00:00:00"} {
		s = strings.TrimSuffix(s, midnight)
	}
	s = strings.Join(strings.Fields(s), "")
	if m := shapeDay.FindStringSubmatch(s); m != nil {
		s = m[1] + "-" + ("0" + m[2])[len(m[2])-1:] + "-" + ("0" + m[3])[len(m[3])-1:]
	}
	d, err := civil.Parse(s)
	if f, ok := fault.As(err); ok {
		p.refuse(key, f.Reason, f.Text)
	}
	return d
}

// choice reads a cell that holds one of a few words.
func choice[T any](p *serviceParser, key string, words map[string]T, required bool) T {
	var none T
	s := p.token(key)
	if s == "" && required {
		p.refuse(key, "REQUIRED", "不能为空")
		return none
	}
	v, ok := words[s]
	if !ok {
		var known []string
		for w := range maps.Keys(words) {
			if w != "" && !ascii([]byte(w)) {
				known = append(known, w)
			}
		}
		slices.Sort(known)
		p.refuse(key, "ROSTER_WORD", "只能填写："+strings.Join(known, "、"))
	}
	return v
}

func (p *serviceParser) read() ServiceRow {
	row := ServiceRow{Line: p.line, Person: p.token("person"), Kind: choice(p, "kind", serviceKinds, false), ConsentID: p.token("consent")}
	switch {
	case row.Person == "":
		p.refuse("person", "REQUIRED", "不能为空（人员编号见待办名单）")
	case len(row.Person) != 32 || strings.Trim(row.Person, "0123456789abcdef") != "":
		p.refuse("person", "PERSON_ID", "应为 32 位人员编号，不是姓名或证件号码")
	}
	r := &row.Record
	r.Result, r.Date = choice(p, "result", serviceResults, true), p.day("date", true)
	r.Channel, r.OwnProof = choice(p, "channel", serviceChannels, true), choice(p, "own_proof", yesNo, false)
	r.Appointment = p.day("appointment", false)
	for _, name := range ledger.Findings() {
		if v := p.text(name); v != "" {
			if r.Findings == nil {
				r.Findings = map[string]string{}
			}
			r.Findings[name] = v
		}
	}
	to, on, done := p.text("referral"), p.day("referred", false), p.day("referral_done", false)
	if to != "" || !on.IsZero() || !done.IsZero() {
		r.Referral = &ledger.Referral{To: to, Date: on, Done: done}
		if to == "" {
			p.refuse("referral", "REQUIRED", "有转介日期的，请填写转介去向")
		}
	}
	return row
}
