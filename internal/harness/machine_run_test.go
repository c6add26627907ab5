package harness

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	"yipan/internal/exchange"
)

// plant is a rule broken on purpose.
type plant string

const (
	sound        plant = ""
	puback       plant = "puback"       // 15: settled when the broker took it
	nostatement  plant = "nostatement"  // 17: nobody states
	noreturn     plant = "noreturn"     // 11: nothing goes back to its author
	noreceiptset plant = "noreceiptset" // 14: receipts outside the stated set
)

func (p plant) statements() bool { return p != nostatement }

func (p plant) beforePump(m *machine, s, peer *machineSite) {
	if p == noreturn {
		s.raw.Exec(m.t, `DELETE FROM share USING item i WHERE i.id = share.item AND i.author = share.peer AND share.peer = $1 AND NOT share.settled`, int64(peer.Node))
	}
}

func (p plant) afterPump(m *machine, s, peer *machineSite, sent []exchange.Parcel) {
	if p == puback && len(sent) > 0 {
		s.raw.Exec(m.t, `UPDATE share SET settled = true WHERE peer = $1 AND NOT settled AND attempts > 0`, int64(peer.Node))
	}
}

func (p plant) beforeStatement(m *machine, s *machineSite) {
	if p == noreceiptset {
		s.raw.Exec(m.t, `DELETE FROM share WHERE kind = 10`)
		s.raw.Exec(m.t, `DELETE FROM digest`)
		s.raw.Exec(m.t, `UPDATE peer SET digest_through = -1`)
	}
}

// run drives one seed and returns what it violated.
func (m *machine) run(steps int) []string {
	for range steps {
		m.step()
		if len(m.bad) > 0 {
			return m.bad
		}
	}
	m.quiesce()
	return m.bad
}

func envInt(name string, def int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return def
}

const machineSteps = 260

// TestMachine runs random faults and checks I1 to I6 on real tables.
// YIPAN_MACHINE_SEEDS runs more of them, from YIPAN_MACHINE_FROM.
func TestMachine(t *testing.T) {
	from, n := envInt("YIPAN_MACHINE_FROM", 1), envInt("YIPAN_MACHINE_SEEDS", 8)
	var mu sync.Mutex
	var sum machineStats
	t.Cleanup(func() { t.Logf("%+v", sum) })
	for seed := from; seed < from+n; seed++ {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, uint64(seed), sound)
			for _, b := range m.run(machineSteps) {
				t.Error(b)
			}
			mu.Lock()
			defer mu.Unlock()
			sum.add(m.stats)
		})
	}
}

// TestBrokenRules plants faults that the invariants must catch.
// YIPAN_MACHINE_PLANTED is how many seeds each gets at most.
func TestBrokenRules(t *testing.T) {
	for _, p := range []plant{puback, nostatement, noreturn, noreceiptset} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			n := envInt("YIPAN_MACHINE_PLANTED", 12)
			for seed := 1; seed <= n; seed++ {
				var bad []string
				t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) { bad = newMachine(t, uint64(seed), p).run(machineSteps) })
				if len(bad) > 0 {
					t.Logf("seed %d: %s", seed, bad[0])
					return
				}
			}
			t.Errorf("%d seeds did not catch it", n)
		})
	}
}
