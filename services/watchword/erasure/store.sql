-- What an erasure reads and writes, under the operators' role. It cannot read the keys that it deletes.

-- name: kept
-- Since when the data key of each number is kept, for those of (tenant, token) that have one.
SELECT s.tenant, s.number_token, s.created_at
FROM unnest($1::text[], $2::text[]) AS t (tenant, number_token)
JOIN subjects AS s ON s.tenant = t.tenant AND s.number_token = t.number_token
ORDER BY s.tenant, s.number_token

-- name: erase
-- The deletion and the record of it are one: who finds no key records nothing.
WITH gone AS (
    DELETE FROM subjects AS s
    USING unnest($1::text[], $2::text[]) AS t (tenant, number_token)
    WHERE s.tenant = t.tenant AND s.number_token = t.number_token
    RETURNING s.tenant, s.number_token, s.created_at
), noted AS (
    INSERT INTO erasures (tenant, number_token, reason, done_by)
    SELECT tenant, number_token, $3, $4 FROM gone
)
SELECT tenant, number_token, created_at FROM gone ORDER BY tenant, number_token
