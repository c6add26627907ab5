package cli

import (
	"strconv"
	"strings"
)

// requestFields are the fields of requests beyond those of a person's file, as
// people call them.
var requestFields = map[string]string{
	"case_id": "案件编号", "case_ids": "案件编号", "person_id": "人员编号", "other_id": "另一份档案的人员编号", "movement_id": "流动编号", "consent_id": "同意书编号",
	"approval_id": "审批编号", "action_id": "批量操作编号", "plan_token": "预览标记", "request_id": "请求编号", "page_token": "续页标记", "page_size": "每页条数",
	"etag": "版本标识", "reason": "理由", "kind": "类型", "event_date": "发生日期", "date": "日期", "true_reason": "真实原因", "period": "期间", "office": "单位",
	"origin": "开立方", "destination": "接收方", "township": "乡镇（街道）", "area": "区划", "basis": "依据", "duty": "政策职责", "outcome": "处理结果", "check": "核实方式",
	"document": "证件号码", "number": "号码", "value": "内容", "preference": "意愿", "contact": "联系方式", "request": "协查事项", "certificate": "证明编号", "confirmed": "确认理由",
	"document_confirmed": "确认理由", "certificate_asked_on": "申请证明之日", "certificate_issued_on": "发证之日", "person": "人员", "update_fields": "要修改的项目",
	"recipient": "接收方", "purpose": "用途或目的", "fields": "可以提供的字段", "text_version": "文本版本", "text_sha256": "文本校验值", "given_how": "同意的方式",
	"given_at": "同意的时间", "valid_until": "有效期至", "offer_round": "三查轮次", "result": "结果", "channel": "方式", "findings": "检查结果", "own_proof": "自有证明",
	"appointment": "预约日期", "referral": "转介", "done_date": "办结日期", "recognised_by": "如何确认是本人", "last4": "证件后四位", "initials": "拼音首字母", "phone": "电话",
	"measures": "指标", "counterpart": "对方地区", "subject_id": "涉及人员编号", "account": "账号", "file": "文件", "dir": "目录", "round": "轮次", "peer": "对方节点", "area_of": "区划所指",
	"reminder": "提醒", "webhook": "网络回调", "email": "电子邮件", "days_before": "提前天数", "accounts": "值班账号", "day": "日期",
	"measure": "指标", "side": "统计一方", "part": "哪一部分", "breakdown": "分列", "trend": "趋势月数", "frozen": "定稿", "revision": "修订号", "format": "格式", "from": "开始", "to": "结束",
}

// wrappers are messages within requests; that a field is in one tells nobody
// anything.
var wrappers = map[string]bool{"movement": true, "profile": true, "consent": true, "service": true, "answer": true, "request": true, "ref": true, "reminder": true, "contact": true}

// fieldWord is what people call a field of a request, "profile.documents[0].number"
// for example; the path itself where a part has no word.
func (e *Env) fieldWord(path string) string { return fieldWord(path, e.Lang) }

func fieldWord(path string, lang Lang) string {
	if lang == English || path == "" {
		return path
	}
	var words []string
	parts := strings.Split(path, ".")
	for i, p := range parts {
		name, index, _ := strings.Cut(strings.TrimSuffix(p, "]"), "[")
		if wrappers[name] && i < len(parts)-1 {
			continue
		}
		word := fieldNames[name]
		if word == "" {
			word = requestFields[name]
		}
		if i > 0 {
			switch parts[i-1] + "." + name {
			case "referral.to", "movement.to":
				word = "去向"
			case "service.period":
				word = "期次"
			case "movement.from":
				word = "来处"
			}
		}
		if word == "" {
			return path
		}
		if n, err := strconv.Atoi(index); err == nil {
			word = "第 " + itoa(int64(n)+1) + " 个" + word
		}
		words = append(words, word)
	}
	return strings.Join(words, "的")
}
