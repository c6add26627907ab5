package services

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// entry is one service to record in a person's file.
type entry struct {
	Person cases.PersonID
	Kind   ledger.Service
	// Under, where not 0, is the kind whose row is written for Standing in place of
	// Kind's: between offer rounds nothing but this could rewrite one of those.
	Under ledger.Service
	// Period is an offer round (year × 10 + number) or a month (year × 100 +
	// month).
	Period uint32
	Record ledger.ServiceRecord
	// Origin is the area that the record's consent must cover; 0: any.
	Origin area.Key
	// Standing changes the standing refusal and records nothing; nil: Record says.
	Standing *bool
	// Later: a visit of an earlier month is settled.
	Later bool
}

// done is what became of an entry.
type done struct {
	Person   cases.PersonID // the file; of a merged one, that which it went into
	Office   area.Key
	Record   ledger.ServiceRecord // as it stands now
	Warnings []string             // Chinese
	Err      error                // why it was refused; nothing of it was recorded
}

// recordAll records services, each by itself: what is wrong with one does
// not touch the others. What is written and locked does not depend on any
// result (SECURITY D4): of each person the consents are kept, the row with its
// profile is rewritten, and so are the service and its tally. Entries have been
// checked for what needs no file; the caller has authorised, and logs.
func (s *Services) recordAll(ctx context.Context, tx *store.Tx, entries []entry) ([]done, error) {
	r := &recording{
		s: s, tx: tx, profiles: map[cases.PersonID]*ledger.Profile{}, touched: map[cases.PersonID]bool{},
		now: map[store.ServiceKey]ledger.ServiceRecord{}, changes: map[book.TallyKey][]func(*ledger.Tally){},
	}
	if err := r.load(ctx, entries); err != nil {
		return nil, err
	}
	out := make([]done, len(entries))
	for i := range entries {
		d := &out[i]
		d.Person = r.roots[entries[i].Person]
		if err := r.one(ctx, &entries[i], d); err != nil {
			if k := fault.Of(err); k == fault.KindInternal || k == fault.KindUnavailable {
				return nil, err
			}
			d.Err = err
		}
	}
	return out, r.write(ctx)
}

// recording is one call of recordAll.
type recording struct {
	s        *Services
	tx       *store.Tx
	roots    map[cases.PersonID]cases.PersonID
	groups   map[cases.PersonID][]cases.PersonID
	consents map[cases.ConsentID]ledger.Consent
	files    map[cases.PersonID]store.ServedFile
	keys     map[cases.PersonID]*seal.DataKey
	rows     map[store.ServiceKey]store.Service

	profiles map[cases.PersonID]*ledger.Profile
	touched  map[cases.PersonID]bool
	now      map[store.ServiceKey]ledger.ServiceRecord
	changes  map[book.TallyKey][]func(*ledger.Tally)
}

// load locks: consents before people, and people in order of their ids.
func (r *recording) load(ctx context.Context, entries []entry) (err error) {
	named := map[cases.PersonID]bool{}
	for _, e := range entries {
		named[e.Person] = true
	}
	if r.roots, err = r.tx.Roots(ctx, slices.Collect(maps.Keys(named))); err != nil {
		return err
	}
	roots := slices.SortedFunc(maps.Values(r.roots), func(a, b cases.PersonID) int { return bytes.Compare(a[:], b[:]) })
	roots = slices.Compact(roots)
	if r.groups, err = r.tx.Groups(ctx, roots); err != nil {
		return err
	}
	var all []cases.PersonID
	for _, g := range r.groups {
		all = append(all, g...)
	}
	if r.consents, err = r.s.Book.ConsentsOf(ctx, r.tx, all); err != nil {
		return err
	}
	if r.files, err = r.tx.LockFiles(ctx, all); err != nil {
		return err
	}
	if r.keys, err = r.s.Book.PersonKeys(ctx, r.tx, all); err != nil {
		return err
	}
	rows, err := r.tx.PersonsByID(ctx, all)
	if err != nil {
		return err
	}
	for i := range rows {
		if key := r.keys[rows[i].ID]; key != nil {
			f, err := people.OpenProfile(key, &rows[i])
			if err != nil {
				return err
			}
			r.profiles[rows[i].ID] = &f
		}
	}
	var keys []store.ServiceKey
	for i := range entries {
		keys = append(keys, r.key(&entries[i]))
	}
	r.rows, err = r.tx.Services(ctx, keys)
	return err
}

func (e *entry) row() ledger.Service {
	if e.Under != 0 {
		return e.Under
	}
	return e.Kind
}

func (r *recording) key(e *entry) store.ServiceKey {
	return store.ServiceKey{Person: r.roots[e.Person], Kind: e.row(), Period: e.Period}
}

func (r *recording) one(ctx context.Context, e *entry, d *done) error {
	file, ok := r.files[d.Person]
	if !ok || r.profiles[d.Person] == nil {
		return people.NotFound().On("person_id")
	}
	d.Office = file.Office
	if err := r.consent(ctx, e, d.Person); err != nil {
		return err
	}
	old, err := r.stands(r.key(e))
	if err != nil {
		return err
	}
	if err := r.visit(e, &old); err != nil {
		return err
	}
	switch refused := r.refused(e.Kind, d.Person); {
	case e.Standing != nil:
	case file.Presence == ledger.Dead:
		return fault.Conflict("PERSON_DEAD", "the person died").Zh("该人员已登记死亡，不再登记服务").On("person_id")
	case refused && e.Record.Result != ledger.OfferStandingRefusal:
		// What was there is written again, so that this is a write like any other.
		d.Record = old
		r.put(e, d, old)
		return desk.StandingRefusal()
	case refused:
		d.Warnings = append(d.Warnings, "本人此前已表示不再接受此项服务，意愿继续有效")
	}
	if e.Standing == nil && (file.Presence == ledger.Outflow || file.Presence == ledger.Gone) {
		d.Warnings = append(d.Warnings, "台帐记载此人现不在本地居住，请核对")
	}
	d.Record = old
	if e.Standing == nil {
		d.Record = old.Replace(e.Record)
	}
	if _, err := ledger.Encode(d.Record, ledger.ServiceBytes); err != nil {
		return err
	}
	r.settle(e, d.Person)
	r.put(e, d, old)
	return nil
}

// refused reports whether the person refused a kind once and for all, in
// whichever of several merged files that stands.
func (r *recording) refused(kind ledger.Service, root cases.PersonID) bool {
	return slices.ContainsFunc(r.groups[root], func(id cases.PersonID) bool {
		f := r.profiles[id]
		if f == nil {
			return false
		}
		_, ok := f.Refusals[kind]
		return ok
	})
}

// settle keeps in the profile what the person said once and for all, and takes
// it out of every file where the person changed it.
func (r *recording) settle(e *entry, root cases.PersonID) {
	refuses := e.Standing != nil && *e.Standing || e.Standing == nil && e.Record.Result == ledger.OfferStandingRefusal
	switch {
	case refuses && !r.refused(e.Kind, root):
		p := r.profiles[root]
		if p.Refusals = maps.Clone(p.Refusals); p.Refusals == nil {
			p.Refusals = map[ledger.Service]civil.Date{}
		}
		p.Refusals[e.Kind] = e.Record.Date
	case e.Standing != nil && !*e.Standing:
		for _, id := range r.groups[root] {
			if p := r.profiles[id]; p != nil {
				p.Refusals = maps.Clone(p.Refusals)
				delete(p.Refusals, e.Kind)
			}
		}
	}
}

func (r *recording) put(e *entry, d *done, old ledger.ServiceRecord) {
	for _, id := range r.groups[d.Person] {
		if r.profiles[id] != nil {
			r.touched[id] = true
		}
	}
	r.now[r.key(e)] = d.Record
	from, to := old.Result, d.Record.Result
	k := book.TallyKey{Office: d.Office, Kind: e.row(), Period: e.Period}
	r.changes[k] = append(r.changes[k], func(t *ledger.Tally) { t.Move(from, to) })
	if e.row() != ledger.ThreeChecks {
		r.countVisit(e, d, &old)
		return
	}
	f := r.files[d.Person]
	if d.Record.Closed() {
		f.OfferedRound = max(f.OfferedRound, e.Period)
	} else if f.OfferedRound == e.Period {
		f.OfferedRound = before(e.Period)
	}
	r.files[d.Person] = f
}

// before is the offer round before one; three make a year.
func before(round uint32) uint32 {
	if round%10 > 1 {
		return round - 1
	}
	return (round/10-1)*10 + 3
}

// stands is the record that stands under a key; the zero one where none does.
func (r *recording) stands(k store.ServiceKey) (ledger.ServiceRecord, error) {
	if now, ok := r.now[k]; ok {
		return now, nil
	}
	row, ok := r.rows[k]
	if !ok {
		return ledger.ServiceRecord{}, nil
	}
	return book.OpenService(r.keys[k.Person], &row)
}

// consent checks the consent that a record cites. Another's is told apart from
// none at all, as everywhere.
func (r *recording) consent(ctx context.Context, e *entry, root cases.PersonID) error {
	id := e.Record.Consent
	if id.IsZero() {
		return nil
	}
	c, ok := r.consents[id]
	if !ok {
		others, err := r.s.Book.Consents(ctx, r.tx, []cases.ConsentID{id})
		if err != nil {
			return err
		}
		if c, ok = others[id]; !ok {
			return fault.Invalid("CONSENT_UNKNOWN", "consent %s is not held by this office", id).Zh("没有找到该同意书").On("consent_id")
		}
	}
	to := e.Origin
	if to == 0 {
		to = c.Recipient
	}
	switch {
	case !slices.Contains(r.groups[root], c.Person):
		return fault.Invalid("CONSENT_PERSON", "consent %s is of another person", id).Zh("该同意书不属于此人").On("consent_id")
	case !c.WithdrawnAt.IsZero():
		return fault.Invalid("CONSENT_WITHDRAWN", "consent %s was withdrawn", id).Zh("本人已撤回该同意").On("consent_id")
	case !c.Covers(ledger.PurposeFeedback, to, r.s.Now()):
		return fault.Invalid("CONSENT_SCOPE", "consent %s does not cover purpose, recipient or time", id).Zh("该同意书的用途、接收方或有效期不适用").On("consent_id")
	}
	return nil
}

// write rewrites people, services and, last, tallies.
func (r *recording) write(ctx context.Context) error {
	ids := slices.SortedFunc(maps.Keys(r.touched), func(a, b cases.PersonID) int { return bytes.Compare(a[:], b[:]) })
	profiles, rounds := make([][]byte, len(ids)), make([]uint32, len(ids))
	for i, id := range ids {
		var err error
		if profiles[i], err = people.SealProfile(r.keys[id], id, r.profiles[id]); err != nil {
			return err
		}
		rounds[i] = r.files[id].OfferedRound
	}
	if err := r.tx.Served(ctx, ids, profiles, rounds); err != nil {
		return err
	}
	var rows []store.Service
	for k, rec := range r.now {
		row, err := book.SealService(r.keys[k.Person], k, r.files[k.Person].Office, &rec)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b store.Service) int { return bytes.Compare(a.Person[:], b.Person[:]) })
	if err := r.tx.PutServices(ctx, rows); err != nil {
		return err
	}
	return r.s.Book.ChangeTallies(ctx, r.tx, r.changes)
}
