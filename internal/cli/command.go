package cli

// Commands are the commands over gRPC, for embedding in a kong grammar beside
// Globals.
type Commands struct {
	Case      CaseCommand      `cmd:"" help:"案件：开立、查看、分发、配对、答复|Cases: open, read, distribute, pair, answer"`
	Consent   ConsentCommand   `cmd:"" help:"同意书：登记、撤回、查看|Consents: record, withdraw, list"`
	Feedback  FeedbackCommand  `cmd:"" help:"登记一次三查服务告知|Record one offer of a round (三查)"`
	Rates     RatesCommand     `cmd:"" help:"各项工作指标|Rates of offices"`
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
	Pair        CasePairCommand        `cmd:"" help:"与本地台帐配对|Pair a notice with a person of the ledger"`
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
