package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib" // database/sql driver for goose
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"yipan/internal/fault"
)

//go:embed migration/*.sql
var migrations embed.FS

// lockTimeout keeps a migration that waits for a table from blocking all that
// comes after it.
const lockTimeout = "10s"

// Migrate brings the database behind url to the newest schema, under an
// advisory lock. url must own the database and, the first time, be allowed to
// create the three runtime roles. It returns how many migrations ran.
func Migrate(ctx context.Context, url string) (int, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return 0, fault.Invalid("DATABASE_URL", "database URL does not parse") // the cause may hold a password
	}
	config.RuntimeParams["lock_timeout"] = lockTimeout
	conn := stdlib.OpenDB(*config)
	defer func() { _ = conn.Close() }()
	if err := createRoles(ctx, conn); err != nil {
		return 0, err
	}
	dir, err := fs.Sub(migrations, "migration")
	if err != nil {
		return 0, fault.Internal("MIGRATE", "embedded migrations").Because(err)
	}
	session, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return 0, fault.Internal("MIGRATE", "advisory lock").Because(err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, conn, dir, goose.WithSessionLocker(session))
	if err != nil {
		return 0, fault.Internal("MIGRATE", "read migrations").Because(err)
	}
	done, err := p.Up(ctx)
	if err != nil {
		return len(done), translateMigration(err)
	}
	return len(done), nil
}

func translateMigration(err error) error {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fault.Internal("MIGRATE", "migration failed: sqlstate %s: %s", pe.Code, pe.Message)
	}
	return fault.Unavailable("MIGRATE", "migration failed").Because(err)
}

// createRoles makes the runtime roles where they are missing. Roles belong to
// the whole server, so two databases may race for them.
func createRoles(ctx context.Context, conn *sql.DB) error {
	_, err := conn.ExecContext(ctx, `
DO $$
DECLARE r text;
BEGIN
    FOREACH r IN ARRAY ARRAY['yipan_app','yipan_exchange','yipan_counts'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
                EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT', r);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        -- From PostgreSQL 16 on a member may lack the right to SET ROLE.
        IF NOT pg_has_role(current_user, r, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) THEN
            EXECUTE format('GRANT %I TO current_user', r);
        END IF;
    END LOOP;
END $$`)
	if err != nil {
		return translate("create database roles", err)
	}
	return nil
}
