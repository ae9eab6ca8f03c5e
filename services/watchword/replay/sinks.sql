-- The tables that folded rows are put into.

-- name: sqlite
CREATE TABLE verifications (
    id text PRIMARY KEY, tenant text, number_token text, country text, range text, number_type text, purpose text,
    channel text, policy text, policy_version integer, reference text, expires_at text, state text, end_reason text,
    seq integer, sends_requested integer, sends_assessed integer, sends_issued integer, code_version integer,
    checks_used integer, requested_at text, ended_at text
) STRICT;
CREATE TABLE attempts (
    id text PRIMARY KEY, verification_id text, send_no integer, try_no integer, state text, recovery integer,
    account text, gateway text, outcome text, raw_code text, provider_id text, price_micros integer, currency text,
    latency_ms integer, segments integer, possible_duplicate integer, receipt_state text
) STRICT;
CREATE TABLE fold (name text PRIMARY KEY, value text) STRICT;

-- name: postgres
CREATE SCHEMA fold_schema;
CREATE TABLE fold_schema.verifications (
    id uuid PRIMARY KEY, tenant text, number_token text, country text, range text, number_type text, purpose text,
    channel text, policy text, policy_version integer, reference text, expires_at timestamptz, state text,
    end_reason text, seq integer, sends_requested integer, sends_assessed integer, sends_issued integer,
    code_version integer, checks_used integer, requested_at timestamptz, ended_at timestamptz
);
CREATE TABLE fold_schema.attempts (
    id uuid PRIMARY KEY, verification_id uuid, send_no integer, try_no integer, state text, recovery integer,
    account text, gateway text, outcome text, raw_code text, provider_id text, price_micros bigint, currency text,
    latency_ms integer, segments integer, possible_duplicate boolean, receipt_state text
);
CREATE TABLE fold_schema.fold (name text PRIMARY KEY, value text);
