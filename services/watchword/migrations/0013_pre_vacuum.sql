-- How soon dead rows are taken away, where the default of a fifth of the table is too late. Nothing but storage
-- parameters; each waits for no reader and no writer. How often anybody looks is the server's: autovacuum_naptime.

-- A week's rows are changed a few times in their first minutes and never again, and the index of what is due is asked
-- five times a second. A fifth of a week would be millions of dead entries between the live ones.
CREATE OR REPLACE FUNCTION ensure_partitions(until_at timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    parent   text;
    week     timestamptz;
    child    text;
    made     integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(7316001);
    FOREACH parent IN ARRAY ARRAY['verifications', 'codes', 'attempts', 'callback_deliveries'] LOOP
        week := date_trunc('week', clock_timestamp() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '7 days';
        WHILE week <= until_at LOOP
            child := format('%s_%s', parent, to_char(week AT TIME ZONE 'UTC', 'IYYY_IW'));
            IF to_regclass(child) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L) WITH (fillfactor = 80, '
                               'autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000)',
                               child, parent, uuid_floor(week), uuid_floor(week + interval '7 days'));
                made := made + 1;
            END IF;
            week := week + interval '7 days';
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

DO $$
DECLARE
    child regclass;
BEGIN
    FOR child IN
        SELECT inhrelid::regclass FROM pg_inherits
        WHERE inhparent IN ('verifications'::regclass, 'codes'::regclass, 'attempts'::regclass,
                            'callback_deliveries'::regclass)
    LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000)',
                       child);
    END LOOP;
END $$;

-- The outbox is empty or nearly so and yet every event goes through it: what counts is how many rows died, not what
-- share of the table. It is not cut short at its end, for that takes a lock that every worker would wait for, and the
-- pages are wanted again at once; and it is done without pauses, since all of it is in memory.
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
                        autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);

-- A day of keys, of which an hour's worth goes every hour: a fifth of them would be five hours' worth of dead rows.
ALTER TABLE idempotency SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- A bucket's row is changed with every start that takes from it, in place as long as its page has room.
ALTER TABLE limits SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
ALTER TABLE latest_verifications SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
