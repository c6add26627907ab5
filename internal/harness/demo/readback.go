package demo

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"yipan/internal/cases"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	"yipan/internal/harness/roster"
)

// sample is how many answers of each outcome are read back.
const sample = 25

// readBack reads answers as the origin's clerk and compares them with what the
// residence found: the outcome, and of NO_DISCLOSURE that it says nothing else.
func (r *run) readBack(ctx context.Context) error {
	s := r.origin.cases(r.clerk())
	taken := map[cases.Outcome]int{}
	var list []*file
	for _, f := range r.people {
		o := f.Truth.Last().Outcome
		if o != 0 && taken[o] < sample {
			taken[o]++
			list = append(list, f)
		}
	}
	err := each(ctx, list, func(ctx context.Context, f *file) error {
		c, err := seen(ctx, s, f.id)
		if err != nil {
			return err
		}
		return sameAnswer(c, f.Truth.Last())
	})
	if err != nil {
		return err
	}
	r.say("抽读 %d 件答复（%d 种结果），与对方所记一致", "%d answers (%d outcomes) were read back and say what the other side found", len(list), len(taken))
	return nil
}

// withheld is all that a NO_DISCLOSURE says, whatever the reason.
var withheld = &casesv1.Answer{Outcome: casesv1.Outcome_OUTCOME_NO_DISCLOSURE}

func sameAnswer(c *casesv1.Case, want roster.Answer) error {
	got := c.GetAnswer()
	if got.GetOutcome() != casesv1.Outcome(want.Outcome) {
		return fmt.Errorf("demo: case %s was answered %v and reads %v", c.GetCaseId(), want.Outcome, got.GetOutcome())
	}
	if want.Outcome == cases.NoDisclosure && !proto.Equal(got, withheld) {
		return fmt.Errorf("demo: the answer to case %s says more than NO_DISCLOSURE", c.GetCaseId())
	}
	return nil
}
