package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/civil"
	"yipan/internal/fault"
)

// Account is a named account of this node.
type Account struct {
	ID        string
	Role      access.Role
	Offices   []area.Key
	GrantedBy []string
	Disabled  bool
}

func keys(ints []int64) []area.Key {
	out := make([]area.Key, len(ints))
	for i, n := range ints {
		out[i] = area.Key(n)
	}
	return out
}

func ints(ks []area.Key) []int64 {
	out := make([]int64, len(ks))
	for i, k := range ks {
		out[i] = int64(k)
	}
	return out
}

const principalOf = `SELECT a.id, a.role, a.offices FROM token t JOIN account a ON a.id = t.account
WHERE t.hash = $1 AND t.expires_at > now() AND a.disabled_at IS NULL`

// PrincipalOf finds whose token it is by the token's hash.
func (db *DB) PrincipalOf(ctx context.Context, hash [32]byte) (access.Principal, error) {
	var p access.Principal
	var role string
	var offices []int64
	err := db.app.QueryRow(ctx, principalOf, hash[:]).Scan(&p.ID, &role, &offices)
	if err != nil {
		err = translate("look up token", err)
		if fault.Is(err, fault.KindNotFound) {
			return p, fault.Denied("UNAUTHENTICATED", "token is unknown, expired or disabled").Zh("令牌无效或已过期，请重新登录")
		}
		return p, err
	}
	p.Role, p.Offices = access.Role(role), keys(offices)
	return p, nil
}

const putAccount = `INSERT INTO account (id, role, offices, granted_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET role = excluded.role, offices = excluded.offices, granted_by = excluded.granted_by, disabled_at = NULL`

// PutAccount creates an account or changes its role and offices.
func (db *DB) PutAccount(ctx context.Context, a Account) error {
	_, err := db.app.Exec(ctx, putAccount, a.ID, string(a.Role), ints(a.Offices), a.GrantedBy)
	return translate("write account", err)
}

const disableAccount = `UPDATE account SET disabled_at = now() WHERE id = $1 AND disabled_at IS NULL`

// DisableAccount ends an account; its tokens stop working at once.
func (db *DB) DisableAccount(ctx context.Context, id string) error {
	t, err := db.app.Exec(ctx, disableAccount, id)
	if err == nil && t.RowsAffected() == 0 {
		return fault.NotFound("ACCOUNT", "no active account of that name").Zh("没有这个账号，或已停用")
	}
	return translate("disable account", err)
}

const listAccounts = `SELECT id, role, offices, granted_by, disabled_at IS NOT NULL FROM account ORDER BY id`

// Accounts lists all accounts.
func (db *DB) Accounts(ctx context.Context) ([]Account, error) {
	rows, err := db.app.Query(ctx, listAccounts)
	if err != nil {
		return nil, translate("list accounts", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (a Account, err error) {
		var role string
		var offices []int64
		err = r.Scan(&a.ID, &role, &offices, &a.GrantedBy, &a.Disabled)
		a.Role, a.Offices = access.Role(role), keys(offices)
		return a, err
	})
	return out, translate("list accounts", err)
}

const addToken = `INSERT INTO token (hash, account, expires_at) VALUES ($1, $2, $3)`

// AddToken stores the hash of a token of an account.
func (db *DB) AddToken(ctx context.Context, hash [32]byte, account string, expires time.Time) error {
	_, err := db.app.Exec(ctx, addToken, hash[:], account, expires)
	return translate("store token", err)
}

// Access is one event of the access log: one query, all its persons.
type Access struct {
	Principal access.Principal
	Office    area.Key
	Verb      access.Verb
	Purpose   string
	Subjects  [][16]byte // persons, or the cases of unpaired notices; empty: a miss
	Count     int        // how many were read where they are not named: by a job
	Denied    bool
}

const logAccess = `INSERT INTO access_log (account, on_behalf, office, verb, purpose, subjects, n, denied) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

// LogAccess writes an event in the transaction of the read it is about.
func (tx *Tx) LogAccess(ctx context.Context, a Access) error {
	if a.Subjects == nil {
		a.Subjects = [][16]byte{}
	}
	return tx.write(logAccess, a.Principal.ID, a.Principal.OnBehalf, int64(a.Office), string(a.Verb), a.Purpose, a.Subjects, max(a.Count, len(a.Subjects)), a.Denied)
}

// LogDenied writes a denial in a transaction of its own, so that it stays.
func (db *DB) LogDenied(ctx context.Context, a Access) error {
	a.Denied = true
	return db.InDesk(ctx, a.Principal.Offices, func(tx *Tx) error { return tx.LogAccess(ctx, a) })
}

const countLog = `SELECT count(*), coalesce(sum(n), 0) FROM access_log WHERE account = $1 AND verb = $2`

// CountAccess returns how many events and subjects an account has for a verb;
// only offices of the transaction are counted.
func (tx *Tx) CountAccess(ctx context.Context, account string, verb access.Verb) (events, subjects int64, err error) {
	err = tx.QueryRow(ctx, countLog, account, string(verb)).Scan(&events, &subjects)
	return events, subjects, err
}

const claimRequest = `INSERT INTO request (account, request_id, office, method, hash) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`
const readRequest = `SELECT method, hash, result FROM request WHERE account = $1 AND request_id = $2`

// Request says what stands under a request id.
type Request struct {
	Account   string
	RequestID string
	Office    area.Key
	Method    string
	Hash      [32]byte
}

// ClaimRequest makes a write idempotent (AIP-155). It returns the result of
// the same request done before, or nil where this transaction is the first;
// then FinishRequest must follow. The same id with other content is a
// Conflict. Two that race wait for each other.
func (tx *Tx) ClaimRequest(ctx context.Context, r Request) ([]byte, error) {
	t, err := tx.Exec(ctx, claimRequest, r.Account, r.RequestID, int64(r.Office), r.Method, r.Hash[:])
	if err != nil || t.RowsAffected() == 1 {
		return nil, err
	}
	var method string
	var hash, result []byte
	// No row: it stands under an office that this transaction does not see.
	if err := tx.QueryRow(ctx, readRequest, r.Account, r.RequestID).Scan(&method, &hash, &result); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, err
	}
	if method != r.Method || string(hash) != string(r.Hash[:]) {
		return nil, fault.Conflict("REQUEST_ID_REUSED", "request id stands for another request").
			Zh("该请求编号已用于另一项操作，请换一个新的请求编号").On("request_id")
	}
	if result == nil {
		result = []byte{}
	}
	return result, nil
}

const finishRequest = `UPDATE request SET result = $3 WHERE account = $1 AND request_id = $2`

// FinishRequest keeps the result that a repeated request gets.
func (tx *Tx) FinishRequest(ctx context.Context, account, requestID string, result []byte) error {
	return tx.write(finishRequest, account, requestID, result)
}

const requestsOf = `SELECT request_id, office, method, hash FROM request WHERE account = $1 AND request_id = ANY($2)`

// RequestsOf returns what stands under request ids of an account.
func (tx *Tx) RequestsOf(ctx context.Context, account string, ids []string) (map[string]Request, error) {
	rows, err := tx.Query(ctx, requestsOf, account, ids)
	if err != nil {
		return nil, err
	}
	out := map[string]Request{}
	r := Request{Account: account}
	var hash []byte
	_, err = pgx.ForEachRow(rows, []any{&r.RequestID, (*int64)(&r.Office), &r.Method, &hash}, func() error {
		copy(r.Hash[:], hash)
		out[r.RequestID] = r
		return nil
	})
	return out, err
}

const addRequests = `INSERT INTO request (account, request_id, office, method, hash, result)
SELECT *, ''::bytea FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bytea[]) u`

// AddRequests notes requests as done. One that another transaction noted
// meanwhile is a Conflict with ReasonDuplicate: read again.
func (tx *Tx) AddRequests(ctx context.Context, rs []Request) error {
	n := len(rs)
	accounts, ids, offices, methods, hashes := make([]string, n), make([]string, n), make([]int64, n), make([]string, n), make([][]byte, n)
	for i := range rs {
		accounts[i], ids[i], offices[i], methods[i], hashes[i] = rs[i].Account, rs[i].RequestID, int64(rs[i].Office), rs[i].Method, rs[i].Hash[:]
	}
	return tx.write(addRequests, accounts, ids, offices, methods, hashes)
}

// RoundFact is one (case, round) as rates count it, without persons.
type RoundFact struct {
	Office      area.Key
	Side        cases.Side
	Kind        cases.Kind
	X, Y        area.Key
	Round       uint32
	Waiting     uint8
	RoundAt     time.Time
	DeliveredAt time.Time
	DueAt       time.Time
	AnsweredAt  time.Time
	WithdrawnAt time.Time
	ClosedAt    time.Time
	Reroute     area.Key
	ReroutedAt  time.Time
}

const roundFacts = `SELECT office, side, kind, x, y, round, waiting, round_at, delivered_at, due_at, answered_at, withdrawn_at, closed_at, reroute, rerouted_at
FROM case_side WHERE office = ANY($1) AND ($2 = 0 OR side = $2) AND coalesce(due_at, 'infinity'::timestamptz) > $3 AND coalesce(due_at, 'infinity'::timestamptz) <= $4
UNION ALL
SELECT office, side, kind, x, y, round, 0, round_at, delivered_at, due_at, answered_at, withdrawn_at, closed_at, reroute, rerouted_at
FROM side_round WHERE office = ANY($1) AND ($2 = 0 OR side = $2) AND due_at > $3 AND due_at <= $4`

// RoundFacts streams the rounds of offices that fell due after from and up to
// to: due instants are the start of the next day, so a period's own are those.
func (tx *Tx) RoundFacts(ctx context.Context, offices []area.Key, side cases.Side, from, to time.Time, each func(RoundFact) error) error {
	rows, err := tx.Query(ctx, roundFacts, ints(offices), int16(side), from, to)
	if err != nil {
		return err
	}
	var f RoundFact
	var s, k, w int16
	var round int32
	var t [6]*time.Time
	_, err = pgx.ForEachRow(rows, []any{(*int64)(&f.Office), &s, &k, (*int64)(&f.X), (*int64)(&f.Y), &round, &w, &f.RoundAt,
		&t[0], &t[1], &t[2], &t[3], &t[4], (*int64)(&f.Reroute), &t[5]}, func() error {
		f.Side, f.Kind, f.Waiting, f.Round = cases.Side(s), cases.Kind(k), uint8(w), uint32(round)
		f.DeliveredAt, f.DueAt, f.AnsweredAt, f.WithdrawnAt, f.ClosedAt, f.ReroutedAt = orZero(t[0]), orZero(t[1]), orZero(t[2]), orZero(t[3]), orZero(t[4]), orZero(t[5])
		return each(f)
	})
	return err
}

const certificateCounts = `SELECT office, asked_on, issued_on, count(*) FROM certificate
WHERE office = ANY($1) AND asked_on >= $2 AND asked_on < $3 GROUP BY office, asked_on, issued_on`

// CertificateCount is how many certificates of an office were asked for and
// issued on the same days.
type CertificateCount struct {
	Office            area.Key
	AskedOn, IssuedOn civil.Date // IssuedOn zero: not yet
	N                 int64
}

// CertificateCounts counts certificates asked for in [from, to).
func (tx *Tx) CertificateCounts(ctx context.Context, offices []area.Key, from, to civil.Date) ([]CertificateCount, error) {
	rows, err := tx.Query(ctx, certificateCounts, ints(offices), from.UTC(), to.UTC())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (c CertificateCount, err error) {
		var asked time.Time
		var issued *time.Time
		err = r.Scan((*int64)(&c.Office), &asked, &issued, &c.N)
		c.AskedOn = civil.Date{Year: asked.Year(), Month: asked.Month(), Day: asked.Day()}
		if issued != nil {
			c.IssuedOn = civil.Date{Year: issued.Year(), Month: issued.Month(), Day: issued.Day()}
		}
		return c, err
	})
}

const countCases = `SELECT (SELECT count(*) FROM leg) - (SELECT count(DISTINCT case_id) FROM item WHERE kind = 11)`

// CountCases returns how many cases the node holds; the legs of reports are none.
func (tx *Tx) CountCases(ctx context.Context) (n int64, err error) {
	err = tx.QueryRow(ctx, countCases).Scan(&n)
	return n, err
}

const legsAfter = `SELECT case_id FROM leg WHERE case_id > $1 ORDER BY case_id LIMIT $2`

// LegsAfter pages through all cases of the node in order of their ids.
func (tx *Tx) LegsAfter(ctx context.Context, after cases.CaseID, limit int) ([]cases.CaseID, error) {
	rows, err := tx.Query(ctx, legsAfter, [16]byte(after), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (c cases.CaseID, err error) {
		err = r.Scan((*[16]byte)(&c))
		return c, err
	})
}
