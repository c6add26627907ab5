package cli

import (
	"context"
	"strings"
	"time"

	"yipan/internal/civil"
	nodev1 "yipan/internal/gen/yipan/node/v1"
)

// NodeCommand shows what the node is.
type NodeCommand struct{ Remote }

// Run shows the node.
func (c *NodeCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.node()
	if err != nil {
		return err
	}
	n, err := s.GetNode(ctx, &nodev1.GetNodeRequest{})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(n)
	}
	broker := e.T("未连接（通报在本节点排队）", "not reached (notices wait here)")
	if n.GetBrokerConnected() {
		broker = e.T("已连接", "connected")
	}
	t := &table{}
	t.add(e.T("节点", "node"), strings.TrimSpace(n.GetName()+" "+n.GetNode()))
	t.add(e.T("版本", "version"), n.GetVersion())
	t.add(e.T("交换平台", "broker"), broker)
	t.add(e.T("名录序号", "directory serial"), itoa(int64(n.GetDirectorySerial())))
	t.add(e.T("案件数", "cases"), itoa(n.GetCases()))
	t.add(e.T("节点时钟", "clock"), n.GetNow().AsTime().In(civil.Shanghai).Format("2006-01-02 15:04:05")+e.T("（北京时间）", " (Beijing time)"))
	return t.write(e.Out)
}

// PeersCommand lists peers.
type PeersCommand struct{ Remote }

// Run lists the peers.
func (c *PeersCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.node()
	if err != nil {
		return err
	}
	resp, err := s.ListPeers(ctx, &nodev1.ListPeersRequest{})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	t := &table{head: []string{e.T("节点", "NODE"), e.T("名称", "NAME"), e.T("未签收", "UNSETTLED"), e.T("最久", "OLDEST"),
		e.T("已签收", "SETTLED"), e.T("被拒收", "REJECTED"), e.T("对帐补齐", "MENDED"), e.T("往返", "ROUND TRIP"),
		e.T("最近来件", "HEARD"), e.T("最近对平", "AGREED")}, right: map[int]bool{2: true, 3: true, 4: true, 5: true, 6: true, 7: true}}
	for _, p := range resp.GetPeers() {
		oldest, trip := "", ""
		if p.GetUnsettled() > 0 {
			oldest = span(time.Duration(p.GetOldestSeconds())*time.Second, e.Lang)
		}
		if p.GetRoundTripMs() > 0 {
			trip = itoa(p.GetRoundTripMs()) + e.T(" 毫秒", " ms")
		}
		t.add(p.GetNode(), p.GetName(), itoa(p.GetUnsettled()), oldest, itoa(p.GetSettled()), itoa(p.GetRejected()),
			itoa(p.GetMended()), trip, when(p.GetLastHeardAt()), when(p.GetLastAgreedAt()))
	}
	if len(t.rows) == 0 {
		e.say("还没有往来节点", "No peers yet")
	} else if err := t.write(e.Out); err != nil {
		return err
	}
	if n := resp.GetNoNodeYet(); n > 0 {
		e.say("对方尚无节点、在此等候：%d 件", "Waiting here, no node serves the area yet: %d", n)
	}
	return nil
}

// StatementCommand starts statement rounds.
type StatementCommand struct {
	Remote
	Peer string `arg:"" optional:"" help:"对方节点；不写则全部|The peer; without it all"`
}

// Run starts the rounds.
func (c *StatementCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.node()
	if err != nil {
		return err
	}
	resp, err := s.StartStatement(ctx, &nodev1.StartStatementRequest{Peer: c.Peer})
	if err != nil {
		return err
	}
	if e.JSON {
		return e.line(resp)
	}
	e.say("已向 %d 个节点发起对帐；结果见 yipan peers", "Statements started with %d peers; see yipan peers", resp.GetStarted())
	return nil
}

// ResendCommand sends unsettled items again.
type ResendCommand struct {
	Remote
	Peer   string `arg:"" optional:"" help:"对方节点；不写则全部|The peer; without it all"`
	DryRun bool   `help:"只说明会发多少|Only say how many"`
}

// Run sends them again. Receivers know what they hold, so that repeating does
// no harm.
func (c *ResendCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.node()
	if err != nil {
		return err
	}
	resp, err := s.Resend(ctx, &nodev1.ResendRequest{Peer: c.Peer, DryRun: c.DryRun})
	switch {
	case err != nil:
		return err
	case e.JSON:
		return e.line(resp)
	case c.DryRun:
		e.say("会重发 %d 件（试运行，未发送）", "%d items would be sent (dry run)", resp.GetItems())
	default:
		e.say("已安排重发 %d 件", "%d items are sent again", resp.GetItems())
	}
	return nil
}

// DirectoryCommand lists the directory.
type DirectoryCommand struct{ Remote }

// Run lists the directory.
func (c *DirectoryCommand) Run(ctx context.Context, e *Env) error {
	s, err := e.node()
	if err != nil {
		return err
	}
	resp, err := s.ListDirectory(ctx, &nodev1.ListDirectoryRequest{})
	if err != nil {
		return err
	}
	if e.JSON {
		return lines(e, resp.GetEntries())
	}
	t := &table{head: []string{e.T("序号", "SERIAL"), e.T("节点", "NODE"), e.T("名称", "NAME"), e.T("服务区划", "AREAS"),
		e.T("协议", "SPEAKS"), e.T("密钥", "KEYS")}, right: map[int]bool{0: true, 4: true}}
	for _, d := range resp.GetEntries() {
		t.add(itoa(int64(d.GetSerial())), d.GetNode(), d.GetName(), strings.Join(d.GetAreas(), " "),
			itoa(int64(d.GetSpeaks())), strings.Join(d.GetKeys(), " "))
	}
	if len(t.rows) == 0 {
		e.say("名录为空", "The directory is empty")
		return nil
	}
	return t.write(e.Out)
}
