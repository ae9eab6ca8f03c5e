-- What intake reads and writes. Rows are locked in this order: idempotency, latest_verifications, verifications,
-- limits, subjects, each sorted by key, so that no two batches wait for each other in a circle.
-- Writes take $1 keys and $2 counted events per row first and return key and seq of the rows that changed
-- (runtime/acting.py); `moves` lines are held to kernel/verification.py by a test.

-- name: hold_keys
-- Every idempotency key of a batch, held until its commit: new ones with status 0, known ones with their answer. A
-- key that another process holds is waited for, but not as long as a request may wait: set_config runs before the
-- first row is locked, because the sort takes all rows in first. Setting the key to itself locks a row that is there.
INSERT INTO idempotency AS i (tenant, key, fingerprint, status, answer)
SELECT t.tenant, t.key, t.fingerprint, 0, ''
FROM unnest($1::text[], $2::text[], $3::bytea[]) AS t (tenant, key, fingerprint),
     set_config('lock_timeout', '1500ms', true)
ORDER BY t.tenant, t.key
ON CONFLICT (tenant, key) DO UPDATE SET key = excluded.key
RETURNING i.tenant, i.key, i.fingerprint, i.status, i.answer

-- name: hold_latest
-- The pointer of every (tenant, number, purpose) that a batch starts for, locked: two starts never pass each other.
INSERT INTO latest_verifications AS l (tenant, number_token, purpose)
SELECT t.tenant, t.number_token, t.purpose
FROM unnest($1::text[], $2::text[], $3::text[]) AS t (tenant, number_token, purpose)
ORDER BY t.tenant, t.number_token, t.purpose
ON CONFLICT (tenant, number_token, purpose) DO UPDATE SET tenant = excluded.tenant
RETURNING l.tenant, l.number_token, l.purpose, l.verification_id

-- name: hold_verifications
-- Verifications by id, locked in id order, with what is needed to show their number masked.
SELECT v.id AS verification_id, v.tenant, v.number_token, v.country, v.range, v.number_type, v.purpose, v.channel,
       v.policy, v.policy_version, v.reference, v.expires_at, v.state, v.rules, v.binding_hash, v.signals,
       v.sends_requested, v.sends_assessed, v.checks_used, v.created_at, v.next_send_at, v.number_sealed,
       v.feedback, v.feedback_no, s.wrapped_key
FROM verifications AS v
LEFT JOIN subjects AS s ON s.tenant = v.tenant AND s.number_token = v.number_token
WHERE v.id = ANY($1::uuid[])
ORDER BY v.id
FOR NO KEY UPDATE OF v

-- name: hold_buckets
-- Every bucket a batch may take from, made if it is not there, locked and read in one go.
INSERT INTO limits AS l (key, tat)
SELECT t.key, to_timestamp(0)
FROM unnest($1::text[]) AS t (key)
ORDER BY t.key
ON CONFLICT (key) DO UPDATE SET key = excluded.key
RETURNING l.key, l.tat

-- name: add_subjects
-- A data key for every number that has none yet; answers which of these became the number's.
INSERT INTO subjects AS s (tenant, number_token, wrapped_key)
SELECT t.tenant, t.number_token, t.wrapped_key
FROM unnest($1::text[], $2::text[], $3::bytea[]) AS t (tenant, number_token, wrapped_key)
ORDER BY t.tenant, t.number_token
ON CONFLICT (tenant, number_token) DO NOTHING
RETURNING s.tenant, s.number_token, s.wrapped_key

-- name: subjects
-- Held until the batch commits, so that the key of a number that comes back is not forgotten at this very moment.
SELECT s.tenant, s.number_token, s.wrapped_key
FROM subjects AS s
JOIN unnest($1::text[], $2::text[]) AS t (tenant, number_token)
    ON s.tenant = t.tenant AND s.number_token = t.number_token
ORDER BY s.tenant, s.number_token
FOR KEY SHARE OF s

-- name: begin
-- A new verification, and the pointer to it moved there.
WITH begun AS (
INSERT INTO verifications (id, seq, tenant, number_token, country, range, number_type, purpose, channel, policy,
                           policy_version, rules, locale, template, reference, binding, binding_hash, signals,
                           checks_max, created_at, expires_at, next_send_at, due_at, request_id, number_sealed,
                           own_code)
SELECT t.id, t.counted, t.tenant, t.number_token, t.country, t.range, t.number_type, t.purpose, t.channel, t.policy,
       t.policy_version, t.rules::jsonb, t.locale, t.template, t.reference, t.binding::jsonb, t.binding_hash,
       t.signals::jsonb, t.checks_max, t.created_at, t.expires_at, t.next_send_at, t.due_at, t.request_id,
       t.number_sealed, t.own_code
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::int[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
            $17::text[], $18::text[], $19::smallint[], $20::timestamptz[], $21::timestamptz[], $22::timestamptz[],
            $23::text[], $24::timestamptz[], $25::bytea[], $26::bytea[])
    AS t (id, counted, tenant, number_token, country, range, number_type, purpose, channel, policy, policy_version,
          rules, locale, template, reference, binding, binding_hash, signals, checks_max, created_at, expires_at,
          next_send_at, request_id, due_at, number_sealed, own_code)
RETURNING id, seq, tenant, number_token, purpose
), pointed AS (
UPDATE latest_verifications AS l
SET verification_id = b.id
FROM begun AS b
WHERE l.tenant = b.tenant AND l.number_token = b.number_token AND l.purpose = b.purpose
)
SELECT id AS key, seq FROM begun

-- name: resend
UPDATE verifications AS v
SET sends_requested = t.send_no, next_send_at = t.next_send_at, due_at = t.due_at, seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::timestamptz[], $5::timestamptz[])
    AS t (id, counted, send_no, next_send_at, due_at)
WHERE v.id = t.id AND v.state IN ('requested', 'issued') AND v.sends_requested = t.send_no - 1
RETURNING v.id AS key, v.seq

-- name: cancel
-- moves: requested, issued -> cancelled
UPDATE verifications AS v
SET state = 'cancelled', end_reason = t.reason, ended_at = clock_timestamp(),
    due_at = due_once_ended(v.checks_used, v.checks_told), own_code = NULL,
    seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::text[]) AS t (id, counted, reason)
WHERE v.id = t.id AND v.state IN ('requested', 'issued')
RETURNING v.id AS key, v.seq

-- name: give_feedback
UPDATE verifications AS v
SET feedback = t.good, feedback_no = t.feedback_no, seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::boolean[], $4::smallint[]) AS t (id, counted, good, feedback_no)
WHERE v.id = t.id AND v.feedback_no = t.feedback_no - 1
RETURNING v.id AS key, v.seq

-- name: fill_bucket
UPDATE limits AS l
SET tat = t.tat
FROM unnest($1::text[], $2::int[], $3::timestamptz[]) AS t (key, counted, tat)
WHERE l.key = t.key
RETURNING l.key, 0 AS seq

-- name: keep_answer
UPDATE idempotency AS i
SET status = t.status, answer = t.answer
FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::smallint[], $6::bytea[])
    AS t (name, counted, tenant, key, status, answer)
WHERE i.tenant = t.tenant AND i.key = t.key
RETURNING t.name AS key, 0 AS seq

-- name: forget_key
-- The request was refused: whoever comes next with its key is decided afresh.
DELETE FROM idempotency AS i
USING unnest($1::text[], $2::int[], $3::text[], $4::text[]) AS t (name, counted, tenant, key)
WHERE i.tenant = t.tenant AND i.key = t.key AND i.status = 0
RETURNING t.name AS key, 0 AS seq

-- name: read_verification
-- One verification as its tenant may read it.
SELECT v.id AS verification_id, v.tenant, v.number_token, v.country, v.range, v.number_type, v.purpose, v.channel,
       v.policy, v.policy_version, v.reference, v.expires_at, v.state, v.rules, v.end_reason, v.sends_requested,
       v.sends_issued, v.checks_used, v.created_at, v.next_send_at, v.ended_at, v.number_sealed, s.wrapped_key
FROM verifications AS v
LEFT JOIN subjects AS s ON s.tenant = v.tenant AND s.number_token = v.number_token
WHERE v.id = $1 AND v.tenant = $2

-- name: read_attempts
SELECT send_no, try_no, state, receipt_state, created_at, concluded_at, receipt_at
FROM attempts
WHERE verification_id = $1
ORDER BY send_no, try_no

-- name: tried
-- Of these verifications those that have ended, and those whose newest send was tried. The ids that their attempts
-- can have keep the look to one partition.
SELECT t.id
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS t (id, first, last)
JOIN verifications AS v ON v.id = t.id
WHERE v.ended_at IS NOT NULL
   OR EXISTS (
       SELECT FROM attempts AS a
       WHERE a.verification_id = t.id AND a.id BETWEEN t.first AND t.last
         AND a.send_no = v.sends_requested AND a.state NOT IN ('queued', 'sending')
   )

-- name: page
-- A tenant's verifications, newest first: at most $4 are looked at, at most $8 chosen of them. The one row that comes
-- in any case says how many were looked at and where that ended.
WITH looked_at AS MATERIALIZED (
    SELECT v.id, v.state, v.created_at
    FROM verifications AS v
    WHERE v.tenant = $1 AND v.id >= $2 AND v.id < $3
    ORDER BY v.id DESC
    LIMIT $4
), chosen AS MATERIALIZED (
    SELECT l.id
    FROM looked_at AS l
    WHERE l.state = ANY($5::text[]) AND l.created_at >= $6 AND l.created_at < $7
    ORDER BY l.id DESC
    LIMIT $8
)
SELECT (SELECT count(*) FROM looked_at) AS looked_at, (SELECT id FROM looked_at ORDER BY id LIMIT 1) AS lowest,
       v.id AS verification_id, v.tenant, v.number_token, v.country, v.range, v.number_type, v.purpose, v.channel,
       v.policy, v.policy_version, v.reference, v.expires_at, v.state, v.rules, v.end_reason, v.sends_requested,
       v.sends_issued, v.checks_used, v.created_at, v.next_send_at, v.ended_at, v.number_sealed, s.wrapped_key
FROM (SELECT) AS always
LEFT JOIN (chosen AS c JOIN verifications AS v ON v.id = c.id
           LEFT JOIN subjects AS s ON s.tenant = v.tenant AND s.number_token = v.number_token) ON true
ORDER BY v.id DESC

-- name: page_of_reference
-- The same of one reference. A statement of its own, so that its plan is its own.
WITH looked_at AS MATERIALIZED (
    SELECT v.id, v.state, v.created_at
    FROM verifications AS v
    WHERE v.tenant = $1 AND v.id >= $2 AND v.id < $3 AND v.reference = $9
      AND v.reference <> ''
    ORDER BY v.id DESC
    LIMIT $4
), chosen AS MATERIALIZED (
    SELECT l.id
    FROM looked_at AS l
    WHERE l.state = ANY($5::text[]) AND l.created_at >= $6 AND l.created_at < $7
    ORDER BY l.id DESC
    LIMIT $8
)
SELECT (SELECT count(*) FROM looked_at) AS looked_at, (SELECT id FROM looked_at ORDER BY id LIMIT 1) AS lowest,
       v.id AS verification_id, v.tenant, v.number_token, v.country, v.range, v.number_type, v.purpose, v.channel,
       v.policy, v.policy_version, v.reference, v.expires_at, v.state, v.rules, v.end_reason, v.sends_requested,
       v.sends_issued, v.checks_used, v.created_at, v.next_send_at, v.ended_at, v.number_sealed, s.wrapped_key
FROM (SELECT) AS always
LEFT JOIN (chosen AS c JOIN verifications AS v ON v.id = c.id
           LEFT JOIN subjects AS s ON s.tenant = v.tenant AND s.number_token = v.number_token) ON true
ORDER BY v.id DESC

-- name: backlog
-- The age of the oldest event that Kafka does not have yet, in seconds; NULL if it has all of them.
SELECT extract(epoch FROM clock_timestamp() - min(created_at))::float8 FROM outbox
