package desk

import (
	"context"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/fold"
	"yipan/internal/store"
	"yipan/internal/usher"
)

const (
	longestOutage   = 30 * 24 * time.Hour
	declaredWithin  = 31 * 24 * time.Hour // of its end: later it would turn over months long frozen
	reasonLeast     = 4
	reasonMost      = 200
	longestDigits   = 7                   // a longer run may be somebody's number
	outagesShown    = 500                 // of a list
	outageFollowed  = 40 * 24 * time.Hour // after it was declared, for rounds that show later
	outagePageRound = 500                 // rounds of one transaction
)

// OutageRequest declares that the offices of an area could not work.
type OutageRequest struct {
	RequestID string
	Area      area.Key // a county, or a township
	From, To  time.Time
	Reason    string // 4 to 200 characters, no personal data; travels with each due that it puts off
}

// OutageView is an outage that a county signed for.
type OutageView struct {
	ID         cases.ItemID
	Office     area.Key // the county that signed
	Area       area.Key
	From, To   time.Time
	Reason     string
	Account    string
	DeclaredAt time.Time
	Rounds     int64  // whose due it put off
	Days       uint32 // at most, of one round
}

func outageView(o *store.Outage) OutageView {
	return OutageView{
		ID: o.ID, Office: o.Office, Area: o.Area, From: o.From, To: o.To, Reason: o.Reason, Account: o.Account, DeclaredAt: o.DeclaredAt,
		Rounds: o.Rounds, Days: datesTouched(o.From, o.To),
	}
}

// datesTouched counts the days of Shanghai that [from, to) touches, at least 1.
func datesTouched(from, to time.Time) uint32 {
	n := civil.In(to.Add(-time.Nanosecond)).Days() - civil.In(from).Days() + 1
	return uint32(min(max(n, 1), fold.MaxExtension))
}

// DeclareOutage enters an outage of the caller's county, or of a township of it,
// and puts off the dues of the rounds that waited for its offices while it
// lasted, by the days that it took from each. The dues move at both ends, with
// the reason. A request that is repeated changes nothing. Errors: Invalid of
// request_id, area, from, to, reason; Denied for other counties.
func (d *Desk) DeclareOutage(ctx context.Context, p access.Principal, r OutageRequest) (OutageView, error) {
	county := r.Area.Cut(area.County)
	if _, err := d.Office(ctx, p, access.OutageDeclare, county, "area"); err != nil {
		if p.Role != access.County {
			return OutageView{}, fault.Denied("OUTAGE_COUNTY", "outages are declared by county accounts").Zh("停摆由县级账号登记，期限随之顺延").On("area")
		}
		return OutageView{}, err
	}
	if err := d.checkOutage(&r); err != nil {
		return OutageView{}, err
	}
	o := store.Outage{
		ID: cases.NewOutageID(d.Book.Self, p.ID, r.RequestID), Office: county, Area: r.Area, From: r.From, To: r.To, Reason: r.Reason,
		Account: p.ID, DeclaredAt: d.Now().Truncate(time.Millisecond),
	}
	err := d.In(ctx, p, func(tx *store.Tx) error {
		old, held, err := tx.Outage(ctx, o.ID)
		if err != nil {
			return err
		}
		if !held {
			return tx.AddOutage(ctx, &o)
		}
		if old.Area != o.Area || !old.From.Equal(o.From) || !old.To.Equal(o.To) || old.Reason != o.Reason {
			return usher.Reused()
		}
		o = old
		return nil
	})
	if err != nil {
		return OutageView{}, err
	}
	if _, err := d.putOff(ctx, &o); err != nil {
		// It is declared: the job goes on.
		d.Log.Warn("an outage was declared; its dues are put off later", "outage", o.ID.String(), "error", err)
	}
	err = d.In(ctx, p, func(tx *store.Tx) (err error) {
		o, _, err = tx.Outage(ctx, o.ID)
		return err
	})
	return outageView(&o), err
}

func (d *Desk) checkOutage(r *OutageRequest) error {
	if err := usher.CheckRequestID(r.RequestID); err != nil {
		return err
	}
	if _, ok := area.Lookup(r.Area); !ok || r.Area.Level() < area.County || r.Area.Level() > area.Township {
		return fault.Invalid("OUTAGE_AREA", "an outage is of a county or a township").Zh("停摆地区应为本县（市、区）或所辖乡镇（街道）").On("area")
	}
	if !d.Book.IsHome(r.Area) {
		return fault.Invalid("OUTAGE_ELSEWHERE", "another node serves the area").Zh("该地区由另一节点服务，请在那个节点上登记").On("area")
	}
	now := d.Now()
	switch {
	case r.From.IsZero():
		return fault.Invalid("OUTAGE_FROM", "no beginning").Zh("请填写停摆开始的时间").On("from")
	case !r.To.After(r.From):
		return fault.Invalid("OUTAGE_TO", "it ends before it begins").Zh("结束时间应晚于开始时间").On("to")
	case r.To.After(now):
		return fault.Invalid("OUTAGE_TO", "it ends in the future").Zh("停摆结束后才能登记：结束时间不能晚于现在").On("to")
	case r.To.Sub(r.From) > longestOutage:
		return fault.Invalid("OUTAGE_TOO_LONG", "longer than 30 days").Zh("一次停摆最长 30 天").On("to")
	case now.Sub(r.To) > declaredWithin:
		return fault.Invalid("OUTAGE_TOO_OLD", "ended more than 31 days ago").Zh("停摆应在结束后 31 天内登记").On("to")
	}
	r.From, r.To = r.From.Truncate(time.Millisecond), r.To.Truncate(time.Millisecond)
	n := utf8.RuneCountInString(r.Reason)
	if n < reasonLeast || n > reasonMost {
		return fault.Invalid("OUTAGE_REASON", "reason of %d characters", n).Zh("原因应为 4 到 200 个字").On("reason")
	}
	run := 0
	for _, c := range r.Reason {
		if run++; !unicode.IsDigit(c) {
			run = 0
		}
		if run > longestDigits {
			return fault.Invalid("OUTAGE_PERSONAL", "reason holds a long number").Zh("原因会发给对方单位，请勿填写证件号、电话等个人信息").On("reason")
		}
	}
	return nil
}

// ListOutages returns the outages declared for the caller's county, or for areas
// within k; clerks see those of their own office, too. The newest come first.
func (d *Desk) ListOutages(ctx context.Context, p access.Principal, k area.Key) ([]OutageView, error) {
	if err := d.Allow(ctx, p, access.RatesRead, k); err != nil {
		return nil, err
	}
	of := p.Offices
	if k != 0 {
		of = []area.Key{k}
	}
	// What a county signed for is told to the offices that it is about, and to
	// whoever stands above: no row names a person.
	var signers []area.Key
	for _, o := range of {
		for _, c := range append(d.counties(), o.Cut(area.County)) {
			if (c.Within(o) || o.Within(c)) && !slices.Contains(signers, c) {
				signers = append(signers, c)
			}
		}
	}
	var out []OutageView
	err := d.DB.InDeskAs(ctx, p.ID, signers, func(tx *store.Tx) error {
		out = nil
		all, err := tx.Outages(ctx, time.Time{}, outagesShown)
		for i := range all {
			if slices.ContainsFunc(of, func(a area.Key) bool { return all[i].Area.Within(a) || a.Within(all[i].Area) }) {
				out = append(out, outageView(&all[i]))
			}
		}
		return err
	})
	return out, err
}

// PutOff goes on with what outages put off, where it was cut off, and catches
// rounds that were seen to have waited only later. It returns how many rounds.
func (d *Desk) PutOff(ctx context.Context) (n int64, err error) {
	var recent []store.Outage
	counties := d.counties()
	err = d.DB.InExchange(ctx, counties, func(tx *store.Tx) (err error) {
		recent, err = tx.Outages(ctx, d.Now().Add(-outageFollowed), outagesShown)
		return err
	})
	for i := range recent {
		if err != nil {
			break
		}
		var did int64
		did, err = d.putOff(ctx, &recent[i])
		n += did
	}
	return n, err
}

// counties returns those of the offices served here.
func (d *Desk) counties() []area.Key {
	var out []area.Key
	for _, o := range d.Offices() {
		if c := o.Cut(area.County); !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

// putOff puts off the dues of all rounds that an outage took days from.
func (d *Desk) putOff(ctx context.Context, o *store.Outage) (n int64, err error) {
	defer func() {
		if n > 0 {
			d.wake()
		}
	}()
	for _, office := range d.Offices() {
		if !office.Within(o.Area) {
			continue
		}
		for _, past := range []bool{false, true} {
			var after store.RoundRef
			for {
				var page []store.RoundRef
				var did []cases.CaseID
				err := d.DB.InExchange(ctx, []area.Key{office, o.Office}, func(tx *store.Tx) (err error) {
					if page, err = tx.RoundsIn(ctx, o, office, past, after, outagePageRound); err != nil || len(page) == 0 {
						return err
					}
					did, err = d.putOffPage(ctx, tx, o, office, page)
					return err
				})
				if err != nil {
					return n, err
				}
				n += int64(len(did))
				d.watch.changed(did)
				if len(page) < outagePageRound {
					break
				}
				after = page[len(page)-1]
			}
		}
	}
	return n, nil
}

// putOffPage writes an EXTEND to each of the rounds that still ask for one.
func (d *Desk) putOffPage(ctx context.Context, tx *store.Tx, o *store.Outage, office area.Key, page []store.RoundRef) ([]cases.CaseID, error) {
	ids := make([]cases.CaseID, len(page))
	for i, r := range page {
		ids[i] = r.Case
	}
	cs, err := d.Book.Load(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	var entries []book.Entry
	var done []store.RoundRef
	var touched []*book.Case
	var did []cases.CaseID
	for _, ref := range page {
		c := cs[ref.Case]
		if c == nil || !d.Book.IsHome(c.Y) {
			continue
		}
		r, ok := roundOf(&c.State, ref.Round)
		if !ok || !stoodIn(&r, o) {
			continue
		}
		done = append(done, ref)
		from := o.From
		if r.Delivered.After(from) {
			from = r.Delivered
		}
		days := datesTouched(from, o.To)
		if extendedBy(c, ref.Round, o.ID) >= days {
			continue // it came back after a restore
		}
		reason := o.Reason
		entries = append(entries, book.Entry{Case: c, Body: cases.Body{Note: &reason}, Head: cases.Head{
			Kind: cases.Extend, Side: cases.SideReceiver, Round: ref.Round, Target: o.ID, Limit: cases.Limit{Days: days},
		}})
		if !slices.Contains(did, c.ID) {
			touched, did = append(touched, c), append(did, c.ID)
		}
	}
	if _, err := d.Book.Author(ctx, tx, entries); err != nil {
		return nil, err
	}
	if err := tx.MarkPutOff(ctx, o, done); err != nil {
		return nil, err
	}
	return did, d.Book.Project(ctx, tx, touched, []area.Key{office, o.Office})
}

func roundOf(s *fold.State, n uint32) (fold.Round, bool) {
	if s.Exists() && s.Current.N == n {
		return s.Current, true
	}
	i := slices.IndexFunc(s.Past, func(r fold.Round) bool { return r.N == n })
	if i < 0 {
		return fold.Round{}, false
	}
	return s.Past[i], true
}

// stoodIn reports whether a round waited for the receiver while an outage lasted.
func stoodIn(r *fold.Round, o *store.Outage) bool {
	open := func(t time.Time) bool { return t.IsZero() || t.After(o.From) }
	return !r.Delivered.IsZero() && r.Delivered.Before(o.To) && open(r.AnsweredAt) && open(r.WithdrawnAt) && open(r.ClosedAt)
}

// extendedBy is by how many days a round was put off because of an outage.
func extendedBy(c *book.Case, round uint32, outage cases.ItemID) (days uint32) {
	for i := range c.Items {
		h := &c.Items[i].Head
		if h.Kind == cases.Extend && h.Round == round && h.Target == outage && !c.Items[i].Rejected {
			days = max(days, h.Limit.Days)
		}
	}
	return days
}

// extensionsOf are the EXTENDs of a case's present round, one for each outage,
// in order.
func extensionsOf(c *book.Case) []cases.ItemID {
	var ids []cases.ItemID
	seen := map[cases.ItemID]bool{}
	for _, it := range fold.Live(c.Items) {
		if h := &it.Head; h.Kind == cases.Extend && h.Round == c.State.Current.N && !seen[h.Target] {
			seen[h.Target] = true
			ids = append(ids, it.ID)
		}
	}
	return ids
}
