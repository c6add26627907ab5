-- +goose Up
-- outage_declared: times in which offices could not work, signed for by their
-- county; they put off dues. id is what the EXTENDs name. rounds counts them.
CREATE TABLE outage_declared (
    id          uuid PRIMARY KEY,
    office      bigint NOT NULL,   -- the county that signed
    area        bigint NOT NULL,
    since       timestamptz NOT NULL,
    until       timestamptz NOT NULL,
    reason      text NOT NULL,
    account     text NOT NULL,
    declared_at timestamptz NOT NULL,
    rounds      bigint NOT NULL DEFAULT 0
);
CREATE INDEX outage_declared_at ON outage_declared (declared_at);

-- outage_round: rounds whose due an outage has put off.
CREATE TABLE outage_round (
    outage  uuid NOT NULL,
    case_id uuid NOT NULL,
    round   int NOT NULL,
    office  bigint NOT NULL,       -- the county that signed
    PRIMARY KEY (outage, case_id, round)
);

-- report_in: reports to areas of this node, as they came; done_at once they were
-- read. They name nobody. Only the exchange sees them.
CREATE TABLE report_in (
    item        uuid PRIMARY KEY,
    author      bigint NOT NULL,
    x           bigint NOT NULL,
    y           bigint NOT NULL,
    form        smallint NOT NULL,
    period      text NOT NULL,
    content     bytea NOT NULL,
    key_id      bytea NOT NULL,
    signature   bytea NOT NULL,
    recorded_at timestamptz NOT NULL,
    held_at     timestamptz NOT NULL,
    done_at     timestamptz
);
CREATE INDEX report_in_todo ON report_in (held_at, item) WHERE done_at IS NULL;

-- Legs of reports are no cases.
CREATE INDEX item_report ON item (case_id) WHERE kind = 11;

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['outage_declared','outage_round','report_in'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['outage_declared','outage_round'] LOOP
        EXECUTE format('CREATE POLICY by_office ON %I TO yipan_app, yipan_exchange USING (office = ANY((SELECT current_setting(''yipan.offices'')::bigint[])::bigint[]))', t);
    END LOOP;
END $$;
-- +goose StatementEnd
CREATE POLICY exchange ON report_in TO yipan_exchange USING (true);
GRANT SELECT, INSERT ON outage_declared TO yipan_app;
GRANT SELECT, UPDATE (rounds) ON outage_declared TO yipan_exchange;
GRANT SELECT, INSERT ON outage_round TO yipan_exchange;
GRANT SELECT, INSERT, UPDATE (done_at) ON report_in TO yipan_exchange;

-- +goose Down
DROP INDEX item_report;
DROP TABLE report_in, outage_round, outage_declared;
