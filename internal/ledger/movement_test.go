package ledger

import (
	"math/rand"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
)

var (
	county  = area.MustOf(area.County, "520330")
	office  = area.Children(county)[0]
	village = area.MustOf(area.Village, office.Short()+"201")
	abroad  = area.Children(area.MustOf(area.County, "330782"))[0]
	farther = area.Children(area.MustOf(area.County, "330481"))[0]
)

func at(day int, k MovementKind, to area.Key) Movement {
	on := civil.MustParse("2026-01-01").AddDays(day)
	return Movement{ID: MovementID{byte(day), byte(k)}, Kind: k, To: to, On: on, RecordedAt: on.StartInstant()}
}

func TestPlaces(t *testing.T) {
	transfer := func(day int, from, to area.Key) Movement {
		m := at(day, Transfer, to)
		m.From = from
		return m
	}
	undone := func(m Movement) Movement {
		m.UndoneAt = m.RecordedAt.Add(time.Hour)
		return m
	}
	for _, c := range []struct {
		name       string
		registered area.Key
		ms         []Movement
		presence   Presence
		living     area.Key
		since      int // -1: not known
	}{
		{"nothing", office, nil, Unknown, 0, -1},
		{"left", office, []Movement{at(1, Leave, abroad)}, Outflow, abroad, 1},
		{"left for somewhere", office, []Movement{at(1, Leave, 0)}, Outflow, 0, 1},
		{"left and moved on", office, []Movement{at(1, Leave, abroad), at(5, MoveOn, farther)}, Outflow, farther, 5},
		{"back", village, []Movement{at(1, Leave, abroad), at(5, Return, 0)}, Here, village, 5},
		{"back, told first", office, []Movement{at(5, Return, 0), at(1, Leave, abroad)}, Here, office, 5},
		{"arrived", abroad, []Movement{at(1, Arrive, village)}, Inflow, village, 1},
		{"arrived somewhere here", abroad, []Movement{at(1, Arrive, 0)}, Inflow, office, 1},
		{"moved on", abroad, []Movement{at(1, Arrive, 0), at(5, MoveOn, farther)}, Gone, farther, 5},
		{"went home", abroad, []Movement{at(1, Arrive, 0), at(5, Return, 0)}, Gone, abroad, 5},
		{"register moved here", office, []Movement{at(1, Arrive, village), transfer(5, abroad, office)}, Here, village, 5},
		{"register moved from here", abroad, []Movement{at(1, Leave, farther), transfer(5, office, abroad)}, Gone, farther, 5},
		{"register moved from here, back", abroad, []Movement{at(1, Leave, farther), at(3, Return, 0), transfer(5, office, abroad)}, Inflow, office, 5},
		{"register moved elsewhere", farther, []Movement{at(1, Arrive, 0), transfer(5, abroad, farther)}, Inflow, office, 1},
		{"renamed", abroad, []Movement{at(1, Arrive, 0), at(5, Identity, 0)}, Inflow, office, 1},
		{"dead", abroad, []Movement{at(1, Arrive, 0), at(5, Death, 0), at(9, MoveOn, farther)}, Dead, 0, 5},
		{"undone", office, []Movement{at(1, Leave, abroad), undone(at(5, Return, 0))}, Outflow, abroad, 1},
		{"all undone", office, []Movement{undone(at(1, Leave, abroad))}, Unknown, 0, -1},
	} {
		p, living, since := Places(office, c.registered, c.ms)
		want := civil.Date{}
		if c.since >= 0 {
			want = at(c.since, Leave, 0).On
		}
		if p != c.presence || living != c.living || since != want {
			t.Errorf("%s: %d %s %s, want %d %s %s", c.name, p, living, since, c.presence, c.living, want)
		}
	}
}

// history draws movements on days of their own, some of them undone.
func history(t *rapid.T) ([]Movement, area.Key) {
	places := []area.Key{0, office, village, abroad, farther}
	n := rapid.IntRange(0, 12).Draw(t, "n")
	var ms []Movement
	registered := rapid.SampledFrom([]area.Key{office, village, abroad}).Draw(t, "registered")
	now := registered
	for day := range n {
		k := MovementKind(rapid.IntRange(int(Leave), int(Death)).Draw(t, "kind"))
		m := at(day, k, rapid.SampledFrom(places).Draw(t, "to"))
		m.RecordedAt = m.RecordedAt.AddDate(0, 0, rapid.IntRange(0, 40).Draw(t, "recorded"))
		if k == Transfer {
			m.From = now
			if m.To == 0 {
				m.To = farther
			}
			now = m.To
		}
		if rapid.IntRange(0, 4).Draw(t, "undone") == 0 && k != Transfer {
			m.UndoneAt = m.RecordedAt.Add(time.Hour)
		}
		ms = append(ms, m)
	}
	return ms, now
}

// In whatever order movements are recorded and told, the person is in one place;
// what was undone never happened; the dead stay dead; and of the residences that
// follow from the movements at most one is open, the one that Places names.
func TestPlacesProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms, registered := history(t)
		p, living, since := Places(office, registered, ms)

		shuffled := slices.Clone(ms)
		r := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
		r.Shuffle(len(shuffled), func(i, j int) {
			shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
			shuffled[i].RecordedAt, shuffled[j].RecordedAt = shuffled[j].RecordedAt, shuffled[i].RecordedAt
		})
		for i := range shuffled {
			if !shuffled[i].UndoneAt.IsZero() {
				shuffled[i].UndoneAt = shuffled[i].RecordedAt.Add(time.Minute)
			}
		}
		if p2, l2, s2 := Places(office, registered, shuffled); p2 != p || l2 != living || s2 != since {
			t.Fatalf("told otherwise: %d %s %s, before %d %s %s", p2, l2, s2, p, living, since)
		}
		kept := slices.DeleteFunc(slices.Clone(ms), func(m Movement) bool { return !m.UndoneAt.IsZero() })
		if p2, l2, s2 := Places(office, registered, kept); p2 != p || l2 != living || s2 != since {
			t.Fatalf("undone counts: %d %s %s, without %d %s %s", p2, l2, s2, p, living, since)
		}
		if died := slices.IndexFunc(kept, func(m Movement) bool { return m.Kind == Death }); died >= 0 {
			if p != Dead || living != 0 || since != kept[died].On {
				t.Fatalf("dead since %s, but %d %s since %s", kept[died].On, p, living, since)
			}
		} else if p == Dead {
			t.Fatal("dead of nothing")
		}
		open := residences(kept)
		if len(open) > 1 {
			t.Fatalf("%d open residences", len(open))
		}
		if len(open) == 1 && (since.IsZero() || since.Before(open[0]) && p != Unknown) {
			t.Fatalf("open since %s, presence since %s", open[0], since)
		}
		if len(open) == 0 && p != Dead && p != Unknown {
			t.Fatalf("presence %d without a residence", p)
		}
	})
}

// residences is an independent count: each movement of place closes what is open
// and opens one, a death closes. It returns the days of the open ones.
func residences(ms []Movement) []civil.Date {
	type stay struct{ from, to civil.Date }
	var all []stay
	for _, m := range ms {
		if m.Kind > Return && m.Kind != Death {
			continue
		}
		for i := range all {
			if all[i].to.IsZero() {
				all[i].to = m.On
			}
		}
		if m.Kind == Death {
			break
		}
		all = append(all, stay{from: m.On})
	}
	var open []civil.Date
	for _, s := range all {
		if s.to.IsZero() {
			open = append(open, s.from)
		}
	}
	return open
}

// What CheckMovement lets through never opens a second residence here, and never
// moves the dead.
func TestCheckedHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawn, registered := history(t)
		registered = begin(registered, drawn).registered
		var ms []Movement
		here, dead := false, false
		for _, m := range drawn {
			if m.Kind == Transfer {
				continue
			}
			m.UndoneAt = time.Time{}
			if CheckMovement(office, registered, ms, m) != nil {
				continue
			}
			if dead {
				t.Fatalf("%s of the dead", m.Kind)
			}
			if m.Kind == Arrive && here {
				t.Fatal("a second residence here")
			}
			ms = append(ms, m)
			p, _, _ := Places(office, registered, ms)
			here, dead = p.LivesHere(), p == Dead
		}
		for _, m := range ms {
			if err := CheckUndo(office, registered, registered, ms, m.ID); err != nil && fault.Of(err) != fault.KindConflict {
				t.Fatal(err)
			}
		}
	})
}

// A note has one size sealed whatever it says, and what it must say always fits.
func TestMovementNoteFits(t *testing.T) {
	id := cases.CaseID{1}
	long := MovementNote{
		BasisKind: cases.BasisDuty, Consent: cases.ConsentID{1}, Duty: "duty:0123456789012345678901234567890123456789", Confirm: cases.ConsentID{1},
		Case: id, Accepted: id, Stayed: StayedApprovalNeeded, Approval: [16]byte{1}, UndoneBy: "account-of-a-clerk-with-a-long-name",
	}
	for range 200 {
		long.Undone += "误"
	}
	for range 60 {
		long.Followed = append(long.Followed, NotedCase{Case: id, Change: "withdrawn"})
		long.Warnings = append(long.Warnings, "请核对档案")
	}
	long.Fit()
	if _, err := Encode(&long, MovementBytes); err != nil || len(long.Followed) == 0 || long.Undone == "" {
		t.Errorf("%d cases, %v", len(long.Followed), err)
	}
}

func TestMovementWords(t *testing.T) {
	for k := Leave; k.Known(); k++ {
		if k.String() == "unknown" || k.Zh() == "未知" {
			t.Errorf("kind %d has no name", k)
		}
	}
	if MovementKind(0).Known() || MovementKind(8).Known() || MovementKind(8).Zh() != "未知" {
		t.Error("unknown kinds")
	}
	for _, s := range []string{StayedObjected, StayedNoBasis, StayedNoDestination, StayedNoRegistered, StayedNoMovement, StayedNoticeExists,
		StayedApprovalNeeded, StayedElsewhere, StayedSuperseded} {
		if StayedZh(s) == "" {
			t.Errorf("%s has no text", s)
		}
	}
	m := MovementID{1, 2}
	if got, err := ParseMovementID(m.String()); err != nil || got != m {
		t.Error(got, err)
	}
	if _, err := ParseMovementID("12"); fault.Of(err) != fault.KindInvalid {
		t.Error(err)
	}
}
