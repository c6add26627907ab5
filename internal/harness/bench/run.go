package bench

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"yipan/internal/area"
	"yipan/internal/civil"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	nodev1 "yipan/internal/gen/yipan/node/v1"
	"yipan/internal/harness/town"
	"yipan/internal/ident"
	"yipan/internal/node"
)

// run is one run against a town.
type run struct {
	town  *town.Town
	a, b  *town.Node
	say   func(string, ...any)
	cases casesv1.CaseServiceClient
	admin nodev1.NodeServiceClient
	next  atomic.Int64 // people used so far
}

func (r *run) open(context.Context) error {
	conn, err := r.a.Dial(account)
	if err != nil {
		return err
	}
	r.cases = casesv1.NewCaseServiceClient(conn)
	if conn, err = r.a.Dial(watcher); err != nil {
		return err
	}
	r.admin = nodev1.NewNodeServiceClient(conn)
	return nil
}

// notice is an outflow notice about the next synthetic person.
func (r *run) notice() *casesv1.OpenCaseRequest {
	i := int(r.next.Add(1) - 1)
	birth := civil.MustParse("1970-01-01").AddDays(i / 400)
	towns := area.Children(residence)
	return &casesv1.OpenCaseRequest{
		RequestId: fmt.Sprintf("bench-%09d", i), Kind: casesv1.Kind_KIND_OUTFLOW, Origin: originTown.String(), Destination: towns[i%len(towns)].String(),
		Fields: &casesv1.Fields{
			Name: "测试甲", Document: ident.Make("520330", birth, i%400, i%2 == 0), EventDate: civil.In(time.Now()).AddDays(-3).String(),
			Basis: &casesv1.Basis{Kind: casesv1.BasisKind_BASIS_KIND_REQUEST},
		},
	}
}

// unsettled asks the origin how much is owed; a dry run of resending counts
// just that.
func (r *run) unsettled(ctx context.Context) (int64, error) {
	a, err := r.admin.Resend(ctx, &nodev1.ResendRequest{DryRun: true})
	return a.GetItems(), err
}

// drained waits until every receipt is durable at the origin.
func (r *run) drained(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		asked := time.Now()
		n, err := r.unsettled(ctx)
		if err != nil {
			return fmt.Errorf("bench: %d notices not settled in time: %w", n, err)
		}
		if n == 0 {
			return nil
		}
		// Counting a deep backlog costs the node something: ask seldom then.
		pause := time.NewTimer(max(50*time.Millisecond, 20*time.Since(asked)))
		select {
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("bench: %d notices not settled in %s", n, limit)
		case <-pause.C:
		}
	}
}

// submit opens n notices in batches on four connections' worth of callers.
func (r *run) submit(ctx context.Context, n int) error {
	const batch = 500
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for left := n; left > 0; left -= batch {
		size := min(batch, left)
		g.Go(func() error {
			req := &casesv1.BatchOpenCasesRequest{}
			for range size {
				req.Requests = append(req.Requests, r.notice())
			}
			res, err := r.cases.BatchOpenCases(ctx, req)
			if err != nil {
				return fmt.Errorf("bench: open %d cases: %w", size, err)
			}
			for _, o := range res.GetResults() {
				if o.GetError() != nil {
					return fmt.Errorf("bench: case refused: %s", o.GetError().GetReason())
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (r *run) idle(ctx context.Context, _ *Config, f *Figures) error {
	t := time.NewTimer(3 * time.Second)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
	}
	f.IdleMB = max(memory(r.a.PID()), memory(r.b.PID()))
	r.say("idle: %.0f MB", f.IdleMB)
	return nil
}

// memory is the resident size of a process in MB (10^6 bytes), 0 where the
// system does not tell.
func memory(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 64)
			if err == nil {
				return kb * 1024 / 1e6
			}
		}
	}
	return 0
}

// latency opens 100 notices a second and takes the time from each call to the
// moment when the origin says that its receipt is durable.
func (r *run) latency(ctx context.Context, _ *Config, f *Figures) error {
	const perSecond, seconds = 100, 15
	r.say("latency: %d/s for %d s …", perSecond, seconds)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := r.cases.WatchCases(ctx, &casesv1.WatchCasesRequest{})
	if err != nil {
		return fmt.Errorf("bench: watch: %w", err)
	}
	var mu sync.Mutex
	begun, ended := map[string]time.Time{}, map[string]time.Time{}
	go func() {
		for {
			m, err := watch.Recv()
			if err != nil {
				return
			}
			if m.GetDeliveredAt() != nil {
				now := time.Now()
				mu.Lock()
				if _, ok := ended[m.GetCaseId()]; !ok {
					ended[m.GetCaseId()] = now
				}
				mu.Unlock()
			}
		}
	}()
	if _, err := r.cases.OpenCase(ctx, r.notice()); err != nil { // the first call makes the connection
		return fmt.Errorf("bench: open: %w", err)
	}
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	var g errgroup.Group
	for range perSecond * seconds {
		<-tick.C
		g.Go(func() error {
			t := time.Now()
			a, err := r.cases.OpenCase(ctx, r.notice())
			if err != nil {
				return fmt.Errorf("bench: open: %w", err)
			}
			mu.Lock()
			begun[a.GetCase().GetCaseId()] = t
			mu.Unlock()
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := r.drained(ctx, time.Minute); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	var took []time.Duration
	for id, t := range begun {
		if e, ok := ended[id]; ok {
			took = append(took, e.Sub(t))
		}
	}
	if len(took) < len(begun)*99/100 {
		return fmt.Errorf("bench: saw the receipts of %d of %d notices", len(took), len(begun))
	}
	slices.Sort(took)
	at := func(q float64) float64 {
		return float64(took[min(len(took)-1, int(q*float64(len(took))))].Microseconds()) / 1000
	}
	f.P50MS, f.P99MS = at(.5), at(.99)
	r.say("  p50 %.2f ms, p99 %.2f ms of %d", f.P50MS, f.P99MS, len(took))
	return nil
}

// single opens notices one by one from 64 callers.
func (r *run) single(ctx context.Context, _ *Config, f *Figures) error {
	const callers, span = 64, 6 * time.Second
	r.say("single: %d callers for %s …", callers, span)
	begin := time.Now()
	end := begin.Add(span)
	var n atomic.Int64
	var g errgroup.Group
	for range callers {
		g.Go(func() error {
			for time.Now().Before(end) {
				if _, err := r.cases.OpenCase(ctx, r.notice()); err != nil {
					return fmt.Errorf("bench: open: %w", err)
				}
				n.Add(1)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	f.SinglePerS = float64(n.Load()) / time.Since(begin).Seconds()
	r.say("  %8.0f RPCs/s", f.SinglePerS)
	return r.drained(ctx, 2*time.Minute)
}

// bulk opens notices in batches and takes the time until all receipts are
// durable at the origin.
func (r *run) bulk(ctx context.Context, c *Config, f *Figures) error {
	r.say("bulk: %d notices …", c.Bulk)
	wire, err := r.wireBytes(ctx)
	if err != nil {
		return err
	}
	size, err := r.databaseBytes(ctx)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	peak := make(chan float64)
	go func() {
		var most float64
		t := time.NewTicker(100 * time.Millisecond)
		defer t.Stop()
		for {
			most = max(most, memory(r.a.PID()), memory(r.b.PID()))
			select {
			case <-t.C:
			case <-stop:
				peak <- most
				return
			}
		}
	}()
	begin := time.Now()
	err = r.submit(ctx, c.Bulk)
	submitted := time.Since(begin)
	if err == nil {
		err = r.drained(ctx, 5*time.Minute)
	}
	took := time.Since(begin)
	close(stop)
	f.LoadMB = <-peak
	if err != nil {
		return err
	}
	f.BulkPerS = float64(c.Bulk) / took.Seconds()
	if after, err := r.wireBytes(ctx); err == nil {
		f.WireB = (after - wire) / float64(c.Bulk)
	}
	if after, err := r.databaseBytes(ctx); err == nil {
		f.DBB = float64(after-size) / float64(c.Bulk)
	}
	r.say("  %8.0f notices/s; submitted after %.1f s, settled after %.1f s; %.0f MB", f.BulkPerS, submitted.Seconds(), took.Seconds(), f.LoadMB)
	return nil
}

// catchup fills the origin while the residence is away and takes the time from
// its return until everything is settled.
func (r *run) catchup(ctx context.Context, c *Config, f *Figures) error {
	r.say("catch-up: the residence is away while %d notices are opened …", c.Backlog)
	if err := r.b.Stop(); err != nil {
		return err
	}
	if err := r.submit(ctx, c.Backlog); err != nil {
		return err
	}
	begin := time.Now()
	if err := r.b.Start(ctx); err != nil {
		return err
	}
	if err := r.drained(ctx, 10*time.Minute); err != nil {
		return err
	}
	f.CatchupS = time.Since(begin).Seconds()
	r.say("  %.1f s from the start of its process", f.CatchupS)
	return nil
}

// wireBytes adds up the bytes of parcels that both nodes sent.
func (r *run) wireBytes(ctx context.Context) (sum float64, err error) {
	for _, n := range []*town.Node{r.a, r.b} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Metrics+"/metrics", nil)
		if err != nil {
			return 0, fmt.Errorf("bench: metrics: %w", err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, fmt.Errorf("bench: metrics: %w", err)
		}
		s := bufio.NewScanner(res.Body)
		for s.Scan() {
			if v, ok := strings.CutPrefix(s.Text(), "yipan_exchange_sent_bytes_total "); ok {
				x, _ := strconv.ParseFloat(v, 64)
				sum += x
			}
		}
		if err := res.Body.Close(); err != nil {
			return 0, fmt.Errorf("bench: metrics: %w", err)
		}
	}
	return sum, nil
}

func (r *run) databaseBytes(ctx context.Context) (n int64, err error) {
	l, err := node.Load(node.Sources{File: r.a.ConfigFile()})
	if err != nil {
		return 0, err
	}
	d, err := node.OpenDatabase(ctx, &l.Config, node.DatabaseOptions{Attach: true})
	if err != nil {
		return 0, err
	}
	defer func() { _ = d.Close(ctx) }() // the server stays: it is the node's
	db, err := d.Open(ctx)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return db.SizeBytes(ctx)
}
