-- +goose Up
-- Everything that is expensive to add later is here from the start: heads
-- apart from bodies, sides per office, forced row-level security, encrypted
-- fields, the access log.

-- leg: one row per case held here; the lock of the case, and the key of its
-- bodies wrapped by the node's data key.
CREATE TABLE leg (
    case_id  uuid PRIMARY KEY,
    x        bigint NOT NULL,
    y        bigint NOT NULL,
    body_key bytea            -- NULL: erased
);

-- item: append-only. Receipts have no case. body is nonce ‖ body under the
-- leg's key (receipts: in clear, they name nobody); NULL: erased.
CREATE TABLE item (
    id          uuid PRIMARY KEY,
    case_id     uuid,
    kind        smallint NOT NULL,
    author      bigint NOT NULL,
    min_version smallint NOT NULL,
    recorded_at timestamptz NOT NULL,
    stored_at   timestamptz NOT NULL DEFAULT now(),
    head        bytea NOT NULL,
    body_hash   bytea,        -- only without body
    body        bytea,        -- NULL: erased here, or it came bare
    erased      boolean NOT NULL DEFAULT false
);
ALTER TABLE item ALTER COLUMN head SET STORAGE PLAIN;
ALTER TABLE item ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX item_case ON item (case_id) WHERE case_id IS NOT NULL;
CREATE INDEX item_missing ON item (id) WHERE body IS NULL AND NOT erased;

-- tombstone: ids of items, held or not, whose body never comes back here.
CREATE TABLE tombstone (
    item uuid PRIMARY KEY,
    at   timestamptz NOT NULL DEFAULT now()
);

-- cover: which receipt covers which item, with its verdict.
CREATE TABLE cover (
    item    uuid NOT NULL,
    receipt uuid NOT NULL,
    author  bigint NOT NULL,  -- of the receipt
    held_at timestamptz NOT NULL,
    reason  smallint NOT NULL DEFAULT 0,
    aside   boolean NOT NULL DEFAULT false, -- says nothing of delivery (M8)
    PRIMARY KEY (item, receipt)
);
CREATE INDEX cover_receipt ON cover (receipt) WHERE reason <> 0;

-- share: what this node believes about an item and a peer (PROTOCOL rule 10).
-- hash is the first 8 bytes of the id, for digests; day and pair split them.
CREATE TABLE share (
    peer        bigint NOT NULL,
    item        uuid NOT NULL,
    day         int NOT NULL,
    pair        bigint NOT NULL,
    hash        bigint NOT NULL,
    settled     boolean NOT NULL,
    urgent      boolean NOT NULL, -- a receipt
    kind        smallint NOT NULL,
    homeward    boolean NOT NULL DEFAULT false, -- FEEDBACK, REVOKE on its way back to its own side
    min_version smallint NOT NULL,
    recorded_at timestamptz NOT NULL,
    next_try    timestamptz NOT NULL DEFAULT '-infinity',
    attempts    smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (peer, item)
) WITH (fillfactor = 85);
-- The pump's index: what is owed to a peer and due; receipts (urgent) first.
CREATE INDEX share_due ON share (peer, urgent, next_try) WHERE NOT settled;
CREATE INDEX share_feedback ON share (peer) WHERE NOT settled AND kind IN (8, 9);
-- The statements' index: a day's blocks, since rows arrive in order of time.
CREATE INDEX share_day ON share USING brin (day) WITH (pages_per_range = 32, autosummarize = on);

-- digest: cached digests of closed days up to peer.digest_through, but for
-- those that were dropped on change. dropped.n counts the changes, so that a
-- digest computed beside a change does not forget it.
CREATE TABLE digest (
    peer  bigint NOT NULL,
    day   int NOT NULL,
    pair  bigint NOT NULL,
    n     bigint NOT NULL,
    x     bigint NOT NULL,
    PRIMARY KEY (peer, day, pair)
);
CREATE TABLE digest_dropped (
    peer bigint NOT NULL,
    day  int NOT NULL,
    n    bigint NOT NULL,
    PRIMARY KEY (peer, day)
);

-- case_side: what one office sees of a case: the projection of the fold, and
-- private facts.
CREATE TABLE case_side (
    case_id      uuid NOT NULL,
    office       bigint NOT NULL,
    side         smallint NOT NULL,
    kind         smallint NOT NULL,
    x            bigint NOT NULL,
    y            bigint NOT NULL,
    status       smallint NOT NULL,
    waiting      smallint NOT NULL,
    round        int NOT NULL,
    opened_at    timestamptz NOT NULL,
    round_at     timestamptz NOT NULL,
    delivered_at timestamptz,
    due_at       timestamptz,
    answered_at  timestamptz,
    answer_held  timestamptz,
    withdrawn_at timestamptz,
    closed_at    timestamptz,
    reroute      bigint NOT NULL DEFAULT 0,
    rerouted_at  timestamptz,
    assigned     bigint NOT NULL DEFAULT 0,
    assigned_at  timestamptz,
    version      bigint NOT NULL,
    rev          int NOT NULL DEFAULT 0,
    flags        smallint NOT NULL DEFAULT 0,
    parent       uuid,
    hops         smallint NOT NULL DEFAULT 0,
    person       uuid,
    private      bytea,       -- true reason and check, encrypted
    req_hash     bigint NOT NULL DEFAULT 0,
    erased_at    timestamptz,
    changed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (case_id, office)
) WITH (fillfactor = 80);
-- Lists in order of due time, and rates of a period.
CREATE INDEX case_side_due ON case_side (office, coalesce(due_at, 'infinity'::timestamptz), case_id);
CREATE INDEX case_side_person ON case_side (person) WHERE person IS NOT NULL;
-- The wrong receivers that have yet to forget.
CREATE INDEX case_side_erase ON case_side (rerouted_at) WHERE side = 2 AND status = 3 AND erased_at IS NULL;

-- side_round: earlier rounds of a case, for rates.
CREATE TABLE side_round (
    case_id      uuid NOT NULL,
    office       bigint NOT NULL,
    round        int NOT NULL,
    side         smallint NOT NULL,
    kind         smallint NOT NULL,
    x            bigint NOT NULL,
    y            bigint NOT NULL,
    round_at     timestamptz NOT NULL,
    delivered_at timestamptz,
    due_at       timestamptz,
    answered_at  timestamptz,
    withdrawn_at timestamptz,
    closed_at    timestamptz,
    reroute      bigint NOT NULL DEFAULT 0,
    rerouted_at  timestamptz,
    PRIMARY KEY (case_id, office, round)
);
CREATE INDEX side_round_due ON side_round (office, due_at);

-- person: one file per office (一人一档). key is the person's key, wrapped.
CREATE TABLE person (
    id         uuid PRIMARY KEY,
    office     bigint NOT NULL,
    key        bytea,         -- NULL: erased
    name       text NOT NULL,
    sex        smallint NOT NULL,
    birth      date,
    doc_kind   smallint NOT NULL,
    doc        bytea,
    doc_index  bytea,
    last4      bytea,
    phone      bytea,
    phone_index bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    erased_at  timestamptz
);
CREATE UNIQUE INDEX person_doc ON person (office, doc_index);

-- consent: sealed is everything about it, under the person's key.
CREATE TABLE consent (
    id          uuid PRIMARY KEY,
    office      bigint NOT NULL,
    person      uuid NOT NULL,
    sealed      bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX consent_person ON consent (person);

-- offer: one row per case and round; sealed is result, date, channel,
-- findings and consent, under the person's key. The open columns say only
-- that it is closed. Once the round is over, due is its instant and the row is
-- the draft of a FEEDBACK; item is that FEEDBACK once it was sent.
CREATE TABLE offer (
    case_id uuid NOT NULL,
    office  bigint NOT NULL,
    round   int NOT NULL,
    person  uuid,
    closed  boolean NOT NULL,
    sealed  bytea,
    due     timestamptz,
    item    uuid,
    PRIMARY KEY (case_id, office, round)
);
CREATE INDEX offer_draft ON offer (office, due) WHERE due IS NOT NULL AND item IS NULL;

-- certificate: what 办证率 counts at the origin, by office and day.
CREATE TABLE certificate (
    id         uuid PRIMARY KEY,
    office     bigint NOT NULL,
    person     uuid NOT NULL,
    asked_on   date NOT NULL,
    issued_on  date
);
CREATE INDEX certificate_asked ON certificate (office, asked_on);
CREATE UNIQUE INDEX certificate_person ON certificate (office, person, asked_on);

-- request: idempotency of every write but openings, whose case id is derived
-- from the request id.
CREATE TABLE request (
    account    text NOT NULL,
    request_id text NOT NULL,
    office     bigint NOT NULL,
    method     text NOT NULL,
    hash       bytea NOT NULL,
    result     bytea,
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, request_id)
);

-- access_log: one event per query, insert-only.
CREATE TABLE access_log (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT now(),
    account   text NOT NULL,
    on_behalf text NOT NULL DEFAULT '',
    office    bigint NOT NULL,
    verb      text NOT NULL,
    purpose   text NOT NULL DEFAULT '',
    subjects  uuid[] NOT NULL,   -- persons, or the cases of unpaired notices
    n         int NOT NULL,
    denied    boolean NOT NULL DEFAULT false
);
CREATE INDEX access_log_subject ON access_log USING gin (subjects);

-- account, token: who may call. A token is stored as its SHA-256.
CREATE TABLE account (
    id          text PRIMARY KEY,
    role        text NOT NULL,
    offices     bigint[] NOT NULL,
    granted_by  text[] NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz
);
CREATE TABLE token (
    hash       bytea PRIMARY KEY,
    account    text NOT NULL REFERENCES account (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);

-- peer, directory_record, quarantine, outage, note: the node's own affairs.
CREATE TABLE peer (
    node         bigint PRIMARY KEY,
    speaks       smallint NOT NULL DEFAULT 1,
    last_heard   timestamptz,
    last_agreed  timestamptz,
    agreed_epoch text NOT NULL DEFAULT '',
    digest_through int NOT NULL DEFAULT -1,
    least_pending timestamptz,
    mended       bigint NOT NULL DEFAULT 0,
    round_trip_ms bigint NOT NULL DEFAULT 0
);
CREATE TABLE directory_record (
    serial bigint PRIMARY KEY,
    record bytea NOT NULL
);
CREATE TABLE quarantine (
    parcel   uuid PRIMARY KEY,
    sender   bigint NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    reason   text NOT NULL,
    envelope bytea NOT NULL
);
CREATE TABLE outage (
    what  text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz
);
CREATE TABLE note (
    key   text PRIMARY KEY,
    value text NOT NULL
);

-- Row-level security, forced. Unset or empty yipan.offices is an error: the
-- cast of '' to bigint[] fails (SECURITY D8). The scalar subquery is computed
-- once a statement; without it every row would parse the setting anew.
-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['leg','item','cover','share','case_side','side_round','person','consent','offer','certificate','request','access_log'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['case_side','side_round','person','consent','offer','certificate','request'] LOOP
        EXECUTE format('CREATE POLICY by_office ON %I TO yipan_app, yipan_exchange, yipan_counts USING (office = ANY((SELECT current_setting(''yipan.offices'')::bigint[])::bigint[]))', t);
    END LOOP;
END $$;
-- +goose StatementEnd

-- The exchange sees all legs, items, covers and shares; no door reaches it.
CREATE POLICY exchange ON leg TO yipan_exchange USING (true);
CREATE POLICY exchange ON item TO yipan_exchange USING (true);
CREATE POLICY exchange ON cover TO yipan_exchange USING (true);
CREATE POLICY exchange ON share TO yipan_exchange USING (true);
CREATE POLICY exchange ON access_log FOR INSERT TO yipan_exchange WITH CHECK (true);

-- The desk sees those of its offices' cases, and writes its own. A scalar
-- subquery probes an index once a row; EXISTS is planned as a hash of all cases
-- of the offices, once a statement, when many rows are asked for.
CREATE POLICY desk_read ON leg FOR SELECT TO yipan_app USING ((SELECT true FROM case_side s WHERE s.case_id = leg.case_id LIMIT 1));
CREATE POLICY desk_lock ON leg FOR UPDATE TO yipan_app USING ((SELECT true FROM case_side s WHERE s.case_id = leg.case_id LIMIT 1));
CREATE POLICY desk_write ON leg FOR INSERT TO yipan_app WITH CHECK ((SELECT current_setting('yipan.offices')::bigint[]) IS NOT NULL);
CREATE POLICY desk_read ON item FOR SELECT TO yipan_app USING ((SELECT true FROM case_side s WHERE s.case_id = item.case_id LIMIT 1));
CREATE POLICY desk_write ON item FOR INSERT TO yipan_app WITH CHECK ((SELECT current_setting('yipan.offices')::bigint[]) IS NOT NULL);
CREATE POLICY desk_erase ON item FOR UPDATE TO yipan_app USING ((SELECT true FROM case_side s WHERE s.case_id = item.case_id LIMIT 1));
CREATE POLICY desk_read ON cover FOR SELECT TO yipan_app USING ((SELECT true FROM item i WHERE i.id = cover.item LIMIT 1));
CREATE POLICY desk_write ON share FOR INSERT TO yipan_app WITH CHECK ((SELECT current_setting('yipan.offices')::bigint[]) IS NOT NULL);
CREATE POLICY desk_write ON access_log FOR INSERT TO yipan_app WITH CHECK ((SELECT current_setting('yipan.offices')::bigint[]) IS NOT NULL);
CREATE POLICY desk_read ON access_log FOR SELECT TO yipan_app USING (office = ANY((SELECT current_setting('yipan.offices')::bigint[])::bigint[]));

GRANT SELECT, INSERT, UPDATE (body_key) ON leg TO yipan_app, yipan_exchange; -- any UPDATE right lets a row be locked
GRANT SELECT, INSERT ON item TO yipan_app, yipan_exchange;
GRANT UPDATE (body, body_hash, erased) ON item TO yipan_app, yipan_exchange;
GRANT INSERT ON tombstone TO yipan_app;
GRANT SELECT, INSERT ON tombstone TO yipan_exchange;
GRANT SELECT ON cover TO yipan_app;
GRANT SELECT, INSERT ON cover TO yipan_exchange;
GRANT INSERT ON share TO yipan_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON share TO yipan_exchange;
GRANT SELECT, INSERT, UPDATE, DELETE ON digest, digest_dropped TO yipan_exchange;
GRANT SELECT, INSERT, UPDATE, DELETE ON case_side, side_round TO yipan_app, yipan_exchange;
GRANT SELECT, INSERT, UPDATE ON person, consent, offer TO yipan_app, yipan_exchange;
GRANT SELECT, INSERT, UPDATE ON certificate TO yipan_app;
GRANT SELECT, INSERT, UPDATE (result) ON request TO yipan_app;
GRANT INSERT, SELECT ON access_log TO yipan_app;
GRANT INSERT ON access_log TO yipan_exchange;
GRANT SELECT, INSERT, UPDATE ON account, token TO yipan_app;
GRANT DELETE ON token TO yipan_app;
GRANT SELECT, INSERT, UPDATE ON peer, note, outage TO yipan_app, yipan_exchange;
GRANT SELECT, INSERT ON directory_record, quarantine TO yipan_exchange;
GRANT SELECT ON directory_record TO yipan_app;
GRANT SELECT (case_id, office, side, kind, x, y, status, waiting, round, opened_at, round_at, delivered_at, due_at,
    answered_at, answer_held, withdrawn_at, closed_at, reroute, rerouted_at, assigned, assigned_at) ON case_side TO yipan_counts;
GRANT SELECT ON side_round TO yipan_counts;
GRANT SELECT (id, office, asked_on, issued_on) ON certificate TO yipan_counts;

-- +goose Down
DROP TABLE tombstone, note, outage, quarantine, directory_record, peer, token, account, access_log, request, certificate, offer, consent,
    person, side_round, case_side, digest_dropped, digest, share, cover, item, leg;
