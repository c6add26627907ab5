package rates

var definitions = [...]string{
	Certificate:      "办证率＝本期申请办理的婚育证明中截至统计时已办结的件数 ÷ 本期申请件数（本单位台帐）。",
	Verification:     "验证率＝截至统计时已有答复的验证件数 ÷ 本期到期的验证件数。不计入：对方尚未签收、到期前撤回或未答复即注销、误投并在签收后七日内写明区划退回的。",
	Feedback:         "反馈率＝截至统计时已有最终答复的轮次 ÷ 本期到期的轮次（流出通报、流入通报、协查）。不计入：对方尚未签收、到期前撤回或未答复即注销、误投并在签收后七日内写明区划退回的；三查反馈不在其内。",
	FeedbackOnTime:   "及时反馈率＝最早一次最终答复的登记时间不晚于到期时间的轮次 ÷ 反馈率的分母。",
	FiledInTime:      "及时录入率＝在录入期限最后一天以前登记的流动记录 ÷ 期限最后一天在本期的流动记录，已撤销的不计。",
	Checking:         "核实率＝答复时记有核实方式（走访、电话、证件）的件数 ÷ 本期答复的件数（答复单位台帐）。",
	Registration:     "登记率＝已登记或本人不同意登记的人数 ÷ 已知流入的人数（答复为在住、确认，或本地登记的）。",
	Offer:            "服务告知率＝已告知的人数，不论本人是否接受 ÷ 政策规定范围内的居住人数。未告知的不在分子内。",
	Contraceptives:   "药具发放率＝已发放 ÷ 本人申领。",
	FollowUp:         "随访率＝已随访 ÷ 本人同意随访。",
	BirthNotice:      "通报率＝已发出的生育服务通报 ÷ 本人同意通报。",
	EffectiveContact: "有效联系率＝统计前十二个月内至少联系上一次的人数（“否”也是联系上）÷ 同意接受联系的人数（户籍地联系记录）；撤回同意的，分子分母都不计。",
	Pairing:          "配对率＝已与本地档案配对的通报 ÷ 收到的通报，按到期日归入本期；反馈率不计入的轮次同样不计入。",
	Address:          "地址到村率＝现居住地址写到村（居）的档案 ÷ 全部在册档案，以统计时为准。",
	ID:               "ID合格率＝证件号码校验通过或经确认的档案 ÷ 全部在册档案，以统计时为准。",
	Duplicate:        "重复率＝有待处理重复提示的档案 ÷ 全部在册档案，以统计时为准。",
	Visits:           "来访办结率＝在期限内办结的来访 ÷ 本期到期的来访。",
}

// Definition returns in Chinese, in a sentence or two, what n and d are and what
// is left out; it is what the constant's comment says in English.
func (m Measure) Definition() string {
	if !m.Known() {
		return ""
	}
	return definitions[m]
}

// OfNow reports whether the measure is about things as they are at the report,
// whatever the period, so that neither a trend nor a sum of months says anything.
func (m Measure) OfNow() bool {
	switch m {
	case Address, ID, Duplicate, EffectiveContact, Offer, Registration:
		return true
	}
	return false
}
