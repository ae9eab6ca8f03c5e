-- The state of the pipeline. Postgres holds the truth: who may do what next.
-- Large tables are partitioned by time-ordered id and dropped a partition at a time (see `ensure_partitions`).

-- Configuration ---------------------------------------------------------------------------------------------

CREATE TABLE configuration (
    serial     bigint GENERATED ALWAYS AS IDENTITY,
    kind       text        NOT NULL CHECK (kind IN ('tenant', 'policy', 'template', 'account', 'route')),
    id         text        NOT NULL,
    version    integer     NOT NULL CHECK (version > 0),
    document   jsonb       NOT NULL,
    digest     text        NOT NULL,
    retired    boolean     NOT NULL DEFAULT false,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, id, version)
);
COMMENT ON TABLE configuration IS 'Tenants, policies, templates, accounts and routes as applied; rows are never edited.';
CREATE UNIQUE INDEX configuration_serial ON configuration (serial);

CREATE TABLE api_keys (
    hash       bytea PRIMARY KEY,
    id         text        NOT NULL UNIQUE,
    tenant     text        NOT NULL,
    name       text        NOT NULL,
    scopes     text[]      NOT NULL,
    test       boolean     NOT NULL DEFAULT false,
    last4      text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz,
    UNIQUE (tenant, name)
);

-- Verifications ---------------------------------------------------------------------------------------------

CREATE TABLE verifications (
    id              uuid        NOT NULL,
    tenant          text        NOT NULL,
    number_token    text        NOT NULL,
    number_sealed   bytea       NOT NULL,
    country         text        NOT NULL,
    range           text        NOT NULL,
    number_type     text        NOT NULL,
    purpose         text        NOT NULL,
    channel         text        NOT NULL,
    policy          text        NOT NULL,
    policy_version  integer     NOT NULL,
    rules           jsonb       NOT NULL,
    locale          text        NOT NULL,
    template        text        NOT NULL,
    reference       text        NOT NULL,
    binding         jsonb       NOT NULL,
    binding_hash    text        NOT NULL,
    signals         jsonb       NOT NULL,
    own_code        bytea,
    state           text        NOT NULL DEFAULT 'requested' CHECK (state IN
        ('requested', 'issued', 'approved', 'expired', 'cancelled', 'locked', 'blocked', 'failed')),
    end_reason      text        NOT NULL DEFAULT '',
    seq             integer     NOT NULL CHECK (seq > 0),
    sends_requested smallint    NOT NULL DEFAULT 1,
    sends_assessed  smallint    NOT NULL DEFAULT 0,
    sends_issued    smallint    NOT NULL DEFAULT 0,
    code_version    smallint    NOT NULL DEFAULT 0,
    checks_used     smallint    NOT NULL DEFAULT 0,
    checks_max      smallint    NOT NULL,
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    next_send_at    timestamptz NOT NULL,
    ended_at        timestamptz,
    due_at          timestamptz,
    PRIMARY KEY (id),
    CHECK (checks_used <= checks_max),
    CHECK (sends_assessed <= sends_requested),
    CHECK ((state IN ('requested', 'issued')) = (ended_at IS NULL))
) PARTITION BY RANGE (id);
COMMENT ON COLUMN verifications.rules IS 'The policy as it was when the verification began; later edits never touch it.';
COMMENT ON COLUMN verifications.due_at IS 'When timers must look at it next: the assessment timeout, then the expiry; NULL once ended.';
COMMENT ON COLUMN verifications.seq IS 'Number of counted events told so far; the newest event carries it.';
CREATE INDEX verifications_due ON verifications (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE latest_verifications (
    tenant          text NOT NULL,
    number_token    text NOT NULL,
    purpose         text NOT NULL,
    verification_id uuid,
    PRIMARY KEY (tenant, number_token, purpose)
) WITH (fillfactor = 80);
COMMENT ON TABLE latest_verifications IS 'The newest verification per tenant, number and purpose; locking its row makes a start exclusive.';

CREATE TABLE subjects (
    tenant       text  NOT NULL,
    number_token text  NOT NULL,
    wrapped_key  bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, number_token)
);
COMMENT ON TABLE subjects IS 'The data key of each number, wrapped. Deleting a row erases the person from every sealed copy.';

CREATE TABLE codes (
    verification_id uuid        NOT NULL,
    version         smallint    NOT NULL CHECK (version > 0),
    mac             bytea       NOT NULL,
    pepper_id       text        NOT NULL,
    sealed          bytea       NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (verification_id, version)
) PARTITION BY RANGE (verification_id);
COMMENT ON COLUMN codes.sealed IS 'The message to send, sealed for dispatch alone.';

CREATE TABLE attempts (
    id                 uuid        NOT NULL,
    verification_id    uuid        NOT NULL,
    send_no            smallint    NOT NULL,
    try_no             smallint    NOT NULL,
    code_version       smallint    NOT NULL,
    state              text        NOT NULL DEFAULT 'queued' CHECK (state IN
        ('queued', 'sending', 'accepted', 'rejected', 'deferred', 'unknown', 'skipped_late')),
    account            text        NOT NULL DEFAULT '',
    gateway            text        NOT NULL DEFAULT '',
    owner              text        NOT NULL DEFAULT '',
    lease_until        timestamptz,
    recovery           smallint    NOT NULL DEFAULT 0,
    send_deadline      timestamptz NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    claimed_at         timestamptz,
    concluded_at       timestamptz,
    outcome            text        NOT NULL DEFAULT '',
    raw_code           text        NOT NULL DEFAULT '',
    provider_id        text        NOT NULL DEFAULT '',
    price_micros       bigint      NOT NULL DEFAULT 0,
    currency           text        NOT NULL DEFAULT '',
    latency_ms         integer     NOT NULL DEFAULT 0,
    segments           smallint    NOT NULL DEFAULT 0,
    possible_duplicate boolean     NOT NULL DEFAULT false,
    receipt_state      text,
    receipt_rank       smallint    NOT NULL DEFAULT 0,
    receipt_at         timestamptz,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX attempts_verification ON attempts (verification_id);
CREATE INDEX attempts_leases ON attempts (lease_until) WHERE state = 'sending';
CREATE INDEX attempts_waiting ON attempts (send_deadline) WHERE state = 'queued';
CREATE INDEX attempts_provider ON attempts (account, provider_id) WHERE provider_id <> '';

CREATE TABLE receipts_parked (
    id           text        PRIMARY KEY,
    account      text        NOT NULL,
    client_ref   text        NOT NULL,
    provider_id  text        NOT NULL,
    event        bytea       NOT NULL,
    parked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    parked_until timestamptz NOT NULL,
    look_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE receipts_parked IS 'Receipts that came before their attempt was known; the event is kept as it came.';
COMMENT ON COLUMN receipts_parked.look_at IS 'When to look for its attempt again; each time later, so that a stranger costs little.';
CREATE INDEX receipts_parked_provider ON receipts_parked (account, provider_id);
CREATE INDEX receipts_parked_look ON receipts_parked (look_at);
CREATE INDEX receipts_parked_due ON receipts_parked (parked_until);

-- Limits ----------------------------------------------------------------------------------------------------

CREATE TABLE limits (
    key text        PRIMARY KEY,
    tat timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE limits IS 'One GCRA bucket a row: its theoretical arrival time. A row in the past is as good as none.';
CREATE INDEX limits_idle ON limits USING brin (tat);

CREATE TABLE idempotency (
    tenant          text        NOT NULL,
    key             text        NOT NULL,
    fingerprint     bytea       NOT NULL,
    status          smallint    NOT NULL,
    answer          bytea       NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, key)
);
CREATE INDEX idempotency_age ON idempotency USING brin (created_at);

-- Outbox ----------------------------------------------------------------------------------------------------

CREATE TABLE outbox (
    id         uuid        PRIMARY KEY,
    topic      text        NOT NULL,
    key        bytea,
    value      bytea,
    headers    bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE outbox IS 'Events committed with the change they tell of; deleted once Kafka has them.';
CREATE INDEX outbox_age ON outbox (created_at);

-- Partitions ------------------------------------------------------------------------------------------------

CREATE FUNCTION uuid_floor(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
    -- The smallest time-ordered id of that millisecond (RFC 9562, section 5.7: 48 bits of Unix time in front).
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

CREATE FUNCTION ensure_partitions(until_at timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    parent   text;
    week     timestamptz;
    child    text;
    made     integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(7316001);
    FOREACH parent IN ARRAY ARRAY['verifications', 'codes', 'attempts'] LOOP
        week := date_trunc('week', clock_timestamp() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '7 days';
        WHILE week <= until_at LOOP
            child := format('%s_%s', parent, to_char(week AT TIME ZONE 'UTC', 'IYYY_IW'));
            IF to_regclass(child) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L) WITH (fillfactor = 80)',
                               child, parent, uuid_floor(week), uuid_floor(week + interval '7 days'));
                made := made + 1;
            END IF;
            week := week + interval '7 days';
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

CREATE FUNCTION drop_partitions(before_at timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    parent  text;
    child   record;
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(7316001);
    FOREACH parent IN ARRAY ARRAY['verifications', 'codes', 'attempts'] LOOP
        FOR child IN
            SELECT inhrelid::regclass::text AS name
            FROM pg_inherits
            WHERE inhparent = parent::regclass
              AND inhrelid::regclass::text < format('%s_%s', parent, to_char(before_at AT TIME ZONE 'UTC', 'IYYY_IW'))
        LOOP
            EXECUTE format('DROP TABLE %s', child.name);
            dropped := dropped + 1;
        END LOOP;
    END LOOP;
    RETURN dropped;
END $$;

SELECT ensure_partitions(clock_timestamp() + interval '21 days');

-- Roles -----------------------------------------------------------------------------------------------------
-- One role a worker, holding what its statements need and no more.

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['intake', 'fraud', 'codes', 'dispatch', 'receipts', 'checks', 'timers'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', 'watchword_' || role);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- another database of this server made it first
        END;
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', 'watchword_' || role);
        EXECUTE format('GRANT SELECT ON configuration TO %I', 'watchword_' || role);
        EXECUTE format('GRANT SELECT, INSERT, DELETE ON outbox TO %I', 'watchword_' || role);
        EXECUTE format('GRANT SELECT, UPDATE ON verifications TO %I', 'watchword_' || role);
    END LOOP;
END $$;

REVOKE ALL ON FUNCTION ensure_partitions, drop_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_partitions, drop_partitions TO watchword_timers;

GRANT INSERT ON verifications TO watchword_intake;
GRANT SELECT ON api_keys TO watchword_intake, watchword_checks;
GRANT SELECT, INSERT, UPDATE ON latest_verifications TO watchword_intake;
GRANT SELECT ON latest_verifications TO watchword_checks;
GRANT SELECT, INSERT ON subjects TO watchword_intake;
GRANT SELECT ON subjects TO watchword_dispatch;
GRANT SELECT, INSERT, UPDATE ON limits TO watchword_intake, watchword_checks;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency TO watchword_intake;
GRANT SELECT ON attempts TO watchword_intake;
GRANT SELECT, INSERT ON codes TO watchword_codes;
GRANT SELECT, INSERT ON attempts TO watchword_codes;
GRANT SELECT ON codes TO watchword_dispatch, watchword_checks;
GRANT SELECT, INSERT, UPDATE ON attempts TO watchword_dispatch;
GRANT SELECT, UPDATE ON attempts TO watchword_receipts, watchword_timers;
GRANT SELECT, INSERT, UPDATE, DELETE ON receipts_parked TO watchword_receipts;
GRANT SELECT, DELETE ON receipts_parked TO watchword_dispatch;
-- Taking rows that nobody else is at (FOR UPDATE SKIP LOCKED) asks for UPDATE; timers change nothing in these.
GRANT SELECT, UPDATE, DELETE ON receipts_parked, limits, idempotency TO watchword_timers;
GRANT UPDATE ON outbox TO watchword_timers;
