-- What checks reads and writes. Every write takes $1 keys and $2 counted events per row first and returns key and
-- seq of the rows that changed (runtime/acting.py); `moves` lines are held to kernel/verification.py by a test.

-- name: find
-- The verifications of a batch, each only for its own tenant, locked in id order until the count is committed.
SELECT v.id AS verification_id, v.tenant, v.number_token, v.country, v.range, v.number_type, v.purpose, v.channel,
       v.policy, v.policy_version, v.reference, v.expires_at, v.state, v.created_at, v.binding_hash, v.signals,
       v.sends_issued, v.checks_used, v.checks_max, v.rules,
       v.expires_at > clock_timestamp() AS in_time
FROM verifications AS v
JOIN unnest($1::uuid[], $2::text[]) AS t (id, tenant) ON v.id = t.id AND v.tenant = t.tenant
ORDER BY v.id
FOR NO KEY UPDATE OF v

-- name: latest
-- The newest verification of each (tenant, number, purpose), for callers that know only the number.
SELECT tenant, number_token, purpose, verification_id
FROM latest_verifications
WHERE (tenant, number_token, purpose) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))
  AND verification_id IS NOT NULL

-- name: charge
-- One wrong guess from each number's budget that has one left (GCRA), and those of a batch from their tenant's; a
-- budget that has too little is not returned. The key says how far ahead its bucket may run: an hour or a day.
INSERT INTO limits AS l (key, tat)
SELECT t.key, statement_timestamp() + t.cost
FROM unnest($1::text[], $2::interval[]) AS t (key, cost)
ORDER BY t.key
ON CONFLICT (key) DO UPDATE
SET tat = greatest(l.tat, statement_timestamp()) + (excluded.tat - statement_timestamp())
WHERE greatest(l.tat, statement_timestamp()) + (excluded.tat - statement_timestamp())
      <= statement_timestamp() + CASE WHEN starts_with(l.key, 'wrong/day/') THEN interval '1 day'
                                      ELSE interval '1 hour' END
RETURNING key

-- name: give_back
-- Return what was charged: the guess turned out right, or the other budget refused it.
UPDATE limits AS l
SET tat = l.tat - t.cost
FROM (SELECT key, cost FROM unnest($1::text[], $2::interval[]) AS given (key, cost) ORDER BY key) AS t
WHERE l.key = t.key

-- name: buckets
SELECT key, tat FROM limits WHERE key = ANY($1::text[])

-- name: count
-- The count is committed before anything is compared, and nothing takes it back. What was blocked or has no code yet is
-- counted like any other, and compared with nothing; of what has ended timers tell the count if nobody else does.
UPDATE verifications AS v
SET checks_used = v.checks_used + 1,
    due_at = CASE WHEN v.ended_at IS NULL THEN v.due_at ELSE due_once_ended(v.checks_used + 1, v.checks_told) END
FROM unnest($1::uuid[]) AS t (id)
WHERE v.id = t.id AND v.state IN ('requested', 'issued', 'blocked') AND v.expires_at > clock_timestamp()
  AND v.checks_used < v.checks_max
RETURNING v.id, v.checks_used,
          (SELECT c.mac FROM codes AS c
           WHERE c.verification_id = v.id AND c.version = v.code_version AND v.state = 'issued') AS mac

-- name: count_at_once
-- Every check of a batch counted and charged by one statement that is a transaction of its own, if every budget has
-- room as far as this statement sees; else none of them. It takes what it saw in the order of all: verifications by id,
-- then budgets by key. If somebody came in between, the counts differ, and the division by zero undoes all of it.
-- A verification that may not be checked is answered and not counted.
WITH seen AS MATERIALIZED (
    SELECT v.id, v.tenant, v.number_token, v.country, v.range, v.number_type, v.purpose, v.channel, v.policy,
           v.policy_version, v.reference, v.expires_at, v.state, v.created_at, v.binding_hash, v.signals,
           v.sends_issued, v.checks_used, v.checks_max, v.rules, v.expires_at > clock_timestamp() AS in_time,
           v.state IN ('requested', 'issued', 'blocked') AND v.expires_at > clock_timestamp()
               AND v.checks_used < v.checks_max AS countable,
           t.tenant_per_hour
    FROM verifications AS v
    JOIN unnest($1::uuid[], $2::text[], $3::int[]) AS t (id, tenant, tenant_per_hour)
        ON v.id = t.id AND v.tenant = t.tenant
), wanted AS MATERIALIZED (
    SELECT key, sum(cost) AS cost, span
    FROM seen AS s,
         LATERAL (VALUES
             ('wrong/hour/' || s.tenant || '/' || s.number_token,
              interval '1 hour' / (s.rules ->> 'wrong_per_hour')::int, interval '1 hour'),
             ('wrong/day/' || s.tenant || '/' || s.number_token,
              interval '1 day' / (s.rules ->> 'wrong_per_day')::int, interval '1 day'),
             ('wrong/tenant/' || s.tenant, interval '1 hour' / s.tenant_per_hour, interval '1 hour')
         ) AS charge (key, cost, span)
    WHERE s.countable
    GROUP BY key, span
), room AS MATERIALIZED (
    SELECT coalesce(bool_and(coalesce(
        greatest(l.tat, statement_timestamp()) + w.cost <= statement_timestamp() + w.span, false)), true) AS enough
    FROM wanted AS w
    LEFT JOIN limits AS l ON l.key = w.key
), counted AS (
    UPDATE verifications AS v
    SET checks_used = v.checks_used + 1,
        due_at = CASE WHEN v.ended_at IS NULL THEN v.due_at ELSE due_once_ended(v.checks_used + 1, v.checks_told) END
    FROM (SELECT id FROM seen, room WHERE countable AND enough ORDER BY id) AS t
    WHERE v.id = t.id AND v.state IN ('requested', 'issued', 'blocked') AND v.expires_at > clock_timestamp()
      AND v.checks_used < v.checks_max
    RETURNING v.id, v.checks_used, v.seq,
              (SELECT c.mac FROM codes AS c
               WHERE c.verification_id = v.id AND c.version = v.code_version AND v.state = 'issued') AS mac
), charged AS (
    INSERT INTO limits AS l (key, tat)
    SELECT w.key, statement_timestamp() + w.cost
    FROM wanted AS w, room, (SELECT count(*) FROM counted) AS first
    WHERE room.enough
    ORDER BY w.key
    ON CONFLICT (key) DO UPDATE
    SET tat = greatest(l.tat, statement_timestamp()) + (excluded.tat - statement_timestamp())
    WHERE greatest(l.tat, statement_timestamp()) + (excluded.tat - statement_timestamp())
          <= statement_timestamp() + (SELECT w.span FROM wanted AS w WHERE w.key = excluded.key)
    RETURNING key
)
SELECT s.id AS verification_id, s.tenant, s.number_token, s.country, s.range, s.number_type, s.purpose, s.channel,
       s.policy, s.policy_version, s.reference, s.expires_at, s.state, s.created_at, s.binding_hash, s.signals,
       s.sends_issued, s.checks_used, s.checks_max, s.rules, s.in_time,
       s.countable, c.checks_used AS check_no, c.seq, c.mac
FROM (
    SELECT 1 / CASE WHEN NOT enough THEN 1
                    WHEN (SELECT count(*) FROM counted) = (SELECT count(*) FROM seen WHERE countable)
                     AND (SELECT count(*) FROM charged) = (SELECT count(*) FROM wanted)
                    THEN 1 ELSE 0 END AS whole
    FROM room
) AS sure
JOIN seen AS s ON sure.whole = 1
LEFT JOIN counted AS c ON c.id = s.id

-- name: conclude_at_once
-- Counted checks concluded, with what they give back and what they tell, by one statement that is a transaction of its
-- own. A verification that somebody told of since it was counted keeps as it is: the numbers of the events would not be
-- true.
-- moves: issued -> approved
-- moves: issued -> locked
WITH concluded AS (
    UPDATE verifications AS v
    SET state = coalesce(t.state, v.state), end_reason = coalesce(t.reason, v.end_reason),
        ended_at = CASE WHEN t.state IS NULL THEN v.ended_at ELSE clock_timestamp() END,
        due_at = CASE WHEN t.state IS NULL AND v.ended_at IS NULL THEN v.due_at
                      ELSE due_once_ended(v.checks_used, v.checks_told | (1 << t.check_no - 1)) END,
        own_code = CASE WHEN t.state IS NULL THEN v.own_code END,
        checks_told = v.checks_told | (1 << t.check_no - 1), seq = v.seq + t.counted
    FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::text[], $5::text[], $6::int[])
        AS t (id, counted, check_no, state, reason, seq)
    WHERE v.id = t.id AND v.seq = t.seq AND (v.checks_told & (1 << t.check_no - 1)) = 0
      AND v.state IN ('requested', 'issued', 'blocked') AND (t.state IS NULL OR v.state = 'issued')
      AND (t.state IS DISTINCT FROM 'locked' OR v.checks_used >= v.checks_max)
    RETURNING v.id
), given_back AS (
    UPDATE limits AS l
    SET tat = l.tat - t.cost
    FROM (
        SELECT g.key, sum(g.cost) AS cost
        FROM unnest($7::uuid[], $8::text[], $9::interval[]) AS g (verification_id, key, cost)
        JOIN concluded AS c ON c.id = g.verification_id
        GROUP BY g.key
        ORDER BY g.key
    ) AS t
    WHERE l.key = t.key
), told AS (
    INSERT INTO outbox (id, topic, key, value, headers)
    SELECT o.id, o.topic, o.key, o.value, o.headers
    FROM unnest($10::uuid[], $11::uuid[], $12::text[], $13::bytea[], $14::bytea[], $15::bytea[])
        AS o (verification_id, id, topic, key, value, headers)
    JOIN concluded AS c ON c.id = o.verification_id
    ON CONFLICT (id) DO NOTHING
), settled AS (
    DELETE FROM outbox WHERE id = ANY($16::uuid[])
)
SELECT id FROM concluded

-- name: approve
-- moves: issued -> approved
UPDATE verifications AS v
SET state = 'approved', end_reason = t.reason, ended_at = clock_timestamp(),
    due_at = due_once_ended(v.checks_used, v.checks_told | (1 << t.check_no - 1)), own_code = NULL,
    checks_told = v.checks_told | (1 << t.check_no - 1), seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::text[]) AS t (id, counted, check_no, reason)
WHERE v.id = t.id AND v.state = 'issued'
RETURNING v.id AS key, v.seq

-- name: lock
-- moves: issued -> locked
UPDATE verifications AS v
SET state = 'locked', end_reason = t.reason, ended_at = clock_timestamp(),
    due_at = due_once_ended(v.checks_used, v.checks_told | (1 << t.check_no - 1)), own_code = NULL,
    checks_told = v.checks_told | (1 << t.check_no - 1), seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::text[]) AS t (id, counted, check_no, reason)
WHERE v.id = t.id AND v.state = 'issued' AND v.checks_used >= v.checks_max
RETURNING v.id AS key, v.seq

-- name: note
-- A counted check that ends nothing, or came when the verification had ended: it is told all the same, unless timers
-- have done so because it took too long.
UPDATE verifications AS v
SET checks_told = v.checks_told | (1 << t.check_no - 1), seq = v.seq + t.counted,
    due_at = CASE WHEN v.ended_at IS NULL THEN v.due_at
                  ELSE due_once_ended(v.checks_used, v.checks_told | (1 << t.check_no - 1)) END
FROM unnest($1::uuid[], $2::int[], $3::smallint[]) AS t (id, counted, check_no)
WHERE v.id = t.id AND (v.checks_told & (1 << t.check_no - 1)) = 0
RETURNING v.id AS key, v.seq

-- name: states
SELECT id, state FROM verifications WHERE id = ANY($1::uuid[])
