package rates

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"yipan/internal/civil"
	"yipan/internal/policy"
)

// Sign is a kind of sign of hollow work (DOMAIN section 4): of an office's work
// in a month, never of a person. Nothing here reads what a person decided: how
// many refused, or how many answers disclose nothing, is no sign (SECURITY D3).
// A sign is a reason to look, and no judgement.
type Sign uint8

// The signs.
const (
	// AnsweredInSeconds: answers that were recorded so soon after they could first
	// be read that nobody can have looked.
	AnsweredInSeconds Sign = 1
	// AllNotFound: every outflow notice of the month was answered NOT_FOUND. It is
	// raised or not; how many of some are, is not told.
	AllNotFound Sign = 2
	// BulkBeforeDue: many answers within an hour, on the last day or the one
	// before it, to what could have been answered earlier.
	BulkBeforeDue Sign = 3
	// IdenticalNotes: the same words in most answers that have words.
	IdenticalNotes Sign = 4
	// OffersInBulk: many offers recorded within minutes for one day and channel,
	// whatever was said to them.
	OffersInBulk Sign = 5
	// OffersWithoutDate: offers recorded without the day or the channel, whatever
	// was said to them.
	OffersWithoutDate Sign = 6
	numSigns          Sign = 7
)

// Limits of the signs, with their reasons.
const (
	// Opening a notice, finding the person in the ledger and recording what was
	// found takes more than half a minute; a few answers are quick because the
	// person stands at the counter, so one in ten may be.
	signQuick      = 30 * time.Second
	signQuickLeast = 5
	signQuickShare = 10 // percent

	// With fewer than MinBreakdown answers chance may do it: of twenty notices, of
	// which one in five is not found, all are once in 10^14 months.
	signAllLeast = MinBreakdown

	// A diligent clerk works off a day's notices in one go, but not most of the
	// month's in the hour before they lapse.
	signBulkWithin = time.Hour
	signBulkLeast  = 20
	signBulkShare  = 50 // percent

	// Words of under six characters (已联系, 无法办理) are phrases that everybody
	// uses.
	signNoteLength = 6
	signNoteLeast  = 10
	signNoteShare  = 80 // percent

	// An offer takes some minutes, and typing one some ten seconds: more than fifty
	// within ten minutes were not typed one by one from papers. A file imported
	// after a day of outreach shows the sign too, and the day says why.
	signOffersWithin = 10 * time.Minute
	signOffersLeast  = 50

	// The form asks for both, so that some were entered past it.
	signUndatedLeast = 5
	signUndatedShare = 10 // percent
)

var signs = [numSigns]struct{ code, zh, rule string }{
	AnsweredInSeconds: {"ANSWERED_IN_SECONDS", "收到后几秒内即答复，可能未经核实", "收到（或分发）后 30 秒内答复的，不少于 5 件且占 10% 以上"},
	AllNotFound:       {"ALL_NOT_FOUND", "流出通报全部答复“查无此人”", "本月流出通报答复不少于 20 件，且全部为“查无此人”"},
	BulkBeforeDue:     {"BULK_BEFORE_DUE", "临近期限集中答复", "此前早已收到、到期限最后两天才在一小时之内答复的，不少于 20 件且占本月答复的一半以上"},
	IdenticalNotes:    {"IDENTICAL_NOTES", "答复说明文字雷同", "同一段说明（6 个字以上）不少于 10 件，且占有说明的答复的 80% 以上"},
	OffersInBulk:      {"OFFERS_IN_BULK", "服务告知短时间内成批录入", "10 分钟之内录入同一日期、同一方式的告知，不少于 50 件（不论结果）"},
	OffersWithoutDate: {"OFFERS_WITHOUT_DATE", "服务告知缺少日期或方式", "缺少日期或方式的告知，不少于 5 件且占 10% 以上（不论结果）"},
}

// Signs lists all of them.
func Signs() []Sign {
	return []Sign{AnsweredInSeconds, AllNotFound, BulkBeforeDue, IdenticalNotes, OffersInBulk, OffersWithoutDate}
}

func (s Sign) known() bool { return s > 0 && s < numSigns }

// String returns the stable code, "ALL_NOT_FOUND".
func (s Sign) String() string {
	if !s.known() {
		return "UNKNOWN"
	}
	return signs[s].code
}

// Zh returns what the sign is, in Chinese.
func (s Sign) Zh() string {
	if !s.known() {
		return "未知迹象"
	}
	return signs[s].zh
}

// Rule returns in Chinese what it takes to raise the sign.
func (s Sign) Rule() string {
	if !s.known() {
		return ""
	}
	return signs[s].rule
}

// Signal is a sign that was found: N of Of show it.
type Signal struct {
	Sign Sign
	N    int64
	Of   int64
}

// Note stands for the words of an answer, so that they can be compared and not
// read.
type Note [32]byte

// NoteOf returns the note of words; zero: there are none, or too few to tell, or
// they are a code of a list (NO_RECORD), which is meant to be the same.
func NoteOf(words string) Note {
	words = strings.Join(strings.Fields(words), "")
	code := strings.Trim(words, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
	if code || len([]rune(words)) < signNoteLength {
		return Note{}
	}
	return sha256.Sum256([]byte(words))
}

// Reply is an answer that an office gave to a round due in the month.
type Reply struct {
	Readable time.Time // from when the office could read the case: delivered, or given to it
	Answered time.Time // recorded
	Due      time.Time
	Note     Note
	Outflow  bool // an outflow notice
	NotFound bool // and answered NOT_FOUND
}

// Offered is one offer of a service as an office recorded it, without what was
// said to it.
type Offered struct {
	Recorded time.Time
	Day      civil.Date // of the offer; zero: not said
	Channel  string     // "": not said
}

// Hollow looks for signs of hollow work in an office's month. The order of its
// arguments does not matter. It sorts them.
func Hollow(replies []Reply, offers []Offered) []Signal {
	var out []Signal
	raise := func(s Sign, n, of, least, share int) {
		if n >= least && n*100 >= of*share {
			out = append(out, Signal{Sign: s, N: int64(n), Of: int64(of)})
		}
	}
	seconds, outflow, notFound, noted := 0, 0, 0, 0
	notes := map[Note]int{}
	var late []time.Time
	for i := range replies {
		r := &replies[i]
		if took := r.Answered.Sub(r.Readable); took >= 0 && took <= signQuick {
			seconds++
		}
		if r.Outflow {
			outflow++
			if r.NotFound {
				notFound++
			}
		}
		if r.Note != (Note{}) {
			noted++
			notes[r.Note]++
		}
		last, day := policy.DueDay(r.Due), civil.In(r.Answered)
		if (day == last || day.AddDays(1) == last) && civil.In(r.Readable).Before(last.AddDays(-1)) {
			late = append(late, r.Answered)
		}
	}
	raise(AnsweredInSeconds, seconds, len(replies), signQuickLeast, signQuickShare)
	raise(AllNotFound, notFound, outflow, signAllLeast, 100)
	slices.SortFunc(late, time.Time.Compare)
	raise(BulkBeforeDue, densest(late, signBulkWithin), len(replies), signBulkLeast, signBulkShare)
	most := 0
	for _, n := range notes {
		most = max(most, n)
	}
	raise(IdenticalNotes, most, noted, signNoteLeast, signNoteShare)

	undated := 0
	slices.SortFunc(offers, func(a, b Offered) int {
		return cmp.Or(a.Day.Compare(b.Day), strings.Compare(a.Channel, b.Channel), a.Recorded.Compare(b.Recorded))
	})
	most = 0
	for from := 0; from < len(offers); {
		to := from
		var at []time.Time
		for ; to < len(offers) && offers[to].Day == offers[from].Day && offers[to].Channel == offers[from].Channel; to++ {
			at = append(at, offers[to].Recorded)
		}
		if offers[from].Day.IsZero() || offers[from].Channel == "" {
			undated += to - from
		}
		most = max(most, densest(at, signOffersWithin))
		from = to
	}
	raise(OffersInBulk, most, len(offers), signOffersLeast, 0)
	raise(OffersWithoutDate, undated, len(offers), signUndatedLeast, signUndatedShare)
	return out
}

// densest returns the most instants, in order, that lie within a span.
func densest(at []time.Time, within time.Duration) (most int) {
	from := 0
	for i := range at {
		for at[i].Sub(at[from]) > within {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}
