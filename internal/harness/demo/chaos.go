package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	nodev1 "yipan/internal/gen/yipan/node/v1"
)

// unsettledAtLeast is how much must be on its way when the broker dies.
const unsettledAtLeast = 500

// errMissed: a fault struck when there was nothing to lose.
var errMissed = errors.New("demo: a fault did not strike at its moment")

// loseBroker kills the broker and deletes its disk while items are unsettled,
// lets the origin finish without it, and starts an empty one.
func (r *run) loseBroker(ctx context.Context, sent <-chan error) error {
	least := min(unsettledAtLeast, int64(len(r.people)/4))
	var open int64
	all := false
	err := until(ctx, "enough unsettled items", func(ctx context.Context) (bool, error) {
		select {
		case err := <-sent:
			if err != nil {
				return false, err
			}
			all = true
		default:
		}
		var err error
		if open, err = unsettled(ctx, r.origin); err != nil {
			return false, err
		}
		if all && open < least {
			return false, fmt.Errorf("%w: all is sent, and only %d items are unsettled", errMissed, open)
		}
		return open >= least, nil
	})
	if err != nil {
		return err
	}
	struck := time.Now()
	pid, err := r.town.CrashHub()
	if err != nil {
		return err
	}
	if !all {
		if err := <-sent; err != nil {
			return err
		}
	}
	left, err := unsettled(ctx, r.origin)
	if err != nil {
		return err
	}
	r.log.Info("fault: broker killed, its disk deleted", "struck_at", struck, "pid", pid, "unsettled_just_before", open, "unsettled_without_broker", left)
	if left < least {
		return fmt.Errorf("%w: %d items unsettled after the broker was killed", errMissed, left)
	}
	r.say("故障一：消息服务器被 kill -9，磁盘删除；此前 %d 件未签收，其间名册照常发完", "fault 1: the broker is killed (-9) and its disk deleted; %d items were unsettled, and the rest of the roster was sent without it", open)
	return r.town.StartHub(ctx)
}

// sendAway stops nodes.
func (r *run) sendAway(ps ...*place) error {
	for _, p := range ps {
		if err := p.Stop(); err != nil {
			return err
		}
	}
	return nil
}

// killAbsorbing starts a node that much is waiting for, kills it as soon as it
// absorbs parcels, and starts it again.
func (r *run) killAbsorbing(ctx context.Context, p *place) error {
	if err := p.Start(ctx); err != nil {
		return err
	}
	var rising int64 // of this process, which began at 0
	err := until(ctx, p.Folder+" to absorb", func(ctx context.Context) (_ bool, err error) {
		rising, err = received(ctx, p)
		return rising > 0, err
	})
	if err != nil {
		return err
	}
	pid, err := p.Crash()
	if err != nil {
		return err
	}
	struck := time.Now()
	left, err := unsettled(ctx, r.origin)
	if err != nil {
		return err
	}
	r.log.Info("fault: node killed while it absorbs", "node", p.Folder, "struck_at", struck, "pid", pid,
		"parcels_received_at_kill", rising, "unsettled_after_kill", left)
	if left == 0 {
		return fmt.Errorf("%w: nothing was on its way to %s when it was killed", errMissed, p.Folder)
	}
	r.say("故障二：现居住地节点在接收中被 kill -9（已收 %d 个包裹，尚有 %d 件未签收），随即重启", "fault 2: the residence's node is killed (-9) while it absorbs (%d parcels received, %d items unsettled), and started again", rising, left)
	return p.Start(ctx)
}

// parcelsReceived is the counter of parcels that a node absorbed.
const parcelsReceived = "yipan_exchange_parcels_received_total"

// received reads the counter from the node's metrics.
func received(ctx context.Context, p *place) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Metrics+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("demo: metrics of %s: %w", p.Folder, err)
	}
	defer resp.Body.Close()
	// A line is NAME{LABELS} VALUE (the text format of Prometheus).
	n, lines := 0.0, bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if series, value, ok := strings.Cut(lines.Text(), " "); ok && strings.HasPrefix(series, parcelsReceived+"{") {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, fmt.Errorf("demo: metrics of %s: %w", p.Folder, err)
			}
			n += v
		}
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("demo: metrics of %s: %w", p.Folder, err)
	}
	return int64(n), nil
}

func (r *run) backupOf(p *place) string { return filepath.Join(r.Dir, "backup", p.Folder) }

// backUp copies a node's database, with the node stopped.
func (r *run) backUp(ctx context.Context, p *place) error {
	if err := os.MkdirAll(filepath.Dir(r.backupOf(p)), 0o700); err != nil {
		return fmt.Errorf("demo: make the folder of backups: %w", err)
	}
	n, err := items(ctx, p)
	if err != nil {
		return err
	}
	if err := p.Stop(); err != nil {
		return err
	}
	if err := p.Backup(ctx, r.backupOf(p)); err != nil {
		return err
	}
	r.log.Info("backup", "node", p.Folder, "items", n)
	r.say("备份户籍地节点的数据库（%d 件）", "the origin's database is backed up (%d items)", n)
	return p.Start(ctx)
}

// items returns how many items a node holds.
func items(ctx context.Context, p *place) (int, error) {
	held, err := folds(ctx, p)
	n := 0
	for _, f := range held {
		n += int(f.GetItems())
	}
	return n, err
}

// putBack puts a node back to its backup, waits until it has everything again,
// and sends the roster once more: it must open nothing twice.
func (r *run) putBack(ctx context.Context, p *place) error {
	before, err := items(ctx, p)
	if err != nil {
		return err
	}
	if err := p.Stop(); err != nil {
		return err
	}
	if err := p.Restore(ctx, r.backupOf(p)); err != nil {
		return err
	}
	struck := time.Now()
	r.restored = true
	if err := p.Start(ctx); err != nil {
		return err
	}
	then, err := items(ctx, p)
	if err != nil {
		return err
	}
	r.log.Info("fault: node put back to its backup", "node", p.Folder, "struck_at", struck, "items_before", before, "items_after", then)
	if then >= before {
		return fmt.Errorf("%w: the backup of %s holds %d items, the node held %d", errMissed, p.Folder, then, before)
	}
	r.say("故障三：户籍地节点退回到备份（%d 件变为 %d 件）", "fault 3: the origin's node is put back to its backup (%d items become %d)", before, then)
	if err := r.mend(ctx); err != nil {
		return err
	}
	now, err := items(ctx, p)
	if err != nil {
		return err
	}
	r.log.Info("restored node mended", "node", p.Folder, "items", now, "ms", time.Since(struck).Milliseconds())
	r.say("对帐后补回到 %d 件，用时 %.1f 秒；再发一次名册", "statements brought it back to %d items in %.1f s; the roster is sent once more", now, time.Since(struck).Seconds())
	return r.openAll(ctx, true)
}

// askAgain is how long the nodes are left to themselves before an operator asks
// for statements once more (`yipan statement`): rounds that keep finding
// differences, as they do while much is on its way, lie further and further
// apart.
const askAgain = 8 * time.Second

// mend waits until every node has what it should, and leaves it to the check at
// the end to say what has not come.
func (r *run) mend(ctx context.Context) error {
	for end := time.Now().Add(patience); ; {
		if err := r.stateAll(ctx); err != nil {
			return err
		}
		if err := r.held(ctx, askAgain); err != nil {
			return err
		}
		if c, err := r.compare(ctx); err != nil || c.Holds() {
			return err
		} else if time.Now().After(end) {
			r.log.Warn("not mended in time", "missing", c.Missing, "doubled", c.Doubled, "different", c.Different)
			return nil
		}
	}
}

// stateAll starts statement rounds between all nodes.
func (r *run) stateAll(ctx context.Context) error {
	for _, p := range r.places() {
		if _, err := p.exchange().StartStatement(ctx, &nodev1.StartStatementRequest{}); err != nil {
			return fmt.Errorf("demo: start a statement at %s: %w", p.Folder, err)
		}
	}
	return nil
}
