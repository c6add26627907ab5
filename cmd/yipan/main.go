// Command yipan is the node, the hub and the tools of an exchange: see README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"yipan/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], cli.Std{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv})
	os.Exit(code)
}

// run is main without its process.
func run(ctx context.Context, args []string, std cli.Std) int {
	return cli.Execute(ctx, "yipan", "一盘棋：各地流动人口服务单位之间的案件往来|Cases between the offices that serve a floating population", &program{}, args, std)
}
