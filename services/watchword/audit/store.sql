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
