-- What fraud reads and writes. Every write takes $1 keys and $2 counted events per row first and returns key and
-- seq of the rows that changed (runtime/acting.py).

-- name: facts
-- The verifications of a batch, locked in id order until the batch is committed.
SELECT id AS verification_id, state, sends_assessed
FROM verifications
WHERE id = ANY($1::uuid[])
ORDER BY id
FOR NO KEY UPDATE

-- name: assess
-- One assessment a send: only the next one counts, and only while the verification is live. From here on timers
-- look at it when it expires.
UPDATE verifications AS v
SET sends_assessed = t.send_no, due_at = v.expires_at, seq = v.seq + t.counted
FROM unnest($1::uuid[], $2::int[], $3::smallint[]) AS t (id, counted, send_no)
WHERE v.id = t.id AND v.state IN ('requested', 'issued') AND v.sends_assessed = t.send_no - 1
RETURNING v.id AS key, v.seq
