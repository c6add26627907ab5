package closing

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/policy"
	"yipan/internal/rates"
	"yipan/internal/store"
)

// code is what a round of a frozen month counts as, without who keeps it
// waiting: that the fold alone decides, so that it is the same at both ends.
// Numbers are stored and travel.
type code uint8

const (
	codeGone code = iota
	codeOnTime
	codeLate
	codePending // due on the month's last day, and not answered by its end
	codeLapsed
	codeOverdue
	codeRerouted
	codeWithdrawn
	codeClosed
	numCodes
)

var codeNames = [numCodes]string{"", "ON_TIME", "LATE", "PENDING", "LAPSED", "OVERDUE", rates.ReroutedInTime.String(), rates.WithdrawnBeforeDue.String(), rates.ClosedBeforeDue.String()}

func (c code) String() string {
	if c >= numCodes {
		return "UNKNOWN"
	}
	return codeNames[c]
}

func codeOf(k rates.Class) code {
	switch {
	case k.Excluded == rates.ReroutedInTime:
		return codeRerouted
	case k.Excluded == rates.WithdrawnBeforeDue:
		return codeWithdrawn
	case k.Excluded == rates.ClosedBeforeDue:
		return codeClosed
	case !k.In():
		return codeGone
	case k.OnTime:
		return codeOnTime
	case k.Answered:
		return codeLate
	case k.Pending:
		return codePending
	case k.Overdue != rates.WaitNobody:
		return codeOverdue
	}
	return codeLapsed
}

// entry is one round of a frozen month as it is stored and travels: case id,
// round, code, area of the other side. Entries are ordered as bytes.
type entry [entryBytes]byte

const entryBytes = 29

func newEntry(id cases.CaseID, round uint32, c code, other area.Key) (e entry) {
	copy(e[:16], id[:])
	binary.BigEndian.PutUint32(e[16:], round)
	e[20] = byte(c)
	binary.BigEndian.PutUint64(e[21:], uint64(other))
	return e
}

func (e *entry) id() cases.CaseID { return cases.CaseID(e[:16]) }
func (e *entry) round() uint32    { return binary.BigEndian.Uint32(e[16:20]) }
func (e *entry) code() code       { return code(e[20]) }
func (e *entry) other() area.Key  { return area.Key(binary.BigEndian.Uint64(e[21:])) }

// key names the round.
func (e *entry) key() [20]byte { return [20]byte(e[:20]) }

// entries reads those of a part; false: it is none.
func entries(b []byte) ([]entry, bool) {
	if len(b)%entryBytes != 0 {
		return nil, false
	}
	out := make([]entry, len(b)/entryBytes)
	for i := range out {
		copy(out[i][:], b[i*entryBytes:])
	}
	return out, true
}

// counted is the rounds of a month, counted at its instant.
type counted struct {
	cells  []rates.Cell
	parts  []store.RoundsPart // by office, side and kind
	rounds int64
	digest [32]byte // over parts
}

type partKey struct {
	office area.Key
	side   cases.Side
	kind   cases.Kind
}

// count reads the rounds of offices that fell due in a month and classifies
// them at an instant.
func count(ctx context.Context, tx *store.Tx, offices []area.Key, period policy.Period, at time.Time) (*counted, error) {
	type cell struct {
		rates.Cell
		rows []entry
	}
	cells := map[partKey]*cell{}
	var last *cell
	var lastKey partKey
	err := tx.MonthRounds(ctx, offices, period.From.StartInstant(), period.To.StartInstant(), func(r *store.MonthRound) error {
		k := partKey{r.Office, r.Side, r.Kind}
		if last == nil || k != lastKey {
			if cells[k] == nil {
				cells[k] = &cell{Cell: rates.Cell{Area: r.Office, Kind: r.Kind, Side: r.Side}}
			}
			last, lastKey = cells[k], k
		}
		class := rates.Classify(factOf(r), at, period)
		last.Add(class, r.Extended > 0)
		other := r.Y
		if r.Side == cases.SideReceiver {
			other = r.X
		}
		if c := codeOf(class); c != codeGone {
			last.rows = append(last.rows, newEntry(r.Case, r.Round, c, other))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &counted{}
	for k, c := range cells {
		if len(c.rows) == 0 {
			continue
		}
		slices.SortFunc(c.rows, func(a, b entry) int { return bytes.Compare(a[:], b[:]) })
		p := store.RoundsPart{Office: k.office, Side: k.side, Kind: k.kind, Rounds: make([]byte, 0, len(c.rows)*entryBytes)}
		for i := range c.rows {
			p.Rounds = append(p.Rounds, c.rows[i][:]...)
		}
		out.rounds += int64(len(c.rows))
		out.parts, out.cells = append(out.parts, p), append(out.cells, c.Cell)
	}
	rates.SortCells(out.cells)
	out.digest = digestOf(out.parts)
	return out, nil
}

// digestOf is over all parts that are not empty, in order, and puts them so.
func digestOf(parts []store.RoundsPart) [32]byte {
	slices.SortFunc(parts, func(a, b store.RoundsPart) int {
		return cmp.Or(cmp.Compare(a.Office, b.Office), cmp.Compare(a.Side, b.Side), cmp.Compare(a.Kind, b.Kind))
	})
	h := sha256.New()
	for _, p := range parts {
		if len(p.Rounds) == 0 {
			continue
		}
		var head [26]byte
		binary.BigEndian.PutUint64(head[:], uint64(p.Office))
		head[8], head[9] = byte(p.Side), byte(p.Kind)
		binary.BigEndian.PutUint64(head[10:], uint64(len(p.Rounds)))
		h.Write(head[:])
		h.Write(p.Rounds)
	}
	return [32]byte(h.Sum(nil))
}

func factOf(r *store.MonthRound) rates.Fact {
	return rates.Fact{
		Kind: r.Kind, RoundAt: r.RoundAt, Delivered: r.DeliveredAt, Due: r.DueAt, AnsweredAt: r.AnsweredAt, WithdrawnAt: r.WithdrawnAt,
		ClosedAt: r.ClosedAt, Reroute: r.Reroute, ReroutedAt: r.ReroutedAt, Waiting: rates.Waiting(r.Waiting),
	}
}
