package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"yipan/internal/civil"
)

var update = flag.Bool("update", false, "write the golden files anew")

// holiday is one paragraph of a notice: days off from first to last, and the
// Saturdays and Sundays that are worked for it.
type holiday struct {
	name        string
	first, last string
	worked      []string
}

// notices are what the State Council's notices say, written down apart from the
// calendar's file: a slip in either shows. Weekends that only adjoin a holiday
// (与周末连休) are weekends.
var notices = map[string][]holiday{
	"国办发明电〔2023〕7号": {
		{"元旦", "2024-01-01", "2024-01-01", nil},
		{"春节", "2024-02-10", "2024-02-17", []string{"2024-02-04", "2024-02-18"}},
		{"清明节", "2024-04-04", "2024-04-06", []string{"2024-04-07"}},
		{"劳动节", "2024-05-01", "2024-05-05", []string{"2024-04-28", "2024-05-11"}},
		{"端午节", "2024-06-10", "2024-06-10", nil},
		{"中秋节", "2024-09-15", "2024-09-17", []string{"2024-09-14"}},
		{"国庆节", "2024-10-01", "2024-10-07", []string{"2024-09-29", "2024-10-12"}},
	},
	"国办发明电〔2024〕12号": {
		{"元旦", "2025-01-01", "2025-01-01", nil},
		{"春节", "2025-01-28", "2025-02-04", []string{"2025-01-26", "2025-02-08"}},
		{"清明节", "2025-04-04", "2025-04-06", nil},
		{"劳动节", "2025-05-01", "2025-05-05", []string{"2025-04-27"}},
		{"端午节", "2025-05-31", "2025-06-02", nil},
		{"国庆节、中秋节", "2025-10-01", "2025-10-08", []string{"2025-09-28", "2025-10-11"}},
	},
	"国办发明电〔2025〕7号": {
		{"元旦", "2026-01-01", "2026-01-03", []string{"2026-01-04"}},
		{"春节", "2026-02-15", "2026-02-23", []string{"2026-02-14", "2026-02-28"}},
		{"清明节", "2026-04-04", "2026-04-06", nil},
		{"劳动节", "2026-05-01", "2026-05-05", []string{"2026-05-09"}},
		{"端午节", "2026-06-19", "2026-06-21", nil},
		{"中秋节", "2026-09-25", "2026-09-27", nil},
		{"国庆节", "2026-10-01", "2026-10-07", []string{"2026-09-20", "2026-10-10"}},
	},
}

// Every day of a year with a notice works or not as the notice says: each day of
// a holiday is off, each 调休 Saturday and Sunday counts, and nothing else
// differs from Monday to Friday.
func TestCalendarFollowsNotices(t *testing.T) {
	c, err := CalendarByNo(CN2026a)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for y := 2024; !c.Year(y).Provisional; y++ {
		holidays, ok := notices[c.Year(y).Notice]
		if !ok {
			t.Errorf("notice %s of %d is not written down here", c.Year(y).Notice, y)
			continue
		}
		want := map[civil.Date]bool{}
		for _, h := range holidays {
			for d := civil.MustParse(h.first); !civil.MustParse(h.last).Before(d); d = d.AddDays(1) {
				want[d] = false
			}
			for _, s := range h.worked {
				d := civil.MustParse(s)
				if w := d.Weekday(); w != time.Saturday && w != time.Sunday {
					t.Errorf("%s: %s for %s is a %s", c.Year(y).Notice, s, h.name, w)
				}
				want[d] = true
			}
		}
		for d := (civil.Date{Year: y, Month: 1, Day: 1}); d.Year == y; d = d.AddDays(1) {
			w, exception := want[d]
			if !exception {
				w = d.Weekday() != time.Saturday && d.Weekday() != time.Sunday
			}
			if c.Working(d) != w {
				t.Errorf("%s: the calendar says %v, %s says %v", d, c.Working(d), c.Year(y).Notice, w)
			}
		}
		checked++
	}
	if checked != len(notices) {
		t.Errorf("%d years checked, %d notices written down", checked, len(notices))
	}
}

// TestWorkingDayArithmetic counts limits of 3, 7 and 15 working days across each
// stretch of days off of every year that the calendar knows, from deliveries on
// every day from four before it to the first day after it, at 23:59:59. The
// golden file is for reading: it shows the day at whose end each limit ends.
func TestWorkingDayArithmetic(t *testing.T) {
	var b strings.Builder
	for _, c := range Calendars() {
		if c.plain {
			continue
		}
		fmt.Fprintf(&b, "# %s（送达日 → 3、7、15 个工作日的最后一日；“休”放假或周末，“班”调休上班）\n", c.ID())
		for y := 2024; y <= 2028; y++ {
			year := c.Year(y)
			fmt.Fprintf(&b, "\n%d %s\n", y, map[bool]string{true: "暂定", false: year.Notice}[year.Provisional])
			for _, span := range daysOff(c, y) {
				fmt.Fprintf(&b, "%s..%s\n", span[0], span[1])
				for d := span[0].AddDays(-4); !span[1].AddDays(1).Before(d); d = d.AddDays(1) {
					mark := "  "
					switch {
					case !c.Working(d):
						mark = "休"
					case weekend(d):
						mark = "班"
					}
					fmt.Fprintf(&b, "  %s %s", d, mark)
					for _, n := range []int{3, 7, 15} {
						delivered := d.EndInstant().Add(-time.Second)
						due, err := Due(delivered, n, WorkingDays, c.ID())
						if err != nil {
							t.Fatal(err)
						}
						last := DueDay(due)
						if got := counted(c, d, last); got != n || !c.Working(last) {
							t.Errorf("%s + %d working days ends on %s, which is %d days", d, n, last, got)
						}
						fmt.Fprintf(&b, "  %s", last)
					}
					b.WriteString("\n")
				}
			}
		}
	}
	golden(t, "working-days.golden", b.String())
}

// counted counts working days after one day up to another, by hand.
func counted(c *Calendar, after, last civil.Date) int {
	n := 0
	for d := after.AddDays(1); !last.Before(d); d = d.AddDays(1) {
		if c.Working(d) {
			n++
		}
	}
	return n
}

// daysOff are the stretches of days off of a year that are no plain weekends,
// and the plain weekends beside which a 调休 day is worked.
func daysOff(c *Calendar, y int) [][2]civil.Date {
	var out [][2]civil.Date
	for d := (civil.Date{Year: y, Month: 1, Day: 1}); d.Year == y; {
		if c.Working(d) {
			d = d.AddDays(1)
			continue
		}
		last := d
		for !c.Working(last.AddDays(1)) {
			last = last.AddDays(1)
		}
		plain := last.Sub(d) == 1 && weekend(d) && weekend(last)
		if !plain {
			out = append(out, [2]civil.Date{d, last})
		}
		d = last.AddDays(1)
	}
	return out
}

// The hash is the promise that a consent makes: what was shown under a version
// stays what it was. Never update a hash here; add a version.
func TestConsentTextsNeverChange(t *testing.T) {
	var b strings.Builder
	for _, c := range StandardTexts() {
		sum := sha256.Sum256([]byte(c.Text))
		if c.Hash != sum {
			t.Errorf("%s: the hash is not that of the text", c.Version)
		}
		fmt.Fprintf(&b, "%s  %s\n", hex.EncodeToString(sum[:]), c.Version)
	}
	if d := cmp.Diff(standardHashes, b.String()); d != "" {
		t.Errorf("a standard text has changed: give the change a new version instead\n%s", d)
	}
}

// standardHashes are the SHA-256 of the standard texts, as sha256sum prints them.
const standardHashes = `68898addf98614a41c19a34f6f6aa19eb53a6c60ea6cce332cbcfbe161a4c04c  confirm-residence-2026.1
2832c4f894b1419f691443afa62d11baf4302ba8aa8108a50d740acf95391b13  feedback-2026.1
34bdeea4a95f737efe59047d022376be52c1971307dbfcbb66b643bff7d6b4f5  notice-2026.1
2b9a87610c85092ab57a056f26a3b73038f191edaaafe20b541feeb5c6937064  birth-service-2026.1
f75cae804de73e208a825cb769d0c1497a6c44f49adee1833b4553215e6a4d69  contact-2026.1
`

func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got; -update after reading the difference):\n%s", name, d)
	}
}
