-- Numbers that are known users'.

-- name: known
-- Those of (tenant, number token) under which a code was typed in within $3.
SELECT s.tenant, s.number_token
FROM unnest($1::text[], $2::text[]) AS t (tenant, number_token)
JOIN subjects AS s ON s.tenant = t.tenant AND s.number_token = t.number_token
WHERE s.verified_at > statement_timestamp() - $3::interval
