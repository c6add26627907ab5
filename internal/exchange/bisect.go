package exchange

import (
	"maps"

	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/store"
)

// isCulprit reports whether the database refused a value (SQLSTATE class 22 or
// 23), so that one item of the parcel is to blame.
func isCulprit(err error) bool {
	f, ok := fault.As(err)
	return ok && (f.Reason == store.ReasonValue || f.Reason == store.ReasonDuplicate)
}

// errDry rolls a trial back.
var errDry = fault.Internal("DRY_RUN", "trial")

// bisect finds the items whose values the database refuses and returns them:
// they alone are rejected (rule 16). Trials are rolled back.
func bisect(try func(map[cases.ItemID]bool) error, ids []cases.ItemID) (map[cases.ItemID]bool, error) {
	culprits := map[cases.ItemID]bool{}
	with := func(more ...[]cases.ItemID) map[cases.ItemID]bool {
		m := maps.Clone(culprits)
		for _, l := range more {
			for _, id := range l {
				m[id] = true
			}
		}
		return m
	}
	if err := try(with(ids)); err != nil {
		return nil, err // even without all of them it fails: not an item's fault
	}
	for range ids {
		err := try(culprits)
		if err == nil {
			return culprits, nil
		}
		if !isCulprit(err) {
			return nil, err
		}
		var aside []cases.ItemID
		rest := ids
		for len(rest) > 1 {
			half := rest[:len(rest)/2]
			switch err := try(with(aside, half)); {
			case err == nil:
				rest = half // with half aside it passes: one is in half
			case isCulprit(err):
				aside, rest = append(aside, half...), rest[len(rest)/2:]
			default:
				return nil, err
			}
		}
		culprits[rest[0]] = true
	}
	return culprits, nil
}
