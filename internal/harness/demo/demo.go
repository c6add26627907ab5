package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"yipan/internal/civil"
	"yipan/internal/cli"
	"yipan/internal/fault"
	"yipan/internal/harness/roster"
	"yipan/internal/harness/town"
)

// Config of a run.
type Config struct {
	Dir        string // where everything is kept; empty: a temporary folder, removed at the end
	Once       bool   // end after the report
	Chaos      bool   // faults; hub and nodes are processes of Executable
	Lang       cli.Lang
	Out        io.Writer // progress and report
	Program    town.Program
	Executable string
	Seed       uint64
	People     int // who left; 0: the 3,994 of 篇一
}

// ErrNotConserved says that cases are missing, doubled or different at their
// two ends.
var ErrNotConserved = fault.Internal("NOT_CONSERVED", "demo: cases are not conserved").Zh("案件不守恒：有丢失、重复或两端不一致")

// Result is what a run found.
type Result struct {
	Conservation Conservation
	Report       Report
	Phases       []Phase
	Lines        []Line // what to try by hand
}

// Phase is how long a part of the run took. Name, in English, is for logs; Title
// is in the language of the run.
type Phase struct {
	Name, Title string
	Took        time.Duration
}

// run is a run under way.
type run struct {
	Config
	spec   roster.Spec
	today  civil.Date
	town   *town.Town
	log    *slog.Logger
	began  time.Time
	people []*file
	acts   acts
	// restored: a node was put back to its backup.
	restored bool

	origin, residence, third *place
	result                   Result
}

// Run runs the demo. Ready is called when the report is printed and everything
// still runs, unless Once; Run then waits for ctx to end. It returns
// ErrNotConserved where the check fails; the report is printed before.
func Run(ctx context.Context, c Config, ready func(Result)) (res Result, err error) {
	r := &run{Config: c, began: time.Now()}
	r.today = civil.In(r.began)
	if r.Dir == "" {
		if r.Dir, err = os.MkdirTemp("", "yipan-demo-"); err != nil {
			return res, fmt.Errorf("demo: make a temporary folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(r.Dir)) }()
	} else if r.Dir, err = filepath.Abs(r.Dir); err != nil {
		return res, fmt.Errorf("demo: folder: %w", err)
	}
	r.prepare()
	defer func() {
		if r.town != nil {
			err = errors.Join(err, r.leave())
		}
	}()
	if err := r.script(ctx); err != nil && !errors.Is(err, ErrNotConserved) {
		return r.result, err
	} else if err != nil || c.Once {
		return r.result, err
	}
	r.tellTries()
	if ready != nil {
		ready(r.result)
	}
	<-ctx.Done()
	return r.result, nil
}

// leave ends everything in good order.
func (r *run) leave() error {
	for _, n := range r.town.Nodes {
		n.Hangup()
	}
	return r.town.Stop()
}

// script is the demo from beginning to end.
func (r *run) script(ctx context.Context) error {
	logFile, err := r.setUp(ctx)
	if err != nil {
		return err
	}
	defer logFile.Close()
	for _, p := range []struct {
		zh, en string
		do     func(context.Context) error
	}{
		{"启动：管理机构、消息服务器、三个县的节点", "start: authority, hub, the nodes of three counties", r.town.Start},
		{"逐人建档、登记同意书", "open files and record consents, one person at a time", r.recordConsents},
		{"户籍地登记流动，通报随之发出", "the origin registers movements; notices leave by themselves", r.sendRoster},
		{"更正、撤回", "corrections and withdrawals", r.revise},
		{"现居住地分发、接收入册、答复", "the residence distributes, accepts into its ledger and answers", r.answerAll},
		{"退回、注销与回档、重复通报、改派", "disputes, closing and reopening, doubles, reroutes", r.goOn},
		{"三查服务登记", "offers of services are recorded", r.recordOffers},
		{"轮次结束，反馈发回", "the round ends, feedback returns", r.endRound},
		{"办结待办", "the to-do lists are worked off", r.emptyLists},
		{"守恒核对", "conservation check", r.conserve},
		{"全量重算", "recount", r.recount},
		{"报表", "report", r.report},
		{"监控指标核对", "gauges against the figures", r.gauges},
	} {
		from := time.Now()
		r.head(p.zh, p.en)
		if err := p.do(ctx); err != nil {
			r.log.Error("phase failed", "phase", p.en, "error", err)
			r.postMortem(ctx)
			return err
		}
		ph := Phase{Name: p.en, Title: r.t(p.zh, p.en), Took: time.Since(from)}
		r.result.Phases = append(r.result.Phases, ph)
		r.log.Info("phase done", "phase", ph.Name, "ms", ph.Took.Milliseconds())
	}
	r.tellEnd()
	if !r.result.Conservation.Holds() {
		return ErrNotConserved
	}
	return nil
}
