package figures

import (
	"cmp"
	"context"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// Found is a sign of hollow work of one office. It names no case and no person.
type Found struct {
	Office area.Key
	rates.Signal
}

// Signals looks for signs of hollow work in a month, of the caller's offices or
// of those below a county operator's county: in the answers to rounds due in the
// month, and in the offers recorded in it. The work is bounded by those.
func (f *Figures) Signals(ctx context.Context, p access.Principal, k area.Key, period policy.Period) ([]Found, error) {
	if err := f.allow(ctx, p, k); err != nil {
		return nil, err
	}
	if policy.SpanMonth.Holding(period.From) != period {
		return nil, fault.Invalid("PERIOD_MONTH", "signals are of one month").Zh("请填写一个月份，例如 2026-11").On("period")
	}
	var out []Found
	for _, o := range f.officesOf(p, k) {
		replies, err := f.replies(ctx, o, period)
		if err != nil {
			return nil, err
		}
		offers, err := f.offered(ctx, o, period)
		if err != nil {
			return nil, err
		}
		// What was opened to be counted, and shown to nobody (SECURITY D13).
		if n := len(replies) + len(offers); n > 0 {
			if err := f.DB.InExchange(ctx, []area.Key{o}, func(tx *store.Tx) error {
				return tx.LogAccess(ctx, store.Access{Principal: p, Office: o, Verb: access.RatesRead, Purpose: "signals", Count: n})
			}); err != nil {
				return nil, err
			}
		}
		for _, s := range rates.Hollow(replies, offers) {
			out = append(out, Found{Office: o, Signal: s})
		}
	}
	slices.SortFunc(out, func(a, b Found) int { return cmp.Or(cmp.Compare(a.Office, b.Office), cmp.Compare(a.Sign, b.Sign)) })
	return out, nil
}

// readAtOnce bounds one transaction of reading answers or offers.
const readAtOnce = 500

// replies returns what an office answered to the rounds due in a period. Of an
// answer's body only its note, and of an outflow notice whether it says
// NOT_FOUND, is kept.
func (f *Figures) replies(ctx context.Context, office area.Key, period policy.Period) ([]rates.Reply, error) {
	var rounds []Round
	err := f.RoundsOf(ctx, []area.Key{office}, cases.SideReceiver, period, func(r Round) error {
		if !r.AnsweredAt.IsZero() {
			rounds = append(rounds, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]rates.Reply, len(rounds))
	for from := 0; from < len(rounds); from += readAtOnce {
		to := min(from+readAtOnce, len(rounds))
		err := f.DB.InExchange(ctx, []area.Key{office}, func(tx *store.Tx) error {
			return f.readAnswers(ctx, tx, rounds[from:to], out[from:to])
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (f *Figures) readAnswers(ctx context.Context, tx *store.Tx, rounds []Round, out []rates.Reply) error {
	ids := make([]cases.CaseID, len(rounds))
	for i := range rounds {
		ids[i] = rounds[i].Case
	}
	slices.SortFunc(ids, func(a, b cases.CaseID) int { return slices.Compare(a[:], b[:]) })
	cs, err := f.Book.Read(ctx, tx, slices.Compact(ids))
	if err != nil {
		return err
	}
	answers, wanted := make([]cases.ItemID, len(rounds)), make([]cases.ItemID, 0, len(rounds))
	for i := range rounds {
		if c := cs[rounds[i].Case]; c != nil {
			if answers[i] = lastAnswer(c, rounds[i].Round); answers[i] != (cases.ItemID{}) {
				wanted = append(wanted, answers[i])
			}
		}
	}
	bodies, err := f.Book.BodiesOf(ctx, tx, cs, wanted)
	if err != nil {
		return err
	}
	for i := range rounds {
		r := &rounds[i]
		out[i] = rates.Reply{Readable: r.Delivered, Answered: r.AnsweredAt, Due: r.Due, Outflow: r.Kind == cases.Outflow}
		if r.Assigned.After(r.Delivered) && !r.Assigned.After(r.AnsweredAt) {
			out[i].Readable = r.Assigned
		}
		if a := bodies[answers[i]].Answer; a != nil {
			out[i].Note = rates.NoteOf(a.Reason)
			out[i].NotFound = out[i].Outflow && a.Outcome == cases.NotFound
		}
	}
	return nil
}

// lastAnswer is the answer that stands in a round; zero: none does.
func lastAnswer(c *book.Case, round uint32) (id cases.ItemID) {
	var at int64
	for i := range c.Items {
		it := &c.Items[i]
		if it.Head.Kind != cases.Answer || it.Head.Round != round || it.Rejected {
			continue
		}
		if t := it.Head.RecordedAt.UnixMilli(); id == (cases.ItemID{}) || t > at || t == at && slices.Compare(it.ID[:], id[:]) > 0 {
			id, at = it.ID, t
		}
	}
	return id
}

// offered returns the offers that an office recorded on days of a period: of the
// three checks, of the rounds that touch it; of other services, of its month and
// of the one before. What was said to them is not kept.
func (f *Figures) offered(ctx context.Context, office area.Key, period policy.Period) ([]rates.Offered, error) {
	var out []rates.Offered
	read := func(kind ledger.Service, number uint32) error {
		var after cases.PersonID
		for {
			var page []rates.Offered
			var ids []cases.PersonID
			err := f.DB.InExchange(ctx, []area.Key{office}, func(tx *store.Tx) error {
				page, ids = nil, nil
				rows, err := tx.ServicesOfPeriod(ctx, office, kind, number, after, readAtOnce)
				if err != nil || len(rows) == 0 {
					return err
				}
				ids = make([]cases.PersonID, len(rows))
				for i := range rows {
					ids[i] = rows[i].Person
				}
				keys, err := f.Book.PersonKeys(ctx, tx, ids)
				if err != nil {
					return err
				}
				for i := range rows {
					if keys[rows[i].Person] == nil {
						continue // erased
					}
					r, err := book.OpenService(keys[rows[i].Person], &rows[i])
					if err != nil {
						return err
					}
					if r.Result != "" && !r.At.IsZero() && period.Holds(civil.In(r.At)) {
						page = append(page, rates.Offered{Recorded: r.At, Day: r.Date, Channel: r.Channel})
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			if out = append(out, page...); len(ids) < readAtOnce {
				return nil
			}
			after = ids[len(ids)-1]
		}
	}
	for _, n := range f.offerRounds(period) {
		if err := read(ledger.ThreeChecks, uint32(n)); err != nil {
			return nil, err
		}
	}
	for kind := ledger.ThreeChecks + 1; kind.Known(); kind++ {
		for _, m := range []policy.Period{period.Previous(), period} {
			if err := read(kind, uint32(monthNumber(m))); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// offerRounds are the rounds of the three checks that touch a period.
func (f *Figures) offerRounds(period policy.Period) []policy.RoundNumber {
	var out []policy.RoundNumber
	add := func(r policy.Round, ok bool) {
		if ok && !slices.Contains(out, r.Number) {
			out = append(out, r.Number)
		}
	}
	add(f.Policies.RoundAt(period.From.StartInstant()))
	for _, r := range f.Policies.RoundsEnded(period.From.StartInstant(), period.To.StartInstant()) {
		add(r, true)
	}
	add(f.Policies.RoundAt(period.To.StartInstant().Add(-1)))
	return out
}
