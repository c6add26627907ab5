package bus

import (
	"fmt"
	"strconv"
	"strings"

	"yipan/internal/fault"
)

// The subjects of the exchange and of the directory. Version 1 stands in the
// subject, so that a later layout can run beside this one.
const (
	parcelPrefix     = "pip.v1."
	directorySubject = "dir.v1.entry"
)

// Subject returns the subject of a parcel from node src to node dst, both
// 13-digit node ids: pip.v1.<2 digits>.<4 digits>.<6 digits>.<dst>.<src>, the
// digits being those of dst's code (PROTOCOL rule 6). Levels that dst's code
// does not use are zeros already.
func Subject(dst, src int64) string {
	return fmt.Sprintf("%s%s.%013d", parcelPrefix, route(dst), src)
}

// ParseSubject is the inverse of Subject. It refuses (fault.Invalid) whatever
// Subject cannot have made.
func ParseSubject(s string) (dst, src int64, err error) {
	bad := func() (int64, int64, error) {
		return 0, 0, fault.Invalid("SUBJECT", "subject is not one of a parcel")
	}
	t := strings.Split(s, ".")
	if len(t) != 7 {
		return bad()
	}
	dst, err1 := strconv.ParseInt(t[5], 10, 64)
	src, err2 := strconv.ParseInt(t[6], 10, 64)
	if err1 != nil || err2 != nil || !validNode(dst) || !validNode(src) || Subject(dst, src) != s {
		return bad()
	}
	return dst, src, nil
}

// filterOf returns the subjects that node self receives.
func filterOf(self int64) string { return parcelPrefix + route(self) + ".*" }

func route(dst int64) string {
	d := fmt.Sprintf("%013d", dst)
	return d[:2] + "." + d[:4] + "." + d[:6] + "." + d
}

// validNode reports whether id can be a node: a code of 12 digits with a
// province, and a level from 1 to 5.
func validNode(id int64) bool {
	return id >= 10_0000_0000_000 && id < 100_0000_0000_000 && id%10 >= 1 && id%10 <= 5
}

func checkNode(id int64) error {
	if !validNode(id) {
		return fault.Invalid("NODE_ID", "node id %d is not an area key", id)
	}
	return nil
}

// provinceOf returns the two leading digits of a valid node id.
func provinceOf(id int64) string { return strconv.FormatInt(id, 10)[:2] }

// streamOf names the stream of a province.
func streamOf(province string) string { return "EX_" + province }

// durableOf names the consumer that all replicas of a node share.
func durableOf(self int64) string { return fmt.Sprintf("n_%013d", self) }
