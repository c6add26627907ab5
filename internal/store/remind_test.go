package store_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

func TestClaimReminder(t *testing.T) {
	db := storetest.New(t)
	day := civil.MustParse("2026-03-04")
	claim := func(now time.Time, channel int16) (try int16) {
		exchange(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) (err error) {
			try, err = tx.ClaimReminder(ctx, east, day, channel, now, now.Add(time.Minute), 3)
			return err
		})
		return try
	}
	settle := func(d store.ReminderDay) {
		d.Office, d.Day, d.Channel = east, day, store.ByEmail
		exchange(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error { return tx.SettleReminder(ctx, d) })
	}
	days := func() (out []store.ReminderDay) {
		desk(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) (err error) {
			out, err = tx.ReminderDays(ctx, east, 10)
			return err
		})
		return out
	}

	// Of many who claim at once one gets it.
	var wait sync.WaitGroup
	tries := make([]int16, 16)
	for i := range tries {
		wait.Go(func() { tries[i] = claim(noon, store.ByEmail) })
	}
	wait.Wait()
	got := 0
	for _, n := range tries {
		got += int(n)
	}
	if got != 1 {
		t.Fatalf("tries %v", tries)
	}
	if n := claim(noon, store.ByWebhook); n != 1 {
		t.Errorf("the other channel: try %d", n)
	}

	// A claim runs out; who held it then settles nothing.
	if a, b := claim(noon.Add(59*time.Second), store.ByEmail), claim(noon.Add(time.Minute), store.ByEmail); a != 0 || b != 2 {
		t.Errorf("tries %d, %d", a, b)
	}
	settle(store.ReminderDay{Tries: 1, DeliveredAt: noon, NextTry: noon})
	settle(store.ReminderDay{Tries: 2, NextTry: noon.Add(time.Hour), Error: "TIMEOUT"})
	if a, b := claim(noon.Add(59*time.Minute), store.ByEmail), claim(noon.Add(time.Hour), store.ByEmail); a != 0 || b != 3 {
		t.Errorf("after a failure: tries %d, %d", a, b)
	}
	if n := claim(noon.Add(2*time.Hour), store.ByEmail); n != 0 {
		t.Errorf("more tries than the most: %d", n)
	}
	settle(store.ReminderDay{Tries: 3, DeliveredAt: noon.Add(time.Hour), NextTry: noon.Add(time.Hour)})
	want := []store.ReminderDay{
		{Office: east, Day: day, Channel: store.ByWebhook, Tries: 1, NextTry: noon.Add(time.Minute)},
		{Office: east, Day: day, Channel: store.ByEmail, Tries: 3, NextTry: noon.Add(time.Hour), DeliveredAt: noon.Add(time.Hour)},
	}
	if d := cmp.Diff(want, days()); d != "" {
		t.Error(d)
	}
	exchange(t, db, []area.Key{east}, func(ctx context.Context, tx *store.Tx) error { return tx.DropReminderDays(ctx, east, day.AddDays(1)) })
	if left := days(); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

// OpenWork counts by the day at whose end a case is due, in Shanghai.
func TestOpenWork(t *testing.T) {
	db := storetest.New(t)
	day := civil.MustParse("2026-03-04")
	desk(t, db, []area.Key{east, west}, func(ctx context.Context, tx *store.Tx) error {
		var sides []store.Side
		for i, c := range []struct {
			office area.Key
			kind   cases.Kind
			status cases.Status
			due    time.Time
			paired bool
		}{
			{east, cases.Outflow, 1, day.EndInstant(), false},
			{east, cases.Outflow, 1, day.EndInstant(), false},
			{east, cases.Outflow, 1, day.EndInstant(), true},
			{east, cases.Inflow, 1, day.EndInstant().Add(time.Microsecond), true},
			{east, cases.Outflow, 1, day.AddDays(-9).EndInstant(), true},
			{east, cases.Outflow, 1, day.AddDays(9).EndInstant(), true},
			{east, cases.Outflow, 1, time.Time{}, true},
			{east, cases.Outflow, 2, day.EndInstant(), true},
			{west, cases.Outflow, 1, day.EndInstant(), true},
		} {
			s := side(100+i, c.office)
			s.Side, s.Kind, s.Status, s.DueAt, s.Person = cases.SideReceiver, c.kind, c.status, c.due, cases.PersonID{}
			if c.paired {
				s.Person = personID(100 + i)
			}
			sides = append(sides, s)
		}
		return tx.InsertSides(ctx, sides)
	})
	desk(t, db, []area.Key{east, west}, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.OpenWork(ctx, east, day.AddDays(1).EndInstant())
		want := []store.OpenWork{
			{Todo: store.TodoAnswer, Kind: cases.Outflow, Day: day.AddDays(-9), N: 1},
			{Todo: store.TodoPair, Kind: cases.Outflow, Day: day, N: 2},
			{Todo: store.TodoAnswer, Kind: cases.Outflow, Day: day, N: 1},
			{Todo: store.TodoAnswer, Kind: cases.Inflow, Day: day.AddDays(1), N: 1},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		return err
	})
}

// The digest's count reads what falls due, whatever is planned for.
func TestOpenWorkPlan(t *testing.T) {
	url := storetest.NewURL(t)
	owner := connect(t, url)
	run(t, owner, busy)
	sql := statements(t)["openWork"]
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			run(t, owner, "ANALYZE")
		}
		conn := as(t, url, store.App)
		run(t, conn, "SET yipan.offices = '{84}'; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off")
		run(t, conn, "PREPARE work AS "+sql)
		// 600 of the 60,000 that wait are due within the first 1,000 minutes.
		plan := strings.Join(list(t, conn, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE work (84, '2026-01-10'::timestamptz + interval '1000 minutes')"), "\n")
		if !strings.Contains(plan, "case_side_todo") || strings.Contains(plan, "Seq Scan on case_side") {
			t.Errorf("statistics %v:\n%s", analyzed, plan)
		}
		for _, m := range actual.FindAllStringSubmatch(plan, -1) {
			if len(m[1]) > 3 {
				t.Errorf("statistics %v reads %s rows:\n%s", analyzed, m[1], plan)
				break
			}
		}
	}
}
