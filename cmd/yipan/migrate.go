package main

import (
	"context"

	"yipan/internal/cli"
	"yipan/internal/node"
	"yipan/internal/store"
)

// MigrateCommand is `yipan migrate`.
type MigrateCommand struct{ Configured }

// Run migrates the node's database; a private one is started for it.
func (c MigrateCommand) Run(ctx context.Context, e *cli.Env) error {
	l, err := c.load(e)
	if err != nil {
		return err
	}
	return withDatabase(ctx, l, e, func(d *node.Database) error {
		n, err := d.Migrate(ctx)
		if err != nil {
			return err
		}
		if e.JSON {
			return object(e, map[string]int{"migrations": n})
		}
		say(e, "数据库已是最新（执行了 %d 步）", "The database is up to date (%d migrations ran)", n)
		return nil
	})
}

// withDatabase runs do with the node's database: the running node's private one,
// a private one started for the moment, or that of the URL.
func withDatabase(ctx context.Context, l *node.Loaded, e *cli.Env, do func(*node.Database) error) (err error) {
	d, err := node.OpenDatabase(ctx, &l.Config, node.DatabaseOptions{Attach: true, Log: logger(e.Err, "warn")})
	if err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		if closed := d.Close(stop); err == nil {
			err = closed
		}
	}()
	return do(d)
}

// withStore is withDatabase, migrated and connected.
func withStore(ctx context.Context, c Configured, e *cli.Env, do func(*node.Loaded, *store.DB) error) error {
	l, err := c.load(e)
	if err != nil {
		return err
	}
	return withDatabase(ctx, l, e, func(d *node.Database) error {
		if _, err := d.Migrate(ctx); err != nil {
			return err
		}
		db, err := d.Open(ctx)
		if err != nil {
			return err
		}
		defer db.Close()
		return do(l, db)
	})
}
