-- What timers reads and writes. The first statement of each kind takes what is overdue and what nobody else is at
-- (SKIP LOCKED), so that several timers share the work. Every write takes $1 keys and $2 counted events per row first
-- and returns key and seq of the rows that changed; `moves` lines are held to kernel/verification.py by a test.

-- What is overdue is compared with statement_timestamp(): unlike clock_timestamp() it bounds an index scan.

-- name: overdue_often
-- Whether there is anything for the statements of these kinds to take, and how old the oldest event is that Kafka does
-- not have, 0 without any.
SELECT EXISTS (SELECT FROM verifications WHERE due_at <= statement_timestamp()) AS due_verifications,
       EXISTS (SELECT FROM attempts WHERE state = 'sending' AND lease_until < statement_timestamp()) AS stale_claims,
       coalesce(o.oldest_at < statement_timestamp() - $1::interval, false) AS late_outbox,
       coalesce(extract(epoch FROM statement_timestamp() - o.oldest_at), 0)::float8 AS outbox_age_s
FROM (SELECT min(created_at) AS oldest_at FROM outbox) AS o

-- name: overdue_seldom
-- The same of what is looked for less often. Late attempts of which it is to be found out first whether they left are
-- seen here, and passed by when they are taken.
SELECT EXISTS (SELECT FROM attempts
               WHERE state = 'queued' AND send_deadline < statement_timestamp() - $1::interval) AS late_attempts,
       EXISTS (SELECT FROM (SELECT verification_id FROM attempts WHERE state = 'queued' AND recovery = 0
                            ORDER BY send_deadline LIMIT $2) AS q
               JOIN verifications AS v ON v.id = q.verification_id
               WHERE v.ended_at IS NOT NULL) AS abandoned_attempts,
       EXISTS (SELECT FROM attempts WHERE receipt_due_at <= statement_timestamp()) AS unreported_attempts,
       EXISTS (SELECT FROM receipts_parked WHERE parked_until < statement_timestamp()) AS parked_receipts

-- name: late_outbox
SELECT id, topic, key, value, headers, created_at
FROM outbox
WHERE created_at < statement_timestamp() - $1::interval AND id <> ALL ($3::uuid[])
ORDER BY created_at, id
LIMIT $2
FOR UPDATE SKIP LOCKED

-- name: due_verifications
SELECT id AS verification_id, tenant, number_token, country, range, number_type, purpose, channel, policy,
       policy_version, reference, expires_at, state, created_at, signals, rules, sends_requested, sends_assessed,
       sends_issued, checks_used, checks_told, checks_max, due_at
FROM verifications
WHERE due_at <= statement_timestamp()
ORDER BY due_at
LIMIT $1
FOR NO KEY UPDATE SKIP LOCKED

-- name: expire
-- moves: requested, issued -> expired
UPDATE verifications AS v
SET state = 'expired', end_reason = t.reason, ended_at = clock_timestamp(),
    due_at = due_once_ended(v.checks_used, v.checks_told), own_code = NULL,
    seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::text[]) AS t (id, counted, reason)
WHERE v.id = t.id AND v.state IN ('requested', 'issued')
RETURNING v.id AS key, v.seq

-- name: assume_assessed
-- The sends up to send_no count as assessed: only if fraud has not come meanwhile, or the event would be told twice.
UPDATE verifications AS v
SET sends_assessed = t.send_no, due_at = t.due_at, seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::smallint[], $5::timestamptz[])
    AS t (id, counted, assessed, send_no, due_at)
WHERE v.id = t.id AND v.sends_assessed = t.assessed AND v.state IN ('requested', 'issued')
RETURNING v.id AS key, v.seq

-- name: look_again
UPDATE verifications AS v
SET due_at = t.due_at
FROM unnest($1::uuid[], $2::int[], $3::timestamptz[]) AS t (id, counted, due_at)
WHERE v.id = t.id AND v.state IN ('requested', 'issued')
RETURNING v.id AS key, v.seq

-- name: tell_interrupted
-- Every check that was counted is told now. Whoever still comes to conclude one of them changes nothing any more.
UPDATE verifications AS v
SET checks_told = (1 << v.checks_used) - 1, due_at = NULL, seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::smallint[]) AS t (id, counted, checks_told)
WHERE v.id = t.id AND v.checks_told = t.checks_told AND v.ended_at IS NOT NULL
RETURNING v.id AS key, v.seq

-- name: stale_claims
-- Attempts whose lease ran out, with their verification and what dispatch needs to try them again.
SELECT v.id AS verification_id, v.tenant, v.number_token, v.country, v.range, v.number_type, v.purpose, v.channel,
       v.policy, v.policy_version, v.reference, v.expires_at,
       a.id AS attempt_id, a.state, a.send_no, a.try_no, a.code_version, a.send_deadline, a.recovery, a.account,
       a.gateway, a.lease_until AS overdue_since, send.first_try_at, send.tried, send.left,
       coalesce(nullif(v.template, ''), v.rules ->> 'template', '') AS template
FROM attempts AS a
JOIN verifications AS v ON v.id = a.verification_id
CROSS JOIN LATERAL (
    SELECT min(o.created_at) AS first_try_at,
           coalesce(array_agg(o.account ORDER BY o.try_no) FILTER (WHERE o.id <> a.id AND o.account <> ''), '{}')
               AS tried,
           count(*) FILTER (WHERE o.id <> a.id AND o.state IN ('accepted', 'unknown'))::int AS left
    FROM attempts AS o
    WHERE o.verification_id = a.verification_id AND o.send_no = a.send_no
) AS send
WHERE a.state = 'sending' AND a.lease_until < statement_timestamp()
ORDER BY a.lease_until
LIMIT $1
FOR NO KEY UPDATE OF v, a SKIP LOCKED

-- name: late_attempts
-- Attempts that nobody claimed in time, with their verification. Dispatch has `$1` to come to the same end itself, and
-- as long as the code lives to find out about those that were claimed before.
SELECT v.id AS verification_id, v.tenant, v.number_token, v.country, v.range, v.number_type, v.purpose, v.channel,
       v.policy, v.policy_version, v.reference, v.expires_at,
       a.id AS attempt_id, a.state, a.send_no, a.try_no, a.code_version, a.send_deadline, a.recovery, a.account,
       a.gateway, a.send_deadline AS overdue_since
FROM attempts AS a
JOIN verifications AS v ON v.id = a.verification_id
WHERE a.state = 'queued' AND a.send_deadline < statement_timestamp() - $1::interval
  AND (a.recovery = 0 OR v.expires_at < statement_timestamp() - $1::interval)
ORDER BY a.send_deadline
LIMIT $2
FOR NO KEY UPDATE OF v, a SKIP LOCKED

-- name: abandoned_attempts
-- Attempts that nobody has claimed and whose verification has ended. Of what is queued the first $1 are looked at, those
-- that must leave soonest: if more wait, the others' turn comes before their deadline.
WITH queued AS MATERIALIZED (
    SELECT id, verification_id FROM attempts WHERE state = 'queued' AND recovery = 0 ORDER BY send_deadline LIMIT $1
)
SELECT v.id AS verification_id, v.tenant, v.number_token, v.country, v.range, v.number_type, v.purpose, v.channel,
       v.policy, v.policy_version, v.reference, v.expires_at,
       a.id AS attempt_id, a.state, a.send_no, a.try_no, a.code_version, a.send_deadline, a.recovery, a.account,
       a.gateway, v.ended_at AS overdue_since
FROM queued AS q
JOIN verifications AS v ON v.id = q.verification_id
JOIN attempts AS a ON a.id = q.id
WHERE v.ended_at IS NOT NULL AND a.state = 'queued' AND a.recovery = 0
ORDER BY v.ended_at
LIMIT $2
FOR NO KEY UPDATE OF v, a SKIP LOCKED

-- name: unreported
-- Attempts of which no carrier told the end in time, with their verification and how many attempts of it may have left.
SELECT v.id AS verification_id, v.tenant, v.number_token, v.country, v.range, v.number_type, v.purpose, v.channel,
       v.policy, v.policy_version, v.reference, v.expires_at, v.state,
       a.id AS attempt_id, a.account, a.provider_id, a.receipt_rank, a.receipt_due_at AS overdue_since,
       (SELECT count(*) FROM attempts AS o
        WHERE o.verification_id = a.verification_id AND o.state IN ('accepted', 'unknown'))::int AS left
FROM attempts AS a
JOIN verifications AS v ON v.id = a.verification_id
WHERE a.receipt_due_at <= statement_timestamp()
ORDER BY a.receipt_due_at
LIMIT $1
FOR NO KEY UPDATE OF v, a SKIP LOCKED

-- name: assume_receipt
-- Only upwards, as with every receipt.
WITH assumed AS (
    UPDATE attempts AS a
    SET receipt_state = t.state, receipt_rank = t.rank, receipt_due_at = NULL, receipt_ask_at = NULL
    FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::text[]) AS t (id, counted, rank, state)
    WHERE a.id = t.id AND a.receipt_rank < t.rank AND a.receipt_due_at <= statement_timestamp()
    RETURNING a.id, a.verification_id, t.counted
)
UPDATE verifications AS v
SET seq = v.seq + assumed.counted
FROM assumed
WHERE v.id = assumed.verification_id
RETURNING assumed.id AS key, v.seq

-- name: await_no_receipt
UPDATE attempts AS a
SET receipt_due_at = NULL
FROM unnest($1::uuid[], $2::int[]) AS t (id, counted)
WHERE a.id = t.id AND a.receipt_due_at <= statement_timestamp()
RETURNING a.id AS key, 0 AS seq

-- name: requeue
-- attempt moves: sending -> queued
WITH requeued AS (
    UPDATE attempts AS a
    SET state = 'queued', owner = '', lease_until = NULL, recovery = t.recovery
    FROM unnest($1::uuid[], $2::int[], $3::smallint[]) AS t (id, counted, recovery)
    WHERE a.id = t.id AND a.state = 'sending' AND a.recovery = t.recovery - 1 AND a.lease_until < statement_timestamp()
    RETURNING a.id, a.verification_id, t.counted
)
UPDATE verifications AS v
SET seq = v.seq + r.counted
FROM requeued AS r
WHERE v.id = r.verification_id
RETURNING r.id AS key, v.seq

-- name: give_up
-- attempt moves: sending -> unknown; queued -> skipped_late; queued -> unknown
WITH given_up AS (
    UPDATE attempts AS a
    SET state = t.ended, owner = '', lease_until = NULL, concluded_at = clock_timestamp(), outcome = t.outcome
    FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[]) AS t (id, counted, begun, ended, outcome)
    WHERE a.id = t.id AND a.state = t.begun
      AND (a.state <> 'sending' OR a.lease_until < statement_timestamp())
    RETURNING a.id, a.verification_id, t.counted
)
UPDATE verifications AS v
SET seq = v.seq + g.counted
FROM given_up AS g
WHERE v.id = g.verification_id
RETURNING g.id AS key, v.seq

-- name: parked_too_long
DELETE FROM receipts_parked
WHERE id IN (SELECT id FROM receipts_parked WHERE parked_until < statement_timestamp()
             ORDER BY parked_until LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING id, account, client_ref, provider_id, event, parked_until

-- name: forget_idempotency
DELETE FROM idempotency
WHERE (tenant, key) IN (SELECT tenant, key FROM idempotency WHERE created_at < statement_timestamp() - $1::interval
                        LIMIT $2 FOR UPDATE SKIP LOCKED)

-- name: forget_unmapped
DELETE FROM receipts_unmapped
WHERE id IN (SELECT id FROM receipts_unmapped WHERE received_at < statement_timestamp() - $1::interval
             LIMIT $2 FOR UPDATE SKIP LOCKED)

-- name: forget_limits
-- A bucket whose time lies in the past is as good as none.
DELETE FROM limits
WHERE key IN (SELECT key FROM limits WHERE tat < statement_timestamp() - $1::interval LIMIT $2 FOR UPDATE SKIP LOCKED)

-- name: numbers_after
-- The next numbers in the order of the key, and which of them are idle: every pointer is to a week that was dropped,
-- and no code was typed in within $5, for which a number is a known user's.
-- Pointers are looked for number by number: asked with NOT EXISTS, Postgres reads all of them first.
WITH looked_at AS MATERIALIZED (
    SELECT tenant, number_token, verified_at
    FROM subjects
    WHERE (tenant, number_token) > ($1, $2)
    ORDER BY tenant, number_token
    LIMIT $3
)
SELECT n.tenant, n.number_token,
       kept.verification_id IS NULL AND coalesce(n.verified_at < statement_timestamp() - $5::interval, true) AS idle
FROM looked_at AS n
LEFT JOIN LATERAL (
    SELECT l.verification_id
    FROM latest_verifications AS l
    WHERE l.tenant = n.tenant AND l.number_token = n.number_token
      AND l.verification_id >= uuid_floor(date_trunc('week', statement_timestamp() - $4::interval))
    LIMIT 1
) AS kept ON true
ORDER BY n.tenant, n.number_token

-- name: hold_numbers
-- Those of these numbers that nobody is using, held: whoever wants one now waits for what becomes of it.
SELECT s.tenant, s.number_token
FROM unnest($1::text[], $2::text[]) AS t (tenant, number_token)
JOIN subjects AS s ON s.tenant = t.tenant AND s.number_token = t.number_token
FOR UPDATE OF s SKIP LOCKED

-- name: forget_pointers
-- Of these numbers the pointers to weeks that were dropped; one that is being started for is passed by.
DELETE FROM latest_verifications
WHERE (tenant, number_token, purpose) IN (
    SELECT l.tenant, l.number_token, l.purpose
    FROM unnest($1::text[], $2::text[]) AS t (tenant, number_token)
    JOIN latest_verifications AS l ON l.tenant = t.tenant AND l.number_token = t.number_token
    WHERE l.verification_id IS NULL
       OR l.verification_id < uuid_floor(date_trunc('week', statement_timestamp() - $3::interval))
    FOR UPDATE OF l SKIP LOCKED
)

-- name: forget_numbers
-- Of these numbers the data keys of those that no pointer is left of: no verification of them is kept. One that became
-- a known user's meanwhile stays.
DELETE FROM subjects AS s
USING unnest($1::text[], $2::text[]) AS t (tenant, number_token)
WHERE s.tenant = t.tenant AND s.number_token = t.number_token
  AND coalesce(s.verified_at < statement_timestamp() - $3::interval, true)
  AND NOT EXISTS (
      SELECT FROM latest_verifications AS l WHERE l.tenant = s.tenant AND l.number_token = s.number_token
  )

-- name: ensure_partitions
SELECT ensure_partitions(clock_timestamp() + $1::interval) AS made, tend_partitions() AS tended

-- name: drop_partitions
-- One at a time, the oldest; 0 if there is none left.
SELECT drop_partitions(clock_timestamp() - $1::interval) AS dropped
