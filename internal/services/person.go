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
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// PersonServices shows the services of one person, the newest period first, and
// the kinds that the person refused once and for all. A miss is logged too.
func (s *Services) PersonServices(ctx context.Context, p access.Principal, id cases.PersonID, purpose string) (out []View, refused []ledger.Service, err error) {
	if err := s.Allow(ctx, p, access.ServiceRead, 0); err != nil {
		return nil, nil, err
	}
	var miss error
	err = s.In(ctx, p, func(tx *store.Tx) error {
		out, refused, miss = nil, nil, nil
		roots, err := tx.Roots(ctx, []cases.PersonID{id})
		if err != nil {
			return err
		}
		root := roots[id]
		groups, err := tx.Groups(ctx, []cases.PersonID{root})
		if err != nil {
			return err
		}
		files, err := tx.PersonsByID(ctx, groups[root])
		if err != nil {
			return err
		}
		var office area.Key
		if office, refused, err = s.standing(ctx, tx, files, root); err != nil {
			return err
		}
		if office == 0 {
			miss = people.NotFound().On("person_id")
			return s.log(ctx, tx, p, access.ServiceRead, purpose, nil, true)
		}
		if out, err = s.read(ctx, tx, groups[root]); err != nil {
			return err
		}
		return s.log(ctx, tx, p, access.ServiceRead, purpose, map[area.Key][][16]byte{office: {root}}, false)
	})
	if err == nil {
		err = miss
	}
	return out, refused, err
}

// read opens the services in a person's files.
func (s *Services) read(ctx context.Context, tx *store.Tx, files []cases.PersonID) (out []View, err error) {
	rows, err := tx.ServicesOf(ctx, files)
	if err != nil {
		return nil, err
	}
	keys, err := s.Book.PersonKeys(ctx, tx, files)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		row := &rows[i]
		if keys[row.Person] == nil {
			continue
		}
		r, err := book.OpenService(keys[row.Person], row)
		if err != nil {
			return nil, err
		}
		if r.Result != "" {
			out = append(out, View{Person: row.Person, Kind: row.Kind, Period: row.Period, Record: r})
		}
	}
	return out, nil
}

// standing returns the kinds that a person refused once and for all, by several
// merged files, and the office of the file that stands; 0: it is erased, or not
// there.
func (s *Services) standing(ctx context.Context, tx *store.Tx, files []store.PersonRow, root cases.PersonID) (office area.Key, out []ledger.Service, err error) {
	ids := make([]cases.PersonID, len(files))
	for i := range files {
		ids[i] = files[i].ID
	}
	keys, err := s.Book.PersonKeys(ctx, tx, ids)
	if err != nil {
		return 0, nil, err
	}
	for i := range files {
		f := &files[i]
		if keys[f.ID] == nil || f.Erased {
			continue
		}
		if f.ID == root {
			office = f.Office
		}
		profile, err := people.OpenProfile(keys[f.ID], f)
		if err != nil {
			return 0, nil, err
		}
		out = slices.AppendSeq(out, maps.Keys(profile.Refusals))
	}
	slices.Sort(out)
	return office, slices.Compact(out), nil
}

// SetStandingRefusal keeps that a person does not want a service offered again,
// or that the person changed that. No list is touched by it. It writes what a
// record writes, so that nothing in the database tells one from the other.
func (s *Services) SetStandingRefusal(ctx context.Context, p access.Principal, requestID string, id cases.PersonID, kind ledger.Service, refused bool) error {
	if err := s.Allow(ctx, p, access.ServiceWrite, 0); err != nil {
		return err
	}
	if err := usher.CheckRequestID(requestID); err != nil {
		return err
	}
	if !kind.Known() {
		return fault.Invalid("SERVICE_KIND", "unknown kind of service").Zh("服务类别代码不正确").On("kind")
	}
	req := store.Request{Account: p.ID, RequestID: requestID, Method: method, Hash: s.HashOf(struct {
		Person  cases.PersonID
		Kind    ledger.Service
		Refused bool
	}{id, kind, refused})}
	var problem error
	err := s.In(ctx, p, func(tx *store.Tx) error {
		problem = nil
		done, err := s.Repeated(ctx, tx, req)
		if err != nil || done {
			return err
		}
		e := entry{Person: id, Kind: kind, Standing: &refused}
		e.Under, e.Period = s.present(kind)
		e.Record.Date = civil.In(s.Now())
		out, err := s.recordAll(ctx, tx, []entry{e})
		if err != nil {
			return err
		}
		if problem = out[0].Err; problem != nil {
			return s.log(ctx, tx, p, access.ServiceWrite, method, nil, true)
		}
		req.Office = out[0].Office
		if err := tx.AddRequests(ctx, []store.Request{req}); err != nil {
			return err
		}
		return s.log(ctx, tx, p, access.ServiceWrite, method, map[area.Key][][16]byte{req.Office: {out[0].Person}}, false)
	})
	if err == nil {
		err = problem
	}
	return err
}

// present is where a standing refusal of a kind is written now: a kind and its
// period of which records can be written, too. Between offer rounds those of the
// three checks cannot, so that it goes by visits of the month.
func (s *Services) present(kind ledger.Service) (under ledger.Service, period uint32) {
	if kind == ledger.ThreeChecks {
		if r, ok := s.Policies.RoundAt(s.Now()); ok {
			return kind, uint32(r.Number)
		}
		kind = ledger.Visit
	}
	return kind, number(civil.In(s.Now()))
}
