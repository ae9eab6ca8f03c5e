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
       v.sends_requested, v.sends_assessed, v.sends_issued, v.checks_used, v.created_at, v.next_send_at,
       v.number_sealed, v.feedback, v.feedback_no, s.wrapped_key
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

-- name: begin_at_once
-- Verifications that nothing stands in the way of, begun by one statement that is a transaction of its own.
-- What it sees first (no answer under the key, no live verification of the number, room in every bucket, the number's
-- data key) decides which of them those are; the others are left as they were. Then it takes, in the order above, what
-- it saw: each step waits for the count of the one before. If somebody came in between, the counts differ, and the
-- division by zero undoes all of it. Nobody is waited for longer than a moment: whoever holds a key or a bucket for more
-- is waited for where requests are decided under locks. A number that has another data key than the one offered is answered with it.
WITH asked AS MATERIALIZED (
    SELECT t.*
    FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::text[], $10::text[], $11::int[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
                $17::text[], $18::text[], $19::smallint[], $20::timestamptz[], $21::timestamptz[], $22::timestamptz[],
                $23::text[], $24::timestamptz[], $25::bytea[], $26::bytea[], $27::text[], $28::bytea[],
                $29::smallint[], $30::bytea[], $31::bytea[], $32::text[])
        AS t (id, counted, tenant, number_token, country, range, number_type, purpose, channel, policy, policy_version,
              rules, locale, template, reference, binding, binding_hash, signals, checks_max, created_at, expires_at,
              next_send_at, request_id, due_at, number_sealed, own_code, key, fingerprint, status, answer, wrapped_key,
              bucket),
         set_config('lock_timeout', '200ms', true)
), seen AS MATERIALIZED (
    SELECT a.id, a.tenant, a.number_token, a.purpose, a.key, a.wrapped_key, l.verification_id AS latest,
           s.wrapped_key AS known_key,
           i.key IS NULL
               AND (l.verification_id IS NULL OR v.ended_at IS NOT NULL OR v.expires_at <= a.created_at) AS free
    FROM asked AS a
    LEFT JOIN idempotency AS i ON i.tenant = a.tenant AND i.key = a.key
    LEFT JOIN latest_verifications AS l
        ON l.tenant = a.tenant AND l.number_token = a.number_token AND l.purpose = a.purpose
    LEFT JOIN verifications AS v ON v.id = l.verification_id
    LEFT JOIN subjects AS s ON s.tenant = a.tenant AND s.number_token = a.number_token
), wanted AS MATERIALIZED (
    SELECT t.key, sum(t.cost) AS cost, min(t.span) AS span
    FROM unnest($33::uuid[], $34::text[], $35::interval[], $36::interval[]) AS t (id, key, cost, span)
    JOIN seen ON seen.id = t.id
    WHERE seen.free AND coalesce(seen.known_key, seen.wrapped_key) = seen.wrapped_key
    GROUP BY t.key
), taken AS MATERIALIZED (
    SELECT *
    FROM seen
    WHERE free AND coalesce(known_key, wrapped_key) = wrapped_key
      AND NOT EXISTS (
          SELECT FROM wanted AS w
          LEFT JOIN limits AS l ON l.key = w.key
          WHERE greatest(l.tat, $37) + w.cost > $37 + w.span
      )
), kept AS (
    INSERT INTO idempotency (tenant, key, fingerprint, status, answer)
    SELECT a.tenant, a.key, a.fingerprint, a.status, a.answer
    FROM asked AS a
    JOIN taken AS t ON t.id = a.id
    WHERE a.key IS NOT NULL
    ORDER BY a.tenant, a.key
    ON CONFLICT (tenant, key) DO NOTHING
    RETURNING key
), pointed AS (
    INSERT INTO latest_verifications AS l (tenant, number_token, purpose, verification_id)
    SELECT t.tenant, t.number_token, t.purpose, t.id
    FROM taken AS t, (SELECT count(*) FROM kept) AS first
    ORDER BY t.tenant, t.number_token, t.purpose
    ON CONFLICT (tenant, number_token, purpose) DO UPDATE SET verification_id = excluded.verification_id
    WHERE l.verification_id IS NOT DISTINCT FROM (SELECT t.latest FROM taken AS t WHERE t.id = excluded.verification_id)
    RETURNING verification_id
), filled AS (
    INSERT INTO limits AS l (key, tat)
    SELECT w.key, $37 + w.cost
    FROM wanted AS w, (SELECT count(*) FROM pointed) AS first
    WHERE EXISTS (SELECT FROM taken)
    ORDER BY w.key
    ON CONFLICT (key) DO UPDATE SET tat = greatest(l.tat, $37) + (excluded.tat - $37)
    WHERE greatest(l.tat, $37) + (excluded.tat - $37) <= $37 + (SELECT w.span FROM wanted AS w WHERE w.key = excluded.key)
    RETURNING key, tat
), added AS (
    INSERT INTO subjects AS s (tenant, number_token, wrapped_key)
    SELECT DISTINCT t.tenant, t.number_token, t.wrapped_key
    FROM taken AS t, (SELECT count(*) FROM filled) AS first
    WHERE t.known_key IS NULL
    ORDER BY t.tenant, t.number_token
    ON CONFLICT (tenant, number_token) DO NOTHING
    RETURNING tenant
), shared AS (
    SELECT t.id
    FROM taken AS t
    JOIN subjects AS s ON s.tenant = t.tenant AND s.number_token = t.number_token
    WHERE t.known_key IS NOT NULL AND (SELECT count(*) FROM added) >= 0
    ORDER BY t.tenant, t.number_token
    FOR KEY SHARE OF s
), begun AS (
    INSERT INTO verifications (id, seq, tenant, number_token, country, range, number_type, purpose, channel, policy,
                               policy_version, rules, locale, template, reference, binding, binding_hash, signals,
                               checks_max, created_at, expires_at, next_send_at, due_at, request_id, number_sealed,
                               own_code)
    SELECT a.id, a.counted, a.tenant, a.number_token, a.country, a.range, a.number_type, a.purpose, a.channel, a.policy,
           a.policy_version, a.rules::jsonb, a.locale, a.template, a.reference, a.binding::jsonb, a.binding_hash,
           a.signals::jsonb, a.checks_max, a.created_at, a.expires_at, a.next_send_at, a.due_at, a.request_id,
           a.number_sealed, a.own_code
    FROM asked AS a
    JOIN taken AS t ON t.id = a.id
), told AS (
    INSERT INTO outbox (id, topic, key, value, headers)
    SELECT o.id, o.topic, o.key, o.value, o.headers
    FROM unnest($38::uuid[], $39::uuid[], $40::text[], $41::bytea[], $42::bytea[], $43::bytea[])
        AS o (verification_id, id, topic, key, value, headers)
    JOIN taken AS t ON t.id = o.verification_id
), settled AS (
    DELETE FROM outbox WHERE id = ANY($44::uuid[])
)
SELECT a.id, t.id IS NOT NULL AS begun, CASE WHEN s.free THEN s.known_key END AS known_key, f.tat
FROM (
    SELECT 1 / CASE WHEN (SELECT count(*) FROM kept) = (SELECT count(*) FROM taken WHERE key IS NOT NULL)
                     AND (SELECT count(*) FROM pointed) = (SELECT count(*) FROM taken)
                     AND ((SELECT count(*) FROM filled) = (SELECT count(*) FROM wanted)
                          OR NOT EXISTS (SELECT FROM taken))
                     AND (SELECT count(*) FROM added)
                         = (SELECT count(DISTINCT (tenant, number_token)) FROM taken WHERE known_key IS NULL)
                     AND (SELECT count(*) FROM shared) = (SELECT count(*) FROM taken WHERE known_key IS NOT NULL)
               THEN 1 ELSE 0 END AS whole
) AS sure
JOIN asked AS a ON sure.whole = 1
JOIN seen AS s ON s.id = a.id
LEFT JOIN taken AS t ON t.id = a.id
LEFT JOIN filled AS f ON f.key = a.bucket

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

-- name: weeks_left_out
-- For the rest of a transaction that locks nothing: what this undoes is for those that do (runtime/postgres.py).
SELECT set_config('enable_partition_pruning', 'on', true)

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
-- The age of the oldest event on one of our topics ($1) that Kafka does not have yet, in seconds; NULL if it has all. A
-- dead letter, or a result for a tenant's own topic, that Kafka refuses for its own sake closes no door.
SELECT extract(epoch FROM clock_timestamp() - min(created_at))::float8 FROM outbox WHERE topic = ANY($1::text[])
