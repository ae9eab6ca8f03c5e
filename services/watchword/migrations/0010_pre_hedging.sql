-- Hedging: when a message that no carrier told to have arrived is sent once more beside, by another account.

ALTER TABLE attempts ADD COLUMN hedge_at timestamptz;
ALTER TABLE attempts ADD COLUMN hedges boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN attempts.hedge_at IS
    'When dispatch may send the same code by another account; NULL where its route does not ask for it, or that is over.';
COMMENT ON COLUMN attempts.hedges IS 'Made beside a try that was accepted and of which nothing was heard.';
CREATE INDEX attempts_hedge ON attempts (hedge_at) WHERE hedge_at IS NOT NULL;
