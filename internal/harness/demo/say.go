package demo

import (
	"fmt"
	"time"
)

// t chooses the language.
func (r *run) t(zh, en string) string { return r.Lang.T(zh, en) }

// head begins a phase.
func (r *run) head(zh, en string) {
	fmt.Fprintf(r.Out, "[%5.1f s] %s\n", time.Since(r.began).Seconds(), r.t(zh, en))
}

// say prints a line of progress or report.
func (r *run) say(zh, en string, a ...any) {
	fmt.Fprintf(r.Out, "          "+r.t(zh, en)+"\n", a...)
}
