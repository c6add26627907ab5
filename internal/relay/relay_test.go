package relay

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"yipan/internal/bus"
	"yipan/internal/cases"
	"yipan/internal/exchange"
	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

// Nobody looks by the clock here: every notice and every receipt must move by
// being told of.
func TestFlowsWithoutPolling(t *testing.T) {
	n := newTown(t, nil)
	n.startHub()
	n.a.poll, n.b.poll = time.Hour, time.Hour
	n.startBoth()
	eventually(t, "connections", func() bool { return n.a.conn.Connected() && n.b.conn.Connected() })
	slowest := time.Duration(0)
	for range 40 {
		begun := time.Now()
		n.open(1)
		eventually(t, "a receipt without polling", func() bool { return n.a.unsettled() == 0 })
		slowest = max(slowest, time.Since(begun))
	}
	if slowest > 5*time.Second {
		t.Errorf("a notice took %s from commit to receipt", slowest)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for k := range 10 {
				if err := n.openAt(1000+100*g+k, 1); err != nil {
					t.Error(err)
				}
				n.a.relay.Wake()
			}
		})
	}
	wg.Wait()
	n.opened += 80
	n.settled()
}

// A wake that comes when a pump has looked already must make it look again.
func TestPumpUnderWayLooksAgain(t *testing.T) {
	r := New(Config{Now: time.Now})
	peer := cases.NodeID(residence)
	if !r.begin(peer) || r.begin(peer) || r.begin(peer) {
		t.Fatal("two pumps for one peer")
	}
	if !r.end(peer) {
		t.Fatal("the wake was lost")
	}
	if r.end(peer) {
		t.Fatal("one wake, two looks")
	}
	if !r.begin(peer) {
		t.Fatal("the pump has ended and none can begin")
	}
}

func TestBrokerAbsentRestartedEmptied(t *testing.T) {
	n := newTown(t, nil)
	n.startBoth()
	n.open(20)
	if got := n.a.unsettled(); got != 20 {
		t.Fatalf("%d unsettled without a broker", got)
	}
	n.startHub()
	n.settled()

	n.hub.Stop()
	n.open(20)
	if got := n.a.unsettled(); got != 20 {
		t.Fatalf("%d unsettled with the broker stopped", got)
	}
	n.startHub()
	n.settled()

	// Its disk goes while parcels are on their way.
	gone := make(chan struct{})
	loaded := make(chan error, 1)
	first := n.opened
	go func() {
		i := first
		for after := 0; after < 10; i += 20 { // ten more without a broker
			if err := n.openAt(i, 20); err != nil {
				loaded <- err
				return
			}
			select {
			case <-gone:
				after++
			default:
			}
		}
		n.opened = i
		loaded <- nil
	}()
	eventually(t, "load", func() bool { return n.a.metric(published, "ok") > 20 })
	n.hub.Stop()
	if err := os.RemoveAll(n.store); err != nil {
		t.Fatal(err)
	}
	close(gone)
	if err := <-loaded; err != nil {
		t.Fatal(err)
	}
	if got := n.a.unsettled(); got < 200 {
		t.Fatalf("only %d unsettled when the disk was gone", got)
	}
	n.startHub()
	n.settled()
}

// A full stream is a warning, no loss, and no storm: what is refused waits, and
// goes soon after there is room again.
func TestStreamFull(t *testing.T) {
	n := newTown(t, nil)
	n.limits = bus.Limits{MaxBytes: 200 << 10}
	n.startHub()
	n.a.speed, n.b.speed = 10, 10 // pauses after refusals end sooner
	for range 3 {
		n.open(500) // each parcel of them is half a stream
	}
	n.startBoth()
	full := func() float64 { return n.a.metric(published, bus.ReasonStreamFull) }
	eventually(t, "refusals", func() bool { return full() >= 4 })
	if n.a.log.count("parcel not published") == 0 || n.a.log.count("maximum bytes") == 0 {
		t.Error("no warning names the full stream")
	}
	if got := n.a.unsettled(); got < 500 {
		t.Errorf("only %d unsettled behind a full stream", got)
	}
	if got := full(); got > 40 {
		t.Errorf("%v publishes into a full stream", got)
	}
	operator, err := bus.Connect(t.Context(), bus.Config{InProcess: n.hub, Limits: bus.Limits{MaxBytes: 64 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close()
	if err := operator.ApplyStreams(t.Context(), []string{"33", "52"}); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	n.settled()
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("%s until what was refused was settled", took)
	}
}

// A peer that is down is sent little again and again, and catches up after.
func TestPeerDown(t *testing.T) {
	n := newTown(t, nil)
	n.startHub()
	n.a.speed = 40 // flights count as lost after half a second
	n.a.start()
	n.open(1)
	peer := n.b.Node
	eventually(t, "silence", func() bool {
		_, most := n.a.relay.flights.count(peer)
		return most == silentWindow
	})
	begun, before := time.Now(), n.a.metric(published, "ok")
	for range 60 {
		n.open(1)
	}
	sent, lapsed := n.a.metric(published, "ok")-before, time.Since(begun)*n.a.speed/flightTime
	if most := float64(silentWindow * (lapsed + 2)); sent > most {
		t.Errorf("%v parcels to a silent peer in %d flight times, want at most %v", sent, lapsed, most)
	}
	if got := n.a.unsettled(); got != 61 {
		t.Fatalf("%d unsettled", got)
	}
	n.b.start()
	n.settled()
	eventually(t, "the peer is heard", func() bool {
		_, most := n.a.relay.flights.count(peer)
		return most == window
	})
}

// Killed between commit and ack, as far as a process can do that to itself: the
// parcel comes again and changes nothing.
func TestCommittedButNotAcked(t *testing.T) {
	n := newTown(t, nil)
	n.startHub()
	n.b.start()
	n.b.end()
	var dead, back atomic.Bool
	testHookAbsorbed = func() {
		if back.Load() {
			return
		}
		if !dead.Swap(true) {
			go n.b.end()
		}
		<-n.b.dying // also what came in a second parcel is not answered
	}
	t.Cleanup(func() { testHookAbsorbed = nil })
	n.b.run(n.b.Exchange)
	n.a.start()
	n.open(30)
	eventually(t, "the end of the destination", dead.Load)
	n.b.end()
	if got := n.held(n.b); got != 30 {
		t.Fatalf("%d cases are committed", got)
	}
	if n.a.unsettled() != 30 {
		t.Fatal("an answer left before the ack")
	}
	again := n.b.metric(deliveries, "again")
	back.Store(true)
	n.b.run(n.b.Exchange)
	eventually(t, "the parcel to come again", func() bool { return n.b.metric(deliveries, "again") > again })
	n.settled()
}

// The processed time is written down, and where a new consumer begins follows
// from it; a note that is missing or unreadable means everything.
func TestProcessedTimeIsNoted(t *testing.T) {
	n := newTown(t, nil)
	n.startHub()
	n.startBoth()
	ctx := t.Context()
	if at, err := n.b.relay.lastProcessed(ctx); err != nil || !at.IsZero() {
		t.Fatalf("before anything came: %v, %v", at, err)
	}
	begun := time.Now()
	n.open(3)
	n.settled()
	eventually(t, "the note", func() bool {
		at, err := n.b.relay.lastProcessed(ctx)
		return err == nil && at.After(begun.Add(-time.Second)) && at.Before(time.Now().Add(time.Second))
	})
	// A new broker's life forgets the consumers; everything of the last day comes
	// again, and the note does not go back.
	noted, _ := n.b.relay.lastProcessed(ctx)
	before := n.b.metric(deliveries, "first")
	n.hub.Stop()
	n.startHub()
	eventually(t, "redelivery", func() bool { return n.b.metric(deliveries, "first") > before })
	n.open(3)
	n.settled()
	if at, err := n.b.relay.lastProcessed(ctx); err != nil || at.Before(noted) {
		t.Errorf("the note went from %v to %v, %v", noted, at, err)
	}
	n.b.end()
	if err := n.b.DB.PutNote(ctx, noteTime, "junk"); err != nil {
		t.Fatal(err)
	}
	if at, err := n.b.relay.lastProcessed(ctx); err != nil || !at.IsZero() {
		t.Errorf("an unreadable note: %v, %v", at, err)
	}
}

// Both databases are killed and come back, one after the other; no relay is
// started again for that.
func TestDatabaseAway(t *testing.T) {
	var servers []*storetest.Server
	n := newTown(t, func() *store.DB {
		s := storetest.Durable(t)
		servers = append(servers, s)
		return s.Open(t)
	})
	n.startHub()
	n.startBoth()
	n.open(20)
	n.settled()
	servers[1].Kill9(t)
	n.open(20)
	eventually(t, "a refusal of the destination", func() bool { return n.b.log.count("parcel not absorbed") > 0 })
	servers[1].Start(t)
	n.settled()
	servers[0].Kill9(t)
	eventually(t, "a complaint of the origin", func() bool { return n.a.log.count("pump cannot read what is owed") > 0 })
	n.hub.Stop() // and what follows from reaching the broker must wait for it
	n.startHub()
	eventually(t, "the origin waits", func() bool { return n.a.log.count("unsettled items not made due") > 0 })
	servers[0].Start(t)
	eventually(t, "connections of the pool", func() bool { return n.a.unsettled() == 0 })
	n.open(20)
	n.settled()
}

// The disk of the destination's database is full for a while: nothing is acked,
// nothing is half done, and it is absorbed later.
func TestDiskFull(t *testing.T) {
	url := map[int]string{}
	n := newTown(t, func() *store.DB {
		u := storetest.NewURL(t)
		url[len(url)] = u
		return storetest.Open(t, u)
	})
	raw := storetest.Raw(t, url[1])
	raw.Exec(t, `CREATE TABLE planted (x int)`)
	raw.Exec(t, `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
		BEGIN
			IF EXISTS (SELECT 1 FROM public.planted) THEN
				RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full';
			END IF;
			RETURN NULL;
		END $$`)
	// Late in the transaction: much is written by then.
	raw.Exec(t, `CREATE TRIGGER full_disk BEFORE INSERT ON cover FOR EACH STATEMENT EXECUTE FUNCTION full_disk()`)
	raw.Exec(t, `INSERT INTO planted VALUES (1)`)
	n.startHub()
	n.startBoth()
	n.open(30)
	eventually(t, "the parcel to come again", func() bool { return n.b.metric(deliveries, "again") > 0 })
	if n.b.log.count("53100") == 0 {
		t.Error("no warning names the full disk")
	}
	for _, table := range []string{"item", "leg", "case_side", "share", "cover", "quarantine"} {
		if rows := raw.Rows(t, `SELECT 1 FROM `+table); len(rows) > 0 {
			t.Errorf("%d rows of %s on a full disk", len(rows), table)
		}
	}
	if got := n.a.unsettled(); got != 30 {
		t.Errorf("%d unsettled", got)
	}
	raw.Exec(t, `DELETE FROM planted`)
	n.settled()
}

// Two replicas share the origin's work; receipts that the other takes in must
// not count as parcels on their way for ever.
func TestTwoReplicas(t *testing.T) {
	n := newTown(t, nil)
	n.startHub()
	n.startBoth()
	twin := &station{Site: n.a.Site, town: n}
	twinExchange := exchange.New(exchange.Config{DB: n.a.DB, Book: n.a.Book, Keys: n.a.Keys, Now: n.Clock.Now, Log: n.Log, Journal: n.a.Journal})
	twin.startAs(twinExchange)
	eventually(t, "connections", func() bool { return n.a.conn.Connected() && twin.conn.Connected() && n.b.conn.Connected() })
	// More parcels than a window holds, though half of the receipts go astray.
	begun := time.Now()
	for sent := 0.0; sent < 2*window+12; sent = n.a.metric(published, "ok") {
		if time.Since(begun) > flightTime {
			t.Fatalf("%v parcels in %s", sent, flightTime)
		}
		n.open(1)
		eventually(t, "a receipt", func() bool { return n.a.unsettled() == 0 || time.Since(begun) > flightTime })
	}
	n.settled()
	if n.a.metric(deliveries, "first") == 0 || twin.metric(deliveries, "first") == 0 {
		t.Error("one replica took all receipts in")
	}
}
