//go:build plantedfault

package exchange

import "yipan/internal/cases"

// uncommitted plants a fault that the demo's check must find: one item in
// sixteen is acknowledged as if its acknowledgement left before the commit, and
// the commit never came. Its sender has a signed receipt and settles; the item
// is not here, however often it comes again.
func uncommitted(id cases.ItemID) bool { return id[0]&0x0f == 0 }
