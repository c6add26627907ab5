package desk

import (
	"context"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/store"
)

// FollowEvent is what happened to a person whose cases follow it.
type FollowEvent struct {
	Office area.Key
	Kind   ledger.MovementKind
	// Resident says that the office is the place of registration: its own
	// outflow notices end with the stay they were about.
	Resident bool
	// Name, Doc, Sex and Birth are the person's new ones, of an identity change;
	// no number, 0 and the zero date: a notice keeps what it says.
	Name  string
	Doc   ident.Doc
	Sex   uint32
	Birth civil.Date
	// Only limits what ends to these cases, as a movement that is taken back
	// ends its own notice; empty: all of the person's.
	Only []cases.CaseID
}

// What became of a case that follows its person.
const (
	FollowWithdrawn = "withdrawn"
	FollowClosed    = "closed"
	FollowCorrected = "corrected"
	FollowOpened    = "opened"
)

// Followed is a case that followed its person. Change is empty where it was
// left, and Warning says why (Chinese).
type Followed struct {
	Case    cases.CaseID
	Change  string
	Warning string

	c *book.Case
}

// endedReason is the note of every withdrawal and closing by which a case
// follows its person: it travels, and says neither why nor what happened.
const endedReason = "ended"

// Follow changes, inside the caller's transaction, the open cases about a
// person's files at one office as the person's event asks. It locks the cases in
// order of their ids. After the commit the caller calls FollowedUp.
func (d *Desk) Follow(ctx context.Context, tx *store.Tx, p access.Principal, persons []cases.PersonID, ev FollowEvent) ([]Followed, error) {
	sides, ids, err := sidesAt(ctx, tx, persons, ev.Office)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	cs, err := d.Book.Load(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	var out []Followed
	var entries []book.Entry
	changed := map[cases.CaseID]*book.Case{}
	for _, id := range ids {
		c := cs[id]
		if c == nil || !c.State.Exists() || len(ev.Only) > 0 && !slices.Contains(ev.Only, id) {
			continue
		}
		f := Followed{Case: id, c: c}
		e, err := d.follows(ctx, tx, p, c, sides[id], ev, &f)
		if err != nil {
			return nil, err
		}
		if e != nil {
			entries, changed[id] = append(entries, *e), c
		}
		if e != nil || f.Warning != "" {
			out = append(out, f)
		}
	}
	if len(entries) == 0 {
		return out, nil
	}
	if _, err := d.Book.Author(ctx, tx, entries); err != nil {
		return nil, err
	}
	if err := d.Book.Duties(ctx, tx, changed, p.Offices); err != nil {
		return nil, err
	}
	all := make([]*book.Case, 0, len(changed))
	for _, c := range changed {
		all = append(all, c)
	}
	return out, d.Book.Project(ctx, tx, all, p.Offices)
}

// LockCases locks the cases about a person's files at an office. Cases come
// before persons and consents in every transaction: who will change some of them
// calls it first.
func (d *Desk) LockCases(ctx context.Context, tx *store.Tx, persons []cases.PersonID, office area.Key) error {
	_, ids, err := sidesAt(ctx, tx, persons, office)
	if err != nil || len(ids) == 0 {
		return err
	}
	_, err = tx.LockLegs(ctx, ids)
	return err
}

// sidesAt returns an office's sides of the cases about people, by case, and the
// cases in order of their ids.
func sidesAt(ctx context.Context, tx *store.Tx, persons []cases.PersonID, office area.Key) (map[cases.CaseID]store.Side, []cases.CaseID, error) {
	sides := map[cases.CaseID]store.Side{}
	var ids []cases.CaseID
	for _, who := range persons {
		list, err := tx.SidesOfPerson(ctx, who)
		if err != nil {
			return nil, nil, err
		}
		for _, s := range list {
			if _, twice := sides[s.Case]; s.Office != office || twice {
				continue
			}
			sides[s.Case] = s
			ids = append(ids, s.Case)
		}
	}
	slices.SortFunc(ids, func(a, b cases.CaseID) int { return slices.Compare(a[:], b[:]) })
	return sides, ids, nil
}

// follows decides what becomes of one case; nil where it stays as it is.
func (d *Desk) follows(ctx context.Context, tx *store.Tx, p access.Principal, c *book.Case, side store.Side, ev FollowEvent, f *Followed) (*book.Entry, error) {
	own, kind := side.Side == cases.SideOpener, c.State.Kind
	if own && len(ev.Only) > 0 {
		return ended(c, f), nil
	}
	switch ev.Kind {
	case ledger.Leave, ledger.Return, ledger.MoveOn:
		switch {
		case own && kind == cases.Outflow && ev.Resident, own && kind == cases.Inflow && !ev.Resident:
			return ended(c, f), nil
		case own || ev.Resident || kind != cases.Outflow:
			return nil, nil
		}
		return d.leftResidence(ctx, tx, c, f)
	case ledger.Transfer:
		if own && (kind == cases.Outflow || kind == cases.Inflow) {
			return ended(c, f), nil
		}
	case ledger.Identity:
		if own {
			return d.renamed(ctx, tx, p, c, side, ev, f)
		}
	case ledger.Death:
		if own {
			return ended(c, f), nil
		}
	}
	return nil, nil
}

// ended withdraws an own case that waits and closes one that was answered.
func ended(c *book.Case, f *Followed) *book.Entry {
	h := cases.Head{Kind: cases.Withdraw, Side: cases.SideOpener, Round: c.State.Current.N}
	switch c.State.Status {
	case cases.StatusOpen:
		f.Change = FollowWithdrawn
	case cases.StatusAnswered:
		h.Kind, f.Change = cases.Close, FollowClosed
	default:
		return nil
	}
	reason := endedReason
	return &book.Entry{Case: c, Head: h, Body: cases.Body{Note: &reason}}
}

// leftResidence closes a received notice whose person was confirmed to live
// here and has left, only while the confirmation that the person gave still
// holds: without it a CLOSE would disclose that the person left.
func (d *Desk) leftResidence(ctx context.Context, tx *store.Tx, c *book.Case, f *Followed) (*book.Entry, error) {
	if c.State.Status != cases.StatusAnswered {
		return nil, nil
	}
	bodies, err := d.Book.Bodies(ctx, tx, c, append(slices.Clone(c.State.Fields), c.State.Answer))
	if err != nil {
		return nil, err
	}
	a, fields := bodies[c.State.Answer].Answer, book.Fields(c, bodies)
	if a == nil || a.Outcome != cases.Residing {
		return nil, nil
	}
	live := fields != nil && fields.Confirm.Kind != cases.BasisNone
	if !live && a.Basis.Kind == cases.BasisConsent {
		if live, err = d.Book.Live(ctx, tx, a.Basis.Consent, ledger.PurposeConfirm, c.X, d.Now()); err != nil {
			return nil, err
		}
	}
	if !live {
		return nil, nil
	}
	reason := endedReason
	f.Change = FollowClosed
	return &book.Entry{Case: c, Head: cases.Head{Kind: cases.Close, Side: cases.SideReceiver, Round: c.State.Current.N}, Body: cases.Body{Note: &reason}}, nil
}

// renamed corrects a notice that waits with the person's new name and number
// and the bases that it left under; one that was answered is the clerk's.
func (d *Desk) renamed(ctx context.Context, tx *store.Tx, p access.Principal, c *book.Case, side store.Side, ev FollowEvent, f *Followed) (*book.Entry, error) {
	status := c.State.Status
	if status != cases.StatusOpen && status != cases.StatusAnswered {
		return nil, nil
	}
	bodies, err := d.Book.Bodies(ctx, tx, c, c.State.Fields)
	if err != nil {
		return nil, err
	}
	fields := book.Fields(c, bodies)
	if fields == nil {
		return nil, nil
	}
	g := *fields
	ev.into(&g)
	if g == *fields {
		return nil, nil
	}
	if status == cases.StatusAnswered {
		f.Warning = "一件已答复的通报仍是原姓名或证件号码，需要对方知道的，请取得本人同意后另行通报"
		return nil, nil
	}
	if g.Basis.Kind == cases.BasisConsent {
		live, err := d.Book.Live(ctx, tx, g.Basis.Consent, noticePurpose(c.State.Kind), c.Y, d.Now())
		if err != nil {
			return nil, err
		}
		if !live {
			f.Warning = "一件待答复的通报所依据的同意已撤回或过期，未能更正，请取得新的同意后更正"
			return nil, nil
		}
	}
	if g.Confirm.Kind == cases.BasisConsent {
		live, err := d.Book.Live(ctx, tx, g.Confirm.Consent, ledger.PurposeConfirm, c.Y, d.Now())
		if err != nil {
			return nil, err
		}
		if !live {
			g.Confirm = cases.Basis{}
		}
	}
	// A file is no way around the limit of tries (SECURITY D2).
	err = d.guardChange(ctx, tx, p, &change{c: c, side: side}, cases.Correct)
	if fault.Is(err, fault.KindDenied) {
		f.Warning = "对方此前答复“身份信息不一致”，今天更正的次数已用完，一件待答复的通报未更正；请核对证件原件，明天在案件中更正"
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f.Change = FollowCorrected
	e := correction(c, &g)
	return &e, nil
}

// into writes who the person is now into a notice's fields.
func (ev *FollowEvent) into(g *cases.Fields) {
	g.Name = ev.Name
	if ev.Doc.Number == "" || uint32(ev.Doc.Kind) == g.DocumentKind && ev.Doc.Number == g.DocumentNumber {
		return
	}
	g.DocumentKind, g.DocumentNumber = uint32(ev.Doc.Kind), ev.Doc.Number
	if !ev.Birth.IsZero() { // it follows from the number, and so does the sex
		g.Birth = ev.Birth
	}
	if ev.Sex != 0 {
		g.Sex = ev.Sex
	}
}

// FollowedUp does, after the commit, what the caller's transaction could not
// see, tells those who watch, and lets what is owed leave.
func (d *Desk) FollowedUp(ctx context.Context, fs []Followed) {
	var cs []*book.Case
	var ids []cases.CaseID
	for _, f := range fs {
		if f.c != nil && f.Change != "" {
			cs, ids = append(cs, f.c), append(ids, f.Case)
		}
	}
	if err := d.Book.LeftDuties(ctx, d.DB, cs); err != nil {
		d.Log.Error("duty of a changed case is left", "error", err)
	}
	d.Opened(ids)
}

// NoticeBetween finds an outflow or inflow case about a person's files between an
// office and an area, sent or received: one that waits for an answer, or one
// that was answered and opened on or after a day (zero: ever). Zero: none.
func (d *Desk) NoticeBetween(ctx context.Context, tx *store.Tx, persons []cases.PersonID, office, other area.Key, from civil.Date) (cases.CaseID, error) {
	sides, ids, err := sidesAt(ctx, tx, persons, office)
	if err != nil {
		return cases.CaseID{}, err
	}
	for _, id := range ids {
		s := sides[id]
		to := s.Y
		if s.Side == cases.SideReceiver {
			to = s.X
		}
		if (s.Kind == cases.Outflow || s.Kind == cases.Inflow) && (to.Within(other) || other.Within(to)) &&
			(s.Status == cases.StatusOpen || s.Status == cases.StatusAnswered && !civil.In(s.OpenedAt).Before(from)) {
			return id, nil
		}
	}
	return cases.CaseID{}, nil
}
