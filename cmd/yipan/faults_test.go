package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/civil"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	nodev1 "yipan/internal/gen/yipan/node/v1"
	"yipan/internal/harness/town"
	"yipan/internal/ident"
)

// struck is a town of processes that are killed, and what was confirmed in it.
type struck struct {
	*town.Town
	t      *testing.T
	origin *town.Node
	dest   *town.Node
	opened map[string]bool // cases that the API confirmed
	asked  int
}

var (
	faultOffice = area.MustOf(area.Township, "520330101")
	faultDest   = area.MustOf(area.County, "330782")
)

func newStruck(t *testing.T) *struck {
	t.Helper()
	t.Setenv(asProgram, "1") // what the town starts is this test program as yipan
	node := func(folder string, county, office area.Key) town.NodeConfig {
		return town.NodeConfig{Folder: folder, Area: county, Name: "示例单位", Accounts: []town.Account{
			{Name: "admin", Role: access.Admin}, {Name: "clerk", Role: access.Clerk, Offices: []area.Key{office}},
		}}
	}
	tn, err := town.New(t.Context(), town.Config{
		Dir: filepath.Join(place(t), "town"), Program: within, Executable: os.Args[0], Policy: []byte(must(t, "policy", "default")),
		Nodes: []town.NodeConfig{
			node("origin", faultOffice.Cut(area.County), faultOffice),
			node("residence", faultDest, area.Children(faultDest)[0]),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, n := range tn.Nodes {
			n.Hangup()
		}
		if err := tn.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := tn.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &struck{Town: tn, t: t, origin: tn.Nodes[0], dest: tn.Nodes[1], opened: map[string]bool{}}
}

func (s *struck) fatal(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// request is a batch of notices about synthetic people.
func (s *struck) request(count int) *casesv1.BatchOpenCasesRequest {
	to := area.Children(faultDest)[0].String()
	birth, moved := civil.MustParse("1990-01-01"), civil.In(time.Now()).AddDays(-10).String()
	out := &casesv1.BatchOpenCasesRequest{}
	for range count {
		i := s.asked
		s.asked++
		out.Requests = append(out.Requests, &casesv1.OpenCaseRequest{
			RequestId: fmt.Sprintf("request-%06d", i), Kind: casesv1.Kind_KIND_OUTFLOW, Origin: faultOffice.String(), Destination: to,
			Fields: &casesv1.Fields{
				Name: "测试甲", Document: ident.Make("520330", birth.AddDays(i/400), i%400, i%2 == 0), EventDate: moved,
				Basis: &casesv1.Basis{Kind: casesv1.BasisKind_BASIS_KIND_REQUEST},
			},
		})
	}
	return out
}

// open sends a batch until it is confirmed, as a client does that repeats a
// request without an answer.
func (s *struck) open(req *casesv1.BatchOpenCasesRequest) {
	s.t.Helper()
	conn, err := s.origin.Dial("clerk")
	s.fatal(err)
	eventually(s.t, "a batch is confirmed", func(ctx context.Context) bool {
		resp, err := casesv1.NewCaseServiceClient(conn).BatchOpenCases(ctx, req)
		if err != nil {
			return false
		}
		for _, r := range resp.GetResults() {
			if r.GetError() != nil {
				s.t.Fatalf("refused: %s %s", r.GetError().GetReason(), r.GetError().GetField())
			}
			s.opened[r.GetCaseId()] = true
		}
		return true
	})
}

func (s *struck) admin(n *town.Node) nodev1.NodeServiceClient {
	s.t.Helper()
	conn, err := n.Dial("admin")
	s.fatal(err)
	return nodev1.NewNodeServiceClient(conn)
}

// unsettled is what a node owes; -1: it does not say.
func (s *struck) unsettled(ctx context.Context, n *town.Node) int64 {
	resp, err := s.admin(n).ListPeers(ctx, &nodev1.ListPeersRequest{})
	if err != nil {
		return -1
	}
	total := int64(0)
	for _, p := range resp.GetPeers() {
		total += p.GetUnsettled()
	}
	return total
}

func (s *struck) folds(n *town.Node) map[string]*nodev1.FoldDigest {
	s.t.Helper()
	all := map[string]*nodev1.FoldDigest{}
	req := &nodev1.ListFoldsRequest{PageSize: 5000}
	for {
		resp, err := s.admin(n).ListFolds(s.t.Context(), req)
		s.fatal(err)
		for _, f := range resp.GetFolds() {
			all[f.GetCaseId()] = f
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return all
		}
	}
}

// conserved waits until nobody owes anything; then both nodes must hold exactly
// what was confirmed, each case with its one item, folded alike.
func (s *struck) conserved() {
	s.t.Helper()
	eventually(s.t, "the exchange settles", func(ctx context.Context) bool {
		return s.unsettled(ctx, s.origin) == 0 && s.unsettled(ctx, s.dest) == 0
	})
	x, y := s.folds(s.origin), s.folds(s.dest)
	if len(s.opened) != s.asked || len(x) != s.asked || len(y) != s.asked {
		s.t.Errorf("%d asked for, %d confirmed, %d at the origin, %d at the destination", s.asked, len(s.opened), len(x), len(y))
	}
	for id := range s.opened {
		p, q := x[id], y[id]
		if p == nil || q == nil || p.GetItems() != 1 || q.GetItems() != 1 || p.GetSet() != q.GetSet() || p.GetFold() != q.GetFold() {
			s.t.Fatalf("case %s: %v at the origin, %v at the destination", id, p, q)
		}
	}
}

// counter sums the series of a node's metric whose labels contain label; it
// begins at zero with each life of a process. A node that is away has -1.
func (s *struck) counter(ctx context.Context, n *town.Node, name, label string) float64 {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Metrics+"/metrics", nil)
	s.fatal(err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return -1
	}
	defer resp.Body.Close()
	total, text := 0.0, bufio.NewScanner(resp.Body)
	for text.Scan() {
		if series, value, ok := strings.Cut(text.Text(), " "); ok && strings.HasPrefix(series, name+"{") && strings.Contains(series, label) {
			v, err := strconv.ParseFloat(value, 64)
			s.fatal(err)
			total += v
		}
	}
	if text.Err() != nil {
		return -1
	}
	return total
}

const (
	parcelsIn = "yipan_exchange_parcels_received_total"
	itemsIn   = "yipan_exchange_items_total"
)

func eventually(t *testing.T, what string, ok func(context.Context) bool) {
	t.Helper()
	if !soon(t, patience, ok) {
		t.Fatalf("did not come about: %s", what)
	}
}

// soon looks again and again until ok, but no longer than limit.
func soon(t *testing.T, limit time.Duration, ok func(context.Context) bool) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// kill -9 of the origin between commit and publish: with the broker away nothing
// that it confirms can have left. Then it is killed right after it confirmed,
// broker there, as often as it takes to be sure.
func TestOriginKilledBetweenCommitAndPublish(t *testing.T) {
	s := newStruck(t)
	_, err := s.CrashHub()
	s.fatal(err)
	s.open(s.request(300))
	if got := s.unsettled(t.Context(), s.origin); got != 300 {
		t.Fatalf("%d unsettled of 300", got)
	}
	_, err = s.origin.Crash()
	s.fatal(err)
	s.fatal(s.StartHub(t.Context()))
	if got := len(s.folds(s.dest)); got != 0 {
		t.Fatalf("%d cases came while the broker was away", got)
	}
	s.fatal(s.origin.Start(t.Context()))
	s.conserved()
	for range 2 {
		req := s.request(100)
		s.open(req)
		_, err = s.origin.Crash()
		s.fatal(err)
		s.fatal(s.origin.Start(t.Context()))
		s.open(req) // a client that saw no answer; nothing is opened twice
	}
	s.conserved()
}

// kill -9 of the destination between commit and ack. The broker dies while the
// destination has parcels in hand: what it commits from then on it cannot have
// acked, and it is killed before it ever can. All comes again. Five kills at the
// least.
func TestDestinationKilledBetweenCommitAndAck(t *testing.T) {
	s := newStruck(t)
	unacked, again := 0, 0.0
	for round := 0; round < 3 || unacked == 0 && round < 9; round++ {
		_, err := s.dest.Crash()
		s.fatal(err)
		for range 12 {
			s.open(s.request(25)) // many parcels, for many commits
		}
		s.fatal(s.dest.Start(t.Context()))
		eventually(t, "the destination absorbs", func(ctx context.Context) bool { return s.counter(ctx, s.dest, parcelsIn, "") > 0 })
		if round%2 == 1 { // the broker lives: killed in the middle, whatever it was doing
			continue
		}
		_, err = s.KillHub()
		s.fatal(err)
		held := s.counter(t.Context(), s.dest, parcelsIn, "")
		if soon(t, 2*time.Second, func(ctx context.Context) bool { return s.counter(ctx, s.dest, parcelsIn, "") > held }) {
			unacked++
		}
		_, err = s.dest.Crash()
		s.fatal(err)
		s.fatal(s.StartHub(t.Context()))
		s.fatal(s.dest.Start(t.Context()))
		soon(t, 5*time.Second, func(ctx context.Context) bool { return s.counter(ctx, s.dest, itemsIn, `"again"`) > 0 })
		again += s.counter(t.Context(), s.dest, itemsIn, `"again"`)
	}
	if unacked == 0 || again == 0 {
		t.Errorf("the fault did not strike: %d times committed without an ack, %v items came again", unacked, again)
	}
	s.conserved()
	t.Logf("%d times committed without an ack; %v items came again and changed nothing", unacked, again)
}
