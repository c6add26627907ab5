package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"yipan/internal/cli"
	"yipan/internal/harness/bench"
)

// BenchCommand is `yipan bench`.
type BenchCommand struct {
	Data    string `help:"把数据留在这个目录|Keep the data in this folder" type:"path"`
	Out     string `help:"结果文件|File for the figures" default:"bench.json"`
	Bulk    int    `help:"批量通报数|Notices of the bulk run" default:"40000"`
	Ledger  int    `help:"改测台帐：这么多人时的查找、待办与个人页|Measure a ledger of so many people instead: search, to-do, person page"`
	Rates   int    `help:"改测指标：全县这么多件时的指标页、生效时间与重算|Measure rates of a county with so many cases instead: pages, delay, recount"`
	Backlog int    `help:"中断期间积压的通报数|Notices that wait during the outage" default:"100000"`
}

// Run measures and prints.
func (c *BenchCommand) Run(ctx context.Context, e *cli.Env) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	conf := bench.Config{
		Dir: c.Data, Executable: self, Out: e.Out, JSON: c.Out, Bulk: c.Bulk, Backlog: c.Backlog,
		Program: func(ctx context.Context, args []string, out, errOut io.Writer) int {
			return run(ctx, args, cli.Std{Out: out, Err: errOut, Getenv: os.Getenv})
		},
	}
	if c.Rates > 0 {
		_, err = bench.Rates(ctx, conf, c.Rates)
		return err
	}
	if c.Ledger > 0 {
		_, err = bench.Ledger(ctx, conf, c.Ledger, c.Ledger/10)
		return err
	}
	_, err = bench.Run(ctx, conf)
	return err
}
