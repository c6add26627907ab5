package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/ledger"
)

// Standing is where a person's file says that the person is registered and
// lives. It shows nobody.
type Standing struct {
	Person             cases.PersonID
	Registered, Living area.Key // 0: not known
	Presence           ledger.Presence
	MergedInto         cases.PersonID // zero: stands for itself
}

const lockStandings = `SELECT p.* FROM (SELECT DISTINCT unnest($1::uuid[]) AS id ORDER BY 1) u
CROSS JOIN LATERAL (SELECT id, registered, living, presence, merged_into FROM person WHERE id = u.id OFFSET 0 FOR NO KEY UPDATE) p`

// LockStandings reads where people stand and keeps others from opening, or
// deciding about, notices of the same people until the transaction ends.
func (tx *Tx) LockStandings(ctx context.Context, ids []cases.PersonID) (map[cases.PersonID]Standing, error) {
	rows, err := tx.Query(ctx, lockStandings, uuids(ids))
	if err != nil {
		return nil, err
	}
	out := make(map[cases.PersonID]Standing, len(ids))
	var s Standing
	var presence int16
	var merged *[16]byte
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&s.Person), (*int64)(&s.Registered), (*int64)(&s.Living), &presence, &merged}, func() error {
		s.Presence, s.MergedInto = ledger.Presence(presence), or16[cases.PersonID](merged)
		merged = nil
		out[s.Person] = s
		return nil
	})
	return out, err
}

// Notice is an outflow or inflow notice that an office opened about a person.
type Notice struct {
	Person   cases.PersonID // as asked: of one into whom others were merged
	Case     cases.CaseID
	Kind     cases.Kind
	To       area.Key
	Status   cases.Status
	OpenedAt time.Time
	Answered bool // in this round or an earlier one
	ByDuty   bool // opened by a reroute
}

// Each file is probed by itself, as in sidesOf.
const noticesOpened = `WITH RECURSIVE g (root, id) AS (
    SELECT u, u FROM unnest($1::uuid[]) u
    UNION SELECT g.root, p.id FROM g CROSS JOIN LATERAL (SELECT id FROM person WHERE merged_into = g.id OFFSET 0) p
)
SELECT g.root, s.case_id, s.kind, s.y, s.status, s.opened_at, s.answered_at IS NOT NULL OR s.round > 1, s.parent IS NOT NULL FROM g
CROSS JOIN LATERAL (SELECT case_id, kind, y, status, opened_at, answered_at, round, parent FROM case_side WHERE person = g.id AND side = 1 AND kind IN (1, 2) OFFSET 0) s
ORDER BY s.opened_at, s.case_id`

// NoticesOpened returns the notices that were opened about people, or about
// files that were merged into theirs, in order of opening.
func (tx *Tx) NoticesOpened(ctx context.Context, ids []cases.PersonID) (map[cases.PersonID][]Notice, error) {
	rows, err := tx.Query(ctx, noticesOpened, uuids(ids))
	if err != nil {
		return nil, err
	}
	out := map[cases.PersonID][]Notice{}
	var n Notice
	var kind, status int16
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&n.Person), (*[16]byte)(&n.Case), &kind, (*int64)(&n.To), &status, &n.OpenedAt, &n.Answered, &n.ByDuty}, func() error {
		n.Kind, n.Status = cases.Kind(kind), cases.Status(status)
		out[n.Person] = append(out[n.Person], n)
		return nil
	})
	return out, err
}

// ApprovalKind is what a second user approves. The numbers are stored.
type ApprovalKind uint8

// ApproveDestination is for a notice to one more destination. The detail of the
// approval is the area.
const ApproveDestination ApprovalKind = 1

// Approval is what needs, or has, a second user's word.
type Approval struct {
	ID         [16]byte
	Office     area.Key
	Kind       ApprovalKind
	About      cases.PersonID
	Detail     area.Key
	AskedBy    string
	AskedAt    time.Time
	ApprovedBy string    // empty: not yet
	ApprovedAt time.Time // zero: not yet
	UsedAt     time.Time // zero: not yet
}

const approvalColumns = `id, office, kind, about, detail, asked_by, asked_at, coalesce(approved_by, ''), approved_at, used_at`

const lockApprovals = `SELECT ` + approvalColumns + ` FROM approval WHERE id = ANY($1) ORDER BY id FOR UPDATE`

// LockApprovals reads approvals of the transaction's offices; each is decided
// about, and used, by one transaction at a time.
func (tx *Tx) LockApprovals(ctx context.Context, ids [][16]byte) (map[[16]byte]Approval, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := tx.approvals(ctx, lockApprovals, ids)
	out := make(map[[16]byte]Approval, len(list))
	for _, a := range list {
		out[a.ID] = a
	}
	return out, err
}

const approvalsAbout = `SELECT ` + approvalColumns + ` FROM approval WHERE about = $1 AND kind = $2 AND detail = $3 AND used_at IS NULL ORDER BY asked_at DESC, id`

// UnusedApprovals returns approvals about a person that were not used, those
// asked for last coming first.
func (tx *Tx) UnusedApprovals(ctx context.Context, about cases.PersonID, kind ApprovalKind, detail area.Key) ([]Approval, error) {
	return tx.approvals(ctx, approvalsAbout, [16]byte(about), int16(kind), int64(detail))
}

func (tx *Tx) approvals(ctx context.Context, sql string, args ...any) ([]Approval, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (a Approval, err error) {
		var kind int16
		var approved, used *time.Time
		err = r.Scan(&a.ID, (*int64)(&a.Office), &kind, (*[16]byte)(&a.About), (*int64)(&a.Detail), &a.AskedBy, &a.AskedAt, &a.ApprovedBy, &approved, &used)
		a.Kind, a.ApprovedAt, a.UsedAt = ApprovalKind(kind), orZero(approved), orZero(used)
		return a, err
	})
}

const askApproval = `INSERT INTO approval (id, office, kind, about, detail, asked_by, asked_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`

// AskApproval notes that something waits for a second user.
func (tx *Tx) AskApproval(_ context.Context, a Approval) error {
	return tx.write(askApproval, a.ID, int64(a.Office), int16(a.Kind), [16]byte(a.About), int64(a.Detail), a.AskedBy, a.AskedAt)
}

const giveApproval = `UPDATE approval SET approved_by = $2, approved_at = $3 WHERE id = $1`

// GiveApproval notes a second user's word on what LockApprovals has locked.
func (tx *Tx) GiveApproval(_ context.Context, id [16]byte, by string, at time.Time) error {
	return tx.write(giveApproval, id, by, at)
}

const useApprovals = `UPDATE approval SET used_at = $2 WHERE id = ANY($1)`

// UseApprovals spends approvals that LockApprovals has locked.
func (tx *Tx) UseApprovals(_ context.Context, ids [][16]byte, at time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	return tx.write(useApprovals, ids, at)
}

const countTry = `INSERT INTO tries (account, day, kind, n) VALUES ($1, $2, $3, 1)
ON CONFLICT (account, day, kind) DO UPDATE SET n = tries.n + 1 RETURNING n`

// CountTry counts one try of a kind and returns how many the account has made
// that day.
func (tx *Tx) CountTry(ctx context.Context, account string, day civil.Date, kind int16) (n int, err error) {
	err = tx.QueryRow(ctx, countTry, account, day.UTC(), kind).Scan(&n)
	return n, err
}
