package harness

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/directory"
	"yipan/internal/exchange"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/seal"
	"yipan/internal/store/storetest"
)

// machineSite is a site of the fault machine with its database, and the backup
// that was taken of it last.
type machineSite struct {
	*Site
	url     string
	raw     *storetest.Tables
	backup  string
	known   *directory.Directory  // at the backup
	ever    map[cases.ItemID]bool // held at any time
	judged  map[cases.ItemID]bool // covered by a receipt written in this life of the database
	spared  map[cases.ItemID]bool // judged, at the backup
	restore int
}

// machine drives four sites and five areas through random verbs and faults
// against real databases, and knows what they ever held.
type machine struct {
	t     testing.TB
	w     *World
	rnd   *rand.Rand
	sites []*machineSite
	areas []area.Key
	opens []desk.OpenRequest // requests made, to be repeated
	by    []*machineSite     // who made them
	n     int
	moves int
	plant plant
	bad   []string

	receipts map[cases.ItemID]bool // ever written
	stats    machineStats
}

type machineStats struct{ opened, verbs, refused, parcels, lost, again, restores, restarts, moves, rotations, rounds int }

func (s *machineStats) add(o machineStats) {
	s.opened += o.opened
	s.verbs += o.verbs
	s.refused += o.refused
	s.parcels += o.parcels
	s.lost += o.lost
	s.again += o.again
	s.restores += o.restores
	s.restarts += o.restarts
	s.moves += o.moves
	s.rotations += o.rotations
	s.rounds = max(s.rounds, o.rounds)
}

var movers = area.MustOf(area.County, "110101")

func newMachine(t testing.TB, seed uint64, p plant) *machine {
	t.Helper()
	m := &machine{t: t, rnd: rand.New(rand.NewPCG(seed, 11)), plant: p, receipts: map[cases.ItemID]bool{}}
	var err error
	if m.w, err = NewWorld(t.TempDir(), time.Date(2026, 11, 20, 9, 0, 0, 0, civil.Shanghai)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []area.Key{origin, residence, third, movers} {
		url := storetest.NewURL(t)
		s, err := m.w.AddSite(storetest.Open(t, url), c)
		if err != nil {
			t.Fatal(err)
		}
		s.Skew = time.Duration(m.rnd.IntN(400)) * time.Second
		m.sites = append(m.sites, &machineSite{Site: s, url: url, raw: storetest.Raw(t, url), ever: map[cases.ItemID]bool{}, judged: map[cases.ItemID]bool{}})
	}
	m.areas = append(m.areas, towns(t, origin, 2)...)
	m.areas = append(m.areas, residence, towns(t, residence, 1)[0], towns(t, third, 1)[0])
	return m
}

func (m *machine) violation(format string, args ...any) {
	if len(m.bad) < 10 {
		m.bad = append(m.bad, fmt.Sprintf(format, args...))
	}
}

// step does one random thing.
func (m *machine) step() {
	t, r := m.t, m.rnd
	s := m.sites[r.IntN(len(m.sites))]
	switch x := r.IntN(1000); {
	case x < 90:
		m.open(s)
	case x < 330:
		m.verb(s)
	case x < 560:
		if p := m.sites[r.IntN(len(m.sites))]; p != s {
			m.pump(s, p, r.IntN(10) > 0) // the rest crash between commit and publish
		}
	case x < 860:
		if n := len(m.w.Net); n > 0 {
			i := r.IntN(n)
			p := m.w.Net[i]
			if r.IntN(4) > 0 { // else it comes again: a crash before the ack
				m.w.Net = slices.Delete(m.w.Net, i, i+1)
			} else {
				m.stats.again++
			}
			if r.IntN(6) == 0 {
				m.stats.lost++
				return
			}
			m.deliver(p, true)
		}
	case x < 900:
		if p := m.sites[r.IntN(len(m.sites))]; p != s && m.plant.statements() {
			s.Exchange.Want(p.Node)
			ps, err := s.Exchange.Statements(t.Context())
			if err != nil {
				t.Fatalf("statement: %v", err)
			}
			m.w.Put(ps...)
		}
	case x < 925:
		m.backup(s)
	case x < 950:
		m.putBack(s)
	case x < 955:
		m.w.Net = nil // the broker loses its disk
	case x < 965:
		m.restart(s)
	case x < 972:
		m.rotate(s)
	case x < 980:
		m.move()
	default:
		if err := m.w.LearnOne(s.Site); err != nil {
			t.Fatalf("directory: %v", err)
		}
		m.saw(s)
	}
}

// offices returns the areas that a site serves as it believes.
func (m *machine) offices(s *machineSite) []area.Key {
	var out []area.Key
	for _, k := range m.areas {
		if h, ok := s.Directory().Home(k); ok && h == s.Node {
			out = append(out, k)
		}
	}
	return out
}

func (m *machine) open(s *machineSite) {
	own := slices.DeleteFunc(m.offices(s), func(k area.Key) bool { return k.Level() != area.Township })
	if len(own) == 0 {
		return
	}
	x, y := own[m.rnd.IntN(len(own))], m.areas[m.rnd.IntN(len(m.areas))]
	if x == y || x.Within(y) {
		return
	}
	kind := cases.Outflow
	if m.rnd.IntN(3) == 0 {
		kind = cases.Inflow
	}
	i := len(m.opens)
	req := desk.OpenRequest{
		RequestID: fmt.Sprintf("request-%06d", i), Kind: kind, Origin: x, Destination: y,
		Fields: desk.FieldsInput{
			Name: "测试甲", Document: ident.Make("520330", civil.MustParse("1990-01-01").AddDays(i), i, false),
			EventDay: civil.MustParse("2026-11-10"), Basis: desk.BasisInput{Kind: cases.BasisRequest},
		},
	}
	if i > 0 && m.rnd.IntN(8) == 0 { // somebody tries again, perhaps after a restore
		if j := m.rnd.IntN(i); m.by[j] == s && slices.Contains(own, m.opens[j].Origin) {
			req = m.opens[j]
		}
	} else if i >= 8 {
		return
	}
	_, _, err := s.Desk.OpenCase(m.t.Context(), Clerk(access.Clerk, req.Origin), req)
	if err != nil {
		m.t.Fatalf("open %s to %s: %v", req.Origin, req.Destination, err)
	}
	m.stats.opened++
	if req.RequestID == fmt.Sprintf("request-%06d", i) {
		m.opens, m.by = append(m.opens, req), append(m.by, s)
	}
	m.saw(s)
}

// verb lets an office of the site try something on a case that it sees.
func (m *machine) verb(s *machineSite) {
	ctx, r := m.t.Context(), m.rnd
	rows := s.raw.Rows(m.t, `SELECT case_id, office, side, version, rev, y FROM case_side WHERE status > 0 ORDER BY case_id, office`)
	if len(rows) == 0 {
		return
	}
	row := rows[r.IntN(len(rows))]
	office, side, y := area.Key(row[1].(int64)), cases.Side(row[2].(int16)), area.Key(row[5].(int64))
	m.n++
	id := fmt.Sprintf("verb-%s-%06d", s.Node.Area().Short(), m.n)
	ref := desk.CaseRef{Case: cases.CaseID(row[0].([16]byte)), Etag: book.Etag(uint64(row[3].(int64)), row[4].(int32))}
	change := desk.ChangeRequest{RequestID: id, Ref: ref, Reason: "测试"}
	p := Clerk(access.Clerk, office)
	var err error
	switch v := r.IntN(12); {
	case v < 3 && side == cases.SideReceiver:
		kind := s.raw.Rows(m.t, `SELECT kind FROM case_side WHERE case_id = $1 AND office = $2`, row[0], row[1])[0][0].(int16)
		a := desk.AnswerInput{Outcome: cases.Residing, Basis: desk.BasisInput{Kind: cases.BasisRequest}, Check: "visit"}
		if cases.Kind(kind) == cases.Inflow {
			a = desk.AnswerInput{Outcome: cases.Confirmed}
		}
		if r.IntN(2) == 0 {
			a = desk.AnswerInput{Outcome: cases.Misrouted, Area: m.areas[r.IntN(len(m.areas))]}
		}
		_, _, err = s.Desk.Answer(ctx, p, desk.AnswerRequest{RequestID: id, Ref: ref, Answer: a})
	case v < 5 && side == cases.SideReceiver && y == residence:
		var got []desk.ChangeResult
		got, err = s.Desk.Distribute(ctx, Clerk(access.Distributor, office), desk.DistributeRequest{RequestID: id, Refs: []desk.CaseRef{ref}, Township: m.areas[3]})
		if err == nil {
			err = got[0].Err
		}
	case v < 6:
		_, err = s.Desk.Close(ctx, p, change)
	case v < 8:
		_, err = s.Desk.Reopen(ctx, p, change)
	case v < 9 && side == cases.SideOpener:
		_, err = s.Desk.Dispute(ctx, p, change)
	case v < 10 && side == cases.SideOpener:
		_, err = s.Desk.Withdraw(ctx, p, change)
	case side == cases.SideOpener:
		f := m.opens[r.IntN(len(m.opens))].Fields
		f.Name = "示例一"
		_, _, err = s.Desk.Correct(ctx, p, desk.CorrectRequest{RequestID: id, Ref: ref, Fields: f})
	default:
		return
	}
	m.stats.verbs++
	if k := fault.Of(err); err != nil {
		if k == fault.KindInternal || k == fault.KindUnavailable {
			m.t.Fatalf("verb: %v", err)
		}
		m.stats.refused++
	}
	m.saw(s)
}

func (m *machine) pump(s, p *machineSite, published bool) {
	m.due(s)
	m.plant.beforePump(m, s, p)
	ps, _, err := s.Exchange.Pack(m.t.Context(), p.Node)
	if err != nil {
		m.t.Fatalf("pack: %v", err)
	}
	if published {
		m.w.Put(ps...)
		m.stats.parcels += len(ps)
	} else {
		m.stats.lost += len(ps)
	}
	m.plant.afterPump(m, s, p, ps)
	m.saw(s)
}

// due makes everything due: the machine has no time to wait.
func (m *machine) due(s *machineSite) {
	s.raw.Exec(m.t, `UPDATE share SET next_try = '-infinity' WHERE NOT settled`)
}

// deliver absorbs a parcel; one that is too early comes again where again says
// so.
func (m *machine) deliver(p exchange.Parcel, again bool) {
	err := m.w.Deliver(m.t.Context(), p)
	if fault.Is(err, fault.KindUnavailable) && again {
		if f, _ := fault.As(err); f.Reason == "DIRECTORY_BEHIND" {
			m.w.Put(p)
			return
		}
	}
	if err != nil {
		m.t.Fatalf("absorb: %v", err)
	}
	m.saw(m.of(p.To))
}

func (m *machine) of(n cases.NodeID) *machineSite {
	return m.sites[slices.IndexFunc(m.sites, func(s *machineSite) bool { return s.Node == n })]
}

// stop ends a site's process and its connections.
func (m *machine) stop(s *machineSite) {
	s.DB.Close()
	s.raw.Close()
}

func (m *machine) start(s *machineSite, url string) {
	s.url, s.raw = url, storetest.Raw(m.t, url)
	m.w.Start(s.Site, storetest.Open(m.t, url))
}

func (m *machine) backup(s *machineSite) {
	m.stop(s)
	s.backup, s.known, s.spared = storetest.Copy(m.t, s.url), s.Directory(), maps.Clone(s.judged)
	m.start(s, s.url)
}

func (m *machine) putBack(s *machineSite) {
	if s.backup == "" || s.restore >= 3 {
		return
	}
	s.restore++
	m.stop(s)
	s.Forget(s.known)
	s.judged = maps.Clone(s.spared)
	m.start(s, storetest.Copy(m.t, s.backup))
	m.stats.restores++
}

func (m *machine) restart(s *machineSite) {
	m.stop(s)
	m.start(s, s.url)
	m.stats.restarts++
}

// rotate lets a site use its next sealing key; the directory names it when the
// authority has admitted it, and peers seal to the old one until they know.
func (m *machine) rotate(s *machineSite) {
	if err := s.Keys.Rotate(seal.UseSeal, m.w.Clock.Now()); err != nil {
		m.t.Fatal(err)
	}
	m.admit(s, m.w.Authority.Directory().ServedBy(s.Node))
	m.stats.rotations++
}

func (m *machine) admit(s *machineSite, areas []area.Key) {
	e, _ := m.w.Authority.Directory().Node(s.Node)
	if err := m.w.Admit(s.Site, areas, e.Serial); err != nil {
		m.t.Fatalf("admit: %v", err)
	}
}

// move gives a township to the fourth node.
func (m *machine) move() {
	k := []area.Key{m.areas[1], m.areas[3]}[m.rnd.IntN(2)]
	d := m.sites[3]
	if h, _ := m.w.Authority.Directory().Home(k); m.moves >= 2 || h == d.Node {
		return
	}
	m.moves++
	m.stats.moves++
	m.admit(d, append(m.w.Authority.Directory().ServedBy(d.Node), k))
	if m.rnd.IntN(2) == 0 {
		if err := m.w.LearnOne(d.Site); err != nil {
			m.t.Fatal(err)
		}
	}
}
