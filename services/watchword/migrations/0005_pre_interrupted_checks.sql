-- A check is counted before it is compared. Which of the counted ones were told is written down, so that timers can
-- tell the others: those whose process died in between.

ALTER TABLE verifications ADD COLUMN checks_told smallint NOT NULL DEFAULT 0;
COMMENT ON COLUMN verifications.checks_told IS 'The checks that were told, one bit each: bit 0 is check number 1.';
COMMENT ON COLUMN verifications.due_at IS
    'When timers must look at it next: the assessment timeout, then the expiry; once ended NULL, or, where a counted '
    'check is not told yet, when its process has had the time to.';

-- What was counted so far was told by those that did not write it down.
UPDATE verifications SET checks_told = (1 << checks_used) - 1 WHERE checks_used > 0;

CREATE FUNCTION due_once_ended(checks_used integer, checks_told integer) RETURNS timestamptz
LANGUAGE sql AS $$
    -- The `due_at` of a verification that ends: whoever counted a check has half a minute to conclude and tell it.
    SELECT CASE WHEN checks_told <> (1 << checks_used) - 1 THEN clock_timestamp() + interval '30 seconds' END
$$;
