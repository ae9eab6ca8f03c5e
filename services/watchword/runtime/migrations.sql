-- What the migration runner itself says to the database.

-- name: begin
SELECT pg_advisory_lock(8_316_457_120_554_031);

-- name: prepare
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer     PRIMARY KEY,
    name       text        NOT NULL,
    digest     text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Every process looks at the level before it starts, whoever it logs in as.
GRANT SELECT ON schema_migrations TO PUBLIC;

-- name: limit_waits
SET lock_timeout = '10s';

-- name: applied
SELECT version, name, digest FROM schema_migrations ORDER BY version;

-- name: record
INSERT INTO schema_migrations (version, name, digest) VALUES ($1, $2, $3);

-- name: level
SELECT coalesce(max(version), 0) FROM schema_migrations;
