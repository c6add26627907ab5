package figures

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
	"yipan/internal/usher"
)

// Part of a figure. Numbers are those of the API.
type Part uint8

// The parts. None is about what somebody decided.
const (
	Denominator Part = 1
	Numerator   Part = 2
	Missing     Part = 3 // in the denominator and not in the numerator
	Excluded    Part = 4
	Unreceipted Part = 5 // of now, whatever the period
)

// Round is one round of a case as an office's projection has it, without
// persons.
type Round struct {
	rates.Fact
	Case       cases.CaseID
	Office     area.Key
	Round      uint32
	Side       cases.Side
	X, Y       area.Key
	AnswerHeld time.Time
	Assigned   time.Time // given to a township by the receiver's county; zero: was not
	Extended   uint32    // days by which an outage put off the due
}

// Counterpart is the other side's area.
func (r *Round) Counterpart() area.Key {
	if r.Side == cases.SideOpener {
		return r.Y
	}
	return r.X
}

func roundOf(s *store.Side) Round {
	return Round{
		Fact: book.FactOf(s), Case: s.Case, Office: s.Office, Round: s.Round, Side: s.Side, X: s.X, Y: s.Y,
		AnswerHeld: s.AnswerHeld, Assigned: s.AssignedAt, Extended: s.Extended,
	}
}

// RoundsOf streams the rounds of offices, on one side, that fall due in a
// period. each must not use the database: the rows are still being read.
func (f *Figures) RoundsOf(ctx context.Context, offices []area.Key, side cases.Side, period policy.Period, each func(Round) error) error {
	return f.DB.InCounts(ctx, offices, func(tx *store.Tx) error {
		return tx.DueRounds(ctx, offices, side, period.From, period.To, func(s store.Side) error { return each(roundOf(&s)) })
	})
}

// CasesQuery asks for the rounds behind a figure.
type CasesQuery struct {
	Office      area.Key // 0: the caller's only one
	Period      policy.Period
	Kind        cases.Kind // 0: all that the measure counts
	Measure     rates.Measure
	Side        cases.Side // as in Query
	Part        Part       // 0: Denominator
	Counterpart area.Key   // at any level; 0: all
	PageSize    int        // 0: 100, at most 500
	PageToken   string
}

// Behind is one round behind a figure.
type Behind struct {
	Round
	rates.Class
	Standing rates.Standing
}

// CaseList is a page of rounds.
type CaseList struct {
	Office area.Key
	Period policy.Period
	Rounds []Behind
	Next   string
	Total  int64
}

const (
	casesPage    = 100
	casesAtMost  = 500
	tokenVersion = 1
)

// Cases lists the rounds behind a figure for the owning office alone: its ids
// lead to persons, whom nobody else reads (SECURITY D1). It shows times and
// codes, no person and no outcome.
func (f *Figures) Cases(ctx context.Context, p access.Principal, q CasesQuery) (CaseList, error) {
	var l CaseList
	if p.Role == access.County {
		f.LogDenied(ctx, p, access.RatesRead, q.Office)
		return l, fault.Denied("CASES_OF_OFFICE", "cases behind a figure are the owning office's").
			Zh("逐件清单只供本单位经办人查看；县级请看 rates 中按原因分列的件数").On("office")
	}
	office, err := f.Office(ctx, p, access.RatesRead, q.Office, "office")
	if err != nil {
		return l, err
	}
	if q.PageSize < 0 || q.PageSize > casesAtMost {
		return l, fault.Invalid("PAGE_SIZE", "page of %d, at most %d", q.PageSize, casesAtMost).Zh("每页最多 %d 条", casesAtMost).On("page_size")
	}
	q.PageSize = cmp.Or(q.PageSize, casesPage)
	now := f.Now()
	filter, err := q.filter(office, now)
	if err != nil {
		return l, err
	}
	l.Office, l.Period = office, q.Period
	if err := filter.after(q.PageToken); err != nil {
		return l, err
	}
	// As the desk sees them: what is about a restricted person is there for the
	// keepers alone (SECURITY D11), though it counts.
	err = f.In(ctx, p, func(tx *store.Tx) error {
		l.Rounds, l.Next = nil, ""
		rows, err := tx.RoundsBehind(ctx, filter.RoundFilter)
		if err != nil {
			return err
		}
		if len(rows) > q.PageSize {
			rows = rows[:q.PageSize]
			l.Next = pageToken(&rows[q.PageSize-1])
		}
		for i := range rows {
			s := rates.Standing(rows[i].Standing)
			l.Rounds = append(l.Rounds, Behind{Round: roundOf(&rows[i]), Standing: s, Class: s.Class(rows[i].Kind, rows[i].StandingDay, now, q.Period)})
		}
		l.Total, err = tx.CountBehind(ctx, filter.RoundFilter)
		return err
	})
	return l, err
}

type roundFilter struct{ store.RoundFilter }

// partStandings are the standings of each part of feedback and verification.
func partStandings(m rates.Measure, p Part) (out []uint8) {
	for _, s := range rates.Standings() {
		in := s != rates.Sent && s != rates.SentClosed && s != rates.Rerouted && s != rates.Withdrawn && s != rates.Closed
		n := s == rates.OnTime || s == rates.Late && m != rates.FeedbackOnTime
		if p == Denominator && in || p == Numerator && n || p == Missing && in && !n || p == Excluded && !in || p == Unreceipted && s == rates.Sent {
			out = append(out, uint8(s))
		}
	}
	return out
}

func (q *CasesQuery) filter(office area.Key, now time.Time) (*roundFilter, error) {
	if q.Measure == 0 {
		q.Measure = rates.Feedback
	}
	if !q.Measure.OfRounds() {
		return nil, fault.Invalid("MEASURE", "measure does not count cases").Zh("只有反馈率、及时反馈率和验证率可以逐件列出").On("measure")
	}
	if q.Part = cmp.Or(q.Part, Denominator); q.Part > Unreceipted {
		return nil, fault.Invalid("PART", "unknown part").Zh("没有这一部分").On("part")
	}
	if q.Kind != 0 && !q.Kind.Known() {
		return nil, fault.Invalid("CASE_KIND", "unknown kind of case").Zh("案件类型不正确").On("kind")
	}
	if _, ok := area.Lookup(q.Counterpart); q.Counterpart != 0 && !ok {
		return nil, fault.Invalid("AREA_UNKNOWN", "counterpart %s is unknown", q.Counterpart).Zh("对方区划不存在").On("counterpart")
	}
	if q.Period == (policy.Period{}) {
		q.Period = policy.PeriodOf(now, policy.SpanMonth)
	}
	side := cases.SideReceiver
	if q.Measure == rates.Verification {
		side = cases.SideOpener
	}
	f := &roundFilter{store.RoundFilter{
		Office: office, Side: cmp.Or(q.Side, side), Standings: partStandings(q.Measure, q.Part), From: q.Period.From, To: q.Period.To, Peer: q.Counterpart,
		Limit: q.PageSize + 1,
	}}
	for k := cases.Outflow; k.Known(); k++ {
		if q.Measure.Of(k) && (q.Kind == 0 || q.Kind == k) {
			f.Kinds = append(f.Kinds, k)
		}
	}
	if q.Part == Unreceipted {
		f.From, f.To = civil.FromDays(0), firstAwaited(now)
	}
	return f, nil
}

// pageToken is the position of a row: due, case and round.
func pageToken(s *store.Side) string {
	b := []byte{tokenVersion}
	due := int64(0)
	if !s.DueAt.IsZero() {
		due = s.DueAt.UnixMicro()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(due))
	b = append(b, s.Case[:]...)
	b = binary.BigEndian.AppendUint32(b, s.Round)
	return base64.RawURLEncoding.EncodeToString(b)
}

func (f *roundFilter) after(token string) error {
	if token == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) != 29 || b[0] != tokenVersion {
		return usher.OnField(fault.Invalid("PAGE_TOKEN", "page token is malformed").Zh("翻页标记不正确，请从第一页重新查询"), "page_token")
	}
	f.After = true
	if due := int64(binary.BigEndian.Uint64(b[1:])); due != 0 {
		f.AfterDue = time.UnixMicro(due)
	}
	f.AfterCase, f.AfterRound = cases.CaseID(bytes.Clone(b[9:25])), binary.BigEndian.Uint32(b[25:])
	return nil
}
