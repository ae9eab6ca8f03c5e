-- Numbers are forgotten: by timers once nothing of them is kept, and one at a time when a person asks for it.

CREATE TABLE erasures (
    tenant       text        NOT NULL,
    number_token text        NOT NULL,
    erased_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason       text        NOT NULL CHECK (reason <> ''),
    done_by      text        NOT NULL CHECK (done_by <> ''),
    PRIMARY KEY (tenant, number_token, erased_at)
);
COMMENT ON TABLE erasures IS 'Whose data key an operator deleted, when and why; of the number its token alone.';

GRANT SELECT (tenant, number_token, created_at), DELETE ON subjects TO watchword_operator;
GRANT SELECT, INSERT ON erasures TO watchword_operator;
GRANT SELECT ON configuration TO watchword_operator;

-- Taking rows that nobody else is at asks for UPDATE of some column; nobody changes these.
GRANT SELECT (tenant, number_token), UPDATE (created_at), DELETE ON subjects TO watchword_timers;
GRANT SELECT, UPDATE (purpose), DELETE ON latest_verifications TO watchword_timers;
-- A data key that is being used is held, so that nobody deletes it meanwhile.
GRANT UPDATE (created_at) ON subjects TO watchword_intake;
