-- What operators did about dead letters, and the roles of the operators' tools.

CREATE TABLE dead_letter_actions (
    topic           text        NOT NULL,
    partition       integer     NOT NULL,
    record_offset   bigint      NOT NULL,
    action          text        NOT NULL CHECK (action IN ('redriven', 'discarded')),
    reason          text        NOT NULL CHECK (reason <> ''),
    done_by         text        NOT NULL CHECK (done_by <> ''),
    done_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, partition, record_offset)
);
COMMENT ON TABLE dead_letter_actions IS 'Who dealt with which letter of a dead topic, how and why; such a letter is not listed any more.';

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['operator', 'audit'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', 'watchword_' || role);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- another database of this server made it first
        END;
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', 'watchword_' || role);
    END LOOP;
END $$;

GRANT SELECT, INSERT ON dead_letter_actions TO watchword_operator;

-- Audit reads everything, tables of later migrations too, and writes nothing.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO watchword_audit;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO watchword_audit;
