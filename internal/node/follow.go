package node

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"yipan/internal/bus"
	"yipan/internal/directory"
	"yipan/internal/fault"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// follower keeps the directory: what the database holds at start, then what the
// broker's stream brings. A record counts when it is verified and durable; what
// follows from it for the cases (rule T) is evaluated behind it, and owed until
// it succeeded, over restarts too.
type follower struct {
	db      *store.DB
	log     *slog.Logger
	jitter  func() time.Duration                                           // before records are published again
	changed func(ctx context.Context, old, new *directory.Directory) error // nil: nothing follows
	metrics *followMetrics

	dir       atomic.Pointer[directory.Directory]
	news      chan struct{}               // the directory moved on
	evaluated *directory.Directory        // for which changed succeeded; only evaluate's goroutine
	early     map[uint64]directory.Record // ahead of a gap, by serial; only the reader's goroutine
}

const (
	// maxEarly bounds the records kept that came before those they follow.
	maxEarly = 4096
	// maxBatch bounds how many records one copy of the directory takes in.
	maxBatch = 512
	// pause lies between tries while the database is away.
	pause = time.Second
	// noteWithin bounds how long a stopping node waits to note what it did.
	noteWithin = 5 * time.Second
)

// The notes that a follower writes down.
const (
	noteFork      = "directory.fork"      // the record by which a fork was found, as evidence
	noteEvaluated = "directory.evaluated" // serial up to which rule T was evaluated
)

func newFollower(db *store.DB, log *slog.Logger, reg prometheus.Registerer) (*follower, error) {
	m, err := newFollowMetrics(reg)
	return &follower{
		db: db, log: log, jitter: jitter, metrics: m,
		news: make(chan struct{}, 1), early: map[uint64]directory.Record{},
	}, err
}

// current returns the directory in force.
func (f *follower) current() *directory.Directory { return f.dir.Load() }

type followMetrics struct {
	serial     prometheus.Gauge
	checkpoint prometheus.Gauge
	fork       prometheus.Gauge
	refused    prometheus.Counter
	contested  prometheus.Counter
}

func newFollowMetrics(reg prometheus.Registerer) (*followMetrics, error) {
	m := &followMetrics{
		serial: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "yipan_directory_serial", Help: "Last serial of the directory held."}),
		checkpoint: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "yipan_directory_checkpoint_timestamp_seconds", Help: "Time of the latest checkpoint seen."}),
		fork: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "yipan_directory_fork", Help: "1 once the authority was seen to contradict itself."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "yipan_directory_refused_total", Help: "Records refused: not the authority's, or unreadable."}),
		contested: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "yipan_directory_contested_total", Help: "Changes that somebody who had to agree did not sign."}),
	}
	return m, errors.Join(register(reg, &m.serial), register(reg, &m.checkpoint), register(reg, &m.fork),
		register(reg, &m.refused), register(reg, &m.contested))
}

// jitter spreads the nodes of a country that all see the broker come back empty.
func jitter() time.Duration { return 500*time.Millisecond + rand.N(4500*time.Millisecond) } //nolint:gosec // spreads load

// load rebuilds the directory from the database, and from a directory.log beside
// it, which `yipan join` left there. Errors: Internal DIRECTORY_STORED when what
// the database holds is not the authority's log; Invalid DIRECTORY_LOG.
func (f *follower) load(ctx context.Context, authority seal.VerifyKey, logFile string) error {
	records, err := f.db.DirectoryRecords(ctx)
	if err != nil {
		return err
	}
	d, _, err := directory.Load(authority, records)
	if err != nil {
		return fault.Internal("DIRECTORY_STORED", "node: the stored directory is not the log of authority %s", authority.ID()).Because(err).
			Zh("数据库中的节点名录与管理机构公钥（%s）不符", authority.ID())
	}
	f.dir.Store(d)
	if f.evaluated, err = f.evaluatedBefore(ctx, authority, records); err != nil {
		return err
	}
	text, err := os.ReadFile(logFile)
	if err != nil && !os.IsNotExist(err) {
		return fault.Unavailable("DIRECTORY_LOG", "node: read %s", logFile).Because(err)
	}
	more, err := directory.ParseLog(text)
	if err != nil {
		return err
	}
	f.show()
	return f.take(ctx, f.parse(ctx, more))
}

// evaluatedBefore returns the directory for which rule T was evaluated last. A
// database that was never asked begins with an empty one.
func (f *follower) evaluatedBefore(ctx context.Context, authority seal.VerifyKey, records [][]byte) (*directory.Directory, error) {
	note, err := f.db.Note(ctx, noteEvaluated)
	if err != nil {
		return nil, err
	}
	n, _ := strconv.ParseUint(note, 10, 64) // empty: 0
	d, _, err := directory.Load(authority, records[:min(n, uint64(len(records)))])
	return d, err
}

func (f *follower) show() {
	d := f.dir.Load()
	f.metrics.serial.Set(float64(d.Serial()))
	if t := d.Checkpoint().Time; !t.IsZero() {
		f.metrics.checkpoint.Set(float64(t.Unix()))
	}
}

// run follows the stream until ctx ends, and fills it again whenever a new
// connection finds it emptier than the node.
func (f *follower) run(ctx context.Context, conn *bus.Conn) error {
	again := make(chan struct{}, 1)
	conn.OnConnect(func() {
		select {
		case again <- struct{}{}:
		default:
		}
	})
	var beside sync.WaitGroup
	defer beside.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	beside.Go(func() { f.evaluate(ctx) })
	beside.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-again:
				f.refill(ctx, conn)
			}
		}
	})
	var batch [][]byte
	err := conn.ReadDirectory(ctx, func(ctx context.Context, e bus.Entry) {
		if batch = append(batch, e.Data); e.Pending > 0 && len(batch) < maxBatch {
			return
		}
		rs := f.parse(ctx, batch)
		batch = nil
		for f.take(ctx, rs) != nil && sleep(ctx, pause) {
			// The database is away: this reading waits for it.
		}
	})
	if e, ok := fault.As(err); ok && e.Reason == bus.ReasonClosed {
		return nil
	}
	return err
}

// sleep waits and reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (f *follower) parse(ctx context.Context, bs [][]byte) []directory.Record {
	rs := make([]directory.Record, 0, len(bs))
	for _, b := range bs {
		r, err := directory.ParseRecord(b)
		if err != nil {
			f.refuse(ctx, err)
			continue
		}
		rs = append(rs, r)
	}
	return rs
}

// take applies records and those that waited for them. An error means that the
// database did not keep them; taking the same records again is harmless.
func (f *follower) take(ctx context.Context, rs []directory.Record) error {
	for len(rs) > 0 {
		next, events, err := f.current().Extend(rs)
		for i, ev := range events {
			if ev.Kind == directory.Applied || ev.Kind == directory.Skipped {
				if err := f.db.AddDirectoryRecord(ctx, ev.Serial, rs[i].Bytes()); err != nil {
					return err
				}
			}
		}
		f.swap(next)
		for _, ev := range events {
			f.report(ctx, ev)
		}
		rs = rs[len(events):]
		if err != nil {
			if err := f.setAside(ctx, rs[0], err); err != nil {
				return err
			}
			rs = rs[1:]
		}
		if len(rs) == 0 {
			rs = f.waiting()
		}
	}
	return nil
}

func (f *follower) swap(next *directory.Directory) {
	if f.dir.Swap(next) == next {
		return
	}
	f.show()
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// waiting takes out the records that follow the directory held now.
func (f *follower) waiting() []directory.Record {
	var rs []directory.Record
	for serial := f.current().Serial() + 1; ; serial++ {
		r, ok := f.early[serial]
		if !ok {
			return rs
		}
		delete(f.early, serial)
		rs = append(rs, r)
	}
}

// setAside handles a record that does not apply.
func (f *follower) setAside(ctx context.Context, r directory.Record, why error) error {
	e, _ := fault.As(why)
	switch {
	case e != nil && e.Reason == "DIRECTORY_GAP":
		if r.HasEntry() && len(f.early) < maxEarly {
			f.early[r.Serial()] = r
		}
	case e != nil && e.Reason == "DIRECTORY_FORK":
		f.metrics.fork.Set(1)
		f.log.ErrorContext(ctx, "directory fork: the authority has signed two logs", "serial", r.Serial(), "error", why)
		return f.db.PutNote(ctx, noteFork, r.Line())
	default:
		f.refuse(ctx, why)
	}
	return nil
}

// evaluate has rule T evaluated for each directory that came into force, until
// ctx ends. Several that follow each other quickly are evaluated at once.
func (f *follower) evaluate(ctx context.Context) {
	for {
		next := f.current()
		if next.Serial() == f.evaluated.Serial() {
			select {
			case <-ctx.Done():
				return
			case <-f.news:
			}
			continue
		}
		err := f.changeTo(ctx, next)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			f.log.WarnContext(ctx, "directory change not evaluated yet", "serial", next.Serial(), "error", err)
			sleep(ctx, pause)
		}
	}
}

func (f *follower) changeTo(ctx context.Context, next *directory.Directory) error {
	if f.changed != nil {
		if err := f.changed(ctx, f.evaluated, next); err != nil {
			return err
		}
	}
	// What was evaluated is noted also while the node stops, or the next start
	// evaluates it again.
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer done()
	if err := f.db.PutNote(ctx, noteEvaluated, strconv.FormatUint(next.Serial(), 10)); err != nil {
		return err
	}
	f.evaluated = next
	return nil
}

func (f *follower) refuse(ctx context.Context, err error) {
	f.metrics.refused.Inc()
	f.log.WarnContext(ctx, "directory record refused", "error", err)
}

func (f *follower) report(ctx context.Context, ev directory.Event) {
	switch {
	case ev.Kind == directory.Duplicate || ev.Kind == directory.Refreshed:
	case ev.Kind == directory.Skipped:
		f.metrics.refused.Inc()
		f.log.WarnContext(ctx, "directory entry skipped", "serial", ev.Serial, "error", ev.Why)
	case ev.Contested():
		f.metrics.contested.Inc()
		f.log.WarnContext(ctx, "directory entry changes what somebody did not agree to", "serial", ev.Serial, "node", ev.Node.String())
	default:
		f.log.InfoContext(ctx, "directory entry taken", "serial", ev.Serial, "node", ev.Node.String(), "removed", ev.Removed)
	}
}

// refill publishes what the stream lacks. A broker that lost its disk gets the
// directory back from any node: entries are signed, so it matters not by whom.
func (f *follower) refill(ctx context.Context, conn *bus.Conn) {
	held := f.dir.Load().Serial()
	if held == 0 {
		return
	}
	if !sleep(ctx, f.jitter()) {
		return
	}
	size, err := conn.DirectorySize(ctx)
	if err != nil || size >= held {
		return // a later connection asks again
	}
	records, err := f.db.DirectoryRecords(ctx)
	if err == nil {
		var n int
		n, err = PublishDirectory(ctx, conn, records)
		f.log.InfoContext(ctx, "directory published again", "records", n)
	}
	if err != nil && ctx.Err() == nil {
		f.log.WarnContext(ctx, "directory not published again", "error", err)
	}
}

// PublishDirectory publishes those of the records that the broker's stream does
// not hold, in order, and returns how many. It takes a reading of the whole
// stream. Errors: Unavailable; ctx's.
func PublishDirectory(ctx context.Context, conn *bus.Conn, records [][]byte) (int, error) {
	size, err := conn.DirectorySize(ctx)
	if err != nil {
		return 0, err
	}
	there := map[string]bool{}
	if size > 0 {
		reading, stop := context.WithCancel(ctx)
		defer stop()
		err := conn.ReadDirectory(reading, func(_ context.Context, e bus.Entry) {
			there[string(e.Data)] = true
			if e.Pending == 0 {
				stop()
			}
		})
		if err = errors.Join(err, ctx.Err()); err != nil {
			return 0, err
		}
	}
	n := 0
	for _, b := range records {
		if there[string(b)] {
			continue
		}
		if err := conn.PublishDirectory(ctx, b); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
