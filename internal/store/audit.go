package store

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
)

// AccessFilter selects events of the access log. Zero members select nothing
// away.
type AccessFilter struct {
	Offices  []area.Key
	Account  string
	Subject  [16]byte
	Denied   bool
	From, To time.Time // [From, To)
	Before   int64     // events with smaller numbers; 0: all
	Limit    int
}

// AccessEvent is one event of the access log.
type AccessEvent struct {
	ID       int64
	At       time.Time
	Account  string
	OnBehalf string
	Office   area.Key
	Verb     string
	Purpose  string
	Subjects [][16]byte // at most the first 100
	N        int
	Denied   bool
}

const logAccessNumber = logAccess + ` RETURNING id`

// LogAccessNumber is LogAccess for the reading of the log itself: it returns the
// event's number, which is above those of all events to be read.
func (tx *Tx) LogAccessNumber(ctx context.Context, a Access) (id int64, err error) {
	err = tx.QueryRow(ctx, logAccessNumber, a.Principal.ID, a.Principal.OnBehalf, int64(a.Office), string(a.Verb), a.Purpose, [][16]byte{}, 0, a.Denied).Scan(&id)
	return id, err
}

// One window of numbers is read backwards by access_log_pkey, whatever the
// filter: the arrays' own operator is not leakproof, so that under row-level
// security no index would be asked for a subject.
const listAccess = `SELECT id, at, account, on_behalf, office, verb, purpose, subjects[1:100], n, denied FROM access_log
WHERE id < $1 AND id >= $2 AND office = ANY($3::bigint[]) AND ($4 = '' OR account = $4) AND (NOT $5 OR $6::uuid = ANY(subjects))
    AND (NOT $7 OR denied) AND at >= $8 AND at < $9
ORDER BY id DESC LIMIT $10`

// How much of the log one page reads at most.
const (
	accessWindow  = 20_000
	accessWindows = 10
)

// AccessEvents returns events, newest first, and the number below which the
// next page begins, 0: there is none. A page may hold fewer than Limit: it reads
// a bounded part of the log.
func (tx *Tx) AccessEvents(ctx context.Context, f AccessFilter) ([]AccessEvent, int64, error) {
	from, to := any(f.From), any(f.To)
	if f.From.IsZero() {
		from = "-infinity"
	}
	if f.To.IsZero() {
		to = "infinity"
	}
	before := f.Before
	if before == 0 {
		before = math.MaxInt64
	}
	var out []AccessEvent
	for range accessWindows {
		low := max(before-accessWindow, 0)
		want := f.Limit - len(out)
		rows, err := tx.Query(ctx, listAccess, before, low, ints(f.Offices), f.Account, f.Subject != [16]byte{}, f.Subject, f.Denied, from, to, want)
		if err != nil {
			return nil, 0, err
		}
		page, err := pgx.CollectRows(rows, scanAccess)
		if err != nil {
			return nil, 0, err
		}
		out = append(out, page...)
		if len(page) == want {
			return out, page[want-1].ID, nil
		}
		if before = low; before <= 1 {
			return out, 0, nil
		}
	}
	return out, before, nil
}

func scanAccess(r pgx.CollectableRow) (e AccessEvent, err error) {
	err = r.Scan(&e.ID, &e.At, &e.Account, &e.OnBehalf, (*int64)(&e.Office), &e.Verb, &e.Purpose, &e.Subjects, &e.N, &e.Denied)
	return e, err
}
