-- Logins and roles, made from services/watchword/flow.py by `make flow`. Run it once as superuser, in the database of
-- Watchword and before the first `watchword migrate`; running it again changes nothing. Passwords are not its
-- business: ALTER ROLE ... PASSWORD, or certificates.
--
-- A role holds rights and cannot log in; the migrations grant them. A login holds nothing: it may only act as its
-- role, which a worker does from its first statement on.

DO $$
DECLARE
    made record;
BEGIN
    FOR made IN SELECT * FROM (VALUES
        ('watchword_owner', 'LOGIN CREATEROLE'),
        ('watchword_audit', 'NOLOGIN'),
        ('watchword_callbacks', 'NOLOGIN'),
        ('watchword_checks', 'NOLOGIN'),
        ('watchword_codes', 'NOLOGIN'),
        ('watchword_dispatch', 'NOLOGIN'),
        ('watchword_fraud', 'NOLOGIN'),
        ('watchword_intake', 'NOLOGIN'),
        ('watchword_operator', 'NOLOGIN'),
        ('watchword_receipts', 'NOLOGIN'),
        ('watchword_timers', 'NOLOGIN'),
        ('watchword_login_intake', 'LOGIN NOINHERIT'),
        ('watchword_login_fraud', 'LOGIN NOINHERIT'),
        ('watchword_login_judge', 'LOGIN NOINHERIT'),
        ('watchword_login_codes', 'LOGIN NOINHERIT'),
        ('watchword_login_dispatch', 'LOGIN NOINHERIT'),
        ('watchword_login_receipts', 'LOGIN NOINHERIT'),
        ('watchword_login_checks', 'LOGIN NOINHERIT'),
        ('watchword_login_timers', 'LOGIN NOINHERIT'),
        ('watchword_login_callbacks', 'LOGIN NOINHERIT'),
        ('watchword_login_operator', 'LOGIN NOINHERIT'),
        ('watchword_login_audit', 'LOGIN NOINHERIT')
    ) AS wanted (name, attributes) LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = made.name) THEN
            EXECUTE format('CREATE ROLE %I %s', made.name, made.attributes);
        END IF;
    END LOOP;
    EXECUTE format('ALTER DATABASE %I OWNER TO watchword_owner', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO watchword_login_intake, watchword_login_fraud, watchword_login_judge, watchword_login_codes, watchword_login_dispatch, watchword_login_receipts, watchword_login_checks, watchword_login_timers, watchword_login_callbacks, watchword_login_operator, watchword_login_audit', current_database());
END $$;

-- A worker's login acts as its role and as nothing else.
GRANT watchword_intake TO watchword_login_intake WITH INHERIT FALSE, SET TRUE;
GRANT watchword_fraud TO watchword_login_fraud WITH INHERIT FALSE, SET TRUE;
GRANT watchword_fraud TO watchword_login_judge WITH INHERIT FALSE, SET TRUE;
GRANT watchword_codes TO watchword_login_codes WITH INHERIT FALSE, SET TRUE;
GRANT watchword_dispatch TO watchword_login_dispatch WITH INHERIT FALSE, SET TRUE;
GRANT watchword_receipts TO watchword_login_receipts WITH INHERIT FALSE, SET TRUE;
GRANT watchword_checks TO watchword_login_checks WITH INHERIT FALSE, SET TRUE;
GRANT watchword_timers TO watchword_login_timers WITH INHERIT FALSE, SET TRUE;
GRANT watchword_callbacks TO watchword_login_callbacks WITH INHERIT FALSE, SET TRUE;

-- Persons log in with these: the rights are there without a SET ROLE.
GRANT watchword_operator TO watchword_login_operator WITH INHERIT TRUE, SET TRUE;
GRANT watchword_audit TO watchword_login_audit WITH INHERIT TRUE, SET TRUE;
ALTER ROLE watchword_login_audit SET default_transaction_read_only = on;
