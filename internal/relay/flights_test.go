package relay

import (
	"testing"
	"testing/synctest"
	"time"

	"yipan/internal/cases"
	"yipan/internal/wire"
)

func parcel(i int) wire.ParcelID { return wire.ParcelID{byte(i), byte(i >> 8)} }

func wantCount(t *testing.T, f *flights, away, most int) {
	t.Helper()
	if a, m := f.count(cases.NodeID(residence)); a != away || m != most {
		t.Fatalf("%d of %d parcels, want %d of %d", a, m, away, most)
	}
}

func TestFlightsOfASilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFlights(time.Now), cases.NodeID(residence)
		wantCount(t, f, 0, window)
		for i := range window {
			f.start(n, parcel(i), 1)
		}
		wantCount(t, f, window, window)
		f.landed(n, []wire.ParcelID{parcel(0), parcel(1)})
		wantCount(t, f, window-2, window)
		time.Sleep(flightTime + 1)
		wantCount(t, f, 0, silentWindow)
		f.start(n, parcel(100), 1)
		wantCount(t, f, 1, silentWindow)
		f.heard(n)
		wantCount(t, f, 1, window)
	})
}

func TestFlightsRefusedByTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFlights(time.Now), cases.NodeID(residence)
		for i := range 3 {
			f.start(n, parcel(i), 1)
		}
		f.refused(n, parcel(0))
		f.refused(n, parcel(1)) // together with the first
		wantCount(t, f, 1, 0)
		if f.taken(n, parcel(2)) {
			t.Error("a parcel sent before the refusal ended it")
		}
		f.landed(n, []wire.ParcelID{parcel(2)})
		for pause, i := firstRefusal, 3; i < 10; i++ {
			wantCount(t, f, 0, 0)
			time.Sleep(pause - 1)
			wantCount(t, f, 0, 0)
			time.Sleep(time.Nanosecond)
			wantCount(t, f, 0, oneTry)
			f.start(n, parcel(i), 1)
			f.refused(n, parcel(i))
			pause = min(2*pause, longestRefusal)
		}
		time.Sleep(longestRefusal)
		f.start(n, parcel(50), 1)
		wantCount(t, f, 1, oneTry)
		if !f.taken(n, parcel(50)) || f.taken(n, parcel(50)) {
			t.Error("one try was taken, and ends the refusals once")
		}
		wantCount(t, f, 1, window)
	})
}

func TestFlightsRecounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFlights(time.Now), cases.NodeID(residence)
		if f.doubtful(n) {
			t.Error("nothing is away, and in doubt")
		}
		for i := range 10 {
			f.start(n, parcel(i), 10)
			time.Sleep(time.Millisecond)
		}
		if !f.doubtful(n) {
			t.Fatal("never looked, and not in doubt")
		}
		if f.recount(n, 100, 20*time.Millisecond) {
			t.Error("all are open, and some landed")
		}
		if f.doubtful(n) {
			t.Error("a look takes more than a fiftieth of the time")
		}
		time.Sleep(time.Second)
		if !f.doubtful(n) || !f.recount(n, 25, time.Millisecond) {
			t.Error("none has landed")
		}
		wantCount(t, f, 2, window)
		if f.lane(n).away[parcel(9)].items != 10 || f.lane(n).away[parcel(8)].items != 10 {
			t.Error("not the oldest have landed")
		}
	})
}
