-- Weeks come and go beside whoever reads: a backup or an audit holds its tables for hours, and a statement that needs one
-- for itself has everybody else queue behind it for as long as it waits.

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
                -- To attach a table takes SHARE UPDATE EXCLUSIVE of its parent, to create it there would take ACCESS
                -- EXCLUSIVE. There is nothing to be scanned in an empty one.
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL EXCLUDING INDEXES EXCLUDING COMMENTS) '
                               'WITH (fillfactor = 80)', child, parent);
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                               parent, child, uuid_floor(week), uuid_floor(week + interval '7 days'));
                made := made + 1;
            END IF;
            week := week + interval '7 days';
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

-- To drop or to detach one takes ACCESS EXCLUSIVE of the parent whatever one does; to do it CONCURRENTLY is not for a
-- function, and takes the owner. So it waits for a moment only, and one goes at a time: what was had is given back.
CREATE OR REPLACE FUNCTION drop_partitions(before_at timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout TO '100ms' AS $$
DECLARE
    parent text;
    child  text;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7316001) THEN
        RETURN 0;  -- somebody else is at it
    END IF;
    FOREACH parent IN ARRAY ARRAY['verifications', 'codes', 'attempts', 'callback_deliveries'] LOOP
        SELECT min(inhrelid::regclass::text) INTO child
        FROM pg_inherits
        WHERE inhparent = parent::regclass
          AND inhrelid::regclass::text < format('%s_%s', parent, to_char(before_at AT TIME ZONE 'UTC', 'IYYY_IW'));
        IF child IS NOT NULL THEN
            EXECUTE format('DROP TABLE %s', child);
            RETURN 1;
        END IF;
    END LOOP;
    RETURN 0;
END $$;
