package main

import (
	"context"
	"fmt"
	"time"

	"yipan/internal/cli"
	"yipan/internal/node"
)

// DoctorCommand is `yipan doctor`.
type DoctorCommand struct{ Configured }

var levels = map[node.Level][2]string{
	node.Fine: {"正常", "ok"}, node.Watch: {"注意", "watch"}, node.Wrong: {"故障", "wrong"},
}

// Run inspects the node, running or not, and says what to do about each finding.
// Something wrong makes exit code 1; what is only to be watched does not.
func (c DoctorCommand) Run(ctx context.Context, e *cli.Env) error {
	l, err := c.load(e)
	if err != nil {
		return err
	}
	wrong := 0
	for _, f := range node.Inspect(ctx, &l.Config, time.Now) {
		if f.Level == node.Wrong {
			wrong++
		}
		text, do := e.T(f.Text.Zh, f.Text.En), e.T(f.Do.Zh, f.Do.En)
		if e.JSON {
			line := map[string]string{"check": f.Check, "level": string(f.Level), "text": text}
			if do != "" {
				line["do"] = do
			}
			if err := object(e, line); err != nil {
				return err
			}
			continue
		}
		level := levels[f.Level]
		say(e, "【%s】%s", "[%s] %s", e.T(level[0], level[1]), text)
		if do != "" {
			say(e, "    怎么办：%s", "    What to do: %s", do)
		}
	}
	if wrong > 0 {
		return fmt.Errorf(e.T("有 %d 项需要处理", "%d checks found something wrong"), wrong)
	}
	return nil
}
