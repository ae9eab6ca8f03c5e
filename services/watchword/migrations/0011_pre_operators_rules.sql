-- Operators exchange the rules of fraud, and nothing else of the configuration: accounts, routes and keys stay with
-- whoever applies them.

CREATE FUNCTION load_ruleset(role text, ruleset jsonb, named text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
-- Answers the version; 0 where there was nothing to take back, which is what a `ruleset` of NULL asks for.
DECLARE
    latest record;
    given  integer;
BEGIN
    IF role NOT IN ('live', 'shadow') THEN
        RAISE EXCEPTION 'a ruleset is live or shadow, not %', role USING ERRCODE = 'check_violation';
    END IF;
    PERFORM pg_advisory_xact_lock(7316002);  -- as `watchword apply` does
    SELECT version, retired INTO latest
    FROM configuration WHERE kind = 'ruleset' AND id = role ORDER BY version DESC LIMIT 1;
    IF ruleset IS NULL AND coalesce(latest.retired, true) THEN
        RETURN 0;
    END IF;
    given := coalesce(latest.version, 0) + 1;
    INSERT INTO configuration (kind, id, version, document, digest, retired)
    VALUES ('ruleset', role, given, coalesce(ruleset, '{}'), named, ruleset IS NULL);
    RETURN given;
END $$;

REVOKE ALL ON FUNCTION load_ruleset FROM PUBLIC;
GRANT EXECUTE ON FUNCTION load_ruleset TO watchword_operator;
