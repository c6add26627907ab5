package cli

// Commands are the commands over gRPC, for embedding in a kong grammar beside
// Globals.
type Commands struct {
	Case      CaseCommand      `cmd:"" help:"案件：开立、查看、分发、配对、答复|Cases: open, read, distribute, pair, answer"`
	Person    PersonCommand    `cmd:"" help:"人员档案：登记、查找、修改、历史、查看单|Persons' files: register, search, change, history, slip"`
	Move      MoveCommand      `cmd:"" help:"流动：流出、流入、再流动、返回、户口迁移、变更、死亡|Movements: leave, arrive, on, return, transfer, identity, death"`
	Consent   ConsentCommand   `cmd:"" help:"同意书：登记、撤回、查看|Consents: record, withdraw, list"`
	Feedback  FeedbackCommand  `cmd:"" help:"登记一次三查服务告知|Record one offer of a round (三查)"`
	Contact   ContactCommand   `cmd:"" help:"联系记录：登记、查看（须本人同意）|The contact log: record, list (only with the person's consent)"`
	Service   ServiceCommand   `cmd:"" help:"三查、药具、随访等服务：待告知、登记、批量登记、查看|Services (三查 and others): due, record, import, list"`
	Todo      TodoCommand      `cmd:"" help:"待办：列出、计数、签阅、批量办理|What waits: list, count, take note, bulk actions"`
	Remind    RemindCommand    `cmd:"" help:"到期前的提醒：地址、预览（只有件数）|Reminders before deadlines: addresses, preview (counts only)"`
	Duty      DutyCommand      `cmd:"" help:"节假日值班表|The duty rota for holidays"`
	Audit     AuditCommand     `cmd:"" help:"访问日志（仅审计员）|The access log, for auditors"`
	Outage    OutageCommand    `cmd:"" help:"停摆：由县级登记，期限顺延|Outages that a county signs for: dues are put off"`
	Rates     RatesCommand     `cmd:"" help:"各项工作指标|Rates of offices"`
	Month     MonthCommand     `cmd:"" help:"月份：定稿、修订、下级上报、与对方核对|Months: frozen, revised, reported by areas below, compared"`
	Report    ReportCommand    `cmd:"" help:"报表：年报、月报、逾期清单，核对手工填报的表|Reports: annual, monthly, overdue; compare a typed-in one"`
	Signals   SignalsCommand   `cmd:"" help:"走过场的迹象：针对单位，不针对个人|Signs of hollow work, of offices and never of persons"`
	Node      NodeCommand      `cmd:"" help:"本节点概况|What this node is"`
	Peers     PeersCommand     `cmd:"" help:"对方节点：未签收件数与时长|Peers: what is unsettled and how old"`
	Statement StatementCommand `cmd:"" help:"立即与对方节点对帐|Start a statement round"`
	Resend    ResendCommand    `cmd:"" help:"立即重发未签收的件|Send unsettled items again"`
	Directory DirectoryCommand `cmd:"" help:"节点名录|The directory as this node knows it"`
}

// CaseCommand groups the commands on cases.
type CaseCommand struct {
	Remote
	Open        CaseOpenCommand        `cmd:"" help:"开立一个案件|Open one case"`
	Import      CaseImportCommand      `cmd:"" help:"从 CSV 名册批量开立|Open cases from a CSV roster"`
	Get         CaseGetCommand         `cmd:"" help:"查看一个案件|Read one case"`
	List        CaseListCommand        `cmd:"" help:"列出案件，先到期的在前|List cases, those due first coming first"`
	Distribute  CaseDistributeCommand  `cmd:"" help:"把案件分发给乡镇（街道）|Give cases to a township"`
	Candidates  CaseCandidatesCommand  `cmd:"" help:"查看本地台帐中可能与通报为同一人的人员|Whom of the ledger a notice may be about"`
	Pair        CasePairCommand        `cmd:"" help:"与本地台帐配对|Pair a notice with a person of the ledger"`
	Unpair      CaseUnpairCommand      `cmd:"" help:"撤销配对（答复前）|Undo a pairing, until it is answered"`
	Accept      CaseAcceptCommand      `cmd:"" help:"把收到的通报转入台帐：登记流动并配对|Accept a received notice into the ledger"`
	Answer      CaseAnswerCommand      `cmd:"" help:"答复一个案件|Answer one case"`
	AnswerBatch CaseAnswerBatchCommand `cmd:"" help:"从 CSV 批量答复|Answer cases from a CSV file"`
	Correct     CaseCorrectCommand     `cmd:"" help:"更正信息（以新内容替换全部字段）|Correct a case (replaces all fields)"`
	Withdraw    CaseWithdrawCommand    `cmd:"" help:"撤回|Take a case back"`
	Reroute     CaseRerouteCommand     `cmd:"" help:"改派到另一地区|Open a case anew towards another area"`
	Dispute     CaseDisputeCommand     `cmd:"" help:"退回/存疑（仅一次）|Dispute an answer, once"`
	Close       CaseCloseCommand       `cmd:"" help:"注销|Close a case"`
	Reopen      CaseReopenCommand      `cmd:"" help:"回档|Reopen a case"`
	Trace       CaseTraceCommand       `cmd:"" help:"查看经过：签收时间与各方用时|The timeline, with receipts and whose time was spent"`
	Watch       CaseWatchCommand       `cmd:"" help:"持续显示案件变化|Show changes as they come"`
}

// ConsentCommand groups the commands on consents.
type ConsentCommand struct {
	Remote
	Record   ConsentRecordCommand   `cmd:"" help:"登记一人一次的同意|Record one consent of one person"`
	Withdraw ConsentWithdrawCommand `cmd:"" help:"撤回同意，未发出的不再发出|Withdraw a consent"`
	List     ConsentListCommand     `cmd:"" help:"列出一人的同意书|List the consents of one person"`
}
