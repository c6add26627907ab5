package policy

import (
	"slices"
	"sync/atomic"
	"time"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/fault"
)

// Set is several versions of the policy. It is safe for concurrent use, and is
// passed by pointer: Replace changes what all who hold it see, at once and whole.
type Set struct {
	byFrom atomic.Pointer[[]*Policy] // latest From first; never changed in place
}

// NewSet returns the set of the given policies. Of those in force on a day the
// one with the latest From is the one that applies, so a new version needs no
// change of the old one. Two with the same From or the same version, and an
// empty set, are Conflict and Invalid.
func NewSet(policies ...*Policy) (*Set, error) {
	if len(policies) == 0 {
		return nil, fault.Invalid("POLICY_NONE", "no policy given").Zh("至少要有一个政策文件")
	}
	s, byFrom := &Set{}, slices.Clone(policies)
	slices.SortFunc(byFrom, func(a, b *Policy) int { return b.From.Compare(a.From) })
	seen := map[string]bool{}
	for i, p := range byFrom {
		if seen[p.Version] {
			return nil, fault.Conflict("POLICY_VERSION", "policy version %s twice", p.Version).Zh("政策版本 %s 重复", p.Version)
		}
		seen[p.Version] = true
		if i > 0 && byFrom[i-1].From == p.From {
			return nil, fault.Conflict("POLICY_FROM", "policies %s and %s both begin on %s", byFrom[i-1].Version, p.Version, p.From).
				Zh("政策 %s 与 %s 的生效日相同（%s）", byFrom[i-1].Version, p.Version, p.From)
		}
	}
	s.byFrom.Store(&byFrom)
	return s, nil
}

// Replace makes s hold what another set holds. Who reads several times while it
// happens may see the old policies first and the new ones later; one answer is
// never a mixture.
func (s *Set) Replace(with *Set) { s.byFrom.Store(with.byFrom.Load()) }

func (s *Set) all() []*Policy { return *s.byFrom.Load() }

// All returns every policy, the latest From first.
func (s *Set) All() []*Policy { return slices.Clone(s.all()) }

// At returns the policy that applies on d; none is NotFound.
func (s *Set) At(d civil.Date) (*Policy, error) {
	for _, p := range s.all() {
		if p.InForce(d) {
			return p, nil
		}
	}
	return nil, fault.NotFound("POLICY_NONE", "no policy in force on %s", d).Zh("%s 没有生效的政策", d)
}

// ByVersion returns the policy under which a case was opened; an unknown one
// is NotFound.
func (s *Set) ByVersion(version string) (*Policy, error) {
	for _, p := range s.all() {
		if p.Version == version {
			return p, nil
		}
	}
	return nil, fault.NotFound("POLICY_VERSION", "no policy version %.40q", version).Zh("没有版本为“%.40s”的政策", version)
}

// ByDigest returns the policy that an item names; one of another node is
// NotFound, and need not be known to compute a due.
func (s *Set) ByDigest(d Digest) (*Policy, error) {
	for _, p := range s.all() {
		if p.Digest == d {
			return p, nil
		}
	}
	return nil, fault.NotFound("POLICY_DIGEST", "no policy with digest %s", d).Zh("没有指纹为 %s 的政策", d)
}

// LimitFor returns the limit that a case of kind opened on d from x to y
// carries, and the calendar that it is counted in.
func (s *Set) LimitFor(d civil.Date, kind string, x, y area.Key) (Limit, CalendarNo, error) {
	p, err := s.At(d)
	if err != nil {
		return Limit{}, NoCalendar, err
	}
	l, err := p.LimitFor(kind, x, y)
	return l, p.Calendar, err
}

// Round returns a round by number, of the latest policy that has it; an
// unknown one is NotFound.
func (s *Set) Round(n RoundNumber) (Round, error) {
	for _, p := range s.all() {
		if r, err := p.Round(n); err == nil {
			return r, nil
		}
	}
	return Round{}, unknownRound(n)
}

// RoundAt returns the round that is open at t under the policy of t's day.
func (s *Set) RoundAt(t time.Time) (Round, bool) {
	p, err := s.At(civil.In(t))
	if err != nil {
		return Round{}, false
	}
	return p.RoundAt(t)
}

// RoundsEnded returns the rounds whose end lies in (after, until], by end. A
// number that several policies give counts once, as the latest one has it.
func (s *Set) RoundsEnded(after, until time.Time) []Round {
	var out []Round
	seen := map[RoundNumber]bool{}
	for _, p := range s.all() {
		for _, r := range p.Rounds {
			if !seen[r.Number] && r.Ends.After(after) && !r.Ends.After(until) {
				out = append(out, r)
			}
			seen[r.Number] = true
		}
	}
	slices.SortFunc(out, func(a, b Round) int { return a.Ends.Compare(b.Ends) })
	return out
}
