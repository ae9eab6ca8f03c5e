-- What callbacks reads and writes. Rows are locked in this order: verifications by id, then deliveries. Writes take
-- $1 keys and $2 counted events per row first and return key and seq of the rows that changed (runtime/acting.py).
-- Moments are compared with statement_timestamp(): unlike clock_timestamp() it bounds an index scan, so that what is
-- due later costs nothing now.

-- name: standings
-- The verifications of a batch. Not locked: of these columns an ending is the last change.
SELECT id AS verification_id, tenant, number_token, country, range, number_type, purpose, channel, policy,
       policy_version, reference, expires_at, state, end_reason, created_at, sends_issued, checks_used, request_id
FROM verifications
WHERE id = ANY ($1::uuid[])

-- name: gone_endpoints
-- Of these endpoints at these versions the ones that said they are gone.
SELECT s.tenant, s.endpoint
FROM unnest($1::text[], $2::text[], $3::int[]) AS e (tenant, endpoint, version)
JOIN endpoint_states AS s ON s.tenant = e.tenant AND s.endpoint = e.endpoint AND s.version >= e.version

-- name: owe
-- One row an event and endpoint, whatever is delivered twice to us.
INSERT INTO callback_deliveries (verification_id, event_id, endpoint, tenant, event, body, state, told_at, begun_at,
                                 next_at, expires_at, gives_up_at, concluded_at)
SELECT t.verification_id, t.event_id, t.endpoint, t.tenant, t.event, t.body, t.state, t.told_at, t.begun_at,
       t.begun_at, t.expires_at, t.gives_up_at, CASE WHEN t.state <> 'pending' THEN clock_timestamp() END
FROM unnest($1::text[], $2::int[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::bytea[],
            $9::text[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[])
    AS t (key, counted, verification_id, event_id, endpoint, tenant, event, body, state, told_at, begun_at,
          expires_at, gives_up_at)
ORDER BY t.verification_id, t.event_id, t.endpoint
ON CONFLICT DO NOTHING
RETURNING event_id || '/' || endpoint AS key, 0 AS seq

-- name: waiting_results
-- Results that wait for their tenants' own topics, which stand now; an index finds them as it does an endpoint's.
SELECT d.verification_id, d.event_id, d.tenant
FROM unnest($1::text[]) AS t (tenant)
CROSS JOIN LATERAL (
    SELECT c.verification_id, c.event_id, c.tenant
    FROM callback_deliveries AS c
    WHERE c.tenant = t.tenant AND c.endpoint = '' AND c.state = 'pending' AND c.next_at <= statement_timestamp()
    ORDER BY c.next_at
    LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED
) AS d
LIMIT $2

-- name: tell_result
UPDATE callback_deliveries AS d
SET state = 'delivered', concluded_at = clock_timestamp()
FROM unnest($1::text[], $2::int[], $3::uuid[], $4::uuid[]) AS t (key, counted, verification_id, event_id)
WHERE d.verification_id = t.verification_id AND d.event_id = t.event_id AND d.endpoint = '' AND d.state = 'pending'
RETURNING t.key, 0 AS seq

-- name: claim
-- Up to `room` due deliveries of each endpoint, `$5` in all, nobody else's; theirs until the lease `$6` ends. An
-- endpoint is asked for by itself, so that a thousand due rows of one never stand before the one of another.
WITH due AS (
    SELECT d.verification_id, d.event_id, d.endpoint, e.version
    FROM unnest($1::text[], $2::text[], $3::int[], $4::int[]) AS e (tenant, endpoint, version, room)
    CROSS JOIN LATERAL (
        SELECT c.verification_id, c.event_id, c.endpoint
        FROM callback_deliveries AS c
        WHERE c.tenant = e.tenant AND c.endpoint = e.endpoint AND c.state = 'pending'
          AND c.next_at <= statement_timestamp()
        ORDER BY c.next_at
        LIMIT e.room
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS d
    WHERE NOT EXISTS (SELECT FROM endpoint_states AS s
                      WHERE s.tenant = e.tenant AND s.endpoint = e.endpoint AND s.version >= e.version)
    LIMIT $5
)
UPDATE callback_deliveries AS d
SET attempts = d.attempts + 1, next_at = clock_timestamp() + $6::interval
FROM due
WHERE d.verification_id = due.verification_id AND d.event_id = due.event_id AND d.endpoint = due.endpoint
RETURNING d.verification_id, d.event_id, d.tenant, d.endpoint, d.event, d.body, d.round, d.attempts, d.begun_at,
          d.expires_at, due.version

-- name: hold
-- The verifications of a batch of results, locked in id order.
SELECT id AS verification_id, tenant, number_token, country, range, number_type, purpose, channel, policy,
       policy_version, reference, expires_at
FROM verifications
WHERE id = ANY ($1::uuid[])
ORDER BY id
FOR NO KEY UPDATE

-- name: conclude
-- A delivery ends, if whoever ends it still has it: a later claim has another number.
WITH concluded AS (
    UPDATE callback_deliveries AS d
    SET state = t.state, status = t.status, failure = t.failure, concluded_at = clock_timestamp()
    FROM unnest($1::text[], $2::int[], $3::uuid[], $4::uuid[], $5::text[], $6::smallint[], $7::smallint[],
                $8::text[], $9::smallint[], $10::text[])
        AS t (key, counted, verification_id, event_id, endpoint, round, attempts, state, status, failure)
    WHERE d.verification_id = t.verification_id AND d.event_id = t.event_id AND d.endpoint = t.endpoint
      AND d.state = 'pending' AND d.round = t.round AND d.attempts = t.attempts
    RETURNING t.key, t.verification_id, t.counted
)
UPDATE verifications AS v
SET seq = v.seq + c.counted
FROM concluded AS c
WHERE v.id = c.verification_id
RETURNING c.key, v.seq

-- name: again
UPDATE callback_deliveries AS d
SET status = t.status, failure = t.failure, next_at = t.next_at
FROM unnest($1::text[], $2::int[], $3::uuid[], $4::uuid[], $5::text[], $6::smallint[], $7::smallint[],
            $8::smallint[], $9::text[], $10::timestamptz[])
    AS t (key, counted, verification_id, event_id, endpoint, round, attempts, status, failure, next_at)
WHERE d.verification_id = t.verification_id AND d.event_id = t.event_id AND d.endpoint = t.endpoint
  AND d.state = 'pending' AND d.round = t.round AND d.attempts = t.attempts
RETURNING t.key, 0 AS seq

-- name: disable
-- Several results of one batch may say so of one endpoint.
INSERT INTO endpoint_states AS s (tenant, endpoint, version, reason)
SELECT t.tenant, t.endpoint, max(t.version), min(t.reason)
FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::int[], $6::text[])
    AS t (key, counted, tenant, endpoint, version, reason)
GROUP BY t.tenant, t.endpoint
ON CONFLICT (tenant, endpoint) DO UPDATE
    SET version = excluded.version, reason = excluded.reason, disabled_at = excluded.disabled_at
    WHERE s.version < excluded.version
RETURNING s.tenant || '/' || s.endpoint AS key, 0 AS seq

-- name: shelve
-- Due deliveries of endpoints that are not called: they wait for an operator, not for a lane.
UPDATE callback_deliveries AS d
SET state = 'disabled', concluded_at = clock_timestamp()
FROM (
    SELECT c.verification_id, c.event_id, c.endpoint
    FROM unnest($1::text[], $2::text[]) AS e (tenant, endpoint)
    JOIN callback_deliveries AS c ON c.tenant = e.tenant AND c.endpoint = e.endpoint
    WHERE c.state = 'pending' AND c.next_at <= statement_timestamp()
    LIMIT $3
    FOR NO KEY UPDATE OF c SKIP LOCKED
) AS due
WHERE d.verification_id = due.verification_id AND d.event_id = due.event_id AND d.endpoint = due.endpoint

-- name: late
-- Deliveries past their schedule that nobody is at: their endpoint is left alone, or is no more. A result waits for its
-- topic for as long as its row is kept.
SELECT verification_id, event_id, tenant, endpoint, event, round, attempts, status, failure, begun_at, expires_at
FROM callback_deliveries
WHERE state = 'pending' AND gives_up_at < statement_timestamp() - $1::interval AND next_at <= statement_timestamp()
  AND endpoint <> ''
ORDER BY gives_up_at
LIMIT $2

-- name: oldest_due
-- For how long the oldest due delivery has been due, in seconds; 0 if there is none.
SELECT coalesce(extract(epoch FROM statement_timestamp() - min(d.next_at)), 0)::float8
FROM unnest($1::text[], $2::text[]) AS e (tenant, endpoint)
CROSS JOIN LATERAL (
    SELECT c.next_at
    FROM callback_deliveries AS c
    WHERE c.tenant = e.tenant AND c.endpoint = e.endpoint AND c.state = 'pending' AND c.next_at <= statement_timestamp()
    ORDER BY c.next_at
    LIMIT 1
) AS d

-- name: found_by_event
SELECT state, count(*) AS deliveries
FROM callback_deliveries
WHERE event_id = $1 AND endpoint <> ''
GROUP BY state

-- name: found_by_endpoint
SELECT state, count(*) AS deliveries
FROM callback_deliveries
WHERE tenant = $1 AND endpoint = $2 AND told_at >= $3 AND told_at < $4 AND endpoint <> ''
GROUP BY state

-- name: redeliver_event
-- What is pending already goes out anyway.
UPDATE callback_deliveries
SET state = 'pending', round = round + 1, attempts = 0, begun_at = $2, next_at = $2, gives_up_at = $3,
    concluded_at = NULL
WHERE event_id = $1 AND endpoint <> '' AND state <> 'pending'

-- name: redeliver_endpoint
UPDATE callback_deliveries AS d
SET state = 'pending', round = d.round + 1, attempts = 0, begun_at = $5, next_at = $5, gives_up_at = $6,
    concluded_at = NULL
FROM (
    SELECT verification_id, event_id, endpoint
    FROM callback_deliveries
    WHERE tenant = $1 AND endpoint = $2 AND told_at >= $3 AND told_at < $4 AND endpoint <> '' AND state <> 'pending'
      AND begun_at < $5
    ORDER BY told_at
    LIMIT $7
    FOR NO KEY UPDATE SKIP LOCKED
) AS chosen
WHERE d.verification_id = chosen.verification_id AND d.event_id = chosen.event_id AND d.endpoint = chosen.endpoint
