package roster

import (
	"yipan/internal/area"
	"yipan/internal/cases"
)

// part is one of the kinds that a group falls into, with its share per mille.
type part[T any] struct {
	share int
	value T
}

// split gives each of n a value, in the order of parts; the last takes what is
// left. Callers pass people in random order.
func split[T any](n int, parts []part[T]) []T {
	vs := make([]T, 0, n)
	for i, p := range parts {
		k := share(n, p.share)
		if i == len(parts)-1 {
			k = n
		}
		for range k {
			if len(vs) < n {
				vs = append(vs, p.value)
			}
		}
	}
	return vs
}

// Who did not consent to be confirmed is not disclosed, and the residence keeps
// why; the same four reasons occur with those who consented and think otherwise
// when asked.
var reasons = []part[string]{{150, "declined"}, {250, "unavailable"}, {150, "not_offered"}, {450, "withheld"}}

// What is found of those who consented and have a right address.
var findings = []part[cases.Outcome]{
	{70, cases.MovedOn}, {60, cases.NotFound}, {60, cases.Unreachable}, {50, cases.NoDisclosure}, {760, cases.Residing},
}

var offers = []part[Offer]{
	{290, Offer{Result: "done", Release: true}}, {260, Offer{Result: "done"}}, {200, Offer{Result: "declined"}},
	{50, Offer{Result: "standing_refusal"}}, {120, Offer{Result: "not_reached"}}, {80, Offer{Result: "not_applicable"}},
}

// truths says what is found of each who left.
func (m *maker) truths(people []Person) {
	order := m.r.Perm(len(people))
	wrong := share(len(people), m.Wrong)
	m.misroute(people, order[:wrong])
	var consented, others []int
	for _, i := range order[wrong:] {
		if people[i].Row.Confirm {
			consented = append(consented, i)
		} else {
			others = append(others, i)
		}
	}
	for n, o := range split(len(consented), findings) {
		people[consented[n]].Truth.Answer = m.answer(o)
	}
	for _, i := range others {
		people[i].Truth.Answer = Answer{Outcome: cases.NoDisclosure}
	}
	m.tell(people, order[wrong:])
	m.reasons(people, order)
	m.offer(people, order)
}

// misroute lets people live in the third county, or nobody knows where.
func (m *maker) misroute(people []Person, who []int) {
	unknown := share(len(who), m.NoPlace)
	for n, i := range who {
		t := &people[i].Truth
		t.Answer.Outcome = cases.Misrouted
		if n < unknown {
			continue
		}
		t.Answer.Area = []area.Key{m.Third, m.ThirdTownship}[n%2]
		t.Rerouted = Answer{Outcome: cases.NoDisclosure}
		if people[i].Row.Confirm {
			t.Rerouted = m.answer(cases.Residing)
		}
	}
}

// answer fills in what goes with an outcome.
func (m *maker) answer(o cases.Outcome) Answer {
	a := Answer{Outcome: o}
	switch o {
	case cases.Residing:
		a.Check = pick(m.r, "visit", "call", "document")
	case cases.NotFound:
		a.Check = "visit"
	case cases.MovedOn:
		a.Check, a.Area = "call", m.elsewhere()
	case cases.Unreachable:
		a.Attempts, a.Channels = uint32(3+m.r.IntN(3)), pick(m.r, []string{"phone", "visit"}, []string{"phone", "message"}, []string{"phone", "visit", "letter"})
	}
	return a
}

// elsewhere returns another county: the third, or one beside the residence.
func (m *maker) elsewhere() area.Key {
	to := pick(m.r, append(area.Children(area.Parent(m.Residence)), m.Third)...)
	if to == m.Residence {
		return m.Third
	}
	return to
}

// tell deals out the stories among people with a right address.
func (m *maker) tell(people []Person, who []int) {
	deal := func(n int, s Story, fits func(cases.Outcome) bool, change func(*Person)) {
		for _, i := range who {
			if n <= 0 {
				return
			}
			p := &people[i]
			if p.Truth.Story != Plain || !fits(p.Truth.Answer.Outcome) {
				continue
			}
			p.Truth.Story = s
			change(p)
			n--
		}
	}
	is := func(want ...cases.Outcome) func(cases.Outcome) bool {
		return func(o cases.Outcome) bool {
			for _, w := range want {
				if o == w {
					return true
				}
			}
			return false
		}
	}
	deal(m.Disputed, Disputed, is(cases.NotFound, cases.Unreachable), func(p *Person) { p.Truth.Second = m.answer(cases.Residing) })
	deal(m.Reopened, Reopened, is(cases.Residing), func(p *Person) { p.Truth.Second = m.answer(cases.Residing) })
	deal(m.SentTwice, SentTwice, is(cases.Residing, cases.NoDisclosure), func(p *Person) { p.Truth.Second = Answer{Outcome: cases.Duplicate} })
	deal(m.Corrected, Corrected, is(cases.Residing, cases.NoDisclosure), func(p *Person) { p.Truth.Phone = m.phone() })
	deal(m.Withdrawn, Withdrawn, is(cases.NoDisclosure), func(p *Person) { p.Truth.Answer = Answer{} })
}

// reasons gives every NO_DISCLOSURE its true reason.
func (m *maker) reasons(people []Person, order []int) {
	var to []*Answer
	for _, i := range order {
		for _, a := range []*Answer{&people[i].Truth.Answer, &people[i].Truth.Rerouted} {
			if a.Outcome == cases.NoDisclosure {
				to = append(to, a)
			}
		}
	}
	for n, s := range split(len(to), reasons) {
		to[n].TrueReason = s
	}
}

// offer lets the residence offer its services to the women of 15 to 49 whom it
// answered RESIDING.
func (m *maker) offer(people []Person, order []int) {
	var to []*Offer
	for _, i := range order {
		if p := &people[i]; p.Truth.Last().Outcome == cases.Residing && p.fertile(m.Reference) {
			to = append(to, &p.Truth.Offer)
		}
	}
	for n, o := range split(len(to), offers) {
		o.Channel = "phone"
		switch o.Result {
		case "done":
			o.Channel = pick(m.r, "counter", "visit")
			o.Findings = map[string]string{
				"pregnancy": "none", "iud": pick(m.r, "in_place", "none"), "reproductive_health": pick(m.r, "no_finding", "follow_up_advised"),
			}
		case "declined", "standing_refusal":
			o.Channel = pick(m.r, "phone", "visit", "message")
		}
		*to[n] = o
	}
}
