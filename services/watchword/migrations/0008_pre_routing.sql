-- Routing: how accounts fared of late, and how the processes of dispatch share what an account takes a second.

CREATE TABLE account_scores (
    account    text             NOT NULL,
    country    text             NOT NULL,
    verified   double precision NOT NULL,
    unverified double precision NOT NULL,
    as_of      timestamptz      NOT NULL,
    PRIMARY KEY (account, country)
);
COMMENT ON TABLE account_scores IS
    'Codes that were typed in time and not, by account and country, faded by age as of as_of; what scored routes draw by.';

CREATE TABLE account_scores_counted (
    single   boolean     PRIMARY KEY DEFAULT true CHECK (single),
    until_at timestamptz NOT NULL
);
COMMENT ON TABLE account_scores_counted IS
    'Up to which beginning of verifications the scores are counted; who holds the row counts on.';
INSERT INTO account_scores_counted (until_at) VALUES (clock_timestamp());

CREATE TABLE pace_slices (
    owner       text        PRIMARY KEY,
    shares      jsonb       NOT NULL,
    lease_until timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE pace_slices IS
    'What each process of dispatch may call each account a second, by account; over, and free for the others, past its lease.';

GRANT SELECT, INSERT, UPDATE, DELETE ON pace_slices TO watchword_dispatch;
GRANT SELECT, INSERT, UPDATE, DELETE ON account_scores TO watchword_dispatch;
GRANT SELECT, UPDATE ON account_scores_counted TO watchword_dispatch;
