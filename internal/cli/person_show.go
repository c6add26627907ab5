package cli

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"yipan/internal/area"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/ident"
)

// PersonCommand groups the commands on persons' files.
type PersonCommand struct {
	Remote
	Add        PersonAddCommand        `cmd:"" help:"登记一名人员|Register a person"`
	Get        PersonGetCommand        `cmd:"" help:"打开一份档案|Open one file"`
	Edit       PersonEditCommand       `cmd:"" help:"修改档案，修改前的内容留在历史中|Change a file; what was stays in its history"`
	Search     PersonSearchCommand     `cmd:"" help:"按证件、姓名、拼音首字母、电话或区划查找|Search by document, name, initials, phone or area"`
	History    PersonHistoryCommand    `cmd:"" help:"档案的历史|The history of a file"`
	Duplicates PersonDuplicatesCommand `cmd:"" help:"列出可能重复的档案|Files that may be of one person"`
	Merge      PersonMergeCommand      `cmd:"" help:"合并两份档案，可以撤销|Merge two files; it can be undone"`
	Unmerge    PersonUnmergeCommand    `cmd:"" help:"撤销合并|Undo a merge"`
	Dismiss    PersonDismissCommand    `cmd:"" help:"两份档案不是同一人|Two files are of two persons"`
	Restrict   PersonRestrictCommand   `cmd:"" help:"应本人要求，只限两名经办人查看|Restrict to two clerks, on the person's request"`
	Unrestrict PersonUnrestrictCommand `cmd:"" help:"应本人要求解除限制|Lift a restriction"`
	Slip       PersonSlipCommand       `cmd:"" help:"交给到场本人的查看单：谁看过、谁问过、有哪些同意书|The slip for the person present"`
}

var presences = labels[ledgerv1.Presence]{
	{ledgerv1.Presence_PRESENCE_UNSPECIFIED, "unknown", "未登记流动"},
	{ledgerv1.Presence_PRESENCE_HERE, "here", "本地户籍在住"},
	{ledgerv1.Presence_PRESENCE_INFLOW, "inflow", "流入"},
	{ledgerv1.Presence_PRESENCE_OUTFLOW, "outflow", "流出"},
	{ledgerv1.Presence_PRESENCE_GONE, "gone", "已注销"},
	{ledgerv1.Presence_PRESENCE_DEAD, "dead", "已死亡"},
}

var fieldNames = map[string]string{
	"name": "姓名", "former_names": "曾用名", "documents": "证件", "sex": "性别", "birth_date": "出生日期", "marital_status": "婚姻状况",
	"registered": "户籍地", "managed": "管理地", "living": "现居住地", "address": "门牌", "contacts": "联系方式",
	"household": "家庭编号", "household_relation": "与户主关系", "keepers": "可查看的经办人",
}

var eventKinds = map[string]string{
	"registered": "登记", "edited": "修改", "document_confirmed": "确认证件号码", "merged": "合并", "unmerged": "撤销合并",
	"restricted": "限制查看", "unrestricted": "解除限制", "moved": "流动", "accepted": "由通报登记", "died": "死亡",
}

func (e *Env) fieldName(f string) string {
	if zh := fieldNames[f]; zh != "" {
		return e.T(zh, f)
	}
	return f
}

func sexName(e *Env, sex uint32) string {
	if sex > 9 {
		return itoa(int64(sex))
	}
	return e.T(ident.Sex(sex).Zh(), itoa(int64(sex)))
}

func (e *Env) showPerson(p *ledgerv1.Person) error {
	f := p.GetProfile()
	t := &table{}
	add := func(zh, en, v string) {
		if v != "" {
			t.add(e.T(zh, en), v)
		}
	}
	add("人员编号", "PERSON", p.GetPersonId())
	add("单位", "OFFICE", place(p.GetOffice()))
	add("版本标识", "ETAG", p.GetEtag())
	add("姓名", "NAME", f.GetName())
	add("曾用名", "FORMER NAMES", strings.Join(f.GetFormerNames(), "、"))
	for _, d := range f.GetDocuments() {
		v := documentKinds.name(d.GetKind(), e.Lang) + " " + d.GetNumber()
		if d.GetFormer() {
			v += e.T("（旧证件）", " (former)")
		}
		if d.GetConfirmed() != "" {
			v += e.T("（已确认：", " (confirmed: ") + d.GetConfirmed() + e.T("）", ")")
		}
		add("证件", "DOCUMENT", v)
	}
	add("性别", "SEX", sexName(e, f.GetSex()))
	add("出生日期", "BORN", f.GetBirthDate())
	if m := f.GetMaritalStatus(); m > 0 && m < 100 {
		add("婚姻状况", "MARITAL", e.T(ident.Marital(m).Zh(), itoa(int64(m))))
	}
	add("身份证签发地（仅供参考）", "AREA OF ID (HINT)", strings.TrimSpace(p.GetAreaHint()+" "+p.GetAreaHintName()))
	add("户籍地", "REGISTERED", placeIf(f.GetRegistered()))
	add("管理地", "MANAGED", placeIf(f.GetManaged()))
	add("现居住地", "LIVING", placeIf(f.GetLiving()))
	add("门牌", "ADDRESS", f.GetAddress())
	for _, c := range f.GetContacts() {
		v := e.codeWord(c.GetKind()) + " " + c.GetValue() + " " + e.codeWord(c.GetPreference())
		if c.GetSafe() {
			v += e.T(" 可放心联系", " safe")
		} else {
			v += e.T(" 不一定方便接听", " may not be safe")
		}
		add("联系方式", "CONTACT", v)
	}
	add("家庭编号", "HOUSEHOLD", strings.TrimSpace(f.GetHousehold()+" "+e.codeWord(f.GetHouseholdRelation())))
	var refused []string
	for _, r := range f.GetStandingRefusals() {
		refused = append(refused, e.codeWord(r))
	}
	add("不再询问的服务", "STANDING REFUSALS", strings.Join(refused, " "))
	add("状态", "PRESENCE", presences.name(p.GetPresence(), e.Lang))
	add("自", "SINCE", p.GetSince())
	add("已并入的档案", "MERGED", strings.Join(p.GetMergedIds(), " "))
	if p.GetRestricted() {
		add("限制查看", "RESTRICTED", e.T("是", "yes"))
	}
	add("案件", "CASES", strings.Join(p.GetCaseIds(), " "))
	return t.write(e.Out)
}

// placeIf names an area; of a village, whose name only the node knows, the
// township.
func placeIf(key string) string {
	if key == "" {
		return ""
	}
	k, err := area.Parse(key)
	if err != nil || k.Level() != area.Village {
		return place(key)
	}
	i, _ := area.Lookup(k.Cut(area.Township))
	return strings.TrimSpace(i.Name + " " + key)
}

// words are what stands in a file as a code.
var words = map[string]string{
	"phone": "电话", "wechat": "微信", "mail": "信件", "through_family": "经家人", "other": "其他",
	"any": "随时", "workdays": "工作日", "evenings": "晚上", "message_only": "只发消息", "none": "不要联系",
	"head": "户主", "spouse": "配偶", "child": "子女", "parent": "父母",
	"three_checks": "三查", "contraceptives": "药具", "follow_up": "随访", "entitlement": "优待", "visit": "来访",
	"person.open": "打开档案", "person.search": "查找", "person.write": "登记或修改", "person.restrict": "限制查看", "person.slip": "查看单",
	"case.open": "发起通报", "case.read": "查看案件", "case.unmask": "显示通报全部字段", "case.pair": "配对", "case.answer": "答复", "case.offer": "登记服务告知",
	"case.change": "更改案件", "case.distribute": "分发", "consent.write": "登记或撤回同意", "consent.read": "查看同意书",
	"movement.read": "查看流动", "movement.write": "登记流动", "service.read": "查看服务", "service.write": "登记服务", "todo.read": "查看待办", "todo.act": "办理待办", "approve": "复核",
	"register": "登记", "update": "修改", "edit": "修改", "restrict": "限制查看", "unrestrict": "解除限制", "record": "登记同意书", "pair waiting": "自动配对",
	"acknowledge": "签阅", "answer": "答复", "close": "注销", "correct": "更正", "dispute": "退回/存疑", "distribute": "分发", "reroute": "改派", "reopen": "回档",
	"pair": "配对", "unpair": "撤销配对", "withdraw": "撤回", "offer": "登记服务告知", "movement": "登记流动", "undo movement": "撤销流动", "accept": "接收入台帐",
	"service": "登记服务", "reindex": "重建索引", "destination": "审批目的地", "merge": "合并", "unmerge": "撤销合并", "dismiss": "确认不是同一人",
	"log.read": "查看访问日志", "rates.read": "查看指标", "node.read": "查看节点", "node.mend": "维护节点", "user.manage": "管理账号",
	"slip: document": "核对证件后交本人", "slip: known": "认识本人，交本人",
	"outflow": "流出通报", "inflow": "流入通报", "assist": "协查", "certificate": "验证", "birth_service": "生育服务通报",
}

func (e *Env) codeWord(code string) string {
	if zh := words[code]; zh != "" {
		return e.T(zh, code)
	}
	return code
}

func (e *Env) showHints(hs []*ledgerv1.DuplicateHint) {
	for _, h := range hs {
		p := h.GetPerson()
		e.Note("提醒：可能与档案 %s 为同一人（%d 分，%s）；未作合并", "Note: may be the same person as %s (%d, %s); nothing was merged",
			p.GetPersonId(), h.GetScore(), e.reasons(h.GetReasons()))
	}
}

func (e *Env) showSummaries(ps []*ledgerv1.PersonSummary) error {
	if e.JSON {
		return lines(e, ps)
	}
	if len(ps) == 0 {
		e.say("没有找到", "Nobody found")
		return nil
	}
	t := &table{head: []string{e.T("人员编号", "PERSON"), e.T("姓名", "NAME"), e.T("性别", "SEX"), e.T("出生年", "BORN"), e.T("证件", "DOCUMENT"),
		e.T("现居住地", "LIVING"), e.T("状态", "PRESENCE"), e.T("曾用名", "FOUND BY")}}
	for _, p := range ps {
		born := ""
		if p.GetBirthYear() != 0 {
			born = itoa(int64(p.GetBirthYear()))
		}
		t.add(p.GetPersonId(), p.GetName(), sexName(e, p.GetSex()), born, p.GetDocument(), placeIf(p.GetLiving()), presences.name(p.GetPresence(), e.Lang), p.GetFoundBy())
	}
	return t.write(e.Out)
}

func (e *Env) showHistory(events []*ledgerv1.PersonEvent) error {
	if e.JSON {
		return lines(e, events)
	}
	if len(events) == 0 {
		e.say("没有历史记录", "No history")
		return nil
	}
	t := &table{head: []string{e.T("发生日期", "HAPPENED"), e.T("录入时间", "RECORDED"), e.T("账号", "ACCOUNT"), e.T("事项", "WHAT"), e.T("内容", "CHANGE")}}
	for _, ev := range events {
		what := ev.GetKind()
		if zh := eventKinds[what]; zh != "" {
			what = e.T(zh, what)
		}
		var changes []string
		fields := ev.GetFields()
		if len(fields) == 0 {
			fields = slices.Sorted(maps.Keys(ev.GetAfter()))
		}
		for _, f := range fields {
			was, is := e.valueWord(f, ev.GetBefore()[f]), e.valueWord(f, ev.GetAfter()[f])
			switch {
			case was == "":
				changes = append(changes, e.fieldName(f)+e.T("：", ": ")+is)
			case is == "":
				changes = append(changes, e.fieldName(f)+e.T("：", ": ")+was+" → "+e.T("（清空）", "(emptied)"))
			default:
				changes = append(changes, e.fieldName(f)+e.T("：", ": ")+was+" → "+is)
			}
		}
		if ev.GetReason() != "" {
			changes = append(changes, e.T("理由：", "reason: ")+ev.GetReason())
		}
		t.add(ev.GetEventDate(), when(ev.GetRecordedAt()), ev.GetAccount(), what, strings.Join(changes, e.T("；", "; ")))
	}
	return t.write(e.Out)
}

// valueWord prints a value of the history with words for its codes.
func (e *Env) valueWord(field, v string) string {
	if v == "" || e.Lang == English {
		return v
	}
	switch field {
	case "registered", "managed", "living":
		return placeIf(v)
	case "sex":
		if n, err := strconv.ParseUint(v, 10, 8); err == nil {
			return sexName(e, uint32(n))
		}
	case "marital_status":
		if n, err := strconv.ParseUint(v, 10, 8); err == nil {
			return ident.Marital(n).Zh()
		}
	case "household_relation":
		return e.codeWord(v)
	case "documents", "contacts":
		return e.listWords(field, v)
	}
	return v
}

// listWords prints documents or contacts of the history, "KIND VALUE MARKS" each.
func (e *Env) listWords(field, v string) string {
	var out []string
	for _, one := range strings.Split(v, "; ") {
		words := strings.Split(one, " ")
		for i, w := range words {
			switch {
			case field == "documents" && i == 0:
				for _, k := range documentKinds {
					if k.word == w {
						words[i] = k.zh
					}
				}
			case w == "(former)":
				words[i] = "（旧证件）"
			case field == "contacts" && w == "safe":
				words[i] = "可放心联系"
			case field == "contacts" && w == "unsafe":
				words[i] = "不一定方便接听"
			case field == "contacts" && i != 1:
				words[i] = e.codeWord(w)
			}
		}
		out = append(out, strings.Replace(strings.Join(words, " "), "(confirmed: ", "（已确认：", 1))
	}
	return strings.Join(out, "、")
}

func (e *Env) showSlip(s *ledgerv1.GetSlipResponse) error {
	e.say("%s 的查看单", "Slip of %s", s.GetName())
	e.say("", "")
	e.say("谁看过（最近 200 次）：", "Who looked (the newest 200):")
	t := &table{}
	for _, r := range s.GetReads() {
		who := r.GetAccount()
		if r.GetOnBehalf() != "" {
			who += e.T("（代 ", " (for ") + r.GetOnBehalf() + e.T("）", ")")
		}
		t.add("  "+when(r.GetAt()), who, placeIf(r.GetOffice()), e.codeWord(r.GetVerb()), e.codeWord(r.GetPurpose()))
	}
	if err := e.orNone(t); err != nil {
		return err
	}
	e.say("谁问过：", "Who asked:")
	t = &table{}
	for _, c := range s.GetCases() {
		t.add("  "+when(c.GetOpenedAt()), e.codeWord(c.GetKind()), placeIf(c.GetAskedBy()), c.GetCaseId())
	}
	if err := e.orNone(t); err != nil {
		return err
	}
	e.say("同意书：", "Consents:")
	t = &table{}
	for _, c := range s.GetConsents() {
		purpose := c.GetPurpose()
		if zh := consentPurposes[purpose]; zh != "" {
			purpose = e.T(zh, purpose)
		}
		state := e.T("有效期至 ", "until ") + when(c.GetValidUntil())
		if c.GetWithdrawnAt() != nil {
			state = e.T("已于 ", "withdrawn ") + when(c.GetWithdrawnAt()) + e.T(" 撤回", "")
		}
		t.add("  "+purpose, placeIf(c.GetRecipient()), state, c.GetConsentId())
	}
	return e.orNone(t)
}

func (e *Env) orNone(t *table) error {
	if len(t.rows) == 0 {
		e.say("  （无）", "  (none)")
		return nil
	}
	return t.write(e.Out)
}
