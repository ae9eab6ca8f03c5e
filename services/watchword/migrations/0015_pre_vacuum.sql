-- How soon dead rows are taken away, where the default of a fifth of the table is too late. Nothing but storage
-- parameters, which wait for no reader and no writer. How often anybody looks is the server's: autovacuum_naptime.

-- A week's rows are changed a few times in their first minutes and never again, and the index of what is due is asked
-- five times a second. A fifth of a week would be millions of dead entries between the live ones. A partition takes
-- nothing of this from its parent, so timers gives it to those that lack it, after it made them.
CREATE FUNCTION tend_partitions() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout TO '100ms' AS $$
DECLARE
    child  regclass;
    tended integer := 0;
BEGIN
    FOR child IN
        SELECT c.oid::regclass
        FROM pg_inherits AS i
        JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent IN ('verifications'::regclass, 'codes'::regclass, 'attempts'::regclass,
                              'callback_deliveries'::regclass)
          AND NOT coalesce(c.reloptions, '{}') @> ARRAY['autovacuum_vacuum_scale_factor=0.02']
    LOOP
        BEGIN
            EXECUTE format(
                'ALTER TABLE %s SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000)', child
            );
            tended := tended + 1;
        EXCEPTION WHEN lock_not_available THEN
            NULL;  -- it is being vacuumed at this moment; the next look will do
        END;
    END LOOP;
    RETURN tended;
END $$;

REVOKE ALL ON FUNCTION tend_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tend_partitions TO watchword_timers;
SELECT tend_partitions();

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
