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
-- The count is committed before anything is compared, and nothing takes it back.
UPDATE verifications AS v
SET checks_used = v.checks_used + 1
FROM unnest($1::uuid[]) AS t (id)
WHERE v.id = t.id AND v.state IN ('issued') AND v.expires_at > clock_timestamp() AND v.checks_used < v.checks_max
RETURNING v.id, v.checks_used,
          (SELECT c.mac FROM codes AS c WHERE c.verification_id = v.id AND c.version = v.code_version) AS mac

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
-- A counted check that ends nothing, or came when the verification had just ended: it is told all the same, unless
-- timers have done so because it took too long.
UPDATE verifications AS v
SET checks_told = v.checks_told | (1 << t.check_no - 1), seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::smallint[]) AS t (id, counted, check_no)
WHERE v.id = t.id AND (v.checks_told & (1 << t.check_no - 1)) = 0
RETURNING v.id AS key, v.seq

-- name: states
SELECT id, state FROM verifications WHERE id = ANY($1::uuid[])
