-- What receipts reads and writes. Every write takes $1 keys and $2 counted events per row first and returns key and
-- seq of the rows that changed (runtime/acting.py).

-- name: references
-- The attempts that carriers mean: by our own reference, or by account and the provider's.
SELECT a.id, a.verification_id
FROM attempts AS a
WHERE a.id = ANY($1::uuid[])
UNION
SELECT a.id, a.verification_id
FROM unnest($2::text[], $3::text[]) AS t (account, provider_id)
JOIN attempts AS a ON a.account = t.account AND a.provider_id = t.provider_id AND a.provider_id <> ''

-- name: verifications
-- Locked in id order, before their attempts.
SELECT id AS verification_id, tenant, number_token, country, range, number_type, purpose, channel, policy,
       policy_version, reference, expires_at
FROM verifications
WHERE id = ANY($1::uuid[])
ORDER BY id
FOR NO KEY UPDATE

-- name: attempts
SELECT id, verification_id, state, account, provider_id, receipt_rank, claimed_at, concluded_at
FROM attempts
WHERE id = ANY($1::uuid[])
ORDER BY id
FOR NO KEY UPDATE

-- name: record
-- Only upwards. A receipt also tells of an attempt nobody knew the end of that it left, and by what name the provider
-- knows it. Two receipts of one attempt in one batch come to the higher one; attempts of one verification number
-- their events in id order.
-- attempt moves: unknown -> accepted
WITH told AS (
    SELECT DISTINCT ON (t.id) t.*
    FROM unnest($1::text[], $2::int[], $3::uuid[], $4::smallint[], $5::text[], $6::text[], $7::timestamptz[])
        AS t (key, counted, id, rank, state, provider_id, received_at)
    ORDER BY t.id, t.rank DESC, t.key
), raised AS (
    UPDATE attempts AS a
    SET receipt_state = t.state, receipt_rank = t.rank, receipt_at = t.received_at,
        provider_id = CASE WHEN a.provider_id = '' THEN t.provider_id ELSE a.provider_id END,
        state = CASE WHEN a.state = 'unknown' THEN 'accepted' ELSE a.state END
    FROM told AS t
    WHERE a.id = t.id AND a.receipt_rank < t.rank
    RETURNING t.key, t.counted, a.id, a.verification_id
), bumped AS (
    UPDATE verifications AS v
    SET seq = v.seq + r.counted
    FROM (SELECT verification_id, sum(counted)::int AS counted FROM raised GROUP BY verification_id) AS r
    WHERE v.id = r.verification_id
    RETURNING v.id, v.seq
)
SELECT r.key,
       (b.seq - sum(r.counted) OVER (PARTITION BY r.verification_id)
              + sum(r.counted) OVER (PARTITION BY r.verification_id ORDER BY r.id))::int AS seq
FROM raised AS r
JOIN bumped AS b ON b.id = r.verification_id

-- name: park
INSERT INTO receipts_parked (id, account, client_ref, provider_id, event, parked_until, look_at)
SELECT t.key, t.account, t.client_ref, t.provider_id, t.event, clock_timestamp() + t.patience,
       clock_timestamp() + interval '1 second'
FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::interval[])
    AS t (key, counted, account, client_ref, provider_id, event, patience)
ON CONFLICT DO NOTHING
RETURNING id AS key, 0 AS seq

-- name: parked
-- Those whose attempt is to be looked for again, and whom nobody else looks at.
SELECT id, account, client_ref, provider_id, event, parked_at
FROM receipts_parked
WHERE look_at <= clock_timestamp()
ORDER BY look_at
LIMIT $1
FOR UPDATE SKIP LOCKED

-- name: unpark
DELETE FROM receipts_parked AS p
USING unnest($1::text[], $2::int[]) AS t (key, counted)
WHERE p.id = t.key
RETURNING p.id AS key, 0 AS seq

-- name: look_later
-- After twice the time it has waited so far, a second at least and a minute at most.
UPDATE receipts_parked AS p
SET look_at = clock_timestamp() + least(greatest(clock_timestamp() - p.parked_at, interval '1 second'),
                                        interval '1 minute')
FROM unnest($1::text[], $2::int[]) AS t (key, counted)
WHERE p.id = t.key
RETURNING p.id AS key, 0 AS seq
