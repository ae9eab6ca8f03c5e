-- Applied documents and API keys: written by `watchword apply`, read by every worker.

-- name: lock
SELECT pg_advisory_xact_lock(7316002)

-- name: latest
SELECT DISTINCT ON (kind, id) serial, kind, id, version, document::text AS document, digest, retired
FROM configuration
ORDER BY kind, id, version DESC

-- name: insert
INSERT INTO configuration (kind, id, version, document, digest, retired)
VALUES ($1, $2, $3, $4::text::jsonb, $5, $6)
RETURNING serial

-- name: serial
SELECT coalesce(max(serial), 0) FROM configuration

-- name: serial_and_keys
-- The second column changes whenever a key is added, edited, revoked or removed.
SELECT (SELECT coalesce(max(serial), 0) FROM configuration),
       (SELECT coalesce(sum(hashtextextended(id || ' ' || array_to_string(scopes, ',') || ' '
                                             || coalesce(expires_at::text, '') || ' '
                                             || coalesce(revoked_at::text, ''), 0)), 0)::text FROM api_keys)

-- name: api_keys
SELECT hash, id, tenant, name, scopes, test, expires_at, revoked_at FROM api_keys

-- name: insert_api_key
INSERT INTO api_keys (hash, id, tenant, name, scopes, test, last4, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (tenant, name) DO NOTHING
RETURNING id

-- name: named_api_keys
SELECT tenant, name, revoked_at IS NOT NULL AS revoked FROM api_keys

-- name: revoke_api_key
UPDATE api_keys SET revoked_at = clock_timestamp()
WHERE tenant = $1 AND name = $2 AND revoked_at IS NULL
RETURNING id
