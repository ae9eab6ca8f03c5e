-- What Postgres counted since it was started; one is taken from another.

-- name: totals
SELECT d.xact_commit AS commits, d.blks_hit + d.blks_read AS blocks, w.wal_bytes::float8 AS wal_bytes,
       w.wal_fpi AS full_pages
FROM pg_stat_database AS d, pg_stat_wal AS w
WHERE d.datname = current_database()

-- name: tables
-- By table, partitions counted to theirs.
SELECT coalesce(parent.relname, s.relname)::text AS name, sum(s.n_tup_ins)::bigint AS inserted,
       sum(s.n_tup_upd)::bigint AS updated, sum(s.n_tup_hot_upd)::bigint AS updated_hot,
       sum(s.n_tup_del)::bigint AS deleted, sum(s.seq_tup_read)::bigint AS scanned
FROM pg_stat_user_tables AS s
LEFT JOIN pg_inherits AS i ON i.inhrelid = s.relid
LEFT JOIN pg_class AS parent ON parent.oid = i.inhparent
GROUP BY 1

-- name: indexes
-- How many indexes a row of each table is entered in at most.
SELECT c.relname::text AS name, count(*)::int AS indexes
FROM pg_index AS x
JOIN pg_class AS c ON c.oid = x.indrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
GROUP BY 1
