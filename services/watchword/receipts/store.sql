-- What receipts reads and writes. Every write takes $1 keys and $2 counted events per row first and returns key and
-- seq of the rows that changed (runtime/acting.py).

-- name: references
-- The attempts that carriers mean: by our own reference, or by account and the provider's, whose ids begin anew after
-- a while with some and so are believed for a week only.
SELECT a.id, a.verification_id
FROM attempts AS a
WHERE a.id = ANY($1::uuid[])
UNION
SELECT a.id, a.verification_id
FROM unnest($2::text[], $3::text[]) AS t (account, provider_id)
JOIN attempts AS a ON a.account = t.account AND a.provider_id = t.provider_id AND a.provider_id <> ''
WHERE a.id >= uuid_floor(statement_timestamp() - interval '7 days')

-- name: verifications
-- Locked in id order, before their attempts.
SELECT id AS verification_id, tenant, number_token, country, range, number_type, purpose, channel, policy,
       policy_version, reference, expires_at
FROM verifications
WHERE id = ANY($1::uuid[])
ORDER BY id
FOR NO KEY UPDATE

-- name: attempts
SELECT id, verification_id, state, account, provider_id, receipt_rank, segments, claimed_at, concluded_at
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
    FROM unnest($1::text[], $2::int[], $3::uuid[], $4::smallint[], $5::text[], $6::text[], $7::timestamptz[],
                $8::timestamptz[])
        AS t (key, counted, id, rank, state, provider_id, received_at, due_at)
    ORDER BY t.id, t.rank DESC, t.key
), raised AS (
    UPDATE attempts AS a
    SET receipt_state = t.state, receipt_rank = t.rank, receipt_at = t.received_at,
        provider_id = CASE WHEN a.provider_id = '' THEN t.provider_id ELSE a.provider_id END,
        state = CASE WHEN a.state = 'unknown' THEN 'accepted' ELSE a.state END,
        receipt_ask_at = CASE WHEN t.rank < 40 THEN a.receipt_ask_at END,
        receipt_due_at = CASE WHEN t.rank < 90 AND a.state IN ('sending', 'accepted', 'unknown')
                              THEN coalesce(a.receipt_due_at, t.due_at) END
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

-- name: look
-- The attempts that carriers mean, by either reference, without a lock, with the number of their verification's newest
-- event.
SELECT a.id, a.account, a.provider_id, a.receipt_rank, a.segments, a.claimed_at, a.concluded_at, v.seq,
       v.id AS verification_id, v.tenant, v.number_token, v.country, v.range, v.number_type, v.purpose, v.channel,
       v.policy, v.policy_version, v.reference, v.expires_at
FROM (
    SELECT b.*
    FROM attempts AS b
    WHERE b.id = ANY($1::uuid[])
    UNION ALL
    SELECT b.*
    FROM unnest($2::text[], $3::text[]) AS t (account, provider_id)
    JOIN attempts AS b ON b.account = t.account AND b.provider_id = t.provider_id AND b.provider_id <> ''
    WHERE b.id >= uuid_floor(statement_timestamp() - interval '7 days')
) AS a
JOIN verifications AS v ON v.id = a.verification_id

-- name: record_at_once
-- Receipts that say more than is known, each by the account its attempt was sent through and the only one of its
-- verification, of which nothing was told since it was looked at: raised and told (runtime/at_once.py).
-- attempt moves: unknown -> accepted
WITH held AS (
    SELECT t.*
    FROM unnest($8::uuid[], $9::int[], $10::int[], $11::uuid[], $12::smallint[], $13::text[], $14::text[],
                $15::timestamptz[], $16::timestamptz[], $17::text[])
        AS t (verification_id, counted, seq, id, rank, state, provider_id, received_at, due_at, account)
    JOIN verifications AS v ON v.id = t.verification_id AND v.seq = t.seq
    ORDER BY v.id
    FOR NO KEY UPDATE OF v
), raised AS (
    UPDATE attempts AS a
    SET receipt_state = t.state, receipt_rank = t.rank, receipt_at = t.received_at,
        provider_id = CASE WHEN a.provider_id = '' THEN t.provider_id ELSE a.provider_id END,
        state = CASE WHEN a.state = 'unknown' THEN 'accepted' ELSE a.state END,
        receipt_ask_at = CASE WHEN t.rank < 40 THEN a.receipt_ask_at END,
        receipt_due_at = CASE WHEN t.rank < 90 AND a.state IN ('sending', 'accepted', 'unknown')
                              THEN coalesce(a.receipt_due_at, t.due_at) END
    FROM (SELECT * FROM held ORDER BY id) AS t
    WHERE a.id = t.id AND a.receipt_rank < t.rank AND a.account = t.account
    RETURNING a.verification_id, t.counted
), bumped AS (
    UPDATE verifications AS v SET seq = v.seq + r.counted FROM raised AS r WHERE v.id = r.verification_id
), told AS (
    INSERT INTO outbox (id, topic, key, value, headers)
    SELECT o.id, o.topic, o.key, o.value, o.headers
    FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[])
        AS o (verification_id, id, topic, key, value, headers)
    WHERE (o.verification_id IN (SELECT verification_id FROM raised)) IS TRUE
    ON CONFLICT (id) DO NOTHING
), settled AS (
    DELETE FROM outbox WHERE id = ANY($1::uuid[])
)
SELECT verification_id AS key FROM raised

-- name: record_part
-- Parts of a long message that were delivered: remembered, and with the last of them the whole is. A repeat is no-op.
-- attempt moves: unknown -> accepted
WITH told AS (
    SELECT t.id, max(t.key) AS key, max(t.counted) AS counted, bit_or(t.bits) AS bits, max(t.whole) AS whole,
           max(t.provider_id) AS provider_id, max(t.received_at) AS received_at, max(t.due_at) AS due_at
    FROM unnest($1::text[], $2::int[], $3::uuid[], $4::int[], $5::int[], $6::text[], $7::timestamptz[],
                $8::timestamptz[])
        AS t (key, counted, id, bits, whole, provider_id, received_at, due_at)
    GROUP BY t.id
), marked AS (
    UPDATE attempts AS a
    SET receipt_parts = a.receipt_parts | t.bits,
        provider_id = CASE WHEN a.provider_id = '' THEN t.provider_id ELSE a.provider_id END,
        state = CASE WHEN a.state = 'unknown' THEN 'accepted' ELSE a.state END,
        receipt_state = CASE WHEN a.receipt_parts | t.bits = t.whole THEN 'delivered' ELSE a.receipt_state END,
        receipt_rank = CASE WHEN a.receipt_parts | t.bits = t.whole THEN 90 ELSE a.receipt_rank END,
        receipt_at = CASE WHEN a.receipt_parts | t.bits = t.whole THEN t.received_at ELSE a.receipt_at END,
        receipt_ask_at = CASE WHEN a.receipt_parts | t.bits <> t.whole THEN a.receipt_ask_at END,
        receipt_due_at = CASE WHEN a.receipt_parts | t.bits <> t.whole THEN coalesce(a.receipt_due_at, t.due_at) END
    FROM told AS t
    WHERE a.id = t.id AND a.receipt_rank < 90 AND a.receipt_parts | t.bits <> a.receipt_parts
    RETURNING t.key, t.counted, a.id, a.verification_id, a.receipt_rank = 90 AS whole
), bumped AS (
    UPDATE verifications AS v
    SET seq = v.seq + m.counted
    FROM (SELECT verification_id, sum(counted)::int AS counted FROM marked WHERE whole GROUP BY verification_id) AS m
    WHERE v.id = m.verification_id
    RETURNING v.id, v.seq
)
SELECT m.key,
       (b.seq - sum(m.counted) OVER (PARTITION BY m.verification_id)
              + sum(m.counted) OVER (PARTITION BY m.verification_id ORDER BY m.id))::int AS seq
FROM marked AS m
JOIN bumped AS b ON b.id = m.verification_id
WHERE m.whole

-- name: keep_unmapped
-- A report in words that no map has.
INSERT INTO receipts_unmapped (id, account, gateway, raw_code, event, received_at)
SELECT t.key, t.account, t.gateway, t.raw_code, t.event, t.received_at
FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::timestamptz[])
    AS t (key, counted, account, gateway, raw_code, event, received_at)
ON CONFLICT DO NOTHING
RETURNING id AS key, 0 AS seq

-- name: unmapped
-- What was kept, by who said it in which words.
SELECT gateway, account, raw_code, count(*)::int AS reports, min(received_at) AS first_at, max(received_at) AS last_at
FROM receipts_unmapped
GROUP BY gateway, account, raw_code
ORDER BY reports DESC, gateway, account, raw_code

-- name: unmapped_after
-- A page of what was kept, in the order of ids, without what somebody else reads at this moment.
SELECT id, event
FROM receipts_unmapped
WHERE id > $1
ORDER BY id
LIMIT $2
FOR UPDATE SKIP LOCKED

-- name: remap
DELETE FROM receipts_unmapped AS u
USING unnest($1::text[], $2::int[]) AS t (key, counted)
WHERE u.id = t.key
RETURNING u.id AS key, 0 AS seq

-- name: park
INSERT INTO receipts_parked (id, account, client_ref, provider_id, event, parked_until, look_at)
SELECT t.key, t.account, t.client_ref, t.provider_id, t.event, clock_timestamp() + t.patience,
       clock_timestamp() + interval '1 second'
FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::interval[])
    AS t (key, counted, account, client_ref, provider_id, event, patience)
ON CONFLICT DO NOTHING
RETURNING id AS key, 0 AS seq

-- name: parked
-- Those whose attempt is to be looked for again, and whom nobody else looks at: the first of every account, then the
-- second, and so on. An account is asked for by itself, so that a thousand strangers that one hears of, from a system
-- it shares its connection with, never stand before the early report of another.
SELECT p.id, p.account, p.client_ref, p.provider_id, p.event, p.parked_at
FROM (
    SELECT d.*, row_number() OVER (PARTITION BY d.account ORDER BY d.look_at) AS place
    FROM unnest($1::text[]) AS a (account)
    CROSS JOIN LATERAL (
        SELECT r.id, r.account, r.client_ref, r.provider_id, r.event, r.parked_at, r.look_at
        FROM receipts_parked AS r
        WHERE r.account = a.account AND r.look_at <= statement_timestamp()
        ORDER BY r.look_at
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    ) AS d
) AS p
ORDER BY p.place, p.look_at
LIMIT $2

-- name: unpark
DELETE FROM receipts_parked AS p
USING unnest($1::text[], $2::int[]) AS t (key, counted)
WHERE p.id = t.key
RETURNING p.id AS key, 0 AS seq

-- name: look_later
-- After twice the time it has waited so far, a second at least and five minutes at most: a stranger is looked at eleven
-- times before it is buried. Whoever is early is woken by what it waits for (dispatch's `wake_parked`).
UPDATE receipts_parked AS p
SET look_at = clock_timestamp() + least(greatest(clock_timestamp() - p.parked_at, interval '1 second'),
                                        interval '5 minutes')
FROM unnest($1::text[], $2::int[]) AS t (key, counted)
WHERE p.id = t.key
RETURNING p.id AS key, 0 AS seq
