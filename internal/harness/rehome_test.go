package harness

import (
	"slices"
	"testing"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/wire"
)

// route is who sends to whom.
type route struct{ from, to cases.NodeID }

// settleWatching is Settle that notes every parcel's way.
func (w *watched) settleWatching(seen map[route]int) {
	w.t.Helper()
	ctx := w.t.Context()
	for range 20 {
		for _, s := range w.Sites {
			for _, p := range w.Sites {
				if p != s {
					if _, err := w.Pump(ctx, s, p.Node); err != nil {
						w.t.Fatal(err)
					}
				}
			}
		}
		if len(w.Net) == 0 {
			return
		}
		for len(w.Net) > 0 {
			p := w.Net[0]
			w.Net = w.Net[1:]
			e, err := wire.ParseEnvelope(p.Bytes)
			if err != nil {
				w.t.Fatal(err)
			}
			seen[route{e.From, e.To}]++
			if err := w.Deliver(ctx, p); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// SECURITY row 17: a reroute goes through the opener, and the wrong receiver
// forgets the person in time.
func TestSecurity17RerouteNoTrafficBetweenReceivers(t *testing.T) {
	w := watch(t, origin, residence, third)
	a, b, c := w.Sites[0], w.Sites[1], w.Sites[2]
	y, z := towns(t, residence, 1)[0], towns(t, third, 1)[0]
	id := w.open(a, 1, y)
	seen := map[route]int{}
	w.settleWatching(seen)
	w.answer(b, y, id, desk.AnswerInput{Outcome: cases.Misrouted, Area: z})
	w.settleWatching(seen)
	for _, r := range []route{{b.Node, c.Node}, {c.Node, b.Node}} {
		if seen[r] > 0 {
			t.Errorf("%d parcels from %s to %s", seen[r], r.from, r.to)
		}
	}
	child := cases.ChildCaseID(id, 1, z)
	if v := w.view(c, z, child); v.Status != cases.StatusOpen {
		t.Errorf("the right receiver shows %v", v.Status)
	}
	if n := w.count(b, `leg WHERE case_id = $1`, [16]byte(child)); n != 0 {
		t.Error("the wrong receiver knows the new leg")
	}
	bodies := func(s *Site) int64 {
		return w.count(s, `item WHERE case_id = $1 AND body IS NOT NULL`, [16]byte(id))
	}
	erase := func() {
		if _, err := b.Desk.EraseMisrouted(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.Clock.Add(6 * 24 * time.Hour)
	erase()
	if bodies(b) != 2 {
		t.Fatalf("after 6 days the wrong receiver holds %d bodies", bodies(b))
	}
	w.Clock.Add(25 * time.Hour)
	erase()
	if bodies(b) != 0 || bodies(a) != 2 {
		t.Errorf("after 7 days the wrong receiver holds %d bodies, the opener %d", bodies(b), bodies(a))
	}
	if v, err := b.Desk.GetCase(t.Context(), Clerk(access.Clerk, y), desk.GetRequest{Case: id, Unmask: true, Purpose: "test"}); err == nil && v.Fields != nil {
		t.Error("the wrong receiver still shows the person")
	}
	w.mend() // statements bring nothing back
	if bodies(b) != 0 {
		t.Errorf("a statement brought %d bodies back", bodies(b))
	}
}

// A township moves to a node of its own: rule T alone moves its cases, with
// their receipts and verdicts; the former home keeps stating.
func TestTownshipMovesToItsOwnNode(t *testing.T) {
	w := watch(t, origin, residence, third)
	a, b, d := w.Sites[0], w.Sites[1], w.Sites[2]
	y := towns(t, residence, 1)[0]
	var ids []cases.CaseID
	for i := range 6 {
		ids = append(ids, w.open(a, i, y))
	}
	w.settle()
	for _, id := range ids[:3] {
		w.answer(b, y, id, residing)
	}
	w.settle()
	late := w.open(a, 9, y)          // owed to the former home when the area moves
	inFlight := w.pack(a, b)         // and on its way there
	w.answer(b, y, ids[3], residing) // not sent yet
	e, _ := w.Authority.Directory().Node(d.Node)
	if err := w.Admit(d, append(w.Authority.Directory().ServedBy(d.Node), y), e.Serial); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Site{b, d, a} { // the opener learns it last
		if err := w.LearnOne(s); err != nil {
			t.Fatal(err)
		}
		if s == b { // home no more: it says so, and holds nothing
			w.Put(w.absorb(b, inFlight.Bytes).Answers...)
		}
	}
	if n := w.count(b, `leg WHERE case_id = $1`, [16]byte(late)); n != 0 {
		t.Error("a former home took a case in")
	}
	w.mend()
	for i, id := range append(slices.Clone(ids), late) {
		want := cases.StatusOpen
		if i < 4 {
			want = cases.StatusAnswered
		}
		for at, office := range map[*Site]area.Key{a: originTown, d: y} {
			v := w.view(at, office, id)
			if v.Status != want || v.DeliveredAt.IsZero() {
				t.Errorf("%s shows case %d as %v, delivered %v", at.Node, i, v.Status, v.DeliveredAt)
			}
		}
	}
	w.answer(d, y, late, residing)
	w.mend()
	if v := w.view(a, originTown, late); v.Status != cases.StatusAnswered {
		t.Errorf("the opener shows %v after the new home answered", v.Status)
	}
}
