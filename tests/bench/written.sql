-- Who makes Postgres write its log, and what is left behind. As its superuser: the log is read as it lies on disk.

-- name: prepare
CREATE EXTENSION IF NOT EXISTS pg_walinspect

-- name: position
SELECT pg_current_wal_insert_lsn()::text

-- name: workers
-- Bytes that the backends of each worker have written so far; those of a pool stay for minutes.
SELECT application_name::text AS name, sum(w.wal_bytes)::float8 AS bytes
FROM pg_stat_activity AS a, LATERAL pg_stat_get_backend_wal(a.pid) AS w
WHERE application_name LIKE 'watchword-%'
GROUP BY 1

-- name: tables
-- Bytes of the log from $1 to $2 by table, partitions counted to theirs, and what of them its indexes needed. A record
-- counts to the first block that it is about. "" is what is about none of them: commits, most of all.
WITH relations AS MATERIALIZED (
    SELECT pg_relation_filenode(c.oid) AS node, c.relkind = 'i' AS is_index, coalesce(x.indrelid, c.oid) AS relation
    FROM pg_class AS c
    LEFT JOIN pg_index AS x ON x.indexrelid = c.oid
    WHERE c.relkind IN ('r', 'i') AND c.relnamespace = 'public'::regnamespace
), named AS MATERIALIZED (
    SELECT r.node, r.is_index, coalesce(parent.relname, c.relname)::text AS name
    FROM relations AS r
    JOIN pg_class AS c ON c.oid = r.relation
    LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
    LEFT JOIN pg_class AS parent ON parent.oid = i.inhparent
), blocks AS (
    SELECT n.name, n.is_index, sum(b.record_length)::float8 AS bytes
    FROM pg_get_wal_block_info($1::text::pg_lsn, $2::text::pg_lsn, false) AS b
    JOIN named AS n ON n.node = b.relfilenode
    WHERE b.block_id = 0
    GROUP BY 1, 2
)
SELECT name, coalesce(sum(bytes) FILTER (WHERE NOT is_index), 0) AS rows,
       coalesce(sum(bytes) FILTER (WHERE is_index), 0) AS indexes
FROM blocks
GROUP BY 1
UNION ALL
SELECT '', pg_wal_lsn_diff($2::text::pg_lsn, $1::text::pg_lsn)::float8 - coalesce(sum(bytes), 0), 0 FROM blocks

-- name: left
-- Dead rows that lie in each table now, how often autovacuum came, and the bytes of table and indexes.
SELECT coalesce(parent.relname, s.relname)::text AS name, sum(s.n_dead_tup)::bigint AS dead,
       sum(s.autovacuum_count)::bigint AS vacuums, sum(pg_table_size(s.relid))::bigint AS table_bytes,
       sum(pg_indexes_size(s.relid))::bigint AS index_bytes
FROM pg_stat_user_tables AS s
LEFT JOIN pg_inherits AS i ON i.inhrelid = s.relid
LEFT JOIN pg_class AS parent ON parent.oid = i.inhparent
GROUP BY 1

-- name: unread
-- Indexes that no statement has looked into since the server was started, though their tables were written.
SELECT coalesce(parent.relname, s.indexrelname)::text AS name
FROM pg_stat_user_indexes AS s
JOIN pg_stat_user_tables AS t ON t.relid = s.relid
LEFT JOIN pg_inherits AS i ON i.inhrelid = s.indexrelid
LEFT JOIN pg_class AS parent ON parent.oid = i.inhparent
GROUP BY 1
HAVING sum(s.idx_scan) = 0 AND sum(t.n_tup_ins) > 0
ORDER BY 1
