-- Fraud: a number whose user typed a code in not long ago is a known user's, and no part of what piles up around it.
-- It stands beside the number's data key, so that whoever erases the one erases the other.

ALTER TABLE subjects ADD COLUMN verified_at timestamptz;
COMMENT ON COLUMN subjects.verified_at IS
    'When the newest code was asked for that its user typed in, to the day; NULL if none was, or the platform disowned the user.';
-- Written once soon after the row itself: beside it, if there is room.
ALTER TABLE subjects SET (fillfactor = 80);

GRANT SELECT (tenant, number_token, created_at, verified_at), UPDATE (verified_at) ON subjects TO watchword_fraud;
GRANT SELECT (verified_at) ON subjects TO watchword_timers;
