-- +goose Up
-- What rates count of an office's own book (rates.Measure), and the contact log.

-- doc_ok: the document by which the person is known passes its check, or a
-- clerk confirmed it. Rows of before have passed it when they were registered,
-- unless only a notice told of them, whose documents nobody looked at.
ALTER TABLE person ADD COLUMN doc_ok boolean NOT NULL DEFAULT false;
ALTER TABLE person NO FORCE ROW LEVEL SECURITY;
UPDATE person SET doc_ok = true WHERE doc_kind BETWEEN 1 AND 6 AND profile IS NOT NULL;
-- Residents by sex and age, for the denominator of 服务告知率. doc_kind >= 0 is
-- always true: it keeps the index for the one statement that says so.
CREATE INDEX person_scope ON person (sex, office, birth) WHERE presence IN (1, 2) AND merged_into IS NULL AND erased_at IS NULL AND doc_kind >= 0;
-- Residences that were confirmed or denied of people who have no file here.
CREATE INDEX case_side_nobody ON case_side (office, case_id) WHERE side = 2 AND kind = 1 AND status = 2 AND person IS NULL AND erased_at IS NULL;
CREATE INDEX case_side_birth ON case_side (office, person) WHERE side = 1 AND kind = 5;
-- whole is the office, for whoever opens all consents of one: an index on the
-- column that the policies ask for would serve every other statement too.
ALTER TABLE consent ADD COLUMN whole bigint GENERATED ALWAYS AS (office) STORED;
CREATE INDEX consent_whole ON consent (whole);

-- contact: the contact log of a person, in one size, under the person's key:
-- date, channel, reached or not. Whoever tries to write into it writes it,
-- allowed or not.
CREATE TABLE contact (
    person uuid PRIMARY KEY,
    office bigint NOT NULL,
    sealed bytea NOT NULL,
    whole  bigint GENERATED ALWAYS AS (office) STORED
);
CREATE INDEX contact_whole ON contact (whole);
ALTER TABLE contact ENABLE ROW LEVEL SECURITY;
ALTER TABLE contact FORCE ROW LEVEL SECURITY;
CREATE POLICY by_office ON contact TO yipan_app, yipan_exchange, yipan_counts USING (office = ANY((SELECT current_setting('yipan.offices')::bigint[])::bigint[]));
GRANT SELECT, INSERT, UPDATE ON contact TO yipan_app;
GRANT SELECT ON contact TO yipan_exchange;
GRANT SELECT (id, office, asked_on, issued_on) ON certificate TO yipan_exchange;

-- Books of cube_delta: 3 open files (side 1: lives here, registered elsewhere;
-- standing 1 + 1 if the living address reaches the village + 2 if the document
-- is right; day 0), 4 movements by the last day of filing (standing 1 in time,
-- 2 late), 5 certificates by the day they were asked for (1 asked, 2 issued),
-- 6 how often something changed that only its keys open (kind 1 consents and
-- contacts, 2 answered notices without a file): a count that only grows.
-- A file is open that is neither erased, merged into another, nor of somebody
-- who is gone or dead.
-- +goose StatementBegin
CREATE FUNCTION count_files() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO cube_delta
    SELECT office, 3, (presence = 2)::int, 0, 0, 1 + (living % 10 = 5)::int + 2 * doc_ok::int, 0, count(*)
    FROM now_rows WHERE merged_into IS NULL AND erased_at IS NULL AND presence NOT IN (4, 5) GROUP BY 1, 3, 6;
    RETURN NULL;
END $$;
CREATE FUNCTION count_file() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO cube_delta
    SELECT office, 3, side, 0, 0, standing, 0, sum(n) FROM (
        SELECT NEW.office, (NEW.presence = 2)::int, 1 + (NEW.living % 10 = 5)::int + 2 * NEW.doc_ok::int, 1
        WHERE NEW.merged_into IS NULL AND NEW.erased_at IS NULL AND NEW.presence NOT IN (4, 5)
        UNION ALL
        SELECT OLD.office, (OLD.presence = 2)::int, 1 + (OLD.living % 10 = 5)::int + 2 * OLD.doc_ok::int, -1
        WHERE OLD.merged_into IS NULL AND OLD.erased_at IS NULL AND OLD.presence NOT IN (4, 5)) u (office, side, standing, n)
    GROUP BY 1, 3, 6 HAVING sum(n) <> 0
    UNION ALL
    SELECT NEW.office, 6, 0, 1, 0, 1, 0, 1
    WHERE NEW.merged_into IS DISTINCT FROM OLD.merged_into OR NEW.erased_at IS DISTINCT FROM OLD.erased_at;
    RETURN NULL;
END $$;
CREATE FUNCTION count_movements() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO cube_delta
    SELECT office, 4, 0, 0, 0, CASE WHEN (recorded_at AT TIME ZONE 'Asia/Shanghai')::date <= due_on THEN 1 ELSE 2 END, due_on - date '1970-01-01', count(*)
    FROM now_rows WHERE due_on IS NOT NULL AND undone_at IS NULL GROUP BY 1, 6, 7;
    RETURN NULL;
END $$;
CREATE FUNCTION count_movement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO cube_delta
    SELECT NEW.office, 4, 0, 0, 0, CASE WHEN (NEW.recorded_at AT TIME ZONE 'Asia/Shanghai')::date <= NEW.due_on THEN 1 ELSE 2 END, NEW.due_on - date '1970-01-01',
        CASE WHEN NEW.undone_at IS NULL THEN 1 ELSE -1 END;
    RETURN NULL;
END $$;
CREATE FUNCTION uncount_movements() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO cube_delta
    SELECT office, 4, 0, 0, 0, CASE WHEN (recorded_at AT TIME ZONE 'Asia/Shanghai')::date <= due_on THEN 1 ELSE 2 END, due_on - date '1970-01-01', -count(*)
    FROM old_rows WHERE due_on IS NOT NULL AND undone_at IS NULL GROUP BY 1, 6, 7;
    RETURN NULL;
END $$;
CREATE FUNCTION count_certificates() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO cube_delta
    SELECT office, 5, 0, 0, 0, CASE WHEN issued_on IS NULL THEN 1 ELSE 2 END, asked_on - date '1970-01-01', count(*)
    FROM now_rows GROUP BY 1, 6, 7;
    RETURN NULL;
END $$;
CREATE FUNCTION count_certificate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO cube_delta VALUES
        (OLD.office, 5, 0, 0, 0, CASE WHEN OLD.issued_on IS NULL THEN 1 ELSE 2 END, OLD.asked_on - date '1970-01-01', -1),
        (NEW.office, 5, 0, 0, 0, CASE WHEN NEW.issued_on IS NULL THEN 1 ELSE 2 END, NEW.asked_on - date '1970-01-01', 1);
    RETURN NULL;
END $$;
-- note_change: the argument is the kind.
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO cube_delta VALUES (NEW.office, 6, 0, TG_ARGV[0]::smallint, 0, 1, 0, 1);
    RETURN NULL;
END $$;
CREATE FUNCTION note_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO cube_delta VALUES (OLD.office, 6, 0, 2, 0, 1, 0, 1);
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER count_new AFTER INSERT ON person REFERENCING NEW TABLE AS now_rows FOR EACH STATEMENT EXECUTE FUNCTION count_files();
CREATE TRIGGER count_changed AFTER UPDATE ON person FOR EACH ROW WHEN (
    (OLD.living % 10 = 5) <> (NEW.living % 10 = 5) OR OLD.doc_ok <> NEW.doc_ok OR OLD.presence <> NEW.presence
    OR OLD.merged_into IS DISTINCT FROM NEW.merged_into OR OLD.erased_at IS DISTINCT FROM NEW.erased_at) EXECUTE FUNCTION count_file();
CREATE TRIGGER count_new AFTER INSERT ON movement REFERENCING NEW TABLE AS now_rows FOR EACH STATEMENT EXECUTE FUNCTION count_movements();
CREATE TRIGGER count_changed AFTER UPDATE ON movement FOR EACH ROW WHEN (
    NEW.due_on IS NOT NULL AND (OLD.undone_at IS NULL) <> (NEW.undone_at IS NULL)) EXECUTE FUNCTION count_movement();
CREATE TRIGGER count_gone AFTER DELETE ON movement REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION uncount_movements();
CREATE TRIGGER count_new AFTER INSERT ON certificate REFERENCING NEW TABLE AS now_rows FOR EACH STATEMENT EXECUTE FUNCTION count_certificates();
CREATE TRIGGER count_changed AFTER UPDATE ON certificate FOR EACH ROW WHEN (
    OLD.issued_on IS DISTINCT FROM NEW.issued_on OR OLD.asked_on <> NEW.asked_on) EXECUTE FUNCTION count_certificate();
CREATE TRIGGER note_change AFTER INSERT OR UPDATE ON consent FOR EACH ROW EXECUTE FUNCTION note_change(1);
CREATE TRIGGER note_change AFTER INSERT OR UPDATE ON contact FOR EACH ROW EXECUTE FUNCTION note_change(1);
CREATE TRIGGER note_birth AFTER INSERT ON case_side FOR EACH ROW WHEN (NEW.side = 1 AND NEW.kind = 5) EXECUTE FUNCTION note_change(1);
CREATE TRIGGER note_nobody AFTER INSERT ON case_side FOR EACH ROW WHEN (
    NEW.side = 2 AND NEW.kind = 1 AND NEW.status = 2 AND NEW.person IS NULL AND NEW.erased_at IS NULL) EXECUTE FUNCTION note_change(2);
CREATE TRIGGER note_somebody AFTER UPDATE ON case_side FOR EACH ROW WHEN (
    NEW.side = 2 AND NEW.kind = 1 AND (OLD.status = 2 OR NEW.status = 2) AND (OLD.version <> NEW.version OR OLD.status <> NEW.status
    OR OLD.person IS DISTINCT FROM NEW.person OR OLD.erased_at IS DISTINCT FROM NEW.erased_at)) EXECUTE FUNCTION note_change(2);
CREATE TRIGGER note_gone AFTER DELETE ON case_side FOR EACH ROW WHEN (OLD.side = 2 AND OLD.kind = 1 AND OLD.status = 2) EXECUTE FUNCTION note_gone();

-- What is there already; the owner sees it while the policies are not forced.
ALTER TABLE movement NO FORCE ROW LEVEL SECURITY;
ALTER TABLE certificate NO FORCE ROW LEVEL SECURITY;
ALTER TABLE consent NO FORCE ROW LEVEL SECURITY;
ALTER TABLE case_side NO FORCE ROW LEVEL SECURITY;
ALTER TABLE cube_delta NO FORCE ROW LEVEL SECURITY;
INSERT INTO cube_delta SELECT DISTINCT office, 6, 0, 1, 0::bigint, 1, 0, 1 FROM consent;
INSERT INTO cube_delta SELECT DISTINCT office, 6, 0, 2, 0::bigint, 1, 0, 1 FROM case_side WHERE side = 2 AND kind = 1 AND status = 2 AND person IS NULL AND erased_at IS NULL;
INSERT INTO cube_delta
SELECT office, 3, (presence = 2)::int, 0, 0, 1 + (living % 10 = 5)::int + 2 * doc_ok::int, 0, count(*)
FROM person WHERE merged_into IS NULL AND erased_at IS NULL AND presence NOT IN (4, 5) GROUP BY 1, 3, 6;
INSERT INTO cube_delta
SELECT office, 4, 0, 0, 0, CASE WHEN (recorded_at AT TIME ZONE 'Asia/Shanghai')::date <= due_on THEN 1 ELSE 2 END, due_on - date '1970-01-01', count(*)
FROM movement WHERE due_on IS NOT NULL AND undone_at IS NULL GROUP BY 1, 6, 7;
INSERT INTO cube_delta
SELECT office, 5, 0, 0, 0, CASE WHEN issued_on IS NULL THEN 1 ELSE 2 END, asked_on - date '1970-01-01', count(*)
FROM certificate GROUP BY 1, 6, 7;
ALTER TABLE person FORCE ROW LEVEL SECURITY;
ALTER TABLE movement FORCE ROW LEVEL SECURITY;
ALTER TABLE certificate FORCE ROW LEVEL SECURITY;
ALTER TABLE consent FORCE ROW LEVEL SECURITY;
ALTER TABLE case_side FORCE ROW LEVEL SECURITY;
ALTER TABLE cube_delta FORCE ROW LEVEL SECURITY;

-- +goose Down
DROP TRIGGER count_new ON person;
DROP TRIGGER count_changed ON person;
DROP TRIGGER count_new ON movement;
DROP TRIGGER count_changed ON movement;
DROP TRIGGER count_gone ON movement;
DROP TRIGGER count_new ON certificate;
DROP TRIGGER count_changed ON certificate;
DROP TRIGGER note_change ON consent;
DROP TRIGGER note_birth ON case_side;
DROP TRIGGER note_nobody ON case_side;
DROP TRIGGER note_somebody ON case_side;
DROP TRIGGER note_gone ON case_side;
DROP TABLE contact;
DROP FUNCTION count_files();
DROP FUNCTION count_file();
DROP FUNCTION count_movements();
DROP FUNCTION count_movement();
DROP FUNCTION uncount_movements();
DROP FUNCTION count_certificates();
DROP FUNCTION count_certificate();
DROP FUNCTION note_change();
DROP FUNCTION note_gone();
ALTER TABLE cube_delta NO FORCE ROW LEVEL SECURITY;
ALTER TABLE cube_day NO FORCE ROW LEVEL SECURITY;
ALTER TABLE cube_month NO FORCE ROW LEVEL SECURITY;
DELETE FROM cube_delta WHERE book BETWEEN 3 AND 6;
DELETE FROM cube_day WHERE book BETWEEN 3 AND 6;
DELETE FROM cube_month WHERE book BETWEEN 3 AND 6;
ALTER TABLE cube_delta FORCE ROW LEVEL SECURITY;
ALTER TABLE cube_day FORCE ROW LEVEL SECURITY;
ALTER TABLE cube_month FORCE ROW LEVEL SECURITY;
ALTER TABLE consent DROP COLUMN whole;
DROP INDEX case_side_birth, case_side_nobody, person_scope;
ALTER TABLE person DROP COLUMN doc_ok;
REVOKE SELECT ON certificate FROM yipan_exchange;
