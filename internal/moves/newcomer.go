package moves

import (
	"context"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/policy"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// together is how many movements of a batch share a transaction at most.
const together = 50

// RegisterMany registers up to usher.MaxBatch movements: what is wrong with one
// touches no other, and two of one person follow each other as they stand in the
// batch. Those of new people go a part of the batch to a transaction, the others
// have one of their own.
func (m *Moves) RegisterMany(ctx context.Context, p access.Principal, ins []Input) ([]Row, error) {
	if err := usher.TooMany(len(ins)); err != nil {
		return nil, err
	}
	if err := m.Allow(ctx, p, access.MovementWrite, 0); err != nil {
		return nil, err
	}
	rows := make([]Row, len(ins))
	named := map[string]bool{}
	for from := 0; from < len(ins); from += together {
		part := rows[from:min(from+together, len(ins))]
		left := make([]bool, len(part))
		for i := range part {
			id := ins[from+i].RequestID
			if left[i] = !named[id]; named[id] {
				part[i].Err = fault.Invalid("REQUEST_ID_REUSED", "request id stands twice in one batch").Zh("同一批中请求编号重复").On("request_id")
			}
			named[id] = true
		}
		m.newcomers(ctx, p, ins[from:from+len(part)], part, left)
		for i := range part {
			if left[i] && ctx.Err() == nil {
				part[i].Result, part[i].Err = m.register(ctx, p, ins[from+i])
				if k := fault.Of(part[i].Err); part[i].Err != nil && k == fault.KindInternal {
					m.Log.Error("movement of a batch failed", "row", from+i, "error", part[i].Err)
				}
			}
		}
		if ctx.Err() != nil {
			return nil, fault.Unavailable("CANCELLED", "batch of movements: cancelled or out of time; the same request ids find out").
				Zh("操作超时，请用同样的请求编号重试，已登记的不会重复")
		}
	}
	return rows, nil
}

// A newcomer is somebody new on the way into the ledger, with a movement.
type newcomer struct {
	work
	at    int // which of the batch
	req   store.Request
	draft *people.Draft
	clear bool // nothing is wrong so far
}

// newcomers registers those movements of a batch that are of people of whom the
// ledger knows nothing, and says by left which others are to be done one by one:
// those that something is wrong with too, so that each has its own error. What
// the movement makes of a new file is known before the file is written.
func (m *Moves) newcomers(ctx context.Context, p access.Principal, ins []Input, rows []Row, left []bool) {
	pol, err := m.Policies.At(civil.In(m.Now()))
	if err != nil {
		return
	}
	offices := map[area.Key][]*newcomer{}
	seen := map[string]bool{}
	for i := range ins {
		again := met(seen, ins[i].Profile)
		if !left[i] || again {
			continue
		}
		if n := m.candidate(p, ins[i], pol); n != nil {
			n.at = i
			offices[n.office] = append(offices[n.office], n)
		}
	}
	for office, ns := range offices {
		if len(ns) < 2 {
			continue
		}
		ns = m.enter(ctx, p, office, ns)
		var opened []cases.CaseID
		for _, n := range ns {
			rows[n.at].Result, left[n.at] = n.result(), false
			opened = append(opened, n.opened...)
		}
		m.Desk.Opened(opened)
	}
}

// met notes the documents of a profile and reports whether one was there before.
func met(seen map[string]bool, f *ledger.Profile) (again bool) {
	if f == nil {
		return false
	}
	for _, d := range f.Documents {
		number := d.Number
		if d.Original != "" {
			number = d.Original
		}
		if doc, _, err := ident.Parse(d.Kind, number); err == nil {
			if number = doc.Match18(); number == "" {
				number = doc.Number
			}
		}
		if number != "" {
			again = again || seen[number]
			seen[number] = true
		}
	}
	return again
}

// candidate is a movement that may be of somebody new; nil: it is not, or is not
// in order.
func (m *Moves) candidate(p access.Principal, in Input, pol *policy.Policy) *newcomer {
	if !in.Person.IsZero() || in.Profile == nil || in.Kind == ledger.Identity || !isZero(in.Approval) || usher.CheckRequestID(in.RequestID) != nil {
		return nil
	}
	office, err := p.Office(in.Office)
	if err != nil || access.Check(p, access.MovementWrite, office) != nil {
		return nil
	}
	in.Office = office
	if m.check(&in, office) != nil {
		return nil
	}
	return &newcomer{
		work: work{p: p, in: in, office: office, pol: pol, event: ledger.EventMoved},
		req:  store.Request{Account: p.ID, RequestID: in.RequestID, Office: office, Method: methodRegister, Hash: m.HashOf(in)},
	}
}

// enter registers newcomers of one office in one transaction and returns those
// that it did.
func (m *Moves) enter(ctx context.Context, p access.Principal, office area.Key, all []*newcomer) (done []*newcomer) {
	for tries := 0; len(all) > 1 && tries < 3 && ctx.Err() == nil; tries++ {
		var ns []*newcomer
		err := m.In(ctx, p, func(tx *store.Tx) (err error) {
			ns = make([]*newcomer, len(all))
			for i, n := range all {
				ns[i] = &newcomer{work: work{p: p, in: n.in, office: office, pol: n.pol, event: n.event}, at: n.at, req: n.req}
			}
			if ns, err = m.alone(ctx, tx, office, ns); err != nil || len(ns) == 0 {
				return err
			}
			return m.write(ctx, tx, office, ns)
		})
		if err == nil {
			return ns
		}
		// Without those of whom it is known that something is wrong.
		wrong := map[int]bool{}
		for _, n := range ns {
			if !n.clear {
				wrong[n.at] = true
			}
		}
		if len(wrong) == 0 {
			return nil
		}
		all = slices.DeleteFunc(all, func(n *newcomer) bool { return wrong[n.at] })
	}
	return nil
}

// alone drafts the files of newcomers and what their movements make of them, and
// returns those that nothing stands against, neither in the ledger nor in the
// movement. It has claimed their requests.
func (m *Moves) alone(ctx context.Context, tx *store.Tx, office area.Key, ns []*newcomer) ([]*newcomer, error) {
	var drafts []*people.Draft
	var ok []*newcomer
	for _, n := range ns {
		err := m.draft(ctx, tx, n)
		switch k := fault.Of(err); {
		case err == nil:
			n.clear = true
			ok, drafts = append(ok, n), append(drafts, n.draft)
		case k == fault.KindInternal || k == fault.KindUnavailable:
			return nil, err
		}
	}
	alone, err := m.People.Alone(ctx, tx, office, drafts)
	if err != nil {
		return nil, err
	}
	ns = those(ok, alone)
	if len(ns) == 0 {
		return nil, nil
	}
	requests, results := make([]store.Request, len(ns)), make([][]byte, len(ns))
	for i, n := range ns {
		requests[i], results[i] = n.req, n.m.ID[:]
	}
	first, err := tx.ClaimRequests(ctx, requests, results)
	if err != nil {
		return nil, err
	}
	claimed := make([]bool, len(ns))
	for i, n := range ns {
		claimed[i] = first[n.req.RequestID]
	}
	return those(ns, claimed), nil
}

func those[T any](list []T, want []bool) []T {
	var out []T
	for i, v := range list {
		if want[i] {
			out = append(out, v)
		}
	}
	return out
}

// draft makes the file and the movement, and does to the file what the movement
// does.
func (m *Moves) draft(ctx context.Context, tx *store.Tx, n *newcomer) (err error) {
	if n.draft, err = m.People.Draft(ctx, tx, n.p, n.office, *n.in.Profile, n.in.On); err != nil {
		return err
	}
	d := n.draft
	n.person, n.group, n.row, n.key = d.Row.ID, []cases.PersonID{d.Row.ID}, d.Row, d.Key
	if err := m.fits(&n.work); err != nil {
		return err
	}
	s := n.step()
	n.warnings, err = m.People.Amend(ctx, tx, n.p, d, s.event, n.m.On, n.m.Kind.Zh(), s.edit)
	d.Place(n.presence, s.living, s.since)
	return err
}

// write writes the files, the movements, and the notices that arise. Where one
// of them is in the way it is not clear any more.
func (m *Moves) write(ctx context.Context, tx *store.Tx, office area.Key, ns []*newcomer) error {
	drafts := make([]*people.Draft, len(ns))
	for i, n := range ns {
		drafts[i] = n.draft
	}
	if all, err := m.People.Add(ctx, tx, drafts); err != nil {
		return err
	} else if !all { // who registered one of them meanwhile is found when run again
		return fault.Conflict(store.ReasonDuplicate, "a person was registered by a concurrent request").Zh("请求正在处理，请稍后重试")
	}
	near, err := m.People.ProposeEach(ctx, tx, office, drafts)
	if err != nil {
		return err
	}
	subjects := make([][16]byte, len(ns))
	for i, n := range ns {
		subjects[i] = n.person
		before := n.draft.Warnings
		if near[i] {
			before = append(slices.Clone(before), warnNear)
		}
		n.warnings = append(slices.Clone(before), n.warnings...)
	}
	if err := m.notices(ctx, tx, ns); err != nil {
		return err
	}
	ms := make([]store.MovementRow, len(ns))
	for i, n := range ns {
		if ms[i], err = n.sealed(); err != nil {
			return err
		}
		if err := m.certificate(ctx, tx, &n.work); err != nil {
			return err
		}
	}
	if err := tx.AddMovements(ctx, ms); err != nil {
		return err
	}
	return tx.LogAccess(ctx, store.Access{Principal: ns[0].p, Office: office, Verb: access.MovementWrite, Purpose: methodRegister, Subjects: subjects})
}

// notices opens the notices that the movements of newcomers call for; no other
// can stand about them yet.
func (m *Moves) notices(ctx context.Context, tx *store.Tx, ns []*newcomer) error {
	var open []*newcomer
	var rs []desk.OpenRequest
	for _, n := range ns {
		kind, to, stayed := m.wants(&n.work, false)
		switch {
		case kind == 0:
		case stayed != "":
			n.stays(stayed)
		case n.in.Basis.Kind == cases.BasisNone:
			n.stays(ledger.StayedNoBasis)
		default:
			r, d := n.opening(kind, to, &n.draft.Profile), n.draft
			r.Newcomer = &store.Standing{Person: n.person, Registered: d.Row.Registered, Living: d.Row.Living, Presence: d.Row.Presence}
			open, rs = append(open, n), append(rs, r)
		}
	}
	if len(rs) == 0 {
		return nil
	}
	results, err := m.Desk.OpenAllIn(ctx, tx, ns[0].p, rs)
	if err != nil {
		return err
	}
	var wrong error
	for i, n := range open {
		stayed, err := n.opens(results[i].Case, results[i].Warnings, results[i].Err)
		if err != nil {
			n.clear, wrong = false, err
			continue
		}
		n.stays(stayed)
	}
	return wrong
}
