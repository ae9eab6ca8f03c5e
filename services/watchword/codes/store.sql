-- What codes reads and writes. Every write takes $1 keys and $2 counted events per row first and returns key and
-- seq of the rows that changed (runtime/acting.py); `moves` lines are held to kernel/verification.py by a test.

-- name: facts
-- The verifications of a batch, locked in id order until the batch is committed.
SELECT id AS verification_id, tenant, number_token, country, range, number_type, purpose, channel, policy,
       policy_version, reference, expires_at, state, created_at, rules, locale, template, binding, binding_hash,
       signals, own_code, sends_issued, code_version, checks_used
FROM verifications
WHERE id = ANY($1::uuid[])
ORDER BY id
FOR NO KEY UPDATE

-- name: look
-- The same without a lock, with the number of each one's newest event.
SELECT id AS verification_id, tenant, number_token, country, range, number_type, purpose, channel, policy,
       policy_version, reference, expires_at, state, created_at, rules, locale, template, binding, binding_hash,
       signals, own_code, sends_issued, code_version, checks_used, seq
FROM verifications
WHERE id = ANY($1::uuid[])

-- name: issue_at_once
-- First codes of verifications of which nothing was told since they were looked at: issued, stored, queued and told
-- (runtime/at_once.py).
-- moves: requested -> issued
WITH issued AS (
    UPDATE verifications AS v
    SET state = 'issued', code_version = t.code_version, sends_issued = t.send_no, own_code = NULL,
        seq = v.seq + t.counted
    FROM unnest($8::uuid[], $9::int[], $10::int[], $11::smallint[], $12::smallint[], $13::uuid[], $14::timestamptz[],
                $15::bytea[], $16::text[], $17::bytea[])
        AS t (id, counted, seq, code_version, send_no, attempt_id, send_deadline, mac, pepper_id, sealed)
    WHERE v.id = t.id AND v.seq = t.seq AND v.state = 'requested'
    RETURNING v.id, t.code_version, t.send_no, t.attempt_id, t.send_deadline, t.mac, t.pepper_id, t.sealed
), coded AS (
    INSERT INTO codes (verification_id, version, mac, pepper_id, sealed)
    SELECT id, code_version, mac, pepper_id, sealed FROM issued
    ON CONFLICT DO NOTHING
), queued AS (
    INSERT INTO attempts (id, verification_id, send_no, try_no, code_version, send_deadline)
    SELECT attempt_id, id, send_no, 1, code_version, send_deadline FROM issued
    ON CONFLICT DO NOTHING
), told AS (
    INSERT INTO outbox (id, topic, key, value, headers)
    SELECT o.id, o.topic, o.key, o.value, o.headers
    FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[])
        AS o (verification_id, id, topic, key, value, headers)
    WHERE (o.verification_id IN (SELECT id FROM issued)) IS TRUE
    ON CONFLICT (id) DO NOTHING
), settled AS (
    DELETE FROM outbox WHERE id = ANY($1::uuid[])
)
SELECT id AS key FROM issued

-- name: issue
-- moves: requested -> issued
UPDATE verifications AS v
SET state = 'issued', code_version = t.code_version, sends_issued = t.send_no, own_code = NULL,
    seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::smallint[]) AS t (id, counted, code_version, send_no)
WHERE v.id = t.id AND v.state = 'requested'
RETURNING v.id AS key, v.seq

-- name: issue_silently
-- Nobody is to notice that the send was refused: no send is issued, and the caller's own code stays for one that passes.
-- moves: requested -> issued
UPDATE verifications AS v
SET state = 'issued', code_version = t.code_version, seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::smallint[]) AS t (id, counted, code_version)
WHERE v.id = t.id AND v.state = 'requested'
RETURNING v.id AS key, v.seq

-- name: send_again
-- A resend of an issued verification, once per send; code_version moves on where the policy rotates, and where no send
-- was issued before.
UPDATE verifications AS v
SET code_version = t.code_version, sends_issued = t.send_no, own_code = NULL, seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::smallint[]) AS t (id, counted, code_version, send_no)
WHERE v.id = t.id AND v.state = 'issued' AND v.sends_issued < t.send_no
RETURNING v.id AS key, v.seq

-- name: block
-- moves: requested -> blocked
UPDATE verifications AS v
SET state = 'blocked', end_reason = t.reason, ended_at = clock_timestamp(),
    due_at = due_once_ended(v.checks_used, v.checks_told), own_code = NULL,
    seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::text[]) AS t (id, counted, reason)
WHERE v.id = t.id AND v.state = 'requested'
RETURNING v.id AS key, v.seq

-- name: expire
-- moves: requested, issued -> expired
UPDATE verifications AS v
SET state = 'expired', end_reason = t.reason, ended_at = clock_timestamp(),
    due_at = due_once_ended(v.checks_used, v.checks_told), own_code = NULL,
    seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::text[]) AS t (id, counted, reason)
WHERE v.id = t.id AND v.state IN ('requested', 'issued')
RETURNING v.id AS key, v.seq

-- name: store_code
INSERT INTO codes (verification_id, version, mac, pepper_id, sealed)
SELECT t.id, t.version, t.mac, t.pepper_id, t.sealed
FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::bytea[], $5::text[], $6::bytea[])
    AS t (id, counted, version, mac, pepper_id, sealed)
ON CONFLICT DO NOTHING
RETURNING verification_id AS key, 0 AS seq

-- name: queue_attempt
INSERT INTO attempts (id, verification_id, send_no, try_no, code_version, send_deadline)
SELECT t.id, t.verification_id, t.send_no, 1, t.code_version, t.send_deadline
FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::smallint[], $5::smallint[], $6::timestamptz[])
    AS t (id, counted, verification_id, send_no, code_version, send_deadline)
ON CONFLICT DO NOTHING
RETURNING id AS key, 0 AS seq
