-- What fraud does beside judging: money is reserved for every send, blocks are lifted, rulesets are exchanged, tenants
-- are monitored at first.

ALTER TABLE configuration DROP CONSTRAINT configuration_kind_check;
ALTER TABLE configuration ADD CONSTRAINT configuration_kind_check
    CHECK (kind IN ('tenant', 'policy', 'template', 'account', 'route', 'endpoint', 'price', 'cap', 'ruleset'));

CREATE TABLE spending (
    counter       text        PRIMARY KEY,
    cap           text        NOT NULL,
    span          text        NOT NULL CHECK (span IN ('hour', 'day')),
    ends_at       timestamptz NOT NULL,
    limit_micros  bigint      NOT NULL,
    held_micros   bigint      NOT NULL DEFAULT 0 CHECK (held_micros >= 0),
    spent_micros  bigint      NOT NULL DEFAULT 0 CHECK (spent_micros >= 0),
    refused       bigint      NOT NULL DEFAULT 0,
    alarmed       smallint    NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
COMMENT ON TABLE spending IS 'What each cap allows in one hour or day, what is held of it for sends under way, and what is spent.';
COMMENT ON COLUMN spending.alarmed IS 'The highest of 50, 80 and 100 per cent that was told.';
CREATE INDEX spending_end ON spending (ends_at);

CREATE TABLE reservations (
    verification_id uuid        NOT NULL,
    send_no         smallint    NOT NULL,
    price_micros    bigint      NOT NULL,
    counters        text[]      NOT NULL,
    look_at         timestamptz NOT NULL,
    PRIMARY KEY (verification_id, send_no)
);
COMMENT ON TABLE reservations IS 'Money held for sends of which it is not known yet whether they left; gone once it is.';
CREATE INDEX reservations_look ON reservations (look_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON spending, reservations TO watchword_fraud;
GRANT SELECT ON attempts TO watchword_fraud;

CREATE TABLE fraud_lifts (
    id       uuid        PRIMARY KEY,
    feature  text        NOT NULL,
    action   text        NOT NULL CHECK (action IN ('lifted', 'restored')),
    until_at timestamptz NOT NULL,
    reason   text        NOT NULL CHECK (reason <> ''),
    done_by  text        NOT NULL CHECK (done_by <> ''),
    done_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE fraud_lifts IS 'Who lifted what fraud said of a feature, or took that back, when, why and until when. Only added to.';
CREATE INDEX fraud_lifts_feature ON fraud_lifts (feature, done_at);

GRANT SELECT, INSERT ON fraud_lifts TO watchword_operator;
GRANT SELECT, INSERT, DELETE ON outbox TO watchword_operator;
-- A send that fraud refused can be asked for again: what that reads and changes, and nothing sealed.
GRANT SELECT (id, tenant, number_token, country, range, number_type, purpose, channel, policy, policy_version,
              reference, expires_at, state, signals, rules, sends_requested, sends_assessed, sends_issued, seq)
    ON verifications TO watchword_operator;
GRANT UPDATE (sends_requested, next_send_at, due_at, seq) ON verifications TO watchword_operator;

CREATE TABLE fraud_seasons (
    tenant   text        PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    sends    bigint      NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE fraud_seasons IS 'When a tenant''s first send was assessed and how many were since, until it is new no more.';

GRANT SELECT, INSERT, UPDATE ON fraud_seasons TO watchword_fraud;

ALTER TABLE verifications ADD COLUMN feedback boolean;
ALTER TABLE verifications ADD COLUMN feedback_no smallint NOT NULL DEFAULT 0;
COMMENT ON COLUMN verifications.feedback IS 'Whether the platform says that its user was one; NULL while it says nothing.';
