package figures

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/ledger"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// What a person agreed to, whether the person was reached, and what was answered
// about somebody without a file, only keys open (SECURITY D4). It is counted by
// opening all of it, of one office, and the counts alone are kept, in memory,
// until something of it changes: cube book 6 counts changes.

// kept is what was counted last.
type kept struct {
	mu      sync.Mutex
	secrets map[area.Key]secretCounts
	nobody  map[area.Key]nobodyCounts
}

// secretCounts counts what people agreed to.
type secretCounts struct {
	change  int64
	until   time.Time // the counts hold before: somebody's consent ends, or a day
	took    time.Duration
	since   time.Time // by the machine's clock
	contact rates.Ratio
	births  map[civil.Date]rates.Ratio // by the last day of sending in time
}

// nobodyCounts counts people who live here, as was answered, and have no file.
type nobodyCounts struct {
	change   int64
	residing int64
	answers  map[cases.CaseID]answered
}

type answered struct {
	version  uint64
	residing bool
}

// slow is how long opening everything of an office may hold up whoever asks for
// figures; where it takes longer, the figures of up to stale ago are shown, and
// Refresh brings them up to date.
const (
	slow  = 20 * time.Millisecond
	stale = 2 * time.Second
)

// Refresh opens again what has changed of what only keys open, so that nobody
// waits for it who asks for figures, and returns of how many offices. It is for
// a job.
func (f *Figures) Refresh(ctx context.Context) (int64, error) {
	offices := f.Desk.Offices()
	if len(offices) == 0 {
		return 0, nil
	}
	var n int64
	now := f.Now()
	err := f.DB.InExchange(ctx, offices, func(tx *store.Tx) error {
		n = 0
		rows, err := tx.BookStandings(ctx, offices)
		if err != nil {
			return err
		}
		seen := changes{}
		for i := range rows {
			if r := &rows[i]; r.Book == store.BookChanges {
				seen.note(r)
			}
		}
		for o, c := range seen {
			if _, err := f.nobody(ctx, tx, o, c.nobody); err != nil {
				return err
			}
			if f.held(o, c.secrets, now, true) == nil {
				if _, err := f.secrets(ctx, tx, o, c.secrets, now, true); err != nil {
					return err
				}
				n++
			}
		}
		return nil
	})
	return n, err
}

func (c changes) note(r *store.BookCount) {
	s := c[r.Office]
	if r.Kind == 1 {
		s.secrets += r.N
	} else {
		s.nobody += r.N
	}
	c[r.Office] = s
}

// people adds the measures that need keys.
func (b *books) people(ctx context.Context, tx *store.Tx, seen changes) error {
	for _, o := range b.offices {
		c, any := seen[o]
		if !any {
			continue // nothing was ever recorded
		}
		if b.wants(rates.Registration) {
			n, err := b.f.nobody(ctx, tx, o, c.nobody)
			if err != nil {
				return err
			}
			b.add(o, rates.Registration, 0, n)
		}
		if !b.wants(rates.EffectiveContact, rates.BirthNotice) {
			continue
		}
		s := b.f.held(o, c.secrets, b.now, !b.live)
		if s == nil || !b.live {
			counted, err := b.f.secrets(ctx, tx, o, c.secrets, b.now, b.live)
			if err != nil {
				return err
			}
			s = &counted
		}
		b.add(o, rates.EffectiveContact, s.contact.N, s.contact.D)
		for due, r := range s.births {
			if b.period.Holds(due) {
				b.add(o, rates.BirthNotice, r.N, r.D)
			}
		}
	}
	return nil
}

// held returns the counts that are kept of an office, where they hold, or, unless
// exactly is set, did a moment ago; else nil.
func (f *Figures) held(o area.Key, change int64, now time.Time, exactly bool) *secretCounts {
	f.kept.mu.Lock()
	defer f.kept.mu.Unlock()
	s, ok := f.kept.secrets[o]
	if !ok {
		return nil
	}
	if s.change == change && now.Before(s.until) || !exactly && s.took > slow && time.Since(s.since) < stale {
		return &s
	}
	return nil
}

// secrets opens all consents and contact logs of an office and counts them as
// they stand at an instant.
func (f *Figures) secrets(ctx context.Context, tx *store.Tx, o area.Key, change int64, now time.Time, keep bool) (secretCounts, error) {
	begun := time.Now()
	s := secretCounts{change: change, until: civil.In(now).EndInstant(), since: begun, births: map[civil.Date]rates.Ratio{}}
	type birth struct {
		file             cases.PersonID
		given, withdrawn time.Time
		due              civil.Date
	}
	var births []birth
	agreed, reached := map[cases.PersonID]bool{}, map[cases.PersonID]bool{}
	merged := map[cases.PersonID]bool{}
	opened, err := tx.EachSecret(ctx, o, func(p *store.PersonSecrets) error {
		key, err := f.Keys.Data().Unwrap(book.PersonKeyAAD(p.File), p.Key)
		if err != nil {
			return err
		}
		if !p.Into.IsZero() {
			merged[p.File] = true
		}
		if p.Consent == nil {
			l, err := book.OpenContact(key, p.File, p.Contact)
			reached[p.File] = err == nil && l.ReachedBy(now)
			return err
		}
		c, err := book.OpenConsent(key, *p.Consent)
		switch {
		case err != nil:
			return err
		case c.AgreesTo(ledger.PurposeContact, now) && (o.Within(c.Recipient) || c.Recipient.Within(o)):
			agreed[p.File] = true
			if c.ValidUntil.Before(s.until) {
				s.until = c.ValidUntil
			}
		case c.Purpose == ledger.PurposeBirth && !c.GivenAt.After(now):
			births = append(births, birth{p.File, c.GivenAt, c.WithdrawnAt, f.birthDue(o, &c)})
		case c.Purpose == ledger.PurposeContact && c.GivenAt.After(now) && c.GivenAt.Before(s.until):
			s.until = c.GivenAt
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	root, err := tx.Roots(ctx, slices.Concat(slices.Collect(maps.Keys(merged)), slices.Collect(maps.Keys(opened))))
	if err != nil {
		return s, err
	}
	of := func(id cases.PersonID) cases.PersonID {
		if r, ok := root[id]; ok {
			return r
		}
		return id
	}
	// A file may outlive the one that it was merged into, whose person is erased.
	alive, err := tx.PersonKeys(ctx, slices.Collect(maps.Values(root)))
	if err != nil {
		return s, err
	}
	gone := func(id cases.PersonID) bool { return merged[id] && alive[of(id)] == nil }
	people, met := map[cases.PersonID]bool{}, map[cases.PersonID]bool{}
	for id := range agreed {
		if !gone(id) {
			people[of(id)] = true
		}
	}
	for id, yes := range reached {
		if yes {
			met[of(id)] = true
		}
	}
	for id := range people {
		s.contact.D++
		if met[id] {
			s.contact.N++
		}
	}
	sent := map[cases.PersonID][]time.Time{}
	for id, at := range opened {
		sent[of(id)] = append(sent[of(id)], at...)
	}
	for _, c := range births {
		if gone(c.file) {
			continue
		}
		r := s.births[c.due]
		went := slices.ContainsFunc(sent[of(c.file)], func(t time.Time) bool {
			return !t.Before(c.given) && !t.After(now) && (c.withdrawn.IsZero() || t.Before(c.withdrawn))
		})
		if !went && !c.withdrawn.IsZero() && !c.withdrawn.After(now) {
			continue
		}
		if r.D++; went {
			r.N++
		}
		s.births[c.due] = r
	}
	s.took = time.Since(begun)
	if keep {
		f.kept.mu.Lock()
		defer f.kept.mu.Unlock()
		if f.kept.secrets == nil {
			f.kept.secrets = map[area.Key]secretCounts{}
		}
		f.kept.secrets[o] = s
	}
	return s, nil
}

// birthDue is the last day on which the birth-service notice that a consent
// allows leaves in time.
func (f *Figures) birthDue(o area.Key, c *ledger.Consent) civil.Date {
	day := civil.In(c.GivenAt)
	pol, err := f.Policies.At(day)
	if err != nil {
		return day
	}
	limits, err := pol.LimitsFor(policy.Birth, o, c.Recipient)
	if err != nil || !limits.HasFile {
		return day
	}
	due, err := limits.File.Due(c.GivenAt, pol.Calendar)
	if err != nil {
		return day
	}
	return policy.DueDay(due)
}

// openedAtOnce is how many answers are opened at once.
const openedAtOnce = 500

// nobody counts the notices of an office that were answered RESIDING and paired
// with nobody. An answer is opened once.
func (f *Figures) nobody(ctx context.Context, tx *store.Tx, o area.Key, change int64) (int64, error) {
	f.kept.mu.Lock()
	last, ok := f.kept.nobody[o]
	f.kept.mu.Unlock()
	if ok && last.change == change {
		return last.residing, nil
	}
	held, err := tx.NobodyAnswered(ctx, o)
	if err != nil {
		return 0, err
	}
	now := nobodyCounts{change: change, answers: make(map[cases.CaseID]answered, len(held))}
	var ids []cases.CaseID
	for id, version := range held {
		if a, ok := last.answers[id]; ok && a.version == version {
			now.answers[id] = a
		} else {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b cases.CaseID) int { return bytes.Compare(a[:], b[:]) })
	for part := range slices.Chunk(ids, openedAtOnce) {
		cs, err := f.Book.Read(ctx, tx, part)
		if err != nil {
			return 0, err
		}
		var answers []cases.ItemID
		for _, c := range cs {
			if a := c.State.Answer; !a.IsZero() {
				answers = append(answers, a)
			}
		}
		bodies, err := f.Book.BodiesOf(ctx, tx, cs, answers)
		if err != nil {
			return 0, err
		}
		for id, c := range cs {
			a := bodies[c.State.Answer].Answer
			now.answers[id] = answered{held[id], a != nil && a.Outcome == cases.Residing}
		}
	}
	for _, a := range now.answers {
		if a.residing {
			now.residing++
		}
	}
	f.kept.mu.Lock()
	defer f.kept.mu.Unlock()
	if f.kept.nobody == nil {
		f.kept.nobody = map[area.Key]nobodyCounts{}
	}
	f.kept.nobody[o] = now
	return now.residing, nil
}
