package desk

import (
	"context"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/store"
)

// What limits probing (SECURITY D2).
const (
	maxDestinations = 3 // of a person's outflow notices in destinationMonths, without a second user
	maxTries        = 5 // a day and user, after an IDENTITY_CONFLICT
	tryIdentity     = 1 // kind of try
)

// ApprovalLasts is how long an approval can be given after it was asked for, and
// used after it was given.
const ApprovalLasts = 7 * 24 * time.Hour

// oneYearBefore is since when destinations count.
func oneYearBefore(now time.Time) time.Time { return now.AddDate(-1, 0, 0) }

// known is what the ledger knows, under lock, of people whom openings are about.
type known struct {
	standing map[cases.PersonID]store.Standing
	root     map[cases.PersonID]cases.PersonID
	notices  map[cases.PersonID][]store.Notice // by root
	approval map[[16]byte]store.Approval
}

// rootOf is the file that a person's notices are counted under.
func (k *known) rootOf(id cases.PersonID) cases.PersonID {
	if r, ok := k.root[id]; ok {
		return r
	}
	return id
}

// knownOf locks files, and those that they were merged into, and reads the
// notices that were opened about them: opening two at once finds the first.
func (d *Desk) knownOf(ctx context.Context, tx *store.Tx, ids []cases.PersonID) (*known, error) {
	k := &known{standing: map[cases.PersonID]store.Standing{}, root: map[cases.PersonID]cases.PersonID{}, notices: map[cases.PersonID][]store.Notice{}}
	if len(ids) == 0 {
		return k, nil
	}
	for ask := ids; len(ask) > 0; {
		got, err := tx.LockStandings(ctx, ask)
		if err != nil {
			return nil, err
		}
		for _, id := range ask {
			if _, ok := got[id]; !ok {
				// Restricted (SECURITY D11) between being found and being locked: run
				// again, the person is not found, as somebody who was never here.
				return nil, fault.Conflict(store.ReasonDuplicate, "a file was changed by a concurrent request").Zh("请求正在处理，请稍后重试")
			}
		}
		ask = nil
		for id, s := range got {
			k.standing[id] = s
			if m := s.MergedInto; !m.IsZero() {
				if _, seen := k.standing[m]; !seen {
					ask = append(ask, m)
				}
			}
		}
	}
	roots := make([]cases.PersonID, 0, len(ids))
	for _, id := range ids {
		r := id
		for range len(k.standing) {
			m := k.standing[r].MergedInto
			if m.IsZero() {
				break
			}
			r = m
		}
		k.root[id] = r
		roots = append(roots, r)
	}
	var err error
	k.notices, err = tx.NoticesOpened(ctx, roots)
	return k, err
}

// guard holds openings against the files of the people they are about and the
// notices that stand, and returns which may go on; the others have their
// errors. Someone registered in this transaction is compared with the rest of
// the batch alone.
func (d *Desk) guard(ctx context.Context, tx *store.Tx, p access.Principal, js []*opening, persons []cases.PersonID, added []bool) ([]bool, error) {
	var ids []cases.PersonID
	var cited [][16]byte
	for i, j := range js {
		if !added[i] && !persons[i].IsZero() && j.req.Newcomer == nil {
			ids = append(ids, persons[i])
		}
		if j.req.Approval != ([16]byte{}) {
			cited = append(cited, j.req.Approval)
		}
	}
	k, err := d.knownOf(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	if k.approval, err = tx.LockApprovals(ctx, cited); err != nil {
		return nil, err
	}
	for i, j := range js {
		if j.req.Newcomer != nil {
			k.standing[persons[i]] = *j.req.Newcomer
		}
	}
	var used [][16]byte
	pass := make([]bool, len(js))
	for i, j := range js {
		a, err := d.guardOne(ctx, tx, p, k, j, persons[i])
		if f := fault.Of(err); err != nil && (f == fault.KindInternal || f == fault.KindUnavailable) {
			return nil, err
		}
		if err != nil {
			j.err, j.guarded = err, true
			continue
		}
		pass[i] = true
		if a != ([16]byte{}) {
			used = append(used, a)
		}
	}
	return pass, tx.UseApprovals(ctx, used, d.Now())
}

// guardOne decides about one opening, after those before it, and returns the
// approval that it uses up.
func (d *Desk) guardOne(ctx context.Context, tx *store.Tx, p access.Principal, k *known, j *opening, person cases.PersonID) (used [16]byte, err error) {
	kind := j.req.Kind
	if person.IsZero() || kind != cases.Outflow && kind != cases.Inflow {
		return used, nil
	}
	if err := serves(kind, j.office, k.standing[person]); err != nil {
		return used, err
	}
	root := k.rootOf(person)
	if kind == cases.Inflow {
		if err := d.tryAgain(ctx, tx, p, k.notices[root]); err != nil {
			return used, err
		}
	} else {
		if err := oneOpen(k.notices[root], j.id); err != nil {
			return used, err
		}
		if used, err = d.fourth(ctx, tx, p, k, j, root); err != nil {
			return used, err
		}
	}
	k.notices[root] = append(k.notices[root], store.Notice{Person: root, Case: j.id, Kind: kind, To: j.req.Destination, Status: cases.StatusOpen, OpenedAt: d.Now()})
	return used, nil
}

// serves refuses an opening where the person's file says that this office is
// not the one of the person's registration (outflow) or residence (inflow). A
// file that does not say lets it pass: the notice is how most files begin.
func serves(kind cases.Kind, office area.Key, s store.Standing) error {
	elsewhere := func(k area.Key) bool { return k != 0 && !k.Within(office) && !office.Within(k) }
	switch {
	case kind == cases.Outflow && elsewhere(s.Registered):
		return fault.Conflict("FOREIGN_REGISTER", "the person's file names another place of registration").
			Zh("档案中该人员的户籍地不在本单位辖区，不能由本单位发出流出通报；如户籍已迁入，请先在档案中登记户口迁移").On("origin")
	case kind == cases.Inflow && (elsewhere(s.Living) || s.Presence == ledger.Outflow || s.Presence == ledger.Gone):
		return fault.Conflict("FOREIGN_RESIDENCE", "the person's file says that the person lives elsewhere").
			Zh("档案中该人员的现居住地不在本单位辖区，不能由本单位发出流入通报；如本人已到来，请先登记流入").On("origin")
	}
	return nil
}

// oneOpen refuses a second outflow notice while one waits for its answer. One
// that was answered does not stand in the way: the residence may answer
// DUPLICATE.
func oneOpen(notices []store.Notice, but cases.CaseID) error {
	for _, n := range notices {
		if n.Kind == cases.Outflow && n.Status == cases.StatusOpen && n.Case != but {
			return fault.Conflict("NOTICE_OPEN", "case %s about the person is open; withdraw or correct it", n.Case).
				Zh("该人员已有一件流出通报（%s）尚未答复，不能再发；请先撤回或更正那一件", n.Case)
		}
	}
	return nil
}

// fourth wants a second user's approval for more than maxDestinations areas in
// a year, counties each, whatever became of the notices: each of them asked an
// office about the person. What a reroute opens is not counted and not held
// up: a receiver, not the opener, said that the address was wrong, and the area
// is the one that it named. A reroute that a clerk decides goes on from such an
// answer too, and counts from then on.
func (d *Desk) fourth(ctx context.Context, tx *store.Tx, p access.Principal, k *known, j *opening, root cases.PersonID) (used [16]byte, err error) {
	to, since := j.req.Destination.Cut(area.County), oneYearBefore(d.Now())
	asked := map[area.Key]bool{}
	for _, n := range k.notices[root] {
		if n.Kind == cases.Outflow && !n.ByDuty && !n.OpenedAt.Before(since) {
			asked[n.To.Cut(area.County)] = true
		}
	}
	if asked[to] || len(asked) < maxDestinations {
		return used, nil
	}
	if id := j.req.Approval; id != ([16]byte{}) {
		a, ok := k.approval[id]
		if ok && d.fits(a, p, j.office, root, to) {
			a.UsedAt = d.Now()
			k.approval[id] = a
			return id, nil
		}
	}
	id, err := d.AskApproval(ctx, tx, p, j.office, root, to)
	if err != nil {
		return used, err
	}
	return used, fault.Conflict("APPROVAL_REQUIRED", "notices about the person went to %d areas in 12 months; approval %x of a second user is needed", len(asked), id).
		Zh("12 个月内已就该人员向 %d 个县（市、区）发出流出通报，再发往新的地区须由本单位另一位经办人审批。审批编号 %x；获批后请带上该编号，在 7 天内重新提交", len(asked), id).On("approval_id")
}

// tryAgain counts, where the last answer about a person was IDENTITY_CONFLICT,
// one more try of the user: asking again and again with other values would turn
// the answer into an oracle about the register.
func (d *Desk) tryAgain(ctx context.Context, tx *store.Tx, p access.Principal, notices []store.Notice) error {
	var ids []cases.CaseID
	for _, n := range notices {
		if n.Kind == cases.Inflow && n.Answered {
			ids = append(ids, n.Case)
		}
	}
	conflict, err := d.lastConflicts(ctx, tx, ids)
	if err != nil || !conflict {
		return err
	}
	n, err := tx.CountTry(ctx, actor(p), civil.In(d.Now()), tryIdentity)
	if err == nil && n > maxTries {
		return fault.Denied("TRIES_TODAY", "%d tries today after an answer IDENTITY_CONFLICT, at most %d are allowed", n, maxTries).
			Zh("对方答复“身份信息不一致”后，每人每天最多再试 %d 次，今天已用完；请核对证件原件，明天再办", maxTries)
	}
	return err
}

// lastConflicts reports whether the last answer that cases ever had is
// IDENTITY_CONFLICT.
func (d *Desk) lastConflicts(ctx context.Context, tx *store.Tx, ids []cases.CaseID) (bool, error) {
	if len(ids) == 0 {
		return false, nil
	}
	cs, err := d.Book.Read(ctx, tx, ids)
	if err != nil {
		return false, err
	}
	var last *book.Case
	var item cases.ItemID
	var at time.Time
	for _, c := range cs {
		for _, it := range c.Items {
			if it.Head.Kind == cases.Answer && !it.Rejected && it.Head.RecordedAt.After(at) {
				last, item, at = c, it.ID, it.Head.RecordedAt
			}
		}
	}
	if last == nil {
		return false, nil
	}
	bodies, err := d.Book.Bodies(ctx, tx, last, []cases.ItemID{item})
	a := bodies[item].Answer
	return err == nil && a != nil && a.Outcome == cases.IdentityConflict, err
}

// guardChange is guard for the opener's changes of a case that stands: a new
// round must not make a second open notice, and neither it nor a correction may
// try the register without end.
func (d *Desk) guardChange(ctx context.Context, tx *store.Tx, p access.Principal, ch *change, kind cases.ItemKind) error {
	s := &ch.c.State
	if ch.side.Side != cases.SideOpener || s.Kind != cases.Inflow && (s.Kind != cases.Outflow || kind != cases.Reopen) {
		return nil
	}
	person := ch.side.Person
	notices := []store.Notice{{Case: ch.c.ID, Kind: s.Kind, Status: s.Status, Answered: true}}
	if !person.IsZero() {
		k, err := d.knownOf(ctx, tx, []cases.PersonID{person})
		if err != nil {
			return err
		}
		notices = k.notices[k.rootOf(person)]
	}
	if s.Kind == cases.Inflow {
		return d.tryAgain(ctx, tx, p, notices)
	}
	return oneOpen(notices, ch.c.ID)
}
