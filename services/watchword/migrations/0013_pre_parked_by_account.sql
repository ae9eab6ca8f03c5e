-- Parked receipts are looked at an account at a time, and woken by the transaction that stores their provider's id.

CREATE INDEX receipts_parked_account ON receipts_parked (account, look_at);
DROP INDEX receipts_parked_look;
REVOKE DELETE ON receipts_parked FROM watchword_dispatch;
GRANT UPDATE (look_at) ON receipts_parked TO watchword_dispatch;
