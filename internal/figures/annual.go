package figures

import (
	"context"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/people"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// Ages of "childbearing age" in full years at the reference date (DOMAIN section
// 5).
const (
	firstFertile = 15
	lastFertile  = 49
)

// counter is who opens files to count them: no account has its name.
var counter = access.Principal{ID: "job/count"}

// reportPage is how many files or records are open at once.
const reportPage = 500

// annualLines are the rows of 篇一, then the other rates. What the source report
// says of fines and unlawful births has no row (DOMAIN section 2).
var annualLines = []line{
	{code: "inflow", label: "流入人数"},
	{code: "inflow.women", label: "其中：育龄妇女（15—49周岁）", sensitive: true, of: "inflow"},
	{code: "verification.due", label: "应验证人数"},
	{code: "verification.done", label: "已验证人数"},
	{code: "verification.rate", label: "流入验证率", measure: rates.Verification},
	{code: "outflow", label: "流出人数"},
	{code: "outflow.women", label: "其中：已婚育龄妇女（15—49周岁）", sensitive: true, of: "outflow"},
	{code: "certificate.asked", label: "应办证人数（本人申请）"},
	{code: "certificate.issued", label: "已办证人数"},
	{code: "certificate.rate", label: "办证率", measure: rates.Certificate},
	{code: "service.pregnancy_iud", label: "孕情环情服务人次（已婚育龄妇女）", sensitive: true, of: "service.three_checks"},
	{code: "service.three_checks", label: "三查一治服务人次", sensitive: true},
	{code: "service.contraceptives", label: "药具发放人次", sensitive: true, monthly: true},
	{code: "visits", label: "来访件数"},
	{code: "visits.settled", label: "来访办结件数"},
	rateLine(rates.Visits), rateLine(rates.FiledInTime), rateLine(rates.Feedback), rateLine(rates.FeedbackOnTime), rateLine(rates.Checking),
	rateLine(rates.Registration), rateLine(rates.Offer), rateLine(rates.Contraceptives), rateLine(rates.FollowUp), rateLine(rates.BirthNotice),
	rateLine(rates.EffectiveContact), rateLine(rates.Pairing), rateLine(rates.Address), rateLine(rates.ID), rateLine(rates.Duplicate),
}

// overRounds and overBooks part the measures by where they are counted.
func overRounds() (out []rates.Measure) {
	for _, m := range rates.All() {
		if m.OfRounds() {
			out = append(out, m)
		}
	}
	return out
}

func overBooks() (out []rates.Measure) {
	for _, m := range rates.All() {
		if !m.OfRounds() {
			out = append(out, m)
		}
	}
	return out
}

func (f *Figures) annual(ctx context.Context, k area.Key, offices []area.Key, period policy.Period, at time.Time) ([]Figure, error) {
	tallies, err := f.tallies(ctx, offices, overRounds(), period, at)
	if err != nil {
		return nil, err
	}
	books, err := f.booksOf(ctx, offices, overBooks(), period, at)
	if err != nil {
		return nil, err
	}
	all := make([]values, len(offices))
	for i, o := range offices {
		v := values{}
		for m, t := range tallies[o] {
			v[m.String()+".rate"] = t.Ratio
		}
		for m, r := range books[o] {
			v[m.String()+".rate"] = r
		}
		v.count("verification.due", tallies[o][rates.Verification].D)
		v.count("verification.done", tallies[o][rates.Verification].N)
		v.count("certificate.asked", books[o][rates.Certificate].D)
		v.count("certificate.issued", books[o][rates.Certificate].N)
		if err := f.DB.InExchange(ctx, []area.Key{o}, func(tx *store.Tx) error { return f.ofLedger(ctx, tx, o, period, at, v) }); err != nil {
			return nil, err
		}
		all[i] = v
	}
	if len(offices) > 1 || k.Level() < area.Township {
		return sumOf(annualLines, k, all), nil
	}
	out := make([]Figure, len(annualLines))
	for i := range annualLines {
		out[i] = annualLines[i].figure(k, all[0][annualLines[i].code])
	}
	return out, nil
}

func (v values) count(code string, n int64) { v[code] = rates.Ratio{N: n} }

// referenceDay is the day on which ages are counted: the last of the period, or
// that of the report where the period is not over.
func referenceDay(period policy.Period, at time.Time) civil.Date {
	if today := civil.In(at); today.Before(period.To) {
		return today
	}
	return period.To.AddDays(-1)
}

// ofLedger counts what an office's files and services tell. Marital status lies
// in the sealed profile; files are opened a page at a time, counted, and shown
// to nobody.
func (f *Figures) ofLedger(ctx context.Context, tx *store.Tx, office area.Key, period policy.Period, at time.Time, v values) error {
	ref := referenceDay(period, at)
	opened := 0
	for _, moved := range []struct {
		kind    ledger.MovementKind
		code    string
		married bool
	}{{ledger.Arrive, "inflow", false}, {ledger.Leave, "outflow", true}} {
		ids, err := tx.MovedPersons(ctx, office, moved.kind, period.From, period.To, at)
		if err != nil {
			return err
		}
		persons, err := rootsOf(ctx, tx, ids)
		if err != nil {
			return err
		}
		women, err := f.women(ctx, tx, persons, ref, moved.married)
		if err != nil {
			return err
		}
		opened += len(persons)
		v.count(moved.code, int64(len(persons)))
		v.count(moved.code+".women", int64(len(women)))
	}
	checks, married, checked, err := f.threeChecks(ctx, tx, office, period, ref)
	if err != nil {
		return err
	}
	v.count("service.three_checks", checks)
	v.count("service.pregnancy_iud", married)
	// Files were opened to be counted, and shown to nobody: one event a run.
	opened += checked
	if opened > 0 {
		if err := tx.LogAccess(ctx, store.Access{Principal: counter, Office: office, Verb: access.PersonOpen, Purpose: "annual report", Count: opened}); err != nil {
			return err
		}
	}
	supplied, _, err := f.supplied(ctx, tx, office, ledger.Contraceptives, period)
	if err != nil {
		return err
	}
	v.count("service.contraceptives", supplied)
	settled, asked, err := f.supplied(ctx, tx, office, ledger.Visit, period)
	if err != nil {
		return err
	}
	v.count("visits", settled+asked)
	v.count("visits.settled", settled)
	return nil
}

// rootsOf returns people once each: files that were merged are one person.
func rootsOf(ctx context.Context, tx *store.Tx, ids []cases.PersonID) ([]cases.PersonID, error) {
	seen := make(map[cases.PersonID]bool, len(ids))
	out := make([]cases.PersonID, 0, len(ids))
	for len(ids) > 0 {
		page := ids[:min(reportPage, len(ids))]
		ids = ids[len(page):]
		roots, err := tx.Roots(ctx, page)
		if err != nil {
			return nil, err
		}
		for _, id := range page {
			if root := roots[id]; !seen[root] {
				seen[root] = true
				out = append(out, root)
			}
		}
	}
	return out, nil
}

// women returns which of people are women of childbearing age, with married only
// the married ones. Of erased files nothing is known any more.
func (f *Figures) women(ctx context.Context, tx *store.Tx, ids []cases.PersonID, ref civil.Date, married bool) (map[cases.PersonID]bool, error) {
	out := map[cases.PersonID]bool{}
	for len(ids) > 0 {
		page := ids[:min(reportPage, len(ids))]
		ids = ids[len(page):]
		rows, err := tx.PersonsByID(ctx, page)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			r := &rows[i]
			if r.Erased || ident.Sex(r.Sex) != ident.SexFemale || r.Birth.IsZero() {
				continue
			}
			if age := r.Birth.FullYears(ref); age < firstFertile || age > lastFertile {
				continue
			}
			if married {
				is, err := f.married(r)
				if err != nil {
					return nil, err
				}
				if !is {
					continue
				}
			}
			out[r.ID] = true
		}
	}
	return out, nil
}

func (f *Figures) married(r *store.PersonRow) (bool, error) {
	if r.Key == nil || r.Profile == nil {
		return false, nil
	}
	key, err := f.Keys.Data().Unwrap(book.PersonKeyAAD(r.ID), r.Key)
	if err != nil {
		return false, err
	}
	p, err := people.OpenProfile(key, r)
	return ident.Marital(p.Marital).Married(), err
}

// threeChecks counts the checks done in the rounds that began in the period, and
// those of married women of childbearing age among them. The former counts
// people who were erased since, the latter cannot. opened is how many files were
// opened for it.
func (f *Figures) threeChecks(ctx context.Context, tx *store.Tx, office area.Key, period policy.Period, ref civil.Date) (all, married int64, opened int, err error) {
	seen := map[policy.RoundNumber]bool{}
	for _, pol := range f.Policies.All() {
		for _, r := range pol.Rounds {
			if seen[r.Number] || !period.Holds(r.From) {
				continue
			}
			seen[r.Number] = true
			t, err := f.Services.Tally(ctx, tx, office, ledger.ThreeChecks, uint32(r.Number))
			if err != nil {
				return 0, 0, 0, err
			}
			if t.Of(ledger.OfferDone) == 0 {
				continue
			}
			all += t.Of(ledger.OfferDone)
			n, files, err := f.doneToMarried(ctx, tx, office, uint32(r.Number), ref)
			if err != nil {
				return 0, 0, 0, err
			}
			married += n
			opened += files
		}
	}
	return all, married, opened, nil
}

func (f *Figures) doneToMarried(ctx context.Context, tx *store.Tx, office area.Key, round uint32, ref civil.Date) (n int64, opened int, err error) {
	var after cases.PersonID
	for {
		rows, err := tx.ServicesOfPeriod(ctx, office, ledger.ThreeChecks, round, after, reportPage)
		if err != nil {
			return 0, 0, err
		}
		opened += len(rows)
		ids := make([]cases.PersonID, len(rows))
		for i := range rows {
			ids[i] = rows[i].Person
		}
		keys, err := f.Book.PersonKeys(ctx, tx, ids)
		if err != nil {
			return 0, 0, err
		}
		// All of them are looked at, whatever was decided (SECURITY D4).
		women, err := f.women(ctx, tx, ids, ref, true)
		if err != nil {
			return 0, 0, err
		}
		for i := range rows {
			key := keys[rows[i].Person]
			if key == nil || !women[rows[i].Person] {
				continue
			}
			r, err := book.OpenService(key, &rows[i])
			if err != nil {
				return 0, 0, err
			}
			if r.Result == ledger.OfferDone {
				n++
			}
		}
		if len(rows) < reportPage {
			return n, opened, nil
		}
		after = rows[len(rows)-1].Person
	}
}

// supplied counts the services of a kind in the months of a period: done, and
// asked for and not done.
func (f *Figures) supplied(ctx context.Context, tx *store.Tx, office area.Key, kind ledger.Service, period policy.Period) (done, asked int64, err error) {
	for m := policy.SpanMonth.Holding(period.From); m.From.Before(period.To); m = m.Next() {
		t, err := f.Services.Tally(ctx, tx, office, kind, uint32(m.From.Year*100+int(m.From.Month)))
		if err != nil {
			return 0, 0, err
		}
		done, asked = done+t.Of(ledger.OfferDone), asked+t.Of(ledger.OfferAsked)
	}
	return done, asked, nil
}
