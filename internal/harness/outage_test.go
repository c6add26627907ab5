package harness

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

func at(s string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", s, civil.Shanghai)
	if err != nil {
		panic(err)
	}
	return t
}

// sideOf is a case as an office of a site sees it in the table.
func (w *watched) sideOf(s *Site, office area.Key, id cases.CaseID) store.Side {
	w.t.Helper()
	var out []store.Side
	err := s.DB.InExchange(w.t.Context(), []area.Key{office}, func(tx *store.Tx) (err error) {
		out, err = tx.SidesOf(w.t.Context(), []cases.CaseID{id})
		return err
	})
	if err != nil || len(out) != 1 {
		w.t.Fatalf("%d sides, %v", len(out), err)
	}
	return out[0]
}

// sameFigures holds both ends of a case against each other, for months around.
func (w *watched) sameFigures(a, b *Site, y area.Key, id cases.CaseID) rates.Class {
	w.t.Helper()
	x, r := w.sideOf(a, originTown, id), w.sideOf(b, y, id)
	if !x.DueAt.Equal(r.DueAt) || x.Extended != r.Extended {
		w.t.Errorf("due %s and %s, put off by %d and %d days", x.DueAt, r.DueAt, x.Extended, r.Extended)
	}
	var now rates.Class
	for _, m := range []string{"2026-11", "2026-12"} {
		p, err := policy.ParsePeriod(m)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, t := range []time.Time{w.Clock.Now(), p.To.StartInstant(), w.Clock.Now().AddDate(0, 3, 0)} {
			cx, cr := rates.Classify(book.FactOf(&x), t, p), rates.Classify(book.FactOf(&r), t, p)
			if cx != cr {
				w.t.Errorf("%s at %s: %+v at the origin, %+v at the residence", m, t, cx, cr)
			}
		}
		if policy.DueDay(x.DueAt).String()[:7] == m {
			now = rates.Classify(book.FactOf(&x), w.Clock.Now(), p)
		}
	}
	return now
}

func (w *watched) clockTo(t time.Time) {
	w.t.Helper()
	d := t.Sub(w.Clock.Now())
	if d < 0 {
		w.t.Fatalf("the clock is past %s", t)
	}
	w.Clock.Add(d)
}

func declare(k area.Key, from, to string) desk.OutageRequest {
	return desk.OutageRequest{RequestID: "outage-0001", Area: k, From: at(from), To: at(to), Reason: "全县停电抢修"}
}

// The whole way: a county signs, dues move at both ends with the reason, and what
// is answered within them is on time.
func TestOutagePutsOffDues(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	ys := towns(t, residence, 2)
	waits := w.open(a, 1, ys[0])
	answered := w.open(a, 2, ys[0])
	elsewhere := w.open(a, 3, ys[1])
	direct := w.open(a, 4, residence) // to the county, given to the township
	reopened := w.open(a, 5, ys[0])
	w.settle()
	w.answer(b, ys[0], answered, residing)
	d := w.sideOf(b, residence, direct)
	if res, err := b.Desk.Distribute(t.Context(), Clerk(access.Distributor, residence), desk.DistributeRequest{RequestID: "give-0001", Refs: []desk.CaseRef{{Case: direct, Etag: book.Etag(d.Version, d.Rev)}}, Township: ys[0]}); err != nil || res[0].Err != nil {
		t.Fatal(err, res)
	}
	w.settle()
	base := w.sideOf(b, ys[0], waits).DueAt
	last := policy.DueDay(base)
	// Three days are lost, the last of which is the last day.
	from, to := last.AddDays(-2).StartInstant().Add(9*time.Hour), last.StartInstant().Add(18*time.Hour)
	w.clockTo(last.AddDays(-3).StartInstant().Add(9 * time.Hour))
	v := w.view(a, originTown, reopened)
	if _, err := a.Desk.Close(t.Context(), Clerk(access.Clerk, originTown), desk.ChangeRequest{RequestID: "close-0001", Ref: desk.CaseRef{Case: reopened, Etag: v.Etag}, Reason: "测试"}); err != nil {
		t.Fatal(err)
	}
	w.clockTo(last.AddDays(2).StartInstant().Add(9 * time.Hour)) // two days late
	w.answer(b, ys[0], direct, residing)
	w.settle()
	if c := w.sameFigures(a, b, ys[0], waits); c.OnTime || c.Answered || c.Pending {
		t.Fatalf("before the outage: %+v", c)
	}
	if c := w.sameFigures(a, b, ys[0], direct); c.OnTime || !c.Answered {
		t.Fatalf("an answer two days late: %+v", c)
	}
	req := desk.OutageRequest{RequestID: "outage-0001", Area: ys[0], From: from, To: to, Reason: "全镇停电抢修"}
	county := Clerk(access.County, residence)
	etag := w.view(b, ys[0], waits).Etag
	o, err := b.Desk.DeclareOutage(t.Context(), county, req)
	if err != nil {
		t.Fatal(err)
	}
	if o.Rounds != 2 || o.Days != 3 || o.Account != county.ID {
		t.Fatalf("%+v", o)
	}
	w.settle()
	want := last.AddDays(3).EndInstant()
	for _, id := range []cases.CaseID{waits, direct} {
		if got := w.sideOf(a, originTown, id).DueAt; !got.Equal(want) {
			t.Errorf("at the origin due is %s, want %s", got, want)
		}
	}
	if c := w.sameFigures(a, b, ys[0], waits); !c.Pending {
		t.Errorf("with the outage: %+v", c)
	}
	if c := w.sameFigures(a, b, ys[0], direct); !c.OnTime {
		t.Errorf("an answer within the extension: %+v", c)
	}
	w.answer(b, ys[0], waits, residing)
	w.settle()
	if c := w.sameFigures(a, b, ys[0], waits); !c.OnTime {
		t.Errorf("an answer within the extension: %+v", c)
	}
	if v := w.view(b, ys[0], waits); v.Etag == etag {
		t.Error("the etag did not change")
	} else if v.OlderFields {
		t.Error("an EXTEND counts as fields that the answer had not seen")
	}
	for office, s := range map[area.Key]*Site{originTown: a, ys[0]: b} {
		if v := w.view(s, office, waits); v.Extended != 3 || len(v.Extensions) != 1 || v.Extensions[0] != req.Reason || !v.DueAt.Equal(want) {
			t.Errorf("%s sees %d days, because of %d outages", office, v.Extended, len(v.Extensions))
		}
	}
	for id, office := range map[cases.CaseID]area.Key{answered: ys[0], elsewhere: ys[1], reopened: ys[0]} {
		if s := w.sideOf(b, office, id); s.Extended != 0 {
			t.Errorf("a round that the outage took nothing from was put off by %d days", s.Extended)
		}
		w.sameFigures(a, b, office, id)
	}
	w.mend()
}

func TestOutageIsDeclaredOnce(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	y := towns(t, residence, 1)[0]
	for i := range 7 {
		w.open(a, i, y)
	}
	w.settle()
	w.clockTo(at("2026-11-24 09:00"))
	county := Clerk(access.County, residence)
	req := declare(residence, "2026-11-21 08:00", "2026-11-22 20:00")
	first, err := b.Desk.DeclareOutage(t.Context(), county, req)
	if err != nil || first.Rounds != 7 || first.Days != 2 {
		t.Fatalf("%+v, %v", first, err)
	}
	for range 2 {
		again, err := b.Desk.DeclareOutage(t.Context(), county, req)
		if err != nil || again != first {
			t.Errorf("again: %+v, %v", again, err)
		}
		if n, err := b.Desk.PutOff(t.Context()); err != nil || n != 0 {
			t.Errorf("the job found %d rounds, %v", n, err)
		}
	}
	if n := w.count(b, `item WHERE kind = 12`); n != 7 {
		t.Errorf("%d EXTENDs", n)
	}
	other := req
	other.Reason = "另有原因"
	if _, err := b.Desk.DeclareOutage(t.Context(), county, other); !fault.Is(err, fault.KindConflict) {
		t.Errorf("another outage under the same request: %v", err)
	}
	// A second outage adds to the first; both are named.
	second := declare(y, "2026-11-23 08:00", "2026-11-23 20:00")
	second.RequestID, second.Reason = "outage-0002", "光缆被挖断"
	if o, err := b.Desk.DeclareOutage(t.Context(), county, second); err != nil || o.Rounds != 7 || o.Days != 1 {
		t.Fatalf("%+v, %v", o, err)
	}
	w.settle()
	for _, id := range w.casesOf(a) {
		if v := w.view(a, originTown, id); v.Extended != 3 || strings.Join(v.Extensions, " ") != "全县停电抢修 光缆被挖断" {
			t.Errorf("put off by %d days: %v", v.Extended, v.Extensions)
		}
		w.sameFigures(a, b, y, id)
	}
	for name, p := range map[string]access.Principal{"county": county, "clerk": Clerk(access.Clerk, y)} {
		list, err := b.Desk.ListOutages(t.Context(), p, 0)
		if err != nil || len(list) != 2 || list[0].Reason != second.Reason || list[1].Rounds != 7 {
			t.Errorf("%s lists %+v, %v", name, list, err)
		}
	}
	neighbour := towns(t, residence, 2)[1]
	if list, err := b.Desk.ListOutages(t.Context(), Clerk(access.Clerk, neighbour), 0); err != nil || len(list) != 1 || list[0].Area != residence {
		t.Errorf("a neighbour lists %+v, %v", list, err)
	}
	if list, err := b.Desk.ListOutages(t.Context(), Clerk(access.Clerk, originTown), 0); err != nil || len(list) != 0 {
		t.Errorf("another county lists %+v, %v", list, err)
	}
	if _, err := b.Desk.ListOutages(t.Context(), Clerk(access.Clerk, y), neighbour); !fault.Is(err, fault.KindDenied) {
		t.Errorf("a clerk lists a neighbour's: %v", err)
	}
}

func (w *watched) casesOf(s *Site) (out []cases.CaseID) {
	w.t.Helper()
	list, _, err := s.Desk.ListCases(w.t.Context(), Clerk(access.Clerk, originTown), desk.ListRequest{PageSize: 1000})
	if err != nil || len(list) == 0 {
		w.t.Fatalf("%d cases, %v", len(list), err)
	}
	for _, v := range list {
		out = append(out, v.ID)
	}
	return out
}

// What was cut off goes on, and what is seen to have waited only later is caught.
func TestOutageGoesOn(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	y := towns(t, residence, 1)[0]
	w.open(a, 1, y)
	w.open(a, 2, y)
	w.settle()
	w.clockTo(at("2026-11-24 09:00"))
	// Declared, and the process ended before any due was put off.
	w.raw[b.Node].Exec(t, `INSERT INTO outage_declared (id, office, area, since, until, reason, account, declared_at) VALUES ($1, $2, $2, $3, $4, '停电抢修', 'county', $5)`,
		[16]byte{9}, int64(residence), at("2026-11-20 00:00"), at("2026-11-22 20:00"), at("2026-11-24 08:00"))
	if n, err := b.Desk.PutOff(t.Context()); err != nil || n != 2 {
		t.Fatalf("the job found %d rounds, %v", n, err)
	}
	if n := w.count(b, `outage_declared WHERE rounds = 2`); n != 1 {
		t.Error("the outage does not count its rounds")
	}
	// Half of it went to another round that it forgot.
	w.raw[b.Node].Exec(t, `DELETE FROM outage_round WHERE case_id = (SELECT case_id FROM outage_round LIMIT 1)`)
	if n, err := b.Desk.PutOff(t.Context()); err != nil || n != 0 {
		t.Errorf("an EXTEND that is held was written again: %d, %v", n, err)
	}
	if n := w.count(b, `item WHERE kind = 12`); n != 2 {
		t.Errorf("%d EXTENDs", n)
	}
	w.settle()
	for _, id := range w.casesOf(a) {
		if s := w.sideOf(a, originTown, id); s.Extended != 3 { // the 20th to the 22nd
			t.Errorf("put off by %d days", s.Extended)
		}
	}
}

// A receiver put back to before the outage, whose county signs for it again.
func TestOutageAfterRestore(t *testing.T) {
	for _, when := range []string{"before it knows", "after it knows", "under another request"} {
		t.Run(when, func(t *testing.T) {
			w := watch(t, origin, residence)
			a, b := w.Sites[0], w.Sites[1]
			y := towns(t, residence, 1)[0]
			id := w.open(a, 1, y)
			w.settle()
			w.clockTo(at("2026-11-24 09:00"))
			before := w.backup(b)
			county := Clerk(access.County, residence)
			req := declare(residence, "2026-11-21 08:00", "2026-11-22 20:00")
			if _, err := b.Desk.DeclareOutage(t.Context(), county, req); err != nil {
				t.Fatal(err)
			}
			w.settle()
			w.restore(before)
			want := uint32(2)
			switch when {
			case "after it knows":
				w.mend()
			case "under another request": // another outage to all who look
				req.RequestID, want = "outage-0002", 4
			}
			if _, err := b.Desk.DeclareOutage(t.Context(), county, req); err != nil {
				t.Fatal(err)
			}
			w.mend()
			if s := w.sideOf(b, y, id); s.Extended != want {
				t.Errorf("put off by %d days, want %d", s.Extended, want)
			}
			w.sameFigures(a, b, y, id)
		})
	}
}

func TestOutageRefused(t *testing.T) {
	w := watch(t, origin, residence)
	b := w.Sites[1]
	y := towns(t, residence, 1)[0]
	w.clockTo(at("2026-11-24 09:00"))
	sound := declare(y, "2026-11-21 08:00", "2026-11-22 20:00")
	county := Clerk(access.County, residence)
	for name, c := range map[string]struct {
		p      access.Principal
		change func(*desk.OutageRequest)
		kind   fault.Kind
		field  string
	}{
		"a clerk":                {Clerk(access.Clerk, y), func(*desk.OutageRequest) {}, fault.KindDenied, ""},
		"another county":         {Clerk(access.County, origin), func(*desk.OutageRequest) {}, fault.KindDenied, "area"},
		"another county's area":  {county, func(r *desk.OutageRequest) { r.Area = originTown }, fault.KindDenied, "area"},
		"another node's area":    {Clerk(access.County, origin), func(r *desk.OutageRequest) { r.Area = originTown }, fault.KindInvalid, "area"},
		"no request":             {county, func(r *desk.OutageRequest) { r.RequestID = "x" }, fault.KindInvalid, "request_id"},
		"no beginning":           {county, func(r *desk.OutageRequest) { r.From = time.Time{} }, fault.KindInvalid, "from"},
		"ends before it begins":  {county, func(r *desk.OutageRequest) { r.To = r.From }, fault.KindInvalid, "to"},
		"ends in the future":     {county, func(r *desk.OutageRequest) { r.To = at("2026-11-25 00:00") }, fault.KindInvalid, "to"},
		"too long":               {county, func(r *desk.OutageRequest) { r.From = at("2026-10-01 00:00") }, fault.KindInvalid, "to"},
		"no reason":              {county, func(r *desk.OutageRequest) { r.Reason = "停" }, fault.KindInvalid, "reason"},
		"a long reason":          {county, func(r *desk.OutageRequest) { r.Reason = strings.Repeat("停电", 101) }, fault.KindInvalid, "reason"},
		"a number in the reason": {county, func(r *desk.OutageRequest) { r.Reason = "请电询13800000000" }, fault.KindInvalid, "reason"},
	} {
		r := sound
		c.change(&r)
		_, err := b.Desk.DeclareOutage(t.Context(), c.p, r)
		f, ok := fault.As(err)
		if !ok || f.Kind != c.kind || c.field != "" && f.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.count(b, `outage_declared`); n != 0 {
		t.Errorf("%d outages", n)
	}
}

// Pages of more rounds than one transaction takes.
func TestOutageOfManyRounds(t *testing.T) {
	w := watch(t, origin, residence)
	a, b := w.Sites[0], w.Sites[1]
	y := towns(t, residence, 1)[0]
	rs := make([]desk.OpenRequest, 700)
	for i := range rs {
		rs[i] = notice(i, y)
		rs[i].RequestID = fmt.Sprintf("many-%06d", i)
	}
	if _, err := a.Desk.OpenCases(t.Context(), Clerk(access.Clerk, originTown), rs); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.clockTo(at("2026-11-24 09:00"))
	o, err := b.Desk.DeclareOutage(t.Context(), Clerk(access.County, residence), declare(residence, "2026-11-21 08:00", "2026-11-22 20:00"))
	if err != nil || o.Rounds != 700 {
		t.Fatalf("%d rounds, %v", o.Rounds, err)
	}
	w.settle()
	if n := w.count(a, `case_side WHERE extended = 2`); n != 700 {
		t.Errorf("%d rounds are put off at the origin", n)
	}
	if n := w.count(a, `case_side x WHERE standing = 0`); n != 0 {
		t.Errorf("%d without a standing", n)
	}
}
