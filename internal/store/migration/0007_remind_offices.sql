-- +goose Up
-- reminder: where an office's digest goes, and how many days before a due it
-- names it. No row: the office gets none.
CREATE TABLE reminder (
    office      bigint PRIMARY KEY,
    webhook     text NOT NULL DEFAULT '',
    email       text NOT NULL DEFAULT '',
    days_before smallint NOT NULL CHECK (days_before BETWEEN 1 AND 14),
    set_by      text NOT NULL,
    set_at      timestamptz NOT NULL
);

-- reminder_day: the one digest of an office's day by a channel (1 webhook,
-- 2 e-mail). next_try is the end of a sender's claim, or when a failed delivery
-- may be tried again; tries fences a sender whose claim ran out. error is a code
-- and holds no address and no secret.
CREATE TABLE reminder_day (
    office       bigint NOT NULL,
    day          date NOT NULL,
    channel      smallint NOT NULL CHECK (channel IN (1, 2)),
    tries        smallint NOT NULL,
    next_try     timestamptz NOT NULL,
    delivered_at timestamptz,
    error        text NOT NULL DEFAULT '',
    PRIMARY KEY (office, day, channel)
);

-- duty: which accounts of an office are on duty on a day. No row: nobody.
CREATE TABLE duty (
    office   bigint NOT NULL,
    day      date NOT NULL,
    accounts text[] NOT NULL CHECK (cardinality(accounts) BETWEEN 1 AND 20),
    PRIMARY KEY (office, day)
);

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['reminder','reminder_day','duty'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY by_office ON %I TO yipan_app, yipan_exchange USING (office = ANY((SELECT current_setting(''yipan.offices'')::bigint[])::bigint[]))', t);
    END LOOP;
END $$;
-- +goose StatementEnd
GRANT SELECT, INSERT, UPDATE, DELETE ON reminder, duty TO yipan_app;
GRANT SELECT ON reminder_day TO yipan_app;
GRANT SELECT ON reminder, duty TO yipan_exchange;
GRANT SELECT, INSERT, UPDATE, DELETE ON reminder_day TO yipan_exchange;

-- +goose Down
DROP TABLE duty, reminder_day, reminder;
