// Package store owns all SQL of a node: migrations, transactions, items,
// shares, sides, persons, accounts and the access log. Statements stand beside
// the method that uses them. Three roles reach the tables: yipan_app for the
// desk (row-level security by the caller's offices), yipan_exchange for what
// peers cause, yipan_counts for figures without persons. It holds ciphertext
// and never a key; no driver error leaves it, and no detail of one is logged.
package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"yipan/internal/area"
	"yipan/internal/fault"
)

// Role of the database under which a transaction runs.
type Role string

// The three runtime roles; none owns a table.
const (
	App      Role = "yipan_app"
	Exchange Role = "yipan_exchange"
	Counts   Role = "yipan_counts"

	pump = Exchange + " pump" // not a role of the database
)

// Config of a database.
type Config struct {
	// URL of a login that owns the database or may create in it: used to
	// migrate, and to log in where LoginAs is nil.
	URL string
	// LoginAs returns the URL for a role that can log in by itself; nil: the
	// login of URL takes the role on.
	LoginAs func(Role) string
	// MaxConns per role, 0: 12.
	MaxConns int
}

// DB is one node's database. It is safe for concurrent use.
type DB struct {
	app, exchange, counts *pgxpool.Pool
}

// Open connects. It does not migrate.
func Open(ctx context.Context, c Config) (*DB, error) {
	db := &DB{}
	for _, p := range []struct {
		role Role
		pool **pgxpool.Pool
	}{{App, &db.app}, {Exchange, &db.exchange}, {Counts, &db.counts}} {
		var err error
		if *p.pool, err = open(ctx, c, p.role); err != nil {
			db.Close()
			return nil, err
		}
	}
	return db, nil
}

func open(ctx context.Context, c Config, role Role) (*pgxpool.Pool, error) {
	u := c.URL
	if c.LoginAs != nil {
		u = c.LoginAs(role)
	}
	pc, err := pgxpool.ParseConfig(u)
	if err != nil {
		return nil, fault.Invalid("DATABASE_URL", "database URL does not parse") // the cause may hold a password
	}
	pc.MaxConns = int32(max(4, c.MaxConns))
	if c.MaxConns == 0 {
		pc.MaxConns = 12
	}
	if role == Counts {
		pc.MaxConns = 4
	}
	pc.MinIdleConns = 1
	if c.LoginAs == nil {
		pc.ConnConfig.RuntimeParams["role"] = string(role)
	}
	pc.ConnConfig.RuntimeParams["application_name"] = "yipan " + string(role)
	if role != Counts {
		// Plans are cached while tables are still small; every query of these two
		// roles has its index, and must not learn otherwise on a new node.
		pc.ConnConfig.RuntimeParams["enable_seqscan"] = "off"
		// Planning a bulk insert anew costs more than running it for one row.
		pc.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	}
	pc.ConnConfig.RuntimeParams["timezone"] = "Asia/Shanghai"
	// Estimates under row-level security are high enough to have short statements
	// compiled, which takes longer than they do.
	pc.ConnConfig.RuntimeParams["jit"] = "off"
	// A client that hangs must not keep its locks.
	pc.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "5min"
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, translate("open database", err)
	}
	return pool, nil
}

// Close ends all connections.
func (db *DB) Close() {
	for _, p := range []*pgxpool.Pool{db.app, db.exchange, db.counts} {
		if p != nil {
			p.Close()
		}
	}
}

// Ping checks that the database answers.
func (db *DB) Ping(ctx context.Context) error {
	return translate("ping database", db.app.Ping(ctx))
}

// SizeBytes returns the size of the database with its indexes.
func (db *DB) SizeBytes(ctx context.Context) (n int64, err error) {
	err = db.exchange.QueryRow(ctx, `SELECT pg_database_size(current_database())`).Scan(&n)
	return n, translate("measure database", err)
}

const selectEpoch = `SELECT extract(epoch FROM pg_postmaster_start_time())::text || '/' || oid FROM pg_database WHERE datname = current_database()`

// Epoch names the database's present life: it changes when the server starts,
// and when the database is replaced by a restored one (PROTOCOL rule 26).
func (db *DB) Epoch(ctx context.Context) (string, error) {
	var s string
	err := db.exchange.QueryRow(ctx, selectEpoch).Scan(&s)
	return s, translate("read epoch", err)
}

// Epoch is that of the database in which the transaction runs.
func (tx *Tx) Epoch(ctx context.Context) (s string, err error) {
	err = tx.QueryRow(ctx, selectEpoch).Scan(&s)
	return s, err
}

// InDesk runs fn in a transaction that sees only offices. An error of fn rolls
// back. A deadlock or serialization failure runs fn again, at most four times,
// so fn must have no effects of its own.
func (db *DB) InDesk(ctx context.Context, offices []area.Key, fn func(*Tx) error) error {
	return db.InDeskAs(ctx, "", offices, fn)
}

// InDeskAs is InDesk for a named account: it sees restricted persons of whom it
// is a keeper (SECURITY D11).
func (db *DB) InDeskAs(ctx context.Context, account string, offices []area.Key, fn func(*Tx) error) error {
	return db.in(ctx, db.app, App, account, offices, fn)
}

// InExchange runs fn in a transaction of the exchange, whose sides are limited
// to offices until fn widens them with SetOffices.
func (db *DB) InExchange(ctx context.Context, offices []area.Key, fn func(*Tx) error) error {
	return db.in(ctx, db.exchange, Exchange, "", offices, fn)
}

// InPump is InExchange for claims, whose loss is only a second sending: its
// commit does not wait for the disk.
func (db *DB) InPump(ctx context.Context, fn func(*Tx) error) error {
	return db.in(ctx, db.exchange, pump, "", nil, fn)
}

// InCounts runs fn in a transaction that sees columns without persons.
func (db *DB) InCounts(ctx context.Context, offices []area.Key, fn func(*Tx) error) error {
	return db.in(ctx, db.counts, Counts, "", offices, fn)
}

const tries = 5

func (db *DB) in(ctx context.Context, pool *pgxpool.Pool, role Role, account string, offices []area.Key, fn func(*Tx) error) error {
	var err error
	for range tries {
		if err = db.once(ctx, pool, role, account, offices, fn); !again(err) {
			break
		}
	}
	return translate("transaction", err)
}

func (db *DB) once(ctx context.Context, pool *pgxpool.Pool, role Role, account string, offices []area.Key, fn func(*Tx) error) error {
	// One round trip begins the transaction and limits it.
	begin := "BEGIN; SELECT set_config('yipan.offices', '" + officeArray(offices) + "', true)"
	if account != "" {
		begin += ", set_config('yipan.account', '" + strings.ReplaceAll(account, "'", "''") + "', true)"
	}
	if role == pump {
		begin += "; SET LOCAL synchronous_commit = off"
	}
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, begin); err != nil {
		return err
	}
	t := &Tx{querier: conn, Role: role}
	if err = fn(t); err == nil {
		err = t.commit(ctx)
	}
	if err != nil {
		// A connection that cannot roll back is not used again.
		_, _ = conn.Exec(context.WithoutCancel(ctx), "ROLLBACK")
	}
	return err
}

// SetOffices limits the rest of the transaction to offices: code uses it to
// write the other side of a case that lives on the same node, after the desk
// has authorised the verb.
func (tx *Tx) SetOffices(_ context.Context, offices []area.Key) error {
	return tx.write(`SELECT set_config('yipan.offices', $1, true)`, officeArray(offices))
}

func officeArray(offices []area.Key) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, o := range offices {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(int64(o), 10))
	}
	b.WriteByte('}')
	return b.String()
}

// again reports whether the same transaction may succeed when run once more.
func again(err error) bool {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pe.Code == "40001" || pe.Code == "40P01")
}

// IsDuplicate reports whether err is a unique violation.
func IsDuplicate(err error) bool {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pe.Code == "23505"
}

// Reasons of errors that say that a value itself is wrong (SQLSTATE class 22 or
// 23), so that whoever brought it can be found.
const (
	ReasonValue     = "VALUE"
	ReasonDuplicate = "DUPLICATE"
)

// translate turns a driver error into a fault. Only code and constraint are
// kept: messages and details of PostgreSQL can quote values of a person.
func translate(op string, err error) error {
	if err == nil {
		return nil
	}
	pe, driver := errors.AsType[*pgconn.PgError](err)
	if f, ok := fault.As(err); ok {
		if driver { // as a cause, which would quote what the fault does not
			clean := *f
			return clean.Because(nil)
		}
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fault.Unavailable("CANCELLED", "%s: cancelled or out of time", op).Zh("操作超时，请稍后重试").Because(ctxErr(err))
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.NotFound("NOT_FOUND", "%s: no such row", op).Zh("没有找到，或您无权查看")
	}
	if !driver {
		return fault.Unavailable("DATABASE", "%s: database not reached", op).Zh("数据库暂时无法连接，请稍后重试")
	}
	what := fmt.Sprintf("%s: sqlstate %s %s", op, pe.Code, pe.ConstraintName)
	switch {
	case pe.Code == "23505":
		return fault.Conflict(ReasonDuplicate, "%s", what).Zh("已存在相同的记录")
	case pe.Code[:2] == "22" || pe.Code[:2] == "23":
		return fault.Invalid(ReasonValue, "%s", what).Zh("数据库拒绝了某个值")
	case pe.Code == "55P03", pe.Code[:2] == "40", pe.Code[:2] == "53", pe.Code[:2] == "57", pe.Code[:2] == "08", pe.Code[:2] == "58":
		return fault.Unavailable("DATABASE", "%s", what).Zh("数据库暂时无法处理，请稍后重试")
	case pe.Code == "42501":
		return fault.Denied("DATABASE_ROLE", "%s", what).Zh("没有权限")
	}
	return fault.Internal("DATABASE", "%s", what)
}

func ctxErr(err error) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	return context.DeadlineExceeded
}

// RedactURL returns a database URL without its password.
func RedactURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "(unreadable)"
	}
	return u.Redacted()
}

func uuids[T ~[16]byte](ids []T) [][16]byte {
	out := make([][16]byte, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}

func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func null16[T ~[16]byte](id T) *[16]byte {
	if id == (T{}) {
		return nil
	}
	b := [16]byte(id)
	return &b
}

func or16[T ~[16]byte](id *[16]byte) T {
	if id == nil {
		return T{}
	}
	return T(*id)
}
