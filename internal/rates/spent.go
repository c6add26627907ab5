package rates

import (
	"slices"
	"time"
)

// Percentiles returns the median and the ninth decile by nearest rank: each is
// one of the values, the least that at least half, or nine in ten, do not exceed.
// Both are 0 for no values. It sorts its argument.
func Percentiles(spent []time.Duration) (p50, p90 time.Duration) {
	if len(spent) == 0 {
		return 0, 0
	}
	slices.Sort(spent)
	rank := func(percent int) time.Duration { return spent[(len(spent)*percent+99)/100-1] }
	return rank(50), rank(90)
}
