-- What the live tables hold, read in one snapshot under the role watchword_audit, which can write nothing.

-- name: verifications
SELECT id, tenant, number_token, country, range, number_type, purpose, channel, policy, policy_version, reference,
       expires_at, state, end_reason, seq, sends_requested, sends_assessed, sends_issued, code_version, checks_used,
       created_at AS requested_at, ended_at
FROM verifications
WHERE id >= $1 AND ($2 = '' OR tenant = $2)

-- name: attempts
SELECT a.id, a.verification_id, a.send_no, a.try_no, a.state, a.recovery, a.account, a.gateway, a.outcome, a.raw_code,
       a.provider_id, a.price_micros, a.currency, a.latency_ms, a.segments, a.possible_duplicate,
       coalesce(a.receipt_state, '') AS receipt_state
FROM attempts AS a
WHERE a.id >= $1 AND ($2 = '' OR EXISTS (SELECT FROM verifications AS v WHERE v.id = a.verification_id
                                         AND v.tenant = $2))

-- name: outbox
SELECT topic, key, created_at FROM outbox

-- name: snapshot
-- The snapshot's moment, and the oldest day whose partitions have not been dropped.
SELECT clock_timestamp() AS at,
       (SELECT min(to_date(right(inhrelid::regclass::text, 7), 'IYYY_IW'))::timestamp AT TIME ZONE 'UTC'
        FROM pg_inherits WHERE inhparent = 'verifications'::regclass) AS kept_since
