package figures

import (
	"cmp"
	"context"
	"slices"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// OverdueCase is one round that is overdue, as its office sees it. It names
// nobody.
type OverdueCase struct {
	Case     cases.CaseID
	Round    uint32
	Kind     cases.Kind
	Side     cases.Side // of the office
	Waits    rates.Waiting
	Due      civil.Date // last day for an answer
	Days     int        // since then
	Extended int        // by which an outage put off the due
}

// The groups of an overdue list, in order.
var (
	overdueKinds     = []cases.Kind{cases.Outflow, cases.Inflow, cases.Assist, cases.Certificate, cases.BirthService}
	overdueSides     = []rates.Waiting{rates.WaitOrigin, rates.WaitCounty, rates.WaitResidence}
	overdueSideNames = map[cases.Side]string{cases.SideReceiver: "receiver", cases.SideOpener: "opener"}
	overdueKindZh    = map[cases.Kind]string{
		cases.Outflow: "流出通报", cases.Inflow: "流入通报", cases.Assist: "协查", cases.Certificate: "婚育证明核对", cases.BirthService: "生育服务通报",
	}
)

// KindZh is the kind in Chinese.
func (c *OverdueCase) KindZh() string { return overdueKindZh[c.Kind] }

// WaitsZh is for whom and where, in Chinese.
func (c *OverdueCase) WaitsZh() string {
	if c.Side == cases.SideOpener {
		return "等待对方·在" + c.Waits.Zh()
	}
	return "本单位·在" + c.Waits.Zh()
}

// overdue counts, by office, side, kind and where it waits, what fell due in the
// period and had no answer at the instant; each count is followed by the age of
// the oldest in days (Code + ".days"). Groups without any are left out. The sum
// over the area comes first, then, of an area above a township, each office. An
// office's side is part of the code: "receiver" is its own work, "opener" waits
// at the other end.
func (f *Figures) overdue(ctx context.Context, k area.Key, offices []area.Key, period policy.Period, at time.Time) ([]Figure, error) {
	type group struct {
		office area.Key
		side   cases.Side
		kind   cases.Kind
		waits  rates.Waiting
	}
	var n, oldest map[group]int64
	err := f.DB.InCounts(ctx, offices, func(tx *store.Tx) error {
		n, oldest = map[group]int64{}, map[group]int64{}
		return f.eachOverdue(ctx, tx, offices, period, at, func(o area.Key, c OverdueCase) {
			keys := []group{{0, c.Side, c.Kind, c.Waits}, {o, c.Side, c.Kind, c.Waits}}
			if len(offices) == 1 && o == k {
				keys = keys[:1]
			}
			for _, g := range keys {
				n[g]++
				oldest[g] = max(oldest[g], int64(c.Days))
			}
		})
	})
	if err != nil {
		return nil, err
	}
	var out []Figure
	for _, o := range append([]area.Key{0}, offices...) {
		for _, side := range []cases.Side{cases.SideReceiver, cases.SideOpener} {
			for _, kind := range overdueKinds {
				for _, w := range overdueSides {
					g := group{o, side, kind, w}
					if n[g] == 0 {
						continue
					}
					fig := Figure{Code: "overdue." + overdueSideNames[side] + "." + kind.String() + "." + w.String(), Label: overdueLabel(side, kind, w), Area: o, N: n[g]}
					switch o {
					case 0:
						fig.Area = k
					case k:
						fig.Code = Own + fig.Code
					}
					days := fig
					days.Code, days.Label, days.N = fig.Code+".days", "最长逾期天数", oldest[g]
					out = append(out, fig, days)
				}
			}
		}
	}
	return out, nil
}

func overdueLabel(side cases.Side, kind cases.Kind, w rates.Waiting) string {
	who := "应由本单位答复"
	if side == cases.SideOpener {
		who = "等待对方答复"
	}
	return who + "·" + overdueKindZh[kind] + "·在" + w.Zh()
}

// eachOverdue calls each for the rounds that fell due in the period and were
// overdue at the instant.
func (f *Figures) eachOverdue(ctx context.Context, tx *store.Tx, offices []area.Key, period policy.Period, at time.Time, each func(area.Key, OverdueCase)) error {
	to := period.To.StartInstant()
	if at.Before(to) {
		to = at
	}
	from := period.From.StartInstant()
	if !from.Before(to) {
		return nil
	}
	today := civil.In(at)
	return tx.OpenRounds(ctx, offices, from, to, at, func(r store.OpenRound) error {
		c := rates.Classify(factOf(&r.RoundFact), at, period)
		if c.Overdue == rates.WaitNobody {
			return nil
		}
		due := policy.DueDay(r.DueAt)
		each(r.Office, OverdueCase{
			Case: r.Case, Round: r.Round, Kind: r.Kind, Side: r.Side, Waits: c.Overdue, Due: due, Days: today.Sub(due), Extended: r.Extended,
		})
		return nil
	})
}

// maxOverdueCases is how many rounds a printed list holds.
const maxOverdueCases = 2000

// OverdueCases lists the rounds of one office of the caller's that fell due in
// the period and had no answer at an instant (zero: now), the oldest first, at
// most 2,000. To whoever does not work at the office it is Denied; cases about
// restricted persons are there for their keepers only.
func (f *Figures) OverdueCases(ctx context.Context, p access.Principal, office area.Key, period policy.Period, at time.Time) ([]OverdueCase, error) {
	if at.IsZero() {
		at = f.Now()
	}
	office, err := f.Office(ctx, p, access.CaseRead, office, "area")
	if err != nil {
		return nil, err
	}
	var out []OverdueCase
	err = f.In(ctx, p, func(tx *store.Tx) error {
		out = nil
		return f.eachOverdue(ctx, tx, []area.Key{office}, period, at, func(_ area.Key, c OverdueCase) { out = append(out, c) })
	})
	slices.SortFunc(out, func(a, b OverdueCase) int {
		return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Side, b.Side), slices.Compare(a.Case[:], b.Case[:]), cmp.Compare(a.Round, b.Round))
	})
	return out[:min(len(out), maxOverdueCases)], err
}
