package roster

import (
	"fmt"
	"math/rand/v2"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/ident"
	"yipan/internal/sheet"
)

// Make returns the people of spec, those who left first, in an order of their
// own. It panics on a spec that cannot be met.
func Make(seed uint64, spec Spec) []Person {
	spec.check()
	m := maker{Spec: spec, r: rand.New(rand.NewPCG(seed, 0x7969_7061_6e)), used: map[string]bool{}}
	m.homes = m.neighbours(spec.Origin)
	left := m.leave()
	m.consent(left)
	m.certificates(left)
	m.truths(left)
	people := append(left, m.arrive()...)
	for i := range people {
		people[i].Row.Line = i + 2 // the header is line 1, and no cell has a line break
	}
	return people
}

type maker struct {
	Spec
	r     *rand.Rand
	used  map[string]bool // document numbers
	homes []string        // counties that numbers were given out in
	made  int
}

// neighbours returns the six digits of k's county, often, and of the counties
// around it.
func (m *maker) neighbours(k area.Key) []string {
	county := k.Cut(area.County)
	codes := []string{}
	for _, c := range area.Children(area.Parent(county)) {
		codes = append(codes, c.Short(), county.Short(), county.Short(), county.Short())
	}
	return codes
}

// pick returns one of vs, each as likely.
func pick[T any](r *rand.Rand, vs ...T) T { return vs[r.IntN(len(vs))] }

// between returns a day from a to z.
func (m *maker) between(a, z civil.Date) civil.Date { return a.AddDays(m.r.IntN(z.Sub(a) + 1)) }

// born returns a day of birth at which somebody is of lo to hi full years on
// the reference day.
func (m *maker) born(lo, hi int) civil.Date {
	age := lo + m.r.IntN(hi-lo+1)
	for {
		d := civil.Date{Year: m.Reference.Year - age - m.r.IntN(2), Month: 1, Day: 1}.AddDays(m.r.IntN(365))
		if d.FullYears(m.Reference) == age {
			return d
		}
	}
}

// document returns a number that nobody else has.
func (m *maker) document(homes []string, birth civil.Date, male bool) ident.Doc {
	for {
		n := ident.Make(pick(m.r, homes...), birth, m.r.IntN(499), male)
		if !m.used[n] {
			m.used[n] = true
			return ident.Doc{Kind: ident.KindResident, Number: n, Original: n}
		}
	}
}

func (m *maker) phone() string { return fmt.Sprintf("100%08d", m.r.IntN(100_000_000)) }

func (m *maker) person(homes []string, sex ident.Sex, lo, hi int, marital ...ident.Marital) Person {
	birth := m.born(lo, hi)
	row := sheet.RosterRow{
		Kind: cases.Outflow, Name: name(m.made), Document: m.document(homes, birth, sex == ident.SexMale),
		Sex: sex, Birth: birth, Marital: pick(m.r, marital...),
		EventDay: m.Reference.AddDays(-1 - m.r.IntN(28)),
		Basis:    cases.Basis{Kind: cases.BasisDuty, Duty: m.Duty},
	}
	if m.r.IntN(100) < 85 {
		row.Phone, row.PhoneSafe = m.phone(), m.r.IntN(100) < 70
	}
	m.made++
	return Person{Row: row}
}

// leave makes those who left: the married women of 15 to 49 (from 20 on, the
// age at which the law lets them marry), and others of whom none is one.
func (m *maker) leave() []Person {
	people := make([]Person, 0, m.Left)
	for range m.Women {
		people = append(people, m.person(m.homes, ident.SexFemale, 20, 49, ident.MaritalMarried, ident.MaritalFirst, ident.MaritalFirst,
			ident.MaritalFirst, ident.MaritalRemarried, ident.MaritalRestored))
	}
	others := m.Left - m.Women
	for range share(others, 120) {
		people = append(people, m.person(m.homes, ident.SexFemale, 18, 49, ident.MaritalSingle, ident.MaritalSingle, ident.MaritalWidowed,
			ident.MaritalDivorced, ident.MaritalUnspecified))
	}
	for range share(others, 80) {
		people = append(people, m.person(m.homes, ident.SexFemale, 50, 75, ident.MaritalFirst, ident.MaritalWidowed))
	}
	for range share(others, 80) {
		people = append(people, m.person(m.homes, pick(m.r, ident.SexFemale, ident.SexMale), 3, 14, ident.MaritalSingle))
	}
	for len(people) < m.Left {
		people = append(people, m.person(m.homes, ident.SexMale, 22, 65, ident.MaritalSingle, ident.MaritalFirst, ident.MaritalFirst, ident.MaritalDivorced))
	}
	m.r.Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
	county := map[int]bool{}
	for _, i := range m.r.Perm(len(people))[:share(len(people), m.ToCounty)] {
		county[i] = true
	}
	for i := range people {
		p := &people[i]
		p.Row.Origin, p.Row.Destination = m.Origin, m.township()
		if county[i] {
			p.Truth.Township, p.Row.Destination = p.Row.Destination, m.Residence
		}
	}
	return people
}

// township returns one of the residence's, the first ones more often.
func (m *maker) township() area.Key {
	n := len(m.Townships)
	return m.Townships[min(m.r.IntN(n), m.r.IntN(n))]
}

// consent marks those who consented to be confirmed: they asked for the notice
// themselves. So did one in ten of the others. Nobody under 14 did either, for
// whom a guardian would have to (个人信息保护法 art. 31).
func (m *maker) consent(people []Person) {
	n := 0
	for _, i := range m.r.Perm(len(people)) {
		row := &people[i].Row
		if row.Birth.FullYears(m.Reference) < 14 {
			continue
		}
		if n < m.Confirm {
			row.Confirm, row.ConsentVersion = true, m.ConsentVersion
			n++
		}
		if row.Confirm || m.r.IntN(10) == 0 {
			row.Basis = cases.Basis{Kind: cases.BasisRequest}
		}
	}
	if n < m.Confirm {
		panic("roster: spec: more consents than people of 14 and older")
	}
}

// certificates lets women of 18 to 49 ask for one.
func (m *maker) certificates(people []Person) {
	n := 0
	for _, i := range m.r.Perm(len(people)) {
		p := &people[i]
		if n == m.Asked {
			return
		}
		if !p.fertile(m.Reference) || p.Row.Birth.FullYears(m.Reference) < 18 {
			continue
		}
		p.Row.Asked = m.between(m.askedFrom(), m.Reference)
		if n < m.Issued {
			p.Row.Issued = m.between(p.Row.Asked, m.Reference)
		}
		n++
	}
	if n < m.Asked {
		panic("roster: spec: more certificates asked for than there are women of childbearing age")
	}
}

// arrive makes those who arrived at the origin township from the residence
// county: the women who show a certificate, then men.
func (m *maker) arrive() []Person {
	homes := []string{m.Residence.Short()}
	people := make([]Person, 0, m.Arrived)
	for i := range m.Arrived {
		var p Person
		if i < m.Showing {
			p = m.person(homes, ident.SexFemale, 20, 49, ident.MaritalFirst)
			p.Truth.Answer = Answer{Outcome: cases.Confirmed}
			p.Truth.Certificate = fmt.Sprintf("测证%d-%04d", m.Reference.Year, i+1)
			p.Truth.CertificateAnswer = []cases.Outcome{cases.Valid, cases.Valid, cases.Expired}[i%3]
		} else {
			p = m.person(homes, ident.SexMale, 22, 65, ident.MaritalFirst, ident.MaritalSingle)
			p.Truth.Answer = []Answer{
				{Outcome: cases.NotOurRegister},
				{Outcome: cases.RegisteredElsewhere, Area: m.Third},
				{Outcome: cases.IdentityConflict, ConflictFields: []string{"name"}},
			}[(i-m.Showing)%3]
		}
		p.Row.Kind, p.Row.Origin, p.Row.Destination = cases.Inflow, m.township(), m.Origin
		p.Row.Basis = cases.Basis{Kind: cases.BasisRequest}
		people = append(people, p)
	}
	return people
}
