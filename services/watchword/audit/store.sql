-- What the audit reads beside the rows that the fold is held against; all in the one snapshot of replay/live.py.

-- name: bounds
-- The limits of each verification that are its own: those of its policy as it was when it began.
SELECT id, checks_max, rules FROM verifications WHERE id >= $1

-- name: codes
SELECT verification_id, count(*)::int AS count, max(version)::int AS newest
FROM codes
WHERE verification_id >= $1
GROUP BY verification_id

-- name: open_attempts
-- Those that still have to come to an end.
SELECT id, verification_id, state, lease_until, send_deadline
FROM attempts
WHERE id >= $1 AND state IN ('queued', 'sending')

-- name: outbox
SELECT id, topic, key, created_at FROM outbox

-- name: parked
SELECT id, parked_until FROM receipts_parked

-- name: letters_done
SELECT topic, partition, record_offset FROM dead_letter_actions

-- name: counters
SELECT counter AS key, cap, span, ends_at, limit_micros, held_micros, spent_micros FROM spending

-- name: holds
SELECT verification_id, send_no, price_micros, counters FROM reservations

-- name: documents
-- Every version of what caps, endpoints and tenants' own topics are judged by, and when the next one came.
SELECT kind, id, document::text AS document, applied_at AS since,
       lead(applied_at) OVER (PARTITION BY kind, id ORDER BY version) AS until, retired
FROM configuration
WHERE kind IN ('cap', 'price', 'endpoint', 'tenant')
ORDER BY kind, id, version

-- name: counting_parts
-- Accounts for which, at some time, the word of one part of a message stood for all of it.
SELECT DISTINCT id FROM configuration WHERE kind = 'account' AND coalesce(document->>'receipt_parts', 'all') <> 'all'

-- name: in_parts
-- Attempts of which parts were reported and not yet the whole.
SELECT id FROM attempts WHERE id >= $1 AND receipt_parts <> 0 AND receipt_state IS NULL

-- name: untold
-- Who is owed nothing of how a verification ended and was to hear of it: endpoints that stood by then, and publishers.
SELECT v.id AS verification_id, e.endpoint
FROM unnest($2::text[], $3::text[], $4::timestamptz[]) AS e (tenant, endpoint, since)
JOIN verifications AS v ON v.tenant = e.tenant AND v.ended_at >= e.since
WHERE v.id >= $1 AND NOT EXISTS (
    SELECT FROM callback_deliveries AS d
    WHERE d.verification_id = v.id AND d.endpoint = e.endpoint AND d.event = $5
)
UNION ALL
SELECT v.id, ''
FROM verifications AS v
WHERE v.id >= $1 AND v.ended_at IS NOT NULL AND v.request_id <> '' AND NOT EXISTS (
    SELECT FROM callback_deliveries AS d WHERE d.verification_id = v.id AND d.endpoint = '' AND d.event = $5
)
