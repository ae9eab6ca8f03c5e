-- Receipts: what is owed to an attempt of which no carrier told the end, parts of long messages, and reports whose
-- words no map knows.

ALTER TABLE attempts ADD COLUMN receipt_due_at timestamptz;
ALTER TABLE attempts ADD COLUMN receipt_ask_at timestamptz;
ALTER TABLE attempts ADD COLUMN receipt_parts integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN attempts.receipt_due_at IS
    'When timers stop waiting for a receipt that says more; NULL where none is owed: delivered, or nothing left.';
COMMENT ON COLUMN attempts.receipt_parts IS 'Which parts of a long message were delivered, one bit each, the first the lowest.';
COMMENT ON COLUMN attempts.receipt_ask_at IS
    'When dispatch asks the gateway after it; NULL where that cannot be asked, has been, or a carrier told the end.';
CREATE INDEX attempts_receipt_ask ON attempts (receipt_ask_at) WHERE receipt_ask_at IS NOT NULL;
CREATE INDEX attempts_receipt_due ON attempts (receipt_due_at) WHERE receipt_due_at IS NOT NULL;

CREATE TABLE receipts_unmapped (
    id          text        PRIMARY KEY,
    account     text        NOT NULL,
    gateway     text        NOT NULL,
    raw_code    text        NOT NULL,
    event       bytea       NOT NULL,
    received_at timestamptz NOT NULL
);
COMMENT ON TABLE receipts_unmapped IS
    'Reports in words that the gateway has no state for; the event is kept as it came, to be read again once it has one.';
CREATE INDEX receipts_unmapped_age ON receipts_unmapped USING brin (received_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON receipts_unmapped TO watchword_receipts;
-- Deleting what nobody else is at (FOR UPDATE SKIP LOCKED) asks for UPDATE.
GRANT SELECT, UPDATE, DELETE ON receipts_unmapped TO watchword_timers;
