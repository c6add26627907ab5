package desk

import (
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// viewOf renders a side without anything of a body.
func (d *Desk) viewOf(s store.Side) CaseView {
	v := CaseView{
		ID: s.Case, Kind: s.Kind, Side: s.Side, Office: s.Office, X: s.X, Y: s.Y, Status: s.Status, Round: s.Round,
		Waiting: Waiting(s.Waiting), Etag: book.Etag(s.Version, s.Rev), OpenedAt: s.OpenedAt, DeliveredAt: s.DeliveredAt,
		DueAt: s.DueAt, Extended: s.Extended, AnsweredAt: s.AnsweredAt, Assigned: s.Assigned, Paired: s.Side == cases.SideReceiver && !s.Person.IsZero(),
		Disputed: s.Flags&store.FlagDisputed != 0, OlderFields: s.Flags&store.FlagOlderFields != 0,
		Crossed: s.Flags&store.FlagCrossed != 0, Parent: s.Parent, Hops: s.Hops,
	}
	if s.Status == cases.StatusOpen && s.DeliveredAt.IsZero() {
		_, known := d.Book.Directory().Home(s.Y)
		v.NoNodeYet = !known
	}
	return v
}

// shown fills in what the office may see of the bodies: the opener all of it,
// the receiver the fields once it paired the notice, or unmasked them.
func (d *Desk) shown(v *CaseView, s *store.Side, c *book.Case, bodies map[cases.ItemID]cases.Body, unmask bool) {
	f := book.Fields(c, bodies)
	if !s.ErasedAt.IsZero() {
		f = nil
	}
	v.Subject = mask(f)
	v.MayConfirm = f != nil && f.Confirm.Kind != cases.BasisNone
	if s.Side == cases.SideOpener || v.Paired || unmask {
		v.Fields = f
	}
	if a := bodies[c.State.Answer].Answer; a != nil {
		v.Answer = a
	}
	for _, id := range slices.Backward(c.State.Feedback) {
		for i := range c.Items {
			if c.Items[i].ID != id {
				continue
			}
			fv := FeedbackView{OfferRound: c.Items[i].Head.OfferRound}
			if b := bodies[id].Feedback; b != nil {
				fv.Released, fv.Fields = b.Released, b.Fields
			}
			v.Feedback = append(v.Feedback, fv)
		}
	}
}

// GetCase reads one case for the caller's office.
func (d *Desk) GetCase(ctx context.Context, p access.Principal, r GetRequest) (CaseView, error) {
	want := access.CaseRead
	if r.Unmask {
		want = access.CaseUnmask
	}
	if err := d.Allow(ctx, p, want, 0); err != nil {
		return CaseView{}, err
	}
	var v CaseView
	err := d.withCase(ctx, p, want, r.Case, r.Purpose, func(tx *store.Tx, s *store.Side, c *book.Case) error {
		ids := append(slices.Clone(c.State.Fields), c.State.Feedback...)
		if !c.State.Answer.IsZero() {
			ids = append(ids, c.State.Answer)
		}
		put := extensionsOf(c)
		ids = append(ids, put...)
		bodies, err := d.Book.Bodies(ctx, tx, c, ids)
		if err != nil {
			return err
		}
		v = d.viewOf(*s)
		d.shown(&v, s, c, bodies, r.Unmask)
		for _, id := range put {
			if n := bodies[id].Note; n != nil {
				v.Extensions = append(v.Extensions, *n)
			}
		}
		return nil
	})
	return v, err
}

// withCase reads a case that an office of the caller sees, logs the read or the
// miss, and gives both to fn.
func (d *Desk) withCase(ctx context.Context, p access.Principal, v access.Verb, id cases.CaseID, purpose string, fn func(*store.Tx, *store.Side, *book.Case) error) error {
	var miss error
	err := d.In(ctx, p, func(tx *store.Tx) error {
		miss = nil
		sides, err := tx.SidesOf(ctx, []cases.CaseID{id})
		if err != nil {
			return err
		}
		sides = slices.DeleteFunc(sides, func(s store.Side) bool { return !access.Can(p, v, s.Office) || !visible(p, &s) })
		if len(sides) == 0 {
			miss = book.NotHeld(id)
			return tx.LogAccess(ctx, store.Access{Principal: p, Office: p.FirstOffice(), Verb: v, Purpose: purpose})
		}
		s := &sides[0] // who works for both sides sees the opener's
		if i := slices.IndexFunc(sides, func(s store.Side) bool { return s.Side == cases.SideOpener }); i >= 0 {
			s = &sides[i]
		}
		cs, err := d.Book.Read(ctx, tx, []cases.CaseID{id})
		if err != nil {
			return err
		}
		if err := fn(tx, s, cs[id]); err != nil {
			return err
		}
		return tx.LogAccess(ctx, store.Access{Principal: p, Office: s.Office, Verb: v, Purpose: purpose, Subjects: [][16]byte{subjectOf(*s)}})
	})
	if err == nil {
		err = miss
	}
	return err
}

// visible limits a distributor to cases that are addressed above a township and
// wait to be given to one.
func visible(p access.Principal, s *store.Side) bool {
	return p.Role != access.Distributor || s.Side == cases.SideReceiver && s.Assigned == 0 && s.Office.Level() < area.Township
}

// ListCases lists cases of the caller's offices, those due first coming first.
// Subjects are masked.
func (d *Desk) ListCases(ctx context.Context, p access.Principal, r ListRequest) ([]CaseView, string, error) {
	if err := d.Allow(ctx, p, access.CaseRead, 0); err != nil {
		return nil, "", err
	}
	f, err := d.filter(ctx, p, r)
	if err != nil {
		return nil, "", err
	}
	var out []CaseView
	var next string
	err = d.In(ctx, p, func(tx *store.Tx) error {
		out, next = nil, ""
		sides, err := tx.ListSides(ctx, f)
		if err != nil {
			return err
		}
		if len(sides) == f.Limit {
			sides = sides[:f.Limit-1]
			last := sides[len(sides)-1]
			next = pageToken(last.DueAt, last.Case, last.Office)
		}
		out, err = d.list(ctx, tx, p, sides, r.Purpose)
		return err
	})
	return out, next, err
}

func (d *Desk) list(ctx context.Context, tx *store.Tx, p access.Principal, sides []store.Side, purpose string) ([]CaseView, error) {
	ids := make([]cases.CaseID, len(sides))
	for i := range sides {
		ids[i] = sides[i].Case
	}
	cs, err := d.Book.Read(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	var items []cases.ItemID
	for _, c := range cs {
		items = append(items, c.State.Fields...)
	}
	bodies, err := d.Book.BodiesOf(ctx, tx, cs, items)
	if err != nil {
		return nil, err
	}
	subjects := map[area.Key][][16]byte{}
	for _, o := range p.Offices {
		subjects[o] = nil
	}
	out := make([]CaseView, 0, len(sides))
	for i := range sides {
		s := &sides[i]
		v := d.viewOf(*s)
		if c := cs[s.Case]; c != nil && s.ErasedAt.IsZero() {
			v.Subject = mask(book.Fields(c, bodies))
		}
		out = append(out, v)
		subjects[s.Office] = append(subjects[s.Office], subjectOf(*s))
	}
	for _, o := range slices.Sorted(maps.Keys(subjects)) {
		list := subjects[o]
		if len(list) == 0 && len(out) > 0 {
			continue
		}
		if err := tx.LogAccess(ctx, store.Access{Principal: p, Office: o, Verb: access.CaseRead, Purpose: purpose, Subjects: list}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (d *Desk) filter(ctx context.Context, p access.Principal, r ListRequest) (store.SideFilter, error) {
	f := store.SideFilter{
		Offices: p.Offices, Kind: r.Kind, States: r.States, Side: r.Side, Waiting: uint8(r.Waiting), DueBefore: r.DueBefore, Counterpart: r.Counterpart,
	}
	if r.Office != 0 {
		o, err := d.Office(ctx, p, access.CaseRead, r.Office, "office")
		if err != nil {
			return f, err
		}
		f.Offices = []area.Key{o}
	}
	if r.Kind != 0 && !r.Kind.Known() {
		return f, fault.Invalid("CASE_KIND", "unknown kind of case").Zh("案件类型不正确").On("kind")
	}
	if _, ok := area.Lookup(r.Counterpart); r.Counterpart != 0 && !ok {
		return f, fault.Invalid("AREA_UNKNOWN", "area %s is unknown", r.Counterpart).Zh("对方区划不存在").On("counterpart")
	}
	switch {
	case r.PageSize < 0 || r.PageSize > usher.MaxBatch:
		return f, fault.Invalid("PAGE_SIZE", "page of %d, at most %d", r.PageSize, usher.MaxBatch).Zh("每页最多 %d 条", usher.MaxBatch).On("page_size")
	case r.PageSize == 0:
		f.Limit = 50
	default:
		f.Limit = r.PageSize
	}
	f.Limit++ // one more tells whether there is a next page
	if p.Role == access.Distributor {
		f.Side, f.Unassigned = cases.SideReceiver, true
		f.Offices = slices.DeleteFunc(slices.Clone(f.Offices), func(k area.Key) bool { return k.Level() >= area.Township })
	}
	if r.PageToken != "" {
		var err error
		if f.AfterDue, f.AfterCase, f.AfterOffice, err = parsePageToken(r.PageToken); err != nil {
			return f, err
		}
		f.After = true
	}
	return f, nil
}

func pageToken(due time.Time, id cases.CaseID, office area.Key) string {
	at := ""
	if !due.IsZero() {
		at = due.Format(time.RFC3339Nano)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(at + " " + id.String() + " " + strconv.FormatInt(int64(office), 10)))
}

func parsePageToken(s string) (due time.Time, id cases.CaseID, office area.Key, err error) {
	no := fault.Invalid("PAGE_TOKEN", "page token is malformed").Zh("翻页标识不正确，请从第一页开始").On("page_token")
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return due, id, 0, no
	}
	parts := strings.Split(string(b), " ")
	if len(parts) != 3 {
		return due, id, 0, no
	}
	if parts[0] != "" {
		if due, err = time.Parse(time.RFC3339Nano, parts[0]); err != nil {
			return due, id, 0, no
		}
	}
	if id, err = cases.ParseCaseID(parts[1]); err != nil {
		return due, id, 0, no
	}
	n, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return due, id, 0, no
	}
	return due, id, area.Key(n), nil
}

// Trace reads the timeline of a case.
func (d *Desk) Trace(ctx context.Context, p access.Principal, id cases.CaseID, purpose string) (Trace, error) {
	if err := d.Allow(ctx, p, access.CaseRead, 0); err != nil {
		return Trace{}, err
	}
	var t Trace
	err := d.withCase(ctx, p, access.CaseRead, id, purpose, func(tx *store.Tx, s *store.Side, c *book.Case) error {
		bodies, err := d.Book.Bodies(ctx, tx, c, c.State.Fields)
		if err != nil {
			return err
		}
		t = Trace{Case: d.viewOf(*s)}
		t.Case.Subject = mask(book.Fields(c, bodies))
		rows, err := tx.CaseItems(ctx, []cases.CaseID{id})
		if err != nil {
			return err
		}
		t.Events = events(c, rows[id])
		t.Spent = spent(c, d.Now())
		return nil
	})
	return t, err
}

func events(c *book.Case, rows []store.CaseItem) []Event {
	reasons := map[cases.ItemID]cases.Reject{}
	for _, r := range rows {
		reasons[r.ID] = r.Reason
	}
	revoked := map[cases.ItemID]bool{}
	for i := range c.Items {
		if h := &c.Items[i].Head; h.Kind == cases.Revoke {
			revoked[h.Target] = true
		}
	}
	out := make([]Event, 0, len(c.Items))
	for i := range c.Items {
		it := &c.Items[i]
		e := Event{
			Item: it.ID, Kind: it.Head.Kind, Side: it.Head.Side, Node: it.Head.Author, Round: it.Head.Round,
			RecordedAt: it.Head.RecordedAt, DeliveredAt: it.Held, Rejected: reasons[it.ID], Revoked: revoked[it.ID], Erased: c.Erased(it.ID),
		}
		if it.Head.Local {
			e.DeliveredAt = it.Head.RecordedAt
		}
		out = append(out, e)
	}
	slices.SortStableFunc(out, func(a, b Event) int { return a.RecordedAt.Compare(b.RecordedAt) })
	return out
}

// spent says on whose side the case's time passed, round by round: until it was
// delivered on the way, until it was given to a township with the county, until
// it was answered with the residence.
func spent(c *book.Case, now time.Time) map[Waiting]time.Duration {
	out := map[Waiting]time.Duration{}
	s := &c.State
	add := func(w Waiting, from, to time.Time) {
		if to.After(from) {
			out[w] += to.Sub(from)
		}
	}
	for _, r := range append(slices.Clone(s.Past), s.Current) {
		end := now
		for _, t := range []time.Time{r.AnsweredAt, r.ClosedAt, r.WithdrawnAt} {
			if !t.IsZero() && t.Before(end) {
				end = t
			}
		}
		if r.Delivered.IsZero() {
			add(WaitTransport, r.OpenedAt, end)
			continue
		}
		add(WaitTransport, r.OpenedAt, r.Delivered)
		from := r.Delivered
		if s.Y.Level() < area.Township && r.N == s.Current.N {
			given := s.AssignedAt
			if given.IsZero() || given.After(end) {
				given = end
			}
			add(WaitCounty, from, given)
			if given.After(from) {
				from = given
			}
		}
		add(WaitResidence, from, end)
	}
	return out
}
