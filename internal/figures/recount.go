package figures

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fold"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// What of a difference.
const (
	DiffersFold     = "fold"     // a case's projection is not what its items fold to
	DiffersStanding = "standing" // a kept standing is not that of its projection
	DiffersSum      = "sum"      // a sum is not the count of its rows
)

// MostDifferences is how many differences a recount lists; it counts all.
const MostDifferences = 1000

// Difference is where the recount and what is kept do not agree.
type Difference struct {
	What          string
	Office        area.Key
	Case          cases.CaseID // zero of sums, and for those who may not see it
	Key           string       // round, or which sum; no person
	Kept, Counted int64        // of sums; of standings those
}

// Recounted is what a recount found.
type Recounted struct {
	Cases       int64 // folded again
	Rounds      int64 // classified again
	Sums        int64 // compared
	Differences []Difference
	Total       int64 // of differences
}

func (r *Recounted) add(d Difference) {
	if r.Total++; len(r.Differences) < MostDifferences {
		r.Differences = append(r.Differences, d)
	}
}

// RecountFor is Recount for a caller: clerks and distributors of their offices,
// with case ids; county operators of those below, and administrators of all,
// with counts alone.
func (f *Figures) RecountFor(ctx context.Context, p access.Principal, k area.Key) (Recounted, error) {
	verb, offices := access.RatesRead, f.officesOf(p, k)
	if p.Role == access.Admin {
		verb, offices = access.NodeRead, nil
		for _, o := range f.Desk.Offices() {
			if k == 0 || o.Within(k) {
				offices = append(offices, o)
			}
		}
	}
	at := k
	if p.Role == access.Admin {
		at = 0 // an administrator works for no office
	}
	if err := f.Allow(ctx, p, verb, at); err != nil {
		return Recounted{}, err
	}
	r, err := f.Recount(ctx, offices)
	for i := range r.Differences {
		if d := &r.Differences[i]; p.Role == access.Admin || !owns(p, d.Office) {
			d.Case = cases.CaseID{}
		}
	}
	return r, err
}

// Recount folds all cases of offices from their items, classifies all rounds
// and counts all rows again, and compares each with what is kept. It may run
// beside the node's work: what seems to differ is looked at again with its case
// locked. Items of a case without a visible OPEN fold to nothing, and its sides,
// if an earlier fold left any, stay as they were; they are compared by standing.
func (f *Figures) Recount(ctx context.Context, offices []area.Key) (Recounted, error) {
	var r Recounted
	if len(offices) == 0 {
		return r, nil
	}
	if err := f.refold(ctx, offices, &r); err != nil {
		return r, err
	}
	if err := f.restand(ctx, offices, &r); err != nil {
		return r, err
	}
	err := f.DB.InExchange(ctx, offices, func(tx *store.Tx) error {
		compared, ds, err := tx.RecountSums(ctx, offices, MostDifferences)
		if err != nil {
			return err
		}
		r.Sums = compared
		for i := range ds {
			d := &ds[i]
			key := fmt.Sprintf("%s book=%d side=%d kind=%d standing=%d", d.Sums, d.Book, d.Side, d.Kind, d.Standing)
			if d.Month != 0 {
				key += fmt.Sprintf(" month=%d", d.Month)
			}
			if d.Day != 0 {
				key += " day=" + civil.FromDays(d.Day).String()
			}
			if d.Peer != 0 {
				key += " counterpart=" + d.Peer.Short()
			}
			r.add(Difference{What: DiffersSum, Office: d.Office, Key: key, Kept: d.Kept, Counted: d.Counted})
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	return r, f.recountBooks(ctx, offices, &r)
}

// foldedAtOnce and stoodAgain bound one transaction.
const (
	foldedAtOnce = 200
	stoodAgain   = 5000
)

// refold compares the projections with the folds, case by case.
func (f *Figures) refold(ctx context.Context, offices []area.Key, r *Recounted) error {
	var after cases.CaseID
	for {
		var ids, doubt []cases.CaseID
		var n int64
		err := f.DB.InExchange(ctx, offices, func(tx *store.Tx) (err error) {
			doubt = nil
			if ids, err = tx.LegsAfter(ctx, after, foldedAtOnce); err != nil || len(ids) == 0 {
				return err
			}
			cs, err := f.Book.Read(ctx, tx, ids)
			if err != nil {
				return err
			}
			n = int64(len(cs))
			ds, err := f.differs(ctx, tx, cs, offices)
			for _, d := range ds {
				if !slices.Contains(doubt, d.Case) {
					doubt = append(doubt, d.Case)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		r.Cases += n
		if len(doubt) > 0 {
			var ds []Difference
			err := f.DB.InExchange(ctx, offices, func(tx *store.Tx) error {
				cs, err := f.Book.Load(ctx, tx, doubt)
				if err != nil {
					return err
				}
				ds, err = f.differs(ctx, tx, cs, offices)
				return err
			})
			if err != nil {
				return err
			}
			for _, d := range ds {
				r.add(d)
			}
		}
		if len(ids) < foldedAtOnce {
			return nil
		}
		after = ids[len(ids)-1]
	}
}

type roundKey struct {
	id     cases.CaseID
	office area.Key
	round  uint32
}

// differs compares cases with what the offices' rows say of them.
func (f *Figures) differs(ctx context.Context, tx *store.Tx, cs map[cases.CaseID]*book.Case, offices []area.Key) ([]Difference, error) {
	ids := make([]cases.CaseID, 0, len(cs))
	for id := range cs {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b cases.CaseID) int { return bytes.Compare(a[:], b[:]) })
	current, past, err := tx.Standings(ctx, ids)
	if err != nil {
		return nil, err
	}
	kept := make(map[roundKey]*store.Side, len(current)+len(past))
	var out []Difference
	for i := range past {
		kept[roundKey{past[i].Case, past[i].Office, past[i].Round}] = &past[i]
	}
	sides := map[roundKey]*store.Side{}
	for i := range current {
		sides[roundKey{id: current[i].Case, office: current[i].Office}] = &current[i]
	}
	for _, id := range ids {
		c := cs[id]
		if !c.State.Exists() {
			for i := range current { // nothing folds: see Recount
				delete(sides, roundKey{id: id, office: current[i].Office})
			}
			for i := range past {
				delete(kept, roundKey{id, past[i].Office, past[i].Round})
			}
			continue
		}
		for _, o := range f.officesIn(c) {
			if !slices.Contains(offices, o) {
				continue
			}
			side := c.Side(o)
			want := c.Project(side, o)
			k := roundKey{id: id, office: o}
			if got := sides[k]; got == nil {
				out = append(out, differing(&want, nil, missing))
			} else if what := currentDiffers(got, &want); what != "" {
				out = append(out, differing(&want, got, what))
			}
			delete(sides, k)
			for i := range c.State.Past {
				want := pastRound(c, side, o, &c.State.Past[i])
				k := roundKey{id, o, want.Round}
				if got := kept[k]; got == nil {
					out = append(out, differing(&want, nil, missing))
				} else if what := roundDiffers(got, &want); what != "" {
					out = append(out, differing(&want, got, what))
				}
				delete(kept, k)
			}
		}
	}
	// What is left belongs to nobody, or to a round that there is not; earlier
	// rounds of an office from which a case was taken stay its own.
	for _, s := range sides {
		out = append(out, differing(nil, s, extra))
	}
	for k, s := range kept {
		if c := cs[k.id]; c.Side(k.office) != cases.SideNone {
			out = append(out, differing(nil, s, extra))
		}
	}
	return out, nil
}

// officesIn returns the offices of this node that should have a side of a case:
// the opener's first, for an office that is both has only that.
func (f *Figures) officesIn(c *book.Case) []area.Key {
	d := f.Book.Directory()
	here := func(k area.Key) bool {
		n, ok := d.Home(k)
		return ok && n == f.Book.Self || d.WasEverHome(f.Book.Self, k)
	}
	var out []area.Key
	if here(c.X) {
		out = append(out, book.OfficeOf(c.X))
	}
	if o := c.ReceiverOffice(); here(c.Y) && !slices.Contains(out, o) {
		out = append(out, o)
	}
	return out
}

// pastRound is what an office keeps of an earlier round.
func pastRound(c *book.Case, side cases.Side, office area.Key, r *fold.Round) store.Side {
	earlier := *c
	earlier.State.Current, earlier.State.Status = *r, cases.StatusClosed // nobody waits for it
	return earlier.Project(side, office)
}

// roundDiffers names the first thing in which two rows do not count the same, ""
// if there is none.
func roundDiffers(a, b *store.Side) string {
	for _, t := range []struct {
		name string
		a, b time.Time
	}{{"round_at", a.RoundAt, b.RoundAt}, {"delivered_at", a.DeliveredAt, b.DeliveredAt}, {"due_at", a.DueAt, b.DueAt},
		{"answered_at", a.AnsweredAt, b.AnsweredAt}, {"answer_held", a.AnswerHeld, b.AnswerHeld}, {"withdrawn_at", a.WithdrawnAt, b.WithdrawnAt},
		{"closed_at", a.ClosedAt, b.ClosedAt}, {"rerouted_at", a.ReroutedAt, b.ReroutedAt}} {
		if t.a.UnixMicro() != t.b.UnixMicro() { // as precise as the database is
			return t.name
		}
	}
	for _, v := range []struct {
		name string
		same bool
	}{{"side", a.Side == b.Side}, {"kind", a.Kind == b.Kind}, {"x", a.X == b.X}, {"y", a.Y == b.Y}, {"round", a.Round == b.Round},
		{"reroute", a.Reroute == b.Reroute}, {"standing", a.Standing == b.Standing}, {"standing_day", a.StandingDay == b.StandingDay},
		{"extended", a.Extended == b.Extended}} {
		if !v.same {
			return v.name
		}
	}
	return ""
}

// currentDiffers is roundDiffers of a current round, which also has a status.
func currentDiffers(a, b *store.Side) string {
	if what := roundDiffers(a, b); what != "" {
		return what
	}
	switch {
	case a.Status != b.Status:
		return "status"
	case a.Waiting != b.Waiting:
		return "waiting"
	}
	return ""
}

// differing is a difference between two rows; either may be nil.
func differing(want, got *store.Side, what string) Difference {
	d := Difference{What: DiffersFold}
	if got != nil {
		d.Office, d.Case, d.Kept, d.Key = got.Office, got.Case, int64(got.Standing), fmt.Sprintf("round=%d", got.Round)
	}
	if want != nil {
		d.Office, d.Case, d.Counted, d.Key = want.Office, want.Case, int64(want.Standing), fmt.Sprintf("round=%d", want.Round)
	}
	d.Key += " " + what
	return d
}

// missing and extra are what differs of a row that only one of the two has.
const (
	missing = "missing"
	extra   = "extra"
)

// restand compares kept standings with those of the kept rows.
func (f *Figures) restand(ctx context.Context, offices []area.Key, r *Recounted) error {
	check := func(rows []store.Side) {
		for i := range rows {
			s := &rows[i]
			want, day := rates.Stand(book.FactOf(s))
			if uint8(want) != s.Standing || day != s.StandingDay {
				r.add(Difference{What: DiffersStanding, Office: s.Office, Case: s.Case, Key: fmt.Sprintf("round=%d", s.Round), Kept: int64(s.Standing), Counted: int64(want)})
			}
		}
		r.Rounds += int64(len(rows))
	}
	for _, next := range []func(*store.Tx, *store.Side) ([]store.Side, error){
		func(tx *store.Tx, s *store.Side) ([]store.Side, error) {
			return tx.SidesAfter(ctx, s.Case, s.Office, stoodAgain)
		},
		func(tx *store.Tx, s *store.Side) ([]store.Side, error) {
			return tx.RoundsAfter(ctx, s.Case, s.Office, s.Round, stoodAgain)
		},
	} {
		last := store.Side{}
		for {
			var rows []store.Side
			err := f.DB.InExchange(ctx, offices, func(tx *store.Tx) (err error) {
				rows, err = next(tx, &last)
				return err
			})
			if err != nil {
				return err
			}
			check(rows)
			if len(rows) < stoodAgain {
				break
			}
			last = rows[len(rows)-1]
		}
	}
	slices.SortStableFunc(r.Differences, func(a, b Difference) int { return cmp.Compare(a.Office, b.Office) })
	return nil
}
