-- What fraud reads and writes. Every write takes $1 keys and $2 counted events per row first and returns key and
-- seq of the rows that changed (runtime/acting.py).

-- name: facts
-- The verifications of a batch, locked in id order until the batch is committed.
SELECT id AS verification_id, state, sends_assessed
FROM verifications
WHERE id = ANY($1::uuid[])
ORDER BY id
FOR NO KEY UPDATE

-- name: look
-- The same without a lock, with the number of each one's newest event.
SELECT id AS verification_id, state, sends_assessed, seq
FROM verifications
WHERE id = ANY($1::uuid[])

-- name: assess_at_once
-- `assess`, with the events, for verifications of which nothing was told since they were looked at (runtime/at_once.py).
WITH assessed AS (
    UPDATE verifications AS v
    SET sends_assessed = t.send_no, flagged = v.flagged OR t.flagged, seq = v.seq + t.counted,
        due_at = CASE WHEN t.send_no = v.sends_requested THEN v.expires_at ELSE v.due_at END
    FROM unnest($8::uuid[], $9::int[], $10::int[], $11::smallint[], $12::boolean[])
        AS t (id, counted, seq, send_no, flagged)
    WHERE v.id = t.id AND v.seq = t.seq AND v.state IN ('requested', 'issued') AND v.sends_assessed = t.send_no - 1
    RETURNING v.id
), told AS (
    INSERT INTO outbox (id, topic, key, value, headers)
    SELECT o.id, o.topic, o.key, o.value, o.headers
    FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[])
        AS o (verification_id, id, topic, key, value, headers)
    WHERE (o.verification_id IN (SELECT id FROM assessed)) IS TRUE
    ON CONFLICT (id) DO NOTHING
), settled AS (
    DELETE FROM outbox WHERE id = ANY($1::uuid[])
)
SELECT id AS key FROM assessed

-- name: assess
-- One assessment a send: only the next one counts, and only while the verification is live. From here on timers
-- look at it when it expires, or sooner where one more send was asked for and waits for its own. What was once flagged
-- stays so.
UPDATE verifications AS v
SET sends_assessed = t.send_no, flagged = v.flagged OR t.flagged, seq = v.seq + t.counted,
    due_at = CASE WHEN t.send_no = v.sends_requested THEN v.expires_at ELSE v.due_at END
FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::boolean[]) AS t (id, counted, send_no, flagged)
WHERE v.id = t.id AND v.state IN ('requested', 'issued') AND v.sends_assessed = t.send_no - 1
RETURNING v.id AS key, v.seq

-- name: remember_verified
-- Numbers under which codes were typed in, each once a day at most. One that was erased after the code was asked for is
-- not remembered by what went before; its row is made a moment after its verification, at most.
WITH told AS (
    SELECT u.tenant, u.number_token, max(u.requested_at) AS requested_at
    FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::timestamptz[])
        AS u (key, counted, tenant, number_token, requested_at)
    GROUP BY u.tenant, u.number_token
), held AS (
    SELECT s.tenant, s.number_token, told.requested_at
    FROM told
    JOIN subjects AS s ON s.tenant = told.tenant AND s.number_token = told.number_token
    WHERE s.created_at < told.requested_at + interval '1 minute'
      AND (s.verified_at IS NULL OR s.verified_at < told.requested_at - interval '1 day')
    ORDER BY s.tenant, s.number_token
    FOR NO KEY UPDATE OF s
)
UPDATE subjects AS s
SET verified_at = held.requested_at
FROM held
WHERE s.tenant = held.tenant AND s.number_token = held.number_token
RETURNING s.tenant || '/' || s.number_token AS key, 0 AS seq

-- name: forget_verified
-- Numbers whose users the platform says are none.
WITH held AS (
    SELECT s.tenant, s.number_token
    FROM unnest($1::text[], $2::int[], $3::text[], $4::text[]) AS t (key, counted, tenant, number_token)
    JOIN subjects AS s ON s.tenant = t.tenant AND s.number_token = t.number_token
    WHERE s.verified_at IS NOT NULL
    ORDER BY s.tenant, s.number_token
    FOR NO KEY UPDATE OF s
)
UPDATE subjects AS s
SET verified_at = NULL
FROM held
WHERE s.tenant = held.tenant AND s.number_token = held.number_token
RETURNING s.tenant || '/' || s.number_token AS key, 0 AS seq

-- Money. Counters are locked in the order of their keys, always: by the batch that reserves before it decides, by who
-- settles once the reservations are locked. A batch only ever inserts reservations, so the two never wait in a circle.

-- name: hold_spending
-- Every counter a batch may take from, made if it is not there, locked and read in one go, with the limit of today.
INSERT INTO spending AS s (counter, cap, span, ends_at, limit_micros)
SELECT t.counter, t.cap, t.span, t.ends_at, t.limit_micros
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[])
    AS t (counter, cap, span, ends_at, limit_micros)
ORDER BY t.counter
ON CONFLICT (counter) DO UPDATE SET limit_micros = excluded.limit_micros
RETURNING s.counter, s.held_micros + s.spent_micros AS used_micros

-- name: reserve
-- The sends of a batch and what they come to under each counter.
WITH held AS (
    INSERT INTO reservations AS r (verification_id, send_no, price_micros, counters, look_at)
    SELECT t.verification_id, t.send_no, t.price_micros, string_to_array(t.counters, ' '), t.look_at
    FROM unnest($1::text[], $2::int[], $3::uuid[], $4::smallint[], $5::bigint[], $6::text[], $7::timestamptz[])
        AS t (key, counted, verification_id, send_no, price_micros, counters, look_at)
    ON CONFLICT DO NOTHING
    RETURNING r.verification_id, r.send_no, r.price_micros, r.counters
), summed AS (
    SELECT counter, sum(held.price_micros)::bigint AS micros
    FROM held, unnest(held.counters) AS counter
    GROUP BY counter
), counted AS (
    UPDATE spending AS s
    SET held_micros = s.held_micros + summed.micros
    FROM summed
    WHERE s.counter = summed.counter
)
SELECT held.verification_id || '/' || held.send_no AS key, 0 AS seq FROM held

-- name: count_refused
UPDATE spending AS s
SET refused = s.refused + t.times
FROM (
    SELECT u.counter, count(*) AS times
    FROM unnest($1::text[], $2::int[], $3::text[]) AS u (key, counted, counter)
    GROUP BY u.counter
) AS t
WHERE s.counter = t.counter
RETURNING s.counter AS key, 0 AS seq

-- name: settle
-- Of verifications that are over and of which no attempt is under way any more: what was held for their sends is spent,
-- once for every part that left or may have left, and free again where none did.
WITH done AS (
    SELECT r.verification_id, r.send_no, r.price_micros, r.counters
    FROM unnest($1::uuid[], $2::int[]) AS t (id, counted)
    JOIN reservations AS r ON r.verification_id = t.id
    WHERE NOT EXISTS (
        SELECT FROM attempts AS a
        WHERE a.verification_id = r.verification_id AND a.send_no = r.send_no AND a.state IN ('queued', 'sending')
    )
    ORDER BY r.verification_id, r.send_no
    FOR UPDATE OF r
), gone AS (
    DELETE FROM reservations AS r
    USING done
    WHERE r.verification_id = done.verification_id AND r.send_no = done.send_no
    RETURNING r.verification_id, r.send_no, r.price_micros, r.counters
), priced AS (
    SELECT g.verification_id, g.price_micros, g.counters, g.price_micros * (
               SELECT coalesce(sum(greatest(a.segments, 1)), 0)
               FROM attempts AS a
               WHERE a.verification_id = g.verification_id AND a.send_no = g.send_no
                 AND a.state IN ('accepted', 'unknown')
           ) AS spent_micros
    FROM gone AS g
), summed AS (
    SELECT counter, sum(p.price_micros)::bigint AS held_micros, sum(p.spent_micros)::bigint AS spent_micros
    FROM priced AS p, unnest(p.counters) AS counter
    GROUP BY counter
), locked AS (
    SELECT s.counter
    FROM spending AS s
    WHERE s.counter IN (SELECT counter FROM summed)
    ORDER BY s.counter
    FOR NO KEY UPDATE
), counted AS (
    UPDATE spending AS s
    SET held_micros = s.held_micros - summed.held_micros, spent_micros = s.spent_micros + summed.spent_micros
    FROM locked, summed
    WHERE s.counter = locked.counter AND summed.counter = locked.counter
)
SELECT DISTINCT p.verification_id AS key, 0 AS seq FROM priced AS p

-- name: overdue_reservations
-- Sends whose verification is over for a minute and that nobody has settled; looked at again later if they stay.
UPDATE reservations AS r
SET look_at = statement_timestamp() + $2::interval
FROM (
    SELECT verification_id, send_no
    FROM reservations
    WHERE look_at <= statement_timestamp()
    ORDER BY look_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
) AS t
WHERE r.verification_id = t.verification_id AND r.send_no = t.send_no
RETURNING r.verification_id

-- name: alarm
-- Counters of now that passed a share of their limit that was not told yet. A refusal says that there is nothing left.
WITH passed AS (
    SELECT s.counter, s.alarmed AS before, now_at.share
    FROM spending AS s, LATERAL (
        SELECT CASE WHEN s.refused > 0 OR s.held_micros + s.spent_micros >= s.limit_micros THEN 100
                    WHEN (s.held_micros + s.spent_micros) * 100 >= s.limit_micros * 80 THEN 80
                    WHEN (s.held_micros + s.spent_micros) * 100 >= s.limit_micros * 50 THEN 50
                    ELSE 0 END AS share
    ) AS now_at
    WHERE s.ends_at > statement_timestamp() AND now_at.share > s.alarmed
    ORDER BY s.counter
    FOR NO KEY UPDATE OF s
)
UPDATE spending AS s
SET alarmed = passed.share
FROM passed
WHERE s.counter = passed.counter
RETURNING s.counter, s.cap, s.span, s.limit_micros, s.held_micros + s.spent_micros AS used_micros, s.refused,
          passed.before, s.alarmed

-- name: used
SELECT cap, span, max((held_micros + spent_micros)::float8 / greatest(limit_micros, 1)) AS share
FROM spending
WHERE ends_at > statement_timestamp()
GROUP BY cap, span

-- name: forget_spending
DELETE FROM spending
WHERE counter IN (
    SELECT counter FROM spending WHERE ends_at < statement_timestamp() - $1::interval ORDER BY ends_at LIMIT $2
    FOR UPDATE SKIP LOCKED
)

-- name: count_season
-- The sends of a batch, of tenants that are monitored because they are new. Past $3 nothing is counted any more, so that
-- what was decided stands.
INSERT INTO fraud_seasons AS f (tenant, sends)
SELECT t.tenant, t.sends
FROM unnest($1::text[], $2::bigint[]) AS t (tenant, sends)
ORDER BY t.tenant
ON CONFLICT (tenant) DO UPDATE
SET sends = CASE WHEN f.sends > $3 THEN f.sends ELSE f.sends + excluded.sends END
RETURNING f.tenant, f.began_at, f.sends
