"""A disk that is full: every insert into the outbox ends as on one (SQLSTATE 53100), so that no event can be stored."""

FULL = """
CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER no_room BEFORE INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION no_room();
"""
HAS_ROOM = "DROP TRIGGER IF EXISTS no_room ON outbox; DROP FUNCTION IF EXISTS no_room();"
