package model

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	scanN   = flag.Int("scan", 0, "seeds to scan")
	scanMut = flag.String("mut", "", "mutant")
	scanPf  = flag.Int("pf", 0, "")
	from    = flag.Int("from", 0, "")
)

func TestScan(t *testing.T) {
	if *scanN == 0 {
		t.Skip()
	}
	var next, bad atomic.Int64
	next.Store(int64(*from))
	var mu sync.Mutex
	var wg sync.WaitGroup
	kinds := map[string]int{}
	var tot tally
	maxR := 0
	for range 2 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				s := next.Add(1) - 1
				if s >= int64(*from+*scanN) {
					return
				}
				w := randomRun(uint64(s), mutant(*scanMut), profile(*scanPf), 250)
				mu.Lock()
				tot.add(w.stats)
				maxR = max(maxR, w.stats.rounds)
				if len(w.viol) > 0 {
					kinds[strings.SplitN(w.viol[0], " ", 2)[0]]++
					if bad.Add(1) <= 6 {
						fmt.Println("seed", s, w.viol[0])
					}
				}
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	fmt.Printf("mut=%q bad=%d maxR=%d %v %+v\n", *scanMut, bad.Load(), maxR, kinds, tot)
}
