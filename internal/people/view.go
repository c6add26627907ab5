package people

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/store"
)

// File is a person's file as its office sees it.
type File struct {
	ID           cases.PersonID
	Office       area.Key
	Etag         string
	Profile      Profile
	Presence     ledger.Presence
	Since        civil.Date // zero: not known
	AreaHint     string     // six digits of the ID, "" where it has none
	AreaHintName string     // where the table knows it
	Merged       []cases.PersonID
	Restricted   bool
	Cases        []cases.CaseID // newest first
}

// Etag changes with every change of a file.
func Etag(row *store.PersonRow) string {
	return fmt.Sprintf("%x-%s", row.Rev, hex.EncodeToString(row.ID[:4]))
}

// view assembles a file from the rows of its group, the root first.
func (l *People) view(ctx context.Context, tx *store.Tx, group []store.PersonRow) (File, error) {
	row := &group[0]
	key, err := l.keyOf(row)
	if err != nil {
		return File{}, err
	}
	f := File{ID: row.ID, Office: row.Office, Etag: Etag(row), Presence: row.Presence, Since: row.Since, Restricted: row.Restricted}
	if f.Profile, err = OpenProfile(key, row); err != nil {
		return f, err
	}
	if f.AreaHint = f.Profile.Current().AreaHint(); f.AreaHint != "" {
		f.AreaHintName = area.FullName(AreaOfHint(f.AreaHint))
	}
	for i := range group[1:] {
		f.Merged = append(f.Merged, group[i+1].ID)
	}
	sides, err := l.sides(ctx, tx, group)
	if err != nil {
		return f, err
	}
	for i := range sides {
		if !slices.Contains(f.Cases, sides[i].Case) {
			f.Cases = append(f.Cases, sides[i].Case)
		}
	}
	return f, nil
}

// sides returns the cases about a group, newest first.
func (l *People) sides(ctx context.Context, tx *store.Tx, group []store.PersonRow) ([]store.Side, error) {
	var out []store.Side
	for i := range group {
		sides, err := tx.SidesOfPerson(ctx, group[i].ID)
		if err != nil {
			return nil, err
		}
		out = append(out, sides...)
	}
	slices.SortStableFunc(out, func(a, b store.Side) int {
		if c := b.OpenedAt.Compare(a.OpenedAt); c != 0 {
			return c
		}
		return bytes.Compare(a.Case[:], b.Case[:])
	})
	return out, nil
}

// group reads the rows of a person's group, the root first.
func (l *People) group(ctx context.Context, tx *store.Tx, id cases.PersonID) ([]store.PersonRow, error) {
	ids, err := l.Group(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	rows, err := tx.PersonsByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(rows, func(a, b store.PersonRow) int { return slices.Index(ids, a.ID) - slices.Index(ids, b.ID) })
	if len(rows) == 0 || rows[0].ID != ids[0] {
		return nil, NotFound()
	}
	return rows, nil
}

// with reads the file of a person for v, logs whom it shows, or the miss, and
// gives its group to fn. Nothing differs between a person who is not here, was
// erased, is of another office, or is hidden from the caller.
func (l *People) with(ctx context.Context, p access.Principal, v access.Verb, id cases.PersonID, purpose string, fn func(tx *store.Tx, group []store.PersonRow) error) error {
	if err := l.Allow(ctx, p, v, 0); err != nil {
		return err
	}
	var miss error
	err := l.In(ctx, p, func(tx *store.Tx) error {
		miss = nil
		group, err := l.group(ctx, tx, id)
		if fault.Is(err, fault.KindNotFound) || err == nil && !access.Can(p, v, group[0].Office) {
			miss = NotFound()
			return tx.LogAccess(ctx, store.Access{Principal: p, Office: p.FirstOffice(), Verb: v, Purpose: purpose})
		}
		if err != nil {
			return err
		}
		event := store.Access{Principal: p, Office: group[0].Office, Verb: v, Purpose: purpose}
		for i := range group { // all are shown, by their ids or by what is in them
			event.Subjects = append(event.Subjects, group[i].ID)
		}
		if err := fn(tx, group); err != nil {
			return err
		}
		return tx.LogAccess(ctx, event)
	})
	if err == nil {
		err = miss
	}
	return err
}

// pages counts the files that a user opened and refuses one too many.
func (l *People) pages(ctx context.Context, tx *store.Tx, p access.Principal) ([]string, error) {
	hour, day, err := tx.RecentAccess(ctx, p)
	switch {
	case err != nil:
		return nil, err
	case day >= int64(l.PagesADay):
		return nil, fault.Denied("PAGE_LIMIT", "%s opened %d files within 24 hours, at most %d", p.ID, day, l.PagesADay).
			Zh("您在 24 小时内已打开 %d 份档案，达到上限；如工作确需更多，请联系本单位安全员", day)
	case hour >= int64(l.PagesAnHour):
		return []string{fmt.Sprintf("您在一小时内已打开 %d 份档案，请只打开工作所需的档案；24 小时内达到 %d 份将停止", hour+1, l.PagesADay)}, nil
	}
	return nil, nil
}

// GetPerson opens one file. The warnings are of a user who opens unusually many.
func (l *People) GetPerson(ctx context.Context, p access.Principal, id cases.PersonID, purpose string) (File, []string, error) {
	var f File
	var warnings []string
	err := l.opened(ctx, p, id, purpose, func(tx *store.Tx, group []store.PersonRow, w []string) (err error) {
		warnings = w
		f, err = l.view(ctx, tx, group)
		return err
	})
	if err != nil {
		return File{}, nil, err
	}
	return f, warnings, nil
}

// opened is with for PersonOpen, within the user's limits.
func (l *People) opened(ctx context.Context, p access.Principal, id cases.PersonID, purpose string, fn func(*store.Tx, []store.PersonRow, []string) error) error {
	if err := l.Allow(ctx, p, access.PersonOpen, 0); err != nil {
		return err
	}
	warnings, err := l.within(ctx, p, access.PersonOpen)
	if err != nil {
		return err
	}
	return l.with(ctx, p, access.PersonOpen, id, purpose, func(tx *store.Tx, group []store.PersonRow) error { return fn(tx, group, warnings) })
}

// within counts the files that a user was shown, by opening or by editing them,
// and refuses one too many, which is logged as a denial.
func (l *People) within(ctx context.Context, p access.Principal, v access.Verb) (warnings []string, err error) {
	err = l.In(ctx, p, func(tx *store.Tx) (err error) {
		warnings, err = l.pages(ctx, tx, p)
		return err
	})
	if fault.Is(err, fault.KindDenied) {
		l.LogDenied(ctx, p, v, p.FirstOffice())
	}
	return warnings, err
}

// Event is one line of a file's history.
type Event struct {
	Kind       ledger.EventKind
	On         civil.Date // when it happened
	RecordedAt time.Time
	Account    string
	ledger.Event
}

// History reads the history of a file, and of those merged into it, oldest first
// by recording time.
func (l *People) History(ctx context.Context, p access.Principal, id cases.PersonID, purpose string) ([]Event, error) {
	var out []Event
	err := l.opened(ctx, p, id, purpose, func(tx *store.Tx, group []store.PersonRow, _ []string) error {
		out = nil
		ids := make([]cases.PersonID, len(group))
		for i := range group {
			ids[i] = group[i].ID
		}
		events, err := tx.PersonEvents(ctx, ids)
		if err != nil {
			return err
		}
		for i := range events {
			ev := &events[i]
			row := &group[slices.Index(ids, ev.Person)]
			if row.Erased {
				continue
			}
			key, err := l.keyOf(row)
			if err != nil {
				return err
			}
			e, err := openEvent(key, ev)
			if err != nil {
				return err
			}
			out = append(out, Event{Kind: ev.Kind, On: ev.On, RecordedAt: ev.RecordedAt, Account: ev.Account, Event: e})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
