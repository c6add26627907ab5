package closing

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/directory"
	"yipan/internal/fault"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

const (
	// patience is how long after its instant a month waits for peers.
	patience = 72 * time.Hour
	// askAgain is how often at most a peer is asked for a statement round.
	askAgain = time.Minute
	// signContext separates signatures of snapshots from all others.
	signContext = "frozen-month"
)

// Freeze freezes the months that are over and agreed, and reported by the areas
// below, or whose peers and children have been waited for long enough; it returns how many. Several replicas may do it at
// once. It also reports upwards what was frozen.
func (c *Closing) Freeze(ctx context.Context) (n int64, err error) {
	var errs []error
	for _, u := range c.units() {
		done, err := c.freezeUnit(ctx, u)
		n += done
		errs = append(errs, err)
		if err == nil && (done > 0 || !c.toldOf(u.top)) {
			errs = append(errs, c.tell(ctx, u))
		}
	}
	return n, errors.Join(errs...)
}

func (c *Closing) freezeUnit(ctx context.Context, u unit) (n int64, err error) {
	var first time.Time
	var reported int
	var done map[int]uint32
	err = c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) (err error) {
		if done, err = tx.MonthRevisions(ctx, u.top); err != nil {
			return err
		}
		if first, err = tx.FirstDue(ctx, u.offices); err != nil {
			return err
		}
		reported, err = tx.FirstChildMonth(ctx, u.all())
		return err
	})
	if err != nil || first.IsZero() && reported == 0 {
		return 0, err
	}
	now := c.Now()
	start := policy.PeriodOf(now, policy.SpanMonth)
	if !first.IsZero() && policy.DueMonth(first).From.Before(start.From) {
		start = policy.DueMonth(first)
	}
	if reported != 0 && monthOf(reported).From.Before(start.From) {
		start = monthOf(reported)
	}
	for p := start; instant(p).Before(now); p = p.Next() {
		if _, ok := done[monthNo(p)]; ok {
			continue
		}
		missing, err := c.missing(ctx, u, p)
		if err != nil {
			return n, err
		}
		if now.Before(instant(p).Add(patience)) {
			late, err := c.lateChildren(ctx, u, p)
			if err != nil {
				return n, err
			}
			if late = append(late, missing...); len(late) > 0 {
				slices.Sort(late)
				if err := c.wait(ctx, u, p, slices.Compact(late)); err != nil {
					return n, err
				}
				continue
			}
		}
		if err := c.freeze(ctx, u, p, missing); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// missing returns the peers of a month whose sets were not found equal to this
// node's since its instant, or which hold something older that has not come, or
// to which something older is owed. They are asked for a statement round.
func (c *Closing) missing(ctx context.Context, u unit, p policy.Period) ([]area.Key, error) {
	dir, self, at := c.Book.Directory(), c.Book.Self, instant(p)
	var out []area.Key
	err := c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) error {
		out = nil
		peers, err := tx.Peers(ctx)
		if err != nil {
			return err
		}
		others, err := tx.MonthCounterparts(ctx, u.offices, monthNo(p))
		if err != nil {
			return err
		}
		matters := map[cases.NodeID]bool{}
		known := map[cases.NodeID]store.Peer{}
		for _, peer := range peers {
			known[peer.Node] = peer
		}
		for _, k := range others {
			if n, ok := dir.Home(k); ok {
				matters[n] = true
			}
			// Counts are by county; a township of it may have a node of its own.
			for _, b := range below(dir, k, self) {
				if n, ok := dir.Home(b); ok && !known[n].LastHeard.IsZero() {
					matters[n] = true
				}
			}
		}
		delete(matters, self)
		owed := map[cases.NodeID]bool{}
		for _, peer := range peers {
			least, err := tx.LeastPending(ctx, peer.Node)
			if err != nil {
				return err
			}
			if !least.IsZero() && !least.After(at) {
				if _, ok := dir.SealTo(peer.Node); ok {
					matters[peer.Node], owed[peer.Node] = true, true
				}
			}
		}
		for n := range matters {
			peer := known[n]
			if owed[n] || !peer.LastAgreed.After(at) || !peer.LeastPending.IsZero() && !peer.LeastPending.After(at) {
				out = append(out, n.Area())
			}
		}
		return nil
	})
	slices.Sort(out)
	for _, k := range out {
		if err := c.ask(ctx, cases.NodeID(k)); err != nil {
			c.Log.Warn("statement round not begun", "peer", k.String(), "error", err)
		}
	}
	return out, err
}

// lateChildren returns the areas below that have not reported a month yet.
func (c *Closing) lateChildren(ctx context.Context, u unit, p policy.Period) ([]area.Key, error) {
	nodes := childNodes(c.Book.Directory(), u, c.Book.Self)
	if len(nodes) == 0 {
		return nil, nil
	}
	err := c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) error {
		reports, err := tx.ChildReports(ctx, u.all(), monthNo(p))
		for _, r := range reports {
			if rates.Basis(r.Basis) == rates.Frozen {
				nodes = slices.DeleteFunc(nodes, func(k area.Key) bool { return k == r.Child })
			}
		}
		return err
	})
	return nodes, err
}

// ask asks for a statement round, not too often.
func (c *Closing) ask(ctx context.Context, n cases.NodeID) error {
	now := c.Now()
	c.mu.Lock()
	soon := now.Sub(c.asked[n]) < askAgain
	if !soon {
		c.asked[n] = now
	}
	c.mu.Unlock()
	if soon || c.Ask == nil {
		return nil
	}
	return c.Ask(ctx, n)
}

// wait writes down for whom a month waits.
func (c *Closing) wait(ctx context.Context, u unit, p policy.Period, missing []area.Key) error {
	return c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) error {
		s, err := stateOf(ctx, tx, u.top, monthNo(p))
		if err != nil || slices.Equal(s.Waiting, missing) {
			return err
		}
		s.Waiting, s.CheckedAt = missing, c.Now()
		return tx.PutMonthState(ctx, s)
	})
}

func stateOf(ctx context.Context, tx *store.Tx, top area.Key, month int) (store.MonthState, error) {
	all, err := tx.MonthStates(ctx, top)
	if err != nil {
		return store.MonthState{}, err
	}
	for _, s := range all {
		if s.Month == month {
			return s, nil
		}
	}
	return store.MonthState{Area: top, Month: month}, nil
}

// errChanged makes a freezing begin anew at the next turn: counts changed while
// the report's rows were read beside them.
var errChanged = fault.Unavailable("MONTH_CHANGED", "closing: counts changed while a month was frozen").Zh("定稿期间数据有变化，稍后自动重试")

// freeze writes revision 0 of a month.
func (c *Closing) freeze(ctx context.Context, u unit, p policy.Period, missing []area.Key) error {
	var sums []byte
	if err := c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) (err error) {
		sums, err = tx.MonthSums(ctx, u.offices, monthNo(p))
		return err
	}); err != nil {
		return err
	}
	books, own, err := c.books(ctx, u, p, nil)
	if err != nil {
		return err
	}
	months, err := c.otherMonths(ctx, u)
	if err != nil {
		return err
	}
	books = unlike(books, months)
	tables, ownTables, err := c.tables(ctx, u, p)
	if err != nil {
		return err
	}
	kept, private, err := extraParts(own, ownTables)
	if err != nil {
		return err
	}
	err = c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) error {
		if _, ok, err := tx.LatestFrozen(ctx, u.top, monthNo(p)); err != nil || ok {
			return err // another replica was faster
		}
		s, cnt, err := c.snapshot(ctx, tx, u, u.offices, p)
		if err != nil {
			return err
		}
		again, err := tx.MonthSums(ctx, u.offices, monthNo(p))
		if err != nil {
			return err
		}
		if !slices.Equal(sums, again) {
			return errChanged
		}
		s.Missing, s.Books, s.Reports, s.Private = missing, books, tables, private
		if err := c.write(ctx, tx, s, append(cnt.parts, kept...)); err != nil {
			return err
		}
		return tx.PutMonthState(ctx, store.MonthState{Area: u.top, Month: monthNo(p), Sums: sums, CheckedAt: c.Now()})
	})
	if err != nil {
		return err
	}
	c.Log.Info("month frozen", "area", u.top.String(), "period", p.String(), "missing", len(missing))
	return c.compareAll(ctx, u, p)
}

// otherMonths are the snapshots of the months of a unit that are frozen.
func (c *Closing) otherMonths(ctx context.Context, u unit) (out []rates.Snapshot, err error) {
	var frozen []store.FrozenMonth
	err = c.DB.InExchange(ctx, u.all(), func(tx *store.Tx) (err error) {
		frozen, err = tx.FrozenMonths(ctx, u.top)
		return err
	})
	for i := range frozen {
		if err != nil {
			break
		}
		var s rates.Snapshot
		s, err = rates.DecodeSnapshot(frozen[i].Snapshot)
		out = append(out, s)
	}
	return out, err
}

// snapshot counts a month at its instant; what it says besides, revision and
// missing peers, books and reports, is the caller's.
func (c *Closing) snapshot(ctx context.Context, tx *store.Tx, u unit, offices []area.Key, p policy.Period) (*rates.Snapshot, *counted, error) {
	at := instant(p)
	cnt, err := count(ctx, tx, offices, p, at)
	if err != nil {
		return nil, nil, err
	}
	s := &rates.Snapshot{
		Area: u.top, Period: p.String(), At: at.UnixMilli(), FrozenAt: c.Now().UnixMilli(), Digest: hex.EncodeToString(cnt.digest[:]), Rounds: cnt.rounds,
		Offices: offices, Cells: cnt.cells,
	}
	if pol, err := c.Policies.At(p.To.AddDays(-1)); err == nil {
		s.Policy, s.PolicyDigest = pol.Version, pol.Digest.String()
	}
	children, err := tx.ChildReports(ctx, u.all(), monthNo(p))
	if err != nil {
		return nil, nil, err
	}
	reported := map[area.Key]bool{}
	for _, r := range children {
		if rates.Basis(r.Basis) != rates.Frozen || slices.Contains(offices, r.Child) {
			continue
		}
		up, err := rates.DecodeUpward(r.Content)
		if err != nil {
			return nil, nil, err // it was read when it came
		}
		reported[r.Child] = true
		if len(up.Cells) > 0 || r.Child.Level() == area.Township {
			s.Children = append(s.Children, rates.ChildPart{Area: r.Child, Revision: r.Revision})
			s.Cells = append(s.Cells, up.Cells...)
		}
	}
	rates.SortCells(s.Cells)
	for _, k := range childNodes(c.Book.Directory(), u, c.Book.Self) {
		if !reported[k] {
			s.Waiting = append(s.Waiting, k)
		}
	}
	return s, cnt, nil
}

// childNodes returns the areas right below what this node serves of a unit that
// have a node of their own: those that report to it.
func childNodes(dir *directory.Directory, u unit, self cases.NodeID) []area.Key {
	var out []area.Key
	for _, k := range below(dir, u.top, self) {
		k = topOf(dir, k)
		if n, ok := dir.Home(area.Parent(k)); ok && n == self && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// write signs a snapshot and writes it as a revision.
func (c *Closing) write(ctx context.Context, tx *store.Tx, s *rates.Snapshot, parts []store.RoundsPart) error {
	p, err := policy.ParsePeriod(s.Period)
	if err != nil {
		return err
	}
	b, err := s.Encode()
	if err != nil {
		return err
	}
	digest, err := hex.DecodeString(s.Digest)
	if err != nil {
		return err
	}
	key := c.Keys.Signing()
	for i := range parts {
		parts[i].Revision = s.Revision
	}
	if err := tx.AddMonthRounds(ctx, monthNo(p), parts); err != nil {
		return err
	}
	return tx.AddFrozen(ctx, &store.FrozenMonth{
		Area: s.Area, Month: monthNo(p), Revision: s.Revision, At: instant(p), FrozenAt: time.UnixMilli(s.FrozenAt), Digest: digest,
		Snapshot: b, KeyID: key.ID(), Signature: key.Sign(signContext, b),
	})
}

// tables computes the reports that a month freezes: those of the month for the
// unit's area and its counties, and where the statistical year ends with it the
// annual reports, of townships for themselves alone.
func (c *Closing) tables(ctx context.Context, u unit, p policy.Period) (shown []rates.ReportTable, own map[area.Key][]rates.ReportTable, err error) {
	at := instant(p)
	year, ends := c.yearEnding(p)
	own = map[area.Key][]rates.ReportTable{}
	for _, k := range u.all() {
		if k.Level() < area.County {
			continue // what leaves counties is told in atoms alone
		}
		wide := k == u.top || k.Level() == area.County
		for _, t := range []struct {
			kind   reportKind
			period policy.Period
			wanted bool
		}{{annual, year, ends}, {monthly, p, wide}, {overdue, p, wide}} {
			if !t.wanted {
				continue
			}
			rows, err := c.Figures.ReportRows(ctx, t.kind, k, t.period, at)
			if err != nil {
				return nil, nil, err
			}
			table := rates.ReportTable{Kind: uint8(t.kind), Area: k, Period: t.period.String(), Rows: rowsOf(rows)}
			if k.Level() == area.Township && t.kind == annual {
				own[k] = append(own[k], table)
			} else {
				shown = append(shown, table)
			}
		}
	}
	return shown, own, nil
}

// yearEnding returns the statistical year that ends with a month.
func (c *Closing) yearEnding(p policy.Period) (policy.Period, bool) {
	last := p.To.AddDays(-1)
	year := c.yearOf(last)
	return year, year.To == p.To
}

// yearOf is the statistical year of a day, by the policy in force on it.
func (c *Closing) yearOf(d civil.Date) policy.Period {
	span := policy.SpanYear
	if pol, err := c.Policies.At(d); err == nil {
		span = pol.StatYear
	}
	return span.Holding(d)
}
