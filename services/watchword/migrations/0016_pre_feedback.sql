-- Feedback: providers that want to know are told whether the code in their message was typed.

ALTER TABLE attempts ADD COLUMN feedback_at timestamptz;
ALTER TABLE attempts ADD COLUMN feedback_tries smallint NOT NULL DEFAULT 0;
COMMENT ON COLUMN attempts.feedback_at IS
    'When dispatch looks next for what to tell the provider; NULL where it is not to be told, was told, or is not any more.';
COMMENT ON COLUMN attempts.feedback_tries IS 'How often the provider was told, or was about to be.';
CREATE INDEX attempts_feedback ON attempts (account, feedback_at) WHERE feedback_at IS NOT NULL;
