package closing

import (
	"context"
	"errors"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// atOnce is how many reports are read in one turn.
const atOnce = 100

// ReportsIn reads the reports that came, and returns how many. One that is not
// what it should be is dropped with a line in the log, and stops nothing.
func (c *Closing) ReportsIn(ctx context.Context) (n int64, err error) {
	var in []store.ReportIn
	err = c.DB.InExchange(ctx, nil, func(tx *store.Tx) (err error) {
		in, err = tx.ReportsIn(ctx, atOnce)
		return err
	})
	if err != nil {
		return 0, err
	}
	var errs []error
	for i := range in {
		r := &in[i]
		// Who served the area once and lost it may not speak for it any more.
		home, served := c.Book.Directory().Home(r.X)
		switch {
		case !served || home != r.Author:
			err = badReport("author does not serve the area")
		case r.Form == cases.Snapshot:
			err = c.onUpward(ctx, r)
		case r.Form == cases.Comparison:
			err = c.onComparison(ctx, r)
		case r.Form == cases.Detail:
			err = c.onDetail(ctx, r)
		default:
			err = badReport("unknown form")
		}
		if fault.Is(err, fault.KindInvalid) {
			// Only where it came from and what is wrong in general: no content.
			c.Log.Warn("report dropped", "item", r.Item.String(), "author", r.Author.String(), "form", int(r.Form), "error", err)
			err = nil
		}
		if err != nil { // it is read again at the next turn, and keeps no other waiting
			errs = append(errs, err)
			continue
		}
		if err := c.DB.InExchange(ctx, nil, func(tx *store.Tx) error { return tx.MarkReportDone(ctx, r.Item, c.Now()) }); err != nil {
			return n, errors.Join(append(errs, err)...)
		}
		n++
	}
	return n, errors.Join(errs...)
}

const (
	// clocks of two nodes may differ by so much.
	clocks = time.Hour
	// pastMonths is how far back a month may be reported: a parent freezes all
	// months since the first that it hears of.
	pastMonths = 60
)

// plausible reports whether a report that came at an instant can be about a
// month, of which it says that it is over or not.
func plausible(p policy.Period, heldAt time.Time, over bool) bool {
	from := p.From.StartInstant()
	if over {
		from = instant(p)
	}
	return !heldAt.Add(clocks).Before(from) && heldAt.Before(instant(p).AddDate(0, pastMonths, 0))
}

// onUpward keeps what an area below reported. What comes from a county goes on
// to the area above as it came.
func (c *Closing) onUpward(ctx context.Context, r *store.ReportIn) error {
	up, err := rates.DecodeUpward(r.Content)
	if err != nil {
		return err
	}
	u, ok := c.unitOf(r.Y)
	switch {
	case !ok:
		return badReport("area of another node")
	case up.Period != r.Period:
		return badReport("period")
	case !up.Area.Within(r.X) || !r.X.Within(r.Y) || r.X == r.Y:
		return badReport("area of another author")
	case up.Area.Level() == area.Township && r.Y.Level() != area.County:
		return badReport("township reported above its county")
	}
	p, _ := isMonth(up.Period)
	if !plausible(p, r.HeldAt, up.Basis == rates.Frozen) {
		return badReport("month that is not over, or too long ago")
	}
	err = c.DB.InExchange(ctx, append(slices.Clone(u.all()), r.Y), func(tx *store.Tx) error {
		return tx.PutChildReport(ctx, store.ChildReport{
			Parent: r.Y, Month: monthNo(p), Child: up.Area, Basis: uint8(up.Basis), Revision: up.Revision,
			AsOf: time.UnixMilli(up.AsOf), HeldAt: r.HeldAt, Content: r.Content,
		})
	})
	above := area.Parent(u.top)
	if err != nil || above == 0 || up.Area.Level() == area.Township || u.top.Level() > area.Prefecture {
		return err
	}
	return c.Send(ctx, []Outgoing{{From: u.top, To: above, Form: cases.Snapshot, Period: up.Period, Content: r.Content}})
}
