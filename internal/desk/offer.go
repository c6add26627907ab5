package desk

import (
	"context"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/policy"
	"yipan/internal/store"
)

func (d *Desk) checkOffer(r OfferRequest) error {
	round, err := d.Policies.Round(policy.RoundNumber(r.OfferRound))
	if err != nil {
		return fault.Invalid("OFFER_ROUND", "the policy knows no offer round %d", r.OfferRound).Zh("没有这个三查轮次").On("offer_round")
	}
	now := d.Now()
	switch {
	case !round.Open(now):
		return fault.Conflict("ROUND_OVER", "offer round %d is not open now", r.OfferRound).Zh("该轮次不在办理期内").On("offer_round")
	case !slices.Contains(ledger.OfferResults(), r.Result):
		return fault.Invalid("OFFER_RESULT", "unknown result of an offer").Zh("服务结果代码不正确").On("result")
	case r.Date.IsZero():
		return fault.Invalid("REQUIRED", "date is missing").Zh("请填写服务日期").On("date")
	case r.Date.After(civil.In(now)):
		return fault.Invalid("FUTURE_DATE", "date lies in the future").Zh("服务日期不能晚于今天").On("date")
	case !slices.Contains(ledger.Channels(), r.Channel):
		return fault.Invalid("CHANNEL_CODE", "unknown channel").Zh("联系方式代码不正确").On("channel")
	case r.Result != ledger.OfferDone && (len(r.Findings) > 0 || !r.Consent.IsZero()):
		return fault.Invalid("FINDINGS_UNEXPECTED", "findings or consent without a service done").Zh("只有已服务的才填写结果和同意书").On("findings")
	}
	return nil
}

// sweep is how many cases one transaction of a sweep reads.
const sweep = 500

// EndRound ends an offer round at this node: each case whose residence was
// disclosed gets the draft of a FEEDBACK, whatever was offered (model rule
// M11). Doing it again adds nothing.
func (d *Desk) EndRound(ctx context.Context, r policy.Round) (n int64, err error) {
	var after cases.CaseID
	var due time.Time
	for more := true; more; {
		err := d.DB.InExchange(ctx, d.Offices(), func(tx *store.Tx) error {
			sides, err := tx.ListSides(ctx, store.SideFilter{
				Offices: d.Offices(), States: []cases.Status{cases.StatusAnswered, cases.StatusOpen, cases.StatusClosed},
				After: !after.IsZero(), AfterDue: due, AfterCase: after, Limit: sweep,
			})
			if err != nil {
				return err
			}
			if more = len(sides) == sweep; len(sides) == 0 {
				return nil
			}
			last := sides[len(sides)-1]
			after, due = last.Case, last.DueAt
			drafted, err := d.draft(ctx, tx, sides, r)
			n += drafted
			return err
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (d *Desk) draft(ctx context.Context, tx *store.Tx, sides []store.Side, r policy.Round) (int64, error) {
	var mine []store.Side
	var ids []cases.CaseID
	for _, s := range sides {
		if s.Side == s.Kind.ResidenceSide() && (s.Kind == cases.Outflow && s.Status != cases.StatusOpen || s.Kind == cases.Inflow) {
			mine, ids = append(mine, s), append(ids, s.Case)
		}
	}
	if len(mine) == 0 {
		return 0, nil
	}
	cs, err := d.Book.Read(ctx, tx, ids)
	if err != nil {
		return 0, err
	}
	answers := make([]cases.ItemID, 0, len(cs))
	for _, c := range cs {
		answers = append(answers, c.State.Answer)
	}
	bodies, err := d.Book.BodiesOf(ctx, tx, cs, answers)
	if err != nil {
		return 0, err
	}
	disclosed := mine[:0]
	for _, s := range mine {
		c := cs[s.Case]
		if c == nil || !c.State.Exists() {
			continue
		}
		a := bodies[c.State.Answer].Answer
		if s.Kind == cases.Inflow || a != nil && a.Outcome == cases.Residing {
			disclosed = append(disclosed, s)
		}
	}
	return tx.DraftOffers(ctx, disclosed, uint32(r.Number), r.Ends)
}

// Offices returns every office that this node works for: the townships and
// counties within the areas that the directory gives it.
func (d *Desk) Offices() []area.Key {
	dir := d.Book.Directory()
	var out []area.Key
	var walk func(area.Key)
	walk = func(k area.Key) {
		if h, ok := dir.Home(k); !ok || h != d.Book.Self {
			return
		}
		out = append(out, k)
		if k.Level() < area.Township {
			for _, c := range area.Children(k) {
				walk(c)
			}
		}
	}
	for _, k := range dir.ServedBy(d.Book.Self) {
		walk(book.OfficeOf(k))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// wrongReceiverKeeps is how long an office that a notice reached by mistake
// keeps the person's fields (DOMAIN section 3: 7 days).
const wrongReceiverKeeps = 7 * 24 * time.Hour

// EraseMisrouted forgets the person of rerouted cases at their wrong receivers.
func (d *Desk) EraseMisrouted(ctx context.Context) (n int, err error) {
	for more := true; more; {
		err := d.DB.InExchange(ctx, d.Offices(), func(tx *store.Tx) error {
			sides, err := tx.DueErasures(ctx, d.Now().Add(-wrongReceiverKeeps), sweep)
			if err != nil {
				return err
			}
			if more = len(sides) == sweep; len(sides) == 0 {
				return nil
			}
			ids := make([]cases.CaseID, len(sides))
			for i := range sides {
				ids[i] = sides[i].Case
			}
			cs, err := d.Book.Load(ctx, tx, ids)
			if err != nil {
				return err
			}
			for _, id := range ids {
				c := cs[id]
				if c == nil || d.Book.IsHome(c.X) {
					continue // both sides are here: the receiver's view is blanked, the opener keeps its own
				}
				all := make([]cases.ItemID, 0, len(c.Items))
				for i := range c.Items {
					all = append(all, c.Items[i].ID)
				}
				if err := d.Book.Erase(ctx, tx, c, all); err != nil {
					return err
				}
			}
			n += len(ids)
			return tx.MarkErased(ctx, ids, d.Now())
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
