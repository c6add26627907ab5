package main

import (
	"context"
	"io"
	"os"

	"yipan/internal/cli"
	"yipan/internal/harness/demo"
)

// DemoCommand is `yipan demo`.
type DemoCommand struct {
	Once   bool   `help:"报表和核对之后即结束|End after the report and the check"`
	Chaos  bool   `help:"演示中途：消息服务器被杀且磁盘删除、一个节点被杀、一个节点退回到备份|On the way: the broker killed and its disk deleted, a node killed, a node put back to a backup"`
	Data   string `placeholder:"DIR" help:"把一切留在此目录（须为空）；不写则用临时目录，结束时删除|Keep everything in this empty folder; else a temporary one, removed at the end"`
	Seed   uint64 `default:"1" help:"名册由此数生成|The roster follows from this number"`
	People int    `placeholder:"N" help:"流出人数（默认篇一的 3994）|How many left (default: the 3,994 of the report)"`
}

// AfterApply checks the flags.
func (c *DemoCommand) AfterApply(e *cli.Env) error {
	if c.People != 0 && (c.People < 100 || c.People > 20_000) {
		return misuse(e, "--people 应为 100 到 20000", "--people is 100 to 20,000")
	}
	if c.Chaos && c.People != 0 && c.People < 1000 {
		return misuse(e, "--chaos 至少要 1000 人：人少时往来太快，故障打不到途中的件", "--chaos needs 1,000 people at least: with fewer nothing is on its way for long enough")
	}
	return nil
}

// Run runs the demo.
func (c *DemoCommand) Run(ctx context.Context, e *cli.Env) error { return c.run(ctx, e, nil) }

// run tells ready, where it is given, that everything stands to be tried.
func (c *DemoCommand) run(ctx context.Context, e *cli.Env, ready func(demo.Result)) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	_, err = demo.Run(ctx, demo.Config{
		Dir: c.Data, Once: c.Once, Chaos: c.Chaos, Lang: e.Lang, Out: e.Out, Executable: exe, Seed: c.Seed, People: c.People,
		Program: func(ctx context.Context, args []string, out, errOut io.Writer) int {
			return run(ctx, args, cli.Std{Out: out, Err: errOut})
		},
	}, ready)
	return err
}
