package desk

import (
	"context"

	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/ledger"
	"yipan/internal/store"
)

// tallyMove is one answer that counts otherwise than before in a month.
type tallyMove struct {
	period   uint32
	from, to string
}

// countAnswer notes in what an office alone knows of a case in which month its
// answer counts (核实率), and how that changes the tallies: a case counts once,
// in the month of its latest answer. The tally is rewritten whether the answer
// was checked or not (SECURITY D4).
func (d *Desk) countAnswer(ch *change) error {
	if k := ch.c.State.Kind; k != cases.Outflow && k != cases.Inflow {
		return nil
	}
	today := civil.In(d.Now())
	ch.private.Month = uint32(today.Year)*100 + uint32(today.Month)
	now := checkedAs(ch.private)
	if ch.side.Private == nil {
		ch.moves = []tallyMove{{ch.private.Month, "", now}}
		return nil
	}
	before, err := d.Book.OpenPrivate(ch.c.ID, ch.side.Private)
	if err != nil {
		return err
	}
	switch before.Month {
	case 0: // of before answers were counted
		ch.moves = []tallyMove{{ch.private.Month, "", now}}
	case ch.private.Month:
		ch.moves = []tallyMove{{ch.private.Month, checkedAs(&before), now}}
	default:
		ch.moves = []tallyMove{{before.Month, checkedAs(&before), ""}, {ch.private.Month, "", now}}
	}
	return nil
}

func checkedAs(p *ledger.Private) string {
	if p.Check != "" {
		return ledger.CheckedYes
	}
	return ledger.CheckedNo
}

// countAnswers writes the tallies of answers that were written.
func (d *Desk) countAnswers(ctx context.Context, tx *store.Tx, chs []*change) error {
	changes := map[book.TallyKey][]func(*ledger.Tally){}
	for _, ch := range chs {
		if ch.err != nil || ch.repeated {
			continue
		}
		for _, m := range ch.moves {
			k := book.TallyKey{Office: ch.side.Office, Kind: ledger.Answered, Period: m.period}
			changes[k] = append(changes[k], func(t *ledger.Tally) { t.Move(m.from, m.to) })
		}
	}
	return d.Book.ChangeTallies(ctx, tx, changes)
}
