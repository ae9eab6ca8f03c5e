-- Verifications that are long over, as a database that has been in use holds them: made by the server, so that a million
-- takes a minute. Sizes of what is sealed are those of real rows.

-- name: store
-- Numbers $1 to $2 of them, number 0 begun at $3 and each $4 milliseconds after the one before.
WITH made AS MATERIALIZED (
    SELECT i, at, lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') AS stamp, md5('verification ' || i) AS drawn,
           substr(translate(encode(sha256(('number ' || i)::bytea), 'base64'), '+/', '-_'), 1, 27) AS token,
           sha256(('noise ' || i)::bytea) AS noise,
           CASE WHEN i % 100 < 88 THEN 'approved' WHEN i % 100 < 96 THEN 'expired' ELSE 'failed' END AS state
    FROM generate_series($1::bigint, $2::bigint) AS i, LATERAL (
        SELECT $3::timestamptz + i * $4::float8 * interval '1 millisecond' AS at
    ) AS moment
), named AS MATERIALIZED (
    SELECT *, (stamp || '7' || substr(drawn, 1, 3) || '8' || substr(drawn, 4, 15))::uuid AS id,
           (stamp || '8' || substr(drawn, 20, 3) || '9' || substr(drawn, 5, 15))::uuid AS attempt
    FROM made
), verifications_made AS (
    INSERT INTO verifications (id, tenant, number_token, number_sealed, country, range, number_type, purpose, channel,
                               policy, policy_version, rules, locale, template, reference, binding, binding_hash,
                               signals, state, end_reason, seq, sends_requested, sends_assessed, sends_issued,
                               code_version, checks_used, checks_told, checks_max, created_at, expires_at,
                               next_send_at, ended_at)
    SELECT id, 'demo', token, substr(noise || noise, 1, 50), 'IN', '+91' || 71000000 + i % 1000000, 'mobile', 'login',
           'sms', 'load', 1, $5::jsonb, 'en', 'default', CASE WHEN i % 4 = 0 THEN 'order-' || i ELSE '' END, '{}', '',
           '{}', state, CASE state WHEN 'approved' THEN 'right_code' ELSE state END, 8, 1, 1, 1, 1,
           (state = 'approved')::int, (state = 'approved')::int, 5, at, at + interval '5 minutes',
           at + interval '1 second', at + interval '9 seconds'
    FROM named
), codes_made AS (
    INSERT INTO codes (verification_id, version, mac, pepper_id, sealed, created_at)
    SELECT id, 1, noise, 'pepper-1', noise || noise || noise || noise, at FROM named
), attempts_made AS (
    INSERT INTO attempts (id, verification_id, send_no, try_no, code_version, state, account, gateway, owner,
                          send_deadline, created_at, claimed_at, concluded_at, outcome, raw_code, provider_id,
                          price_micros, currency, latency_ms, segments, receipt_state, receipt_rank, receipt_at)
    SELECT attempt, id, 1, 1, 1, CASE state WHEN 'failed' THEN 'rejected' ELSE 'accepted' END,
           CASE WHEN i % 2 = 0 THEN 'alpha' ELSE 'beta' END, 'echo', 'dispatch-0-0011223344', at + interval '4 minutes',
           at, at + interval '50 milliseconds', at + interval '90 milliseconds',
           CASE state WHEN 'failed' THEN 'destination' ELSE 'accepted' END, '202',
           CASE state WHEN 'failed' THEN '' ELSE 'alpha-' || substr(drawn, 1, 16) END, 2500, 'USD', 12, 1,
           CASE state WHEN 'failed' THEN NULL ELSE 'delivered' END, CASE state WHEN 'failed' THEN 0 ELSE 90 END,
           at + interval '2 seconds'
    FROM named
), subjects_made AS (
    INSERT INTO subjects (tenant, number_token, wrapped_key, created_at)
    SELECT 'demo', token, substr(noise || noise || noise, 1, 69), at FROM named
), latest_made AS (
    INSERT INTO latest_verifications (tenant, number_token, purpose, verification_id)
    SELECT 'demo', token, 'login', id FROM named
), limits_made AS (
    -- Buckets that are not yet empty: those are what a day leaves behind.
    INSERT INTO limits (key, tat)
    SELECT 'send/day/demo/' || token, clock_timestamp() + (3600 + i % 82800) * interval '1 second' FROM named
), idempotency_made AS (
    -- Of the last day: older ones are forgotten.
    INSERT INTO idempotency (tenant, key, fingerprint, status, answer, created_at)
    SELECT 'demo', drawn, noise, 202, substr(convert_to(repeat(drawn, 13), 'UTF8'), 1, 400),
           clock_timestamp() - (i % 72000) * interval '1 second'
    FROM named
)
INSERT INTO callback_deliveries (verification_id, event_id, endpoint, tenant, event, body, state, attempts, status,
                                 told_at, begun_at, next_at, expires_at, gives_up_at, concluded_at)
SELECT id, attempt, 'shop', 'demo', 'verification.approved', substr(convert_to(repeat(drawn, 16), 'UTF8'), 1, 500),
       'delivered', 1, 200, at, at, at, at + interval '5 minutes', at + interval '1 day', at
FROM named
WHERE i % 4 = 0

-- name: settle
-- What autovacuum would have come to meanwhile; not within a transaction.
VACUUM (ANALYZE)
