package rates

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/civil"
)

// answered is a reply d after it could be read, due 30 days later.
func answered(after time.Duration) Reply {
	from := noon(time.November, 2)
	return Reply{Readable: from, Answered: from.Add(after), Due: civil.In(from).AddDays(30).EndInstant(), Outflow: true}
}

func TestHollow(t *testing.T) {
	due := answered(0).Due
	note := NoteOf("已电话联系本人，情况属实")
	day := civil.Date{Year: 2026, Month: time.November, Day: 5}
	several := func(n int, make func(i int) Reply) (out []Reply) {
		for i := range n {
			out = append(out, make(i))
		}
		return out
	}
	days := func(i int) Reply { return answered(time.Duration(24+i*7) * time.Hour) }
	offers := func(n int, make func(i int) Offered) (out []Offered) {
		for i := range n {
			out = append(out, make(i))
		}
		return out
	}
	typed := func(i int) Offered {
		return Offered{Recorded: noon(time.November, 6).Add(time.Duration(i) * 4 * time.Minute), Day: day, Channel: "visit"}
	}
	for _, c := range []struct {
		name    string
		replies []Reply
		offers  []Offered
		want    []Signal
	}{
		{name: "nothing"},
		{name: "ordinary", replies: several(40, days), offers: offers(60, typed)},
		{name: "one in ten in seconds", replies: append(several(45, days), several(5, func(i int) Reply { return answered(time.Duration(i) * time.Second) })...),
			want: []Signal{{AnsweredInSeconds, 5, 50}}},
		{name: "four in seconds", replies: append(several(6, days), several(4, func(int) Reply { return answered(time.Second) })...)},
		{name: "in half a minute", replies: several(5, func(int) Reply { return answered(30 * time.Second) }), want: []Signal{{AnsweredInSeconds, 5, 5}}},
		{name: "a second more", replies: several(5, func(int) Reply { return answered(31 * time.Second) })},
		{name: "recorded before it arrived", replies: several(9, func(int) Reply { return answered(-time.Second) })},
		{name: "all not found", replies: several(20, func(i int) Reply { r := days(i); r.NotFound = true; return r }), want: []Signal{{AllNotFound, 20, 20}}},
		{name: "all but one", replies: several(40, func(i int) Reply { r := days(i); r.NotFound = i > 0; return r })},
		{name: "too few to tell", replies: several(19, func(i int) Reply { r := days(i); r.NotFound = true; return r })},
		{name: "other kinds do not matter", replies: several(40, func(i int) Reply {
			r := days(i)
			r.Outflow = i < 20
			r.NotFound = r.Outflow
			return r
		}), want: []Signal{{AllNotFound, 20, 20}}},
		{name: "in bulk before due", replies: append(several(20, days), several(20, func(i int) Reply {
			r := answered(0)
			r.Answered = due.Add(-30*time.Hour + time.Duration(i)*2*time.Minute)
			return r
		})...), want: []Signal{{BulkBeforeDue, 20, 40}}},
		{name: "in bulk three days before", replies: several(40, func(i int) Reply {
			r := answered(0)
			r.Answered = due.Add(-60*time.Hour + time.Duration(i)*time.Second)
			return r
		})},
		{name: "in bulk late", replies: several(40, func(i int) Reply {
			r := answered(0)
			r.Answered = due.Add(time.Duration(i+1) * time.Second)
			return r
		})},
		{name: "on the last day, all day long", replies: several(40, func(i int) Reply {
			r := answered(0)
			r.Answered = due.Add(-time.Duration(i+1) * 10 * time.Minute)
			return r
		})},
		{name: "in bulk, of those that came the day before the last", replies: several(40, func(i int) Reply {
			r := answered(0)
			r.Answered = due.Add(-time.Hour + time.Duration(i)*time.Second)
			r.Readable = due.Add(-30 * time.Hour)
			return r
		})},
		{name: "identical notes", replies: several(14, func(i int) Reply {
			r := days(i)
			if i < 12 {
				r.Note = note
			}
			if i < 2 {
				r.Note = NoteOf(fmt.Sprintf("家属接听，第%d次", i))
			}
			return r
		}), want: []Signal{{IdenticalNotes, 10, 12}}},
		{name: "notes of their own", replies: several(30, func(i int) Reply { r := days(i); r.Note = NoteOf(fmt.Sprintf("家属接听，第%d次", i)); return r })},
		{name: "codes", replies: several(30, func(i int) Reply { r := days(i); r.Note = NoteOf("NO_RECORD"); return r })},
		{name: "offers in bulk", offers: offers(70, func(i int) Offered {
			o := typed(i)
			if i < 50 {
				o.Recorded = noon(time.November, 7).Add(time.Duration(i) * time.Second)
			}
			return o
		}), want: []Signal{{OffersInBulk, 50, 70}}},
		{name: "of several days", offers: offers(90, func(i int) Offered {
			return Offered{Recorded: noon(time.November, 7), Day: day.AddDays(i % 3), Channel: "visit"}
		})},
		{name: "without a day or a channel", offers: offers(50, func(i int) Offered {
			o := typed(i)
			if i < 3 {
				o.Day = civil.Date{}
			} else if i < 5 {
				o.Channel = ""
			}
			return o
		}), want: []Signal{{OffersWithoutDate, 5, 50}}},
		{name: "four of them", offers: offers(8, func(i int) Offered { o := typed(i); o.Day = civil.Date{}; return o })[:4]},
	} {
		rand.Shuffle(len(c.replies), func(i, j int) { c.replies[i], c.replies[j] = c.replies[j], c.replies[i] })
		rand.Shuffle(len(c.offers), func(i, j int) { c.offers[i], c.offers[j] = c.offers[j], c.offers[i] })
		if d := cmp.Diff(c.want, Hollow(c.replies, c.offers)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestSignNames(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Signs() {
		for _, x := range []string{s.String(), s.Zh(), s.Rule()} {
			if x == "" || seen[x] {
				t.Errorf("%d: %q", s, x)
			}
			seen[x] = true
		}
	}
	if len(Signs()) != int(numSigns)-1 || Sign(0).String() != "UNKNOWN" || Sign(99).Zh() != "未知迹象" || Sign(99).Rule() != "" {
		t.Error("names out of range")
	}
}

// ordinaryMonth is the work of a township that does it: notices come day by day;
// a clerk sits down to those that wait on some days of the week, at 2 to 15
// minutes each, after some days of visits and calls; some people stand at the
// counter; a few answers are late. One in six is not found, one in five says
// nothing. Offers are typed from the papers of each day, at half a minute to four
// minutes each.
func ordinaryMonth(r *rand.Rand) (replies []Reply, offers []Offered) {
	month := civil.Date{Year: 2026, Month: time.November, Day: 1}
	n := r.IntN(200)
	clock := map[civil.Date]time.Time{}
	at := func(d civil.Date, from, to int) time.Time {
		for d.Weekday() == time.Saturday || d.Weekday() == time.Sunday {
			d = d.AddDays(1)
		}
		if clock[d].IsZero() {
			clock[d] = d.StartInstant().Add(8*time.Hour + time.Duration(r.IntN(60))*time.Minute)
		}
		clock[d] = clock[d].Add(time.Duration(from+r.IntN(to-from)) * time.Second)
		return clock[d]
	}
	for range n {
		due := month.AddDays(r.IntN(30))
		came := due.AddDays(-30).StartInstant().Add(time.Duration(8*60+r.IntN(600)) * time.Minute)
		x := Reply{Readable: came, Due: due.EndInstant(), Outflow: r.IntN(10) < 7}
		switch k := r.IntN(100); {
		case k < 3: // the person stands there
			x.Answered = came.Add(time.Duration(20+r.IntN(1200)) * time.Second)
		case k < 6:
			x.Answered = at(due.AddDays(1+r.IntN(9)), 120, 900)
		case k < 20: // whom nobody reached for long
			x.Answered = at(due.AddDays(-r.IntN(5)), 120, 900)
		default:
			x.Answered = at(civil.In(came).AddDays(1+r.IntN(20)), 120, 900)
		}
		x.NotFound = x.Outflow && r.IntN(6) == 0
		switch r.IntN(6) {
		case 0:
			x.Note = NoteOf("NO_RECORD")
		case 1:
			x.Note = NoteOf([]string{"本人外出未归，家属接听", "已登记，材料待补", "房东告知已搬离，新址不详"}[r.IntN(3)])
		}
		replies = append(replies, x)
	}
	for range r.IntN(12) {
		day := month.AddDays(r.IntN(28))
		for range r.IntN(70) {
			offers = append(offers, Offered{Recorded: at(day.AddDays(r.IntN(2)), 30, 240), Day: day, Channel: []string{"visit", "phone", "counter"}[r.IntN(3)]})
		}
	}
	return replies, offers
}

// TestFalseAlarms states how often ordinary work shows each sign.
func TestFalseAlarms(t *testing.T) {
	const months = 2_000
	r := rand.New(rand.NewPCG(1, 2))
	found, alarmed := map[Sign]int{}, 0
	for range months {
		signals := Hollow(ordinaryMonth(r))
		for _, s := range signals {
			found[s.Sign]++
		}
		if len(signals) > 0 {
			alarmed++
		}
	}
	for _, s := range Signs() {
		t.Logf("%s: %d of %d ordinary office months", s, found[s], months)
	}
	t.Logf("any: %d of %d, %s%%", alarmed, months, Ratio{int64(alarmed), months}.Percent())
	if alarmed*100 > months {
		t.Errorf("more than 1%% of ordinary office months show some sign")
	}
	// The same offices, had they done what the signs are about.
	for s, do := range map[Sign]func([]Reply, []Offered){
		AnsweredInSeconds: func(rs []Reply, _ []Offered) {
			for i := range rs {
				rs[i].Answered = rs[i].Readable.Add(3 * time.Second)
			}
		},
		AllNotFound: func(rs []Reply, _ []Offered) {
			for i := range rs {
				rs[i].NotFound = rs[i].Outflow
			}
		},
		IdenticalNotes: func(rs []Reply, _ []Offered) {
			for i := range rs {
				rs[i].Note = NoteOf("已入户核实，情况属实")
			}
		},
		OffersWithoutDate: func(_ []Reply, os []Offered) {
			for i := range os {
				os[i].Day = civil.Date{}
			}
		},
	} {
		r := rand.New(rand.NewPCG(3, 4))
		large, raised := 0, 0
		for range 500 {
			rs, os := ordinaryMonth(r)
			if len(rs) < 50 || len(os) < 50 {
				continue
			}
			large++
			do(rs, os)
			if slices.ContainsFunc(Hollow(rs, os), func(x Signal) bool { return x.Sign == s }) {
				raised++
			}
		}
		if large == 0 || raised != large {
			t.Errorf("%s: found in %d of %d", s, raised, large)
		}
	}
}

func TestPercentiles(t *testing.T) {
	for _, c := range []struct {
		of       []time.Duration
		p50, p90 time.Duration
	}{
		{nil, 0, 0},
		{[]time.Duration{7}, 7, 7},
		{[]time.Duration{2, 1}, 1, 2},
		{[]time.Duration{3, 1, 2}, 2, 3},
		{[]time.Duration{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 5, 9},
		{[]time.Duration{11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 6, 10},
	} {
		if p50, p90 := Percentiles(c.of); p50 != c.p50 || p90 != c.p90 {
			t.Errorf("%v: %d %d", c.of, p50, p90)
		}
	}
}
