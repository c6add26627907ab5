package figures

import (
	"context"
	"fmt"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/ledger"
	"yipan/internal/policy"
	"yipan/internal/store"
)

// DiffersTally is a sealed sum that is not the count of its records.
const DiffersTally = "tally"

// recountedMonths is how many months back a recount opens what tallies count.
const recountedMonths = 24

// bookKey names one sum of an office's own book.
type bookKey struct {
	office area.Key
	name   string
}

// recountBooks counts again what the sealed sums of the last two years count, by
// opening it; the open sums are RecountSums'. Records of erased people cannot
// be opened any more, and are taken from the tally. It may run beside the node's work: what differs is looked at
// again, and only a difference that stays is one.
func (f *Figures) recountBooks(ctx context.Context, offices []area.Key, r *Recounted) error {
	var found map[bookKey][2]int64
	for again := range 3 {
		now, compared, err := f.booksDiffer(ctx, offices)
		if err != nil {
			return err
		}
		if again == 0 {
			r.Sums += compared
			found = now
		}
		for k, v := range found {
			if w, ok := now[k]; !ok || w[1]-w[0] != v[1]-v[0] {
				delete(found, k)
			}
		}
		if len(found) == 0 {
			return nil
		}
	}
	for k, v := range found {
		r.add(Difference{What: DiffersTally, Office: k.office, Key: k.name, Kept: v[0], Counted: v[1]})
	}
	return nil
}

// booksDiffer returns what differs now, kept and counted, and of how many.
func (f *Figures) booksDiffer(ctx context.Context, offices []area.Key) (map[bookKey][2]int64, int64, error) {
	var sums map[bookKey][2]int64
	err := f.DB.InExchange(ctx, offices, func(tx *store.Tx) error {
		sums = map[bookKey][2]int64{}
		for _, o := range offices {
			if err := f.booksSealed(ctx, tx, o, sums); err != nil {
				return err
			}
		}
		return nil
	})
	n := int64(len(sums))
	for k, v := range sums {
		if v[0] == v[1] {
			delete(sums, k)
		}
	}
	return sums, n, err
}

// booksSealed compares the tallies of an office with what they count.
func (f *Figures) booksSealed(ctx context.Context, tx *store.Tx, o area.Key, sums map[bookKey][2]int64) error {
	m := policy.SpanMonth.Holding(civil.In(f.Now()))
	var periods []uint32
	for range recountedMonths {
		periods = append(periods, uint32(m.From.Year)*100+uint32(m.From.Month))
		m = m.Previous()
	}
	// Due later than recorded: visits of this month fall due in the next ones.
	visits := append([]uint32{}, periods...)
	next := policy.SpanMonth.Holding(civil.In(f.Now()))
	for range recountedMonths {
		next = next.Next()
		visits = append(visits, uint32(next.From.Year)*100+uint32(next.From.Month))
	}
	kinds := []ledger.Service{ledger.Contraceptives, ledger.FollowUp, ledger.Entitlement, ledger.Visit}
	ts, err := f.Book.Tallies(ctx, tx, []area.Key{o}, kinds, periods)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		for _, p := range periods {
			k := book.TallyKey{Office: o, Kind: kind, Period: p}
			counted, err := f.Services.Recount(ctx, tx, o, kind, p)
			if err != nil {
				return err
			}
			t := ts[k]
			note(sums, k, t.Living, counted)
		}
	}
	counted := map[uint32]ledger.Counts{}
	oldest := periods[len(periods)-1]
	for _, p := range periods {
		if err := f.visitsOf(ctx, tx, o, p, counted); err != nil {
			return err
		}
	}
	if ts, err = f.Book.Tallies(ctx, tx, []area.Key{o}, []ledger.Service{ledger.VisitDue}, visits); err != nil {
		return err
	}
	for _, p := range visits {
		if p > oldest+1 { // visits of the month before the oldest are not opened
			k := book.TallyKey{Office: o, Kind: ledger.VisitDue, Period: p}
			t := ts[k]
			note(sums, k, t.Living, counted[p])
		}
	}
	return f.answersOf(ctx, tx, o, periods, sums)
}

func note(sums map[bookKey][2]int64, k book.TallyKey, kept, counted ledger.Counts) {
	for _, c := range []struct {
		of   ledger.Counts
		part int
	}{{kept, 0}, {counted, 1}} {
		for _, n := range c.of {
			// All results together: a difference is reported without saying of which.
			key := bookKey{k.Office, fmt.Sprintf("tally kind=%d period=%d", k.Kind, k.Period)}
			v := sums[key]
			v[c.part] += n
			sums[key] = v
		}
	}
	for result, n := range kept {
		if counted[result] != n {
			key := bookKey{k.Office, fmt.Sprintf("tally kind=%d period=%d by result", k.Kind, k.Period)}
			sums[key] = [2]int64{0, 1}
		}
	}
}

// visitsOf opens the visits of a month.
func (f *Figures) visitsOf(ctx context.Context, tx *store.Tx, o area.Key, month uint32, counted map[uint32]ledger.Counts) error {
	var after cases.PersonID
	for {
		rows, err := tx.ServicesOfPeriod(ctx, o, ledger.Visit, month, after, openedAtOnce)
		if err != nil {
			return err
		}
		ids := make([]cases.PersonID, len(rows))
		for i := range rows {
			ids[i] = rows[i].Person
		}
		keys, err := f.Book.PersonKeys(ctx, tx, ids)
		if err != nil {
			return err
		}
		for i := range rows {
			if keys[rows[i].Person] == nil {
				continue
			}
			rec, err := book.OpenService(keys[rows[i].Person], &rows[i])
			if err != nil {
				return err
			}
			if due, state := rec.VisitMonth(); state != "" {
				if counted[due] == nil {
					counted[due] = ledger.Counts{}
				}
				counted[due][state]++
			}
		}
		if len(rows) < openedAtOnce {
			return nil
		}
		after = rows[len(rows)-1].Person
	}
}

// answersOf opens what an office alone knows of its answers. Of erased cases
// nothing is left to open, so that a tally may count more.
func (f *Figures) answersOf(ctx context.Context, tx *store.Tx, o area.Key, periods []uint32, sums map[bookKey][2]int64) error {
	counted := map[uint32]ledger.Counts{}
	var after cases.CaseID
	for {
		rows, err := tx.AnswersOf(ctx, o, after, openedAtOnce)
		if err != nil {
			return err
		}
		for i := range rows {
			p, err := f.Book.OpenPrivate(rows[i].Case, rows[i].Private)
			if err != nil {
				return err
			}
			if p.Month == 0 {
				continue
			}
			if counted[p.Month] == nil {
				counted[p.Month] = ledger.Counts{}
			}
			if p.Check != "" {
				counted[p.Month][ledger.CheckedYes]++
			} else {
				counted[p.Month][ledger.CheckedNo]++
			}
		}
		if len(rows) < openedAtOnce {
			break
		}
		after = rows[len(rows)-1].Case
	}
	ts, err := f.Book.Tallies(ctx, tx, []area.Key{o}, []ledger.Service{ledger.Answered}, periods)
	if err != nil {
		return err
	}
	for _, p := range periods {
		t := ts[book.TallyKey{Office: o, Kind: ledger.Answered, Period: p}]
		for _, result := range []string{ledger.CheckedYes, ledger.CheckedNo} {
			kept, n := t.Living[result], counted[p][result]
			if kept > n {
				kept = n // erased
			}
			if n != 0 {
				sums[bookKey{o, fmt.Sprintf("answers %s period=%d", result, p)}] = [2]int64{kept, n}
			}
		}
	}
	return nil
}
