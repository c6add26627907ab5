package desk

import (
	"context"
	"sync"
	"time"

	"yipan/internal/access"
	"yipan/internal/cases"
	"yipan/internal/fault"
)

// combiner lets single openings of one account share transactions: while one is
// being committed, those that arrive wait together for the next. A caller alone
// waits for nobody. Each opening keeps a result of its own.
type combiner struct {
	run func(context.Context, access.Principal, []*opening) error

	mu    sync.Mutex
	lines map[string]*line
}

type line struct {
	running int
	queue   []*waiting
}

type waiting struct {
	j    *opening
	done chan error
}

// Two transactions of an account at a time keep the database busy while the
// disk is waited for; more would make them smaller.
const (
	combinedAtOnce = 2
	combinedMost   = 128
	combinedTime   = 30 * time.Second
)

func newCombiner(run func(context.Context, access.Principal, []*opening) error) *combiner {
	return &combiner{run: run, lines: map[string]*line{}}
}

// do runs j together with whatever else of p's is waiting and returns when it
// is committed. An error is that of the transaction; j.err is j's own.
func (c *combiner) do(ctx context.Context, p access.Principal, j *opening) error {
	key := p.ID + "\x00" + p.OnBehalf
	w := &waiting{j: j, done: make(chan error, 1)}
	c.mu.Lock()
	l := c.lines[key]
	if l == nil {
		l = &line{}
		c.lines[key] = l
	}
	l.queue = append(l.queue, w)
	lead := l.running < combinedAtOnce
	if lead {
		l.running++
	}
	c.mu.Unlock()
	if lead {
		go c.drain(context.WithoutCancel(ctx), p, key, l)
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return fault.Unavailable("CANCELLED", "open case: cancelled or out of time; the same request id finds out").Zh("操作超时，请用同一请求编号重试")
	}
}

func (c *combiner) drain(ctx context.Context, p access.Principal, key string, l *line) {
	for {
		c.mu.Lock()
		batch := l.take()
		if len(batch) == 0 {
			l.running--
			if l.running == 0 && len(l.queue) == 0 {
				delete(c.lines, key)
			}
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		c.commit(ctx, p, batch)
	}
}

// take returns what goes into the next transaction: each case once.
func (l *line) take() []*waiting {
	var batch, rest []*waiting
	seen := map[cases.CaseID]bool{}
	for i, w := range l.queue {
		if len(batch) == combinedMost {
			rest = append(rest, l.queue[i:]...)
			break
		}
		if seen[w.j.id] {
			rest = append(rest, w)
			continue
		}
		seen[w.j.id] = true
		batch = append(batch, w)
	}
	l.queue = rest
	return batch
}

// commit runs a batch; one that fails for a reason of a single member is run
// again one by one.
func (c *combiner) commit(ctx context.Context, p access.Principal, batch []*waiting) {
	ctx, cancel := context.WithTimeout(ctx, combinedTime)
	defer cancel()
	js := make([]*opening, len(batch))
	for i, w := range batch {
		js[i] = w.j
	}
	err := c.run(ctx, p, js)
	if err == nil || fault.Is(err, fault.KindUnavailable) || len(batch) == 1 {
		for _, w := range batch {
			w.done <- err
		}
		return
	}
	for _, w := range batch {
		w.done <- c.run(ctx, p, []*opening{w.j})
	}
}
