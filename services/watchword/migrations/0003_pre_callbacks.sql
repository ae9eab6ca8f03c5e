-- Callbacks: what a tenant's endpoints and its results topic are told, once per event, until they have it.

ALTER TABLE configuration DROP CONSTRAINT configuration_kind_check;
ALTER TABLE configuration ADD CONSTRAINT configuration_kind_check
    CHECK (kind IN ('tenant', 'policy', 'template', 'account', 'route', 'endpoint'));

ALTER TABLE verifications ADD COLUMN request_id text NOT NULL DEFAULT '';
COMMENT ON COLUMN verifications.request_id IS
    'The id under which a publisher asked for it on otp.inbox; empty where it was asked for over HTTP.';

CREATE TABLE callback_deliveries (
    verification_id uuid        NOT NULL,
    event_id        uuid        NOT NULL,
    endpoint        text        NOT NULL,
    tenant          text        NOT NULL,
    event           text        NOT NULL,
    body            bytea       NOT NULL,
    state           text        NOT NULL CHECK (state IN ('pending', 'delivered', 'gave_up', 'disabled')),
    round           smallint    NOT NULL DEFAULT 0,
    attempts        smallint    NOT NULL DEFAULT 0,
    status          smallint    NOT NULL DEFAULT 0,
    failure         text        NOT NULL DEFAULT '',
    told_at         timestamptz NOT NULL,
    begun_at        timestamptz NOT NULL,
    next_at         timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    gives_up_at     timestamptz NOT NULL,
    concluded_at    timestamptz,
    PRIMARY KEY (verification_id, event_id, endpoint)
) PARTITION BY RANGE (verification_id);
COMMENT ON TABLE callback_deliveries IS 'What is owed to whom: one row an event and endpoint, "" being the results topic.';
COMMENT ON COLUMN callback_deliveries.next_at IS 'When it is due; while a call is under way, when its lease ends.';
COMMENT ON COLUMN callback_deliveries.round IS 'How often an operator asked for it to be delivered again.';
COMMENT ON COLUMN callback_deliveries.told_at IS 'The time of the event; begun_at is when the present round began.';
CREATE INDEX callback_deliveries_due ON callback_deliveries (tenant, endpoint, next_at) WHERE state = 'pending';
CREATE INDEX callback_deliveries_late ON callback_deliveries (gives_up_at) WHERE state = 'pending';
CREATE INDEX callback_deliveries_event ON callback_deliveries (event_id);
CREATE INDEX callback_deliveries_told ON callback_deliveries (tenant, endpoint, told_at);

CREATE TABLE endpoint_states (
    tenant      text        NOT NULL,
    endpoint    text        NOT NULL,
    version     integer     NOT NULL,
    reason      text        NOT NULL,
    disabled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, endpoint)
);
COMMENT ON TABLE endpoint_states IS
    'Endpoints that said they are gone. A document with a higher version than the one that was called is called again.';

-- Partitions: as in 0001, with one parent more.

CREATE OR REPLACE FUNCTION ensure_partitions(until_at timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    parent   text;
    week     timestamptz;
    child    text;
    made     integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(7316001);
    FOREACH parent IN ARRAY ARRAY['verifications', 'codes', 'attempts', 'callback_deliveries'] LOOP
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

CREATE OR REPLACE FUNCTION drop_partitions(before_at timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    parent  text;
    child   record;
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(7316001);
    FOREACH parent IN ARRAY ARRAY['verifications', 'codes', 'attempts', 'callback_deliveries'] LOOP
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

-- Roles

DO $$
BEGIN
    CREATE ROLE watchword_callbacks NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database of this server made it first
END $$;

GRANT USAGE ON SCHEMA public TO watchword_callbacks;
GRANT SELECT ON configuration TO watchword_callbacks;
GRANT SELECT, INSERT, DELETE ON outbox TO watchword_callbacks;
GRANT SELECT, INSERT, UPDATE ON callback_deliveries, endpoint_states TO watchword_callbacks;
-- Of a verification what may be told of it, and its count of events; neither the number nor a code.
GRANT SELECT (id, tenant, number_token, country, range, number_type, purpose, channel, policy, policy_version,
              reference, expires_at, state, end_reason, created_at, sends_issued, checks_used, request_id, seq),
      UPDATE (seq) ON verifications TO watchword_callbacks;
