package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"yipan/internal/fault"
)

// The exit codes.
const (
	ExitOK          = 0
	ExitFailed      = 1 // refused or failed
	ExitUsage       = 2 // the command line is wrong
	ExitUnavailable = 3 // not reached or busy: try again later
	ExitPartly      = 4 // some rows were refused
)

// usageError is a command line that a command refuses.
type usageError struct{ text string }

func (u *usageError) Error() string { return u.text }

// usage returns a usageError in the language.
func usage(e *Env, zh, en string, a ...any) error {
	return &usageError{text: fmt.Sprintf(e.T(zh, en), a...)}
}

// partlyError says that some rows were refused; they are printed already.
type partlyError struct{ refused, rows int }

func (p *partlyError) Error() string { return fmt.Sprintf("%d of %d rows refused", p.refused, p.rows) }

// errRefused says that everything was refused and printed already.
var errRefused = errors.New("all rows refused")

// outcome is the error of a command over many rows.
func outcome(refused, rows int) error {
	switch refused {
	case 0:
		return nil
	case rows:
		return errRefused
	}
	return &partlyError{refused: refused, rows: rows}
}

// ExitCode returns the exit code for the error of a command, ExitOK for nil.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return ExitUsage
	}
	if _, ok := errors.AsType[*kong.ParseError](err); ok {
		return ExitUsage
	}
	if _, ok := errors.AsType[*partlyError](err); ok {
		return ExitPartly
	}
	switch code, _ := codeOf(err); code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted:
		return ExitUnavailable
	}
	return ExitFailed
}

// codeOf returns the gRPC code of an error, also of a fault or context error
// that never was a status.
func codeOf(err error) (codes.Code, bool) {
	if s, ok := statusOf(err); ok {
		return s.Code(), true
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded, true
	case errors.Is(err, context.Canceled):
		return codes.Canceled, true
	case fault.Is(err, fault.KindUnavailable):
		return codes.Unavailable, true
	}
	return codes.Unknown, false
}

// statusOf finds the status that a node or the client sent. status.FromError
// would put the wrapping's words into its message.
func statusOf(err error) (*status.Status, bool) {
	var s interface{ GRPCStatus() *status.Status }
	if errors.As(err, &s) {
		return s.GRPCStatus(), true
	}
	return nil, false
}

// account is what is said about an error.
type account struct {
	Code    string `json:"code"`
	Reason  string `json:"reason,omitempty"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
	Request string `json:"requestId,omitempty"` // of a write whose fate is unknown
	Advice  string `json:"advice,omitempty"`
	RPC     string `json:"rpcId,omitempty"` // to find the server's log line
}

// Explain writes to w what went wrong and what to do, in the language: for an
// error that a node sent, its Chinese message (the English one in English),
// reason and field.
func Explain(w io.Writer, err error, lang Lang) {
	e := &Env{Std: Std{Err: w}, Lang: lang}
	e.explain(err)
}

func (e *Env) explain(err error) {
	if p, ok := errors.AsType[*partlyError](err); ok {
		e.Note("%[2]d 行中有 %[1]d 行未办理", "%d of %d rows were refused", p.refused, p.rows)
		return
	}
	if errors.Is(err, errRefused) {
		e.Note("全部未办理", "Everything was refused")
		return
	}
	a := describe(err, e.Lang)
	if e.JSON {
		b, _ := json.Marshal(map[string]account{"error": a}) // strings alone: cannot fail
		fmt.Fprintln(e.Err, string(b))
		return
	}
	e.Note("错误：%s", "Error: %s", plain(a.Message))
	// Clerks need the word for the field and the code to ask about; the kind
	// says nothing beside them.
	marked := []struct{ zh, en, v string }{
		{"", "code ", a.Code}, {"项目 ", "field ", e.fieldWord(a.Field)}, {"代码 ", "reason ", a.Reason},
		{"请求 ", "request ", a.Request}, {"流水 ", "rpc ", a.RPC},
	}
	var marks []string
	for _, m := range marked {
		if prefix := e.T(m.zh, m.en); m.v != "" && prefix != "" {
			marks = append(marks, prefix+plain(m.v))
		}
	}
	if a.Code != "USAGE" && (a.Reason != "" || a.RPC != "" || a.Request != "") {
		e.Note("  %s", "  %s", strings.Join(marks, e.T("；", "; ")))
	}
	if a.Advice != "" {
		e.Note("  怎么办：%s", "  What to do: %s", a.Advice)
	}
}

func describe(err error, lang Lang) account {
	if p, ok := errors.AsType[*parseError](err); ok {
		return account{Code: "USAGE", Message: usageText(p, lang),
			Advice: fmt.Sprintf(lang.T("查看说明：%s --help", "see %s --help"), p.command)}
	}
	if u, ok := errors.AsType[*usageError](err); ok {
		return account{Code: "USAGE", Message: u.text}
	}
	a := account{Code: "FAILED", Message: err.Error()}
	if f, ok := fault.As(err); ok {
		a.Code, a.Reason, a.Field = strings.ToUpper(strings.ReplaceAll(f.Kind.String(), " ", "_")), f.Reason, f.Field
		if f.Text != "" && lang != English {
			a.Message = f.Text
		}
		if known, ok := advices[f.Reason]; ok {
			a.Advice = lang.T(known[0], known[1])
		}
		return a
	}
	code, ok := codeOf(err)
	if !ok {
		return a
	}
	a.Code = codeName(code)
	var details []any
	if s, ok := statusOf(err); ok {
		a.Message, details = s.Message(), s.Details()
	}
	for _, d := range details {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			a.Reason = d.GetReason()
		case *errdetails.BadRequest:
			if v := d.GetFieldViolations(); len(v) > 0 {
				a.Field = v[0].GetField()
			}
		case *errdetails.LocalizedMessage:
			if lang != English {
				a.Message = d.GetMessage()
			}
		case *errdetails.RequestInfo:
			a.RPC = d.GetRequestId()
		}
	}
	// Without a reason the error comes from this side or the way between.
	if a.Reason == "" && lang != English {
		if zh := codesZh[code]; zh != "" {
			a.Message = zh + "（" + wayZh(a.Message) + "）"
		}
	}
	a.Advice = advice(code, a.Reason, lang)
	if code == codes.Unavailable && a.Reason == "" && strings.Contains(a.Message, "x509:") {
		a.Message = lang.T("节点出示的证书与 --ca 不符", "the node's certificate is not the one that --ca trusts")
		a.Advice = lang.T("向节点管理员要 node.crt（或其 CA），用 --ca 或 YIPAN_CA 指明", "ask the node's administrator for node.crt (or its CA) and name it by --ca or YIPAN_CA")
	}
	if w, ok := errors.AsType[*writeError](err); ok && (code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.Canceled) {
		a.Request = w.id
		a.Advice = fmt.Sprintf(lang.T("不确定是否已办理；稍后加上 --request-id %s 重做，不会重复办理",
			"it may or may not be done; repeat with --request-id %s later, which does nothing twice"), w.id)
	}
	return a
}

// codeName is the code as the API's papers write it.
func codeName(c codes.Code) string {
	var b strings.Builder
	for i, r := range c.String() {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// wayZh is why a node was not reached, where the words are known.
func wayZh(message string) string {
	for _, known := range []struct{ en, zh string }{
		{"connection refused", "该地址没有节点在运行"}, {"no such host", "没有这个主机名"}, {"i/o timeout", "对方没有回应"},
		{"no route to host", "网络不通"}, {"network is unreachable", "网络不通"}, {"context deadline exceeded", "对方没有及时回应"},
		{"first record does not look like a TLS handshake", "该地址不是节点的接口"}, {"missing port in address", "地址应写成 主机:端口"},
	} {
		if strings.Contains(message, known.en) {
			return known.zh
		}
	}
	return message
}

var codesZh = map[codes.Code]string{
	codes.Unavailable:       "连不上节点",
	codes.DeadlineExceeded:  "超过时限",
	codes.ResourceExhausted: "请求过大或节点繁忙",
	codes.Canceled:          "已取消",
	codes.Unimplemented:     "该节点不支持此命令",
	codes.Internal:          "通信出错",
}

var advices = map[string][2]string{
	"ETAG_STALE":           {"用 yipan case get（档案用 person get）重新查看后再办", "read it again with yipan case get (a file: person get)"},
	"ID_CHECK_DIGIT":       {"对照证件原件改正；确认无误的，加 --document-confirmed 写明理由", "compare it with the document; where it is right all the same, say why by --document-confirmed"},
	"ID_NUMERIC":           {"把表格的证件列设为文本，按证件原件重新录入", "make the column text and type it anew from the document"},
	"AREA_CODE":            {"区划写成 级别:代码，如 4:520330101（乡镇）、3:520330（县）、5:520330101203（村）", "an area is LEVEL:CODE, such as 4:520330101"},
	"AREA_UNKNOWN":         {"核对区划代码，如 4:520330101（乡镇）；村须先由管理员用 yipan area load 载入", "check the code, such as 4:520330101; villages are loaded by yipan area load"},
	"FOREIGN_OFFICE":       {"只能办理本账号所属单位的业务；不写 --office 即为本单位", "leave --office out to work for your own"},
	"MERGED":               {"用 yipan person get 查看并入了哪份档案；要撤销用 yipan person unmerge", "see with yipan person get which file it went into; yipan person unmerge undoes it"},
	"NOT_MERGED":           {"用 yipan person get 查看档案", "look at the file with yipan person get"},
	"APPROVAL_NOT_FOUND":   {"核对审批编号；用 yipan todo list --kind approve 查看待审批的", "check the id; yipan todo list --kind approve shows what waits"},
	"PLAN_UNKNOWN":         {"预览 15 分钟内有效：用 yipan todo preview 重新预览", "a preview holds for 15 minutes: preview anew with yipan todo preview"},
	"NOT_PAIRED":           {"用 yipan case candidates 查看可能的人员，再用 yipan case pair 配对", "see yipan case candidates, then yipan case pair"},
	"FOLDER_NOT_EMPTY":     {"换一个目录（--data 另一目录），或确认不再需要后删除该目录；不写 --data 则用临时目录", "name another folder by --data, or delete this one if it is not needed; without --data a temporary one is used"},
	"PAIR_AMBIGUOUS":       {"用 yipan case candidates 查看，再用 yipan case pair --person 指定", "see yipan case candidates, then name one by yipan case pair --person"},
	"NOT_ASSIGNED":         {"先由县级分发员用 yipan case distribute 分发", "the county's distributor gives it away first: yipan case distribute"},
	"HAS_MERGED":           {"交换两个编号，或先用 yipan person unmerge 撤销", "exchange the two ids, or undo the merge first by yipan person unmerge"},
	"PERSON_EXISTS":        {"用 yipan person search --document 查找已有档案，不要重复登记", "find the file with yipan person search --document"},
	"PERSON_NOT_FOUND":     {"核对人员编号；其他单位的人员同样显示为没有", "check the id; people of other offices look the same as none"},
	"PAGE_LIMIT":           {"今天不要再打开档案；确有需要请找安全员", "open no more files today; ask your security officer"},
	"UNAUTHENTICATED":      {"检查令牌文件是否属于本节点、是否过期", "check that the token is of this node and not expired"},
	"ON_BEHALF_REQUIRED":   {"服务账号须用 --on-behalf 写明经办人", "a service account names the user by --on-behalf"},
	"OFFICE_REQUIRED":      {"用 --office（开立案件用 --origin，报表、月份用 --area）指明单位；账号没有单位的，请联系安全员", "name an office by --office (opening a case: --origin; reports and months: --area); an account without offices is for your security officer"},
	"NOT_ALLOWED":          {"核对账号的角色（经办、分发、县级、审计、管理）和所属区划；需要调整的请联系本单位安全员", "check the role and areas of your account; ask your security officer to change them"},
	"REQUEST_ID_REUSED":    {"此编号已办理过其他内容：换一个 --request-id，要改内容请用 case correct 或 person edit", "this id was used for something else: take another --request-id; to change what was sent use case correct or person edit"},
	"STANDING_REFUSAL":     {"本人主动改变了意愿的，先用 yipan service standing 人员编号 --lift 取消", "if the person changed it, lift it first: yipan service standing PERSON --lift"},
	"ROUND_OVER":           {"轮次结束后不再登记；用 yipan service due 查看正在进行的轮次", "nothing is recorded after its end; yipan service due shows the open round"},
	"ROUND_NONE":           {"等下一轮开始后再办；轮次见政策文件", "wait for the next round; the policy has the rounds"},
	"PERIOD_OVER":          {"更早月份的统计已定，不再登记", "earlier months are settled"},
	"PERSON_DEAD":          {"核对人员编号；登记有误的，先撤销死亡登记", "check the id; a wrong registration of the death is taken back first"},
	"LATER_MOVEMENT":       {"用 yipan move list 人员编号 查看已登记的流动", "see what is registered: yipan move list PERSON"},
	"ALREADY_AWAY":         {"用 yipan move list 人员编号 查看已登记的流动", "see what is registered: yipan move list PERSON"},
	"ALREADY_HERE":         {"用 yipan move list 人员编号 查看已登记的流动", "see what is registered: yipan move list PERSON"},
	"ALREADY_GONE":         {"用 yipan move list 人员编号 查看已登记的流动", "see what is registered: yipan move list PERSON"},
	"NOT_AWAY":             {"用 yipan move list 人员编号 查看已登记的流动", "see what is registered: yipan move list PERSON"},
	"IS_LEAVE":             {"用 yipan move list 人员编号 查看已登记的流动", "see what is registered: yipan move list PERSON"},
	"IS_RETURN":            {"用 yipan move list 人员编号 查看已登记的流动", "see what is registered: yipan move list PERSON"},
	"NOT_REGISTERED_HERE":  {"先用 yipan person edit 人员编号 --registered 区划 写明户籍地；新登记的，本命令加 --registered 区划", "say where the person is registered: yipan person edit PERSON --registered AREA, or --registered here for somebody new"},
	"SAME_REGISTER":        {"用 yipan move list 人员编号 查看已登记的流动", "see what is registered: yipan move list PERSON"},
	"ALREADY_UNDONE":       {"用 yipan move list 人员编号 查看已登记的流动", "see what is registered: yipan move list PERSON"},
	"MOVEMENT_NOT_FOUND":   {"核对流动编号；其他单位的记录同样显示为没有", "check the id; movements of other offices look the same as none"},
	"APPROVAL_REQUIRED":    {"请本单位另一位经办人用 yipan move approve 审批编号 批准后，带 --approval 重做", "let another clerk of the office run yipan move approve, then repeat with --approval"},
	"PLAN_USED":            {"用 yipan todo preview 重新预览", "preview anew with yipan todo preview"},
	"UNDONE":               {"", ""},
	"OWN_REQUEST":          {"请本单位另一位经办人用自己的账号批准", "another clerk of the office approves it, by their own account"},
	"TRUE_REASON_REQUIRED": {"用 --true-reason 写明：declined（拒绝）、withheld（依法不提供）、unavailable（无资料）、not_offered（未询问）", "say it by --true-reason: declined, withheld, unavailable, not_offered"},
	"MONTH_NOT_FROZEN":     {"用 yipan month list 查看各月状态；未定稿时用 yipan rates --period 查看即时数字", "see yipan month list; until it is frozen, yipan rates --period has the live figures"},
	"REVISION":             {"用 yipan month list 查看各月的状态和修订号", "see the months and their revisions by yipan month list"},
	"CASES_OF_OFFICE":      {"县级用 yipan rates --by-township 看件数；具体案件请乡镇（街道）的经办人查看", "a county sees counts: yipan rates --by-township; the cases are for the township's clerk"},
	"PERIOD_MONTH":         {"月份写成 2026-11 的样子", "a month is written 2026-11"},
	"NOT_AGREED":           {"本人同意后先用 yipan consent record --purpose contact 登记同意书，再登记联系", "record the person's consent first: yipan consent record --purpose contact"},
	"REMINDER_NO_POST":     {"请管理员在配置文件 [post] 一节写明邮件服务器或允许网络回调并重启节点；在此之前用 yipan remind preview 查看", "the administrator sets [post] in the configuration; until then see yipan remind preview"},
	"OUTAGE_TO":            {"停摆结束后再登记；时间写成 2026-11-23 09:00 的样子", "declare it once it is over; a time is written 2026-11-23 09:00"},
	"OUTAGE_TOO_LONG":      {"分几次登记，每次不超过 30 天", "declare it in parts of at most 30 days"},
	"OUTAGE_COUNTY":        {"请县级账号登记", "a county account declares it"},
	"RECOUNT_DIFFERS":      {"把以上内容交管理员；逐件核对用 yipan case trace", "give this to the administrator; yipan case trace shows a case"},
	"REPORT_DIFFERS":       {"逐项核对上表；以本节点的数为准的，用 yipan report make 重新生成", "go through the table; yipan report make makes the report from the node's own counts"},
	"WORKBOOK_FORMAT":      {"在 Excel 或 WPS 中另存为 .xlsx 后重做", "save it as .xlsx and repeat"},
	"BATCH_TOO_LARGE":      {"每批最多 1000 件，请分批", "at most 1,000 at once"},
}

var codeAdvices = map[codes.Code][2]string{
	codes.InvalidArgument:    {"改正上述内容后重做", "correct this and repeat"},
	codes.NotFound:           {"核对编号；不属于您单位的同样显示为没有", "check the id; what is of other offices looks the same as none"},
	codes.Aborted:            {"重新查看（案件用 case get，档案用 person get）后再办", "read it again first (case get, person get)"},
	codes.FailedPrecondition: {"先查看当前状态（案件用 case get，档案用 person get）再办", "look at the present state first (case get, person get)"},
	codes.PermissionDenied:   {"联系本单位安全员核对角色与区划", "ask your security officer about your role and areas"},
	codes.Unauthenticated:    {"检查令牌文件是否属于本节点、是否过期", "check that the token is of this node and not expired"},
	codes.Unavailable:        {"检查 --addr 和 --ca；节点可能正在重启，请稍后再试", "check --addr and --ca; the node may be restarting, try again later"},
	codes.DeadlineExceeded:   {"稍后再试，或用 --timeout 放宽时限", "try again later, or allow more by --timeout"},
	codes.Internal:           {"把上面的流水编号告诉管理员", "give the rpc id above to the administrator"},
}

func advice(code codes.Code, reason string, lang Lang) string {
	if a, ok := advices[reason]; ok {
		return lang.T(a[0], a[1])
	}
	a := codeAdvices[code]
	return lang.T(a[0], a[1])
}

// cause says why a file was not opened or read, without its name, which the
// operation repeats.
func (e *Env) cause(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return e.T("没有这个文件", "no such file")
	case errors.Is(err, fs.ErrPermission):
		return e.T("没有读取权限", "permission denied")
	case errors.Is(err, fs.ErrExist):
		return e.T("文件已存在，请用 -o 另取一个文件名", "the file exists; name another by -o")
	case errors.Is(err, syscall.ENOTDIR):
		return e.T("上级不是目录", "not a folder")
	case errors.Is(err, syscall.ENOSPC):
		return e.T("磁盘已满", "no space left")
	case errors.Is(err, syscall.EISDIR):
		return e.T("这是目录，不是文件", "it is a folder")
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}
