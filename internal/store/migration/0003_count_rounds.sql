-- +goose Up
-- What a round counts as (rates.Standing), apart from the day on which it is
-- looked at, and the day that decides the rest, in days since 1970-01-01. The
-- projection writes them; nothing here knows what they mean. 0: not known yet.
-- extended: days by which a county-signed outage put off the due.
ALTER TABLE case_side
    ADD COLUMN standing     smallint NOT NULL DEFAULT 0,
    ADD COLUMN standing_day int NOT NULL DEFAULT 0,
    ADD COLUMN extended     smallint NOT NULL DEFAULT 0;
ALTER TABLE side_round
    ADD COLUMN answer_held  timestamptz,
    ADD COLUMN standing     smallint NOT NULL DEFAULT 0,
    ADD COLUMN standing_day int NOT NULL DEFAULT 0,
    ADD COLUMN extended     smallint NOT NULL DEFAULT 0;
-- Rows written before there were standings.
CREATE INDEX case_side_unknown ON case_side (case_id, office) WHERE standing = 0;
CREATE INDEX side_round_unknown ON side_round (case_id, office, round) WHERE standing = 0;

-- cube_delta: changes of counts that were not added up yet, written by triggers
-- in the transaction that changes what is counted, so that sums and deltas
-- together are exact at any instant; insert-only, so that nobody waits. book says
-- of what: 1 rounds, 2 notices by whether they are paired (standing 1 no, 2 yes).
CREATE TABLE cube_delta (
    office   bigint NOT NULL,
    book     smallint NOT NULL,
    side     smallint NOT NULL,
    kind     smallint NOT NULL,
    peer     bigint NOT NULL,   -- the other side's area, at most its county
    standing smallint NOT NULL,
    day      int NOT NULL,
    n        bigint NOT NULL
);
CREATE INDEX cube_delta_office ON cube_delta (office, book);
-- Rows live for seconds: what is left of them is to go soon, too.
ALTER TABLE cube_delta SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- The sums: by day, by month (yyyymm), and by counterpart. In cube_peer day is
-- kept only while it decides (standings that wait), else 0.
CREATE TABLE cube_day (
    office   bigint NOT NULL,
    book     smallint NOT NULL,
    day      int NOT NULL,
    side     smallint NOT NULL,
    kind     smallint NOT NULL,
    standing smallint NOT NULL,
    n        bigint NOT NULL,
    PRIMARY KEY (office, book, day, side, kind, standing)
) WITH (fillfactor = 80);
CREATE TABLE cube_month (
    office   bigint NOT NULL,
    book     smallint NOT NULL,
    month    int NOT NULL,
    side     smallint NOT NULL,
    kind     smallint NOT NULL,
    standing smallint NOT NULL,
    n        bigint NOT NULL,
    PRIMARY KEY (office, book, month, side, kind, standing)
) WITH (fillfactor = 80);
CREATE TABLE cube_peer (
    office   bigint NOT NULL,
    book     smallint NOT NULL,
    month    int NOT NULL,
    peer     bigint NOT NULL,
    side     smallint NOT NULL,
    kind     smallint NOT NULL,
    standing smallint NOT NULL,
    day      int NOT NULL,
    n        bigint NOT NULL,
    PRIMARY KEY (office, book, month, peer, side, kind, standing, day)
) WITH (fillfactor = 80);

-- What is not receipted is of now, whatever the month.
CREATE INDEX cube_month_sent ON cube_month (office, month) WHERE book = 1 AND standing = 1;
CREATE INDEX cube_day_sent ON cube_day (office, day) WHERE book = 1 AND standing = 1;
CREATE INDEX cube_peer_sent ON cube_peer (office, day) WHERE book = 1 AND standing = 1;
-- Of the month that is not over yet, what waits is told apart by day.
CREATE INDEX cube_day_waits ON cube_day (office, day) WHERE book = 1 AND standing >= 8;
-- Rounds whose due an outage put off: few.
CREATE INDEX case_side_extended ON case_side (office, standing_day) WHERE extended > 0;
CREATE INDEX side_round_extended ON side_round (office, standing_day) WHERE extended > 0;

-- +goose StatementBegin
CREATE FUNCTION area_county(k bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN k % 10 <= 3 THEN k ELSE k / 10000000 * 10000000 + 3 END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION month_of(day int) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (extract(year FROM date '1970-01-01' + day) * 100 + extract(month FROM date '1970-01-01' + day))::int;
-- +goose StatementEnd

-- count_sides, count_rounds: one row of cube_delta for each count that a
-- statement changed. Of pairing, what Feedback excludes (standings 1, 2 and 5 to
-- 7) is no candidate.
-- +goose StatementBegin
CREATE FUNCTION count_sides() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO cube_delta
        SELECT office, 1, side, kind, area_county(CASE side WHEN 1 THEN y ELSE x END), standing, standing_day, count(*)
        FROM now_rows WHERE standing <> 0 GROUP BY 1, 3, 4, 5, 6, 7
        UNION ALL
        SELECT office, 2, side, kind, 0, CASE WHEN person IS NULL THEN 1 ELSE 2 END, standing_day, count(*)
        FROM now_rows WHERE side = 2 AND kind <= 2 AND standing IN (3, 4, 8, 9, 10, 11) GROUP BY 1, 3, 4, 6, 7;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO cube_delta
        SELECT office, 1, side, kind, area_county(CASE side WHEN 1 THEN y ELSE x END), standing, standing_day, sum(n) FROM (
            SELECT office, side, kind, x, y, standing, standing_day, 1 AS n FROM now_rows WHERE standing <> 0
            UNION ALL SELECT office, side, kind, x, y, standing, standing_day, -1 FROM old_rows WHERE standing <> 0) u
        GROUP BY 1, 3, 4, 5, 6, 7 HAVING sum(n) <> 0
        UNION ALL
        SELECT office, 2, side, kind, 0, CASE WHEN unpaired THEN 1 ELSE 2 END, standing_day, sum(n) FROM (
            SELECT office, side, kind, person IS NULL AS unpaired, standing, standing_day, 1 AS n FROM now_rows
            UNION ALL SELECT office, side, kind, person IS NULL, standing, standing_day, -1 FROM old_rows) u
        WHERE side = 2 AND kind <= 2 AND standing IN (3, 4, 8, 9, 10, 11)
        GROUP BY 1, 3, 4, 6, 7 HAVING sum(n) <> 0;
    ELSE
        INSERT INTO cube_delta
        SELECT office, 1, side, kind, area_county(CASE side WHEN 1 THEN y ELSE x END), standing, standing_day, -count(*)
        FROM old_rows WHERE standing <> 0 GROUP BY 1, 3, 4, 5, 6, 7
        UNION ALL
        SELECT office, 2, side, kind, 0, CASE WHEN person IS NULL THEN 1 ELSE 2 END, standing_day, -count(*)
        FROM old_rows WHERE side = 2 AND kind <= 2 AND standing IN (3, 4, 8, 9, 10, 11) GROUP BY 1, 3, 4, 6, 7;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION count_rounds() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO cube_delta
        SELECT office, 1, side, kind, area_county(CASE side WHEN 1 THEN y ELSE x END), standing, standing_day, count(*)
        FROM now_rows WHERE standing <> 0 GROUP BY 1, 3, 4, 5, 6, 7;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO cube_delta
        SELECT office, 1, side, kind, area_county(CASE side WHEN 1 THEN y ELSE x END), standing, standing_day, sum(n) FROM (
            SELECT office, side, kind, x, y, standing, standing_day, 1 AS n FROM now_rows WHERE standing <> 0
            UNION ALL SELECT office, side, kind, x, y, standing, standing_day, -1 FROM old_rows WHERE standing <> 0) u
        GROUP BY 1, 3, 4, 5, 6, 7 HAVING sum(n) <> 0;
    ELSE
        INSERT INTO cube_delta
        SELECT office, 1, side, kind, area_county(CASE side WHEN 1 THEN y ELSE x END), standing, standing_day, -count(*)
        FROM old_rows WHERE standing <> 0 GROUP BY 1, 3, 4, 5, 6, 7;
    END IF;
    RETURN NULL;
END $$;
-- count_side, count_round: the same of one row, which is less work where a
-- statement writes a few; yipan.many says that it writes more.
CREATE FUNCTION count_side() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was smallint := 0;
    becomes smallint := 0;
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.side = 2 AND OLD.kind <= 2 AND OLD.standing IN (3, 4, 8, 9, 10, 11) THEN
        was := CASE WHEN OLD.person IS NULL THEN 1 ELSE 2 END;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.side = 2 AND NEW.kind <= 2 AND NEW.standing IN (3, 4, 8, 9, 10, 11) THEN
        becomes := CASE WHEN NEW.person IS NULL THEN 1 ELSE 2 END;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.standing <> 0 AND NEW.standing <> 0 THEN
        INSERT INTO cube_delta VALUES
            (OLD.office, 1, OLD.side, OLD.kind, area_county(CASE OLD.side WHEN 1 THEN OLD.y ELSE OLD.x END), OLD.standing, OLD.standing_day, -1),
            (NEW.office, 1, NEW.side, NEW.kind, area_county(CASE NEW.side WHEN 1 THEN NEW.y ELSE NEW.x END), NEW.standing, NEW.standing_day, 1);
        IF was = becomes AND OLD.standing_day = NEW.standing_day AND OLD.kind = NEW.kind AND OLD.office = NEW.office THEN
            RETURN NULL;
        END IF;
    ELSIF TG_OP <> 'INSERT' AND OLD.standing <> 0 THEN
        INSERT INTO cube_delta VALUES (OLD.office, 1, OLD.side, OLD.kind, area_county(CASE OLD.side WHEN 1 THEN OLD.y ELSE OLD.x END), OLD.standing, OLD.standing_day, -1);
    ELSIF TG_OP <> 'DELETE' AND NEW.standing <> 0 THEN
        INSERT INTO cube_delta VALUES (NEW.office, 1, NEW.side, NEW.kind, area_county(CASE NEW.side WHEN 1 THEN NEW.y ELSE NEW.x END), NEW.standing, NEW.standing_day, 1);
    END IF;
    IF was <> 0 THEN
        INSERT INTO cube_delta VALUES (OLD.office, 2, OLD.side, OLD.kind, 0, was, OLD.standing_day, -1);
    END IF;
    IF becomes <> 0 THEN
        INSERT INTO cube_delta VALUES (NEW.office, 2, NEW.side, NEW.kind, 0, becomes, NEW.standing_day, 1);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION count_round() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.standing <> 0 THEN
        INSERT INTO cube_delta VALUES (OLD.office, 1, OLD.side, OLD.kind, area_county(CASE OLD.side WHEN 1 THEN OLD.y ELSE OLD.x END), OLD.standing, OLD.standing_day, -1);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.standing <> 0 THEN
        INSERT INTO cube_delta VALUES (NEW.office, 1, NEW.side, NEW.kind, area_county(CASE NEW.side WHEN 1 THEN NEW.y ELSE NEW.x END), NEW.standing, NEW.standing_day, 1);
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER count_new AFTER INSERT ON case_side REFERENCING NEW TABLE AS now_rows FOR EACH STATEMENT WHEN (current_setting('yipan.many', true) = 'on') EXECUTE FUNCTION count_sides();
CREATE TRIGGER count_changed AFTER UPDATE ON case_side REFERENCING OLD TABLE AS old_rows NEW TABLE AS now_rows FOR EACH STATEMENT WHEN (current_setting('yipan.many', true) = 'on') EXECUTE FUNCTION count_sides();
CREATE TRIGGER count_gone AFTER DELETE ON case_side REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT WHEN (current_setting('yipan.many', true) = 'on') EXECUTE FUNCTION count_sides();
CREATE TRIGGER count_one_new AFTER INSERT ON case_side FOR EACH ROW WHEN (NEW.standing <> 0 AND current_setting('yipan.many', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION count_side();
CREATE TRIGGER count_one_changed AFTER UPDATE ON case_side FOR EACH ROW WHEN ((OLD.standing <> NEW.standing OR OLD.standing_day <> NEW.standing_day OR (OLD.person IS NULL) <> (NEW.person IS NULL) OR OLD.kind <> NEW.kind OR OLD.side <> NEW.side OR OLD.office <> NEW.office OR OLD.x <> NEW.x OR OLD.y <> NEW.y)
    AND current_setting('yipan.many', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION count_side();
CREATE TRIGGER count_one_gone AFTER DELETE ON case_side FOR EACH ROW WHEN (OLD.standing <> 0 AND current_setting('yipan.many', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION count_side();
CREATE TRIGGER count_new AFTER INSERT ON side_round REFERENCING NEW TABLE AS now_rows FOR EACH STATEMENT WHEN (current_setting('yipan.many', true) = 'on') EXECUTE FUNCTION count_rounds();
CREATE TRIGGER count_changed AFTER UPDATE ON side_round REFERENCING OLD TABLE AS old_rows NEW TABLE AS now_rows FOR EACH STATEMENT WHEN (current_setting('yipan.many', true) = 'on') EXECUTE FUNCTION count_rounds();
CREATE TRIGGER count_gone AFTER DELETE ON side_round REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT WHEN (current_setting('yipan.many', true) = 'on') EXECUTE FUNCTION count_rounds();
CREATE TRIGGER count_one_new AFTER INSERT ON side_round FOR EACH ROW WHEN (NEW.standing <> 0 AND current_setting('yipan.many', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION count_round();
CREATE TRIGGER count_one_changed AFTER UPDATE ON side_round FOR EACH ROW WHEN ((OLD.standing <> NEW.standing OR OLD.standing_day <> NEW.standing_day OR OLD.kind <> NEW.kind OR OLD.side <> NEW.side OR OLD.office <> NEW.office OR OLD.x <> NEW.x OR OLD.y <> NEW.y)
    AND current_setting('yipan.many', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION count_round();
CREATE TRIGGER count_one_gone AFTER DELETE ON side_round FOR EACH ROW WHEN (OLD.standing <> 0 AND current_setting('yipan.many', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION count_round();

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['cube_delta','cube_day','cube_month','cube_peer'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY by_office ON %I TO yipan_app, yipan_exchange, yipan_counts USING (office = ANY((SELECT current_setting(''yipan.offices'')::bigint[])::bigint[]))', t);
    END LOOP;
END $$;
-- +goose StatementEnd
GRANT INSERT ON cube_delta TO yipan_app;
GRANT SELECT, INSERT, DELETE ON cube_delta TO yipan_exchange;
GRANT SELECT, INSERT, UPDATE, DELETE ON cube_day, cube_month, cube_peer TO yipan_exchange;
GRANT SELECT ON cube_delta, cube_day, cube_month, cube_peer TO yipan_counts;
GRANT SELECT (standing, standing_day, extended) ON case_side TO yipan_counts;

-- +goose Down
DROP TRIGGER count_new ON case_side;
DROP TRIGGER count_changed ON case_side;
DROP TRIGGER count_gone ON case_side;
DROP TRIGGER count_one_new ON case_side;
DROP TRIGGER count_one_changed ON case_side;
DROP TRIGGER count_one_gone ON case_side;
DROP TRIGGER count_new ON side_round;
DROP TRIGGER count_changed ON side_round;
DROP TRIGGER count_gone ON side_round;
DROP TRIGGER count_one_new ON side_round;
DROP TRIGGER count_one_changed ON side_round;
DROP TRIGGER count_one_gone ON side_round;
DROP FUNCTION count_sides();
DROP FUNCTION count_rounds();
DROP FUNCTION count_side();
DROP FUNCTION count_round();
DROP INDEX case_side_extended, side_round_extended;
DROP TABLE cube_delta, cube_day, cube_month, cube_peer;
DROP FUNCTION area_county(bigint);
DROP FUNCTION month_of(int);
ALTER TABLE side_round DROP COLUMN answer_held, DROP COLUMN standing, DROP COLUMN standing_day, DROP COLUMN extended;
ALTER TABLE case_side DROP COLUMN standing, DROP COLUMN standing_day, DROP COLUMN extended;
