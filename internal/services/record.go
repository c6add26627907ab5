package services

import (
	"context"
	"maps"
	"slices"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/policy"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// method is under what requests are kept and reads are logged, whatever of a
// person's services was recorded, changed or lifted.
const method = "service"

// Input is one service as a clerk records it. Attempts, By and At of Record are
// not the clerk's to say.
type Input struct {
	RequestID string
	Person    cases.PersonID
	Kind      ledger.Service
	Period    uint32 // offer round, or year × 100 + month; 0: the present one
	Record    ledger.ServiceRecord
}

// View is a service as it stands.
type View struct {
	Person cases.PersonID
	Kind   ledger.Service
	Period uint32
	Record ledger.ServiceRecord
}

// Result is what became of one of many; Warnings are Chinese.
type Result struct {
	View     View
	Warnings []string
	Err      error
}

// Record records one service. Errors: Invalid with the field; Conflict
// ROUND_OVER, ROUND_NONE, PERIOD_OVER, STANDING_REFUSAL, PERSON_DEAD; NotFound.
func (s *Services) Record(ctx context.Context, p access.Principal, in Input) (View, []string, error) {
	done, err := s.RecordMany(ctx, p, []Input{in})
	if err != nil {
		return View{}, nil, err
	}
	return done[0].View, done[0].Warnings, done[0].Err
}

// RecordMany records up to 1,000 services, each by itself, in one transaction.
func (s *Services) RecordMany(ctx context.Context, p access.Principal, ins []Input) ([]Result, error) {
	if err := s.Allow(ctx, p, access.ServiceWrite, 0); err != nil {
		return nil, err
	}
	if err := usher.TooMany(len(ins)); err != nil {
		return nil, err
	}
	var rows []row
	err := s.In(ctx, p, func(tx *store.Tx) (err error) {
		rows, err = s.recordIn(ctx, tx, p, ins)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]Result, len(rows))
	for i := range rows {
		out[i] = rows[i].Result
	}
	return out, nil
}

// row is one input on its way.
type row struct {
	Result
	hash     [32]byte
	repeated bool
	kept     bool     // the request stands already, though it is answered by an error
	office   area.Key // 0: nobody was found
	entry    entry
}

func (s *Services) recordIn(ctx context.Context, tx *store.Tx, p access.Principal, ins []Input) ([]row, error) {
	rows := make([]row, len(ins))
	var names []string
	for i := range ins {
		names = append(names, ins[i].RequestID)
	}
	known, err := tx.RequestsOf(ctx, p.ID, names)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for i := range ins {
		r := &rows[i]
		r.hash = s.HashOf(ins[i])
		if r.Err = usher.CheckRequestID(ins[i].RequestID); r.Err == nil && seen[ins[i].RequestID] {
			r.Err = fault.Invalid("REQUEST_ID_REUSED", "request id stands twice in one batch").Zh("同一批中请求编号重复").On("request_id")
		}
		if seen[ins[i].RequestID] = true; r.Err != nil {
			continue
		}
		r.entry, r.Err = s.entryOf(p, ins[i])
		// What was done stays done, though its round be over by now.
		if old, ok := known[ins[i].RequestID]; ok {
			r.repeated, r.Err = s.again(r, old, &ins[i])
		}
	}
	if err := s.write(ctx, tx, rows); err != nil {
		return nil, err
	}
	if err := s.readAgain(ctx, tx, rows); err != nil {
		return nil, err
	}
	return rows, s.keep(ctx, tx, p, ins, rows)
}

// again answers a request that was made before: one that the person's standing
// refusal answered is answered so again, whatever stands by now.
func (s *Services) again(r *row, old store.Request, in *Input) (repeated bool, err error) {
	switch {
	case old.Method != method:
		return false, usher.Reused()
	case old.Hash == r.hash:
		return true, nil
	case old.Hash == s.refusedHash(in):
		r.office, r.View.Person, r.kept = old.Office, in.Person, true
		return false, desk.StandingRefusal()
	}
	return false, usher.Reused()
}

// refusedHash is the digest of a request that a standing refusal answered: who
// has only the database does not tell it from others.
func (s *Services) refusedHash(in *Input) [32]byte {
	return s.HashOf(struct {
		Refused bool
		Input   Input
	}{true, *in})
}

// entryOf checks what needs no file.
func (s *Services) entryOf(p access.Principal, in Input) (entry, error) {
	e := entry{Person: in.Person, Kind: in.Kind, Record: in.Record}
	now := s.Now()
	today := civil.In(now)
	if err := checkRecord(in.Kind, &in.Record, today); err != nil {
		return e, err
	}
	e.Record.Attempts, e.Record.By, e.Record.At = nil, p.ID, now
	var err error
	switch {
	case in.Kind == ledger.ThreeChecks:
		e.Period, err = s.round(in.Period, in.Record.Date)
	case settlesLater(&in):
		_, err = month(0, in.Record.Date, today)
		e.Period, e.Later = in.Period, true
	default:
		e.Period, err = month(in.Period, in.Record.Date, today)
	}
	return e, err
}

// round is the offer round that a record belongs to, which must be open.
func (s *Services) round(asked uint32, on civil.Date) (uint32, error) {
	r, err := s.openRound(asked)
	if err == nil && on.Before(r.From) {
		err = fault.Invalid("DATE_ORDER", "date before offer round %d begins", r.Number).Zh("服务日期早于本轮次的开始日期 %s", r.From).On("date")
	}
	return uint32(r.Number), err
}

func (s *Services) openRound(asked uint32) (policy.Round, error) {
	now := s.Now()
	if asked == 0 {
		r, ok := s.Policies.RoundAt(now)
		if !ok {
			return r, fault.Conflict("ROUND_NONE", "no offer round is open").Zh("目前没有正在进行的三查轮次").On("period")
		}
		return r, nil
	}
	r, err := s.Policies.Round(policy.RoundNumber(asked))
	switch {
	case err != nil:
		return r, fault.Invalid("OFFER_ROUND", "the policy knows no offer round %d", asked).Zh("没有这个三查轮次").On("period")
	case !r.Open(now):
		return r, fault.Conflict("ROUND_OVER", "offer round %d is not open now", asked).Zh("该轮次不在办理期内").On("period")
	}
	return r, nil
}

// month is the month that a record belongs to: that of its day, this one or the
// one before, which is still recorded.
func month(asked uint32, on, today civil.Date) (uint32, error) {
	m, now := number(on), number(today)
	switch {
	case asked != 0 && (asked%100 < 1 || asked%100 > 12):
		return m, fault.Invalid("PERIOD", "period %d is no month", asked).Zh("期次应为年月，如 202611").On("period")
	case asked != 0 && asked != m:
		return m, fault.Invalid("PERIOD", "date is not in month %d", asked).Zh("服务日期不在所填月份内").On("period")
	case m != now && m != number(civil.Date{Year: today.Year, Month: today.Month, Day: 1}.AddDays(-1)):
		return m, fault.Conflict("PERIOD_OVER", "month %d is over", m).Zh("只能登记本月和上月的服务").On("date")
	}
	return m, nil
}

func number(d civil.Date) uint32 { return uint32(d.Year)*100 + uint32(d.Month) }

func (s *Services) write(ctx context.Context, tx *store.Tx, rows []row) error {
	var entries []entry
	var at []int
	for i := range rows {
		if rows[i].Err == nil && !rows[i].repeated {
			entries, at = append(entries, rows[i].entry), append(at, i)
		}
	}
	if len(entries) == 0 {
		return nil
	}
	done, err := s.recordAll(ctx, tx, entries)
	if err != nil {
		return err
	}
	for n, d := range done {
		r := &rows[at[n]]
		r.office, r.Warnings, r.Err = d.Office, d.Warnings, d.Err
		r.View = View{Person: d.Person, Kind: entries[n].Kind, Period: entries[n].Period, Record: d.Record}
	}
	return nil
}

// readAgain shows repeated requests what stands now.
func (s *Services) readAgain(ctx context.Context, tx *store.Tx, rows []row) error {
	var ids []cases.PersonID
	for i := range rows {
		if rows[i].repeated {
			ids = append(ids, rows[i].entry.Person)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	roots, err := tx.Roots(ctx, ids)
	if err != nil {
		return err
	}
	var keys []store.ServiceKey
	for i := range rows {
		if e := rows[i].entry; rows[i].repeated {
			keys = append(keys, store.ServiceKey{Person: roots[e.Person], Kind: e.Kind, Period: e.Period})
		}
	}
	held, err := tx.Services(ctx, keys)
	if err != nil {
		return err
	}
	own, err := s.Book.PersonKeys(ctx, tx, slices.Collect(maps.Values(roots)))
	if err != nil {
		return err
	}
	for i := range rows {
		r := &rows[i]
		if !r.repeated {
			continue
		}
		k := store.ServiceKey{Person: roots[r.entry.Person], Kind: r.entry.Kind, Period: r.entry.Period}
		row, ok := held[k]
		if !ok || own[k.Person] == nil {
			r.View = View{Person: k.Person, Kind: k.Kind} // its period is over: it is done, and not shown
			continue
		}
		r.office, r.View = row.Office, View{Person: k.Person, Kind: k.Kind, Period: k.Period}
		if r.View.Record, err = book.OpenService(own[k.Person], &row); err != nil {
			return err
		}
	}
	return nil
}

// keep notes the requests and logs whom they were about: those refused as well,
// since a refusal tells something of the person.
func (s *Services) keep(ctx context.Context, tx *store.Tx, p access.Principal, ins []Input, rows []row) error {
	var requests []store.Request
	subjects := map[area.Key][][16]byte{}
	missed := false
	for i := range rows {
		r := &rows[i]
		if r.office != 0 {
			subjects[r.office] = append(subjects[r.office], r.View.Person)
		}
		missed = missed || fault.Is(r.Err, fault.KindNotFound)
		refused := desk.IsStandingRefusal(r.Err)
		if (r.Err == nil || refused) && !r.repeated && !r.kept {
			q := store.Request{Account: p.ID, RequestID: ins[i].RequestID, Office: r.office, Method: method, Hash: r.hash}
			if refused {
				q.Hash = s.refusedHash(&ins[i])
			}
			requests = append(requests, q)
		}
	}
	if len(requests) > 0 {
		if err := tx.AddRequests(ctx, requests); err != nil {
			return err
		}
	}
	return s.log(ctx, tx, p, access.ServiceWrite, method, subjects, missed)
}

// log writes one event an office, and one where somebody was not found.
func (s *Services) log(ctx context.Context, tx *store.Tx, p access.Principal, v access.Verb, purpose string, subjects map[area.Key][][16]byte, missed bool) error {
	for _, o := range slices.Sorted(maps.Keys(subjects)) {
		if err := tx.LogAccess(ctx, store.Access{Principal: p, Office: o, Verb: v, Purpose: purpose, Subjects: subjects[o]}); err != nil {
			return err
		}
	}
	if !missed {
		return nil
	}
	var office area.Key
	if len(p.Offices) > 0 {
		office = p.Offices[0]
	}
	return tx.LogAccess(ctx, store.Access{Principal: p, Office: office, Verb: v, Purpose: purpose})
}
