-- +goose Up
-- The office's own book (台帐): the person's file, movements, services, what
-- waits to be paired, and who may see a restricted person. Version 1 was never
-- released, so that what it kept of offers is not carried over.

-- person: the plain columns are what is searched and counted; everything else
-- is in profile, under the person's key. presence, since and living follow from
-- the movements. merged_into: another file of the same person, which shows this
-- one too. offered_round: the last offer round of 三查 that was closed here,
-- whatever the outcome. index_key: which key made the blind indexes.
ALTER TABLE person
    ADD COLUMN initials      text NOT NULL DEFAULT '',
    ADD COLUMN registered    bigint NOT NULL DEFAULT 0,
    ADD COLUMN managed       bigint NOT NULL DEFAULT 0,
    ADD COLUMN living        bigint NOT NULL DEFAULT 0,
    ADD COLUMN presence      smallint NOT NULL DEFAULT 0,
    ADD COLUMN since         date,
    ADD COLUMN household     uuid,
    ADD COLUMN profile       bytea,
    ADD COLUMN merged_into   uuid,
    ADD COLUMN restricted    boolean NOT NULL DEFAULT false,
    ADD COLUMN offered_round int NOT NULL DEFAULT 0,
    ADD COLUMN rev           int NOT NULL DEFAULT 0,
    ADD COLUMN index_key     bytea;
-- Blind indexes name their office, and lead: an index that begins with the
-- office looks as good to a planner that knows no rows yet.
DROP INDEX person_doc;
CREATE UNIQUE INDEX person_doc ON person (doc_index, office);
CREATE INDEX person_name ON person (office, name COLLATE "C", id);
CREATE INDEX person_initials ON person (office, initials COLLATE "C", id) WHERE initials <> '';
CREATE INDEX person_birth ON person (office, birth) WHERE birth IS NOT NULL;
CREATE INDEX person_last4 ON person (last4) WHERE last4 IS NOT NULL;
CREATE INDEX person_phone ON person (phone_index) WHERE phone_index IS NOT NULL;
CREATE INDEX person_living ON person (office, living, id) WHERE living <> 0;
CREATE INDEX person_registered ON person (office, registered, id) WHERE registered <> 0;
CREATE INDEX person_household ON person (household) WHERE household IS NOT NULL;
CREATE INDEX person_merged ON person (merged_into) WHERE merged_into IS NOT NULL;
-- Whom an offer round is still due for: by round, never by outcome.
CREATE INDEX person_offer_due ON person (office, offered_round, birth, id)
    WHERE presence IN (1, 2) AND merged_into IS NULL AND erased_at IS NULL;

-- person_event: the history of a file, append-only; event time and recording
-- time. sealed says what changed, under the person's key.
CREATE TABLE person_event (
    id          uuid PRIMARY KEY,
    office      bigint NOT NULL,
    person      uuid NOT NULL,
    kind        smallint NOT NULL,
    event_on    date NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    account     text NOT NULL,
    sealed      bytea NOT NULL
);
CREATE INDEX person_event_person ON person_event (person, recorded_at);

-- former_name: names that a person had, for search and pairing.
CREATE TABLE former_name (
    person   uuid NOT NULL,
    office   bigint NOT NULL,
    name     text NOT NULL,
    initials text NOT NULL,
    PRIMARY KEY (person, name)
);
CREATE INDEX former_name_name ON former_name (office, name COLLATE "C");
CREATE INDEX former_name_initials ON former_name (office, initials COLLATE "C");

-- lookup: blind indexes of a file beside those of its row: use 1 documents
-- (former numbers, second documents), 2 their last four, 3 telephones.
CREATE TABLE lookup (
    office    bigint NOT NULL,
    use       smallint NOT NULL,
    ix        bytea NOT NULL,
    person    uuid NOT NULL,
    index_key bytea NOT NULL,
    PRIMARY KEY (ix, use, office, person)
);
CREATE INDEX lookup_person ON lookup (person, use);

-- keeper: who sees a restricted person (SECURITY D11), two named users.
CREATE TABLE keeper (
    person  uuid NOT NULL,
    office  bigint NOT NULL,
    account text NOT NULL,
    PRIMARY KEY (person, account)
);

-- duplicate: two files that may be one person; a < b. state: 0 proposed,
-- 1 merged, 2 dismissed.
CREATE TABLE duplicate (
    a          uuid NOT NULL,
    b          uuid NOT NULL,
    office     bigint NOT NULL,
    score      smallint NOT NULL,
    reasons    int NOT NULL,
    state      smallint NOT NULL DEFAULT 0,
    at         timestamptz NOT NULL DEFAULT now(),
    decided_at timestamptz,
    account    text NOT NULL DEFAULT '',
    PRIMARY KEY (a, b)
);
CREATE INDEX duplicate_open ON duplicate (office, at, a, b) WHERE state = 0;
CREATE INDEX duplicate_b ON duplicate (b);

-- movement: leave, arrive, move on, return, transfer, identity, death;
-- append-only but for undone_at. due_on is the last day of filing in time.
-- sealed holds the basis, the notice, or why none left.
CREATE TABLE movement (
    id          uuid PRIMARY KEY,
    office      bigint NOT NULL,
    person      uuid NOT NULL,
    kind        smallint NOT NULL,
    place_from  bigint NOT NULL DEFAULT 0,
    place_to    bigint NOT NULL DEFAULT 0,
    event_on    date NOT NULL,
    due_on      date,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    account     text NOT NULL,
    undone_at   timestamptz,
    sealed      bytea NOT NULL
);
CREATE INDEX movement_person ON movement (person, event_on, recorded_at);
CREATE INDEX movement_due ON movement (office, due_on);

-- service: one row per person, kind and period (an offer round, or a month).
-- The open column says only "closed" (SECURITY D4); sealed is the rest, of one
-- size, under the person's key.
CREATE TABLE service (
    person uuid NOT NULL,
    office bigint NOT NULL,
    kind   smallint NOT NULL,
    period int NOT NULL,
    closed boolean NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (person, kind, period)
);
-- A recount goes by it. It does not begin with the office, see person_doc.
CREATE INDEX service_period ON service (kind, period, office, person);

-- service_tally: all reasons of an office, kind and period in one sealed row of
-- fixed size that every event rewrites.
CREATE TABLE service_tally (
    office bigint NOT NULL,
    kind   smallint NOT NULL,
    period int NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (office, kind, period)
);

-- offer is now the draft of a FEEDBACK alone; what was offered is in service.
DROP INDEX offer_draft;
ALTER TABLE offer DROP COLUMN person, DROP COLUMN sealed, DROP COLUMN closed;
ALTER TABLE offer ALTER COLUMN due SET NOT NULL;
CREATE INDEX offer_draft ON offer (office, due) WHERE item IS NULL;

-- case_side: seen_at is when the office took note of the answer, seen_feedback
-- how much feedback it has read; restricted hides the case with its person.
ALTER TABLE case_side
    ADD COLUMN seen_at       timestamptz,
    ADD COLUMN seen_feedback smallint NOT NULL DEFAULT 0,
    ADD COLUMN restricted    boolean NOT NULL DEFAULT false;
-- What waits for an office, by kind (numbers of the API): 1 to distribute, 2 to
-- pair, 3 to answer, 5 an answer to read, 6 feedback to read (bits 8 to 14 of
-- flags count it, changed answers too), 7 an answer to older fields, 11 rerouted without a way
-- on (fold.unfit). todo_at orders what waits: when it is due, or since when.
-- Generated columns, because an index is searched under row-level security only
-- by leakproof conditions on columns.
-- +goose StatementBegin
CREATE FUNCTION area_within(k bigint, o bigint) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN k % 10 >= o % 10 AND k / 10 - k / 10 % (CASE o % 10 WHEN 1 THEN 10000000000 WHEN 2 THEN 100000000 WHEN 3 THEN 1000000 WHEN 4 THEN 1000 ELSE 1 END)::bigint = o / 10;
-- +goose StatementEnd
ALTER TABLE case_side
    ADD COLUMN todo smallint GENERATED ALWAYS AS (CASE
        WHEN side = 2 AND status = 1 THEN CASE WHEN office % 10 < 4 THEN CASE WHEN assigned = 0 THEN 1 END WHEN person IS NULL THEN 2 ELSE 3 END
        WHEN side = 1 AND status = 3 AND rerouted_at > coalesce(seen_at, '-infinity'::timestamptz)
            AND (hops >= 3 OR reroute = y OR area_within(reroute, x) OR area_within(x, reroute)) THEN 11
        WHEN side = 1 AND status IN (2, 5) AND answered_at > coalesce(seen_at, '-infinity'::timestamptz) THEN CASE WHEN flags & 2 <> 0 THEN 7 ELSE 5 END
        WHEN status <> 4 AND flags >> 8 > seen_feedback THEN 6 END) STORED,
    ADD COLUMN todo_at timestamptz GENERATED ALWAYS AS (CASE
        WHEN side = 2 AND status = 1 THEN coalesce(due_at, 'infinity'::timestamptz)
        WHEN status = 3 THEN rerouted_at
        WHEN status <> 1 OR flags > 255 THEN coalesce(answered_at, opened_at) END) STORED;
CREATE INDEX case_side_todo ON case_side (office, todo, todo_at, case_id) WHERE todo IS NOT NULL;
-- Notices that have yet to be paired.
CREATE INDEX case_side_unpaired ON case_side (office, case_id) WHERE side = 2 AND status = 1 AND person IS NULL AND erased_at IS NULL;

-- case_lookup: the blind index of the document of a notice that no person of
-- the ledger matched beyond doubt, so that a later registration finds it; empty:
-- it has none, or a file has it and is not beyond doubt; one byte: somebody
-- undid a pairing. version is the case's as it was looked at.
CREATE TABLE case_lookup (
    case_id   uuid NOT NULL,
    office    bigint NOT NULL,
    ix        bytea NOT NULL,
    index_key bytea NOT NULL,
    version   bigint NOT NULL,
    PRIMARY KEY (case_id, office)
);
CREATE INDEX case_lookup_ix ON case_lookup (office, ix);

-- approval: what needs a second user. about is a person, detail what the kind
-- says (1: the area of a fourth destination).
CREATE TABLE approval (
    id          uuid PRIMARY KEY,
    office      bigint NOT NULL,
    kind        smallint NOT NULL,
    about       uuid NOT NULL,
    detail      bigint NOT NULL,
    asked_by    text NOT NULL,
    asked_at    timestamptz NOT NULL DEFAULT now(),
    approved_by text,
    approved_at timestamptz,
    used_at     timestamptz
);
CREATE INDEX approval_open ON approval (office, asked_at, id) WHERE approved_at IS NULL AND used_at IS NULL;
CREATE INDEX approval_about ON approval (about);

-- tries: how often an account tried what is limited a day.
CREATE TABLE tries (
    account text NOT NULL,
    day     date NOT NULL,
    kind    smallint NOT NULL,
    n       int NOT NULL,
    PRIMARY KEY (account, day, kind)
);

-- bulk: bulk actions of the to-do list, to be undone; sealed is what was before,
-- under the node's key.
CREATE TABLE bulk (
    id        uuid PRIMARY KEY,
    office    bigint NOT NULL,
    account   text NOT NULL,
    action    smallint NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    undone_at timestamptz,
    sealed    bytea NOT NULL
);

-- village: the fifth level, loaded from the data file; code is the area's key.
CREATE TABLE village (
    code bigint PRIMARY KEY,
    name text NOT NULL
);

CREATE INDEX access_log_account ON access_log (account, verb, at);

-- Certificates that expire soon, and bulk actions that are old.
CREATE INDEX certificate_issued ON certificate (office, issued_on) WHERE issued_on IS NOT NULL;
CREATE INDEX bulk_old ON bulk (office, at);

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['person_event','former_name','lookup','keeper','duplicate','movement','service','service_tally','case_lookup','approval','bulk'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY by_office ON %I TO yipan_app, yipan_exchange, yipan_counts USING (office = ANY((SELECT current_setting(''yipan.offices'')::bigint[])::bigint[]))', t);
    END LOOP;
END $$;
-- +goose StatementEnd

-- A restricted person and the cases about one are there for their keepers only.
DROP POLICY by_office ON person;
CREATE POLICY by_office ON person TO yipan_exchange, yipan_counts USING (office = ANY((SELECT current_setting('yipan.offices')::bigint[])::bigint[]));
CREATE POLICY by_keeper ON person TO yipan_app USING (office = ANY((SELECT current_setting('yipan.offices')::bigint[])::bigint[])
    AND (NOT restricted OR (SELECT true FROM keeper k WHERE k.person = person.id AND k.account = (SELECT current_setting('yipan.account', true)) LIMIT 1)));
DROP POLICY by_office ON case_side;
CREATE POLICY by_office ON case_side TO yipan_exchange, yipan_counts USING (office = ANY((SELECT current_setting('yipan.offices')::bigint[])::bigint[]));
-- yipan.sides: on while both sides of a case are written, whoever works on it.
CREATE POLICY by_keeper ON case_side TO yipan_app USING (office = ANY((SELECT current_setting('yipan.offices')::bigint[])::bigint[])
    AND (NOT restricted OR (SELECT current_setting('yipan.sides', true)) = 'on' OR (SELECT true FROM keeper k WHERE k.person = case_side.person AND k.account = (SELECT current_setting('yipan.account', true)) LIMIT 1)));

GRANT SELECT, INSERT ON person_event TO yipan_app, yipan_exchange;
GRANT SELECT, INSERT, UPDATE (undone_at, sealed) ON movement TO yipan_app;
GRANT SELECT, INSERT, DELETE ON former_name, keeper TO yipan_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON lookup, case_lookup TO yipan_app, yipan_exchange;
GRANT SELECT, INSERT, UPDATE ON duplicate, service_tally, approval, tries, bulk TO yipan_app;
GRANT SELECT, INSERT, UPDATE ON service TO yipan_app, yipan_exchange;
GRANT SELECT, INSERT, UPDATE ON duplicate, service_tally TO yipan_exchange;
GRANT DELETE ON bulk TO yipan_app;
GRANT DELETE ON former_name, keeper, service, person_event, movement, duplicate TO yipan_exchange;
GRANT SELECT ON former_name, keeper, movement TO yipan_exchange;
GRANT INSERT ON keeper TO yipan_exchange; -- a restored node hides again who was restricted after the backup
GRANT SELECT ON village TO yipan_app, yipan_exchange;

-- reads_of: who looked at persons, for the slip that a person gets. An overlap of
-- arrays is not leakproof, so that under a policy no index serves it; this
-- function may, and limits itself to the offices of the transaction.
CREATE POLICY owner_reads ON access_log FOR SELECT TO CURRENT_USER USING (true);
-- +goose StatementBegin
CREATE FUNCTION reads_of(ids uuid[], most int)
RETURNS TABLE (at timestamptz, office bigint, account text, on_behalf text, verb text, purpose text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT l.at, l.office, l.account, l.on_behalf, l.verb, l.purpose FROM access_log l
    WHERE l.subjects && ids AND l.office = ANY((SELECT current_setting('yipan.offices')::bigint[])::bigint[])
    ORDER BY l.at DESC, l.id DESC LIMIT most
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION reads_of(uuid[], int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reads_of(uuid[], int) TO yipan_app;

-- +goose Down
DROP FUNCTION reads_of(uuid[], int);
DROP POLICY owner_reads ON access_log;
DROP POLICY by_keeper ON case_side;
CREATE POLICY by_office_app ON case_side TO yipan_app USING (office = ANY((SELECT current_setting('yipan.offices')::bigint[])::bigint[]));
DROP POLICY by_keeper ON person;
CREATE POLICY by_office_app ON person TO yipan_app USING (office = ANY((SELECT current_setting('yipan.offices')::bigint[])::bigint[]));
DROP INDEX person_doc;
CREATE UNIQUE INDEX person_doc ON person (office, doc_index);
DROP INDEX access_log_account, certificate_issued, case_side_todo, case_side_unpaired, person_name, person_initials, person_birth, person_last4, person_phone,
    person_living, person_registered, person_household, person_merged, person_offer_due;
ALTER TABLE case_side DROP COLUMN todo, DROP COLUMN todo_at;
DROP FUNCTION area_within(bigint, bigint);
ALTER TABLE case_side DROP COLUMN seen_at, DROP COLUMN seen_feedback, DROP COLUMN restricted;
ALTER TABLE offer ADD COLUMN person uuid, ADD COLUMN sealed bytea, ADD COLUMN closed boolean NOT NULL DEFAULT false, ALTER COLUMN due DROP NOT NULL;
ALTER TABLE person DROP COLUMN initials, DROP COLUMN registered, DROP COLUMN managed, DROP COLUMN living, DROP COLUMN presence, DROP COLUMN since,
    DROP COLUMN household, DROP COLUMN profile, DROP COLUMN merged_into, DROP COLUMN restricted, DROP COLUMN offered_round, DROP COLUMN rev, DROP COLUMN index_key;
DROP TABLE person_event, former_name, lookup, keeper, duplicate, movement, service, service_tally, case_lookup, approval, tries, bulk, village;
