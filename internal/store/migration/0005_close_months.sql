-- +goose Up
-- month_frozen: revisions of frozen months, insert-only. office is the highest
-- area that this node served when it froze the month; month is yyyymm. snapshot
-- is what was signed, and names no person; digest is over case ids, rounds and
-- codes.
CREATE TABLE month_frozen (
    office    bigint NOT NULL,
    month     int NOT NULL,
    revision  int NOT NULL,
    at        timestamptz NOT NULL,
    frozen_at timestamptz NOT NULL,
    digest    bytea NOT NULL,
    snapshot  bytea NOT NULL,
    key_id    bytea NOT NULL,
    signature bytea NOT NULL,
    PRIMARY KEY (office, month, revision)
);

-- month_rounds: the rounds behind a revision, of the office whose they are, each
-- 29 bytes: case id, round, code, counterpart area. A part stands only where it
-- differs from the revision before.
CREATE TABLE month_rounds (
    office   bigint NOT NULL,
    month    int NOT NULL,
    side     smallint NOT NULL,
    kind     smallint NOT NULL,
    revision int NOT NULL,
    rounds   bytea NOT NULL,
    PRIMARY KEY (office, month, side, kind, revision)
);

-- month_state: what a later look at a frozen month begins with. sums is a digest
-- of the counts that the last look found, sent what was reported upwards last.
CREATE TABLE month_state (
    office     bigint NOT NULL,
    month      int NOT NULL,
    sums       bytea NOT NULL,
    checked_at timestamptz NOT NULL,
    waiting    bigint[] NOT NULL DEFAULT '{}', -- peers that an unfrozen month waits for
    sent       bytea NOT NULL DEFAULT '',
    sent_at    timestamptz,
    PRIMARY KEY (office, month)
);

-- month_peer: the comparison of a month with the node at the other end.
CREATE TABLE month_peer (
    office   bigint NOT NULL,
    month    int NOT NULL,
    peer     bigint NOT NULL,
    shared   bigint NOT NULL DEFAULT 0,
    differ   bigint NOT NULL DEFAULT 0,
    sent     bytea NOT NULL DEFAULT '',
    received bytea NOT NULL DEFAULT '',
    held_at  timestamptz,
    PRIMARY KEY (office, month, peer)
);

-- month_difference: rounds that two ends count otherwise, of the office whose
-- they are (or should be). Codes are those of month_rounds, 0: not there.
CREATE TABLE month_difference (
    office  bigint NOT NULL,
    month   int NOT NULL,
    peer    bigint NOT NULL,
    case_id uuid NOT NULL,
    round   int NOT NULL,
    ours    smallint NOT NULL,
    theirs  smallint NOT NULL,
    PRIMARY KEY (office, month, peer, case_id, round)
);

-- report_child: what areas below reported to an area of this node; the newest of
-- each basis (1 while the month is open, 2 frozen).
CREATE TABLE report_child (
    office   bigint NOT NULL,
    month    int NOT NULL,
    child    bigint NOT NULL,
    basis    smallint NOT NULL,
    revision int NOT NULL,
    as_of    timestamptz NOT NULL,
    held_at  timestamptz NOT NULL,
    content  bytea NOT NULL,
    PRIMARY KEY (office, month, child, basis)
);

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['month_frozen','month_rounds','month_state','month_peer','month_difference','report_child'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY by_office ON %I TO yipan_app, yipan_exchange, yipan_counts USING (office = ANY((SELECT current_setting(''yipan.offices'')::bigint[])::bigint[]))', t);
    END LOOP;
END $$;
-- +goose StatementEnd
GRANT SELECT, INSERT ON month_frozen, month_rounds TO yipan_exchange;
GRANT SELECT, INSERT, UPDATE, DELETE ON month_state, month_peer, month_difference, report_child TO yipan_exchange;
GRANT SELECT ON month_frozen, month_rounds, month_state, month_peer, month_difference, report_child TO yipan_app;
GRANT SELECT ON month_frozen, month_state, report_child TO yipan_counts;

-- +goose Down
DROP TABLE month_frozen, month_rounds, month_state, month_peer, month_difference, report_child;
