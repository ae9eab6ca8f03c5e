-- Scores: what fraud objected to says nothing of the account that carried it. Operators are shown what is drawn from.

ALTER TABLE verifications ADD COLUMN flagged boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN verifications.flagged IS
    'Fraud objected to one of its sends, or let it through on trial, whatever was done about it: it counts for no account.';

GRANT SELECT ON account_scores TO watchword_operator;
