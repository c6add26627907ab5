package book

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/directory"
	"yipan/internal/fault"
	"yipan/internal/fold"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
	"yipan/internal/wire"
)

// Entry is an item to be written to a case that was loaded or is new. Head
// needs Kind, Side, Round and what the kind asks for; the rest is filled in.
type Entry struct {
	Case  *Case
	Head  cases.Head
	Body  cases.Body
	PadTo int
}

// Author writes items of this node to loaded cases, owes them to the cases'
// other homes and folds the cases again. Project must follow. A zero
// RecordedAt is now.
func (b *Book) Author(ctx context.Context, tx *store.Tx, entries []Entry) ([]cases.Item, error) {
	now := b.Now().Truncate(time.Millisecond)
	items := make([]cases.Item, 0, len(entries))
	rows := make([]store.StoredItem, 0, len(entries))
	var shares []store.Share
	for _, e := range entries {
		c, h := e.Case, e.Head
		h.Author, h.Case, h.X, h.Y, h.MinVersion = b.Self, c.ID, c.X, c.Y, wire.MinVersion(h.Kind)
		if h.RecordedAt.IsZero() {
			h.RecordedAt = now
		}
		h.T = max(now.UnixMilli(), c.State.MaxT+1)
		h.Local = b.homeOfBoth(c)
		it, err := wire.NewItem(h, e.Body, e.PadTo)
		if err != nil {
			return nil, err
		}
		row, err := c.Sealed(&it)
		if err != nil {
			return nil, err
		}
		items, rows = append(items, it), append(rows, row)
		shares = append(shares, b.Owe(&it, c.X, c.Y)...)
		c.add(fold.Item{ID: it.ID, Head: h})
	}
	if err := tx.InsertItems(ctx, rows); err != nil {
		return nil, err
	}
	return items, tx.AddShares(ctx, shares)
}

func (c *Case) add(it fold.Item) {
	c.Items = append(c.Items, it)
	c.State = fold.Fold(c.Items)
}

// Held adds an item that came from a peer to a loaded case.
func (c *Case) Held(it fold.Item) { c.add(it) }

func (b *Book) homeOfBoth(c *Case) bool {
	d := b.dir()
	x, okX := d.Home(c.X)
	y, okY := d.Home(c.Y)
	return okX && okY && x == b.Self && y == b.Self
}

// Homes returns the current homes of both areas other than this node (rule T).
func (b *Book) Homes(x, y area.Key) []cases.NodeID {
	d := b.dir()
	var out []cases.NodeID
	for _, k := range []area.Key{x, y} {
		if n, ok := d.Home(k); ok && n != b.Self && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// Owe returns the pending shares of an item of a case between x and y.
func (b *Book) Owe(it *cases.Item, x, y area.Key) []store.Share {
	var out []store.Share
	for _, n := range b.Homes(x, y) {
		s := ShareOf(it, x, y, n, false)
		if k := it.Head.Kind; k == cases.Feedback || k == cases.Revoke {
			own := x
			if it.Head.Side == cases.SideReceiver {
				own = y
			}
			home, ok := b.dir().Home(own)
			s.Homeward = s.Homeward || ok && home == n
		}
		out = append(out, s)
	}
	return out
}

// ShareOf returns the share row of an item of a case between x and y.
func ShareOf(it *cases.Item, x, y area.Key, peer cases.NodeID, settled bool) store.Share {
	s := store.Share{Peer: peer, Item: it.ID, Kind: it.Head.Kind, MinVersion: it.Head.MinVersion, RecordedAt: storable(it.Head.RecordedAt), Settled: settled,
		Homeward: it.Head.Author == peer}
	if it.Head.Kind != cases.Receipt {
		s.Pair = cases.Pair(x, y)
	}
	return s
}

// Due returns the end of the last day for an answer to a round that was
// delivered at an instant; zero where it was not delivered, or the calendar is
// unknown here.
func Due(l cases.Limit, delivered time.Time) time.Time {
	if delivered.IsZero() {
		return time.Time{}
	}
	due, err := policy.Limit{Days: uint16(min(l.Days, policy.MaxDays)), Working: l.Working}.Due(delivered, policy.CalendarNo(l.Calendar))
	if err != nil {
		return time.Time{}
	}
	return due
}

// Project writes what the offices served here see of the cases. It widens the
// transaction to those offices and sets it back to offices.
func (b *Book) Project(ctx context.Context, tx *store.Tx, cs []*Case, offices []area.Key) error {
	var sides, rounds []store.Side
	var moved []*Case
	all := slices.Clone(offices)
	want := func(k area.Key) {
		if !slices.Contains(all, k) {
			all = append(all, k)
		}
	}
	for _, c := range cs {
		if !c.State.Exists() {
			continue
		}
		for _, s := range b.sides(c) {
			sides = append(sides, s)
			rounds = append(rounds, pastRounds(c, s)...)
			want(s.Office)
			if s.Side == cases.SideReceiver && s.Assigned != 0 {
				moved = append(moved, c)
				want(OfficeOf(c.Y))
			}
		}
	}
	if len(sides) == 0 {
		return nil
	}
	// One order of rows for all writers: deadlocks cannot form.
	slices.SortFunc(sides, func(a, b store.Side) int {
		if n := bytes.Compare(a.Case[:], b.Case[:]); n != 0 {
			return n
		}
		return int(a.Office - b.Office)
	})
	if len(all) > len(offices) {
		if err := tx.SetOffices(ctx, all); err != nil {
			return err
		}
	}
	if err := tx.PutSides(ctx, sides); err != nil {
		return err
	}
	if err := tx.PutRounds(ctx, rounds); err != nil {
		return err
	}
	for _, c := range moved {
		if err := tx.DropOtherReceivers(ctx, c.ID, c.ReceiverOffice()); err != nil {
			return err
		}
	}
	if len(all) > len(offices) {
		return tx.SetOffices(ctx, offices)
	}
	return nil
}

// sides projects a case for each office served here.
func (b *Book) sides(c *Case) []store.Side {
	d := b.dir()
	var out []store.Side
	if n, ok := d.Home(c.X); ok && n == b.Self || d.WasEverHome(b.Self, c.X) {
		s := c.Project(cases.SideOpener, OfficeOf(c.X))
		s.Person, s.ReqHash = c.Person, c.ReqHash
		out = append(out, s)
	}
	if n, ok := d.Home(c.Y); ok && n == b.Self || d.WasEverHome(b.Self, c.Y) {
		// An office sees a case once: where it is both, as the opener.
		if o := c.ReceiverOffice(); len(out) == 0 || out[0].Office != o {
			out = append(out, c.Project(cases.SideReceiver, o))
		}
	}
	return out
}

// Project returns what one office sees of the case.
func (c *Case) Project(side cases.Side, office area.Key) store.Side {
	s := &c.State
	p := store.Side{
		Case: c.ID, Office: office, Side: side, Kind: s.Kind, X: s.X, Y: s.Y, Status: s.Status, Waiting: waiting(s),
		OpenedAt: s.OpenedAt, Assigned: s.Assigned, AssignedAt: s.AssignedAt, Version: s.Version,
		Parent: s.Parent, Hops: s.Hops,
	}
	fill(&p, &s.Current, s.Limit)
	for _, f := range []struct {
		on  bool
		bit int16
	}{{s.Disputed, store.FlagDisputed}, {s.OnOlderFields, store.FlagOlderFields}, {s.WithdrawalCrossed, store.FlagCrossed},
		{s.ByParent, store.FlagByParent}, {s.Urgent, store.FlagUrgent}} {
		if f.on {
			p.Flags |= f.bit
		}
	}
	p.Flags |= store.NewsFlags(c.news(side))
	return p
}

// news counts what came to a side after the answer that answered_at tells of:
// FEEDBACKs of the residence, and answers that changed an earlier one of their
// round. What was revoked counts as well, so that the count never falls.
func (c *Case) news(side cases.Side) int {
	n := 0
	for i := range c.Items {
		switch h := &c.Items[i].Head; {
		case c.Items[i].Rejected:
		case h.Kind == cases.Feedback && side != h.Side && h.Side == c.State.Kind.ResidenceSide():
			n++
		case h.Kind == cases.Answer && side == cases.SideOpener && slices.ContainsFunc(c.Items[:i], func(o fold.Item) bool {
			return o.Head.Kind == cases.Answer && o.Head.Round == h.Round && !o.Rejected
		}):
			n++
		}
	}
	return n
}

func fill(p *store.Side, r *fold.Round, l cases.Limit) {
	p.Round, p.RoundAt, p.DeliveredAt, p.DueAt = r.N, r.OpenedAt, r.Delivered, putOff(Due(l, r.Delivered), r.Extended)
	p.Extended = r.Extended
	p.AnsweredAt, p.AnswerHeld, p.WithdrawnAt, p.ClosedAt = r.AnsweredAt, r.AnswerHeld, r.WithdrawnAt, r.ClosedAt
	p.Reroute, p.ReroutedAt = r.Reroute, r.ReroutedAt
	if r.Reroute == 0 {
		p.ReroutedAt = time.Time{}
	}
	s, day := rates.Stand(FactOf(p))
	p.Standing, p.StandingDay = uint8(s), day
}

// FactOf is a side as rates count it.
func FactOf(s *store.Side) rates.Fact {
	return rates.Fact{
		Kind: s.Kind, RoundAt: s.RoundAt, Delivered: s.DeliveredAt, Due: s.DueAt, AnsweredAt: s.AnsweredAt, WithdrawnAt: s.WithdrawnAt,
		ClosedAt: s.ClosedAt, Reroute: s.Reroute, ReroutedAt: s.ReroutedAt, Waiting: rates.Waiting(s.Waiting),
	}
}

// putOff is a due instant after so many days more.
func putOff(due time.Time, days uint32) time.Time {
	if due.IsZero() || days == 0 {
		return due
	}
	return policy.DueDay(due).AddDays(int(days)).EndInstant()
}

func pastRounds(c *Case, s store.Side) []store.Side {
	var out []store.Side
	for i := range c.State.Past {
		p := s
		p.Waiting = waitNobody
		fill(&p, &c.State.Past[i], c.State.Limit)
		out = append(out, p)
	}
	return out
}

// Sides on which a case waits, as numbers of the API.
const (
	waitNobody    = 0
	waitTransport = 2
	waitCounty    = 3
	waitResidence = 4
)

func waiting(s *fold.State) uint8 {
	switch {
	case s.Status != cases.StatusOpen:
		return waitNobody
	case s.Current.Delivered.IsZero():
		return waitTransport
	case s.Y.Level() < area.Township && s.Assigned == 0:
		return waitCounty
	}
	return waitResidence
}

// Etag is the version of a case as an office saw it: the items that it folds,
// and the office's own notes on it.
func Etag(version uint64, rev int32) string { return fmt.Sprintf("%016x-%d", version, rev) }

// CheckHead reports whether an item that came from a peer can be used at all
// (rule 16): its kind known, its side's verb, its author once home of its
// side's area, its values in range. Crossing verbs pass.
func CheckHead(d *directory.Directory, h *cases.Head) cases.Reject {
	switch {
	case !h.Kind.Known() || h.Kind == cases.Receipt || h.MinVersion > wire.Version:
		return cases.UnknownKind
	case h.Case == cases.CaseID{} || h.Round == 0 || h.Round > fold.MaxRound || !plausible(h.RecordedAt) || h.T <= 0 || h.T > 1<<53:
		return cases.Unreadable
	case !sound(h.X) || !sound(h.Y) || h.Area != 0 && !sound(h.Area):
		return cases.Unreadable
	case h.Kind == cases.Open && (!h.CaseKind.Known() || h.Limit.Days > policy.MaxDays || h.Hops > fold.MaxHops+100):
		return cases.UnknownKind
	case h.Kind == cases.Extend && (h.Limit.Days == 0 || h.Limit.Days > fold.MaxExtension || h.Target == cases.ItemID{}):
		return cases.Unreadable
	case !fold.ItsVerb(h.Kind, h.Side):
		return cases.NotItsVerb
	}
	own := h.X
	if h.Side == cases.SideReceiver {
		own = h.Y
	}
	if !d.WasEverHome(h.Author, own) {
		return cases.NotHome
	}
	return cases.Accepted
}

func sound(k area.Key) bool {
	_, err := area.Of(k.Level(), k.Code())
	return err == nil && len(k.Code()) == 12
}

// plausible keeps times out that no clock of this century shows, and that the
// database could not store.
func plausible(t time.Time) bool {
	return t.After(civil.MustParse("2000-01-01").StartInstant()) && t.Before(civil.MustParse("2200-01-01").StartInstant())
}

// storable is t, or the epoch where the database could not store it; such an
// item is rejected.
func storable(t time.Time) time.Time {
	if plausible(t) {
		return t
	}
	return time.Unix(0, 0)
}

// NotHeld is the error for a case that is not there or not the caller's to see.
func NotHeld(id cases.CaseID) error {
	return fault.NotFound("CASE_NOT_FOUND", "case %s is not held, or not by an office of the caller", id).
		Zh("没有找到该案件，或您无权查看").On("case_id")
}
