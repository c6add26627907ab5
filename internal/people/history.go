package people

import (
	"context"
	"slices"
	"strings"

	"yipan/internal/access"
	"yipan/internal/civil"
	"yipan/internal/ledger"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// history appends lines to a file's history, see eventsOf.
func (l *People) history(ctx context.Context, tx *store.Tx, p access.Principal, row *store.PersonRow, key *seal.DataKey, kind ledger.EventKind, on civil.Date, reason string, before, after *Profile) error {
	events, err := l.eventsOf(p, row, key, kind, on, reason, before, after)
	if err != nil {
		return err
	}
	return tx.AddPersonEvents(ctx, events)
}

// eventsOf is what a change adds to a file's history: what changed, and one for
// each number that was newly confirmed against its check digit.
func (l *People) eventsOf(p access.Principal, row *store.PersonRow, key *seal.DataKey, kind ledger.EventKind, on civil.Date, reason string, before, after *Profile) ([]store.PersonEvent, error) {
	e := ledger.Changed(before, after)
	if e == nil {
		e = &ledger.Event{}
	}
	e.Reason = reason
	ev, err := l.event(p, row, key, kind, on, e)
	out := []store.PersonEvent{ev}
	if err != nil {
		return nil, err
	}
	for _, d := range after.Documents {
		same := func(o ledger.Document) bool {
			return o.Number == d.Number && o.Kind == d.Kind && o.Confirmed == d.Confirmed
		}
		if d.Confirmed == "" || slices.ContainsFunc(before.Documents, same) {
			continue
		}
		c := &ledger.Event{Fields: []string{"documents"}, After: map[string]string{"documents": strings.TrimSpace(d.Kind.String() + " " + d.Number)}, Reason: d.Confirmed}
		if ev, err = l.event(p, row, key, ledger.EventDocumentConfirmed, on, c); err != nil {
			return nil, err
		}
		out = append(out, ev)
	}
	return out, nil
}

// Note appends a line of a kind to the history of a file that the transaction
// has seen, without a change of its profile. The caller has authorised.
func (l *People) Note(ctx context.Context, tx *store.Tx, p access.Principal, row *store.PersonRow, kind ledger.EventKind, on civil.Date, e ledger.Event) error {
	key, err := l.keyOf(row)
	if err != nil {
		return err
	}
	ev, err := l.event(p, row, key, kind, on, &e)
	if err != nil {
		return err
	}
	return tx.AddPersonEvent(ctx, ev)
}

// event is one line of a file's history.
func (l *People) event(p access.Principal, row *store.PersonRow, key *seal.DataKey, kind ledger.EventKind, on civil.Date, e *ledger.Event) (store.PersonEvent, error) {
	ev := store.PersonEvent{Office: row.Office, Person: row.ID, Kind: kind, On: on, RecordedAt: l.Now(), Account: p.ID}
	return ev, sealEvent(key, &ev, e)
}
