-- +goose Up
-- made_report: files of reports of frozen figures as they were first made,
-- insert-only, so that a later program gives the same bytes. office is the area
-- that the report is about; revision that of the month that ends its period; view
-- the areas whose figures are shown as to themselves, empty: as outside. layout is
-- that of the program that made it. They hold counts and name no person.
CREATE TABLE made_report (
    office   bigint NOT NULL,
    kind     smallint NOT NULL,
    period   text NOT NULL,
    revision int NOT NULL,
    format   smallint NOT NULL,
    view     text NOT NULL,
    layout   int NOT NULL,
    content  bytea NOT NULL,
    digest   bytea NOT NULL,
    made_at  timestamptz NOT NULL,
    PRIMARY KEY (office, kind, period, revision, format, view)
);
ALTER TABLE made_report ENABLE ROW LEVEL SECURITY;
ALTER TABLE made_report FORCE ROW LEVEL SECURITY;
CREATE POLICY by_office ON made_report TO yipan_app, yipan_exchange, yipan_counts USING (office = ANY((SELECT current_setting('yipan.offices')::bigint[])::bigint[]));
GRANT SELECT, INSERT ON made_report TO yipan_exchange;
-- Who came and went in a year, for the annual report of each office.
CREATE INDEX movement_event ON movement (kind, event_on, office, person);

-- +goose Down
DROP INDEX movement_event;
DROP TABLE made_report;
