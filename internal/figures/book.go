package figures

import (
	"context"
	"time"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/civil"
	"yipan/internal/ledger"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// live is how old an instant may be for figures to be read from the sums, which
// are those of this moment; for an older one what has its times is counted one
// by one.
const live = 2 * time.Second

// books is one computation of rates from offices' own books.
type books struct {
	f       *Figures
	offices []area.Key
	wanted  map[rates.Measure]bool
	period  policy.Period
	now     time.Time
	live    bool
	out     map[area.Key]map[rates.Measure]rates.Ratio
}

// bookRatios returns the measures of ms that offices' own books hold: all but
// those of rounds and of pairing, which are left out. Each office has each
// measure, 0/0 where it has nothing. See rates.Measure for what each is, and for
// which of them an earlier instant can be told from now.
func (f *Figures) bookRatios(ctx context.Context, offices []area.Key, ms []rates.Measure, period policy.Period, now time.Time) (map[area.Key]map[rates.Measure]rates.Ratio, error) {
	b := &books{f: f, offices: offices, wanted: map[rates.Measure]bool{}, period: period, now: now, live: now.After(f.Now().Add(-live))}
	for _, m := range ms {
		if m.Known() && !m.OfRounds() && m != rates.Pairing {
			b.wanted[m] = true
		}
	}
	if len(b.wanted) == 0 || len(offices) == 0 {
		return map[area.Key]map[rates.Measure]rates.Ratio{}, nil
	}
	err := f.DB.InExchange(ctx, offices, func(tx *store.Tx) error {
		b.out = make(map[area.Key]map[rates.Measure]rates.Ratio, len(offices))
		for _, o := range offices {
			b.out[o] = make(map[rates.Measure]rates.Ratio, len(b.wanted))
			for m := range b.wanted {
				b.out[o][m] = rates.Ratio{}
			}
		}
		for _, part := range []func(context.Context, *store.Tx) error{b.files, b.filed, b.tallies} {
			if err := part(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	return b.out, err
}

func (b *books) wants(ms ...rates.Measure) bool {
	for _, m := range ms {
		if b.wanted[m] {
			return true
		}
	}
	return false
}

func (b *books) add(o area.Key, m rates.Measure, n, d int64) {
	if !b.wanted[m] || b.out[o] == nil {
		return
	}
	r := b.out[o][m]
	r.N += n
	r.D += d
	b.out[o][m] = r
}

// changes is how often what only keys open has changed, by office.
type changes map[area.Key]struct{ secrets, nobody int64 }

// files are the measures over open files and over people.
func (b *books) files(ctx context.Context, tx *store.Tx) error {
	if !b.wants(rates.Address, rates.ID, rates.Duplicate, rates.Registration, rates.EffectiveContact, rates.BirthNotice) {
		return nil
	}
	rows, err := tx.BookStandings(ctx, b.offices)
	if err != nil {
		return err
	}
	seen := changes{}
	for i := range rows {
		r := &rows[i]
		if r.Book == store.BookChanges {
			seen.note(r)
			continue
		}
		village, doc := (r.Standing-1)&1 != 0, (r.Standing-1)&2 != 0
		b.add(r.Office, rates.Address, when(village, r.N), r.N)
		b.add(r.Office, rates.ID, when(doc, r.N), r.N)
		b.add(r.Office, rates.Duplicate, 0, r.N)
		b.add(r.Office, rates.Registration, when(r.Side == 1, r.N), when(r.Side == 1, r.N))
	}
	if b.wants(rates.Duplicate) {
		found, err := tx.CountDuplicates(ctx, b.offices)
		if err != nil {
			return err
		}
		for o, n := range found {
			b.add(o, rates.Duplicate, n, 0)
		}
	}
	return b.people(ctx, tx, seen)
}

func when(yes bool, n int64) int64 {
	if yes {
		return n
	}
	return 0
}

// filed are the measures over movements and certificates.
func (b *books) filed(ctx context.Context, tx *store.Tx) error {
	if !b.wants(rates.FiledInTime, rates.Certificate) {
		return nil
	}
	count := func() ([]store.BookCount, error) { return tx.BookPeriod(ctx, b.offices, b.period) }
	if !b.live {
		count = func() ([]store.BookCount, error) { return tx.BookAt(ctx, b.offices, b.period, b.now) }
	}
	rows, err := count()
	for i := range rows {
		switch r := &rows[i]; r.Book {
		case store.BookMovements:
			b.add(r.Office, rates.FiledInTime, when(r.Standing == 1, r.N), r.N)
		case store.BookCertificates:
			b.add(r.Office, rates.Certificate, when(r.Standing == 2, r.N), r.N)
		}
	}
	return err
}

// months are the whole months of a period, as tallies name them.
func months(p policy.Period) (out []uint32) {
	m := policy.SpanMonth.Holding(p.From)
	if m.From.Before(p.From) {
		m = m.Next()
	}
	for ; !m.To.After(p.To); m = m.Next() {
		out = append(out, uint32(m.From.Year)*100+uint32(m.From.Month))
	}
	return out
}

// tallies are the measures over sealed sums.
func (b *books) tallies(ctx context.Context, tx *store.Tx) error {
	kinds := map[ledger.Service]rates.Measure{
		ledger.Answered: rates.Checking, ledger.VisitDue: rates.Visits, ledger.Contraceptives: rates.Contraceptives, ledger.FollowUp: rates.FollowUp,
	}
	var asked []ledger.Service
	for k, m := range kinds {
		if b.wanted[m] {
			asked = append(asked, k)
		}
	}
	periods := months(b.period)
	var rounds []policy.Round
	if b.wanted[rates.Offer] {
		rounds = b.rounds()
		for _, r := range rounds {
			periods = append(periods, uint32(r.Number))
		}
		asked = append(asked, ledger.ThreeChecks)
	}
	if len(asked) == 0 {
		return nil
	}
	ts, err := b.f.Book.Tallies(ctx, tx, b.offices, asked, periods)
	if err != nil {
		return err
	}
	for k, t := range ts {
		switch k.Kind {
		case ledger.Answered:
			yes := t.Of(ledger.CheckedYes)
			b.add(k.Office, rates.Checking, yes, yes+t.Of(ledger.CheckedNo))
		case ledger.VisitDue:
			yes := t.Of(ledger.VisitSettled)
			b.add(k.Office, rates.Visits, yes, yes+t.Of(ledger.VisitLate)+t.Of(ledger.VisitOpen))
		case ledger.Contraceptives, ledger.FollowUp:
			done := t.Of(ledger.OfferDone)
			b.add(k.Office, kinds[k.Kind], done, done+t.Of(ledger.OfferAsked))
		}
	}
	return b.offers(ctx, tx, rounds, ts)
}

// rounds are the offer rounds whose last day lies in the period and that have
// begun.
func (b *books) rounds() (out []policy.Round) {
	seen := map[policy.RoundNumber]bool{}
	for _, p := range b.f.Policies.All() {
		for _, r := range p.Rounds {
			if !seen[r.Number] && b.period.Holds(policy.DueDay(r.Ends)) && !r.Begins().After(b.now) {
				out = append(out, r)
			}
			seen[r.Number] = true
		}
	}
	return out
}

func (b *books) offers(ctx context.Context, tx *store.Tx, rounds []policy.Round, ts map[book.TallyKey]ledger.Tally) error {
	if len(rounds) == 0 {
		return nil
	}
	day := civil.In(b.now)
	pol, err := b.f.Policies.At(day)
	if err != nil {
		return err
	}
	sexes := []uint32{pol.OfferScope.Sex}
	if pol.OfferScope.Sex == policy.AnySex {
		sexes = []uint32{0, 1, 2, 9}
	}
	first, last := pol.OfferScope.Born(day)
	living, err := tx.CountResidents(ctx, b.offices, sexes, first, last)
	if err != nil {
		return err
	}
	for _, r := range rounds {
		for _, o := range b.offices {
			t := ts[book.TallyKey{Office: o, Kind: ledger.ThreeChecks, Period: uint32(r.Number)}]
			n := t.Of(ledger.OfferAsked) + t.Of(ledger.OfferDone) + t.Of(ledger.OfferDeclined) + t.Of(ledger.OfferStandingRefusal)
			b.add(o, rates.Offer, n, max(n, living[o]-t.Of(ledger.OfferNotApplicable)))
		}
	}
	return nil
}
